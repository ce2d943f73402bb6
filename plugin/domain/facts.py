"""Facts: what decides money and is no delivery. Each is dated, numbered as it was recorded, and never changed.

``at`` is the moment from which a fact counts (microseconds since 1970); ``seq`` is its place in the shop's record. What
holds at a moment is the fact with the greatest (at, seq) not after it, so later facts never change what was decided.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from plugin.domain.order import Customer

APPROVED, PENDING, SUSPENDED = "approved", "pending", "suspended"
STATUSES = (PENDING, APPROVED, SUSPENDED)


@dataclass(frozen=True, slots=True)
class SharerFact:
    """How a sharer stands from ``at`` on."""

    seq: int
    at: int
    sharer: int
    status: str
    group: str | None
    inviter: int | None


@dataclass(frozen=True, slots=True)
class CodeFact:
    """Whose a coupon code (normalised) is from ``at`` on; None takes it away."""

    seq: int
    at: int
    code: str
    sharer: int | None


F = TypeVar("F", SharerFact, CodeFact)


@dataclass(frozen=True, slots=True)
class ManualFact:
    """The owner's word on one order: this sharer, or nobody."""

    seq: int
    at: int
    sharer: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class HoldFact:
    """The owner keeps an order's money back until a manual decision."""

    seq: int
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a sharer is as a buyer; ``seq`` is the place at which the shop came to know them."""

    sharer: int
    customer_id: str | None
    email_hash: str | None
    seq: int = 0

    def is_buyer(self, customer: Customer | None) -> bool:
        """Tell whether an order of this customer is the sharer's own purchase."""
        if customer is None:
            return False
        return (customer.id is not None and customer.id == self.customer_id) or (
            customer.email_hash is not None and customer.email_hash == self.email_hash
        )


@dataclass(frozen=True, slots=True)
class Link:
    """A share link; it names its sharer and what the owner called its channel and campaign."""

    id: int
    sharer: int
    channel: str | None
    campaign: str | None


@dataclass(frozen=True)
class Roster:
    """The sharers of one shop that an order may concern, with their facts."""

    identities: Mapping[int, Identity] = field(default_factory=dict)
    sharers: Mapping[int, tuple[SharerFact, ...]] = field(default_factory=dict)
    codes: Mapping[str, tuple[CodeFact, ...]] = field(default_factory=dict)
    links: Mapping[int, Link] = field(default_factory=dict)

    def sharer_at(self, sharer: int, moment: int) -> SharerFact | None:
        """Return how the sharer stood at the moment, or None before they were known."""
        return _at(self.sharers.get(sharer, ()), moment)

    def approved_at(self, sharer: int, moment: int) -> bool:
        """Tell whether the sharer could earn at the moment."""
        fact = self.sharer_at(sharer, moment)
        return fact is not None and fact.status == APPROVED

    def code_at(self, code: str, moment: int) -> int | None:
        """Return whose the code was at the moment."""
        fact = _at(self.codes.get(code, ()), moment)
        return fact.sharer if fact else None

    def code_ever(self, code: str) -> int | None:
        """Return somebody whose the code ever was, before or after: enough to say why it does not count."""
        return next((fact.sharer for fact in self.codes.get(code, ()) if fact.sharer is not None), None)

    def code_known_at(self, code: str, moment: int) -> bool:
        """Tell whether the code was or had been somebody's by the moment."""
        return any(fact.at <= moment for fact in self.codes.get(code, ()))

    def buyer_at(self, customer: Customer | None, moment: int) -> int | None:
        """Return the buyer's own approved sharer: same customer id first, then the lowest number."""
        if customer is None:
            return None
        by_id, by_email = self._buyers
        found = by_id.get(customer.id, []) + by_email.get(customer.email_hash, [])
        return next((who.sharer for who in found if self.approved_at(who.sharer, moment)), None)

    @cached_property
    def _buyers(self) -> tuple[dict[str | None, list[Identity]], dict[str | None, list[Identity]]]:
        """Return the identities by customer id and by e-mail hash, the lowest number first."""
        by_id: dict[str | None, list[Identity]] = {}
        by_email: dict[str | None, list[Identity]] = {}
        for who in sorted(self.identities.values(), key=lambda who: who.sharer):
            if who.customer_id is not None:
                by_id.setdefault(who.customer_id, []).append(who)
            if who.email_hash is not None:
                by_email.setdefault(who.email_hash, []).append(who)
        return by_id, by_email

    def until(self, seq: int) -> "Roster":
        """Return the roster as it was recorded up to ``seq``."""
        return Roster(
            {key: who for key, who in self.identities.items() if who.seq <= seq},
            {key: tuple(fact for fact in facts if fact.seq <= seq) for key, facts in self.sharers.items()},
            {key: tuple(fact for fact in facts if fact.seq <= seq) for key, facts in self.codes.items()},
            self.links,
        )


def _at(facts: Iterable[F], moment: int) -> F | None:
    found: F | None = None
    for fact in facts:
        if fact.at <= moment and (found is None or (fact.at, fact.seq) > (found.at, found.seq)):
            found = fact
    return found
