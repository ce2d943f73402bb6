"""WooCommerce: what a body of a real shop means, and the signatures of secrets as owners paste them.

What answers must come to was reckoned by a program of its own, woocommerce_reading.py, which shares no code with us;
what the captured deliveries come to in any order of arrival stands in contract/woocommerce.json.
"""

import base64
import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from plugin.domain.order import read_order
from plugin.errors import Malformed
from plugin.shops.woocommerce import SHOP
from tests.world import Shop, World

PAYLOADS = Path(__file__).parent / "payloads" / "woocommerce"
CAPTURED = PAYLOADS / "captured"
SECRET = (CAPTURED / "secret.txt").read_text().strip()
ASKED = json.loads((Path(__file__).parent / "woocommerce_expected.json").read_text())["asked"]
SIGNED = json.loads((PAYLOADS / "signed_order_3080.json").read_text())

Delivery = tuple[bytes, dict[str, str]]


@cache
def captured(name: str) -> Delivery:
    """Return a captured delivery, its headers as they were sent."""
    headers = json.loads((CAPTURED / f"{name}.headers.json").read_text())["headers"]
    return (CAPTURED / f"{name}.body.json").read_bytes(), {key: value for key, value in headers if key != "Host"}


NAMES = sorted(path.name.removesuffix(".headers.json") for path in CAPTURED.glob("*.headers.json"))
PING = NAMES[0]


def woocommerce(world: World, secret: str = SECRET) -> Shop:
    """Add a shop that signs with the secret and pays ten percent."""
    shop = world.shop("woocommerce", url="http://127.0.0.1:8071", secret=secret)
    shop.plan()
    return shop


@pytest.mark.parametrize("name", sorted(ASKED))
def test_an_answer_means_what_the_reading_says(name: str) -> None:
    body = (PAYLOADS / "asked" / f"{name}.json").read_bytes()
    if "order" not in json.loads(body):
        assert SHOP.parse("asked/gone", body).deleted == (json.loads(body)["id"],)
        return
    (said,) = SHOP.parse("asked/order", body).orders
    assert read_order(said, str) == read_order(ASKED[name]["asked"]["form"], str)


def test_a_ping_is_greeted_and_not_kept(world: World) -> None:
    shop = woocommerce(world)
    answer = shop.post(*captured(PING))
    assert answer.status_code == 200
    assert world.deliveries() == []
    # Only that very greeting comes without a signature.
    others = (b"webhook_id=1&id=2", b'{"id": 41}', b"webhook_id=", b"webhook_id=x", b"xwebhook_id=1", b"webhook_id=1\n")
    for body in others:
        assert shop.post(body, {"Content-Type": "application/x-www-form-urlencoded"}).status_code == 401
    assert shop.post(b"webhook_id=1", {"X-WC-Webhook-Signature": "A" * 44}).status_code == 401


def test_the_signed_vector_holds_and_its_cut_body_is_quarantined_with_what_it_lacks(world: World) -> None:
    """The secret has an ampersand, angle brackets, a blank and a letter that is not ASCII."""
    shop = woocommerce(world, SIGNED["secret"])
    body = SIGNED["body"].encode()
    assert shop.post(body, SIGNED["headers"]).status_code == 200
    assert shop.post(body + b" ", SIGNED["headers"]).status_code == 401
    world.work()
    (one,) = world.deliveries()
    assert (one["state"], one["reason"]) == ("quarantined", "The order has no status.")
    assert world.call("GET", f"/orders/3080?shop={shop.key}")["status"] == 404


def test_a_secret_that_the_shop_keeps_with_html_entities_signs_as_the_plain_one(world: World) -> None:
    """WooCommerce decodes entities in the secret before it signs; owners paste either spelling."""
    body, sent = captured(NAMES[1])
    plain = 'a&b<c>"d'
    signature = base64.b64encode(hmac.digest(plain.encode(), body, "sha256")).decode()
    for spelling in (plain, "a&amp;b&lt;c&gt;&quot;d"):
        shop = woocommerce(world, spelling)
        assert shop.post(body, sent | {"X-WC-Webhook-Signature": signature}).status_code == 200


# -- what a body means -------------------------------------------------------------------------------------------------


def order(**changes: Any) -> dict[str, Any]:
    """Return the captured order 26 as one delivery stated it, changed as told."""
    body = json.loads(captured("18-order-updated-late-already-refunded")[0])
    return body | changes


def said(**changes: Any) -> Any:
    """Return the normal form of that order."""
    (form,) = SHOP.parse("order.updated", json.dumps(order(**changes)).encode()).orders
    return form


PAID = ("2026-11-22T03:58:50", "2026-11-22T03:58:50Z")


