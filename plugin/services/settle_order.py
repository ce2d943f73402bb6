"""Settling: bring decisions and books to what the orders, facts and plans now say, by the difference alone.

Everything that changes an order's money walks through :func:`settle` inside one recording transaction: deliveries,
replays, facts, manual decisions.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, bindparam, select, update

from plugin.database import among
from plugin.domain import ledger
from plugin.domain.attribution import Decision
from plugin.domain.ledger import Move
from plugin.domain.money import format_minor
from plugin.domain.order import Story, normalise_code
from plugin.domain.rollup import COUNTED, NOT_COUNTED, Counted, Rollup, counted
from plugin.domain.settlement import (
    Deciding,
    Known,
    LotKey,
    Standing,
    Work,
    binds,
    moves_of,
    standing,
)
from plugin.domain.stored_json import canonical
from plugin.keys import Keys
from plugin.models import head, lot, order_code, orders
from plugin.services import stories
from plugin.services.context import Context
from plugin.services.order_states import state_after
from plugin.services.public_id import SHARER, show, show_optional
from plugin.services.recorder import Recorder, insert_many, insert_new
from plugin.services.roster import load_known, load_order_facts, load_plans, load_terms

CODE_LENGTH_MAX = 255
CHUNK = 500  # orders that are settled at once


@dataclass(slots=True)
class Stored(Work):
    """An order in a settlement with what its row says; ``row`` is None for one that has none yet."""

    row: Row[tuple[object, ...]] | None = None

    @property
    def counted(self) -> Counted:
        """Return what the order has been counted as so far."""
        return Counted(*(getattr(self.row, name) for name in COUNTED)) if self.row else NOT_COUNTED

    @property
    def customers(self) -> set[str]:
        """Return the keys of the customers whose chain the order stands in, before and now."""
        customer = self.story.first.customer
        keys = {self.row.customer_key if self.row else None, customer.key if customer else None}
        return {key for key in keys if key is not None}


def load_work(rows: Sequence[Row[tuple[object, ...]]]) -> list[Stored]:
    """Return the stored orders as work."""
    return [
        Stored(
            id=row.id,
            ref=row.ref,
            story=stories.load(row.story, row.now),
            released=row.released,
            decision=Decision.from_json(json.loads(row.decision)) if row.decision else None,
            row=row,
        )
        for row in rows
    ]


def resettle(recorder: Recorder, order_ids: Collection[int], *, cause: str) -> int:
    """Settle stored orders again, after a fact; return how many orders' balances moved."""
    numbers, moved = sorted(order_ids), set[int]()
    for first in range(0, len(numbers), CHUNK):
        recorder.flush()  # what is settled next reads what was just booked
        some = select(orders).where(among(orders.c.id, numbers[first : first + CHUNK]))
        works = load_work(recorder.connection.execute(some).all())
        moved |= settle(recorder, works, causes={work.id: cause for work in works})
    return len(moved)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is to be written of an order; only its moves are missing, which hang on what is booked."""

    story: Story
    decision: Decision
    stand: Standing
    count: Counted
    row: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Orders that a shop's record did not know at a position, drawn by what it said there."""

    position: int
    drawn: Mapping[str, Drawn]

    def still(self, recorder: Recorder, works: Iterable[Stored]) -> dict[str, Drawn]:
        """Return what holds of the works now that the record is taken: nothing they were drawn by has changed since."""
        if recorder.news > self.position:
            return {}
        fresh = ((work, self.drawn.get(work.ref)) for work in works if work.row is None)
        return {work.ref: drawn for work, drawn in fresh if drawn is not None and drawn.story == work.story}


def foresee(context: Context, shop_id: int, stories_told: Mapping[str, Story]) -> Foreseen | None:
    """Decide and reckon orders that are not known yet before the shop's other writers must wait for it.

    None where customers are bound, for then an order hangs on all others of its customer.
    """
    with context.database.reading() as connection:
        taken = select(orders.c.ref).where(orders.c.shop_id == shop_id, among(orders.c.ref, stories_told))
        known = set(connection.execute(taken).scalars())
        told = {ref: story for ref, story in stories_told.items() if ref not in known}
        starts_at, plans = load_terms(connection, shop_id)
        if not told or binds(plans):
            return None
        position = connection.execute(select(head.c.position).where(head.c.shop_id == shop_id)).scalar_one()
        roster = _load_known(connection, context.keys, shop_id, told.values())
    deciding, drawn = Deciding(plans, roster, {}, starts_at), {}
    for ref, story in told.items():
        try:
            drawn[ref] = _draw(Stored(0, ref, story), deciding)
        except Exception:  # noqa: S112 - settling meets it again, and tells of it
            continue
    return Foreseen(position, drawn)


