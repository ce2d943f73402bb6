"""Codes for one order that each click on a link brings to the shop: made beforehand, handed out once, used again."""

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event

from plugin.app import create_app
from plugin.services import hand_out_codes
from plugin.settings import Settings
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fakes import Fake, open_shop
from tests.world import Clock, Shop, World

BROWSER, BOT = "Mozilla/5.0", "facebookexternalhit/1.1"
DAY = 86_400


def code_of(address: str) -> str | None:
    """Return the code that a visitor brings along, of either platform."""
    parts = urlsplit(address)
    if parts.path.startswith("/discount/"):
        return parts.path.removeprefix("/discount/")
    return parse_qs(parts.query).get("pa_code", [None])[0]


@dataclass
class Pair:
    """A fake shop, a sharer, and a link whose clicks bring codes along."""

    world: World
    fake: Fake
    shop: Shop
    clock: Clock
    alice: str

    def link(self, **coupon: Any) -> Any:
        """Issue a link with a coupon, and have its pool filled."""
        target = f"{self.fake.url}/products/hat?color=red#buy"
        made = self.shop.link(self.alice, url=target, coupon={"percent": "10", "pool": 12} | coupon)
        self.world.work()
        return made

    def follow(self, link: Any, *, agent: str = BROWSER, method: str = "GET") -> str:
        """Follow a link and return where it leads."""
        response = self.world.client.open(f"/s/{link['code']}", method=method, headers={"User-Agent": agent})
        return response.headers.get("Location", "")

    def shown(self, link: Any) -> Any:
        """Return what is told of the link's coupon."""
        (found,) = (
            one for one in self.world.call("GET", f"/links?sharer={self.alice}", expect=200)["items"]
            if one["id"] == link["id"]
        )  # fmt: skip
        return found["coupon"]

    def codes(self) -> set[str]:
        """Return the codes there are in the shop, each for one order."""
        if isinstance(self.fake, FakeShopify):
            assert all(one["usage_limit"] == 1 for one in self.fake.rules.values())
            return {code for one in self.fake.rules.values() for code in one["codes"]}
        assert all(one["usage_limit"] == 1 for one in self.fake.coupons.values())
        return {one["code"].upper() for one in self.fake.coupons.values()}

    def buy(self, code: str) -> Any:
        """Have somebody buy with a code and nothing else; return the receipt."""
        if isinstance(self.fake, FakeShopify):
            number = self.fake.place("100.00", discount_codes=[{"code": code, "amount": "10.00"}])
            self.fake.send(self.shop, "orders/create", number)
        else:
            number = self.fake.place(("100.00", "0.00", 1), coupon_lines=[{"code": code.lower(), "discount": "10.00"}])
            self.fake.send(self.shop, "order.created", number)
        self.world.work()
        return self.shop.receipt(str(number))

    def restart(self) -> None:
        """End the process's stock in order, and begin with an empty one."""
        stock = self.world.app.extensions["passalong"].codes
        stock.stop()
        stock._be_new()


