"""An installation with many orders: the first ones through the worker, all others as copies made inside the database.

A copy is an order of the same lines and the same sharer, of another buyer, placed a little later on the same day. It
has every row the worker would have written for it, in the same tables, under the same indexes. What is left as it was:
what nobody can make in SQL (digests, and the compressed normal form, which still states the first one's id). So the
books of such an installation cannot be checked; it is there to be read. ``same_rows`` holds a small one against what
the worker writes for the very same orders.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, select, text, update
from world import World, order_text

from plugin import models
from plugin.domain.moment import SECOND
from plugin.models import guards
from plugin.services.context import Context
from plugin.services.digest import PURPOSE, head_seal
from plugin.services.process_inbox import drain
from plugin.services.release_holds import release_holds
from plugin.services.store_delivery import Intake
from plugin.signing import make_token

DAY = 86_400 * SECOND
DAYS = 365
FIRST_REF = 4_500_000_000_000
BATCH = 1_000
SELLING = 50  # of the sharers, so that also in the smallest installation a page of transfers is full


@dataclass(frozen=True, slots=True)
class Calendar:
    """When the orders are placed: evenly over a year from ``begin`` on, a midnight of UTC.

    ``count`` orders come through the worker; each is there ``times`` times. No copy falls on another day than its
    original, so sums by day are ``times`` as large too.
    """

    begin: int
    count: int
    times: int

    @property
    def _apart(self) -> int:
        a_day = -(-self.count // DAYS)
        return DAY // a_day

    @property
    def shift(self) -> int:
        """How much later a copy is placed than the copy before, in microseconds, whole seconds."""
        return self._apart // self.times // SECOND * SECOND

    def placed_at(self, number: int, copy: int = 0) -> int:
        """Return when an order is placed."""
        a_day = -(-self.count // DAYS)
        day, of_day = divmod(number, a_day)
        return self.begin + day * DAY + of_day * self._apart // SECOND * SECOND + copy * self.shift

    def ref(self, number: int, copy: int = 0) -> str:
        """Return the shop's id of an order."""
        return str(FIRST_REF + number + copy * self.count)


def settle_orders(world: World, calendar: Calendar, copies: Iterable[int] = (0,)) -> None:
    """Place orders through the inbox and the worker, and release those whose hold is over."""
    context = world.context()
    try:
        intake = Intake(context, lambda: None)
        for copy in copies:
            for first in range(0, calendar.count, BATCH):
                rows = [
                    _delivery(world, context, intake, calendar, number, copy)
                    for number in range(first, min(first + BATCH, calendar.count))
                ]
                with context.database.writing() as connection:
                    connection.execute(models.delivery.insert(), rows)
        drain(context)
        release_holds(context, now=calendar.begin + DAYS * DAY)
    finally:
        context.database.close()


def _delivery(
    world: World, context: Context, intake: Intake, calendar: Calendar, number: int, copy: int
) -> dict[str, Any]:
    """Return the stored delivery of an order; a copy differs in its id, its buyer and its time."""
    rng = random.Random(number)
    clicked_at = calendar.placed_at(number) - 600 * SECOND
    token = make_token(context.keys, world.shop_id, world.numbers[number % SELLING], clicked_at, rng.randbytes(8))
    ref, placed_at = calendar.ref(number, copy), calendar.placed_at(number, copy)
    body = order_text(ref, token, placed_at=placed_at, rng=rng, lines=rng.randint(1, 3)).encode()
    name = f"msg_{ref}"
    return dict(intake.row(world.shop_id, name, "order", {"webhook-id": name}, body))


# -- copies ------------------------------------------------------------------------------------------------------------

_LATER = ":later"
_REF = "CAST(CAST({0} AS BIGINT) + :copy * :count AS TEXT)"
_CAUSE = "'delivery:' || CAST(CAST(substr(b.cause, 10) AS BIGINT) + :copy * :pa_delivery AS TEXT)"
_ABOUT = "substr(b.data, {find}(b.data, '\"order\":\"') + 9, 13)"  # the order an event tells of


def _at_later(column: str, at: str) -> str:
    """Return a JSON text of a row in which the time of the order is that of the copy."""
    return f"replace({column}, CAST({at} AS TEXT), CAST({at} + {_LATER} AS TEXT))"


