"""What every service is given: the database, the keys, the settings and the clock. Services ask for nothing else."""

import os
import secrets as randomness
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from plugin import clock
from plugin.database import Database
from plugin.keys import Keys, KeyStore
from plugin.mail import Postman
from plugin.outbound import Outbound
from plugin.settings import Settings

AccountKey = tuple[int, int, str, str]  # shop, sharer or 0, currency, purpose


@dataclass(frozen=True)
class Context:
    """One installation of Passalong, as its services see it."""

    database: Database
    key_store: KeyStore
    settings: Settings
    now: Callable[[], int] = clock.now
    outbound: Outbound = field(default_factory=Outbound)
    postman: Postman = field(default_factory=Postman)
    accounts: dict[AccountKey, int] = field(default_factory=dict)  # committed account numbers, which never change
    wakers: list[Callable[[], None]] = field(default_factory=list)  # whom to tell that there is work; see wake()
    doors: list[str] = field(default_factory=list)  # where this process itself listens

    @property
    def keys(self) -> Keys:
        """Return the rings as they are now."""
        return self.key_store.current()

    def wake(self) -> None:
        """Have a worker look soon for what was committed just now; without workers in reach the next sweep finds it."""
        for tell in self.wakers:
            tell()


def worker_name() -> str:
    """Return a name for this thread that no other living one has, on this machine or on another."""
    return f"{_process_name(os.getpid())}.{threading.get_ident()}"


@cache
def _process_name(number: int) -> str:
    """Return a name for the process of that number: in containers all are the first. A fork has one of its own."""
    return f"{number}.{randomness.token_hex(8)}"
