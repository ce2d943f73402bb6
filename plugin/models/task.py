"""Tasks: what is to be done outside, once its cause is committed. The row is the task."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text

from plugin.models.metadata import metadata, number_column

_DUE = text("state = 'due'")

task = Table(
    "pa_task",
    metadata,
    number_column(),
    Column("shop_id", ForeignKey("pa_shop.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("ref", String(255), nullable=False),  # what it is about; with shop and kind its identity
    Column("body", Text, nullable=False),  # JSON object
    Column("state", String(8), nullable=False),  # due, done, failed
    Column("reason", Text),
    Column("result", Text),  # JSON: what came of it the last time
    Column("wanted", Integer, nullable=False),  # how often it was asked for; one asked for meanwhile is done once more
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger),
    Column("lease_by", String(64)),
    Column("changed_at", BigInteger, nullable=False),
    UniqueConstraint("shop_id", "kind", "ref"),
    Index("ix_pa_task_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
)
