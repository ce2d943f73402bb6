"""Rollups: sums over orders, transfers and clicks, kept by the transactions that write those.

``plugin.domain.rollup`` says what each figure is. Orders and money are written under the lock of the shop's record;
clicks have tables of their own, so that their recorder and the shop's writers never wait for each other.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table
from sqlalchemy.schema import SchemaItem

from plugin.domain.rollup import CLICK_DAY, CLICK_MONTH, FIGURES, SHARER_MONTH, SHARER_TOTAL, SHOP_DAY
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

ROLLUPS = {
    SHOP_DAY: shop_day,
    SHARER_TOTAL: sharer_total,
    SHARER_MONTH: sharer_month,
    CLICK_DAY: click_day,
    CLICK_MONTH: click_month,
}
