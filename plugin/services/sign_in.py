"""Signing in: owners by password and, once they have one, a second factor; persons by a ticket from their mail.

Unknown and known addresses get the same answer after the same work (OWASP ASVS 5.0, 6.3.8); codes follow RFC 6238 and
none is taken twice (section 5.2 there).
"""

import hmac
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, select, update

from plugin.domain.moment import SECOND
from plugin.errors import BadRequest, Conflict, PluginError
from plugin.languages import mark
from plugin.models import owner, session
from plugin.services import tickets
from plugin.services.context import Context
from plugin.services.limit_attempts import count_attempt
from plugin.services.manage_access import add_member, check_password, has_owner
from plugin.services.sessions import NO_PASSWORD, Member, end_sessions, open_session
from plugin.settings import SETTINGS

QUARTER = 900
STEP_SECONDS = 30
_SEALED_FOR = "totp"
_BASE32 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")  # RFC 4648, section 6


class NotSignedIn(PluginError):
    """The e-mail and the password, or the code, do not go together; which of them is wrong is not said."""

    status = 403

    def __init__(self, message: str = mark("This e-mail and password do not go together.")) -> None:
        super().__init__("not_signed_in", message)


@dataclass(frozen=True, slots=True)
class Entered:
    """What came of a password: a session's token, or the text of a ticket that is good for the second step."""

    token: str | None = None
    second: str | None = None


def set_up_address(context: Context, listens_on: str) -> str | None:
    """Return the one-time address at which the first owner is made, or None where there is an owner.

    Those printed by earlier starts are worth nothing any more. Where no public address was set it is where we listen.
    """
    if has_owner(context):
        return None
    with context.database.writing() as connection:
        tickets.withdraw(connection, tickets.SETUP)
        text = tickets.show(context, connection, tickets.issue(connection, tickets.SETUP, now=context.now()))
    usual = next(one.default for one in SETTINGS if one.name == "base_url")
    home = listens_on if context.settings.base_url == usual else context.settings.base_url
    return f"{home}/admin/setup/{text}"


def set_up(context: Context, text: str, email: str, password: str, *, agent: str) -> str:
    """Make the first owner by the one-time address the first start printed; return the token of their session."""
    tickets.look(context, tickets.SETUP, text)  # before the work of a hash, which nobody should be able to ask for
    check_password(password)
    with context.database.writing() as connection:
        tickets.use(context, connection, tickets.SETUP, text)
        number = add_member(context, connection, email, password, role="owner")
        return open_session(context, connection, owner_id=number, agent=agent)


def enter(context: Context, email: str, password: str, *, agent: str, address: str) -> Entered:
    """Sign an owner in by password; raise NotSignedIn, or TooMany where there were too many tries from an address."""
    count_attempt(context, "sign-in", address, at_most=30, seconds=QUARTER)
    count_attempt(context, "sign-in", f"{address} {email.strip().lower()[:254]}", at_most=8, seconds=QUARTER)
    with context.database.reading() as connection:
        row = connection.execute(
            select(owner).where(owner.c.email == email.strip().lower(), owner.c.ended_at.is_(None))
        ).one_or_none()
    if not _is_password(row, password) or row is None:
        raise NotSignedIn
    with context.database.writing() as connection:
        if row.totp is not None:
            number = tickets.issue(connection, tickets.FACTOR, now=context.now(), owner_id=row.id)
            return Entered(second=tickets.show(context, connection, number))
        return Entered(token=open_session(context, connection, owner_id=row.id, agent=agent))


def enter_by_code(context: Context, second: str, code: str, *, agent: str, address: str) -> str:
    """Finish a sign-in by the second factor; return the session's token. Raise TicketOver, NotSignedIn or TooMany."""
    found = tickets.look(context, tickets.FACTOR, second)
    count_attempt(context, "code", f"{address} {found.owner_id}", at_most=8, seconds=QUARTER)
    with context.database.writing() as connection:
        row = connection.execute(select(owner).where(owner.c.id == found.owner_id)).one()
        _take_code(context, connection, row, code)
        tickets.use(context, connection, tickets.FACTOR, second)
        return open_session(context, connection, owner_id=row.id, agent=agent)


def freshen(context: Context, member: Member, password: str, code: str, *, agent: str, address: str) -> str:
    """Sign an owner in again for the money pages; end the session at hand and return the token of a new one."""
    _count_own(context, member, address)
    with context.database.reading() as connection:
        row = connection.execute(select(owner).where(owner.c.id == member.id)).one()
    if not _is_password(row, password):
        raise NotSignedIn("This is not your password.")
    with context.database.writing() as connection:
        if row.totp is not None:
            _take_code(context, connection, row, code)
        connection.execute(session.delete().where(session.c.id == member.session_id))
        return open_session(context, connection, owner_id=member.id, agent=agent, by_host=member.by_host)


