"""People who share, at their pages: signed in as a browser is, or with the way in that a mail would bring them."""

import json

from sqlalchemy import select

from plugin.models import person, task
from plugin.models import shop as shops
from plugin.services import tickets
from plugin.services.manage_program import change_program
from plugin.services.public_id import SHARER, read
from plugin.services.sessions import open_session
from plugin.services.show_sharer import show_sharer
from tests.admin_ui.desk import Browser
from tests.world import Shop, World


def sharer_browser(world: World, sharer: str, *, language: str = "en") -> Browser:
    """Return the browser of a sharer who is signed in."""
    browser = Browser(world, language=language)
    email = show_sharer(world.context, read(SHARER, sharer))["email"]
    with world.context.database.writing() as connection:
        number = connection.execute(select(person.c.id).where(person.c.email == email)).scalar_one()
        token = open_session(world.context, connection, person_id=number, agent="test")
    browser.client.set_cookie("passalong_sharer", token, path="/me")
    return browser


def wanted_tickets(world: World) -> list[tuple[str, str]]:
    """Return the tickets that mails are to bring, (purpose, text), in the order in which they were asked for."""
    found = []
    with world.context.database.reading() as connection:
        rows = connection.execute(select(task.c.body).where(task.c.kind == "mail").order_by(task.c.id)).scalars().all()
        for body in [told for told in map(json.loads, rows) if "ticket" in told]:
            purpose = tickets.JOIN if body["template"] == "invitation" else tickets.SIGN_IN
            found.append((purpose, tickets.show(world.context, connection, body["ticket"])))
    return found


def set_program(world: World, shop: Shop, **changes: object) -> None:
    """Change a shop's program."""
    with world.context.database.reading() as connection:
        number = connection.execute(select(shops.c.id).where(shops.c.key == shop.key)).scalar_one()
    change_program(world.context, number, changes)
