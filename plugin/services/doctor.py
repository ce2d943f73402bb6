"""The doctor: looks at everything an installation needs and says, for each thing that is wrong, what to do.

It changes nothing, and no check keeps the others from theirs.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, or_, select, text
from sqlalchemy.exc import DBAPIError

from plugin.database import Database
from plugin.domain.moment import DAY, SECOND, format_moment, parse_moment
from plugin.errors import Sentence
from plugin.keys import FILE_NAME, KeyStore
from plugin.migrations import is_current
from plugin.models import delivery, endpoint, event_delivery, shop, task, transfer
from plugin.services import public_id
from plugin.services.check_books import missing_guards
from plugin.services.context import Context
from plugin.services.count_work import count_work
from plugin.services.reach_shop import is_local
from plugin.settings import Settings

LATE_SECONDS_MAX = 300
FAILING_ATTEMPTS = 5  # of a task, over about an hour
FAILING_SECONDS_MAX = 3_600
_NOT_BEFORE = parse_moment("2026-01-01T00:00:00Z")  # no clock that is right shows less


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; ``hint`` says what to do where it is not well, else what was seen."""

    name: str
    ok: bool
    hint: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "hint": self.hint}


def examine(settings: Settings, *, reach_queue: Callable[[Context], object]) -> list[Check]:
    """Check an installation; ``reach_queue`` raises where the queue cannot be reached."""
    checks = [
        Check("settings", True, Sentence("All settings can be read.")),
        _look("instance", lambda: _instance(settings)),
        _look("keys", lambda: _keys(settings)),
        _look("base_url", lambda: _base_url(settings)),
    ]
    if all(one.ok for one in checks if one.name in ("instance", "keys")):
        context = Context(Database(settings.database_url), KeyStore(settings), settings)
        try:
            checks += _of_database(context, reach_queue)
        finally:
            context.database.close()
    return checks


def _look(name: str, check: Callable[[], tuple[bool, str]]) -> Check:
    """Run one check; what it could not even look at is not well either."""
    try:
        return Check(name, *check())
    except Exception as error:  # drivers and file systems raise what they like
        unseen = Sentence("It cannot be looked at: %(fault)s.", fault=type(error).__name__)
        return Check(name, False, getattr(error, "message", None) or unseen)


def _of_database(context: Context, reach_queue: Callable[[Context], object]) -> Iterator[Check]:
    database = _look("database", lambda: _database(context))
    yield database
    yield _look("queue", lambda: _queue(context, reach_queue))
    if not database.ok:
        return
    migrations = _look("migrations", lambda: _migrations(context))
    yield migrations
    if migrations.ok:
        yield _look("guards", lambda: _guards(context))
        yield _look("clock", lambda: _clock(context))
        yield _look("inbox", lambda: _inbox(context))
        yield _look("tasks", lambda: _tasks(context))
        yield _look("endpoints", lambda: _endpoints(context))
        yield from _shops(context)


# --- the machine ----------------------------------------------------------------------------------------------------


