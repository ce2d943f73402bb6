"""Reports as others see them: ids, decimal strings, and a place to go on from. Reads, never writes."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection, select

from plugin.domain.money import DIGITS, format_minor
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.models import shop
from plugin.reports.base import Asked, Key, Report
from plugin.services import public_id
from plugin.services.context import Context

PAGE = 500
_CURSOR = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}){1,2}", re.ASCII)
Filters = Mapping[str, str | None]


def report_page(
    context: Context, report: Report, shop_id: int, *, filters: Filters, cursor: str | None, limit: int
) -> dict[str, Any]:
    """Return a page of a report; raise BadRequest for a cursor that is not of this report."""
    with context.database.reading() as connection:
        rows = list(_rows(connection, report, shop_id, filters, _read(report, cursor), limit + 1))
    return {
        "items": [_show(report, row) for row in rows[:limit]],
        "next": _cursor(report, rows[limit - 1]) if len(rows) > limit else None,
    }


def whole_report(context: Context, report: Report, shop_id: int, *, filters: Filters) -> Iterator[dict[str, Any]]:
    """Yield every row of a report, all from one state of the database."""
    with context.database.reading() as connection:
        after: Key | None = None
        while True:
            rows = list(_rows(connection, report, shop_id, filters, after, PAGE))
            yield from (_show(report, row) for row in rows)
            if len(rows) < PAGE:
                return
            after = tuple(rows[-1][name] for name in report.key)


def _rows(
    connection: Connection, report: Report, shop_id: int, filters: Filters, after: Key | None, limit: int
) -> list[Mapping[str, Any]]:
    currency = connection.execute(select(shop.c.currency).where(shop.c.id == shop_id)).scalar_one()
    return report.rows(connection, Asked(shop_id, currency, limit, after, **filters))


def _show(report: Report, row: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for column in report.columns:
        value = row[column.name]
        if column.kind == "money":
            value = format_minor(int(value), row["currency"])
        elif column.kind == "sharer":
            value = public_id.show(public_id.SHARER, value)
        shown[column.name] = value
    return shown


def _cursor(report: Report, row: Mapping[str, Any]) -> str:
    """Return the place of a row as numbers: a day as 20261122, a currency by its letters."""
    kinds = {column.name: column.kind for column in report.columns}
    return ".".join(_number(row[name], kinds[name]) for name in report.key)


def _number(part: Any, kind: str) -> str:
    return str(int.from_bytes(part.encode())) if kind == "currency" else str(part).replace("-", "")


def _read(report: Report, cursor: str | None) -> Key | None:
    if cursor is None:
        return None
    kinds = {column.name: column.kind for column in report.columns}
    numbers = cursor.split(".")
    try:
        if not _CURSOR.fullmatch(cursor):
            raise ValueError
        return tuple(_part(int(text), kinds[name]) for name, text in zip(report.key, numbers, strict=True))
    except ValueError:
        fields = {"cursor": [mark("Is not a cursor; take the next of the page before.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields) from None


def _part(number: int, kind: str) -> int | str:
    """Return what a number of a cursor stands for; raise ValueError where it stands for nothing."""
    if kind == "sharer":
        return number
    if kind == "currency":
        code = number.to_bytes(8).lstrip(b"\0").decode("ascii")
        if code not in DIGITS:
            raise ValueError
        return code
    text = f"{number:08d}" if kind == "day" else f"{number:06d}01"
    day = date.fromisoformat(f"{text[:4]}-{text[4:6]}-{text[6:]}").isoformat()
    return day if kind == "day" else day[:-3]
