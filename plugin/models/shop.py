"""Shops and their plans."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from plugin.models.metadata import mac_column, metadata, number_column

shop = Table(
    "pa_shop",
    metadata,
    number_column(),
    Column("key", String(32), nullable=False, unique=True),
    Column("platform", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("secrets", LargeBinary, nullable=False),  # sealed JSON: [{"secret", "valid_until" or null}], newest first
    Column("credentials", LargeBinary, nullable=False),  # sealed JSON object
    Column("created_at", BigInteger, nullable=False),
)

plan = Table(
    "pa_plan",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("in_force_from", BigInteger, nullable=False),
    Column("put_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    mac_column(),
    UniqueConstraint("shop_id", "version"),
)
