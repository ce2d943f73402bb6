"""WooCommerce, REST API v3 webhooks (https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks).

What a delivery means was learned from captured ones: the body is the order when it was sent, not when something
happened; refunds come without lines, newest first; paid is a date and not a status; a deleted order is a bare id.
"""

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

from plugin.errors import BadRequest, Malformed
from plugin.outbound import Answer, BadAnswer, Origin, Outbound
from plugin.shops.base import (
    ASKED_GONE,
    ASKED_LISTED,
    ASKED_ORDER,
    NUMBER,
    Coupon,
    Headers,
    Heard,
    Hook,
    Label,
    Listed,
    Place,
    Product,
    Profile,
    Said,
    ShopRefused,
    decimal,
    excerpt,
    gone,
    ident,
    listed,
    mapping,
    money,
    optional_ident,
    path_of,
    read_json,
    require_bare,
    require_hmac,
    required,
    rows,
    said_at,
    text_of,
)

_PING = re.compile(rb"webhook_id=[0-9]{1,20}", re.ASCII)
_DATES = ("date_modified_gmt", "date_paid_gmt", "date_completed_gmt", "date_created_gmt")
# Actions that tell of an order what the four topics of orders do not: one deleted for good.
_ACTIONS = frozenset({"action.woocommerce_before_delete_order"})
_TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored", *sorted(_ACTIONS))
_INLINE = re.compile(r"</?(?:a|b|em|i|small|span|strong|sub|sup|u)\b[^<>]*>", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_STEP_BACK = 50
_PER_PAGE, _PAGES_MAX = 100, 50  # the most rows WooCommerce gives at once; more refunds than any order can have
_CANCELLED = frozenset({"cancelled", "trash"})
_PAID_BY_STATUS = frozenset({"completed", "refunded"})
_ATTRIBUTES = {"_pa": "_pa", "pa": "pa", "_wc_order_attribution_utm_content": "utm_content"}
_ENTRY, _REFERRER = "_wc_order_attribution_session_entry", "_wc_order_attribution_referrer"


def _places(value: object) -> int:
    return len(value.partition(".")[2]) if isinstance(value, str) else 0


def _moment(value: object, name: str) -> str | None:
    """Return a ``*_gmt`` date, which is UTC without saying so, as a time with a zone."""
    if value is None or value == "":
        return None
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError:
        raise Malformed("%(what)s is not a date.", what=name) from None
    if parsed.tzinfo is not None:
        raise Malformed("%(what)s carries a zone, which WooCommerce never sends.", what=name)
    return parsed.isoformat() + "Z"


def _utc(moment: str) -> str:
    """Write the second before a time as WooCommerce does, in UTC without saying so: what it names it leaves out."""
    before = datetime.fromisoformat(moment).astimezone(UTC) - timedelta(seconds=1)
    return before.strftime("%Y-%m-%dT%H:%M:%S")


def _shares(total: Fraction, weights: Sequence[Fraction], unit: Fraction) -> list[Fraction]:
    """Share a discount out by weight in units of the shop's decimals, by largest remainder, ties to the earlier."""
    whole = sum(weights)
    if not whole:
        return [Fraction(0) for _ in weights]
    exact = [total / unit * weight / whole for weight in weights]
    parts = [share.numerator // share.denominator for share in exact]
    rest = round(total / unit) - sum(parts)
    for index in sorted(range(len(parts)), key=lambda one: (parts[one] - exact[one], one))[:rest]:
        parts[index] += 1
    return [part * unit for part in parts]


def _after_discounts(
    items: Sequence[Mapping[str, Any]], fees: Sequence[Mapping[str, Any]], key: str, what: str
) -> list[Fraction]:
    """Return the lines' ``key`` after negative fees, which is how WooCommerce says "discount by hand".

    Positive fees are no goods and are left out.
    """
    amounts = [decimal(item.get(key), what) for item in items]
    if any(amount < 0 for amount in amounts):
        raise Malformed("%(what)s is below zero.", what=what)
    values = [item.get(key) for item in items] + [fee.get(key) for fee in fees]
    unit = Fraction(1, 10 ** max(map(_places, values), default=0))
    for fee in fees:
        discount = min(-decimal(fee.get(key), "A fee"), sum(amounts, Fraction(0)))
        if discount > 0:
            shares = _shares(discount, amounts, unit)
            amounts = [max(Fraction(0), amount - share) for amount, share in zip(amounts, shares, strict=True)]
    return amounts


def _lines(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = rows(data, "line_items")
    for item in items:
        required(item, ("id", "quantity", "total"), "The line")
    fees = [fee for fee in rows(data, "fee_lines") if decimal(fee.get("total"), "A fee") < 0]
    amounts = _after_discounts(items, fees, "total", "A line's total")
    taxes = _after_discounts(items, fees, "total_tax", "A line's total_tax")
    return [
        {
            "id": ident(item["id"], "A line's id"),
            "product_id": optional_ident(item.get("product_id")),
            "variant_id": optional_ident(item.get("variation_id")),
            "sku": item.get("sku"),
            "title": item.get("name"),
            "quantity": item["quantity"],
            "amount": money(amount),
            "tax": money(tax),
        }
        for item, amount, tax in zip(items, amounts, taxes, strict=True)
    ]


def _refunds(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the refunds, oldest first. Their lines are not in the body; what is known is how much went back."""
    if not isinstance(data.get("refunds"), list):
        raise Malformed("The order has no refunds.")
    refunds = []
    for row in reversed(rows(data, "refunds")):
        required(row, ("id", "total"), "The refund")
        amount = abs(decimal(row["total"], "A refund's total"))
        refunds.append({"id": ident(row["id"], "A refund's id"), "amount": money(amount)})
    return refunds


def _asked_at(data: Mapping[str, Any]) -> str:
    at = data.get("at")
    try:
        if isinstance(at, str) and datetime.fromisoformat(at).tzinfo is not None:
            return at
    except ValueError:  # no time at all
        pass
    raise Malformed("The answer does not say when it was given.")


def _refund_line(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a line of a refund that was asked for; None for one that points at no line of the order."""
    targets = [one.get("value") for one in rows(row, "meta_data") if one.get("key") == "_refunded_item_id"]
    quantity = row.get("quantity")
    if not targets:
        return None
    if isinstance(quantity, bool) or not isinstance(quantity, int):
        raise Malformed("A refund's quantity is not a whole number.")
    return {
        "line_id": ident(targets[0], "A refund's line"),
        "quantity": abs(quantity),
        "amount": money(abs(decimal(row.get("total"), "A refund's total"))),
        "tax": money(abs(decimal(row.get("total_tax"), "A refund's tax"))),
    }


def _given_back(told: Sequence[Mapping[str, Any]]) -> Fraction:
    """Return what a refund's rows, in which amounts are negative, give back, tax included."""
    given = (decimal(row.get("total"), "A total") + decimal(row.get("total_tax"), "A total_tax") for row in told)
    return max(Fraction(0), -sum(given, Fraction(0)))


def _age(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("date_created_gmt")), str(row.get("id")).zfill(20)


def _asked_refunds(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the refunds that the shop told when asked, oldest first.

    A fee is no goods, so what goes back of one must not be taken from them: it is left out of the amount.
    """
    refunds = []
    for row in sorted(told, key=_age):
        required(row, ("id", "amount"), "The refund")
        lines = [line for line in map(_refund_line, rows(row, "line_items")) if line is not None]
        amount = abs(decimal(row["amount"], "A refund's amount")) - _given_back(rows(row, "fee_lines"))
        refunds.append(
            {
                "id": ident(row["id"], "A refund's id"),
                "at": _moment(row.get("date_created_gmt"), "date_created_gmt"),
                "lines": lines,
                "shipping": money(_given_back(rows(row, "shipping_lines"))),
                "amount": money(max(Fraction(0), amount)),
            }
        )
    return refunds


def _payment(status: str, dates: Mapping[str, str | None]) -> tuple[str, str | None]:
    """Return the payment and when: a date says "paid"; a status does so only where it can mean nothing else.

    Cash on delivery stands at ``processing`` unpaid until it is completed.
    """
    if dates["date_paid_gmt"]:
        return "paid", dates["date_paid_gmt"]
    if status in _PAID_BY_STATUS:
        return "paid", dates["date_completed_gmt"]
    return "unpaid", None


def _customer(data: Mapping[str, Any]) -> dict[str, Any] | None:
    billing = data.get("billing")
    email = billing.get("email") if isinstance(billing, dict) else None
    number = optional_ident(data.get("customer_id"))
    return {"id": number, "email": email or None, "orders_before": None} if number or email else None


def _meta(data: Mapping[str, Any]) -> tuple[dict[str, str], str | None, str | None]:
    """Return the attributes that may carry a token, the landing address and the referrer."""
    attributes: dict[str, list[str]] = {}
    addresses: dict[str, str] = {}
    for row in rows(data, "meta_data"):
        key, value = row.get("key"), row.get("value")
        if not isinstance(key, str) or not isinstance(value, str) or not value:
            continue
        if key in _ATTRIBUTES:
            attributes.setdefault(_ATTRIBUTES[key], []).append(value)
        elif key in (_ENTRY, _REFERRER):
            addresses.setdefault(key, value)
    return (
        {name: ",".join(values) for name, values in attributes.items()},
        addresses.get(_ENTRY),
        addresses.get(_REFERRER),
    )


def _codes(data: Mapping[str, Any]) -> list[str]:
    return [row["code"] for row in rows(data, "coupon_lines") if row.get("code")]


def _order(data: Mapping[str, Any], refunds: Sequence[Mapping[str, Any]] | None = None, at: str | None = None) -> Any:
    """Return the order; ``refunds`` and ``at`` are what an answer says beside it: whole refunds, and when it was given.

    A refund that is deleted moves no date in the shop, so an answer counts as of the moment it was given.
    """
    required(data, ("id", "status", "currency", "date_created_gmt", "line_items", "refunds"), "The order")
    status = str(data["status"])
    dates = {name: _moment(data.get(name), name) for name in _DATES}
    payment, paid_at = _payment(status, dates)
    total = max(Fraction(0), decimal(data.get("total"), "The total"))
    attributes, landing_url, referrer_url = _meta(data)
    given_back = _refunds(data) if refunds is None else _asked_refunds(refunds)
    shipping = [decimal(data.get(name), name) for name in ("shipping_total", "shipping_tax")]
    return {
        "id": ident(data["id"], "The order's id"),
        "number": str(data.get("number") or data["id"]),
        "updated_at": max((moment for moment in (*dates.values(), at) if moment), key=datetime.fromisoformat),
        "placed_at": dates["date_created_gmt"],
        "paid_at": paid_at,
        "currency": data["currency"],
        "status": "cancelled" if status in _CANCELLED else "open",
        "payment": payment,
        "test": False,
        "customer": _customer(data),
        "lines": _lines(data),
        "shipping": {"amount": money(max(Fraction(0), shipping[0])), "tax": money(max(Fraction(0), shipping[1]))},
        "total": money(total),
        "refunds": given_back or ([{"id": "status-refunded", "amount": money(total)}] if status == "refunded" else []),
        "codes": _codes(data),
        "attributes": attributes,
        "landing_url": landing_url,
        "referrer_url": referrer_url,
    }


# --- asking the shop --------------------------------------------------------------------------------------------------


def _send(out: Outbound, place: Place, method: str, path: str, **more: Any) -> Answer:
    """Call the shop's REST API with its keys; raise ShopRefused for redirects and refused keys."""
    auth = place.credentials["consumer_key"], place.credentials["consumer_secret"]
    url = f"{place.url}/wp-json/wc/v3/{path}"
    answer = out.send(method, url, auth=auth, trusted=Origin.of(place.url), **more)
    if answer.status in (401, 403) and method == "GET":
        raise ShopRefused(
            "WooCommerce does not accept the consumer key. Make a new one with read and write access under WooCommerce"
            " → Settings → Advanced → REST API, and connect the shop again."
        )
    if answer.status in (401, 403):
        raise ShopRefused(
            "WooCommerce's consumer key may only read. Give it read and write access under WooCommerce → Settings →"
            " Advanced → REST API, and connect the shop again."
        )
    _require_no_redirect(answer, place)
    return answer


def _require_no_redirect(answer: Answer, place: Place) -> None:
    if 300 <= answer.status < 400:
        raise ShopRefused(
            "%(address)s leads on to another address. Connect the shop by the address that its own pages show,"
            " with https:// and www. as they have it.",
            address=place.url,
        )


def _get(out: Outbound, place: Place, path: str, *, missing: bool = False, **params: str) -> Answer:
    """Ask the shop's REST API; raise BadAnswer or ShopRefused for all but 200, and 404 where that is an answer."""
    answer = _send(out, place, "GET", path, params=params)
    if answer.status != 200 and not (missing and answer.status == 404):
        raise ShopRefused(
            "The shop answered with status %(status)s where WooCommerce's REST API should be.", status=answer.status
        )
    return answer


def _list(answer: Answer) -> list[Mapping[str, Any]]:
    found = answer.json()
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise BadAnswer(answer.host, "lists of WooCommerce's REST API")
    return found


def _pages(out: Outbound, place: Place, path: str) -> tuple[list[Mapping[str, Any]], Answer]:
    """Return all rows of a list, and the last answer of those that brought them."""
    found: list[Mapping[str, Any]] = []
    for page in range(1, _PAGES_MAX + 1):
        answer = _get(out, place, path, per_page=str(_PER_PAGE), page=str(page))
        rows_here = _list(answer)
        found += rows_here
        if len(rows_here) < _PER_PAGE:
            return found, answer
    most = _PAGES_MAX * _PER_PAGE
    raise ShopRefused("The shop lists more than %(most)s rows where so many cannot be.", most=most)


def _index(out: Outbound, place: Place) -> Mapping[str, Any]:
    """Return what WordPress says of itself (https://developer.wordpress.org/rest-api/extending-the-rest-api/)."""
    answer = out.send("GET", f"{place.url}/wp-json/", trusted=Origin.of(place.url))
    _require_no_redirect(answer, place)
    try:
        index = answer.json() if answer.status == 200 else None
    except BadAnswer:
        index = None
    if not isinstance(index, dict) or not isinstance(index.get("namespaces"), list):
        raise ShopRefused(
            "There is no REST API of WordPress at %(address)s. Check the address; in WordPress choose any permalinks"
            " but Plain under Settings → Permalinks.",
            address=place.url,
        )
    if "wc/v3" not in index["namespaces"]:
        raise ShopRefused(
            "WordPress answers at %(address)s, but without WooCommerce. Switch it on under Plugins.", address=place.url
        )
    return index


def _listing(answer: Answer) -> Listed:
    found = _list(answer)
    if not all(isinstance(row.get("id"), int) for row in found):
        raise BadAnswer(answer.host, "orders with their ids")
    return Listed(said_at(answer), [(str(row["id"]), listed(row)) for row in found])


def _plain(html: object) -> str | None:
    """Return the beginning of what a piece of HTML says."""
    return excerpt(unescape(_TAG.sub(" ", _INLINE.sub("", html)))) if isinstance(html, str) else None


def _product(row: Mapping[str, Any]) -> Product:
    pictures = [one.get("src") for one in rows(row, "images")]
    return Product(
        id=ident(row.get("id"), "A product's id"),
        title=text_of(row.get("name")),
        description=_plain(row.get("short_description")) or _plain(row.get("description")),
        page=path_of(text_of(row.get("permalink")) or "") or None,
        picture=text_of(pictures[0]) if pictures else None,
        url=text_of(row.get("permalink")),
        price=text_of(row.get("price")),
        collections=tuple(slug for one in rows(row, "categories") if (slug := text_of(one.get("slug")))),
    )


class WooCommerce:
    """WooCommerce's webhooks: order.created, order.updated, order.restored, order.deleted, the ping, and actions."""

    name = "woocommerce"
    title = "WooCommerce"
    headers = ("x-wc-",)
    credentials = (("consumer_key", "consumer_secret"),)
    more = ()

    def is_ping(self, headers: Headers, body: bytes) -> bool:
        return "x-wc-webhook-signature" not in headers and _PING.fullmatch(body) is not None

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: int) -> None:
        # WooCommerce signs with the secret after decoding HTML entities in it.
        spellings = {spelling for secret in secrets for spelling in (secret, unescape(secret))}
        require_hmac(headers.get("x-wc-webhook-signature", ""), body, spellings)

    def label(self, headers: Headers) -> Label:
        return Label(headers.get("x-wc-webhook-delivery-id"), headers.get("x-wc-webhook-topic", ""))

    def parse(self, topic: str, body: bytes) -> Said:
        data = read_json(body)
        if not isinstance(data, dict):
            raise Malformed("The body is not an object.")
        if topic == "order.deleted" or topic in _ACTIONS:  # trashed, perhaps; the shop knows
            require_bare(data)
            ref = ident(data.get("arg" if topic in _ACTIONS else "id"), "The order's id")
            return Said(deleted=(ref,), asks=(ref,))
        if topic == ASKED_GONE:
            return Said(deleted=(ident(data.get("id"), "The order's id"),))
        if topic == ASKED_ORDER:
            order = _order(mapping(data.get("order"), "The order"), rows(data, "refunds"), _asked_at(data))
            return Said(orders=(order,))
        if topic.startswith("order.") or topic == ASKED_LISTED:
            order = _order(mapping(data.get("order"), "The order") if topic == ASKED_LISTED else data)
            return Said(orders=(order,), asks=(order["id"],) if order["refunds"] else ())
        return Said()

    def ask(self, out: Outbound, place: Place, ref: str) -> Heard:
        """Return an order with its refunds (https://woocommerce.github.io/woocommerce-rest-api-docs/#order-refunds).

        Raise Malformed for an id that is none of WooCommerce's, and outbound's errors.
        """
        if not NUMBER.fullmatch(ref):
            raise Malformed("The order's id is not one of WooCommerce's.")
        answer = _get(out, place, f"orders/{ref}", missing=True)
        if answer.status == 404:
            return gone(ref, answer)
        answer.json()  # what is stored must be JSON, or the whole delivery would be none
        refunds, last = _pages(out, place, f"orders/{ref}/refunds")
        return Heard(ASKED_ORDER, said_at(last), {"order": answer.body, "refunds": json.dumps(refunds).encode()})

    def look(self, out: Outbound, place: Place) -> Profile:
        index = _index(out, place)
        currency = mapping(_get(out, place, "data/currencies/current").json(), "The currency")
        return Profile(index.get("name") or None, currency.get("code"), index.get("timezone_string") or None)

    def hook(self, out: Outbound, place: Place, address: str, secret: str) -> Sequence[Hook]:
        """Register webhooks (https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks).

        WooCommerce switches one off after several failures in a row, and never tells.
        """
        ours: dict[str, Mapping[str, Any]] = {}
        for row in _pages(out, place, "webhooks")[0]:
            if row.get("delivery_url") == address and (row.get("topic") not in ours or row.get("status") == "active"):
                ours[str(row.get("topic"))] = row
        return [self._hook(out, place, topic, ours.get(topic), address, secret) for topic in _TOPICS]

    def _hook(
        self, out: Outbound, place: Place, topic: str, row: Mapping[str, Any] | None, address: str, secret: str
    ) -> Hook:
        if row is not None and row.get("status") == "active":
            return Hook(topic, "kept")
        wanted = {"name": f"Passalong {topic}", "status": "active", "secret": secret}
        if row is None:
            path, method, done = "webhooks", "POST", "made"
            wanted |= {"topic": topic, "delivery_url": address}
        else:
            path, method, done = f"webhooks/{row['id']}", "PUT", "mended"
        answer = _send(out, place, method, path, json=wanted)
        if answer.status not in (200, 201):
            raise ShopRefused(
                "WooCommerce did not take the webhook %(topic)s (status %(status)s).",
                topic=topic,
                status=answer.status,
            )
        return Hook(topic, done)

    def grant_url(self, home: str, callback: str, back: str) -> str:
        """Return the page of https://woocommerce.github.io/woocommerce-rest-api-docs/#rest-api-keys."""
        query = {"app_name": "Passalong", "scope": "read_write", "user_id": "passalong"}
        return f"{home}/wc-auth/v1/authorize?{urlencode(query | {'return_url': back, 'callback_url': callback})}"

    def granted(self, data: Any) -> Mapping[str, str]:
        told = mapping(data, "What the shop sent")
        keys = {name: text_of(told.get(name)) for name in self.credentials[0]}
        if told.get("key_permissions") != "read_write" or not all(keys.values()):
            raise Malformed("These are no keys with read and write access.")
        return {name: key for name, key in keys.items() if key is not None}

    def list_orders(self, out: Outbound, place: Place, since: str, cursor: str | None) -> Listed:
        """List by id, oldest first.

        An order that changes meanwhile stays where it is in the list, but one that is deleted moves all that follow it
        forward. So each page begins with the row that the last one ended with: where it does not, the list is read
        again from further back.
        """
        offset, _, last = (cursor or "0#").partition("#")
        answer = _get(
            out, place, "orders", modified_after=_utc(since), dates_are_gmt="true", orderby="id", order="asc",
            status="any", per_page=str(_PER_PAGE), offset=offset,
        )  # fmt: skip
        listed_here = _listing(answer)
        start, count = int(offset), len(listed_here.orders)
        if start and (not count or int(listed_here.orders[0][0]) > int(last)):
            return Listed(listed_here.at, (), f"{max(0, start - _STEP_BACK)}#{last}")
        fresh = [one for one in listed_here.orders if not last or int(one[0]) > int(last)]
        total = answer.headers.get("x-wp-total", "")
        is_end = not fresh or (NUMBER.fullmatch(total) is not None and start + count >= int(total))
        return Listed(listed_here.at, fresh, None if is_end else f"{start + count - 1}#{fresh[-1][0]}")

    def read_again(self, out: Outbound, place: Place, refs: Sequence[str]) -> Listed:
        known = ",".join(ref for ref in refs if NUMBER.fullmatch(ref))
        return _listing(_get(out, place, "orders", include=known, status="any", per_page=str(_PER_PAGE)))

    def page_of(self, address: str) -> str | None:
        """Return the path; permalinks can be of any shape."""
        return path_of(address) or None

    def products(self, out: Outbound, place: Place, refs: Sequence[str]) -> Sequence[Product]:
        """Look products up; their collections are WooCommerce's categories, by slug."""
        known = ",".join(ref for ref in refs if NUMBER.fullmatch(ref))
        if not known:
            return ()
        answer = _get(out, place, "products", include=known, status="any", per_page=str(_PER_PAGE))
        return [_product(row) for row in _list(answer)]

    def make_coupon(self, out: Outbound, place: Place, coupon: Coupon) -> str:
        """Make a coupon (https://woocommerce.github.io/woocommerce-rest-api-docs/#coupons)."""
        kind, worth = ("percent", coupon.percent) if coupon.percent else ("fixed_cart", coupon.amount)
        wanted: dict[str, Any] = {"code": coupon.code, "discount_type": kind, "amount": worth}
        wanted |= {"description": coupon.note} | ({"usage_limit": 1} if coupon.once else {})
        answer = _send(out, place, "POST", "coupons", json=wanted)
        if answer.status in (200, 201):
            return ident(mapping(answer.json(), "The coupon").get("id"), "The coupon's id")
        for row in _list(_get(out, place, "coupons", code=coupon.code)):
            if row.get("description") == coupon.note:
                return ident(row.get("id"), "The coupon's id")
            raise ShopRefused(
                "The shop has a coupon %(code)s already, which was made for something else.", code=coupon.code
            )
        raise ShopRefused(
            "WooCommerce did not make the coupon %(code)s (status %(status)s).", code=coupon.code, status=answer.status
        )

    def end_coupon(self, out: Outbound, place: Place, ref: str) -> None:
        """Put a coupon into the bin, where its owner still finds it."""
        answer = _send(out, place, "DELETE", f"coupons/{ref}")
        if answer.status not in (200, 404, 410):
            raise ShopRefused("WooCommerce did not end the coupon (status %(status)s).", status=answer.status)

    def bring_code(self, address: str, code: str) -> str:
        """Name the code in the query, where the lines in docs/shops/woocommerce.md look for it."""
        page, mark, fragment = address.partition("#")
        return f"{page}{'&' if '?' in page else '?'}pa_code={quote(code, safe='')}{mark}{fragment}"

    def new_secret(self) -> str:
        return base64.b64encode(os.urandom(32)).decode()

    def check_secret(self, secret: str) -> None:
        if len(secret.strip()) < 8 or not secret.isprintable():
            raise BadRequest("bad_secret", "A webhook secret has at least 8 characters.")


SHOP = WooCommerce()
