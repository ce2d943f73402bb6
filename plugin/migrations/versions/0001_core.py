"""The core: shops, sharers, links, the inbox, orders, the books, payouts, access."""

from alembic import op

from plugin.models import event_head, guards, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    statements = guards.sqlite() if connection.dialect.name == "sqlite" else guards.postgresql()
    for statement in statements:
        connection.exec_driver_sql(statement)
    connection.execute(event_head.insert().values(id=1, seq=0))
