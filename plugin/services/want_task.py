"""Having something done outside once its cause is committed: :mod:`plugin.services.run_tasks` does it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, case
from sqlalchemy.dialects import postgresql, sqlite

from plugin.domain.stored_json import canonical
from plugin.models import task

Bodies = Mapping[str, Mapping[str, Any]]  # by what the task is about


def want(
    connection: Connection,
    shop_id: int,
    kind: str,
    ref: str,
    body: Mapping[str, Any],
    *,
    now: int,
    due_at: int | None = None,
) -> None:
    """Have a task done, soon or from ``due_at`` on; call it in the transaction of its cause."""
    want_each(connection, shop_id, kind, {ref: body}, now=now, due_at=due_at)


def want_each(
    connection: Connection, shop_id: int, kind: str, bodies: Bodies, *, now: int, due_at: int | None = None
) -> None:
    """Have several tasks of one kind done, in one statement."""
    moment = now if due_at is None else due_at
    wish = _insert(connection)
    sooner = case((task.c.due_at < moment, task.c.due_at), else_=moment)
    wish = wish.on_conflict_do_update(
        index_elements=[task.c.shop_id, task.c.kind, task.c.ref],
        set_={
            "body": wish.excluded.body,
            "wanted": task.c.wanted + 1,
            "due_at": case((task.c.state == "due", sooner), else_=moment),
            "attempts": 0,
            "state": "due",
            "reason": None,
            "changed_at": now,
        },
    )
    _execute(connection, wish, _rows(shop_id, kind, bodies, now=now, due_at=moment))


def want_once(
    connection: Connection, shop_id: int, kind: str, ref: str, body: Mapping[str, Any], *, now: int
) -> None:
    """Have a task done that is done once for all, however often its cause is told."""
    want_each_once(connection, shop_id, kind, {ref: body}, now=now)


def want_each_once(connection: Connection, shop_id: int, kind: str, bodies: Bodies, *, now: int) -> None:
    """Have several tasks of one kind done that are done once for all, in one statement."""
    wish = _insert(connection).on_conflict_do_nothing(index_elements=[task.c.shop_id, task.c.kind, task.c.ref])
    _execute(connection, wish, _rows(shop_id, kind, bodies, now=now, due_at=now))


def _insert(connection: Connection) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(task)


def _execute(connection: Connection, wish: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(wish, rows)


def _rows(shop_id: int, kind: str, bodies: Bodies, *, now: int, due_at: int) -> list[dict[str, Any]]:
    return [
        {
            "shop_id": shop_id,
            "kind": kind,
            "ref": ref,
            "body": canonical(body),
            "state": "due",
            "wanted": 1,
            "attempts": 0,
            "due_at": due_at,
            "changed_at": now,
        }
        for ref, body in bodies.items()
    ]
