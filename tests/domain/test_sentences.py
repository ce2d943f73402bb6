"""What is wrong with an order or a plan is said in one sentence that names the field, for owners to read."""

import copy
from typing import Any

import pytest

from plugin.domain.money import parse_amounts, parse_rate
from plugin.domain.order import read_order
from plugin.domain.plan import read_plan
from plugin.domain.rules import read_pay
from plugin.errors import BadRequest, Malformed
from tests.domain.builders import hash_email
from tests.domain.test_order import WHOLE
from tests.domain.test_plan import WHOLE as WHOLE_PLAN

Path = tuple[str | int, ...]

ORDER: dict[str, Any] = WHOLE | {
    "customer": {"id": "c1", "email": "a@example.org", "orders_before": 0},
    "lines": [
        {
            "id": "l1", "product_id": "p1", "variant_id": "v1", "sku": "S", "title": "T", "quantity": 1,
            "amount": "1.00", "tax": "0.10", "collections": ["shoes"],
        }
    ],
    "shipping": {"amount": "1.00", "tax": "0.10"},
    "total": "2.20",
    "refunds": [
        {
            "id": "r1", "at": "2026-11-02T10:00:00Z", "shipping": "0.00", "amount": "1.10",
            "lines": [{"line_id": "l1", "quantity": 1, "amount": "1.00", "tax": "0.10"}],
        }
    ],
    "codes": ["ALICE"],
    "attributes": {"_pa": "x"},
}  # fmt: skip

LINE, REFUND, PART = ("lines", 0), ("refunds", 0), ("refunds", 0, "lines", 0)
TOO_LONG = "{} is longer than {} characters or holds characters that cannot be stored."
NO_COUNT = "{} is not a whole number from 0 to 1000000000."
NO_AMOUNT = "An amount is not a plain decimal string of at most 15 digits before and 6 after the point."
NO_TIME = "A time is not an ISO 8601 string."

