"""Endpoints: the addresses to which an owner has the events sent. Adding, changing and deleting them.

An address is checked when it is typed in, so that whoever types it hears of it, and again at every sending, because a
name may lead elsewhere by then.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from plugin.errors import BadSignature
from plugin.models import endpoint, event_delivery, event_head, event_replay
from plugin.services.add_shop import HOUR
from plugin.services.context import Context
from plugin.services.secret_ring import new_ring, turn_ring
from plugin.services.send_events import SECRETS
from plugin.shops.generic import SHOP as STANDARD_WEBHOOKS

STATES = ("enabled", "disabled")
OVERLAP_HOURS, OVERLAP_HOURS_MAX = 24, 8_760
_FRESH = {"failures": 0, "failing_since": None, "rest_until": None, "reason": None}  # nothing is held against it


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What an owner says of an endpoint. Without a shop it hears of all of them, without types of every event."""

    url: str
    shop_id: int | None = None
    types: Sequence[str] = ()


# --- changing -------------------------------------------------------------------------------------------------------


def add_endpoint(context: Context, new: NewEndpoint) -> tuple[int, str]:
    """Add an endpoint, which hears of all that happens from now on; return our number and its secret, this once.

    Raise ForbiddenAddress for an address that may not be called.
    """
    context.outbound.check(new.url)
    secret = STANDARD_WEBHOOKS.new_secret()
    row = {
        "shop_id": new.shop_id,
        "url": new.url,
        "secrets": new_ring(context.keys, SECRETS, secret),
        "types": _types(new.types),
        "state": "enabled",
        "created_at": context.now(),
        **_FRESH,
    }
    with context.database.writing() as connection:
        row["sent_seq"] = connection.execute(select(event_head.c.seq)).scalar_one()
        number: int = connection.execute(endpoint.insert().values(row).returning(endpoint.c.id)).scalar_one()
    return number, secret


def _types(types: Sequence[str]) -> str:
    return json.dumps(sorted(set(types)))


def change_endpoint(context: Context, number: int, changes: Mapping[str, Any]) -> None:
    """Change address, types or state.

    An enabled or a new address goes on where the endpoint stood, and tries again at once all that had failed. Raise
    ForbiddenAddress for an address that may not be called.
    """
    if "url" in changes:
        context.outbound.check(changes["url"])
    this = endpoint.c.id == number
    with context.database.writing() as connection:
        was = connection.execute(select(endpoint).where(this).with_for_update()).one()._mapping
        values = {name: changes[name] for name in ("url", "state") if changes.get(name, was[name]) != was[name]}
        if values:
            values |= _FRESH
            if values.get("state", was["state"]) == "enabled":
                _try_again(connection, number, context.now())
        if "types" in changes:
            values["types"] = _types(changes["types"])
        if values:
            connection.execute(update(endpoint).where(this).values(values))
    context.wake()


def _try_again(connection: Connection, number: int, now: int) -> None:
    rows = event_delivery.c
    connection.execute(
        update(event_delivery)
        .where(rows.endpoint_id == number, rows.state != "done")
        .values(state="due", attempts=0, due_at=now, changed_at=now)
    )


def remove_endpoint(context: Context, number: int) -> None:
    """Delete an endpoint and all that is known of what it took."""
    with context.database.writing() as connection:
        connection.execute(select(endpoint.c.id).where(endpoint.c.id == number).with_for_update())
        for table in (event_delivery, event_replay):
            connection.execute(delete(table).where(table.c.endpoint_id == number))
        connection.execute(delete(endpoint).where(endpoint.c.id == number))


def rotate_endpoint_secret(context: Context, number: int, *, overlap_hours: int) -> str:
    """Give an endpoint a new secret and return it, this once; the old one signs too for the overlap."""
    secret, now, keys = STANDARD_WEBHOOKS.new_secret(), context.now(), context.keys
    this = endpoint.c.id == number
    with context.database.writing() as connection:
        sealed = connection.execute(select(endpoint.c.secrets).where(this).with_for_update()).scalar_one()
        try:
            ring = turn_ring(keys, SECRETS, sealed, secret, now=now, until=now + overlap_hours * HOUR)
        except BadSignature:  # the key that sealed it is lost, and with it the old secret
            ring = new_ring(keys, SECRETS, secret)
        connection.execute(update(endpoint).where(this).values(secrets=ring))
    return secret
