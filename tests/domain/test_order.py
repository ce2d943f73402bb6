"""The normal form: what is read of an order, what is kept of it, and which of its states is the order now."""

import hashlib
import itertools
import json
import random
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.domain.moment import SECOND, parse_moment
from plugin.domain.order import (
    CARRIERS,
    PAYMENTS,
    STATUSES,
    Customer,
    State,
    Story,
    merge,
    normalise_code,
    normalise_email,
    read_order,
    read_state,
    state_of,
    story_of,
)
from plugin.errors import Malformed
from tests.domain.builders import PLACED, PLACED_AT, fixed, hash_email, line, order, read, refund, state, story

LATER = "2026-11-02T10:00:00Z"
WHOLE: dict[str, Any] = {
    "id": "1001",
    "number": "#1001",
    "updated_at": "2026-11-01T18:00:00+08:00",
    "placed_at": "2026-11-01T09:00:00Z",
    "paid_at": "2026-11-01T09:30:00Z",
    "currency": "USD",
    "status": "open",
    "payment": "paid",
    "test": False,
    "customer": {"id": "c-7", "email": "B.O.B+news@GMail.com", "orders_before": 2},
    "lines": [
        {
            "id": "l1",
            "product_id": "p1",
            "variant_id": None,
            "sku": "S",
            "title": "Schuh “süß”",
            "quantity": 2,
            "amount": "20.0",
            "tax": "1",
            "collections": ["shoes"],
        }
    ],
    "shipping": {"amount": "5.00", "tax": "0.25"},
    "total": "26.25",
    "refunds": [
        {
            "id": "r1",
            "at": "2026-11-01T09:45:00Z",
            "lines": [{"line_id": "l1", "quantity": 1, "amount": "10.00", "tax": "0.50"}],
            "shipping": "0.00",
            "amount": "10.50",
        }
    ],
    "codes": ["ALICE10"],
    "attributes": {"_pa": "tokenA", "gift": "for my love"},
    "landing_url": "https://shop.example/x?pa=tokenB&utm_content=tokenC",
    "referrer_url": "https://search.example/?q=private",
    "shipping_address": {"name": "Bob Buyer", "phone": "+1 555"},
}

# -- what is read ------------------------------------------------------------------------------------------------------


def test_a_whole_order_is_read() -> None:
    read_one = read_order(WHOLE, hash_email)
    assert (read_one.id, read_one.number, read_one.currency) == ("1001", "#1001", "USD")
    assert read_one.updated_at == PLACED_AT == parse_moment(PLACED)
    assert read_one.paid_at == parse_moment("2026-11-01T09:30:00Z")
    assert read_one.customer == Customer("c-7", "#bob@gmail.com", 2)
    (only,) = read_one.lines
    assert (only.quantity, only.amount, only.tax, only.collections) == (2, 20_000_000, 1_000_000, ("shoes",))
    assert (read_one.shipping_amount, read_one.shipping_tax, read_one.total) == (5_000_000, 250_000, 26_250_000)
    (back,) = read_one.refunds
    assert (back.amount, back.shipping, back.lines[0].quantity, back.lines[0].amount) == (10_500_000, 0, 1, 10_000_000)
    assert read_one.touch.codes == ("ALICE10",)
    assert read_one.touch.tokens == (("_pa", "tokenA"), ("landing", "tokenB"), ("utm", "tokenC"))


