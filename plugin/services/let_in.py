"""Letting people in who share: by a one-time address in a mail, whether they join, come back or sign in.

Whoever asks hears the same after the same work, so nobody learns here who shares; only the mail says it.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from plugin.domain.order import normalise_email
from plugin.domain.plan import UNSHOWABLE
from plugin.errors import BadRequest, Conflict
from plugin.languages import mark
from plugin.models import person, session, sharer, shop
from plugin.services import public_id, tickets
from plugin.services.context import Context
from plugin.services.enrol_sharer import NewSharer, change_sharer, enrol_sharer, is_email
from plugin.services.find_seat import standing_of
from plugin.services.issue_link import first_link, issue_link
from plugin.services.limit_attempts import TooMany, count_attempt
from plugin.services.manage_program import APPROVE, CLOSED, OPEN, show_program
from plugin.services.sessions import open_session
from plugin.services.want_mail import INVITATION, SIGN_IN, want_ticket_mail

HOUR = 3_600
ASKED_MAX, MAILS_MAX = 30, 5  # an hour: from one network address, to one mail address
NAME_LENGTH_MAX = 80
_STATUS_OF = {OPEN: "approved", APPROVE: "pending"}


@dataclass(frozen=True, slots=True)
class Entered:
    """Who came in: a session's token for the browser, and the ticket that was used."""

    token: str
    ticket: tickets.Ticket


