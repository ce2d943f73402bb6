"""From what is known of orders to their decisions and moves: the pure half of settling and of checking the books.

:class:`Deciding` decides orders as they are now, oldest first. :class:`Deriving` decides them anew as of any place in
the shop's record, which is how the books are checked. Both follow one rule: a released order keeps what it was decided
by, unless the owner decides by hand.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from plugin.domain import ledger
from plugin.domain.attribution import Case, Decision, Token, decide
from plugin.domain.binding import Past, bound_at
from plugin.domain.commission import DELETED, Outcome, outcome
from plugin.domain.facts import HoldFact, ManualFact, Roster
from plugin.domain.hold import release_at
from plugin.domain.ledger import Move
from plugin.domain.order import State, Story, merge, story_of
from plugin.domain.plan import Plan

LATE = "late_evidence"
LotKey = tuple[int, str, str]  # sharer, role, currency
Lots = Mapping[LotKey, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """One version of a shop's plan; ``position`` is where it stands in the shop's record."""

    version: int
    in_force_from: int
    position: int
    plan: Plan


def plan_at(plans: Iterable[PlanVersion], moment: int, *, as_of: int | None = None) -> PlanVersion:
    """Return the version in force at the moment: of those in force, the last that was put."""
    known = (one for one in plans if as_of is None or one.position <= as_of)
    return max((one for one in known if one.in_force_from <= moment), key=lambda one: one.version)


def binds(plans: Iterable[PlanVersion]) -> bool:
    """Tell whether any version ever bound customers, so that their orders hang on one another."""
    return any(one.plan.attribution.binding.mode != "none" for one in plans)


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """The owner's words on one order."""

    manual: tuple[ManualFact, ...] = ()
    holds: tuple[HoldFact, ...] = ()

    def until(self, seq: int | None) -> "OrderFacts":
        """Return what had been said by then (None: all)."""
        if seq is None:
            return self
        return OrderFacts(
            tuple(one for one in self.manual if one.seq <= seq), tuple(one for one in self.holds if one.seq <= seq)
        )


@dataclass(frozen=True, slots=True)
class Known:
    """The roster for a set of orders, and what each token on them turned out to be (None: not genuine here)."""

    roster: Roster
    tokens: Mapping[str, Token | None]


@dataclass(slots=True)
class Work:
    """One order in a settlement. ``decision`` is what is in force, ``released`` the position of its release."""

    id: int
    ref: str
    story: Story
    released: int | None = None
    decision: Decision | None = None

    @property
    def sort_key(self) -> tuple[int, str]:
        """Return the order's place among its customer's orders."""
        return self.story.first.placed_at, self.ref


def past_of(ref: str, story: Story, decision: Decision, starts_at: int) -> Past:
    """Return what a binding asks of an order that is decided."""
    can_earn = not story.now.order.test and story.first.placed_at >= starts_at
    return Past(
        placed_at=story.first.placed_at,
        order_id=ref,
        paid=story.now.order.payment == "paid" and not story.cancelled,
        winner=decision.winner if can_earn else None,
        by_binding=decision.kind == "binding",
    )


