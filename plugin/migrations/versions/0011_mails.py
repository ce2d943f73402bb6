"""What people chose to be written of, and for every shop there is the task that wants its weekly digest."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for table in ("pa_person", "pa_owner"):
        op.add_column(table, sa.Column("mail_choices", sa.Text(), nullable=True))
    op.execute(
        "INSERT INTO pa_task (shop_id, kind, ref, body, state, wanted, attempts, due_at, changed_at)"
        " SELECT id, 'weekly', 'digest', '{}', 'due', 1, 0, 0, 0 FROM pa_shop"
    )
