"""Endpoints: where the events go."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pa_endpoint",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sent_seq", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("rest_until", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("lease_by", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_endpoint_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_endpoint")),
    )
    op.create_index(
        "ix_pa_endpoint_enabled",
        "pa_endpoint",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'enabled'"),
        postgresql_where=sa.text("state = 'enabled'"),
    )
    op.create_table(
        "pa_event_delivery",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("endpoint_id", NUMBER, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["pa_endpoint.id"], name=op.f("fk_pa_event_delivery_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_event_delivery")),
        sa.UniqueConstraint("endpoint_id", "seq", name=op.f("uq_pa_event_delivery_endpoint_id_seq")),
    )
    op.create_index(
        "ix_pa_event_delivery_due",
        "pa_event_delivery",
        ["endpoint_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_table(
        "pa_event_replay",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("endpoint_id", NUMBER, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("until_seq", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["pa_endpoint.id"], name=op.f("fk_pa_event_replay_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_event_replay")),
    )
    op.create_index("ix_pa_event_replay_endpoint", "pa_event_replay", ["endpoint_id"], unique=False)
