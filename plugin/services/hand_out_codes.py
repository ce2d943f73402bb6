"""Handing out codes to clicks, from a small shelf of each process that is filled from the database beforehand.

A code that a process takes is no other's, so two never hand out the same one; what it does not hand out within an hour,
or before it ends, it puts back. A request waits for the shelf of a link that was not followed lately, a moment and no
longer; where there is no code the click goes on without.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from plugin.database import again, among
from plugin.errors import PluginError
from plugin.forks import watch_forks
from plugin.models import link, link_code, link_coupon, shop
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.fill_codes import SHELF_SECONDS, want_codes
from plugin.services.recorder import tell

SHELF = 10  # codes that a process takes at once
LOW = 4  # left, so that more are taken
WAIT_SECONDS = 0.3
RETRY_SECONDS = 1.0  # between two looks into an empty pool
_log = logging.getLogger(__name__)


class _Shelf:
    """The codes of one link that this process may hand out, each to one click."""

    def __init__(self, shop_id: int) -> None:
        self.shop_id = shop_id
        self.codes: deque[str] = deque()
        self.looked = threading.Event()  # set once it was filled, though perhaps with nothing
        self.looked_at = -RETRY_SECONDS
        self.until = float("inf")  # when what lies here goes back


class CodeStock:
    """The shelves of this process. Its thread starts with the first click on a link that brings codes along."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._be_new()
        watch_forks(in_child=self._be_new)

    def _be_new(self) -> None:
        """Have nothing: what a forked process finds is its parent's."""
        self._shelves: dict[int, _Shelf] = {}
        self._wanted: deque[int] = deque()
        self._call = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def take(self, shop_id: int, link_id: int) -> str | None:
        """Return a code for one click on a link, or None where there is none to be had at once."""
        shelf = self._shelves.get(link_id)
        if shelf is None:
            if self._stopped:
                return None
            shelf = self._shelves.setdefault(link_id, _Shelf(shop_id))
        if len(shelf.codes) <= LOW and time.monotonic() - shelf.looked_at >= RETRY_SECONDS:
            self._want(link_id)
        if not shelf.looked.is_set():
            shelf.looked.wait(WAIT_SECONDS)
        try:
            return shelf.codes.popleft()
        except IndexError:
            return None

    def stop(self) -> None:
        """Put back what was not handed out, and end the thread."""
        with self._starting:
            self._stopped = True
            thread, self._thread = self._thread, None
        self._call.set()
        if thread is not None:
            thread.join()
        self._put_back(list(self._shelves))

    def _want(self, link_id: int) -> None:
        self._wanted.append(link_id)
        self._call.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._stopped:
                    self._thread = threading.Thread(target=self._run, name="passalong-codes", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            self._call.wait(SHELF_SECONDS / 60)
            self._call.clear()
            while self._wanted:
                shelf = self._shelves.get(link_id := self._wanted.popleft())
                if shelf is not None and time.monotonic() - shelf.looked_at >= RETRY_SECONDS:
                    self._fill(link_id, shelf)
            now = time.monotonic()
            self._put_back([link_id for link_id, shelf in list(self._shelves.items()) if shelf.until <= now])

    def _fill(self, link_id: int, shelf: _Shelf) -> None:
        """Take codes for a link from the database; where that is away its clicks go without."""
        try:
            codes = again(lambda: _lease(self._context, shelf.shop_id, link_id))
        except (PluginError, SQLAlchemyError) as error:
            _log.error("No codes could be taken for link %d: %s", link_id, type(error).__name__)
            codes = []
        if not shelf.codes:
            shelf.until = time.monotonic() + SHELF_SECONDS / 2
        shelf.codes.extend(codes)
        shelf.looked_at = time.monotonic()
        shelf.looked.set()

    def _put_back(self, links: Iterable[int]) -> None:
        """Clear shelves; what lies on them is ready for other clicks, of this process or another."""
        codes: list[tuple[int, str]] = []
        for link_id in links:
            shelf = self._shelves.pop(link_id)
            while shelf.codes:  # a request that still knows the shelf may take one meanwhile
                try:
                    codes.append((shelf.shop_id, shelf.codes.popleft()))
                except IndexError:
                    break
        if not codes:
            return
        try:
            with self._context.database.writing() as connection:
                for shop_id, code in codes:
                    mine = update(link_code).where(link_code.c.shop_id == shop_id, link_code.c.code == code)
                    connection.execute(mine.where(link_code.c.state == "out").values(state="ready", out_at=None))
        except SQLAlchemyError as error:  # after the plan's window they are taken back by themselves
            _log.error("%d codes could not be put back: %s", len(codes), type(error).__name__)


def _lease(context: Context, shop_id: int, link_id: int) -> list[str]:
    """Take a shelf of codes out of a link's pool, and have the pool filled again where it gets low."""
    now = context.now()
    pool = select(link_coupon).where(link_coupon.c.link_id == link_id, link_coupon.c.state == "open")
    with context.database.reading() as connection:  # what has ended must cost no writer's turn
        row = connection.execute(pool).one_or_none()
    if row is None:
        return []
    with context.database.writing() as connection:
        ready = select(link_code.c.id).where(link_code.c.link_id == link_id, link_code.c.state == "ready")
        chosen = ready.order_by(link_code.c.id).limit(SHELF).with_for_update(skip_locked=True)
        numbers = connection.execute(chosen).scalars().all()
        taken = update(link_code).where(among(link_code.c.id, numbers)).values(state="out", out_at=now)
        codes = list(connection.execute(taken.returning(link_code.c.code)).scalars())
        left = connection.execute(select(func.count()).select_from(ready.subquery())).scalar_one()
        if left < row.pool / 2:
            want_codes(connection, shop_id, link_id, now=now)
        if not codes:
            _tell_of_none(context, connection, row, now)
    if left < row.pool / 2:
        context.wake()
    return codes


def _tell_of_none(context: Context, connection: Connection, row: Row[Any], now: int) -> None:
    """Tell the owner, once until there are codes again, that clicks go without."""
    mine = update(link_coupon).where(link_coupon.c.link_id == row.link_id, link_coupon.c.ran_out_at.is_(None))
    if not connection.execute(mine.values(ran_out_at=now)).rowcount:
        return
    key = connection.execute(select(shop.c.key).where(shop.c.id == row.shop_id)).scalar_one()
    about = connection.execute(select(link.c.code, link.c.sharer_id).where(link.c.id == row.link_id)).one()
    data = {"shop": key, "sharer": public_id.show(public_id.SHARER, about.sharer_id), "code": about.code}
    tell(context, connection, row.shop_id, "link.codes_ran_out", data, actor="links")
