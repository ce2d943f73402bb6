"""Where a person sits: the shops they share for, how they stand in one, which link is theirs. Reads, never writes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from plugin.models import fact, link, person, sharer, shop
from plugin.services.context import Context
from plugin.services.manage_program import Program, show_program
from plugin.services.store_delivery import SHOP_KEY


@dataclass(frozen=True, slots=True)
class Stands:
    """How a sharer stands by the newest fact, and who said so."""

    status: str
    actor: str


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one sharer where their pages are shown."""

    status: str
    program: Program
    link: Row[Any] | None  # the oldest, which is the one they got when they joined


def list_seats(connection: Connection, person_id: int) -> Sequence[Row[Any]]:
    """Return the shops a person shares for, oldest first: the shop's row, and ``sharer_id``, ``joined_at``."""
    return connection.execute(
        select(shop, sharer.c.id.label("sharer_id"), sharer.c.created_at.label("joined_at"))
        .join(sharer, sharer.c.shop_id == shop.c.id)
        .where(sharer.c.person_id == person_id)
        .order_by(sharer.c.id)
    ).all()


def find_seat(connection: Connection, shop_id: int, sharer_id: int) -> Row[Any] | None:
    """Return one seat in a shop as list_seats does, with ``person_id``, ``person_name`` and ``email`` besides."""
    return connection.execute(
        select(
            shop, sharer.c.id.label("sharer_id"), sharer.c.created_at.label("joined_at"), sharer.c.person_id,
            person.c.name.label("person_name"), person.c.email,
        )
        .select_from(sharer)
        .join(shop, shop.c.id == sharer.c.shop_id)
        .join(person, person.c.id == sharer.c.person_id)
        .where(sharer.c.shop_id == shop_id, sharer.c.id == sharer_id)
    ).one_or_none()  # fmt: skip


def standing_of(connection: Connection, sharer_id: int) -> Stands:
    """Return how a sharer stands."""
    row = connection.execute(
        select(fact.c.body, fact.c.actor)
        .where(fact.c.sharer_id == sharer_id, fact.c.kind == "sharer")
        .order_by(fact.c.at.desc(), fact.c.position.desc())
        .limit(1)
    ).one()
    return Stands(json.loads(row.body)["status"], row.actor)


def show_place(connection: Connection, shop_id: int, sharer_id: int) -> Place:
    """Return how a sharer stands, the shop's program, and the sharer's own link."""
    mine = select(link).where(link.c.sharer_id == sharer_id).order_by(link.c.id).limit(1)
    return Place(
        standing_of(connection, sharer_id).status,
        show_program(connection, shop_id),
        connection.execute(mine).one_or_none(),
    )


def find_shop(context: Context, key: str) -> Row[Any] | None:
    """Return a shop by its key; what cannot be one is not asked for, for a database may not even take it."""
    if not SHOP_KEY.fullmatch(key):
        return None
    with context.database.reading() as connection:
        return connection.execute(select(shop).where(shop.c.key == key)).one_or_none()


def find_person(context: Context, sharer_id: int) -> Row[Any]:
    """Return the person a sharer is."""
    wanted = select(person).join(sharer, sharer.c.person_id == person.c.id).where(sharer.c.id == sharer_id)
    with context.database.reading() as connection:
        return connection.execute(wanted).one()
