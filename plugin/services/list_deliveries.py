"""Listing what came in, and what became of it."""

from sqlalchemy import select

from plugin.domain.moment import format_moment
from plugin.models import delivery, shop
from plugin.services import public_id
from plugin.services.context import Context

STATES = ("stored", "done", "waiting", "quarantined")


def list_deliveries(
    context: Context, *, shop_id: int | None = None, state: str | None = None
) -> list[dict[str, object]]:
    """Return all deliveries, newest first, of one shop or state where that is asked."""
    wanted = (
        select(
            delivery.c.id,
            shop.c.key,
            delivery.c.delivery_id,
            delivery.c.topic,
            delivery.c.state,
            delivery.c.received_at,
            delivery.c.reason,
        )
        .join(shop, shop.c.id == delivery.c.shop_id)
        .order_by(delivery.c.id.desc())
    )
    if shop_id is not None:
        wanted = wanted.where(delivery.c.shop_id == shop_id)
    if state is not None:
        wanted = wanted.where(delivery.c.state == state)
    with context.database.reading() as connection:
        return [
            {
                "id": public_id.show(public_id.DELIVERY, row.id),
                "shop": row.key,
                "delivery_id": row.delivery_id,
                "topic": row.topic,
                "state": row.state,
                "received_at": format_moment(row.received_at),
                "reason": row.reason,
            }
            for row in connection.execute(wanted)
        ]