@pytest.fixture(params=["shopify", "woocommerce"])
def pair(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Give a fake shop of each platform in which codes can be made, and clicks that wait for theirs however long."""
    monkeypatch.setattr(hand_out_codes, "WAIT_SECONDS", 30.0)
    clock = world.stop_clock("2026-11-22T10:00:00Z")
    fake, keys = open_shop(request.param, clock)
    shop = world.shop(request.param, url=fake.url, credentials=keys)
    shop.plan()
    world.work()
    yield Pair(world, fake, shop, clock, shop.sharer("alice", codes=["ALICE"]))
    fake.close()


def test_each_click_brings_a_code_of_its_own_to_the_checkout(pair: Pair) -> None:
    link = pair.link()
    assert (pair.shown(link)["state"], pair.shown(link)["ready"]) == ("open", 12) and len(pair.codes()) == 12
    places = [pair.follow(link) for _ in range(8)]
    codes = [code_of(place) for place in places]
    assert len(set(codes)) == 8 and set(codes) <= pair.codes()
    parts = urlsplit(places[0])
    assert f"{parts.scheme}://{parts.netloc}" == pair.fake.url
    if isinstance(pair.fake, FakeShopify):
        parts = urlsplit(parse_qs(parts.query)["redirect"][0])
    assert (parts.path, parts.fragment) == ("/products/hat", "buy")
    told = parse_qs(parts.query)
    assert told["color"] == ["red"] and told["utm_source"] == ["share"] and told["pa"] == told["utm_content"]


def test_an_order_with_a_code_that_was_handed_out_is_the_sharers(pair: Pair) -> None:
    code = code_of(pair.follow(pair.link()))
    assert code is not None
    pair.clock.add(60)
    receipt = pair.buy(code)
    assert (receipt["winner"], receipt["reason"]) == (pair.alice, "coupon")
    pair.world.books()


def test_they_are_none_of_the_codes_that_the_sharer_holds(pair: Pair) -> None:
    """Else the sharer's list would be full of them, and a change of it would take them away."""
    code = code_of(pair.follow(pair.link()))
    assert pair.world.call("GET", f"/sharers/{pair.alice}", expect=200)["codes"] == ["ALICE"]
    pair.world.call("PATCH", f"/sharers/{pair.alice}", {"codes": []}, expect=200)
    pair.clock.add(60)
    assert code is not None and pair.buy(code)["winner"] == pair.alice
    other = {"shop": pair.shop.key, "email": "bob@example.org", "codes": [code.lower()]}
    assert pair.world.call("POST", "/sharers", other, expect=409)["code"] == "code_taken"


def test_a_bot_takes_no_code_and_neither_does_who_only_asks_for_the_head(pair: Pair) -> None:
    link = pair.link()
    assert pair.follow(link, agent=BOT) == "" and code_of(pair.follow(link, method="HEAD")) is None
    assert pair.shown(link)["out"] == 0


def test_where_there_is_no_code_the_click_goes_on_and_the_owner_is_told_once(pair: Pair) -> None:
    pair.fake.before = lambda path: pair.fake.faults.append(500)
    link = pair.link()
    for _ in range(3):
        place = pair.follow(link)
        assert code_of(place) is None and "pa=" in place and urlsplit(place).path == "/products/hat"
        pair.restart()
    told = [one for one in pair.world.call("GET", "/events?limit=500", expect=200)["items"] if "ran_out" in one["type"]]
    assert [(one["type"], one["data"]["code"]) for one in told] == [("link.codes_ran_out", link["code"])]
    assert pair.shown(link)["ran_out_at"] == pair.clock.iso()
    pair.fake.before = lambda path: None
    pair.clock.add(3_600)
    pair.world.work()
    assert pair.shown(link)["ran_out_at"] is None and code_of(pair.follow(link)) is not None


def test_the_pool_is_filled_again_as_it_gets_low(pair: Pair) -> None:
    link = pair.link()
    seen = {code_of(pair.follow(link)) for _ in range(5)}
    pair.world.work()
    shown = pair.shown(link)
    assert shown["ready"] == 12 and shown["out"] == 10 and len(pair.codes()) == 22 and None not in seen


def test_a_code_that_nobody_used_in_the_window_is_handed_out_again_and_a_used_one_never(pair: Pair) -> None:
    link = pair.link(pool=2)
    first, second = code_of(pair.follow(link)), code_of(pair.follow(link))
    pair.clock.add(60)
    assert first is not None and pair.buy(first)["winner"] == pair.alice
    pair.clock.add(30 * DAY)
    pair.world.work()
    assert pair.shown(link)["used"] == 1 and pair.shown(link)["out"] == 1  # the window is not over for all
    pair.clock.add(2 * 3_600)
    pair.world.work()
    assert pair.shown(link)["out"] == 0
    pair.restart()
    again = [code_of(pair.follow(link)) for _ in range(3)]
    assert second in again and first not in again


def test_what_a_process_did_not_hand_out_goes_back_when_it_ends(pair: Pair) -> None:
    link = pair.link()
    code = code_of(pair.follow(link))
    assert pair.shown(link)["out"] == 10
    pair.restart()
    assert pair.shown(link)["out"] == 1
    assert code not in {code_of(pair.follow(link)) for _ in range(9)}


def test_a_click_costs_no_statement_of_its_own(pair: Pair) -> None:
    link = pair.link()
    pair.follow(link)
    seen: list[str] = []
    engine = pair.world.context.database.engine
    event.listen(engine, "after_cursor_execute", lambda _c, _u, said, *_more: "link_co" in said and seen.append(said))
    assert len({code_of(pair.follow(link)) for _ in range(5)}) == 5
    assert seen == []


def test_the_link_of_a_suspended_sharer_brings_none_and_makes_none(pair: Pair) -> None:
    pair.world.call("PATCH", f"/sharers/{pair.alice}", {"status": "suspended"}, expect=200)
    link = pair.link()
    assert code_of(pair.follow(link)) is None and pair.codes() == set()


def test_an_ended_coupon_is_gone_in_the_shop_and_what_it_sold_stays(pair: Pair) -> None:
    link = pair.link()
    code = code_of(pair.follow(link))
    pair.clock.add(60)
    assert code is not None and pair.buy(code)["winner"] == pair.alice
    path = f"/links/{link['id']}/coupon/end"
    assert pair.world.call("POST", path, expect=200)["coupon"]["state"] == "ending"
    pair.world.work()
    assert pair.shown(link)["state"] == "ended" and pair.codes() <= {code}
    pair.restart()
    assert code_of(pair.follow(link)) is None
    assert pair.world.call("POST", path, expect=200)["coupon"]["state"] == "ended"
    pair.world.books()


@pytest.mark.parametrize(
    "coupon",
    [
        {}, {"percent": "10", "amount": "5"}, {"percent": "0"}, {"percent": "101"}, {"amount": "1e3"}, {"percent": 10},
        {"percent": "10", "pool": 0}, {"percent": "10", "pool": 501}, {"percent": "10", "pool": "5"}, "x", [],
        {"percent": "10", "code": "X"},
    ],
)  # fmt: skip
def test_a_coupon_that_is_none_is_named(pair: Pair, coupon: Any) -> None:
    told = pair.world.call("POST", "/links", {"sharer": pair.alice, "coupon": coupon}, expect=422)
    assert told["errors"] and pair.world.call("GET", f"/links?sharer={pair.alice}", expect=200)["items"] == []


def test_a_shop_that_makes_no_codes_says_so(world: World) -> None:
    shop = world.shop()
    body = {"sharer": shop.sharer("alice"), "coupon": {"percent": "10"}}
    assert world.call("POST", "/links", body, expect=409)["code"] == "no_coupons"
    plain = shop.link(body["sharer"])
    assert plain["coupon"] is None
    assert world.call("POST", f"/links/{plain['id']}/coupon/end", expect=404)["code"] == "no_link_coupon"
    assert world.call("POST", "/links/lnk_99/coupon/end", expect=404)["code"] == "unknown_link"


def _follow_many(settings: Settings, code: str, count: int) -> list[str | None]:
    """Follow a link from a process of its own; return the codes that came."""
    app = create_app(settings)
    try:
        with ThreadPoolExecutor(4) as threads:
            places = list(threads.map(lambda _: _led_to(app, code), range(count)))
    finally:
        app.extensions["passalong"].close()
    return [code_of(place) for place in places]


def _led_to(app: Any, code: str) -> str:
    place: str = app.test_client().get(f"/s/{code}", headers={"User-Agent": BROWSER}).headers["Location"]
    return place


def test_two_processes_never_hand_out_the_same_code(pair: Pair, settings: Settings) -> None:
    link = pair.link(pool=60)
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        found = processes.starmap(_follow_many, [(settings, link["code"], 25)] * 2)
    codes = Counter(code for one in found for code in one if code is not None)
    assert max(codes.values()) == 1 and len(codes) >= 2 * hand_out_codes.LOW
    assert all(any(code is not None for code in one) for one in found)
