"""A shop's webhook secrets and its credentials: how they are sealed, and opened."""

import json
from collections.abc import Mapping
from typing import Any

from plugin.services.context import Context

SECRETS, CREDENTIALS = "shop.secrets", "shop.credentials"


def seal_secrets(context: Context, ring: list[dict[str, Any]]) -> bytes:
    """Return a ring of webhook secrets as it is stored: each with ``valid_until`` or None, the newest first."""
    return context.keys.seal(SECRETS, json.dumps(ring).encode())


def open_secrets(context: Context, sealed: bytes) -> list[dict[str, Any]]:
    """Return the ring; raise BadSignature where no encryption key opens it."""
    ring: list[dict[str, Any]] = json.loads(context.keys.open(SECRETS, sealed))
    return ring


def seal_credentials(context: Context, credentials: Mapping[str, str]) -> bytes:
    """Return the credentials as they are stored."""
    return context.keys.seal(CREDENTIALS, json.dumps(dict(credentials)).encode())


def open_credentials(context: Context, sealed: bytes) -> dict[str, str]:
    """Return the credentials; raise BadSignature where no encryption key opens them."""
    credentials: dict[str, str] = json.loads(context.keys.open(CREDENTIALS, sealed))
    return credentials
