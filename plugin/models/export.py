"""Exports of a shop: one sealed file in pieces, so that every process that shares the database can hand it out."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from plugin.models.metadata import metadata, number_column

export = Table(
    "pa_export",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("made_at", BigInteger),  # null while it is being made
    Column("ends_at", BigInteger, nullable=False),  # when it is removed
    Column("bytes", BigInteger, nullable=False),  # of the file
    Index("ix_pa_export_shop", "shop_id"),
    Index("ix_pa_export_ends", "ends_at"),
)

export_piece = Table(
    "pa_export_piece",
    metadata,
    Column("export_id", ForeignKey("pa_export.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),  # sealed
)
