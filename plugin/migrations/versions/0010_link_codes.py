"""Codes for one order that the clicks on a link bring along."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pa_link_coupon",
        sa.Column("link_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("percent", sa.String(length=32), nullable=True),
        sa.Column("amount", sa.String(length=32), nullable=True),
        sa.Column("pool", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("ran_out_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["pa_link.id"], name=op.f("fk_pa_link_coupon_link_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_link_coupon_shop_id")),
        sa.PrimaryKeyConstraint("link_id", name=op.f("pk_pa_link_coupon")),
    )
    op.create_table(
        "pa_link_code",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("link_id", NUMBER, nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("out_at", sa.BigInteger(), nullable=True),
        sa.Column("shop_ref", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["link_id"], ["pa_link.id"], name=op.f("fk_pa_link_code_link_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_link_code_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_link_code")),
        sa.UniqueConstraint("shop_id", "code", name=op.f("uq_pa_link_code_shop_id_code")),
    )
    op.create_index("ix_pa_link_code_state", "pa_link_code", ["link_id", "state", "id"], unique=False)
