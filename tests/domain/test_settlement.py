"""Settling and deriving: one rule about released orders, read by two programs that must agree."""

from typing import Any

import pytest

from plugin.domain.attribution import Decision, Token
from plugin.domain.facts import SUSPENDED, CodeFact, HoldFact, Link, ManualFact, Roster
from plugin.domain.moment import DAY, format_moment
from plugin.domain.order import State, merge, story_of
from plugin.domain.plan import read_plan
from plugin.domain.settlement import (
    LATE,
    Deciding,
    Deriving,
    Known,
    OrderFacts,
    PlanVersion,
    Record,
    Work,
    binds,
    moves_of,
    past_of,
    plan_at,
    standing,
)
from tests.domain.builders import (
    ALICE,
    BOB,
    PLACED,
    PLACED_AT,
    line,
    refund,
    roster,
    standing_from,
    state,
    story,
)
from tests.domain.test_order import deleted

EARLIER, LATER = "2026-11-01T09:00:00Z", "2026-11-02T10:00:00Z"
FIRST_BINDS: dict[str, Any] = {"attribution": {"binding": {"mode": "first"}}}
TEN_PERCENT: dict[str, Any] = {"commission": {"default": {"percent": "10"}}}


def version(number: int, since: int, position: int = 0, **plan: Any) -> PlanVersion:
    """Return one version of the plan."""
    return PlanVersion(number, since, position, read_plan(plan or TEN_PERCENT))


def on_day(day: int, **changes: Any) -> State:
    """Return the state of a customer's order placed so many days after the first."""
    at = format_moment(PLACED_AT + day * DAY)
    return state(**{"id": f"o{day}", "placed_at": at, "updated_at": at, "customer": {"id": "c"}, **changes})


def work(number: int, *states: State, **more: Any) -> Work:
    """Return one order in a settlement."""
    return Work(number, states[0].order.id, story(*states), **more)


def deciding(
    plan: dict[str, Any] | None = None, shop: Roster | None = None, facts: dict[int, OrderFacts] | None = None
) -> Deciding:
    """Return what decides orders under one plan."""
    return Deciding([version(1, 0, **(plan or TEN_PERCENT))], Known(shop or roster(), {}), facts or {}, 0)


def winners(one: Deciding, *works: Work) -> list[int | None]:
    """Return who gets each of the orders, oldest first."""
    return [one.decide(work)[0].winner for work in works]


# -- plans -------------------------------------------------------------------------------------------------------------


def test_of_the_versions_in_force_the_last_that_was_put_counts() -> None:
    plans = version(1, 0, 1), version(2, 100, 5), version(3, 50, 8)
    assert [plan_at(plans, moment).version for moment in (0, 49, 50, 99, 100, 10**18)] == [1, 1, 3, 3, 3, 3]
    assert [plan_at(plans, 100, as_of=position).version for position in (1, 4, 5, 7, 8)] == [1, 1, 2, 2, 3]


def test_plans_bind_when_any_version_ever_did() -> None:
    assert not binds([version(1, 0)])
    assert binds([version(1, 0), version(2, 5, **FIRST_BINDS), version(3, 9)])


def test_the_plan_in_force_when_the_order_was_placed_decides() -> None:
    plans = [version(1, 0), version(2, PLACED_AT, 2), version(3, PLACED_AT + 1, 3)]
    decision, _ = Deciding(plans, Known(roster(), {}), {}, 0).decide(work(1, state(codes=["ALICE10"])))
    assert decision.plan_version == 2


# -- bindings, order by order ------------------------------------------------------------------------------------------


def test_a_customers_later_orders_follow_the_earlier_ones() -> None:
    orders = work(1, on_day(0, codes=["ALICE10"])), work(2, on_day(1)), work(3, on_day(2, customer={"id": "d"}))
    assert winners(deciding(FIRST_BINDS), *orders) == [ALICE, ALICE, None]
    assert winners(deciding(), *orders) == [ALICE, None, None]


