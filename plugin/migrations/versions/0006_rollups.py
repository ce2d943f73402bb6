"""Rollups by shop and day, by sharer in total and by month, filled from the orders, transfers and clicks there are."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from plugin.domain.attribution import Decision
from plugin.domain.commission import outcome
from plugin.domain.plan import Plan, read_plan
from plugin.domain.rollup import Rollup, counted
from plugin.services import stories
from plugin.services.rollups import add_rollup

revision = "0006"
down_revision = "0005"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CHUNK = 1_000
MINUTE = 60_000_000


def upgrade() -> None:
    op.add_column("pa_head", sa.Column("rebuilds", sa.BigInteger(), server_default="0", nullable=False))
    for column in (
        sa.Column("counts", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("counts_for", sa.BigInteger(), nullable=True),
        sa.Column("new_buyer", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("net", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refunded", sa.BigInteger(), server_default="0", nullable=False),
    ):
        op.add_column("pa_order", column)
    day, month = ("day", sa.String(length=10)), ("month", sa.String(length=7))
    currency = ("currency", sa.String(length=3))
    sharer = ("sharer_id", sa.BigInteger())
    shop_day = ("orders", "credited", "new_buyers", "net", "refunded", "direct", "upline", "buyer", "paid_out")
    _make("pa_shop_day", (day, currency), shop_day)
    _make("pa_sharer_total", (sharer, currency), ("orders", "net"))
    _make("pa_sharer_month", (sharer, month, currency), ("orders", "net", "earned", "clawed_back", "paid_out"))
    _make("pa_click_day", (day,), ("clicks",))
    _make("pa_click_month", (sharer, month), ("clicks",))
    for name in ("pa_sharer_month", "pa_click_month"):
        op.create_index(f"ix_{name}_month", name, ["shop_id", "month", "sharer_id"], unique=False)
    connection = op.get_bind()
    for shop in connection.execute(sa.text("SELECT id, timezone, starts_at FROM pa_shop ORDER BY id")).all():
        _fill_orders(connection, shop)
        _fill_transfers(connection, shop)
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


def _fill_orders(connection: sa.Connection, shop: sa.Row[Any]) -> None:
    """Count the orders as they stand, and write on each what it was counted as."""
    plans = _plans(connection, shop.id)
    wanted = sa.text(
        "SELECT id, story, now, decision, placed_at, currency FROM pa_order"
        " WHERE shop_id = :shop AND id > :last ORDER BY id LIMIT :count"
    )
    mark = sa.text(
        "UPDATE pa_order SET counts = :counts, counts_for = :counts_for, new_buyer = :new_buyer, net = :net,"
        " refunded = :refunded WHERE id = :id"
    )
    last = 0
    while rows := connection.execute(wanted, {"shop": shop.id, "last": last, "count": CHUNK}).all():
        rollup, marks = Rollup(ZoneInfo(shop.timezone)), []
        for row in rows:
            story, decision = stories.load(row.story, row.now), Decision.from_json(json.loads(row.decision))
            reckoned = outcome(story, decision.frozen, plans[decision.plan_version], starts_at=shop.starts_at)
            count = counted(story, decision.winner, reckoned.now.net, starts_at=shop.starts_at)
            rollup.count_order(row.placed_at, row.currency, count)
            names = ("counts", "counts_for", "new_buyer", "net", "refunded")
            marks.append({"id": row.id, **{name: getattr(count, name) for name in names}})
        connection.execute(mark, marks)
        add_rollup(connection, shop.id, rollup)
        last = rows[-1].id


def _plans(connection: sa.Connection, shop_id: int) -> dict[int, Plan]:
    rows = connection.execute(sa.text("SELECT version, body FROM pa_plan WHERE shop_id = :shop"), {"shop": shop_id})
    return {row.version: read_plan(json.loads(row.body)) for row in rows}


def _fill_transfers(connection: sa.Connection, shop: sa.Row[Any]) -> None:
    wanted = sa.text(
        "SELECT number, written_at, sharer_id, role, currency, kind, amount FROM pa_transfer"
        " WHERE shop_id = :shop AND number > :last ORDER BY number LIMIT :count"
    )
    last = 0
    while rows := connection.execute(wanted, {"shop": shop.id, "last": last, "count": CHUNK}).all():
        rollup = Rollup(ZoneInfo(shop.timezone))
        for _, *said in rows:
            rollup.count_transfer(*said)
        add_rollup(connection, shop.id, rollup)
        last = rows[-1].number


def _fill_clicks(connection: sa.Connection, shop: sa.Row[Any]) -> None:
    """Count the clicks link by link; all clicks of a minute are of one day."""
    links = connection.execute(sa.text("SELECT id, sharer_id FROM pa_link WHERE shop_id = :shop"), {"shop": shop.id})
    wanted = sa.text(
        f"SELECT at / {MINUTE} AS minute, count(*) AS clicks FROM pa_click WHERE link_id = :link"  # noqa: S608
        f" GROUP BY at / {MINUTE}"
    )
    for link in links.all():
        rollup = Rollup(ZoneInfo(shop.timezone))
        for row in connection.execute(wanted, {"link": link.id}):
            rollup.count_clicks(row.minute, link.sharer_id, row.clicks)
        add_rollup(connection, shop.id, rollup)
