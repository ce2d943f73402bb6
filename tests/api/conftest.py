"""The API alone, on both databases: no doors, no queue, orders fed straight into the inbox."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from flask import Flask

from plugin import api
from plugin.database import Database
from plugin.keys import KeyStore
from plugin.outbound import Outbound
from plugin.services.context import Context
from plugin.settings import Settings
from tests.api.fed import TEN_PERCENT, FedShop, Installation


def nowhere(host: str, port: int) -> list[str]:
    """Look up no name: no test of the API leaves this machine."""
    raise OSError("no such name")


@pytest.fixture
def installation(settings: Settings) -> Iterator[Installation]:
    """Give an app with the API and nothing else."""
    settings.instance.mkdir(exist_ok=True)
    outbound = Outbound(resolve=nowhere)
    context = Context(Database(settings.database_url), KeyStore(settings), settings, outbound=outbound)
    app = Flask("api")
    app.extensions["passalong"] = SimpleNamespace(context=context)
    api.init_app(app)
    try:
        yield Installation(app)
    finally:
        context.database.close()


@pytest.fixture
def shop(installation: Installation) -> FedShop:
    """Give a shop that pays ten percent of everything."""
    shop = installation.shop()
    shop.plan(TEN_PERCENT)
    return shop


@pytest.fixture
def other_shop(installation: Installation) -> FedShop:
    """Give a second shop."""
    shop = installation.shop(url="https://other.example.com")
    shop.plan(TEN_PERCENT)
    return shop
