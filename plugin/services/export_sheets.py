"""What an export of a shop holds: its sheets, each a stream of rows that is read once for CSV and once for JSON lines.

No sheet has a secret, a raw delivery, a click token or a payout address in it; of a buyer there is only what the books
keep, which is the shop's own number of them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from plugin.domain.attribution import Decision
from plugin.domain.moment import format_moment
from plugin.domain.money import format_minor
from plugin.models import (
    account,
    decision,
    delivery,
    event,
    fact,
    link,
    orders,
    payout,
    payout_item,
    payout_lot,
    person,
    plan,
    sharer,
    transfer,
)
from plugin.services import public_id, stories
from plugin.services.enrol_sharer import current_codes
from plugin.services.show_order import show_decision

READ = 1_000  # rows at a time; what an export needs of memory is so many of them, however large the shop
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """A shop that is read for an export, on one state of the database; ``address`` is where our links begin."""

    connection: Connection
    shop_id: int
    address: str

    def pages(self, wanted: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
        """Yield the rows of a query, some at a time; none is kept."""
        stream = self.connection.execute(wanted, execution_options={"stream_results": True, "yield_per": READ})
        yield from stream.partitions(READ)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A kind of thing that is exported: its columns, and all of it in pages of rows in one order."""

    name: str
    columns: Sequence[str]
    pages: Callable[[Reading], Iterator[Iterable[Values]]]


def _moment(at: int | None) -> str | None:
    return None if at is None else format_moment(at)


def _id(prefix: str, number: int | None) -> str | None:
    return public_id.show_optional(prefix, number or None)


def _each(write: Callable[[Reading, Row[Any]], Values], wanted: Callable[[int], Select[Any]]) -> Any:
    """Return the pages of a sheet that is written row by row."""

    def pages(reading: Reading) -> Iterator[Iterable[Values]]:
        for rows in reading.pages(wanted(reading.shop_id)):
            yield [write(reading, row) for row in rows]

    return pages


# --- people and links -------------------------------------------------------------------------------------------------


def _sharers(reading: Reading) -> Iterator[Iterable[Values]]:
    wanted = (
        select(sharer, person.c.email, person.c.name, person.c.locale, person.c.erased_at)
        .join(person, person.c.id == sharer.c.person_id)
        .where(sharer.c.shop_id == reading.shop_id)
        .order_by(sharer.c.id)
    )
    for rows in reading.pages(wanted):
        numbers = [row.id for row in rows]
        stands = _stands(reading.connection, numbers)
        codes = current_codes(reading.connection, numbers)
        yield [_sharer(row, stands[row.id], codes.get(row.id, ())) for row in rows]


def _sharer(row: Row[Any], stand: Values, codes: Sequence[str]) -> Values:
    return {
        "id": _id(public_id.SHARER, row.id),
        "person": _id(public_id.PERSON, row.person_id),
        "email": row.email,
        "name": row.name,
        "language": row.locale,
        "customer": row.customer_id,
        "status": stand["status"],
        "group": stand["group"],
        "inviter": _id(public_id.SHARER, stand["inviter"]),
        "codes": list(codes),
        "joined_at": _moment(row.created_at),
        "erased_at": _moment(row.erased_at),
    }


def _stands(connection: Connection, numbers: Sequence[int]) -> dict[int, Values]:
    """Return what each sharer's newest fact says."""
    wanted = select(fact.c.sharer_id, fact.c.body).where(fact.c.kind == "sharer", fact.c.sharer_id.in_(numbers))
    rows = connection.execute(wanted.order_by(fact.c.at, fact.c.position))
    return {row.sharer_id: json.loads(row.body) for row in rows}


def _link(reading: Reading, row: Row[Any]) -> Values:
    return {
        "id": _id(public_id.LINK, row.id),
        "sharer": _id(public_id.SHARER, row.sharer_id),
        "code": row.code,
        "address": f"{reading.address}/s/{row.code}",
        "leads_to": row.target_url,
        "channel": row.channel,
        "campaign": row.campaign,
        "made_at": _moment(row.created_at),
    }


def _code(reading: Reading, row: Row[Any]) -> Values:
    return {
        "code": row.code,
        "kind": "of a click" if row.kind == "click_code" else "of a sharer",
        "sharer": _id(public_id.SHARER, row.sharer_id),
        "from": _moment(row.at),
    }


# --- orders -----------------------------------------------------------------------------------------------------------


def _order(reading: Reading, row: Row[Any]) -> Values:
    now = stories.unpack(row.now)
    said = json.loads(now.text)
    if said.get("customer"):
        said["customer"].pop("email_hash", None)
    said.pop("tokens", None)
    return {
        "id": row.ref,
        "number": row.number,
        "state": row.state,
        "status": now.order.status,
        "payment": now.order.payment,
        "currency": row.currency,
        "placed_at": _moment(row.placed_at),
        "release_at": _moment(row.release_at),
        "is_released": row.released is not None,
        "is_held": row.held,
        "net": format_minor(row.net, row.currency),
        "refunded": format_minor(row.refunded, row.currency),
        "flags": json.loads(row.flags),
        "decision": None if row.decision is None else _decided(row.decision),
        "order": said,
    }


