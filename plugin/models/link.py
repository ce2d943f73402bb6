"""Share links, the codes that their clicks bring along, and the clicks.

A click keeps no address, only a hash of it under a key of that day.
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
)

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

# What each click on a link brings along: a code for one order, of which so many are made in the shop beforehand.
link_coupon = Table(
    "pa_link_coupon",
    metadata,
    Column("link_id", ForeignKey("pa_link.id"), primary_key=True, autoincrement=False),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("percent", String(32)),  # what the buyer saves: a decimal string, or
    Column("amount", String(32)),  # one in the shop's currency
    Column("pool", Integer, nullable=False),  # how many codes shall be ready
    Column("state", String(8), nullable=False),  # open, ending, ended
    Column("ran_out_at", BigInteger),  # since when clicks go without a code; null while there are some
    Column("reason", Text),
    Column("changed_at", BigInteger, nullable=False),
)

link_code = Table(
    "pa_link_code",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("link_id", ForeignKey("pa_link.id"), nullable=False),
    Column("code", String(32), nullable=False),
    Column("state", String(8), nullable=False),  # making, ready, out (with a click, or about to be), used, ended
    Column("out_at", BigInteger),  # when a process took it to hand it out
    Column("shop_ref", String(255)),  # the shop's own id
    UniqueConstraint("shop_id", "code"),
    Index("ix_pa_link_code_state", "link_id", "state", "id"),
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
