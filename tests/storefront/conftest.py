"""A shop in a real browser: the installation served, a shop for browsers, and a visitor who notices every complaint."""

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext
from werkzeug.serving import make_server

from tests.storefront.stub_shops import StubShop
from tests.world import World


@pytest.fixture
def passalong(world: World) -> Iterator[str]:
    """Serve the installation; give its address."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def stub() -> Iterator[StubShop]:
    """Open a shop for browsers."""
    shop = StubShop()
    yield shop
    shop.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a browser as a new visitor has it. Whatever a page complains of in the end fails the test."""
    context = browser.new_context()
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    context.close()
    assert said == []
