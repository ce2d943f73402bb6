"""What an order earns whom: one pure function of the order as it is now, its decision and its plan version.

The numbers of the steps are those of section 6 of the interface page. All reckoning is exact until step 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from plugin.domain.money import Exact, round_to_minor, share, spread, step
from plugin.domain.order import Line, Order, Refund, Story
from plugin.domain.plan import Plan, Rule, When
from plugin.domain.rules import Pay
from plugin.errors import Malformed

DIRECT, UPLINE, BUYER = "direct", "upline", "buyer"
MINOR_MAX = 10**17  # one commission; a sum of ninety of them still fits the database's 64 bits

EXCEEDS, UNKNOWN_LINE, BELOW_PARTS = "refund_exceeds_order", "refund_unknown_line", "refund_amount_below_parts"
DELETED = "deleted_in_shop"


@dataclass(frozen=True, slots=True)
class Frozen:
    """What the decision froze about the winner and the buyer; the rest of the reckoning reads only this."""

    sharer: int | None = None
    group: str | None = None
    uplines: tuple[int, ...] = ()
    buyer: int | None = None
    new_customer: bool = True
    channel: str | None = None
    campaign: str | None = None
    placed_at: int = 0


@dataclass(slots=True)
class _Left:
    """What is left of a line after refunds."""

    amount: Exact
    tax: Exact
    quantity: int


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of the whole order after its refunds, in exact micros, and what was odd about them."""

    lines: tuple[_Left, ...]
    shipping: Exact
    flags: frozenset[str]


def after_refunds(order: Order, refunds: Sequence[Refund]) -> Remains:
    """Apply refunds in the order listed (section 5 of the interface page, "Refunds")."""
    left = {line.id: _Left(line.amount, line.tax, line.quantity) for line in order.lines}
    shipping: Exact = order.shipping_amount + order.shipping_tax
    flags: set[str] = set()
    for refund in refunds:
        for part in refund.lines:
            line = left.get(part.line_id)
            if line is None:
                flags.add(UNKNOWN_LINE)
                continue
            if part.amount > line.amount or part.tax > line.tax or part.quantity > line.quantity:
                flags.add(EXCEEDS)
            line.amount = max(0, line.amount - part.amount)
            line.tax = max(0, line.tax - part.tax)
            line.quantity = max(0, line.quantity - part.quantity)
        if refund.shipping > shipping:
            flags.add(EXCEEDS)
        shipping = max(0, shipping - refund.shipping)
        rest = refund.amount - refund.shipping - sum(part.amount + part.tax for part in refund.lines)
        if rest < 0:
            flags.add(BELOW_PARTS)
        elif rest > 0:
            unplaced = _take_in_proportion(list(left.values()), rest)
            if unplaced > shipping:
                flags.add(EXCEEDS)
            shipping = max(0, shipping - unplaced)
    return Remains(tuple(left.values()), shipping, frozenset(flags))


def _take_in_proportion(lines: Sequence[_Left], rest: int) -> Exact:
    """Take ``rest`` from amounts and taxes alike, in proportion and exactly; return what found no place."""
    pool = sum(line.amount + line.tax for line in lines)
    if not pool:
        return rest
    keep = max(Fraction(0), 1 - Fraction(rest) / pool)
    for line in lines:
        line.amount *= keep
        line.tax *= keep
    return max(0, rest - pool)


@dataclass(frozen=True, slots=True)
class LineFigures:
    """A line as a rule sees it after refunds, and what it earns; money in exact micros."""

    line: Line
    rule: Rule | None
    pay: Pay
    base: Exact
    amount: Exact
    items: Exact
    currency: str

    @property
    def commissioned(self) -> bool:
        """Tell whether the line's pay is anything but ``none``."""
        return self.pay.name != "none"

    @property
    def earns(self) -> Exact:
        """Return what the line earns by itself: nothing where its pay is once per order."""
        return 0 if self.pay.per_order else self.pay.reckon(self, self.currency)

    @property
    def names_currency(self) -> bool:
        """Tell whether the line's pay speaks of the order's currency at all."""
        return self.pay.names(self.currency)


@dataclass(frozen=True, slots=True)
class Earned:
    """What one role earns, in minor units; of the direct one, what each line weighs in it, in exact micros."""

    role: str
    sharer: int
    minor: int
    weights: tuple[Exact, ...] = ()
    unit: int = 1

    @property
    def by_line(self) -> tuple[int, ...]:
        """Return how the direct amount stands on the lines, in minor units that add up to it."""
        if not self.minor:
            return (0,) * len(self.weights)
        return tuple(spread(self.minor, list(self.weights), unit=self.unit))


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The whole way from an order to its amounts. ``net`` and the roles' amounts in minor units."""

    lines: tuple[LineFigures, ...]
    roles: tuple[Earned, ...]
    net: int
    flags: frozenset[str]


