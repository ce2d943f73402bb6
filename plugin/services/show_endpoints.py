"""Endpoints as the API shows them: how they stand, and which events did not reach them at once. Reads, never writes."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from plugin.database import among
from plugin.domain.moment import format_moment
from plugin.errors import NotFound
from plugin.models import endpoint, event, event_delivery, event_replay, shop
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.deliver_event import event_id
from plugin.services.show_sharer import page

DELIVERY_STATES = ("due", "done", "failed")


def find_endpoint(context: Context, name: str, *, shop_id: int | None) -> Row[Any]:
    """Return an endpoint's row by the public id; raise NotFound for none, and for one that hears of other shops."""
    number = public_id.read(public_id.ENDPOINT, name)
    with context.database.reading() as connection:
        row = connection.execute(select(endpoint).where(endpoint.c.id == number)).one_or_none()
    if row is None or shop_id not in (None, row.shop_id):
        raise NotFound("unknown_endpoint", "There is no such endpoint.")
    return row


def show_endpoint(context: Context, number: int) -> dict[str, Any]:
    """Return an endpoint as the API shows it; raise NotFound where it was deleted just now."""
    with context.database.reading() as connection:
        rows = connection.execute(_endpoints().where(endpoint.c.id == number)).all()
        if not rows:
            raise NotFound("unknown_endpoint", "There is no such endpoint.")
        return _show(connection, rows)[0]


def list_endpoints(context: Context, *, shop_id: int | None, before: int | None, limit: int) -> dict[str, Any]:
    """Return a page of the endpoints of one shop or of all, newest first."""
    wanted = _endpoints().order_by(endpoint.c.id.desc()).limit(limit + 1)
    if shop_id is not None:
        wanted = wanted.where(endpoint.c.shop_id == shop_id)
    if before is not None:
        wanted = wanted.where(endpoint.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
        return page(_show(connection, rows[:limit]), rows, limit)


def all_endpoints(context: Context) -> list[dict[str, Any]]:
    """Return all endpoints, newest first."""
    with context.database.reading() as connection:
        return _show(connection, connection.execute(_endpoints().order_by(endpoint.c.id.desc())).all())


def _endpoints() -> Any:
    return select(endpoint, shop.c.key).outerjoin(shop, shop.c.id == endpoint.c.shop_id)


def _show(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    numbers = [row.id for row in rows]
    counted = (
        select(event_delivery.c.endpoint_id, event_delivery.c.state, func.count())
        .where(among(event_delivery.c.endpoint_id, numbers), event_delivery.c.state != "done")
        .group_by(event_delivery.c.endpoint_id, event_delivery.c.state)
    )
    counts = {(number, state): count for number, state, count in connection.execute(counted)}
    replayed = select(event_replay.c.endpoint_id).where(among(event_replay.c.endpoint_id, numbers))
    replaying = set(connection.execute(replayed).scalars())
    return [
        {
            "id": public_id.show(public_id.ENDPOINT, row.id),
            "shop": row.key,
            "url": row.url,
            "types": json.loads(row.types),
            "state": row.state,
            "reason": row.reason,
            "failing_since": _moment(row.failing_since),
            "rests_until": _moment(row.rest_until),
            "sent": row.sent_seq,
            "due": counts.get((row.id, "due"), 0),
            "failed": counts.get((row.id, "failed"), 0),
            "replaying": row.id in replaying,
            "created_at": format_moment(row.created_at),
        }
        for row in rows
    ]


def _moment(at: int | None) -> str | None:
    return None if at is None else format_moment(at)


def list_event_deliveries(
    context: Context, number: int, *, state: str | None, before: int | None, limit: int
) -> dict[str, Any]:
    """Return a page of the events that an endpoint did not take at the first attempt, newest first."""
    wanted = (
        select(event_delivery, event.c.type)
        .join(event, event.c.seq == event_delivery.c.seq)
        .where(event_delivery.c.endpoint_id == number)
        .order_by(event_delivery.c.id.desc())
        .limit(limit + 1)
    )
    if state is not None:
        wanted = wanted.where(event_delivery.c.state == state)
    if before is not None:
        wanted = wanted.where(event_delivery.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    return page([_show_delivery(context, row) for row in rows[:limit]], rows, limit)


def _show_delivery(context: Context, row: Row[Any]) -> dict[str, Any]:
    return {
        "id": event_id(context, row.seq),
        "seq": row.seq,
        "type": row.type,
        "state": row.state,
        "attempts": row.attempts,
        "status": row.status,
        "reason": row.reason,
        "next_attempt_at": format_moment(row.due_at) if row.state == "due" else None,
        "last_attempt_at": format_moment(row.changed_at),
    }
