"""What a sharer earned, order by order, and how it was paid. Each line says where its money lies, so lines add up to
the balances. Of the buyer nothing is shown, of the order's number only its end. Reads, never writes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, tuple_

from plugin.domain import ledger, payout
from plugin.domain.attribution import Decision
from plugin.domain.commission import DIRECT
from plugin.domain.order import Story
from plugin.errors import NotFound
from plugin.models import lot, orders, payout_item, payout_lot, transfer
from plugin.models import payout as batch
from plugin.services import public_id, stories
from plugin.services.context import Context
from plugin.services.show_order import show_whole

NUMBER_SHOWN = 3
_MOVES_MAX = 200
OTHER = "other"  # stands for every sharer but the one who reads
CANCELLED, CHARGEBACK, VOIDED, REFUNDED, MOVED = "cancelled", "chargeback", "voided", "refunded", "moved"
# Where a line's money lies, in the order in which it is told; what was withheld and kept as a fee was paid, too.
STATES: Mapping[str, tuple[str, ...]] = {
    name: purposes for name, purposes in ledger.BALANCES.items() if name != "earned"
}


@dataclass(frozen=True, slots=True)
class Line:
    """One commission: of which order and role, where its money lies, and what there is to say of it."""

    order_id: int
    role: str
    currency: str
    number: str
    placed_at: int
    ready_at: int | None  # when the hold ends, while it has not ended
    parts: tuple[tuple[str, int], ...]  # (state, minor units), without zeros
    why: str | None  # the kind of evidence by which the order is theirs; None: it is not, any more
    lost: str | None  # what was taken back, and why: one of the words above

    @property
    def minor(self) -> int:
        """Return what it comes to now."""
        return sum(minor for _, minor in self.parts)

    @property
    def cursor(self) -> str:
        """Return what the next page begins after."""
        return f"{self.order_id}.{self.role}.{self.currency}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; ``next`` is the cursor of the one after it."""

    items: Sequence[Any]
    next: str | None


