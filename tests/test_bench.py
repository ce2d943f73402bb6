"""What the benchmark measures is what it says: the orders it copies are those the worker would have written."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from plugin.domain.moment import parse_moment

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """Give the benchmark's modules ``world`` and ``filling``; they import each other by these names alone."""
    monkeypatch.syspath_prepend(str(BENCH))
    import filling
    import world

    return world, filling


def test_a_copied_order_has_the_rows_the_worker_would_have_written(
    bench: tuple[ModuleType, ModuleType], database_url: str, tmp_path: Path
) -> None:
    world, filling = bench
    calendar = filling.Calendar(parse_moment("2026-01-01T00:00:00Z"), count=60, times=3)
    truth = world.make_world(world.env_of(f"sqlite:///{tmp_path}/truth.db", tmp_path), links=world.SHARERS)
    filling.settle_orders(truth, calendar, range(3))
    filled = world.make_world(world.env_of(database_url, tmp_path), links=world.SHARERS)
    filling.settle_orders(filled, calendar)
    assert filling.same_rows(truth, filled)  # the comparison sees what is missing
    filling.copy_orders(filled, calendar)
    assert filling.same_rows(truth, filled) == []
    later = replace(calendar, times=2)
    other = world.make_world(world.env_of(f"sqlite:///{tmp_path}/other.db", tmp_path), links=world.SHARERS)
    filling.settle_orders(other, later, range(2))
    assert filling.same_rows(other, filled)  # and what is there once too often
