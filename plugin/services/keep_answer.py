"""Keeping answers: the same idempotency key with the same body is answered once, and then always alike, for 30 days.

A claim is committed before the work begins and filled after it. A claim whose process died is taken over after a
minute, so that nobody is locked out for ever; what that process had committed by then is done again, and refused there
by the state it left (an e-mail taken, a payout approved).

Answers are kept sealed, for some of them show a secret once.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.dml import UpdateBase

from plugin.database import again
from plugin.domain.moment import DAY, SECOND
from plugin.errors import BadRequest, BadSignature, Conflict, Unavailable
from plugin.models import idempotency
from plugin.services.context import Context

KEPT_DAYS = 30
ABANDONED_SECONDS = 60
KEY_LENGTH_MAX = 255
_ENDPOINT_LENGTH_MAX = 400
_SEALED_FOR = "idempotency.answer"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body as they were sent."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer a key; ``at`` tells it from a claim that took it over."""

    token_id: int
    endpoint: str
    key: str
    body_sha: bytes
    at: int

    @property
    def mine(self) -> ColumnElement[bool]:
        """Return the condition that finds this claim while nobody has taken it over."""
        return _place(self) & (idempotency.c.created_at == self.at) & idempotency.c.status.is_(None)


def kept(
    context: Context, *, token_id: int, method: str, path: str, key: str, body: Any, work: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Return the answer of the first call with this key, and whether it is an old one; a 5xx is not kept.

    Raises Conflict where the key came with another body, or where the first call is still under way.
    """
    if not 0 < len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        fields = {"Idempotency-Key": [f"Must be 1 to {KEY_LENGTH_MAX} printable characters."]}
        raise BadRequest("invalid", "The idempotency key is not right.", fields=fields)
    claim = Claim(token_id, _endpoint(method, path), key, body_sha(body), context.now())
    old = again(lambda: _take(context, claim))
    if old is not None:
        return old, True
    answer = None
    try:
        answer = work()
    finally:
        if answer is None or answer.status >= 500:
            _finish(context, delete(idempotency).where(claim.mine))
    if answer.status < 500:
        sealed = context.keys.seal(_SEALED_FOR, answer.body)
        filled = update(idempotency).where(claim.mine).values(status=answer.status, answer=sealed)
        _finish(context, filled)
    return answer, False


def _finish(context: Context, statement: UpdateBase) -> None:
    """Close a claim. What was done is done and its answer must reach the caller, even if it cannot be kept."""

    def write() -> None:
        with context.database.writing() as connection:
            connection.execute(statement)

    try:
        again(write)
    except (SQLAlchemyError, Unavailable):
        _log.exception("the answer to an idempotency key could not be kept")


def body_sha(body: Any) -> bytes:
    """Return what two equal parsed bodies have in common, whatever their spelling and the order of their keys."""
    text = json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _endpoint(method: str, path: str) -> str:
    whole = f"{method} {path}"
    return whole if len(whole) <= _ENDPOINT_LENGTH_MAX else f"{method} {hashlib.sha256(path.encode()).hexdigest()}"


def _place(claim: Claim) -> ColumnElement[bool]:
    kept_rows = idempotency.c
    return (
        (kept_rows.token_id == claim.token_id)
        & (kept_rows.endpoint == claim.endpoint)
        & (kept_rows.key == claim.key)
    )


def _take(context: Context, claim: Claim) -> Answer | None:
    """Claim the key, or return the answer kept for it; raise Conflict where neither is possible."""
    row = {
        "token_id": claim.token_id,
        "endpoint": claim.endpoint,
        "key": claim.key,
        "body_sha": claim.body_sha,
        "created_at": claim.at,
    }
    with context.database.writing() as connection:
        if _is_first(connection, row):
            return None
        found = connection.execute(select(idempotency).where(_place(claim)).with_for_update()).one_or_none()
        if found is None:  # the first call failed and gave its claim up just now
            raise _under_way()
        old = _old_answer(context, claim, found)
        if old is None:
            _take_over(connection, claim)
        return old


def _is_first(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Write the claim; tell whether it is the only one."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(idempotency).values(row).on_conflict_do_nothing().returning(idempotency.c.created_at)
    return connection.execute(insert).first() is not None


def _old_answer(context: Context, claim: Claim, found: Row[Any]) -> Answer | None:
    """Return the answer kept, or None where the key may be taken over; raise Conflict otherwise."""
    if found.created_at < claim.at - KEPT_DAYS * DAY:
        return None
    if bytes(found.body_sha) != claim.body_sha:
        raise Conflict("idempotency_mismatch", "This idempotency key came with another body before; take a new key.")
    if found.status is not None:
        return Answer(found.status, open_answer(context, found.answer))
    if found.created_at < claim.at - ABANDONED_SECONDS * SECOND:
        return None
    raise _under_way()


def open_answer(context: Context, sealed: bytes) -> bytes:
    """Return the body of a kept answer; raise Conflict where it cannot be opened with the encryption keys there are."""
    try:
        return context.keys.open(_SEALED_FOR, sealed)
    except BadSignature:
        message = "The answer kept for this idempotency key cannot be opened any more. See what it did; take a new key."
        raise Conflict("answer_unreadable", message) from None


def _under_way() -> Conflict:
    return Conflict("idempotency_in_progress", "The first call with this idempotency key is under way; wait for it.")


def _take_over(connection: Connection, claim: Claim) -> None:
    fresh = {"created_at": claim.at, "body_sha": claim.body_sha, "status": None, "answer": None}
    connection.execute(update(idempotency).where(_place(claim)).values(fresh))

