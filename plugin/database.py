"""The database: one engine for SQLite or PostgreSQL, and the two ways to use it, reading and writing.

SQLite runs in WAL with full synchronisation and takes its write lock when a writing transaction begins, so that two
writers queue instead of failing half-way. PostgreSQL reads committed rows; writers of a shop's books lock its head row.
"""

import json
import random
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from sqlalchemy import ARRAY, Boolean, ColumnElement, Connection, Dialect, Engine, Text, bindparam, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from plugin.errors import Unavailable

T = TypeVar("T")
BUSY_SECONDS, BUSY_PAUSE_SECONDS = 30, 0.02
TRIES = 5
# A server or a network that is gone without a word is noticed in about ten seconds, not in the kernel's many minutes.
_TIME_OUTS = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
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
            asked = make_url(url).query
            options["connect_args"] = {name: value for name, value in _TIME_OUTS.items() if name not in asked}
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
    )
    for pragma in pragmas:
        _set_pragma(cursor, pragma)
    cursor.close()


def _set_pragma(cursor: Any, pragma: str) -> None:
    """Set a pragma. Where several open a fresh file at once, SQLite refuses the log's mode without waiting."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute(f"PRAGMA {pragma}")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the low byte says so of all its kinds
            if not is_busy or time.monotonic() > end:
                raise
            time.sleep(BUSY_PAUSE_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("passalong_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def again(work: Callable[[], T]) -> T:
    """Run a whole transaction, again where the database asks for it; raise Unavailable when it keeps failing.

    Safe because every identity is made from its cause: doing it twice is doing it once. What has waited for SQLite's
    lock as long as one waits is not begun again: whoever asks would wait for minutes, and others for their thread.
    """
    end = time.monotonic() + BUSY_SECONDS / 2  # SQLite gives up a little before its time
    for attempt in range(TRIES):
        try:
            return work()
        except DBAPIError as error:
            has_waited = _is_locked(error) and time.monotonic() >= end
            if not _is_passing(error) or has_waited or attempt == TRIES - 1:
                raise_if_unavailable(error)
                raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - only spreads the retries
    raise AssertionError("unreachable")


def _is_passing(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state in _AGAIN or _is_locked(error)


def _is_locked(error: DBAPIError) -> bool:
    """Tell whether SQLite was waited for in vain."""
    return "database is locked" in str(error.orig)


def raise_if_unavailable(error: DBAPIError) -> None:
    """Raise Unavailable where the database itself could not be had (down, locked, full)."""
    if error.connection_invalidated or isinstance(error, OperationalError):
        raise Unavailable("database_unavailable", "The database could not take it now. Try again.") from error


# --- many values in one parameter -----------------------------------------------------------------------------------


class _Values(TypeDecorator[Any]):
    """A list as one parameter: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(self.item))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return json.dumps(value) if dialect.name == "sqlite" else value


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> Self:
        """Stand as it is: SQLAlchemy would write ``(… IN …) = 1`` for SQLite, which no index answers."""
        return self


@compiles(_Among, "postgresql")
def _among_on_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both are compiled


def among(column: ColumnElement[Any], values: Collection[int] | Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values, however many.

    Unlike ``column.in_(values)`` it is the same statement for any number of them, which every layer below then knows
    already, and no database's limit of parameters is in the way.
    """
    return _Among(column, bindparam(None, list(values), type_=_Values(column.type)))
