"""Persons, and the sharers they are: a sharer is a person in one shop.

``standing`` is a cache of each sharer's newest fact, to find sharers by; what decides money reads the facts.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text, UniqueConstraint

from plugin.models.metadata import mac_column, metadata, number_column

person = Table(
    "pa_person",
    metadata,
    number_column(),
    Column("email_hash", String(32), nullable=False, unique=True),
    Column("email", Text),  # both are emptied when the person is erased; the hash stays
    Column("name", Text),
    Column("shown_name", Text),  # by which friends may know them; null: they are to be told none
    Column("locale", String(16)),
    Column("mail_choices", Text),  # JSON object of what was turned off, or on again; see services.choose_mails
    Column("created_at", BigInteger, nullable=False),
    Column("erased_at", BigInteger),
)

sharer = Table(
    "pa_sharer",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("person_id", ForeignKey("pa_person.id"), nullable=False),
    Column("customer_id", String(255)),
    Column("email_hash", String(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    mac_column(),
    UniqueConstraint("shop_id", "person_id"),
    Index("ix_pa_sharer_shop", "shop_id", "id"),
    Index("ix_pa_sharer_email", "shop_id", "email_hash"),
    Index("ix_pa_sharer_customer", "shop_id", "customer_id"),
)

standing = Table(
    "pa_standing",
    metadata,
    Column("sharer_id", ForeignKey("pa_sharer.id"), primary_key=True),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("status", String(12), nullable=False),
    Column("group_name", String(255)),
    Index("ix_pa_standing_shop", "shop_id", "sharer_id"),
    Index("ix_pa_standing_status", "shop_id", "status", "sharer_id"),
    Index("ix_pa_standing_group", "shop_id", "group_name", "sharer_id"),
)
