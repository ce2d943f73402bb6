"""The sales formula by months: clicks × conversion × order value = sales by sharers, and how many buyers were new."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func

from plugin.domain.rollup import CLICK_DAY, SHOP_DAY
from plugin.models import click_day, shop_day
from plugin.reports.base import Asked, Column, first, joined, not_all_zero, own_currency, percent

_SUMMED = ("orders", "credited", "new_buyers", "net")


class SalesFormula:
    name = "sales-formula"
    about = "A shop's months as the sales formula: clicks, conversion, order value, sales; newest first"
    key = ("month", "currency")
    filters = ("month", "since", "until")
    is_followed = False
    columns = (
        Column("month", "month", "In the shop's time zone."),
        Column("currency", "currency", "Of all amounts in the row."),
        Column("clicks", "count", "On share links that month, in the row of the shop's own currency."),
        Column("credited", "count", "Orders placed that month that a sharer gets and that count now."),
        Column("conversion", "text", "`credited` of `clicks` in percent; null without clicks.", is_optional=True),
        Column("order_value", "money", "`net` of `credited` orders, rounded down to the minor unit; 0 without any."),
        Column("net", "money", "The sum of the orders' `net`."),
        Column("new_share", "text", "Orders of new buyers of all in percent; null without orders.", is_optional=True),
    )

    def rows(self, connection: Connection, asked: Asked) -> list[Mapping[str, Any]]:
        month = func.substr(shop_day.c.day, 1, 7).label("month")
        where = [shop_day.c.shop_id == asked.shop_id, not_all_zero(shop_day, SHOP_DAY), *_within(shop_day, asked)]
        sums = [func.sum(shop_day.c[name]).label(name) for name in _SUMMED]
        sold = first(connection, asked, (month, shop_day.c.currency), sums, *where, group=True)
        month = func.substr(click_day.c.day, 1, 7).label("month")
        where = [click_day.c.shop_id == asked.shop_id, not_all_zero(click_day, CLICK_DAY), *_within(click_day, asked)]
        visits = [func.sum(click_day.c.clicks).label("clicks")]
        clicked = first(connection, asked, (month, own_currency(asked)), visits, *where, group=True)
        return [_reckoned(row) for row in joined(asked, self.columns, sold, clicked)]


def _within(table: Any, asked: Asked) -> list[Any]:
    """Return the conditions that a day is in the asked months; any day of a month comes before its 32nd."""
    since = max(filter(None, (asked.month, asked.since)), default=None)
    until = min(filter(None, (asked.month, asked.until)), default=None)
    wanted = [table.c.day >= f"{since}-01"] if since else []
    return [*wanted, *([table.c.day < f"{until}-32"] if until else [])]


def _reckoned(row: Mapping[str, Any]) -> Mapping[str, Any]:
    whole = {name: int(row.get(name) or 0) for name in (*_SUMMED, "clicks")}
    credited = whole["credited"]
    return {
        **row,
        **whole,
        "conversion": percent(credited, whole["clicks"]),
        "order_value": whole["net"] // credited if credited else 0,
        "new_share": percent(whole["new_buyers"], whole["orders"]),
    }


REPORT = SalesFormula()
