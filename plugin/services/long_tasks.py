"""Tasks that take their time: how far one is, for whoever looks on, and holding on to it meanwhile."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from plugin.models import shop, task
from plugin.services.context import Context
from plugin.services.run_tasks import Task, keep
from plugin.services.want_task import want

TELL_EVERY_SECONDS = 1.0
Told = Callable[[int, int], None]  # how much of how much is done


@dataclass(frozen=True, slots=True)
class Progress:
    """How a task stands: ``percent`` is None where no worker is at it, ``is_near`` that it waits for one.

    ``fault`` is why the last try came to nothing; the next one comes at ``due_at``.
    """

    percent: int | None
    is_near: bool
    fault: str | None
    due_at: int

    @property
    def is_under_way(self) -> bool:
        """Tell whether what comes of it is still to come."""
        return self.is_near or self.percent is not None


def find_task(connection: Connection, shop_id: int, kind: str, ref: str) -> Row[Any] | None:
    """Return the row of a task; None where it was never wanted."""
    mine = task.c.shop_id == shop_id, task.c.kind == kind, task.c.ref == ref
    return connection.execute(select(task).where(*mine)).one_or_none()


def read_progress(row: Row[Any], *, now: int) -> Progress:
    """Return how a task stands."""
    is_held = row.lease_until is not None and row.lease_until > now
    result = json.loads(row.result) if row.result else {}
    is_near = row.state == "due" and row.due_at <= now and not is_held
    return Progress(_percent(result.get("now")) if is_held else None, is_near, row.reason, row.due_at)


def _percent(now: Mapping[str, int] | None) -> int:
    """Return how far a task is; it is through only when it is over."""
    return min(99, 100 * now["done"] // max(1, now["total"])) if now else 0


def ask(context: Context, shop_id: int, kind: str, ref: str, body: Mapping[str, Any]) -> bool:
    """Have a task done soon, unless it is under way or waits to be; tell whether that was needed."""
    now = context.now()
    with context.database.writing() as connection:
        # Of two who ask at once the second waits here, and then sees what the first one asked for.
        connection.execute(select(shop.c.id).where(shop.c.id == shop_id).with_for_update()).scalar_one()
        row = find_task(connection, shop_id, kind, ref)
        is_new = row is None or not read_progress(row, now=now).is_under_way
        if is_new:
            want(connection, shop_id, kind, ref, body, now=now)
    context.wake()
    return is_new


def teller(context: Context, one: Task, kept: Mapping[str, Any]) -> Told:
    """Return what writes down now and then how far a task is, beside what is kept, and holds on to the task."""
    told_at = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_EVERY_SECONDS:
            told_at = time.monotonic()
            keep(context, one, {**kept, "now": {"done": done, "total": total}})

    return tell
