"""Random histories of a shop: the books hold after each step, and any order of telling ends in the same books.

The plain seeded loop is for volume (``python tests/histories.py --count N --seed S`` runs more); Hypothesis drives the
same histories where a failure should be made small.
"""

import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin.domain.ledger import EDGES
from plugin.errors import InvariantBroken
from tests.domain.builders import fixed
from tests.histories import KINDS_OF_HISTORY, History, Kind, Tally, World, history, live

COUNT = int(os.environ.get("PASSALONG_TEST_HISTORIES", "20000"))
PARTS = 8


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_books_hold_through_random_histories(part: int) -> None:
    first, tally = part * 1_000_000_000, Tally()
    for so_far in live(range(first, first + COUNT // PARTS)):
        tally = so_far
    print(tally.table())
    assert tally.histories == COUNT // PARTS and not tally.never()


@pytest.mark.timeout(600)
@settings(fixed, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.sampled_from(KINDS_OF_HISTORY), st.integers(1, 30))
def test_the_books_hold_through_histories_that_can_be_made_small(luck: Random, kind: Kind, steps: int) -> None:
    History(luck, kind, steps).run()


def lived() -> World:
    """Return a world in which much has happened."""
    one = next(one for one in map(history, range(100)) if one.kind.is_plain and one.steps == 100)
    one.run()
    return one.world


def a_lot(world: World) -> dict[str, int]:
    """Return some commission that has money in it."""
    return next(lot for entry in world.orders.values() for lot in entry.lots.values() if any(lot.values()))


def shift_account(world: World) -> None:
    key = next(key for key, minor in world.accounts.items() if minor)
    world.accounts[key] += 1


def shift_lot(world: World) -> None:
    a_lot(world)["payable"] += 1


def shift_inside_lot(world: World) -> None:
    lot = a_lot(world)
    lot["payable"] -= 1
    lot["pending"] += 1


def forget_a_move(world: World) -> None:
    world.log.pop()
    world.moved.clear()
    world.summed = 0


def pay_without_a_payout(world: World) -> None:
    world.batches.clear()


def raise_a_target(world: World) -> None:
    entry = next(entry for entry in world.orders.values() if any(entry.stand.targets.values()))
    entry.stand = type(entry.stand)(entry.stand.outcome, dict.fromkeys(entry.stand.targets, 7), None, ())


@pytest.mark.parametrize(
    "spoil", [shift_account, shift_lot, shift_inside_lot, forget_a_move, pay_without_a_payout, raise_a_target]
)
def test_books_that_were_spoilt_are_found(spoil: Callable[[World], None]) -> None:
    world = lived()
    world.check()
    world.check_by_record()
    spoil(world)
    with pytest.raises(InvariantBroken):
        world.check()


def test_an_order_that_was_decided_otherwise_is_found() -> None:
    world = lived()
    entry = next(entry for entry in world.orders.values() if entry.work.decision and entry.work.decision.winner)
    entry.work.decision = None
    with pytest.raises(InvariantBroken):
        world.check_by_record()


def test_a_tally_names_what_never_happened() -> None:
    assert set(EDGES) <= set(Tally().never())
    (tally,) = live([1])
    assert tally.histories == 1 and "order" not in tally.never()
    assert f"{tally.edges['earn']:>9}  edge earn" in tally.table()