def mask(number: str) -> str:
    """Return the end of an order's number: enough to tell one's orders apart, too little to ask the shop for one."""
    shown = min(NUMBER_SHOWN, len(number) // 2)
    return f"…{number[-shown:]}" if shown else "…"


def list_lines(context: Context, sharer_id: int, *, after: str | None, limit: int) -> Page:
    """Return a page of a sharer's commissions, the latest orders first."""
    wanted = _lines(sharer_id).order_by(lot.c.order_id.desc(), lot.c.role, lot.c.currency).limit(limit + 1)
    if after is not None:
        order_id, role, currency = _read_cursor(after)
        same, rest = lot.c.order_id == order_id, (lot.c.role, lot.c.currency)
        later = and_(same, tuple_(*rest) > tuple_(role, currency))
        wanted = wanted.where(lot.c.order_id <= order_id, or_(lot.c.order_id < order_id, later))
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    lines = [_line(row) for row in rows[:limit]]
    return Page(lines, lines[-1].cursor if len(rows) > limit else None)


def _read_cursor(text: str) -> tuple[int, str, str]:
    order_id, _, rest = text.partition(".")
    role, _, currency = rest.partition(".")
    if not (order_id.isascii() and order_id.isdigit() and len(order_id) <= 18 and rest.isprintable()):
        raise NotFound("not_found", "There is no such page.")
    return int(order_id), role, currency


def _lines(sharer_id: int) -> Any:
    names = ("ref", "story", "now", "decision", "placed_at", "release_at", "released")
    wanted = select(lot, *(orders.c[name] for name in names)).join(orders, orders.c.id == lot.c.order_id)
    return wanted.where(lot.c.sharer_id == sharer_id)


def _line(row: Row[Any]) -> Line:
    story, decision = stories.load(row.story, row.now), Decision.from_json(json.loads(row.decision))
    lies = row._mapping
    amounts = ((name, sum(lies[purpose] for purpose in purposes)) for name, purposes in STATES.items())
    parts = tuple((name, minor) for name, minor in amounts if minor)
    return Line(
        order_id=row.order_id,
        role=row.role,
        currency=row.currency,
        number=mask(story.order.number or row.ref),
        placed_at=row.placed_at,
        ready_at=None if row.released is not None else row.release_at,
        parts=parts,
        why=decision.kind if _has_part(decision, row.sharer_id) else None,
        lost=_lost(story, decision, row.sharer_id, row.role),
    )


def _has_part(decision: Decision, sharer_id: int) -> bool:
    frozen = decision.frozen
    return sharer_id in (frozen.sharer, frozen.buyer, *frozen.uplines)


def _lost(story: Story, decision: Decision, sharer_id: int, role: str) -> str | None:
    """Return what took money back, None where nothing did."""
    order = story.order
    if story.cancelled:
        return CANCELLED
    if order.payment in (CHARGEBACK, VOIDED):
        return str(order.payment)
    if not _has_part(decision, sharer_id) or (role == DIRECT and decision.winner != sharer_id):
        return MOVED
    return REFUNDED if order.refunds else None


# --- payouts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment to a sharer, or one that is to come; amounts in minor units."""

    id: str
    state: str
    currency: str
    gross: int
    withheld: int
    fee: int
    net: int
    reference: str | None
    reason: str | None
    rail: str
    started_at: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A payment with the commissions it pays, (order's number, day, role, minor units); a debt is below zero."""

    payment: Payment
    settled_at: int | None
    lines: Page


def list_payments(context: Context, sharer_id: int, *, before: str | None, limit: int) -> Page:
    """Return a page of a sharer's payments, newest first. Nobody hears of a draft: it may come to nothing."""
    wanted = _payments(sharer_id).order_by(payout_item.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(payout_item.c.id < public_id.read(public_id.ITEM, before))
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    items = [_payment(row) for row in rows[:limit]]
    return Page(items, items[-1].id if len(rows) > limit else None)


def show_statement(context: Context, sharer_id: int, name: str, *, after: int, limit: int) -> Statement:
    """Return a sharer's payment with the commissions it pays; raise NotFound for anybody else's."""
    number = public_id.read(public_id.ITEM, name)
    with context.database.reading() as connection:
        row = connection.execute(_payments(sharer_id).where(payout_item.c.id == number)).one_or_none()
        if row is None:
            raise NotFound("unknown_item", "There is no such payment.")
        rows = connection.execute(
            select(payout_lot, orders.c.ref, orders.c.now, orders.c.placed_at)
            .join(orders, orders.c.id == payout_lot.c.order_id)
            .where(payout_lot.c.item_id == number)
            .order_by(payout_lot.c.order_id, payout_lot.c.role)
            .offset(after)
            .limit(limit + 1)
        ).all()
        settled_at = _settled_at(connection, number, rows[0].order_id) if rows else None
    lines = [(_number(one), one.placed_at, one.role, one.amount) for one in rows[:limit]]
    return Statement(_payment(row), settled_at, Page(lines, str(after + limit) if len(rows) > limit else None))


def _number(row: Row[Any]) -> str:
    return mask(stories.unpack(row.now).order.number or row.ref)


def _payments(sharer_id: int) -> Any:
    columns = (batch.c.currency, batch.c.rail, batch.c.created_at)
    wanted = select(payout_item, *columns).join(batch, batch.c.id == payout_item.c.payout_id)
    return wanted.where(payout_item.c.sharer_id == sharer_id, batch.c.state.not_in((payout.DRAFT, payout.CANCELLED)))


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        public_id.show(public_id.ITEM, row.id), row.state, row.currency, row.gross, row.withheld, row.fee, row.net,
        row.reference, row.reason, row.rail, row.created_at,
    )  # fmt: skip


def _settled_at(connection: Connection, item: int, order_id: int) -> int | None:
    """Return when a payment was written down as paid."""
    wanted = select(transfer.c.written_at).where(
        transfer.c.order_id == order_id,
        transfer.c.payout_item_id == item,
        transfer.c.kind.in_(("settle", "settle_debt")),
    )
    return connection.execute(wanted.limit(1)).scalar_one_or_none()


# --- the receipt ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """What a sharer has of an order by one role: what took some of it back, as in a line, and how its money moved."""

    role: str
    lost: str | None
    transfers: Sequence[Row[Any]]


@dataclass(frozen=True, slots=True)
class Receipt:
    """An order and its receipt as the API shows them, but with nothing of other people in them.

    Of the order's number only the end is there, and another sharer is ``OTHER`` without code, group or channel.
    """

    sharer: str
    order: Mapping[str, Any]
    receipt: Mapping[str, Any]
    parts: Sequence[Part]


def explain_line(context: Context, shop_id: int, sharer_id: int, order_id: int) -> Receipt:
    """Return why an order went where it went and how a sharer's amounts came about; raise NotFound without any."""
    moved = select(transfer).where(transfer.c.order_id == order_id, transfer.c.sharer_id == sharer_id)
    with context.database.reading() as connection:
        seen, order, receipt = show_whole(connection, shop_id, orders.c.id == order_id)
        roles = sorted(role for who, role in seen.lots if who == sharer_id)
        if not roles:
            raise NotFound("unknown_order", "There is no such order in this shop.")
        moves = connection.execute(moved.order_by(transfer.c.number).limit(_MOVES_MAX)).all()
    mine = public_id.show(public_id.SHARER, sharer_id)
    number = mask(seen.order.number or seen.row.ref)
    parts = [
        Part(role, _lost(seen.story, seen.decision, sharer_id, role), [one for one in moves if one.role == role])
        for role in roles
    ]
    return Receipt(mine, _own_order(order, mine, number), _own_receipt(receipt, mine), parts)


def _own_order(order: Mapping[str, Any], mine: str, number: str) -> dict[str, Any]:
    earned = [one for one in order["commissions"] if one["sharer"] == mine]
    return {**order, "id": number, "number": number, "commissions": earned}


def _own_receipt(receipt: Mapping[str, Any], mine: str) -> dict[str, Any]:
    """Return a receipt without the amounts of others, and with nothing by which they could be known."""
    frozen = dict(receipt["frozen"], uplines=[])
    if receipt["winner"] != mine:
        frozen |= {"group": None, "channel": None, "campaign": None}
    return {
        **receipt,
        "winner": _named(receipt["winner"], mine),
        "evidence": [
            one if one["sharer"] == mine else {**one, "sharer": _named(one["sharer"], mine), "source": None}
            for one in receipt["evidence"]
        ],
        "frozen": frozen,
        "commission": [one for one in receipt["commission"] if one["sharer"] == mine],
    }


def _named(name: str | None, mine: str) -> str | None:
    return name if name in (None, mine) else OTHER