def test_a_guest_is_bound_by_the_email_hash() -> None:
    guest = {"email": "Guest@Example.org"}
    orders = work(1, on_day(0, codes=["ALICE10"], customer=guest)), work(2, on_day(1, customer=guest))
    assert winners(deciding(FIRST_BINDS), *orders) == [ALICE, ALICE]
    nobody = work(1, on_day(0, codes=["ALICE10"], customer=None)), work(2, on_day(1, customer=None))
    assert winners(deciding(FIRST_BINDS), *nobody) == [ALICE, None]


@pytest.mark.parametrize(
    "changes",
    [
        {"payment": "unpaid"},
        {"payment": "chargeback"},
        {"status": "cancelled"},
        {"test": True},
    ],
)
def test_only_an_order_that_is_paid_uncancelled_and_can_earn_binds(changes: dict[str, Any]) -> None:
    orders = work(1, on_day(0, codes=["ALICE10"], **changes)), work(2, on_day(1))
    assert winners(deciding(FIRST_BINDS), *orders) == [ALICE, None]


def test_an_order_from_before_the_start_and_a_deleted_one_bind_nobody() -> None:
    told = story(on_day(0, codes=["ALICE10"]))
    decision = Deciding([version(1, 0)], Known(roster(), {}), {}, 0).decide(Work(1, "o0", told))[0]
    assert past_of("o0", told, decision, PLACED_AT).winner == ALICE
    assert past_of("o0", told, decision, PLACED_AT + 1).winner is None
    assert past_of("o0", told, decision, 0).paid
    assert not past_of("o0", deleted(told, PLACED_AT), decision, 0).paid


def test_a_credit_by_the_binding_itself_is_known_as_such() -> None:
    terms = {"attribution": {"binding": {"mode": "first", "max_orders": 1}}}
    orders = work(1, on_day(0, codes=["ALICE10"])), work(2, on_day(1)), work(3, on_day(2))
    assert winners(deciding(terms), *orders) == [ALICE, ALICE, None]


def test_orders_of_one_moment_follow_each_other_by_id() -> None:
    one, two = on_day(0, id="a", codes=["ALICE10"]), on_day(0, id="b", codes=["BOB10"])
    orders = sorted([work(2, two), work(1, one)], key=lambda known: known.sort_key)
    assert [known.ref for known in orders] == ["a", "b"]
    later = work(3, on_day(0, id="c"))
    assert winners(deciding(FIRST_BINDS), *orders, later) == [ALICE, BOB, ALICE]


def test_an_order_that_arrives_late_decides_the_later_ones_anew_but_not_the_released() -> None:
    late, unreleased = work(9, on_day(0, codes=["BOB10"])), work(1, on_day(2))
    before = deciding(FIRST_BINDS).decide(work(1, on_day(1)))[0]
    released = work(2, on_day(1), released=7, decision=before)
    one = deciding(FIRST_BINDS)
    assert winners(one, late) == [BOB]
    kept, is_late = one.decide(released)
    assert (kept, is_late) == (before, True)
    assert winners(one, unreleased) == [BOB]


# -- released orders ---------------------------------------------------------------------------------------------------


def released(number: int = 1, position: int = 10, facts: OrderFacts | None = None) -> tuple[Work, Decision]:
    """Return Alice's order, decided and released at the position, and its decision."""
    told = state(codes=["ALICE10"])
    decision = deciding(facts={number: facts} if facts else None).decide(work(number, told))[0]
    return work(number, told, released=position, decision=decision), decision


def test_late_evidence_leaves_a_released_order_with_a_flag() -> None:
    one, decision = released()
    one.story = merge(one.story, story_of(state(updated_at=EARLIER, codes=["BOB10"])))
    kept, is_late = deciding().decide(one)
    assert (kept.winner, is_late) == (ALICE, True)
    assert kept == decision
    assert LATE in standing(one.story, kept, read_plan(TEN_PERCENT), starts_at=0, is_late=is_late).flags


def test_what_comes_late_and_changes_nothing_is_no_late_evidence() -> None:
    one, decision = released()
    one.story = merge(one.story, story_of(state(updated_at=LATER, codes=["BOB10"], payment="chargeback")))
    assert deciding().decide(one) == (decision, False)


