"""Indexes by which a shop's own sharers and events are listed without going through other shops'."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index("ix_pa_sharer_shop", "pa_sharer", ["shop_id", "id"], unique=False)
    op.create_index("ix_pa_event_shop", "pa_event", ["shop_id", "seq"], unique=False)
