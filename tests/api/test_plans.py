"""Plans over the API, and what another plan would have meant."""

from typing import Any

import pytest

from tests.api.fed import TEN_PERCENT, FedShop, Installation

TWENTY_PERCENT = {"commission": {"default": {"percent": "20"}}}
WHOLE = {
    "attribution": {
        "window_days": 30,
        "model": "last",
        "priority": ["manual", "coupon", "link", "binding"],
        "new_customers_only": False,
        "self_purchase": "block",
        "binding": {
            "mode": "none", "valid_days": None, "protected_days": 0, "max_orders": None, "extend_on_order": False,
        },
    },
    "commission": {
        "include_tax": False, "include_shipping": False, "rules": [], "default": {"none": True}, "order_cap": {},
    },
    "upline": {"percents": []},
    "buyer": {"cashback_percent": "0"},
    "hold_days": 30,
    "payout": {"minimum": {}},
}  # fmt: skip


def test_a_new_shop_pays_nothing(installation: Installation) -> None:
    shop = installation.shop()
    plan = installation.call("GET", f"/shops/{shop.key}/plan", expect=200)
    assert plan == {"version": 1, "in_force_from": "1970-01-01T00:00:00Z", **WHOLE}


def test_a_put_without_a_body_wipes_nothing_out(installation: Installation, shop: FedShop) -> None:
    told = installation.refused("PUT", f"/shops/{shop.key}/plan", status=422, code="invalid")
    assert list(told["errors"]) == ["plan"]


def test_put_replaces_the_whole_plan(installation: Installation, shop: FedShop) -> None:
    made = installation.call("PUT", f"/shops/{shop.key}/plan", {"hold_days": 7}, expect=200)
    assert made == {"version": 3, "in_force_from": made["in_force_from"], **WHOLE, "hold_days": 7}
    assert made == installation.call("GET", f"/shops/{shop.key}/plan", expect=200)


def test_a_plan_from_before_a_decided_order_conflicts(installation: Installation, shop: FedShop) -> None:
    shop.told(shop.order("1"))
    path = f"/shops/{shop.key}/plan?from=2026-10-01T00:00:00Z"
    installation.refused("PUT", path, TEN_PERCENT, status=409, code="already_decided")
    made = installation.call("PUT", f"/shops/{shop.key}/plan?from=2026-11-02T00:00:00Z", TEN_PERCENT, expect=200)
    assert (made["version"], made["in_force_from"]) == (3, "2026-11-02T00:00:00Z")


BAD_DATES = ["2199-01-01T00:00:00Z", "soon", "2026-11-01T00:00:00", ""]


def test_a_bad_date_is_refused(installation: Installation, shop: FedShop) -> None:
    for moment in BAD_DATES:
        path = f"/shops/{shop.key}/plan?from={moment}"
        assert list(installation.refused("PUT", path, {}, status=422, code="invalid")["errors"]) == ["from"]


WRONG_PLANS: list[tuple[Any, str]] = [
    ([], "plan"),
    (None, "plan"),
    ("plan", "plan"),
    ({"hold": 1}, "hold"),
    ({"hold_days": "30"}, "hold_days"),
    ({"hold_days": -1}, "hold_days"),
    ({"hold_days": True}, "hold_days"),
    ({"hold_days": None}, "hold_days"),
    ({"attribution": None}, "attribution"),
    ({"attribution": {"window_days": 1.5}}, "attribution.window_days"),
    ({"attribution": {"priority": ["coupon", "coupon"]}}, "attribution.priority"),
    ({"attribution": {"binding": {"mode": "ever"}}}, "attribution.binding.mode"),
    ({"commission": {"default": {"percent": "100.0001"}}}, "commission.default"),
    ({"commission": {"default": {"percent": 10}}}, "commission.default"),
    ({"commission": {"default": {"percent": "1", "none": True}}}, "commission.default"),
    ({"commission": {"order_cap": {"XXX": "1"}}}, "commission.order_cap"),
    ({"commission": {"order_cap": {"USD": "-1"}}}, "commission.order_cap"),
    ({"commission": {"rules": [{"id": "a"}]}}, "commission.rules.0.pay"),
    ({"commission": {"rules": [{"id": "a", "pay": {"none": True}}] * 2}}, "commission.rules.1.id"),
    ({"commission": {"rules": {}}}, "commission.rules"),
    ({"commission": {"rules": [7]}}, "commission.rules.0"),
    ({"upline": {"percents": ["2", "1"]}}, "upline.percents"),
    ({"buyer": {"cashback_percent": "1e1"}}, "buyer.cashback_percent"),
    ({"payout": {"minimum": {"USD": 5}}}, "payout.minimum"),
]


def test_a_wrong_plan_names_its_faults(installation: Installation, shop: FedShop) -> None:
    put, ask = f"/shops/{shop.key}/plan", f"/shops/{shop.key}/what-if"
    for plan, field in WRONG_PLANS:
        told = installation.refused_raw("PUT", put, plan, status=422, code="invalid_plan")
        assert field in told["errors"]
        told = installation.refused("POST", ask, {"plan": plan}, status=422, code="invalid_plan")
        assert ("plan" if field == "plan" else f"plan.{field}") in told["errors"]


