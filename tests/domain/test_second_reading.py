"""Two programs that know only the interface page, the core and the second reading, come to the same cents.

How many orders are drawn is said by PASSALONG_TEST_VOLUME; ``make soak`` asks for more than ``make test``.
"""

import json
import os
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest

from plugin.domain.commission import Frozen, Outcome, outcome
from plugin.domain.hold import release_at
from plugin.domain.moment import format_moment, parse_moment
from plugin.domain.money import MICROS, format_minor, round_to_minor
from plugin.domain.order import Key, State, Story, read_order, state_of
from plugin.domain.plan import Plan, read_plan
from tests.domain.builders import hash_email, story
from tests.domain.random_orders import Drawn, draw
from tests.second_reading import reckon

VOLUME = int(os.environ.get("PASSALONG_TEST_VOLUME", "100000"))
PARTS = 4


def is_left_to_the_sha(keys: Iterable[Key], pick: Callable[..., Any]) -> bool:
    """Tell whether only the SHA decides: each program takes it of its own spelling of the state."""
    known = set(keys)
    picked = pick((key[:4] for key in known), default=None)
    return len([key for key in known if key[:4] == picked]) > 1


def is_a_tie(states: list[State]) -> bool:
    """Tell whether the state now, the earliest, or the earliest paid one is only told by the SHA."""
    keys = [one.key for one in states]
    paid = [one.key for one in states if one.order.payment == "paid"]
    return is_left_to_the_sha(keys, max) or is_left_to_the_sha(keys, min) or is_left_to_the_sha(paid, min)


def frozen_of(told: Story, decision: dict[str, Any]) -> Frozen:
    """Return what a decision of the second reading's shape froze."""
    return Frozen(
        sharer=1 if decision["winner"] else None,
        group=decision["group"],
        uplines=(2,) if decision["upline"] else (),
        buyer=3 if decision["buyer"] else None,
        new_customer=told.is_new_customer,
        channel=decision["channel"],
        campaign=decision["campaign"],
        placed_at=told.first.placed_at,
    )


def said_by_the_core(told: Story, reckoned: Outcome, plan: Plan) -> dict[str, Any]:
    """Return the core's answer in the second reading's words."""
    now, earned, currency = reckoned.now, reckoned.earned, told.now.order.currency

    def show(minor: int) -> str:
        return format_minor(minor, currency)

    due = release_at(told, plan.hold_days)
    figures = now.roles[0].by_line if now.roles else (0,) * len(now.lines)
    return {
        "flags": sorted(now.flags),
        "release_at": None if due is None else format_moment(due),
        "net": show(now.net),
        "refunded": show(round_to_minor(sum(one.amount for one in told.now.order.refunds), currency)),
        "commissions": {
            role.role: {
                "amount": show(role.minor),
                "earned": show(full.minor),
                "clawed_back": show(full.minor - role.minor),
            }
            for role, full in zip(now.roles, earned.roles, strict=True)
        },
        "lines": [
            {"id": one.line.id, "base": one.base, "rule": one.rule.id if one.rule else None, "amount": show(figure)}
            for one, figure in zip(now.lines, figures, strict=True)
        ],
    }


def said_by_the_second_reading(drawn: Drawn, plan: Plan) -> dict[str, Any]:
    """Return the second reading's answer; a role without a rate is none to the core."""
    answer: dict[str, Any] = reckon(drawn.states, drawn.decision, drawn.plan, drawn.starts)
    del answer["now"]
    if not plan.cashback_rate:
        answer["commissions"].pop("buyer", None)
    if not plan.upline_rate:
        answer["commissions"].pop("upline", None)
    for line in answer["lines"]:
        line["base"] *= MICROS
    return answer


def is_compared(drawn: Drawn) -> bool:
    """Compare the two answers; tell whether there was one to compare."""
    states = [state_of(read_order(one, hash_email)) for one in drawn.states]
    if is_a_tie(states):
        return False
    told, plan = story(*states), read_plan(drawn.plan)
    reckoned = outcome(told, frozen_of(told, drawn.decision), plan, starts_at=parse_moment(drawn.starts))
    assert said_by_the_core(told, reckoned, plan) == said_by_the_second_reading(drawn, plan)
    return True


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(PARTS))
def test_both_readings_come_to_the_same_cents(part: int) -> None:
    count, compared = VOLUME // PARTS, 0
    for number in range(count):
        seed = part * 1_000_000_000 + number
        drawn = draw(Random(seed))
        try:
            compared += is_compared(drawn)
        except Exception as error:
            words = json.dumps([drawn.states, drawn.decision, drawn.plan, drawn.starts])
            error.add_note(f"Seed {seed}: draw(Random({seed})) is {words}")
            raise
    print(f"{compared} of {count} orders compared; the others were told apart by their SHA alone")
    assert compared > count * 0.9
