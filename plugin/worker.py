"""The workers: threads that take tasks from the queue, beside the web in one process or in processes of their own.

They may be killed at any moment: what they had in hand is taken over when its lease runs out.
"""

import gc
import logging
import signal
import time
from types import FrameType

from huey.consumer import Consumer

from plugin.installation import Installation

POLL_SECONDS, POLL_SECONDS_MAX = 0.05, 0.2  # how often an idle thread looks into a queue on SQLite
STOP_SECONDS_MAX = 10.0
HEALTH_SECONDS = 10.0
REPEAT_SECONDS = 60.0
_log = logging.getLogger(__name__)


class _Seldom(logging.Filter):
    """Lets a message through once a minute, in one line: huey's threads repeat themselves while a queue is away."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._said.get(record.msg, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        self._said[record.msg] = now
        if record.exc_info and record.exc_info[0]:
            record.msg, record.exc_info = f"{record.msg} ({record.exc_info[0].__name__})", None
        return True


for _name in ("Worker", "Scheduler"):
    logging.getLogger(f"huey.consumer.{_name}").addFilter(_Seldom())


class _Consumer(Consumer):
    def _set_signal_handlers(self) -> None:
        """Leave the signals to whoever runs this process."""


class Workers:
    """Worker threads of one installation in this process."""

    def __init__(self, installation: Installation, threads: int) -> None:
        self._queue = installation.queue
        self._consumer = _Consumer(
            self._queue.huey,
            workers=threads,
            worker_type="thread",
            initial_delay=POLL_SECONDS,
            max_delay=POLL_SECONDS_MAX,
            scheduler_interval=5,
            shutdown_timeout=STOP_SECONDS_MAX,
        )

    def start(self) -> None:
        """Start the threads; the first thing they do is a sweep."""
        self._queue.leaving.clear()
        self._queue.works_here = True
        self._consumer.start()

    def check_health(self) -> None:
        """Start threads anew that died."""
        self._consumer.check_worker_health()

    def stop(self) -> None:
        """Let every thread finish the batch it is at, and end."""
        self._queue.leaving.set()
        self._queue.works_here = False
        self._consumer.stop(graceful=True)


def spare_collector() -> None:
    """Keep the collector of reference cycles from going through a batch again and again; call it once all is loaded.

    A batch makes some hundred thousand objects without a cycle, which live until its end. With the usual thresholds the
    collector looks at all of them, and at every module, several times a batch: a twentieth of the whole work.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def embedded(installation: Installation, threads: int) -> Workers:
    """Start worker threads beside whatever else this process, which is ours, does."""
    spare_collector()
    workers = Workers(installation, threads)
    workers.start()
    return workers


class Leaving:
    """Listens for SIGTERM and SIGINT. The first one asks to leave; a second one ends the process at once."""

    def __init__(self) -> None:
        # A plain attribute: the handler may interrupt a thread that holds the lock of an Event.
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL)


def run_forever(installation: Installation, leaving: Leaving) -> None:
    """Work until asked to leave, then finish what is at hand."""
    workers = embedded(installation, max(1, installation.settings.workers))
    looked_at = time.monotonic()
    while not leaving.asked:
        time.sleep(0.1)
        if time.monotonic() - looked_at > HEALTH_SECONDS:
            workers.check_health()
            looked_at = time.monotonic()
    workers.stop()
    installation.close()
