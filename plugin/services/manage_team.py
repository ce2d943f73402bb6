"""The people who run a shop: inviting them by a one-time address, their roles, and ending their access.

Somebody who runs one shop alone decides only about that shop. At least one owner of all shops always remains.
"""

from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Connection, Row, select, update

from plugin.errors import BadRequest, Conflict, NotFound
from plugin.languages import mark
from plugin.models import api_token, owner, shop
from plugin.services import tickets
from plugin.services.context import Context
from plugin.services.manage_access import EMAIL_LENGTH_MAX, add_member, check_password
from plugin.services.sessions import Member, end_sessions, open_session
from plugin.services.want_mail import TEAM_INVITATION, want_ticket_mail

ROLES = ("owner", "manager", "payer", "viewer")
SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Invited:
    """Who is invited: what they may do, and in which shop (None: in all)."""

    email: str
    role: str
    shop_id: int | None


def list_team(context: Context, by: Member) -> list[dict[str, Any]]:
    """Return the people who run what ``by`` runs, the oldest first; those whose access has ended are left out."""
    wanted = (
        select(owner, shop.c.name.label("shop_name"))
        .outerjoin(shop, shop.c.id == owner.c.shop_id)
        .where(owner.c.ended_at.is_(None))
        .order_by(owner.c.id)
        .limit(SHOWN_MAX)
    )
    if by.shop_id is not None:
        wanted = wanted.where(owner.c.shop_id == by.shop_id)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    return [
        {
            "id": row.id,
            "email": row.email,
            "role": row.role,
            "shop_id": row.shop_id,
            "shop_name": row.shop_name,
            "has_second_factor": row.totp is not None,
            "created_at": row.created_at,
        }
        for row in rows
    ]


def list_tokens(context: Context, by: Member) -> list[Row[Any]]:
    """Return the API tokens that work in what ``by`` runs, the newest first."""
    wanted = (
        select(api_token, shop.c.name.label("shop_name"))
        .outerjoin(shop, shop.c.id == api_token.c.shop_id)
        .where(api_token.c.revoked_at.is_(None))
        .order_by(api_token.c.id.desc())
        .limit(SHOWN_MAX)
    )
    if by.shop_id is not None:
        wanted = wanted.where(api_token.c.shop_id == by.shop_id)
    with context.database.reading() as connection:
        return list(connection.execute(wanted).all())


def invite_member(context: Context, by: Member, wanted: Invited, *, shop_id: int, language: str) -> str:
    """Invite somebody; return the path of their one-time address. It is sent to them by mail as well.

    ``shop_id`` is the shop in whose name the mail is sent. Raise BadRequest by field.
    """
    email = wanted.email.strip().lower()
    errors: dict[str, list[str]] = {}
    if "@" not in email[1:-1] or len(email) > EMAIL_LENGTH_MAX or not email.isprintable() or " " in email:
        errors["email"] = [mark("Is not an e-mail address.")]
    if wanted.role not in ROLES:
        errors["role"] = [mark("Choose one of these.")]
    if by.shop_id not in (None, wanted.shop_id):
        errors["where"] = [mark("Choose one of these.")]
    with context.database.writing() as connection:
        if not errors and _active(connection, email) is not None:
            errors["email"] = [mark("Runs the shop with you already.")]
        if errors:
            raise BadRequest("invalid", "Some fields are not right.", fields=errors)
        body = {"role": wanted.role, "shop": wanted.shop_id, "by": by.id}
        number = tickets.issue(
            connection, tickets.TEAM, now=context.now(), shop_id=wanted.shop_id, email=email, body=body
        )
        want_ticket_mail(connection, shop_id, TEAM_INVITATION, number, now=context.now(), language=language)
        text = tickets.show(context, connection, number)
    context.wake()
    return f"/admin/join/{text}"


