"""Sessions that a host app speaks for, and the name by which a sharer wants to be seen by friends."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("pa_session", sa.Column("by_host", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("pa_person", sa.Column("shown_name", sa.Text(), nullable=True))
