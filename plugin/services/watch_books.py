"""Checking a shop's books in the background: every night in the shop's time zone, and whenever somebody asks.

What the last check found is kept, for whoever asks tomorrow. It warns; what keeps money from moving on a wrong cent is
the check that every payout makes for itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from plugin.domain.moment import SECOND
from plugin.errors import NotFound
from plugin.models import shop
from plugin.services.check_books import check_shop
from plugin.services.context import Context
from plugin.services.long_tasks import Progress, ask, find_task, read_progress, teller
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.want_task import want

KIND, REF = "books", "check"
HOUR_OF_NIGHT = 3
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Check:
    """What the last check of a shop's books found; ``at`` is when it began, ``problems`` are sentences."""

    at: int
    seconds: int
    transfers: int
    accounts: int
    problems: Sequence[str]


def want_checks(connection: Connection, shop_id: int, timezone: str, *, now: int) -> None:
    """Have a shop's books checked every night from the next one on."""
    want(connection, shop_id, KIND, REF, {}, now=now, due_at=_next_night(now, ZoneInfo(timezone), shop_id))


def ask_check(context: Context, shop_id: int) -> None:
    """Have a shop's books checked soon; while a check is under way there is nothing more to ask for."""
    ask(context, shop_id, KIND, REF, {})


def show_check(context: Context, shop_id: int) -> tuple[Check | None, Progress]:
    """Return what the last check of a shop's books found, None before the first one, and how the next one stands."""
    with context.database.reading() as connection:
        row = find_task(connection, shop_id, KIND, REF)
    if row is None:
        raise NotFound("unknown_shop", "There is no shop with this key.")
    last = json.loads(row.result)["last"] if row.result else None
    return last and Check(**last), read_progress(row, now=context.now())


def _check(context: Context, one: Task) -> Done:
    """Check the books, and come again next night."""
    began = context.now()
    last = one.result and one.result["last"]
    report = check_shop(context, one.shop_id, teller(context, one, {"last": last}))
    now = context.now()
    found = {
        "at": began,
        "seconds": (now - began) // SECOND,
        "transfers": report.transfers,
        "accounts": report.accounts,
        "problems": report.problems,
    }
    with context.database.reading() as connection:
        zone = connection.execute(select(shop.c.timezone).where(shop.c.id == one.shop_id)).scalar_one()
    return Done({"last": found}, again_at=_next_night(now, ZoneInfo(zone), one.shop_id))


def _next_night(now: int, zone: ZoneInfo, shop_id: int) -> int:
    """Return the next time at which this shop's check is due: at night, and not when every other shop's is."""
    local = (_EPOCH + now * _MICROSECOND).astimezone(zone)
    night = local.replace(hour=HOUR_OF_NIGHT, minute=shop_id % 60, second=0, microsecond=0)
    if night <= local:
        night += timedelta(days=1)
    return (night - _EPOCH) // _MICROSECOND


WATCH = Kind(_check, is_tireless=True)
