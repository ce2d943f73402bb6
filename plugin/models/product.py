"""What shops told of their products when they were asked; the last answer of each."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from plugin.models.metadata import metadata

product = Table(
    "pa_product",
    metadata,
    Column("shop_id", ForeignKey("pa_shop.id"), primary_key=True),
    Column("ref", String(255), primary_key=True),  # the shop's own product id
    Column("at", BigInteger, nullable=False),  # when it was asked
    Column("body", Text, nullable=False),  # JSON object: title, description, picture, price, currency, url, collections
    Column("page", String(255)),  # by which a link to it is known; null where there is none, or a longer one
    Index("ix_pa_product_page", "shop_id", "page"),
)
