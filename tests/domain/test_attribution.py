"""Who gets the order: each sentence of the interface page on evidence, refusals, and what the decision freezes."""

from typing import Any

import pytest

from plugin.domain.attribution import (
    CREDITED,
    NOBODY,
    Case,
    Decision,
    Evidence,
    Token,
    decide,
    names_a_sharer,
    show,
    telling_touch,
)
from plugin.domain.binding import Bound
from plugin.domain.commission import Frozen
from plugin.domain.facts import (
    PENDING,
    SUSPENDED,
    CodeFact,
    HoldFact,
    Identity,
    Link,
    ManualFact,
    Roster,
    SharerFact,
)
from plugin.domain.moment import DAY, SECOND
from plugin.domain.order import Customer
from tests.domain.builders import (
    ALICE,
    ALICES_LINK,
    BOB,
    BOBS_LINK,
    CAROL,
    PLACED,
    PLACED_AT,
    case,
    roster,
    standing_from,
    state,
    story,
)

LATER = "2026-11-02T10:00:00Z"


def attribution(**fields: Any) -> dict[str, Any]:
    """Return a plan with these fields of its attribution."""
    return {"attribution": fields}


def clicked(link: int, at: int) -> dict[str, Token | None]:
    """Return the tokens of an order that carries one click token, "click"."""
    return {"click": Token(link, at)}


CLICK: dict[str, Any] = {"attributes": {"_pa": "click"}}


def clicks(*seconds_before: int, model: str = "last") -> Decision:
    """Decide an order whose ``_pa`` lists clicks, alternately Alice's and Bob's, so many seconds before it."""
    links = [ALICES_LINK, BOBS_LINK]
    tokens: dict[str, Token | None] = {
        f"t{at}": Token(links[at % 2], PLACED_AT - before * SECOND) for at, before in enumerate(seconds_before)
    }
    return decide(case(state(attributes={"_pa": ",".join(tokens)}), plan=attribution(model=model), tokens=tokens))


def reasons(decision: Decision) -> list[tuple[str, int | None, str | None]]:
    """Return (kind, sharer, refusal) of each piece of evidence."""
    return [(one.kind, one.sharer, one.refusal) for one in decision.evidence]


# -- the kinds of evidence ---------------------------------------------------------------------------------------------


def test_without_evidence_nobody_gets_the_order() -> None:
    decision = decide(case())
    assert (decision.outcome, decision.winner, decision.reason, decision.kind) == (NOBODY, None, "no_evidence", None)
    assert decision.evidence == () and not decision.held
    assert decision.frozen == Frozen(placed_at=PLACED_AT)


def test_a_coupon_code_is_evidence_without_case_and_outer_blanks() -> None:
    decision = decide(case(state(codes=[" Alice10 "])))
    assert (decision.outcome, decision.winner, decision.reason) == (CREDITED, ALICE, "coupon")
    assert decision.evidence == (Evidence("coupon", ALICE, PLACED_AT, " Alice10 ", None),)


def test_codes_nobody_ever_had_and_empty_ones_say_nothing() -> None:
    decision = decide(case(state(codes=["WELCOME", "", "  "])))
    assert decision.reason == "no_evidence" and decision.evidence == ()


def test_a_click_token_is_evidence() -> None:
    decision = decide(case(state(**CLICK), tokens=clicked(BOBS_LINK, PLACED_AT - DAY)))
    assert (decision.winner, decision.reason) == (BOB, "link")
    assert decision.evidence == (Evidence("link", BOB, PLACED_AT - DAY, "click", None, None, BOBS_LINK),)


@pytest.mark.parametrize(
    "carried",
    [
        {"attributes": {"_pa": "click"}},
        {"attributes": {"pa": "click"}},
        {"landing_url": "https://shop.example/?pa=click"},
        {"attributes": {"utm_content": "click"}},
        {"landing_url": "https://shop.example/?utm_content=click"},
    ],
)
def test_a_token_counts_wherever_it_was_carried(carried: dict[str, Any]) -> None:
    assert decide(case(state(**carried), tokens=clicked(ALICES_LINK, PLACED_AT))).winner == ALICE


def test_a_links_own_code_counts_as_touched_when_the_order_was_placed() -> None:
    decision = decide(case(state(landing_url="/?pa=code"), tokens={"code": Token(BOBS_LINK, None)}))
    assert decision.winner == BOB and decision.evidence[0].at == PLACED_AT