# What a copy's row has instead of its original's ``b`` (whose order is ``o``), by table, parents first. Beside this
# every number of a row, of an order and of a position in the record goes on where the originals' end.
_INSTEAD: dict[str, dict[str, str]] = {
    "pa_delivery": {
        "delivery_id": f"'msg_' || {_REF.format('substr(b.delivery_id, 5)')}",
        "body": "NULL",  # as if erased after its days, like nearly all of so many
    },
    "pa_order": {
        "ref": _REF.format("b.ref"),
        "story": f"replace({_at_later('b.story', 'b.placed_at')}, b.ref, {_REF.format('b.ref')})",
        "decision": _at_later("b.decision", "b.placed_at"),
        "customer_key": f"replace(b.customer_key, b.ref, {_REF.format('b.ref')})",
        "placed_at": f"b.placed_at + {_LATER}",
        "release_at": f"b.release_at + {_LATER}",
        "released": "b.released + :copy * :pa_chain",
    },
    "pa_order_state": {"delivery_id": "b.delivery_id + :copy * :pa_delivery"},
    "pa_decision": {"body": _at_later("b.body", "o.placed_at"), "cause": _CAUSE},
    "pa_fact": {"at": f"b.at + {_LATER}"},
    "pa_transfer": {
        "id": "substr(b.id, 1, 24) || :suffix",
        "cause": f"CASE WHEN b.kind = 'release' THEN b.cause ELSE {_CAUSE} END",
        "about_at": f"CASE WHEN b.kind = 'release' THEN b.about_at ELSE b.about_at + {_LATER} END",
    },
    "pa_lot": {},
    "pa_chain": {},
    "pa_event": {"data": f"replace(b.data, {_ABOUT}, {_REF.format(_ABOUT)})"},
}
Spans = dict[str, tuple[int, int]]  # by table, the first and the last number of the rows that are copied
_TRIGGERS = ("pa_transfer_book", "pa_chain_close")  # of SQLite; PostgreSQL lets them be switched off
_NUMBERS = {"pa_transfer": "number", "pa_chain": "position", "pa_event": "seq"}  # of the others: id
# Which rows of a table are copied, where some were written before the first order was placed.
_COPIED = {
    "pa_fact": "b.order_id IS NOT NULL",
    "pa_chain": "b.position >= (SELECT min(position) FROM pa_order_state)",
    "pa_event": "{find}(b.data, '\"order\":\"') > 0",
}


def copy_orders(world: World, calendar: Calendar) -> None:
    """Make all copies of the orders that the worker has settled, and what follows from them: balances and rollups."""
    context = world.context()
    engine, is_sqlite = context.database.engine, context.database.is_sqlite
    try:
        with engine.connect().execution_options(passalong_writes=True) as connection:
            _prepare(connection, is_sqlite=is_sqlite)
            with connection.begin():
                spans = {name: _span(connection, name) for name in _INSTEAD if name != "pa_lot"}
            for name in _INSTEAD:
                with connection.begin():
                    _copy(connection, name, spans, calendar)
            with connection.begin():
                _add_up(connection, spans, calendar.times)
                _seal(connection, context, spans, calendar.times)
                _finish(connection, spans)
        if not is_sqlite:  # where a server does it by itself after a while; nobody does on SQLite
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
    finally:
        context.database.close()


