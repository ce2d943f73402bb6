"""Settling: bring decisions and books to what the orders, facts and plans now say, by the difference alone.

Everything that changes an order's money walks through :func:`settle` inside one recording transaction: deliveries,
replays, facts, manual decisions. Released orders keep their decision unless the owner decides by hand.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, bindparam, select, update

from plugin.domain import ledger
from plugin.domain.attribution import Case, Decision, decide
from plugin.domain.binding import Past, bound_at
from plugin.domain.commission import DELETED, Outcome, outcome
from plugin.domain.hold import release_at
from plugin.domain.money import format_minor
from plugin.domain.order import Story, normalise_code
from plugin.models import lot, order_code, orders
from plugin.services import stories
from plugin.services.public_id import SHARER, show, show_optional
from plugin.services.recorder import Recorder, insert_new
from plugin.services.roster import Known, OrderFacts, PlanVersion, load_known, load_order_facts, load_plans, plan_at

LATE = "late_evidence"
LotKey = tuple[int, str, str]  # sharer, role, currency


@dataclass(slots=True)
class Work:
    """One order in a settlement. ``decision`` is what is stored, ``released`` the position of its release."""

    id: int
    ref: str
    story: Story
    released: int | None = None
    decision: Decision | None = None
    old_customer: str | None = None
    stored: tuple[str, bytes] | None = None  # the story as it is stored
    release_at: int | None = None
    flags: str = "[]"

    @property
    def sort_key(self) -> tuple[int, str]:
        """Return the order's place among its customer's orders."""
        return self.story.first.placed_at, self.ref


def load_work(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> list[Work]:
    """Return the stored orders as work."""
    return [
        Work(
            id=row.id,
            ref=row.ref,
            story=stories.load(row.story, row.now),
            released=row.released,
            decision=Decision.from_json(json.loads(row.decision)) if row.decision else None,
            old_customer=row.customer_key,
            stored=(row.story, row.now),
            release_at=row.release_at,
            flags=row.flags,
        )
        for row in rows
    ]


def resettle(recorder: Recorder, order_ids: Collection[int], *, cause: str) -> int:
    """Settle stored orders again, after a fact; return how many orders' balances moved."""
    recorder.flush()
    rows = recorder.connection.execute(select(orders).where(orders.c.id.in_(order_ids))).all()
    works = load_work(recorder.connection, rows)
    return len(settle(recorder, works, causes={work.id: cause for work in works}))


def settle(recorder: Recorder, works: Sequence[Work], *, causes: Mapping[int, str]) -> set[int]:
    """Decide and book the orders (and those their customers' bindings concern); return the orders whose money moved."""
    if not works:
        return set()
    connection, shop = recorder.connection, recorder.shop
    works = list(works) + (_bound_orders(connection, shop.id, works) if shop.binds else [])
    works.sort(key=lambda work: work.sort_key)
    plans = load_plans(connection, shop.id)
    facts = load_order_facts(connection, [work.id for work in works])
    known = load_known(
        connection,
        recorder.context.keys,
        shop.id,
        touches=[touch for work in works for _, touch in work.story.touches],
        customers=[work.story.first.customer for work in works if work.story.first.customer],
        sharers=_named_before(works, facts),
    )
    lots = _load_lots(connection, [work.id for work in works])
    cause = next(iter(causes.values()))
    deciding = _Deciding(plans, known, facts, shop.starts_at)
    settled = [(work, deciding.decide(work)) for work in works]
    moved = set()
    updates: list[dict[str, object]] = []
    for work, (decision, is_late) in settled:
        if _book(recorder, work, decision, plans, lots.get(work.id, {}), causes.get(work.id, cause), is_late, updates):
            moved.add(work.id)
    _write(connection, shop.id, works, updates)
    return moved


# --- deciding -------------------------------------------------------------------------------------------------------