@pytest.mark.parametrize("model", ["last", "first"])
def test_a_links_own_code_counts_only_where_no_click_token_is_accepted(model: str) -> None:
    carried = state(attributes={"_pa": "code,click"})
    tokens: dict[str, Token | None] = {
        "code": Token(BOBS_LINK, None),
        "click": Token(ALICES_LINK, PLACED_AT - 30 * DAY),
    }
    assert decide(case(carried, plan=attribution(model=model), tokens=tokens)).winner == ALICE
    stale = tokens | {"click": Token(ALICES_LINK, PLACED_AT - 30 * DAY - 1)}
    decision = decide(case(carried, plan=attribution(model=model), tokens=stale))
    assert decision.winner == BOB
    assert reasons(decision) == [("link", ALICE, "outside_window"), ("link", BOB, None)]


def test_of_two_links_own_codes_the_model_picks_by_their_listing() -> None:
    carried = state(attributes={"_pa": "one,two"})
    tokens: dict[str, Token | None] = {"one": Token(ALICES_LINK, None), "two": Token(BOBS_LINK, None)}
    assert decide(case(carried, tokens=tokens)).winner == BOB
    assert decide(case(carried, tokens=tokens, plan=attribution(model="first"))).winner == ALICE


def test_a_binding_is_evidence() -> None:
    decision = decide(case(bound=Bound(BOB, PLACED_AT - DAY, PLACED_AT - DAY)))
    assert (decision.winner, decision.kind) == (BOB, "binding")
    assert decision.evidence == (Evidence("binding", BOB, PLACED_AT - DAY, "binding", None),)


# -- forged, foreign, unreadable ---------------------------------------------------------------------------------------


def test_a_token_that_is_forged_or_of_another_shop_is_refused() -> None:
    decision = decide(case(state(attributes={"_pa": "forged", "utm_content": "spring_sale"}), tokens={"forged": None}))
    assert decision.winner is None and decision.reason == "no_evidence"
    assert reasons(decision) == [("link", None, "forged"), ("link", None, "not_a_token")]


def test_a_token_whose_link_the_shop_does_not_know_is_refused() -> None:
    decision = decide(case(state(**CLICK), tokens=clicked(99, PLACED_AT)))
    assert decision.winner is None and reasons(decision) == [("link", None, "forged")]


def test_a_forged_token_is_called_so_wherever_else_it_stands() -> None:
    decision = decide(case(state(attributes={"_pa": "x", "utm_content": "x"})))
    assert reasons(decision) == [("link", None, "forged")]


# -- the window --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "refusal"),
    [
        (PLACED_AT - 7 * DAY, None),  # edges count
        (PLACED_AT - 7 * DAY - 1, "outside_window"),
        (PLACED_AT + 300 * SECOND, None),
        (PLACED_AT + 300 * SECOND + 1, "click_after_order"),
        (PLACED_AT, None),
    ],
)
def test_a_click_counts_from_window_days_before_to_300_seconds_after(at: int, refusal: str | None) -> None:
    decision = decide(case(state(**CLICK), plan=attribution(window_days=7), tokens=clicked(ALICES_LINK, at)))
    assert reasons(decision) == [("link", ALICE, refusal)]
    assert decision.winner == (None if refusal else ALICE)
    assert decision.reason == ("all_refused" if refusal else "link")


def test_a_window_of_no_days_lets_in_what_was_clicked_with_the_order() -> None:
    plan = attribution(window_days=0)
    assert decide(case(state(**CLICK), plan=plan, tokens=clicked(ALICES_LINK, PLACED_AT))).winner == ALICE
    assert decide(case(state(**CLICK), plan=plan, tokens=clicked(ALICES_LINK, PLACED_AT - 1))).winner is None


def test_the_window_is_measured_from_the_earliest_states_placed_at() -> None:
    first = state(**CLICK)
    later = state(**CLICK, updated_at=LATER, placed_at="2026-12-31T00:00:00Z")
    assert decide(case(first, later, tokens=clicked(ALICES_LINK, PLACED_AT - 30 * DAY))).winner == ALICE


def test_the_window_is_no_matter_to_coupons_and_bindings() -> None:
    old = Bound(BOB, 0, 0)
    assert decide(case(bound=old, plan=attribution(window_days=0))).winner == BOB
    assert decide(case(state(codes=["ALICE10"]), plan=attribution(window_days=0))).winner == ALICE


# -- which of several --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "model", "winner"),
    [
        ((100, 50), "last", BOB),
        ((100, 50), "first", ALICE),
        ((50, 100), "last", ALICE),
        ((50, 100), "first", BOB),
        ((50, 50), "last", BOB),  # equal times: what is listed later counts as later
        ((50, 50), "first", ALICE),
        ((60, 50, 50, 70), "last", ALICE),
        ((60, 50, 70, 70), "first", ALICE),
    ],
)
def test_the_model_picks_the_latest_or_the_earliest_click(before: tuple[int, ...], model: str, winner: int) -> None:
    assert clicks(*before, model=model).winner == winner


