"""Two threads at the same rows: let go at once, or one stopped at a chosen point until the other is done or stuck."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.crash.points import Points

T = TypeVar("T")
STUCK_SECONDS = 0.03  # without a step: it waits for the one that is stopped
PATIENCE_SECONDS = 90.0


class Stepped(threading.Thread):
    """A thread that counts its points, and stops at one of them until it may go on."""

    def __init__(self, points: Points, work: Callable[[], Any], *, ready: threading.Barrier, stop_at: int = 0) -> None:
        super().__init__(daemon=True)
        self._points, self._work, self._ready, self._stop_at = points, work, ready, stop_at
        self.steps = 0
        self.answer: Any = None
        self.error: BaseException | None = None
        self.stopped, self.may_go_on = threading.Event(), threading.Event()

    def run(self) -> None:
        try:
            with self._points.watched(self._step):
                self._ready.wait(PATIENCE_SECONDS)
                self.answer = self._work()
        except BaseException as error:
            self.error = error
        finally:
            self.stopped.set()

    def _step(self, _connection: object) -> None:
        self.steps += 1
        if self.steps == self._stop_at:
            self.stopped.set()
            self.may_go_on.wait(PATIENCE_SECONDS)

    def result(self) -> Any:
        """Return what the work returned, or raise what it raised."""
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive(), "it hangs"
        if self.error is not None:
            raise self.error
        return self.answer


def both_at_once(points: Points, first: Callable[[], T], second: Callable[[], T]) -> tuple[Stepped, Stepped]:
    """Let two works go at the same instant; return their threads when both are done."""
    ready = threading.Barrier(2)
    threads = Stepped(points, first, ready=ready), Stepped(points, second, ready=ready)
    for thread in threads:
        thread.start()
    return _joined(threads)


def one_stopped(
    points: Points, first: Callable[[], T], second: Callable[[], T], *, stop_at: int
) -> tuple[Stepped, Stepped]:
    """Stop the first at a point, let the second run until it is done or stuck, then let the first go on."""
    one = Stepped(points, first, ready=threading.Barrier(1), stop_at=stop_at)
    other = Stepped(points, second, ready=threading.Barrier(1))
    one.start()
    assert one.stopped.wait(PATIENCE_SECONDS)
    other.start()
    seen, since = -1, time.monotonic()
    while other.is_alive() and time.monotonic() - since < STUCK_SECONDS:
        if other.steps != seen:
            seen, since = other.steps, time.monotonic()
        other.join(0.002)
    one.may_go_on.set()
    return _joined((one, other))


def _joined(threads: tuple[Stepped, Stepped]) -> tuple[Stepped, Stepped]:
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    return threads
