"""Signing in whom a host app says is signed in there: without mail or password, for as long as it goes on saying so.

The host is asked at every page. Its word opens the pages; money and secrets want a proof of who it is besides, unless
the host vouches for a fresh one. Whoever was taken out of the team here stays out, whatever the host says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from plugin.domain.order import normalise_email
from plugin.models import owner, shop
from plugin.services.context import Context
from plugin.services.enrol_sharer import is_email
from plugin.services.let_in import known_sharer
from plugin.services.manage_team import ROLES
from plugin.services.sessions import NO_PASSWORD, Guest, Member, open_session

_OWNER, _LEAST = "owner", "viewer"


@dataclass(frozen=True, slots=True)
class HostUser:
    """Who is signed in in the host app: a proven address; for those who run shops a role, and the one shop, if one."""

    email: str
    role: str | None = None
    shop: str | None = None  # its key; None: all shops
    is_fresh: bool = False


def read_host_user(said: object) -> HostUser | None:
    """Return whom a host named, None for nobody; raise ValueError for what names neither.

    It says an e-mail address, or a mapping of ``email`` and, where there are any, ``role``, ``shop`` and ``fresh``.
    """
    if said is None:
        return None
    told = {"email": said} if isinstance(said, str) else said
    if not isinstance(told, Mapping):
        raise ValueError("identify returns an e-mail address, a mapping with one, or None.")
    email, role, shop_key = told.get("email"), told.get("role"), told.get("shop")
    if not isinstance(email, str) or not is_email(email.strip()):
        raise ValueError("The email that identify returned is none.")
    if role not in (None, *ROLES):
        raise ValueError(f"The role that identify returned is none of {', '.join(ROLES)}.")
    if shop_key is not None and not isinstance(shop_key, str):
        raise ValueError("The shop that identify returned is no key of a shop.")
    return HostUser(email.strip(), role, shop_key, told.get("fresh") is True)


# --- those who run a shop -------------------------------------------------------------------------------------------


def enter_member(context: Context, user: HostUser, *, agent: str) -> str | None:
    """Begin a session of a member whom the host gives a role; return its token, None for whom there is no way in.

    Whoever is in no team yet is added, without a password, and has from then on the role and shop the host names.
    """
    if user.role is None:
        return None
    with context.database.writing() as connection:
        shop_id, is_known = _shop_of(connection, user)
        number = _member(context, connection, user, shop_id) if is_known else None
        if number is None:
            return None
        return open_session(context, connection, owner_id=number, agent=agent, by_host=True, is_fresh=False)


def keep_member(context: Context, member: Member, user: HostUser | None) -> Member | None:
    """Return a member who came by the host's word, as far as that goes now; None where it is over.

    With a password of their own they may here what both say: the host and their team.
    """
    if user is None or user.role is None or user.email.lower() != member.email:
        return None
    with context.database.reading() as connection:
        shop_id, is_known = _shop_of(connection, user)
    if not is_known:
        return None
    if not member.has_password:
        is_same = (user.role, shop_id) == (member.role, member.shop_id)
        return replace(member, is_fresh=user.is_fresh) if is_same else None
    if None not in (shop_id, member.shop_id) and shop_id != member.shop_id:
        return None
    return replace(
        member,
        role=_both(user.role, member.role),
        shop_id=member.shop_id if shop_id is None else shop_id,
        is_fresh=member.is_fresh or user.is_fresh,
    )


def _shop_of(connection: Connection, user: HostUser) -> tuple[int | None, bool]:
    """Return the shop a host names, None for all of them, and whether there is one of that key."""
    if user.shop is None:
        return None, True
    number = connection.execute(select(shop.c.id).where(shop.c.key == user.shop)).scalar_one_or_none()
    return number, number is not None


def _member(context: Context, connection: Connection, user: HostUser, shop_id: int | None) -> int | None:
    """Return the member a user is, added where there was none; None where their access was ended here."""
    email, given = user.email.lower(), {"role": user.role, "shop_id": shop_id}
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    made = {"email": email, "password_hash": NO_PASSWORD, "created_at": context.now(), **given}
    connection.execute(dialect.insert(owner).values(made).on_conflict_do_nothing(index_elements=[owner.c.email]))
    row = connection.execute(select(owner).where(owner.c.email == email).with_for_update()).one()
    if row.ended_at is not None:
        return None
    if row.password_hash == NO_PASSWORD:
        connection.execute(update(owner).where(owner.c.id == row.id).values(given))
    number: int = row.id
    return number


def _both(one: str, other: str) -> str:
    """Return the role that may do what both may."""
    if one == _OWNER:
        return other
    return one if other in (one, _OWNER) else _LEAST


# --- those who share ------------------------------------------------------------------------------------------------


def enter_guest(context: Context, user: HostUser, *, agent: str) -> str | None:
    """Begin a session of the person who shares under a user's address; return its token, None where nobody does."""
    with context.database.reading() as connection:
        known = known_sharer(context, connection, user.email, None)
    if known is None:
        return None
    with context.database.writing() as connection:
        return open_session(context, connection, person_id=known.person_id, agent=agent, by_host=True, is_fresh=False)


def keep_guest(guest: Guest, user: HostUser | None) -> Guest | None:
    """Return a person who came by the host's word, None where that is over."""
    if user is None or normalise_email(user.email) != normalise_email(guest.email):
        return None
    return replace(guest, is_fresh=guest.is_fresh or user.is_fresh)
