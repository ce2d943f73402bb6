"""Asking a shop for what its webhooks do not say: the lines of a refund, a refund taken back, an order that is gone."""

import pytest

from tests.shops.fake_woocommerce import KEY, SECRET, FakeWooCommerce
from tests.world import Clock, Shop, World


@pytest.fixture
def shop(world: World, woo: FakeWooCommerce) -> Shop:
    """Return the fake shop as we know it; ten percent, and of gifts nothing."""
    credentials = {"consumer_key": KEY, "consumer_secret": SECRET}
    one = world.shop("woocommerce", url=woo.url, credentials=credentials)
    one.plan()
    return one


def test_the_lines_of_a_refund_are_asked_for(shop: Shop, woo: FakeWooCommerce, clock: Clock) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 2), ("50.00", "5.00", 1), token=shop.click(shop.link(alice)))
    assert woo.send(shop, "order.created", number) == 200
    shop.world.work()
    assert shop.balance(alice)["pending"] == "15.00" and woo.orders_asked == []
    clock.add(60)
    woo.refund(number, "55.00", (1, 1, "50.00", "5.00"))
    woo.send(shop, "order.updated", number)
    shop.world.work()
    assert shop.balance(alice)["pending"] == "10.00"
    lines = shop.see(str(number))["lines"]
    assert [line["commission"] for line in lines] == ["10.00", "0.00"]
    shop.world.books()


def test_what_goes_back_of_a_fee_is_not_taken_from_goods(shop: Shop, woo: FakeWooCommerce) -> None:
    alice = shop.sharer("alice")
    wrapping = [{"id": 9, "name": "Gift wrap", "total": "10.00", "total_tax": "1.00"}]
    lines = ("100.00", "0.00", 2), ("50.00", "5.00", 1)
    number = woo.place(*lines, token=shop.click(shop.link(alice)), fee_lines=wrapping)
    woo.refund(number, "66.00", (1, 1, "50.00", "5.00"), fee=("10.00", "1.00"))
    woo.send(shop, "order.updated", number)
    shop.world.work()
    assert shop.balance(alice)["pending"] == "10.00" and shop.see(str(number))["flags"] == []
    shop.world.books()


def test_refunds_are_read_to_the_last_page(shop: Shop, woo: FakeWooCommerce) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("300.00", "0.00", 1), ("100.00", "0.00", 1), token=shop.click(shop.link(alice)))
    for _ in range(200):
        woo.refund(number, "1.00", (0, 0, "1.00", "0.00"))
    woo.send(shop, "order.updated", number)
    shop.world.work()
    assert [line["commission"] for line in shop.see(str(number))["lines"]] == ["10.00", "10.00"]
    shop.world.books()


def test_a_force_deletion_counts_where_the_shop_cannot_be_asked(world: World, woo: FakeWooCommerce) -> None:
    shop = world.shop("woocommerce", url=woo.url)
    shop.plan()
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 1), token=shop.click(shop.link(alice)))
    woo.send(shop, "order.created", number)
    woo.send(shop, "action.woocommerce_before_delete_order", number)
    world.work()
    assert shop.balance(alice)["pending"] == "0.00" and shop.see(str(number))["flags"] == ["deleted_in_shop"]
    assert {one["state"] for one in world.deliveries()} == {"done"} and woo.orders_asked == []
    world.books()


def test_a_replay_needs_no_shop(shop: Shop, woo: FakeWooCommerce, clock: Clock) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 2), ("50.00", "5.00", 1), token=shop.click(shop.link(alice)))
    woo.refund(number, "55.00", (1, 1, "50.00", "5.00"))
    woo.send(shop, "order.updated", number)
    shop.world.work()
    asked = len(woo.orders_asked)
    clock.add(3_600)
    # An order, what the shop said of its products, and what it said when it was asked about the refund.
    assert shop.world.command("replay", "--all") == {"replayed": 3, "changed": 0}
    shop.world.work()
    assert shop.balance(alice)["pending"] == "10.00" and len(woo.orders_asked) == asked
    shop.world.books()