@pytest.mark.parametrize("model", ["last", "first"])
def test_clicks_of_equal_times_are_told_apart_by_their_carriers(model: str) -> None:
    carriers: list[dict[str, Any]] = [
        {"attributes": {"_pa": "T"}},
        {"attributes": {"pa": "T"}},
        {"landing_url": "/?pa=T"},
        {"attributes": {"utm_content": "T"}},
    ]
    for at, one in enumerate(carriers):
        for other in carriers[at + 1 :]:
            texts = str(one).replace("T", "early"), str(other).replace("T", "late")
            both: dict[str, Any] = {"attributes": {}}
            for part in map(eval, texts):  # noqa: S307
                both["attributes"] |= part.get("attributes", {})
                both |= {name: value for name, value in part.items() if name != "attributes"}
            tokens: dict[str, Token | None] = {
                "early": Token(ALICES_LINK, PLACED_AT),
                "late": Token(BOBS_LINK, PLACED_AT),
            }
            decision = decide(case(state(**both), plan=attribution(model=model), tokens=tokens))
            assert decision.winner == (BOB if model == "last" else ALICE), both


@pytest.mark.parametrize("at", [PLACED_AT, None])
def test_a_token_listed_twice_counts_where_it_is_listed_last_and_under_first_where_it_is_listed_first(
    at: int | None,
) -> None:
    tokens: dict[str, Token | None] = {"a": Token(ALICES_LINK, at), "b": Token(BOBS_LINK, at)}
    for carried in ({"attributes": {"_pa": "a,b,a"}}, {"attributes": {"_pa": "a,b", "utm_content": "a"}}):
        decision = decide(case(state(**carried), tokens=tokens))
        assert decision.winner == ALICE and [one.source for one in decision.evidence] == ["b", "a"]
        assert decide(case(state(**carried), tokens=tokens, plan=attribution(model="first"))).winner == ALICE


@pytest.mark.parametrize(("model", "winner"), [("last", BOB), ("first", ALICE)])
def test_the_shops_list_is_the_coupons_order_in_time(model: str, winner: int) -> None:
    assert decide(case(state(codes=["ALICE10", "BOB10"]), plan=attribution(model=model))).winner == winner
    three = state(codes=["ALICE10", "BOB10", "ALICE10"])
    assert decide(case(three, plan=attribution(model=model))).winner == ALICE


@pytest.mark.parametrize(
    ("priority", "winner"),
    [
        (["manual", "coupon", "link", "binding"], ALICE),
        (["link", "coupon", "binding"], BOB),
        (["binding", "link", "coupon"], CAROL),
        (["link"], BOB),
        (["coupon"], ALICE),
        (["binding", "manual"], CAROL),
        (["manual"], None),
        ([], None),
    ],
)
def test_kinds_are_taken_in_priority_order_and_one_left_out_is_off(priority: list[str], winner: int | None) -> None:
    three = roster()
    three = Roster(
        three.identities, {**three.sharers, CAROL: (standing_from(0, sharer=CAROL),)}, three.codes, three.links
    )
    decision = decide(
        case(
            state(codes=["ALICE10"], **CLICK),
            plan=attribution(priority=priority),
            shop=three,
            tokens=clicked(BOBS_LINK, PLACED_AT),
            bound=Bound(CAROL, 0, 0),
        )
    )
    assert decision.winner == winner
    assert len(decision.evidence) == 3  # the receipt shows what was there all the same


def test_when_evidence_is_refused_the_next_is_tried_first_inside_the_kind_then_the_next_kind() -> None:
    suspended = roster(sharers={ALICE: (standing_from(0),), BOB: (standing_from(0, SUSPENDED, sharer=BOB),)})
    decision = decide(case(state(codes=["ALICE10", "BOB10"]), shop=suspended))
    assert decision.winner == ALICE
    assert reasons(decision) == [("coupon", ALICE, None), ("coupon", BOB, "sharer_suspended")]
    decision = decide(case(state(codes=["BOB10"], **CLICK), shop=suspended, tokens=clicked(ALICES_LINK, PLACED_AT)))
    assert (decision.winner, decision.kind) == (ALICE, "link")
    tokens: dict[str, Token | None] = {"t0": Token(ALICES_LINK, PLACED_AT - 9), "t1": Token(BOBS_LINK, PLACED_AT)}
    assert decide(case(state(attributes={"_pa": "t0,t1"}), shop=suspended, tokens=tokens)).winner == ALICE