def settle(
    recorder: Recorder, works: Sequence[Stored], *, causes: Mapping[int, str], foreseen: Foreseen | None = None
) -> set[int]:
    """Decide and book the orders (and those their customers' bindings concern); return the orders whose money moved."""
    if not works:
        return set()
    ready = foreseen.still(recorder, works) if foreseen else {}
    pairs = [(work, ready[work.ref]) for work in works if work.ref in ready]
    pairs += _draw_now(recorder, [work for work in works if work.ref not in ready])
    pairs.sort(key=lambda pair: pair[0].sort_key)
    lots = _load_lots(recorder.connection, [work.id for work, _ in pairs if work.row is not None])
    cause = next(iter(causes.values()))
    moved: set[int] = set()
    rows: list[tuple[Stored, dict[str, object]]] = []
    for work, drawn in pairs:
        decision, why, theirs = drawn.decision, causes.get(work.id, cause), lots.get(work.id, {})
        moves = moves_of(drawn.stand.targets, theirs, held=decision.held, released=work.released is not None)
        if moves:
            _book(recorder, work, moves, drawn.stand, why)
            moved.add(work.id)
        if work.row is None or work.decision != decision:
            _record_decision(recorder, work, decision, str(drawn.row["decision"]), why)
        row = {**drawn.row, "state": state_after(decision, theirs, moves)}
        if work.row is None or any(getattr(work.row, name) != value for name, value in row.items()):
            rows.append((work, row))
            _count(recorder.rollup, work, drawn.count)
    _write(recorder.connection, recorder.shop.id, [work for work, _ in pairs], rows)
    return moved


def _draw_now(recorder: Recorder, works: Sequence[Stored]) -> list[tuple[Stored, Drawn]]:
    """Decide and reckon orders by what the record says now, those with them that their customers' bindings concern."""
    if not works:
        return []
    connection, shop_id = recorder.connection, recorder.shop.id
    plans = load_plans(connection, shop_id)
    works = [*works, *(_bound_orders(connection, shop_id, works) if binds(plans) else ())]
    works.sort(key=lambda work: work.sort_key)
    facts = load_order_facts(connection, [work.id for work in works if work.row is not None])
    named = {one.sharer for known in facts.values() for one in known.manual if one.sharer is not None}
    named |= {work.decision.winner for work in works if work.decision and work.decision.winner is not None}
    roster = _load_known(connection, recorder.context.keys, shop_id, [work.story for work in works], named)
    deciding = Deciding(plans, roster, facts, recorder.shop.starts_at)
    return [(work, _draw(work, deciding)) for work in works]


def _load_known(
    connection: Connection, keys: Keys, shop_id: int, told: Collection[Story], named: Collection[int] = ()
) -> Known:
    """Load whom the orders may concern, those among them that manual and earlier decisions name."""
    touches = [touch for story in told for _, touch in story.touches]
    customers = [story.first.customer for story in told if story.first.customer]
    return load_known(connection, keys, shop_id, touches=touches, customers=customers, sharers=named)


def _draw(work: Stored, deciding: Deciding) -> Drawn:
    decision, is_late = deciding.decide(work)
    plan = next(one.plan for one in deciding.plans if one.version == decision.plan_version)
    stand = standing(work.story, decision, plan, starts_at=deciding.starts_at, is_late=is_late)
    text = work.row.decision if work.row is not None and work.decision == decision else encode_decision(decision)
    count = counted(work.story, decision.winner, stand.outcome.now.net, starts_at=deciding.starts_at)
    return Drawn(work.story, decision, stand, count, _row(work.story, decision, text, stand, count))


