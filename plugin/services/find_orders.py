"""Finding the orders of a shop: by where their commissions stand, or by what the shop calls them. An index leads."""

from typing import Any

from sqlalchemy import Connection, and_, or_, select

from plugin.database import among
from plugin.models import orders, person, sharer
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.show_order import cursor_of, look_at


def find_orders(
    context: Context, shop_id: int, *, text: str, state: str, before: tuple[int, int] | None, limit: int
) -> dict[str, Any]:
    """Return a page of the shop's orders that fit, the last placed first, with what the sharers on it are called.

    ``text`` is an id or a number of the shop's own, ``before`` is (placed_at, our number).
    """
    placed_at, number = orders.c.placed_at, orders.c.id
    wanted = select(orders).where(orders.c.shop_id == shop_id).order_by(placed_at.desc(), number.desc())
    if state:
        wanted = wanted.where(orders.c.state == state)
    if text:
        wanted = wanted.where(orders.c.id.in_(_called(shop_id, text)))
    if before is not None:
        # The first condition says nothing new; by it an index leads to the place, instead of past all that is newer.
        wanted = wanted.where(placed_at <= before[0], or_(placed_at < before[0], number < before[1]))
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


def find_order(context: Context, shop_id: int, ref: str) -> Any:
    """Return the row of an order by the shop's own id, or None."""
    mine = and_(orders.c.shop_id == shop_id, orders.c.ref == ref)
    with context.database.reading() as connection:
        return connection.execute(select(orders.c.id, orders.c.ref, orders.c.number).where(mine)).one_or_none()
