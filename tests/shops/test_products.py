"""Looking products up: rules go by collections that an order does not state, as they were when it was placed."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.shops.fake_shopify import FakeShopify
from tests.shops.fakes import Fake, open_shop
from tests.world import Clock, Shop, World, guards_off

PLAN = {
    "commission": {
        "rules": [
            {"id": "shoes", "when": {"collections": ["shoes"]}, "pay": {"percent": "20"}},
            {"id": "gifts", "when": {"collections": ["gifts"]}, "pay": {"none": True}},
        ],
        "default": {"percent": "10"},
    }
}


@dataclass
class Pair:
    """A fake shop, which sells products of 100.00, and what we know of it."""

    fake: Fake
    shop: Shop
    clock: Clock
    alice: str

    def sell(self, *products: str) -> int:
        """Sell a piece of each product by the sharer's link."""
        token = self.shop.click(self.shop.link(self.alice))
        if isinstance(self.fake, FakeShopify):
            number = self.fake.place(*["100.00"] * len(products), token=token)
        else:
            number = self.fake.place(*[("100.00", "0.00", 1)] * len(products), token=token)
        for line, ref in zip(self.fake.orders[number]["line_items"], products, strict=True):
            line["product_id"] = int(ref)
        return number

    def tell(self, number: int) -> None:
        """Deliver an order as it is now."""
        assert (
            self.fake.send(self.shop, f"order{'s/' if isinstance(self.fake, FakeShopify) else '.'}updated", number)
            == 200
        )

    @property
    def looked_up(self) -> int:
        """Return how often the shop was asked about products."""
        return sum(path.endswith(("/products", "/graphql.json")) for path in self.fake.asked)

    def pending(self) -> str:
        """Return what the sharer has pending."""
        self.shop.world.work()
        return str(self.shop.balance(self.alice)["pending"])


@pytest.fixture(params=["shopify", "woocommerce"])
def pair(request: pytest.FixtureRequest, world: World, clock: Clock) -> Iterator[Pair]:
    """Give a fake shop of each platform that can be asked."""
    fake, keys = open_shop(request.param, clock)
    shop = world.shop(request.param, url=fake.url, credentials=keys)
    shop.plan(PLAN)
    fake.products |= {"1": ["shoes", "sale"], "2": ["gifts"], "3": []}
    yield Pair(fake, shop, clock, shop.sharer("alice"))
    fake.close()


def test_a_rule_goes_by_the_collections_that_the_shop_tells(pair: Pair) -> None:
    number = pair.sell("1", "2", "3")
    pair.tell(number)
    assert pair.pending() == "30.00" and pair.looked_up == 1
    lines = pair.shop.see(str(number))["lines"]
    assert [(line["collections"], line["commission"]) for line in lines] == [
        (["shoes", "sale"], "20.00"), (["gifts"], "0.00"), ([], "10.00"),
    ]  # fmt: skip
    pair.shop.world.books()


def test_what_was_sold_stays_in_the_collections_it_was_sold_in(pair: Pair) -> None:
    first = pair.sell("1")
    pair.tell(first)
    assert pair.pending() == "20.00"
    pair.fake.products["1"] = ["gifts"]
    pair.clock.add(3_600)
    pair.tell(first)
    pair.tell(pair.sell("1"))  # an answer is good for a day
    assert pair.pending() == "40.00" and pair.looked_up == 1
    pair.clock.add(86_400)
    pair.tell(first)
    pair.tell(pair.sell("1"))
    assert pair.pending() == "40.00" and pair.looked_up == 2
    pair.shop.world.books()


def test_a_replay_asks_about_no_product_again(pair: Pair) -> None:
    pair.tell(pair.sell("1", "2"))
    assert pair.pending() == "20.00"
    pair.fake.products.clear()
    pair.clock.add(2 * 86_400)
    asked = pair.looked_up
    assert pair.shop.world.command("replay", "--all")["changed"] == 0
    assert pair.pending() == "20.00" and pair.looked_up == asked
    pair.shop.world.books()


def test_a_product_that_is_gone_is_in_no_collection(pair: Pair) -> None:
    pair.tell(pair.sell("1", "999"))
    assert pair.pending() == "30.00"
    pair.shop.world.books()


def test_a_product_that_an_edit_adds_is_looked_up_too(pair: Pair) -> None:
    number = pair.sell("3", "3")
    pair.tell(number)
    assert pair.pending() == "20.00"
    pair.clock.add(60)
    order = pair.fake.orders[number]
    order["line_items"][1]["product_id"] = 1
    order["updated_at"] = order["date_modified_gmt"] = pair.fake._now()
    pair.tell(number)
    assert pair.pending() == "30.00" and pair.looked_up == 2
    pair.shop.world.books()


def test_until_the_shop_answers_the_default_counts(pair: Pair) -> None:
    pair.shop.world.work()
    pair.tell(pair.sell("1"))
    pair.fake.faults.extend([500, 500])
    assert pair.pending() == "10.00"
    for _ in range(3):
        pair.clock.add(60)
        pair.shop.world.work()
    assert pair.pending() == "20.00"
    pair.shop.world.books()


def test_a_changed_look_up_is_found_in_the_books(pair: Pair) -> None:
    """What was looked up decides money, so it is a fact like others: nobody changes it unseen."""
    pair.tell(pair.sell("1"))
    assert pair.pending() == "20.00"
    behind = "UPDATE pa_fact SET body = REPLACE(body, 'shoes', 'gifts') WHERE kind = 'products'"
    with guards_off(pair.shop.world) as connection:
        connection.exec_driver_sql(behind)
    report = pair.shop.world.command("check-books", expect=1)
    assert not report["ok"] and any("fact" in problem for problem in report["problems"])