# kind of field -> (a value it refuses, the sentence about it)
REFUSED: dict[str, list[tuple[Any, str]]] = {
    "id": [
        (7, "{} is not a string."),
        ("", "{} is missing."),
        ("x" * 256, TOO_LONG.format("{}", 255)),
        ("a\0", TOO_LONG.format("{}", 255)),
    ],
    "short": [([], "{} is not a string."), ("x" * 256, TOO_LONG.format("{}", 255))],
    "long": [({}, "{} is not a string."), ("x" * 1_001, TOO_LONG.format("{}", 1_000))],
    "count": [(value, NO_COUNT) for value in ("1", True, -1, 1.0, 1_000_000_001)],
    "amount": [(value, NO_AMOUNT) for value in (1, "-1", "1.0000001", "1e2", "1" * 16)],
    "moment": [(7, NO_TIME), ("soon", NO_TIME), ("2026-11-01T10:00:00", "A time has no zone.")],
    "list": [("x", "{} is not a list."), ({}, "{} is not a list.")],
    "object": [("x", "{} is not an object."), ([], "{} is not an object.")],
}
# kind of field -> the furthest value it takes
TAKEN: dict[str, list[Any]] = {
    "id": ["x" * 255],
    "short": ["x" * 255, "", None],
    "long": ["x" * 1_000, "", None],
    "count": [0, 1_000_000_000],
    "amount": ["0", "9" * 15 + "." + "9" * 6],
    "list": [[]],
}
FIELDS: list[tuple[Path, str, str]] = [
    ((), "The order", "object"),
    (("id",), "The order's id", "id"),
    (("number",), "The order's number", "short"),
    (("updated_at",), "", "moment"),
    (("placed_at",), "", "moment"),
    (("paid_at",), "", "moment"),
    (("customer",), "The customer", "object"),
    (("customer", "id"), "The customer's id", "short"),
    (("customer", "email"), "The customer's e-mail", "long"),
    (("customer", "orders_before"), "The customer's orders_before", "count"),
    (("lines",), "lines", "list"),
    (LINE, "A line", "object"),
    ((*LINE, "id"), "A line's id", "id"),
    ((*LINE, "product_id"), "A line's product_id", "short"),
    ((*LINE, "variant_id"), "A line's variant_id", "short"),
    ((*LINE, "sku"), "A line's sku", "short"),
    ((*LINE, "title"), "A line's title", "long"),
    ((*LINE, "quantity"), "A line's quantity", "count"),
    ((*LINE, "amount"), "", "amount"),
    ((*LINE, "tax"), "", "amount"),
    ((*LINE, "collections"), "A line's collections", "list"),
    ((*LINE, "collections", 0), "A collection", "id"),
    (("shipping",), "shipping", "object"),
    (("shipping", "amount"), "", "amount"),
    (("shipping", "tax"), "", "amount"),
    (("total",), "", "amount"),
    (("refunds",), "refunds", "list"),
    (REFUND, "A refund", "object"),
    ((*REFUND, "id"), "A refund's id", "id"),
    ((*REFUND, "at"), "", "moment"),
    ((*REFUND, "lines"), "A refund's lines", "list"),
    ((*REFUND, "shipping"), "", "amount"),
    ((*REFUND, "amount"), "", "amount"),
    (PART, "A refund's line", "object"),
    ((*PART, "line_id"), "A refund's line_id", "id"),
    ((*PART, "quantity"), "A refund's quantity", "count"),
    ((*PART, "amount"), "", "amount"),
    ((*PART, "tax"), "", "amount"),
    (("codes",), "codes", "list"),
    (("codes", 0), "A coupon code", "short"),
    (("attributes",), "attributes", "object"),
]
REQUIRED: list[tuple[Path, str]] = [
    *(((name,), "The order") for name in (
        "id", "updated_at", "placed_at", "currency", "status", "payment", "lines", "refunds",
    )),
    *(((*LINE, name), "A line") for name in ("id", "quantity", "amount")),
    *(((*REFUND, name), "A refund") for name in ("id", "amount")),
    *(((*PART, name), "A refund's line") for name in ("line_id", "quantity", "amount")),
]  # fmt: skip
OPTIONAL: list[Path] = [
    *((name,) for name in ("number", "paid_at", "test", "customer", "shipping", "total", "codes", "attributes",
                           "landing_url", "referrer_url")),
    *(("customer", name) for name in ("id", "email", "orders_before")),
    *((*LINE, name) for name in ("product_id", "variant_id", "sku", "title", "tax", "collections")),
    *(("shipping", name) for name in ("amount", "tax")),
    *((*REFUND, name) for name in ("at", "lines", "shipping", "currency")),
    ((*PART, "tax")),
]  # fmt: skip


def at(whole: Any, path: Path, value: Any) -> Any:
    """Return a copy in which one place holds another value."""
    if not path:
        return value
    changed = copy.deepcopy(whole)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def without(whole: Any, path: Path) -> Any:
    """Return a copy in which a key is missing."""
    changed = copy.deepcopy(whole)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place.pop(path[-1], None)
    return changed


def said(order: Any) -> str:
    with pytest.raises(Malformed) as raised:
        read_order(order, hash_email)
    return raised.value.message


@pytest.mark.parametrize(("path", "name", "kind"), FIELDS, ids=str)
def test_what_a_field_of_an_order_refuses_is_said_and_its_bounds_are_taken(path: Path, name: str, kind: str) -> None:
    for value, sentence in REFUSED[kind]:
        assert said(at(ORDER, path, value)) == sentence.format(name)
    for value in TAKEN.get(kind, []):
        changed = at(ORDER, path, value)
        if path == (*LINE, "id"):
            changed["refunds"][0]["lines"][0]["line_id"] = value
        read_order(changed, hash_email)


@pytest.mark.parametrize(("path", "what"), REQUIRED, ids=str)
def test_a_field_that_must_be_there_is_named_where_it_is_missing_or_null(path: Path, what: str) -> None:
    sentence = f"{what} has no {path[-1]}."
    assert said(at(ORDER, path, None)) == sentence == said(without(ORDER, path))


