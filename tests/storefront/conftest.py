"""A shop in a real browser: the installation served, a shop for browsers, and a visitor who notices every complaint."""

from collections.abc import Iterator
from contextlib import closing
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from tests.storefront.stub_shops import StubShop


@pytest.fixture
def stub() -> Iterator[StubShop]:
    """Open a shop for browsers."""
    with closing(StubShop()) as shop:
        yield shop


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a browser as a new visitor has it. Whatever a page complains of in the end fails the test."""
    context = browser.new_context()
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    _watch(context)
    yield context
    context.close()
    assert said == []


_under_way: WeakKeyDictionary[BrowserContext, set[Request]] = WeakKeyDictionary()


def _watch(context: BrowserContext) -> None:
    """Keep what a visitor's pages ask for and have not been answered; a new page forgets what the last one asked."""
    under_way = _under_way[context] = set()

    def asked(request: Request) -> None:
        if request.is_navigation_request():
            under_way.clear()
        elif not request.url.endswith("/settled"):
            under_way.add(request)

    context.on("request", asked)
    context.on("requestfinished", lambda request: under_way.discard(request))
    context.on("requestfailed", lambda request: under_way.discard(request))


def settled(page: Page) -> None:
    """Have the script look again, then wait until the page waits for nothing and the shop has heard nothing new."""
    under_way = _under_way[page.context]
    idle = False
    while not idle:
        idle = not under_way
        page.evaluate(
            """async () => {
              passalong.token();
              for (let heard = -1, before; heard !== before;) {
                before = heard;
                for (let i = 0; i < 5; i++) heard = await (await fetch("/settled")).json();
              }
            }"""
        )
        idle = idle and not under_way
