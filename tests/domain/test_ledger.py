"""The ledger: the only ways money may go, and the moves that bring a commission to its target."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.domain.ledger import (
    EDGES,
    MAY_OVERDRAW,
    SHARER_PURPOSES,
    SHOP_PURPOSES,
    Move,
    booked,
    moves,
    state_of,
)
from tests.domain.builders import fixed


def after(lot: dict[str, int], done: list[Move]) -> dict[str, int]:
    """Return the lot after the moves, without what is empty; the shop's side is "commission"."""
    left = dict(lot)
    for move in done:
        assert move.minor > 0
        left[move.source] = left.get(move.source, 0) - move.minor
        left[move.target] = left.get(move.target, 0) + move.minor
    left.pop("commission", None)
    return {purpose: minor for purpose, minor in left.items() if minor}


def by_name(done: list[Move]) -> list[tuple[str, int]]:
    """Return the kinds and amounts of moves."""
    return [(move.kind, move.minor) for move in done]


# -- the edges ---------------------------------------------------------------------------------------------------------


def test_money_takes_these_ways_and_no_other() -> None:
    assert {kind: f"{source} {target}" for kind, (source, target) in EDGES.items()} == {
        "earn": "commission pending",
        "take_back": "pending commission",
        "earn_held": "commission held",
        "take_back_held": "held commission",
        "hold": "pending held",
        "free": "held pending",
        "release": "pending payable",
        "earn_late": "commission payable",
        "claw_back": "payable commission",
        "reserve": "payable in_flight",
        "reserve_debt": "in_flight payable",
        "give_back": "in_flight payable",
        "give_back_debt": "payable in_flight",
        "settle": "in_flight paid",
        "settle_debt": "paid in_flight",
        "return": "paid payable",
        "return_debt": "payable paid",
    }
    assert all({source, target} <= {*SHARER_PURPOSES, *SHOP_PURPOSES} for source, target in EDGES.values())


def test_every_way_has_its_way_back_but_a_release() -> None:
    ways = set(EDGES.values())
    assert [way for way in EDGES.values() if way[::-1] not in ways] == [("pending", "payable")]


def test_only_clawbacks_and_returning_debts_may_leave_payable_below_zero() -> None:
    assert {"claw_back", "give_back_debt", "return_debt"} == MAY_OVERDRAW
    assert all(EDGES[kind][0] == "payable" for kind in MAY_OVERDRAW)


# -- to the target -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lot", "target", "held", "released", "expected"),
    [
        ({}, 0, False, False, []),
        ({}, 500, False, False, [("earn", 500)]),
        ({"pending": 500}, 500, False, False, []),
        ({"pending": 500}, 300, False, False, [("take_back", 200)]),
        ({"pending": 500}, 0, False, False, [("take_back", 500)]),
        ({"pending": 500}, 499, False, False, [("take_back", 1)]),
        ({"pending": 500}, 501, False, False, [("earn", 1)]),
        ({"pending": 500}, 700, False, False, [("earn", 200)]),
        ({}, 500, True, False, [("earn_held", 500)]),
        ({"held": 500}, 300, True, False, [("take_back_held", 200)]),
        ({"pending": 500}, 500, True, False, [("hold", 500)]),
        ({"pending": 500}, 700, True, False, [("hold", 500), ("earn_held", 200)]),
        ({"pending": 500}, 100, True, False, [("hold", 500), ("take_back_held", 400)]),
        ({"held": 500}, 500, False, False, [("free", 500)]),
        ({"held": 500}, 0, False, False, [("free", 500), ("take_back", 500)]),
        ({"payable": 500}, 500, False, True, []),
        ({"payable": 500}, 300, False, True, [("claw_back", 200)]),
        ({"payable": 500}, 700, False, True, [("earn_late", 200)]),
        ({"paid": 500}, 300, False, True, [("claw_back", 200)]),  # below zero if need be
        ({"paid": 500, "payable": -200}, 300, False, True, []),
        ({"paid": 500, "payable": -200}, 500, False, True, [("earn_late", 200)]),
        ({"in_flight": 500}, 0, False, True, [("claw_back", 500)]),
        ({"in_flight": -200, "paid": 500}, 300, False, True, []),
        ({"paid": 480, "fees": 15, "tax_withheld": 5}, 500, False, True, []),
    ],
)
def test_the_books_are_moved_by_the_difference(
    lot: dict[str, int], target: int, held: bool, released: bool, expected: list[tuple[str, int]]
) -> None:
    assert by_name(moves(lot, target, held=held, released=released)) == expected