def _named_before(works: Sequence[Work], facts: Mapping[int, OrderFacts]) -> set[int]:
    """Return the sharers that manual decisions and earlier decisions name, bindings among them."""
    named = {one.sharer for known in facts.values() for one in known.manual if one.sharer is not None}
    return named | {work.decision.winner for work in works if work.decision and work.decision.winner is not None}


def _bound_orders(connection: Connection, shop_id: int, works: Sequence[Work]) -> list[Work]:
    """Return the other orders of the same customers: their decisions may hang on these."""
    customers = {work.old_customer for work in works}
    customers |= {work.story.first.customer.key for work in works if work.story.first.customer}
    customers.discard(None)
    mine = {work.id for work in works}
    rows = connection.execute(
        select(orders).where(orders.c.shop_id == shop_id, orders.c.customer_key.in_(customers))
    ).all()
    return [work for work in load_work(connection, rows) if work.id not in mine]


class _Deciding:
    """Decides orders oldest first, remembering what the customers' later orders must know of the earlier ones."""

    def __init__(
        self, plans: Sequence[PlanVersion], known: Known, facts: Mapping[int, OrderFacts], starts_at: int
    ) -> None:
        self.plans, self.known, self.facts, self.starts_at = plans, known, facts, starts_at
        self.past: dict[str, list[Past]] = {}

    def decide(self, work: Work) -> tuple[Decision, bool]:
        """Return the decision in force, and whether later evidence would have decided a released order otherwise."""
        facts = self.facts.get(work.id, OrderFacts())
        fresh = decide(self._case(work, facts))
        decision, is_late = fresh, False
        if work.released is not None and work.decision is not None:
            decided_by_hand = any(one.seq > work.released for one in facts.manual)
            if decided_by_hand and not _same_word(work.decision, fresh):
                decision = fresh
            else:
                decision = work.decision
                is_late = decision.frozen != fresh.frozen
        self._remember(work, decision)
        return decision, is_late

    def _case(self, work: Work, facts: OrderFacts) -> Case:
        version = plan_at(self.plans, work.story.first.placed_at)
        customer = work.story.first.customer
        terms = version.plan.attribution.binding
        past = self.past.get(customer.key, []) if customer and customer.key else []
        return Case(
            story=work.story,
            roster=self.known.roster,
            plan=version.plan,
            plan_version=version.version,
            tokens=self.known.tokens,
            manual=facts.manual,
            holds=facts.holds,
            bound=bound_at(past, work.story.first.placed_at, terms),
        )

    def _remember(self, work: Work, decision: Decision) -> None:
        customer = work.story.first.customer
        if customer and customer.key:
            self.past.setdefault(customer.key, []).append(past_of(work.ref, work.story, decision, self.starts_at))


def past_of(ref: str, story: Story, decision: Decision, starts_at: int) -> Past:
    """Return what a binding asks of an order that is decided."""
    can_earn = not story.now.order.test and story.first.placed_at >= starts_at
    return Past(
        placed_at=story.first.placed_at,
        order_id=ref,
        paid=story.now.order.payment == "paid" and not story.cancelled,
        winner=decision.winner if can_earn else None,
        by_binding=decision.kind == "binding",
    )


def _same_word(stored: Decision, fresh: Decision) -> bool:
    """Tell whether the stored decision already follows the owner's latest word."""
    return [one for one in stored.evidence if one.kind == "manual"] == [
        one for one in fresh.evidence if one.kind == "manual"
    ]


# --- booking --------------------------------------------------------------------------------------------------------


def _load_lots(connection: Connection, order_ids: Sequence[int]) -> dict[int, dict[LotKey, dict[str, int]]]:
    found: dict[int, dict[LotKey, dict[str, int]]] = {}
    for row in connection.execute(select(lot).where(lot.c.order_id.in_(order_ids))).mappings():
        key = (row["sharer_id"], row["role"], row["currency"])
        found.setdefault(row["order_id"], {})[key] = {purpose: row[purpose] for purpose in ledger.SHARER_PURPOSES}
    return found


