"""Trying an endpoint now: a message of type ``ping``, and what came of it."""

import secrets as randomness
from typing import Any

from sqlalchemy import Row, update

from plugin.domain.moment import format_moment
from plugin.errors import BadSignature
from plugin.models import endpoint
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.deliver_event import Outcome, deliver, message
from plugin.services.secret_ring import valid_secrets
from plugin.services.send_events import SECRETS, UNREADABLE


def ping_endpoint(context: Context, row: Row[Any]) -> dict[str, Any]:
    """Send a ping to an endpoint, whatever its state. Where it arrives, what waits for the endpoint is sent at once."""
    outcome = _ping(context, row)
    if outcome.arrived:
        same = (endpoint.c.id == row.id, endpoint.c.url == row.url)
        with context.database.writing() as connection:
            connection.execute(update(endpoint).where(*same).values(rest_until=None))
        context.wake()
    return {"arrived": outcome.arrived, "status": outcome.status, "reason": outcome.reason}


def _ping(context: Context, row: Row[Any]) -> Outcome:
    now = context.now()
    try:
        secrets = valid_secrets(context.keys, SECRETS, row.secrets, now)
    except BadSignature:
        return Outcome(reason=UNREADABLE)
    data = {"endpoint": public_id.show(public_id.ENDPOINT, row.id)}
    one = message(f"ping_{randomness.token_hex(12)}", "ping", format_moment(now), data)
    return deliver(context, row.url, secrets, one)