def _bound_orders(connection: Connection, shop_id: int, works: Sequence[Stored]) -> list[Stored]:
    """Return the other orders of the same customers: their decisions may hang on these."""
    customers = {key for work in works for key in work.customers}
    mine = {work.id for work in works}
    rows = connection.execute(
        select(orders).where(orders.c.shop_id == shop_id, among(orders.c.customer_key, customers))
    ).all()
    return load_work([row for row in rows if row.id not in mine])


def _load_lots(connection: Connection, order_ids: Sequence[int]) -> dict[int, dict[LotKey, dict[str, int]]]:
    found: dict[int, dict[LotKey, dict[str, int]]] = {}
    if not order_ids:
        return found
    for row in connection.execute(select(lot).where(among(lot.c.order_id, order_ids))).mappings():
        key = (row["sharer_id"], row["role"], row["currency"])
        found.setdefault(row["order_id"], {})[key] = {purpose: row[purpose] for purpose in ledger.SHARER_PURPOSES}
    return found


def _book(
    recorder: Recorder, work: Stored, moves: Sequence[tuple[LotKey, Move]], stand: Standing, cause: str
) -> None:
    """Move the books of one order to its targets."""
    for (sharer_id, role, currency), move in moves:
        recorder.add_transfer(
            move,
            order=(work.id, work.ref),
            sharer_id=sharer_id,
            role=role,
            currency=currency,
            cause=cause,
            about_at=work.story.now.order.updated_at,
        )
    for key in sorted({key for key, _ in moves}):
        recorder.emit("commission.changed", _commission_event(recorder, work, key, stand.targets.get(key, 0)))


def _commission_event(recorder: Recorder, work: Stored, key: LotKey, target: int) -> dict[str, object]:
    return {
        "shop": recorder.shop.key,
        "order": work.ref,
        "sharer": show(SHARER, key[0]),
        "role": key[1],
        "currency": key[2],
        "amount": format_minor(target, key[2]),
    }


def encode_decision(decision: Decision) -> str:
    """Return the one text in which a decision is stored and compared."""
    return canonical(decision.to_json())


def _record_decision(recorder: Recorder, work: Stored, decision: Decision, text: str, cause: str) -> None:
    recorder.add_decision(work.id, work.ref, body=text, cause=cause)
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


def _count(rollup: Rollup, work: Stored, count: Counted) -> None:
    """Move the rollups by the difference between what the order was counted as and what it counts as now."""
    if work.row is not None:
        rollup.count_order(work.row.placed_at, work.row.currency, work.counted, sign=-1)
    rollup.count_order(work.story.first.placed_at, work.story.now.order.currency, count)


def _row(story: Story, decision: Decision, text: str, stand: Standing, count: Counted) -> dict[str, object]:
    first = story.first
    return {
        "story": stories.dump(story),
        "now": stories.pack(story.now.text),
        "decision": text,
        "customer_key": first.customer.key if first.customer else None,
        "customer_email": first.customer.email_hash if first.customer else None,
        "currency": story.now.order.currency,
        "number": story.now.order.number,
        "placed_at": first.placed_at,
        "release_at": stand.release_at,
        "held": decision.held,
        "flags": canonical(stand.flags),
        **count._asdict(),
    }


def _write(
    connection: Connection, shop_id: int, works: Iterable[Stored], rows: Sequence[tuple[Stored, dict[str, object]]]
) -> None:
    """Write the orders' rows, and the index of the codes they carry."""
    fresh = [{"id": work.id, "shop_id": shop_id, "ref": work.ref, **row} for work, row in rows if work.row is None]
    insert_many(connection, orders, fresh)
    known = [{"which": work.id, **row} for work, row in rows if work.row is not None]
    if known:
        connection.execute(update(orders).where(orders.c.id == bindparam("which")), known)
    names = {
        (normalise_code(code), work.id) for work in works for _, touch in work.story.touches for code in touch.codes
    }
    insert_new(
        connection,
        order_code,
        [
            {"shop_id": shop_id, "code": code, "order_id": order_id}
            for code, order_id in sorted(names)
            if len(code) <= CODE_LENGTH_MAX  # a longer one, which case folding can make, is nobody's
        ],
    )
