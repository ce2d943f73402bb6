"""Sessions of people in a browser. The browser holds a random token, the database only its SHA-256; ending is deleting.

A session is made anew at each sign-in, so none can be planted beforehand, and it ends on the server: a copied cookie is
worth nothing after signing out, after a change of password, or once an owner's access was taken away.
"""

import hashlib
import secrets as randomness
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from plugin.domain.moment import SECOND
from plugin.models import owner, person, session
from plugin.services.context import Context

MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
FRESH = 15 * MINUTE  # how long after a sign-in the money pages open without another one
SEEN_EVERY = 60 * MINUTE  # a session's last use is known to the hour; more would write at every page
OWNER_LIFE, OWNER_IDLE = 30 * DAY, 7 * DAY
SHARER_LIFE, SHARER_IDLE = 365 * DAY, 90 * DAY
NO_PASSWORD = "none"  # what no password is ever hashed to
AGENT_MAX = 200


@dataclass(frozen=True, slots=True)
class Member:
    """One of the people who run the shop, signed in; ``shop_id`` None: all shops."""

    id: int
    email: str
    role: str
    shop_id: int | None
    locale: str | None
    has_second_factor: bool
    session_id: int
    token_hash: str
    is_fresh: bool
    by_host: bool  # signed in by the word of a host app
    has_password: bool  # or known by that word alone


@dataclass(frozen=True, slots=True)
class Guest:
    """A person who shares, signed in."""

    id: int
    email: str
    name: str | None
    locale: str | None
    session_id: int
    token_hash: str
    is_fresh: bool
    by_host: bool


def open_session(
    context: Context,
    connection: Connection,
    *,
    agent: str,
    owner_id: int | None = None,
    person_id: int | None = None,
    by_host: bool = False,
    is_fresh: bool = True,
) -> str:
    """Begin a session of an owner or a person; return the token for the browser, this once.

    ``by_host``: it lasts as long as a host app says who is there. ``is_fresh``: they have just proved who they are.
    """
    token, now = randomness.token_urlsafe(32), context.now()
    connection.execute(
        session.insert().values(
            token_hash=_hash(token),
            owner_id=owner_id,
            person_id=person_id,
            created_at=now,
            seen_at=now,
            fresh_until=now + FRESH if is_fresh else 0,
            ends_at=now + (OWNER_LIFE if owner_id is not None else SHARER_LIFE),
            agent=agent[:AGENT_MAX],
            by_host=by_host,
        )
    )
    return token


def find_member(context: Context, token: str) -> Member | None:
    """Return which owner holds the token of a session, or None."""
    two = owner.c.totp.is_not(None).label("two")
    has_password = (owner.c.password_hash != NO_PASSWORD).label("has_password")
    wanted = (
        select(session, owner.c.email, owner.c.role, owner.c.shop_id, owner.c.locale, two, has_password)
        .join(owner, owner.c.id == session.c.owner_id)
        .where(owner.c.ended_at.is_(None))
    )
    row = _find(context, wanted, token, OWNER_IDLE)
    if row is None:
        return None
    fresh = row.fresh_until >= context.now()
    return Member(
        id=row.owner_id,
        email=row.email,
        role=row.role,
        shop_id=row.shop_id,
        locale=row.locale,
        has_second_factor=row.two,
        session_id=row.id,
        token_hash=row.token_hash,
        is_fresh=fresh,
        by_host=row.by_host,
        has_password=row.has_password,
    )


def find_guest(context: Context, token: str) -> Guest | None:
    """Return which person holds the token of a session, or None."""
    wanted = (
        select(session, person.c.email, person.c.name, person.c.locale)
        .join(person, person.c.id == session.c.person_id)
        .where(person.c.erased_at.is_(None))
    )
    row = _find(context, wanted, token, SHARER_IDLE)
    if row is None:
        return None
    fresh = row.fresh_until >= context.now()
    return Guest(row.person_id, row.email, row.name, row.locale, row.id, row.token_hash, fresh, row.by_host)


def _find(context: Context, wanted: Any, token: str, idle: int) -> Any:
    now = context.now()
    alive = wanted.where(
        session.c.token_hash == _hash(token), session.c.ends_at >= now, session.c.seen_at >= now - idle
    )
    with context.database.reading() as connection:
        row = connection.execute(alive).one_or_none()
    if row is not None and row.seen_at < now - SEEN_EVERY:
        with context.database.writing() as connection:
            connection.execute(update(session).where(session.c.id == row.id).values(seen_at=now))
    return row


def end_session(context: Context, session_id: int) -> None:
    """End one session."""
    with context.database.writing() as connection:
        connection.execute(delete(session).where(session.c.id == session_id))


def end_sessions(
    connection: Connection, *, owner_id: int | None = None, person_id: int | None = None, but: int | None = None
) -> int:
    """End every session of an owner or a person, but one where told; return how many."""
    whose = session.c.owner_id == owner_id if owner_id is not None else session.c.person_id == person_id
    ended = delete(session).where(whose)
    return connection.execute(ended if but is None else ended.where(session.c.id != but)).rowcount


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
