"""What an order comes to by product adds up to the order itself, whatever is on it and whatever came back of it."""

from random import Random

import pytest

from plugin.domain.commission import Frozen, outcome
from plugin.domain.moment import parse_moment
from plugin.domain.money import round_to_minor
from plugin.domain.order import read_order, state_of
from plugin.domain.order_parts import Parts, parts_of
from plugin.domain.plan import read_plan
from plugin.domain.rollup import CHANNEL_MONTH, FIGURES, PRODUCT_MONTH, counted
from tests.domain.builders import hash_email, line, refund, state, story
from tests.domain.random_orders import draw
from tests.domain.test_second_reading import frozen_of

TEN_PERCENT = {"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}}


def sums(parts: Parts) -> dict[str, int]:
    """Return the figures of all products of an order."""
    rows = list(parts.products.values())
    return {name: sum(row[index] for row in rows) for index, name in enumerate(FIGURES[PRODUCT_MONTH])}


@pytest.mark.parametrize("part", range(4))
def test_products_add_up_to_the_order_and_its_commissions(part: int) -> None:
    luck, counting = Random(part), 0  # noqa: S311 - orders that can be drawn again
    for _ in range(400):
        drawn = draw(luck)
        told = story(*(state_of(read_order(one, hash_email)) for one in drawn.states))
        frozen, starts_at = frozen_of(told, drawn.decision), parse_moment(drawn.starts)
        if not drawn.decision["winner"]:
            frozen = Frozen(placed_at=told.first.placed_at)
        now = outcome(told, frozen, read_plan(drawn.plan), starts_at=starts_at).now
        count = counted(told, frozen.sharer, now.net, starts_at=starts_at)
        parts = parts_of(told, count, now, frozen.sharer)
        earned = sum(role.minor for role in now.roles)
        if not count.counts:
            assert not parts.products and not any(parts.credit or ()) and earned == 0
            continue
        counting += 1
        whole, order = sums(parts), told.now.order
        assert whole["commission"] == (earned if order.lines else 0)
        named = {one.product_id or "" for one in order.lines}
        paid = [sum(one.amount for one in order.lines if (one.product_id or "") == name) for name in named]
        assert whole["sales"] + whole["refunded"] == sum(round_to_minor(one, order.currency) for one in paid)
        assert set(parts.products) == named and whole["orders"] == len(named)
        assert all(figure >= 0 for row in parts.products.values() for figure in row)
        sold = (whole["orders"], whole["quantity"], whole["sales"])
        credited = (whole["credited"], whole["credited_quantity"], whole["credited_sales"])
        assert credited == (sold if frozen.sharer else (0, 0, 0))
        assert parts.credit == ((1, count.net, count.refunded, earned) if frozen.sharer else None)
    assert counting > 50


def test_lines_of_one_product_are_rounded_once() -> None:
    lines = [line("l1", "0.005", 1, product_id="p"), line("l2", "0.005", 1, product_id="p"), line("l3", "0.005", 1)]
    told = story(state(lines=lines))
    frozen = Frozen(sharer=1, placed_at=told.first.placed_at)
    now = outcome(told, frozen, read_plan(TEN_PERCENT), starts_at=0).now
    parts = parts_of(told, counted(told, 1, now.net, starts_at=0), now, 1)
    assert {name: row[2] for name, row in parts.products.items()} == {"p": 1, "": 0}  # half a cent goes to the even one


def test_a_refund_without_lines_is_spread_over_the_products() -> None:
    lines = [line("l1", "75.00", 3, product_id="p"), line("l2", "25.00", 1, product_id="q")]
    told = story(state(lines=lines, refunds=[refund("r1", "10.00")]))
    frozen = Frozen(sharer=1, uplines=(2,), placed_at=told.first.placed_at)
    now = outcome(told, frozen, read_plan(TEN_PERCENT), starts_at=0).now
    parts = parts_of(told, counted(told, 1, now.net, starts_at=0), now, 1)
    assert parts.products == {
        "p": (1, 3, 6750, 750, 1, 3, 6750, 810),
        "q": (1, 1, 2250, 250, 1, 1, 2250, 270),
    }
    assert parts.credit == (1, 9000, 1000, 1080) and len(parts.credit) == len(FIGURES[CHANNEL_MONTH])
