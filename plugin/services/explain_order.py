"""An order explained: what it earns whom and why, and everything that happened to it and to its money, in order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, literal, select

from plugin.database import among
from plugin.domain.money import format_minor, round_to_minor
from plugin.errors import NotFound
from plugin.models import fact, orders, owner, person, sharer, transfer
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.show_order import Seen, show_whole

TRANSFERS_MAX = 500


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an order: ``kind`` is placed, paid, refund, manual, hold, release, or ``money``.

    Of money, ``what`` is the kind of transfer and ``who`` whose it is; of a decision by hand, who got the order.
    """

    at: int
    kind: str
    what: str | None = None
    who: str | None = None
    amount: str | None = None
    currency: str | None = None
    reason: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """An order and its receipt as the API shows them, its story, and what the people in it are called."""

    order: Mapping[str, Any]
    receipt: Mapping[str, Any]
    state: str
    refunds: Sequence[Event]
    story: Sequence[Event]
    people: Mapping[str, str]

    @property
    def is_released(self) -> bool:
        """Tell whether the hold is over: from then on nothing can be kept back."""
        return self.receipt["released_at"] is not None


def explain_order(context: Context, shop_id: int, ref: str) -> Explained:
    """Return an order of the shop explained, by the shop's own id; raise NotFound."""
    with context.database.reading() as connection:
        seen, order, receipt = show_whole(connection, shop_id, orders.c.ref == ref)
        refunds = _refunds(seen)
        story = [*_told(seen), *refunds, *_decided(connection, seen), *_booked(connection, seen)]
        return Explained(
            order=order,
            receipt=receipt,
            state=seen.row.state,
            refunds=refunds,
            story=sorted(story, key=lambda one: one.at),
            people=_people(connection, order, receipt, story),
        )


def _told(seen: Seen) -> list[Event]:
    """Return what the shop told of the order itself."""
    found = [Event(seen.story.first.placed_at, "placed")]
    if seen.order.paid_at is not None:
        found.append(Event(seen.order.paid_at, "paid"))
    return found


def _refunds(seen: Seen) -> list[Event]:
    currency = seen.order.currency
    return [
        Event(
            refund.at if refund.at is not None else seen.order.updated_at,
            "refund",
            what=refund.id,
            amount=format_minor(round_to_minor(refund.amount, currency), currency),
            currency=currency,
        )
        for refund in seen.order.refunds
    ]


def _decided(connection: Connection, seen: Seen) -> list[Event]:
    wanted = select(fact).where(fact.c.order_id == seen.row.id, fact.c.kind.in_(("manual", "hold", "release")))
    return [
        Event(
            row.recorded_at,
            row.kind,
            who=public_id.show_optional(public_id.SHARER, row.sharer_id),
            reason=json.loads(row.body).get("reason"),
            actor=row.actor,
        )
        for row in connection.execute(wanted.order_by(fact.c.id))
    ]


def _booked(connection: Connection, seen: Seen) -> list[Event]:
    wanted = select(transfer).where(transfer.c.order_id == seen.row.id).order_by(transfer.c.number)
    return [
        Event(
            row.written_at,
            "money",
            what=row.kind,
            who=public_id.show(public_id.SHARER, row.sharer_id),
            amount=format_minor(row.amount, row.currency),
            currency=row.currency,
        )
        for row in connection.execute(wanted.limit(TRANSFERS_MAX))
    ]


def _people(
    connection: Connection, order: Mapping[str, Any], receipt: Mapping[str, Any], story: Sequence[Event]
) -> dict[str, str]:
    """Return what the sharers and the shop's people in an order are called, by their public ids."""
    names = {one["sharer"] for one in (*order["commissions"], *receipt["evidence"])} | {receipt["winner"]}
    names |= {name for one in story for name in (one.who, one.actor)}
    sharers, owners = (_numbers(prefix, names) for prefix in (public_id.SHARER, public_id.OWNER))
    theirs = select(literal(public_id.SHARER), sharer.c.id, person.c.name, person.c.email).join(person)
    members = select(literal(public_id.OWNER), owner.c.id, literal(None), owner.c.email)
    both = theirs.where(among(sharer.c.id, sharers)).union_all(members.where(among(owner.c.id, owners)))
    rows = connection.execute(both).all()
    return {public_id.show(prefix, number): name or email or public_id.show(prefix, number)
            for prefix, number, name, email in rows}  # fmt: skip


def _numbers(prefix: str, names: set[str | None]) -> list[int]:
    found = []
    for name in names:
        try:
            found.append(public_id.read(prefix, name))
        except NotFound:
            continue
    return found
