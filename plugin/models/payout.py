"""Payouts: batches, their items, and the commissions (lots) each item pays. The states are folds of facts."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from plugin.models.metadata import metadata, number_column

payout = Table(
    "pa_payout",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("rail", String(16), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("minimum", BigInteger, nullable=False),
    Column("left_out", Text, nullable=False),  # JSON: [[sharer, reason]]
    Column("created_at", BigInteger, nullable=False),
    Column("actor", String(255), nullable=False),
)

payout_item = Table(
    "pa_payout_item",
    metadata,
    number_column(),
    Column("payout_id", ForeignKey("pa_payout.id"), nullable=False),
    Column("sharer_id", ForeignKey("pa_sharer.id"), nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("withheld", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("net", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reference", Text),
    Column("reason", Text),
    Index("ix_pa_payout_item_payout", "payout_id"),
    Index("ix_pa_payout_item_sharer", "sharer_id"),
)

payout_lot = Table(
    "pa_payout_lot",
    metadata,
    Column("item_id", ForeignKey("pa_payout_item.id"), primary_key=True),
    Column("order_id", ForeignKey("pa_order.id"), primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("amount", BigInteger, nullable=False),  # below zero: a debt that this payment nets
    Index("ix_pa_payout_lot_order", "order_id"),
)
