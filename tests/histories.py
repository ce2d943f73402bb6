"""Random histories of one shop on the pure core: deliveries, facts, releases and payouts, in any order.

:class:`World` is a shop's record and books in memory, driven as the services drive the database; :class:`History` makes
up what happens in it. After each step the books must hold. At the end the same things, told in another order and with
duplicates, must end in the same books, and what is derived from the record alone must be what stands in them.

    python tests/histories.py --count 100000 --seed 7
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from plugin.domain import payout
from plugin.domain.attribution import Decision, Token
from plugin.domain.commission import Frozen
from plugin.domain.facts import CodeFact, HoldFact, Identity, Link, ManualFact, Roster, SharerFact
from plugin.domain.ledger import EDGES, HELD, IN_FLIGHT, MAY_OVERDRAW, PAID, PAYABLE, PENDING, SHARER_PURPOSES, Move
from plugin.domain.moment import DAY, SECOND
from plugin.domain.order import (
    Customer,
    Line,
    Order,
    Refund,
    RefundLine,
    State,
    Story,
    Touch,
    merge,
    state_of,
    story_of,
)
from plugin.domain.plan import Plan, read_plan
from plugin.domain.settlement import (
    LATE,
    Deciding,
    Deriving,
    Known,
    LotKey,
    OrderFacts,
    PlanVersion,
    Record,
    Standing,
    Work,
    binds,
    moves_of,
    standing,
)
from plugin.errors import Conflict, InvariantBroken

SHOP = 0
CURRENCIES = ("USD", "EUR", "TWD", "JPY", "KWD")
ORDERS_MAX = 8
START = 1_800_000_000 * SECOND
FAR = START + 10_000 * DAY

# What the transfers of a lot are called when its payout item goes somewhere: (for what was earned, for a debt).
KINDS = {
    payout.RESERVED: ("reserve", "reserve_debt"),
    payout.PAID: ("settle", "settle_debt"),
    payout.FAILED: ("give_back", "give_back_debt"),
    payout.CANCELLED: ("give_back", "give_back_debt"),
    payout.RETURNED: ("return", "return_debt"),
}

Fact = SharerFact | CodeFact | Identity | PlanVersion
News = tuple[
    str, Any
]  # ("state", State), ("deleted", (ref, at)), ("fact", Fact), ("word", (ref, ManualFact or HoldFact))
AccountKey = tuple[int, str, str]  # sharer (SHOP: the shop's own), currency, purpose


def require(holds: object, message: str, *about: object) -> None:
    """Raise InvariantBroken where something does not hold."""
    if not holds:
        raise InvariantBroken(message.format(*about))


# --- the shop's record and books --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Entry:
    """One order: what was told of it, what was decided, and where its money lies."""

    record: Record
    work: Work
    stand: Standing
    lots: dict[LotKey, dict[str, int]] = field(default_factory=dict)
    decided_at_release: Decision | None = None

    @property
    def customer(self) -> str | None:
        customer = self.work.story.first.customer
        return customer.key if customer else None


@dataclass(slots=True)
class Item:
    """One sharer's part of a payout: its lots are (order, lot, amount), an amount below zero being a debt."""

    sharer: int
    gross: int
    state: str = payout.RESERVED
    lots: list[tuple[str, LotKey, int]] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """One payout."""

    currency: str
    state: str = payout.DRAFT
    items: list[Item] = field(default_factory=list)


