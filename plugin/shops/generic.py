"""The generic shop: any shop that can POST, signed by Standard Webhooks 1.0.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
import os
import re
from collections.abc import Sequence

from plugin.errors import BadRequest, BadSignature, Malformed
from plugin.shops.base import Headers, Label, Said, read_json

TOLERANCE_SECONDS = 300
_SIGNATURES_MAX = 20
_SECOND = 1_000_000
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


def _secret_bytes(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("bad_secret", "A webhook secret is whsec_ and then base64.") from None


def sign(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    """Return the ``webhook-signature`` of a delivery; the sender's half, used by demos, tests and our own events."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_secret_bytes(secret), signed, "sha256")).decode()


class Generic:
    """Standard Webhooks with ``{"type": "order", "data": <order>}``."""

    name = "generic"
    title = "Standard Webhooks"
    headers = ("webhook-",)

    def is_ping(self, headers: Headers, body: bytes) -> bool:
        return False

    def signed_at(self, headers: Headers) -> int | None:
        timestamp = headers.get("webhook-timestamp", "")
        return int(timestamp) * _SECOND if _TIMESTAMP.fullmatch(timestamp) else None

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: int) -> None:
        delivery_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not delivery_id or not _TIMESTAMP.fullmatch(timestamp):
            raise BadSignature
        if abs(now - int(timestamp) * _SECOND) > TOLERANCE_SECONDS * _SECOND:
            raise BadSignature
        given = [part.encode("utf-8", "replace") for part in headers.get("webhook-signature", "").split(" ")]
        if len(given) > _SIGNATURES_MAX:
            raise BadSignature
        try:
            signed = f"{delivery_id}.{timestamp}.".encode() + body
        except UnicodeEncodeError:
            raise BadSignature from None
        good = False
        for secret in secrets:
            expected = b"v1," + base64.b64encode(hmac.digest(_secret_bytes(secret), signed, "sha256"))
            for one in given:
                good |= hmac.compare_digest(one, expected)
        if not good:
            raise BadSignature

    def label(self, headers: Headers) -> Label:
        return Label(headers.get("webhook-id"), "order")

    def parse(self, topic: str, body: bytes) -> Said:
        data = read_json(body)
        if not isinstance(data, dict):
            raise Malformed("The body is not an object.")
        if data.get("type") != "order":
            raise Malformed('The type is not "order".')
        if not isinstance(data.get("data"), dict):
            raise Malformed("data is not an order.")
        return Said(orders=(data["data"],))

    def new_secret(self) -> str:
        return "whsec_" + base64.b64encode(os.urandom(32)).decode()

    def check_secret(self, secret: str) -> None:
        if not 16 <= len(_secret_bytes(secret)) <= 128:
            raise BadRequest("bad_secret", "A webhook secret is whsec_ and then base64 of 24 to 64 bytes.")


SHOP = Generic()