def test_what_is_not_required_and_missing_or_null_is_zero_empty_or_null() -> None:
    names = ["number", "paid_at", "test", "customer", "shipping", "total", "codes", "attributes", "landing_url"]
    bare = read()
    assert bare == read(**dict.fromkeys([*names, "referrer_url"]))
    assert (bare.number, bare.paid_at, bare.test, bare.customer, bare.total) == (None, None, False, None, 0)
    assert (bare.shipping_amount, bare.shipping_tax, bare.touch.codes, bare.touch.tokens) == (0, 0, (), ())
    nulls = dict.fromkeys(["product_id", "variant_id", "sku", "title", "tax", "collections"])
    assert read(lines=[line(**nulls)]) == bare and bare.lines[0].tax == 0 and bare.lines[0].collections == ()
    parts = {"id": "r", "amount": "1", "at": None, "lines": None, "shipping": None}
    assert read(refunds=[parts]) == read(refunds=[{"id": "r", "amount": "1.00"}])
    guest = {"id": None, "email": "", "orders_before": None}
    assert read(customer=guest).customer == read(customer={}).customer == Customer(None, None, 0)


@pytest.mark.parametrize("name", ["id", "updated_at", "placed_at", "currency", "status", "payment", "lines", "refunds"])
def test_what_an_order_must_say_is_required(name: str) -> None:
    for data in (order(**{name: None}), {key: value for key, value in order().items() if key != name}):
        with pytest.raises(Malformed):
            read_order(data, hash_email)


@pytest.mark.parametrize(
    ("where", "name"),
    [("line", "id"), ("line", "quantity"), ("line", "amount"), ("refund", "id"), ("refund", "amount")]
    + [("part", "line_id"), ("part", "quantity"), ("part", "amount")],
)
def test_what_a_line_and_a_refund_must_say_is_required(where: str, name: str) -> None:
    for missing in (True, False):
        parts: dict[str, dict[str, Any]] = {
            "line": line(),
            "part": {"line_id": "l1", "quantity": 1, "amount": "1"},
            "refund": {"id": "r", "amount": "1"},
        }
        parts[where][name] = None
        if missing:
            del parts[where][name]
        with pytest.raises(Malformed):
            read(lines=[parts["line"]], refunds=[parts["refund"] | {"lines": [parts["part"]]}])


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": [line(amount=10)]},  # JSON numbers
        {"lines": [line(amount=10.0)]},
        {"lines": [line(amount="-1")]},
        {"lines": [line(amount="1e3")]},
        {"lines": [line(amount="1.0000001")]},
        {"lines": [line(tax="-0.01")]},
        {"lines": [line(quantity=-1)]},
        {"lines": [line(quantity="1")]},
        {"lines": [line(quantity=1.0)]},
        {"lines": [line(quantity=True)]},
        {"lines": [line(quantity=10**9 + 1)]},
        {"lines": [line(id=7)]},
        {"lines": [line(id="")]},
        {"lines": [line(), line()]},
        {"lines": {"l1": line()}},
        {"lines": ["l1"]},
        {"lines": [line(collections="shoes")]},
        {"lines": [line(title="x" * 1_001)]},
        {"lines": [line(title="nul \x00")]},
        {"lines": [line(title="half a pair \ud83d")]},
        {"lines": [line(sku=5)]},
        {"refunds": [refund("r", "1"), refund("r", "2")]},
        {"refunds": [refund("r", "1") | {"currency": "EUR"}]},
        {"refunds": [refund("r", "-1")]},
        {"refunds": [refund("r", "1", at="yesterday")]},
        {"refunds": [refund("r", "1", ("l1", -1, "1"))]},
        {"refunds": [refund("r", "1", shipping="x")]},
        {"refunds": "none"},
        {"currency": "usd"},
        {"currency": "XXX"},
        {"currency": ["USD"]},
        {"status": "closed"},
        {"status": ["open"]},
        {"payment": "PAID"},
        {"payment": "refunded"},
        {"updated_at": "2026-11-01T10:00:00"},
        {"placed_at": 1_793_527_200},
        {"paid_at": ""},
        {"test": "yes"},
        {"test": 1},
        {"customer": "c-7"},
        {"customer": {"id": 7}},
        {"customer": {"id": "c", "orders_before": "2"}},
        {"shipping": "5.00"},
        {"shipping": {"amount": 5}},
        {"total": 26},
        {"codes": "ALICE10"},
        {"codes": [7]},
        {"attributes": []},
        {"id": "x" * 256},
    ],
    ids=lambda changes: str(changes)[:40].replace("\x00", "NUL").encode("ascii", "replace").decode(),
)
def test_what_is_not_of_the_right_shape_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(**changes)


