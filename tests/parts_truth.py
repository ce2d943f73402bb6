"""What the reports by product and by channel, and the clicks of each link, must say, worked out apart from the product.

    LINES      what this module's caller told the shop, its refunds applied by the second reading of the contract
    EARNED     GET /orders: what each person earns, and what stands on which line
    WHOSE      the receipts: the winner, and the channel of the link that brought the order
    CLICKS     one plain SELECT over pa_click and pa_link
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from plugin.domain.moment import SECOND, parse_moment
from tests import second_reading
from tests.rollup_truth import read_report
from tests.world import Shop

Row = dict[str, Any]
_CLICKS = (
    "SELECT c.at, l.id, l.channel, l.campaign FROM pa_click c JOIN pa_link l ON l.id = c.link_id"
    " JOIN pa_shop s ON s.id = l.shop_id WHERE s.key = :shop"
)
_PLACES = {"JPY": 0, "KWD": 3}
_PRODUCT = ("orders", "quantity", "sales", "refunded", "credited", "credited_quantity", "credited_sales", "commission")
_CHANNEL = ("clicks", "credited", "net", "refunded", "commission")


class PartsTruth:
    """What a shop's orders come to by product and channel; ``orders`` are those told, as they were told last."""

    def __init__(self, shop: Shop, zone: str, orders: Mapping[str, Row]) -> None:
        self.shop, self.zone = shop, ZoneInfo(zone)
        self.products: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
        self.channels: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
        self.links: Counter[int] = Counter()
        for order in orders.values():
            self._count(order)
        self._count_clicks()

    def _month(self, moment: int) -> str:
        return datetime.fromtimestamp(moment // SECOND, UTC).astimezone(self.zone).strftime("%Y-%m")

    def _count(self, order: Row) -> None:
        seen = self.shop.see(order["id"])
        if seen["payment"] != "paid" or seen["status"] != "open" or order.get("test"):
            return
        month, currency = self._month(parse_moment(seen["placed_at"])), seen["currency"]
        receipt = self.shop.receipt(order["id"])
        left, _, _ = second_reading.after_refunds(order, order["refunds"])
        commission = _on_lines(order, seen, left)
        products: dict[str | None, list[Row]] = defaultdict(list)
        for line in order["lines"]:
            products[line.get("product_id")].append(line)
        for product, lines in products.items():
            sums = self.products[month, product, currency]
            paid = _rounded(sum(Fraction(line["amount"]) for line in lines), currency)
            kept = _rounded(sum(left[line["id"]]["amount"] for line in lines), currency)
            quantity = int(sum(left[line["id"]]["quantity"] for line in lines))
            sold = {"orders": 1, "quantity": quantity, "sales": kept}
            _add(sums, sold | {"refunded": paid - kept})
            _add(sums, {"commission": sum((commission[line["id"]] for line in lines), Decimal())})
            if receipt["winner"] is not None:
                _add(sums, {"credited": 1, "credited_quantity": quantity, "credited_sales": kept})
        if receipt["winner"] is not None:
            frozen = receipt["frozen"]
            earned = sum((Decimal(one["amount"]) for one in seen["commissions"]), Decimal())
            sums = self.channels[month, frozen["channel"], frozen["campaign"], currency]
            _add(sums, {"credited": 1, "net": Decimal(seen["net"]), "refunded": Decimal(seen["refunded"])})
            _add(sums, {"commission": earned})

    def _count_clicks(self) -> None:
        with self.shop.world.context.database.reading() as connection:
            for row in connection.execute(text(_CLICKS), {"shop": self.shop.key}):
                self.links[row.id] += 1
                self.channels[self._month(row.at), row.channel, row.campaign, "USD"]["clicks"] += 1

    def compare(self, *, limit: int = 500) -> None:
        """Assert that the reports say just this."""
        rows = read_report(self.shop, "products", limit=limit)
        _same(rows, ("month", "product", "currency"), _PRODUCT, self.products)
        for row in rows:
            gross = Decimal(row["sales"]) + Decimal(row["refunded"])
            rate = None if not gross else round(Fraction(row["refunded"]) * 10_000 / Fraction(gross))
            assert row["refund_rate"] == (None if rate is None else f"{rate // 100}.{rate % 100:02}")
        rows = read_report(self.shop, "channels", limit=limit)
        _same(rows, ("month", "channel", "campaign", "currency"), _CHANNEL, self.channels)
        with self.shop.world.context.database.reading() as connection:
            stored = connection.execute(text("SELECT link_id, clicks FROM pa_click_link")).all()
        assert {row.link_id: row.clicks for row in stored if row.clicks} == dict(self.links)


def _on_lines(order: Row, seen: Row, left: Mapping[str, Mapping[str, Fraction]]) -> dict[str, Decimal]:
    """Return what stands on each line: the direct amount as the API says, the others in proportion to what is left."""
    unit = Fraction(1) if seen["currency"] == "TWD" else Fraction(1, 10 ** _PLACES.get(seen["currency"], 2))
    found = {line["id"]: Decimal(line["commission"]) for line in seen["lines"]}
    bases = [left[line["id"]]["amount"] for line in order["lines"]]
    for one in seen["commissions"]:
        if one["role"] != "direct":
            shares = second_reading.largest_remainder(bases, Fraction(one["amount"]), unit)
            for line, share in zip(order["lines"], shares, strict=True):
                found[line["id"]] += Decimal(share.numerator) / share.denominator
    return found


def _rounded(exact: Fraction | int, currency: str) -> Decimal:
    """Round half to even to the currency's minor unit."""
    places = _PLACES.get(currency, 2)
    return Decimal(round(Fraction(exact) * 10**places)).scaleb(-places)


def _add(sums: Counter[str], figures: Mapping[str, Any]) -> None:
    for name, value in figures.items():
        sums[name] += value


def _same(rows: list[Row], key: tuple[str, ...], names: tuple[str, ...], must: Mapping[Any, Counter[str]]) -> None:
    said = {}
    for row in rows:
        where = tuple(row[name] for name in key)
        assert where not in said, f"{where} twice"
        said[where] = {name: Decimal(row[name]) for name in names if Decimal(row[name])}
    expected = {where: {name: Decimal(value) for name, value in sums.items() if value} for where, sums in must.items()}
    assert {where: sums for where, sums in said.items() if sums} == {
        where: sums for where, sums in expected.items() if sums
    }
