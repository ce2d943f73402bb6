"""The database: one engine for SQLite or PostgreSQL, and the two ways to use it, reading and writing.

SQLite runs in WAL with full synchronisation and takes its write lock when a writing transaction begins, so that two
writers queue instead of failing half-way. PostgreSQL reads committed rows; writers of a shop's books lock its head row.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from plugin.errors import Unavailable

T = TypeVar("T")
BUSY_SECONDS = 30
TRIES = 5
_AGAIN = ("40001", "40P01")  # PostgreSQL: serialization failure, deadlock


class Database:
    """An engine with a reading and a writing transaction."""

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.is_sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"poolclass": QueuePool, "pool_size": pool_size, "max_overflow": 20}
        options["hide_parameters"] = True  # an error that is logged must not show what a row holds
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        else:
            options["pool_pre_ping"] = True
        self.engine: Engine = create_engine(url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database and writes nothing."""
        options: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect() as plain:
            connection = plain.execution_options(**options)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes; it commits at the end of the block, or not at all."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(passalong_writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, below
    cursor = connection.cursor()
    pragmas = (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "recursive_triggers=ON",  # else INSERT OR REPLACE deletes a row of the record without asking its guard
        f"busy_timeout={BUSY_SECONDS * 1000}",
    )
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("passalong_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def again(work: Callable[[], T]) -> T:
    """Run a whole transaction, again where the database asks for it; raise Unavailable when it keeps failing.

    Safe because every identity is made from its cause: doing it twice is doing it once.
    """
    for attempt in range(TRIES):
        try:
            return work()
        except DBAPIError as error:
            if not _is_passing(error) or attempt == TRIES - 1:
                raise_if_unavailable(error)
                raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - only spreads the retries
    raise AssertionError("unreachable")


def _is_passing(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state in _AGAIN or "database is locked" in str(error.orig)


def raise_if_unavailable(error: DBAPIError) -> None:
    """Raise Unavailable where the database itself could not be had (down, locked, full)."""
    if error.connection_invalidated or isinstance(error, OperationalError):
        raise Unavailable("database_unavailable", "The database could not take it now. Try again.") from error