# -- who may earn ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ((standing_from(PLACED_AT),), None),  # from then on
        ((standing_from(PLACED_AT + 1),), "before_since"),
        ((standing_from(0, PENDING),), "sharer_pending"),
        ((standing_from(0, SUSPENDED),), "sharer_suspended"),
        ((standing_from(0), standing_from(PLACED_AT, SUSPENDED, seq=2)), "sharer_suspended"),
        ((standing_from(0), standing_from(PLACED_AT + 1, SUSPENDED, seq=2)), None),
        ((standing_from(0, SUSPENDED), standing_from(PLACED_AT, seq=2)), None),
        ((standing_from(5, SUSPENDED, seq=2), standing_from(5, seq=3)), None),  # the later recorded of one moment
        ((standing_from(9, SUSPENDED, seq=2), standing_from(5, seq=3)), "sharer_suspended"),  # the date comes first
    ],
)
def test_who_was_not_approved_when_the_order_was_placed_gets_nothing(
    facts: tuple[SharerFact, ...], refusal: str | None
) -> None:
    shop = roster(sharers={ALICE: facts})
    for carried in ({"codes": ["ALICE10"]}, CLICK):
        decision = decide(case(state(**carried), shop=shop, tokens=clicked(ALICES_LINK, PLACED_AT)))
        assert [one.refusal for one in decision.evidence] == [refusal]
        assert decision.winner == (None if refusal else ALICE)
    bound = decide(case(shop=shop, bound=Bound(ALICE, 0, 0)))
    assert [one.refusal for one in bound.evidence] == [refusal]


@pytest.mark.parametrize(
    ("facts", "winner", "refusals"),
    [
        ((CodeFact(1, PLACED_AT, "alice10", ALICE),), ALICE, [None]),
        ((CodeFact(1, PLACED_AT + 1, "alice10", ALICE),), None, ["code_not_in_force"]),
        ((CodeFact(1, 0, "alice10", ALICE), CodeFact(2, PLACED_AT, "alice10", None)), None, ["code_not_in_force"]),
        ((CodeFact(1, 0, "alice10", ALICE), CodeFact(2, PLACED_AT + 1, "alice10", None)), ALICE, [None]),
        ((CodeFact(1, 0, "alice10", ALICE), CodeFact(2, PLACED_AT, "alice10", BOB)), BOB, [None]),
        ((CodeFact(1, 0, "alice10", ALICE), CodeFact(2, PLACED_AT + 1, "alice10", BOB)), ALICE, [None]),
        ((CodeFact(2, 5, "alice10", None), CodeFact(3, 5, "alice10", BOB)), BOB, [None]),
    ],
)
def test_a_code_is_whose_it_was_when_the_order_was_placed(
    facts: tuple[CodeFact, ...], winner: int | None, refusals: list[str | None]
) -> None:
    decision = decide(case(state(codes=["ALICE10"]), shop=roster(codes={"alice10": facts})))
    assert decision.winner == winner and [one.refusal for one in decision.evidence] == refusals


# -- own purchases -----------------------------------------------------------------------------------------------------

OWN = [
    {"id": "c-alice"},
    {"id": "c-alice", "email": "other@example.org"},
    {"id": "c-x", "email": "Alice@Example.org "},
    {"email": "alice+shop@example.org"},
]


@pytest.mark.parametrize("customer", OWN)
def test_an_own_purchase_is_known_by_id_or_by_email_after_normalising(customer: dict[str, Any]) -> None:
    decision = decide(case(state(codes=["ALICE10"], customer=customer)))
    assert decision.winner is None and reasons(decision) == [("coupon", ALICE, "own_purchase")]
    assert decide(case(state(codes=["BOB10"], customer=customer))).winner == BOB


@pytest.mark.parametrize(
    ("email", "own"), [("A.li.ce+new@GMail.com", True), ("a.lice@example.org", False), ("alice@gmail.co", False)]
)
def test_dots_count_except_at_gmail(email: str, own: bool) -> None:
    shop = roster(identities={ALICE: Identity(ALICE, None, "#alice@gmail.com")})
    decision = decide(case(state(codes=["ALICE10"], customer={"email": email}), shop=shop))
    assert (decision.winner is None) is own


@pytest.mark.parametrize("customer", [None, {}, {"email": ""}, {"id": None, "email": None}])
def test_a_guest_without_id_and_email_is_nobodys_own_purchase(customer: dict[str, Any] | None) -> None:
    shop = roster(identities={ALICE: Identity(ALICE, None, None)})
    assert decide(case(state(codes=["ALICE10"], customer=customer), shop=shop)).winner == ALICE


