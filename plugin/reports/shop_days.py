"""The shop's days: what was ordered, credited, earned, paid out and clicked on each."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from plugin.domain.rollup import CLICK_DAY, SHOP_DAY
from plugin.models import click_day, shop_day
from plugin.reports.base import Asked, Column, figures_of, joined, of_period, own_currency

_ABOUT = {
    "orders": "Orders placed that day that count now: paid, not cancelled, no test, since the shop's start.",
    "credited": "Those of them that a sharer gets.",
    "new_buyers": "Those of them whose buyer was new.",
    "net": "The sum of the orders' `net`.",
    "refunded": "The sum of the orders' `refunded`.",
    "direct": "What sharers earned that day, less what was clawed back that day, whenever the orders were placed.",
    "upline": "The same for their inviters.",
    "buyer": "The same for buyers' cashback.",
    "paid_out": "What was paid that day, gross, less what was returned.",
}


class ShopDays:
    name = "shop-days"
    about = "A shop's days, newest first"
    key = ("day", "currency")
    filters = ("since", "until")
    is_followed = False
    columns = (
        Column("day", "day", "In the shop's time zone."),
        Column("currency", "currency", "Of all amounts in the row."),
        *figures_of(SHOP_DAY, _ABOUT),
        Column("clicks", "count", "On share links, in the row of the shop's own currency."),
    )

    def rows(self, connection: Connection, asked: Asked) -> list[Mapping[str, Any]]:
        sold = of_period(connection, asked, shop_day, SHOP_DAY, shop_day.c.day, shop_day.c.currency)
        clicked = of_period(connection, asked, click_day, CLICK_DAY, click_day.c.day, own_currency(asked))
        return list(joined(asked, self.columns, sold, clicked))


REPORT = ShopDays()
