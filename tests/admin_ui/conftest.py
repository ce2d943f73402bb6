"""The pages, served to a browser."""


import pytest

from tests.admin_ui.desk import Browser, member
from tests.admin_ui.walk import LOOKS, Look
from tests.world import World


@pytest.fixture(params=LOOKS, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """Give each way to look at pages."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def owner(world: World) -> Browser:
    """Give the browser of an owner."""
    return member(world)
