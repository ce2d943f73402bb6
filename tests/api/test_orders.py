"""Orders over the API: what each person earns, why, and the owner's word."""

from typing import Any

from tests.api.fed import FedShop, Installation

LATER = "2026-11-02T00:00:00Z"
RELEASE = "2027-06-01T00:00:00Z"


def refunded(shop: FedShop, ref: str, amount: str, **changes: Any) -> dict[str, Any]:
    """Return the order with a refund of some money."""
    refund = {"id": "r1", "amount": amount, "lines": []}
    return shop.order(ref, updated_at=LATER, refunds=[refund], **changes)


def test_an_order_shows_exactly_the_fields_of_the_contract(shop: FedShop) -> None:
    shop.sharer("alice", codes=["A"])
    seen = shop.told(shop.order("1001", codes=["A"], total="105.5"))
    assert list(seen) == [
        "id", "number", "currency", "status", "payment", "placed_at", "paid_at", "release_at", "net", "total",
        "refunded", "flags", "lines", "commissions",
    ]  # fmt: skip
    assert list(seen["commissions"][0]) == [
        "sharer", "role", "amount", "earned", "clawed_back", "state", "plan_version",
    ]  # fmt: skip
    assert (seen["net"], seen["total"], seen["refunded"]) == ("100.00", "105.50", "0.00")
    assert seen["release_at"] == "2026-12-01T10:00:00Z"


def test_an_unknown_order_is_not_there(installation: Installation, shop: FedShop, other_shop: FedShop) -> None:
    shop.told(shop.order("1001"))
    installation.refused("GET", f"/orders/1002?shop={shop.key}", status=404, code="unknown_order")
    installation.refused("GET", f"/orders/1001?shop={other_shop.key}", status=404, code="unknown_order")
    installation.refused("GET", "/orders/1001?shop=nope", status=404, code="unknown_shop")
    assert "shop" in installation.refused("GET", "/orders/1001", status=422, code="invalid")["errors"]


IDS = [
    ("gid://shopify/Order/1", "gid://shopify/Order/1"),
    ("gid://shopify/Order/1", "gid%3A%2F%2Fshopify%2FOrder%2F1"),
    ("/leading", "%2Fleading"),
    ("訂單 #1?&", "%E8%A8%82%E5%96%AE%20%231%3F%26"),
    ("a%2Fb", "a%252Fb"),
    ("a\nb", "a%0Ab"),
    ("a/b/", "a/b/"),
]


def test_any_id_can_be_asked_for(installation: Installation, shop: FedShop) -> None:
    for ref, path in IDS:
        shop.deliver(shop.order(ref))
        installation.work()
        assert installation.call("GET", f"/orders/{path}?shop={shop.key}", expect=200)["id"] == ref
        assert installation.call("GET", f"/orders/{path}/receipt?shop={shop.key}", expect=200)["winner"] is None
        body = {"shop": shop.key, "sharer": None, "reason": "r"}
        assert installation.call("POST", f"/orders/{path}/attribution", body, expect=200)["id"] == ref


def test_an_id_no_database_could_hold_is_not_there(installation: Installation, shop: FedShop) -> None:
    installation.refused("GET", f"/orders/a%00b?shop={shop.key}", status=404, code="not_found")


