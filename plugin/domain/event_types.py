"""The kinds of events there are: what followers of the stream may ask for by name."""

EVENT_TYPES = (
    "commission.changed",
    "link.issued",
    "order.attributed",
    "order.decided",
    "order.released",
    "payout.approved",
    "payout.cancelled",
    "payout.drafted",
    "payout.failed",
    "payout.paid",
    "payout.returned",
    "payout.settled",
    "payout.submitted",
    "plan.changed",
    "sharer.approved",
    "sharer.pending",
    "sharer.suspended",
    "shop.added",
)
