"""Tasks: what must be done outside after its cause is committed, written down in the transaction of the cause.

A task is told apart by shop, kind and what it is about; wanting it again while it waits is wanting it once, and while
it is under way has it done once more. It is leased, done outside any transaction, and what came of it is written in one
transaction with its end. A worker that dies leaves it to the next one, so whatever a task does, it may do twice.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, case, or_, select, update

from plugin.database import again, among
from plugin.domain.moment import SECOND
from plugin.domain.stored_json import canonical
from plugin.errors import PluginError, Sentence
from plugin.models import task
from plugin.outbound import Busy
from plugin.services.context import Context, worker_name

LEASE_SECONDS = 180
TASK_SECONDS_MAX = 150  # that any handler may take
BATCH = 10
# Seconds until the next try; after the last the task has failed and its owner must do something. About two days.
PAUSES = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 57_600)
TIRELESS_PAUSE_MAX = 3_600  # seconds, for what is never given up
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A leased task; ``result`` is what came of it the last time it was done."""

    id: int
    shop_id: int
    kind: str
    ref: str
    body: Mapping[str, Any]
    result: Mapping[str, Any] | None
    wanted: int
    attempts: int


class Hopeless(PluginError):
    """Trying again would not help: the task has failed, with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__("hopeless_task", reason)


class Overtaken(PluginError):
    """A task was held for too long, and another worker is at it now: whoever meets this stops, and nothing is lost."""

    def __init__(self) -> None:
        super().__init__("overtaken", "Another worker has taken this over.")


Write = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: a result to be kept with it, what is to be written with its end, and when it is due again.

    ``again_at`` is in microseconds since 1970; None for what is done.
    """

    result: Mapping[str, Any]
    write: Write = lambda connection: None
    again_at: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of task is done, and what is to be written where it has failed for good, if it ever does."""

    do: Callable[[Context, Task], Done]
    is_tireless: bool = False
    give_up: Callable[[Context, Task, Connection], None] = lambda context, task, connection: None


@dataclass(slots=True)
class Ran:
    """What a run did."""

    done: int = 0
    later: int = 0
    failed: int = 0


def run_tasks(context: Context, kinds: Mapping[str, Kind], *, stopped: Callable[[], bool] = lambda: False) -> Ran:
    """Do the tasks that are due now."""
    ran, latest = Ran(), context.now()
    while not stopped():
        rows = again(lambda: _take_due(context, kinds, latest))
        if not rows:
            break
        for row in rows:
            # What came before it may have taken long, and whoever takes it over after its lease must not meet us at it.
            if context.now() <= row.lease_until - TASK_SECONDS_MAX * SECOND:
                _run(context, kinds[row.kind], _read(row), ran)
    return ran


def run_one(context: Context, kinds: Mapping[str, Kind]) -> Ran:
    """Do the task that is due first, one that may take long: none other is leased that would wait behind it."""
    ran, latest = Ran(), context.now()
    for row in again(lambda: _take_due(context, kinds, latest, limit=1)):
        _run(context, kinds[row.kind], _read(row), ran)
    return ran


def keep(context: Context, one: Task, result: Mapping[str, Any]) -> None:
    """Keep what came of a task so far, and its lease for as long again; raise Overtaken where another has it now."""
    now = context.now()
    values = {"result": canonical(result), "lease_until": now + LEASE_SECONDS * SECOND, "changed_at": now}

    def write() -> int:
        with context.database.writing() as connection:
            return connection.execute(update(task).where(_mine(one)).values(values)).rowcount

    if not again(write):
        raise Overtaken


def _take_due(
    context: Context, kinds: Mapping[str, Kind], latest: int, *, limit: int = BATCH
) -> Sequence[Row[Any]]:
    now = context.now()
    due = (
        select(task.c.id)
        .where(
            task.c.state == "due",
            task.c.due_at <= min(now, latest),
            or_(task.c.lease_until.is_(None), task.c.lease_until <= now),
            among(task.c.kind, list(kinds)),
        )
        .order_by(task.c.due_at, task.c.id)
        .limit(limit)
    )
    with context.database.reading() as connection:  # most of the time there is nothing: do not take the write lock
        if connection.execute(due.limit(1)).first() is None:
            return ()
    with context.database.writing() as connection:
        numbers = connection.execute(due.with_for_update(skip_locked=True)).scalars().all()
        lease = {"lease_by": worker_name(), "lease_until": now + LEASE_SECONDS * SECOND}
        rows = connection.execute(update(task).where(among(task.c.id, numbers)).values(lease).returning(task)).all()
    return sorted(rows, key=lambda row: (row.due_at, row.id))


def _read(row: Row[Any]) -> Task:
    result = None if row.result is None else json.loads(row.result)
    return Task(row.id, row.shop_id, row.kind, row.ref, json.loads(row.body), result, row.wanted, row.attempts)


def _run(context: Context, kind: Kind, one: Task, ran: Ran) -> None:
    try:
        done = kind.do(context, one)
        if again(lambda: _finish(context, one, done)):
            ran.done += 1
    except Exception as error:  # also a fault of ours: one task must not keep the others waiting
        if getattr(error, "code", None) == "database_unavailable":
            raise
        _put_off(context, kind, one, error, ran)


def _mine(one: Task) -> Any:
    """Return the condition that nobody else has taken the task over meanwhile."""
    return and_(task.c.id == one.id, task.c.state == "due", task.c.lease_by == worker_name())


def _finish(context: Context, one: Task, done: Done) -> bool:
    """Write what came of a task with its end; tell whether it was still ours, for else nothing is written."""
    now = context.now()
    goes_on = done.again_at is not None
    ended = {
        "state": "due" if goes_on else case((task.c.wanted == one.wanted, "done"), else_="due"),
        "due_at": case((task.c.wanted == one.wanted, done.again_at if goes_on else task.c.due_at), else_=now),
        "result": canonical(done.result),
        "reason": None,
        "attempts": 0,
        "lease_by": None,
        "lease_until": None,
        "changed_at": now,
    }
    with context.database.writing() as connection:
        if not connection.execute(update(task).where(_mine(one)).values(ended)).rowcount:
            return False
        done.write(connection)
    return True


def _put_off(context: Context, kind: Kind, one: Task, error: Exception, ran: Ran) -> None:
    """Try a task again later, or give it up; a server that asks for patience gets it and costs no try."""
    now = context.now()
    fault = type(error).__name__
    reason = error.message if isinstance(error, PluginError) else Sentence("It failed: %(fault)s.", fault=fault)
    is_last = not isinstance(error, Busy) and not kind.is_tireless and one.attempts >= len(PAUSES)
    is_last = is_last or isinstance(error, Hopeless)
    pause = PAUSES[min(one.attempts, len(PAUSES) - 1)]
    later = now + (min(pause, TIRELESS_PAUSE_MAX) if kind.is_tireless else pause) * SECOND
    if isinstance(error, Busy):
        later = max(error.retry_at, now + PAUSES[0] * SECOND)
    _log.warning("task %s %s of shop %d: %s", one.kind, one.ref, one.shop_id, reason)
    values = {
        "state": case((task.c.wanted == one.wanted, "failed"), else_="due") if is_last else "due",
        "reason": reason,
        "attempts": one.attempts + (not isinstance(error, Busy)),
        "due_at": later,
        "lease_by": None,
        "lease_until": None,
        "changed_at": now,
    }
    state = again(lambda: _write_off(context, kind, one, values))
    ran.failed += state == "failed"
    ran.later += state == "due"


def _write_off(context: Context, kind: Kind, one: Task, values: Mapping[str, Any]) -> str | None:
    with context.database.writing() as connection:
        ended = update(task).where(_mine(one)).values(**values).returning(task.c.state)
        state: str | None = connection.execute(ended).scalar_one_or_none()
        if state == "failed":
            kind.give_up(context, one, connection)
    return state
