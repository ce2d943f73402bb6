"""The keyed digests that make rows changed or removed behind the books' back visible.

Each row of the record carries a digest of its own; each writing transaction of a shop adds one link to a chain over the
digests of all rows it wrote. The key is derived from the pepper, which lies outside the database.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

PURPOSE = "books"

# The columns a row's digest covers: all that was written, but for numbers the database gives.
SEALED: dict[str, tuple[str, ...]] = {
    "pa_order_state": ("shop_id", "order_id", "sha", "delivery_id", "position"),  # sha is the body's own digest
    "pa_fact": (
        "shop_id", "kind", "at", "recorded_at", "actor", "sharer_id", "order_id", "code", "body", "position",
    ),
    "pa_decision": ("shop_id", "order_id", "body", "cause", "position"),
    "pa_plan": ("shop_id", "version", "in_force_from", "put_at", "body", "position"),
    "pa_sharer": ("shop_id", "person_id", "customer_id", "email_hash", "created_at", "position"),
    "pa_link": (
        "shop_id", "number", "sharer_id", "code", "target_url", "channel", "campaign", "created_at", "position",
    ),
    "pa_transfer": (
        "id", "shop_id", "kind", "currency", "amount", "from_account", "to_account", "sharer_id", "order_id", "role",
        "payout_item_id", "cause", "actor", "about_at", "written_at", "position",
    ),
    "pa_delivery": ("shop_id", "delivery_id", "topic", "body_sha", "received_at"),
}  # fmt: skip

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=lambda value: bytes(value).hex()).encode


def row_mac(key: bytes, table: str, row: Mapping[str, Any]) -> bytes:
    """Return the 16-byte digest of a row of the record."""
    text = _encode([table, *(row[column] for column in SEALED[table])])
    return hashlib.blake2b(text.encode(), key=key, digest_size=16).digest()


def link_mac(key: bytes, before: bytes, position: int, manifest: str, macs: Iterable[bytes]) -> bytes:
    """Return the digest that chains a transaction's rows to everything before it."""
    digest = hashlib.blake2b(before, key=key, digest_size=16)
    digest.update(f"|{position}|{manifest}|".encode())
    for mac in sorted(macs):
        digest.update(mac)
    return digest.digest()


def head_seal(key: bytes, shop_id: int, position: int, mac: bytes) -> bytes:
    """Return the seal of the chain's end; it stands nowhere else, so an older end cannot be put back."""
    return hashlib.blake2b(f"head|{shop_id}|{position}|".encode() + mac, key=key, digest_size=16).digest()


def first_mac(key: bytes, shop_id: int) -> bytes:
    """Return what the chain of a shop begins with."""
    return hashlib.blake2b(f"first|{shop_id}".encode(), key=key, digest_size=16).digest()


def transfer_id(cause: str, order_id: int, sharer_id: int, role: str, kind: str) -> str:
    """Return the id a transfer gets from its cause (what, and at which position of the record): one cause, one row."""
    text = f"{cause}|{order_id}|{sharer_id}|{role}|{kind}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
