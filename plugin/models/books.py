"""The books: accounts, immutable transfers, what lies where of each commission, and the digest chain over all of it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from plugin.domain.ledger import PAYABLE, SHARER_PURPOSES
from plugin.models.metadata import Number, mac_column, metadata, number_column

_OVERDRAWN = text("balance < 0 AND purpose IN ('pending', 'held', 'in_flight', 'paid', 'tax_withheld', 'fees')")

account = Table(
    "pa_account",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("sharer_id", Number, nullable=False),  # 0: the shop's own
    Column("currency", String(3), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("balance", BigInteger, nullable=False, default=0, server_default="0"),  # kept by the database itself
    UniqueConstraint("shop_id", "sharer_id", "currency", "purpose"),
    UniqueConstraint("id", "currency"),
    Index("ix_pa_account_overdrawn", "shop_id", sqlite_where=_OVERDRAWN, postgresql_where=_OVERDRAWN),
    Index("ix_pa_account_sharer", "sharer_id"),
)

transfer = Table(
    "pa_transfer",
    metadata,
    number_column("number"),
    Column("id", String(32), nullable=False, unique=True),  # made from the cause
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("from_account", BigInteger, nullable=False),
    Column("to_account", BigInteger, nullable=False),
    Column("sharer_id", ForeignKey("pa_sharer.id"), nullable=False),
    Column("order_id", ForeignKey("pa_order.id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("payout_item_id", BigInteger),
    Column("cause", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("about_at", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    mac_column(),
    CheckConstraint("amount > 0", name="positive"),
    CheckConstraint("from_account <> to_account", name="two_accounts"),
    ForeignKeyConstraint(["from_account", "currency"], ["pa_account.id", "pa_account.currency"]),
    ForeignKeyConstraint(["to_account", "currency"], ["pa_account.id", "pa_account.currency"]),
    Index("ix_pa_transfer_sharer", "sharer_id", "number"),
    Index("ix_pa_transfer_order", "order_id"),
    Index("ix_pa_transfer_position", "shop_id", "position"),
)

_PAYABLE_LEFT = text("payable <> 0")

# What lies where of one commission (order, sharer, role); kept by the database itself from the transfers.
lot = Table(
    "pa_lot",
    metadata,
    Column("order_id", ForeignKey("pa_order.id"), primary_key=True),
    Column("sharer_id", ForeignKey("pa_sharer.id"), primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("shop_id", BigInteger, nullable=False),
    *(Column(purpose, BigInteger, nullable=False, server_default="0") for purpose in SHARER_PURPOSES),
    Index("ix_pa_lot_sharer", "sharer_id", "order_id"),
    Index(
        "ix_pa_lot_payable",
        "shop_id",
        "currency",
        "sharer_id",
        sqlite_where=_PAYABLE_LEFT,
        postgresql_where=_PAYABLE_LEFT,
    ),
)
assert PAYABLE in lot.c  # noqa: S101 - the partial index above names the column as text

# One row for each transaction that touched the books of a shop; its mac is keyed outside the database.
chain = Table(
    "pa_chain",
    metadata,
    Column("shop_id", ForeignKey("pa_shop.id"), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("manifest", Text, nullable=False),  # JSON: how many rows of each kind, by order
    Column("mac", LargeBinary(16), nullable=False),
)

# Where the chain ends. Its row is the lock that every writer of the shop's books takes first.
head = Table(
    "pa_head",
    metadata,
    Column("shop_id", ForeignKey("pa_shop.id"), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("mac", LargeBinary(16), nullable=False),
    Column("seal", LargeBinary(16), nullable=False),
    Column("rebuilds", BigInteger, nullable=False, server_default="0"),  # how often rollups were mended, in steps
    Column("news", BigInteger, nullable=False, server_default="0"),  # where anything but orders was last written
)
