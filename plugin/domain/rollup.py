"""Rollups: what a shop's days, its sharers and their months come to. Every figure is a sum over raw rows.

Orders count on the day they were placed, as they stand now; money on the day its transfer was written; clicks on their
own day; all in the shop's time zone. Sums move by differences: an order takes its old figures out and puts its new ones
in, a transfer and a click only ever add. So the same fold keeps the rollups and derives them anew. What an order comes
to by product and by channel is in :mod:`plugin.domain.order_parts`.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import NamedTuple

from plugin.domain.commission import BUYER, DIRECT, UPLINE
from plugin.domain.ledger import BALANCES, COMMISSION, EDGES, PAID
from plugin.domain.moment import SECOND
from plugin.domain.money import round_to_minor
from plugin.domain.order import Story

SHOP_DAY, SHARER_TOTAL, SHARER_MONTH = "shop-day", "sharer", "sharer-month"
CLICK_DAY, CLICK_MONTH, CLICK_LINK, CLICK_CHANNEL = "click-day", "click-month", "click-link", "click-channel"
PRODUCT_MONTH, CHANNEL_MONTH = "product-month", "channel-month"
ROLES = (DIRECT, UPLINE, BUYER)
# What each rollup sums up. Those in MONEY are minor units of the row's currency, the others are counts.
FIGURES: dict[str, tuple[str, ...]] = {
    SHOP_DAY: ("orders", "credited", "new_buyers", "net", "refunded", *ROLES, "paid_out"),
    SHARER_TOTAL: ("orders", "net"),
    SHARER_MONTH: ("orders", "net", "earned", "clawed_back", "paid_out"),
    CLICK_DAY: ("clicks",),
    CLICK_MONTH: ("clicks",),
    CLICK_LINK: ("clicks",),
    CLICK_CHANNEL: ("clicks",),
    PRODUCT_MONTH: (
        *("orders", "quantity", "sales", "refunded"),
        *("credited", "credited_quantity", "credited_sales", "commission"),
    ),
    CHANNEL_MONTH: ("credited", "net", "refunded", "commission"),
}
_ORDERS, _CREDITED, _NEW_BUYERS, _NET, _REFUNDED, *_OF_ROLES, _PAID_OUT = range(len(FIGURES[SHOP_DAY]))
_ROLE = dict(zip(ROLES, _OF_ROLES, strict=True))
_EARNED = FIGURES[SHARER_MONTH].index("earned")  # what was clawed back and paid out stands after it
MONEY = frozenset(
    {"net", "refunded", *ROLES, "earned", "clawed_back", "paid_out", "sales", "credited_sales", "commission"}
)
MINUTE = 60 * SECOND  # all moments of a minute are of one day: since 1972 no zone has had an offset with seconds
MINUTES_MAX = 10_000  # whose days are remembered at once
FIGURE_MAX = 10**15  # of one order, in minor units; nine thousand of them still fit the database's 64 bits

Key = tuple[int | str, ...]
Place = tuple[str, str]  # channel and campaign of a link; "" where it has none
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GROSS = frozenset(BALANCES[PAID])


def _effect(source: str, target: str) -> tuple[int, int, int] | None:
    """Return (earned, clawed back, paid out) of one minor unit moved along an edge; None where it is none of these."""
    effect = (
        int(source == COMMISSION),
        int(target == COMMISSION),
        int(target in _GROSS) - int(source in _GROSS),
    )
    return effect if any(effect) else None


_EFFECTS = {kind: _effect(*edge) for kind, edge in EDGES.items()}


def day_of(moment: int, zone: tzinfo) -> str:
    """Return the day of a moment in a time zone, as an ISO date."""
    return (_EPOCH + timedelta(microseconds=moment)).astimezone(zone).date().isoformat()


def place_of(channel: str | None, campaign: str | None) -> Place:
    """Return where a link is shared, as rollups name it."""
    return channel or "", campaign or ""


class Counted(NamedTuple):
    """What an order is counted as: nothing unless it is paid, uncancelled, no test, and placed since the shop's start.

    ``counts_for`` is its winner; ``net`` and ``refunded`` are those the API shows, in minor units, at most FIGURE_MAX.
    """

    counts: bool = False
    counts_for: int | None = None
    new_buyer: bool = False
    net: int = 0
    refunded: int = 0


NOT_COUNTED = Counted()
COUNTED = Counted._fields  # the columns of an order's row that hold it


def counted(story: Story, winner: int | None, net: int, *, starts_at: int) -> Counted:
    """Return what an order is counted as; ``net`` is its net as reckoned for this winner."""
    order = story.now.order
    if order.payment != "paid" or story.cancelled or order.test or story.first.placed_at < starts_at:
        return NOT_COUNTED
    refunded = 0
    if order.refunds:
        refunded = round_to_minor(sum(refund.amount for refund in order.refunds), order.currency)
    return Counted(True, winner, story.is_new_customer, min(net, FIGURE_MAX), min(refunded, FIGURE_MAX))


class Rollup:
    """Sums by rollup and key, in the order of FIGURES: differences to be added to the stored ones, or all of them."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self.sums: dict[str, dict[Key, list[int]]] = {
            name: defaultdict(partial(list, (0,) * len(figures))) for name, figures in FIGURES.items()
        }
        self._days: dict[int, str] = {}  # by minute: what is counted together mostly happened together

    def _day(self, minute: int) -> str:
        found = self._days.get(minute)
        if found is None:
            if len(self._days) >= MINUTES_MAX:
                self._days.clear()
            found = self._days[minute] = day_of(minute * MINUTE, self.zone)
        return found

    def month_of(self, moment: int) -> str:
        """Return the month of a moment, as in 2026-11."""
        return self._day(moment // MINUTE)[:-3]

    def count(self, name: str, key: Key, figures: Iterable[int], *, sign: int = 1) -> None:
        """Put figures into a row of one rollup, or take them out with ``sign`` -1."""
        sums = self.sums[name][key]
        for index, figure in enumerate(figures):
            sums[index] += sign * figure

    def count_order(self, placed_at: int, currency: str, order: Counted, *, sign: int = 1) -> None:
        """Put an order in, or take it out with ``sign`` -1."""
        if not order.counts:
            return
        day, sharer, net = self._day(placed_at // MINUTE), order.counts_for, sign * order.net
        of_day = self.sums[SHOP_DAY][day, currency]
        of_day[_ORDERS] += sign
        of_day[_NEW_BUYERS] += sign * order.new_buyer
        of_day[_NET] += net
        of_day[_REFUNDED] += sign * order.refunded
        if sharer is not None:
            of_day[_CREDITED] += sign
            of_sharer, of_month = self.sums[SHARER_TOTAL], self.sums[SHARER_MONTH]
            for sums in (of_sharer[sharer, currency], of_month[sharer, day[:-3], currency]):
                sums[0] += sign
                sums[1] += net

    def count_transfer(self, written_at: int, sharer: int, role: str, currency: str, kind: str, minor: int) -> None:
        """Put a transfer in."""
        effect = _EFFECTS[kind]
        if effect is None:
            return
        day, (earned, clawed_back, paid_out) = self._day(written_at // MINUTE), effect
        of_day, of_month = self.sums[SHOP_DAY][day, currency], self.sums[SHARER_MONTH][sharer, day[:-3], currency]
        of_day[_ROLE[role]] += (earned - clawed_back) * minor
        of_day[_PAID_OUT] += paid_out * minor
        of_month[_EARNED] += earned * minor
        of_month[_EARNED + 1] += clawed_back * minor
        of_month[_EARNED + 2] += paid_out * minor

    def count_clicks(self, minute: int, sharer: int, count: int) -> None:
        """Put in the clicks of one minute since 1970 on the links of a sharer."""
        day = self._day(minute)
        self.sums[CLICK_DAY][(day,)][0] += count
        self.sums[CLICK_MONTH][sharer, day[:-3]][0] += count

    def count_link_clicks(self, minute: int, sharer: int, link: int, place: Place, count: int) -> None:
        """Put in the clicks of one minute since 1970 on one link; ``place`` is where it is shared."""
        self.count_clicks(minute, sharer, count)
        self.sums[CLICK_LINK][sharer, link][0] += count
        self.sums[CLICK_CHANNEL][self._day(minute)[:-3], *place][0] += count

    def rows(self, name: str) -> list[tuple[Key, list[int]]]:
        """Return the rows of one rollup that are not all zero, in the order of their keys."""
        return sorted((key, sums) for key, sums in self.sums[name].items() if any(sums))