def read_name(text: str) -> str | None:
    """Return a name as it is kept, None for an empty one; raise BadRequest for what can be no name."""
    name = " ".join(text.split())
    if len(name) > NAME_LENGTH_MAX or UNSHOWABLE.search(name):
        wrong = {"name": [mark("A name has at most 80 characters, and all of them can be seen.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=wrong)
    return name or None


def _read_email(text: str) -> str:
    email = text.strip()
    if not is_email(email):
        wrong = {"email": [mark("This is not an e-mail address.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=wrong)
    return email


# --- asking for a mail ----------------------------------------------------------------------------------------------


def ask_to_join(context: Context, shop_id: int, email: str, name: str, *, language: str, address: str) -> None:
    """Send the way in to whoever wants to share for a shop; who shares there already is sent the way to sign in.

    Raise BadRequest for what is no address or name, Conflict where the shop takes nobody, TooMany.
    """
    email, called = _read_email(email), read_name(name)
    with context.database.reading() as connection:
        _require_open(connection, shop_id)
    if not _may_send(context, email, address):
        return
    with context.database.writing() as connection:
        known = known_sharer(context, connection, email, shop_id)
        if known is None:
            body = {"name": called}
            number = tickets.issue(
                connection, tickets.JOIN, now=context.now(), shop_id=shop_id, email=email, body=body
            )
            template = INVITATION
        else:
            number = tickets.issue(connection, tickets.SIGN_IN, now=context.now(), person_id=known.person_id)
            template = SIGN_IN
        want_ticket_mail(connection, shop_id, template, number, now=context.now(), language=language)
    context.wake()


def ask_to_sign_in(context: Context, email: str, *, language: str, address: str) -> None:
    """Send a person the way in; to an unknown address nothing is sent, after the same work.

    Raise BadRequest for what is no address, TooMany.
    """
    email = _read_email(email)
    if not _may_send(context, email, address):
        return
    with context.database.writing() as connection:
        known = known_sharer(context, connection, email, None)
        somewhere = connection.execute(select(shop.c.id).order_by(shop.c.id).limit(1)).scalar_one_or_none()
        shop_id = known.shop_id if known is not None else somewhere
        if shop_id is None:
            return
        # A ticket for nobody is sent to nobody: what stands in the books of tasks tells no address from another.
        number = tickets.issue(
            connection, tickets.SIGN_IN, now=context.now(), person_id=None if known is None else known.person_id
        )
        want_ticket_mail(connection, shop_id, SIGN_IN, number, now=context.now(), language=language)
    context.wake()


def ask_again(context: Context, person_id: int, shop_id: int, then: str, *, language: str, address: str) -> None:
    """Send a person who is signed in the way to sign in once more, and on to a page of ours. Raise TooMany."""
    count_attempt(context, "again", f"{address} {person_id}", at_most=MAILS_MAX, seconds=HOUR)
    with context.database.writing() as connection:
        number = tickets.issue(
            connection, tickets.SIGN_IN, now=context.now(), person_id=person_id, body={"next": then}
        )
        want_ticket_mail(connection, shop_id, SIGN_IN, number, now=context.now(), language=language)
    context.wake()


def _may_send(context: Context, email: str, address: str) -> bool:
    """Count an attempt, and tell whether that mailbox may be sent one more mail; raise TooMany for the caller's own.

    A mailbox that has had enough is passed over in silence: who asked too often for somebody else is nobody's business.
    """
    count_attempt(context, "let-in", address, at_most=ASKED_MAX, seconds=HOUR)
    try:
        count_attempt(context, "let-in-mail", normalise_email(email), at_most=MAILS_MAX, seconds=HOUR)
    except TooMany:
        return False
    return True


def known_sharer(
    context: Context, connection: Connection, email: str, shop_id: int | None
) -> Any:
    """Return who shares under an address, in one shop or in any, as (person_id, shop_id)."""
    wanted = (
        select(sharer.c.person_id, sharer.c.shop_id)
        .join(person, person.c.id == sharer.c.person_id)
        .where(
            person.c.email_hash == context.keys.pepper_hash("email", normalise_email(email)),
            person.c.erased_at.is_(None),
        )
    )
    if shop_id is not None:
        wanted = wanted.where(sharer.c.shop_id == shop_id)
    return connection.execute(wanted.order_by(sharer.c.id).limit(1)).one_or_none()


def _require_open(connection: Connection, shop_id: int) -> str:
    """Return the status with which one joins; raise Conflict where nobody does."""
    mode = show_program(connection, shop_id).join_mode
    if mode == CLOSED:
        raise Conflict("joining_closed", mark("This shop takes nobody new at the moment."))
    return _STATUS_OF[mode]


# --- coming in ------------------------------------------------------------------------------------------------------


def join(context: Context, shop_id: int, text: str, *, language: str, agent: str) -> Entered:
    """Make the holder of a ticket a sharer, with a link and a session; who is one already comes in as well.

    Raise TicketOver, or Conflict where the shop takes nobody and the holder is no sharer yet.
    """
    found = tickets.look(context, tickets.JOIN, text)
    if found.shop_id != shop_id:
        raise tickets.TicketOver
    sharer_id, person_id = _sharer(context, shop_id, found, language)
    actor, own = public_id.show(public_id.PERSON, person_id), first_link(sharer_id)
    issue_link(context, shop_id, sharer_id, url=None, channel=None, campaign=None, unless=own, actor=actor)
    with context.database.writing() as connection:
        used = tickets.use(context, connection, tickets.JOIN, text)
        return Entered(open_session(context, connection, person_id=person_id, agent=agent), used)


def _sharer(context: Context, shop_id: int, found: tickets.Ticket, language: str) -> tuple[int, int]:
    """Return the sharer and the person whom a ticket is for, enrolled now where they are not."""
    row = _find(context, shop_id, found)
    if row is None:
        if found.email is None:
            raise tickets.TicketOver
        with context.database.reading() as connection:
            status = _require_open(connection, shop_id)
        new = NewSharer(found.email, found.body.get("name"), locale=language, status=status)
        with suppress(Conflict):  # where the same address is used twice at once, the other one has done it
            enrol_sharer(context, shop_id, new, actor="join")
        row = _find(context, shop_id, found)
        if row is None:
            raise tickets.TicketOver
    _take_back(context, row, found, language)
    return row.id, row.person_id


def _find(context: Context, shop_id: int, found: tickets.Ticket) -> Any:
    theirs = (
        person.c.id == found.person_id
        if found.email is None
        else person.c.email_hash == context.keys.pepper_hash("email", normalise_email(found.email))
    )
    wanted = select(sharer, person.c.erased_at).join(person, person.c.id == sharer.c.person_id)
    with context.database.reading() as connection:
        return connection.execute(wanted.where(sharer.c.shop_id == shop_id, theirs)).one_or_none()


def _take_back(context: Context, row: Row[Any], found: tickets.Ticket, language: str) -> None:
    """Let a person come back who left by their own wish, or who was erased and says again who they are."""
    if row.erased_at is not None:
        if found.email is None:
            raise tickets.TicketOver
        said = {"email": found.email, "name": found.body.get("name"), "locale": language, "erased_at": None}
        with context.database.writing() as connection:
            connection.execute(update(person).where(person.c.id == row.person_id).values(said))
    with context.database.reading() as connection:
        now = standing_of(connection, row.id)
        has_left = now.status == "suspended" and now.actor == public_id.show(public_id.PERSON, row.person_id)
        status = _require_open(connection, row.shop_id) if has_left else now.status
    if has_left:
        change_sharer(context, row, {"status": status}, actor=now.actor)


def enter(context: Context, text: str, *, agent: str, instead_of: int | None) -> Entered:
    """Sign a person in by the address in their mail; a session they have in this browser ends. Raise TicketOver.

    Where that one began by the word of a host app, the new one ends with that word, too.
    """
    found = tickets.look(context, tickets.SIGN_IN, text)
    if found.person_id is None:
        raise tickets.TicketOver
    with context.database.writing() as connection:
        tickets.use(context, connection, tickets.SIGN_IN, text)
        same = (session.c.id == instead_of) & (session.c.person_id == found.person_id)
        by_host = connection.execute(session.delete().where(same).returning(session.c.by_host)).scalar_one_or_none()
        token = open_session(context, connection, person_id=found.person_id, agent=agent, by_host=bool(by_host))
        return Entered(token, found)


def leave(context: Context, sharer_id: int, person_id: int) -> None:
    """Suspend a sharer by their own wish, from now on; what was earned stays theirs."""
    with context.database.reading() as connection:
        row = connection.execute(select(sharer).where(sharer.c.id == sharer_id)).one()
        is_over = standing_of(connection, sharer_id).status == "suspended"
    if not is_over:
        change_sharer(
            context, row, {"status": "suspended"}, actor=public_id.show(public_id.PERSON, person_id)
        )
