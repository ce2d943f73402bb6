"""Rollups in the database: added to by whoever writes an order, a transfer or a click, and derived anew to be checked.

What is stored is never trusted by what derives: that reads orders, transfers and clicks alone, one sharer at a time, so
its memory grows with a sharer's months, a shop's days and its channels' months, and not with orders or sharers. The
sums by product and by channel are held against what each order is counted as there, by the database itself; whether
that is right of each order is seen where the order is derived.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal_column, or_, select, union_all

from plugin.domain.money import DIGITS, format_minor
from plugin.domain.rollup import (
    CLICK_CHANNEL,
    CLICK_DAY,
    CLICK_LINK,
    CLICK_MONTH,
    COUNTED,
    FIGURES,
    MINUTE,
    MONEY,
    SHARER_MONTH,
    SHARER_TOTAL,
    SHOP_DAY,
    Counted,
    Key,
    Rollup,
    place_of,
)
from plugin.models import ORDER_PARTS, ROLLUPS, click, link, orders, transfer
from plugin.services.public_id import SHARER, show

FETCHED = 2_000  # rows that are read at once
_BY_SHARER = (SHARER_TOTAL, SHARER_MONTH, CLICK_MONTH, CLICK_LINK)
_BY_TIME = (SHOP_DAY, CLICK_DAY, CLICK_CHANNEL)
Rows = list[tuple[Key, list[int]]]


# --- writing --------------------------------------------------------------------------------------------------------


def add_rollup(connection: Connection, shop_id: int, rollup: Rollup) -> None:
    """Add differences to what is stored: one statement for each rollup that is touched, its rows in the order of keys.

    Whoever adds to rows in one order never waits in a ring.
    """
    for name in FIGURES:
        rows = rollup.rows(name)
        if rows:
            add_rows(connection, shop_id, name, rows)


def add_rows(connection: Connection, shop_id: int, name: str, rows: Rows) -> None:
    """Add differences to rows of one rollup."""
    values = [(shop_id, *key, *sums) for key, sums in rows]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_upsert(name, "sqlite"), values)
    else:
        connection.exec_driver_sql(_upsert(name, "postgresql"), tuple(map(list, zip(*values, strict=True))))


@cache
def _upsert(name: str, dialect: str) -> str:
    """Return the statement that adds rows; on PostgreSQL it takes a list for each column, so it is always the same."""
    table = ROLLUPS[name]
    columns = ", ".join(column.name for column in table.columns)
    keys = ", ".join(column.name for column in table.primary_key)
    sums = ", ".join(f"{figure} = {table.name}.{figure} + excluded.{figure}" for figure in FIGURES[name])
    if dialect == "sqlite":
        source = f"VALUES ({', '.join('?' * len(table.columns))})"
    else:
        types = ("text" if column.type.python_type is str else "bigint" for column in table.columns)
        source = f"SELECT * FROM unnest({', '.join(f'%s::{one}[]' for one in types)})"  # noqa: S608 - names of ours
    return f"INSERT INTO {table.name} ({columns}) {source} ON CONFLICT ({keys}) DO UPDATE SET {sums}"  # noqa: S608


# --- deriving anew --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored row that is not what the raw rows come to; a row that is not there is all zeros."""

    rollup: str
    key: Key
    booked: Sequence[int]
    must: Sequence[int]

    @property
    def missing(self) -> list[int]:
        """Return what must be added to make it right."""
        return [must - booked for booked, must in zip(self.booked, self.must, strict=True)]

    @property
    def name(self) -> str:
        """Return what the row is called, such as ``sharer-total shr_7 USD``."""
        return " ".join([self.rollup, *(_show(part, index, self.rollup) for index, part in enumerate(self.key))])

    def figures(self) -> Iterator[tuple[str, str, str]]:
        """Yield each figure that differs, with what is booked and what should be, as people write it."""
        currency = str(self.key[-1])
        for figure, booked, must in zip(FIGURES[self.rollup], self.booked, self.must, strict=True):
            if booked != must:
                is_money = figure in MONEY and currency in DIGITS
                there, due = (format_minor(one, currency) if is_money else str(one) for one in (booked, must))
                yield figure, there, due


def _show(part: int | str, index: int, rollup: str) -> str:
    return show(SHARER, int(part)) if index == 0 and rollup in _BY_SHARER else str(part)


@contextmanager
def differences(connection: Connection, shop: Row[Any]) -> Iterator[Iterator[Difference]]:
    """Derive a shop's rollups from its orders, transfers and clicks; give, one by one, where the stored ones differ.

    The connection must see one state of the database throughout, and is read from until the end of the block.
    """
    with ExitStack() as reading:

        def fetch(wanted: Select[Any]) -> Iterator[Row[Any]]:
            options = {"yield_per": FETCHED}
            return iter(reading.enter_context(connection.execute(wanted, execution_options=options)))

        yield _differences(fetch, shop)


