"""A folder of files by key that bounds itself: what costs time to make is kept a while, and nothing hangs on it."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from plugin.domain.moment import SECOND

_log = logging.getLogger(__name__)


class Shelf:
    """Keeps files for ``seconds_max`` and no more than ``bytes_max`` in all; any number of processes may share one.

    A disk that is full, or a folder that is not ours to write, only means that things are made again.
    """

    def __init__(self, folder: Path, *, bytes_max: int, seconds_max: int, now: Callable[[], int]) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max
        self._now = now

    def get(self, key: str) -> bytes | None:
        """Return what lies under a key, unless it has become too old."""
        path = self._folder / key
        try:
            return path.read_bytes() if path.stat().st_mtime >= self._oldest() else None
        except OSError:
            return None

    def put(self, key: str, data: bytes) -> None:
        """Lay something under a key, whole or not at all, and clear away what is too old or too much."""
        half = self._folder / f"{key}.{os.getpid()}.{threading.get_ident()}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            half.write_bytes(data)
            os.utime(half, (self._now() // SECOND,) * 2)
            half.replace(self._folder / key)
        except OSError as error:
            _log.warning("Nothing can be kept in %s: %s", self._folder.name, error.strerror)
            with suppress(OSError):
                half.unlink(missing_ok=True)
        self.tidy()

    def tidy(self) -> None:
        """Remove what is too old, and then the oldest until what is left leaves room for more."""
        found = self._files()
        oldest, size = self._oldest(), sum(one[1] for one in found)
        goal = self._bytes_max if size <= self._bytes_max else self._bytes_max * 3 // 4
        for made, weight, path in sorted(found):
            if made >= oldest and size <= goal:
                break
            size -= weight
            _remove(path)

    def clear(self) -> None:
        """Remove everything."""
        for _, _, path in self._files():
            _remove(path)

    def _oldest(self) -> int:
        return self._now() // SECOND - self._seconds_max

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return when each file was made, how large it is, and where; another process may be tidying too."""
        found = []
        try:
            for entry in os.scandir(self._folder):
                try:
                    status = entry.stat()
                except OSError:
                    continue
                found.append((status.st_mtime, status.st_size, Path(entry.path)))
        except OSError:  # there is no folder before there is something to keep
            pass
        return found


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be removed: %s", path.name, error.strerror)
