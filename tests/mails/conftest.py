"""Installations that send their mails to a server on this machine."""


import pytest

from tests.mails.post_office import PostOffice, send_to
from tests.world import Clock, World


@pytest.fixture
def posting(world: World, clock: Clock, office: PostOffice) -> World:
    """Give an installation by a stopped clock that sends its mails to the server."""
    send_to(world, f"smtp://127.0.0.1:{office.port}")
    return world