class Deciding:
    """Decides orders oldest first, remembering what the customers' later orders must know of the earlier ones."""

    def __init__(
        self, plans: Sequence[PlanVersion], known: Known, facts: Mapping[int, OrderFacts], starts_at: int
    ) -> None:
        self.plans, self.known, self.facts, self.starts_at = plans, known, facts, starts_at
        self.binds = binds(plans)
        self.past: dict[str, list[Past]] = defaultdict(list)

    def decide(self, work: Work) -> tuple[Decision, bool]:
        """Return the decision in force, and whether later evidence would have decided a released order otherwise."""
        facts = self.facts.get(work.id, OrderFacts())
        decision, is_late = decide(self._case(work, facts)), False
        if work.released is not None and work.decision is not None:
            spoke_since = any(one.seq > work.released for one in facts.manual)
            if not spoke_since or _same_word(work.decision, decision):
                is_late = _decides_otherwise(work.decision, decision)
                decision = work.decision
        if self.binds:
            self._remember(work, decision)
        return decision, is_late

    def _case(self, work: Work, facts: OrderFacts) -> Case:
        version = plan_at(self.plans, work.story.first.placed_at)
        customer = work.story.first.customer
        past = self.past[customer.key] if customer and customer.key else []
        return Case(
            story=work.story,
            roster=self.known.roster,
            plan=version.plan,
            plan_version=version.version,
            tokens=self.known.tokens,
            manual=facts.manual,
            holds=facts.holds,
            bound=bound_at(past, work.story.first.placed_at, version.plan.attribution.binding),
        )

    def _remember(self, work: Work, decision: Decision) -> None:
        customer = work.story.first.customer
        if customer and customer.key:
            self.past[customer.key].append(past_of(work.ref, work.story, decision, self.starts_at))


def _decides_otherwise(one: Decision, other: Decision) -> bool:
    """Tell whether two decisions differ in more than the evidence they saw."""
    mine, theirs = ((some.frozen, some.kind, some.held, some.plan_version) for some in (one, other))
    return mine != theirs


def _same_word(stored: Decision, fresh: Decision) -> bool:
    """Tell whether the stored decision already follows the owner's latest word."""
    return [one for one in stored.evidence if one.kind == "manual"] == [
        one for one in fresh.evidence if one.kind == "manual"
    ]


@dataclass(frozen=True, slots=True)
class Standing:
    """What an order's books must say: the target of each person's role, when the hold ends, and what is odd."""

    outcome: Outcome
    targets: Mapping[LotKey, int]
    release_at: int | None
    flags: tuple[str, ...]


def standing(story: Story, decision: Decision, plan: Plan, *, starts_at: int, is_late: bool) -> Standing:
    """Reckon what the books must say of a decided order; ``plan`` is that of the decision's version."""
    reckoned = outcome(story, decision.frozen, plan, starts_at=starts_at)
    flags = reckoned.now.flags | ({DELETED} if story.deleted else set()) | ({LATE} if is_late else set())
    currency = story.now.order.currency
    return Standing(
        reckoned,
        {(role.sharer, role.role, currency): role.minor for role in reckoned.now.roles},
        release_at(story, plan.hold_days),
        tuple(sorted(flags)),
    )


def moves_of(targets: Mapping[LotKey, int], lots: Lots, *, held: bool, released: bool) -> list[tuple[LotKey, Move]]:
    """Return the moves that bring an order's commissions from what is booked to their targets."""
    return [
        (key, move)
        for key in sorted({*targets, *lots})
        for move in ledger.moves(lots.get(key, {}), targets.get(key, 0), held=held, released=released)
    ]


# --- deriving anew, as of any place in the record --------------------------------------------------------------------


Sold = tuple[tuple[str, tuple[str, ...]], ...]


def first_known(sold: Sold, found: Mapping[str, Sequence[str]]) -> Sold:
    """Add what a look-up found; what was found before stays as it was."""
    return tuple(sorted({**{name: tuple(several) for name, several in found.items()}, **dict(sold)}.items()))