def _prepare(connection: Connection, *, is_sqlite: bool) -> None:
    """Let the copies in without their triggers, whose work ``_add_up`` and the copied lots do."""
    if not is_sqlite:
        for statement in (
            "SET session_replication_role = replica",
            "SET synchronous_commit = off",
            "SET enable_seqscan = off",  # an original is found among its copies by its number
            "SET maintenance_work_mem = '512MB'",
            # No index learns of the copies until ``_finish`` has them made anew, which takes a tenth of the time.
            f"UPDATE pg_index SET indisready = false WHERE indrelid::regclass::text IN ({_quoted(_INSTEAD)})",
        ):
            connection.exec_driver_sql(statement)
        connection.commit()
        return
    driver: Any = connection.connection.driver_connection
    for pragma in ("foreign_keys = OFF", "journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
        driver.execute(f"PRAGMA {pragma}")
    for name in _TRIGGERS:
        driver.execute(f"DROP TRIGGER {name}")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _span(connection: Connection, name: str) -> tuple[int, int]:
    """Return the first and the last number of the rows that are copied."""
    number = _NUMBERS.get(name, "id")
    where = _in_dialect(connection, _COPIED.get(name, "1 = 1"))
    row = connection.exec_driver_sql(f"SELECT min(b.{number}), max(b.{number}) FROM {name} b WHERE {where}").one()
    return int(row[0]), int(row[1])


def _in_dialect(connection: Connection, statement: str) -> str:
    return statement.replace("{find}", "instr" if connection.dialect.name == "sqlite" else "strpos")


def _copy(connection: Connection, name: str, spans: Spans, calendar: Calendar) -> None:
    """Copy the rows of one table."""
    table: Table = models.metadata.tables[name]
    instead = {"order_id": "b.order_id + :copy * :pa_order", "position": "b.position + :copy * :pa_chain"}
    if name in spans:
        number = _NUMBERS.get(name, "id")
        instead[number] = f"b.{number} + :copy * :{name}"
    instead |= _INSTEAD[name]
    chosen = ", ".join(instead.get(column.name, f"b.{column.name}") for column in table.columns)
    source = f"{name} b JOIN pa_order o ON o.id = b.order_id" if name == "pa_decision" else f"{name} b"
    where = _COPIED.get(name, "1 = 1")
    where += f" AND b.order_id <= {spans['pa_order'][1]}" if name == "pa_lot" else ""
    where += f" AND b.{_NUMBERS.get(name, 'id')} <= {spans[name][1]}" if name in spans else ""
    statement = f"INSERT INTO {name} ({', '.join(column.name for column in table.columns)}) "
    statement = _in_dialect(connection, f"{statement}SELECT {chosen} FROM {source} WHERE {where}")
    widths = {span: last - first + 1 for span, (first, last) in spans.items()}
    known = widths | {"count": calendar.count}
    for copy in range(1, calendar.times):
        values = known | {"copy": copy, "later": copy * calendar.shift, "suffix": f"{copy:08x}"}
        # As numbers in the text: PostgreSQL would guess the types of parameters, and guess some wrongly.
        connection.exec_driver_sql(_with_values(statement, values))


def _with_values(statement: str, values: dict[str, int | str]) -> str:
    for name in sorted(values, key=len, reverse=True):  # pa_order_state before pa_order
        value = values[name]
        statement = statement.replace(f":{name}", f"'{value}'" if isinstance(value, str) else str(value))
    return statement


def _add_up(connection: Connection, spans: Spans, times: int) -> None:
    """Bring the sums to what all the rows come to: every copy of an order moves the same money on the same day."""
    connection.execute(text(f"UPDATE pa_account SET balance = balance * {times}"))
    for table in getattr(models, "ROLLUPS", {}).values():
        figures = [column.name for column in table.columns if not column.primary_key]
        connection.execute(text(f"UPDATE {table.name} SET {', '.join(f'{one} = {one} * {times}' for one in figures)}"))
    first, last = spans["pa_event"]
    connection.execute(text(f"UPDATE pa_event_head SET seq = {last + (last - first + 1) * (times - 1)}"))


def _seal(connection: Connection, context: Context, spans: Spans, times: int) -> None:
    """Move the end of the record behind the copies, sealed, so that the product knows its keys for the right ones."""
    first, last = spans["pa_chain"]
    position = last + (last - first + 1) * (times - 1)
    key = context.keys.mac_key(PURPOSE)
    for row in connection.execute(select(models.head)).all():
        seal = head_seal(key, row.shop_id, position, row.mac)
        connection.execute(update(models.head).values(position=position, seal=seal))


def _finish(connection: Connection, spans: Spans) -> None:
    """Put back what ``_prepare`` took away, and have new rows numbered after the copies."""
    if connection.dialect.name == "sqlite":
        for statement in guards.sqlite():
            if statement.split()[2] in _TRIGGERS:
                connection.exec_driver_sql(statement)
        return
    for name in _INSTEAD:
        connection.exec_driver_sql(f"REINDEX TABLE {name}")
    for name in spans:
        number = _NUMBERS.get(name, "id")
        if name not in ("pa_chain", "pa_event"):  # which the program numbers itself
            last = f"SELECT max({number}) FROM {name}"
            connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{name}', '{number}'), ({last}))")


# -- the proof ---------------------------------------------------------------------------------------------------------

# What the worker writes differently for the same order at another time or under another number of ours.
_APART = frozenset(
    ("id", "number", "seq", "mac", "seal", "position", "released", "sha", "body_sha", "customer_email", "cause")
    + ("received_at", "due_at", "recorded_at", "written_at", "delivery_id", "from_account", "to_account", "manifest")
)
_DIGEST = re.compile(r'"[0-9a-f]{64}"|"[0-9a-f]{32}"')  # of a state, of an e-mail


def same_rows(one: World, other: World) -> list[str]:
    """Return what differs between two installations, up to numbers, digests, compressed bodies and when it was written.

    The chain is left out: how many orders share a transaction is a matter of batches. One line for each table, with a
    row that only one of them has.
    """
    tables = [name for name in _INSTEAD if name != "pa_chain"] + ["pa_account"]
    tables += [table.name for table in getattr(models, "ROLLUPS", {}).values()]
    mine, theirs = _rows(one, tables), _rows(other, tables)
    found = []
    for name in tables:
        left, right = mine[name] - theirs[name], theirs[name] - mine[name]
        if left or right:
            found.append(f"{name}: {left.total()} and {right.total()} rows of their own, such as {min(left | right)}")
    return found


def _rows(world: World, tables: Iterable[str]) -> dict[str, Counter[str]]:
    """Return the rows of each table as comparable texts."""
    context = world.context()
    try:
        with context.database.reading() as connection:
            refs = {row.id: row.ref for row in connection.execute(select(models.orders.c.id, models.orders.c.ref))}
            return {
                name: Counter(
                    _plain(name, dict(row), refs, world.shop_key)
                    for row in connection.execute(select(models.metadata.tables[name])).mappings()
                )
                for name in tables
            }
    finally:
        context.database.close()


def _plain(table: str, row: dict[str, Any], refs: dict[int, str], shop_key: str) -> str:
    kept = {name: value for name, value in row.items() if name not in _APART and not isinstance(value, bytes)}
    kept |= {"order_id": refs[kept["order_id"]]} if kept.get("order_id") else {}
    kept |= {"released": row["released"] is not None} if "released" in row else {}
    for name in {"pa_event": ("at",), "pa_delivery": ("body",)}.get(table, ()):  # when it was written, what is erased
        kept.pop(name, None)
    return _DIGEST.sub('""', json.dumps(kept, sort_keys=True).replace("\\", "").replace(shop_key, ""))