class World:
    """A shop's record and books in memory. What the services do with rows, it does with dictionaries."""

    def __init__(
        self,
        plan: Plan,
        tokens: dict[str, Token | None],
        *,
        starts_at: int,
        standings: dict[tuple[Any, ...], Standing] | None,
    ) -> None:
        self.position, self.starts_at, self.standings = 1, starts_at, standings
        self.plans = [PlanVersion(1, 0, 1, plan)]
        self.identities: dict[int, Identity] = {}
        self.sharers: dict[int, tuple[SharerFact, ...]] = {}
        self.codes: dict[str, tuple[CodeFact, ...]] = {}
        roster = Roster(self.identities, self.sharers, self.codes, {link.id: link for link in LINKS})
        self.known = Known(roster, tokens)
        self.facts: dict[int, OrderFacts] = {}
        self.orders: dict[str, Entry] = {}
        self.waiting: dict[str, list[int]] = defaultdict(list)
        self.accounts: Counter[AccountKey] = Counter()
        self.log: list[tuple[int, str, str, int]] = []  # sharer, currency, kind, minor
        self.moved: Counter[AccountKey] = Counter()  # the sum of the log up to ``summed``
        self.summed = 0
        self.batches: list[Batch] = []
        self.edges: Counter[str] = Counter()

    # -- what is told --------------------------------------------------------------------------------------------------

    def hear(self, news: Iterable[News]) -> None:
        """Take in deliveries and facts in one transaction on the record, and settle what they concern."""
        self.position += 1
        changed: set[str] = set()
        customers: set[str | None] = set()
        for kind, what in news:
            if kind == "state":
                changed |= self._hear_state(what, customers)
            elif kind == "deleted":
                changed |= self._hear_deletion(*what)
            elif kind == "word":
                self._hear_word(*what)
                changed |= {what[0]} & self.orders.keys()
            else:
                self._hear_fact(what)
                changed |= self.orders.keys()
        self.settle(changed, customers)

    def _hear_state(self, state: State, customers: set[str | None]) -> set[str]:
        ref = state.order.id
        entry = self.orders.get(ref)
        if entry is None:
            number = int(ref[1:])
            record = Record(number, ref, facts=self.facts.get(number, OrderFacts()))
            entry = self.orders[ref] = Entry(record, Work(number, ref, story_of(state)), _NOTHING)
        elif state.sha in {told.sha for _, told in entry.record.states}:
            return {ref}
        customers.add(entry.customer)
        entry.record.states.append((self.position, state))
        entry.work.story = merge(entry.work.story, story_of(state))
        for at in self.waiting.pop(ref, ()):
            self._hear_deletion(ref, at)
        return {ref}

    def _hear_deletion(self, ref: str, at: int) -> set[str]:
        entry = self.orders.get(ref)
        if entry is None:
            self.waiting[ref].append(at)
            return set()
        entry.record.deletions.append((self.position, at))
        entry.work.story = replace(entry.work.story, deleted_at=max(at, entry.work.story.deleted_at or 0))
        return {ref}

    def _hear_word(self, ref: str, word: ManualFact | HoldFact) -> None:
        number = int(ref[1:])
        facts = self.facts.get(number, OrderFacts())
        if word not in (*facts.manual, *facts.holds):
            if isinstance(word, ManualFact):
                facts = replace(facts, manual=(*facts.manual, word))
            else:
                facts = replace(facts, holds=(*facts.holds, word))
        self.facts[number] = facts
        if ref in self.orders:
            self.orders[ref].record.facts = facts

    def _hear_fact(self, fact: Fact) -> None:
        if isinstance(fact, Identity):
            self.identities[fact.sharer] = fact
            self.known = Known(replace(self.known.roster, identities=dict(self.identities)), self.known.tokens)
        elif isinstance(fact, SharerFact):
            self.sharers[fact.sharer] = _with(self.sharers.get(fact.sharer, ()), fact)
        elif isinstance(fact, CodeFact):
            self.codes[fact.code] = _with(self.codes.get(fact.code, ()), fact)
        elif fact not in self.plans:
            self.plans.append(fact)

    # -- settling ------------------------------------------------------------------------------------------------------

    def settle(self, refs: Iterable[str], customers: Iterable[str | None] = ()) -> None:
        """Decide and book orders, and the other orders of their customers where orders hang on one another."""
        entries = {ref: self.orders[ref] for ref in refs}
        if binds(self.plans):
            keys = {*customers, *(entry.customer for entry in entries.values())} - {None}
            entries |= {ref: entry for ref, entry in self.orders.items() if entry.customer in keys}
        plans = {one.version: one.plan for one in self.plans}
        deciding = Deciding(self.plans, self.known, self.facts, self.starts_at)
        for entry in sorted(entries.values(), key=lambda entry: entry.work.sort_key):
            work = entry.work
            decision, is_late = deciding.decide(work)
            entry.stand = self.stand(work.story, decision, plans[decision.plan_version], is_late=is_late)
            work.decision = decision
            released = work.released is not None
            for key, move in moves_of(entry.stand.targets, entry.lots, held=decision.held, released=released):
                self.apply(entry, key, move)

    def stand(self, story: Story, decision: Decision, plan: Plan, *, is_late: bool) -> Standing:
        """Reckon an order's standing. Most are asked for again and again, so all that it reads names it in a memory."""
        if self.standings is None:
            return standing(story, decision, plan, starts_at=self.starts_at, is_late=is_late)
        first = story.first.placed_at, story.paid, story.deleted_at
        name = (story.now.sha, first, decision.frozen, decision.plan_version, is_late)
        if name not in self.standings:
            self.standings[name] = standing(story, decision, plan, starts_at=self.starts_at, is_late=is_late)
        return self.standings[name]

    def apply(self, entry: Entry, key: LotKey, move: Move) -> None:
        """Write one transfer."""
        sharer, _, currency = key
        require(move.minor > 0, "{} moves {}", move.kind, move.minor)
        require(currency != "TWD" or move.minor % 100 == 0, "{} moves {} of TWD", move.kind, move.minor)
        lot = entry.lots.setdefault(key, dict.fromkeys(SHARER_PURPOSES, 0))
        for purpose, minor in ((move.source, -move.minor), (move.target, move.minor)):
            own = purpose in lot
            if own:
                lot[purpose] += minor
            self.accounts[(sharer if own else SHOP, currency, purpose)] += minor
        if move.source == PAYABLE and self.accounts[(sharer, currency, PAYABLE)] < 0:
            require(move.kind in MAY_OVERDRAW, "{} leaves payable below zero", move.kind)
        self.log.append((sharer, currency, move.kind, move.minor))
        self.edges[move.kind] += 1

    # -- releases ------------------------------------------------------------------------------------------------------

    def due(self, now: int) -> list[Entry]:
        """Return the orders whose hold is over."""
        return [
            entry
            for entry in self.orders.values()
            if entry.work.released is None
            and entry.stand.release_at is not None
            and entry.stand.release_at <= now
            and not _decision(entry).held
        ]

    def release(self, now: int) -> int:
        """Release what is due; return how many orders were."""
        due = self.due(now)
        self.position += bool(due)
        for entry in due:
            for key, lot in sorted(entry.lots.items()):
                if lot[PENDING] > 0:
                    self.apply(entry, key, Move("release", lot[PENDING]))
            entry.work.released = entry.record.released = self.position
            entry.decided_at_release = entry.work.decision
        return len(due)

    # -- payouts -------------------------------------------------------------------------------------------------------

    def payable(self, currency: str) -> dict[int, int]:
        """Return who can be paid in the currency, and how much."""
        found = {}
        for sharer, facts in self.sharers.items():
            newest = max(facts, key=lambda fact: (fact.at, fact.seq))
            balance = self.accounts.get((sharer, currency, PAYABLE), 0)
            if newest.status == "approved" and balance > 0:
                found[sharer] = balance
        return found

    def draft(self, currency: str) -> Batch:
        """Make a draft of everybody who can be paid now."""
        self.position += 1
        batch = Batch(currency, items=[Item(sharer, gross) for sharer, gross in self.payable(currency).items()])
        self.batches.append(batch)
        return batch

    def approve(self, batch: Batch) -> None:
        """Reserve each balance as it is now, commission by commission."""
        batch.state = payout.move_batch(batch.state, payout.APPROVED)
        self.position += 1
        ready = self.payable(batch.currency)
        batch.items = [item for item in batch.items if item.sharer in ready]
        for item in batch.items:
            item.gross = ready[item.sharer]
            item.lots = sorted(
                (
                    (ref, key, lot[PAYABLE])
                    for ref, entry in self.orders.items()
                    for key, lot in entry.lots.items()
                    if key[0] == item.sharer and key[2] == batch.currency and lot[PAYABLE]
                ),
                key=lambda one: (one[2], one[:2]),  # debts first: they are paid from what follows
            )
            require(sum(one[2] for one in item.lots) == item.gross, "the lots of an item are not its gross")
            self._move_lots(item, payout.RESERVED, item.lots)

    def submit(self, batch: Batch, state: str) -> None:
        """Hand the batch over to a rail, whose items then stand in ``state``."""
        batch.state = payout.move_batch(batch.state, payout.SUBMITTED)
        self.position += 1
        for item in batch.items:
            item.state = state
        self._settle_when_done(batch)

    def cancel(self, batch: Batch) -> None:
        """Give back everything that was reserved."""
        reserved = batch.state == payout.APPROVED
        batch.state = payout.move_batch(batch.state, payout.CANCELLED)
        self.position += 1
        for item in batch.items:
            if reserved:
                self._move_lots(item, payout.CANCELLED, item.lots[::-1])
            item.state = payout.CANCELLED

    def mark(self, batch: Batch, item: Item, state: str) -> None:
        """Write down what became of an item."""
        item.state = payout.mark_item(batch.state, item.state, state)
        self.position += 1
        self._move_lots(item, state, item.lots[::-1])
        self._settle_when_done(batch)

    def _move_lots(self, item: Item, state: str, lots: Sequence[tuple[str, LotKey, int]]) -> None:
        earned, debt = KINDS[state]
        for ref, key, amount in lots:
            self.apply(self.orders[ref], key, Move(earned, amount) if amount > 0 else Move(debt, -amount))

    def _settle_when_done(self, batch: Batch) -> None:
        if batch.state == payout.SUBMITTED and all(item.state in payout.ENDS for item in batch.items):
            batch.state = payout.move_batch(batch.state, payout.SETTLED)

    # -- what must hold ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Hold the books against their moves, the lots, the orders' targets and the payouts."""
        self._check_accounts()
        for ref, entry in self.orders.items():
            self._check_order(ref, entry)
        self._check_payouts()

    def _check_accounts(self) -> None:
        for sharer, currency, kind, minor in self.log[self.summed :]:
            source, target = EDGES[kind]
            self.moved[(sharer if source in _OWN else SHOP, currency, source)] -= minor
            self.moved[(sharer if target in _OWN else SHOP, currency, target)] += minor
        self.summed = len(self.log)
        require(dict(self.moved) == dict(self.accounts), "accounts are not the sum of their moves")
        lying: Counter[AccountKey] = Counter()
        for entry in self.orders.values():
            for (sharer, _, currency), lot in entry.lots.items():
                for purpose, minor in lot.items():
                    if minor:
                        lying[(sharer, currency, purpose)] += minor
        whole: Counter[str] = Counter()
        for key, minor in self.accounts.items():
            whole[key[1]] += minor
            if key[0] != SHOP:
                require(lying[key] == minor, "account {} holds {}, its lots {}", key, minor, lying[key])
                require(minor >= 0 or key[2] == PAYABLE, "account {} is at {}", key, minor)
        require(not any(whole.values()), "the whole is {}", whole)

    def _check_order(self, ref: str, entry: Entry) -> None:
        held, released = _decision(entry).held, entry.work.released is not None
        targets = entry.stand.targets
        for key, lot in entry.lots.items():
            booked = sum(lot.values())
            require(booked == targets.get(key, 0), "order {}: {} has {} booked", ref, key, booked)
            wrong = (PENDING, HELD) if released else (PENDING if held else HELD, PAYABLE, IN_FLIGHT, PAID)
            require(not any(lot[purpose] for purpose in wrong), "order {}: {} lies {}", ref, key, lot)
        for key, minor in targets.items():
            require(minor >= 0 and (minor == 0 or key in entry.lots), "order {}: {} should have {}", ref, key, minor)
        if released and not any(word.seq > (entry.work.released or 0) for word in entry.record.facts.manual):
            require(entry.work.decision == entry.decided_at_release, "order {} was decided anew", ref)

    def _check_payouts(self) -> None:
        expected: Counter[AccountKey] = Counter()
        for batch in self.batches:
            for item in batch.items:
                if item.state == payout.PAID:
                    expected[(item.sharer, batch.currency, PAID)] += item.gross
                elif batch.state != payout.DRAFT and item.state not in payout.ENDS:
                    expected[(item.sharer, batch.currency, IN_FLIGHT)] += item.gross
        for key, minor in self.accounts.items():
            if key[2] in (IN_FLIGHT, PAID):
                require(minor == expected[key], "{} is {}, the payouts say {}", key, minor, expected[key])
        for key, minor in expected.items():
            require(self.accounts.get(key, 0) == minor, "{} is not in the books", key)

    def check_by_record(self) -> None:
        """Derive every order from its record alone, as the books check does, and compare."""
        deriving = Deriving(
            self.plans, self.known, [entry.record for entry in self.orders.values()], starts_at=self.starts_at
        )
        plans = {one.version: one.plan for one in self.plans}
        for ref, entry in self.orders.items():
            decision, is_late = deriving.in_force(entry.record)
            require(
                decision == entry.work.decision, "order {} is decided {}, not {}", ref, decision, entry.work.decision
            )
            story = entry.record.story(None)
            require(story == entry.work.story, "order {} has another story", ref)
            stand = self.stand(story, decision, plans[decision.plan_version], is_late=is_late)
            require(stand == entry.stand, "order {} stands otherwise: {} and {}", ref, stand, entry.stand)


