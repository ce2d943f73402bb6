"""Deliveries as those who run the shop look through them: a page of the log, and what one of them said."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from plugin.errors import BadSignature, NotFound
from plugin.models import delivery
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.process_inbox import unseal

SHOWN_MAX = 64_000  # characters of a body
_LISTED = (
    delivery.c.id, delivery.c.delivery_id, delivery.c.topic, delivery.c.state, delivery.c.received_at,
    delivery.c.reason, delivery.c.attempts, delivery.c.order_ref,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opened:
    """What a delivery said, as text; ``is_cut`` where there is more of it."""

    headers: str
    body: str
    is_cut: bool


def page_of_deliveries(
    context: Context, shop_id: int, *, state: str, before: int | None, limit: int
) -> tuple[list[Any], int | None]:
    """Return a page of a shop's deliveries, newest first, of one state where that is asked; and the next cursor."""
    wanted = select(*_LISTED).where(delivery.c.shop_id == shop_id).order_by(delivery.c.id.desc())
    if state:
        wanted = wanted.where(delivery.c.state == state)
    if before is not None:
        wanted = wanted.where(delivery.c.id < before)
    with context.database.reading() as connection:
        rows = list(connection.execute(wanted.limit(limit + 1)).all())
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def find_delivery(context: Context, shop_id: int, name: str) -> Any:
    """Return a delivery of the shop by its public id, without its body; raise NotFound."""
    number = public_id.read(public_id.DELIVERY, name)
    wanted = select(*_LISTED, delivery.c.body.is_not(None).label("has_body"))
    with context.database.reading() as connection:
        row = connection.execute(
            wanted.where(delivery.c.id == number, delivery.c.shop_id == shop_id)
        ).one_or_none()
    if row is None:
        raise NotFound("unknown_delivery", "There is no such delivery.")
    return row


def open_delivery(context: Context, number: int) -> Opened | None:
    """Open a delivery and return what it said; None where its body was erased, or no key opens it any more."""
    with context.database.reading() as connection:
        sealed = connection.execute(select(delivery.c.body).where(delivery.c.id == number)).scalar_one()
    if sealed is None:
        return None
    try:
        headers, body = unseal(context, sealed)
    except (BadSignature, ValueError):
        return None
    text = body.decode("utf-8", "replace")
    return Opened(headers, text[:SHOWN_MAX], len(text) > SHOWN_MAX)
