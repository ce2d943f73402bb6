"""Counting what waits and what was done. Every number comes from an index, so watching costs next to nothing."""

from dataclasses import dataclass

from sqlalchemy import func, select

from plugin.domain.moment import SECOND
from plugin.models import delivery, event_head, transfer
from plugin.services.context import Context


@dataclass(frozen=True, slots=True)
class Counts:
    """``late_seconds``: since when the oldest delivery that could be processed has been due."""

    stored: int
    late_seconds: int
    waiting: int
    quarantined: int
    transfers: int
    events: int


def count_work(context: Context) -> Counts:
    """Return the numbers on one state of the database."""
    now = context.now()
    state = delivery.c.state
    with context.database.reading() as connection:
        stored, oldest = connection.execute(
            select(func.count(), func.min(delivery.c.due_at)).where(state == "stored")
        ).one()
        waiting, quarantined = (
            connection.execute(select(func.count()).select_from(delivery).where(state == name)).scalar_one()
            for name in ("waiting", "quarantined")
        )
        transfers = connection.execute(select(func.coalesce(func.max(transfer.c.number), 0))).scalar_one()
        events = connection.execute(select(event_head.c.seq)).scalar_one()
    late = 0 if oldest is None else max(0, now - oldest) // SECOND
    return Counts(stored, late, waiting, quarantined, transfers, events)