_OWN = frozenset(SHARER_PURPOSES)
_NOTHING: Any = None


def _decision(entry: Entry) -> Decision:
    decision = entry.work.decision
    require(decision is not None, "an order is not decided")
    assert decision is not None
    return decision


def _with(facts: tuple[Any, ...], fact: Any) -> tuple[Any, ...]:
    """Return the facts with one more, in the order in which they were recorded, each once."""
    return facts if fact in facts else tuple(sorted((*facts, fact), key=lambda one: one.seq))


# --- what may happen --------------------------------------------------------------------------------------------------

ALICE, BOB, CAROL, DAVE = 1, 2, 3, 4
PEOPLE = {
    ALICE: Identity(ALICE, "c-alice", "#alice@example.org"),
    BOB: Identity(BOB, None, "#bob@example.org"),
    CAROL: Identity(CAROL, "c-carol", None),
    DAVE: Identity(DAVE, "c-dave", "#dave@example.org"),
}
CODES = {"alice": ALICE, "bob": BOB, "carol": CAROL, "free": None}
CUSTOMERS = (
    None,
    Customer("c-1", None, 0),
    Customer("c-1", "#one@example.org", 2),
    Customer(None, "#guest@example.org", 3),
    Customer("c-carol", "#carol@example.org", 1),
    Customer("c-2", "#bob@example.org", 0),
    Customer("c-alice", None, 0),
)
LINKS = (
    Link(11, ALICE, "instagram", "spring"),
    Link(12, BOB, "wechat", None),
    Link(13, CAROL, None, "spring"),
    Link(14, DAVE, None, None),
)
SHOPS_PRODUCTS = (("p1", "S", ("shoes",)), ("p2", "T", ("hats",)), (None, None, ()))


