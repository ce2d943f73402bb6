"""Orders as the API shows them: what each person earns now, and the receipt of the decision. Reads, never writes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, or_, select

from plugin.database import among
from plugin.domain import attribution, ledger, payout
from plugin.domain.attribution import Decision
from plugin.domain.commission import BUYER, DIRECT, UPLINE, Earned, LineFigures, Outcome, outcome
from plugin.domain.moment import format_moment
from plugin.domain.money import Exact, format_minor, round_to_minor, spread, step
from plugin.domain.order import Order, Story
from plugin.domain.plan import Plan
from plugin.errors import InvariantBroken, NotFound
from plugin.models import fact, lot, order_credit, orders, payout_item, payout_lot, plan
from plugin.services import stories
from plugin.services.context import Context
from plugin.services.public_id import SHARER, show, show_optional
from plugin.services.roster import load_terms

Person = tuple[int, str]  # sharer, role
_TAKEN = {
    payout.PAID: ledger.PAID,
    payout.RESERVED: ledger.IN_FLIGHT,
    payout.IN_FLIGHT: ledger.IN_FLIGHT,
    payout.UNKNOWN: ledger.IN_FLIGHT,
    payout.ACTION_NEEDED: ledger.IN_FLIGHT,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """An order with all that is shown of it; ``lots`` and ``taken`` (by a payout: in flight or paid) by person."""

    row: Row[Any]
    story: Story
    decision: Decision
    plan: Plan
    outcome: Outcome
    lots: Mapping[Person, Mapping[str, int]]
    taken: Mapping[Person, str]

    @property
    def order(self) -> Order:
        """Return the order as the shop states it now."""
        return self.story.order


def show_order(context: Context, shop_id: int, ref: str) -> dict[str, Any]:
    """Return an order of the shop, by the shop's own id, with what everybody earns; raise NotFound."""
    with context.database.reading() as connection:
        return _show(_find(connection, shop_id, orders.c.ref == ref))


def list_orders(
    context: Context, shop_id: int, *, sharer_id: int | None, before: tuple[int, int] | None, limit: int
) -> dict[str, Any]:
    """Return a page of a shop's orders, of all or of those a sharer gets, the last placed first."""
    wanted = select_orders(shop_id, sharer_id=sharer_id, before=before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted.limit(limit + 1)).all()
        seen = _see(connection, shop_id, rows[:limit])
    return {"items": [_show(one) for one in seen], "next": cursor_of(rows, limit)}


def select_orders(shop_id: int, *, sharer_id: int | None, before: tuple[int, int] | None) -> Select[Any]:
    """Return the query for a shop's orders, the last placed first, beyond ``before``, (placed_at, our number).

    Which a sharer gets is known of the orders that are counted for the reports, a moment after they are settled.
    """
    wanted = select(orders).where(orders.c.shop_id == shop_id)
    placed_at, number = orders.c.placed_at, orders.c.id
    if sharer_id is not None:
        placed_at, number = order_credit.c.placed_at, order_credit.c.order_id
        wanted = wanted.join(order_credit, order_credit.c.order_id == orders.c.id)
        wanted = wanted.where(order_credit.c.sharer_id == sharer_id)
    if before is not None:
        # The first condition says nothing new; by it an index leads to the place, instead of past all that is newer.
        wanted = wanted.where(placed_at <= before[0], or_(placed_at < before[0], number < before[1]))
    return wanted.order_by(placed_at.desc(), number.desc())


def cursor_of(rows: Sequence[Row[Any]], limit: int) -> str | None:
    """Return the cursor of the next page of orders; ``rows`` holds one more than the page where there are more."""
    last = rows[limit - 1] if len(rows) > limit else None
    return f"{last.placed_at}.{last.id}" if last else None