def _decision(reading: Reading, row: Row[Any]) -> Values:
    return {"order": row.ref, "position": row.position, "cause": row.cause, "decision": _decided(row.body)}


def _decided(body: str) -> Values:
    """Return a decision without the click tokens that it names: whoever holds one can bring it along again."""
    decided = show_decision(Decision.from_json(json.loads(body)))
    for one in decided["evidence"]:
        if one["kind"] == "link":
            one.pop("source", None)
    return decided


# --- the books --------------------------------------------------------------------------------------------------------


def _accounts(shop_id: int) -> Select[Any]:
    """Select the accounts with what was booked into and out of each, summed from the transfers alone."""
    into, out = (
        select(side.label("account"), func.sum(transfer.c.amount).label("amount"))
        .where(transfer.c.shop_id == shop_id)
        .group_by(side)
        .subquery(name)
        for name, side in (("booked_in", transfer.c.to_account), ("booked_out", transfer.c.from_account))
    )
    return (
        select(account, into.c.amount.label("booked_in"), out.c.amount.label("booked_out"))
        .outerjoin(into, into.c.account == account.c.id)
        .outerjoin(out, out.c.account == account.c.id)
        .where(account.c.shop_id == shop_id)
        .order_by(account.c.id)
    )


def _account(reading: Reading, row: Row[Any]) -> Values:
    return {
        "id": row.id,
        "sharer": _id(public_id.SHARER, row.sharer_id),
        "purpose": row.purpose,
        "currency": row.currency,
        "booked_in": format_minor(int(row.booked_in or 0), row.currency),
        "booked_out": format_minor(int(row.booked_out or 0), row.currency),
        "balance": format_minor(row.balance, row.currency),
    }


def _transfer(reading: Reading, row: Row[Any]) -> Values:
    return {
        "number": row.number,
        "id": row.id,
        "kind": row.kind,
        "from_account": row.from_account,
        "to_account": row.to_account,
        "amount": format_minor(row.amount, row.currency),
        "currency": row.currency,
        "sharer": _id(public_id.SHARER, row.sharer_id),
        "role": row.role,
        "order": row.ref,
        "payout_item": _id(public_id.ITEM, row.payout_item_id),
        "cause": row.cause,
        "actor": row.actor,
        "about_at": _moment(row.about_at),
        "written_at": _moment(row.written_at),
    }


def _fact(reading: Reading, row: Row[Any]) -> Values:
    return {
        "position": row.position,
        "kind": row.kind,
        "at": _moment(row.at),
        "recorded_at": _moment(row.recorded_at),
        "actor": row.actor,
        "sharer": _id(public_id.SHARER, row.sharer_id),
        "order": row.ref,
        "code": row.code,
        "body": json.loads(row.body),
    }


def _plan(reading: Reading, row: Row[Any]) -> Values:
    return {
        "version": row.version,
        "in_force_from": _moment(row.in_force_from),
        "put_at": _moment(row.put_at),
        "plan": json.loads(row.body),
    }


# --- payouts ----------------------------------------------------------------------------------------------------------


def _payout(reading: Reading, row: Row[Any]) -> Values:
    return {
        "id": _id(public_id.PAYOUT, row.id),
        "rail": row.rail,
        "currency": row.currency,
        "state": row.state,
        "minimum": format_minor(row.minimum, row.currency),
        "begun_at": _moment(row.created_at),
        "actor": row.actor,
        "left_out": [[_id(public_id.SHARER, who), why] for who, why in json.loads(row.left_out)],
    }


def _item(reading: Reading, row: Row[Any]) -> Values:
    return {
        "id": _id(public_id.ITEM, row.id),
        "payout": _id(public_id.PAYOUT, row.payout_id),
        "sharer": _id(public_id.SHARER, row.sharer_id),
        "state": row.state,
        "gross": format_minor(row.gross, row.currency),
        "withheld": format_minor(row.withheld, row.currency),
        "fee": format_minor(row.fee, row.currency),
        "net": format_minor(row.net, row.currency),
        "currency": row.currency,
        "reference": row.reference,
        "reason": row.reason,
    }


def _paid(reading: Reading, row: Row[Any]) -> Values:
    return {
        "item": _id(public_id.ITEM, row.item_id),
        "order": row.ref,
        "role": row.role,
        "amount": format_minor(row.amount, row.currency),
        "currency": row.currency,
    }


# --- what came in and went out ----------------------------------------------------------------------------------------


