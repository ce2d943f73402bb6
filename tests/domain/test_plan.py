"""The plan: every default, every bound, and every fault named under its path at once."""

import copy
from typing import Any

import pytest

from plugin.domain import rules
from plugin.domain.moment import parse_moment
from plugin.domain.plan import Attribution, Binding, Plan, When, complete, read_plan
from plugin.domain.rules.nothing import Nothing
from plugin.domain.rules.per_item import PerItem
from plugin.domain.rules.per_order import PerOrder
from plugin.domain.rules.percent import Percent
from plugin.errors import BadRequest

WHOLE: dict[str, Any] = {
    "attribution": {
        "window_days": 7,
        "model": "first",
        "priority": ["link", "coupon"],
        "new_customers_only": True,
        "self_purchase": "hold",
        "binding": {
            "mode": "latest",
            "valid_days": 365,
            "protected_days": 14,
            "max_orders": 3,
            "extend_on_order": True,
        },
    },
    "commission": {
        "include_tax": True,
        "include_shipping": True,
        "rules": [
            {
                "id": "shoes",
                "when": {
                    "products": ["p1"],
                    "collections": ["shoes"],
                    "skus": ["S"],
                    "groups": ["vip"],
                    "channels": ["instagram"],
                    "campaigns": ["spring"],
                    "customer": "new",
                    "from": "2026-11-01T00:00:00Z",
                    "until": "2026-12-01T00:00:00+08:00",
                },
                "pay": {"percent": "12.5"},
            },
            {"id": "fixed", "when": {}, "pay": {"per_item": {"USD": "5.00", "TWD": "150.00"}}},
        ],
        "default": {"per_order": {"USD": "10.00"}},
        "order_cap": {"USD": "50.00"},
    },
    "upline": {"percents": ["2"]},
    "buyer": {"cashback_percent": "1.25"},
    "hold_days": 14,
    "payout": {"minimum": {"USD": "20.00"}},
}
DEFAULTS: dict[str, Any] = {
    "attribution": {
        "window_days": 30,
        "model": "last",
        "priority": ["manual", "coupon", "link", "binding"],
        "new_customers_only": False,
        "self_purchase": "block",
        "binding": {
            "mode": "none",
            "valid_days": None,
            "protected_days": 0,
            "max_orders": None,
            "extend_on_order": False,
        },
    },
    "commission": {
        "include_tax": False,
        "include_shipping": False,
        "rules": [],
        "default": {"none": True},
        "order_cap": {},
    },
    "upline": {"percents": []},
    "buyer": {"cashback_percent": "0"},
    "hold_days": 30,
    "payout": {"minimum": {}},
}


def set_at(path: str, value: object) -> dict[str, Any]:
    """Return the whole plan with one field changed; ``commission.rules.0.id`` is a path."""
    data = copy.deepcopy(WHOLE)
    place: Any = data
    *parents, last = path.split(".")
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[int(last) if isinstance(place, list) else last] = value
    return data


def faults_of(data: object) -> dict[str, object]:
    """Return what is wrong with a plan, by path."""
    with pytest.raises(BadRequest) as caught:
        read_plan(data)
    assert caught.value.code == "invalid_plan" and caught.value.status == 422
    return caught.value.fields


def test_an_empty_plan_pays_nothing_and_takes_every_default() -> None:
    assert complete({}) == DEFAULTS
    assert read_plan({}) == read_plan(DEFAULTS) == Plan()
    assert read_plan({}).default == Nothing() and read_plan({}).upline_rate is None
    assert Plan().attribution == Attribution(30, "last", ("manual", "coupon", "link", "binding"), False, "block")


