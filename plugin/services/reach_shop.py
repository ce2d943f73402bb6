"""Which shops can be asked, where they are, and having one asked."""

import json
from typing import Any

from sqlalchemy import Connection, Row, select

from plugin import shops
from plugin.models import task
from plugin.services.add_shop import CREDENTIALS
from plugin.services.context import Context
from plugin.services.want_task import want
from plugin.shops.base import Asked, Place

KIND = "ask"


def place_of(context: Context, row: Row[Any]) -> Place:
    """Return where a shop is, with its credentials opened."""
    return Place(row.url, json.loads(context.keys.open(CREDENTIALS, row.credentials)))


def can_ask(context: Context, row: Row[Any]) -> bool:
    """Tell whether the shop can be asked: its platform answers, and its owner gave what it wants to see."""
    adapter = shops.get(row.platform)
    return isinstance(adapter, Asked) and place_of(context, row).credentials.keys() >= set(adapter.credentials)


def want_answer(connection: Connection, shop_id: int, ref: str, *, heard_at: int, is_deleted: bool, now: int) -> None:
    """Have the shop asked about an order, unless it was asked since the reason to ask arrived, as in a replay."""
    asked = select(task.c.id).where(
        task.c.shop_id == shop_id, task.c.kind == KIND, task.c.ref == ref, task.c.state == "done",
        task.c.changed_at >= heard_at,
    )  # fmt: skip
    if connection.execute(asked).first() is None:
        want(connection, shop_id, KIND, ref, {"deleted": is_deleted}, now=now)