def test_the_states_of_a_commission(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    unpaid = shop.told(shop.order("1", codes=["A"], payment="unpaid", paid_at=None))
    assert [(one["state"], one["amount"], one["earned"]) for one in unpaid["commissions"]] == [
        ("expected", "0.00", "0.00")
    ]
    assert unpaid["net"] == "100.00"
    paid = shop.told(shop.order("1", codes=["A"], updated_at=LATER, paid_at=LATER))
    assert paid["commissions"][0]["state"] == "pending"
    installation.release(RELEASE)
    assert shop.see("1")["commissions"][0]["state"] == "payable"
    assert shop.receipt("1")["released_at"] is not None
    back = shop.told(refunded(shop, "1", "100.00", codes=["A"]) | {"updated_at": "2026-11-03T00:00:00Z"})
    assert back["commissions"] == [
        {
            "sharer": alice,
            "role": "direct",
            "amount": "0.00",
            "earned": "10.00",
            "clawed_back": "10.00",
            "state": "reversed",
            "plan_version": 2,
        }
    ]
    assert (back["net"], back["refunded"]) == ("0.00", "100.00")


def test_a_cancelled_order_says_so_and_pays_nothing(shop: FedShop) -> None:
    shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    seen = shop.told(shop.order("1", codes=["A"], updated_at=LATER, status="cancelled"))
    assert (seen["status"], seen["net"]) == ("cancelled", "100.00")
    assert [(one["amount"], one["earned"], one["clawed_back"]) for one in seen["commissions"]] == [
        ("0.00", "10.00", "10.00")
    ]


def test_line_figures_are_shown_with_their_rule(installation: Installation, shop: FedShop) -> None:
    rule = {"id": "shoes", "when": {"collections": ["shoes"]}, "pay": {"percent": "33.3333"}}
    shop.plan({"commission": {"rules": [rule], "default": {"percent": "10"}}})
    shop.sharer("alice", codes=["A"])
    lines = [
        {"id": "l1", "quantity": 1, "amount": "9.99", "collections": ["shoes"]},
        {"id": "l2", "quantity": 1, "amount": "0.125", "tax": "0.005"},
    ]
    seen = shop.told(shop.order("1", codes=["A"], lines=lines))
    assert [(one["rule"], one["base"], one["amount"], one["tax"], one["commission"]) for one in seen["lines"]] == [
        ("shoes", "9.99", "9.99", "0.00", "3.33"),
        (None, "0.12", "0.12", "0.00", "0.01"),  # half to even
    ]
    assert seen["commissions"][0]["amount"] == "3.34"


def test_inviter_and_buyer_stand_beside_the_winner(installation: Installation, shop: FedShop) -> None:
    plan = {
        "commission": {"default": {"percent": "10"}},
        "upline": {"percents": ["2"]},
        "buyer": {"cashback_percent": "1.5"},
    }
    shop.plan(plan)
    inviter = shop.sharer("inviter")
    alice = shop.sharer("alice", codes=["A"], referred_by=inviter)
    buyer = shop.sharer("buyer", customer_id="c-1")
    seen = shop.told(shop.order("1", codes=["A"]))
    assert [(one["sharer"], one["role"], one["amount"]) for one in seen["commissions"]] == [
        (alice, "direct", "10.00"),
        (inviter, "upline", "2.00"),
        (buyer, "buyer", "1.50"),
    ]
    receipt = shop.receipt("1")
    assert receipt["frozen"]["uplines"] == [inviter]
    assert [(one["role"], one["amount"], one["lines"][0]["pay"]) for one in receipt["commission"]] == [
        ("direct", "10.00", {"percent": "10"}),
        ("upline", "2.00", {"percent": "2"}),
        ("buyer", "1.50", {"percent": "1.5"}),
    ]


def test_a_former_winner_stays_in_the_list(installation: Installation, shop: FedShop) -> None:
    alice, bob = shop.sharer("alice", codes=["A"]), shop.sharer("bob")
    shop.told(shop.order("1", codes=["A"]))
    body = {"shop": shop.key, "sharer": bob, "reason": "bob told us"}
    seen = installation.call("POST", "/orders/1/attribution", body, expect=200)
    assert seen == shop.see("1")
    assert [(one["sharer"], one["amount"], one["earned"], one["state"]) for one in seen["commissions"]] == [
        (bob, "10.00", "10.00", "pending"),
        (alice, "0.00", "0.00", "reversed"),
    ]
    receipt = shop.receipt("1")
    assert (receipt["winner"], receipt["reason"]) == (bob, "manual")
    assert [(one["kind"], one["accepted"]) for one in receipt["evidence"]] == [("manual", True), ("coupon", True)]
    installation.assert_books()


def test_the_owner_gives_an_order_to_nobody(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    seen = installation.call(
        "POST", "/orders/1/attribution", {"shop": shop.key, "sharer": None, "reason": "staff"}, expect=200
    )
    assert (seen["net"], [one["amount"] for one in seen["commissions"]]) == ("0.00", ["0.00"])
    assert shop.balance(alice)["earned"] == "0.00"


WRONG = [
    ("shop", "nope"),
    ("sharer", "shr_99"),
    ("reason", ""),
    ("reason", "x" * 1_001),
    ("reason", None),
    ("by", "me"),
]


def test_a_wrong_field_of_a_decision_is_named(installation: Installation, shop: FedShop) -> None:
    shop.told(shop.order("1"))
    alice = shop.sharer()
    for field, value in WRONG:
        body = {"shop": shop.key, "sharer": alice, "reason": "r"} | {field: value}
        told = installation.refused("POST", "/orders/1/attribution", body, status=422, code="invalid")
        assert list(told["errors"]) == [field]


def test_a_decision_needs_a_sharer_of_the_shop_and_an_order(
    installation: Installation, shop: FedShop, other_shop: FedShop
) -> None:
    shop.told(shop.order("1"))
    body: dict[str, Any] = {"shop": shop.key, "sharer": other_shop.sharer(), "reason": "r"}
    told = installation.refused("POST", "/orders/1/attribution", body, status=422, code="invalid")
    assert list(told["errors"]) == ["sharer"]
    body["sharer"] = None
    installation.refused("POST", "/orders/2/attribution", body, status=404, code="unknown_order")
    del body["sharer"]
    told = installation.refused("POST", "/orders/1/attribution", body, status=422, code="invalid")
    assert list(told["errors"]) == ["sharer"]


def test_a_held_order_waits_for_a_decision(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    body = {"shop": shop.key, "reason": "odd"}
    seen = installation.call("POST", "/orders/1/hold", body, expect=200)
    assert seen["commissions"][0]["state"] == "held"
    assert shop.receipt("1")["held"] is True
    assert installation.release(RELEASE)["released"] == 0
    installation.call("POST", "/orders/1/attribution", {"shop": shop.key, "sharer": alice, "reason": "ok"}, expect=200)
    assert installation.release(RELEASE)["released"] == 1
    installation.refused("POST", "/orders/1/hold", body, status=409, code="already_released")


def test_the_receipt_tells_refusals_and_cuts(installation: Installation, shop: FedShop) -> None:
    rules = [
        {"id": "r", "when": {"products": ["p1"]}, "pay": {"per_item": {"EUR": "5.00"}}},
        {"id": "once", "when": {"products": ["p2"]}, "pay": {"per_order": {"USD": "90.00"}}},
    ]
    shop.plan({"commission": {"rules": rules, "order_cap": {"USD": "40.00"}}})
    shop.sharer("alice", codes=["A"], group="gold")
    shop.sharer("eve", codes=["E"], status="pending")
    lines = [
        {"id": "l1", "product_id": "p1", "quantity": 1, "amount": "10.00"},
        {"id": "l2", "product_id": "p2", "quantity": 1, "amount": "100.00"},
    ]
    seen = shop.told(shop.order("1", codes=["A", "E"], lines=lines, attributes={"_pa": "forged"}))
    receipt = shop.receipt("1")
    assert seen["net"] == "110.00"
    assert [(one["kind"], one["accepted"], one["reason"]) for one in receipt["evidence"]] == [
        ("coupon", True, "accepted"),
        ("coupon", False, "sharer_pending"),
        ("link", False, "forged"),
    ]
    assert receipt["frozen"] == {
        "group": "gold", "uplines": [], "customer": "new", "channel": None, "campaign": None,
    }  # fmt: skip
    (direct,) = receipt["commission"]
    assert (direct["amount"], direct["cut"]) == ("40.00", "order_cap")
    assert [(one["line"], one["rule"], one["amount"], one.get("note")) for one in direct["lines"]] == [
        ("l1", "r", "0.00", "amount_not_in_currency"),
        ("l2", "once", "40.00", None),
    ]
    assert [one["pay"] for one in direct["lines"]] == [rule["pay"] for rule in rules]


def test_the_receipt_tells_that_no_more_than_the_base_is_paid(shop: FedShop) -> None:
    shop.plan({"commission": {"default": {"per_item": {"USD": "80.00"}}}})
    shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    (direct,) = shop.receipt("1")["commission"]
    assert (direct["amount"], direct["cut"]) == ("100.00", "base")


def test_two_once_per_order_rules_are_no_cut(shop: FedShop) -> None:
    rules = [
        {"id": name, "when": {"products": [name]}, "pay": {"per_order": {"USD": "1.00"}}} for name in ("p1", "p2")
    ]
    shop.plan({"commission": {"rules": rules}})
    shop.sharer("alice", codes=["A"])
    lines = [{"id": str(at), "product_id": f"p{1 + at % 2}", "quantity": 1, "amount": "10.00"} for at in range(4)]
    shop.told(shop.order("1", codes=["A"], lines=lines))
    (direct,) = shop.receipt("1")["commission"]
    assert (direct["amount"], direct["cut"]) == ("2.00", None)


def test_orders_are_listed_last_placed_first(installation: Installation, shop: FedShop) -> None:
    for number in range(5):
        shop.deliver(shop.order(str(number), placed_at=f"2026-11-0{1 + number // 2}T00:00:00Z"))
    installation.work()
    found, cursor = [], ""
    while True:
        page = installation.call("GET", f"/orders?shop={shop.key}&limit=2{cursor}", expect=200)
        found += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert [one["id"] for one in found] == ["4", "3", "2", "1", "0"]
    assert found[0] == shop.see("4")
    for bad in ("x", "1", "1.x", "1.2.3"):
        told = installation.refused("GET", f"/orders?shop={shop.key}&cursor={bad}", status=422, code="invalid")
        assert list(told["errors"]) == ["cursor"]


def test_an_order_that_changes_its_currency_keeps_one_line_per_person(
    installation: Installation, shop: FedShop
) -> None:
    shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    seen = shop.told(shop.order("1", codes=["A"], currency="EUR", updated_at=LATER))
    assert [(one["role"], one["amount"], one["state"]) for one in seen["commissions"]] == [
        ("direct", "10.00", "pending")
    ]
    installation.assert_books()
