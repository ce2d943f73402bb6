"""Sending a stretch of the log to an endpoint once more, with the same ids, so that a receiver can fill its gaps."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from plugin.models import endpoint, event, event_replay
from plugin.services.context import Context


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which events: those numbered after ``after`` up to ``up_to``, of ``since`` up to ``until`` (microseconds)."""

    after: int | None = None
    since: int | None = None
    up_to: int | None = None
    until: int | None = None


def replay_events(context: Context, number: int, stretch: Stretch) -> dict[str, int]:
    """Have events sent again; return the numbers between which they lie.

    What the endpoint has not had its turn for yet is left out, for it comes anyway. A disabled endpoint gets them when
    it is enabled again.
    """
    with context.database.writing() as connection:
        this = select(endpoint.c.sent_seq).where(endpoint.c.id == number).with_for_update()
        end = connection.execute(this).scalar_one()
        start = stretch.after or 0
        if stretch.since is not None:
            first = _first(connection, event.c.at >= stretch.since)
            start = max(start, end if first is None else first - 1)
        if stretch.until is not None:
            end = min(end, _last(connection, event.c.at <= stretch.until))
        if stretch.up_to is not None:
            end = min(end, stretch.up_to)
        start = min(start, end)
        if start < end:
            row = {"endpoint_id": number, "seq": start, "until_seq": end, "asked_at": context.now()}
            connection.execute(event_replay.insert().values(row))
    context.wake()
    return {"after": start, "up_to": end}


def _first(connection: Connection, condition: ColumnElement[bool]) -> int | None:
    wanted = select(event.c.seq).where(condition).order_by(event.c.seq).limit(1)
    found: int | None = connection.execute(wanted).scalar_one_or_none()
    return found


def _last(connection: Connection, condition: ColumnElement[bool]) -> int:
    wanted = select(event.c.seq).where(condition).order_by(event.c.seq.desc()).limit(1)
    return connection.execute(wanted).scalar_one_or_none() or 0
