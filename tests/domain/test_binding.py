"""Binding: how a customer stays with who brought them, order by order."""

from typing import Any

import pytest

from plugin.domain.binding import Bound, Past, bound_at
from plugin.domain.moment import DAY
from plugin.domain.plan import Binding
from tests.domain.builders import ALICE, BOB, CAROL


def past(day: int, winner: int | None = ALICE, *, paid: bool = True, by_binding: bool = False) -> Past:
    """Return an earlier order of the customer, placed on the day."""
    return Past(day * DAY, f"o{day}", paid, winner, by_binding)


def bound_on(day: int, *orders: Past, mode: str = "first", plus: int = 0, **terms: Any) -> int | None:
    """Return whom the customer is bound to on a day (and ``plus`` microseconds)."""
    bound = bound_at(orders, day * DAY + plus, Binding(mode=mode, **terms))
    return bound.sharer if bound else None


def test_without_a_mode_nobody_is_bound() -> None:
    assert bound_on(9, past(1), mode="none") is None


@pytest.mark.parametrize("mode", ["first", "latest"])
def test_the_customer_is_bound_to_the_winner_of_their_earliest_paid_credited_order(mode: str) -> None:
    assert bound_on(9, mode=mode) is None
    assert bound_on(9, past(1, None), past(2, BOB, paid=False), past(3, ALICE), mode=mode) == ALICE
    bound = bound_at([past(3)], 9 * DAY, Binding(mode=mode))
    assert bound == Bound(ALICE, 3 * DAY, 3 * DAY, 0)  # at that order's placed_at


def test_first_keeps_the_binding_and_latest_moves_it() -> None:
    orders = past(1, ALICE), past(2, BOB), past(3, CAROL)
    assert bound_on(9, *orders, mode="first") == ALICE
    assert bound_on(9, *orders, mode="latest") == CAROL


def test_latest_is_moved_only_by_other_evidence_that_was_paid_and_credited() -> None:
    orders = past(1, ALICE), past(2, BOB, paid=False), past(3, None), past(4, ALICE, by_binding=True)
    assert bound_on(9, *orders, mode="latest") == ALICE
    bound = bound_at([past(1), past(4, by_binding=True)], 9 * DAY, Binding(mode="latest"))
    assert bound is not None and bound.at == DAY and bound.used == 1


@pytest.mark.parametrize(("day", "plus", "sharer"), [(8, 0, ALICE), (8, 1, BOB), (7, 0, ALICE)])
def test_latest_does_not_move_within_protected_days_of_the_last_move(day: int, plus: int, sharer: int) -> None:
    moved = Past(day * DAY + plus, "o", True, BOB, False)
    assert bound_on(20, past(1), moved, mode="latest", protected_days=7) == sharer


def test_each_move_is_protected_anew() -> None:
    orders = past(1, ALICE), past(9, BOB), past(12, CAROL)
    assert bound_on(20, *orders, mode="latest", protected_days=7) == BOB
    assert bound_on(20, *orders, past(17, CAROL), mode="latest", protected_days=7) == CAROL


def test_the_same_sharer_again_is_a_move_too() -> None:
    bound = bound_at([past(1), past(5)], 9 * DAY, Binding(mode="latest"))
    assert bound == Bound(ALICE, 5 * DAY, 5 * DAY, 0)
    assert bound_at([past(1), past(5)], 9 * DAY, Binding(mode="first")) == Bound(ALICE, DAY, DAY, 0)


@pytest.mark.parametrize(("plus", "sharer"), [(0, ALICE), (1, None)])
@pytest.mark.parametrize("mode", ["first", "latest"])
def test_a_binding_is_valid_for_valid_days_from_the_bind(mode: str, plus: int, sharer: int | None) -> None:
    assert bound_on(11, past(1), mode=mode, plus=plus, valid_days=10) == sharer
    later = past(5, ALICE, by_binding=True)
    assert bound_on(11, past(1), later, mode=mode, plus=plus, valid_days=10) == sharer


def test_a_move_starts_the_days_anew() -> None:
    orders = past(1, ALICE), past(5, BOB)
    assert bound_on(15, *orders, mode="latest", valid_days=10) == BOB
    assert bound_on(15, *orders, mode="first", valid_days=10) is None


@pytest.mark.parametrize(
    ("order", "extends"),
    [
        (past(8, None), True),  # any paid order of the customer
        (past(8, BOB), True),
        (past(8, ALICE, by_binding=True), True),
        (past(8, ALICE, paid=False), False),
        (past(12, None), False),  # after it ran out
    ],
)
def test_with_extend_on_order_it_is_valid_from_the_customers_latest_paid_order(order: Past, extends: bool) -> None:
    assert bound_on(18, past(1), order, valid_days=10, extend_on_order=True) == (ALICE if extends else None)
    assert bound_on(18, past(1), order, valid_days=10) is None


def test_when_it_ran_out_the_next_credit_binds_anew() -> None:
    orders = past(1, ALICE), past(20, BOB)
    assert bound_on(25, *orders, mode="first", valid_days=10) == BOB
    assert bound_on(25, *orders, mode="latest", valid_days=10, protected_days=100) == BOB


@pytest.mark.parametrize(("most", "sharer"), [(0, None), (1, None), (2, None), (3, ALICE), (None, ALICE)])
def test_it_is_used_for_max_orders_orders_credited_by_it(most: int | None, sharer: int | None) -> None:
    used = [past(2, by_binding=True), past(3, by_binding=True)]
    assert bound_on(9, past(1), *used, max_orders=most) == sharer


def test_orders_credited_otherwise_or_unpaid_do_not_use_it_up() -> None:
    orders = past(1), past(2), past(3, BOB), past(4, by_binding=True, paid=False), past(5, by_binding=True)
    assert bound_on(9, *orders, max_orders=2) == ALICE
    assert bound_on(9, *orders, past(6, by_binding=True), max_orders=2) is None


def test_when_it_is_used_up_the_next_credit_binds_anew() -> None:
    used_up = past(1), past(2, by_binding=True)
    assert bound_on(9, *used_up, past(3, BOB), mode="first", max_orders=1) == BOB
    bound = bound_at([*used_up, past(3, BOB)], 9 * DAY, Binding(mode="first", max_orders=1))
    assert bound == Bound(BOB, 3 * DAY, 3 * DAY, 0)


def test_a_credit_by_a_binding_that_is_no_more_binds_nobody() -> None:
    assert bound_on(9, past(2, by_binding=True)) is None
    assert bound_on(9, past(1, BOB), past(2, ALICE, by_binding=True)) == BOB
    other = bound_at([past(1, BOB), past(2, ALICE, by_binding=True)], 9 * DAY, Binding(mode="first"))
    assert other is not None and other.used == 0
