"""The sharers' months: what each sold, earned, gave back, was paid, and how often their links were followed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from plugin.domain.rollup import CLICK_MONTH, SHARER_MONTH
from plugin.models import click_month, sharer_month
from plugin.reports.base import Asked, Column, figures_of, first, joined, not_all_zero, own_currency, within

_ABOUT = {
    "orders": "Orders placed that month that the sharer gets and that count now.",
    "net": "The sum of the orders' `net`.",
    "earned": "What was booked for the sharer that month, in any role, whenever the orders were placed.",
    "clawed_back": "What was taken back that month, in hold or after.",
    "paid_out": "What was paid that month, gross, less what was returned.",
}


class SharerMonths:
    name = "sharer-months"
    about = "The months of a shop's sharers, newest first"
    key = ("month", "sharer", "currency")
    filters = ("month", "since", "until")
    is_followed = False
    columns = (
        Column("month", "month", "In the shop's time zone."),
        Column("sharer", "sharer", "The sharer's id."),
        Column("currency", "currency", "Of all amounts in the row."),
        *figures_of(SHARER_MONTH, _ABOUT),
        Column("clicks", "count", "On the sharer's links, in the row of the shop's own currency."),
    )

    def rows(self, connection: Connection, asked: Asked) -> list[Mapping[str, Any]]:
        parts = []
        for table, rollup, currency in (
            (sharer_month, SHARER_MONTH, sharer_month.c.currency),
            (click_month, CLICK_MONTH, own_currency(asked)),
        ):
            where = [table.c.shop_id == asked.shop_id, not_all_zero(table, rollup), *within(table.c.month, asked)]
            figures = [column for column in table.c if column.name not in ("shop_id", "sharer_id", *self.key)]
            key = (table.c.month, table.c.sharer_id.label("sharer"), currency)
            parts.append(first(connection, asked, key, figures, *where))
        return list(joined(asked, self.columns, *parts))


REPORT = SharerMonths()
