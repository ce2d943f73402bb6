"""The test order: a click, an order and a refund through our own door, followed step by step to the last cent."""

from collections.abc import Mapping
from typing import Any

from flask import render_template, request

from admin_ui.owner import MANAGE, Desk, page
from admin_ui.page import Answer, go, is_part, show
from plugin.languages import mark
from plugin.services.try_order import STEPS, Progress, show_try, want_try

TITLES = {
    "prepare": mark("A sandbox beside your shop"),
    "click": mark("A friend opens a share link"),
    "order": mark("The friend buys, and the shop tells us"),
    "booked": mark("The order is in the books"),
    "refund": mark("The friend gives everything back"),
    "taken_back": mark("The commission is taken back"),
}
FAULTS = {
    "no_reward": mark("Your plan pays nothing yet, so there is nothing to try. Set the reward first."),
    "no_answer": mark("This installation did not answer its own call."),
    "bad_answer": mark("This installation answered its own call with an error."),
    "not_read": mark("The delivery arrived, but no worker read it in half a minute. See that a worker runs."),
    "failed": mark("It did not work and is tried again in a while."),
}


@page("/<shop>/try", methods=["GET", "POST"], needs=MANAGE)
def try_order(desk: Desk) -> Answer:
    """A button that makes a test order, and what came of the last one."""
    if request.method == "POST":
        want_try(desk.context, desk.shop_id)
        return go("owner.try_order", shop=desk.shop_key)
    return show("owner/try_order.html", **_seen(desk))


@page("/<shop>/try/progress", needs=MANAGE)
def try_progress(desk: Desk) -> Answer:
    """How far it is, for a page that looks again; nothing where it is as far as the page knows."""
    if not is_part():
        return go("owner.try_order", shop=desk.shop_key)
    seen = _seen(desk)
    if request.args.get("seen") == seen["progress_mark"]:
        return "", 204
    return render_template("owner/try_progress.html", desk=desk, **seen)


def _seen(desk: Desk) -> Mapping[str, Any]:
    progress = show_try(desk.context, desk.shop_id)
    return {
        "progress": progress,
        "progress_mark": _mark_of(progress),
        "step_names": STEPS,
        "titles": TITLES,
        "faults": FAULTS,
    }


def _mark_of(progress: Progress | None) -> str:
    """Return what tells one state of a test order from another."""
    if progress is None:
        return "none"
    return f"{progress['run']}.{len(progress['steps'])}.{int(progress['fault'] is not None)}"
