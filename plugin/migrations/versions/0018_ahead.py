"""What lets orders be worked out before the record is taken, and the accounts of transfers be found by number."""

import sqlalchemy as sa
from alembic import op

from plugin.models import guards

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("pa_head", sa.Column("news", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE pa_head SET news = position")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(guards.booking())