def _instance(settings: Settings) -> tuple[bool, str]:
    folder = settings.instance
    if not folder.is_dir():
        return False, Sentence(
            "There is no folder %(folder)s. Start Passalong once, or name another by PASSALONG_INSTANCE.", folder=folder
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return False, Sentence("%(folder)s cannot be written. Give it to the user Passalong runs as.", folder=folder)
    return True, Sentence("%(folder)s can be written.", folder=folder)


def _keys(settings: Settings) -> tuple[bool, str]:
    if settings.keys:
        KeyStore(settings)
        return True, Sentence("The keys come from PASSALONG_KEYS.")
    path = settings.instance / FILE_NAME
    if not path.exists():
        return False, Sentence(
            "There is no %(path)s. If it was lost, restore it: new keys do not read what the old ones sealed.",
            path=path,
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return False, Sentence("Others may read %(path)s. Run: chmod 600 %(path)s", path=path)
    KeyStore(settings)
    return True, Sentence("%(path)s can be read by its owner alone.", path=path)


def _base_url(settings: Settings) -> tuple[bool, str]:
    parts = urlsplit(settings.base_url)
    if is_local(parts.hostname or ""):
        return True, Sentence(
            "%(address)s is this machine: good for a try; shops and buyers need a public address.",
            address=settings.base_url,
        )
    if parts.scheme != "https":
        return False, Sentence("PASSALONG_BASE_URL is public and not https://: shops would deliver in the clear.")
    return True, Sentence("%(address)s is public.", address=settings.base_url)


# --- what is behind it ----------------------------------------------------------------------------------------------


def _database(context: Context) -> tuple[bool, str]:
    is_file = context.database.is_sqlite
    try:
        with context.database.reading() as connection:
            connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        fault = type(error).__name__
        if is_file:
            return False, Sentence(
                "The file of PASSALONG_DATABASE_URL cannot be used (%(fault)s). See that its folder is there and can be"
                " written, that the disk has room, and that the file is whole; else restore a backup.",
                fault=fault,
            )
        return False, Sentence(
            "The server of PASSALONG_DATABASE_URL does not let us in (%(fault)s). See that it runs, and that host,"
            " port, user, password and database are right.",
            fault=fault,
        )
    return True, Sentence("SQLite: one machine, one file.") if is_file else Sentence("PostgreSQL answers.")


def _queue(context: Context, reach_queue: Callable[[Context], object]) -> tuple[bool, str]:
    try:
        reach_queue(context)
    except Exception as error:
        away = Sentence("PASSALONG_QUEUE_URL cannot be reached (%(fault)s).", fault=type(error).__name__)
        said = getattr(error, "message", None) or away
        return False, Sentence("%(said)s Until it can, deliveries wait.", said=said)
    return True, Sentence("The queue answers.")


def _migrations(context: Context) -> tuple[bool, str]:
    with context.database.reading() as connection:
        if is_current(connection):
            return True, Sentence("The database is of this version.")
    return False, Sentence("The database is of another version. Run: passalong upgrade")


def _guards(context: Context) -> tuple[bool, str]:
    with context.database.reading() as connection:
        gone = missing_guards(connection)
    if gone:
        return False, Sentence(
            "The database lost %(names)s, so rows can be changed. Restore a backup.", names=", ".join(gone)
        )
    return True, Sentence("The database refuses to change what is booked.")


def _clock(context: Context) -> tuple[bool, str]:
    now = context.now()
    if now < _NOT_BEFORE:
        return False, Sentence(
            "The clock of this machine shows %(time)s. Set it: holds and signatures hang on it.",
            time=format_moment(now),
        )
    with context.database.reading() as connection:
        received = connection.execute(select(delivery.c.received_at).order_by(delivery.c.id.desc()).limit(1)).scalar()
        booked = connection.execute(select(transfer.c.written_at).order_by(transfer.c.number.desc()).limit(1)).scalar()
    latest = max(received or 0, booked or 0)
    if latest > now + LATE_SECONDS_MAX * SECOND:
        return False, Sentence(
            "The books were written up to %(time)s, which is still to come. Set the clock.", time=format_moment(latest)
        )
    return True, Sentence("It is %(time)s.", time=format_moment(now - now % SECOND))


def _tasks(context: Context) -> tuple[bool, str]:
    """Look at what could not be done outside: tried for two days, or, where it is never given up, time and again."""
    failing = or_(task.c.state == "failed", task.c.attempts >= FAILING_ATTEMPTS)
    wanted = select(task.c.kind, task.c.ref, task.c.state, task.c.reason, shop.c.key).where(failing)
    with context.database.reading() as connection:
        rows = connection.execute(
            wanted.join(shop, shop.c.id == task.c.shop_id).order_by(task.c.state.desc(), task.c.changed_at.desc())
        ).all()
    if not rows:
        return True, Sentence("Nothing that is to be done outside fails.")
    last, lost = rows[0], sum(row.state == "failed" for row in rows)
    how = Sentence("%(count)s failed for good", count=lost)
    if not lost:
        how = Sentence("%(count)s fail and are tried again", count=len(rows))
    return False, Sentence(
        "%(how)s; the last, %(task)s of shop %(shop)s: %(reason)s",
        how=how,
        task=f"{last.kind} {last.ref}",
        shop=last.key,
        reason=last.reason,
    )


def _endpoints(context: Context) -> tuple[bool, str]:
    """Look at where events do not arrive. An endpoint that its owner disabled has no reason and is no fault."""
    late = endpoint.c.failing_since <= context.now() - FAILING_SECONDS_MAX * SECOND
    ill = select(endpoint).where(endpoint.c.reason.is_not(None), or_(endpoint.c.state == "disabled", late))
    with context.database.reading() as connection:
        rows = connection.execute(ill.order_by(endpoint.c.id.desc())).all()
        lost = connection.execute(select(func.count()).where(event_delivery.c.state == "failed")).scalar_one()
    if rows:
        name = public_id.show(public_id.ENDPOINT, rows[0].id)
        return False, Sentence(
            "%(count)s endpoints get no events; the last, %(name)s, %(stands)s: %(reason)s Mend it, then send PATCH"
            " /api/v1/endpoints/%(name)s with state enabled; nothing is lost.",
            count=len(rows),
            name=name,
            stands=Sentence("is disabled") if rows[0].state == "disabled" else Sentence("takes nothing"),
            reason=rows[0].reason,
        )
    if lost:
        return False, Sentence(
            "%(count)s events were given up after ten attempts. Replay them: passalong endpoint replay", count=lost
        )
    return True, Sentence("Every endpoint takes its events.")


def _inbox(context: Context) -> tuple[bool, str]:
    counts = count_work(context)
    if counts.stored and counts.late_seconds > LATE_SECONDS_MAX:
        return False, Sentence(
            "%(count)s deliveries wait for a worker, the oldest for %(minutes)s minutes. Start one: passalong worker",
            count=counts.stored,
            minutes=counts.late_seconds // 60,
        )
    said = Sentence(
        "%(stored)s to process, %(waiting)s wait for their order, %(quarantined)s in quarantine.",
        stored=counts.stored,
        waiting=counts.waiting,
        quarantined=counts.quarantined,
    )
    if counts.quarantined:
        return True, Sentence("%(said)s See why: passalong deliveries --state quarantined", said=said)
    return True, said


def _shops(context: Context) -> Iterator[Check]:
    newest = select(delivery.c.received_at).where(delivery.c.shop_id == shop.c.id).order_by(delivery.c.id.desc())
    last = newest.limit(1).scalar_subquery()
    with context.database.reading() as connection:
        rows = connection.execute(select(shop.c.key, shop.c.name, last.label("last")).order_by(shop.c.id)).all()
    if not rows:
        none = Sentence("There is no shop yet. Add one: passalong shop add generic https://shop.example.com")
        yield Check("shops", True, none)
    for row in rows:
        yield Check(f"shop {row.key}", True, _heard(row.name, context.now(), row.last))


def _heard(name: str, now: int, last: int | None) -> Sentence:
    if last is None:
        return Sentence(
            "%(shop)s: nothing has come in yet. Give the shop its webhook address and secret.", shop=name
        )
    days, at = max(0, now - last) // DAY, format_moment(last - last % SECOND)
    if days:
        return Sentence(
            "%(shop)s: the last delivery came at %(time)s, %(days)s days ago.", shop=name, time=at, days=days
        )
    return Sentence("%(shop)s: the last delivery came at %(time)s.", shop=name, time=at)
