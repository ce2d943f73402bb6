"""Shopify: what the vendor's samples and captured orders mean, and what Shopify asks of whoever holds shops' data.

What they must come to was reckoned by a program of its own, shopify_reading.py, which shares no code with us and was
written first; shopify_cases.py makes the states of each story, which contract/shopify.json tells in any order.
"""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from plugin.domain.order import read_order
from plugin.errors import BadSignature, Malformed
from plugin.models import delivery
from plugin.services.process_inbox import unseal
from plugin.shops.base import ASKED_GONE, ASKED_ORDER, Place
from plugin.shops.shopify import SHOP
from tests.world import Shop, World

HERE = Path(__file__).parent
PAYLOADS = HERE / "payloads" / "shopify"
EXPECTED = json.loads((HERE / "shopify_expected.json").read_text())
FILES = EXPECTED["files"]
ORDERS = [name for name, file in FILES.items() if file.get("order")]
SIGNED = json.loads((PAYLOADS / "composed" / "shopify_signed_order.json").read_text())
SECRET = "hush-hush-hush-hush"
AFTER = "2026-11-23T00:00:00Z"
ANSWER = "rest"  # how the reading calls what the Admin API answers
ALWAYS = "1970-01-02T00:00:00Z"  # some samples were placed in 2008
# Our names of what the reading flags; we also flag a line of which more was given back than it cost.


def body_of(name: str) -> bytes:
    """Return a sample's body."""
    return SIGNED["body"].encode() if name.endswith("shopify_signed_order.json") else (PAYLOADS / name).read_bytes()


def parse(topic: str, body: bytes) -> Any:
    """Read a body under the topic, which the reading calls by its own name where it was an answer."""
    return SHOP.parse(ASKED_ORDER if topic == ANSWER else topic, body)


def order_of(name: str) -> dict[str, Any]:
    """Return the sample's order, numbers as they were written."""
    data = json.loads(body_of(name), parse_float=str)
    found: dict[str, Any] = data.get("order") or data
    return found


def only(name: str) -> bytes:
    """Return a sample's body as a webhook or an answer about one order would hold it: out of the list it stands in."""
    data = json.loads(body_of(name), parse_float=str)
    return json.dumps(data["orders"][0]).encode() if "orders" in data else body_of(name)


def shopify(world: World, url: str = "https://composed-shop.myshopify.com", **details: Any) -> Shop:
    """Add a shop that pays ten percent of everything."""
    shop = world.shop("shopify", url=url, **{"secret": SECRET} | details)
    shop.plan(since=ALWAYS)
    return shop