def test_the_plan_may_block_hold_or_allow_own_purchases() -> None:
    own = state(codes=["ALICE10"], customer={"id": "c-alice"})
    blocked, held, allowed = (
        decide(case(own, plan=attribution(self_purchase=mode))) for mode in ("block", "hold", "allow")
    )
    assert (blocked.winner, blocked.held) == (None, False)
    assert (held.winner, held.held, held.evidence[0].note) == (ALICE, True, "own_purchase_held")
    assert (allowed.winner, allowed.held, allowed.evidence[0].note) == (ALICE, False, None)


def test_only_the_winners_own_purchase_is_held() -> None:
    own = state(codes=["BOB10", "ALICE10"], customer={"id": "c-bob"})
    decision = decide(case(own, plan=attribution(self_purchase="hold")))
    assert (decision.winner, decision.held) == (ALICE, False)


def test_own_purchases_are_seen_on_links_and_bindings_too() -> None:
    own = state(**CLICK, customer={"id": "c-alice"})
    decision = decide(case(own, tokens=clicked(ALICES_LINK, PLACED_AT), bound=Bound(ALICE, 0, 0)))
    assert reasons(decision) == [("link", ALICE, "own_purchase"), ("binding", ALICE, "own_purchase")]


def test_the_customer_is_the_earliest_states() -> None:
    first, later = state(codes=["ALICE10"]), state(codes=["ALICE10"], updated_at=LATER, customer={"id": "c-alice"})
    assert decide(case(first, later)).winner == ALICE
    assert decide(case(state(updated_at=LATER, codes=["ALICE10"]), state(customer={"id": "c-alice"}))).winner is None


# -- new customers only ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("customer", "refusal"),
    [
        (None, None),
        ({"id": "c", "orders_before": 0}, None),
        ({"id": "c", "orders_before": None}, None),
        ({"email": "x@example.org", "orders_before": 4}, None),  # a guest
        ({"id": "c", "orders_before": 1}, "not_a_new_customer"),
    ],
)
def test_new_customers_only_refuses_who_bought_before(customer: dict[str, Any] | None, refusal: str | None) -> None:
    returning = state(codes=["ALICE10"], customer=customer)
    decision = decide(case(returning, plan=attribution(new_customers_only=True)))
    assert reasons(decision) == [("coupon", ALICE, refusal)]
    assert decide(case(returning)).winner == ALICE
    assert decision.frozen.new_customer is (refusal is None)


# -- manual decisions and holds ----------------------------------------------------------------------------------------


def test_the_latest_manual_decision_wins_whatever_priority_and_refusals_say() -> None:
    nowhere = roster(sharers={ALICE: (standing_from(0),), BOB: (standing_from(0, SUSPENDED, sharer=BOB),)})
    decision = decide(
        case(
            state(codes=["ALICE10"], customer={"id": "c-bob", "orders_before": 9}),
            plan=attribution(priority=["coupon"], new_customers_only=True),
            shop=nowhere,
            manual=(ManualFact(5, 50, BOB, "told me"), ManualFact(4, 40, ALICE, "first")),
        )
    )
    assert (decision.winner, decision.reason, decision.kind) == (BOB, "manual", "manual")
    assert decision.evidence[0] == Evidence("manual", BOB, 50, "manual", None, "told me")
    assert reasons(decision)[1:] == [("coupon", ALICE, "not_a_new_customer")]


def test_a_manual_decision_for_nobody_means_nobody() -> None:
    decision = decide(case(state(codes=["ALICE10"]), manual=(ManualFact(5, 50, None, "fraud"),)))
    assert (decision.outcome, decision.winner, decision.reason) == (NOBODY, None, "manual_nobody")
    assert decision.evidence[0] == Evidence("manual", None, 50, "manual", None, "fraud")
    again = (ManualFact(5, 50, None, "fraud"), ManualFact(6, 60, ALICE, "no fraud"))
    assert decide(case(state(codes=["ALICE10"]), manual=again)).winner == ALICE


def test_a_manual_decision_freezes_the_group_and_inviter_but_no_channel() -> None:
    shop = roster(sharers={ALICE: (standing_from(0, group="vip", inviter=BOB),), BOB: (standing_from(0, sharer=BOB),)})
    linked = case(
        state(**CLICK), shop=shop, tokens=clicked(ALICES_LINK, PLACED_AT), manual=(ManualFact(1, 1, ALICE, ""),)
    )
    frozen = decide(linked).frozen
    assert (frozen.group, frozen.uplines, frozen.channel, frozen.campaign) == ("vip", (BOB,), None, None)


HOLD = HoldFact(10, 100, "looks odd")