@dataclass(slots=True)
class Record:
    """All that the record holds of one order; each thing with its position."""

    id: int
    ref: str
    states: list[tuple[int, State]] = field(default_factory=list)
    deletions: list[tuple[int, int]] = field(default_factory=list)
    lookups: list[tuple[int, Mapping[str, Sequence[str]]]] = field(default_factory=list)
    released: int | None = None
    facts: OrderFacts = field(default_factory=OrderFacts)

    def heard_by(self, as_of: int | None) -> int:
        """Return how much had been told of the order by then."""
        if as_of is None:
            return len(self.states) + len(self.deletions) + len(self.lookups)
        return sum(position <= as_of for position, _ in (*self.states, *self.deletions, *self.lookups))

    def known_at(self, as_of: int | None) -> bool:
        """Tell whether any state had been told by then."""
        return any(as_of is None or position <= as_of for position, _ in self.states)

    def story(self, as_of: int | None) -> Story:
        """Return the story as it was known at a position (None: now)."""
        told = [state for position, state in self.states if as_of is None or position <= as_of]
        deleted = [at for position, at in self.deletions if as_of is None or position <= as_of]
        lookups = [found for position, found in sorted(self.lookups) if as_of is None or position <= as_of]
        story = reduce(merge, map(story_of, told))
        return replace(story, deleted_at=max(deleted, default=None), sold=reduce(first_known, lookups, ()))

    def decided_as_of(self, as_of: int | None) -> int | None:
        """Return the position whose knowledge decided the order: its release, or the owner's later word."""
        if self.released is None or (as_of is not None and self.released > as_of):
            return as_of
        words = [one.seq for one in self.facts.until(as_of).manual]
        return max([self.released, *words])


class Deriving:
    """Derives decisions from records alone, as of any position; the customers' chains are derived as they go."""

    def __init__(
        self, plans: Sequence[PlanVersion], known: Known, records: Iterable[Record], *, starts_at: int
    ) -> None:
        self.plans, self.known, self.starts_at = plans, known, starts_at
        self.memo: dict[tuple[int, int | None], Decision] = {}
        self.stories: dict[tuple[int, int], Story] = {}
        self.chains: dict[str, list[Record]] = defaultdict(list)
        # Oldest first: an order then finds the earlier ones derived already, however many the customer has.
        for record in sorted(records, key=self._sort_key) if binds(plans) else ():
            for key in {state.order.customer.key for _, state in record.states if state.order.customer}:
                if key:
                    self.chains[key].append(record)

    def _sort_key(self, record: Record) -> tuple[int, str]:
        return self._story(record, None).first.placed_at, record.ref

    def _story(self, record: Record, as_of: int | None) -> Story:
        key = (record.id, record.heard_by(as_of))
        if key not in self.stories:
            self.stories[key] = record.story(as_of)
        return self.stories[key]

    def in_force(self, record: Record) -> tuple[Decision, bool]:
        """Return the decision that must be in force, and whether later evidence would decide otherwise."""
        decision = self.decision(record, record.decided_as_of(None))
        return decision, record.released is not None and _decides_otherwise(decision, self.decision(record, None))

    def decision(self, record: Record, as_of: int | None) -> Decision:
        """Return what all that was known at a position decides."""
        key = (record.id, as_of)
        if key not in self.memo:
            self.memo[key] = decide(self._case(record, as_of))
        return self.memo[key]

    def _case(self, record: Record, as_of: int | None) -> Case:
        story = self._story(record, as_of)
        version = plan_at(self.plans, story.first.placed_at, as_of=as_of)
        terms, facts = version.plan.attribution.binding, record.facts.until(as_of)
        past = self._past(record, story, as_of) if terms.mode != "none" else []
        return Case(
            story=story,
            roster=self.known.roster if as_of is None else self.known.roster.until(as_of),
            plan=version.plan,
            plan_version=version.version,
            tokens=self.known.tokens,
            manual=facts.manual,
            holds=facts.holds,
            bound=bound_at(past, story.first.placed_at, terms),
        )

    def _past(self, record: Record, story: Story, as_of: int | None) -> list[Past]:
        customer = story.first.customer
        found = []
        for other in self.chains[customer.key] if customer and customer.key else ():
            if other is record or not other.known_at(as_of):
                continue
            theirs = self._story(other, as_of)
            same = theirs.first.customer is not None and customer and theirs.first.customer.key == customer.key
            if same and (theirs.first.placed_at, other.ref) < (story.first.placed_at, record.ref):
                decided = self.decision(other, other.decided_as_of(as_of))
                found.append(past_of(other.ref, theirs, decided, self.starts_at))
        return sorted(found, key=lambda past: (past.placed_at, past.order_id))
