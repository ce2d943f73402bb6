"""Exports of a shop, kept for a day; and for every shop there is the task that checks its books at night."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pa_export",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_export_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_export")),
    )
    op.create_index("ix_pa_export_shop", "pa_export", ["shop_id"], unique=False)
    op.create_index("ix_pa_export_ends", "pa_export", ["ends_at"], unique=False)
    op.create_table(
        "pa_export_piece",
        sa.Column("export_id", NUMBER, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["pa_export.id"], name=op.f("fk_pa_export_piece_export_id")),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_pa_export_piece")),
    )
    op.execute(
        "INSERT INTO pa_task (shop_id, kind, ref, body, state, wanted, attempts, due_at, changed_at)"
        " SELECT id, 'books', 'check', '{}', 'due', 1, 0, 0, 0 FROM pa_shop"
    )
