"""Coupons that were made in a shop for a sharer. Whose a code is, is a fact; this is what became of it in the shop."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, String, Table, Text

from plugin.models.metadata import metadata, number_column

coupon = Table(
    "pa_coupon",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("sharer_id", ForeignKey("pa_sharer.id"), nullable=False),
    Column("code", String(255), nullable=False),
    Column("percent", String(32)),  # what the buyer saves: a decimal string, or
    Column("amount", String(32)),  # one in the shop's currency
    Column("once", Boolean, nullable=False),  # one order may use it
    Column("state", String(8), nullable=False),  # making, made, ending, ended, failed
    Column("reason", Text),
    Column("shop_ref", String(255)),  # the shop's own id
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_pa_coupon_sharer", "sharer_id", "id"),
)
