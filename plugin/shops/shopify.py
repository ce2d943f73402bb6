"""Shopify: webhooks of the Admin API in their REST shape, and that API for what they do not say.

https://shopify.dev/docs/api/admin-rest/latest/resources/order, https://shopify.dev/docs/apps/build/webhooks. Amounts
are in the shop's own currency (``…_set.shop_money``, else the plain field), whatever the buyer saw. The base is price
times quantity less what was allocated to the line: the header's subtotal and ``total_discount`` leave discounts out.
What was read into bodies that the pages do not explain is listed, with its evidence, in tests/shops/shopify_reading.md.
"""

import hashlib
import json
import re
import secrets as randomness
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

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
    Request,
    Said,
    ShopRefused,
    StaleCursor,
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

_API = "api/2026-07"
_SCOPES = ("read_orders", "read_products")
_TOKEN_SPARE_SECONDS = 300
_PER_PAGE = "250"
_DOMAIN = ".myshopify.com"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com", re.ASCII)
# Whole orders; the others say too little, by the field that names their order.
_WHOLE = frozenset({"orders/create", "orders/paid", "orders/updated", "orders/cancelled", ASKED_ORDER, ASKED_LISTED})
_NAMED_BY = {
    "orders/delete": "id",
    "orders/edited": "order_id",
    "refunds/create": "order_id",
    "order_transactions/create": "order_id",
}
_PRIVACY = {
    "customers/data_request": ("tell", "orders_requested"),
    "customers/redact": ("erase", "orders_to_redact"),
}
# https://shopify.dev/docs/api/admin-graphql/latest/objects/Product
_PRODUCTS = """query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Product {
  id title handle description(truncateAt: 500) onlineStoreUrl featuredMedia { preview { image { url } } }
  collections(first: 250) { nodes { handle } } priceRangeV2 { minVariantPrice { amount currencyCode } } } } }"""
_TOPICS = ("orders/create", "orders/paid", "orders/updated", "orders/cancelled", *_NAMED_BY, "app/uninstalled")
_PAYMENTS = {
    "pending": "unpaid",
    "authorized": "unpaid",
    "partially_paid": "unpaid",
    "expired": "unpaid",
    "paid": "paid",
    "partially_refunded": "paid",
    "refunded": "paid",
    "voided": "voided",
}
_TIMES = ("processed_at", "created_at", "updated_at", "cancelled_at", "closed_at")
_ATTRIBUTES, _PROPERTIES = ("_pa", "pa", "utm_content"), ("_pa", "pa")
_MICROS = 10**6
_RULE = re.compile(r"/price_rules/([0-9]{1,20})/", re.ASCII)
_PAGE = re.compile(r"/products/[^/]+$")  # below a language or a collection too


# --- amounts and times ------------------------------------------------------------------------------------------------


def _signed(row: Mapping[str, Any], name: str, currency: str) -> Fraction:
    """Return an amount in the shop's currency: ``name_set.shop_money``, else the plain field, else 0."""
    both = row.get(f"{name}_set") or {}
    both = mapping(both, f"{name}_set")
    both = mapping(both.get(f"{name}_set") or both, f"{name}_set")  # older pages nest the set in itself
    shop = mapping(both.get("shop_money") or {}, f"{name}_set.shop_money")
    if shop.get("currency_code") not in (None, currency):
        raise Malformed("%(what)s is in another currency than the order.", what=name)
    value = row.get(name) if shop.get("amount") is None else shop["amount"]
    return decimal(str(value) if type(value) is int else value, name)


def _money(row: Mapping[str, Any], name: str, currency: str) -> Fraction:
    amount = _signed(row, name, currency)
    if amount < 0:
        raise Malformed("%(what)s is below zero.", what=name)
    return amount


def _taxes(row: Mapping[str, Any], currency: str) -> Fraction:
    return sum((_money(tax, "price", currency) for tax in rows(row, "tax_lines")), Fraction(0))


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    if type(value) is not int or value < 0:
        raise Malformed("%(what)s is not a whole number from 0.", what=name)
    return value


