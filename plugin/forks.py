"""Letting what lives in a process know when that process forks, as servers with several workers do."""

import os
import weakref
from collections.abc import Callable


def watch_forks(
    *,
    in_child: Callable[[], None],
    before: Callable[[], None] | None = None,
    in_parent: Callable[[], None] | None = None,
) -> None:
    """Have methods called at each fork for as long as their owner lives.

    A hook cannot be taken back, so it must not keep the owner alive.
    """
    os.register_at_fork(before=_weak(before), after_in_parent=_weak(in_parent), after_in_child=_weak(in_child))


def _weak(method: Callable[[], None] | None) -> Callable[[], None]:
    seen = weakref.WeakMethod(method) if method is not None else lambda: None

    def call() -> None:
        one = seen()
        if one is not None:
            one()

    return call
