"""Reconciling in the foreground: a pass over each shop that can be asked, and then all that it brought."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from plugin.domain.moment import format_moment
from plugin.errors import BadRequest, Unavailable
from plugin.models import shop
from plugin.services.context import Context
from plugin.services.do_work import do_work, work_until_idle
from plugin.services.reach_shop import can_ask
from plugin.services.reconcile_shop import count_missing, read_progress, want_reconciling

WAIT_SECONDS = 0.1  # between two looks at a pass that another worker is at


def reconcile(
    context: Context,
    *,
    shop_id: int | None = None,
    since: int | None = None,
    told: Callable[[str, int], None] = lambda key, asked: None,
) -> dict[str, int]:
    """Read what changed in a shop, or in all that can be asked, and bring it into the books.

    ``since`` is in microseconds since 1970; without it each shop is read from its last sure point. ``told`` hears of
    each page: the shop's key and how many orders were read so far. Return how many orders were asked for, how many of
    them, or of their changes, no webhook had told, and how many could not be brought in. Raise BadRequest where no shop
    can be asked, and Unavailable where one does not answer.
    """
    wanted = select(shop) if shop_id is None else select(shop).where(shop.c.id == shop_id)
    with context.database.reading() as connection:
        rows = [row for row in connection.execute(wanted.order_by(shop.c.id)) if can_ask(context, row)]
    if not rows:
        raise BadRequest("nobody_to_ask", "No shop has credentials to be asked with. Run: passalong shop connect")
    began_at, moment = context.now(), None if since is None else format_moment(since)
    with context.database.writing() as connection:
        for row in rows:
            want_reconciling(connection, row.id, now=began_at, since=moment)
    total = {"asked": 0, "found": 0, "missing": 0}
    for row in rows:
        progress = _follow(context, row.id, lambda asked, key=row.key: told(key, asked))  # type: ignore[misc]
        total["asked"] += progress["asked"]
        total["found"] += progress["found"]
    work_until_idle(context)
    with context.database.reading() as connection:
        total["missing"] = sum(count_missing(connection, row.id, began_at) for row in rows)
    return total


def _follow(context: Context, shop_id: int, told: Callable[[int], None]) -> dict[str, Any]:
    """Work until the pass that was wanted is through; return its counts."""
    while True:
        do_work(context)
        with context.database.reading() as connection:
            found = read_progress(connection, shop_id)
        assert found is not None  # noqa: S101 - it was wanted just now
        row, progress = found
        if progress.get("pass") == row.wanted and progress["phase"] == "done":
            return progress
        if row.reason is not None:
            raise Unavailable("not_reconciled", "%(reason)s It goes on by itself from where it is.", reason=row.reason)
        if progress.get("pass") == row.wanted:
            told(progress["asked"])
        if row.lease_until is not None:
            time.sleep(WAIT_SECONDS)