def test_late_evidence_for_the_same_sharer_is_flagged_when_it_is_of_another_kind() -> None:
    one, _ = released()
    one.story = merge(one.story, story_of(state(updated_at=EARLIER, attributes={"_pa": "click"})))
    shop = roster(links={11: Link(11, ALICE, None, None)})
    known = Known(shop, {"click": Token(11, None)})
    kept, is_late = Deciding([version(1, 0)], known, {}, 0).decide(one)
    assert (kept.kind, is_late) == ("coupon", True)


def test_a_released_order_keeps_its_plan_with_a_flag_where_another_would_decide_now() -> None:
    one, decision = released()
    plans = [version(1, 0), version(2, PLACED_AT, 11)]  # put before the day the order says it was placed on
    assert Deciding(plans, Known(roster(), {}), {}, 0).decide(one) == (decision, True)
    kept = record(1, (3, state(codes=["ALICE10"])), released=10)
    assert Deriving(plans, Known(roster(), {}), [kept], starts_at=0).in_force(kept) == (decision, True)


def test_before_the_release_late_evidence_decides_anew_without_a_flag() -> None:
    one, _ = released()
    one.released = None
    one.story = merge(one.story, story_of(state(updated_at=EARLIER, codes=["BOB10"])))
    decision, is_late = deciding().decide(one)
    assert (decision.winner, is_late) == (BOB, False)


@pytest.mark.parametrize("sharer", [BOB, None])
def test_after_the_release_only_a_manual_decision_changes_it(sharer: int | None) -> None:
    one, decision = released()
    assert (
        deciding(facts={1: OrderFacts(manual=(ManualFact(11, 99, sharer, "by hand"),))}).decide(one)[0].winner == sharer
    )
    for said_before in (
        OrderFacts(manual=(ManualFact(9, 99, sharer, "by hand"),)),
        OrderFacts(holds=(HoldFact(12, 99, ""),)),
    ):
        assert deciding(facts={1: said_before}).decide(one)[0] == decision


def test_the_owners_word_after_the_release_is_kept_as_it_was_when_it_was_said() -> None:
    one, _ = released()
    facts = {1: OrderFacts(manual=(ManualFact(11, 99, BOB, "by hand"),))}
    word, is_late = deciding(facts=facts).decide(one)
    assert (word.winner, word.frozen.group, is_late) == (BOB, None, False)
    one.decision = word
    regrouped = roster(sharers={BOB: (standing_from(0, sharer=BOB, group="vip"),)})
    assert deciding(facts=facts, shop=regrouped).decide(one) == (word, True)
    again = {1: OrderFacts(manual=(*facts[1].manual, ManualFact(12, 100, BOB, "by hand")))}
    fresh, is_late = deciding(facts=again, shop=regrouped).decide(one)
    assert (fresh.frozen.group, is_late) == ("vip", False)


# -- the books of one order --------------------------------------------------------------------------------------------


def test_the_standing_of_an_order_says_targets_hold_and_flags() -> None:
    plan = read_plan(TEN_PERCENT | {"hold_days": 2})
    told = deleted(story(state(codes=["ALICE10"], refunds=[refund("r", "200.00", ("x", 1, "1.00"))])), PLACED_AT)
    decision = deciding().decide(Work(1, "1001", told))[0]
    stand = standing(told, decision, plan, starts_at=0, is_late=True)
    assert stand.targets == {(ALICE, "direct", "USD"): 0}
    assert stand.release_at == PLACED_AT + 2 * DAY
    assert stand.flags == ("deleted_in_shop", "late_evidence", "refund_exceeds_order", "refund_unknown_line")
    assert stand.outcome.earned.roles[0].minor == 1_000
    plain = standing(story(), decision, plan, starts_at=0, is_late=False)
    assert plain.flags == () and plain.targets == {(ALICE, "direct", "USD"): 1_000}
    assert (
        standing(story(), decision, plan, starts_at=PLACED_AT + 1, is_late=False).targets[(ALICE, "direct", "USD")] == 0
    )


