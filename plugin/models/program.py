"""How a shop's program looks to its people, and what is kept of a sharer beside the books."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from plugin.models.metadata import metadata, number_column

program = Table(
    "pa_program",
    metadata,
    Column("shop_id", ForeignKey("pa_shop.id"), primary_key=True),
    Column("body", Text, nullable=False),  # JSON object; plugin.services.manage_program knows its keys
    Column("changed_at", BigInteger, nullable=False),
)

note = Table(
    "pa_note",
    metadata,
    number_column(),
    Column("sharer_id", ForeignKey("pa_sharer.id"), nullable=False),
    Column("owner_id", ForeignKey("pa_owner.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_pa_note_sharer", "sharer_id"),
)

payout_way = Table(
    "pa_payout_way",
    metadata,
    Column("sharer_id", ForeignKey("pa_sharer.id"), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("details", LargeBinary, nullable=False),  # sealed JSON object
    Column("changed_at", BigInteger, nullable=False),
)
