"""The stream of events, oldest first: numbered in the order of their commits, so who follows ``after`` misses none."""

import json
from typing import Any

from sqlalchemy import Row, Select, select

from plugin.domain.moment import format_moment
from plugin.models import event, shop
from plugin.services.context import Context


def numbered_events() -> Select[Any]:
    """Return the query of all events with the keys of their shops, in order."""
    return select(event, shop.c.key).join(shop, shop.c.id == event.c.shop_id).order_by(event.c.seq)


def show_event(row: Row[Any]) -> dict[str, Any]:
    """Return an event as everybody outside sees it."""
    return {
        "seq": row.seq,
        "at": format_moment(row.at),
        "shop": row.key,
        "type": row.type,
        "data": json.loads(row.data),
    }


def list_events(context: Context, *, after: int, limit: int, shop_id: int | None) -> dict[str, Any]:
    """Return what happened after an event, in one shop or in all; ``next`` is the last number, or None for nothing."""
    wanted = numbered_events().where(event.c.seq > after).limit(limit)
    if shop_id is not None:
        wanted = wanted.where(event.c.shop_id == shop_id)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    return {"items": [show_event(row) for row in rows], "next": rows[-1].seq if rows else None}
