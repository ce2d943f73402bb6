"""Reconciling: orders that no webhook told, webhooks that the shop switched off, and shops that answer badly."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from plugin.models import task
from plugin.services import reconcile_shop
from plugin.services.reconcile_shop import KIND
from plugin.shops import shopify, woocommerce
from tests.shops import fake_shopify, fake_woocommerce
from tests.shops.fake_shop import SILENCE, Skewed
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fake_woocommerce import FakeWooCommerce
from tests.world import Clock, Shop, World

LONG_AGO = "2020-01-01T00:00:00Z"
DAY = 86_400


@dataclass
class Pair:
    """A fake shop and what we know of it; what is sold is in whole dollars, of which ten percent are earned."""

    fake: FakeShopify | FakeWooCommerce
    shop: Shop
    clock: Clock
    alice: str
    link: Any

    def sell(self, dollars: int, **changes: Any) -> int:
        """Sell something by the sharer's link; return the order's number."""
        token = self.shop.click(self.link)
        if isinstance(self.fake, FakeShopify):
            return self.fake.place(f"{dollars}.00", token=token, **changes)
        return self.fake.place((f"{dollars}.00", "0.00", 1), token=token, **changes)

    def tell(self, number: int, topic: str | None = None) -> None:
        """Deliver an order as it is now."""
        usual = "orders/updated" if isinstance(self.fake, FakeShopify) else "order.updated"
        assert self.fake.send(self.shop, topic or usual, number) == 200

    def refund(self, number: int, dollars: int) -> int:
        """Give an order back whole; return the refund's number."""
        if isinstance(self.fake, FakeShopify):
            return int(self.fake.refund(number, 0)["id"])
        return self.fake.refund(number, f"{dollars}.00", (0, 1, f"{dollars}.00", "0.00"))

    def reconcile(self, *more: str, expect: int = 0) -> Any:
        """Run ``passalong reconcile``."""
        return self.shop.world.command("reconcile", "--shop", self.shop.key, *more, expect=expect)

    @property
    def pending(self) -> Decimal:
        """Return what the sharer has pending."""
        return Decimal(self.shop.balance(self.alice)["pending"])


PAGE = 20  # orders, in these tests


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the one clock of shop and installation; a page of a list is small, so that a few orders fill several."""
    monkeypatch.setattr(woocommerce, "_PER_PAGE", PAGE)
    monkeypatch.setattr(woocommerce, "_STEP_BACK", PAGE // 2)
    monkeypatch.setattr(shopify, "_PER_PAGE", str(PAGE))
    monkeypatch.setattr(reconcile_shop, "CHUNK", PAGE)
    return world.stop_clock("2026-11-22T10:00:00Z")


@pytest.fixture(params=["shopify", "woocommerce"])
def pair(request: pytest.FixtureRequest, world: World, clock: Clock) -> Iterator[Pair]:
    """Connect a fake shop of each platform."""
    fake: FakeShopify | FakeWooCommerce
    if request.param == "shopify":
        fake, secret = FakeShopify(clock), fake_shopify.SECRET
        given = {"access_token": fake_shopify.TOKEN}
    else:
        fake, secret = FakeWooCommerce(clock), "woo-secret-woo-secret"
        given = {"consumer_key": fake_woocommerce.KEY, "consumer_secret": fake_woocommerce.SECRET}
    words = [part for name, value in given.items() for part in ("--credential", f"{name}={value}")]
    made = world.command("shop", "connect", request.param, fake.url, "--starts", LONG_AGO, "--secret", secret, *words)
    shop = Shop(world, made | {"webhook_secret": secret})
    shop.plan()
    world.work()
    alice = shop.sharer("alice")
    yield Pair(fake, shop, clock, alice, shop.link(alice))
    fake.close()


only_woocommerce = pytest.mark.parametrize("pair", ["woocommerce"], indirect=True)


# -- what no webhook told ----------------------------------------------------------------------------------------------


def test_with_a_tenth_of_the_deliveries_lost_two_rounds_bring_every_order(pair: Pair) -> None:
    chance, wanted, lost = random.Random(20261122), 0, 0
    for _ in range(150):
        pair.clock.add(chance.randrange(30))
        dollars = chance.randrange(1, 50) * 10
        number, is_refunded = pair.sell(dollars), chance.random() < 0.2
        for happens in ("sold", "refunded")[: 1 + is_refunded]:
            if happens == "refunded":
                pair.clock.add(5)
                pair.refund(number, dollars)
            if chance.random() < 0.1:
                lost += 1
            else:
                for _ in range(1 + (chance.random() < 0.2)):
                    pair.tell(number)
        wanted += 0 if is_refunded else dollars
    pair.shop.world.work()
    assert pair.pending != Decimal(wanted) / 10 and lost > 5
    first = pair.reconcile()
    assert first["found"] > 0 and first["missing"] == 0
    pair.clock.add(60)
    assert pair.reconcile()["found"] == 0
    assert pair.pending == Decimal(wanted) / 10
    events = pair.shop.world.call("GET", "/events?after=0&limit=500", expect=200)["items"]
    (gap,) = [one["data"] for one in events if one["type"] == "shop.gap_closed"]
    assert gap["found"] == first["found"]
    pair.shop.world.books()


def test_after_three_days_of_outage_the_next_hourly_rounds_bring_every_order(pair: Pair) -> None:
    """For three days nothing is delivered and the shop's API fails too; workers try all the time."""
    pair.tell(pair.sell(100))
    pair.shop.world.work()
    wanted = 100
    for hour in range(72):
        pair.clock.add(3_600)
        wanted += 10
        pair.sell(10)
        pair.fake.faults.extend([500 if hour % 2 else SILENCE] * 3)
        pair.shop.world.work()
        pair.fake.faults.clear()
    assert pair.pending < Decimal(wanted) / 10
    for _ in range(2):
        pair.clock.add(3_600)
        pair.shop.world.work()
    assert pair.pending == Decimal(wanted) / 10
    pair.shop.world.books()


