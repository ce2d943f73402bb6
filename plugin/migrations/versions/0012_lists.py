"""What lists of orders, sharers and deliveries are found by, filled from the orders and facts there are."""

import json

import sqlalchemy as sa
from alembic import op

from plugin.services import stories

revision = "0012"
down_revision = "0011"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CHUNK = 1_000
# The first place in which anybody's commission lies names the order; see plugin.services.order_states.
STATE = """UPDATE pa_order SET state = CASE
    WHEN decision LIKE '%"outcome":"nobody"%' THEN 'nobody'
    WHEN held THEN 'held'
    WHEN EXISTS (SELECT 1 FROM pa_lot l WHERE l.order_id = pa_order.id AND l.held > 0) THEN 'held'
    WHEN EXISTS (SELECT 1 FROM pa_lot l WHERE l.order_id = pa_order.id AND l.pending > 0) THEN 'pending'
    WHEN EXISTS (SELECT 1 FROM pa_lot l WHERE l.order_id = pa_order.id AND l.payable > 0) THEN 'payable'
    WHEN EXISTS (SELECT 1 FROM pa_lot l WHERE l.order_id = pa_order.id AND l.in_flight > 0) THEN 'in_flight'
    WHEN EXISTS (SELECT 1 FROM pa_lot l WHERE l.order_id = pa_order.id
        AND (l.paid > 0 OR l.tax_withheld > 0 OR l.fees > 0)) THEN 'paid'
    WHEN EXISTS (SELECT 1 FROM pa_lot l WHERE l.order_id = pa_order.id) THEN 'reversed'
    ELSE 'expected' END"""


def upgrade() -> None:
    op.add_column("pa_order", sa.Column("state", sa.String(length=12), server_default="nobody", nullable=False))
    op.add_column("pa_order", sa.Column("number", sa.String(length=255), nullable=True))
    op.create_table(
        "pa_standing",
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("group_name", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["sharer_id"], ["pa_sharer.id"], name=op.f("fk_pa_standing_sharer_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_standing_shop_id")),
        sa.PrimaryKeyConstraint("sharer_id", name=op.f("pk_pa_standing")),
    )
    connection = op.get_bind()
    _fill_numbers(connection)
    connection.execute(sa.text(STATE))
    _fill_standings(connection)
    op.create_index("ix_pa_order_state", "pa_order", ["shop_id", "state", "placed_at"], unique=False)
    op.create_index("ix_pa_order_number", "pa_order", ["shop_id", "number"], unique=False)
    op.create_index("ix_pa_standing_shop", "pa_standing", ["shop_id", "sharer_id"], unique=False)
    op.create_index("ix_pa_standing_status", "pa_standing", ["shop_id", "status", "sharer_id"], unique=False)
    op.create_index("ix_pa_standing_group", "pa_standing", ["shop_id", "group_name", "sharer_id"], unique=False)
    op.create_index("ix_pa_delivery_shop", "pa_delivery", ["shop_id", "id"], unique=False)


def _fill_numbers(connection: sa.Connection) -> None:
    wanted = sa.text("SELECT id, now FROM pa_order WHERE id > :last ORDER BY id LIMIT :count")
    mark = sa.text("UPDATE pa_order SET number = :number WHERE id = :id")
    last = 0
    while rows := connection.execute(wanted, {"last": last, "count": CHUNK}).all():
        connection.execute(mark, [{"id": row.id, "number": stories.unpack(row.now).order.number} for row in rows])
        last = rows[-1].id


def _fill_standings(connection: sa.Connection) -> None:
    """Write how each sharer stands by the newest fact."""
    facts = sa.text(
        "SELECT shop_id, sharer_id, body FROM pa_fact WHERE kind = 'sharer' AND sharer_id > :last"
        " AND sharer_id <= :last + :count ORDER BY sharer_id, at, position"
    )
    add = sa.text(
        "INSERT INTO pa_standing (sharer_id, shop_id, status, group_name)"
        " VALUES (:sharer_id, :shop_id, :status, :group)"
    )
    greatest = connection.execute(sa.text("SELECT coalesce(max(id), 0) FROM pa_sharer")).scalar_one()
    for last in range(0, greatest, CHUNK):
        found = {}
        for row in connection.execute(facts, {"last": last, "count": CHUNK}):
            body = json.loads(row.body)
            said = {"status": body["status"], "group": body["group"]}
            found[row.sharer_id] = {"sharer_id": row.sharer_id, "shop_id": row.shop_id, **said}
        if found:
            connection.execute(add, list(found.values()))
