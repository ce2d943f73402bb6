"""Kiosk, a shop that nobody has: made up to see that one file and its data are all a new shop needs.

It signs event, id and time with the body, in hexadecimal, reckons in whole cents, and says "gone" of what is deleted.
"""

import hmac
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from plugin.errors import BadRequest, BadSignature, Malformed
from plugin.shops.base import Headers, Label, Said, ident, mapping, money, read_json, required, rows

TOLERANCE_SECONDS = 600
_SECOND = 1_000_000
_STATES = {
    "waiting": ("open", "unpaid"),
    "paid": ("open", "paid"),
    "void": ("cancelled", "unpaid"),
    "dropped": ("cancelled", "paid"),
}


def _cents(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, 0)
    if type(value) is not int or not 0 <= value < 10**12:
        raise Malformed(f"{name} is not a number of cents.")
    return money(Fraction(value, 100))


def _time(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 10**10:
        raise Malformed(f"{name} is not a number of seconds since 1970.")
    return datetime.fromtimestamp(value, UTC).isoformat()


def _refund(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": ident(row.get("no"), "A refund's no"), "amount": _cents(row, "cents"), "at": _time(row, "at")}


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    number = ident(row.get("no"), "A line's no")
    return {"id": number, "sku": row.get("sku"), "quantity": row.get("pieces"), "amount": _cents(row, "cents")}


def _order(data: Mapping[str, Any]) -> dict[str, Any]:
    required(data, ("no", "state", "money", "placed", "changed"), "The order")
    known = _STATES.get(str(data["state"]))
    if known is None or not isinstance(data.get("lines"), list):
        raise Malformed("The state is none of Kiosk's, or there are no lines.")
    status, payment = known
    return {
        "id": ident(data["no"], "The order's no"),
        "updated_at": _time(data, "changed"),
        "placed_at": _time(data, "placed"),
        "paid_at": _time(data, "paid"),
        "currency": data["money"],
        "status": status,
        "payment": payment,
        "lines": [_line(row) for row in rows(data, "lines")],
        "refunds": [_refund(row) for row in rows(data, "refunds")],
        "codes": [data["code"]] if isinstance(data.get("code"), str) else [],
        "attributes": {},
    }


class Kiosk:
    """Kiosk's deliveries: order.saved and order.gone."""

    name = "kiosk"
    title = "Kiosk"
    headers = ("kiosk-",)

    def is_ping(self, headers: Headers, body: bytes) -> bool:
        return body == b"hello" and "kiosk-seal" not in headers

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: int) -> None:
        event, number, sent = (headers.get(f"kiosk-{name}", "") for name in ("event", "id", "time"))
        if not (sent.isascii() and sent.isdigit() and len(sent) <= 12):
            raise BadSignature
        if abs(now - int(sent) * _SECOND) > TOLERANCE_SECONDS * _SECOND:
            raise BadSignature
        given = headers.get("kiosk-seal", "").encode("utf-8", "replace")
        signed = "\n".join((event, number, sent)).encode("utf-8", "replace") + b"\n" + body
        good = False
        for secret in secrets:
            good |= hmac.compare_digest(given, hmac.new(secret.encode(), signed, "sha512").hexdigest().encode())
        if not good:
            raise BadSignature

    def label(self, headers: Headers) -> Label:
        return Label(headers.get("kiosk-id"), headers.get("kiosk-event", ""))

    def parse(self, topic: str, body: bytes) -> Said:
        data = mapping(read_json(body), "The body")
        if topic == "order.gone":
            return Said(deleted=(ident(data.get("no"), "The order's no"),))
        return Said(orders=(_order(data),))

    def new_secret(self) -> str:
        return randomness.token_urlsafe(32)

    def check_secret(self, secret: str) -> None:
        if len(secret.strip()) < 20 or not secret.isprintable():
            raise BadRequest("bad_secret", "Kiosk's secret has at least 20 characters.")


SHOP = Kiosk()