def _some_plan(luck: Random) -> Plan:
    """Read a plan in which everything that can hang on a plan does now and then."""

    def pay() -> dict[str, Any]:
        amounts = {"USD": "5.00", "EUR": "4.995", "TWD": "77.50", "JPY": "505", "KWD": "1.2345"}
        return luck.choice(
            [
                {"percent": luck.choice(["10", "12.5", "33.3333", "100"])},
                {"percent": "20"},
                {"per_item": amounts},
                {"per_order": amounts},
                {"none": True},
            ]
        )

    conditions: tuple[dict[str, Any], ...] = (
        {"skus": ["S"]},
        {"groups": ["vip"]},
        {"channels": ["wechat"]},
        {"customer": "new"},
        {},
    )
    rules = [{"id": f"r{at}", "when": luck.choice(conditions), "pay": pay()} for at in range(luck.randrange(3))]
    plan: dict[str, Any] = {
        "attribution": {
            "window_days": luck.choice([3, 30]),
            "model": luck.choice(["last", "first"]),
            "priority": luck.choice(
                [["coupon", "link", "binding"], ["link", "coupon", "binding"], ["binding", "link"]]
            ),
            "new_customers_only": luck.random() < 0.1,
            "self_purchase": luck.choice(["block", "hold", "allow"]),
            "binding": {
                "mode": luck.choice(["none", "first", "latest"]),
                "valid_days": luck.choice([None, None, 2]),
                "protected_days": luck.choice([0, 2]),
                "max_orders": luck.choice([None, None, 1]),
                "extend_on_order": luck.random() < 0.3,
            },
        },
        "commission": {
            "include_tax": luck.random() < 0.5,
            "include_shipping": luck.random() < 0.5,
            "rules": rules,
            "default": pay(),
        },
        "hold_days": luck.choice([0, 1, 2]),
    }
    if luck.random() < 0.3:
        plan["commission"]["order_cap"] = dict.fromkeys(CURRENCIES, "12.50")
    if luck.random() < 0.5:
        plan["upline"] = {"percents": [luck.choice(["2", "3.3333"])]}
    if luck.random() < 0.5:
        plan["buyer"] = {"cashback_percent": "1.5"}
    return read_plan(plan)


PLANS = tuple(_some_plan(Random(number)) for number in range(200))
PLAIN_PLANS = tuple(
    plan
    for plan in PLANS
    if plan.default.name == "percent" and not plan.rules and "coupon" in plan.attribution.priority
)


def _cents(luck: Random) -> int:
    """Return an amount in micros: whole cents, and now and then parts of one."""
    return luck.randrange(20_000) * 10_000 if luck.random() < 0.8 else luck.randrange(200_000_000)


