"""Sending the events to the endpoints, from the log itself: settling an order costs nothing more for them.

An endpoint has a place in the log and is walked forward from there, by one worker at a time, in order. An event that
fails gets a row and its own schedule, and the walk goes on. An endpoint where nothing arrives any more is left alone
for a while before each further try: its place then stays where it is, so a long outage makes no rows and loses nothing.
One that took nothing for five days, or says 410, is disabled until its owner enables it again.

What a worker sent and had not yet written down when it died is sent again, with the same id.
"""

import json
import logging
import secrets as randomness
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from plugin.database import again, among
from plugin.domain.moment import DAY, SECOND, format_moment
from plugin.errors import BadSignature, Sentence
from plugin.models import endpoint, event, event_delivery, event_head, event_replay
from plugin.services import public_id
from plugin.services.context import Context, worker_name
from plugin.services.deliver_event import Outcome, deliver, event_message
from plugin.services.list_events import numbered_events, show_event
from plugin.services.secret_ring import valid_secrets

SECRETS = "endpoint.secrets"
# Seconds until the next attempt at one event, as Standard Webhooks recommends; after the tenth attempt, three days
# later, it has failed. No jitter: an endpoint is sent one event at a time, so retries never come in a herd.
PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
REST_AFTER = 3  # failures in a row, of whatever events
REST_FIRST, REST_MAX = 60, 3_600  # seconds; each rest is twice the one before
BUSY_MIN = 5  # seconds that a busy endpoint is left alone, even where it says "at once"
PATIENCE = 5 * DAY
LEASE_SECONDS = 180  # longer than a batch may take: a slice, and one attempt begun at its end
SLICE_SECONDS = 5.0
BATCH = 20
WINDOW = 5_000  # how far along the log one look goes
ENDPOINTS_AT_ONCE = 4
UNREADABLE = Sentence(
    "Its secrets cannot be opened with the encryption keys there are. Restore the keys, or rotate its secret."
)
_log = logging.getLogger(__name__)


def send_events(context: Context, *, stopped: Callable[[], bool] = lambda: False) -> bool:
    """Send what is due now, a batch for each endpoint; tell whether there was anything, so that there may be more."""
    numbers = _due(context)
    if not numbers:
        return False
    with ThreadPoolExecutor(min(len(numbers), ENDPOINTS_AT_ONCE), thread_name_prefix="passalong-send") as pool:
        return any(list(pool.map(lambda number: _serve(context, number, stopped), numbers)))


def _serve(context: Context, number: int, stopped: Callable[[], bool]) -> bool:
    """Send one endpoint a batch; tell whether it was this worker's turn."""
    try:
        errand = again(lambda: _take(context, number))
        if errand is None:
            return False
        report = _run(context, errand, stopped)
        again(lambda: _finish(context, errand, report))
        return True
    except Exception as error:  # also a fault of ours: one endpoint must not keep the others waiting
        if getattr(error, "code", None) == "database_unavailable":
            raise
        _log.error("sending to %s failed: %s", _name(number), type(error).__name__, exc_info=True)
        return False


def _name(number: int) -> str:
    return public_id.show(public_id.ENDPOINT, number)


# --- what is to be sent ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Walk:
    """A stretch of the log: the events in it that the endpoint wants, where it ends, and the place reached so far."""

    place: int
    end: int
    events: Sequence[Row[Any]] = ()

    def __post_init__(self) -> None:
        if not self.events:
            self.place = self.end

    def go_past(self, row: Row[Any]) -> None:
        """Move on to an event that needs no more of this walk; past the last one there is nothing up to the end."""
        self.place = self.end if row is self.events[-1] else row.seq


@dataclass(frozen=True, slots=True)
class Errand:
    """A batch for one endpoint: events to try again, new ones, and ones that are replayed.

    ``attempts`` counts those made at events that have failed before, ``lease`` is what this worker holds it by.
    """

    endpoint: Row[Any]
    retried: Sequence[Row[Any]]
    fresh: Walk
    replayed: Walk
    replay: Row[Any] | None
    attempts: Mapping[int, int]
    lease: str

    def events(self) -> Iterator[tuple[Walk | None, Row[Any]]]:
        """Give the events in the order in which they are sent, each with the walk it belongs to."""
        yield from ((None, row) for row in self.retried)
        for walk in (self.fresh, self.replayed):
            yield from ((walk, row) for row in walk.events)


def _due(context: Context) -> list[int]:
    """Return the endpoints that have something to be sent now. It writes nothing."""
    now = context.now()
    with context.database.reading() as connection:
        rows = connection.execute(select(endpoint).where(*_free(now)).order_by(endpoint.c.id)).all()
        return [row.id for row in rows if _look(connection, row, now) is not None]


