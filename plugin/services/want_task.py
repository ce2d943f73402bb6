"""Having something done outside once its cause is committed: :mod:`plugin.services.run_tasks` does it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, case
from sqlalchemy.dialects import postgresql, sqlite

from plugin.domain.stored_json import canonical
from plugin.models import task


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
    moment = now if due_at is None else due_at
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    wish = dialect.insert(task).values(
        shop_id=shop_id, kind=kind, ref=ref, body=canonical(body), state="due", wanted=1, attempts=0, due_at=moment,
        changed_at=now,
    )  # fmt: skip
    sooner = case((task.c.due_at < moment, task.c.due_at), else_=moment)
    connection.execute(
        wish.on_conflict_do_update(
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
    )


def want_once(
    connection: Connection, shop_id: int, kind: str, ref: str, body: Mapping[str, Any], *, now: int
) -> None:
    """Have a task done that is done once for all, however often its cause is told."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    wish = dialect.insert(task).values(
        shop_id=shop_id, kind=kind, ref=ref, body=canonical(body), state="due", wanted=1, attempts=0, due_at=now,
        changed_at=now,
    )  # fmt: skip
    connection.execute(wish.on_conflict_do_nothing(index_elements=[task.c.shop_id, task.c.kind, task.c.ref]))
