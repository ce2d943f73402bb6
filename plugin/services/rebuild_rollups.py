"""Rebuilding rollups: deriving them anew from the raw rows and mending what differs, while everything goes on.

What differs is found on one state of the database, without any lock. What is missing there is then added, not written
over: whatever was counted meanwhile was added too, so the sums come out right. Of two rebuilds at once the one that
comes second to mending looks again, since what it saw is mended already.

What orders are counted as by product and by channel is derived first, some orders at a time; only where it is wrong are
they counted anew, by the same difference and under the same lock as by whoever follows the orders.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select, update

from plugin.database import again, among
from plugin.domain.rollup import FIGURES, Rollup
from plugin.models import head, orders, shop
from plugin.services.context import Context
from plugin.services.order_parts import (
    changes,
    count_anew,
    derive,
    differing,
    hold_place,
    place_now,
    stored_parts,
)
from plugin.services.rollups import Difference, Rows, add_rows, differences

BATCH = 1_000
RECOUNTED = 250  # orders


def rebuild_rollups(context: Context, *, shop_id: int | None = None) -> dict[str, int]:
    """Derive the rollups of one shop, or of all, anew; return how many shops were looked at and rows mended."""
    wanted = select(shop) if shop_id is None else select(shop).where(shop.c.id == shop_id)
    with context.database.reading() as connection:
        shops = connection.execute(wanted.order_by(shop.c.id)).all()
    return {"shops": len(shops), "mended": sum(_recount(context, row) + _rebuild(context, row) for row in shops)}


def _recount(context: Context, row: Row[Any]) -> int:
    """Mend what a shop's orders are counted as and return of how many it was wrong; some are still to be counted."""
    mended, last = 0, 0
    rollup = Rollup(ZoneInfo(row.timezone))
    mine = select(orders).where(orders.c.shop_id == row.id).order_by(orders.c.id).limit(RECOUNTED)
    while True:
        with context.database.reading() as connection:
            rows = connection.execute(mine.where(orders.c.id > last)).all()
            numbers = [one.id for one in rows]
            must, _ = derive(connection, row, rollup, rows)
            booked, place = stored_parts(connection, numbers), place_now(connection, row.id)
            late = changes(lambda table: (among(table.c.order_id, numbers), table.c.position > place))  # noqa: B023
            wrong = sorted({*differing(must, booked)} - {*connection.execute(late).scalars()})
        if not rows:
            return mended
        if wrong:
            mended += again(lambda: _count_anew(context, row, wrong))  # noqa: B023 - run at once
        last = numbers[-1]


def _count_anew(context: Context, row: Row[Any], numbers: Sequence[int]) -> int:
    with context.database.writing() as connection:
        hold_place(connection, row.id, wait=True)
        return count_anew(connection, row, numbers)


def _rebuild(context: Context, row: Row[Any]) -> int:
    """Mend a shop's rollups and return how many rows differed."""
    mended, is_done = 0, False
    while not is_done:
        with context.database.reading() as connection, differences(connection, row) as found:
            seen = connection.execute(select(head.c.rebuilds).where(head.c.shop_id == row.id)).scalar_one()
            is_done = True
            while is_done and (some := list(islice(found, BATCH))):
                is_done = again(lambda: _mend(context, row.id, seen, some))  # noqa: B023 - run at once
                mended, seen = mended + len(some) * is_done, seen + 1
    return mended


def _mend(context: Context, shop_id: int, seen: int, some: Sequence[Difference]) -> bool:
    """Add what is missing in some rows; tell whether no other rebuild was faster since they were seen."""
    rows: dict[str, Rows] = defaultdict(list)
    for one in some:
        rows[one.rollup].append((one.key, one.missing))
    with context.database.writing() as connection:
        mine = connection.execute(  # this takes the lock of the shop's record, so its writers wait until the end
            update(head).where(head.c.shop_id == shop_id, head.c.rebuilds == seen).values(rebuilds=seen + 1)
        ).rowcount
        for name in (name for name in FIGURES if name in rows and mine):
            add_rows(connection, shop_id, name, rows[name])
    return mine > 0
