"""A sharer's commissions are listed by the order, the newest first."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index("ix_pa_lot_sharer", "pa_lot", ["sharer_id", "order_id"], unique=False)
