"""A shop's webhook secrets and its credentials, opened and sealed."""

import json
from collections.abc import Mapping
from typing import Any

from plugin.services.context import Context
from plugin.services.secret_ring import open_ring

SECRETS, CREDENTIALS = "shop.secrets", "shop.credentials"


def open_secrets(context: Context, sealed: bytes) -> list[dict[str, Any]]:
    """Return a shop's ring of webhook secrets; raise BadSignature where no encryption key opens it."""
    return open_ring(context.keys, SECRETS, sealed)


def seal_credentials(context: Context, credentials: Mapping[str, str]) -> bytes:
    """Return the credentials as they are stored."""
    return context.keys.seal(CREDENTIALS, json.dumps(dict(credentials)).encode())


def open_credentials(context: Context, sealed: bytes) -> dict[str, str]:
    """Return the credentials; raise BadSignature where no encryption key opens them."""
    credentials: dict[str, str] = json.loads(context.keys.open(CREDENTIALS, sealed))
    return credentials
