"""Coupons that were made in a shop for a sharer."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pa_coupon",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("code", sa.String(length=255), nullable=False),
        sa.Column("percent", sa.String(length=32), nullable=True),
        sa.Column("amount", sa.String(length=32), nullable=True),
        sa.Column("once", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("shop_ref", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["sharer_id"], ["pa_sharer.id"], name=op.f("fk_pa_coupon_sharer_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_coupon_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_coupon")),
    )
    op.create_index("ix_pa_coupon_sharer", "pa_coupon", ["sharer_id", "id"], unique=False)
