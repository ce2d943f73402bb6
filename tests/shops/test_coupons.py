"""Coupon codes made in a shop for a sharer: made once, counted from then on, and ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.shops.fake_shop import SILENCE
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fakes import Fake, open_shop
from tests.world import Clock, Shop, World


@dataclass
class Pair:
    """A fake shop and what we know of it."""

    fake: Fake
    shop: Shop
    clock: Clock
    alice: str

    def make(self, expect: int = 201, **said: Any) -> Any:
        """Have a code made for the sharer."""
        return self.shop.world.call("POST", "/coupons", {"sharer": self.alice} | said, expect=expect)

    def seen(self, coupon: Any) -> Any:
        """Return how far a coupon is, once all that is due is done."""
        self.shop.world.work()
        return self.shop.world.call("GET", f"/coupons/{coupon['id']}", expect=200)

    def codes(self) -> list[tuple[str, str, bool]]:
        """Return the codes that buyers can use in the shop: (code, worth, once)."""
        if isinstance(self.fake, FakeShopify):
            rules = self.fake.rules.values()
            return [(code, one["value"], one["usage_limit"] == 1) for one in rules for code in one["codes"]]
        return [(one["code"], one["amount"], one.get("usage_limit") == 1) for one in self.fake.coupons.values()]

    def buy(self, code: str) -> Any:
        """Have somebody buy for 100.00 with a code; return the receipt."""
        if isinstance(self.fake, FakeShopify):
            number = self.fake.place("100.00", discount_codes=[{"code": code, "amount": "10.00"}])
            self.fake.send(self.shop, "orders/create", number)
        else:
            number = self.fake.place(("100.00", "0.00", 1), coupon_lines=[{"code": code.lower(), "discount": "10.00"}])
            self.fake.send(self.shop, "order.created", number)
        self.shop.world.work()
        return self.shop.receipt(str(number))


@pytest.fixture(params=["shopify", "woocommerce"])
def pair(request: pytest.FixtureRequest, world: World) -> Iterator[Pair]:
    """Give a fake shop of each platform that can be asked."""
    clock = world.stop_clock("2026-11-22T10:00:00Z")
    fake, keys = open_shop(request.param, clock)
    shop = world.shop(request.param, url=fake.url, credentials=keys)
    shop.plan()
    world.work()
    yield Pair(fake, shop, clock, shop.sharer("alice"))
    fake.close()


def test_a_code_is_made_in_the_shop_and_credits_its_sharer(pair: Pair) -> None:
    made = pair.make(code="Alice10", percent="10")
    assert (made["state"], made["code"], made["sharer"]) == ("making", "Alice10", pair.alice)
    assert pair.seen(made)["state"] == "made"
    ((code, worth, once),) = pair.codes()
    assert code.upper() == "ALICE10" and worth.removeprefix("-") == "10" and not once
    pair.clock.add(60)
    receipt = pair.buy("ALICE10")
    assert (receipt["winner"], receipt["reason"]) == (pair.alice, "coupon")
    (listed,) = pair.shop.world.call("GET", f"/coupons?sharer={pair.alice}", expect=200)["items"]
    assert listed["id"] == made["id"]
    pair.shop.world.books()


def test_a_code_for_one_order_is_made_up(pair: Pair) -> None:
    first, second = pair.make(amount="5.00", once=True), pair.make(amount="5.00", once=True)
    assert pair.seen(first)["state"] == pair.seen(second)["state"] == "made"
    assert first["code"] != second["code"] and {once for *_, once in pair.codes()} == {True}


def test_an_ended_code_is_gone_in_the_shop_and_nobodys_from_then_on(pair: Pair) -> None:
    made = pair.make(code="ALICE10", percent="10")
    pair.seen(made)
    pair.clock.add(60)
    assert pair.buy("ALICE10")["winner"] == pair.alice
    pair.clock.add(60)
    ended = pair.shop.world.call("POST", f"/coupons/{made['id']}/end", expect=200)
    assert ended["state"] == "ending" and pair.seen(made)["state"] == "ended" and pair.codes() == []
    pair.clock.add(60)
    assert pair.buy("ALICE10")["winner"] is None
    bob = pair.shop.sharer("bob", since="2026-11-22T10:03:00Z")
    other = pair.shop.world.call("POST", "/coupons", {"sharer": bob, "code": "ALICE10", "percent": "5"}, expect=201)
    assert pair.seen(other)["state"] == "made"
    pair.clock.add(60)
    assert pair.buy("alice10")["winner"] == bob
    pair.shop.world.books()


@pytest.mark.parametrize("fault", [500, SILENCE])
def test_a_code_that_was_made_though_the_answer_was_lost_is_made_once(pair: Pair, fault: int) -> None:
    """The shop makes the code, and we never hear of it."""
    answer, lost = pair.fake.answer, []

    def forget(method: str, path: str, *more: Any) -> Any:
        said = answer(method, path, *more)
        if method == "POST" and not lost and ("coupons" in path or "discount_codes" in path):
            lost.append(path)
            return (fault or 504), {}
        return said

    pair.fake.answer = forget  # type: ignore[method-assign]
    made = pair.make(code="ALICE10", percent="10")
    pair.shop.world.work()
    assert lost
    pair.clock.add(60)
    assert pair.seen(made)["state"] == "made" and len(pair.codes()) == 1


def test_a_code_that_the_shop_has_for_something_else_is_left_alone(pair: Pair) -> None:
    if isinstance(pair.fake, FakeShopify):
        pair.fake.rules[1] = {"id": 1, "title": "Summer", "codes": ["SALE"], "value": "-50", "usage_limit": None}
    else:
        pair.fake.coupons[1] = {"id": 1, "description": "Summer", "code": "sale", "amount": "50"}
    made = pair.make(code="SALE", percent="10")
    for _ in range(14):
        assert pair.seen(made)["state"] in ("making", "failed")
        pair.clock.add(60_000)
    assert pair.seen(made)["state"] == "failed" and len(pair.codes()) == 1
    (told,) = [one for one in pair.shop.world.command("doctor", expect=None)["checks"] if one["name"] == "tasks"]
    assert "made for something else" in told["hint"]


@pytest.mark.parametrize(
    "said",
    [
        {}, {"percent": "10", "amount": "5"}, {"percent": "0"}, {"percent": "101"}, {"percent": "-1"},
        {"amount": "1e3"}, {"percent": "10", "code": " "}, {"percent": "10", "once": "yes"}, {"percent": 10},
    ],
)  # fmt: skip
def test_a_discount_that_is_none_is_named(pair: Pair, said: dict[str, Any]) -> None:
    assert pair.make(422, **said)["errors"] and pair.codes() == []


def test_a_code_of_somebody_else_is_refused_and_nothing_is_made(pair: Pair) -> None:
    pair.shop.sharer("bob", codes=["BOB"])
    assert pair.make(409, code="bob", percent="10")["code"] == "code_taken"
    pair.shop.world.work()
    assert pair.codes() == []


def test_where_no_codes_can_be_made_that_is_said(world: World) -> None:
    shop = world.shop()
    told = world.call("POST", "/coupons", {"sharer": shop.sharer("alice"), "percent": "10"}, expect=409)
    assert told["code"] == "no_coupons" and "by hand" in told["detail"]