def look_at(connection: Connection, shop_id: int, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Return orders as the API shows them, each with its ``state``, and with the ``winner`` and ``reason`` of it."""
    return [
        _show(one)
        | {
            "state": one.row.state,
            "reason": one.decision.reason,
            "winner": show_optional(SHARER, one.decision.winner),
        }
        for one in _see(connection, shop_id, rows)
    ]


def show_receipt(context: Context, shop_id: int, ref: str) -> dict[str, Any]:
    """Return why an order went to whom, and how each amount came about; raise NotFound."""
    with context.database.reading() as connection:
        seen = _find(connection, shop_id, orders.c.ref == ref)
        return _show_receipt(connection, seen, shop_id)


def show_whole(
    connection: Connection, shop_id: int, which: ColumnElement[bool]
) -> tuple[Seen, dict[str, Any], dict[str, Any]]:
    """Return an order as it is stored, as the API shows it, and its receipt; ``which`` names it. Raise NotFound."""
    seen = _find(connection, shop_id, which)
    return seen, _show(seen), _show_receipt(connection, seen, shop_id)


# --- loading --------------------------------------------------------------------------------------------------------


def _find(connection: Connection, shop_id: int, which: ColumnElement[bool]) -> Seen:
    row = connection.execute(select(orders).where(orders.c.shop_id == shop_id, which)).one_or_none()
    if row is None:
        raise NotFound("unknown_order", "There is no such order in this shop.")
    return _see(connection, shop_id, [row])[0]


def _see(connection: Connection, shop_id: int, rows: Sequence[Row[Any]]) -> list[Seen]:
    """Return the orders with their amounts, reckoned from the stored story, decision and plan."""
    starts_at, versions = load_terms(connection, shop_id)
    plans = {one.version: one.plan for one in versions}
    numbers = [row.id for row in rows]
    lots, taken = _lots(connection, rows), _taken(connection, numbers)
    seen = []
    for row in rows:
        if row.decision is None:
            raise InvariantBroken("Order %(number)s was stored without a decision.", number=row.id)
        story, decision = stories.load(row.story, row.now), Decision.from_json(json.loads(row.decision))
        used = plans[decision.plan_version]
        reckoned = outcome(story, decision.frozen, used, starts_at=starts_at)
        seen.append(Seen(row, story, decision, used, reckoned, lots.get(row.id, {}), taken.get(row.id, {})))
    return seen


def _lots(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, dict[Person, Mapping[str, int]]]:
    """Return what lies where of each commission. An order that changed its currency shows the lot of the one it has."""
    currencies = {row.id: row.currency for row in rows}
    found: dict[int, dict[Person, Mapping[str, int]]] = defaultdict(dict)
    for row in connection.execute(select(lot).where(among(lot.c.order_id, currencies))).mappings():
        person, lots = (row["sharer_id"], row["role"]), found[row["order_id"]]
        if person not in lots or row["currency"] == currencies[row["order_id"]]:
            lots[person] = {purpose: row[purpose] for purpose in ledger.SHARER_PURPOSES}
    return found


def _taken(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[Person, str]]:
    """Return which commissions a payout reserved or paid; paid wins where one was reserved again for what came late."""
    rows = connection.execute(
        select(payout_lot.c.order_id, payout_lot.c.role, payout_item.c.sharer_id, payout_item.c.state)
        .join(payout_item, payout_item.c.id == payout_lot.c.item_id)
        .where(among(payout_lot.c.order_id, numbers), payout_item.c.state.in_(_TAKEN))
    )
    found: dict[int, dict[Person, str]] = defaultdict(dict)
    for row in rows:
        taken, person = found[row.order_id], (row.sharer_id, row.role)
        taken[person] = ledger.PAID if taken.get(person) == ledger.PAID else _TAKEN[row.state]
    return found


# --- the order ------------------------------------------------------------------------------------------------------


def _money(exact: Exact, currency: str) -> str:
    """Show exact micros with the digits of the currency."""
    return format_minor(round_to_minor(exact, currency), currency)


def _optional_moment(moment: int | None) -> str | None:
    return None if moment is None else format_moment(moment)


def _show(seen: Seen) -> dict[str, Any]:
    order, currency = seen.order, seen.order.currency
    return {
        "id": order.id,
        "number": order.number,
        "currency": currency,
        "status": "cancelled" if seen.story.cancelled else order.status,
        "payment": order.payment,
        "placed_at": format_moment(seen.story.first.placed_at),
        "paid_at": _optional_moment(order.paid_at),
        "release_at": _optional_moment(seen.row.release_at),
        "net": format_minor(seen.outcome.now.net, currency),
        "total": _money(order.total, currency),
        "refunded": _money(sum(refund.amount for refund in order.refunds), currency),
        "flags": json.loads(seen.row.flags),
        "lines": _show_lines(seen),
        "commissions": [*_show_roles(seen), *_show_former(seen)],
    }


def _rule_id(figure: LineFigures) -> str | None:
    return figure.rule.id if figure.rule else None


def _direct_by_line(seen: Seen) -> Sequence[int]:
    figures = seen.outcome.now
    return next((role.by_line for role in figures.roles if role.role == DIRECT), (0,) * len(figures.lines))


def _show_lines(seen: Seen) -> list[dict[str, Any]]:
    currency = seen.order.currency
    return [
        {
            "id": figure.line.id,
            "product_id": figure.line.product_id,
            "collections": list(figure.line.collections),
            "sku": figure.line.sku,
            "title": figure.line.title,
            "quantity": figure.line.quantity,
            "amount": _money(figure.line.amount, currency),
            "tax": _money(figure.line.tax, currency),
            "base": _money(figure.base, currency),
            "rule": _rule_id(figure),
            "commission": format_minor(minor, currency),
        }
        for figure, minor in zip(seen.outcome.now.lines, _direct_by_line(seen), strict=True)
    ]


def _show_roles(seen: Seen) -> Iterable[dict[str, Any]]:
    """Show what the winner, the inviter and the buyer earn."""
    reckoned = seen.outcome
    for now, plain in zip(reckoned.now.roles, reckoned.earned.roles, strict=True):
        yield _show_commission(seen, (now.sharer, now.role), minor=now.minor, earned=plain.minor)


def _show_former(seen: Seen) -> Iterable[dict[str, Any]]:
    """Show those who had something booked under an earlier decision and have no part in the present one."""
    present = {(role.sharer, role.role) for role in seen.outcome.now.roles}
    for person in sorted(set(seen.lots) - present):
        yield _show_commission(seen, person, minor=0, earned=0)


def _show_commission(seen: Seen, person: Person, *, minor: int, earned: int) -> dict[str, Any]:
    currency, (sharer, role) = seen.order.currency, person
    booked_ever = person in seen.lots
    return {
        "sharer": show(SHARER, sharer),
        "role": role,
        "amount": format_minor(minor, currency),
        "earned": format_minor(earned, currency),
        "clawed_back": format_minor(earned - minor, currency),
        "state": ledger.state_of(
            seen.lots.get(person, {}), booked_ever=booked_ever, paid_ever=seen.taken.get(person)
        ),
        "plan_version": seen.decision.plan_version,
    }


# --- the receipt ----------------------------------------------------------------------------------------------------


def _show_receipt(connection: Connection, seen: Seen, shop_id: int) -> dict[str, Any]:
    decision = seen.decision
    body, released_at = _plan_and_release(connection, shop_id, decision.plan_version, seen.row.id)
    pays = _pays(json.loads(body))
    return show_decision(decision) | {
        "commission": [_explain(seen, role, pays) for role in seen.outcome.now.roles],
        "released_at": None if released_at is None else format_moment(released_at),
        "flags": json.loads(seen.row.flags),
    }


def _plan_and_release(connection: Connection, shop_id: int, version: int, number: int) -> tuple[str, int | None]:
    """Return a version of the plan as it was written, and when the order was released, in one question."""
    released = select(fact.c.recorded_at).where(fact.c.order_id == number, fact.c.kind == "release").limit(1)
    wanted = select(plan.c.body, released.scalar_subquery())
    body, released_at = connection.execute(wanted.where(plan.c.shop_id == shop_id, plan.c.version == version)).one()
    return body, released_at


def show_decision(decision: Decision) -> dict[str, Any]:
    """Return a decision as others see it: who gets the order and why, and what it froze."""
    return {
        "outcome": decision.outcome,
        "winner": show_optional(SHARER, decision.winner),
        "reason": decision.reason,
        "evidence": [_show_evidence(one) for one in decision.evidence],
        "plan_version": decision.plan_version,
        "frozen": _show_frozen(decision),
        "held": decision.held,
    }


def _show_evidence(one: attribution.Evidence) -> dict[str, Any]:
    return attribution.show(one) | {"sharer": show_optional(SHARER, one.sharer)}


def _show_frozen(decision: Decision) -> dict[str, Any]:
    frozen = decision.frozen
    return {
        "group": frozen.group,
        "uplines": [show(SHARER, sharer) for sharer in frozen.uplines],
        "customer": "new" if frozen.new_customer else "returning",
        "channel": frozen.channel,
        "campaign": frozen.campaign,
    }


@dataclass(frozen=True, slots=True)
class _Pays:
    """What a plan version pays, as the owner wrote it: by rule (None: the default), and by role beside the direct."""

    rules: Mapping[str | None, Any]
    roles: Mapping[str, Any]


def _pays(body: Mapping[str, Any]) -> _Pays:
    commission = body["commission"]
    rules = {rule["id"]: rule["pay"] for rule in commission["rules"]}
    percents = body["upline"]["percents"]
    return _Pays(
        rules | {None: commission["default"]},
        {UPLINE: {"percent": percents[0] if percents else "0"}, BUYER: {"percent": body["buyer"]["cashback_percent"]}},
    )


def _explain(seen: Seen, role: Earned, pays: _Pays) -> dict[str, Any]:
    """Show how the amount of one role came about, line by line."""
    currency, figures = seen.order.currency, seen.outcome.now.lines
    if role.role == DIRECT:
        lines = [
            _explain_line(figure, pays.rules[_rule_id(figure)], minor, currency)
            for figure, minor in zip(figures, role.by_line, strict=True)
        ]
    else:
        counted = [figure for figure in figures if figure.commissioned]
        shares = spread(role.minor, [figure.base for figure in counted], unit=step(currency))
        lines = [
            _explain_line(figure, pays.roles[role.role], minor, currency)
            for figure, minor in zip(counted, shares, strict=True)
        ]
    return {
        "role": role.role,
        "sharer": show(SHARER, role.sharer),
        "amount": format_minor(role.minor, currency),
        "currency": currency,
        "lines": lines,
        "cut": _cut(seen, role),
    }


def _explain_line(figure: LineFigures, pay: Any, minor: int, currency: str) -> dict[str, Any]:
    shown = {
        "line": figure.line.id,
        "rule": _rule_id(figure),
        "pay": pay,
        "base": _money(figure.base, currency),
        "amount": format_minor(minor, currency),
    }
    silent = "percent" not in pay and not figure.names_currency
    return shown | {"note": "amount_not_in_currency"} if silent else shown


def _cut(seen: Seen, role: Earned) -> str | None:
    """Tell what cut the direct amount: the plan's cap, or the rule that it never exceeds what it is reckoned from."""
    if role.role != DIRECT:
        return None
    currency, unit, figures = seen.order.currency, step(seen.order.currency), seen.outcome.now.lines
    base: Exact = sum(figure.base for figure in figures if figure.commissioned)
    limits = {"order_cap": seen.plan.order_cap.get(currency), "base": base}
    uncut = _uncut(figures, currency)
    return next(
        (
            name
            for name, limit in limits.items()
            if limit is not None and role.minor == round_to_minor(limit, currency, unit=unit) < uncut
        ),
        None,
    )


def _uncut(figures: Sequence[LineFigures], currency: str) -> int:
    """Return the direct amount before it is cut: every line's own, and each once-per-order amount once."""
    once = {_rule_id(figure): figure for figure in figures if figure.pay.per_order and figure.amount > 0}
    exact: Exact = sum(figure.earns for figure in figures)
    exact += sum(figure.pay.reckon(figure, currency) for figure in once.values())
    return round_to_minor(exact, currency, unit=step(currency))