def _holds(when: When, line: Line, frozen: Frozen) -> bool:
    """Tell whether every named condition holds (step 3)."""
    return (
        (not when.products or line.product_id in when.products)
        and (not when.collections or not set(when.collections).isdisjoint(line.collections))
        and (not when.skus or line.sku in when.skus)
        and (not when.groups or frozen.group in when.groups)
        and (not when.channels or frozen.channel in when.channels)
        and (not when.campaigns or frozen.campaign in when.campaigns)
        and (when.customer == "any" or (when.customer == "new") == frozen.new_customer)
        and (when.from_ is None or when.from_ <= frozen.placed_at)
        and (when.until is None or frozen.placed_at < when.until)
    )


def _bases(order: Order, remains: Remains, plan: Plan) -> list[Exact]:
    """Return each line's base (step 2)."""
    bases: list[Exact] = [left.amount + left.tax if plan.include_tax else left.amount for left in remains.lines]
    goods = sum(line.amount for line in order.lines)
    charged = order.shipping_amount + order.shipping_tax
    if plan.include_shipping and goods and charged and remains.shipping:
        value = charged if plan.include_tax else order.shipping_amount
        shipping = Fraction(remains.shipping) * value / charged
        bases = [base + shipping * line.amount / goods for base, line in zip(bases, order.lines, strict=True)]
    return bases


def _figures(order: Order, remains: Remains, plan: Plan, frozen: Frozen) -> tuple[LineFigures, ...]:
    """Match each line to its rule and reckon what it earns by itself (step 3)."""
    figures = []
    for line, left, base in zip(order.lines, remains.lines, _bases(order, remains, plan), strict=True):
        rule = next((rule for rule in plan.rules if _holds(rule.when, line, frozen)), None)
        pay = rule.pay if rule else plan.default
        kept = line.quantity if left.amount == line.amount else Fraction(left.amount * line.quantity, line.amount)
        items: Exact = min(left.quantity, kept) if line.amount else 0
        figures.append(LineFigures(line, rule, pay, base, left.amount, items, order.currency))
    return tuple(figures)


def _with_per_order(figures: Sequence[LineFigures], currency: str) -> list[Exact]:
    """Return what each line earns, the once-per-order amounts standing on the first line their rule matched."""
    earns = [figure.earns for figure in figures]
    first: dict[str | None, int] = {}
    alive: set[str | None] = set()
    for index, figure in enumerate(figures):
        if figure.pay.per_order:
            rule = figure.rule.id if figure.rule else None
            first.setdefault(rule, index)
            if figure.amount > 0:
                alive.add(rule)
    for rule, index in first.items():
        if rule in alive:
            earns[index] = figures[index].pay.reckon(figures[index], currency)
    return earns


def _direct(earns: Sequence[Exact], base: Exact, plan: Plan, currency: str) -> int:
    """Round the direct amount once, and cut it to the cap and the bases (step 4)."""
    unit = step(currency)
    amount = min(round_to_minor(sum(earns), currency, unit=unit), round_to_minor(base, currency, unit=unit))
    if currency in plan.order_cap:
        amount = min(amount, round_to_minor(plan.order_cap[currency], currency, unit=unit))
    return amount


def reckon(order: Order, refunds: Sequence[Refund], frozen: Frozen, plan: Plan, *, earning: bool) -> Reckoning:
    """Reckon an order with the given refunds; without ``earning`` or a winner every role is at zero.

    Raises Malformed where an amount is beyond what the books can hold.
    """
    currency, unit = order.currency, step(order.currency)
    remains = after_refunds(order, refunds)
    figures = _figures(order, remains, plan, frozen)
    if frozen.sharer is None:
        return Reckoning(figures, (), 0, remains.flags)
    base: Exact = sum(figure.base for figure in figures if figure.commissioned)
    earns = _with_per_order(figures, currency)
    direct = _direct(earns, base, plan, currency) if earning else 0
    roles = [Earned(DIRECT, frozen.sharer, direct, tuple(earns), unit)]
    rates = [(UPLINE, sharer, plan.upline_rate) for sharer in frozen.uplines]
    rates += [(BUYER, frozen.buyer, plan.cashback_rate)] if frozen.buyer is not None else []
    for role, sharer, rate in rates:
        if rate:
            amount = round_to_minor(share(base, rate), currency, unit=unit) if earning else 0
            roles.append(Earned(role, sharer, amount))
    if any(role.minor > MINOR_MAX for role in roles):
        raise Malformed("An amount of the order is larger than the books can hold.")
    return Reckoning(figures, tuple(roles), round_to_minor(base, currency), remains.flags)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an order earns now, and what it would earn without refunds, cancellation or chargeback (same roles)."""

    now: Reckoning
    earned: Reckoning


def outcome(story: Story, frozen: Frozen, plan: Plan, *, starts_at: int) -> Outcome:
    """Return the amounts of an order as it is now (step 1 decides whether it earns at all)."""
    order = story.order
    counts = not order.test and frozen.placed_at >= starts_at
    paid = order.payment == "paid"
    now = reckon(order, order.refunds, frozen, plan, earning=counts and paid and not story.cancelled)
    plain = counts and order.payment in ("paid", "chargeback")
    if not order.refunds and plain == (counts and paid and not story.cancelled):
        return Outcome(now, now)
    return Outcome(now, reckon(order, (), frozen, plan, earning=plain))