@pytest.mark.parametrize(
    ("manual", "held"),
    [
        ((), True),
        ((ManualFact(9, 90, ALICE, ""),), True),
        ((ManualFact(11, 110, ALICE, ""),), False),  # frees it
        ((ManualFact(11, 110, BOB, ""),), False),
        ((ManualFact(11, 110, None, ""),), False),
    ],
)
def test_an_owners_hold_lasts_until_a_manual_decision(manual: tuple[ManualFact, ...], held: bool) -> None:
    assert decide(case(state(codes=["ALICE10"]), manual=manual, holds=(HOLD,))).held is held


def test_the_owner_may_hold_again() -> None:
    freed = (ManualFact(11, 110, ALICE, ""),)
    assert decide(case(state(codes=["ALICE10"]), manual=freed, holds=(HOLD, HoldFact(12, 120, "again")))).held


def test_a_hold_without_a_winner_holds_nothing() -> None:
    assert not decide(case(holds=(HOLD,))).held


@pytest.mark.parametrize("reason", ["fine", "own_purchase_held"])
def test_a_manual_decision_frees_a_held_own_purchase_whatever_its_reason_says(reason: str) -> None:
    own = state(codes=["ALICE10"], customer={"id": "c-alice"})
    plan = attribution(self_purchase="hold")
    decision = decide(case(own, plan=plan, manual=(ManualFact(5, 50, ALICE, reason),)))
    assert (decision.winner, decision.held) == (ALICE, False)
    gone = decide(case(own, plan=plan, manual=(ManualFact(5, 50, None, reason),)))
    assert (gone.winner, gone.held) == (None, False)


# -- where evidence is read --------------------------------------------------------------------------------------------


def test_evidence_is_read_from_the_earliest_state_that_names_a_sharer() -> None:
    bare = state(payment="unpaid", codes=["WELCOME"], attributes={"_pa": "forged"})
    named = state(updated_at=LATER, codes=["ALICE10"])
    last = state(updated_at="2026-11-03T10:00:00Z", codes=["BOB10"])
    for states in ((bare, named, last), (last, named, bare), (named, last)):
        assert decide(case(*states)).winner == ALICE


def test_a_state_names_a_sharer_whether_accepted_or_not() -> None:
    shop = roster(sharers={ALICE: (standing_from(0, SUSPENDED),), BOB: (standing_from(0, sharer=BOB),)})
    first, later = state(codes=["ALICE10"]), state(updated_at=LATER, codes=["BOB10"])
    decision = decide(case(first, later, shop=shop))
    assert decision.winner is None and reasons(decision) == [("coupon", ALICE, "sharer_suspended")]
    stale = state(**CLICK)
    decision = decide(case(stale, later, shop=shop, tokens=clicked(ALICES_LINK, 0)))
    assert decision.winner is None


def test_without_a_state_that_names_a_sharer_the_receipt_shows_the_earliest() -> None:
    first, later = state(attributes={"_pa": "x"}), state(updated_at=LATER, attributes={"_pa": "y"})
    assert [one.source for one in decide(case(first, later)).evidence] == ["x"]


def test_a_code_that_was_taken_away_still_names_a_sharer() -> None:
    shop = roster(codes={"old": (CodeFact(1, 0, "old", ALICE), CodeFact(2, 5, "old", None))})
    touch = state(codes=["OLD"]).order.touch
    assert names_a_sharer(touch, PLACED_AT, shop, {})
    assert not names_a_sharer(state(codes=["NEW"]).order.touch, PLACED_AT, shop, {})
    told = story(state(), state(updated_at=LATER, codes=["OLD"]))
    assert telling_touch(told, shop, {}).codes == ("OLD",)


@pytest.mark.parametrize(("since", "winner"), [(PLACED_AT, BOB), (PLACED_AT + 1, ALICE)])
def test_a_code_given_to_somebody_later_does_not_make_an_older_order_be_read_anew(since: int, winner: int) -> None:
    codes = {"welcome": (CodeFact(9, since, "welcome", BOB),)}
    first, later = state(codes=["WELCOME"]), state(updated_at=LATER, **CLICK)
    decision = decide(case(first, later, shop=roster(codes=codes), tokens=clicked(ALICES_LINK, PLACED_AT)))
    assert decision.winner == winner


def test_a_code_of_a_sharer_who_was_not_yet_one_is_refused_as_before_since() -> None:
    later = PLACED_AT + 1
    shop = roster(codes={"new": (CodeFact(9, later, "new", ALICE),)}, sharers={ALICE: (standing_from(later),)})
    assert reasons(decide(case(state(codes=["NEW"]), shop=shop))) == [("coupon", ALICE, "before_since")]


