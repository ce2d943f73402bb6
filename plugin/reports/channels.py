"""The channels and campaigns of the links: the sales formula of each by months, what was given back, what it cost."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from plugin.domain.rollup import CHANNEL_MONTH, CLICK_CHANNEL
from plugin.models import channel_month, click_channel
from plugin.reports.base import Asked, Column, first, joined, not_all_zero, own_currency, percent, within


class Channels:
    name = "channels"
    about = "A shop's channels and campaigns by months, each as the sales formula, newest first"
    key = ("month", "channel", "campaign", "currency")
    filters = ("month", "since", "until")
    is_followed = True
    columns = (
        Column("month", "month", "In the shop's time zone."),
        Column("channel", "text", "Of the link; null without one, as for codes and words by hand.", is_optional=True),
        Column("campaign", "text", "Of the link; null without one.", is_optional=True),
        Column("currency", "currency", "Of all amounts in the row."),
        Column("clicks", "count", "On its links that month, in the row of the shop's own currency."),
        Column("conversion", "text", "`credited` of `clicks` in percent; null without clicks.", is_optional=True),
        Column("credited", "count", "Orders placed that month that its links brought and that count now."),
        Column("order_value", "money", "`net` of `credited` orders, rounded down to the minor unit; 0 without any."),
        Column("net", "money", "The sum of the orders' `net`."),
        Column("refunded", "money", "The sum of the orders' `refunded`."),
        Column("commission", "money", "What the orders earn now, in all roles."),
    )

    def rows(self, connection: Connection, asked: Asked) -> list[Mapping[str, Any]]:
        parts = []
        for table, rollup, currency in (
            (channel_month, CHANNEL_MONTH, channel_month.c.currency),
            (click_channel, CLICK_CHANNEL, own_currency(asked)),
        ):
            where = [table.c.shop_id == asked.shop_id, not_all_zero(table, rollup), *within(table.c.month, asked)]
            figures = [column for column in table.c if column.name not in ("shop_id", *self.key)]
            key = (table.c.month, table.c.channel, table.c.campaign, currency)
            parts.append(first(connection, asked, key, figures, *where))
        rows = joined(asked, self.columns, *parts)
        for row in rows:
            row["conversion"] = percent(row["credited"], row["clicks"])
            row["order_value"] = row["net"] // row["credited"] if row["credited"] else 0
        return list(rows)


REPORT = Channels()
