"""Rollups by product, by channel and by link. Clicks are counted here, orders afterwards by a worker."""

from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from plugin.domain.rollup import CLICK_CHANNEL, CLICK_LINK, Rollup, place_of
from plugin.services.rollups import add_rows

revision = "0017"
down_revision = "0016"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql")
MINUTE = 60_000_000
BY_PRODUCT = (
    *("orders", "quantity", "sales", "refunded"),
    *("credited", "credited_quantity", "credited_sales", "commission"),
)
BY_CHANNEL = ("credited", "net", "refunded", "commission")


def upgrade() -> None:
    month, currency = ("month", sa.String(length=7)), ("currency", sa.String(length=3))
    product, channel, campaign = ("product", NAME), ("channel", NAME), ("campaign", NAME)
    sharer, link = ("sharer_id", sa.BigInteger()), ("link_id", sa.BigInteger())
    _make("pa_click_link", (sharer, link), ("clicks",))
    _make("pa_click_channel", (month, channel, campaign), ("clicks",))
    _make("pa_product_month", (month, product, currency), BY_PRODUCT)
    _make("pa_channel_month", (month, channel, campaign, currency), BY_CHANNEL)
    _make_parts("pa_order_product", (product,), (("shop_id", sa.BigInteger()), month, currency), BY_PRODUCT)
    credit = (("shop_id", sa.BigInteger()), sharer, ("placed_at", sa.BigInteger()), month, channel, campaign, currency)
    _make_parts("pa_order_credit", (), credit, BY_CHANNEL)
    op.create_index("ix_pa_order_credit_sharer", "pa_order_credit", ["sharer_id", "placed_at", "order_id"])
    for name, key, columns in (
        ("pa_sold_product", (product,), (("title", sa.Text()), ("at", sa.BigInteger()))),
        ("pa_report_place", (), (("position", sa.BigInteger()),)),
    ):
        op.create_table(
            name,
            sa.Column("shop_id", NUMBER, autoincrement=False, nullable=False),
            *(sa.Column(part, kind, nullable=False) for part, kind in (*key, *columns)),
            sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f(f"fk_{name}_shop_id")),
            sa.PrimaryKeyConstraint("shop_id", *(part for part, _ in key), name=op.f(f"pk_{name}")),
        )
    connection = op.get_bind()
    for shop in connection.execute(sa.text("SELECT id, timezone FROM pa_shop ORDER BY id")).all():
        _fill_clicks(connection, shop)


def _make(name: str, key: tuple[tuple[str, Any], ...], figures: tuple[str, ...]) -> None:
    op.create_table(
        name,
        sa.Column("shop_id", NUMBER, autoincrement=False, nullable=False),
        *(sa.Column(part, kind, autoincrement=False, nullable=False) for part, kind in key),
        *(sa.Column(figure, sa.BigInteger(), server_default="0", nullable=False) for figure in figures),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f(f"fk_{name}_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", *(part for part, _ in key), name=op.f(f"pk_{name}")),
    )


def _make_parts(
    name: str, key: tuple[tuple[str, Any], ...], columns: tuple[tuple[str, Any], ...], figures: tuple[str, ...]
) -> None:
    op.create_table(
        name,
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(part, kind, nullable=False) for part, kind in (*key, *columns)),
        *(sa.Column(figure, sa.BigInteger(), nullable=False) for figure in figures),
        sa.PrimaryKeyConstraint("order_id", *(part for part, _ in key), name=op.f(f"pk_{name}")),
    )


def _fill_clicks(connection: sa.Connection, shop: sa.Row[Any]) -> None:
    """Count the clicks link by link; all clicks of a minute are of one month."""
    wanted = "SELECT id, sharer_id, channel, campaign FROM pa_link WHERE shop_id = :shop ORDER BY id"
    clicked = sa.text(
        f"SELECT at / {MINUTE} AS minute, count(*) AS clicks FROM pa_click WHERE link_id = :link"  # noqa: S608
        f" GROUP BY at / {MINUTE}"
    )
    for link in connection.execute(sa.text(wanted), {"shop": shop.id}).all():
        rollup = Rollup(ZoneInfo(shop.timezone))
        for row in connection.execute(clicked, {"link": link.id}):
            place = place_of(link.channel, link.campaign)
            rollup.count_link_clicks(row.minute, link.sharer_id, link.id, place, row.clicks)
        for name in (CLICK_LINK, CLICK_CHANNEL):  # those by day and by sharer are there already
            if rows := rollup.rows(name):
                add_rows(connection, shop.id, name, rows)