def test_later_edits_change_nothing() -> None:
    first = state(codes=["ALICE10"])
    before = decide(case(first))
    edited = state(updated_at=LATER, codes=["BOB10"], placed_at=LATER, customer={"id": "c-alice", "orders_before": 3})
    assert decide(case(first, edited)) == before == decide(case(edited, first))


# -- what is frozen ----------------------------------------------------------------------------------------------------


def invited(**changes: Any) -> Roster:
    """Return a shop where Bob invited Alice."""
    facts: dict[str, Any] = {
        "sharers": {ALICE: (standing_from(0, group="vip", inviter=BOB),), BOB: (standing_from(0, sharer=BOB),)}
    }
    return roster(**(facts | changes))


def test_the_decision_freezes_group_inviter_channel_and_campaign() -> None:
    customer = {"id": "c-9", "orders_before": 2}
    frozen = decide(
        case(state(**CLICK, customer=customer), shop=invited(), tokens=clicked(ALICES_LINK, PLACED_AT))
    ).frozen
    assert frozen == Frozen(ALICE, "vip", (BOB,), None, False, "instagram", "spring", PLACED_AT)


def test_a_coupon_and_a_binding_have_no_channel_and_campaign() -> None:
    for one in (case(state(codes=["ALICE10"]), shop=invited()), case(shop=invited(), bound=Bound(ALICE, 0, 0))):
        frozen = decide(one).frozen
        assert (frozen.sharer, frozen.channel, frozen.campaign) == (ALICE, None, None)


def test_a_link_without_channel_and_campaign_freezes_none() -> None:
    shop = invited(links={ALICES_LINK: Link(ALICES_LINK, ALICE, None, "spring")})
    frozen = decide(case(state(**CLICK), shop=shop, tokens=clicked(ALICES_LINK, PLACED_AT))).frozen
    assert (frozen.channel, frozen.campaign) == (None, "spring")


def test_group_and_inviter_are_those_of_the_moment_the_order_was_placed() -> None:
    later = standing_from(PLACED_AT + 1, seq=2, group="gold", inviter=None)
    shop = invited(
        sharers={
            ALICE: (standing_from(0, group="vip", inviter=BOB), later),
            BOB: (standing_from(0, sharer=BOB), standing_from(PLACED_AT + 1, SUSPENDED, sharer=BOB, seq=3)),
        }
    )
    frozen = decide(case(state(codes=["ALICE10"]), shop=shop)).frozen
    assert (frozen.group, frozen.uplines) == ("vip", (BOB,))


# -- the inviter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts", [(standing_from(0, PENDING, sharer=BOB),), (standing_from(PLACED_AT + 1, sharer=BOB),), ()]
)
def test_an_inviter_who_was_not_approved_gets_nothing_and_is_not_replaced(facts: tuple[SharerFact, ...]) -> None:
    theirs = tuple(SharerFact(one.seq, one.at, BOB, one.status, None, CAROL) for one in facts)
    shop = invited(
        identities={who: Identity(who, None, None) for who in (ALICE, BOB, CAROL)},
        sharers={
            ALICE: (standing_from(0, inviter=BOB),),
            BOB: theirs,
            CAROL: (standing_from(0, sharer=CAROL),),
        },
    )
    assert decide(case(state(codes=["ALICE10"]), shop=shop)).frozen.uplines == ()


def test_an_inviter_who_is_the_buyer_gets_nothing() -> None:
    for customer in ({"id": "c-bob"}, {"email": "bob@example.org"}):
        decision = decide(case(state(codes=["ALICE10"], customer=customer), shop=invited()))
        assert decision.winner == ALICE and decision.frozen.uplines == ()


def test_an_inviter_of_another_shop_gets_nothing() -> None:
    shop = invited(identities={ALICE: Identity(ALICE, None, None)})
    assert decide(case(state(codes=["ALICE10"]), shop=shop)).frozen.uplines == ()


def test_one_inviter_is_paid_and_not_the_inviters_inviter() -> None:
    shop = invited(
        identities={who: Identity(who, None, None) for who in (ALICE, BOB, CAROL)},
        sharers={
            ALICE: (standing_from(0, inviter=BOB),),
            BOB: (standing_from(0, sharer=BOB, inviter=CAROL),),
            CAROL: (standing_from(0, sharer=CAROL),),
        },
    )
    assert decide(case(state(codes=["ALICE10"]), shop=shop)).frozen.uplines == (BOB,)


