"""Sharers as the API shows them. Reads, never writes."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from plugin.database import among
from plugin.domain.moment import format_moment
from plugin.errors import NotFound
from plugin.models import fact, person, sharer, shop
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.enrol_sharer import current_codes


def find_sharer(context: Context, name: str, *, shop_id: int | None) -> Row[Any]:
    """Return a sharer's row by the public id; raise NotFound for none, and for another shop's."""
    number = public_id.read(public_id.SHARER, name)
    with context.database.reading() as connection:
        row = connection.execute(select(sharer).where(sharer.c.id == number)).one_or_none()
    if row is None or shop_id not in (None, row.shop_id):
        raise NotFound("unknown_sharer", "There is no such sharer.")
    return row


def show_sharer(context: Context, number: int) -> dict[str, Any]:
    """Return a sharer as the API shows them."""
    with context.database.reading() as connection:
        rows = connection.execute(_sharers().where(sharer.c.id == number)).all()
        return _show(connection, rows)[0]


def list_sharers(context: Context, shop_id: int, *, before: int | None, limit: int) -> dict[str, Any]:
    """Return a page of a shop's sharers, newest first; ``before`` is the cursor of the page before."""
    wanted = _sharers().where(sharer.c.shop_id == shop_id).order_by(sharer.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(sharer.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
        return page(_show(connection, rows[:limit]), rows, limit)


def page(items: Sequence[Mapping[str, Any]], rows: Sequence[Row[Any]], limit: int) -> dict[str, Any]:
    """Return a page of a list; ``rows`` holds one more than the page where there are more, ``id`` is the cursor."""
    return {"items": list(items), "next": str(rows[limit - 1].id) if len(rows) > limit else None}


def _sharers() -> Select[Any]:
    return (
        select(
            sharer,
            person.c.email,
            person.c.name,
            person.c.locale,
            shop.c.key.label("shop_key"),
        )
        .join(person, person.c.id == sharer.c.person_id)
        .join(shop, shop.c.id == sharer.c.shop_id)
    )


def _show(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    numbers = [row.id for row in rows]
    facts = _facts(connection, numbers)
    codes = current_codes(connection, numbers)
    return [_show_one(row, facts[row.id], codes.get(row.id, ())) for row in rows]


def _facts(connection: Connection, numbers: Collection[int]) -> dict[int, list[Row[Any]]]:
    """Return what was ever said of how the sharers stand, by their numbers, in the order in which it counts."""
    said: dict[int, list[Row[Any]]] = {number: [] for number in numbers}
    rows = connection.execute(
        select(fact)
        .where(among(fact.c.sharer_id, numbers), fact.c.kind == "sharer")
        .order_by(fact.c.at, fact.c.position)
    )
    for row in rows:
        said[row.sharer_id].append(row)
    return said


def _show_one(row: Row[Any], facts: Sequence[Row[Any]], codes: Sequence[str]) -> dict[str, Any]:
    now = json.loads(facts[-1].body)
    return {
        "id": public_id.show(public_id.SHARER, row.id),
        "person": public_id.show(public_id.PERSON, row.person_id),
        "shop": row.shop_key,
        "email": row.email,
        "name": row.name,
        "locale": row.locale,
        "customer_id": row.customer_id,
        "status": now["status"],
        "group": now["group"],
        "referred_by": public_id.show_optional(public_id.SHARER, now["inviter"]),
        "codes": list(codes),
        "since": format_moment(facts[0].at),
        "created_at": format_moment(row.created_at),
    }