@pytest.mark.parametrize(
    ("status", "date_paid", "status_now", "payment", "paid_at"),
    [
        ("pending", None, "open", "unpaid", None),
        ("on-hold", None, "open", "unpaid", None),
        ("processing", None, "open", "unpaid", None),  # cash on delivery
        ("processing", *PAID[:1], "open", "paid", PAID[1]),
        ("completed", *PAID[:1], "open", "paid", PAID[1]),
        ("refunded", *PAID[:1], "open", "paid", PAID[1]),
        ("cancelled", None, "cancelled", "unpaid", None),
        ("cancelled", *PAID[:1], "cancelled", "paid", PAID[1]),
        ("trash", *PAID[:1], "cancelled", "paid", PAID[1]),
        ("failed", None, "open", "unpaid", None),
        ("checkout-draft", None, "open", "unpaid", None),
        ("wc-some-plugin", None, "open", "unpaid", None),
    ],
)
def test_a_date_says_paid_and_a_status_says_cancelled(
    status: str, date_paid: str | None, status_now: str, payment: str, paid_at: str | None
) -> None:
    form = said(status=status, date_paid_gmt=date_paid, date_completed_gmt=None)
    assert (form["status"], form["payment"], form["paid_at"]) == (status_now, payment, paid_at)


def test_a_completed_order_without_a_date_of_payment_is_paid_when_it_was_completed() -> None:
    form = said(status="completed", date_paid_gmt=None, date_completed_gmt="2026-11-22T05:00:00")
    assert (form["payment"], form["paid_at"]) == ("paid", "2026-11-22T05:00:00Z")


def test_a_discount_by_hand_is_taken_from_the_lines_and_a_surcharge_is_no_goods() -> None:
    lines = [
        {"id": 1, "quantity": 1, "total": "10.00", "total_tax": "1.00"},
        {"id": 2, "quantity": 1, "total": "20.00", "total_tax": "2.00"},
    ]
    fees = [{"total": "-10.00", "total_tax": "-1.00"}, {"total": "7.00", "total_tax": "0.70"}]
    amounts = [(line["amount"], line["tax"]) for line in said(line_items=lines, fee_lines=fees)["lines"]]
    assert amounts == [("6.670000", "0.670000"), ("13.330000", "1.330000")]
    beyond = [{"total": "-99.00", "total_tax": "-99.00"}]
    assert [line["amount"] for line in said(line_items=lines, fee_lines=beyond)["lines"]] == ["0.000000", "0.000000"]


def test_an_order_marked_refunded_without_refunds_is_refunded_whole() -> None:
    form = said(status="refunded", refunds=[], total="49.50")
    assert form["refunds"] == [{"id": "status-refunded", "amount": "49.500000"}]


def test_refunds_are_listed_newest_first_and_applied_oldest_first() -> None:
    rows = [{"id": 9, "total": "-2.00"}, {"id": 8, "total": "-1.00"}]
    assert [row["id"] for row in said(refunds=rows)["refunds"]] == ["8", "9"]


def test_tokens_are_found_in_every_place_where_a_shop_may_keep_them() -> None:
    meta = [
        {"key": "_pa", "value": "one"},
        {"key": "_pa", "value": "two"},
        {"key": "pa", "value": "three"},
        {"key": "_wc_order_attribution_utm_content", "value": "four"},
        {"key": "_wc_order_attribution_session_entry", "value": "https://shop/?pa=five"},
        {"key": "_wc_order_attribution_referrer", "value": "https://line.me/"},
        {"key": "_pa", "value": {"not": "a string"}},
        {"key": None, "value": "x"},
    ]
    form = said(meta_data=meta, coupon_lines=[{"code": ""}, {"code": "A"}, {"code": None}, {"code": "b"}])
    assert form["attributes"] == {"_pa": "one,two", "pa": "three", "utm_content": "four"}
    assert (form["landing_url"], form["referrer_url"]) == ("https://shop/?pa=five", "https://line.me/")
    assert form["codes"] == ["A", "b"]


@pytest.mark.parametrize("name", ["id", "status", "currency", "date_created_gmt", "line_items", "refunds"])
def test_an_order_that_lacks_what_is_needed_is_malformed_by_name(name: str) -> None:
    for empty in (None, ""):
        with pytest.raises(Malformed, match=name):
            said(**{name: empty})


def test_an_order_without_any_date_is_malformed_and_no_error_of_ours() -> None:
    """It once was one, and no delivery after it was processed any more."""
    with pytest.raises(Malformed):
        said(**{name: "" for name in order() if name.startswith("date_")})


def test_a_deletion_and_an_action_say_nothing_but_an_id() -> None:
    deleted = SHOP.parse("order.deleted", captured("15-order-deleted-trashed")[0])
    assert (list(deleted.deleted), list(deleted.orders)) == (["23"], [])
    action = SHOP.parse("action.woocommerce_order_refunded", captured("19-action-order-refunded")[0])
    assert (list(action.deleted), list(action.orders)) == ([], [])


@pytest.mark.parametrize("at", [None, "", 7, "soon", "2026-13-01T00:00:00Z", "2026-11-22T10:00:00", ["2026"]])
def test_an_answer_that_does_not_say_when_it_was_given_is_malformed(at: object) -> None:
    """It once was an error of ours."""
    with pytest.raises(Malformed, match="when it was given"):
        SHOP.parse("asked/order", json.dumps({"at": at, "order": order(), "refunds": []}).encode())
