"""Codes that leaked: reported once a day, and never denied."""

from typing import Any

from plugin.services.find_leaks import USES_MIN
from tests.world import Clock, Shop, World


def buy(shop: Shop, clock: Clock, count: int, code: str) -> None:
    """Have so many buy with a code, a minute apart."""
    for _ in range(count):
        clock.add(60)
        at = clock.iso()
        shop.deliver(shop.order(f"o{shop.world.number()}", codes=[code], placed_at=at, updated_at=at))


def leaks(world: World) -> list[Any]:
    """Let an hour go by and return all that was reported."""
    world.work()
    found = world.call("GET", "/events?after=0&limit=500", expect=200)["items"]
    return [one["data"] for one in found if one["type"] == "code.leaked"]


def test_a_code_that_many_use_and_nobody_clicks_is_reported_once_a_day_and_goes_on_earning(
    world: World, clock: Clock
) -> None:
    shop = world.shop()
    shop.plan()
    eve = shop.sharer("eve", codes=["EVE"])
    world.work()
    buy(shop, clock, USES_MIN, "eve")
    clock.add(3_600)
    assert leaks(world) == [{"shop": shop.key, "code": "eve", "sharer": eve, "uses": USES_MIN, "clicks": 0}]
    buy(shop, clock, 1, "EVE")
    clock.add(3_600)
    assert len(leaks(world)) == 1
    earned = shop.balance(eve)["pending"]
    assert earned == f"{10 * (USES_MIN + 1)}.00"
    clock.add(86_400 - 4 * 3_600)
    buy(shop, clock, USES_MIN, "EVE")
    clock.add(3_600)
    assert len(leaks(world)) == 2
    world.books()


def test_a_code_whose_sharer_brings_visitors_is_none(world: World, clock: Clock) -> None:
    shop = world.shop()
    shop.plan()
    alice = shop.sharer("alice", codes=["ALICE"])
    link = shop.link(alice)
    for _ in range(USES_MIN // 2):
        shop.click(link)
    world.app.extensions["passalong"].clicks.stop()
    buy(shop, clock, USES_MIN, "ALICE")
    clock.add(3_600)
    assert leaks(world) == []


def test_few_uses_and_codes_of_nobody_are_none(world: World, clock: Clock) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer("alice", codes=["ALICE"])
    buy(shop, clock, USES_MIN - 1, "ALICE")
    buy(shop, clock, USES_MIN, "SUMMER")
    clock.add(3_600)
    assert leaks(world) == []