def test_two_who_invited_each_other_are_paid_once_each_and_nobody_invites_themselves() -> None:
    loop = {ALICE: (standing_from(0, inviter=BOB),), BOB: (standing_from(0, sharer=BOB, inviter=ALICE),)}
    shop = invited(sharers=loop)
    assert decide(case(state(codes=["ALICE10"]), shop=shop)).frozen.uplines == (BOB,)
    assert decide(case(state(codes=["BOB10"]), shop=shop)).frozen.uplines == (ALICE,)
    alone = invited(sharers={ALICE: (standing_from(0, inviter=ALICE),)})
    assert decide(case(state(codes=["ALICE10"]), shop=alone)).frozen.uplines == ()


# -- the buyer ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("customer", "buyer"),
    [
        ({"id": "c-bob"}, BOB),
        ({"email": "B.ob+x@example.org"}, None),
        ({"email": "bob+x@example.org"}, BOB),
        ({"id": "c-x"}, None),
        (None, None),
        ({}, None),
    ],
)
def test_cashback_goes_to_the_buyers_own_sharer(customer: dict[str, Any] | None, buyer: int | None) -> None:
    assert decide(case(state(codes=["ALICE10"], customer=customer))).frozen.buyer == buyer


def test_cashback_goes_only_to_a_sharer_who_was_approved() -> None:
    for fact in (standing_from(0, SUSPENDED, sharer=BOB), standing_from(PLACED_AT + 1, sharer=BOB)):
        shop = roster(sharers={ALICE: (standing_from(0),), BOB: (fact,)})
        assert decide(case(state(codes=["ALICE10"], customer={"id": "c-bob"}), shop=shop)).frozen.buyer is None


def test_of_two_sharers_who_are_the_buyer_the_one_with_the_customers_id_is_meant() -> None:
    known = {ALICE: Identity(ALICE, None, "#bob@example.org"), BOB: Identity(BOB, "c-bob", None)}
    approved = roster(identities=known)
    customer = Customer("c-bob", "#bob@example.org", 0)
    assert approved.buyer_at(customer, PLACED_AT) == BOB
    suspended = roster(identities=known, sharers={ALICE: (standing_from(0),), BOB: (standing_from(0, SUSPENDED),)})
    assert suspended.buyer_at(customer, PLACED_AT) == ALICE
    assert approved.buyer_at(None, PLACED_AT) is None


def test_without_a_winner_the_buyer_is_not_frozen_either() -> None:
    assert decide(case(state(customer={"id": "c-bob"}))).frozen == Frozen(placed_at=PLACED_AT)


# -- the record so far -------------------------------------------------------------------------------------------------


def test_a_roster_as_of_a_place_in_the_record_knows_nothing_later() -> None:
    shop = roster(
        identities={ALICE: Identity(ALICE, "c-alice", None, seq=1), BOB: Identity(BOB, "c-bob", None, seq=5)},
        sharers={ALICE: (standing_from(0, seq=1), standing_from(0, SUSPENDED, seq=6)), BOB: (standing_from(0, seq=5),)},
        codes={"alice10": (CodeFact(1, 0, "alice10", ALICE), CodeFact(7, 0, "alice10", BOB))},
    )
    then = shop.until(5)
    assert set(then.identities) == {ALICE, BOB} and set(shop.until(4).identities) == {ALICE}
    assert then.approved_at(ALICE, 0) and not shop.until(6).approved_at(ALICE, 0)
    assert (then.code_at("alice10", 0), shop.until(7).code_at("alice10", 0)) == (ALICE, BOB)
    assert then.links == shop.links and shop.until(7) == shop


# -- stored and shown --------------------------------------------------------------------------------------------------


def test_a_decision_is_read_back_as_it_was_stored() -> None:
    customer = {"id": "c-bob", "orders_before": 2}
    told = case(
        state(codes=["ALICE10", "X"], **CLICK, customer=customer),
        shop=invited(),
        tokens=clicked(BOBS_LINK, PLACED_AT),
        manual=(ManualFact(3, 30, ALICE, "said so"),),
        holds=(HOLD,),
        bound=Bound(ALICE, 5, 5),
    )
    for decision in (decide(told), decide(case())):
        assert Decision.from_json(decision.to_json()) == decision


def test_the_receipt_shows_why_each_piece_of_evidence_counts_or_not() -> None:
    decision: Case = case(state(codes=["ALICE10"]), manual=(ManualFact(3, PLACED_AT, None, "returned goods"),))
    word, coupon = map(show, decide(decision).evidence)
    assert word == {
        "kind": "manual",
        "sharer": None,
        "at": PLACED,
        "accepted": True,
        "reason": "returned goods",
        "source": "manual",
    }
    assert (coupon["accepted"], coupon["reason"]) == (True, "accepted")
