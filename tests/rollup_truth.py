"""What the reports must say, worked out apart from the product: from what the API says of each order, from the
transfers and the accounts they moved between, and from the clicks. And a shop in which random things happen.

    ORDERS   GET /orders, the receipts, and what this module itself told the shop
    MONEY    one plain SELECT over pa_transfer and pa_account: the purposes on both sides, not the kinds
    CLICKS   one plain SELECT over pa_click and pa_link
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from plugin.domain.moment import DAY, SECOND, format_moment, parse_moment
from tests.world import Clock, Shop, World

Row = dict[str, Any]
_MONEY = (
    "SELECT t.written_at, t.sharer_id, t.role, t.currency, a.purpose AS source, b.purpose AS target, t.amount"
    " FROM pa_transfer t JOIN pa_account a ON a.id = t.from_account JOIN pa_account b ON b.id = t.to_account"
    " JOIN pa_shop s ON s.id = t.shop_id WHERE s.key = :shop"
)
_CLICKS = (
    "SELECT c.at, l.sharer_id FROM pa_click c JOIN pa_link l ON l.id = c.link_id JOIN pa_shop s ON s.id = l.shop_id"
    " WHERE s.key = :shop"
)
_PLACES = {"JPY": 0, "KWD": 3}


# --- what the product says --------------------------------------------------------------------------------------------


def read_report(shop: Shop, name: str, *, limit: int = 500, **query: str) -> list[Row]:
    """Return every row of a report, page by page."""
    rows: list[Row] = []
    cursor = ""
    seen: set[str] = set()
    while cursor is not None:
        assert cursor not in seen, "a page leads back"
        seen.add(cursor)
        asked = "".join(f"&{key}={value}" for key, value in query.items()) + (f"&cursor={cursor}" if cursor else "")
        page = shop.world.call("GET", f"/reports/{name}?shop={shop.key}&limit={limit}{asked}", expect=200)
        assert len(page["items"]) <= limit
        rows += page["items"]
        cursor = page["next"]
    return rows


# --- what it must say -------------------------------------------------------------------------------------------------


def _every(world: World, path: str) -> list[Row]:
    rows: list[Row] = []
    cursor = ""
    while cursor is not None:
        page = world.call("GET", f"{path}&limit=500" + (f"&cursor={cursor}" if cursor else ""), expect=200)
        rows, cursor = rows + page["items"], page["next"]
    return rows


class Truth:
    """The days, sharers and months of a shop, reckoned from raw rows. Money is decimal."""

    def __init__(self, shop: Shop, zone: str, *, tests: set[str] = frozenset(), old: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.shop, self.zone = shop, ZoneInfo(zone)
        self.days: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.months: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
        self.totals: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._count_orders(tests, old)
        self._count_money()
        self._count_clicks()

    def _day(self, moment: int) -> str:
        return datetime.fromtimestamp(moment // SECOND, UTC).astimezone(self.zone).strftime("%Y-%m-%d")

    def _count_orders(self, tests: set[str], old: set[str]) -> None:
        for order in _every(self.shop.world, f"/orders?shop={self.shop.key}"):
            if order["payment"] != "paid" or order["status"] != "open" or order["id"] in tests:
                continue
            day, currency = self._day(parse_moment(order["placed_at"])), order["currency"]
            winner = self.shop.receipt(order["id"])["winner"]
            said = Counter(orders=1, net=Decimal(order["net"]))  # type: ignore[arg-type]
            more = Counter(new_buyers=int(order["id"] not in old), refunded=Decimal(order["refunded"]))  # type: ignore[arg-type]
            of_day = self.days[day, currency]
            for one in (said, more, Counter(credited=int(winner is not None))):
                for name, value in one.items():
                    of_day[name] += value
            if winner is not None:
                for sums in (self.months[day[:7], winner, currency], self.totals[winner, currency]):
                    for name, value in said.items():
                        sums[name] += value

    def _rows(self, query: str) -> list[Any]:
        with self.shop.world.context.database.reading() as connection:
            return list(connection.execute(text(query), {"shop": self.shop.key}).all())

    def _count_money(self) -> None:
        for row in self._rows(_MONEY):
            day, sharer = self._day(row.written_at), f"shr_{row.sharer_id}"
            amount = Decimal(row.amount).scaleb(-_PLACES.get(row.currency, 2))
            of_day = self.days[day, row.currency]
            of_month = self.months[day[:7], sharer, row.currency]
            if row.source == "commission":
                of_day[row.role] += amount  # type: ignore[assignment]
                of_month["earned"] += amount  # type: ignore[assignment]
            if row.target == "commission":
                of_day[row.role] -= amount  # type: ignore[assignment]
                of_month["clawed_back"] += amount  # type: ignore[assignment]
            for purpose, sign in ((row.target, 1), (row.source, -1)):
                if purpose == "paid":
                    of_day["paid_out"] += sign * amount  # type: ignore[assignment]
                    of_month["paid_out"] += sign * amount  # type: ignore[assignment]

    def _count_clicks(self) -> None:
        for row in self._rows(_CLICKS):
            day, sharer = self._day(row.at), f"shr_{row.sharer_id}"
            self.days[day, "USD"]["clicks"] += 1
            self.months[day[:7], sharer, "USD"]["clicks"] += 1
            self.totals[sharer, "USD"]["clicks"] += 1

    def compare(self, *, limit: int = 500) -> None:
        """Assert that the three reports say just this."""
        shop, days, months, totals = self.shop, self.days, self.months, self.totals
        _same(read_report(shop, "shop-days", limit=limit), ("day", "currency"), days)
        _same(read_report(shop, "sharer-months", limit=limit), ("month", "sharer", "currency"), months)
        rows = read_report(shop, "sharers", limit=limit)
        for row in rows:
            balance = shop.balance(row["sharer"], row["currency"])
            assert {name: row.pop(name) for name in balance if name != "currency"} == {
                name: value for name, value in balance.items() if name != "currency"
            }
            sold = [key[0] for key, sums in months.items() if key[1:] == (row["sharer"], row["currency"])
                    and sums["orders"]]  # fmt: skip
            assert row.pop("last_month") == max(sold, default=None)
            row.pop("name")
        _same(rows, ("sharer", "currency"), totals)


def _same(rows: list[Row], key: tuple[str, ...], must: dict[Any, Counter[str]]) -> None:
    said = {}
    for row in rows:
        places = _PLACES.get(row["currency"], 2)
        where = tuple(row.pop(name) for name in key)
        assert where not in said, f"{where} twice"
        for value in row.values():
            assert isinstance(value, int) or len(value.partition(".")[2]) == places, (where, row)
        said[where] = {name: Decimal(value) for name, value in row.items() if Decimal(value)}
    expected = {where: {name: Decimal(value) for name, value in sums.items() if value} for where, sums in must.items()}
    assert {where: sums for where, sums in said.items() if sums} == {
        where: sums for where, sums in expected.items() if sums
    }


# --- a shop in which things happen ------------------------------------------------------------------------------------

CURRENCIES = ("USD", "USD", "TWD", "JPY", "KWD")
PLAN = {
    "commission": {"default": {"percent": "12.5"}},
    "upline": {"percents": ["2"]},
    "buyer": {"cashback_percent": "1.5"},
    "hold_days": 1,
}


class Story:
    """Random things, one after the other, through the doors of a shop."""

    def __init__(self, world: World, luck: Random, zone: str) -> None:
        self.world, self.luck, self.zone = world, luck, zone
        self.clock: Clock = world.stop_clock("2026-10-28T12:00:00Z")
        self.shop = world.shop(timezone=zone)
        self.shop.plan(PLAN)
        self.uma = self.shop.sharer("uma", codes=["UMA"])
        self.sam = self.shop.sharer("sam", codes=["SAM"], referred_by=self.uma)
        self.bea = self.shop.sharer("bea", codes=["BEA"], customer_id="c-bea")
        places: tuple[dict[str, str], ...] = ({"channel": "line"}, {"channel": "line", "campaign": "春"}, {})
        sharers = (self.uma, self.sam, self.sam)
        self.links = [self.shop.link(one, **place) for one, place in zip(sharers, places, strict=True)]
        self.orders: dict[str, Row] = {}
        self.tests: set[str] = set()
        self.old: set[str] = set()
        self.batches: list[Any] = []

    def run(self, steps: int) -> None:
        """Let as many things happen, and do the work now and then."""
        verbs = (
            *(self.place,) * 5, *(self.edit,) * 6, *(self.click,) * 2, self.again, self.by_hand, self.hold, self.wait,
            *(self.release,) * 2, *(self.draft,) * 2, *(self.go_on,) * 6,
        )  # fmt: skip
        for _ in range(steps):
            self.luck.choice(verbs)()
            if self.luck.random() < 0.4:
                self.world.work()
        self.settle()

    def settle(self) -> None:
        """Do all that is left to do."""
        self.world.work()
        self.world.app.extensions["passalong"].clicks.stop()

    def truth(self) -> Truth:
        """Reckon what the reports must say."""
        return Truth(self.shop, self.zone, tests=self.tests, old=self.old)

    def _now(self) -> str:
        return format_moment(self.clock.at - self.clock.at % SECOND)

    def wait(self) -> None:
        self.clock.at += self.luck.randint(1, 3 * DAY)

    def place(self) -> None:
        ref = f"o{len(self.orders)}"
        at = self._now()
        code = self.luck.choice(["UMA", "SAM", "sam ", "nobody", ""])
        before = self.luck.randint(0, 1)
        customer = "c-bea" if self.luck.random() < 0.3 else f"c-{ref}"
        order = self.shop.order(
            ref,
            placed_at=at,
            updated_at=at,
            paid_at=at,
            currency=self.luck.choice(CURRENCIES),
            payment=self.luck.choice(["paid", "paid", "unpaid"]),
            test=self.luck.random() < 0.1,
            customer={"id": customer, "email": f"{customer}@buyers.example", "orders_before": before},
            codes=[code],
            attributes={"_pa": self.shop.click(self.luck.choice(self.links))} if self.luck.random() < 0.3 else {},
            lines=self._lines(),
        )
        if before:
            self.old.add(ref)
        if order["test"]:
            self.tests.add(ref)
        self.orders[ref] = order
        self.shop.deliver(order)

    def _lines(self) -> list[Row]:
        return [
            {
                "id": f"l{number}",
                "product_id": self.luck.choice(["p1", "p2", "茶", None]),
                "title": self.luck.choice(["Tea", "Teapot", None]),
                "quantity": self.luck.randint(0, 3),
                "amount": f"{self.luck.randint(1, 90_000)}.{self.luck.randint(0, 999):03}",
                "tax": "0.07",
            }
            for number in range(1, self.luck.randint(2, 4))
        ]

    def _some(self) -> Row | None:
        return self.luck.choice(list(self.orders.values())) if self.orders else None

    def edit(self) -> None:
        order = self._some()
        if order is None:
            return
        self.clock.add(1)
        change = self.luck.choice(
            [
                {"payment": "paid"}, {"payment": "paid", "status": "open"}, {"payment": "chargeback"},
                {"payment": "voided"}, {"status": "cancelled"}, {"refunds": []}, {"currency": "TWD"},
                {"refunds": [{"id": "r1", "amount": f"{self.luck.randint(1, 50)}.05", "lines": []}]},
                {"refunds": [{"id": "r2", "amount": "90001.00", "lines": []}]}, {"lines": self._lines()},
                {"refunds": [{"id": "r3", "amount": "7.50", "lines": [{"line_id": "l1", "quantity": 1,
                                                                       "amount": "5.005", "tax": "0"}]}]},
            ]
        )  # fmt: skip
        order |= change | {"updated_at": self._now()}
        self.shop.deliver(order)

    def again(self) -> None:
        """Bring a state that is known already."""
        order = self._some()
        if order is not None:
            self.shop.deliver(order)

    def click(self) -> None:
        self.shop.click(self.luck.choice(self.links))

    def by_hand(self) -> None:
        self.world.work()
        order = self._some()
        if order is not None:
            whose = self.luck.choice([self.uma, self.sam, None])
            body = {"shop": self.shop.key, "sharer": whose, "reason": "asked for it"}
            self.world.call("POST", f"/orders/{order['id']}/attribution", body, expect=200)

    def hold(self) -> None:
        """Keep an order's money back; one that is released already is refused."""
        self.world.work()
        order = self._some()
        if order is not None:
            self.world.call("POST", f"/orders/{order['id']}/hold", {"shop": self.shop.key, "reason": "to be looked at"})

    def release(self) -> None:
        self.world.work()
        self.clock.at += DAY
        self.world.release(self._now())

    def draft(self) -> None:
        self.release()
        self.batches.append(self.shop.draft(self.luck.choice(("USD", "USD", "TWD"))))

    def go_on(self) -> None:
        """Take a payout a step further."""
        if not self.batches:
            return
        batch = self.luck.choice(self.batches[-2:])
        batch = self.world.call("GET", f"/payouts/{batch['id']}", expect=200)
        if batch["state"] in ("draft", "approved"):
            steps = {"draft": ("approve", "approve", "cancel"), "approved": ("submit", "submit", "cancel")}
            self.shop.step(batch, self.luck.choice(steps[batch["state"]]))
        for item in batch["items"]:
            if batch["state"] in ("submitted", "settled"):
                self._mark(batch, item)

    def _mark(self, batch: Any, item: Any) -> None:
        moves = {"in_flight": ("paid", "paid", "failed"), "paid": ("returned",)}
        if item["state"] in moves and self.luck.random() < 0.7:
            self.shop.mark(batch, item, self.luck.choice(moves[item["state"]]))
