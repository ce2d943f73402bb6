"""Home: what is to be done is what there is to do, and the figures are those of the books."""

import re

import pytest
from sqlalchemy import update

from plugin.models import task
from plugin.services import reconcile_shop
from plugin.services.want_task import want
from tests.admin_ui.desk import Browser, member
from tests.world import Clock, Shop, World

PLACED = "2026-11-20T10:00:00Z"


@pytest.fixture
def shop(world: World, clock: Clock) -> Shop:
    """Give a shop that pays ten percent, and pays out from five dollars on; its orders were placed two days ago."""
    shop = world.shop()
    shop.plan({"commission": {"default": {"percent": "10"}}, "payout": {"minimum": {"USD": "5.00"}}})
    return shop


def todo(browser: Browser, shop: Shop) -> dict[str, str]:
    """Return what is to be done: the address behind each line, and what it says."""
    page = browser.get(f"/admin/{shop.key}/")
    lines = page.partition("<h2>To do</h2>")[2].partition("</section>")[0]
    found = re.findall(r'<li><a href="([^"]+)">(.*?)</a></li>', lines, re.DOTALL)
    return {path: re.sub(r"<[^>]+>|\s+", " ", text).strip() for path, text in found}


def order(shop: Shop, ref: str, link: str, **changes: object) -> None:
    """Tell an order of a hundred dollars that a link brought."""
    placed = {"placed_at": PLACED, "paid_at": PLACED, "updated_at": PLACED, "attributes": {"_pa": link}}
    shop.told(shop.order(ref, **placed | changes))


def test_nothing_to_do_is_said(world: World, shop: Shop) -> None:
    browser = member(world)
    assert todo(browser, shop) == {} and "Nothing waits for you." in browser.get(f"/admin/{shop.key}/")


def test_each_thing_to_do_is_counted_and_leads_to_its_page(world: World, shop: Shop, clock: Clock) -> None:
    browser, other = member(world), world.shop()
    other.sharer("zoe", status="pending")
    shop.sharer("bob", status="pending")
    approved = shop.sharer("carl", status="pending")
    world.call("PATCH", f"/sharers/{approved}", {"status": "approved"}, expect=200)
    assert todo(browser, shop) == {"sharers?status=pending": "1 person wants to share"}
    world.call("PATCH", f"/sharers/{approved}", {"status": "suspended"}, expect=200)
    body = b"{}"
    shop.post(body, shop.signed(body))
    world.work()
    assert todo(browser, shop)["deliveries?state=quarantined"] == "1 delivery cannot be understood"
    link = shop.link(shop.sharer("alice"))["code"]
    order(shop, "a", link)
    order(shop, "odd", link, refunds=[{"id": "r", "at": PLACED, "lines": [], "amount": "150.00"}])
    assert "1 order has something odd" in todo(browser, shop)[f"/admin/{shop.key}/orders/odd"]
    assert "payouts" not in todo(browser, shop)
    world.release()
    assert todo(browser, shop)["payouts"] == "$10.00 is ready for 1 sharer"
    clock.add(1)
    shop.post(body, {"Content-Type": "application/json"})
    assert "was refused" in todo(browser, shop)["connect"]


def test_nobody_is_led_from_home_to_a_page_they_may_not_open(world: World, shop: Shop, clock: Clock) -> None:
    with world.context.database.writing() as connection:
        want(connection, 1, reconcile_shop.KIND, "orders", {}, now=clock())
        connection.execute(update(task).where(task.c.kind == reconcile_shop.KIND).values(reason="It said no."))
    clock.add(1)
    shop.post(b"{}", {"Content-Type": "application/json"})
    nothing: set[str] = set()
    ways = {"owner": {"settings", "connect"}, "manager": {"settings"}, "payer": nothing, "viewer": nothing}
    for role, led in ways.items():
        browser = member(world, role)
        page = browser.get(f"/admin/{shop.key}/")
        assert "It said no." in page and "was refused" in page
        assert todo(browser, shop).keys() == led
        assert ("Ask an owner or a manager" in page) == ("settings" not in led)
        assert ("Ask an owner of" in page) == ("connect" not in led)
        for path in led:
            browser.get(f"/admin/{shop.key}/{path}")


def test_an_own_purchase_that_is_held_waits_for_a_decision(world: World, shop: Shop) -> None:
    shop.plan({"commission": {"default": {"percent": "10"}}, "attribution": {"self_purchase": "hold"}})
    link = shop.link(shop.sharer("alice"))["code"]
    order(shop, "own", link, customer={"id": "c", "email": "alice@example.org", "orders_before": 0})
    assert todo(member(world), shop)["orders?state=held"] == "1 order waits for your decision"


def test_what_is_below_the_minimum_is_not_ready(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer("alice"))["code"]
    order(shop, "small", link, lines=[{"id": "l1", "product_id": "p1", "quantity": 1, "amount": "40.00"}])
    world.release()
    assert "payouts" not in todo(member(world), shop)


def test_the_figures_are_those_of_the_last_thirty_days(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer("alice"))["code"]
    order(shop, "now", link)
    order(shop, "yen", link, currency="JPY", lines=[{"id": "l1", "product_id": "p", "quantity": 1, "amount": "500"}])
    order(shop, "old", link, placed_at="2026-10-23T10:00:00Z")
    order(shop, "nobodys", "none")
    page = member(world, "viewer").get(f"/admin/{shop.key}/")
    values = re.findall(r'<div class="value">(.*?)</div>', page)
    assert values[0] == "$100.00" and values[3] == "1"
    # Money counts on the day it is booked, which is today for all of them; sales on the day of the order.
    assert values[1] == "$20.00" and values[2] == "20%"
    assert "¥500" in page and "2 orders" in page
