"""Reports as others see them: ids, decimal strings, and a place to go on from. Reads, never writes."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from plugin.domain.moment import format_moment
from plugin.domain.money import DIGITS, format_minor
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.models import click_day, shop, shop_day
from plugin.reports.base import Asked, Key, Report, percent, within
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.order_parts import counted_until

PAGE = 500
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
Filters = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Formula:
    """A period as the sales formula, in the shop's currency: clicks × conversion × order value = sales, minor units."""

    currency: str
    clicks: int
    credited: int
    net: int

    @property
    def conversion(self) -> str | None:
        """Return how many of a hundred clicks became orders."""
        return percent(self.credited, self.clicks)

    @property
    def order_value(self) -> int:
        """Return what an order came to, rounded down."""
        return self.net // self.credited if self.credited else 0


def show_formula(context: Context, shop_id: int, *, since: str | None, until: str | None) -> Formula:
    """Return the sales formula of the days from one to another."""
    with context.database.reading() as connection:
        currency = connection.execute(select(shop.c.currency).where(shop.c.id == shop_id)).scalar_one()
        asked = Asked(shop_id, currency, limit=1, since=since, until=until)
        sums = [func.coalesce(func.sum(shop_day.c[name]), 0) for name in ("credited", "net")]
        sold = select(*sums).where(shop_day.c.shop_id == shop_id, shop_day.c.currency == currency)
        credited, net = connection.execute(sold.where(*within(shop_day.c.day, asked))).one()
        clicks = select(func.coalesce(func.sum(click_day.c.clicks), 0)).where(click_day.c.shop_id == shop_id)
        clicked = connection.execute(clicks.where(*within(click_day.c.day, asked))).scalar_one()
    return Formula(currency, int(clicked), int(credited), int(net))


def report_page(
    context: Context, report: Report, shop_id: int, *, filters: Filters, cursor: str | None, limit: int
) -> dict[str, Any]:
    """Return a page of a report; raise BadRequest for a cursor that is not of this report.

    One that follows the orders says as of when it is, where some are still to be counted.
    """
    as_of: int | None = None
    with context.database.reading() as connection:
        rows = list(_rows(connection, report, shop_id, filters, _read(report, cursor), limit + 1))
        if report.is_followed:
            as_of = counted_until(connection, shop_id)
    page = {
        "items": [_show(report, row) for row in rows[:limit]],
        "next": _cursor(report, rows[limit - 1]) if len(rows) > limit else None,
    }
    return page | {"as_of": None if as_of is None else format_moment(as_of)} if report.is_followed else page


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
        elif column.kind == "text" and column.is_optional:
            value = value or None  # a product or a channel without a name is counted under none
        shown[column.name] = value
    return shown


def _cursor(report: Report, row: Mapping[str, Any]) -> str:
    """Return the place of a row: numbers, a day as 20261122, a currency by its letters, other names in base64url."""
    kinds = {column.name: column.kind for column in report.columns}
    return ".".join(_piece(row[name], kinds[name]) for name in report.key)


def _piece(part: Any, kind: str) -> str:
    if kind == "text":
        return urlsafe_b64encode(part.encode()).decode().rstrip("=")
    return str(int.from_bytes(part.encode())) if kind == "currency" else str(part).replace("-", "")


def _read(report: Report, cursor: str | None) -> Key | None:
    if cursor is None:
        return None
    kinds = {column.name: column.kind for column in report.columns}
    pieces = cursor.split(".")
    try:
        return tuple(_part(piece, kinds[name]) for name, piece in zip(report.key, pieces, strict=True))
    except ValueError:
        fields = {"cursor": [mark("Is not a cursor; take the next of the page before.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields) from None


def _part(piece: str, kind: str) -> int | str:
    """Return what a piece of a cursor stands for; raise ValueError where it stands for nothing."""
    if kind == "text":
        name = urlsafe_b64decode(piece + "=" * (-len(piece) % 4)).decode()
        if "\0" in name or _piece(name, kind) != piece:
            raise ValueError
        return name
    if not _NUMBER.fullmatch(piece):
        raise ValueError
    number = int(piece)
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
