"""Erasing raw deliveries that are older than the owner keeps them. The normal form of each order stays for ever."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from plugin.database import among
from plugin.domain.moment import DAY
from plugin.models import delivery
from plugin.services.context import Context

BATCH = 500
BATCHES_MAX = 40  # at a time; the worker has other things to do, and comes back in a minute


def erase_bodies(context: Context) -> int:
    """Erase bodies that are older than ``keep_bodies_days``, oldest first, but for unread ones; return how many."""
    oldest = context.now() - context.settings.keep_bodies_days * DAY
    due = (
        select(delivery.c.id)
        .where(delivery.c.body.is_not(None), delivery.c.received_at < oldest, delivery.c.state != "stored")
        .order_by(delivery.c.received_at)
        .limit(BATCH)
    )
    erased = 0
    for _ in range(BATCHES_MAX):
        with context.database.reading() as connection:  # most of the time there is nothing: do not take the write lock
            numbers = connection.execute(due).scalars().all()
        if not numbers:
            break
        with context.database.writing() as connection:
            forget(connection, numbers)
        erased += len(numbers)
    return erased


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Erase the bodies of these deliveries; SQLite overwrites what they occupied."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    connection.execute(update(delivery).where(among(delivery.c.id, numbers)).values(body=None))
