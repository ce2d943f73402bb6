"""The books: what their last check found, and having them checked now, while whoever asked looks on."""

from collections.abc import Mapping
from typing import Any

from flask import request

from admin_ui.owner import PAY, Desk, page
from admin_ui.page import Answer, go, is_part, show
from plugin.services.watch_books import ask_check, show_check


@page("/<shop>/books")
def books(desk: Desk) -> Answer:
    """What the last check found; how far one is that is under way."""
    return show("owner/books.html", **_seen(desk))


@page("/<shop>/books/progress")
def books_progress(desk: Desk) -> Answer:
    """How far it is, for a page that looks again; nothing where it is as far as the page knows."""
    if not is_part():
        return go("owner.books", shop=desk.shop_key)
    seen = _seen(desk)
    if request.args.get("seen") == seen["progress_mark"]:
        return "", 204
    return show("owner/books_progress.html", **seen)


@page("/<shop>/books", methods=["POST"], needs=PAY)
def check_now(desk: Desk) -> Answer:
    """Have the books checked soon; one check at a time."""
    ask_check(desk.context, desk.shop_id)
    return go("owner.books", shop=desk.shop_key)


def _seen(desk: Desk) -> Mapping[str, Any]:
    last, check = show_check(desk.context, desk.shop_id)
    return {"last": last, "check": check, "progress_mark": f"{check.is_near}.{check.percent}.{check.due_at}"}