def _free(now: int) -> tuple[ColumnElement[bool], ...]:
    return (
        endpoint.c.state == "enabled",
        or_(endpoint.c.rest_until.is_(None), endpoint.c.rest_until <= now),
        or_(endpoint.c.lease_until.is_(None), endpoint.c.lease_until <= now),
    )


def _take(context: Context, number: int) -> Errand | None:
    """Lease an endpoint that is still free and has something to be sent."""
    now = context.now()
    with context.database.writing() as connection:
        free = select(endpoint).where(endpoint.c.id == number, *_free(now)).with_for_update(skip_locked=True)
        row = connection.execute(free).one_or_none()
        errand = None if row is None else _look(connection, row, now)
        if errand is not None:
            lease = {"lease_by": errand.lease, "lease_until": now + LEASE_SECONDS * SECOND}
            connection.execute(update(endpoint).where(endpoint.c.id == number).values(lease))
    return errand


def _look(connection: Connection, row: Row[Any], now: int) -> Errand | None:
    """Return what is to be sent to an endpoint now, or None for nothing."""
    newest: int = connection.execute(select(event_head.c.seq)).scalar_one()
    mine = event_delivery.c.endpoint_id == row.id
    due = select(event_delivery.c.seq).where(mine, event_delivery.c.state == "due", event_delivery.c.due_at <= now)
    late = connection.execute(due.order_by(event_delivery.c.due_at, event_delivery.c.seq).limit(BATCH)).scalars().all()
    asked = select(event_replay).where(event_replay.c.endpoint_id == row.id).order_by(event_replay.c.id).limit(1)
    replay = connection.execute(asked).one_or_none()
    fresh = _walk(connection, row, row.sent_seq, newest)
    if not (late or fresh.events or replay) and fresh.place - row.sent_seq < WINDOW:
        return None  # where it wants none of the newest few, its place is moved only now and then
    replayed = Walk(0, 0) if replay is None else _walk(connection, row, replay.seq, replay.until_seq)
    retried = connection.execute(numbered_events().where(among(event.c.seq, late))).all() if late else ()
    numbers = [*late, *(one.seq for one in (*fresh.events, *replayed.events))]
    tried = select(event_delivery.c.seq, event_delivery.c.attempts).where(mine, among(event_delivery.c.seq, numbers))
    tries = connection.execute(tried.where(event_delivery.c.state == "due")).all()
    attempts = {one.seq: one.attempts for one in tries}
    lease = f"{worker_name()}.{randomness.token_hex(4)}"
    return Errand(row, retried, fresh, replayed, replay, attempts, lease)


def _walk(connection: Connection, row: Row[Any], start: int, end: int) -> Walk:
    """Return the next events after ``start`` that the endpoint wants, at most a batch, up to ``end`` at most."""
    until = min(end, start + WINDOW)
    wanted = numbered_events().where(event.c.seq > start, event.c.seq <= until)
    types = json.loads(row.types)
    if types:
        wanted = wanted.where(among(event.c.type, types))
    if row.shop_id is not None:
        wanted = wanted.where(event.c.shop_id == row.shop_id)
    events = connection.execute(wanted.limit(BATCH)).all()
    return Walk(start, events[-1].seq if len(events) == BATCH else max(start, until), events)


# --- sending it -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Report:
    """What came of a batch, event by event, and how the endpoint stands after it."""

    failures: int
    failing_since: int | None
    reason: str | None
    outcomes: dict[int, Outcome] = field(default_factory=dict)  # by event: the last one
    rest_until: int | None = None
    is_disabled: bool = False

    @property
    def is_over(self) -> bool:
        """Tell whether the endpoint must be left alone now."""
        return self.is_disabled or self.rest_until is not None

    def note(self, seq: int, outcome: Outcome, now: int) -> bool:
        """Take an outcome into account; tell whether it says something about this very event.

        A busy endpoint, and one that is gone, said nothing of the event: its turn comes again.
        """
        self.reason = outcome.reason
        if outcome.arrived:
            self.failures, self.failing_since = 0, None
        else:
            self._note_failure(outcome, now)
        if outcome.is_busy or outcome.is_gone:
            return False
        self.outcomes[seq] = outcome
        return True

    def _note_failure(self, outcome: Outcome, now: int) -> None:
        if outcome.was_tried and self.failing_since is None:
            self.failing_since = now
        if outcome.is_busy:
            self.rest_until = max(outcome.not_before, now + BUSY_MIN * SECOND)
        else:
            self.failures += 1
            if self.failures >= REST_AFTER:
                self.rest_until = now + min(REST_FIRST << min(self.failures - REST_AFTER, 16), REST_MAX) * SECOND
        has_waited = self.failing_since is not None and now - self.failing_since >= PATIENCE
        self.is_disabled = outcome.is_gone or has_waited
        if has_waited and not outcome.is_gone:
            since = format_moment(self.failing_since or now)
            self.reason = Sentence(
                "Nothing has arrived since %(since)s. The last attempt: %(reason)s", since=since, reason=outcome.reason
            )


