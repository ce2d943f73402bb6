"""Reconciling: asking a shop for its orders, so that what no webhook told comes into the books all the same.

One task a shop, done a page at a time. What a page brings is stored as deliveries, and how far the list was read is
written in the same transaction: a pass that is interrupted goes on where it was. A pass reads what changed since the
last sure point: when the last pass began by the shop's own clock, less an overlap. Once a day the orders still in hold
are read again, for some changes move no date in the shop. It also looks whether the shop still has our webhooks.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from plugin import shops
from plugin.database import among
from plugin.domain.moment import SECOND, format_moment
from plugin.domain.order import State, Story, read_order, state_of
from plugin.errors import InvariantBroken, Malformed
from plugin.models import delivery, order_state, orders, shop, task
from plugin.services import stories
from plugin.services.context import Context
from plugin.services.reach_shop import KIND as ASK
from plugin.services.reach_shop import hook_address, newest_secret, place_of, want_answer
from plugin.services.recorder import tell
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.store_delivery import keep_answer_of_shop
from plugin.services.want_task import want
from plugin.shops.base import ASKED_LISTED, Connected, Listed, Place, ShopRefused, StaleCursor

KIND, REF = "reconcile", "orders"
PREFIX = "listed:"  # of the ids of deliveries that came out of a list
EVERY_SECONDS = 3_600
HELD_EVERY_SECONDS = 86_400
OVERLAP = timedelta(minutes=10)  # how far a shop's lists may lag behind its orders
CHUNK = 100

Progress = dict[str, Any]


def want_reconciling(
    connection: Connection, shop_id: int, *, now: int, since: str | None = None, mends_hooks: bool | None = None
) -> None:
    """Have a shop reconciled soon, and every hour from then on; from a time, or from the last sure point.

    ``mends_hooks`` says whether a webhook that the shop switched off is mended; None leaves that as it is.
    """
    before = connection.execute(
        select(task.c.body).where(task.c.shop_id == shop_id, task.c.kind == KIND, task.c.ref == REF)
    ).scalar_one_or_none()
    if mends_hooks is None:
        mends_hooks = before is not None and json.loads(before)["mends_hooks"]
    want(connection, shop_id, KIND, REF, {"since": since, "mends_hooks": mends_hooks}, now=now)


@dataclass(slots=True)
class _News:
    """What a page says that we did not know: bodies to be stored by order id, and orders to be asked about."""

    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    asks: set[str] = field(default_factory=set)


def _reconcile(context: Context, one: Task) -> Done:
    """Read one page; the task is due again at once until the pass is through, then in an hour."""
    with context.database.reading() as connection:
        row = connection.execute(select(shop).where(shop.c.id == one.shop_id)).one()
    adapter, place = shops.get(row.platform), place_of(context, row)
    if not isinstance(adapter, Connected):
        raise InvariantBroken("A shop was to be reconciled whose platform cannot be.")
    progress: Progress = dict(one.result or {})
    if progress.get("pass") != one.wanted or progress["phase"] == "done":
        progress = _begin(context, adapter, row, place, one, progress)
        return Done(progress, _wake_asks(context, row, progress), again_at=context.now())
    read = _read_list if progress["phase"] == "list" else _read_held
    page, progress = read(context, adapter, row, place, progress)
    with context.database.reading() as connection:
        news = _compare(context, connection, adapter, row, page, gone=progress.pop("gone", ()))
    progress |= {"asked": progress["asked"] + len(page.orders), "found": progress["found"] + len(news.bodies)}
    is_done = progress["phase"] == "done"
    if is_done:
        progress["done_at"] = context.now()

    def write(connection: Connection) -> None:
        for ref, body in news.bodies:
            keep_answer_of_shop(context, connection, row.id, PREFIX + ref, ASKED_LISTED, body)
        now = context.now()
        for ref in news.asks:
            want_answer(connection, row.id, ref, heard_at=now, is_deleted=False, now=now)
        if is_done:
            _report(context, connection, row, progress)

    return Done(progress, write, again_at=context.now() + (EVERY_SECONDS * SECOND if is_done else 0))


# --- a pass -----------------------------------------------------------------------------------------------------------


def _begin(
    context: Context, adapter: Connected, row: Row[Any], place: Place, one: Task, last: Mapping[str, Any]
) -> Progress:
    """Begin a pass, and mend the webhooks; that these cannot be mended keeps no order from being found."""
    mended: list[str] = []
    trouble = None
    if one.body["mends_hooks"]:
        try:
            address, secret = hook_address(context, row), newest_secret(context, row)
            hooks = adapter.hook(context.outbound, place, address, secret)
            mended = [hook.topic for hook in hooks if hook.state != "kept"]
        except ShopRefused as error:
            trouble = error.message
    asked_for = one.body["since"] if last.get("pass") != one.wanted else None
    since = asked_for or last.get("sure") or format_moment(row.starts_at)
    return {
        "pass": one.wanted,
        "phase": "list",
        "since": since,
        "cursor": None,
        "began": None,
        "sure": last.get("sure"),
        "held_at": last.get("held_at", 0),
        "after": 0,
        "asked": 0,
        "found": 0,
        "mended": mended,
        "trouble": trouble,
        "last_at": last.get("began_at") if asked_for is None else None,
        "began_at": context.now(),
    }


def _wake_asks(context: Context, row: Row[Any], progress: Progress) -> Callable[[Connection], None]:
    """Ask again what the shop never answered: it is there now."""

    def write(connection: Connection) -> None:
        again = {"state": "due", "attempts": 0, "due_at": context.now()}
        failed = update(task).where(task.c.shop_id == row.id, task.c.kind == ASK, task.c.state == "failed")
        connection.execute(failed.values(again))
        if progress["mended"]:
            topics = {"shop": row.key, "topics": progress["mended"]}
            tell(context, connection, row.id, "shop.webhooks_mended", topics, actor="worker")

    return write


def _read_list(
    context: Context, adapter: Connected, row: Row[Any], place: Place, progress: Progress
) -> tuple[Listed, Progress]:
    try:
        page = adapter.list_orders(context.outbound, place, progress["since"], progress["cursor"])
    except StaleCursor:  # the list is read from its beginning, which brings nothing in twice
        page = adapter.list_orders(context.outbound, place, progress["since"], None)
    if progress["began"] is None and progress["last_at"] is not None:
        # The shop's clock may have been set back since the last pass: as long ago as that was counts by ours too.
        ago = timedelta(microseconds=context.now() - progress["last_at"])
        earliest = datetime.fromisoformat(page.at) - ago - OVERLAP
        if earliest < datetime.fromisoformat(progress["since"]) - OVERLAP:
            progress["since"] = earliest.isoformat()
            page = adapter.list_orders(context.outbound, place, progress["since"], None)
    progress |= {"cursor": page.cursor, "began": progress["began"] or page.at}
    if page.cursor is None:
        sure = datetime.fromisoformat(progress["began"]) - OVERLAP
        is_daily = context.now() - progress["held_at"] >= HELD_EVERY_SECONDS * SECOND
        progress |= {"phase": "held" if is_daily else "done", "sure": sure.isoformat()}
    return page, progress


def _read_held(
    context: Context, adapter: Connected, row: Row[Any], place: Place, progress: Progress
) -> tuple[Listed, Progress]:
    """Read some of the credited orders again that are not released yet; those no longer listed are asked about."""
    nobody = '%"winner":null%'  # as decisions are written
    in_hold = (
        select(orders.c.id, orders.c.ref)
        .where(
            orders.c.shop_id == row.id,
            orders.c.id > progress["after"],
            orders.c.released.is_(None),
            orders.c.decision.not_like(nobody),
        )
        .order_by(orders.c.id)
        .limit(CHUNK)
    )
    with context.database.reading() as connection:
        some = connection.execute(in_hold).all()
    page = adapter.read_again(context.outbound, place, [one.ref for one in some]) if some else Listed("", ())
    there = {ref for ref, _ in page.orders}
    progress |= {"gone": [one.ref for one in some if one.ref not in there]}
    if len(some) < CHUNK:
        progress |= {"phase": "done", "held_at": context.now()}
    else:
        progress |= {"after": some[-1].id}
    return page, progress


def _report(context: Context, connection: Connection, row: Row[Any], progress: Progress) -> None:
    """Tell of orders, or changes of orders, that no webhook had told; the first pass tells of all there are."""
    if progress["found"]:
        said = {"shop": row.key, "since": progress["since"], "asked": progress["asked"], "found": progress["found"]}
        tell(context, connection, row.id, "shop.gap_closed", said, actor="worker")


# --- what is new ------------------------------------------------------------------------------------------------------


def _compare(
    context: Context, connection: Connection, adapter: Connected, row: Row[Any], page: Listed, *, gone: Sequence[str]
) -> _News:
    """Return what a page says that the books do not know yet."""
    refs = [ref for ref, _ in page.orders]
    found = select(orders.c.id, orders.c.ref, orders.c.story, orders.c.now).where(
        orders.c.shop_id == row.id, among(orders.c.ref, refs)
    )
    ours = {one.ref: one for one in connection.execute(found)}
    told = select(order_state.c.order_id, order_state.c.sha).where(
        among(order_state.c.order_id, [one.id for one in ours.values()])
    )
    known = {(one.order_id, one.sha) for one in connection.execute(told)} if ours else set()
    stored = _stored(connection, row.id, page)
    news = _News(asks=set(gone))
    for ref, body in page.orders:
        state = _state(context, adapter, body)
        one = ours.get(ref)
        if state is None or one is None or (one.id, state.sha) not in known:
            if (ref, hashlib.sha256(body).digest()) not in stored:
                news.bodies.append((ref, body))
        elif _differs(state, stories.load(one.story, one.now)):
            news.asks.add(ref)
    return news


def _stored(connection: Connection, shop_id: int, page: Listed) -> set[tuple[str, bytes]]:
    """Return what of a page was stored before, and waits, or could not be understood."""
    names = [PREFIX + ref for ref, _ in page.orders]
    wanted = select(delivery.c.delivery_id, delivery.c.body_sha).where(
        delivery.c.shop_id == shop_id, among(delivery.c.delivery_id, names)
    )
    return {(one.delivery_id.removeprefix(PREFIX), one.body_sha) for one in connection.execute(wanted)}


def _state(context: Context, adapter: Connected, body: bytes) -> State | None:
    """Return the state of a listed order; None for one that cannot be understood, as its delivery will say."""
    try:
        (order,) = adapter.parse(ASKED_LISTED, body).orders
        return state_of(read_order(order, lambda email: context.keys.pepper_hash("email", email)))
    except Malformed:
        return None


def _differs(listed: State, story: Story) -> bool:
    """Tell whether a list shows an old state though the books are further: something was taken back without a date."""
    now, then = story.now.order, listed.order
    refunds = {one.id for one in now.refunds} != {one.id for one in then.refunds}
    return refunds or now.payment != then.payment or story.cancelled != (then.status == "cancelled")


# --- what the owner sees ----------------------------------------------------------------------------------------------


def read_progress(connection: Connection, shop_id: int) -> tuple[Row[Any], Progress] | None:
    """Return the task that reconciles a shop, and how far it is; None for a shop that is never reconciled."""
    row = connection.execute(
        select(task).where(task.c.shop_id == shop_id, task.c.kind == KIND, task.c.ref == REF)
    ).one_or_none()
    return None if row is None else (row, json.loads(row.result) if row.result else {})


def count_missing(connection: Connection, shop_id: int, since: int) -> int:
    """Return how many listed orders, stored from a time on, could not be brought into the books."""
    missing = select(func.count(func.distinct(delivery.c.delivery_id))).where(
        delivery.c.shop_id == shop_id,
        delivery.c.state != "done",
        delivery.c.topic == ASKED_LISTED,
        delivery.c.received_at >= since,
    )
    counted: int = connection.execute(missing).scalar_one()
    return counted


RECONCILE = Kind(_reconcile, is_tireless=True)