def _active(connection: Connection, email: str) -> Row[Any] | None:
    return connection.execute(
        select(owner).where(owner.c.email == email, owner.c.ended_at.is_(None))
    ).one_or_none()


def look_at_invitation(context: Context, text: str) -> tickets.Ticket:
    """Return an open invitation; raise TicketOver, also where whoever invited may do so no more."""
    found = tickets.look(context, tickets.TEAM, text)
    with context.database.reading() as connection:
        _require_inviter(connection, found)
    return found


def _require_inviter(connection: Connection, found: tickets.Ticket) -> None:
    by = connection.execute(
        select(owner.c.shop_id)
        .where(owner.c.id == found.body["by"], owner.c.role == "owner", owner.c.ended_at.is_(None))
    ).one_or_none()
    if by is None or by.shop_id not in (None, found.body["shop"]):
        raise tickets.TicketOver


def accept_invitation(context: Context, text: str, password: str, *, agent: str) -> str:
    """Take an invitation up with a password; return the token of the new member's session.

    Whoever was in the team before comes back with nothing of old: neither password nor second factor.
    """
    email = look_at_invitation(context, text).email or ""
    check_password(password)
    with context.database.writing() as connection:
        found = tickets.use(context, connection, tickets.TEAM, text)
        _require_inviter(connection, found)
        role, shop_id = found.body["role"], found.body["shop"]
        ended = connection.execute(
            select(owner.c.id).where(owner.c.email == email, owner.c.ended_at.is_not(None))
        ).scalar_one_or_none()
        if ended is None:
            number = add_member(context, connection, email, password, role=role, shop_id=shop_id)
        else:
            number = ended
            again = {"role": role, "shop_id": shop_id, "totp": None, "totp_step": None, "ended_at": None}
            kept = {"password_hash": PasswordHasher().hash(password), **again}
            connection.execute(update(owner).where(owner.c.id == number).values(kept))
        return open_session(context, connection, owner_id=number, agent=agent)


def change_role(context: Context, by: Member, number: int, role: str) -> None:
    """Give a member another role, from their next page on."""
    if role not in ROLES:
        raise BadRequest("invalid", "Some fields are not right.", fields={"role": [mark("Choose one of these.")]})
    with context.database.writing() as connection:
        row = _theirs(connection, by, number)
        if role != "owner":
            _require_another_owner(connection, row)
        connection.execute(update(owner).where(owner.c.id == number).values(role=role))


def end_access(context: Context, by: Member, number: int) -> None:
    """End a member's access: every session of theirs ends at once, and so do the invitations they sent."""
    with context.database.writing() as connection:
        row = _theirs(connection, by, number)
        _require_another_owner(connection, row)
        connection.execute(update(owner).where(owner.c.id == number).values(ended_at=context.now()))
        tickets.withdraw(connection, tickets.FACTOR, owner_id=number)
        end_sessions(connection, owner_id=number)


def _theirs(connection: Connection, by: Member, number: int) -> Row[Any]:
    """Return a member whom ``by`` decides about; anybody else is as good as not there."""
    row = connection.execute(
        select(owner).where(owner.c.id == number, owner.c.ended_at.is_(None)).with_for_update()
    ).one_or_none()
    if row is None or by.shop_id not in (None, row.shop_id):
        raise NotFound("unknown_member", "There is nobody of that name in the team.")
    return row


def _require_another_owner(connection: Connection, row: Row[Any]) -> None:
    """Raise Conflict for the last owner of all shops. The rows are locked, so of two at once the second sees it."""
    if row.role != "owner" or row.shop_id is not None:
        return
    owners = connection.execute(
        select(owner.c.id)
        .where(owner.c.role == "owner", owner.c.shop_id.is_(None), owner.c.ended_at.is_(None))
        .order_by(owner.c.id)
        .with_for_update()
    ).scalars()
    if set(owners) <= {row.id}:
        raise Conflict("last_owner", "The last owner stays an owner: make somebody else one first.")
