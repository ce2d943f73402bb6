"""Processing the inbox: lease stored deliveries, read them, settle their orders in batches, mark them done.

A row is taken for a short lease; a worker that dies leaves it to the next one. One bad delivery never spoils its batch:
the batch is tried delivery by delivery, and what fails by itself is tried later and at last put in quarantine.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, update

from plugin import compression, shops
from plugin.database import again, among
from plugin.domain.moment import SECOND
from plugin.domain.order import State, Story, merge, read_order, state_of, story_of
from plugin.errors import BadSignature, InvariantBroken, Malformed, PluginError, Sentence
from plugin.models import delivery, fact, guards, order_state, orders, shop
from plugin.services import stories
from plugin.services.context import Context, worker_name
from plugin.services.know_products import keep_lookup, want_lookups
from plugin.services.reach_shop import can_ask, want_answer
from plugin.services.recorder import Recorder, recording, take_numbers
from plugin.services.roster import read_claim
from plugin.services.settle_order import Foreseen, Stored, foresee, load_work, settle
from plugin.services.want_task import want_once
from plugin.shops.base import ASKED_PRODUCTS, Sold, read_sold

LEASE_SECONDS = 20
BATCH = 500
ATTEMPTS_MAX = 6
SEALED_FOR = "delivery"
PRIVACY = "privacy"  # the kind of the tasks that do what a platform asks of us
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Read:
    """A leased delivery as read: the states and deletions it tells, or the reason why it cannot be understood."""

    id: int
    shop_id: int
    received_at: int
    states: list[State] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    request: str | None = None  # the kind of what the platform asks of us
    sold: Sold | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """For which order a delivery waits, and why."""

    ref: str
    reason: str


@dataclass(slots=True)
class Tally:
    """What a run of the worker did; ``taken_over`` counts leases of workers that never came back."""

    done: int = 0
    waiting: int = 0
    quarantined: int = 0
    taken_over: int = 0
    changed: set[tuple[int, str]] = field(default_factory=set)

    def add(self, other: "Tally") -> None:
        self.done += other.done
        self.waiting += other.waiting
        self.quarantined += other.quarantined
        self.taken_over += other.taken_over
        self.changed |= other.changed


def drain(context: Context, *, until_idle: bool = True, stopped: Callable[[], bool] = lambda: False) -> Tally:
    """Process batch after batch until nothing is due, or only what is due now; return what was done.

    ``stopped`` is asked between the batches: a worker that must leave finishes the one it is at.
    """
    total, ahead = Tally(), Ahead(context, None if until_idle else context.now())
    try:
        while not stopped() and (rows := ahead.take()):
            total.add(process(context, rows, ahead if context.database.is_sqlite else None))
    finally:
        ahead.give_back()
    total.taken_over = ahead.taken_over
    return total


class Ahead:
    """The batch that is processed next, leased by the transaction that finishes the one before it.

    That is so on SQLite, which has one write lock: leasing it afterwards, a worker would wait for another one's whole
    batch before it could read its own meanwhile. On PostgreSQL leasing waits for nobody, but a shop's writers would
    wait for it. ``latest`` leaves out what is due later.
    """

    def __init__(self, context: Context, latest: int | None) -> None:
        self._context, self._latest = context, latest
        self._rows: Sequence[Row[Any]] | None = None  # None: nothing was leased yet
        self.taken_over = 0  # leases that had run out

    def take(self) -> Sequence[Row[Any]]:
        """Return the batch that was leased; where none was, lease one now."""
        if self._rows is None:
            self.keep(*again(self._lease_now))
        rows, self._rows = self._rows, None
        return rows or ()

    def keep(self, rows: Sequence[Row[Any]], taken_over: int) -> None:
        """Keep what :meth:`lease` returned, once its transaction is committed."""
        self._rows = rows
        self.taken_over += taken_over

    def give_back(self) -> None:
        """Leave to others what was leased and will not be processed here."""
        if self._rows:
            mine = among(delivery.c.id, [row.id for row in self._rows])
            with self._context.database.writing() as connection:
                connection.execute(
                    update(delivery)
                    .where(mine, delivery.c.state == "stored", delivery.c.lease_by == worker_name())
                    .values(lease_by=None, lease_until=None)
                )

    def _lease_now(self) -> tuple[Sequence[Row[Any]], int]:
        with self._context.database.writing() as connection:
            return self.lease(connection)

    def lease(self, connection: Connection) -> tuple[Sequence[Row[Any]], int]:
        """Lease the oldest deliveries that are due; return them and how many leases had run out."""
        now = self._context.now()
        due = (
            select(delivery.c.id, delivery.c.lease_by)
            .where(
                delivery.c.state == "stored",
                delivery.c.due_at <= (now if self._latest is None else min(now, self._latest)),
                or_(delivery.c.lease_until.is_(None), delivery.c.lease_until <= now),
            )
            .order_by(delivery.c.due_at, delivery.c.id)
            .limit(BATCH)
        )
        chosen = connection.execute(due.with_for_update(skip_locked=True)).all()
        rows = lease(connection, [row.id for row in chosen], now)
        return rows, sum(row.lease_by is not None for row in chosen)


def lease(connection: Connection, numbers: Sequence[int], now: int, **values: object) -> Sequence[Row[Any]]:
    """Give deliveries to this worker for a while, with other values set too; return their rows, oldest first."""
    if not numbers:
        return ()
    rows = connection.execute(
        update(delivery)
        .where(among(delivery.c.id, numbers))
        .values(lease_by=worker_name(), lease_until=now + LEASE_SECONDS * SECOND, **values)
        .returning(delivery)
    ).all()
    return sorted(rows, key=lambda row: row.id)


def process(context: Context, rows: Sequence[Row[Any]], ahead: Ahead | None = None) -> Tally:
    """Read and settle deliveries that this worker has leased; the last transaction leases the next ones."""
    with context.database.reading() as connection:
        found = connection.execute(select(shop).where(among(shop.c.id, {row.shop_id for row in rows})))
        platforms = {row.id: row.platform for row in found}
        kept = _kept_states(connection, [row.id for row in rows if row.body is None])
    reads = [
        _recall(row, kept.get(row.id, ())) if row.body is None else _read(context, row, platforms[row.shop_id])
        for row in rows
    ]
    total = Tally()
    last = reads[-1].shop_id
    for shop_id in sorted(platforms, key=lambda one: one == last):
        mine = [one for one in reads if one.shop_id == shop_id]
        foreseen = foresee(context, shop_id, _told(mine))
        total.add(_settle_or_split(context, shop_id, mine, foreseen, ahead if shop_id == last else None))
    return total


def _told(reads: Sequence[Read]) -> dict[str, Story]:
    """Return what deliveries tell of each order together."""
    told: dict[str, list[State]] = {}
    for one in reads:
        for state in one.states:
            told.setdefault(state.order.id, []).append(state)
    return {ref: stories.told(states) for ref, states in told.items()}


def _kept_states(connection: Connection, numbers: Sequence[int]) -> dict[int, list[State]]:
    """Return the normal forms that are kept of deliveries, by our number."""
    found: dict[int, list[State]] = {}
    if numbers:
        kept = select(order_state.c.delivery_id, order_state.c.body).where(among(order_state.c.delivery_id, numbers))
        for row in connection.execute(kept.order_by(order_state.c.id)):
            found.setdefault(row.delivery_id, []).append(stories.unpack(row.body))
    return found


def _recall(row: Row[Any], states: Sequence[State]) -> Read:
    """Return what is still known of a delivery whose body is erased; one that was never understood stays so."""
    one = Read(row.id, row.shop_id, row.received_at, states=list(states))
    if row.order_ref is not None:
        one.deleted = [row.order_ref]
    elif not states:
        one.reason = row.reason
    return one


def _read(context: Context, row: Row[Any], platform: str) -> Read:
    """Open, decompress and parse a delivery; what cannot be understood carries its reason."""
    one = Read(row.id, row.shop_id, row.received_at)
    try:
        _, body = unseal(context, row.body)
        said = read_sold(body) if row.topic == ASKED_PRODUCTS else shops.get(platform).parse(row.topic, body)
        one.sold = said.sold
        keys = context.keys
        for order in said.orders:
            one.states.append(state_of(read_order(order, lambda email: keys.pepper_hash("email", email))))
            stories.pack(one.states[-1].text)  # remembered: it is done here, before the shop's other writers must wait
            for _, token in one.states[-1].order.touch.tokens:
                read_claim(keys, token, row.shop_id)
        one.deleted, one.asks = list(said.deleted), list(said.asks)
        one.request = said.request.kind if said.request else None
    except Malformed as error:
        one.reason = error.message
        one.states.clear()
    except BadSignature:
        one.reason = Sentence("The stored body cannot be opened with the encryption keys there are.")
    except Exception as error:  # a fault of ours must not keep the rest waiting: a replay after its fix reads it anew
        log.error("delivery %s could not be read: %s", row.id, type(error).__name__)
        one.reason = Sentence("Reading it failed: %(fault)s.", fault=type(error).__name__)
        one.states.clear()
    return one


def seal(context: Context, headers: str, body: bytes) -> bytes:
    """Compress and encrypt what came through the door; ``headers`` is JSON."""
    head = headers.encode()
    packed = compression.pack(len(head).to_bytes(4, "big") + head + body)
    return context.keys.seal(SEALED_FOR, packed)


def unseal(context: Context, sealed: bytes) -> tuple[str, bytes]:
    """Return (headers as JSON, body) of a stored delivery; raise BadSignature where no key opens it."""
    opened = compression.unpack(context.keys.open(SEALED_FOR, sealed))
    length = int.from_bytes(opened[:4], "big")
    return opened[4 : 4 + length].decode(), opened[4 + length :]


def _settle_or_split(
    context: Context, shop_id: int, reads: Sequence[Read], foreseen: Foreseen | None, ahead: Ahead | None = None
) -> Tally:
    """Settle a batch whole; where it fails, in halves, down to the one delivery that cannot be settled."""
    try:
        tally, leased = again(lambda: _settle_batch(context, shop_id, reads, foreseen, ahead))
        if ahead and leased:
            ahead.keep(*leased)
        return tally
    except Exception as error:  # also a fault of ours: one delivery must not keep all others waiting
        if getattr(error, "code", None) == "database_unavailable":
            raise
        if len(reads) == 1:
            return _put_off(context, reads[0], error)
        half = len(reads) // 2
        total = _settle_or_split(context, shop_id, reads[:half], foreseen)
        total.add(_settle_or_split(context, shop_id, reads[half:], foreseen))
        return total


def _put_off(context: Context, one: Read, error: Exception) -> Tally:
    """Try a failing delivery later, each time after a longer wait; at last put it in quarantine, with the reason."""
    failed = Sentence("Processing failed: %(fault)s.", fault=type(error).__name__)
    understood = error.message if isinstance(error, PluginError) else failed
    log.error("delivery %s failed: %s", one.id, understood, exc_info=not isinstance(error, Malformed))
    with context.database.writing() as connection:
        tries = connection.execute(select(delivery.c.attempts).where(delivery.c.id == one.id)).scalar_one() + 1
        final = isinstance(error, Malformed | InvariantBroken) or guards.refuses(error) or tries >= ATTEMPTS_MAX
        mine = connection.execute(  # another worker may have taken it over meanwhile, and even be done with it
            update(delivery)
            .where(delivery.c.id == one.id, delivery.c.state == "stored", delivery.c.lease_by == worker_name())
            .values(
                state="quarantined" if final else "stored",
                reason=understood,
                attempts=tries,
                due_at=context.now() + SECOND * 2**tries,
                lease_by=None,
                lease_until=None,
            )
        ).rowcount
    return Tally(quarantined=int(final and mine > 0))


def _settle_batch(
    context: Context, shop_id: int, reads: Sequence[Read], foreseen: Foreseen | None, ahead: Ahead | None
) -> tuple[Tally, tuple[Sequence[Row[Any]], int] | None]:
    """Settle a batch of read deliveries in one transaction on the shop's record; lease the next one in it."""
    tally, leased = Tally(), None
    mine: set[int] = set()

    def finish(connection: Connection) -> None:  # before the shop's other writers must wait
        mine.update(_finish(connection, [one.id for one in reads]))

    with recording(context, shop_id, actor="worker", first=finish) as recorder:
        reads = [one for one in reads if one.id in mine]
        understood = [one for one in reads if one.reason is None]
        unasked = _ask(recorder, understood)
        for one in understood:
            if one.request is not None:
                body = {"kind": one.request}
                want_once(recorder.connection, shop_id, PRIVACY, str(one.id), body, now=recorder.now)
        works, causes, waits = _take_in(recorder, understood)
        want_lookups(recorder, works)
        waits |= unasked
        moved = settle(recorder, works, causes=causes, foreseen=foreseen)
        tally.changed = {(shop_id, work.ref) for work in works if work.id in moved}
        _keep_back(recorder.connection, reads, waits)
        tally.waiting = len(waits)
        tally.quarantined = len(reads) - len(understood)
        tally.done = len(understood) - len(waits)
        if ahead:
            leased = ahead.lease(recorder.connection)
    return tally, leased


