"""Reports by product and by channel equal what was sold, whatever happens, however late and by whomever counted."""

import os
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, select, text

from plugin.models import ORDER_PARTS, metadata
from plugin.services import follow_orders as service
from plugin.services.follow_orders import follow_orders
from plugin.services.order_parts import hold_place
from plugin.services.process_inbox import drain
from plugin.services.rebuild_rollups import rebuild_rollups
from tests.parts_truth import PartsTruth
from tests.rollup_truth import Story, read_report
from tests.world import Shop, World

HISTORIES = int(os.environ.get("PASSALONG_TEST_HISTORIES", "4"))
ZONES = ("UTC", "Asia/Taipei", "America/New_York", "Pacific/Chatham")
FOLLOWED = ("pa_product_month", "pa_channel_month", "pa_order_product", "pa_order_credit")
PLAN = {"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}}


class Killed(BaseException):
    """The end of a process; nobody catches it."""


def stored(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Return what is counted by product and by channel, without the sums that came back to nothing."""
    found = {}
    with world.context.database.reading() as connection:
        for name in FOLLOWED:
            table = metadata.tables[name]
            rows = [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            keys = len(table.primary_key)
            found[name] = [row for row in rows if any(row[keys:])]
    return found


def run(world: World, *statements: str) -> None:
    """Change rows behind the product's back."""
    with world.context.database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


def catch_up(world: World) -> None:
    """Count all there is, however many turns it takes."""
    while follow_orders(world.context):
        pass


def forget(world: World) -> None:
    """Have nothing counted, as after an upgrade."""
    run(world, *(f"DELETE FROM {name}" for name in (*FOLLOWED, "pa_report_place", "pa_sold_product")))


def one(shop: Shop, **changes: Any) -> dict[str, Any]:
    """Return the order that the sharer's link brought."""
    moment = "2026-11-03T09:00:00Z"
    return shop.order("one", placed_at=moment, paid_at=moment, **({"updated_at": moment} | changes))


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop with a sharer, who was invited, and two orders with two products on them."""
    world.stop_clock("2026-11-03T09:00:00Z")
    shop = world.shop()
    shop.plan(PLAN)
    sam = shop.sharer("sam", codes=["SAM"], referred_by=shop.sharer("uma"))
    link = shop.link(sam, channel="line", campaign="spring")
    tea = {"id": "l1", "product_id": "tea", "title": "Tea", "quantity": 3, "amount": "60.00", "tax": "6.00"}
    pot = {"id": "l2", "product_id": "pot", "title": "Pot", "quantity": 1, "amount": "40.00", "tax": "4.00"}
    token = {"_pa": shop.click(link)}
    shop.click(link)
    world.app.extensions["passalong"].clicks.stop()
    shop.deliver(one(shop, lines=[tea, pot], attributes=token))
    shop.deliver(shop.order("two", lines=[tea | {"title": "Green tea"}], updated_at="2026-11-04T10:00:00Z"))
    return shop


# --- what they say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_after_any_history_products_and_channels_say_what_was_sold(world: World, seed: int) -> None:
    story = Story(world, Random(seed + 100), ZONES[seed % len(ZONES)])  # noqa: S311 - a history that can be run again
    story.run(80)
    PartsTruth(story.shop, story.zone, story.orders).compare(limit=7)
    world.books()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_however_late_and_in_however_small_steps_they_are_counted_they_say_the_same(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    luck = Random(seed)  # noqa: S311 - a history that can be run again
    monkeypatch.setattr(service, "ORDERS", luck.choice((0, 1, 3)))
    monkeypatch.setattr("plugin.services.do_work.follow_orders", lambda *_, **__: False)
    story = Story(world, Random(seed + 200), ZONES[seed % len(ZONES)])  # noqa: S311 - the same
    for _ in range(3):
        story.run(20)
        if luck.random() < 0.6:
            follow_orders(world.context)
        world.books()  # of what is still to be counted nothing is expected
        assert world.command("rollups", "rebuild")["mended"] == 0
    catch_up(world)
    PartsTruth(story.shop, story.zone, story.orders).compare()
    kept = stored(world)
    assert all(kept.values())
    forget(world)
    world.books()
    catch_up(world)
    assert stored(world) == kept
    assert world.command("replay", "--all")["changed"] == 0
    world.work()
    assert stored(world) == kept


def test_a_product_tells_what_was_sold_refunded_brought_and_earned(world: World, shop: Shop) -> None:
    world.work()
    rows = {row["product"]: row for row in read_report(shop, "products")}
    about = {"month": "2026-11", "currency": "USD", "refund_rate": "0.00"}
    assert rows["tea"] == about | {
        "product": "tea", "title": "Green tea", "orders": 2, "quantity": 6, "sales": "120.00", "refunded": "0.00",
        "credited": 1, "credited_quantity": 3, "credited_sales": "60.00", "commission": "7.20",
    }  # fmt: skip
    assert rows["pot"] == about | {
        "product": "pot", "title": "Pot", "orders": 1, "quantity": 1, "sales": "40.00", "refunded": "0.00",
        "credited": 1, "credited_quantity": 1, "credited_sales": "40.00", "commission": "4.80",
    }  # fmt: skip
    refund = {"id": "r1", "amount": "22.00", "lines": [{"line_id": "l1", "quantity": 1, "amount": "20.00", "tax": "2"}]}
    lines = [
        {"id": "l1", "product_id": "tea", "title": "Tea", "quantity": 3, "amount": "60.00", "tax": "6.00"},
        {"id": "l2", "product_id": "pot", "title": "Pot", "quantity": 1, "amount": "40.00", "tax": "4.00"},
    ]
    shop.told(one(shop, lines=lines, refunds=[refund], updated_at="2026-11-03T12:00:00Z"))
    rows = {row["product"]: row for row in read_report(shop, "products", month="2026-11")}
    told = ("quantity", "sales", "refunded", "refund_rate", "credited_quantity", "credited_sales", "commission")
    assert [rows["tea"][name] for name in told] == [5, "100.00", "20.00", "16.67", 2, "40.00", "4.80"]
    assert rows["tea"]["title"] == "Green tea"  # as on the order told last
    (channel,) = read_report(shop, "channels")
    assert channel == {
        "month": "2026-11", "channel": "line", "campaign": "spring", "currency": "USD", "clicks": 2, "credited": 1,
        "conversion": "50.00", "order_value": "80.00", "net": "80.00", "refunded": "22.00", "commission": "9.60",
    }  # fmt: skip
    world.books()


def test_what_the_shop_says_of_its_product_is_its_title(world: World, shop: Shop) -> None:
    world.work()
    run(world, "INSERT INTO pa_product (shop_id, ref, at, body) VALUES (1, 'tea', 1, '{\"title\": \"Oolong\"}')")
    assert {row["title"] for row in read_report(shop, "products")} == {"Oolong", "Pot"}


def test_an_order_given_to_nobody_stays_sold_and_leaves_its_channel(world: World, shop: Shop) -> None:
    world.work()
    body = {"shop": shop.key, "sharer": None, "reason": "a mistake"}
    world.call("POST", "/orders/one/attribution", body, expect=200)
    world.work()
    rows = {row["product"]: row for row in read_report(shop, "products")}
    assert [(row["orders"], row["credited"], row["commission"]) for row in rows.values()] == [
        (2, 0, "0.00"), (1, 0, "0.00"),
    ]  # fmt: skip
    (channel,) = read_report(shop, "channels")
    assert (channel["clicks"], channel["credited"], channel["net"]) == (2, 0, "0.00")
    shop.told(shop.order("two", status="cancelled", updated_at="2026-11-05T10:00:00Z"))
    assert [row["orders"] for row in read_report(shop, "products")] == [1, 1]
    world.books()


def test_amounts_beyond_all_reason_are_cut_and_stop_nothing(world: World, shop: Shop) -> None:
    lines = [
        {"id": f"l{number}", "product_id": "gold", "quantity": 10**9, "amount": "999999999999999.99", "tax": "0.00"}
        for number in (1, 2)
    ]
    for ref in ("a", "b", "c"):
        shop.told(shop.order(ref, lines=lines))
    (gold,) = (row for row in read_report(shop, "products") if row["product"] == "gold")
    assert (gold["sales"], gold["quantity"]) == ("30000000000000.00", 6 * 10**9)
    world.books()


def test_names_of_any_kind_are_pages_of_any_size(world: World, shop: Shop) -> None:
    names = ["ﬁ", "é", "e", "E", "z", "Z", "茶", "🍵", "a.b", "-", "_", "%", "'; --", "a" * 255, "😀" * 127, None]
    for number, name in enumerate(names):
        line = {"id": "l", "product_id": name, "title": name and f"={name}", "quantity": 1, "amount": "1.00"}
        shop.deliver(shop.order(f"o{number}", lines=[line], currency=("USD", "JPY")[number % 2]))
        if name is not None:
            shop.click(shop.link("shr_2", channel=name, campaign="spring"))
    world.app.extensions["passalong"].clicks.stop()
    world.work()
    for report in ("products", "channels"):
        whole = read_report(shop, report)
        assert len(whole) >= len(names)
        for limit in (1, 3):
            assert read_report(shop, report, limit=limit) == whole
    assert {row["product"] for row in read_report(shop, "products")} == {*names, "tea", "pot"}


# --- how they are counted ---------------------------------------------------------------------------------------------


def test_settling_writes_nothing_for_them(world: World, shop: Shop) -> None:
    said: list[str] = []
    event.listen(world.context.database.engine, "before_cursor_execute", lambda _c, _x, one, *_: said.append(one))
    drain(world.context)
    assert any("pa_shop_day" in one for one in said)
    assert not [one for one in said if any(name in one for name in (*FOLLOWED, "pa_report_place", "pa_sold_product"))]


def test_a_report_that_is_behind_says_as_of_when_it_is(world: World, shop: Shop) -> None:
    path = f"/reports/products?shop={shop.key}"
    world.work()
    assert world.call("GET", path, expect=200)["as_of"] is None
    shop.deliver(shop.order("three", updated_at="2026-11-03T08:00:00Z"))
    drain(world.context)
    page = world.call("GET", path, expect=200)
    assert (page["as_of"], len(page["items"])) == ("2026-11-03T09:00:00Z", 2)
    assert "as_of" not in world.call("GET", f"/reports/shop-days?shop={shop.key}", expect=200)
    world.work()
    page = world.call("GET", path, expect=200)
    assert (page["as_of"], len(page["items"])) == (None, 3)


@pytest.mark.parametrize("words", [
    "INSERT INTO pa_product_month", "INSERT INTO pa_channel_month", "INSERT INTO pa_sold_product",
    "UPDATE pa_report_place",
])  # fmt: skip
def test_a_worker_that_dies_while_counting_has_counted_nothing(world: World, shop: Shop, words: str) -> None:
    drain(world.context)
    live = kill_at(world, words)
    with pytest.raises(Killed):
        follow_orders(world.context)
    live()
    assert not any(stored(world).values())
    world.books()
    catch_up(world)
    assert [row["orders"] for row in read_report(shop, "products")] == [2, 1]
    world.books()


def kill_at(world: World, words: str) -> Callable[[], None]:
    """Let whoever says these words to the database die there; return how to stop that."""

    def look(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(words):
            raise Killed

    engine = world.context.database.engine
    event.listen(engine, "before_cursor_execute", look)
    return lambda: event.remove(engine, "before_cursor_execute", look)


@pytest.mark.timeout(300)
def test_several_who_count_while_orders_are_settled_and_rebuilt_count_each_once(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ORDERS", 3)
    told = {one: shop.order(one, codes=["SAM"]) for one in (f"o{number}" for number in range(30))}
    gate, over, errors = threading.Barrier(4), threading.Event(), []

    def follow() -> None:
        while not over.is_set():
            follow_orders(world.context)

    def rebuild() -> None:
        while not over.is_set():
            rebuild_rollups(world.context)

    def settle() -> None:
        try:
            drain(world.context)
        finally:
            over.set()

    def start(work: Callable[[], None]) -> None:
        gate.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    for order in told.values():
        shop.deliver(order)
        shop.deliver(order | {"updated_at": "2026-11-02T10:00:00Z", "codes": [], "payment": "voided"})
        shop.deliver(order | {"updated_at": "2026-11-02T11:00:00Z", "lines": order["lines"] * 1})
    monkeypatch.setattr("plugin.services.process_inbox.BATCH", 4)
    threads = [threading.Thread(target=start, args=(work,)) for work in (follow, follow, rebuild, settle)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not errors
    world.work()
    (row,) = (row for row in read_report(shop, "products") if row["product"] == "p1")
    assert (row["orders"], row["credited"], row["sales"], row["commission"]) == (30, 30, "3000.00", "360.00")
    world.books()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time anyway
def test_while_one_counts_another_goes_on_without_counting(world: World, shop: Shop) -> None:
    world.work()
    kept = stored(world)
    shop.deliver(shop.order("three"))
    drain(world.context)
    with world.context.database.writing() as connection:
        assert hold_place(connection, 1, wait=False)
        assert follow_orders(world.context) is False
        assert stored(world) == kept
    assert follow_orders(world.context) is False and stored(world) != kept


def test_counting_that_fails_in_one_shop_keeps_no_other_waiting(world: World, shop: Shop) -> None:
    drain(world.context)
    other = world.shop(url="https://other.example.com")
    other.plan()
    other.deliver(other.order("x"))
    drain(world.context)
    run(world, "UPDATE pa_order SET story = '{' WHERE ref = 'one'")
    assert follow_orders(world.context) is False
    assert read_report(other, "products") and not read_report(shop, "products")
    assert world.call("GET", f"/reports/products?shop={shop.key}", expect=200)["as_of"]


# --- what is wrong is named -------------------------------------------------------------------------------------------

TAMPERED = {
    "a product's sales": (
        "UPDATE pa_product_month SET sales = sales - 1 WHERE product = 'tea'",
        "rollup product-month 2026-11 tea USD sales: booked 119.99, should be 120.00",
    ),
    "a channel that is gone": (
        "DELETE FROM pa_channel_month",
        "rollup channel-month 2026-11 line spring USD credited: booked 0, should be 1",
    ),
    "a product that never was": (
        "INSERT INTO pa_product_month (shop_id, month, product, currency, orders) VALUES (1, '2031-01', 'x', 'KWD', 2)",
        "rollup product-month 2031-01 x KWD orders: booked 2, should be 0",
    ),
    "an order's part": (
        "UPDATE pa_order_product SET quantity = 9 WHERE product = 'pot'",
        "order one is not counted by product and channel as it must be",
    ),
    "whose an order is": (
        "UPDATE pa_order_credit SET sharer_id = 1",
        "order one is not counted by product and channel as it must be",
    ),
    "an order nobody counts": (
        "DELETE FROM pa_order_credit",
        "order one is not counted by product and channel as it must be",
    ),
    "clicks of a link": (
        "UPDATE pa_click_link SET clicks = 1",
        "rollup click-link shr_2 1 clicks: booked 1, should be 2",
    ),
    "clicks of a channel": (
        "UPDATE pa_click_channel SET clicks = 7",
        "rollup click-channel 2026-11 line spring clicks: booked 7, should be 2",
    ),
}


@pytest.mark.parametrize(("hand", "words"), TAMPERED.values(), ids=TAMPERED)
def test_check_books_names_what_was_changed_and_a_rebuild_mends_it(
    world: World, shop: Shop, hand: str, words: str
) -> None:
    world.work()
    kept = stored(world)
    run(world, hand)
    said = world.command("check-books", expect=1)
    assert f"shop {shop.key}: {words}" in said["problems"], said
    assert world.command("rollups", "rebuild")["mended"] >= 1
    world.books()
    assert {name: [row for row in rows if "x" not in row] for name, rows in stored(world).items()} == kept


def test_what_is_counted_wrong_keeps_nobody_from_being_paid(world: World, shop: Shop) -> None:
    world.work()
    run(world, "UPDATE pa_order_credit SET net = 1", "DELETE FROM pa_product_month")
    world.release()
    assert sorted(item["gross"] for item in shop.pay()["items"]) == ["10.00", "2.00"]


def test_erasing_people_changes_no_figure(world: World, shop: Shop) -> None:
    world.work()
    kept = stored(world)
    for who in ("sam@example.org", "one@buyers.example"):
        world.command("erase", "--email", who)
    world.work()
    assert stored(world) == kept and all(kept[table.name] for table in ORDER_PARTS.values())
    world.books()