_lots = st.one_of(
    st.builds(lambda minor: {"pending": minor}, st.integers(0, 1_000)),
    st.builds(lambda minor: {"held": minor}, st.integers(0, 1_000)),
)
_released = st.fixed_dictionaries(
    {},
    optional={
        "payable": st.integers(-1_000, 1_000),
        "in_flight": st.integers(-1_000, 1_000),
        "paid": st.integers(-1_000, 1_000),
    },
)


@given(_lots, st.integers(0, 1_000), st.booleans())
@fixed
def test_before_the_release_it_all_lies_pending_or_held(lot: dict[str, int], target: int, held: bool) -> None:
    done = moves(lot, target, held=held, released=False)
    assert after(lot, done) == ({"held" if held else "pending": target} if target else {})
    for count in range(len(done)):
        assert all(minor > 0 for minor in after(lot, done[: count + 1]).values())
    assert not moves(after(lot, done), target, held=held, released=False)


@given(_released, st.integers(0, 1_000))
@fixed
def test_after_the_release_the_difference_lies_payable(lot: dict[str, int], target: int) -> None:
    done = moves(lot, target, held=False, released=True)
    left = after(lot, done)
    assert booked(left) == target and len(done) <= 1
    assert {purpose: left.get(purpose, 0) for purpose in ("paid", "in_flight")} == {
        purpose: lot.get(purpose, 0) for purpose in ("paid", "in_flight")
    }


@given(_released | _lots, st.integers(0, 1_000), st.booleans(), st.booleans())
@fixed
def test_what_is_booked_becomes_the_target_by_amounts_above_zero(
    lot: dict[str, int], target: int, held: bool, released: bool
) -> None:
    done = moves(lot, target, held=held, released=released)
    assert all(move.minor > 0 and move.kind in EDGES for move in done)
    assert booked(after(lot, done)) == target


def test_what_is_booked_is_counted_wherever_it_lies() -> None:
    lot = {purpose: 2**at for at, purpose in enumerate(SHARER_PURPOSES)}
    assert booked(lot) == 127 and booked({}) == 0
    assert booked({"payable": -5, "paid": 5, "order_id": 7}) == 0  # a row of the database holds more than purposes


# -- the word for where it stands --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lot", "ever", "paid_ever", "word"),
    [
        ({}, False, None, "expected"),
        ({"pending": 5}, True, None, "pending"),
        ({"held": 5}, True, None, "held"),
        ({"payable": 5}, True, None, "payable"),
        ({}, True, None, "reversed"),
        ({"payable": 5, "in_flight": 0}, True, "in_flight", "in_flight"),
        ({"paid": 5, "payable": -5}, True, "paid", "paid"),  # whatever is clawed back later
        ({"paid": 5}, True, "paid", "paid"),
    ],
)
def test_a_commission_has_one_word_for_where_it_stands(
    lot: dict[str, int], ever: bool, paid_ever: str | None, word: str
) -> None:
    assert state_of(lot, booked_ever=ever, paid_ever=paid_ever) == word


def test_a_purpose_is_the_sharers_or_the_shops() -> None:
    assert not set(SHARER_PURPOSES) & set(SHOP_PURPOSES)
    assert len({*itertools.chain(SHARER_PURPOSES, SHOP_PURPOSES)}) == 9
