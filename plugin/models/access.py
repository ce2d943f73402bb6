"""Who may do what: owners, API tokens, and the answers kept for idempotency keys."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from plugin.models.metadata import metadata, number_column

owner = Table(
    "pa_owner",
    metadata,
    number_column(),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

api_token = Table(
    "pa_api_token",
    metadata,
    number_column(),
    Column("name", Text, nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("scope", String(8), nullable=False),
    Column("shop_id", ForeignKey("pa_shop.id")),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

idempotency = Table(
    "pa_idempotency",
    metadata,
    Column("token_id", ForeignKey("pa_api_token.id"), primary_key=True),
    Column("endpoint", String(400), primary_key=True),  # method and path
    Column("key", String(255), primary_key=True),
    Column("body_sha", LargeBinary(32), nullable=False),
    Column("status", Integer),  # null while the first call is under way
    Column("answer", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
)
