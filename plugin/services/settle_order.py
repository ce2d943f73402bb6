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
from plugin.domain.order import normalise_code
from plugin.domain.rollup import COUNTED, NOT_COUNTED, Counted, Rollup, counted
from plugin.domain.settlement import (
    Deciding,
    Known,
    LotKey,
    OrderFacts,
    Standing,
    Work,
    binds,
    moves_of,
    standing,
)
from plugin.domain.stored_json import canonical
from plugin.models import lot, order_code, orders
from plugin.services import stories
from plugin.services.order_states import state_after
from plugin.services.public_id import SHARER, show, show_optional
from plugin.services.recorder import Recorder, insert_many, insert_new
from plugin.services.roster import load_known, load_order_facts, load_plans

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


def settle(recorder: Recorder, works: Sequence[Stored], *, causes: Mapping[int, str]) -> set[int]:
    """Decide and book the orders (and those their customers' bindings concern); return the orders whose money moved."""
    if not works:
        return set()
    connection, shop = recorder.connection, recorder.shop
    plans = {one.version: one for one in load_plans(connection, shop.id)}
    works = [*works, *(_bound_orders(connection, shop.id, works) if binds(plans.values()) else ())]
    works.sort(key=lambda work: work.sort_key)
    known = [work.id for work in works if work.row is not None]
    facts = load_order_facts(connection, known) if known else {}
    deciding = Deciding(list(plans.values()), _known(recorder, works, facts), facts, shop.starts_at)
    lots = _load_lots(connection, known) if known else {}
    cause = next(iter(causes.values()))
    moved: set[int] = set()
    rows: list[tuple[Stored, dict[str, object]]] = []
    for work in works:
        decision, is_late = deciding.decide(work)
        plan = plans[decision.plan_version].plan
        stand = standing(work.story, decision, plan, starts_at=shop.starts_at, is_late=is_late)
        why = causes.get(work.id, cause)
        theirs = lots.get(work.id, {})
        moves = moves_of(stand.targets, theirs, held=decision.held, released=work.released is not None)
        if moves:
            _book(recorder, work, moves, stand, why)
            moved.add(work.id)
        if work.row is None or work.decision != decision:
            text = encode_decision(decision)
            _record_decision(recorder, work, decision, text, why)
        else:
            text = work.row.decision
        count = counted(work.story, decision.winner, stand.outcome.now.net, starts_at=shop.starts_at)
        row = _row(work, decision, text, stand, count) | {"state": state_after(decision, theirs, moves)}
        if work.row is None or any(getattr(work.row, name) != value for name, value in row.items()):
            rows.append((work, row))
            _count(recorder.rollup, work, count)
    _write(connection, shop.id, works, rows)
    return moved


def _bound_orders(connection: Connection, shop_id: int, works: Sequence[Stored]) -> list[Stored]:
    """Return the other orders of the same customers: their decisions may hang on these."""
    customers = {key for work in works for key in work.customers}
    mine = {work.id for work in works}
    rows = connection.execute(
        select(orders).where(orders.c.shop_id == shop_id, among(orders.c.customer_key, customers))
    ).all()
    return load_work([row for row in rows if row.id not in mine])


def _known(recorder: Recorder, works: Sequence[Stored], facts: Mapping[int, OrderFacts]) -> Known:
    """Load whom the orders may concern, those that manual and earlier decisions name among them."""
    named = {one.sharer for known in facts.values() for one in known.manual if one.sharer is not None}
    named |= {work.decision.winner for work in works if work.decision and work.decision.winner is not None}
    return load_known(
        recorder.connection,
        recorder.context.keys,
        recorder.shop.id,
        touches=[touch for work in works for _, touch in work.story.touches],
        customers=[work.story.first.customer for work in works if work.story.first.customer],
        sharers=named,
    )


def _load_lots(connection: Connection, order_ids: Sequence[int]) -> dict[int, dict[LotKey, dict[str, int]]]:
    found: dict[int, dict[LotKey, dict[str, int]]] = {}
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


def _row(work: Stored, decision: Decision, text: str, stand: Standing, count: Counted) -> dict[str, object]:
    first = work.story.first
    return {
        "story": stories.dump(work.story),
        "now": stories.pack(work.story.now.text),
        "decision": text,
        "customer_key": first.customer.key if first.customer else None,
        "customer_email": first.customer.email_hash if first.customer else None,
        "currency": work.story.now.order.currency,
        "number": work.story.now.order.number,
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
