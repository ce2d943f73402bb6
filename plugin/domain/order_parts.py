"""What an order comes to by product, and by the channel of the link that brought it. Pure, as it stands now.

Each product of an order is rounded once, so a product's figures are sums of whole minor units. Sales are what is paid
for the goods without tax, less what was refunded; they are not the base of the commission, which hangs on the plan.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plugin.domain.commission import DIRECT, Earned, Reckoning, after_refunds
from plugin.domain.money import Exact, round_to_minor, spread, step
from plugin.domain.order import Line, Story
from plugin.domain.rollup import CHANNEL_MONTH, FIGURE_MAX, FIGURES, Counted

Figures = tuple[int, ...]
_NOTHING = (0,) * len(FIGURES[CHANNEL_MONTH])


@dataclass(frozen=True, slots=True)
class Parts:
    """The figures of PRODUCT_MONTH by the shop's product id ("" for lines without one), and those of CHANNEL_MONTH.

    ``credit`` is None where nobody gets the order; where it does not count, ``products`` is empty and ``credit`` zeros.
    """

    products: Mapping[str, Figures]
    credit: Figures | None


def product_of(line: Line) -> str:
    """Return by which name a line's product is counted."""
    return line.product_id or ""


def parts_of(story: Story, count: Counted, now: Reckoning, winner: int | None) -> Parts:
    """Return what an order comes to; ``count`` is what it counts as, ``now`` what it earns its ``winner``."""
    if not count.counts:
        return Parts({}, None if winner is None else _NOTHING)
    currency = story.now.order.currency
    commission = _by_line(now, currency)
    if winner is None:
        return Parts(_products(story, commission, is_credited=False), None)
    credit = (1, count.net, count.refunded, _cut(sum(commission)))
    return Parts(_products(story, commission, is_credited=True), credit)


def _by_line(now: Reckoning, currency: str) -> list[int]:
    """Return how all that the order earns stands on its lines, in minor units that add up to it.

    The direct amount stands where it came about; an inviter's and a buyer's in proportion to what they are shares of.
    """
    bases: list[Exact] = [line.base if line.commissioned else 0 for line in now.lines]
    sums = [0] * len(bases)
    for role in now.roles:
        for index, minor in enumerate(_shares(role, bases, currency)):
            sums[index] += minor
    return sums


def _shares(role: Earned, bases: list[Exact], currency: str) -> Sequence[int]:
    return role.by_line if role.role == DIRECT else spread(role.minor, bases, unit=step(currency))


def _products(story: Story, commission: Sequence[int], *, is_credited: bool) -> dict[str, Figures]:
    order = story.now.order
    paid: dict[str, Exact] = defaultdict(int)
    kept: dict[str, Exact] = defaultdict(int)
    quantity: dict[str, int] = defaultdict(int)
    earned: dict[str, int] = defaultdict(int)
    remains = after_refunds(order, order.refunds).lines
    for line, left, minor in zip(order.lines, remains, commission, strict=True):
        product = product_of(line)
        paid[product] += line.amount
        kept[product] += left.amount
        quantity[product] += left.quantity
        earned[product] += minor
    found: dict[str, Figures] = {}
    for product, gross in paid.items():
        sales = _cut(round_to_minor(kept[product], order.currency))
        refunded = _cut(round_to_minor(gross, order.currency)) - sales
        sold = (1, quantity[product], sales)
        credited = sold if is_credited else (0, 0, 0)
        found[product] = (*sold, refunded, *credited, _cut(earned[product]))
    return found


def _cut(minor: int) -> int:
    """Return an amount of one order as it is counted: at most so much that nine thousand still fit the database."""
    return min(minor, FIGURE_MAX)
