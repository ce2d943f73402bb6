"""A payout moves only along its state diagram: every pair of states is tried."""

import itertools
from collections.abc import Callable

import pytest

from plugin.domain import payout
from plugin.domain.payout import mark_item, move_batch
from plugin.errors import Conflict

BATCHES = ["draft", "approved", "submitted", "settled", "cancelled"]
ITEMS = ["reserved", "in_flight", "unknown", "action_needed", "paid", "failed", "returned", "cancelled"]
ALLOWED = [
    ("draft", "approved"),
    ("approved", "submitted"),
    ("submitted", "settled"),
    ("draft", "cancelled"),
    ("approved", "cancelled"),
]
MARKS = [
    ("in_flight", "paid"),
    ("in_flight", "failed"),
    ("unknown", "paid"),
    ("unknown", "failed"),
    ("action_needed", "paid"),
    ("action_needed", "failed"),
    ("paid", "returned"),
]


def is_refused(move: Callable[..., str], *states: str) -> bool:
    """Tell whether a move is refused as a conflict; one that is allowed gives the state moved to."""
    try:
        assert move(*states) == states[-1]
    except Conflict as error:
        assert (error.code, error.status) == ("wrong_state", 409)
        return True
    return False


def test_a_batch_moves_only_along_its_diagram() -> None:
    for state, to in itertools.product(BATCHES, [*BATCHES, "paid", ""]):
        assert is_refused(move_batch, state, to) is ((state, to) not in ALLOWED), (state, to)


def test_an_item_is_marked_only_along_its_diagram_and_only_once_the_batch_is_submitted() -> None:
    for batch, state, to in itertools.product(BATCHES, ITEMS, [*ITEMS, "settled", ""]):
        allowed = batch in ("submitted", "settled") and (state, to) in MARKS
        assert is_refused(mark_item, batch, state, to) is not allowed, (batch, state, to)


def test_a_move_that_is_refused_says_from_where_to_where() -> None:
    for move, states, sentence in (
        (move_batch, ("settled", "draft"), "A payout that is settled cannot become draft."),
        (mark_item, ("draft", "in_flight", "paid"), "Items can be marked when the payout is submitted; it is draft."),
        (mark_item, ("submitted", "failed", "paid"), "An item that is failed cannot be marked paid."),
    ):
        with pytest.raises(Conflict) as raised:
            move(*states)
        assert raised.value.message == sentence


def test_the_ends_are_paid_failed_returned_and_cancelled() -> None:
    assert {"paid", "failed", "returned", "cancelled"} == payout.ENDS
    assert {to for state, to in payout.MARKS if state in payout.ENDS} == {"returned"}  # only paid may still move