def test_a_refund_that_was_deleted_is_seen_at_the_next_answer(shop: Shop, woo: FakeWooCommerce, clock: Clock) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 2), ("50.00", "5.00", 1), token=shop.click(shop.link(alice)))
    one = woo.refund(number, "55.00", (1, 1, "50.00", "5.00"))
    woo.send(shop, "order.updated", number)
    shop.world.work()
    assert shop.balance(alice)["pending"] == "10.00"
    clock.add(60)
    woo.delete_refund(number, one)
    woo.refund(number, "11.00", (1, 0, "10.00", "1.00"))
    woo.send(shop, "order.updated", number)
    shop.world.work()
    assert shop.balance(alice)["pending"] == "14.00"
    assert [refund["commission"] for refund in shop.see(str(number))["lines"]] == ["10.00", "4.00"]
    shop.world.books()


@pytest.mark.parametrize("way", ["trash", "delete"])
def test_of_a_deleted_order_the_answer_counts(shop: Shop, woo: FakeWooCommerce, clock: Clock, way: str) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 1), token=shop.click(shop.link(alice)))
    woo.send(shop, "order.created", number)
    shop.world.work()
    clock.add(60)
    getattr(woo, way)(number)
    topic = "order.deleted" if way == "trash" else "action.woocommerce_before_delete_order"
    woo.send(shop, topic, number)
    shop.world.work()
    seen = shop.see(str(number))
    assert shop.balance(alice)["pending"] == "0.00" and seen["commissions"][0]["earned"] == "10.00"
    assert seen["flags"] == (["deleted_in_shop"] if way == "delete" else [])
    shop.world.books()


def test_what_was_only_thought_deleted_is_not(shop: Shop, woo: FakeWooCommerce, clock: Clock) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 1), token=shop.click(shop.link(alice)))
    woo.send(shop, "order.created", number)
    shop.world.work()
    clock.add(60)
    woo.send(shop, "order.deleted", number)
    shop.world.work()
    assert shop.balance(alice)["pending"] == "10.00" and woo.orders_asked
    transfers = shop.world.call("GET", f"/sharers/{alice}/transfers", expect=200)["items"]
    assert [one["kind"] for one in transfers] == ["earn"]
    shop.world.books()


@pytest.mark.parametrize("status", [500, 502, 429, 401])
def test_a_shop_that_does_not_answer_is_asked_again(
    shop: Shop, woo: FakeWooCommerce, clock: Clock, status: int
) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 2), ("50.00", "5.00", 1), token=shop.click(shop.link(alice)))
    woo.refund(number, "55.00", (1, 1, "50.00", "5.00"))
    woo.send(shop, "order.updated", number)
    woo.faults.extend([status, status])
    shop.world.work()
    assert shop.balance(alice)["pending"] == "9.68"  # spread over all lines, until it is known
    for _ in range(4):
        clock.add(600)
        shop.world.work()
    assert shop.balance(alice)["pending"] == "10.00"
    shop.world.books()


def test_a_deletion_about_which_the_shop_never_answers_counts_in_the_end(
    shop: Shop, woo: FakeWooCommerce, clock: Clock
) -> None:
    alice = shop.sharer("alice")
    number = woo.place(("100.00", "0.00", 1), token=shop.click(shop.link(alice)))
    woo.send(shop, "order.created", number)
    shop.world.work()
    clock.add(60)
    woo.send(shop, "order.deleted", number)
    woo.close()
    for _ in range(14):
        shop.world.work()
        clock.add(60_000)
    seen = shop.see(str(number))
    assert shop.balance(alice)["pending"] == "0.00" and seen["flags"] == ["deleted_in_shop"]
    (told,) = [one for one in shop.world.command("doctor", expect=1)["checks"] if one["name"] == "tasks"]
    assert not told["ok"] and f"ask {number} of shop {shop.key}" in told["hint"] and "refuses" in told["hint"]
    shop.world.books()
