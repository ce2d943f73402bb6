"""Rollups: sums over orders, transfers and clicks, kept by the transactions that write those.

Only what orders come to by product and by channel is kept afterwards, by a worker that follows the shop's record:
``report_place`` says how far it is, and its two tables of orders what each was counted as, to be taken out again.

``plugin.domain.rollup`` says what each figure is. Orders and money are written under the lock of the shop's record;
clicks have tables of their own, so that their recorder and the shop's writers never wait for each other.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text
from sqlalchemy.schema import SchemaItem

from plugin.domain.rollup import (
    CHANNEL_MONTH,
    CLICK_CHANNEL,
    CLICK_DAY,
    CLICK_LINK,
    CLICK_MONTH,
    FIGURES,
    PRODUCT_MONTH,
    SHARER_MONTH,
    SHARER_TOTAL,
    SHOP_DAY,
)
from plugin.models.metadata import metadata


def _rollup(name: str, rollup: str, *key: Column[str] | Column[int], indexes: tuple[SchemaItem, ...] = ()) -> Table:
    figures = (Column(figure, BigInteger, nullable=False, server_default="0") for figure in FIGURES[rollup])
    return Table(name, metadata, _shop(), *key, *figures, *indexes)


def _shop() -> Column[int]:
    return Column("shop_id", ForeignKey("pa_shop.id"), primary_key=True, autoincrement=False)


def _day() -> Column[str]:
    return Column("day", String(10), primary_key=True)


def _month() -> Column[str]:
    return Column("month", String(7), primary_key=True)


def _sharer() -> Column[int]:
    return Column("sharer_id", BigInteger, primary_key=True, autoincrement=False)


def _currency() -> Column[str]:
    return Column("currency", String(3), primary_key=True)


def _name(name: str, *, is_key: bool = True) -> Column[str]:
    """Return a column for what others named, in the order of its code points on every database: pages go by it."""
    kind = String(255).with_variant(String(255, collation="C"), "postgresql")
    return Column(name, kind, primary_key=is_key, nullable=False)


def _order() -> Column[int]:
    """Return the column of an order. A foreign key would lock the order's row against those who settle it."""
    return Column("order_id", BigInteger, primary_key=True, autoincrement=False)


def _figures(rollup: str) -> list[Column[int]]:
    return [Column(figure, BigInteger, nullable=False) for figure in FIGURES[rollup]]


shop_day = _rollup("pa_shop_day", SHOP_DAY, _day(), _currency())
sharer_total = _rollup("pa_sharer_total", SHARER_TOTAL, _sharer(), _currency())
sharer_month = _rollup(
    "pa_sharer_month",
    SHARER_MONTH,
    _sharer(),
    _month(),
    _currency(),
    indexes=(Index("ix_pa_sharer_month_month", "shop_id", "month", "sharer_id"),),
)
click_day = _rollup("pa_click_day", CLICK_DAY, _day())
click_month = _rollup(
    "pa_click_month",
    CLICK_MONTH,
    _sharer(),
    _month(),
    indexes=(Index("ix_pa_click_month_month", "shop_id", "month", "sharer_id"),),
)
click_link = _rollup(
    "pa_click_link", CLICK_LINK, _sharer(), Column("link_id", BigInteger, primary_key=True, autoincrement=False)
)
click_channel = _rollup("pa_click_channel", CLICK_CHANNEL, _month(), _name("channel"), _name("campaign"))
product_month = _rollup("pa_product_month", PRODUCT_MONTH, _month(), _name("product"), _currency())
channel_month = _rollup(
    "pa_channel_month", CHANNEL_MONTH, _month(), _name("channel"), _name("campaign"), _currency()
)

# What each order was counted as by product.
order_product = Table(
    "pa_order_product",
    metadata,
    _order(),
    _name("product"),
    Column("shop_id", BigInteger, nullable=False),
    Column("month", String(7), nullable=False),
    Column("currency", String(3), nullable=False),
    *_figures(PRODUCT_MONTH),
)
# To whom each order goes and what it was counted as by channel; its figures are zeros where it does not count.
order_credit = Table(
    "pa_order_credit",
    metadata,
    _order(),
    Column("shop_id", BigInteger, nullable=False),
    Column("sharer_id", BigInteger, nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("month", String(7), nullable=False),
    _name("channel", is_key=False),
    _name("campaign", is_key=False),
    Column("currency", String(3), nullable=False),
    *_figures(CHANNEL_MONTH),
    Index("ix_pa_order_credit_sharer", "sharer_id", "placed_at", "order_id"),
)
# What a product was called on the newest order it stands on.
sold_product = Table(
    "pa_sold_product",
    metadata,
    _shop(),
    _name("product"),
    Column("title", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
# Up to which position of a shop's record orders are counted; whoever counts holds the row.
report_place = Table("pa_report_place", metadata, _shop(), Column("position", BigInteger, nullable=False))

ORDER_PARTS = {PRODUCT_MONTH: order_product, CHANNEL_MONTH: order_credit}
ROLLUPS = {
    SHOP_DAY: shop_day,
    SHARER_TOTAL: sharer_total,
    SHARER_MONTH: sharer_month,
    CLICK_DAY: click_day,
    CLICK_MONTH: click_month,
    CLICK_LINK: click_link,
    CLICK_CHANNEL: click_channel,
    PRODUCT_MONTH: product_month,
    CHANNEL_MONTH: channel_month,
}
