"""Replaying deliveries: each walks the whole way again, from its stored body to the books.

Where all was well nothing changes; what was put in quarantine before a fix is understood now.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, or_, select

from plugin.database import again
from plugin.errors import NotFound
from plugin.models import delivery
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.process_inbox import BATCH, Tally, drain, lease, process


def replay(
    context: Context, *, shop_id: int | None = None, delivery_id: str | None = None, state: str | None = None
) -> dict[str, int]:
    """Replay all deliveries, those of a shop or of a state, or one (``dlv_…``), in the foreground.

    Return how many were replayed, and of how many orders the balances moved. Raise NotFound for an unknown delivery.
    """
    number = None if delivery_id is None else _find(context, delivery_id, shop_id)
    total, replayed, last = Tally(), 0, 0
    while rows := again(lambda: _take_some(context, last, shop_id, number, state)):  # noqa: B023 - run at once
        replayed += len(rows)
        last = rows[-1].id
        total.add(process(context, rows))
    total.add(drain(context))  # those that waited for an order which has come to light now
    return {"replayed": replayed, "changed": len(total.changed)}


def _find(context: Context, delivery_id: str, shop_id: int | None) -> int:
    number = public_id.read(public_id.DELIVERY, delivery_id)
    wanted = select(delivery.c.shop_id).where(delivery.c.id == number)
    with context.database.reading() as connection:
        found = connection.execute(wanted).scalar_one_or_none()
    if found is None or shop_id not in (None, found):
        raise NotFound("unknown_delivery", "There is no such delivery; `passalong deliveries` lists their ids.")
    return number


def _take_some(
    context: Context, last: int, shop_id: int | None, number: int | None, state: str | None
) -> Sequence[Row[Any]]:
    """Lease the next deliveries to replay. One that a worker is at just now is being read anyway."""
    now = context.now()
    wanted = (
        select(delivery.c.id)
        .where(delivery.c.id > last, or_(delivery.c.lease_until.is_(None), delivery.c.lease_until <= now))
        .order_by(delivery.c.id)
        .limit(BATCH)
    )
    if shop_id is not None:
        wanted = wanted.where(delivery.c.shop_id == shop_id)
    if number is not None:
        wanted = wanted.where(delivery.c.id == number)
    if state is not None:
        wanted = wanted.where(delivery.c.state == state)
    with context.database.writing() as connection:
        numbers = connection.execute(wanted.with_for_update(skip_locked=True)).scalars().all()
        return lease(connection, numbers, now, state="stored", due_at=now, attempts=0)