def _line(luck: Random, number: int) -> Line:
    product, sku, collections = luck.choice(SHOPS_PRODUCTS)
    amount = 0 if luck.random() < 0.05 else _cents(luck)
    return Line(f"l{number}", product, None, sku, None, luck.randrange(1, 4), amount, amount // 10, collections)


def _whole(order: Order) -> int:
    """Return all that was paid for an order."""
    return sum(line.amount + line.tax for line in order.lines) + order.shipping_amount + order.shipping_tax


def _refunded(order: Order, amount: int, *parts: RefundLine, shipping: int = 0) -> Order:
    number = max([int(refund.id[1:]) for refund in order.refunds], default=0) + 1
    return replace(order, refunds=(*order.refunds, Refund(f"r{number}", None, parts, shipping, amount)))


Edit = Callable[[Order, Random, int], Order | None]  # None where it makes no sense for the order


def _pay(order: Order, luck: Random, now: int) -> Order | None:
    paid_at = luck.choice([None, now, now - DAY])
    return replace(order, payment="paid", paid_at=paid_at) if order.payment == "unpaid" else None


def _become(field_name: str, old: str, new: str) -> Edit:
    def edit(order: Order, luck: Random, now: int) -> Order | None:
        if getattr(order, field_name) != old:
            return None
        return replace(order, payment=new) if field_name == "payment" else replace(order, status=new)

    return edit


def _refund_line(order: Order, luck: Random, now: int) -> Order | None:
    lines = [line for line in order.lines if line.quantity]
    if not lines:
        return None
    line = luck.choice(lines)
    quantity = luck.randrange(1, line.quantity + 1)
    amount, tax = line.amount * quantity // line.quantity, line.tax * quantity // line.quantity
    return _refunded(order, amount + tax, RefundLine(line.id, quantity, amount, tax))


def _refund_rest(order: Order, luck: Random, now: int) -> Order | None:
    return _refunded(order, luck.randrange(_whole(order) // 2 + 1))


def _refund_cent(order: Order, luck: Random, now: int) -> Order | None:
    return _refunded(order, 10_000)


def _refund_shipping(order: Order, luck: Random, now: int) -> Order | None:
    shipping = luck.choice([order.shipping_amount, order.shipping_amount // 2])
    return _refunded(order, shipping, shipping=shipping) if shipping else None


def _refund_all(order: Order, luck: Random, now: int) -> Order | None:
    return _refunded(order, _whole(order))


def _refund_too_much(order: Order, luck: Random, now: int) -> Order | None:
    return _refunded(order, _whole(order) + _cents(luck) + 1)


def _refund_unknown_line(order: Order, luck: Random, now: int) -> Order | None:
    amount = _cents(luck)
    return _refunded(order, amount, RefundLine("gone", 1, amount // 2, 0))


def _refund_below_parts(order: Order, luck: Random, now: int) -> Order | None:
    if not order.lines:
        return None
    line = luck.choice(order.lines)
    return _refunded(order, line.amount // 3, RefundLine(line.id, 1, line.amount // 2, 0)) if line.amount > 6 else None


def _refund_taken_back(order: Order, luck: Random, now: int) -> Order | None:
    if not order.refunds:
        return None
    gone = luck.choice(order.refunds)
    return replace(order, refunds=tuple(refund for refund in order.refunds if refund is not gone))


def _edit_lines(order: Order, luck: Random, now: int) -> Order | None:
    lines = list(order.lines)
    what = luck.choice(["add", "drop", "change"])
    if what == "add" or not lines:
        lines.append(_line(luck, max([int(line.id[1:]) for line in lines], default=-1) + 1))
    elif what == "drop":
        lines.pop(luck.randrange(len(lines)))
    else:
        at = luck.randrange(len(lines))
        lines[at] = replace(lines[at], amount=_cents(luck))
    return replace(order, lines=tuple(lines))


def _edit_who_and_when(order: Order, luck: Random, now: int) -> Order | None:
    return replace(order, customer=luck.choice(CUSTOMERS), placed_at=order.placed_at + luck.choice([-DAY, DAY]))


def _edit_currency(order: Order, luck: Random, now: int) -> Order | None:
    return replace(order, currency=luck.choice(CURRENCIES)) if luck.random() < 0.2 else None


def _mark_test(order: Order, luck: Random, now: int) -> Order | None:
    return replace(order, test=not order.test) if order.test or luck.random() < 0.3 else None


EDITS: dict[str, Edit] = {
    "paid": _pay,
    "voided": _become("payment", "unpaid", "voided"),
    "chargeback": _become("payment", "paid", "chargeback"),
    "chargeback won": _become("payment", "chargeback", "paid"),
    "cancelled": _become("status", "open", "cancelled"),
    "reopened": _become("status", "cancelled", "open"),
    "refund of a line": _refund_line,
    "refund of an amount": _refund_rest,
    "refund of a cent": _refund_cent,
    "refund of shipping": _refund_shipping,
    "refund of all": _refund_all,
    "refund of too much": _refund_too_much,
    "refund of an unknown line": _refund_unknown_line,
    "refund below its parts": _refund_below_parts,
    "refund taken back": _refund_taken_back,
    "lines edited": _edit_lines,
    "customer and date edited": _edit_who_and_when,
    "currency edited": _edit_currency,
    "marked as test or not": _mark_test,
}
EDIT_WEIGHTS = {
    "paid": 8,
    "cancelled": 1,
    "chargeback won": 4,
    "reopened": 3,
    "refund of too much": 1,
    "refund of all": 1,
}


# --- a history --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A family of histories: without releases all orders of arrival end alike; a plain one has many payouts."""

    name: str
    moves_money: bool
    is_plain: bool


KINDS_OF_HISTORY = (Kind("told", False, False), Kind("released", True, False), Kind("paid", True, True))


class History:
    """One random history: ``steps`` happenings, the books checked after each, then the comparisons."""

    def __init__(self, luck: Random, kind: Kind, steps: int) -> None:
        self.luck, self.kind, self.steps = luck, kind, steps
        self.now = START
        self.counts: Counter[str] = Counter()
        self.told: list[News] = []
        self.queue: list[News] = []
        self.truth: dict[str, Order] = {}
        self.stated: list[State] = []
        self.currencies = luck.sample(CURRENCIES, 1 if kind.is_plain else luck.choice([1, 1, 2]))
        self.tokens = _some_tokens(luck)
        self.plans = PLAIN_PLANS if kind.is_plain else PLANS
        self.plan, self.starts_at = luck.choice(self.plans), START - luck.choice([0, 2 * DAY, 100 * DAY])
        self.standings: dict[tuple[Any, ...], Standing] | None = None if luck.random() < 0.1 else {}
        self.world = self._new_world()
        self.trace: list[str] | None = None
        self._enrol_everybody()

    def _new_world(self) -> World:
        return World(self.plan, self.tokens, starts_at=self.starts_at, standings=self.standings)

    def _enrol_everybody(self) -> None:
        loops = self.luck.random() < 0.5
        inviters = {ALICE: BOB, BOB: ALICE if loops else None, CAROL: ALICE}
        facts: list[Fact] = []
        for at, (sharer, inviter) in enumerate(inviters.items()):
            facts.append(replace(PEOPLE[sharer], seq=2))
            facts.append(
                SharerFact(2, START - (5 - at) * DAY, sharer, "approved", self.luck.choice([None, "vip"]), inviter)
            )
        facts += [CodeFact(2, START - 5 * DAY, code, sharer) for code, sharer in CODES.items() if sharer]
        self._hear([("fact", fact) for fact in facts])

    # -- one step ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through the history; raise InvariantBroken where something does not hold."""
        taken = 0
        while taken < self.steps:
            self.now += self.luck.choice((0, SECOND, 3_600 * SECOND, 6 * 3_600 * SECOND, DAY))
            name, step = self._next_step()
            if step():
                taken += 1
                self._count(name)
                self.world.check()
                if self.luck.random() < 0.03:
                    self.world.check_by_record()
        self._count_what_came_of_it()
        self.world.check_by_record()
        self._tell_again()

    def _next_step(self) -> tuple[str, Callable[[], bool]]:
        choice = self.luck.random()
        if self.kind.moves_money and choice < 0.35:
            return "payout or release", self._move_money
        most = 2 * ORDERS_MAX if self.kind.is_plain else ORDERS_MAX
        if len(self.truth) < 3 or (choice < 0.45 and len(self.truth) < most):
            return "order", self._place
        if choice < 0.75:
            return "edit", self._edit
        if choice < 0.83:
            return "late delivery", self._deliver_late
        if choice < 0.86:
            return "duplicate", self._duplicate
        if choice < 0.88:
            return "bare deletion", self._delete
        if choice < 0.92:
            return "word", self._speak
        return "fact", self._change

    def _count(self, name: str) -> None:
        self.counts[name] += 1
        if self.trace is not None:
            self.trace.append(name)

    def _hear(self, news: Sequence[News]) -> None:
        self.told += news
        self.world.hear(news)

    # -- deliveries ----------------------------------------------------------------------------------------------------

    def _place(self) -> bool:
        luck, ref = self.luck, f"o{len(self.truth)}"
        order = Order(
            id=ref,
            number=None,
            updated_at=self.now,
            placed_at=self.now - luck.choice([1, 200 * SECOND, DAY, 3 * DAY, -DAY]),
            paid_at=None,
            currency=luck.choice(self.currencies),
            status="open",
            payment=luck.choice(["paid", "paid", "unpaid"]),
            test=luck.random() < 0.02,
            customer=None if self.kind.is_plain else luck.choice(CUSTOMERS),
            lines=tuple(_line(luck, number) for number in range(luck.choice([1, 1, 2, 3, 0]))),
            shipping_amount=luck.choice([0, 5_000_000, 4_990_000]),
            shipping_tax=luck.choice([0, 250_000]),
            total=0,
            refunds=(),
            touch=self._some_touch(),
        )
        self._state(order)
        return True

    def _some_touch(self) -> Touch:
        luck = self.luck
        if self.kind.is_plain and luck.random() < 0.8:
            return Touch(("alice",))
        codes = luck.choice([(), (), ("alice",), ("bob",), (" Carol ",), ("free",), ("alice", "BOB"), ("nobody",)])
        carriers = luck.choice([(), ("_pa",), ("_pa", "landing"), ("_pa", "_pa", "utm"), ("utm",)])
        return Touch(codes, tuple((carrier, luck.choice(_TOKEN_NAMES)) for carrier in carriers))

    def _edit(self) -> bool:
        luck = self.luck
        ref = luck.choice(list(self.truth))
        name = luck.choices(list(EDITS), _PLAIN_WEIGHTS if self.kind.is_plain else _WEIGHTS)[0]
        edited = EDITS[name](self.truth[ref], luck, self.now)
        if edited is None:
            return False
        if luck.random() < 0.1:
            edited = replace(edited, touch=self._some_touch())
            self._count("touch edited")
        updated_at = self.now if luck.random() < 0.9 else edited.updated_at
        self._count(name)
        self._state(replace(edited, updated_at=updated_at))
        return True

    def _state(self, order: Order) -> None:
        """The shop states an order; its delivery comes at once, late, or after others."""
        self.truth[order.id] = order
        state = state_of(order)
        self.stated.append(state)
        if self.luck.random() < 0.25:
            self.queue.append(("state", state))
        else:
            self._deliver([("state", state)])

    def _deliver(self, news: Sequence[News]) -> None:
        for kind, what in news:
            entry = self.world.orders.get(what.order.id) if kind == "state" else None
            if entry is not None and what.key < entry.work.story.now.key:
                self._count("older than what is known")
                if what.key < entry.work.story.first.key:
                    self._count("older than all that is known")
            if (
                entry is not None
                and what.key[0] == entry.work.story.now.key[0]
                and what.sha != entry.work.story.now.sha
            ):
                self._count("of an equal time")
        self._hear(news)

    def _deliver_late(self) -> bool:
        if not self.queue:
            return False
        count = min(len(self.queue), self.luck.choice([1, 1, 2, 5]))
        self._deliver([self.queue.pop(self.luck.randrange(len(self.queue))) for _ in range(count)])
        return True

    def _duplicate(self) -> bool:
        if not self.told:
            return False
        again = self.luck.choice(self.told)
        if again[0] not in ("state", "deleted"):
            return False
        self._deliver([again])
        return True

    def _delete(self) -> bool:
        ref = self.luck.choice(list(self.truth))
        if ref not in self.world.orders:
            self._count("deletion before its order")
        self._hear([("deleted", (ref, self.now))])
        return True

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _speak(self) -> bool:
        """The owner decides by hand, or holds an order."""
        luck = self.luck
        if not self.world.orders:
            return False
        ref = luck.choice(list(self.world.orders))
        seq = self.world.position + 1
        if luck.random() < 0.35:
            if self.world.orders[ref].work.released is not None:
                return False
            self._count("hold")
            self._hear([("word", (ref, HoldFact(seq, self.now, "")))])
            return True
        sharer = luck.choice([ALICE, BOB, CAROL, None])
        self._count("manual decision for a sharer" if sharer else "manual decision for nobody")
        if self.world.orders[ref].work.released is not None:
            self._count("manual decision after the release")
        self._hear([("word", (ref, ManualFact(seq, self.now, sharer, "")))])
        return True

    def _change(self) -> bool:
        """A dated fact: it counts for orders placed from now on, and changes nothing that was decided."""
        before = self._decided_until(self.now)
        seq, luck = self.world.position + 1, self.luck
        if DAVE not in self.world.sharers and luck.random() < 0.3:
            self._count("sharer enrolled")
            since = self.now - luck.choice([0, DAY, 10 * DAY])
            inviter = luck.choice([None, ALICE])
            facts: list[Fact] = [
                replace(PEOPLE[DAVE], seq=seq),
                SharerFact(seq, since, DAVE, "approved", None, inviter),
                CodeFact(seq, since, "dave", DAVE),
            ]
            self._hear([("fact", fact) for fact in facts])
            return True
        at = self.now + 1  # after every order placed by now
        name, fact = luck.choice([self._new_standing, self._new_standing, self._new_code, self._new_plan])(seq, at)
        self._count(name)
        self._hear([("fact", fact)])
        after = self._decided_until(self.now)
        require(before == after, "{} changed what was decided: {} and {}", name, before, after)
        return True

    def _decided_until(self, moment: int) -> dict[str, Frozen]:
        """Return what the decisions of the orders placed by the moment froze."""
        return {
            ref: _decision(entry).frozen
            for ref, entry in self.world.orders.items()
            if entry.work.story.first.placed_at <= moment
        }

    def _new_standing(self, seq: int, at: int) -> tuple[str, Fact]:
        sharer = self.luck.choice(list(self.world.sharers))
        now = max(self.world.sharers[sharer], key=lambda fact: (fact.at, fact.seq))
        changes: dict[str, Any] = self.luck.choice(
            [
                {"status": "suspended" if now.status == "approved" else "approved"},
                {"status": "approved"},
                {"group": self.luck.choice([None, "vip", "gold"])},
                {"inviter": self.luck.choice([None, *(who for who in self.world.sharers if who != sharer)])},
            ]
        )
        name = next(iter(changes))
        if name == "status":
            name = str(changes["status"])
        return name, replace(now, seq=seq, at=at, **changes)

    def _new_code(self, seq: int, at: int) -> tuple[str, Fact]:
        code = self.luck.choice(list(CODES))
        facts = self.world.codes.get(code, ())
        holder = max(facts, key=lambda fact: (fact.at, fact.seq)).sharer if facts else None
        if holder is None:
            return "code given", CodeFact(seq, at, code, self.luck.choice(list(self.world.sharers)))
        return "code taken away", CodeFact(seq, at, code, None)

    def _new_plan(self, seq: int, at: int) -> tuple[str, Fact]:
        plan = self.luck.choice(self.plans)
        placed = [entry.work.story.first.placed_at for entry in self.world.orders.values()]
        if all(moment < at - 2 * DAY for moment in placed):
            at -= 2 * DAY  # put for a time already past, since when nothing is decided
        return "plan", PlanVersion(len(self.world.plans) + 1, at, seq, plan)

    # -- releases and payouts ------------------------------------------------------------------------------------------

    def _move_money(self) -> bool:
        luck, world = self.luck, self.world
        if luck.random() < 0.3:
            if luck.random() < 0.3:
                self.now += 2 * DAY
            if not world.release(self.now):
                return False
            require(world.release(self.now) == 0, "an order was released twice")
            self._count("release")
            return True
        open_batches = [batch for batch in world.batches if batch.state not in (payout.CANCELLED, payout.SETTLED)]
        settled = [batch for batch in world.batches if batch.state == payout.SETTLED]
        if open_batches and luck.random() < 0.8:
            return self._go_on(luck.choice(open_batches))
        if settled and luck.random() < 0.4:
            return self._go_on(luck.choice(settled))
        currency = luck.choice(self.currencies)
        if not world.payable(currency):
            return False
        world.draft(currency)
        self._count("payout drafted")
        return True

    def _go_on(self, batch: Batch) -> bool:
        """Take the next step of a payout, or try one that there is not."""
        luck, world = self.luck, self.world
        if luck.random() < 0.05:
            return self._try_what_is_refused(batch)
        if batch.state in (payout.DRAFT, payout.APPROVED) and luck.random() < 0.15:
            self._count(f"payout cancelled that was {batch.state}")
            world.cancel(batch)
        elif batch.state == payout.DRAFT:
            self._count("payout approved")
            world.approve(batch)
            if any(amount < 0 for item in batch.items for _, _, amount in item.lots):
                self._count("debt netted")
        elif batch.state == payout.APPROVED:
            self._count("payout submitted")
            world.submit(batch, luck.choice([payout.IN_FLIGHT, payout.UNKNOWN, payout.ACTION_NEEDED]))
        else:
            return self._mark(batch)
        return True

    def _mark(self, batch: Batch) -> bool:
        marks = [(item, to) for item in batch.items for state, to in sorted(payout.MARKS) if item.state == state]
        if not marks:
            return False
        item, to = max(self.luck.choices(marks, k=2), key=lambda mark: mark[1] == payout.PAID)
        self._count(f"item {item.state} marked {to}")
        self.world.mark(batch, item, to)
        return True

    def _try_what_is_refused(self, batch: Batch) -> bool:
        wrong: list[Callable[[], None]] = []
        if batch.state != payout.DRAFT:
            wrong.append(lambda: self.world.approve(batch))
        if batch.state != payout.APPROVED:
            wrong.append(lambda: self.world.submit(batch, payout.IN_FLIGHT))
        if batch.state not in (payout.DRAFT, payout.APPROVED):
            wrong.append(lambda: self.world.cancel(batch))
        for item in batch.items:
            if item.state != payout.PAID:
                wrong.append(lambda item=item: self.world.mark(batch, item, payout.RETURNED))  # type: ignore[misc]
        try:
            self.luck.choice(wrong)()
        except Conflict:
            self._count("payout step refused")
            return True
        raise InvariantBroken(f"A payout that is {batch.state} took a step that there is not.")

    # -- the end -------------------------------------------------------------------------------------------------------

    def _count_what_came_of_it(self) -> None:
        for entry in self.world.orders.values():
            decision = _decision(entry)
            self.counts[f"decided: {decision.reason}"] += 1
            self.counts.update(f"flag: {flag}" for flag in entry.stand.flags)
            self.counts.update(f"earns: {key[1]}" for key, minor in entry.stand.targets.items() if minor)
            self.counts.update(f"refused: {one.refusal}" for one in decision.evidence if one.refusal)
            self.counts["held"] += decision.held
            self.counts.update(f"currency: {key[2]}" for key, lot in entry.lots.items() if any(lot.values()))
        self.counts.update(
            f"account {purpose} below zero"
            for (_, _, purpose), minor in self.world.accounts.items()
            if minor < 0 and purpose == PAYABLE
        )

    def _tell_again(self) -> None:
        """Tell all of it anew in another order, with duplicates and in other batches, to a shop that knows nothing."""
        luck = self.luck
        again = [*self.told, *luck.sample(self.told, len(self.told) // 3)]
        luck.shuffle(again)
        other = self._new_world()
        while again:
            size = luck.randrange(1, 2 * len(again) + 1)
            other.hear(again[:size])
            del again[:size]
        other.check()
        if self.kind.moves_money:
            self._compare_what_was_not_late(other)
            return
        self._compare(other)
        for world in (self.world, other):
            world.release(FAR)
            world.check()
        self._compare(other)

    def _compare(self, other: World) -> None:
        """Without releases in between, everything is equal."""
        require(other.accounts == self.world.accounts, "balances differ: {} {}", self.world.accounts, other.accounts)
        require(other.orders.keys() == self.world.orders.keys(), "there are other orders")
        for ref, entry in self.world.orders.items():
            theirs = other.orders[ref]
            require(entry.work.decision == theirs.work.decision, "order {} is decided otherwise", ref)
            require(entry.stand == theirs.stand, "order {} has other figures", ref)

    def _compare_what_was_not_late(self, other: World) -> None:
        """What was released before late evidence came stays as it was, with a flag; all else is as if told at once.

        Orders that hang on a late one by their customer may differ too.
        """
        late = {entry.customer for entry in self.world.orders.values() if LATE in entry.stand.flags} - {None}
        for ref, entry in self.world.orders.items():
            theirs = other.orders[ref]
            if LATE in entry.stand.flags or entry.customer in late:
                continue
            self.counts["compared though released"] += entry.work.released is not None
            mine = _decision(entry), entry.stand
            yours = _decision(theirs), theirs.stand
            same = all(getattr(mine[0], name) == getattr(yours[0], name) for name in _DECIDED)
            require(same, "order {} is decided otherwise: {} {}", ref, mine, yours)
            require(mine[1] == yours[1], "order {} has other figures: {} {}", ref, mine, yours)


_DECIDED = ("frozen", "kind", "held", "plan_version")
_WEIGHTS = [EDIT_WEIGHTS.get(name, 2) for name in EDITS]
_PLAIN_WEIGHTS = [
    8 if name == "paid" else 3 if name in ("refund of an amount", "refund of a line") else 0.3 for name in EDITS
]
_TOKEN_NAMES = ("forged", *(f"t{number}" for number in range(8)), "code11", "code12", "code14")


def _some_tokens(luck: Random) -> dict[str, Token | None]:
    """Return the genuine tokens of a history: clicks before and around its days, and links' own codes."""
    tokens: dict[str, Token | None] = {"code11": Token(11, None), "code12": Token(12, None), "code14": Token(14, None)}
    for number in range(8):
        at = START + luck.choice([-20 * DAY, -4 * DAY, -DAY, -1, DAY, 5 * DAY])
        tokens[f"t{number}"] = Token(luck.choice(LINKS).id, at)
    return tokens


# --- many -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What a run went through, by kind."""

    histories: int = 0
    steps: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    edges: Counter[str] = field(default_factory=Counter)

    def never(self) -> list[str]:
        """Return what should have happened and never did."""
        return [name for name in EXPECTED if not self.happened[name]] + [name for name in EDGES if not self.edges[name]]

    def table(self) -> str:
        """Return how often everything happened, in lines."""
        rows = sorted(self.happened.items()) + [(f"edge {kind}", self.edges[kind]) for kind in EDGES]
        head = f"{self.histories} histories, {self.steps} steps, {sum(self.edges.values())} transfers"
        return "\n".join([head, *(f"{count:>9}  {name}" for name, count in rows)])


EXPECTED = (
    *EDITS,
    *("order", "late delivery", "duplicate", "bare deletion", "deletion before its order", "touch edited"),
    *("older than what is known", "older than all that is known", "of an equal time", "fact", "word", "hold", "held"),
    *("manual decision for a sharer", "manual decision for nobody", "manual decision after the release"),
    *(
        "sharer enrolled",
        "approved",
        "suspended",
        "group",
        "inviter",
        "code given",
        "code taken away",
        "plan",
        "release",
    ),
    *("payout drafted", "payout approved", "payout submitted", "debt netted", "payout step refused"),
    *("payout cancelled that was draft", "payout cancelled that was approved", "account payable below zero"),
    *(f"item {state} marked {to}" for state, to in sorted(payout.MARKS)),
    *(f"decided: {reason}" for reason in ("manual", "manual_nobody", "coupon", "link", "binding", "no_evidence")),
    *(f"refused: {reason}" for reason in ("forged", "not_a_token", "outside_window", "click_after_order")),
    *(f"refused: {reason}" for reason in ("own_purchase", "not_a_new_customer", "code_not_in_force", "before_since")),
    *("decided: all_refused", "refused: sharer_suspended", "compared though released"),
    *("flag: late_evidence", "flag: deleted_in_shop", "flag: refund_amount_below_parts"),
    *("flag: refund_exceeds_order", "flag: refund_unknown_line", "earns: direct", "earns: upline", "earns: buyer"),
    *(f"currency: {currency}" for currency in CURRENCIES),
)


def history(seed: int) -> History:
    """Return the history of a seed, not yet lived."""
    luck = Random(seed)
    return History(luck, luck.choice(KINDS_OF_HISTORY), luck.choice((20, 20, 30, 40, 60, 100)))


def live(seeds: Iterable[int]) -> Iterator[Tally]:
    """Live the histories of seeds one after the other; yield the tally after each, the same object."""
    tally = Tally()
    for seed in seeds:
        one = history(seed)
        try:
            one.run()
        except Exception as error:
            error.add_note(f"Seed {seed}: run python tests/histories.py --only {seed}")
            raise
        tally.histories += 1
        tally.steps += one.steps
        tally.happened.update(one.counts)
        tally.edges.update(one.world.edges)
        yield tally


def main() -> int:
    """Run volume from the command line."""
    parser = argparse.ArgumentParser(description="Live random histories of one shop on the pure core.")
    parser.add_argument("--count", type=int, default=10_000, help="how many histories")
    parser.add_argument("--seed", type=int, default=0, help="where to begin; each history's seed is its own")
    parser.add_argument("--begin", type=int, default=0, help="how many a run that was stopped had lived of these")
    parser.add_argument("--only", type=int, help="live one history and show its steps")
    given = parser.parse_args()
    if given.only is not None:
        return _show(given.only)
    begun, tally = time.monotonic(), Tally()
    first = given.seed * 1_000_000_000
    for tally in live(range(first + given.begin, first + given.count)):
        if tally.histories % 1_000 == 0:
            print(f"{tally.histories} in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(tally.table())
    if tally.never():
        print(f"Never happened: {', '.join(tally.never())}")
    return bool(tally.never())


def _show(seed: int) -> int:
    one = history(seed)
    one.trace = []
    try:
        one.run()
    finally:
        print(f"A history of the kind {one.kind.name}:", *one.trace, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
