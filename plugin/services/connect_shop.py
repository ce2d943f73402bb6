"""Connecting a shop: try its credentials, learn what it is, have it deliver to us, and fetch its orders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, select, update

from plugin import shops
from plugin.domain.money import DIGITS
from plugin.errors import BadRequest
from plugin.models import delivery, shop
from plugin.services.add_shop import NewShop, add_shop, find_shop, home_of, turn_secret
from plugin.services.context import Context
from plugin.services.reach_shop import has_credentials, hook_address, is_local, newest_secret, place_of
from plugin.services.reconcile_shop import want_reconciling
from plugin.services.recorder import tell
from plugin.services.shop_secrets import seal_credentials
from plugin.shops.base import Connected, Hook, Place, Profile


def connect_shop(context: Context, new: NewShop, *, actor: str) -> dict[str, Any]:
    """Connect a shop, adding it where no shop has this platform and address yet.

    Return its key, name, currency, webhook address and webhooks, and whether it was added. Raise BadRequest for what is
    missing here, ShopRefused for what the shop's owner has to mend there, and outbound's errors.
    """
    adapter = shops.get(new.platform)
    if not isinstance(adapter, Connected):
        raise BadRequest(
            "not_connectable",
            "A shop of platform %(platform)s cannot be asked. Add it: passalong shop add",
            platform=new.platform,
        )
    home = home_of(new.url)
    with context.database.reading() as connection:
        same = select(shop).where(shop.c.platform == new.platform, shop.c.url == home, shop.c.live == new.live)
        row = connection.execute(same.order_by(shop.c.id).limit(1)).one_or_none()
    known = {} if row is None else place_of(context, row).credentials
    place = Place(home, {**known, **(new.credentials or {})})
    if not has_credentials(adapter, place):
        names = " or ".join(" and ".join(some) for some in adapter.credentials)
        raise BadRequest(
            "missing_credentials", "Give what the shop's API asks for by --credential: %(names)s.", names=names
        )
    _require_reachable(context, home)
    profile = adapter.look(context.outbound, place)
    place = Place(home, {**profile.learned, **place.credentials})
    is_new = row is None
    if row is None:
        row = _add(context, new, profile, place, actor)
    secret = new.secret or place.credentials.get("client_secret") or newest_secret(context, row)
    adapter.check_secret(secret)
    hooks = adapter.hook(context.outbound, place, hook_address(context, row), secret)
    _save(context, row, place, secret, hooks, actor)
    return {
        "key": row.key,
        "platform": row.platform,
        "name": row.name,
        "currency": row.currency,
        "timezone": row.timezone,
        "webhook_url": hook_address(context, row),
        "webhooks": [{"topic": hook.topic, "state": hook.state} for hook in hooks],
        "added": is_new,
    }


def _require_reachable(context: Context, home: str) -> None:
    """Refuse a public shop where the shop could never reach us."""
    ours = context.settings.base_url
    if is_local(urlsplit(ours).hostname or "") and not is_local(urlsplit(home).hostname or ""):
        raise BadRequest(
            "local_base_url",
            "The shop cannot deliver to %(address)s. Set PASSALONG_BASE_URL to the public https:// address of this"
            " installation, and connect the shop again.",
            address=ours,
        )


def _add(context: Context, new: NewShop, profile: Profile, place: Place, actor: str) -> Row[Any]:
    """Add the shop as it describes itself; what the owner said of it goes first."""
    currency = new.currency or profile.currency
    if currency is None or currency not in DIGITS:
        raise BadRequest("bad_currency", "The shop does not say its currency. Give it by --currency.")
    described = replace(
        new,
        name=new.name or profile.name,
        currency=currency,
        timezone=new.timezone or profile.timezone or "UTC",
        secret=new.secret or place.credentials.get("client_secret"),
        credentials=place.credentials,
    )
    return find_shop(context, add_shop(context, described, actor=actor)["key"])


def _save(context: Context, row: Row[Any], place: Place, secret: str, hooks: Sequence[Hook], actor: str) -> None:
    """Keep the credentials and the secret, wake the deliveries that waited, and have the shop's orders fetched."""
    now = context.now()
    with context.database.writing() as connection:
        sealed = seal_credentials(context, place.credentials)
        connection.execute(update(shop).where(shop.c.id == row.id).values(credentials=sealed))
        turn_secret(context, connection, row.id, secret, now=now)
        connection.execute(
            update(delivery)
            .where(delivery.c.shop_id == row.id, delivery.c.state == "waiting")
            .values(state="stored", due_at=now, reason=None, lease_by=None, lease_until=None)
        )
        want_reconciling(connection, row.id, now=now, mends_hooks=True)
        made: Mapping[str, Any] = {"shop": row.key, "webhooks": [hook.topic for hook in hooks if hook.state != "kept"]}
        tell(context, connection, row.id, "shop.connected", made, actor=actor)
