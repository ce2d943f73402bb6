"""The one word a list of orders has for where an order's commissions stand; kept on its row by whoever moves its money.

It is for finding orders. What each person earns, and in which state, is always reckoned from the books.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import case, exists, or_, select, update

from plugin.database import among
from plugin.domain import ledger
from plugin.domain.attribution import Decision
from plugin.domain.ledger import HELD, IN_FLIGHT, PAYABLE, PENDING, Move
from plugin.domain.settlement import LotKey, Lots
from plugin.models import lot, orders
from plugin.services.recorder import Recorder

NOBODY, EXPECTED, REVERSED, PAID = "nobody", "expected", "reversed", "paid"
STATES = (PENDING, HELD, PAYABLE, IN_FLIGHT, PAID, REVERSED, EXPECTED, NOBODY)
# The first of these in which anybody's commission lies names the order. A debt is not payable.
_PLACES = {one: ledger.BALANCES[one] for one in (HELD, PENDING, PAYABLE, IN_FLIGHT, PAID)}


def state_after(decision: Decision, lots: Lots, moves: Iterable[tuple[LotKey, Move]]) -> str:
    """Return the state of an order that is decided so, when these moves will have changed what lies where."""
    if decision.winner is None:
        return NOBODY
    if decision.held:
        return HELD
    after = {key: dict(places) for key, places in lots.items()}
    for key, move in moves:
        places = after.setdefault(key, {})
        places[move.source] = places.get(move.source, 0) - move.minor
        places[move.target] = places.get(move.target, 0) + move.minor
    for state, purposes in _PLACES.items():
        if any(places.get(purpose, 0) > 0 for places in after.values() for purpose in purposes):
            return state
    return REVERSED if after else EXPECTED


def mark_orders(recorder: Recorder, numbers: Collection[int]) -> None:
    """Write on orders what their books say after a payout moved their money; an order that is held stays so."""
    recorder.flush()
    mine = lot.c.order_id == orders.c.id
    lies = [
        (exists(select(1).where(mine, or_(*(lot.c[purpose] > 0 for purpose in purposes)))), state)
        for state, purposes in _PLACES.items()
    ]
    state = case((orders.c.state.in_((HELD, NOBODY)), orders.c.state), *lies, else_=REVERSED)
    recorder.connection.execute(update(orders).where(among(orders.c.id, numbers)).values(state=state))
