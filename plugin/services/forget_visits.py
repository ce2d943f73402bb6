"""Forgetting what people left behind at the doors: sessions, tickets and counts of attempts that are over."""

from sqlalchemy import delete, select

from plugin.models import attempt, session, ticket
from plugin.services.context import Context


def forget_visits(context: Context) -> int:
    """Delete the sessions, tickets and counts that can no longer be of use; return how many."""
    gone, now = 0, context.now()
    for table in (session, ticket, attempt):
        over = table.c.ends_at < now
        with context.database.reading() as connection:  # most of the time there is nothing: do not take the write lock
            if connection.execute(select(table.c.ends_at).where(over).limit(1)).first() is None:
                continue
        with context.database.writing() as connection:
            gone += connection.execute(delete(table).where(over)).rowcount
    return gone
