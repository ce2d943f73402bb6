"""Waking the workers. Huey, on SQLite, Redis or PostgreSQL, only wakes and ticks; the work itself is rows in the inbox.

So a queue that fails, or forgets what it was told, delays work until the next sweep and never loses any.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from huey import PostgresHuey, PriorityRedisHuey, SqliteHuey
from huey.api import Huey
from huey.exceptions import ConfigurationError
from huey.registry import Message
from huey.serializer import Serializer
from sqlalchemy import make_url

from plugin.forks import watch_forks
from plugin.services.context import Context
from plugin.services.do_work import do_work
from plugin.services.erase_bodies import erase_bodies
from plugin.services.expire_answers import expire_answers
from plugin.services.follow_orders import follow_orders
from plugin.services.forget_deliveries import forget_deliveries
from plugin.services.forget_visits import forget_visits
from plugin.services.kept_exports import forget_exports
from plugin.services.release_holds import release_holds
from plugin.services.show_poster import tidy_posters
from plugin.settings import SettingsError

QUIET_SECONDS = 0.05  # between two wakes; what is stored meanwhile is found by the second one
CONNECT_SECONDS = 5
RETRY_SECONDS = 5.0  # after the queue could not be reached
SLICE_SECONDS = 20.0  # how long one task drains, so that the sweep gets its turn under any load
NEEDS = "names a queue whose driver is not installed: pip install 'passalong[redis]' or 'passalong[postgres]'."
_log = logging.getLogger(__name__)


class TaskNames(Serializer):
    """Writes tasks as JSON. Huey's own way is pickle: whoever may write to the queue could run any code here."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps({"id": data.id, "name": data.name}).encode()

    def _deserialize(self, data: bytes) -> Any:
        task = json.loads(bytes(data))
        return Message(str(task["id"]), str(task["name"]), None, 0, 0, None)


def _open(url: str, name: str) -> Huey:
    """Return the queue of that name; raise whatever its driver raises where it cannot be had."""
    common: dict[str, Any] = {"name": name, "results": False, "serializer": TaskNames()}
    if url.startswith("sqlite:"):
        # What is lost with the power is only a wake, so nothing here waits for the disk.
        return SqliteHuey(filename=make_url(url).database, fsync=False, cache_mb=0, **common)
    if url.startswith("postgresql:"):
        return PostgresHuey(dsn=url, table_prefix="pa_huey", connect_timeout=CONNECT_SECONDS, **common)
    from redis import ConnectionPool

    pool = ConnectionPool.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=2 * CONNECT_SECONDS)
    return PriorityRedisHuey(connection_pool=pool, **common)


class Queue:
    """The queue of one installation. It is opened when it is first used, so that a start does not hang on it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._be_new()
        watch_forks(before=self._disconnect, in_child=self._be_new)  # an open SQLite file does not survive a fork

    def _be_new(self) -> None:
        """Have no connection and no thread: what a fresh process begins with, forked or not."""
        self._here = threading.local()
        self._opening, self._starting, self._long_turn = threading.Lock(), threading.Lock(), threading.Lock()
        self._huey: Huey | None = None
        self._drain_task: Callable[[], object] | None = None
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.works_here = False  # this process has workers, so it can do without the queue
        self.leaving = threading.Event()  # the workers of this process finish the batch they are at, and no more

    @property
    def huey(self) -> Huey:
        """Return the open queue; raise whatever its driver raises where it cannot be had."""
        with self._opening:
            if self._huey is None:
                # Two installations that share a Redis must not take each other's wakes.
                name = "passalong_" + self._context.keys.pepper_hash("queue", "name")[:8]
                try:
                    huey = _open(self._context.settings.queue_url, name)
                except (ImportError, ConfigurationError):
                    raise SettingsError("PASSALONG_QUEUE_URL", NEEDS) from None
                self._drain_task = huey.task(name="drain_inbox")(self._drain_inbox)
                huey.periodic_task(lambda _moment: True, name="sweep")(self._sweep)
                self._huey = huey
                huey.on_shutdown("close")(self._disconnect)  # on PostgreSQL each thread has a connection of its own
            return self._huey

    def ping(self) -> int:
        """Return how many tasks wait; raise whatever the driver raises where the queue cannot be reached."""
        waiting: int = self.huey.pending_count()
        return waiting

    # --- waking -----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Have a worker look for work soon. It neither waits nor raises. A worker at it looks again before it ends."""
        if getattr(self._here, "is_at_work", False):
            return
        self._called.set()
        if self._thread is None and not self._stopping.is_set():
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._call_on, name="passalong-wake", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no thread to be had; the sweep finds what this wake was for
                    _log.error("No thread could be started to wake the workers.")
                    return
                self._thread = thread

    def stop(self) -> None:
        """Hand on the last wake and end."""
        self._stopping.set()
        self._called.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(RETRY_SECONDS)
        self._disconnect()

    def _disconnect(self) -> None:
        huey = self._huey
        if huey is not None:
            try:
                huey.storage.close()
            except Exception as error:  # two threads may close at once, and the server may be gone already
                _log.debug("The queue could not be closed: %s", type(error).__name__)

    def _call_on(self) -> None:
        """Hand on wakes, one for all that came meanwhile; a wake during the pause is handed on after it."""
        while not self._stopping.is_set():
            self._called.wait()
            self._called.clear()
            reached = self._call()
            if not reached:
                self._called.set()
            self._stopping.wait(QUIET_SECONDS if reached else RETRY_SECONDS)
        if self._called.is_set():
            self._call()

    def _call(self) -> bool:
        """Put a task into the queue, unless one waits there already; tell whether the queue was reached."""
        try:
            # A task that nobody has taken yet begins after this moment, so it sees all that is stored by now.
            if self.ping() == 0 and self._drain_task is not None:
                self._drain_task()
        except Exception as error:  # each kind of queue has errors of its own
            _log.warning("The queue cannot be reached; deliveries wait until it can: %s", type(error).__name__)
            if self.works_here:
                self._drain_inbox()
            return False
        return True

    # --- working ----------------------------------------------------------------------------------------------------

    def _drain_inbox(self) -> None:
        """Do what is due, for a while."""
        end = time.monotonic() + SLICE_SECONDS
        self._here.is_at_work = True
        try:
            do_work(
                self._context,
                stopped=lambda: self.leaving.is_set() or time.monotonic() > end,
                long_turn=self._long_turn,
            )
        except Exception as error:
            _log.error("Draining the inbox failed; it is tried again soon: %s", type(error).__name__, exc_info=True)
        finally:
            self._here.is_at_work = False
        if time.monotonic() > end:
            self.wake()

    def _sweep(self) -> None:
        """Do what time makes due. Harmless when several workers do it at once; no part keeps the others from theirs."""
        self._drain_inbox()
        for work in (
            release_holds,
            erase_bodies,
            expire_answers,
            forget_deliveries,
            forget_visits,
            forget_exports,
            tidy_posters,
            follow_orders,
        ):
            if self.leaving.is_set():
                return
            try:
                work(self._context)
            except Exception as error:
                _log.error("%s failed; it is tried again in a minute: %s", work.__name__, type(error).__name__)
                _log.debug("where %s failed", work.__name__, exc_info=True)
