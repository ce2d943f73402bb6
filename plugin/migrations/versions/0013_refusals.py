"""Why the last delivery of a shop was refused, so that its owner can be told."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pa_refusal",
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_refusal_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", name=op.f("pk_pa_refusal")),
    )
