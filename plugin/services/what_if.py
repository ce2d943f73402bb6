"""What if: a shop's orders decided and reckoned anew under another plan, beside what they are now. Writes nothing.

Everything but the plan stays as it is: stories, facts, links and, where the plan binds customers, the decisions of
orders placed before the period. What was released before late evidence came keeps its decision here too.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from plugin.database import among
from plugin.domain.attribution import Decision
from plugin.domain.binding import Past
from plugin.domain.commission import outcome
from plugin.domain.moment import format_moment
from plugin.domain.money import format_minor
from plugin.domain.plan import Plan, read_plan
from plugin.domain.settlement import LATE, Deciding, OrderFacts, PlanVersion, Work, past_of
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.models import orders, shop
from plugin.services.context import Context
from plugin.services.public_id import SHARER, show_optional
from plugin.services.roster import load_known, load_order_facts, load_plans
from plugin.services.settle_order import Stored, load_work

BATCH = 500
SHOWN_MAX = 1_000
Amounts = Mapping[tuple[int, str], int]  # (sharer, role) -> minor units


@dataclass(slots=True)
class _Tally:
    """What was found: totals by currency and role, and the orders that would come out otherwise."""

    examined: int = 0
    differ: int = 0
    now: Counter[tuple[str, str]] = field(default_factory=Counter)
    then: Counter[tuple[str, str]] = field(default_factory=Counter)
    orders: list[dict[str, Any]] = field(default_factory=list)


def what_if(context: Context, shop_id: int, data: object, *, since: int | None, until: int | None) -> dict[str, Any]:
    """Return what orders placed from ``since`` to before ``until`` earn now and under the plan, and which ones differ.

    Raises BadRequest for a plan that cannot be read or a period that ends before it begins.
    """
    start, end = since or 0, context.now() if until is None else until
    if end < start:
        fields = {"until": [mark("Must not lie before since.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)
    plan = _read(data)
    tally = _Tally()
    with context.database.reading() as connection:
        replay = _Replay(context, connection, shop_id, plan)
        for rows in _placed(connection, shop_id, start, end):
            replay.run(rows, start, tally)
    return {
        "since": format_moment(start),
        "until": format_moment(end),
        "examined": tally.examined,
        "differ": tally.differ,
        "totals": [
            {
                "currency": currency,
                "role": role,
                "now": format_minor(tally.now[(currency, role)], currency),
                "then": format_minor(tally.then[(currency, role)], currency),
            }
            for currency, role in sorted({*tally.now, *tally.then})
        ],
        "orders": tally.orders,
    }


def since_newest(context: Context, shop_id: int, *, since: int, count: int) -> int:
    """Return from when on at most so many orders were placed: ``since``, or later where there were more."""
    wanted = (
        select(orders.c.placed_at)
        .where(orders.c.shop_id == shop_id, orders.c.placed_at >= since)
        .order_by(orders.c.placed_at.desc())
        .offset(count)
        .limit(1)
    )
    with context.database.reading() as connection:
        beyond = connection.execute(wanted).scalar_one_or_none()
    return since if beyond is None else int(beyond) + 1


def _read(data: object) -> Plan:
    """Read the plan; what is wrong with it stands under ``plan``, where the caller wrote it."""
    try:
        return read_plan(data)
    except BadRequest as error:
        fields = {name if name == "plan" else f"plan.{name}": faults for name, faults in error.fields.items()}
        raise BadRequest(error.code, error.message, fields=fields) from None


def _placed(connection: Connection, shop_id: int, since: int, until: int) -> Iterator[Sequence[Row[Any]]]:
    """Give a shop's orders of a period in batches, in the order in which bindings see them."""
    # The order of the shop's ids is that of their bytes, whatever language the database sorts by.
    ref = orders.c.ref if connection.dialect.name == "sqlite" else orders.c.ref.collate("C")
    wanted = (
        select(orders)
        .where(orders.c.shop_id == shop_id, orders.c.placed_at >= since, orders.c.placed_at < until)
        .order_by(orders.c.placed_at, ref)
        .limit(BATCH)
    )
    rows = connection.execute(wanted).all()
    while rows:
        yield rows
        last = rows[-1]
        beyond = or_(orders.c.placed_at > last.placed_at, and_(orders.c.placed_at == last.placed_at, ref > last.ref))
        rows = connection.execute(wanted.where(beyond)).all()


