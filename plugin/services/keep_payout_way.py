"""Where a sharer wants to be paid: sealed as it is stored, shown masked, and every change told by mail."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from plugin.database import among
from plugin.domain.plan import UNSHOWABLE
from plugin.domain.stored_json import canonical
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.models import payout_way
from plugin.services.context import Context
from plugin.services.enrol_sharer import is_email
from plugin.services.want_mail import want_payout_way_mail

BANK, PAYPAL, OTHER = "bank", "paypal", "other"
# What is asked for each kind; all of it is needed.
FIELDS: Mapping[str, tuple[str, ...]] = {
    BANK: ("holder", "bank", "account"),
    PAYPAL: ("email",),
    OTHER: ("words",),
}
LENGTH_MAX, SHOWN = 200, 4
_SEALED_FOR = "payout-way"


@dataclass(frozen=True, slots=True)
class Way:
    """How a sharer is paid; ``details`` by the names of FIELDS."""

    kind: str
    details: Mapping[str, str]
    changed_at: int

    @property
    def masked(self) -> str:
        """Return enough to know it again, and too little to use it."""
        told = self.details[FIELDS[self.kind][-1]]
        if self.kind == PAYPAL:
            name, _, host = told.rpartition("@")
            return f"{name[:1]}…@{host}"
        return f"…{told[-SHOWN:]}" if len(told) >= 2 * SHOWN else "…"


def read_payout_way(kind: str, details: Mapping[str, str]) -> dict[str, str]:
    """Return what is kept of a form; raise BadRequest with what is wrong by field."""
    if kind not in FIELDS:
        raise BadRequest("invalid", "Some fields are not right.", fields={"kind": [mark("Choose one of these ways.")]})
    kept = {name: " ".join(details.get(name, "").split()) for name in FIELDS[kind]}
    errors = {
        name: [mark("Fill this in, in at most 200 characters.")]
        for name, text in kept.items()
        if not text or len(text) > LENGTH_MAX or UNSHOWABLE.search(text)
    }
    if kind == PAYPAL and not errors and not is_email(kept["email"]):
        errors["email"] = [mark("This is not an e-mail address.")]
    if errors:
        raise BadRequest("invalid", "Some fields are not right.", fields=errors)
    return kept


def keep_payout_way(context: Context, shop_id: int, sharer_id: int, kind: str, details: Mapping[str, str]) -> None:
    """Keep how a sharer is paid from now on, and tell them by mail that it changed; raise BadRequest."""
    body = canonical(read_payout_way(kind, details))
    now = context.now()
    with context.database.writing() as connection:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        values = {"kind": kind, "details": context.keys.seal(_SEALED_FOR, body.encode()), "changed_at": now}
        row = dialect.insert(payout_way).values(sharer_id=sharer_id, **values)
        connection.execute(row.on_conflict_do_update(index_elements=[payout_way.c.sharer_id], set_=values))
        want_payout_way_mail(connection, shop_id, sharer_id, now=now)
    context.wake()


def drop_payout_way(context: Context, shop_id: int, sharer_id: int) -> None:
    """Forget how a sharer is paid, and tell them by mail."""
    with context.database.writing() as connection:
        if connection.execute(delete(payout_way).where(payout_way.c.sharer_id == sharer_id)).rowcount:
            want_payout_way_mail(connection, shop_id, sharer_id, now=context.now())
    context.wake()


def find_payout_way(context: Context, sharer_id: int) -> Way | None:
    """Return how a sharer is paid, None where they have not said it; raise BadSignature where no key opens it."""
    with context.database.reading() as connection:
        row = connection.execute(select(payout_way).where(payout_way.c.sharer_id == sharer_id)).one_or_none()
    if row is None:
        return None
    return _open(context, row)


def find_payout_ways(context: Context, sharers: Collection[int]) -> dict[int, Way]:
    """Return how each of many sharers is paid, of those who have said it; raise BadSignature where no key opens it."""
    with context.database.reading() as connection:
        rows = connection.execute(select(payout_way).where(among(payout_way.c.sharer_id, sharers))).all()
    return {row.sharer_id: _open(context, row) for row in rows}


def _open(context: Context, row: Row[Any]) -> Way:
    return Way(row.kind, json.loads(context.keys.open(_SEALED_FOR, row.details)), row.changed_at)