def _finish(connection: Connection, numbers: Sequence[int]) -> Collection[int]:
    """Mark the deliveries done that this worker still holds, and return them.

    Whoever's lease ran out may have lost some to another worker, who may even be done with them.
    """
    held = update(delivery).where(
        among(delivery.c.id, numbers), delivery.c.state == "stored", delivery.c.lease_by == worker_name()
    )
    values = {"state": "done", "reason": None, "order_ref": None, "lease_by": None, "lease_until": None}
    return connection.execute(held.values(values).returning(delivery.c.id)).scalars().all()


def _ask(recorder: Recorder, reads: Sequence[Read]) -> dict[int, Wait]:
    """Have the shop asked where it knows more than it said; return which deliveries must wait until it can be."""
    asking = [one for one in reads if one.asks]
    if not asking:
        return {}
    if not can_ask(recorder.context, recorder.shop):
        told = [one for one in asking if not one.states and not one.deleted]
        reason = Sentence("The shop would have to be asked about the order, and gave no credentials for it.")
        return {one.id: Wait(one.asks[0], reason) for one in told}
    for one in asking:
        for ref in one.asks:
            is_deleted = ref in one.deleted
            want_answer(
                recorder.connection, one.shop_id, ref, heard_at=one.received_at, is_deleted=is_deleted, now=recorder.now
            )
        one.deleted = [ref for ref in one.deleted if ref not in one.asks]
    return {}


