"""How a shop's program looks to its people: read with what is not said filled in, and changed a few parts at a time.

What decides money is the plan's. What is kept here is one JSON object a shop, in ``pa_program``; :class:`Program`
is the only list of its keys.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from plugin.domain.stored_json import canonical
from plugin.errors import BadRequest
from plugin.languages import LANGUAGES, mark
from plugin.models import program, shop
from plugin.services.context import Context
from plugin.services.enrol_sharer import is_email

OPEN, APPROVE, CLOSED = "open", "approve", "closed"
JOIN_MODES = (OPEN, APPROVE, CLOSED)
LATER, MONTHLY = "later", "monthly"
PAYOUT_HABITS = (LATER, MONTHLY)
PAYOUT_DAY_MAX = 28  # the last day that every month has
LOGO_LENGTH_MAX = 500
MAILS = ("first_commission", "ready", "paid", "payout_failed", "weekly_digest")  # that a shop may do without
_COLOR = re.compile(r"#[0-9a-f]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Program:
    """What is kept of a shop's program; each field is a key of the stored object."""

    guide_dismissed: bool = False  # whether the owner has put the set-up guide away
    reward_shown: bool = True  # whether the page to join says what a sharer earns
    join_mode: str = APPROVE  # one of JOIN_MODES
    brand_color: str = "#0f766e"
    logo_url: str | None = None  # https
    language: str | None = None  # of those whose own is not known; None: the browser's
    mails_off: tuple[str, ...] = ()  # of MAILS
    payout_habit: str | None = None  # one of PAYOUT_HABITS; None: the owner has not said yet
    payout_day: int = 5  # of the month, for MONTHLY
    support_email: str | None = None  # whom a page tells people to ask


def show_program(connection: Connection, shop_id: int) -> Program:
    """Return a shop's program as it is now."""
    body = connection.execute(select(program.c.body).where(program.c.shop_id == shop_id)).scalar_one_or_none()
    return Program() if body is None else _read(body)


def change_program(context: Context, shop_id: int, changes: Mapping[str, Any]) -> Program:
    """Change parts of a shop's program and return it whole; raise BadRequest with what is wrong by field."""
    errors = {name: [sentence] for name, value in changes.items() if (sentence := _fault(name, value))}
    if errors:
        raise BadRequest("invalid", "Some fields are not right.", fields=errors)
    with context.database.writing() as connection:
        # The shop's row is locked, for a program that is changed for the first time has none of its own.
        connection.execute(select(shop.c.id).where(shop.c.id == shop_id).with_for_update()).scalar_one()
        changed = replace(show_program(connection, shop_id), **changes)
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        row = dialect.insert(program).values(shop_id=shop_id, body=canonical(asdict(changed)), changed_at=context.now())
        kept = {"body": row.excluded.body, "changed_at": row.excluded.changed_at}
        connection.execute(row.on_conflict_do_update(index_elements=[program.c.shop_id], set_=kept))
    return changed


def _read(body: str) -> Program:
    """Read the stored object; a key of another version is left alone."""
    known = {field.name for field in fields(Program)}
    values = {name: value for name, value in json.loads(body).items() if name in known}
    return Program(**values | {"mails_off": tuple(values.get("mails_off", ()))})


def _is_logo(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, str) or len(value) > LOGO_LENGTH_MAX or not value.isascii() or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme == "https" and bool(parts.hostname) and not parts.username and not {'"', " "} & set(value)
    except ValueError:
        return False


_YES_OR_NO = (lambda value: isinstance(value, bool), mark("Say yes or no."))
_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "guide_dismissed": _YES_OR_NO,
    "reward_shown": _YES_OR_NO,
    "join_mode": (lambda value: value in JOIN_MODES, mark("Choose one of these.")),
    "brand_color": (
        lambda value: isinstance(value, str) and _COLOR.fullmatch(value) is not None,
        mark("Write a colour like #0f766e."),
    ),
    "logo_url": (_is_logo, mark("Write an https:// address, or leave it empty.")),
    "language": (lambda value: value is None or value in LANGUAGES, mark("Choose one of these.")),
    "support_email": (
        lambda value: value is None or (isinstance(value, str) and is_email(value)),
        mark("This is not an e-mail address."),
    ),
    "mails_off": (
        lambda value: isinstance(value, tuple) and set(value) <= set(MAILS),
        mark("Choose among these."),
    ),
    "payout_habit": (lambda value: value in PAYOUT_HABITS, mark("Choose one of these.")),
    "payout_day": (
        lambda value: type(value) is int and 1 <= value <= PAYOUT_DAY_MAX,
        mark("Write a day from 1 to 28."),
    ),
}


def _fault(name: str, value: Any) -> str | None:
    """Return what is wrong with a value, None where nothing is; raise KeyError for a key that there is none of."""
    is_right, sentence = _CHECKS[name]
    return None if is_right(value) else sentence
