"""Adding a shop, and turning its webhook secret over without losing a delivery."""

import json
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Row, select, update

from plugin import shops
from plugin.domain.moment import SECOND
from plugin.domain.money import DIGITS
from plugin.domain.plan import complete
from plugin.errors import BadRequest, NotFound
from plugin.models import plan, shop
from plugin.services.context import Context
from plugin.services.digest import PURPOSE
from plugin.services.find_leaks import want_watching
from plugin.services.reach_shop import has_credentials
from plugin.services.reconcile_shop import want_reconciling
from plugin.services.recorder import open_chain, recording
from plugin.services.secret_ring import new_ring, turn_ring, valid_secrets
from plugin.services.shop_secrets import SECRETS, seal_credentials
from plugin.services.want_digests import want_digests
from plugin.services.watch_books import want_checks
from plugin.shops.base import Connected, Place

_KEY_BYTES = 8
HOUR = 3_600 * SECOND
OVERLAP_HOURS = 24  # how long a secret stays valid that was turned over


@dataclass(frozen=True, slots=True)
class NewShop:
    """What an owner says of a shop; ``starts_at`` in microseconds since 1970, orders placed before it never earn.

    Where nothing is said, the currency is USD and the time zone UTC. No ``repr`` shows secret and credentials.
    """

    platform: str
    url: str
    name: str | None = None
    currency: str | None = None
    timezone: str | None = None
    secret: str | None = field(default=None, repr=False)
    starts_at: int | None = None
    live: bool = True
    credentials: Mapping[str, str] | None = field(default=None, repr=False)


def home_of(url: str) -> str:
    """Return the shop's address in one spelling; raise BadRequest for what is none."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not url.isprintable() or " " in url:  # no address holds these, and urlsplit takes line breaks out unseen
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        raise BadRequest("bad_url", "A shop's address is like https://shop.example.com, without user or query.")
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def add_shop(context: Context, new: NewShop, *, actor: str) -> dict[str, str]:
    """Add a shop and return its key, platform, webhook address and secret (shown this once)."""
    adapter = shops.get(new.platform)
    home = home_of(new.url)
    currency, timezone = new.currency or "USD", new.timezone or "UTC"
    if currency not in DIGITS:
        raise BadRequest("bad_currency", "%(code)s is not an ISO 4217 code in upper case.", code=currency)
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadRequest(
            "bad_timezone", "%(name)s is not a time zone; write one like Asia/Taipei.", name=timezone
        ) from None
    secret = adapter.new_secret() if new.secret is None else new.secret
    adapter.check_secret(secret)
    now, keys = context.now(), context.keys
    row = {
        "key": randomness.token_hex(_KEY_BYTES),
        "platform": new.platform,
        "url": home,
        "name": new.name or urlsplit(home).hostname or home,
        "currency": currency,
        "timezone": timezone,
        "starts_at": now - now % SECOND if new.starts_at is None else new.starts_at,
        "live": new.live,
        "secrets": new_ring(keys, SECRETS, secret),
        "credentials": seal_credentials(context, new.credentials or {}),
        "created_at": now,
    }
    with context.database.writing() as connection:
        shop_id = connection.execute(shop.insert().values(row).returning(shop.c.id)).scalar_one()
        open_chain(connection, keys.mac_key(PURPOSE), shop_id)
    with recording(context, shop_id, actor=actor) as recorder:
        body = json.dumps(complete({}), sort_keys=True, separators=(",", ":"))
        recorder.add_row(plan, {"version": 1, "in_force_from": 0, "put_at": now, "body": body})
        recorder.emit("shop.added", {"shop": row["key"], "platform": new.platform})
        want_watching(recorder.connection, shop_id, now=now)
        want_digests(recorder.connection, shop_id, now=now)
        want_checks(recorder.connection, shop_id, timezone, now=now)
        if isinstance(adapter, Connected) and has_credentials(adapter, Place(home, new.credentials or {})):
            want_reconciling(recorder.connection, shop_id, now=now)
    return {
        "key": str(row["key"]),
        "platform": new.platform,
        "webhook_url": f"{context.settings.base_url}/webhooks/{row['key']}",
        "webhook_secret": secret,
    }


def find_shop(context: Context, key: str) -> Row[Any]:
    """Return a shop's row by its key; raise NotFound."""
    with context.database.reading() as connection:
        row = connection.execute(select(shop).where(shop.c.key == key)).one_or_none()
    if row is None:
        raise NotFound("unknown_shop", "There is no shop with this key.")
    return row


def rotate_secret(context: Context, key: str, *, overlap_hours: int = OVERLAP_HOURS) -> dict[str, str]:
    """Give a shop a new webhook secret; the old one stays valid for the overlap."""
    row = find_shop(context, key)
    secret = shops.get(row.platform).new_secret()
    now = context.now()
    with context.database.writing() as connection:
        turn_secret(context, connection, row.id, secret, now=now, overlap_hours=overlap_hours)
    return {"webhook_secret": secret}


def turn_secret(
    context: Context, connection: Connection, shop_id: int, secret: str, *, now: int, overlap_hours: int = OVERLAP_HOURS
) -> None:
    """Make a secret the shop's newest; the one before stays valid for the overlap. The newest itself stays as it is."""
    sealed = connection.execute(select(shop.c.secrets).where(shop.c.id == shop_id).with_for_update()).scalar_one()
    if valid_secrets(context.keys, SECRETS, sealed, now)[:1] == [secret]:
        return
    ring = turn_ring(context.keys, SECRETS, sealed, secret, now=now, until=now + overlap_hours * HOUR)
    connection.execute(update(shop).where(shop.c.id == shop_id).values(secrets=ring))