def test_a_whole_plan_is_read() -> None:
    plan = read_plan(WHOLE)
    assert plan.attribution == Attribution(
        7, "first", ("link", "coupon"), True, "hold", Binding("latest", 365, 14, 3, True)
    )
    shoes, fixed = plan.rules
    start, end = parse_moment("2026-11-01T00:00:00Z"), parse_moment("2026-11-30T16:00:00Z")
    assert shoes.when == When(
        ("p1",), ("shoes",), ("S",), ("vip",), ("instagram",), ("spring",), "new", from_=start, until=end
    )
    assert (shoes.id, shoes.pay) == ("shoes", Percent(125_000))
    assert (fixed.when, fixed.pay) == (When(), PerItem({"USD": 5_000_000, "TWD": 150_000_000}))
    assert plan.default == PerOrder({"USD": 10_000_000}) and plan.order_cap == {"USD": 50_000_000}
    assert (plan.include_tax, plan.include_shipping) == (True, True)
    assert (plan.upline_rate, plan.cashback_rate, plan.hold_days) == (20_000, 12_500, 14)
    assert plan.payout_minimum == {"USD": 20_000_000}


def test_what_is_stored_is_the_plan_with_its_missing_parts_filled() -> None:
    assert complete(complete(WHOLE)) == complete(WHOLE)
    assert {name: part for name, part in complete(WHOLE).items() if name != "commission"} == {
        name: part for name, part in WHOLE.items() if name != "commission"
    }
    assert complete(WHOLE)["commission"]["rules"][0] == WHOLE["commission"]["rules"][0]
    few = {"attribution": {"binding": {"mode": "first"}}, "commission": {"order_cap": {"USD": "1.00"}}}
    rules = [{"id": "a", "when": {"skus": ["S"]}, "pay": {"none": True}}, {"id": "b", "pay": {"percent": "1"}}]
    whole = complete(few | {"commission": {"order_cap": {"USD": "1.00"}, "rules": rules}})
    assert whole["attribution"] == DEFAULTS["attribution"] | {
        "binding": DEFAULTS["attribution"]["binding"] | {"mode": "first"}
    }
    assert whole["commission"]["order_cap"] == {"USD": "1.00"} and whole["commission"]["default"] == {"none": True}
    assert [rule["when"]["skus"] for rule in whole["commission"]["rules"]] == [["S"], []]
    assert whole["commission"]["rules"][1]["when"]["customer"] == "any"
    assert read_plan(whole) == read_plan(few | {"commission": {"order_cap": {"USD": "1.00"}, "rules": rules}})


def test_a_default_pay_is_replaced_whole() -> None:
    assert complete({"commission": {"default": {"percent": "5"}}})["commission"]["default"] == {"percent": "5"}