def test_whoever_no_longer_gets_anything_is_brought_to_zero() -> None:
    lots = {(ALICE, "direct", "USD"): {"pending": 500}, (BOB, "upline", "USD"): {"pending": 20, "order_id": 1}}
    targets = {(BOB, "direct", "USD"): 700, (ALICE, "direct", "EUR"): 90}
    moves = moves_of(targets, lots, held=False, released=False)
    assert [(key, move.kind, move.minor) for key, move in moves] == [
        ((ALICE, "direct", "EUR"), "earn", 90),
        ((ALICE, "direct", "USD"), "take_back", 500),
        ((BOB, "direct", "USD"), "earn", 700),
        ((BOB, "upline", "USD"), "take_back", 20),
    ]
    assert moves_of(targets, {key: {"held": minor} for key, minor in targets.items()}, held=True, released=False) == []
    late = moves_of({(BOB, "direct", "USD"): 700}, {(ALICE, "direct", "USD"): {"paid": 500}}, held=False, released=True)
    assert [(key[0], move.kind) for key, move in late] == [(ALICE, "claw_back"), (BOB, "earn_late")]


# -- deriving anew -----------------------------------------------------------------------------------------------------


def record(number: int, *told: tuple[int, State], **more: Any) -> Record:
    """Return what the record holds of an order: states at their positions."""
    return Record(number, told[0][1].order.id, list(told), **more)


def deriving(*records: Record, shop: Roster | None = None, **plan: Any) -> Deriving:
    """Return what derives the decisions of records under one plan."""
    return Deriving([version(1, 0, **plan)], Known(shop or roster(), {}), records, starts_at=0)


def test_the_story_of_a_record_is_told_as_of_any_place() -> None:
    first, second = state(), state(updated_at=LATER, payment="chargeback")
    one = record(1, (3, second), (5, first), deletions=[(4, PLACED_AT + 9 * DAY), (6, PLACED_AT + 5 * DAY)])
    assert [one.known_at(position) for position in (2, 3, None)] == [False, True, True]
    assert one.story(3).first.key == second.key and one.story(3).deleted_at is None
    assert one.story(4).deleted_at == one.story(6).deleted_at == PLACED_AT + 9 * DAY
    assert one.story(None).first.key == first.key and one.story(None).now == second


def test_a_released_order_is_decided_by_what_was_known_at_its_release() -> None:
    late = state(updated_at=EARLIER, codes=["BOB10"])
    one = record(1, (3, state(codes=["ALICE10"])), (12, late), released=10)
    decision, is_late = deriving(one).in_force(one)
    assert (decision.winner, is_late) == (ALICE, True)
    one.released = 12
    assert deriving(one).in_force(one)[0].winner == BOB
    one.released = None
    decision, is_late = deriving(one).in_force(one)
    assert (decision.winner, is_late) == (BOB, False)


def test_facts_that_were_recorded_after_the_release_are_not_read() -> None:
    shop = roster(
        sharers={
            ALICE: (standing_from(0, seq=1), standing_from(0, SUSPENDED, seq=11)),
            BOB: (standing_from(0, sharer=BOB),),
        },
        codes={"alice10": (CodeFact(1, 0, "alice10", ALICE), CodeFact(12, 0, "alice10", BOB))},
    )
    one = record(1, (3, state(codes=["ALICE10"])), released=10)
    decision, is_late = deriving(one, shop=shop).in_force(one)
    assert (decision.winner, is_late) == (ALICE, True)
    assert deriving(one, shop=shop).decision(one, 11).winner is None
    assert deriving(one, shop=shop).decision(one, None).winner == BOB


def test_a_plan_that_was_put_after_the_release_is_not_read() -> None:
    one = record(1, (3, state(codes=["ALICE10"])), released=10)
    plans = [version(1, 0, 1), version(2, 0, 11)]
    for released_at, number in ((10, 1), (11, 2), (None, 2)):
        one.released = released_at
        assert Deriving(plans, Known(roster(), {}), [one], starts_at=0).in_force(one)[0].plan_version == number


