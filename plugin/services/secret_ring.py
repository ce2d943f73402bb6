"""Rings of webhook secrets, sealed: the newest signs from now on, the ones before it stay valid for an overlap."""

import json
from typing import Any

from plugin.keys import Keys


def new_ring(keys: Keys, purpose: str, secret: str) -> bytes:
    """Return the sealed ring of one secret."""
    return _seal(keys, purpose, [{"secret": secret, "valid_until": None}])


def turn_ring(keys: Keys, purpose: str, sealed: bytes, secret: str, *, now: int, until: int) -> bytes:
    """Return the ring with a newest secret; the newest before it stays valid up to ``until``, older ones as they were.

    Raise BadSignature where the ring cannot be opened.
    """
    kept = [
        {"secret": old["secret"], "valid_until": until if old["valid_until"] is None else old["valid_until"]}
        for old in open_ring(keys, purpose, sealed)
        if old["valid_until"] is None or old["valid_until"] > now
    ]
    return _seal(keys, purpose, [{"secret": secret, "valid_until": None}, *kept])


def valid_secrets(keys: Keys, purpose: str, sealed: bytes, now: int) -> list[str]:
    """Return the secrets that are valid now, the newest first; raise BadSignature where the ring cannot be opened."""
    return [
        one["secret"]
        for one in open_ring(keys, purpose, sealed)
        if one["valid_until"] is None or one["valid_until"] > now
    ]


def open_ring(keys: Keys, purpose: str, sealed: bytes) -> list[dict[str, Any]]:
    """Return the secrets, newest first, each with ``valid_until`` or None; raise BadSignature where no key opens it."""
    members: list[dict[str, Any]] = json.loads(keys.open(purpose, sealed))
    return members


def _seal(keys: Keys, purpose: str, members: list[dict[str, Any]]) -> bytes:
    return keys.seal(purpose, json.dumps(members).encode())