def test_one_inviter_is_paid_and_never_two() -> None:
    assert read_plan({"upline": {"percents": ["2"]}}).upline_rate == 20_000
    assert read_plan({"upline": {"percents": ["0"]}}).upline_rate == 0
    assert "upline.percents" in faults_of({"upline": {"percents": ["2", "1"]}})
    assert "upline.percents" in faults_of({"upline": {"percents": ["0", "0"]}})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("attribution.window_days", 0),
        ("attribution.window_days", 36_500),
        ("attribution.priority", []),
        ("attribution.priority", ["binding"]),
        ("attribution.binding.valid_days", 0),
        ("attribution.binding.max_orders", 0),
        ("commission.rules.0.when.from", None),
        ("commission.rules.0.pay", {"percent": "0"}),
        ("commission.rules.0.pay", {"per_item": {}}),
        ("commission.default", {"none": True}),
        ("hold_days", 0),
        ("upline.percents", []),
        ("buyer.cashback_percent", "100"),
    ],
)
def test_the_bounds_themselves_are_allowed(path: str, value: object) -> None:
    read_plan(set_at(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("attribution.window_days", -1),
        ("attribution.window_days", 36_501),
        ("attribution.window_days", "30"),
        ("attribution.window_days", 30.0),
        ("attribution.window_days", True),
        ("attribution.window_days", None),
        ("attribution.model", "lastest"),
        ("attribution.model", None),
        ("attribution.priority", ["coupon", "coupon"]),
        ("attribution.priority", ["click"]),
        ("attribution.priority", "coupon"),
        ("attribution.priority", [["coupon"]]),
        ("attribution.new_customers_only", 1),
        ("attribution.self_purchase", "deny"),
        ("attribution.binding.mode", "last"),
        ("attribution.binding.valid_days", -1),
        ("attribution.binding.protected_days", None),
        ("attribution.binding.max_orders", "1"),
        ("attribution.binding.extend_on_order", "yes"),
        ("commission.include_tax", "true"),
        ("commission.include_shipping", 0),
        ("commission.rules.0.id", ""),
        ("commission.rules.0.id", 1),
        ("commission.rules.0.id", "x" * 101),
        ("commission.rules.1.id", "shoes"),
        ("commission.rules.0.when.products", "p1"),
        ("commission.rules.0.when.products", [1]),
        ("commission.rules.0.when.groups", [""]),
        ("commission.rules.0.when.groups", ["a\x00b"]),
        ("commission.rules.0.when.customer", "old"),
        ("commission.rules.0.when.from", "2026-11-01"),
        ("commission.rules.0.when.until", 5),
        ("commission.rules.0.pay", {}),
        ("commission.rules.0.pay", {"percent": "1", "none": True}),
        ("commission.rules.0.pay", {"percentage": "1"}),
        ("commission.rules.0.pay", {"percent": 1}),
        ("commission.rules.0.pay", {"percent": "100.01"}),
        ("commission.rules.0.pay", {"none": False}),
        ("commission.rules.0.pay", {"per_item": {"usd": "1"}}),
        ("commission.rules.0.pay", {"per_order": "1"}),
        ("commission.rules.0.pay", "none"),
        ("commission.default", None),
        ("commission.order_cap", {"USD": "-1"}),
        ("commission.order_cap", {"USD": 1}),
        ("upline.percents", "2"),
        ("upline.percents", [2]),
        ("upline.percents", ["100.5"]),
        ("buyer.cashback_percent", "1.00001"),
        ("buyer.cashback_percent", None),
        ("hold_days", -1),
        ("hold_days", 3_651),
        ("hold_days", False),
        ("payout.minimum", {"EURO": "1"}),
    ],
)
def test_a_wrong_value_is_refused_under_its_path(path: str, value: object) -> None:
    assert list(faults_of(set_at(path, value))) == [path]


@pytest.mark.parametrize(
    "path",
    ["extra", "attribution.window", "attribution.binding.days", "commission.rule", "commission.rules.0.if"]
    + ["commission.rules.0.when.product", "upline.percent", "buyer.cashback", "payout.minimums"],
)
def test_an_unknown_field_is_refused_under_its_path(path: str) -> None:
    assert faults_of(set_at(path, 1)) == {path: ["Unknown field."]}


@pytest.mark.parametrize("path", ["attribution", "attribution.binding", "commission", "upline", "buyer", "payout"])
def test_a_part_is_an_object(path: str) -> None:
    wrong: list[object] = [None, [], "x", 1]
    for value in wrong:
        assert path in faults_of(set_at(path, value))


def test_all_faults_show_at_once() -> None:
    rules = [{"id": "a"}, {"pay": {"none": True}}, 7, {"id": "a", "pay": {"percent": "x"}}]
    assert set(faults_of({"hold_days": "x", "commission": {"rules": rules}, "gift": 1})) == {
        "hold_days",
        "commission.rules.0.pay",
        "commission.rules.1.id",
        "commission.rules.2",
        "commission.rules.3.id",
        "commission.rules.3.pay",
        "gift",
    }


@pytest.mark.parametrize("data", [None, [], "plan", 1])
def test_a_plan_is_an_object(data: object) -> None:
    assert "plan" in faults_of(data)


def test_at_most_500_rules() -> None:
    many = [{"id": str(number), "pay": {"none": True}} for number in range(501)]
    assert len(read_plan({"commission": {"rules": many[:500]}}).rules) == 500
    assert "commission.rules" in faults_of({"commission": {"rules": many}})


def test_the_ways_to_pay_are_the_files_of_the_folder() -> None:
    rules.read_pay({"none": True})
    assert set(rules._READERS) == {"none", "per_item", "per_order", "percent"}
