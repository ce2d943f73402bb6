"""Endpoints: the addresses to which the events go, how far each one is, and which events it has not taken at once.

The events lie in ``pa_event`` and are copied nowhere: an endpoint walks along them. Only an event whose first attempt
failed has a row of its own, so that the ones after it need not wait.
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

from plugin.models.metadata import metadata, number_column

_ENABLED, _DUE = text("state = 'enabled'"), text("state = 'due'")

endpoint = Table(
    "pa_endpoint",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id")),  # null: all shops
    Column("url", Text, nullable=False),
    Column("secrets", LargeBinary, nullable=False),  # a sealed ring, like a shop's
    Column("types", Text, nullable=False),  # JSON list of event types; empty: all
    Column("state", String(8), nullable=False),  # enabled, disabled
    Column("reason", Text),  # of the last failure while nothing has arrived since
    Column("sent_seq", BigInteger, nullable=False),  # all events up to this one have arrived or have a row below
    Column("failures", Integer, nullable=False),  # in a row
    Column("failing_since", BigInteger),
    Column("rest_until", BigInteger),  # nothing is sent before
    Column("lease_until", BigInteger),
    Column("lease_by", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_pa_endpoint_enabled", "id", sqlite_where=_ENABLED, postgresql_where=_ENABLED),
)

event_delivery = Table(
    "pa_event_delivery",
    metadata,
    number_column(),
    Column("endpoint_id", ForeignKey("pa_endpoint.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),  # due, done, failed
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("status", Integer),  # the HTTP status of the last attempt; null where none came
    Column("reason", Text),
    Column("changed_at", BigInteger, nullable=False),
    UniqueConstraint("endpoint_id", "seq"),
    Index("ix_pa_event_delivery_due", "endpoint_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
)

# A stretch of the log that is to be sent once more; ``seq`` is how far that is done.
event_replay = Table(
    "pa_event_replay",
    metadata,
    number_column(),
    Column("endpoint_id", ForeignKey("pa_endpoint.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("until_seq", BigInteger, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Index("ix_pa_event_replay_endpoint", "endpoint_id"),
)
