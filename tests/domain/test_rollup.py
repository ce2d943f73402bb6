"""Rollups are sums: what goes in comes out, in any order and any grouping, and a day is where its zone says."""

from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from plugin.domain.ledger import EDGES
from plugin.domain.moment import DAY, SECOND
from plugin.domain.rollup import (
    FIGURE_MAX,
    FIGURES,
    NOT_COUNTED,
    ROLES,
    SHARER_MONTH,
    SHARER_TOTAL,
    SHOP_DAY,
    Counted,
    Rollup,
    counted,
    day_of,
)
from tests.domain.builders import fixed, refund, state, story

NEW_YORK = ZoneInfo("America/New_York")
moments = st.integers(min_value=1_000 * DAY, max_value=30_000 * DAY)
orders = st.builds(
    Counted,
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 3)),
    st.booleans(),
    st.integers(0, FIGURE_MAX),
    st.integers(0, FIGURE_MAX),
)
placed = st.tuples(moments, st.sampled_from(("USD", "TWD")), orders)
moved = st.tuples(
    moments, st.integers(1, 3), st.sampled_from(ROLES), st.just("USD"), st.sampled_from(sorted(EDGES)), st.integers(1)
)


def sums(*rollups: Rollup) -> dict[tuple[str, object], list[int]]:
    """Return the rows of rollups added up, without those that are all zero."""
    found: dict[tuple[str, object], list[int]] = {}
    for rollup in rollups:
        for name in FIGURES:
            for key, row in rollup.rows(name):
                before = found.get((name, key), [0] * len(row))
                found[name, key] = [one + other for one, other in zip(before, row, strict=True)]
    return {where: row for where, row in found.items() if any(row)}


def whole(rollup: Rollup, name: str) -> dict[str, int]:
    """Return the sum of all rows of one rollup, by figure."""
    rows = [row for _, row in rollup.rows(name)]
    return {figure: sum(row[index] for row in rows) for index, figure in enumerate(FIGURES[name])}


@fixed
@given(st.lists(placed), st.lists(moved), st.randoms(use_true_random=False))
def test_any_order_and_any_grouping_comes_to_the_same(
    some: list[tuple[int, str, Counted]], moves: list[tuple[int, int, str, str, str, int]], luck: Random
) -> None:
    whole, parts = Rollup(NEW_YORK), [Rollup(NEW_YORK) for _ in range(3)]
    calls = [("count_order", one) for one in some] + [("count_transfer", one) for one in moves]
    for name, one in calls:
        getattr(whole, name)(*one)
    luck.shuffle(calls)
    for name, one in calls:
        getattr(luck.choice(parts), name)(*one)
    assert sums(whole) == sums(*parts)


@fixed
@given(st.lists(placed), placed)
def test_an_order_taken_out_again_leaves_nothing(
    some: list[tuple[int, str, Counted]], one: tuple[int, str, Counted]
) -> None:
    plain, edited = Rollup(NEW_YORK), Rollup(NEW_YORK)
    for other in some:
        plain.count_order(*other)
        edited.count_order(*other)
    edited.count_order(*one)
    edited.count_order(*one, sign=-1)
    assert sums(plain) == sums(edited)


@fixed
@given(st.lists(placed), st.lists(moved))
def test_days_and_months_and_totals_agree(
    some: list[tuple[int, str, Counted]], moves: list[tuple[int, int, str, str, str, int]]
) -> None:
    rollup = Rollup(NEW_YORK)
    for one in some:
        rollup.count_order(*one)
    for move in moves:
        rollup.count_transfer(*move)
    days, months, totals = (whole(rollup, name) for name in (SHOP_DAY, SHARER_MONTH, SHARER_TOTAL))
    assert sum(days[role] for role in ROLES) == months["earned"] - months["clawed_back"]
    assert days["paid_out"] == months["paid_out"]
    assert days["credited"] == months["orders"] == totals["orders"]
    assert months["net"] == totals["net"] <= days["net"]


@fixed
@given(moments, st.sampled_from(sorted(available_timezones() - {"localtime"})))
def test_a_day_is_the_date_on_the_wall(moment: int, zone: str) -> None:
    wall = datetime.fromtimestamp(moment // SECOND, UTC).astimezone(ZoneInfo(zone))
    assert day_of(moment, ZoneInfo(zone)) == f"{wall.year:04}-{wall.month:02}-{wall.day:02}"


@fixed
@given(moments, st.sampled_from(sorted(available_timezones() - {"localtime"})))
def test_all_moments_of_a_minute_are_of_one_day(moment: int, zone: str) -> None:
    start = moment - moment % (60 * SECOND)
    assert day_of(start, ZoneInfo(zone)) == day_of(moment, ZoneInfo(zone))


def test_the_first_and_the_last_moment_there_is_have_a_day() -> None:
    assert day_of(0, NEW_YORK) == "1969-12-31"
    assert day_of(253_370_764_800 * SECOND - 1, ZoneInfo("Pacific/Kiritimati")) == "9999-01-01"


def test_an_order_counts_while_it_is_paid_uncancelled_and_no_test() -> None:
    paid = story(state(refunds=[refund("r1", "12.34")]))
    assert counted(paid, 7, 500, starts_at=0) == Counted(True, 7, True, 500, 1234)
    assert counted(paid, None, 0, starts_at=0) == Counted(True, None, True, 0, 1234)
    for change in ({"payment": "unpaid"}, {"payment": "chargeback"}, {"status": "cancelled"}, {"test": True}):
        assert counted(story(state(**change)), 7, 500, starts_at=0) == NOT_COUNTED
    assert counted(paid, 7, 500, starts_at=paid.first.placed_at + 1) == NOT_COUNTED
    assert counted(paid, 7, 500, starts_at=paid.first.placed_at).counts
