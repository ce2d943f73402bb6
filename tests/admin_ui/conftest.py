"""The pages, served to a browser."""

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from tests.admin_ui.desk import Browser, member
from tests.admin_ui.walk import LOOKS, Look
from tests.world import Shop, World


@pytest.fixture(params=LOOKS, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """Give each way to look at pages."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def shop(began: Shop) -> Shop:
    """Give the shop of the test's past."""
    return began


@pytest.fixture
def owner(world: World) -> Browser:
    """Give the browser of an owner."""
    return member(world)


@pytest.fixture
def address(world: World) -> Iterator[str]:
    """Serve the installation; give its address."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