def _take_in(
    recorder: Recorder, reads: Sequence[Read]
) -> tuple[list[Stored], dict[int, str], dict[int, Wait]]:
    """Keep the states and deletions told, and return the orders to settle, their causes, and who must wait for whom."""
    connection = recorder.connection
    refs = {state.order.id for one in reads for state in one.states} | {ref for one in reads for ref in one.deleted}
    refs |= {one.sold.order for one in reads if one.sold}
    rows = connection.execute(
        select(orders).where(orders.c.shop_id == recorder.shop.id, among(orders.c.ref, refs)).with_for_update()
    ).all()
    works = {work.ref: work for work in load_work(rows)}
    told = _known_states(connection, list(works.values()), reads)
    news: dict[str, int] = {}
    waits: dict[int, Wait] = {}
    _open_orders(recorder, works, reads)
    for one in reads:
        for state in one.states:
            ref = state.order.id
            work = works[ref]
            if work.story.now is not state:  # which is the one that has just opened the order
                work.story = merge(work.story, story_of(state))
            news[ref] = one.id
            if (work.id, state.sha) not in told:
                told.add((work.id, state.sha))
                recorder.add_state(
                    work.id, ref, sha=state.sha, body=stories.pack(state.text), delivery_id=one.id
                )
    for one in reads:
        for ref in one.deleted:
            if ref in works:
                _delete(recorder, works[ref], one)
                news[ref] = one.id
            else:
                waits[one.id] = Wait(ref, Sentence("The order it speaks of is not known yet."))
        if one.sold and one.sold.order in works:
            keep_lookup(recorder, works[one.sold.order], one.sold)
            news[one.sold.order] = one.id
    changed = [works[ref] for ref in news]
    return changed, {works[ref].id: f"delivery:{number}" for ref, number in news.items()}, waits


