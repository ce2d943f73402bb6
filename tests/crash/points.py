"""The points of a program at which it can be stopped or killed: before and after each SQL statement, after each commit.

A kill is what SIGKILL does: the connection drops in the middle of its transaction, and nothing of that life runs on.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

Act = Callable[[Connection | None], None]


class Points:
    """Tells whoever watches a thread of each point that it reaches on an engine."""

    def __init__(self, engine: Engine) -> None:
        self._watchers: dict[int, Act] = {}
        event.listen(engine, "before_cursor_execute", self._at_statement)
        event.listen(engine, "after_cursor_execute", self._at_statement)
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            commit(connection)
            self._reach(None)

        engine.dialect.do_commit = do_commit  # type: ignore[method-assign]

    @contextmanager
    def watched(self, act: Act) -> Iterator[None]:
        """Have ``act`` called, in this thread, at each point that this thread reaches."""
        thread = threading.get_ident()
        self._watchers[thread] = act
        try:
            yield
        finally:
            del self._watchers[thread]

    def _at_statement(self, connection: Connection, *_: object) -> None:
        self._reach(connection)

    def _reach(self, connection: Connection | None) -> None:
        act = self._watchers.get(threading.get_ident())
        if act is not None:
            act(connection)


class Killed(BaseException):
    """The process is dead. No program catches this."""


class Death:
    """Comes at the k-th point, and to everything that tries to run on after it, such as a ``finally``."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.came = False

    def __call__(self, connection: Connection | None) -> None:
        self.left -= 1
        if self.left <= 0:
            self.came = True
            if connection is not None:
                _drop(connection)
            raise Killed


def _drop(connection: Connection) -> None:
    """Have a connection end in the middle of its transaction."""
    if connection.dialect.name == "sqlite":  # a statement that somebody still holds would keep the lock alive
        connection.connection.rollback()
    connection.invalidate()


def kill_everywhere(
    points: Points, work: Callable[[], object], *, progress: Callable[[], object], check: Callable[[], object]
) -> int:
    """Kill the work at its first point, its second, and so on, running it again each time, until it runs through.

    ``work`` goes on from wherever it was left. Where a killed life got something done, which ``progress`` shows, the
    counting begins anew, so that each point of each step is met; ``check`` is called there. Return how many lives it
    took.
    """
    lives, at, before = 0, 1, progress()
    while True:
        death = Death(at)
        lives += 1
        try:
            with points.watched(death):
                work()
        except Killed:
            now = progress()
            if now == before:
                at += 1
                continue
            check()
            at, before = 1, now
        else:
            assert not death.came, "somebody caught the death"
            return lives
