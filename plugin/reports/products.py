"""The products: what each sold in a month, what was given back, what of it sharers brought and what they got for it."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from plugin.database import among
from plugin.domain.rollup import PRODUCT_MONTH
from plugin.models import product, product_month, sold_product
from plugin.reports.base import Asked, Column, figures_of, joined, of_period, percent

_ABOUT = {
    "orders": "Orders placed that month with the product on them that count now.",
    "quantity": "How many were sold, less those that were given back.",
    "sales": "What was paid for them without tax, less what was refunded.",
    "refunded": "What of it was refunded.",
    "credited": "Those of the orders that a sharer gets.",
    "credited_quantity": "How many of these were sold by sharers.",
    "credited_sales": "What of the sales sharers brought.",
    "commission": "What the orders earn now for this product, in all roles.",
}


class Products:
    name = "products"
    about = "What each product of a shop sold by months, newest first"
    key = ("month", "product", "currency")
    filters = ("month", "since", "until")
    is_followed = True
    columns = (
        Column("month", "month", "In the shop's time zone."),
        Column("product", "text", "The shop's own id; null for lines without one.", is_optional=True),
        Column("title", "text", "What it is called; null where nobody said.", is_optional=True),
        Column("currency", "currency", "Of all amounts in the row."),
        *figures_of(PRODUCT_MONTH, _ABOUT),
        Column("refund_rate", "text", "`refunded` of all that was paid, in percent; null without.", is_optional=True),
    )

    def rows(self, connection: Connection, asked: Asked) -> list[Mapping[str, Any]]:
        sold = product_month.c
        found = of_period(connection, asked, product_month, PRODUCT_MONTH, sold.month, sold.product, sold.currency)
        rows = joined(asked, self.columns, found)
        titles = _titles(connection, asked.shop_id, {row["product"] for row in rows})
        for row in rows:
            row["title"] = titles.get(row["product"])
            row["refund_rate"] = percent(row["refunded"], row["sales"] + row["refunded"])
        return list(rows)


def _titles(connection: Connection, shop_id: int, names: set[str]) -> dict[str, str]:
    """Return what products are called: as the shop said when it was asked, else as on the newest order."""
    found: dict[str, str] = {}
    sold = select(sold_product.c.product, sold_product.c.title)
    sold = sold.where(sold_product.c.shop_id == shop_id, among(sold_product.c.product, names))
    found |= {row.product: row.title for row in connection.execute(sold)}
    told = select(product.c.ref, product.c.body).where(product.c.shop_id == shop_id, among(product.c.ref, names))
    for row in connection.execute(told):
        title = json.loads(row.body).get("title")
        if title:
            found[row.ref] = title
    return found


REPORT = Products()
