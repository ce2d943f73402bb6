"""The sharers' months: what each sold, earned, gave back, was paid, and how often their links were followed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from plugin.domain.rollup import CLICK_MONTH, SHARER_MONTH
from plugin.models import click_month, sharer_month
from plugin.reports.base import Asked, Column, figures_of, joined, of_period, own_currency

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
        sold, followed = sharer_month.c, click_month.c
        key = (sold.month, sold.sharer_id.label("sharer"), sold.currency)
        sales = of_period(connection, asked, sharer_month, SHARER_MONTH, *key)
        visits = (followed.month, followed.sharer_id.label("sharer"), own_currency(asked))
        clicks = of_period(connection, asked, click_month, CLICK_MONTH, *visits)
        return list(joined(asked, self.columns, sales, clicks))


REPORT = SharerMonths()
