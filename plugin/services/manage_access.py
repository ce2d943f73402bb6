"""Owners and API tokens. A token is shown once; only its SHA-256 is kept, and it is long enough for that to be safe."""

import hashlib
import secrets as randomness
from dataclasses import dataclass

from argon2 import PasswordHasher
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from plugin.errors import BadRequest, Conflict, NotAllowed, NotFound, PluginError, Sentence
from plugin.languages import mark
from plugin.models import api_token, owner, shop
from plugin.services import public_id
from plugin.services.add_shop import find_shop
from plugin.services.context import Context

SCOPES = ("read", "write", "payout")  # each includes those before it
PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX, EMAIL_LENGTH_MAX = 10, 1_000, 254


class BadToken(PluginError):
    """No token, or one that is not valid."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_token", "Send a valid token as Authorization: Bearer <token>.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds an API token: what they may do, and in which shop (None: in all)."""

    token_id: int
    scope: str
    shop_id: int | None

    @property
    def actor(self) -> str:
        """Return the name under which the record keeps what this caller does."""
        return public_id.show(public_id.TOKEN, self.token_id)

    def must(self, scope: str) -> None:
        """Raise NotAllowed unless the token's scope includes this one."""
        if SCOPES.index(self.scope) < SCOPES.index(scope):
            wording = "This needs a token of scope %(scope)s; yours is %(yours)s."
            raise NotAllowed("scope_too_small", wording, scope=scope, yours=self.scope)


def add_owner(context: Context, email: str, password: str) -> dict[str, str]:
    """Add an owner who signs in with a password."""
    check_password(password)
    with context.database.writing() as connection:
        number = add_member(context, connection, email, password, role="owner")
    return {"id": public_id.show(public_id.OWNER, number), "email": email.strip()}


def add_member(
    context: Context, connection: Connection, email: str, password: str, *, role: str, shop_id: int | None = None
) -> int:
    """Add one of the people who run the shop, in one shop or in all; return their number.

    Raise BadRequest for what is no e-mail, Conflict for one that is taken.
    """
    address = email.strip()
    if "@" not in address[1:-1] or len(address) > EMAIL_LENGTH_MAX or not address.isprintable() or " " in address:
        fields = {"email": [mark("Is not an e-mail address.")]}
        raise BadRequest("bad_email", "This is not an e-mail address.", fields=fields)
    taken = select(owner.c.id).where(owner.c.email == address.lower())
    if connection.execute(taken).first():
        raise _taken()
    row = owner.insert().values(
        email=address.lower(), password_hash=PasswordHasher().hash(password), role=role, shop_id=shop_id,
        created_at=context.now(),
    )  # fmt: skip
    try:
        number: int = connection.execute(row.returning(owner.c.id)).scalar_one()
    except IntegrityError:  # somebody was faster
        raise _taken() from None
    return number


def check_password(password: str) -> None:
    """Raise BadRequest for a password that is too short, or so long that only its hashing would cost."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        sentence = Sentence(
            "A password has %(least)s to %(most)s characters.", least=PASSWORD_LENGTH_MIN, most=PASSWORD_LENGTH_MAX
        )
        raise BadRequest("weak_password", sentence, fields={"password": [sentence]})


def _taken() -> Conflict:
    return Conflict("owner_exists", "There is an owner with this e-mail already.")


def has_owner(context: Context) -> bool:
    """Tell whether anybody can sign in."""
    with context.database.reading() as connection:
        return connection.execute(select(owner.c.id).limit(1)).first() is not None


def add_token(context: Context, name: str, *, scope: str, shop_key: str | None) -> dict[str, str]:
    """Make an API token for one shop or for all; return it, this once."""
    if scope not in SCOPES:
        raise BadRequest("bad_scope", "A scope is one of %(names)s.", names=", ".join(SCOPES))
    shop_id = find_shop(context, shop_key).id if shop_key is not None else None
    text = f"pat_{randomness.token_urlsafe(32)}"
    with context.database.writing() as connection:
        number = connection.execute(
            api_token.insert()
            .values(name=name, token_hash=_hash(text), scope=scope, shop_id=shop_id, created_at=context.now())
            .returning(api_token.c.id)
        ).scalar_one()
    return {"id": public_id.show(public_id.TOKEN, number), "token": text}


def revoke_token(context: Context, token: str) -> None:
    """End a token at once."""
    number = public_id.read(public_id.TOKEN, token)
    with context.database.writing() as connection:
        found = connection.execute(
            update(api_token)
            .where(api_token.c.id == number, api_token.c.revoked_at.is_(None))
            .values(revoked_at=context.now())
        )
        if not found.rowcount:
            raise NotFound("not_found", "There is no such token, or it is revoked already.")


def authenticate(context: Context, text: str) -> Caller:
    """Return who holds the token; raise BadToken. The look-up is by hash, so its time tells nothing of the token."""
    with context.database.reading() as connection:
        row = connection.execute(
            select(api_token).where(api_token.c.token_hash == _hash(text), api_token.c.revoked_at.is_(None))
        ).one_or_none()
    if row is None:
        raise BadToken
    return Caller(row.id, row.scope, row.shop_id)


def shop_of(context: Context, caller: Caller, key: str) -> int:
    """Return the number of a shop that the caller may touch; another's is as good as none."""
    with context.database.reading() as connection:
        number = connection.execute(select(shop.c.id).where(shop.c.key == key)).scalar_one_or_none()
    if number is None or caller.shop_id not in (None, number):
        raise NotFound("unknown_shop", "There is no shop with this key.")
    found: int = number
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