@pytest.mark.parametrize("data", [None, [], "order", 1, True])
def test_an_order_is_an_object(data: object) -> None:
    with pytest.raises(Malformed):
        read_order(data, hash_email)


def test_unknown_keys_are_ignored() -> None:
    assert read(colour="red", lines=[line(weight=3)]) == read()


def test_the_largest_amounts_and_quantities_are_read() -> None:
    most = read(lines=[line(amount="999999999999999.999999", quantity=10**9)])
    assert most.lines[0].amount == 10**21 - 1 and most.lines[0].quantity == 10**9


# -- codes, e-mails, tokens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "same"),
    [
        ("bob@example.org", "bob@example.org"),
        (" Bob@Example.ORG ", "bob@example.org"),
        ("bob+shop@example.org", "bob@example.org"),
        ("bob+a+b@example.org", "bob@example.org"),
        ("b o b@example.org", "bob@example.org"),
        ("b.o.b@gmail.com", "bob@gmail.com"),
        ("B.ob+x.y@GMAIL.com", "bob@gmail.com"),
        ("b.o.b@example.org", "b.o.b@example.org"),  # dots count everywhere else
        ("b.o.b@mail.gmail.com", "b.o.b@mail.gmail.com"),
        ('"a@b"@example.org', '"a@b"@example.org'),
        ("nobody", "nobody"),
    ],
)
def test_two_spellings_of_one_mailbox_are_the_same_address(email: str, same: str) -> None:
    assert normalise_email(email) == same


@given(st.emails())
@fixed
def test_normalising_an_address_twice_changes_nothing_more(email: str) -> None:
    assert normalise_email(normalise_email(email)) == normalise_email(email)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("ALICE10", " alice10\t", True), ("Straße", "STRASSE", True), ("ALICE 10", "ALICE10", False), ("A", "Á", False)],
)
def test_codes_are_compared_without_case_and_outer_blanks(one: str, other: str, same: bool) -> None:
    assert (normalise_code(one) == normalise_code(other)) is same


def test_empty_codes_are_dropped_and_the_others_keep_their_order() -> None:
    assert read(codes=["B", "", "  ", None, "A", "B"]).touch.codes == ("B", "A", "B")


def test_tokens_are_split_at_commas_and_kept_in_the_order_of_their_carriers() -> None:
    found = read(
        attributes={"utm_content": "u1", "pa": "b1, b2", "_pa": " a1,,a2 "},
        landing_url="https://shop.example/?utm_content=u2&pa=c1&x=y&pa=c2,c3#pa=no",
    ).touch.tokens
    assert found == (
        *(("_pa", text) for text in ("a1", "a2")),
        *(("pa", text) for text in ("b1", "b2")),
        *(("landing", text) for text in ("c1", "c2", "c3")),
        *(("utm", text) for text in ("u1", "u2")),
    )
    assert tuple(dict.fromkeys(carrier for carrier, _ in found)) == CARRIERS


def test_what_has_not_the_shape_of_a_token_is_kept_as_a_bare_mark_only() -> None:
    tokens = read(attributes={"_pa": "bob@example.org,<script>,ok," + "x" * 65}).touch.tokens
    assert set(tokens) == {("_pa", "?"), ("_pa", "ok")}


@pytest.mark.parametrize(
    "url", ["http://[broken", "", "shop", "?pa", "//", 7, ["?pa=x"], "?" + "&".join(["a=b"] * 300)]
)
def test_an_address_that_is_none_names_nobody(url: object) -> None:
    assert read(landing_url=url).touch.tokens == ()


def test_a_thousand_tokens_are_cut_at_fifty() -> None:
    tokens = read(attributes={"_pa": ",".join(f"t{number}" for number in range(1_000))}).touch.tokens
    assert [text for _, text in tokens] == [f"t{number}" for number in range(50)]