def targets_of(reckoned: Outcome, currency: str) -> dict[LotKey, int]:
    """Return what each person's role should hold in the books."""
    return {(role.sharer, role.role, currency): role.minor for role in reckoned.now.roles}


def _book(
    recorder: Recorder,
    work: Work,
    decision: Decision,
    plans: Sequence[PlanVersion],
    lots: Mapping[LotKey, Mapping[str, int]],
    cause: str,
    is_late: bool,
    updates: list[dict[str, object]],
) -> bool:
    """Move the books of one order to its targets and note what its row must say; tell whether money moved."""
    order = work.story.now.order
    plan = next(one.plan for one in plans if one.version == decision.plan_version)
    reckoned = outcome(work.story, decision.frozen, plan, starts_at=recorder.shop.starts_at)
    targets = targets_of(reckoned, order.currency)
    about, moved = (work.id, work.ref), False
    for key in sorted({*targets, *lots}):
        sharer_id, role, currency = key
        moves = ledger.moves(
            lots.get(key, {}), targets.get(key, 0), held=decision.held, released=work.released is not None
        )
        for move in moves:
            moved = True
            recorder.add_transfer(
                move,
                order=about,
                sharer_id=sharer_id,
                role=role,
                currency=currency,
                cause=cause,
                about_at=order.updated_at,
            )
        if moves:
            recorder.emit("commission.changed", _commission_event(recorder, work, key, targets.get(key, 0)))
    if work.decision is None or work.decision != decision:
        _record_decision(recorder, work, decision, cause)
    flags = set(reckoned.now.flags) | ({DELETED} if work.story.deleted else set()) | ({LATE} if is_late else set())
    due = release_at(work.story, plan.hold_days)
    if work.decision != decision or json.dumps(sorted(flags)) != work.flags or due != work.release_at or _is_new(work):
        updates.append(_row(work, decision, due, flags))
    return moved


def _is_new(work: Work) -> bool:
    return work.stored is None or work.stored != (stories.dump(work.story), stories.pack(work.story.now.text))


def _commission_event(recorder: Recorder, work: Work, key: LotKey, target: int) -> dict[str, object]:
    return {
        "shop": recorder.shop.key,
        "order": work.ref,
        "sharer": show(SHARER, key[0]),
        "role": key[1],
        "currency": key[2],
        "amount": format_minor(target, key[2]),
    }


def _record_decision(recorder: Recorder, work: Work, decision: Decision, cause: str) -> None:
    body = json.dumps(decision.to_json(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    recorder.add_decision(work.id, work.ref, body=body, cause=cause)
    recorder.emit(
        "order.decided",
        {
            "shop": recorder.shop.key,
            "order": work.ref,
            "outcome": decision.outcome,
            "reason": decision.reason,
            "winner": show_optional(SHARER, decision.winner),
        },
    )


def _row(work: Work, decision: Decision, due: int | None, flags: set[str]) -> dict[str, object]:
    first = work.story.first
    return {
        "number": work.id,
        "story": stories.dump(work.story),
        "now": stories.pack(work.story.now.text),
        "decision": json.dumps(decision.to_json(), ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        "customer_key": first.customer.key if first.customer else None,
        "customer_email": first.customer.email_hash if first.customer else None,
        "currency": work.story.now.order.currency,
        "placed_at": first.placed_at,
        "release_at": due,
        "held": decision.held,
        "flags": json.dumps(sorted(flags)),
    }


def _write(connection: Connection, shop_id: int, works: Sequence[Work], updates: list[dict[str, object]]) -> None:
    """Bring the orders' rows up to date, and the index of the codes they carry."""
    if updates:
        connection.execute(update(orders).where(orders.c.id == bindparam("number")), updates)
    names = {
        (normalise_code(code), work.id) for work in works for _, touch in work.story.touches for code in touch.codes
    }
    insert_new(
        connection,
        order_code,
        [{"shop_id": shop_id, "code": code, "order_id": order_id} for code, order_id in sorted(names)],
    )
