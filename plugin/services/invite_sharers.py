"""Inviting people to share: each becomes an approved sharer with a link that can be handed on at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from sqlalchemy import func, select

from plugin.errors import BadRequest, Conflict
from plugin.languages import mark
from plugin.models import link, person, sharer, shop
from plugin.services import tickets
from plugin.services.context import Context
from plugin.services.enrol_sharer import NewSharer, enrol_sharer
from plugin.services.issue_link import issue_link
from plugin.services.want_mail import INVITATION, want_ticket_mail

AT_ONCE_MAX = 100
SHOWN = 10
NONE_WRITTEN = mark("Write at least one e-mail address.")
TOO_MANY = mark("Write at most 100 addresses at once.")
_BETWEEN = re.compile(r"[\n\r,;]+")


@dataclass(frozen=True, slots=True)
class Invited:
    """How many were invited, and how many were sharers of the shop before."""

    new: int
    known: int


class NoAddresses(BadRequest):
    """Some of what was written is no e-mail address; ``lines`` are those."""

    def __init__(self, sentence: str, lines: Sequence[str] = ()) -> None:
        super().__init__("invalid", "Some fields are not right.", fields={"addresses": [sentence]})
        self.lines = lines


def invite_sharers(context: Context, shop_id: int, text: str, *, actor: str) -> Invited:
    """Invite everybody whose address stands in a text, a line or a comma apart; raise NoAddresses before anything."""
    people = _read(text)
    known = 0
    for one in people:
        try:
            number = enrol_sharer(context, shop_id, one, actor=actor)
        except Conflict:
            known += 1
        else:
            issue_link(context, shop_id, number, url=None, channel=None, campaign=None, actor=actor)
            _want_mail(context, shop_id, number)
    context.wake()
    return Invited(len(people) - known, known)


def _want_mail(context: Context, shop_id: int, sharer_id: int) -> None:
    """Have the way in sent to a new sharer; a shop whose money is not real writes to nobody."""
    wanted = select(sharer.c.person_id).join(shop, shop.c.id == sharer.c.shop_id)
    with context.database.writing() as connection:
        theirs = connection.execute(wanted.where(sharer.c.id == sharer_id, shop.c.live.is_(True))).scalar_one_or_none()
        if theirs is not None:
            now = context.now()
            ticket = tickets.issue(connection, tickets.JOIN, now=now, shop_id=shop_id, person_id=theirs)
            want_ticket_mail(connection, shop_id, INVITATION, ticket, now=now)


def _read(text: str) -> list[NewSharer]:
    parts = [part.strip() for part in _BETWEEN.split(text) if part.strip()]
    if not parts:
        raise NoAddresses(NONE_WRITTEN)
    if len(parts) > AT_ONCE_MAX:
        raise NoAddresses(TOO_MANY)
    people = {part: _person(part) for part in parts}
    wrong = [part for part, one in people.items() if one is None]
    if wrong:
        raise NoAddresses(mark("This is not an e-mail address."), wrong)
    return [one for one in people.values() if one is not None]


def _person(part: str) -> NewSharer | None:
    """Read ``mei@example.com`` or ``Mei <mei@example.com>``; None where that is not what it is."""
    name, email = parseaddr(part)
    is_address = "@" in email[1:-1] and " " not in email and len(email) <= 254 and part.isprintable()
    return NewSharer(email, name[:100] or None) if is_address else None


def newest_sharers(context: Context, shop_id: int) -> Sequence[Any]:
    """Return (email, name, code) of the newest sharers; ``code`` is that of their first link, or None."""
    newest = (
        select(sharer.c.id, person.c.email, person.c.name)
        .join(person, person.c.id == sharer.c.person_id)
        .where(sharer.c.shop_id == shop_id, person.c.erased_at.is_(None))
        .order_by(sharer.c.id.desc())
        .limit(SHOWN)
        .subquery()
    )
    theirs = link.alias()
    first = select(func.min(theirs.c.id)).where(theirs.c.sharer_id == newest.c.id).scalar_subquery()
    wanted = select(newest.c.email, newest.c.name, link.c.code).select_from(newest.outerjoin(link, link.c.id == first))
    with context.database.reading() as connection:
        return connection.execute(wanted.order_by(newest.c.id.desc())).all()
