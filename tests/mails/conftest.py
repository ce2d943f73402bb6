"""Installations that send their mails to a server on this machine."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.mails.post_office import PostOffice
from tests.world import Clock, World


@pytest.fixture
def office() -> Iterator[PostOffice]:
    """Give a mail server that takes everything."""
    office = PostOffice()
    yield office
    office.close()


def send_to(world: World, url: str) -> None:
    """Have the installation send its mails to a server, as its settings would say it."""
    object.__setattr__(world.context, "settings", replace(world.context.settings, mail_url=url))


@pytest.fixture
def posting(world: World, clock: Clock, office: PostOffice) -> World:
    """Give an installation by a stopped clock that sends its mails to the server."""
    send_to(world, f"smtp://127.0.0.1:{office.port}")
    return world


