"""The inbox: every delivery as it came, with the lease of the worker that holds it.

The row is the job. What came (shop, id, bytes) is never changed; the body and headers are erased after a while.
What the door refused is not kept, only the last reason for it, a row a shop.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from plugin.models.metadata import mac_column, metadata, number_column

_STORED, _WAITING, _WITH_BODY = text("state = 'stored'"), text("state = 'waiting'"), text("body IS NOT NULL")
_QUARANTINED = text("state = 'quarantined'")

delivery = Table(
    "pa_delivery",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("delivery_id", String(255), nullable=False),
    Column("topic", String(255), nullable=False),
    Column("body_sha", LargeBinary(32), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("body", LargeBinary),  # sealed: headers and body, compressed
    Column("state", String(12), nullable=False),  # stored, done, waiting, quarantined
    Column("reason", Text),
    Column("order_ref", String(255)),  # the order a waiting delivery waits for
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger),
    Column("lease_by", String(64)),
    mac_column(),
    UniqueConstraint("shop_id", "delivery_id", "body_sha"),
    Index("ix_pa_delivery_due", "due_at", sqlite_where=_STORED, postgresql_where=_STORED),
    Index("ix_pa_delivery_waiting", "shop_id", "order_ref", sqlite_where=_WAITING, postgresql_where=_WAITING),
    Index("ix_pa_delivery_quarantined", "shop_id", sqlite_where=_QUARANTINED, postgresql_where=_QUARANTINED),
    Index("ix_pa_delivery_shop", "shop_id", "id"),
    Index("ix_pa_delivery_body", "received_at", sqlite_where=_WITH_BODY, postgresql_where=_WITH_BODY),
)

refusal = Table(
    "pa_refusal",
    metadata,
    Column("shop_id", ForeignKey("pa_shop.id"), primary_key=True),
    Column("reason", String(16), nullable=False),  # see plugin.services.store_delivery
    Column("at", BigInteger, nullable=False),
)
