"""Which shops can be asked, where they are, and having one asked."""

import json
from ipaddress import ip_address
from typing import Any

from sqlalchemy import Connection, Row, select

from plugin import shops
from plugin.models import task
from plugin.services.context import Context
from plugin.services.shop_secrets import open_credentials, open_secrets
from plugin.services.want_task import want
from plugin.shops.base import Asked, Place

KIND = "ask"


def place_of(context: Context, row: Row[Any]) -> Place:
    """Return where a shop is, with its credentials opened."""
    return Place(row.url, open_credentials(context, row.credentials))


def hook_address(context: Context, row: Row[Any]) -> str:
    """Return where the shop delivers to."""
    return f"{context.settings.base_url}/webhooks/{row.key}"


def newest_secret(context: Context, row: Row[Any]) -> str:
    """Return the webhook secret that the shop shall sign with."""
    secret: str = open_secrets(context, row.secrets)[0]["secret"]
    return secret


def is_local(host: str) -> bool:
    """Tell whether a host is the machine itself, which nobody outside reaches."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def can_ask(context: Context, row: Row[Any]) -> bool:
    """Tell whether the shop can be asked: its platform answers, and its owner gave what it wants to see."""
    adapter = shops.get(row.platform)
    return isinstance(adapter, Asked) and has_credentials(adapter, place_of(context, row))


def has_credentials(adapter: Asked, place: Place) -> bool:
    """Tell whether the owner gave what the platform wants to see."""
    return any(place.credentials.keys() >= set(names) for names in adapter.credentials)


def want_answer(connection: Connection, shop_id: int, ref: str, *, heard_at: int, is_deleted: bool, now: int) -> None:
    """Have the shop asked about an order, unless the last question was asked after the reason to ask had arrived.

    So a replay asks nothing again; but what arrives while an answer is under way may be newer than it.
    """
    last = connection.execute(
        select(task.c.result).where(
            task.c.shop_id == shop_id, task.c.kind == KIND, task.c.ref == ref, task.c.state == "done"
        )
    ).scalar_one_or_none()
    if last is None or json.loads(last)["began_at"] < heard_at:
        want(connection, shop_id, KIND, ref, {"deleted": is_deleted}, now=now)
