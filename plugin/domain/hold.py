"""When an order's commissions leave the hold."""

from plugin.domain.moment import DAY, LAST
from plugin.domain.order import Story


def release_at(story: Story, hold_days: int) -> int | None:
    """Return the moment from which the order may be released, or None while it was never paid.

    It counts from ``paid_at`` of the earliest paid state (``placed_at`` where that state names none) in days of 24
    hours, so that clock changes move nothing. An order paid in a far future is not released after the last moment that
    can be written.
    """
    if story.paid is None:
        return None
    paid_at = story.paid[1]
    return min((story.first.placed_at if paid_at is None else paid_at) + hold_days * DAY, LAST)
