"""Share links, and the clicks on them. A click keeps no address, only a hash of it under a key of that day."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text, UniqueConstraint

from plugin.models.metadata import mac_column, metadata, number_column

link = Table(
    "pa_link",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("number", BigInteger, nullable=False),  # random, so that links cannot be counted
    Column("sharer_id", ForeignKey("pa_sharer.id"), nullable=False),
    Column("code", String(24), nullable=False, unique=True),
    Column("target_url", Text, nullable=False),
    Column("channel", String(255)),
    Column("campaign", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    mac_column(),
    UniqueConstraint("shop_id", "number"),
    Index("ix_pa_link_sharer", "sharer_id"),
)

click = Table(
    "pa_click",
    metadata,
    number_column(),
    Column("shop_id", BigInteger, nullable=False),
    Column("link_id", BigInteger, nullable=False),
    Column("click", LargeBinary(8), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("visitor", LargeBinary(8), nullable=False),
    Index("ix_pa_click_link", "link_id", "at"),
)
