"""The channels and campaigns of the links: the sales formula of each by months, what was given back, what it cost."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from plugin.domain.rollup import CHANNEL_MONTH, CLICK_CHANNEL
from plugin.models import channel_month, click_channel
from plugin.reports.base import Asked, Column, joined, of_period, own_currency, percent


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
        sold, followed = channel_month.c, click_channel.c
        key = (sold.month, sold.channel, sold.campaign, sold.currency)
        sales = of_period(connection, asked, channel_month, CHANNEL_MONTH, *key)
        visits = (followed.month, followed.channel, followed.campaign, own_currency(asked))
        clicks = of_period(connection, asked, click_channel, CLICK_CHANNEL, *visits)
        rows = joined(asked, self.columns, sales, clicks)
        for row in rows:
            row["conversion"] = percent(row["credited"], row["clicks"])
            row["order_value"] = row["net"] // row["credited"] if row["credited"] else 0
        return list(rows)


REPORT = Channels()