class _Replay:
    """Decides orders under the given plan, oldest first, remembering each customer's orders for the bindings."""

    def __init__(self, context: Context, connection: Connection, shop_id: int, plan: Plan) -> None:
        self.context, self.connection, self.plan = context, connection, plan
        self.shop = connection.execute(select(shop.c.id, shop.c.starts_at).where(shop.c.id == shop_id)).one()
        self.stored_plans = {one.version: one.plan for one in load_plans(connection, shop_id)}
        self.plans = (PlanVersion(version=0, in_force_from=0, position=0, plan=plan),)
        self.binds = plan.attribution.binding.mode != "none"
        self.past: dict[str, list[Past]] = defaultdict(list)
        self.begun: set[str] = set()  # customers whose orders before the period are in ``past``

    def run(self, rows: Sequence[Row[Any]], since: int, tally: _Tally) -> None:
        """Replay one batch of orders."""
        works = load_work(rows)
        if self.binds:
            self._begin({key for work in works for key in work.customers}, since)
        deciding = self._deciding(works)
        for work in works:
            if work.decision is not None:
                # An order that is not released is decided by all that is known now.
                stays = LATE in json.loads(work.row.flags) if work.row else False
                then, _ = deciding.decide(work if stays else replace(work, released=None))
                self._compare(work, work.decision, then, tally)

    def _begin(self, customers: set[str], since: int) -> None:
        """Remember what customers met for the first time bought before the period."""
        fresh = customers - self.begun
        self.begun |= fresh
        rows = self.connection.execute(
            select(orders).where(
                orders.c.shop_id == self.shop.id, among(orders.c.customer_key, fresh), orders.c.placed_at < since
            )
        ).all()
        for work in sorted(load_work(rows), key=lambda work: work.sort_key):
            if work.decision is not None:
                customer = work.story.first.customer
                key = customer.key if customer else None
                if key is not None:
                    self.past[key].append(past_of(work.ref, work.story, work.decision, self.shop.starts_at))

    def _deciding(self, works: Sequence[Stored]) -> Deciding:
        facts = load_order_facts(self.connection, [work.id for work in works])
        known = load_known(
            self.connection,
            self.context.keys,
            self.shop.id,
            touches=[touch for work in works for _, touch in work.story.touches],
            customers=[work.story.first.customer for work in works if work.story.first.customer],
            sharers=self._named(works, facts),
        )
        deciding = Deciding(self.plans, known, facts, self.shop.starts_at)
        if self.binds:
            deciding.past = self.past
        return deciding

    def _named(self, works: Sequence[Work], facts: Mapping[int, OrderFacts]) -> set[int]:
        """Return whom decisions by hand, stored decisions and bindings name; evidence names the others."""
        named = {one.sharer for known in facts.values() for one in known.manual}
        named |= {work.decision.winner for work in works if work.decision}
        customers = {work.story.first.customer.key for work in works if work.story.first.customer}
        named |= {one.winner for key in customers if key for one in self.past.get(key, ())}
        return {sharer for sharer in named if sharer is not None}

    def _compare(self, work: Work, stored: Decision, then: Decision, tally: _Tally) -> None:
        currency = work.story.now.order.currency
        amounts_now = self._amounts(work, stored, self.stored_plans[stored.plan_version])
        amounts_then = self._amounts(work, then, self.plan)
        tally.examined += 1
        for totals, amounts in ((tally.now, amounts_now), (tally.then, amounts_then)):
            for (_, role), minor in amounts.items():
                totals[(currency, role)] += minor
        if stored.winner == then.winner and _paid(amounts_now) == _paid(amounts_then):
            return
        tally.differ += 1
        if len(tally.orders) < SHOWN_MAX:
            tally.orders.append(
                {
                    "order": work.ref,
                    "currency": currency,
                    "now": format_minor(sum(amounts_now.values()), currency),
                    "then": format_minor(sum(amounts_then.values()), currency),
                    "winner_now": show_optional(SHARER, stored.winner),
                    "winner_then": show_optional(SHARER, then.winner),
                }
            )

    def _amounts(self, work: Work, decision: Decision, plan: Plan) -> Amounts:
        reckoned = outcome(work.story, decision.frozen, plan, starts_at=self.shop.starts_at)
        return {(role.sharer, role.role): role.minor for role in reckoned.now.roles}


def _paid(amounts: Amounts) -> Amounts:
    return {person: minor for person, minor in amounts.items() if minor}