def test_the_owners_word_after_the_release_is_derived_as_of_that_word() -> None:
    word = OrderFacts(manual=(ManualFact(8, 8, None, ""), ManualFact(15, 15, BOB, "")))
    one = record(1, (3, state(codes=["ALICE10"])), released=10, facts=word)
    assert [one.decided_as_of(position) for position in (None, 9, 10, 14, 15)] == [15, 9, 10, 10, 15]
    assert deriving(one).in_force(one)[0].winner == BOB
    assert deriving(one).decision(one, 14).winner is None
    assert deriving(one).decision(one, 7).winner == ALICE
    held = OrderFacts(holds=(HoldFact(4, 4, ""),))
    assert held.until(3) == OrderFacts() and held.until(4) == held.until(None) == held


def test_chains_are_derived_as_of_each_release() -> None:
    first = record(1, (5, on_day(0, codes=["ALICE10"])))
    second, third = record(2, (2, on_day(1)), released=4), record(3, (3, on_day(2)))
    derived = deriving(first, second, third, **FIRST_BINDS)
    assert derived.in_force(second)[0].winner is None and derived.in_force(second)[1]
    assert derived.in_force(third)[0].winner == ALICE
    assert derived.in_force(first)[0].winner == ALICE


def test_a_chain_follows_the_customer_of_the_earliest_state_known() -> None:
    first = record(
        1, (2, on_day(0, codes=["ALICE10"])), (9, on_day(0, codes=["ALICE10"], updated_at=PLACED, customer=None))
    )
    moved = on_day(0, id="o0", updated_at="2026-10-01T00:00:00Z", codes=["ALICE10"], customer={"id": "other"})
    first.states.append((12, moved))
    then, now = record(2, (3, on_day(1)), released=5), record(3, (4, on_day(2)))
    derived = deriving(first, then, now, **FIRST_BINDS)
    assert derived.in_force(then)[0].winner == ALICE  # at its release the first order was this customer's
    assert derived.in_force(now)[0].winner is None


def test_a_customer_with_500_orders_that_came_newest_first_is_derived() -> None:
    records = [record(day, (1_000 - day, on_day(day, codes=[] if day else ["ALICE10"]))) for day in range(500)]
    derived = deriving(*reversed(records), **FIRST_BINDS)
    assert derived.in_force(records[-1])[0].winner == ALICE


def test_deciding_and_deriving_agree_on_lines_they_never_saw_together() -> None:
    told = [on_day(0, codes=["ALICE10"]), on_day(1), on_day(2, codes=["BOB10"], lines=[line(amount="9.99")])]
    records = [record(number, (number + 1, one)) for number, one in enumerate(told)]
    one, derived = deciding(FIRST_BINDS), deriving(*records, **FIRST_BINDS)
    for number, known in enumerate(told):
        assert one.decide(work(number, known)) == derived.in_force(records[number])


def test_the_first_look_up_of_a_product_counts() -> None:
    told = state(lines=[line("l1", product_id="p1"), line("l2", product_id="p2"), line("l3", collections=["own"])])
    record = Record(1, "1", states=[(1, told)], lookups=[(5, {"p1": ["gifts"], "p2": []}), (3, {"p1": ["shoes"]})])

    def shown(as_of: int | None) -> list[tuple[str, ...]]:
        return [one.collections for one in record.story(as_of).order.lines]

    assert shown(2) == [(), (), ("own",)] and record.story(2).unknown_products == ("p1", "p2")
    assert shown(4) == [("shoes",), (), ("own",)] and record.story(4).unknown_products == ("p2",)
    assert shown(None) == [("shoes",), (), ("own",)] and record.story(None).unknown_products == ()
    assert [record.heard_by(position) for position in (0, 1, 3, 5, None)] == [0, 1, 2, 3, 3]
    one, other = record.story(4), record.story(None)
    assert merge(one, other) == merge(other, one) and merge(other, other) == other
