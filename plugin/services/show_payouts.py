"""Payouts as the owner's pages show them: what is due, the list with its totals, one batch a page at a time.

Reads balances and items, never orders or transfers.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from plugin.database import among
from plugin.domain.money import format_minor
from plugin.domain.payout import APPROVED, ENDS, SUBMITTED
from plugin.domain.settlement import plan_at
from plugin.models import account, payout, payout_item, person, sharer
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.enrol_sharer import why_unpaid
from plugin.services.keep_payout_way import Way, find_payout_ways
from plugin.services.roster import load_plans
from plugin.services.run_payout import minor_minimum

PAGE = 50


@dataclass(frozen=True, slots=True)
class Due:
    """What is payable in one currency: to those who could be paid now, to those with too little, to those not approved.

    Amounts in minor units; ``owed`` is what sharers owe the shop.
    """

    currency: str
    minimum: int
    ready: int = 0
    ready_minor: int = 0
    small: int = 0
    small_minor: int = 0
    barred: int = 0
    barred_minor: int = 0
    owing: int = 0
    owed_minor: int = 0


def show_dues(context: Context, shop_id: int) -> list[Due]:
    """Return what is due in each currency in which a sharer has or owes anything, by the plan's own minimum."""
    wanted = select(account.c.sharer_id, account.c.currency, account.c.balance).where(
        account.c.shop_id == shop_id,
        account.c.purpose == "payable",
        account.c.balance != 0,
        account.c.sharer_id != 0,
    )
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
        unpaid = why_unpaid(connection, shop_id, {row.sharer_id for row in rows})
        minimum = plan_at(load_plans(connection, shop_id), context.now()).plan.payout_minimum
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        least = minor_minimum(minimum.get(row.currency, 0), row.currency)
        _count(counts.setdefault(row.currency, Counter()), row.balance, row.sharer_id in unpaid, least)
    return [
        Due(currency, minor_minimum(minimum.get(currency, 0), currency), **counts[currency])
        for currency in sorted(counts)
    ]


def _count(counts: Counter[str], balance: int, is_barred: bool, minimum: int) -> None:
    if balance < 0:
        counts["owing"] += 1
        counts["owed_minor"] -= balance
        return
    kind = "barred" if is_barred else "small" if balance < minimum else "ready"
    counts[kind] += 1
    counts[f"{kind}_minor"] += balance


def list_batches(context: Context, shop_id: int, *, before: int | None) -> dict[str, Any]:
    """Return a page of a shop's payouts, newest first, each with how many people it pays and what it comes to."""
    wanted = select(payout).where(payout.c.shop_id == shop_id).order_by(payout.c.id.desc()).limit(PAGE + 1)
    if before is not None:
        wanted = wanted.where(payout.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
        sums = _sums(connection, [row.id for row in rows[:PAGE]])
    return {
        "items": [
            {
                "id": public_id.show(public_id.PAYOUT, row.id),
                "state": row.state,
                "currency": row.currency,
                "created_at": row.created_at,
                "people": sum(count for count, _ in sums.get(row.id, {}).values()),
                "total": format_minor(sum(net for _, net in sums.get(row.id, {}).values()), row.currency),
            }
            for row in rows[:PAGE]
        ],
        "next": rows[PAGE - 1].id if len(rows) > PAGE else None,
    }


def _sums(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, tuple[int, int]]]:
    """Return (count, net) of each batch's items by their state."""
    items = payout_item.c
    found: dict[int, dict[str, tuple[int, int]]] = {}
    wanted = select(items.payout_id, items.state, func.count(), func.sum(items.net))
    for number, state, count, net in connection.execute(
        wanted.where(among(items.payout_id, numbers)).group_by(items.payout_id, items.state)
    ):
        found.setdefault(number, {})[state] = (count, int(net))
    return found


