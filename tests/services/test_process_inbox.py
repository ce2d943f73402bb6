"""The inbox's batches: the next one is leased with the one before it, and given back by a worker that leaves."""

import pytest
from sqlalchemy import func, select

from plugin.models import delivery
from plugin.services import process_inbox
from plugin.services.process_inbox import drain
from tests.world import World


@pytest.fixture
def inbox(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give an installation with seven stored deliveries, three to a batch."""
    monkeypatch.setattr(process_inbox, "BATCH", 3)
    shop = world.shop()
    shop.plan()
    for _ in range(7):
        shop.deliver(shop.order())
    return world


def leased(world: World) -> int:
    """Return how many deliveries somebody holds."""
    with world.context.database.reading() as connection:
        held = select(func.count()).where(delivery.c.lease_by.is_not(None))
        return connection.execute(held).scalar_one()


def test_batch_after_batch_all_of_it_is_done_once(inbox: World) -> None:
    tally = drain(inbox.context)
    assert (tally.done, tally.taken_over, leased(inbox)) == (7, 0, 0)
    assert inbox.books().ok and inbox.books().transfers == 0
    assert drain(inbox.context).done == 0


def test_a_worker_that_leaves_keeps_nothing_from_the_others(inbox: World) -> None:
    leaves = iter([False, True])
    assert drain(inbox.context, stopped=lambda: next(leaves)).done == 3
    assert leased(inbox) == 0
    tally = drain(inbox.context)
    assert (tally.done, tally.taken_over) == (4, 0)


def test_after_a_batch_that_fails_the_next_one_is_leased_anew(inbox: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settle, calls = process_inbox.settle, iter(range(100))

    def fail_at_first(*args: object, **kwargs: object) -> object:
        if next(calls) == 0:
            raise RuntimeError("a fault of the code")
        return settle(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(process_inbox, "settle", fail_at_first)
    assert drain(inbox.context).done == 7
    assert leased(inbox) == 0
