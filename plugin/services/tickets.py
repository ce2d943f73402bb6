"""Tickets: addresses that work once and for a while, such as the link in a sign-in mail.

What stands in the address is the ticket's number and nonce, signed for one purpose; so it can be written again each
time a mail is tried again, and nothing that opens a door is stored.
"""

import json
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, select, update

from plugin.domain.moment import SECOND
from plugin.domain.stored_json import canonical
from plugin.errors import BadSignature, PluginError
from plugin.models import ticket
from plugin.services.context import Context
from plugin.signing import NONCE_BYTES, make_ticket, read_ticket

HOUR = 3_600
# How long a ticket of each purpose can be used, in seconds.
SETUP, TEAM, FACTOR, JOIN, SIGN_IN, EXPORT = "setup", "team", "second", "join", "sign-in", "export"
SECONDS: Mapping[str, int] = {
    SETUP: 24 * HOUR,
    TEAM: 7 * 24 * HOUR,
    FACTOR: HOUR // 6,
    JOIN: 30 * 24 * HOUR,
    SIGN_IN: HOUR,
    EXPORT: HOUR // 6,
}


class TicketOver(PluginError):
    """A ticket that was used, is too old, or never was one; which of these is nobody's business."""

    status = 404

    def __init__(self) -> None:
        super().__init__("ticket_over", "This address was used already or is too old. Ask for a new one.")


@dataclass(frozen=True, slots=True)
class Ticket:
    """An open ticket, and whom and what it is about."""

    number: int
    purpose: str
    shop_id: int | None
    owner_id: int | None
    person_id: int | None
    email: str | None
    body: Mapping[str, Any]


def issue(
    connection: Connection,
    purpose: str,
    *,
    now: int,
    shop_id: int | None = None,
    owner_id: int | None = None,
    person_id: int | None = None,
    email: str | None = None,
    body: Mapping[str, Any] | None = None,
) -> int:
    """Make a ticket and return its number; :func:`show` gives the text that stands for it."""
    row = ticket.insert().values(
        purpose=purpose, nonce=randomness.token_bytes(NONCE_BYTES), shop_id=shop_id, owner_id=owner_id,
        person_id=person_id, email=email,
        body=canonical(body or {}), created_at=now, ends_at=now + SECONDS[purpose] * SECOND,
    )  # fmt: skip
    number: int = connection.execute(row.returning(ticket.c.id)).scalar_one()
    return number


def show(context: Context, connection: Connection, number: int) -> str:
    """Return the text that stands for a ticket in an address, the same each time."""
    row = connection.execute(select(ticket.c.purpose, ticket.c.nonce).where(ticket.c.id == number)).one()
    return make_ticket(context.keys, row.purpose, number, bytes(row.nonce))


def look(context: Context, purpose: str, text: str) -> Ticket:
    """Return the open ticket an address stands for, without using it; raise TicketOver."""
    with context.database.reading() as connection:
        row = connection.execute(select(ticket).where(_is_open(context, purpose, text))).one_or_none()
    if row is None:
        raise TicketOver
    return _read(row)


def use(context: Context, connection: Connection, purpose: str, text: str) -> Ticket:
    """Use a ticket up, in the transaction of what it is used for; of two at once one raises TicketOver."""
    found = connection.execute(select(ticket).where(_is_open(context, purpose, text))).one_or_none()
    if found is None:
        raise TicketOver
    mine = ticket.c.id == found.id, ticket.c.used_at.is_(None)
    if not connection.execute(update(ticket).where(*mine).values(used_at=context.now(), email=None)).rowcount:
        raise TicketOver
    return _read(found)


def withdraw(
    connection: Connection, purpose: str, *, owner_id: int | None = None, person_id: int | None = None
) -> None:
    """Take back every open ticket of a purpose: of one owner or person, else of nobody in particular."""
    theirs = (ticket.c.owner_id == owner_id) if owner_id is not None else ticket.c.owner_id.is_(None)
    same = (ticket.c.person_id == person_id) if person_id is not None else ticket.c.person_id.is_(None)
    connection.execute(delete(ticket).where(ticket.c.purpose == purpose, theirs, same))


def _is_open(context: Context, purpose: str, text: str) -> ColumnElement[bool]:
    """Return the condition that a ticket is the one a text stands for, and can still be used."""
    try:
        number, nonce = read_ticket(context.keys, purpose, text)
    except BadSignature:
        raise TicketOver from None
    return and_(
        ticket.c.id == number, ticket.c.nonce == nonce, ticket.c.purpose == purpose, ticket.c.used_at.is_(None),
        ticket.c.ends_at >= context.now(),
    )  # fmt: skip


def _read(row: Row[Any]) -> Ticket:
    body = json.loads(row.body)
    return Ticket(row.id, row.purpose, row.shop_id, row.owner_id, row.person_id, row.email, body)
