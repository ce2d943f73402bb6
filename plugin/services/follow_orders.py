"""Following the orders: what they come to by product and by channel is counted after they are settled, by the record.

Every change of an order is written at a position of its shop's record, as a state, a decision or a fact, and positions
are taken one after the other. So a place in the record is all that must be remembered: what comes after it is looked at
again, and each order counted as it stands now. Settling pays nothing for it, and a worker that was away catches up.

An order's difference, the sums and the place are one transaction. Doing it twice is doing it once, for what an order
was counted as is stored with it.
"""

import logging
import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import DBAPIError

from plugin.database import again, raise_if_unavailable
from plugin.models import decision, head, order_state, report_place, shop
from plugin.services.context import Context
from plugin.services.order_parts import changes, count_anew, hold_place

ORDERS = 250  # that are counted at once, or a few more: SQLite's one writer must not be kept from the others for long
SLICE_SECONDS = 0.5  # how long counting goes on before the inbox has its turn again
_log = logging.getLogger(__name__)


def follow_orders(context: Context, *, stopped: Callable[[], bool] = lambda: False) -> bool:
    """Count what changed in all shops, for a while; tell whether there is more."""
    end = time.monotonic() + SLICE_SECONDS
    return any(_follow(context, shop_id, lambda: stopped() or time.monotonic() > end) for shop_id in _behind(context))


def _behind(context: Context) -> Sequence[int]:
    """Return the shops in whose record something is not counted yet, those first that will soon be done."""
    place = func.coalesce(report_place.c.position, 0)
    wanted = select(head.c.shop_id).outerjoin(report_place, report_place.c.shop_id == head.c.shop_id)
    with context.database.reading() as connection:
        late = wanted.where(head.c.position > place).order_by(head.c.position - place, head.c.shop_id)
        return connection.execute(late).scalars().all()


def _follow(context: Context, shop_id: int, is_over: Callable[[], bool]) -> bool:
    """Walk a shop's record to its end; tell whether there was not the time for it."""
    try:
        while not is_over():
            if not again(lambda: _step(context, shop_id)):
                return False
    except Exception as error:  # also a fault of ours: one shop must not keep the others waiting
        if isinstance(error, DBAPIError):
            raise_if_unavailable(error)
        if getattr(error, "code", None) == "database_unavailable":
            raise
        _log.error("counting the orders of shop %d failed: %s", shop_id, type(error).__name__, exc_info=True)
        return False
    return True


def _step(context: Context, shop_id: int) -> bool:
    """Count the next orders; tell whether there is more to count, and nobody else at it."""
    with context.database.writing() as connection:
        place = hold_place(connection, shop_id, wait=False)
        if place is None:
            return False
        newest: int = connection.execute(select(head.c.position).where(head.c.shop_id == shop_id)).scalar_one()
        end = _end(connection, shop_id, place, newest)
        between = changes(lambda table: (table.c.shop_id == shop_id, table.c.position > place, table.c.position <= end))
        numbers = connection.execute(between).scalars().all()
        if numbers:
            row = connection.execute(select(shop).where(shop.c.id == shop_id)).one()
            count_anew(connection, row, numbers)
        connection.execute(update(report_place).where(report_place.c.shop_id == shop_id).values(position=end))
    return end < newest


def _end(connection: Connection, shop_id: int, place: int, newest: int) -> int:
    """Return up to where a step goes: some ORDERS rows further, but at least one position."""
    end = newest
    for table in (order_state, decision):
        rows = select(table.c.position).where(table.c.shop_id == shop_id, table.c.position > place)
        last = connection.execute(rows.order_by(table.c.position).offset(ORDERS).limit(1)).scalar_one_or_none()
        if last is not None:
            end = min(end, max(last - 1, place + 1))
    return end