def send(shop: Shop, topic: str, body: bytes | dict[str, Any], **headers: str) -> int:
    """Send a delivery as Shopify does, signed; return the status."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(shop.secret.encode(), raw, "sha256")).decode(),
        "X-Shopify-Shop-Domain": "composed-shop.myshopify.com",
        "X-Shopify-Webhook-Id": f"fake-{shop.world.number()}",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    status: int = shop.post(raw, {name: value for name, value in sent.items() if value}).status_code
    return status


# -- every sample ------------------------------------------------------------------------------------------------------


def test_every_sample_is_used_or_listed_with_the_reason() -> None:
    there = {str(path.relative_to(PAYLOADS)) for path in PAYLOADS.rglob("*.json")}
    assert there == FILES.keys()
    unused = {name: file["unused"] for name, file in FILES.items() if "unused" in file}
    assert len(unused) == 6 and all(unused.values())


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_means_what_the_reading_says(name: str) -> None:
    (said,) = parse(FILES[name]["topic"], only(name)).orders
    assert read_order(said, str) == read_order(FILES[name]["order"], str)


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if file.get("topic") and not file.get("order")])
def test_what_says_too_little_is_asked_about(name: str) -> None:
    said = parse(FILES[name]["topic"], body_of(name))
    asked = FILES[name]["ask"]
    assert (said.orders, said.asks, said.deleted) == ((), (asked,) if asked else (), ())


@pytest.mark.parametrize("name", EXPECTED["refused"])
def test_a_body_that_is_no_order_says_why(name: str) -> None:
    multi = "composed/shopify_order_multicurrency_noteattr_discount.json"
    bodies = {
        "not_json": b"{",
        "nan": b'{"id": NaN}',
        "a_list": b"[]",
        "no_lines": b'{"id": 1, "currency": "USD", "financial_status": "paid"}',
        "price_with_exponent": json.dumps(order_of(multi)).replace('"45.01"', "4E+1").encode(),
    }
    changes = {
        "impossible_time": {"created_at": "2024-13-24T13:55:18Z"},
        "naive_time": {"created_at": "2024-06-24T13:55:18"},
        "other_currency": {"currency": "CAD"},
        "unknown_financial_status": {"financial_status": "x"},
    }
    assert bodies.keys() | changes.keys() == EXPECTED["refused"].keys()
    body = bodies.get(name) or json.dumps(order_of(multi) | changes[name]).encode()
    with pytest.raises(Malformed):
        SHOP.parse("orders/create", body)


# -- who brought the buyer ---------------------------------------------------------------------------------------------


def test_a_token_on_the_cart_brings_the_order_to_its_sharer(world: World) -> None:
    world.stop_clock(AFTER)
    shop = shopify(world)
    alice = shop.sharer("alice")
    now = {"processed_at": AFTER, "created_at": AFTER, "updated_at": AFTER, "closed_at": None}
    for number, place in enumerate(("note_attributes", "line", "landing_site")):
        token, ref = shop.click(shop.link(alice)), 7_000_000_000_100 + number
        order = order_of("composed/shopify_order_multicurrency_noteattr_discount.json") | now
        order |= {"id": ref, "note_attributes": [], "landing_site": None, "discount_codes": []}
        if place == "note_attributes":
            order["note_attributes"] = [{"name": "_pa", "value": token}]
        elif place == "line":
            order["line_items"][1]["properties"] = {"_pa": token}
        else:
            order["landing_site"] = f"/products/hat?utm_source=line&pa={token}"
        assert send(shop, "orders/create", order) == 200
        world.work()
        assert shop.receipt(str(ref))["winner"] == alice, place
    world.books()


# -- the door ----------------------------------------------------------------------------------------------------------

VECTORS = json.loads((PAYLOADS / "signature_vectors.json").read_text())


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
@pytest.mark.parametrize("spelling", ["x-shopify-hmac-sha256", "shopify-hmac-sha256"])
def test_signatures_of_the_vendors_own_tests(case: dict[str, Any], spelling: str) -> None:
    given = case["X-Shopify-Hmac-Sha256"]
    headers = {} if given is None else {spelling: given}
    if case["valid"]:
        SHOP.verify(headers, case["body"].encode(), [VECTORS["secret"]], 0)
        SHOP.verify(headers, case["body"].encode(), ["the next one", VECTORS["secret"]], 0)
        return
    with pytest.raises(BadSignature):
        SHOP.verify(headers, case["body"].encode(), [VECTORS["secret"]], 0)


def test_the_signed_sample_is_taken_with_its_own_headers_and_only_then(world: World) -> None:
    shop = shopify(world, secret=SIGNED["secret"])
    body = SIGNED["body"].encode()
    assert shop.post(body, SIGNED["headers"]).status_code == 200
    assert shop.post(body + b" ", SIGNED["headers"]).status_code == 401
    plain = {name.removeprefix("X-"): value for name, value in SIGNED["headers"].items()}
    assert shop.post(body, plain).status_code == 200
    (one,) = world.deliveries()
    assert (one["topic"], one["delivery_id"]) == ("orders/create", SIGNED["headers"]["X-Shopify-Webhook-Id"])


@pytest.mark.parametrize(
    ("url", "credentials"),
    [
        ("https://composed-shop.myshopify.com", {}),
        ("https://hats.example.com", {"shop": "composed-shop.myshopify.com", "access_token": "t"}),
    ],
)
def test_fault_16_a_delivery_of_another_shop_of_the_same_app_is_refused(
    world: World, url: str, credentials: dict[str, str]
) -> None:
    shop = shopify(world, url, credentials=credentials)
    body = body_of("webhook_orders_paid.json")
    assert send(shop, "orders/paid", body) == 200
    assert send(shop, "orders/paid", body, X_Shopify_Shop_Domain="other.myshopify.com") == 401
    assert send(shop, "orders/paid", body, X_Shopify_Shop_Domain="Composed-Shop.MyShopify.com") == 200
    assert len(world.deliveries()) == 2


def test_an_order_sent_on_under_another_topic_deletes_nothing(world: World) -> None:
    """Topics are not signed: whoever got hold of a genuine delivery must not be able to cancel the order with it."""
    shop = shopify(world)
    name = "composed/shopify_order_multicurrency_noteattr_discount.json"
    body, ref = body_of(name), FILES[name]["order"]["id"]
    for topic in ("orders/paid", "orders/delete", ASKED_GONE, ASKED_ORDER):
        assert send(shop, topic, body) == 200
    world.work()
    assert shop.see(ref)["status"] == "open"
    found = {one["topic"]: one["state"] for one in world.deliveries()}
    assert found == {
        "orders/paid": "done",
        "orders/delete": "quarantined",
        f"sent:{ASKED_GONE}": "done",
        f"sent:{ASKED_ORDER}": "done",
    }


# -- where the samples show nothing ------------------------------------------------------------------------------------


def said(**changes: Any) -> Any:
    """Return the normal form of the composed order, changed as told."""
    body = order_of("composed/shopify_order_multicurrency_noteattr_discount.json") | changes
    (form,) = SHOP.parse("orders/updated", json.dumps(body).encode()).orders
    return form


@pytest.mark.parametrize(
    ("status", "payment"),
    [
        ("pending", "unpaid"), ("authorized", "unpaid"), ("partially_paid", "unpaid"), ("expired", "unpaid"),
        ("paid", "paid"), ("partially_refunded", "paid"), ("refunded", "paid"), ("voided", "voided"),
    ],
)  # fmt: skip
def test_only_a_whole_payment_is_one(status: str, payment: str) -> None:
    form = said(financial_status=status)
    assert form["payment"] == payment and (form["paid_at"] is None) == (payment != "paid")


def test_a_buyer_is_a_guest_where_shopify_names_no_customer() -> None:
    nobody = {"customer": None, "email": "", "contact_email": None}
    assert said(**nobody)["customer"] is None
    assert said(**nobody | {"email": "a@example.org"})["customer"] == {
        "id": None, "email": "a@example.org", "orders_before": None,
    }  # fmt: skip
    assert said(customer={"id": 7, "orders_count": 3, "email": None}, email="", contact_email="c@example.org")[
        "customer"
    ] == {"id": "7", "email": "c@example.org", "orders_before": 2}


def test_ids_beyond_what_a_double_holds_stay_whole() -> None:
    assert said(id=820982911946154508)["id"] == "820982911946154508"


def test_an_empty_code_is_none() -> None:
    codes = [{"code": ""}, {"code": " "}, {"code": None}, {"code": "FRIEND10"}, {"code": "FRIEND10"}]
    assert said(discount_codes=codes, discount_applications=[])["codes"] == ["FRIEND10"]


def test_the_account_is_known_only_by_a_name_on_myshopify() -> None:
    assert SHOP.account(Place("https://hats.example.com", {})) is None
    assert SHOP.account(Place("https://hats.example.com", {"shop": "h.myshopify.com"})) == "h.myshopify.com"
    assert SHOP.account(Place("https://h.myshopify.com.evil.example", {})) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"line_items": [{"id": 1, "price": "1.00", "quantity": -1}]},
        {"line_items": [{"id": 1, "price": "1.00", "quantity": True}]},
        {"line_items": [{"id": 1, "price": "-1.00", "quantity": 1}]},
        {"line_items": [{"id": 1, "price": "1.00", "quantity": 1, "total_discount": "2.00"}]},
        {"line_items": [{"price": "1.00", "quantity": 1}]},
        {"line_items": [7]},
        {"note_attributes": "x"},
        {"refunds": [{"id": 1, "refund_line_items": [{"line_item_id": 1, "quantity": 1, "subtotal": "-1"}]}]},
        {"refunds": [{"id": 1, "order_adjustments": [{"kind": "shipping_refund", "amount": "5.00"}]}]},
        {"total_price_set": {"shop_money": {"amount": "1.00", "currency_code": "EUR"}}},
        {"customer": "x"},
        {"currency": None},
    ],
)
def test_what_is_wrong_with_an_order_is_said(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        said(**changes)
    assert str(caught.value).endswith(".")


# -- what Shopify asks of whoever holds its shops' data ----------------------------------------------------------------


def bought(world: World, shop: Shop, email: str, number: int) -> str:
    """Have somebody buy by no one's link; return the order's id."""
    now = {"processed_at": AFTER, "created_at": AFTER, "updated_at": AFTER, "closed_at": None, "id": number}
    order = order_of("composed/shopify_order_multicurrency_noteattr_discount.json") | now
    order |= {"customer": {"id": number + 1, "email": email}, "email": email, "contact_email": email}
    assert send(shop, "orders/create", order) == 200
    world.work()
    return str(number)


def events(world: World, kind: str) -> list[dict[str, Any]]:
    """Return the data of the events of a kind."""
    found = world.call("GET", "/events?after=0&limit=500", expect=200)["items"]
    return [one["data"] for one in found if one["type"] == kind]


def bodies(world: World) -> str:
    """Return all that is stored of deliveries, opened."""
    context = world.context
    with context.database.reading() as connection:
        rows = connection.execute(select(delivery.c.body).where(delivery.c.body.is_not(None))).scalars().all()
    return "\n".join(unseal(context, row)[1].decode() for row in rows)


def test_a_buyer_whom_shopify_wants_redacted_is_erased_with_proof_and_once(world: World) -> None:
    world.stop_clock(AFTER)
    shop = shopify(world)
    berta, bob = bought(world, shop, "berta@buyers.example", 7_001), bought(world, shop, "bob@buyers.example", 7_003)
    before = {ref: shop.see(ref) for ref in (berta, bob)}
    told = {"shop_id": 1, "shop_domain": "composed-shop.myshopify.com", "orders_to_redact": [int(berta), 999]}
    told["customer"] = {"id": 7_002, "email": "Berta@buyers.example", "phone": "555"}
    assert send(shop, "customers/redact", told, X_Shopify_Webhook_Id="redact-1") == 200
    world.work()
    (proof,) = events(world, "privacy.buyer_erased")
    assert (proof["kind"], proof["erased_bodies"], proof["shop"]) == ("erase", 2, shop.key) and proof["done_at"]
    assert "berta" not in bodies(world).lower() and "bob@" in bodies(world)
    assert "berta" not in json.dumps(proof).lower()
    assert world.command("replay", "--all")["changed"] == 0
    world.work()
    assert events(world, "privacy.buyer_erased") == [proof]
    assert {ref: shop.see(ref) for ref in (berta, bob)} == before
    world.books()


def test_a_request_for_data_names_what_is_held_and_until_when(world: World) -> None:
    world.stop_clock(AFTER)
    shop = shopify(world)
    berta = bought(world, shop, "berta@buyers.example", 7_001)
    sharer = shop.sharer("berta", email="berta@buyers.example")
    told = {"customer": {"email": "berta@buyers.example"}, "orders_requested": [], "data_request": {"id": 9}}
    assert send(shop, "customers/data_request", told) == 200
    world.work()
    (request,) = events(world, "privacy.data_requested")
    assert (request["orders"], request["sharers"], request["due_at"]) == ([berta], [sharer], "2026-12-23T00:00:00Z")


def test_a_shop_that_leaves_is_asked_no_more_and_redacted_when_it_wants_that(world: World) -> None:
    world.stop_clock(AFTER)
    shop = shopify(world, credentials={"access_token": "t"})
    berta = bought(world, shop, "berta@buyers.example", 7_001)
    assert send(shop, "app/uninstalled", body_of("webhook_app_uninstalled.json")) == 200
    world.work()
    assert world.command("replay", "--all")["changed"] == 0
    world.work()
    assert [one["shop"] for one in events(world, "shop.left")] == [shop.key]
    send(shop, "orders/edited", {"order_edit": {"id": 1, "order_id": int(berta)}})
    world.work()
    (waiting,) = world.command("deliveries", "--state", "waiting")["deliveries"]
    assert "no credentials" in waiting["reason"]
    assert send(shop, "shop/redact", {"shop_id": 1, "shop_domain": "composed-shop.myshopify.com"}) == 200
    world.work()
    assert bodies(world) == "" and events(world, "privacy.shop_erased")[0]["erased_bodies"] == 4
    assert shop.see(berta)["payment"] == "paid"
    world.books()


def test_nobody_can_have_a_buyer_erased_without_the_secret(world: World) -> None:
    shop = shopify(world)
    for topic in ("customers/redact", "shop/redact", "app/uninstalled"):
        assert send(shop, topic, {"id": 1}, X_Shopify_Hmac_Sha256="A" * 43 + "=") == 401
    assert world.deliveries() == []