def _differences(fetch: "Fetch", shop: Row[Any]) -> Iterator[Difference]:
    rollup = Rollup(ZoneInfo(shop.timezone))
    streams = [_raw(fetch, shop.id), *(_stored(fetch, shop.id, name) for name in _BY_SHARER)]
    for _, parts in groupby(merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
        stored: dict[str, dict[Key, Sequence[int]]] = {name: {} for name in _BY_SHARER}
        for _, name, what in parts:
            if name in stored:
                key, sums = what
                stored[name][key] = sums
            else:
                getattr(rollup, name)(*what)
        for name in _BY_SHARER:
            yield from _compare(name, stored[name], rollup.sums[name])
            rollup.sums[name].clear()
    for name in _BY_TIME:
        yield from _compare(name, dict(what for _, _, what in _stored(fetch, shop.id, name)), rollup.sums[name])
    for name in ORDER_PARTS:
        for row in fetch(_unlike_parts(shop.id, name)):
            sums = [int(sum) for sum in row[-2 * len(FIGURES[name]) :]]
            yield Difference(name, tuple(row[: -len(sums)]), sums[: len(sums) // 2], sums[len(sums) // 2 :])


def _unlike_parts(shop_id: int, name: str) -> Select[Any]:
    """Return the query for the rows of a rollup that are not the sums of what the orders are counted as."""
    keys = [column.name for column in ROLLUPS[name].primary_key if column.name != "shop_id"]
    zero: ColumnElement[int] = literal_column("0")
    sides = []
    for is_booked, table in ((True, ROLLUPS[name]), (False, ORDER_PARTS[name])):
        booked = [(table.c[one] if is_booked else zero).label(f"{one}_booked") for one in FIGURES[name]]
        must = [(zero if is_booked else table.c[one]).label(f"{one}_must") for one in FIGURES[name]]
        sides.append(select(*(table.c[key] for key in keys), *booked, *must).where(table.c.shop_id == shop_id))
    both = union_all(*sides).subquery()
    sums = [(func.sum(both.c[f"{one}_booked"]), func.sum(both.c[f"{one}_must"])) for one in FIGURES[name]]
    wanted = select(*(both.c[key] for key in keys), *(one for one, _ in sums), *(other for _, other in sums))
    return wanted.group_by(*(both.c[key] for key in keys)).having(or_(*(one != other for one, other in sums)))


def _compare(
    name: str, stored: dict[Key, Sequence[int]], derived: dict[Key, list[int]]
) -> Iterator[Difference]:
    zeros = [0] * len(FIGURES[name])
    for key in sorted({*stored, *derived}):
        booked, must = stored.get(key, zeros), derived.get(key, zeros)
        if list(booked) != must:
            yield Difference(name, key, booked, must)


Item = tuple[int, str, Any]  # sharer, what it is, what it says
Fetch = Callable[[Select[Any]], Iterator[Row[Any]]]


def _stored(fetch: Fetch, shop_id: int, name: str) -> Iterator[Item]:
    """Yield the stored rows of a rollup in the order of their keys."""
    table = ROLLUPS[name]
    keys = [column for column in table.primary_key if column.name != "shop_id"]
    figures = [table.c[figure] for figure in FIGURES[name]]
    wanted = select(*keys, *figures).where(table.c.shop_id == shop_id).order_by(*keys)
    for row in fetch(wanted):
        key = tuple(row[: len(keys)])
        yield row[0], name, (key, row[len(keys) :])


def _raw(fetch: Fetch, shop_id: int) -> Iterator[Item]:
    """Yield orders, transfers and clicks by sharer (0: nobody) as the calls of a Rollup that count them."""
    return merge(_orders(fetch, shop_id), _transfers(fetch, shop_id), _clicks(fetch, shop_id), key=itemgetter(0))


def _orders(fetch: Fetch, shop_id: int) -> Iterator[Item]:
    sharer = func.coalesce(orders.c.counts_for, 0)
    wanted = select(sharer, orders.c.placed_at, orders.c.currency, *(orders.c[name] for name in COUNTED))
    wanted = wanted.where(orders.c.shop_id == shop_id, orders.c.counts).order_by(sharer)
    for row in fetch(wanted):
        yield row[0], "count_order", (row.placed_at, row.currency, Counted(*row[3:]))


def _transfers(fetch: Fetch, shop_id: int) -> Iterator[Item]:
    columns = ("written_at", "sharer_id", "role", "currency", "kind", "amount")
    wanted = select(*(transfer.c[name] for name in columns)).where(transfer.c.shop_id == shop_id)
    for row in fetch(wanted.order_by(transfer.c.sharer_id)):
        yield row.sharer_id, "count_transfer", row


def _clicks(fetch: Fetch, shop_id: int) -> Iterator[Item]:
    minute = click.c.at // literal_column(str(MINUTE))
    named = (link.c.sharer_id, link.c.id, link.c.channel, link.c.campaign)
    wanted = (
        select(*named, minute.label("minute"), func.count().label("clicks"))
        .join(click, click.c.link_id == link.c.id)
        .where(link.c.shop_id == shop_id)
        .group_by(*named, minute)
        .order_by(link.c.sharer_id)
    )
    for row in fetch(wanted):
        place = place_of(row.channel, row.campaign)
        yield row.sharer_id, "count_link_clicks", (row.minute, row.sharer_id, row.id, place, row.clicks)
