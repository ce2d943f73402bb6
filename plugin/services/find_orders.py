"""Finding the orders of a shop: by where their commissions stand, or by what the shop calls them. An index leads."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, select

from plugin.database import among
from plugin.models import orders, person, sharer
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.order_parts import counted_until
from plugin.services.show_order import cursor_of, look_at, select_orders
from plugin.services.show_sharer import find_sharer


def find_orders(
    context: Context,
    shop_id: int,
    *,
    text: str,
    state: str,
    sharer_id: int | None = None,
    before: tuple[int, int] | None,
    limit: int,
) -> dict[str, Any]:
    """Return a page of the shop's orders that fit, the last placed first, with what the sharers on it are called.

    ``text`` is an id or a number of the shop's own, ``sharer_id`` is who gets them, ``before`` is (placed_at, our
    number).
    """
    wanted = select_orders(shop_id, sharer_id=sharer_id, before=before)
    if state:
        wanted = wanted.where(orders.c.state == state)
    if text:
        wanted = wanted.where(orders.c.id.in_(_called(shop_id, text)))
    with context.database.reading() as connection:
        rows = connection.execute(wanted.limit(limit + 1)).all()
        items = look_at(connection, shop_id, rows[:limit])
        people = names_of(connection, {one["winner"] for one in items})
    return {"items": items, "next": cursor_of(rows, limit), "people": people}


def _called(shop_id: int, text: str) -> Any:
    """Return our numbers of the orders that the shop calls so, with the sign before its numbers or without."""
    bare = text.removeprefix("#")
    by_ref = select(orders.c.id).where(orders.c.shop_id == shop_id, orders.c.ref.in_((text, bare)))
    by_number = select(orders.c.id).where(orders.c.shop_id == shop_id, orders.c.number.in_((text, bare, f"#{bare}")))
    return by_ref.union(by_number)


def names_of(connection: Connection, names: set[str | None]) -> dict[str, str]:
    """Return what sharers are called, by their public ids; one who is erased by the id."""
    numbers = [public_id.read(public_id.SHARER, name) for name in names if name is not None]
    wanted = select(sharer.c.id, person.c.name, person.c.email).join(person).where(among(sharer.c.id, numbers))
    return {public_id.show(public_id.SHARER, row.id): called(row) for row in connection.execute(wanted)}


def called(row: Any) -> str:
    """Return the name of a sharer's row, else the e-mail, else the id."""
    text: str = row.name or row.email or public_id.show(public_id.SHARER, row.id)
    return text


@dataclass(frozen=True, slots=True)
class Whose:
    """The sharer whose orders are looked for, and as of when these are known where some are still to be counted."""

    number: int
    id: str
    name: str
    as_of: int | None


def show_whose(context: Context, shop_id: int, name: str) -> Whose:
    """Return a sharer of the shop by their public id; raise NotFound."""
    row = find_sharer(context, name, shop_id=shop_id)
    public = public_id.show(public_id.SHARER, row.id)
    with context.database.reading() as connection:
        return Whose(row.id, public, names_of(connection, {public})[public], counted_until(connection, shop_id))


def find_order(context: Context, shop_id: int, ref: str) -> Any:
    """Return the row of an order by the shop's own id, or None."""
    mine = and_(orders.c.shop_id == shop_id, orders.c.ref == ref)
    with context.database.reading() as connection:
        return connection.execute(select(orders.c.id, orders.c.ref, orders.c.number).where(mine)).one_or_none()
