"""Forgetting which events reached an endpoint late, or never, once nobody looks back that far."""

from sqlalchemy import delete, or_, select

from plugin.domain.moment import DAY
from plugin.models import endpoint, event_delivery
from plugin.services.context import Context

KEPT_DAYS = 30


def forget_deliveries(context: Context) -> int:
    """Delete the rows that came to an end 30 days ago; return how many. The events themselves stay.

    What a disabled endpoint has missed is kept: it is tried again once its owner enables the endpoint.
    """
    enabled = select(endpoint.c.id).where(endpoint.c.state == "enabled")
    rows = event_delivery.c
    ended = or_(rows.state == "done", (rows.state == "failed") & rows.endpoint_id.in_(enabled))
    old = ended & (rows.changed_at < context.now() - KEPT_DAYS * DAY)
    with context.database.reading() as connection:  # most of the time there is nothing: do not take the write lock
        if connection.execute(select(rows.id).where(old).limit(1)).first() is None:
            return 0
    with context.database.writing() as connection:
        return connection.execute(delete(event_delivery).where(old)).rowcount
