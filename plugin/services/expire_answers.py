"""Forgetting the answers kept for idempotency keys, once they are older than they are promised for."""

from sqlalchemy import delete, select

from plugin.domain.moment import DAY
from plugin.models import idempotency
from plugin.services.context import Context
from plugin.services.keep_answer import KEPT_DAYS


def expire_answers(context: Context) -> int:
    """Delete the answers that are older than 30 days; return how many."""
    old = idempotency.c.created_at < context.now() - KEPT_DAYS * DAY
    with context.database.reading() as connection:  # most of the time there is nothing: do not take the write lock
        if connection.execute(select(idempotency.c.token_id).where(old).limit(1)).first() is None:
            return 0
    with context.database.writing() as connection:
        return connection.execute(delete(idempotency).where(old)).rowcount
