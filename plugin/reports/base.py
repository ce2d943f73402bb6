"""What a report promises: columns, and rows in one order, newest first, from any place on. JSON and CSV come for free.

Reports read rollups, balances and names, never orders, transfers or clicks: what they cost does not grow with those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Label, Table, and_, literal, not_, or_, select, tuple_

from plugin.domain.rollup import FIGURES, MONEY

Key = tuple[int | str, ...]
Found = dict[Key, dict[str, Any]]  # rows by their keys


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``kind`` says how a value is written.

    ``money`` is minor units of the row's ``currency``, ``count`` a whole number, ``sharer`` our number of one; ``day``,
    ``month``, ``currency`` and ``text`` are text, the last of which anybody may have written.
    """

    name: str
    kind: str
    about: str
    is_optional: bool = False  # whether a row may say nothing there


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a report: of which shop, which part of it, and at most how many rows after which key."""

    shop_id: int
    currency: str  # the shop's own: what has no currency, such as clicks, stands in its rows
    limit: int
    after: Key | None = None
    since: str | None = None
    until: str | None = None
    month: str | None = None


class Report(Protocol):
    """One report. ``key`` names the columns that tell its rows apart, the last of them ``currency``.

    ``filters`` are those of Asked that it knows; of one by months, ``since`` and ``until`` are months. ``is_followed``
    is one whose sums are kept after the orders are settled. Rows come with the greatest keys first, but currencies from
    A to Z.
    """

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def columns(self) -> Sequence[Column]: ...

    @property
    def key(self) -> Sequence[str]: ...

    @property
    def filters(self) -> Sequence[str]: ...

    @property
    def is_followed(self) -> bool: ...

    def rows(self, connection: Connection, asked: Asked) -> list[Mapping[str, Any]]: ...


def figures_of(rollup: str, about: Mapping[str, str]) -> list[Column]:
    """Return the columns of a rollup's figures."""
    return [Column(name, "money" if name in MONEY else "count", about[name]) for name in FIGURES[rollup]]


def own_currency(asked: Asked) -> Label[str]:
    """Return the currency in whose rows that stands what has none."""
    return literal(asked.currency).label("currency")


def within(column: ColumnElement[str], asked: Asked) -> list[ColumnElement[bool]]:
    """Return the conditions that a day or a month is in the asked period."""
    wanted = [column == asked.month] if asked.month else []
    wanted += [column >= asked.since] if asked.since else []
    return [*wanted, *([column <= asked.until] if asked.until else [])]


def percent(part: int, whole: int) -> str | None:
    """Return a share in percent with two places, half to even; None of nothing."""
    if not whole:
        return None
    hundredths = round(Fraction(part * 10_000, whole))
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def not_all_zero(table: Table, rollup: str) -> ColumnElement[bool]:
    """Return the condition that a row says anything: one that came back to nothing is as good as none."""
    return or_(*(table.c[name] != 0 for name in FIGURES[rollup]))


def first(
    connection: Connection,
    asked: Asked,
    key: Sequence[ColumnElement[Any]],
    figures: Sequence[ColumnElement[Any]],
    *where: ColumnElement[bool],
    group: bool = False,
) -> Found:
    """Return the first rows of one table after the asked key, in the order of reports; the key ends in a currency."""
    *heads, currency = key
    wanted = select(*key, *figures).where(*where)
    if asked.after is not None:
        *passed, last = asked.after
        here = tuple_(*heads)
        wanted = wanted.where(here <= tuple_(*passed), not_(and_(here == tuple_(*passed), currency <= last)))
    if group:
        wanted = wanted.group_by(*key)
    wanted = wanted.order_by(*(head.desc() for head in heads), currency).limit(asked.limit)
    found: Found = {}
    for row in connection.execute(wanted).mappings():
        values = dict(row)
        found[tuple(values[column.name] for column in key)] = values
    return found


def of_period(connection: Connection, asked: Asked, table: Table, rollup: str, *key: ColumnElement[Any]) -> Found:
    """Return the first rows of a rollup's table that say anything, of the asked period; its days or months come first.

    The key is as :func:`first` wants it.
    """
    where = [table.c.shop_id == asked.shop_id, not_all_zero(table, rollup), *within(key[0], asked)]
    return first(connection, asked, key, [table.c[name] for name in FIGURES[rollup]], *where)


def joined(asked: Asked, columns: Sequence[Column], *parts: Found) -> list[dict[str, Any]]:
    """Join rows of the same key and return the first of all; what a part does not say is nothing.

    Each part holds its own first rows, so none that belongs among the first of all is missing from any.
    """
    keys = sorted(set().union(*parts), key=lambda key: key[-1])
    keys.sort(key=lambda key: key[:-1], reverse=True)
    blank = {column.name: 0 if column.kind in ("money", "count") else None for column in columns}
    rows = []
    for key in keys[: asked.limit]:
        row = dict(blank)
        for part in parts:
            row |= part.get(key, {})
        rows.append(row)
    return rows