# -- the stored form ---------------------------------------------------------------------------------------------------


def test_the_stored_form_holds_no_person() -> None:
    text = state_of(read_order(WHOLE, lambda email: hashlib.sha256(email.encode()).hexdigest())).text
    for secret in ("Bob", "bob", "B.O.B", "gmail", "555", "private", "love", "shop.example", "search.example"):
        assert secret not in text
    assert hashlib.sha256(b"bob@gmail.com").hexdigest() in text


def test_the_stored_form_is_canonical_json() -> None:
    text = state_of(read_order(WHOLE, hash_email)).text
    data = json.loads(text)
    assert text == json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert data["lines"][0]["amount"] == "20.00" and data["updated_at"] == "2026-11-01T10:00:00Z"
    assert "“süß”" in text


def test_two_spellings_of_one_order_are_one_state() -> None:
    respelt = WHOLE | {"updated_at": "2026-11-01T10:00:00+00:00", "landing_url": "/?pa=tokenB&utm_content=tokenC"}
    respelt["customer"] = {"email": " bob@gmail.com", "id": "c-7", "orders_before": 2}
    respelt["lines"] = [WHOLE["lines"][0] | {"amount": "20.000000", "tax": "1.00"}]
    assert state_of(read_order(respelt, hash_email)) == state_of(read_order(WHOLE, hash_email))


_decimals = st.builds(lambda micros: f"{micros // 10**6}.{micros % 10**6:06d}", st.integers(0, 10**21 - 1))
_moments = st.sampled_from([PLACED, LATER, "2026-11-01T10:00:00.000001Z", "1970-01-01T00:00:00Z"])
_texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_ids = st.sampled_from(["l1", "l2", "é", '"', "\\", "\u2028"])
_lines = st.fixed_dictionaries(
    {"id": _ids, "quantity": st.integers(0, 10**9), "amount": _decimals},
    optional={"tax": _decimals, "title": _texts, "sku": _texts, "collections": st.lists(_ids, max_size=2)},
)
_parts = st.fixed_dictionaries({"line_id": _ids, "quantity": st.integers(0, 5), "amount": _decimals, "tax": _decimals})
_refunds = st.fixed_dictionaries(
    {"id": _ids, "amount": _decimals},
    optional={"at": st.none() | _moments, "shipping": _decimals, "lines": st.lists(_parts, max_size=2)},
)
_required: dict[str, st.SearchStrategy[Any]] = {
    "id": st.just("1001"),
    "updated_at": _moments,
    "placed_at": _moments,
    "currency": st.sampled_from(["USD", "JPY", "KWD"]),
    "status": st.sampled_from(STATUSES),
    "payment": st.sampled_from(PAYMENTS),
    "lines": st.lists(_lines, max_size=3, unique_by=lambda one: str(one["id"])),
    "refunds": st.lists(_refunds, max_size=3, unique_by=lambda one: str(one["id"])),
}
_customers = st.fixed_dictionaries({"id": _texts, "email": _texts, "orders_before": st.integers(0, 9)})
_optional: dict[str, st.SearchStrategy[Any]] = {
    "number": _texts,
    "paid_at": st.none() | _moments,
    "test": st.booleans(),
    "total": _decimals,
    "shipping": st.fixed_dictionaries({"amount": _decimals, "tax": _decimals}),
    "customer": st.none() | _customers,
    "codes": st.lists(st.sampled_from(["A", "b ", "", "ß"]), max_size=3),
    "attributes": st.fixed_dictionaries({"_pa": st.sampled_from(["t1,t2", "t2", "", "?,t1", "t1,t2,t1"])}),
    "landing_url": st.sampled_from([None, "https://shop.example/?pa=t1&utm_content=t2", "x"]),
}
_orders = st.fixed_dictionaries(_required, optional=_optional)


