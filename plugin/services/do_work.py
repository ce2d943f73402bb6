"""Doing all that is due: the inbox, the tasks it made, what these brought into it, the events and the reports."""

import threading
import time
from collections.abc import Callable, Mapping

from sqlalchemy import select

from plugin.models import delivery
from plugin.services import (
    ask_shop,
    export_shop,
    fill_codes,
    find_leaks,
    keep_privacy,
    kept_exports,
    know_products,
    look_up,
    make_coupon,
    process_inbox,
    reach_shop,
    reconcile_shop,
    send_mail,
    try_order,
    want_digests,
    want_mail,
    watch_books,
)
from plugin.services.context import Context
from plugin.services.follow_orders import follow_orders
from plugin.services.process_inbox import Tally, drain
from plugin.services.run_tasks import Kind, run_one, run_tasks
from plugin.services.send_events import send_events

KINDS: Mapping[str, Kind] = {
    reach_shop.KIND: ask_shop.ASK,
    reconcile_shop.KIND: reconcile_shop.RECONCILE,
    make_coupon.KIND: make_coupon.MAKE,
    fill_codes.KIND: fill_codes.LOOK_AFTER,
    find_leaks.KIND: find_leaks.WATCH,
    know_products.KIND: look_up.LOOK_UP,
    process_inbox.PRIVACY: keep_privacy.PRIVACY,
    want_digests.KIND: want_digests.WANT,
    want_mail.KIND: send_mail.SEND,
    try_order.KIND: try_order.TRY,
}
# What may take minutes: done one at a time, after all else, so that what came meanwhile has its turn before the next.
LONG: Mapping[str, Kind] = {
    watch_books.KIND: watch_books.WATCH,
    kept_exports.KIND: export_shop.MAKE,
}
TURN_SECONDS = 5.0  # how long the inbox and the tasks have before the events get their turn
IN_HAND_SECONDS = 0.05  # between two looks at what other workers have in hand


def do_work(
    context: Context,
    *,
    until_idle: bool = True,
    stopped: Callable[[], bool] = lambda: False,
    long_turn: "threading.Lock | None" = None,
) -> Tally:
    """Process the inbox, do the tasks and send the events until nothing is due; return what the inbox gave.

    They take turns, for the inbox may be long and the servers outside slow. Where not ``until_idle``, what comes into
    the inbox during its turn is left for later. Reports come last: while the inbox is long, they can wait. Of threads
    that share ``long_turn`` only one at a time is at what takes minutes; the others stay free for what comes in.
    """
    total = Tally()
    while not stopped():
        end = time.monotonic() + TURN_SECONDS
        is_over = _either(stopped, end)
        total.add(drain(context, until_idle=until_idle, stopped=is_over))
        done = run_tasks(context, KINDS, stopped=is_over).done
        sent = send_events(context, stopped=stopped)
        behind = not is_over() and follow_orders(context, stopped=stopped)
        long = 0 if stopped() else _do_long(context, long_turn)
        if not (done or sent or behind or long or is_over()):
            break
    return total


def _do_long(context: Context, turn: "threading.Lock | None") -> int:
    """Do one task that may take minutes, unless another thread is at one: it looks for the next when it is through."""
    if turn is None:
        return run_one(context, LONG).done
    if not turn.acquire(blocking=False):
        return 0
    try:
        return run_one(context, LONG).done
    finally:
        turn.release()


def _either(stopped: Callable[[], bool], end: float) -> Callable[[], bool]:
    return lambda: stopped() or time.monotonic() > end


def work_until_idle(context: Context) -> Tally:
    """Work until nothing is due, waiting too for what other workers have in hand; return what was done here."""
    total = Tally()
    while True:
        total.add(do_work(context))
        with context.database.reading() as connection:
            in_hand = select(delivery.c.id).where(
                delivery.c.state == "stored", delivery.c.due_at <= context.now(), delivery.c.lease_until.is_not(None)
            )
            if connection.execute(in_hand.limit(1)).first() is None:
                return total
        time.sleep(IN_HAND_SECONDS)
