"""Everything that happened, numbered in the order in which it was committed."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from plugin.models.metadata import metadata

event = Table(
    "pa_event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("shop_id", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("data", Text, nullable=False),  # JSON object
    Index("ix_pa_event_shop", "shop_id", "seq"),
)

# One row: the last number given. Writers hold it until they commit, so numbers become visible in order.
event_head = Table(
    "pa_event_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
)
