"""The core: shops, sharers, links, the inbox, orders, the books, payouts, access."""

import sqlalchemy as sa
from alembic import op

from plugin.models import guards

revision = "0001"
down_revision = None

# SQLite numbers its rows by an INTEGER primary key and by nothing else.
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pa_click",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("link_id", sa.BigInteger(), nullable=False),
        sa.Column("click", sa.LargeBinary(length=8), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("visitor", sa.LargeBinary(length=8), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_click")),
    )
    op.create_index("ix_pa_click_link", "pa_click", ["link_id", "at"], unique=False)
    op.create_table(
        "pa_event",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_pa_event")),
    )
    op.create_table(
        "pa_event_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_event_head")),
    )
    op.create_table(
        "pa_owner",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_owner")),
        sa.UniqueConstraint("email", name=op.f("uq_pa_owner_email")),
    )
    op.create_table(
        "pa_person",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("email_hash", sa.String(length=32), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("locale", sa.String(length=16), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_person")),
        sa.UniqueConstraint("email_hash", name=op.f("uq_pa_person_email_hash")),
    )
    op.create_table(
        "pa_shop",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_shop")),
        sa.UniqueConstraint("key", name=op.f("uq_pa_shop_key")),
    )
    op.create_table(
        "pa_account",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("balance", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_account_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_account")),
        sa.UniqueConstraint("id", "currency", name=op.f("uq_pa_account_id_currency")),
        sa.UniqueConstraint(
            "shop_id", "sharer_id", "currency", "purpose", name=op.f("uq_pa_account_shop_id_sharer_id_currency_purpose")
        ),
    )
    op.create_index(
        "ix_pa_account_overdrawn",
        "pa_account",
        ["shop_id"],
        unique=False,
        sqlite_where=sa.text(
            "balance < 0 AND purpose IN ('pending', 'held', 'in_flight', 'paid', 'tax_withheld', 'fees')"
        ),
        postgresql_where=sa.text(
            "balance < 0 AND purpose IN ('pending', 'held', 'in_flight', 'paid', 'tax_withheld', 'fees')"
        ),
    )
    op.create_index("ix_pa_account_sharer", "pa_account", ["sharer_id"], unique=False)
    op.create_table(
        "pa_api_token",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("shop_id", NUMBER, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_api_token_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_pa_api_token_token_hash")),
    )
    op.create_table(
        "pa_chain",
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_chain_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "position", name=op.f("pk_pa_chain")),
    )
    op.create_table(
        "pa_delivery",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("delivery_id", sa.String(length=255), nullable=False),
        sa.Column("topic", sa.String(length=255), nullable=False),
        sa.Column("body_sha", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("order_ref", sa.String(length=255), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("lease_by", sa.String(length=64), nullable=True),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_delivery_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_delivery")),
        sa.UniqueConstraint(
            "shop_id", "delivery_id", "body_sha", name=op.f("uq_pa_delivery_shop_id_delivery_id_body_sha")
        ),
    )
    op.create_index(
        "ix_pa_delivery_body",
        "pa_delivery",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("body IS NOT NULL"),
        postgresql_where=sa.text("body IS NOT NULL"),
    )
    op.create_index(
        "ix_pa_delivery_due",
        "pa_delivery",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'stored'"),
        postgresql_where=sa.text("state = 'stored'"),
    )
    op.create_index(
        "ix_pa_delivery_quarantined",
        "pa_delivery",
        ["shop_id"],
        unique=False,
        sqlite_where=sa.text("state = 'quarantined'"),
        postgresql_where=sa.text("state = 'quarantined'"),
    )
    op.create_index(
        "ix_pa_delivery_waiting",
        "pa_delivery",
        ["shop_id", "order_ref"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "pa_head",
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seal", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_head_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", name=op.f("pk_pa_head")),
    )
    op.create_table(
        "pa_order",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("ref", sa.String(length=255), nullable=False),
        sa.Column("story", sa.Text(), nullable=False),
        sa.Column("now", sa.LargeBinary(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("customer_key", sa.String(length=300), nullable=True),
        sa.Column("customer_email", sa.String(length=32), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("release_at", sa.BigInteger(), nullable=True),
        sa.Column("released", sa.BigInteger(), nullable=True),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_order_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_order")),
        sa.UniqueConstraint("shop_id", "ref", name=op.f("uq_pa_order_shop_id_ref")),
    )
    op.create_index("ix_pa_order_customer", "pa_order", ["shop_id", "customer_key", "placed_at"], unique=False)
    op.create_index("ix_pa_order_email", "pa_order", ["shop_id", "customer_email"], unique=False)
    op.create_index("ix_pa_order_placed", "pa_order", ["shop_id", "placed_at"], unique=False)
    op.create_index(
        "ix_pa_order_release",
        "pa_order",
        ["shop_id", "release_at"],
        unique=False,
        sqlite_where=sa.text("released IS NULL"),
        postgresql_where=sa.text("released IS NULL"),
    )
    op.create_table(
        "pa_payout",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("rail", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("minimum", sa.BigInteger(), nullable=False),
        sa.Column("left_out", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_payout_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_payout")),
    )
    op.create_table(
        "pa_plan",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("in_force_from", sa.BigInteger(), nullable=False),
        sa.Column("put_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_plan_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_plan")),
        sa.UniqueConstraint("shop_id", "version", name=op.f("uq_pa_plan_shop_id_version")),
    )
    op.create_table(
        "pa_sharer",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("person_id", NUMBER, nullable=False),
        sa.Column("customer_id", sa.String(length=255), nullable=True),
        sa.Column("email_hash", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["pa_person.id"], name=op.f("fk_pa_sharer_person_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_sharer_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_sharer")),
        sa.UniqueConstraint("shop_id", "person_id", name=op.f("uq_pa_sharer_shop_id_person_id")),
    )
    op.create_index("ix_pa_sharer_customer", "pa_sharer", ["shop_id", "customer_id"], unique=False)
    op.create_index("ix_pa_sharer_email", "pa_sharer", ["shop_id", "email_hash"], unique=False)
    op.create_table(
        "pa_decision",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", NUMBER, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["pa_order.id"], name=op.f("fk_pa_decision_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_decision")),
        sa.UniqueConstraint("order_id", "position", name=op.f("uq_pa_decision_order_id_position")),
    )
    op.create_index("ix_pa_decision_position", "pa_decision", ["shop_id", "position"], unique=False)
    op.create_table(
        "pa_fact",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("sharer_id", NUMBER, nullable=True),
        sa.Column("order_id", NUMBER, nullable=True),
        sa.Column("code", sa.String(length=255), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["pa_order.id"], name=op.f("fk_pa_fact_order_id")),
        sa.ForeignKeyConstraint(["sharer_id"], ["pa_sharer.id"], name=op.f("fk_pa_fact_sharer_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_fact_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_fact")),
    )
    op.create_index("ix_pa_fact_code", "pa_fact", ["shop_id", "code"], unique=False)
    op.create_index("ix_pa_fact_order", "pa_fact", ["order_id", "kind"], unique=False)
    op.create_index("ix_pa_fact_position", "pa_fact", ["shop_id", "position"], unique=False)
    op.create_index("ix_pa_fact_sharer", "pa_fact", ["sharer_id", "kind"], unique=False)
    op.create_table(
        "pa_idempotency",
        sa.Column("token_id", NUMBER, nullable=False),
        sa.Column("endpoint", sa.String(length=400), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_sha", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["pa_api_token.id"], name=op.f("fk_pa_idempotency_token_id")),
        sa.PrimaryKeyConstraint("token_id", "endpoint", "key", name=op.f("pk_pa_idempotency")),
    )
    op.create_table(
        "pa_link",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("code", sa.String(length=24), nullable=False),
        sa.Column("target_url", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=True),
        sa.Column("campaign", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["sharer_id"], ["pa_sharer.id"], name=op.f("fk_pa_link_sharer_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_link_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_link")),
        sa.UniqueConstraint("code", name=op.f("uq_pa_link_code")),
        sa.UniqueConstraint("shop_id", "number", name=op.f("uq_pa_link_shop_id_number")),
    )
    op.create_index("ix_pa_link_sharer", "pa_link", ["sharer_id"], unique=False)
    op.create_table(
        "pa_lot",
        sa.Column("order_id", NUMBER, nullable=False),
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("payable", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("in_flight", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("paid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tax_withheld", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fees", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["pa_order.id"], name=op.f("fk_pa_lot_order_id")),
        sa.ForeignKeyConstraint(["sharer_id"], ["pa_sharer.id"], name=op.f("fk_pa_lot_sharer_id")),
        sa.PrimaryKeyConstraint("order_id", "sharer_id", "role", "currency", name=op.f("pk_pa_lot")),
    )
    op.create_index(
        "ix_pa_lot_payable",
        "pa_lot",
        ["shop_id", "currency", "sharer_id"],
        unique=False,
        sqlite_where=sa.text("payable <> 0"),
        postgresql_where=sa.text("payable <> 0"),
    )
    op.create_table(
        "pa_order_code",
        sa.Column("shop_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.String(length=255), nullable=False),
        sa.Column("order_id", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["pa_order.id"], name=op.f("fk_pa_order_code_order_id")),
        sa.PrimaryKeyConstraint("shop_id", "code", "order_id", name=op.f("pk_pa_order_code")),
    )
    op.create_table(
        "pa_order_state",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", NUMBER, nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("delivery_id", NUMBER, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["pa_delivery.id"], name=op.f("fk_pa_order_state_delivery_id")),
        sa.ForeignKeyConstraint(["order_id"], ["pa_order.id"], name=op.f("fk_pa_order_state_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_order_state")),
        sa.UniqueConstraint("order_id", "sha", name=op.f("uq_pa_order_state_order_id_sha")),
    )
    op.create_index("ix_pa_order_state_position", "pa_order_state", ["shop_id", "position"], unique=False)
    op.create_table(
        "pa_payout_item",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("payout_id", NUMBER, nullable=False),
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("withheld", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["payout_id"], ["pa_payout.id"], name=op.f("fk_pa_payout_item_payout_id")),
        sa.ForeignKeyConstraint(["sharer_id"], ["pa_sharer.id"], name=op.f("fk_pa_payout_item_sharer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pa_payout_item")),
    )
    op.create_index("ix_pa_payout_item_payout", "pa_payout_item", ["payout_id"], unique=False)
    op.create_index("ix_pa_payout_item_sharer", "pa_payout_item", ["sharer_id"], unique=False)
    op.create_table(
        "pa_transfer",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("shop_id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("from_account", sa.BigInteger(), nullable=False),
        sa.Column("to_account", sa.BigInteger(), nullable=False),
        sa.Column("sharer_id", NUMBER, nullable=False),
        sa.Column("order_id", NUMBER, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("payout_item_id", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("about_at", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=16), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_pa_transfer_positive")),
        sa.CheckConstraint("from_account <> to_account", name=op.f("ck_pa_transfer_two_accounts")),
        sa.ForeignKeyConstraint(
            ["from_account", "currency"],
            ["pa_account.id", "pa_account.currency"],
            name=op.f("fk_pa_transfer_from_account_currency"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["pa_order.id"], name=op.f("fk_pa_transfer_order_id")),
        sa.ForeignKeyConstraint(["sharer_id"], ["pa_sharer.id"], name=op.f("fk_pa_transfer_sharer_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["pa_shop.id"], name=op.f("fk_pa_transfer_shop_id")),
        sa.ForeignKeyConstraint(
            ["to_account", "currency"],
            ["pa_account.id", "pa_account.currency"],
            name=op.f("fk_pa_transfer_to_account_currency"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_pa_transfer")),
        sa.UniqueConstraint("id", name=op.f("uq_pa_transfer_id")),
    )
    op.create_index("ix_pa_transfer_order", "pa_transfer", ["order_id"], unique=False)
    op.create_index("ix_pa_transfer_position", "pa_transfer", ["shop_id", "position"], unique=False)
    op.create_index("ix_pa_transfer_sharer", "pa_transfer", ["sharer_id", "number"], unique=False)
    op.create_table(
        "pa_payout_lot",
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("order_id", NUMBER, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["pa_payout_item.id"], name=op.f("fk_pa_payout_lot_item_id")),
        sa.ForeignKeyConstraint(["order_id"], ["pa_order.id"], name=op.f("fk_pa_payout_lot_order_id")),
        sa.PrimaryKeyConstraint("item_id", "order_id", "role", name=op.f("pk_pa_payout_lot")),
    )
    op.create_index("ix_pa_payout_lot_order", "pa_payout_lot", ["order_id"], unique=False)
    dialect = op.get_bind().dialect.name
    for statement in guards.sqlite() if dialect == "sqlite" else guards.postgresql():
        op.get_bind().exec_driver_sql(statement)
    op.get_bind().exec_driver_sql("INSERT INTO pa_event_head (id, seq) VALUES (1, 0)")