def test_orders_from_before_the_connection_are_fetched_and_earn_by_their_time(world: World, clock: Clock) -> None:
    fake = FakeShopify(clock)
    try:
        shop = world.shop("shopify", url=fake.url, secret=fake_shopify.SECRET)
        shop.plan()
        alice = shop.sharer("alice")
        link = shop.link(alice)
        for number in range(3 * PAGE):
            fake.place("10.00", token=None if number % PAGE else shop.click(link))
        world.command("shop", "connect", "shopify", fake.url, "--credential", f"access_token={fake_shopify.TOKEN}")
        world.work()
        assert shop.balance(alice)["pending"] == "3.00"
        (listed,) = world.command("shop", "list")["shops"]
        assert (listed["reconciled"]["asked"], listed["reconciled"]["found"]) == (3 * PAGE, 3 * PAGE)
        world.books()
    finally:
        fake.close()


def test_pages_that_change_while_they_are_read_hide_no_order(pair: Pair) -> None:
    """More orders than two pages hold; while these are read, old orders change and new ones come."""
    numbers = [pair.sell(10) for _ in range(3 * PAGE)]
    chance, meanwhile = random.Random(7), list[int]()

    def change(path: str) -> None:
        if path.endswith(("orders", "orders.json")) and len(meanwhile) < 5:
            pair.clock.add(1)
            for number in chance.sample(numbers, PAGE // 4):
                if isinstance(pair.fake, FakeShopify):
                    pair.fake.orders[number]["updated_at"] = pair.fake._now()
                else:
                    pair.fake._touch(number)
            for _ in range(2):  # what is deleted moves the others forward
                pair.fake.delete(numbers.pop(0))
            meanwhile.append(pair.sell(10))

    pair.fake.before = change
    pair.clock.add(60)
    pair.reconcile()
    pair.fake.before = lambda path: None
    assert {pair.shop.see(str(number))["id"] for number in numbers} == set(map(str, numbers))
    pair.clock.add(60)
    pair.reconcile()
    pair.clock.add(DAY)
    pair.shop.world.work()
    assert pair.pending == len(numbers) + len(meanwhile) and len(meanwhile) >= 2
    pair.shop.world.books()


@pytest.mark.parametrize("seconds", [-7_200, 7_200])
def test_a_shop_whose_clock_is_set_wrong_loses_nothing(pair: Pair, seconds: int) -> None:
    pair.fake.clock = Skewed(pair.clock, seconds)
    for _ in range(6):
        pair.clock.add(1_800)
        pair.sell(10)
        pair.shop.world.work()
    pair.clock.add(3_600)
    pair.shop.world.work()
    assert pair.shop.world.command("shop", "list")["shops"][0]["reconciled"]["trouble"] is None
    for one in pair.fake.orders:
        assert pair.shop.see(str(one))["payment"] == "paid"
    pair.shop.world.books()


@pytest.mark.parametrize("fault", [429, 500, 503, SILENCE])
def test_a_pass_goes_on_where_a_fault_broke_it_off(pair: Pair, fault: int) -> None:
    for _ in range(3 * PAGE):
        pair.sell(10)
    pages = 0

    def fail(path: str) -> None:
        nonlocal pages
        pages += path.endswith(("orders", "orders.json"))
        if pages == 2:
            pages += 1
            pair.fake.faults.append(fault)

    pair.fake.before = fail
    pair.clock.add(60)
    said = pair.reconcile(expect=1)
    assert "goes on by itself" in said
    pair.fake.before = lambda path: None
    for _ in range(3):
        pair.clock.add(600)
        pair.shop.world.work()
    assert pair.pending == 3 * PAGE
    pair.shop.world.books()


def test_a_cursor_that_ended_begins_the_list_again(world: World, clock: Clock) -> None:
    fake = FakeShopify(clock)
    try:
        shop = world.shop("shopify", url=fake.url, credentials={"access_token": fake_shopify.TOKEN})
        shop.plan()
        alice = shop.sharer("alice")
        link = shop.link(alice)
        for _ in range(2 * PAGE):
            fake.place("10.00", token=shop.click(link))
        original = fake._list
        refused: list[str] = []

        def once(query: dict[str, str]) -> Any:
            if "page_info" in query and not refused:
                refused.append(query["page_info"])
                return 400, {"errors": {"page_info": "Invalid value."}}
            return original(query)

        fake._list = once  # type: ignore[method-assign]
        world.work()
        assert refused and shop.balance(alice)["pending"] == f"{2 * PAGE}.00"
        world.books()
    finally:
        fake.close()


# -- what moves no date ------------------------------------------------------------------------------------------------


@only_woocommerce
def test_a_refund_that_was_deleted_is_seen_within_a_day(pair: Pair) -> None:
    number = pair.sell(100)
    refund = pair.refund(number, 100)
    pair.tell(number)
    pair.shop.world.work()
    assert pair.pending == 0
    pair.clock.add(3_700)
    pair.fake.delete_refund(number, refund)  # type: ignore[union-attr]
    pair.shop.world.work()
    assert pair.pending == 0
    pair.clock.add(DAY)
    pair.shop.world.work()
    assert pair.pending == 10
    pair.shop.world.books()


def test_an_order_that_was_deleted_for_good_is_seen_within_a_day(pair: Pair) -> None:
    number, other = pair.sell(100), pair.sell(50)
    pair.tell(number)
    pair.tell(other)
    pair.shop.world.work()
    assert pair.pending == 15
    pair.fake.delete(number)
    pair.clock.add(DAY + 60)
    pair.shop.world.work()
    assert pair.pending == 5 and pair.shop.see(str(number))["flags"] == ["deleted_in_shop"]
    pair.shop.world.books()


# -- webhooks that the shop switched off -------------------------------------------------------------------------------


def test_a_webhook_that_the_shop_switched_off_is_on_again_within_an_hour(pair: Pair) -> None:
    hooks = pair.fake.webhooks
    one = next(iter(hooks))
    if isinstance(pair.fake, FakeShopify):
        topic = hooks.pop(one)["topic"]
    else:
        topic, hooks[one]["status"] = hooks[one]["topic"], "disabled"
    pair.clock.add(3_700)
    pair.shop.world.work()
    assert topic in {hook["topic"] for hook in hooks.values() if hook.get("status", "active") == "active"}
    events = pair.shop.world.call("GET", "/events?after=0&limit=500", expect=200)["items"]
    assert [one["data"]["topics"] for one in events if one["type"] == "shop.webhooks_mended"] == [[topic]]


def test_a_shop_that_was_only_added_keeps_its_webhooks_as_they_are(world: World, clock: Clock) -> None:
    fake = FakeWooCommerce(clock)
    try:
        keys = {"consumer_key": fake_woocommerce.KEY, "consumer_secret": fake_woocommerce.SECRET}
        world.shop("woocommerce", url=fake.url, credentials=keys)
        world.work()
        assert fake.webhooks == {} and any(path.endswith("/orders") for path in fake.asked)
    finally:
        fake.close()


@only_woocommerce
def test_that_webhooks_cannot_be_mended_keeps_no_order_from_being_found(pair: Pair) -> None:
    assert isinstance(pair.fake, FakeWooCommerce)
    pair.fake.may_only_read = True
    pair.fake.webhooks.clear()
    pair.sell(100)
    pair.clock.add(3_700)
    pair.shop.world.work()
    assert pair.pending == 10
    (listed,) = pair.shop.world.command("shop", "list")["shops"]
    assert "may only read" in listed["reconciled"]["trouble"]


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_counts_what_it_asked_for_found_and_could_not_bring_in(pair: Pair) -> None:
    pair.tell(pair.sell(10))
    pair.sell(20)
    pair.sell(30, currency="XXX")
    pair.clock.add(60)
    assert pair.reconcile() == {"asked": 3, "found": 2, "missing": 1}
    pair.clock.add(60)
    assert pair.reconcile() == {"asked": 3, "found": 0, "missing": 0}
    assert pair.reconcile("--since", "2026-11-23") == {"asked": 0, "found": 0, "missing": 0}
    assert pair.reconcile("--since", "2026-11-01T00:00:00Z")["asked"] == 3
    assert pair.pending == 3


def test_where_nobody_can_be_asked_the_command_says_so(world: World) -> None:
    world.shop("woocommerce")
    assert "shop connect" in world.command("reconcile", expect=1)
    assert "no shop with this key" in world.command("reconcile", "--shop", "nothing", expect=1)


def test_a_pass_that_a_dead_worker_had_begun_is_gone_on_with(pair: Pair) -> None:
    """Whoever dies in the middle leaves a lease; what is read twice comes in once."""
    for _ in range(5):
        pair.sell(10)
    database = pair.shop.world.context.database
    pair.clock.add(3_700)
    with database.writing() as connection:
        lease = {"lease_by": "1.dead", "lease_until": pair.clock() + 60_000_000}
        connection.execute(update(task).where(task.c.kind == KIND).values(lease))
    pair.shop.world.work()
    assert pair.pending == 0
    pair.clock.add(61)
    pair.shop.world.work()
    assert pair.pending == 5
    with database.reading() as connection:
        assert connection.execute(select(task.c.lease_by).where(task.c.kind == KIND)).scalar_one() is None
    pair.shop.world.books()
