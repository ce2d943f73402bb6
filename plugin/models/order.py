"""Orders, the states they were told in, the facts and the decisions about them.

``orders`` is a cache of what its states, facts and decisions say; check-books derives it anew.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from plugin.models.metadata import mac_column, metadata, number_column

orders = Table(
    "pa_order",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("ref", String(255), nullable=False),  # the shop's own order id
    Column("story", Text, nullable=False),  # JSON: the merged story without the body of the state now
    Column("now", LargeBinary, nullable=False),  # the state now, compressed
    Column("decision", Text),  # JSON: the decision in force
    Column("customer_key", String(300)),
    Column("customer_email", String(32)),
    Column("currency", String(3), nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("release_at", BigInteger),
    Column("released", BigInteger),  # the position at which it was released
    Column("held", Boolean, nullable=False),
    Column("flags", Text, nullable=False),  # JSON list
    # What it is found by in a list: see plugin.services.order_states. The number is what the shop calls it.
    Column("state", String(12), nullable=False, server_default="nobody"),
    Column("number", String(255)),
    # What the rollups count of it: see plugin.domain.rollup.Counted.
    Column("counts", Boolean, nullable=False, server_default=false()),
    Column("counts_for", BigInteger),
    Column("new_buyer", Boolean, nullable=False, server_default=false()),
    Column("net", BigInteger, nullable=False, server_default="0"),
    Column("refunded", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("shop_id", "ref"),
    Index("ix_pa_order_placed", "shop_id", "placed_at"),
    Index("ix_pa_order_state", "shop_id", "state", "placed_at"),
    Index("ix_pa_order_number", "shop_id", "number"),
    Index("ix_pa_order_customer", "shop_id", "customer_key", "placed_at"),
    Index("ix_pa_order_email", "shop_id", "customer_email"),
    Index(
        "ix_pa_order_release",
        "shop_id",
        "release_at",
        sqlite_where=text("released IS NULL"),
        postgresql_where=text("released IS NULL"),
    ),
)

order_code = Table(
    "pa_order_code",
    metadata,
    Column("shop_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", String(255), primary_key=True),
    Column("order_id", ForeignKey("pa_order.id"), primary_key=True),
)

order_state = Table(
    "pa_order_state",
    metadata,
    number_column(),
    Column("shop_id", BigInteger, nullable=False),
    Column("order_id", ForeignKey("pa_order.id"), nullable=False),
    Column("sha", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),  # the canonical normal form, compressed
    Column("delivery_id", ForeignKey("pa_delivery.id"), nullable=False),
    Column("position", BigInteger, nullable=False),
    mac_column(),
    UniqueConstraint("order_id", "sha"),
    Index("ix_pa_order_state_position", "shop_id", "position"),
)

fact = Table(
    "pa_fact",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # of sharer, code, click_code, manual, hold, deleted, products
    Column("at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("sharer_id", ForeignKey("pa_sharer.id")),
    Column("order_id", ForeignKey("pa_order.id")),
    Column("code", String(255)),
    Column("body", Text, nullable=False),  # JSON object
    Column("position", BigInteger, nullable=False),
    mac_column(),
    Index("ix_pa_fact_sharer", "sharer_id", "kind"),
    Index("ix_pa_fact_order", "order_id", "kind"),
    Index("ix_pa_fact_code", "shop_id", "code"),
    Index("ix_pa_fact_position", "shop_id", "position"),
)

decision = Table(
    "pa_decision",
    metadata,
    number_column(),
    Column("shop_id", BigInteger, nullable=False),
    Column("order_id", ForeignKey("pa_order.id"), nullable=False),
    Column("body", Text, nullable=False),
    Column("cause", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
    mac_column(),
    UniqueConstraint("order_id", "position"),
    Index("ix_pa_decision_position", "shop_id", "position"),
)
