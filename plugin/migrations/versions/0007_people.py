"""The people who sign in: roles and second factors, sessions, tickets and attempts; and what a program shows them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _number() -> sa.Column[int]:
    return sa.Column("id", NUMBER, autoincrement=True, nullable=False)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    for column in (
        sa.Column("role", sa.String(length=8), server_default="owner", nullable=False),
        sa.Column("shop_id", sa.BigInteger(), nullable=True),
        sa.Column("locale", sa.String(length=16), nullable=True),
        sa.Column("totp", sa.LargeBinary(), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("pa_owner", column)
    op.create_table(
        "pa_session",
        _number(),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("owner_id", NUMBER, nullable=True),
        sa.Column("person_id", NUMBER, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("fresh_until", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        _refers("pa_session", "owner_id", "pa_owner"),
        _refers("pa_session", "person_id", "pa_person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_pa_session_token_hash")),
    )
    op.create_index("ix_pa_session_owner", "pa_session", ["owner_id"], unique=False)
    op.create_index("ix_pa_session_person", "pa_session", ["person_id"], unique=False)
    op.create_index("ix_pa_session_ends", "pa_session", ["ends_at"], unique=False)
    op.create_table(
        "pa_ticket",
        _number(),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=8), nullable=False),
        sa.Column("shop_id", NUMBER, nullable=True),
        sa.Column("owner_id", NUMBER, nullable=True),
        sa.Column("person_id", NUMBER, nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        _refers("pa_ticket", "owner_id", "pa_owner"),
        _refers("pa_ticket", "person_id", "pa_person"),
        _refers("pa_ticket", "shop_id", "pa_shop"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_ticket")),
    )
    op.create_index("ix_pa_ticket_ends", "pa_ticket", ["ends_at"], unique=False)
    op.create_table(
        "pa_attempt",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_pa_attempt")),
    )
    op.create_index("ix_pa_attempt_ends", "pa_attempt", ["ends_at"], unique=False)
    op.create_table(
        "pa_program",
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        _refers("pa_program", "shop_id", "pa_shop"),
        sa.PrimaryKeyConstraint("shop_id", name=op.f("pk_pa_program")),
    )
    op.create_table(
        "pa_note",
        _number(),
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("owner_id", NUMBER, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _refers("pa_note", "owner_id", "pa_owner"),
        _refers("pa_note", "sharer_id", "pa_sharer"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_note")),
    )
    op.create_index("ix_pa_note_sharer", "pa_note", ["sharer_id"], unique=False)
    op.create_table(
        "pa_payout_way",
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        _refers("pa_payout_way", "sharer_id", "pa_sharer"),
        sa.PrimaryKeyConstraint("sharer_id", name=op.f("pk_pa_payout_way")),
    )