@pytest.mark.parametrize("path", OPTIONAL, ids=str)
def test_a_field_that_may_be_missing_reads_as_null_does(path: Path) -> None:
    assert read_order(without(ORDER, path), hash_email) == read_order(at(ORDER, path, None), hash_email)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("currency",), "usd", "The currency is not an ISO 4217 code in upper case."),
        (("currency",), ["USD"], "The currency is not an ISO 4217 code in upper case."),
        (("status",), "closed", "status is not one of open, cancelled."),
        (("status",), 1, "status is not one of open, cancelled."),
        (("payment",), "partial", "payment is not one of unpaid, paid, voided, chargeback."),
        (("test",), 1, "test is not true or false."),
        (("lines",), 2 * ORDER["lines"], "Two lines of the order have the same id."),
        (("refunds",), 2 * ORDER["refunds"], "Two refunds of the order have the same id."),
        ((*REFUND, "currency"), "EUR", "A refund is in another currency than its order."),
        (("placed_at",), "1969-12-31T23:59:59Z", "A time lies outside the years 1970 to 9998."),
    ],
)
def test_what_else_is_wrong_with_an_order_is_said(path: Path, value: Any, sentence: str) -> None:
    assert said(at(ORDER, path, value)) == sentence


# -- plans -------------------------------------------------------------------------------------------------------------

RULE = ("commission", "rules", 0)
WAYS = "none, per_item, per_order, percent"
NO_FLAG = "Must be true or false."
NO_TEXTS = "Must be a list of strings of 1 to 255 characters."
NO_RATE = "Must be a decimal string of a percentage with at most 4 places."
NO_RULES = "Must be a list of at most 500 rules."
NO_RULE_ID = "Must be a string of 1 to 100 characters."

PLAN_REFUSED: list[tuple[Path, Any, str]] = [
    (("attribution",), 1, "Not an object."),
    (("attribution", "window_days"), -1, "Must be a whole number from 0 to 36500."),
    (("attribution", "window_days"), 36_501, "Must be a whole number from 0 to 36500."),
    (("attribution", "window_days"), True, "Must be a whole number from 0 to 36500."),
    (("attribution", "model"), "linear", "Must be one of last, first."),
    (("attribution", "model"), ["last"], "Must be one of last, first."),
    (("attribution", "priority"), "link", "Must be a list drawn from manual, coupon, link, binding."),
    (("attribution", "priority"), ["links"], "Must be a list drawn from manual, coupon, link, binding."),
    (("attribution", "priority"), [1], "Must be a list drawn from manual, coupon, link, binding."),
    (("attribution", "priority"), ["link", "link"], "Names a kind twice."),
    (("attribution", "new_customers_only"), 1, NO_FLAG),
    (("attribution", "self_purchase"), "maybe", "Must be one of block, hold, allow."),
    (("attribution", "binding", "mode"), "last", "Must be one of none, first, latest."),
    (("attribution", "binding", "valid_days"), "1", "Must be a whole number from 0 to 36500."),
    (("attribution", "binding", "max_orders"), 1_000_001, "Must be a whole number from 0 to 1000000."),
    (("attribution", "binding", "extend_on_order"), "yes", NO_FLAG),
    (("attribution", "colour"), "red", "Unknown field."),
    (("commission", "include_tax"), None, NO_FLAG),
    (("commission", "include_shipping"), "true", NO_FLAG),
    (("commission", "rules"), {}, NO_RULES),
    (("commission", "rules"), [{}] * 501, NO_RULES),
    (("commission", "order_cap"), [], "Must be an object of amounts by currency."),
    (("commission", "order_cap"), {"usd": "1"}, "The currency is not an ISO 4217 code in upper case."),
    (("commission", "order_cap"), {"USD": 1}, NO_AMOUNT),
    (("commission", "default"), {}, "Must be an object with exactly one way to pay."),
    ((*RULE, "id"), "", NO_RULE_ID),
    ((*RULE, "id"), "x" * 101, NO_RULE_ID),
    ((*RULE, "id"), "a\nb", NO_RULE_ID),
    ((*RULE, "id"), 7, NO_RULE_ID),
    ((*RULE, "id"), "fixed", "Another rule has this id."),
    ((*RULE, "pay"), {"percent": "101"}, "Must not be more than 100."),
    ((*RULE, "when", "products"), "p1", NO_TEXTS),
    ((*RULE, "when", "skus"), [""], NO_TEXTS),
    ((*RULE, "when", "groups"), ["x" * 256], NO_TEXTS),
    ((*RULE, "when", "channels"), [1], NO_TEXTS),
    ((*RULE, "when", "campaigns"), ["a\x00"], "Holds characters that cannot be shown."),
    ((*RULE, "when", "customer"), "old", "Must be one of any, new, returning."),
    ((*RULE, "when", "from"), "2026-11-01", "A time has no zone."),
    (("upline", "percents"), "2", "Must be a list of at most one percentage."),
    (("upline", "percents"), ["1", "2"],
     "At most one inviter is paid: the sharer and one inviter are the most there can ever be."),
    (("upline", "percents"), [2], NO_RATE),
    (("buyer", "cashback_percent"), "1.00001", NO_RATE),
    (("buyer", "cashback_percent"), 1, NO_RATE),
    (("hold_days",), 3_651, "Must be a whole number from 0 to 3650."),
    (("payout", "minimum"), {"USD": "-1"}, NO_AMOUNT),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "sentence"), PLAN_REFUSED, ids=str)