def _delivery(reading: Reading, row: Row[Any]) -> Values:
    return {
        "id": _id(public_id.DELIVERY, row.id),
        "delivery": row.delivery_id,
        "topic": row.topic,
        "received_at": _moment(row.received_at),
        "state": row.state,
        "reason": row.reason,
        "waits_for": row.order_ref,
        "body_sha256": bytes(row.body_sha).hex(),
    }


def _event(reading: Reading, row: Row[Any]) -> Values:
    return {"seq": row.seq, "at": _moment(row.at), "type": row.type, "data": json.loads(row.data)}


def _with_order(table: Any, shop_id: int) -> Select[Any]:
    """Select rows of a table with the shop's id of the order each is about."""
    joined = select(table, orders.c.ref).outerjoin(orders, orders.c.id == table.c.order_id)
    return joined.where(table.c.shop_id == shop_id)


_CODES = ("code", "click_code")
SHEETS = (
    Sheet(
        "sharers",
        ("id", "person", "email", "name", "language", "customer", "status", "group", "inviter", "codes", "joined_at",
         "erased_at"),
        _sharers,
    ),
    Sheet(
        "links",
        ("id", "sharer", "code", "address", "leads_to", "channel", "campaign", "made_at"),
        _each(_link, lambda shop_id: select(link).where(link.c.shop_id == shop_id).order_by(link.c.id)),
    ),
    Sheet(
        "codes",
        ("code", "kind", "sharer", "from"),
        _each(
            _code,
            lambda shop_id: select(fact)
            .where(fact.c.shop_id == shop_id, fact.c.kind.in_(_CODES))
            .order_by(fact.c.position, fact.c.id),
        ),
    ),
    Sheet(
        "orders",
        ("id", "number", "state", "status", "payment", "currency", "placed_at", "release_at", "is_released", "is_held",
         "net", "refunded", "flags", "decision", "order"),
        _each(_order, lambda shop_id: select(orders).where(orders.c.shop_id == shop_id).order_by(orders.c.id)),
    ),
    Sheet(
        "decisions",
        ("order", "position", "cause", "decision"),
        _each(_decision, lambda shop_id: _with_order(decision, shop_id).order_by(decision.c.position, decision.c.id)),
    ),
    Sheet(
        "accounts",
        ("id", "sharer", "purpose", "currency", "booked_in", "booked_out", "balance"),
        _each(_account, _accounts),
    ),
    Sheet(
        "transfers",
        ("number", "id", "kind", "from_account", "to_account", "amount", "currency", "sharer", "role", "order",
         "payout_item", "cause", "actor", "about_at", "written_at"),
        _each(_transfer, lambda shop_id: _with_order(transfer, shop_id).order_by(transfer.c.number)),
    ),
    Sheet(
        "facts",
        ("position", "kind", "at", "recorded_at", "actor", "sharer", "order", "code", "body"),
        _each(_fact, lambda shop_id: _with_order(fact, shop_id).order_by(fact.c.position, fact.c.id)),
    ),
    Sheet(
        "plans",
        ("version", "in_force_from", "put_at", "plan"),
        _each(_plan, lambda shop_id: select(plan).where(plan.c.shop_id == shop_id).order_by(plan.c.version)),
    ),
    Sheet(
        "payouts",
        ("id", "rail", "currency", "state", "minimum", "begun_at", "actor", "left_out"),
        _each(_payout, lambda shop_id: select(payout).where(payout.c.shop_id == shop_id).order_by(payout.c.id)),
    ),
    Sheet(
        "payout-items",
        ("id", "payout", "sharer", "state", "gross", "withheld", "fee", "net", "currency", "reference", "reason"),
        _each(
            _item,
            lambda shop_id: select(payout_item, payout.c.currency)
            .join(payout, payout.c.id == payout_item.c.payout_id)
            .where(payout.c.shop_id == shop_id)
            .order_by(payout_item.c.id),
        ),
    ),
    Sheet(
        "payout-commissions",
        ("item", "order", "role", "amount", "currency"),
        _each(
            _paid,
            lambda shop_id: select(payout_lot, orders.c.ref, payout.c.currency)
            .join(payout_item, payout_item.c.id == payout_lot.c.item_id)
            .join(payout, payout.c.id == payout_item.c.payout_id)
            .join(orders, orders.c.id == payout_lot.c.order_id)
            .where(payout.c.shop_id == shop_id)
            .order_by(payout_lot.c.item_id, payout_lot.c.order_id, payout_lot.c.role),
        ),
    ),
    Sheet(
        "deliveries",
        ("id", "delivery", "topic", "received_at", "state", "reason", "waits_for", "body_sha256"),
        _each(_delivery, lambda shop_id: select(delivery).where(delivery.c.shop_id == shop_id).order_by(delivery.c.id)),
    ),
    Sheet(
        "events",
        ("seq", "at", "type", "data"),
        _each(_event, lambda shop_id: select(event).where(event.c.shop_id == shop_id).order_by(event.c.seq)),
    ),
)  # fmt: skip
