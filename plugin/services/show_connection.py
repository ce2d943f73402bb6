"""How a shop's connection stands, as one light: what came last, and what keeps an order from being credited."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from plugin.models import delivery, refusal, shop_day
from plugin.services.context import Context
from plugin.shops.base import OURS

NOTHING, REFUSED, READING, QUARANTINED = "nothing", "refused", "reading", "quarantined"
ARRIVED, CREDITED = "arrived", "credited"
STATES = (NOTHING, REFUSED, READING, QUARANTINED, ARRIVED, CREDITED)


@dataclass(frozen=True, slots=True)
class Light:
    """One of STATES, since when, and the reason: of a refusal its code, of a quarantine its sentence.

    ``credited`` tells whether any order was ever credited to a sharer, whatever came last.
    """

    state: str
    at: int | None = None
    reason: str | None = None
    credited: bool = False

    @property
    def is_green(self) -> bool:
        """Tell whether the shop's deliveries arrive and are understood."""
        return self.state in (ARRIVED, CREDITED)


def show_connection(context: Context, shop_id: int) -> Light:
    """Return how a shop's connection stands now."""
    with context.database.reading() as connection:
        return read_light(connection, shop_id)


def read_light(connection: Connection, shop_id: int) -> Light:
    """Return how a shop's connection stands: the last thing that happened at the door decides."""
    credited = select(shop_day.c.day).where(shop_day.c.shop_id == shop_id, shop_day.c.credited > 0).limit(1)
    is_credited = connection.execute(credited).first() is not None
    refused = connection.execute(select(refusal).where(refusal.c.shop_id == shop_id)).one_or_none()
    last = _last(connection, shop_id)
    if refused is not None and (last is None or refused.at > last.received_at):
        return Light(REFUSED, refused.at, refused.reason, is_credited)
    if last is None:
        return Light(NOTHING)
    if last.state == "stored":
        return Light(READING, last.received_at, None, is_credited)
    if last.state == "quarantined":
        return Light(QUARANTINED, last.received_at, last.reason, is_credited)
    return Light(CREDITED if is_credited else ARRIVED, last.received_at, None, is_credited)


def _last(connection: Connection, shop_id: int) -> Any:
    """Return the last delivery that the shop sent, which its answers to our own questions are not.

    Whether there is any is asked first: an index answers that, while the last one is looked for from the newest on.
    """
    sent = [delivery.c.shop_id == shop_id, delivery.c.topic.not_like(f"{OURS}%")]
    if connection.execute(select(delivery.c.id).where(*sent).limit(1)).first() is None:
        return None
    newest = select(delivery.c.received_at, delivery.c.state, delivery.c.reason).where(*sent)
    return connection.execute(newest.order_by(delivery.c.id.desc()).limit(1)).one()