def test_what_a_field_of_a_plan_refuses_is_said_under_its_path(path: Path, value: Any, sentence: str) -> None:
    with pytest.raises(BadRequest) as raised:
        read_plan(at(WHOLE_PLAN, path, value))
    place = ".".join(map(str, (*path[:2], 1, "id") if sentence.startswith("Another") else path))
    assert raised.value.fields == {place: [sentence]}
    assert raised.value.message == "The plan cannot be read; mend the fields named."


def test_every_fault_of_a_plan_is_named_at_once() -> None:
    with pytest.raises(BadRequest) as raised:
        read_plan({"commission": {"rules": [{}, 7]}, "x": 1})
    assert raised.value.fields == {
        "commission.rules.0.id": ["Missing."],
        "commission.rules.0.pay": ["Missing."],
        "commission.rules.1": ["Not an object."],
        "x": ["Unknown field."],
    }
    with pytest.raises(BadRequest) as raised:
        read_plan([])
    assert raised.value.fields == {"plan": ["Not an object."]}


@pytest.mark.parametrize(
    ("pay", "sentence"),
    [
        (None, "Must be an object with exactly one way to pay."),
        ({"percent": "1", "none": True}, "Must be an object with exactly one way to pay."),
        ({"gift": "1"}, f"Must be one of {WAYS}."),
        ({"none": False}, "none must be true."),
        ({"none": 1}, "none must be true."),
        ({"percent": 5}, NO_RATE),
        ({"percent": "1000"}, NO_RATE),
        ({"percent": "999"}, "Must not be more than 100."),
        ({"percent": "0100"}, NO_RATE),
        ({"per_item": "5"}, "Must be an object of amounts by currency."),
        ({"per_order": {"XXX": "5"}}, "The currency is not an ISO 4217 code in upper case."),
    ],
    ids=str,
)
def test_what_no_pay_is_is_said(pay: Any, sentence: str) -> None:
    with pytest.raises((ValueError, Malformed)) as raised:
        read_pay(pay)
    assert str(raised.value) == sentence


def test_rates_and_amounts_are_taken_up_to_their_bounds() -> None:
    assert [parse_rate(text) for text in ("0", "100", "100.0000", "0.0001", "12.5", "007.25")] == [
        0, 1_000_000, 1_000_000, 1, 125_000, 72_500,
    ]  # fmt: skip
    assert parse_amounts({}) == {} and parse_amounts({"USD": "0.5", "JPY": "7"}) == {"USD": 500_000, "JPY": 7_000_000}
    for text in ("100.0001", "101", "999"):
        with pytest.raises(Malformed) as raised:
            parse_rate(text)
        assert raised.value.message == "Must not be more than 100."