def _count_own(context: Context, member: Member, address: str) -> None:
    """Count a try at the password or the code of whoever is signed in: a session that was left open must not do."""
    count_attempt(context, "freshen", f"{address} {member.id}", at_most=8, seconds=QUARTER)


def _is_password(row: Row[Any] | None, password: str) -> bool:
    """Tell whether a password is the owner's; where there is no such owner, or no password, the same work is done."""
    has_one = row is not None and row.password_hash != NO_PASSWORD
    kept = row.password_hash if row is not None and has_one else _nobody()
    try:
        is_right = PasswordHasher().verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
    return is_right and has_one


@cache
def _nobody() -> str:
    return PasswordHasher().hash("nobody's")


# --- the second factor ----------------------------------------------------------------------------------------------


def new_factor() -> str:
    """Return a fresh secret for an authenticator app, in base32."""
    return pyotp.random_base32()


def factor_address(secret: str, email: str) -> str:
    """Return what an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Passalong")


def keep_factor(context: Context, member: Member, secret: str, code: str) -> None:
    """Have an owner sign in with a second factor from now on; raise BadRequest where the code is not of this secret."""
    if len(secret) != len(new_factor()) or not _BASE32.issuperset(secret):
        raise BadRequest("bad_factor", "This is not a secret that was shown here. Begin again.")
    step = _step_of(secret, code, now=context.now(), after=None)
    if step is None:
        raise BadRequest("invalid", "Some fields are not right.", fields={"code": [_WRONG_CODE]})
    with context.database.writing() as connection:
        sealed = context.keys.seal(_SEALED_FOR, secret.encode())
        connection.execute(update(owner).where(owner.c.id == member.id).values(totp=sealed, totp_step=step))


def drop_factor(context: Context, member: Member, code: str, *, address: str) -> None:
    """Have an owner sign in by password alone again; raise NotSignedIn for a wrong code, TooMany after too many."""
    _count_own(context, member, address)
    with context.database.writing() as connection:
        row = connection.execute(select(owner).where(owner.c.id == member.id)).one()
        if row.totp is None:
            raise Conflict("no_second_factor", "There is no second factor to be switched off.")
        _take_code(context, connection, row, code)
        connection.execute(update(owner).where(owner.c.id == member.id).values(totp=None, totp_step=None))


_WRONG_CODE = mark("This is not the code that the app shows now.")


def _take_code(context: Context, connection: Connection, row: Row[Any], code: str) -> None:
    """Take a code, once; raise NotSignedIn for a wrong one and for one that was taken before."""
    secret = context.keys.open(_SEALED_FOR, row.totp).decode()
    last, newest = row.totp_step, context.now() // SECOND // STEP_SECONDS + 1
    # A step that is still to come was taken by a clock that was ahead; it must not bar the way until then.
    after = last if last is not None and last <= newest else None
    step = _step_of(secret, code, now=context.now(), after=after)
    if step is None:
        raise NotSignedIn(_WRONG_CODE)
    taken = connection.execute(
        update(owner)
        .where(owner.c.id == row.id, owner.c.totp_step.is_not_distinct_from(last))
        .values(totp_step=step)
    )
    if not taken.rowcount:
        raise NotSignedIn(_WRONG_CODE)


def _step_of(secret: str, code: str, *, now: int, after: int | None) -> int | None:
    """Return the time step of a code, at most one before or after now, or None where it is no code of these."""
    digits = "".join(code.split())
    current, totp = now // SECOND // STEP_SECONDS, pyotp.TOTP(secret)
    found = None
    for step in (current - 1, current, current + 1):
        same = hmac.compare_digest(totp.generate_otp(step).encode(), digits.encode("utf-8", "replace"))
        if same and (after is None or step > after):
            found = step
    return found


# --- passwords ------------------------------------------------------------------------------------------------------


def change_password(context: Context, member: Member, old: str, new: str, *, address: str) -> None:
    """Change an owner's password and end all their other sessions, also those that only lack the second step.

    Raise NotSignedIn where the old one is wrong, TooMany where that was tried too often.
    """
    _count_own(context, member, address)
    with context.database.reading() as connection:
        row = connection.execute(select(owner).where(owner.c.id == member.id)).one()
    if not _is_password(row, old):
        raise NotSignedIn("This is not your password.")
    check_password(new)
    hashed = PasswordHasher().hash(new)
    with context.database.writing() as connection:
        connection.execute(update(owner).where(owner.c.id == member.id).values(password_hash=hashed))
        tickets.withdraw(connection, tickets.FACTOR, owner_id=member.id)
        end_sessions(connection, owner_id=member.id, but=member.session_id)


# --- persons --------------------------------------------------------------------------------------------------------


def enter_by_ticket(context: Context, text: str, *, agent: str) -> tuple[str, tickets.Ticket]:
    """Sign a person in by the address in their mail; return the session's token and the ticket. Raise TicketOver."""
    with context.database.writing() as connection:
        found = tickets.use(context, connection, tickets.SIGN_IN, text)
        return open_session(context, connection, person_id=found.person_id, agent=agent), found
