"""How an amount comes about: section 6 of the interface page step by step, every number reckoned by hand."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.domain.commission import (
    BELOW_PARTS,
    EXCEEDS,
    MINOR_MAX,
    UNKNOWN_LINE,
    Frozen,
    Outcome,
    Reckoning,
    after_refunds,
    outcome,
)
from plugin.domain.hold import release_at
from plugin.domain.moment import DAY, SECOND, parse_moment
from plugin.domain.order import merge, story_of
from plugin.domain.plan import read_plan
from plugin.errors import Malformed
from tests.domain.builders import ALICE, BOB, CAROL, PLACED, PLACED_AT, fixed, line, read, refund, state, story
from tests.domain.test_order import deleted

ALICES = Frozen(sharer=ALICE, placed_at=PLACED_AT)
WITH_ALL = replace(ALICES, uplines=(BOB,), buyer=CAROL)
TEN_PERCENT: dict[str, Any] = {"percent": "10"}


def a_plan(default: dict[str, Any] | None = None, *rules: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """Return a plan that pays 10 % by default; ``parts`` stand in ``commission`` or, where they belong, beside it."""
    beside: dict[str, Any] = {name: parts.pop(name) for name in ("upline", "buyer", "hold_days") if name in parts}
    return {"commission": {"default": default or TEN_PERCENT, "rules": list(rules), **parts}, **beside}


def rule(id: str, pay: dict[str, Any], **when: Any) -> dict[str, Any]:
    """Return one rule."""
    return {"id": id, "when": when, "pay": pay}


def reckoned(plan: dict[str, Any] | None = None, frozen: Frozen = ALICES, starts_at: int = 0, **order: Any) -> Outcome:
    """Return what an order of these fields earns."""
    return outcome(story(state(**order)), frozen, read_plan(plan or a_plan()), starts_at=starts_at)


def direct(plan: dict[str, Any] | None = None, frozen: Frozen = ALICES, **order: Any) -> int:
    """Return the direct amount in minor units."""
    return reckoned(plan, frozen, **order).now.roles[0].minor


def by_role(one: Reckoning) -> dict[str, int]:
    """Return the amount of each role."""
    return {role.role: role.minor for role in one.roles}


# -- step 1: what earns at all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("payment", "minor"), [("paid", 1_000), ("unpaid", 0), ("voided", 0), ("chargeback", 0)])
def test_nothing_is_earned_while_the_order_is_not_paid(payment: str, minor: int) -> None:
    assert direct(payment=payment) == minor


def test_nothing_is_earned_by_a_cancelled_or_a_test_order() -> None:
    assert direct(status="cancelled") == 0
    assert direct(test=True) == 0


def test_nothing_is_earned_by_an_order_placed_before_the_shops_start() -> None:
    assert reckoned(starts_at=PLACED_AT).now.roles[0].minor == 1_000
    assert reckoned(starts_at=PLACED_AT + 1).now.roles[0].minor == 0


def test_a_deleted_order_earns_nothing_until_the_shop_states_something_newer() -> None:
    gone = deleted(story(), PLACED_AT)
    plan = read_plan(a_plan())
    assert outcome(gone, ALICES, plan, starts_at=0).now.roles[0].minor == 0
    stated = merge(gone, story_of(state(updated_at="2026-11-02T10:00:00Z")))
    assert outcome(stated, ALICES, plan, starts_at=0).now.roles[0].minor == 1_000


def test_without_a_winner_nobody_earns_the_buyer_neither() -> None:
    plan = a_plan(upline={"percents": ["5"]}, buyer={"cashback_percent": "5"})
    nobody = reckoned(plan, replace(WITH_ALL, sharer=None))
    assert nobody.now.roles == nobody.earned.roles == () and nobody.now.net == 0


@pytest.mark.parametrize(
    ("changes", "earned"),
    [
        ({"refunds": [refund("r", "40.00")]}, 1_000),
        ({"status": "cancelled"}, 1_000),
        ({"payment": "chargeback", "refunds": [refund("r", "40.00")]}, 1_000),
        ({"payment": "chargeback", "status": "cancelled"}, 1_000),
        ({"payment": "unpaid"}, 0),
        ({"payment": "voided"}, 0),
        ({"test": True, "refunds": [refund("r", "40.00")]}, 0),
    ],
)
def test_earned_is_what_it_would_be_without_refunds_cancellation_or_chargeback(
    changes: dict[str, Any], earned: int
) -> None:
    assert reckoned(**changes).earned.roles[0].minor == earned


def test_earned_before_the_start_is_zero() -> None:
    assert reckoned(starts_at=PLACED_AT + 1, refunds=[refund("r", "1")]).earned.roles[0].minor == 0


def test_net_is_the_sum_of_the_commissioned_bases_whatever_payment_and_status() -> None:
    for changes in ({}, {"payment": "unpaid"}, {"status": "cancelled"}, {"test": True}):
        assert reckoned(**changes).now.net == 10_000
    lines = [line("a", "10.005", sku="S"), line("b", "90.00")]
    plan = a_plan({"none": True}, rule("s", TEN_PERCENT, skus=["S"]))
    assert reckoned(plan, lines=lines).now.net == 1_000  # 10.005 to the even cent
    assert reckoned(plan, lines=lines, currency="TWD").now.net == 1_000  # to the minor unit, not the whole dollar


# -- step 2: the base --------------------------------------------------------------------------------------------------

TAXED: dict[str, Any] = {
    "lines": [line("a", "60.00", tax="6.00"), line("b", "40.00", tax="2.00")],
    "shipping": {"amount": "8.00", "tax": "2.00"},
}


@pytest.mark.parametrize(
    ("tax", "shipping", "bases"),
    [(False, False, (60, 40)), (True, False, (66, 42)), (False, True, ("64.8", "43.2")), (True, True, (72, 46))],
)
def test_tax_and_shipping_are_in_the_base_where_the_plan_says_so(
    tax: bool, shipping: bool, bases: tuple[int | str, int | str]
) -> None:
    now = reckoned(a_plan(include_tax=tax, include_shipping=shipping), **TAXED).now
    assert [figure.base for figure in now.lines] == [Fraction(base) * 10**6 for base in bases]


def test_shipping_is_spread_by_the_original_amounts_and_shrinks_with_its_refund() -> None:
    back = refund("r", "65.00", ("a", 1, "60.00"), shipping="5.00")  # half of 10.00 shipping with tax
    now = reckoned(a_plan(include_shipping=True), **TAXED, refunds=[back]).now
    assert [figure.base for figure in now.lines] == [2_400_000, 41_600_000]
    now = reckoned(a_plan(include_shipping=True, include_tax=True), **TAXED, refunds=[back]).now
    assert [figure.base for figure in now.lines] == [6_000_000 + 3_000_000, 42_000_000 + 2_000_000]


def test_shipping_goes_nowhere_where_all_lines_were_free() -> None:
    free: dict[str, Any] = {"lines": [line("a", "0"), line("b", "0")], "shipping": {"amount": "8.00"}}
    assert reckoned(a_plan(include_shipping=True), **free).now.net == 0


def test_shipping_on_a_line_that_pays_none_is_nobodys() -> None:
    plan = a_plan({"none": True}, rule("a", TEN_PERCENT, products=["p"]), include_shipping=True)
    lines = [line("a", "75.00", product_id="p"), line("b", "25.00")]
    assert direct(plan, lines=lines, shipping={"amount": "4.00"}) == 780


# -- step 3: rules -----------------------------------------------------------------------------------------------------

GIFT = {"percent": "50"}


def test_each_line_takes_the_first_rule_whose_conditions_hold_else_the_default() -> None:
    plan = a_plan({"percent": "1"}, rule("s", {"percent": "20"}, skus=["S"]), rule("all", TEN_PERCENT, skus=["S", "T"]))
    lines = [line("a", "10.00", sku="S"), line("b", "10.00", sku="T"), line("c", "10.00", sku=None)]
    now = reckoned(plan, lines=lines).now
    assert [figure.rule and figure.rule.id for figure in now.lines] == ["s", "all", None]
    assert now.roles[0].by_line == (200, 100, 10)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"products": ["p1", "p9"]}, True),
        ({"products": ["p9"]}, False),
        ({"collections": ["hats", "shoes"]}, True),
        ({"collections": ["hats"]}, False),
        ({"skus": ["S"]}, True),
        ({"skus": ["s"]}, False),
        ({"groups": ["vip"]}, True),
        ({"groups": ["other"]}, False),
        ({"channels": ["instagram"]}, True),
        ({"channels": ["wechat"]}, False),
        ({"campaigns": ["spring"]}, True),
        ({"campaigns": ["autumn"]}, False),
        ({"customer": "new"}, True),
        ({"customer": "returning"}, False),
        ({"from": PLACED}, True),  # from <= placed_at < until
        ({"from": "2026-11-01T10:00:00.000001Z"}, False),
        ({"until": PLACED}, False),
        ({"until": "2026-11-01T10:00:00.000001Z"}, True),
        ({"skus": ["S"], "groups": ["other"]}, False),  # every named condition
        ({"skus": ["S"], "products": ["p1"], "groups": ["vip"], "customer": "new"}, True),
    ],
)
def test_a_condition_holds_or_not(when: dict[str, Any], holds: bool) -> None:
    frozen = replace(ALICES, group="vip", channel="instagram", campaign="spring")
    lines = [line(product_id="p1", sku="S", collections=["shoes", "sale"])]
    assert direct(a_plan(TEN_PERCENT, rule("x", GIFT, **when)), frozen, lines=lines) == (5_000 if holds else 1_000)


@pytest.mark.parametrize("name", ["products", "collections", "skus", "groups", "channels", "campaigns"])
def test_what_has_no_group_channel_product_or_the_like_meets_no_condition_on_it(name: str) -> None:
    assert direct(a_plan(TEN_PERCENT, rule("x", GIFT, **{name: ["a"]}))) == 1_000


def test_a_returning_customer_meets_the_condition_returning() -> None:
    plan = a_plan(TEN_PERCENT, rule("x", GIFT, customer="returning"))
    assert direct(plan, replace(ALICES, new_customer=False)) == 5_000
    assert direct(plan, replace(ALICES, new_customer=True)) == 1_000


def test_percent_pays_of_the_base() -> None:
    assert direct(a_plan({"percent": "12.5"}), lines=[line(amount="19.99")]) == 250  # 2.49875
    assert direct(a_plan({"percent": "100"})) == 10_000
    assert direct(a_plan({"percent": "0"})) == 0


@pytest.mark.parametrize(
    ("refunds", "minor"),
    [
        ([], 2_000),
        ([refund("r", "25.00", ("l1", 1, "25.00"))], 1_500),
        ([refund("r", "10.00", ("l1", 0, "10.00"))], 1_800),  # 4 × 90/100 = 3.6 items
        ([refund("r", "0", ("l1", 1, "0"))], 1_500),  # fewer items left, though nothing paid back
        ([refund("r", "40.00", ("l1", 1, "40.00"))], 1_200),  # 4 × 60/100 = 2.4 items, fewer than the 3 left
        ([refund("r", "33.33")], 1_333),  # a rest: 4 × 66.67/100 = 2.6668 items
        ([refund("r", "100.00")], 0),
        ([refund("r", "4.00", ("l1", 4, "4.00"))], 0),
    ],
)
def test_per_item_pays_for_the_items_that_stay_sold_fractions_included(
    refunds: list[dict[str, Any]], minor: int
) -> None:
    lines = [line(amount="100.00", quantity=4)]
    assert direct(a_plan({"per_item": {"USD": "5.00"}}), lines=lines, refunds=refunds) == minor


def test_per_item_pays_nothing_for_what_was_free() -> None:
    lines = [line("a", "0", quantity=3), line("b", "30.00", quantity=3)]
    assert reckoned(a_plan({"per_item": {"USD": "5.00"}}), lines=lines).now.roles[0].by_line == (0, 1_500)


PER_ORDER = rule("bonus", {"per_order": {"USD": "10.00"}}, skus=["S"])


def test_per_order_is_paid_once_and_stands_on_the_first_line_its_rule_matched() -> None:
    lines = [line("a", "50.00", sku="T"), line("b", "20.00", sku="S"), line("c", "30.00", sku="S")]
    now = reckoned(a_plan({"none": True}, PER_ORDER), lines=lines).now
    assert (now.roles[0].minor, now.roles[0].by_line) == (1_000, (0, 1_000, 0)) and now.net == 5_000


def test_per_order_is_paid_while_any_line_that_matched_has_an_amount_left() -> None:
    lines = [line("b", "20.00", sku="S"), line("c", "30.00", sku="S"), line("d", "9.00", sku="T")]
    plan = a_plan({"none": True}, PER_ORDER)
    one, both = refund("r", "20.00", ("b", 1, "20.00")), refund("s", "30.00", ("c", 1, "30.00"))
    assert reckoned(plan, lines=lines, refunds=[one]).now.roles[0].by_line == (1_000, 0, 0)
    assert direct(plan, lines=lines, refunds=[one, both]) == 0


def test_two_per_order_rules_are_paid_once_each_and_a_default_like_a_rule() -> None:
    other = rule("more", {"per_order": {"USD": "3.00"}}, skus=["T"])
    lines = [line(name, "20.00", sku=sku) for name, sku in zip("abcdef", "STSTUU", strict=True)]
    now = reckoned(a_plan({"per_order": {"USD": "1.00"}}, PER_ORDER, other), lines=lines).now
    assert now.roles[0].by_line == (1_000, 300, 0, 0, 100, 0)


def test_a_fixed_amount_that_does_not_name_the_currency_pays_nothing_and_says_so() -> None:
    for pay in ({"per_item": {"EUR": "5.00"}}, {"per_order": {"EUR": "5.00"}}):
        now = reckoned(a_plan(pay, upline={"percents": ["2"]}), WITH_ALL).now
        assert by_role(now) == {"direct": 0, "upline": 200}  # its base counts for the inviter all the same
        assert not now.lines[0].names_currency and now.net == 10_000
    assert reckoned().now.lines[0].names_currency


# -- step 4: rounding, caps, line figures ------------------------------------------------------------------------------


def test_the_exact_amounts_are_added_up_and_rounded_once() -> None:
    lines = [line(str(number), "0.10") for number in range(3)]
    assert direct(a_plan({"percent": "4"}), lines=lines) == 1  # three times 0.4 cents is 1.2, not 0


@pytest.mark.parametrize(("amount", "minor"), [("0.05", 0), ("0.15", 2), ("0.25", 2), ("0.250001", 3)])
def test_half_a_cent_goes_to_the_even_one(amount: str, minor: int) -> None:
    assert direct(lines=[line(amount=amount)]) == minor


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [
        ("TWD", "104.99", 1_000),  # 10.499 is 10 whole dollars
        ("TWD", "105.00", 1_000),  # 10.5 to the even 10
        ("TWD", "115.00", 1_200),  # 11.5 to the even 12
        ("JPY", "105", 10),
        ("JPY", "115", 12),
        ("JPY", "115.1", 12),
        ("KWD", "0.105", 10),
        ("KWD", "0.115", 12),
        ("KWD", "1.234", 123),
        ("EUR", "1.05", 10),
    ],
)
def test_each_currency_has_its_own_smallest_step(currency: str, amount: str, minor: int) -> None:
    assert direct(currency=currency, lines=[line(amount=amount)]) == minor


def test_line_figures_are_by_largest_remainder_with_ties_to_the_earlier() -> None:
    thirds = [line(name, "0.33") for name in "abc"]
    direct = reckoned(a_plan({"percent": "10"}), lines=thirds).now.roles[0]
    assert (direct.minor, direct.by_line) == (10, (4, 3, 3))
    uneven = [line("a", "1.04"), line("b", "1.06"), line("c", "1.05")]  # 10.4, 10.6, 10.5: sum 31.5 to 32
    assert reckoned(lines=uneven).now.roles[0].by_line == (10, 11, 11)


def test_line_figures_of_taiwan_dollars_are_whole_too() -> None:
    lines = [line("a", "50.00"), line("b", "50.00"), line("c", "49.00")]
    direct = reckoned(lines=lines, currency="TWD").now.roles[0]
    assert (direct.minor, direct.by_line) == (1_500, (500, 500, 500))


@pytest.mark.parametrize(
    ("cap", "currency", "minor"),
    [
        ({"USD": "5.00"}, "USD", 500),
        ({"USD": "10.00"}, "USD", 1_000),
        ({"USD": "5.005"}, "USD", 500),  # rounded likewise: half to even
        ({"USD": "5.015"}, "USD", 502),
        ({"USD": "0"}, "USD", 0),
        ({"EUR": "5.00"}, "USD", 1_000),
        ({"TWD": "7.50"}, "TWD", 800),
        ({"TWD": "6.50"}, "TWD", 600),
        ({"JPY": "2.5"}, "JPY", 2),
    ],
)
def test_the_direct_amount_is_cut_to_the_cap_of_its_currency(cap: dict[str, str], currency: str, minor: int) -> None:
    assert direct(a_plan(order_cap=cap), currency=currency) == minor


def test_the_lines_show_what_is_left_after_the_cap() -> None:
    lines = [line("a", "60.00"), line("b", "30.00"), line("c", "10.00")]
    now = reckoned(a_plan(order_cap={"USD": "0.05"}), lines=lines).now
    assert (now.roles[0].minor, now.roles[0].by_line) == (5, (3, 2, 0))  # 3, 1.5, 0.5: the tie goes to the earlier


def test_the_direct_amount_is_cut_to_the_commissioned_bases() -> None:
    assert direct(a_plan({"per_order": {"USD": "500.00"}})) == 10_000
    assert direct(a_plan({"per_item": {"USD": "60.00"}}), lines=[line(quantity=2)]) == 10_000
    lines = [line("a", "30.00", sku="S"), line("b", "70.00")]
    assert direct(a_plan({"none": True}, rule("s", {"per_order": {"USD": "50"}}, skus=["S"])), lines=lines) == 3_000
    assert direct(a_plan({"per_order": {"TWD": "50"}}), lines=[line(amount="4.50")], currency="TWD") == 400


def test_upline_and_cashback_are_percents_of_the_commissioned_bases() -> None:
    plan = a_plan(
        {"none": True},
        rule("s", TEN_PERCENT, skus=["S"]),
        rule("t", {"per_item": {"USD": "1.00"}}, skus=["T"]),
        upline={"percents": ["2.5"]},
        buyer={"cashback_percent": "1.25"},
    )
    lines = [line("a", "50.20", sku="S"), line("b", "30.00", sku="T"), line("c", "20.00", sku="U")]
    now = reckoned(plan, WITH_ALL, lines=lines).now  # 80.20: 5.02 + 1.00, 2.005 to 2.00, 1.0025 to 1.00
    assert by_role(now) == {"direct": 602, "upline": 200, "buyer": 100}
    assert {role.role: role.sharer for role in now.roles} == {"direct": ALICE, "upline": BOB, "buyer": CAROL}


def test_the_cap_cuts_the_direct_amount_only() -> None:
    plan = a_plan(order_cap={"USD": "1.00"}, upline={"percents": ["2"]}, buyer={"cashback_percent": "3"})
    assert by_role(reckoned(plan, WITH_ALL).now) == {"direct": 100, "upline": 200, "buyer": 300}


def test_one_person_in_two_roles_is_rounded_in_each() -> None:
    plan = a_plan({"percent": "0.5"}, buyer={"cashback_percent": "0.5"})
    now = reckoned(plan, replace(ALICES, buyer=ALICE), lines=[line(amount="1.00")]).now
    assert by_role(now) == {"direct": 0, "buyer": 0}  # half a cent each, to the even 0; not one cent together


def test_upline_and_cashback_need_somebody_and_a_rate() -> None:
    both: dict[str, Any] = {"upline": {"percents": ["2"]}, "buyer": {"cashback_percent": "3"}}
    assert by_role(reckoned(a_plan(**both)).now) == {"direct": 1_000}
    assert by_role(reckoned(a_plan(), WITH_ALL).now) == {"direct": 1_000}
    assert by_role(reckoned(a_plan(upline={"percents": ["0"]}), WITH_ALL).now) == {"direct": 1_000}


def test_roles_stand_at_zero_while_nothing_is_earned() -> None:
    plan = a_plan(upline={"percents": ["2"]}, buyer={"cashback_percent": "3"})
    unpaid = reckoned(plan, WITH_ALL, payment="unpaid")
    assert by_role(unpaid.now) == by_role(unpaid.earned) == {"direct": 0, "upline": 0, "buyer": 0}
    assert unpaid.now.roles[0].by_line == (0,)


def test_an_amount_beyond_the_books_is_malformed() -> None:
    lines = [line(str(number), "900000000000000.00") for number in range(2)]
    with pytest.raises(Malformed):
        direct(a_plan({"percent": "100"}), lines=lines)
    assert direct(a_plan({"percent": "100"}), lines=lines[:1]) == 9 * 10**16


# -- refunds of every shape --------------------------------------------------------------------------------------------


def left_of(**order: Any) -> tuple[Any, Any, Any]:
    """Return (amount, tax, quantity) of each line in major units, the shipping, and the flags."""
    one = read(**order)
    remains = after_refunds(one, one.refunds)
    lines = [(Fraction(left.amount) / 10**6, Fraction(left.tax) / 10**6, left.quantity) for left in remains.lines]
    return lines, Fraction(remains.shipping) / 10**6, remains.flags


def test_a_refund_takes_its_lines_amounts_taxes_and_quantities_and_its_shipping() -> None:
    lines = [line("a", "60.00", 3, tax="6.00"), line("b", "40.00", 1, tax="4.00")]
    back = refund("r", "33.00", ("a", 1, "20.00", "2.00"), ("b", 0, "5.00"), shipping="6.00")
    left, shipping, flags = left_of(lines=lines, shipping={"amount": "8.00", "tax": "2.00"}, refunds=[back])
    assert left == [(40, 4, 2), (35, 4, 1)] and shipping == 4 and not flags


def test_two_refunds_and_two_parts_of_one_line_add_up() -> None:
    backs = [refund("r", "30.00", ("l1", 1, "10.00"), ("l1", 1, "20.00")), refund("s", "5.00", ("l1", 0, "5.00"))]
    left, _, flags = left_of(lines=[line(quantity=4)], refunds=backs)
    assert left == [(65, 0, 2)] and not flags


def test_amount_tax_and_quantity_each_stop_at_zero_by_itself() -> None:
    lines = [line("a", "10.00", 1, tax="1.00"), line("b", "90.00", 9, tax="9.00")]
    for part, left_a in (
        (("a", 1, "10.01", "0.50"), (0, Fraction(1, 2), 0)),
        (("a", 0, "4.00", "1.01"), (6, 0, 1)),
        (("a", 2, "4.00", "0.00"), (6, 1, 0)),
    ):
        total = str(float(part[2]) + float(part[3]))
        left, _, flags = left_of(lines=lines, refunds=[refund("r", total, part)])
        assert left == [left_a, (90, 9, 9)] and flags == {EXCEEDS}


def test_more_shipping_than_there_was_is_clamped_and_flagged() -> None:
    left, shipping, flags = left_of(shipping={"amount": "5.00"}, refunds=[refund("r", "5.01", shipping="5.01")])
    assert left == [(100, 0, 1)] and shipping == 0 and flags == {EXCEEDS}


def test_what_an_amount_says_beyond_its_parts_is_taken_in_proportion_from_amount_and_tax_alike() -> None:
    lines = [line("a", "60.00", 3, tax="6.00"), line("b", "30.00", 2, tax="3.00")]
    left, shipping, flags = left_of(
        lines=lines, shipping={"amount": "7.00"}, refunds=[refund("r", "44.00", ("b", 1, "30.00", "3.00"))]
    )
    assert left == [(50, 5, 3), (0, 0, 1)] and shipping == 7 and not flags  # 11.00 of the 66.00 that remained


def test_the_rest_is_taken_unrounded() -> None:
    lines = [line("a", "1.00"), line("b", "2.00")]
    left, _, _ = left_of(lines=lines, refunds=[refund("r", "1.00")])
    assert left == [(Fraction(2, 3), 0, 1), (Fraction(4, 3), 0, 1)]


def test_the_rest_leaves_quantities_alone_but_counts_for_items() -> None:
    plan = a_plan({"per_item": {"USD": "9.00"}})
    assert direct(plan, lines=[line(quantity=2)], refunds=[refund("r", "50.00")]) == 900


def test_when_the_lines_are_used_up_the_rest_is_taken_from_shipping() -> None:
    taxed = {"lines": [line(tax="10.00")], "shipping": {"amount": "8.00", "tax": "2.00"}}
    left, shipping, flags = left_of(**taxed, refunds=[refund("r", "114.00")])
    assert left == [(0, 0, 1)] and shipping == 6 and not flags
    left, shipping, flags = left_of(**taxed, refunds=[refund("r", "120.00")])
    assert left == [(0, 0, 1)] and shipping == 0 and not flags


def test_what_is_more_than_the_order_is_clamped_and_flagged() -> None:
    left, shipping, flags = left_of(shipping={"amount": "5.00"}, refunds=[refund("r", "105.01")])
    assert left == [(0, 0, 1)] and shipping == 0 and flags == {EXCEEDS}
    left, _, flags = left_of(lines=[], refunds=[refund("r", "0.01")])
    assert left == [] and flags == {EXCEEDS}


def test_a_line_the_order_does_not_hold_counts_in_the_sum_and_takes_nothing() -> None:
    left, _, flags = left_of(refunds=[refund("r", "30.00", ("gone", 1, "20.00"))])
    assert left == [(90, 0, 1)] and flags == {UNKNOWN_LINE}  # 20.00 of the 30.00 is spoken for


def test_where_the_amount_is_less_than_its_parts_the_parts_count() -> None:
    left, shipping, flags = left_of(
        shipping={"amount": "5.00"}, refunds=[refund("r", "10.00", ("l1", 1, "40.00"), shipping="1.00")]
    )
    assert left == [(60, 0, 0)] and shipping == 4 and flags == {BELOW_PARTS}


def test_parts_beyond_their_line_are_not_taken_from_elsewhere() -> None:
    lines = [line("a", "10.00"), line("b", "90.00")]
    left, _, flags = left_of(lines=lines, refunds=[refund("r", "50.00", ("a", 1, "50.00"))])
    assert left == [(0, 0, 0), (90, 0, 1)] and flags == {EXCEEDS}


def test_refunds_apply_in_the_order_listed() -> None:
    rest, part = refund("r", "50.00"), refund("s", "60.00", ("l1", 1, "60.00"))
    assert left_of(refunds=[rest, part])[0] == [(0, 0, 0)]
    lines = [line("a", "50.00"), line("b", "50.00")]
    first, second = refund("r", "50.00", ("a", 1, "50.00")), refund("s", "20.00")
    assert left_of(lines=lines, refunds=[first, second])[0] == [(0, 0, 0), (30, 0, 1)]
    assert left_of(lines=lines, refunds=[second, first]) == ([(0, 0, 0), (40, 0, 1)], 0, {EXCEEDS})


def test_a_refund_of_nothing_changes_nothing() -> None:
    assert left_of(refunds=[refund("r", "0"), refund("s", "0", ("l1", 0, "0"))]) == ([(100, 0, 1)], 0, frozenset())


def test_999_refunds_of_a_cent_take_back_what_one_of_999_cents_takes() -> None:
    small = [refund(str(number), "0.01") for number in range(999)]
    amounts = [direct(refunds=small[:count]) for count in (0, 5, 6, 15, 998, 999)]
    assert amounts == [1_000, 1_000, 999, 998, 900, 900]  # 999.5 to 1000, 999.4, 998.5 to 998, 900.2, 900.1
    assert direct(refunds=small) == direct(refunds=[refund("r", "9.99")])


def test_a_refund_that_is_taken_back_gives_the_commission_back() -> None:
    refunded = state(refunds=[refund("r", "40.00")])
    back = state(updated_at="2026-11-02T10:00:00Z")
    plan = read_plan(a_plan())
    assert outcome(story(refunded), ALICES, plan, starts_at=0).now.roles[0].minor == 600
    assert outcome(story(refunded, back), ALICES, plan, starts_at=0).now.roles[0].minor == 1_000


def test_flags_are_those_of_the_order_now() -> None:
    assert reckoned(refunds=[refund("r", "105.00", ("no", 1, "1.00"))]).now.flags == {EXCEEDS, UNKNOWN_LINE}
    assert reckoned(refunds=[refund("r", "105.00")]).earned.flags == frozenset()


# -- the hold ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "days", "moment"),
    [
        ([state(payment="unpaid")], 30, None),
        ([state(paid_at="2026-11-01T10:05:00Z")], 30, "2026-12-01T10:05:00Z"),
        ([state(paid_at="2026-11-01T10:05:00Z")], 0, "2026-11-01T10:05:00Z"),
        ([state(placed_at="2026-10-31T23:00:00Z")], 1, "2026-11-01T23:00:00Z"),  # no paid_at: from placed_at
        (
            [
                state(payment="unpaid", placed_at="2026-10-30T00:00:00Z"),
                state(updated_at="2026-11-03T00:00:00Z", placed_at="2026-11-02T00:00:00Z"),
            ],
            1,
            "2026-10-31T00:00:00Z",  # the placed_at of the earliest state of all
        ),
        (
            [
                state(updated_at="2026-11-03T00:00:00Z", paid_at="2026-11-02T00:00:00Z"),
                state(updated_at="2026-11-04T00:00:00Z", paid_at="2026-11-01T00:00:00Z", payment="chargeback"),
                state(updated_at="2026-11-05T00:00:00Z", paid_at="2026-11-05T00:00:00Z"),
            ],
            2,
            "2026-11-04T00:00:00Z",  # that of the earliest paid state, also while the money is gone
        ),
        ([state(paid_at="2026-10-24T23:30:00+02:00")], 1, "2026-10-25T21:30:00Z"),  # 24 hours, over a clock change
    ],
)
def test_the_hold_ends_so_many_days_after_the_first_payment(states: list[Any], days: int, moment: str | None) -> None:
    expected = None if moment is None else parse_moment(moment)
    assert release_at(story(*states), days) == expected


def test_a_hold_of_days_is_of_24_hours() -> None:
    assert release_at(story(), 30) == PLACED_AT + 30 * DAY == PLACED_AT + 30 * 24 * 3_600 * SECOND


# -- what always holds -------------------------------------------------------------------------------------------------

_amounts = st.integers(0, 30_000_000).map(lambda micros: f"{micros // 10**6}.{micros % 10**6:06d}")
_pays = st.one_of(
    st.sampled_from(["0", "0.0001", "12.5", "33.3333", "100"]).map(lambda percent: {"percent": percent}),
    _amounts.map(lambda amount: {"per_item": {"USD": amount, "TWD": amount}}),
    _amounts.map(lambda amount: {"per_order": {"USD": amount, "JPY": amount, "KWD": amount}}),
    st.just({"none": True}),
)
_lines = st.lists(
    st.builds(
        lambda amount, tax, quantity, sku: line(amount=amount, tax=tax, quantity=quantity, sku=sku),
        _amounts,
        _amounts,
        st.integers(0, 4),
        st.sampled_from("ST"),
    ),
    max_size=4,
).map(lambda lines: [one | {"id": f"l{at}"} for at, one in enumerate(lines)])
_parts = st.tuples(st.sampled_from(["l0", "l1", "l2", "no"]), st.integers(0, 3), _amounts, _amounts)
_backs = st.lists(st.tuples(_amounts, st.lists(_parts, max_size=2), _amounts | st.just("0")), max_size=3).map(
    lambda backs: [refund(f"r{at}", amount, *parts, shipping=ship) for at, (amount, parts, ship) in enumerate(backs)]
)
_plans = st.builds(
    lambda default, pay, cap, tax, ship: a_plan(
        default,
        rule("s", pay, skus=["S"]),
        order_cap=cap,
        include_tax=tax,
        include_shipping=ship,
        upline={"percents": ["2.5"]},
        buyer={"cashback_percent": "1"},
    ),
    _pays,
    _pays,
    st.just({}) | _amounts.map(lambda amount: {"USD": amount, "TWD": amount}),
    st.booleans(),
    st.booleans(),
)
_currencies = st.sampled_from(["USD", "EUR", "TWD", "JPY", "KWD"])


@given(_plans, _currencies, _lines, _backs, _amounts)
@fixed
def test_no_amount_is_ever_negative_and_the_lines_add_up(
    plan: dict[str, Any], currency: str, lines: list[dict[str, Any]], refunds: list[dict[str, Any]], shipping: str
) -> None:
    fields: dict[str, Any] = {
        "currency": currency,
        "lines": lines,
        "refunds": refunds,
        "shipping": {"amount": shipping, "tax": "1"},
    }
    both = reckoned(plan, WITH_ALL, **fields)
    for one in (both.now, both.earned):
        assert [role.role for role in one.roles] == ["direct", "upline", "buyer"]
        assert all(role.minor >= 0 for role in one.roles) and one.net >= 0
        assert all(role.minor % 100 == 0 for role in one.roles) or currency != "TWD"
        assert sum(one.roles[0].by_line) == one.roles[0].minor and len(one.roles[0].by_line) == len(lines)
        assert min(one.roles[0].by_line, default=0) >= 0
        assert all(figure.base >= 0 and figure.items >= 0 and figure.amount >= 0 for figure in one.lines)
    unit = 100 if currency == "TWD" else 1
    assert both.now.roles[0].minor <= both.now.net + unit
    for now, earned in zip(both.now.roles, both.earned.roles, strict=True):
        assert now.minor <= earned.minor  # a refund never raises an amount


@given(_plans, _currencies, _lines, _backs)
@fixed
def test_a_full_refund_leaves_nothing(
    plan: dict[str, Any], currency: str, lines: list[dict[str, Any]], refunds: list[dict[str, Any]]
) -> None:
    both = reckoned(plan, WITH_ALL, currency=currency, lines=lines, refunds=[*refunds, refund("all", "500.00")])
    assert by_role(both.now) == {"direct": 0, "upline": 0, "buyer": 0} and both.now.net == 0


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_an_amount_may_be_as_large_as_the_books_hold_and_no_larger() -> None:
    all_of_it = a_plan({"percent": "100"})
    assert direct(all_of_it, currency="CLF", lines=[line("a", "10000000000000.0000")]) == MINOR_MAX
    for amount in ("10000000000000.0001", "999999999999999.00"):
        with pytest.raises(Malformed) as raised:
            direct(all_of_it, currency="CLF", lines=[line("a", amount)])
        assert raised.value.message == "An amount of the order is larger than the books can hold."


def test_a_fixed_amount_in_another_currency_is_nothing_at_all() -> None:
    for pay in ({"per_item": {"EUR": "5.00"}}, {"per_order": {"EUR": "5.00"}}):
        (figure,) = reckoned(a_plan(pay)).now.lines
        assert figure.pay.reckon(figure, "USD") == 0 and not figure.names_currency


def test_once_per_order_is_paid_while_the_smallest_part_of_a_line_is_left() -> None:
    plan = a_plan({"per_order": {"USD": "10.00"}})
    lines = [line("a", "50.000001")]
    assert direct(plan, lines=lines, refunds=[refund("r", "50.00", ("a", 0, "50.00"))]) == 0  # cut to its base
    left = reckoned(plan, lines=lines, refunds=[refund("r", "50.00", ("a", 0, "50.00"))]).now
    assert left.roles[0].weights == (10_000_000,)