@given(_orders)
@fixed
def test_what_is_stored_is_read_back_as_the_same_state(data: dict[str, Any]) -> None:
    told = state_of(read_order(data, hash_email))
    again = read_state(told.text)
    assert again == told and again.order == told.order and again.sha == told.sha
    assert told.sha == hashlib.sha256(told.text.encode()).hexdigest()


# -- which state is the order now --------------------------------------------------------------------------------------


def now_of(*states: State) -> State:
    """Return the state that stands, whichever of them came last."""
    standing = {story(*some).now.sha for some in itertools.permutations(states)}
    assert len(standing) == 1
    return story(*states).now


def test_the_later_update_stands() -> None:
    cancelled = state(status="cancelled", payment="chargeback", refunds=[refund("r", "99")])
    later = state(updated_at=LATER, payment="unpaid")
    assert now_of(cancelled, later) == later


def test_of_equal_times_the_cancelled_one_stands() -> None:
    charged_back, cancelled = state(payment="chargeback", refunds=[refund("r", "99")]), state(status="cancelled")
    assert now_of(charged_back, cancelled) == cancelled


def test_then_the_payment_further_on_stands() -> None:
    states = [state(payment=payment, refunds=[refund("r", str(9 - at))]) for at, payment in enumerate(PAYMENTS)]
    assert PAYMENTS == ("unpaid", "paid", "voided", "chargeback")
    for less, more in itertools.combinations(states, 2):
        assert now_of(less, more) == more


def test_then_the_greater_sum_of_refunds_stands_as_stated() -> None:
    one = state(refunds=[refund("r", "30.00", ("l1", 1, "30.00"))])
    two = state(refunds=[refund("a", "15.01"), refund("b", "15.00")])
    assert now_of(one, two) == two


def test_at_last_the_greater_sha_stands() -> None:
    one, two = state(number="1"), state(number="2")
    assert now_of(one, two) == max(one, two, key=lambda told: hashlib.sha256(told.text.encode()).hexdigest())


def test_a_refund_that_is_no_longer_listed_was_taken_back() -> None:
    refunded = state(updated_at=PLACED, refunds=[refund("r", "99")])
    assert now_of(refunded, state(updated_at=LATER)).order.refunds == ()


def test_an_older_state_that_comes_later_changes_nothing() -> None:
    new, old = state(updated_at=LATER, refunds=[refund("r", "1")]), state(payment="unpaid")
    assert merge(story_of(new), story_of(old)).now == new


def test_placed_at_and_customer_are_those_of_the_earliest_state() -> None:
    first = state(placed_at=LATER, customer={"id": "c1"})
    later = state(updated_at=LATER, placed_at=PLACED, customer={"id": "c2", "orders_before": 5})
    for some in ((first, later), (later, first)):
        told = story(*some)
        assert told.first.placed_at == parse_moment(LATER)
        assert told.first.customer == Customer("c1", None, 0) and told.is_new_customer


def test_paid_at_is_that_of_the_earliest_paid_state() -> None:
    unpaid = state(payment="unpaid", paid_at="2026-10-01T00:00:00Z")
    paid = state(updated_at="2026-11-01T11:00:00Z", paid_at="2026-11-01T10:59:00Z")
    again = state(updated_at="2026-11-01T12:00:00Z", paid_at="2026-11-01T11:59:00Z")
    for some in itertools.permutations((unpaid, paid, again)):
        told = story(*some)
        assert told.paid is not None and told.paid[1] == parse_moment("2026-11-01T10:59:00Z")
    assert story(unpaid).paid is None


@pytest.mark.parametrize(
    ("customer", "is_new"),
    [
        (None, True),
        ({"id": "c", "orders_before": 0}, True),
        ({"id": "c", "orders_before": None}, True),
        ({"id": "c"}, True),
        ({"id": "c", "orders_before": 1}, False),
        ({"email": "b@example.org", "orders_before": 3}, True),  # without an id they are a guest
    ],
)
def test_a_guest_and_somebody_without_earlier_orders_are_new(customer: dict[str, Any] | None, is_new: bool) -> None:
    assert story(state(customer=customer)).is_new_customer is is_new


