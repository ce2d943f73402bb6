"""Binding: a customer stays with the sharer who brought them, as one model from last click to lifetime customer.

The state of a binding is a fold over the customer's earlier orders (by ``placed_at``, then id) under the plan of the
order that asks. Nothing is stored: an order that arrives late or is paid later simply stands in the fold.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from plugin.domain.moment import DAY
from plugin.domain.plan import Binding


@dataclass(frozen=True, slots=True)
class Past:
    """What a binding asks of one earlier order of the customer."""

    placed_at: int
    order_id: str
    paid: bool  # paid now and not cancelled
    winner: int | None  # None too where the order can never earn (a test, or before the shop's start)
    by_binding: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """A customer bound to a sharer since ``at``; valid from ``anchor``, used for ``used`` orders."""

    sharer: int
    at: int
    anchor: int
    used: int = 0

    def valid_at(self, moment: int, terms: Binding) -> bool:
        """Tell whether the binding still holds at the moment (edges count)."""
        if terms.max_orders is not None and self.used >= terms.max_orders:
            return False
        return terms.valid_days is None or moment <= self.anchor + terms.valid_days * DAY


def step(bound: Bound | None, past: Past, terms: Binding) -> Bound | None:
    """Return the binding after one more order of the customer."""
    if bound and not bound.valid_at(past.placed_at, terms):
        bound = None
    if not past.paid:
        return bound
    if bound and terms.extend_on_order:
        bound = replace(bound, anchor=past.placed_at)
    if past.winner is None:
        return bound
    if past.by_binding:
        return replace(bound, used=bound.used + 1) if bound and bound.sharer == past.winner else bound
    if bound is None:
        return Bound(past.winner, past.placed_at, past.placed_at)
    protected = terms.protected_days and past.placed_at - bound.at <= terms.protected_days * DAY
    if terms.mode == "latest" and not protected:
        return Bound(past.winner, past.placed_at, past.placed_at)
    return bound


def bound_at(past: Iterable[Past], moment: int, terms: Binding) -> Bound | None:
    """Return the binding that holds at the moment after the customer's earlier orders, oldest first."""
    if terms.mode == "none":
        return None
    bound: Bound | None = None
    for order in past:
        bound = step(bound, order, terms)
    return bound if bound and bound.valid_at(moment, terms) else None