def _run(context: Context, errand: Errand, stopped: Callable[[], bool]) -> Report:
    """Send a batch, event by event, for a while."""
    row, end = errand.endpoint, time.monotonic() + SLICE_SECONDS
    report = Report(row.failures, row.failing_since, row.reason)
    for walk, one in errand.events():
        if stopped() or report.is_over or time.monotonic() > end:
            break
        outcome = _attempt(context, row, one)
        if report.note(one.seq, outcome, context.now()) and walk is not None:
            walk.go_past(one)
        if not outcome.arrived:
            _log.warning("event %d did not reach %s: %s", one.seq, _name(row.id), outcome.reason)
    return report


def _attempt(context: Context, row: Row[Any], one: Row[Any]) -> Outcome:
    try:
        secrets = valid_secrets(context.keys, SECRETS, row.secrets, context.now())
    except BadSignature:
        return Outcome(reason=UNREADABLE)
    return deliver(context, row.url, secrets, event_message(context, show_event(one)))


# --- writing it down ------------------------------------------------------------------------------------------------


def _finish(context: Context, errand: Errand, report: Report) -> None:
    """Write down what came of a batch, unless somebody has taken the endpoint over meanwhile, or deleted it."""
    now = context.now()
    row = errand.endpoint
    moved = {"sent_seq": errand.fresh.place, "lease_by": None, "lease_until": None}
    stands = {
        "failures": report.failures,
        "failing_since": report.failing_since,
        "rest_until": report.rest_until,
        "reason": report.reason,
        "state": "disabled" if report.is_disabled else "enabled",
    }
    with context.database.writing() as connection:
        mine = update(endpoint).where(endpoint.c.id == row.id, endpoint.c.lease_by == errand.lease)
        if not connection.execute(mine.values(moved)).rowcount:
            return
        # What came of an address says nothing about the one that its owner has put in its place.
        same = (endpoint.c.id == row.id, endpoint.c.url == row.url, endpoint.c.state == "enabled")
        connection.execute(update(endpoint).where(*same).values(stands))
        _write_arrived(connection, row.id, report, now)
        _write_failed(connection, errand, report, now)
        _move_replay(connection, errand)
    if report.is_disabled:
        _log.error("%s is disabled: %s", _name(row.id), report.reason)


def _write_arrived(connection: Connection, number: int, report: Report, now: int) -> None:
    """Close the rows of events that had failed before."""
    rows = event_delivery.c
    for status in {outcome.status for outcome in report.outcomes.values() if outcome.arrived}:
        arrived = [seq for seq, outcome in report.outcomes.items() if outcome.arrived and outcome.status == status]
        connection.execute(
            update(event_delivery)
            .where(rows.endpoint_id == number, among(rows.seq, arrived), rows.state != "done")
            .values(state="done", attempts=rows.attempts + 1, status=status, reason=None, changed_at=now)
        )


def _write_failed(connection: Connection, errand: Errand, report: Report, now: int) -> None:
    """Give every event that failed its next time, or none after the last one."""
    rows = []
    for seq, outcome in report.outcomes.items():
        if not outcome.arrived:
            attempts = errand.attempts.get(seq, 0) + 1
            is_last = attempts > len(PAUSES)
            due_at = now if is_last else max(now + PAUSES[attempts - 1] * SECOND, outcome.not_before)
            rows.append(
                {
                    "endpoint_id": errand.endpoint.id,
                    "seq": seq,
                    "state": "failed" if is_last else "due",
                    "attempts": attempts,
                    "due_at": due_at,
                    "status": outcome.status,
                    "reason": outcome.reason,
                    "changed_at": now,
                }
            )
    if rows:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        wish = dialect.insert(event_delivery)
        known = [event_delivery.c.endpoint_id, event_delivery.c.seq]
        changed = {name: wish.excluded[name] for name in rows[0] if name not in ("endpoint_id", "seq")}
        connection.execute(wish.on_conflict_do_update(index_elements=known, set_=changed), rows)


def _move_replay(connection: Connection, errand: Errand) -> None:
    if errand.replay is None:
        return
    this = event_replay.c.id == errand.replay.id
    if errand.replayed.place >= errand.replay.until_seq:
        connection.execute(delete(event_replay).where(this))
    else:
        connection.execute(update(event_replay).where(this).values(seq=errand.replayed.place))
