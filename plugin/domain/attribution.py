"""Attribution: from the evidence on an order to its decision, with a receipt of every rule and its outcome.

The decision freezes what it used. It is a pure function of the order's story, the facts, the plan in force at
``placed_at`` and the customer's binding, so the same deliveries and facts decide the same in any order of arrival.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from plugin.domain.binding import Bound
from plugin.domain.commission import Frozen
from plugin.domain.facts import HoldFact, ManualFact, Roster
from plugin.domain.moment import DAY, SECOND, format_moment
from plugin.domain.order import Story, Touch, normalise_code
from plugin.domain.plan import Plan

CLOCK_SKEW = 300 * SECOND

CREDITED, NOBODY = "credited", "nobody"
OWN_PURCHASE_HELD = "own_purchase_held"


@dataclass(frozen=True, slots=True)
class Token:
    """A genuine share token of this shop: which link, and when it was touched (None for the link's own code)."""

    link: int
    at: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that may name a sharer, and what became of it. ``refusal`` is None where it was accepted."""

    kind: str
    sharer: int | None
    at: int
    source: str
    refusal: str | None
    note: str | None = None
    link: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """All that the decision of one order reads."""

    story: Story
    roster: Roster
    plan: Plan
    plan_version: int
    tokens: Mapping[str, Token | None]
    manual: Sequence[ManualFact] = ()
    holds: Sequence[HoldFact] = ()
    bound: Bound | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Who gets the order and why; ``frozen`` is what every later reckoning reads."""

    outcome: str
    reason: str
    kind: str | None
    evidence: tuple[Evidence, ...]
    plan_version: int
    frozen: Frozen
    held: bool = False
    bound: Bound | None = field(default=None, compare=False)

    @property
    def winner(self) -> int | None:
        """Return the winning sharer, or None."""
        return self.frozen.sharer

    def to_json(self) -> dict[str, Any]:
        """Return the decision as it is stored: plain values, numbers of our own, times in microseconds."""
        frozen = self.frozen
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "kind": self.kind,
            "plan_version": self.plan_version,
            "held": self.held,
            "evidence": [
                [one.kind, one.sharer, one.at, one.source, one.refusal, one.note, one.link] for one in self.evidence
            ],
            "frozen": [
                frozen.sharer,
                frozen.group,
                list(frozen.uplines),
                frozen.buyer,
                frozen.new_customer,
                frozen.channel,
                frozen.campaign,
                frozen.placed_at,
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Decision":
        """Read a stored decision back."""
        sharer, group, uplines, *rest = data["frozen"]
        return cls(
            outcome=data["outcome"],
            reason=data["reason"],
            kind=data["kind"],
            evidence=tuple(Evidence(*one) for one in data["evidence"]),
            plan_version=data["plan_version"],
            frozen=Frozen(sharer, group, tuple(uplines), *rest),
            held=data["held"],
        )


def names_a_sharer(touch: Touch, moment: int, roster: Roster, tokens: Mapping[str, Token | None]) -> bool:
    """Tell whether a touch holds a genuine token or a code known at the moment, accepted or not.

    A code that somebody is given later must not make an older order be read anew.
    """
    return any(tokens.get(text) for _, text in touch.tokens) or any(
        roster.code_known_at(normalise_code(code), moment) for code in touch.codes
    )


def telling_touch(story: Story, roster: Roster, tokens: Mapping[str, Token | None]) -> Touch:
    """Return the touch of the earliest state that names a sharer of this shop, else of the earliest state."""
    if len(story.touches) == 1:
        return story.touches[0][1]
    moment = story.first.placed_at
    named = (touch for _, touch in story.touches if names_a_sharer(touch, moment, roster, tokens))
    return next(named, story.touches[0][1])


def _refusal(case: Case, sharer: int, clicked_at: int | None) -> str | None:
    """Return why evidence for this sharer does not count, or None."""
    placed_at, rules = case.story.first.placed_at, case.plan.attribution
    standing = case.roster.sharer_at(sharer, placed_at)
    if standing is None:
        return "before_since"
    if standing.status != "approved":
        return f"sharer_{standing.status}"
    if clicked_at is not None and clicked_at < placed_at - rules.window_days * DAY:
        return "outside_window"
    if clicked_at is not None and clicked_at > placed_at + CLOCK_SKEW:
        return "click_after_order"
    if rules.self_purchase == "block" and _own_purchase(case, sharer):
        return "own_purchase"
    if rules.new_customers_only and not case.story.is_new_customer:
        return "not_a_new_customer"
    return None


def _own_purchase(case: Case, sharer: int) -> bool:
    who = case.roster.identities.get(sharer)
    return who is not None and who.is_buyer(case.story.first.customer)


def _weighed(case: Case, kind: str, sharer: int, source: str, clicked_at: int | None, link: int | None) -> Evidence:
    refusal = _refusal(case, sharer, clicked_at)
    held = refusal is None and case.plan.attribution.self_purchase == "hold" and _own_purchase(case, sharer)
    at = case.story.first.placed_at if clicked_at is None else clicked_at
    return Evidence(kind, sharer, at, source, refusal, OWN_PURCHASE_HELD if held else None, link)


def _coupons(case: Case, touch: Touch) -> list[Evidence]:
    """Weigh the coupon codes in the shop's order, which is their order in time. Codes nobody ever had say nothing."""
    placed_at, found = case.story.first.placed_at, []
    for code in touch.codes:
        name = normalise_code(code)
        sharer = case.roster.code_at(name, placed_at)
        if sharer is not None:
            found.append(_weighed(case, "coupon", sharer, code, None, None))
        elif (sharer := case.roster.code_ever(name)) is not None:
            known = case.roster.sharer_at(sharer, placed_at) is not None
            found.append(Evidence("coupon", sharer, placed_at, code, "code_not_in_force" if known else "before_since"))
    return found


def _links(case: Case, touch: Touch) -> tuple[list[Evidence], list[Evidence], list[Evidence]]:
    """Weigh click tokens (oldest first), links' own codes (as listed), and what is no token of this shop."""
    clicks, codes, others = [], [], []
    for text in _listed_once(touch, case.plan.attribution.model):
        token = case.tokens.get(text)
        link = case.roster.links.get(token.link) if token else None
        if token is None or link is None:
            only_utm = all(carrier == "utm" for carrier, other in touch.tokens if other == text)
            reason = "not_a_token" if only_utm else "forged"
            others.append(Evidence("link", None, case.story.first.placed_at, text, reason))
        elif token.at is None:
            codes.append(_weighed(case, "link", link.sharer, text, None, link.id))
        else:
            clicks.append(_weighed(case, "link", link.sharer, text, token.at, link.id))
    return sorted(clicks, key=lambda one: one.at), codes, others


def _listed_once(touch: Touch, model: str) -> list[str]:
    """Return each text once, at the listing that counts: the latest, or under ``first`` the earliest."""
    texts = [text for _, text in touch.tokens]
    return list(dict.fromkeys(texts)) if model == "first" else list(dict.fromkeys(reversed(texts)))[::-1]


def _bound(case: Case) -> list[Evidence]:
    if case.bound is None:
        return []
    weighed = _weighed(case, "binding", case.bound.sharer, "binding", None, None)
    return [replace(weighed, at=case.bound.at)]


def _pick(evidence: Sequence[Evidence], model: str) -> Evidence | None:
    """Return the latest or the earliest accepted one; the list is oldest first."""
    tried: Iterable[Evidence] = evidence if model == "first" else reversed(evidence)
    return next((one for one in tried if one.refusal is None), None)


def decide(case: Case) -> Decision:
    """Decide who gets the order, and freeze what was used."""
    rules = case.plan.attribution
    touch = telling_touch(case.story, case.roster, case.tokens)
    coupons = _coupons(case, touch)
    clicks, codes, others = _links(case, touch)
    bound = _bound(case)
    tried = {"manual": (), "coupon": (coupons,), "link": (clicks, codes), "binding": (bound,)}
    manual = max(case.manual, key=lambda fact: fact.seq, default=None)
    word = [Evidence("manual", manual.sharer, manual.at, "manual", None, manual.reason)] if manual else []
    evidence = (*word, *coupons, *clicks, *codes, *bound, *others)
    if manual:
        winner = word[0] if manual.sharer is not None else None
        reason = "manual" if winner else "manual_nobody"
    else:
        lists = (some for kind in rules.priority for some in tried[kind])
        winner = next((found for some in lists if (found := _pick(some, rules.model))), None)
        known = [one for one in evidence if one.sharer is not None]
        reason = winner.kind if winner else "all_refused" if known else "no_evidence"
    return Decision(
        outcome=CREDITED if winner else NOBODY,
        reason=reason,
        kind=winner.kind if winner else None,
        evidence=evidence,
        plan_version=case.plan_version,
        frozen=_freeze(case, winner),
        held=_is_held(case, winner, manual),
        bound=case.bound,
    )


def _is_held(case: Case, winner: Evidence | None, manual: ManualFact | None) -> bool:
    hold = max(case.holds, key=lambda fact: fact.seq, default=None)
    held_by_owner = hold is not None and (manual is None or hold.seq > manual.seq)
    held_by_rule = manual is None and winner is not None and winner.note == OWN_PURCHASE_HELD
    return winner is not None and (held_by_owner or held_by_rule)


def _freeze(case: Case, winner: Evidence | None) -> Frozen:
    story, roster = case.story, case.roster
    placed_at = story.first.placed_at
    if winner is None or winner.sharer is None:
        return Frozen(new_customer=story.is_new_customer, placed_at=placed_at)
    standing = roster.sharer_at(winner.sharer, placed_at)
    link = roster.links.get(winner.link) if winner.link is not None else None
    return Frozen(
        sharer=winner.sharer,
        group=standing.group if standing else None,
        uplines=_uplines(case, winner.sharer, standing.inviter if standing else None),
        buyer=roster.buyer_at(story.first.customer, placed_at),
        new_customer=story.is_new_customer,
        channel=link.channel if link else None,
        campaign=link.campaign if link else None,
        placed_at=placed_at,
    )


def _uplines(case: Case, sharer: int, inviter: int | None) -> tuple[int, ...]:
    """Return the inviter if they may be paid; one who may not is not replaced by theirs."""
    if inviter is None or inviter == sharer or inviter not in case.roster.identities:
        return ()
    approved = case.roster.approved_at(inviter, case.story.first.placed_at)
    return (inviter,) if approved and not _own_purchase(case, inviter) else ()


def show(evidence: Evidence) -> dict[str, Any]:
    """Return one piece of evidence as the receipt shows it, numbers of our own still bare."""
    return {
        "kind": evidence.kind,
        "sharer": evidence.sharer,
        "at": format_moment(evidence.at),
        "accepted": evidence.refusal is None,
        "reason": evidence.refusal or evidence.note or "accepted",
        "source": evidence.source,
    }