def _known_states(connection: Connection, works: Sequence[Stored], reads: Sequence[Read]) -> set[tuple[int, str]]:
    shas = {state.sha for one in reads for state in one.states}
    if not works or not shas:
        return set()
    rows = connection.execute(
        select(order_state.c.order_id, order_state.c.sha).where(
            among(order_state.c.order_id, [work.id for work in works]), among(order_state.c.sha, shas)
        )
    )
    return {(row.order_id, row.sha) for row in rows}


def _open_orders(recorder: Recorder, works: dict[str, Stored], reads: Sequence[Read]) -> None:
    """Give orders seen for the first time their numbers, and wake the deliveries that waited for them."""
    fresh: dict[str, State] = {}
    for one in reads:
        for state in one.states:
            if state.order.id not in works:
                fresh.setdefault(state.order.id, state)
    if not fresh:
        return
    numbers = take_numbers(recorder.connection, orders, len(fresh))
    for number, (ref, state) in zip(numbers, fresh.items(), strict=True):
        works[ref] = Stored(id=number, ref=ref, story=story_of(state))
    recorder.connection.execute(
        update(delivery)
        .where(
            delivery.c.shop_id == recorder.shop.id, delivery.c.state == "waiting", among(delivery.c.order_ref, fresh)
        )
        .values(state="stored", due_at=recorder.now, reason=None, lease_by=None, lease_until=None)
    )


def _delete(recorder: Recorder, work: Stored, one: Read) -> None:
    """Note that the shop only said "deleted": cancelled as of the arrival, unless it states something newer."""
    already = recorder.connection.execute(
        select(func.max(fact.c.at)).where(fact.c.order_id == work.id, fact.c.kind == "deleted")
    ).scalar_one()
    if already is None or already < one.received_at:
        recorder.add_fact("deleted", {"delivery": one.id}, at=one.received_at, order=(work.id, work.ref))
    story = work.story
    moments = [moment for moment in (story.deleted_at, one.received_at) if moment is not None]
    work.story = replace(story, deleted_at=max(moments))


def _keep_back(connection: Connection, reads: Sequence[Read], waits: Mapping[int, Wait]) -> None:
    """Write down of which deliveries more is to be said than that they are done."""
    for one in reads:
        if one.reason is not None:
            values = {"state": "quarantined", "reason": one.reason}
        elif one.id in waits:
            values = {"state": "waiting", "reason": waits[one.id].reason, "order_ref": waits[one.id].ref}
        else:
            continue
        connection.execute(update(delivery).where(delivery.c.id == one.id).values(values))
