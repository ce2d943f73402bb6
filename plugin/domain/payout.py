"""A payout batch and its items: their states, and the only moves between them."""

from plugin.errors import Conflict

DRAFT, APPROVED, SUBMITTED, SETTLED, CANCELLED = "draft", "approved", "submitted", "settled", "cancelled"
RESERVED, IN_FLIGHT, UNKNOWN, ACTION_NEEDED = "reserved", "in_flight", "unknown", "action_needed"
PAID, FAILED, RETURNED = "paid", "failed", "returned"

BATCH_MOVES = {
    (DRAFT, APPROVED),
    (APPROVED, SUBMITTED),
    (SUBMITTED, SETTLED),
    (DRAFT, CANCELLED),
    (APPROVED, CANCELLED),
}
MARKS = {(state, end) for state in (IN_FLIGHT, UNKNOWN, ACTION_NEEDED) for end in (PAID, FAILED)} | {(PAID, RETURNED)}
ENDS = frozenset({PAID, FAILED, RETURNED, CANCELLED})


def move_batch(state: str, to: str) -> str:
    """Return the new state of a batch; raise Conflict where there is no such move."""
    if (state, to) not in BATCH_MOVES:
        raise Conflict("wrong_state", "A payout that is %(state)s cannot become %(to)s.", state=state, to=to)
    return to


def mark_item(batch: str, state: str, to: str) -> str:
    """Return the new state of an item that a person marks; raise Conflict where there is no such move."""
    if batch not in (SUBMITTED, SETTLED):
        raise Conflict(
            "wrong_state", "Items can be marked when the payout is submitted; it is %(state)s.", state=batch
        )
    if (state, to) not in MARKS:
        raise Conflict("wrong_state", "An item that is %(state)s cannot be marked %(to)s.", state=state, to=to)
    return to