def test_what_if_writes_nothing_and_tells_what_differs(installation: Installation, shop: FedShop) -> None:
    alice, bob = shop.sharer("alice", codes=["A"]), shop.sharer("bob", codes=["B"])
    for ref, codes in (("1", ["A"]), ("2", ["A", "B"]), ("3", [])):
        shop.deliver(shop.order(ref, codes=codes))
    installation.work()
    before = installation.counts()
    plan = {"attribution": {"model": "first"}, "commission": {"default": {"percent": "20"}}}
    body = {"plan": plan, "since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z"}
    told = installation.call("POST", f"/shops/{shop.key}/what-if", body, expect=200)
    assert told == {
        "since": "2026-11-01T00:00:00Z",
        "until": "2026-11-02T00:00:00Z",
        "examined": 3,
        "differ": 2,
        "totals": [{"currency": "USD", "role": "direct", "now": "20.00", "then": "40.00"}],
        "orders": [
            {"order": "1", "currency": "USD", "now": "10.00", "then": "20.00", "winner_now": alice,
             "winner_then": alice},
            {"order": "2", "currency": "USD", "now": "10.00", "then": "20.00", "winner_now": bob,
             "winner_then": alice},
        ],
    }  # fmt: skip
    assert installation.counts() == before
    assert (shop.see("2")["commissions"][0]["sharer"], shop.balance(bob)["earned"]) == (bob, "10.00")


def test_what_if_under_the_same_plan_nothing_differs(installation: Installation, shop: FedShop) -> None:
    plan = TEN_PERCENT | {"attribution": {"binding": {"mode": "latest"}}, "upline": {"percents": ["2"]}}
    shop.plan(plan)
    inviter = shop.sharer("inviter")
    shop.sharer("alice", codes=["A"], referred_by=inviter)
    shop.sharer("bob", codes=["B"])
    for number, codes in enumerate([["A"], [], ["B"], [], []]):
        placed = f"2026-11-0{number + 1}T00:00:00Z"
        shop.deliver(shop.order(str(number), codes=codes, placed_at=placed, customer={"id": "c", "orders_before": 3}))
    installation.work()
    installation.release()
    # What comes to be known after the release changes no released order, and no plan would have changed that.
    shop.sharer("late", codes=["L"])
    late = shop.order("4", codes=["L"], placed_at="2026-11-05T00:00:00Z", updated_at="2026-10-01T00:00:00Z",
                      customer={"id": "c", "orders_before": 3})  # fmt: skip
    assert "late_evidence" in shop.told(late)["flags"]
    told = installation.call("POST", f"/shops/{shop.key}/what-if", {"plan": plan}, expect=200)
    assert (told["examined"], told["differ"], told["orders"]) == (5, 0, [])
    assert all(one["now"] == one["then"] for one in told["totals"])


def test_what_if_follows_a_customers_chain_into_the_period(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    customer = {"id": "c", "orders_before": 0}
    shop.deliver(shop.order("1", codes=["A"], customer=customer, placed_at="2026-10-01T00:00:00Z"))
    shop.deliver(shop.order("2", customer=customer, placed_at="2026-11-01T00:00:00Z"))
    shop.deliver(shop.order("3", customer=customer, placed_at="2026-11-02T00:00:00Z"))
    installation.work()
    plan = TEN_PERCENT | {"attribution": {"binding": {"mode": "first", "max_orders": 1}}}
    body = {"plan": plan, "since": "2026-10-15T00:00:00Z"}
    told = installation.call("POST", f"/shops/{shop.key}/what-if", body, expect=200)
    assert [(one["order"], one["winner_now"], one["winner_then"]) for one in told["orders"]] == [("2", None, alice)]


def test_what_if_reads_batch_after_batch(
    installation: Installation, shop: FedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin.services.what_if.BATCH", 2)
    monkeypatch.setattr("plugin.services.what_if.SHOWN_MAX", 3)
    shop.sharer("alice", codes=["A"])
    refs = ["a", "B", "b", "é", "Z", "_", "10", "9"]
    for ref in refs:
        shop.deliver(shop.order(ref, codes=["A"]))
    installation.work()
    told = installation.call("POST", f"/shops/{shop.key}/what-if", {"plan": TWENTY_PERCENT}, expect=200)
    assert (told["examined"], told["differ"]) == (len(refs), len(refs))
    assert [one["order"] for one in told["orders"]] == sorted(refs)[:3]
    assert told["totals"] == [{"currency": "USD", "role": "direct", "now": "80.00", "then": "160.00"}]


WRONG_QUESTIONS = [
    ({}, "plan"),
    ({"plan": {}, "since": "x"}, "since"),
    ({"plan": {}, "since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
    ({"plan": {}, "when": 1}, "when"),
]


def test_a_wrong_question_is_named(installation: Installation, shop: FedShop) -> None:
    for body, field in WRONG_QUESTIONS:
        told = installation.refused("POST", f"/shops/{shop.key}/what-if", body, status=422, code="invalid")
        assert list(told["errors"]) == [field]


def test_another_shops_plan_is_not_there(installation: Installation) -> None:
    for method, path in (("GET", "plan"), ("PUT", "plan"), ("POST", "what-if")):
        body: Any = None if method == "GET" else {"plan": {}} if method == "POST" else {}
        installation.refused(method, f"/shops/nope/{path}", body, status=404, code="unknown_shop")