def _time(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value in (None, ""):
        return None
    try:
        parsed = datetime.fromisoformat(str(value))
        if parsed.tzinfo is None:
            raise Malformed("%(what)s has no zone.", what=name)
        return parsed.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise Malformed("%(what)s is not a time.", what=name) from None


# --- lines ------------------------------------------------------------------------------------------------------------


def _allocated(row: Mapping[str, Any], order: Mapping[str, Any], target: str, currency: str) -> Fraction:
    """Return what discounts took off a row; one that an application made for the other kind of row is not its own."""
    applications = rows(order, "discount_applications")
    total = Fraction(0)
    for one in rows(row, "discount_allocations"):
        index = one.get("discount_application_index")
        meant = None
        if isinstance(index, int) and 0 <= index < len(applications):
            meant = applications[index].get("target_type")
        if meant in (None, target):
            total += _money(one, "amount", currency)
    return total


def _kept(amount: Fraction, quantity: int, removed: int) -> Fraction:
    """Return what stays of an amount when some of the pieces it was for were edited away, in millionths."""
    return Fraction(round(amount * _MICROS * (quantity - removed) / quantity), _MICROS) if removed else amount


def _lines(order: Mapping[str, Any], currency: str, *, tax_included: bool) -> list[dict[str, Any]]:
    """Return the lines as placed, less the pieces that an edit removed.

    A refund lowers ``current_quantity`` as an edit does, so pieces that a refund lists were not removed by an edit.
    """
    refunded: Counter[str] = Counter()
    for refund in rows(order, "refunds"):
        for row in rows(refund, "refund_line_items"):
            refunded[str(row.get("line_item_id"))] += _count(row, "quantity")
    lines = []
    for item in rows(order, "line_items"):
        required(item, ("id", "price"), "The line")
        number, quantity = ident(item["id"], "A line's id"), _count(item, "quantity")
        if "discount_allocations" in item:
            discount = _allocated(item, order, "line_item", currency)
        else:
            discount = _money(item, "total_discount", currency)
        tax = _taxes(item, currency)
        amount = _money(item, "price", currency) * quantity - discount - (tax if tax_included else 0)
        if amount < 0:
            raise Malformed("A line's discounts are more than its price.")
        left = quantity if item.get("current_quantity") is None else _count(item, "current_quantity")
        removed = max(0, quantity - left - refunded[number])
        lines.append(
            {
                "id": number,
                "product_id": optional_ident(item.get("product_id")),
                "variant_id": optional_ident(item.get("variant_id")),
                "sku": text_of(item.get("sku")),
                "title": text_of(item.get("title")),
                "quantity": quantity - removed,
                "amount": money(_kept(amount, quantity, removed)),
                "tax": money(_kept(tax, quantity, removed)),
            }
        )
    return lines


def _shipping(order: Mapping[str, Any], currency: str, *, tax_included: bool) -> dict[str, str]:
    if order.get("shipping_lines") is None:
        return {"amount": money(_money(order, "total_shipping_price", currency)), "tax": "0"}
    amount, taxes = Fraction(0), Fraction(0)
    for way in rows(order, "shipping_lines"):
        if way.get("is_removed") is True:
            continue
        tax = _taxes(way, currency)
        taxes += tax
        amount += _money(way, "price", currency) - _allocated(way, order, "shipping_line", currency)
        amount -= tax if tax_included else 0
    return {"amount": money(max(Fraction(0), amount)), "tax": money(taxes)}


# --- refunds ----------------------------------------------------------------------------------------------------------


def _refund(refund: Mapping[str, Any], currency: str, *, tax_included: bool) -> dict[str, Any]:
    """Return a refund: the goods and shipping it lists, and how much money went back where that is known."""
    lines, parts = [], Fraction(0)
    for row in rows(refund, "refund_line_items"):
        tax = _money(row, "total_tax", currency)
        goods = _money(row, "subtotal", currency) - (tax if tax_included else 0)
        if goods < 0:
            raise Malformed("A refund's tax is more than its subtotal.")
        parts += goods + tax
        lines.append(
            {
                "line_id": ident(row.get("line_item_id"), "A refund's line"),
                "quantity": _count(row, "quantity"),
                "amount": money(goods),
                "tax": money(tax),
            }
        )
    shipping, beside = _refunded_beside(refund, currency, tax_included=tax_included)
    parts += shipping
    return {
        "id": ident(refund.get("id"), "A refund's id"),
        "at": _time(refund, "created_at") or _time(refund, "processed_at"),
        "lines": lines,
        "shipping": money(shipping),
        "amount": money(_sent_back(refund, parts, beside, currency)),
    }


def _refunded_beside(refund: Mapping[str, Any], currency: str, *, tax_included: bool) -> tuple[Fraction, Fraction]:
    """Return (shipping with its tax, other adjustments) that went back beside goods.

    Newer bodies list the same shipping as an adjustment and in ``refund_shipping_lines``: it counts once.
    """
    shipping, beside = Fraction(0), Fraction(0)
    for row in rows(refund, "order_adjustments"):  # money given back is negative there
        given = -_signed(row, "amount", currency) - _signed(row, "tax_amount", currency)
        if row.get("kind") == "shipping_refund":
            shipping += given
        else:
            beside += given
    if not shipping:
        for row in rows(refund, "refund_shipping_lines"):
            shipping += _money(row, "subtotal_amount", currency)
            shipping += 0 if tax_included else _money(row, "tax_amount", currency)
    if shipping < 0:
        raise Malformed("A refund's shipping is below zero.")
    return shipping, beside


def _sent_back(refund: Mapping[str, Any], parts: Fraction, beside: Fraction, currency: str) -> Fraction:
    """Return how much money went back, in the shop's currency.

    Refunds are told "independent from the movement of money", so where none has moved yet it is what they list. Money
    that moved in the buyer's currency is not converted: the shop lists it, with what it gave beside, in its own too.
    """
    moved = [
        row for row in rows(refund, "transactions") if row.get("kind") == "refund" and row.get("status") == "success"
    ]
    if not moved:
        return parts
    if all(row.get("currency") in (None, currency) or row.get("amount_set") for row in moved):
        return sum((_money(row, "amount", currency) for row in moved), Fraction(0))
    return max(Fraction(0), parts + beside)


# --- who, and by whom -------------------------------------------------------------------------------------------------


def _pairs(value: object) -> Iterable[tuple[str, str]]:
    """Yield what attributes or properties name: a list of {name, value}, one such, or an object by name.

    Entries of any other shape are some other program's.
    """
    if value is None:
        return
    if isinstance(value, dict):
        value = [value] if {"name", "value"} <= value.keys() else [{"name": k, "value": v} for k, v in value.items()]
    if not isinstance(value, list):
        raise Malformed("Attributes are neither a list nor an object.")
    for one in value:
        if isinstance(one, dict):
            name, said = one.get("name"), one.get("value")
            if isinstance(name, str) and isinstance(said, str) and said:
                yield name, said


def _tokens(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes that may carry a token: those of the order first, then those of its lines."""
    found: dict[str, list[str]] = {}
    for name, value in _pairs(order.get("note_attributes")):
        if name in _ATTRIBUTES:
            found.setdefault(name, []).append(value)
    for item in rows(order, "line_items"):
        for name, value in _pairs(item.get("properties")):
            if name in _PROPERTIES:
                found.setdefault(name, []).append(value)
    return {name: ",".join(dict.fromkeys(values)) for name, values in found.items()}


def _codes(order: Mapping[str, Any]) -> list[str]:
    by_code = [row for row in rows(order, "discount_applications") if row.get("type") == "discount_code"]
    codes = [row.get("code") for row in rows(order, "discount_codes") + by_code]
    return list(dict.fromkeys(code for code in codes if isinstance(code, str) and code.strip()))


def _customer(order: Mapping[str, Any]) -> dict[str, Any] | None:
    buyer = mapping(order.get("customer") or {}, "The customer")
    number = optional_ident(buyer.get("id"))
    email = buyer.get("email") or order.get("email") or order.get("contact_email") or None
    if number is None and email is None:
        return None
    known = buyer.get("orders_count") is not None
    # The count is of all the buyer's orders, this one among them.
    return {"id": number, "email": email, "orders_before": max(0, _count(buyer, "orders_count") - 1) if known else None}


def _order(order: Mapping[str, Any]) -> dict[str, Any]:
    required(order, ("id", "currency", "financial_status", "created_at"), "The order")
    if not isinstance(order.get("line_items"), list):
        raise Malformed("The order has no line_items.")
    payment = _PAYMENTS.get(str(order["financial_status"]))
    if payment is None:
        raise Malformed("The financial_status is none that Shopify lists.")
    currency, tax_included = str(order["currency"]), order.get("taxes_included") is True
    own = [moment for name in _TIMES if (moment := _time(order, name))]
    refunds = [_refund(refund, currency, tax_included=tax_included) for refund in rows(order, "refunds")]
    placed_at = _time(order, "processed_at") or _time(order, "created_at")  # an import's is the day in the old shop
    return {
        "id": ident(order["id"], "The order's id"),
        "number": str(order.get("name") or order.get("order_number") or order["id"]),
        "updated_at": max([*own, *(one["at"] for one in refunds if one["at"])], key=datetime.fromisoformat),
        "placed_at": placed_at,
        "paid_at": placed_at if payment == "paid" else None,  # a body has no time of payment
        "currency": currency,
        "status": "cancelled" if order.get("cancelled_at") else "open",
        "payment": payment,
        "test": order.get("test") is True,
        "customer": _customer(order),
        "lines": _lines(order, currency, tax_included=tax_included),
        "shipping": _shipping(order, currency, tax_included=tax_included),
        "total": money(max(Fraction(0), _signed(order, "total_price", currency))),
        "refunds": refunds,
        "codes": _codes(order),
        "attributes": _tokens(order),
        "landing_url": text_of(order.get("landing_site")),
        "referrer_url": text_of(order.get("referring_site")),
    }


def _request(topic: str, data: Mapping[str, Any]) -> Request | None:
    """Return what the privacy topics ask for (https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance)."""
    if topic == "app/uninstalled":
        return Request("leave")
    if topic == "shop/redact":
        return Request("erase_shop")
    if topic not in _PRIVACY:
        return None
    kind, named = _PRIVACY[topic]
    buyer, orders = mapping(data.get("customer") or {}, "The customer"), data.get(named) or []
    if not isinstance(orders, list):
        raise Malformed("%(what)s is not a list.", what=named)
    refs = tuple(ident(one, "An order's id") for one in orders)
    return Request(kind, text_of(buyer.get("email")), optional_ident(buyer.get("id")), refs)


# --- asking the shop --------------------------------------------------------------------------------------------------


def _home(place: Place) -> str:
    """Return where the Admin API is: at the shop's name on myshopify.com where its address is another."""
    return f"https://{place.credentials['shop']}" if "shop" in place.credentials else place.url


def _read(answer: Answer) -> Mapping[str, Any]:
    """Read an answer's JSON object, amounts as they are written; raise BadAnswer for anything else."""
    try:
        return mapping(read_json(answer.body, fractions_as_text=True), "The answer")
    except Malformed:
        raise BadAnswer(answer.host, "JSON objects of Shopify's Admin API") from None


def _refusal(answer: Answer) -> ShopRefused:
    """Say what a status of the Admin API means (https://shopify.dev/docs/api/usage/response-codes)."""
    if answer.status == 401:
        return ShopRefused(
            "Shopify does not accept the access token. Install the app in the shop again, and connect the shop with the"
            " token it has then."
        )
    if answer.status == 403:
        return ShopRefused(
            "Shopify does not let the app do that. Give it the scopes read_orders and read_products in its settings,"
            " release a version with them, and install it again."
        )
    if answer.status in (402, 423):
        return ShopRefused("Shopify has frozen or locked the shop. See its admin, and connect it again after that.")
    if answer.status == 404 or 300 <= answer.status < 400:
        return ShopRefused(
            "There is no shop of Shopify's at %(host)s. Connect it by its name on myshopify.com:"
            " --credential shop=NAME.myshopify.com",
            host=answer.host,
        )
    return ShopRefused(
        "The shop answered with status %(status)s where Shopify's Admin API should be.", status=answer.status
    )


class _Tokens:
    """Access tokens that client credentials were exchanged for, until shortly before they end.

    https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[float, str]] = {}

    def of(self, out: Outbound, place: Place) -> str:
        """Return the token that the owner gave, or one that is good for a while."""
        given = place.credentials.get("access_token")
        if given is not None:
            return given
        home, client = _home(place), (place.credentials["client_id"], place.credentials["client_secret"])
        name = home, hashlib.sha256("\0".join(client).encode()).hexdigest()
        until, token = self._known.get(name, (0.0, ""))
        if time.monotonic() < until:
            return token
        asked = {"grant_type": "client_credentials", "client_id": client[0], "client_secret": client[1]}
        answer = out.send("POST", f"{home}/admin/oauth/access_token", json=asked, trusted=Origin.of(place.url))
        if answer.status in (400, 401, 403):
            raise ShopRefused(
                "Shopify does not accept the client id and secret. Copy both from the app's settings, and see that the"
                " app is installed in this shop."
            )
        if answer.status != 200:
            raise _refusal(answer)
        said = _read(answer)
        fresh, seconds = text_of(said.get("access_token")), said.get("expires_in")
        if fresh is None or not isinstance(seconds, int):
            raise BadAnswer(answer.host, "access tokens")
        self._known[name] = time.monotonic() + seconds - _TOKEN_SPARE_SECONDS, fresh
        return fresh

    def forget(self, token: str) -> bool:
        """Forget a token that is no longer good; tell whether another may be had for it."""
        ours = [name for name, (_, known) in self._known.items() if known == token]
        for name in ours:
            self._known.pop(name, None)
        return bool(ours)


_access = _Tokens()


def _call(out: Outbound, place: Place, method: str, path: str, **more: Any) -> Answer:
    """Call the Admin API; a token that ended early is exchanged once more."""
    home = _home(place)
    for _ in range(2):
        token = _access.of(out, place)
        headers = {"X-Shopify-Access-Token": token}
        # What the shop itself said to be its name is no address that the owner typed: it must be a public one.
        answer = out.send(method, f"{home}/admin/{path}", headers=headers, trusted=Origin.of(place.url), **more)
        if answer.status != 401 or not _access.forget(token):
            break
    return answer


def _get(out: Outbound, place: Place, path: str, *, missing: bool = False, **params: str) -> Answer:
    """Ask the Admin API; raise ShopRefused for all but 200, and 404 where that is an answer."""
    answer = _call(out, place, "GET", path, params=params)
    if answer.status != 200 and not (missing and answer.status == 404):
        raise _refusal(answer)
    return answer


def _next_page(answer: Answer) -> str | None:
    """Return the cursor to the next page (https://shopify.dev/docs/api/usage/pagination-rest)."""
    for link in answer.headers.get("link", "").split(","):
        address, _, kind = link.partition(";")
        if 'rel="next"' in kind:
            return dict(parse_qsl(urlsplit(address.strip(" <>")).query)).get("page_info")
    return None


def _listing(answer: Answer) -> Listed:
    found = rows(_read(answer), "orders")
    orders = [(ident(order.get("id"), "The order's id"), listed(order)) for order in found]
    return Listed(said_at(answer), orders, _next_page(answer))


def _product(row: Mapping[str, Any]) -> Product:
    media = mapping(row.get("featuredMedia") or {}, "featuredMedia")
    picture = mapping(mapping(media.get("preview") or {}, "preview").get("image") or {}, "image")
    prices = mapping(row.get("priceRangeV2") or {}, "priceRangeV2")
    price = mapping(prices.get("minVariantPrice") or {}, "minVariantPrice")
    handles = [one.get("handle") for one in rows(mapping(row.get("collections") or {}, "collections"), "nodes")]
    return Product(
        id=str(row["id"]).rpartition("/")[2],
        title=text_of(row.get("title")),
        description=excerpt(row.get("description")),
        # A shop with a storefront of its own shows a product that its online store does not have.
        page=f"/products/{row['handle']}" if text_of(row.get("handle")) else None,
        picture=text_of(picture.get("url")),
        url=text_of(row.get("onlineStoreUrl")),
        price=text_of(price.get("amount")),
        currency=text_of(price.get("currencyCode")),
        collections=tuple(handle for handle in handles if isinstance(handle, str) and handle),
    )


class Shopify:
    """Shopify's webhooks: orders/*, refunds/create, order_transactions/create, app/uninstalled, the privacy topics."""

    name = "shopify"
    title = "Shopify"
    headers = ("x-shopify-", "shopify-")
    credentials = (("access_token",), ("client_id", "client_secret"))
    more = ("shop", "secret")

    def is_ping(self, headers: Headers, body: bytes) -> bool:
        return False

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: int) -> None:
        require_hmac(_header(headers, "hmac-sha256"), body, secrets)

    def label(self, headers: Headers) -> Label:
        shop = _header(headers, "shop-domain").lower() or None
        return Label(_header(headers, "webhook-id") or None, _header(headers, "topic"), shop)

    def account(self, place: Place) -> str | None:
        """Return the shop's name on myshopify.com, which its deliveries carry; None where it is not known."""
        host = urlsplit(_home(place)).hostname or ""
        return host if host.endswith(_DOMAIN) else None

    def parse(self, topic: str, body: bytes) -> Said:
        data = mapping(read_json(body, fractions_as_text=True), "The body")
        if topic in _WHOLE:
            return Said(orders=(_order(mapping(data.get("order") or data, "The order")),))
        if topic == ASKED_GONE:
            return Said(deleted=(ident(data.get("id"), "The order's id"),))
        if topic in _NAMED_BY:
            told = mapping(data.get("order_edit") or data.get("refund") or data, "The body")
            ref = ident(told.get(_NAMED_BY[topic]), "The order's id")
            if topic != "orders/delete":
                return Said(asks=(ref,))
            require_bare(data)
            return Said(deleted=(ref,), asks=(ref,))
        return Said(request=_request(topic, data))

    def ask(self, out: Outbound, place: Place, ref: str) -> Heard:
        """Return an order, with its refunds (https://shopify.dev/docs/api/admin-rest/latest/resources/order).

        Raise Malformed for an id that is none of Shopify's, and outbound's errors.
        """
        if not NUMBER.fullmatch(ref):
            raise Malformed("The order's id is not one of Shopify's.")
        answer = _get(out, place, f"{_API}/orders/{ref}.json", missing=True)
        if answer.status == 404:
            return gone(ref, answer)
        order = mapping(_read(answer).get("order"), "The order")
        return Heard(ASKED_ORDER, said_at(answer), {"order": json.dumps(order).encode()})

    def look(self, out: Outbound, place: Place) -> Profile:
        shop = mapping(_read(_get(out, place, f"{_API}/shop.json")).get("shop"), "The shop")
        granted = rows(_read(_get(out, place, "oauth/access_scopes.json")), "access_scopes")
        missing = [scope for scope in _SCOPES if scope not in {row.get("handle") for row in granted}]
        if missing:
            raise ShopRefused(
                "The app lacks %(scopes)s. Add it to the app's scopes in its settings, release a version with it, and"
                " install the app again.",
                scopes=", ".join(missing),
            )
        domain = (text_of(shop.get("myshopify_domain")) or "").lower()
        return Profile(
            text_of(shop.get("name")),
            text_of(shop.get("currency")),
            text_of(shop.get("iana_timezone")),
            # We go where this says, with the token: a whole name and nothing else, which an ending alone does not tell.
            {"shop": domain} if _NAME.fullmatch(domain) else {},
        )

    def hook(self, out: Outbound, place: Place, address: str, secret: str) -> Sequence[Hook]:
        """Register webhooks (https://shopify.dev/docs/api/admin-rest/latest/resources/webhook).

        Shopify removes one that failed eight times in a row. It signs with the app's client secret, and none of ours.
        """
        path = f"{_API}/webhooks.json"
        there = rows(_read(_get(out, place, path, address=address, limit="250")), "webhooks")
        known = {row.get("topic") for row in there if row.get("address") == address}
        hooks = []
        for topic in _TOPICS:
            if topic not in known:
                wanted = {"webhook": {"topic": topic, "address": address, "format": "json"}}
                answer = _call(out, place, "POST", path, json=wanted)
                if answer.status == 422:
                    raise ShopRefused(
                        "Shopify does not deliver to %(address)s. It wants a public https:// address: set"
                        " PASSALONG_BASE_URL to that of this installation.",
                        address=address,
                    )
                if answer.status not in (200, 201):
                    raise _refusal(answer)
            hooks.append(Hook(topic, "kept" if topic in known else "made"))
        return hooks

    def list_orders(self, out: Outbound, place: Place, since: str, cursor: str | None) -> Listed:
        """List by id, newest first, by cursor.

        An order that changes meanwhile stays where it is in the list; one that is placed meanwhile comes next time.
        """
        path = f"{_API}/orders.json"
        if cursor is None:
            return _listing(_get(out, place, path, limit=_PER_PAGE, status="any", updated_at_min=since))
        answer = _call(out, place, "GET", path, params={"limit": _PER_PAGE, "page_info": cursor})
        if answer.status in (400, 422):
            raise StaleCursor
        if answer.status != 200:
            raise _refusal(answer)
        return _listing(answer)

    def read_again(self, out: Outbound, place: Place, refs: Sequence[str]) -> Listed:
        known = ",".join(ref for ref in refs if NUMBER.fullmatch(ref))
        return _listing(_get(out, place, f"{_API}/orders.json", limit=_PER_PAGE, status="any", ids=known))

    def page_of(self, address: str) -> str | None:
        found = _PAGE.search(path_of(address))
        return found[0] if found else None

    def products(self, out: Outbound, place: Place, refs: Sequence[str]) -> Sequence[Product]:
        """Look products up by GraphQL, which tells all collections at once; they go by their handles."""
        names = [f"gid://shopify/Product/{ref}" for ref in refs if NUMBER.fullmatch(ref)]
        if not names:
            return ()
        asked = {"query": _PRODUCTS, "variables": {"ids": names}}
        answer = _call(out, place, "POST", f"{_API}/graphql.json", json=asked)
        if answer.status != 200:
            raise _refusal(answer)
        said = _read(answer)
        if said.get("errors"):
            raise ShopRefused("Shopify does not tell of its products. Give the app the scope read_products.")
        nodes = mapping(said.get("data"), "data").get("nodes") or []  # null for a product that is gone
        return [_product(row) for row in nodes if isinstance(row, dict) and row.get("id")]

    def make_coupon(self, out: Outbound, place: Place, coupon: Coupon) -> str:
        """Make a price rule with one code (https://shopify.dev/docs/api/admin-rest/latest/resources/pricerule)."""
        known = self._find_code(out, place, coupon)
        if known is not None:
            return known
        kind, worth = ("percentage", coupon.percent) if coupon.percent else ("fixed_amount", coupon.amount)
        rule: dict[str, Any] = {
            "title": coupon.note,
            "target_type": "line_item",
            "target_selection": "all",
            "allocation_method": "across",
            "value_type": kind,
            "value": f"-{worth}",
            "customer_selection": "all",
            "starts_at": "2020-01-01T00:00:00Z",  # at once, whatever the shop's clock says
            "usage_limit": 1 if coupon.once else None,
        }
        made = _call(out, place, "POST", f"{_API}/price_rules.json", json={"price_rule": rule})
        if made.status not in (200, 201):
            raise _refusal(made)
        ref = ident(mapping(_read(made).get("price_rule"), "The price rule").get("id"), "The price rule's id")
        path = f"{_API}/price_rules/{ref}/discount_codes.json"
        named = _call(out, place, "POST", path, json={"discount_code": {"code": coupon.code}})
        if named.status not in (200, 201):
            raise ShopRefused(
                "Shopify did not make the code %(code)s (status %(status)s).", code=coupon.code, status=named.status
            )
        return ref

    def _find_code(self, out: Outbound, place: Place, coupon: Coupon) -> str | None:
        """Return the price rule of the code where it is ours; raise ShopRefused where it is another's."""
        there = _call(out, place, "GET", f"{_API}/discount_codes/lookup.json", params={"code": coupon.code})
        found = _RULE.search(there.headers.get("location", "")) if there.status == 303 else None
        if found is None:
            if there.status not in (303, 404):
                raise _refusal(there)
            return None
        rule = mapping(_read(_get(out, place, f"{_API}/price_rules/{found[1]}.json")).get("price_rule"), "The rule")
        if rule.get("title") != coupon.note:
            raise ShopRefused(
                "The shop has a discount code %(code)s already, which was made for something else.", code=coupon.code
            )
        return found[1]

    def end_coupon(self, out: Outbound, place: Place, ref: str) -> None:
        """Delete the price rule, and the code with it."""
        answer = _call(out, place, "DELETE", f"{_API}/price_rules/{ref}.json")
        if answer.status not in (200, 204, 404):
            raise _refusal(answer)

    def bring_code(self, address: str, code: str) -> str:
        """Lead by the shop's own page that keeps a code for the checkout.

        https://help.shopify.com/manual/discounts/managing-discount-codes
        """
        parts = urlsplit(address)
        home = f"{parts.scheme}://{parts.netloc}"
        return f"{home}/discount/{quote(code, safe='')}?redirect={quote(address.removeprefix(home), safe='')}"

    def new_secret(self) -> str:
        return randomness.token_hex(32)

    def check_secret(self, secret: str) -> None:
        if len(secret.strip()) < 16 or not secret.isprintable():
            raise BadRequest("bad_secret", "Shopify signs with the client secret of the app, at least 16 characters.")


def _header(headers: Headers, name: str) -> str:
    """Return a header in either spelling: webhooks say X-Shopify-…, the newer Events deliveries Shopify-…."""
    return headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or ""


SHOP = Shopify()
