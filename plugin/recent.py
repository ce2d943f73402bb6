"""Answers that are kept for a short time, so that what is asked again and again asks the database once."""

import time
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The answers of the last ``seconds``, at most ``most``: when it is full it forgets all, which costs one look each.

    Threads may share it: two that miss at once ask twice, and the later answer is kept.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._kept: dict[K, tuple[float, V]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def look(self, key: K, otherwise: V) -> tuple[V, bool]:
        """Return the last answer and whether it is fresh; an old one serves while the database is away."""
        at, found = self._kept.get(key, (None, otherwise))
        return found, at is not None and time.monotonic() - at < self._seconds

    def keep(self, key: K, found: V) -> V:
        """Keep an answer, from now on; return it."""
        if len(self._kept) >= self._most:
            self._kept.clear()
        self._kept[key] = time.monotonic(), found
        return found
