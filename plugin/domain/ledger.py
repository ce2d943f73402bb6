"""The ledger: accounts, the kinds of transfer between them, and the moves that bring the books to a target.

An amount is always positive and moves from one account to another in one currency, so a transfer cannot be out of
balance. An account is (shop, sharer or the shop itself, currency, purpose).
"""

from collections.abc import Mapping
from dataclasses import dataclass

# A sharer's accounts.
PENDING, HELD, PAYABLE, IN_FLIGHT = "pending", "held", "payable", "in_flight"
PAID, TAX_WITHHELD, FEES = "paid", "tax_withheld", "fees"
# The shop's own.
COMMISSION, ADJUSTMENTS = "commission", "adjustments"

SHARER_PURPOSES = (PENDING, HELD, PAYABLE, IN_FLIGHT, PAID, TAX_WITHHELD, FEES)
SHOP_PURPOSES = (COMMISSION, ADJUSTMENTS)

# What is shown of a sharer's accounts: ``paid`` is gross, so what was withheld or kept as a fee is part of it.
BALANCES: dict[str, tuple[str, ...]] = {
    PENDING: (PENDING,),
    HELD: (HELD,),
    PAYABLE: (PAYABLE,),
    IN_FLIGHT: (IN_FLIGHT,),
    PAID: (PAID, TAX_WITHHELD, FEES),
    "earned": SHARER_PURPOSES,
}

# kind -> (from, to): the only edges money may take. The database holds the same table.
EDGES: dict[str, tuple[str, str]] = {
    "earn": (COMMISSION, PENDING),
    "take_back": (PENDING, COMMISSION),
    "earn_held": (COMMISSION, HELD),
    "take_back_held": (HELD, COMMISSION),
    "hold": (PENDING, HELD),
    "free": (HELD, PENDING),
    "release": (PENDING, PAYABLE),
    "earn_late": (COMMISSION, PAYABLE),
    "claw_back": (PAYABLE, COMMISSION),
    "reserve": (PAYABLE, IN_FLIGHT),
    "reserve_debt": (IN_FLIGHT, PAYABLE),
    "give_back": (IN_FLIGHT, PAYABLE),
    "give_back_debt": (PAYABLE, IN_FLIGHT),
    "settle": (IN_FLIGHT, PAID),
    "settle_debt": (PAID, IN_FLIGHT),
    "return": (PAID, PAYABLE),
    "return_debt": (PAYABLE, PAID),
}
# The kinds that may leave payable below zero: what a clawback took, or a debt that comes back with its payout.
MAY_OVERDRAW = frozenset({"claw_back", "give_back_debt", "return_debt"})


@dataclass(frozen=True, slots=True)
class Move:
    """One transfer to be written: ``minor`` > 0 along the edge of ``kind``."""

    kind: str
    minor: int

    @property
    def source(self) -> str:
        return EDGES[self.kind][0]

    @property
    def target(self) -> str:
        return EDGES[self.kind][1]


def booked(lot: Mapping[str, int]) -> int:
    """Return what the books hold of one commission (order, sharer, role), wherever it lies by now."""
    return sum(lot.get(purpose, 0) for purpose in SHARER_PURPOSES)


def _move(kind_up: str, kind_down: str, difference: int) -> list[Move]:
    if not difference:
        return []
    return [Move(kind_up, difference) if difference > 0 else Move(kind_down, -difference)]


def _all(kind: str, minor: int | None) -> list[Move]:
    return [Move(kind, minor)] if minor else []


def moves(lot: Mapping[str, int], target: int, *, held: bool, released: bool) -> list[Move]:
    """Return the transfers that bring one commission from what is booked to its target (section 6, step 5)."""
    difference = target - booked(lot)
    if released:
        return _move("earn_late", "claw_back", difference)
    if held:
        return _all("hold", lot.get(PENDING)) + _move("earn_held", "take_back_held", difference)
    return _all("free", lot.get(HELD)) + _move("earn", "take_back", difference)


def state_of(lot: Mapping[str, int], *, booked_ever: bool, paid_ever: str | None) -> str:
    """Return the word for where a commission stands: ``paid_ever`` is in_flight or paid once a payout took it."""
    if paid_ever:
        return paid_ever
    if not booked_ever:
        return "expected"
    if not booked(lot):
        return "reversed"
    return next((purpose for purpose in (PAYABLE, HELD, PENDING) if lot.get(purpose)), "reversed")