def show_batch(context: Context, row: Row[Any], *, after: int, left_after: int) -> dict[str, Any]:
    """Return one batch: its sums by state, a page of its items after one, and of those left out after so many."""
    left_out = json.loads(row.left_out)
    shown = left_out[left_after : left_after + PAGE]
    with context.database.reading() as connection:
        sums = _sums(connection, [row.id]).get(row.id, {})
        items = connection.execute(
            _named_items(row.id).where(payout_item.c.id > after).order_by(payout_item.c.id).limit(PAGE + 1)
        ).all()
        names = _names(connection, [who for who, _ in shown])
    return {
        "id": public_id.show(public_id.PAYOUT, row.id),
        "state": row.state,
        "rail": row.rail,
        "currency": row.currency,
        "minimum": format_minor(row.minimum, row.currency),
        "created_at": row.created_at,
        "people": sum(count for count, _ in sums.values()),
        "total": format_minor(sum(net for _, net in sums.values()), row.currency),
        "done": sum(count for state, (count, _) in sums.items() if state in ENDS),
        "sums": {
            state: {"count": count, "net": format_minor(net, row.currency)} for state, (count, net) in sums.items()
        },
        "items": [_show_item(item, row.currency) for item in items[:PAGE]],
        "next": items[PAGE - 1].id if len(items) > PAGE else None,
        "left_out": [
            {"sharer": public_id.show(public_id.SHARER, who), "name": names.get(who), "reason": reason}
            for who, reason in shown
        ],
        "left_out_count": len(left_out),
        "left_next": left_after + PAGE if len(left_out) > left_after + PAGE else None,
    }


def every_item(context: Context, row: Row[Any]) -> Iterator[dict[str, Any]]:
    """Yield every item of a batch, with whom it pays."""
    with context.database.reading() as connection:
        for item in connection.execute(_named_items(row.id).order_by(payout_item.c.id)):
            yield _show_item(item, row.currency)


@dataclass(frozen=True, slots=True)
class ToPay:
    """A payment that is still to be made: to whom, how much, and where to; ``is_new`` where that changed meanwhile."""

    item: str
    name: str | None
    email: str | None
    net: str
    way: Way | None
    is_new: bool


def list_to_pay(context: Context, row: Row[Any], *, after: int, limit: int = PAGE) -> tuple[list[ToPay], int | None]:
    """Return a page of what is to be paid of a batch whose money is set aside, and where the next page begins."""
    if row.state not in (APPROVED, SUBMITTED):
        return [], None
    wanted = _named_items(row.id).where(payout_item.c.id > after, payout_item.c.state.not_in(ENDS))
    with context.database.reading() as connection:
        items = connection.execute(wanted.order_by(payout_item.c.id).limit(limit + 1)).all()
    ways = find_payout_ways(context, {item.sharer_id for item in items[:limit]})
    found = [
        ToPay(
            public_id.show(public_id.ITEM, item.id),
            item.name,
            item.email,
            format_minor(item.net, row.currency),
            way := ways.get(item.sharer_id),
            way is not None and way.changed_at > row.created_at,
        )
        for item in items[:limit]
    ]
    return found, items[limit - 1].id if len(items) > limit else None


def _named_items(number: int) -> Any:
    return (
        select(payout_item, person.c.name, person.c.email)
        .join(sharer, sharer.c.id == payout_item.c.sharer_id)
        .join(person, person.c.id == sharer.c.person_id)
        .where(payout_item.c.payout_id == number)
    )


def _show_item(item: Row[Any], currency: str) -> dict[str, Any]:
    return {
        "id": public_id.show(public_id.ITEM, item.id),
        "sharer": public_id.show(public_id.SHARER, item.sharer_id),
        "name": item.name,
        "email": item.email,
        "currency": currency,
        **{name: format_minor(getattr(item, name), currency) for name in ("gross", "withheld", "fee", "net")},
        "state": item.state,
        "reference": item.reference,
        "reason": item.reason,
    }


def _names(connection: Connection, numbers: Sequence[int]) -> dict[int, str | None]:
    wanted = select(sharer.c.id, func.coalesce(person.c.name, person.c.email).label("name"))
    wanted = wanted.join(person, person.c.id == sharer.c.person_id).where(among(sharer.c.id, numbers))
    return {row.id: row.name for row in connection.execute(wanted)}
