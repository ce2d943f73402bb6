"""Who may do what: the shop's people and how they are signed in, API tokens, and the answers kept for their keys."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
)

from plugin.models.metadata import metadata, number_column

owner = Table(
    "pa_owner",
    metadata,
    number_column(),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),  # services.sessions.NO_PASSWORD: known by the host app alone
    Column("created_at", BigInteger, nullable=False),
    Column("role", String(8), nullable=False, server_default="owner"),  # owner, manager, viewer, payer
    Column("shop_id", BigInteger),  # null: all shops
    Column("locale", String(16)),
    Column("totp", LargeBinary),  # sealed; null: no second factor yet
    Column("totp_step", BigInteger),  # of the last code that was taken, so that none is taken twice
    Column("ended_at", BigInteger),
    Column("mail_choices", Text),  # JSON object, as of a person
)

session = Table(
    "pa_session",
    metadata,
    number_column(),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("owner_id", ForeignKey("pa_owner.id")),  # one of these two
    Column("person_id", ForeignKey("pa_person.id")),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("fresh_until", BigInteger, nullable=False),  # money pages want a sign-in that is not long ago
    Column("ends_at", BigInteger, nullable=False),
    Column("agent", String(200), nullable=False),
    Column("by_host", Boolean, nullable=False, server_default=false()),  # lasts while the host app says who it is
    Index("ix_pa_session_owner", "owner_id"),
    Index("ix_pa_session_person", "person_id"),
    Index("ix_pa_session_ends", "ends_at"),
)

ticket = Table(
    "pa_ticket",
    metadata,
    number_column(),
    Column("purpose", String(16), nullable=False),
    Column("nonce", LargeBinary(8), nullable=False),  # SQLite gives numbers of deleted rows away again
    Column("shop_id", ForeignKey("pa_shop.id")),
    Column("owner_id", ForeignKey("pa_owner.id")),
    Column("person_id", ForeignKey("pa_person.id")),
    Column("email", Text),
    Column("body", Text, nullable=False),  # JSON object
    Column("created_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_pa_ticket_ends", "ends_at"),
)

attempt = Table(
    "pa_attempt",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index("ix_pa_attempt_ends", "ends_at"),
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
