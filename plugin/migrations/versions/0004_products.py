"""Products: what shops told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pa_product",
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("ref", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_product_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "ref", name=op.f("pk_pa_product")),
    )