def test_a_customer_is_known_by_id_else_by_the_hash_of_the_email() -> None:
    assert Customer("7", "h", 0).key == "id:7"
    assert Customer(None, "h", 0).key == "email:h"
    assert Customer(None, None, 0).key is None
    assert Customer("email:h", None, 0).key != Customer(None, "h", 0).key


def test_each_touch_stands_at_the_earliest_state_that_carries_it() -> None:
    bare, coupon = state(payment="unpaid"), state(updated_at="2026-11-01T11:00:00Z", codes=["A"])
    again = state(updated_at="2026-11-01T12:00:00Z", codes=["A"])
    for some in itertools.permutations((bare, coupon, again)):
        assert story(*some).touches == ((bare.key, bare.order.touch), (coupon.key, coupon.order.touch))


# -- a bare "deleted" --------------------------------------------------------------------------------------------------


def deleted(told: Story, at: int) -> Story:
    """Return the story with a bare deletion that arrived at the moment."""
    return Story(told.now, told.first, told.paid, told.touches, at)


@pytest.mark.parametrize(("seconds", "counts"), [(-1, False), (0, True), (1, True)])
def test_a_bare_deletion_counts_as_cancelled_as_of_its_arrival(seconds: int, counts: bool) -> None:
    told = deleted(story(), PLACED_AT + seconds * SECOND)
    assert told.deleted is told.cancelled is counts


def test_what_the_shop_states_after_a_deletion_stands_again() -> None:
    told = merge(deleted(story(), PLACED_AT), story_of(state(updated_at=LATER)))
    assert not told.deleted and not told.cancelled


def test_the_latest_deletion_counts_in_any_order_of_arrival() -> None:
    early, late = deleted(story(), PLACED_AT - SECOND), deleted(story(), PLACED_AT + SECOND)
    assert merge(early, late) == merge(late, early) and merge(early, late).deleted
    assert merge(late, story()).deleted_at == PLACED_AT + SECOND == merge(story(), late).deleted_at


def test_a_stated_cancellation_needs_no_deletion() -> None:
    told = story(state(status="cancelled"))
    assert told.cancelled and not told.deleted


# -- merging is a join -------------------------------------------------------------------------------------------------

_few = st.fixed_dictionaries(
    {
        "updated_at": st.sampled_from([PLACED, LATER]),
        "payment": st.sampled_from(PAYMENTS),
        "status": st.sampled_from(STATUSES),
        "placed_at": st.sampled_from([PLACED, LATER]),
        "paid_at": st.sampled_from([None, PLACED, LATER]),
        "codes": st.sampled_from([[], ["A"], ["B"]]),
        "refunds": st.sampled_from([[], [refund("r", "1")], [refund("s", "1")]]),
        "customer": st.sampled_from([None, {"id": "c"}, {"id": "d", "orders_before": 2}]),
    }
).map(lambda changes: story_of(state(**changes)))
_stories = st.builds(
    lambda told, at: told if at is None else deleted(told, at), _few, st.none() | st.integers(PLACED_AT, PLACED_AT + 9)
)


@given(_stories, _stories, _stories)
@fixed
def test_merging_is_associative_commutative_and_idempotent(one: Story, two: Story, three: Story) -> None:
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    joined = merge(one, two)
    assert merge(joined, one) == merge(joined, joined) == joined
    assert merge(one, one) == one


@given(st.lists(_stories, min_size=1, max_size=6), st.randoms(use_true_random=False))
@fixed
def test_any_order_of_arrival_with_any_duplicates_tells_the_same_story(
    stories: list[Story], luck: random.Random
) -> None:
    again = [*stories, *(luck.choice(stories) for _ in range(3))]
    luck.shuffle(again)
    assert reduce(merge, again) == reduce(merge, stories)
