"""Rollups equal the raw rows to the cent, whatever happens and in whatever order; and check-books says where not."""

import os
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, select, text

from plugin.models import ROLLUPS, metadata
from plugin.services import rebuild_rollups as service
from plugin.services.check_books import check_books
from plugin.services.rebuild_rollups import rebuild_rollups
from tests.rollup_truth import Story, Truth, read_report
from tests.world import Shop, World

HISTORIES = int(os.environ.get("PASSALONG_TEST_HISTORIES", "4"))
ZONES = ("UTC", "Asia/Taipei", "America/New_York", "Pacific/Chatham")
DAY_FIGURES = ("orders", "credited", "new_buyers", "net", "refunded", "direct", "upline", "buyer", "paid_out", "clicks")


def stored(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Return every rollup row that says anything."""
    with world.context.database.reading() as connection:
        found = {}
        for name, table in ROLLUPS.items():
            keys = len(table.primary_key)
            rows = connection.execute(select(table).order_by(*table.primary_key)).all()
            found[name] = [tuple(row) for row in rows if any(row[keys:])]
        return found


def run(world: World, *statements: str) -> None:
    """Change rows behind the product's back."""
    with world.context.database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


def day(shop: Shop, date: str, currency: str = "USD") -> dict[str, Any]:
    """Return a row of the shop's days; an empty one where there is none."""
    rows = [row for row in read_report(shop, "shop-days") if (row["day"], row["currency"]) == (date, currency)]
    return rows[0] if rows else {}


def at(shop: Shop, moment: str, **changes: Any) -> dict[str, Any]:
    """Return a paid order placed at a moment."""
    return shop.order(placed_at=moment, paid_at=moment, updated_at=moment, **changes)


# --- whatever happens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_after_any_history_the_reports_say_what_the_raw_rows_come_to(world: World, seed: int) -> None:
    story = Story(world, Random(seed), ZONES[seed % len(ZONES)])  # noqa: S311 - a history that can be run again
    story.run(80)
    story.truth().compare(limit=7)
    world.books()
    kept = stored(world)
    assert all(kept.values())
    assert world.command("replay", "--all")["changed"] == 0
    assert stored(world) == kept
    assert world.command("rollups", "rebuild") == {"shops": 1, "mended": 0}
    run(world, *(f"DELETE FROM {table.name}" for table in ROLLUPS.values()))
    assert not check_books(world.context).ok
    assert world.command("rollups", "rebuild")["mended"] == sum(map(len, kept.values()))
    assert stored(world) == kept
    world.books()


def test_a_day_tells_what_was_ordered_earned_refunded_and_paid(world: World) -> None:
    clock = world.stop_clock("2026-11-03T09:00:00Z")
    shop = world.shop()
    shop.plan({"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}, "hold_days": 1})
    uma = shop.sharer("uma")
    sam = shop.sharer("sam", codes=["SAM"], referred_by=uma)
    order = at(shop, "2026-11-02T10:00:00Z", codes=["SAM"])
    shop.told(order)
    shop.told(at(shop, "2026-11-02T11:00:00Z", customer={"id": "c", "email": None, "orders_before": 4}))
    nothing = dict.fromkeys(("net", "refunded", "direct", "upline", "buyer", "paid_out"), "0.00")
    ordered = {"day": "2026-11-02", "currency": "USD", "orders": 2, "credited": 1, "new_buyers": 1, "clicks": 0}
    booked = {"day": "2026-11-03", "currency": "USD", "orders": 0, "credited": 0, "new_buyers": 0, "clicks": 0}
    assert day(shop, "2026-11-02") == nothing | ordered | {"net": "100.00"}
    assert day(shop, "2026-11-03") == nothing | booked | {"direct": "10.00", "upline": "2.00"}
    clock.set("2026-11-05T09:00:00Z")
    world.release("2026-11-05T09:00:00Z")
    shop.pay()
    assert day(shop, "2026-11-05") == nothing | booked | {"day": "2026-11-05", "paid_out": "12.00"}
    clock.set("2026-12-24T09:00:00Z")
    refund = {"id": "r1", "amount": "40.00", "lines": [{"line_id": "l1", "quantity": 1, "amount": "40.00"}]}
    shop.told(order | {"updated_at": "2026-12-24T08:00:00Z", "refunds": [refund]})
    assert day(shop, "2026-11-02") == nothing | ordered | {"net": "60.00", "refunded": "40.00"}
    assert day(shop, "2026-12-24") == nothing | booked | {
        "day": "2026-12-24",
        "direct": "-4.00",
        "upline": "-0.80",
    }
    months = {row["month"]: row for row in read_report(shop, "sharer-months") if row["sharer"] == sam}
    zero = {"sharer": sam, "currency": "USD", "clicks": 0, "orders": 0, "net": "0.00"}
    assert months["2026-11"] == zero | {
        "month": "2026-11", "orders": 1, "net": "60.00", "earned": "10.00", "clawed_back": "0.00", "paid_out": "10.00",
    }  # fmt: skip
    assert months["2026-12"] == zero | {
        "month": "2026-12", "earned": "0.00", "clawed_back": "4.00", "paid_out": "0.00",
    }  # fmt: skip
    total = next(row for row in read_report(shop, "sharers") if row["sharer"] == sam)
    assert (total["orders"], total["net"], total["payable"], total["paid"]) == (1, "60.00", "-4.00", "10.00")
    assert (total["name"], total["last_month"]) == ("sam", "2026-11")


def test_a_payment_counts_when_it_is_made_and_its_return_when_it_comes_back(world: World) -> None:
    clock = world.stop_clock("2026-11-03T09:00:00Z")
    shop = world.shop()
    shop.plan()
    sam = shop.sharer("sam", codes=["SAM"])
    first = at(shop, "2026-11-02T10:00:00Z", codes=["SAM"])
    shop.told(first)
    world.release()
    batch = shop.pay()
    clock.set("2026-11-10T09:00:00Z")  # what was paid is owed again, and netted by the next payment
    shop.told(first | {"updated_at": "2026-11-09T10:00:00Z", "status": "cancelled"})
    shop.told(at(shop, "2026-11-09T10:00:00Z", codes=["SAM"], lines=[{"id": "l", "quantity": 1, "amount": "300.00"}]))
    world.release()
    netted = shop.pay()
    clock.set("2026-12-01T09:00:00Z")
    for one in (batch, netted):
        shop.mark(one, one["items"][0], "returned")
    paid = {row["day"]: row["paid_out"] for row in read_report(shop, "shop-days")}
    assert netted["items"][0]["gross"] == "20.00"
    assert (paid["2026-11-03"], paid["2026-11-10"], paid["2026-12-01"]) == ("10.00", "20.00", "-30.00")
    months = {row["month"]: row["paid_out"] for row in read_report(shop, "sharer-months") if row["sharer"] == sam}
    assert months == {"2026-11": "30.00", "2026-12": "-30.00"}
    Truth(shop, "UTC").compare()
    world.books()


@pytest.mark.parametrize(
    "change",
    [{"status": "cancelled"}, {"payment": "chargeback"}, {"payment": "voided"}, {"test": True}],
    ids=["cancelled", "charged back", "voided", "a test"],
)
def test_what_no_longer_counts_leaves_its_day(world: World, change: dict[str, Any]) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer("sam", codes=["SAM"])
    order = at(shop, "2026-11-02T10:00:00Z", codes=["SAM"])
    shop.told(order)
    assert day(shop, "2026-11-02")["credited"] == 1
    gone = order | change | {"updated_at": "2026-11-04T10:00:00Z"}
    shop.told(gone)
    assert day(shop, "2026-11-02") == {}
    shop.told(order | {"updated_at": "2026-11-05T10:00:00Z"})
    assert (day(shop, "2026-11-02")["credited"], day(shop, "2026-11-02")["net"]) == (1, "100.00")
    world.books()


def test_an_order_given_to_another_sharer_months_later_moves_in_the_month_it_was_placed(world: World) -> None:
    clock = world.stop_clock("2026-11-03T09:00:00Z")
    shop = world.shop()
    shop.plan()
    sam, tom = shop.sharer("sam", codes=["SAM"]), shop.sharer("tom")
    shop.told(at(shop, "2026-11-02T10:00:00Z", codes=["SAM"]) | {"id": "one"})
    clock.set("2027-02-01T09:00:00Z")
    body = {"shop": shop.key, "sharer": tom, "reason": "it was his"}
    world.call("POST", "/orders/one/attribution", body, expect=200)
    months = {(row["month"], row["sharer"]): row for row in read_report(shop, "sharer-months")}
    assert {key: (row["orders"], row["net"], row["earned"], row["clawed_back"]) for key, row in months.items()} == {
        ("2026-11", sam): (0, "0.00", "10.00", "0.00"),
        ("2026-11", tom): (1, "100.00", "0.00", "0.00"),
        ("2027-02", sam): (0, "0.00", "0.00", "10.00"),
        ("2027-02", tom): (0, "0.00", "10.00", "0.00"),
    }
    Truth(shop, "UTC").compare()


def test_an_order_that_changes_its_currency_or_its_day_takes_its_figures_along(world: World) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer("sam", codes=["SAM"])
    late = at(shop, "2026-11-02T10:00:00Z", codes=["SAM"])
    shop.told(late)
    # An earlier state arrives later and says that it was placed the day before.
    shop.told(late | {"placed_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-01T10:00:00Z"})
    assert day(shop, "2026-11-02") == {} and day(shop, "2026-11-01")["orders"] == 1
    shop.told(late | {"currency": "JPY", "updated_at": "2026-11-03T10:00:00Z"})
    assert "net" not in day(shop, "2026-11-01") or day(shop, "2026-11-01")["orders"] == 0
    assert day(shop, "2026-11-01", "JPY")["net"] == "100"
    world.books()


@pytest.mark.parametrize(("currency", "net", "earned"), [
    ("USD", "33.33", "3.33"), ("TWD", "33.33", "3.00"), ("JPY", "33", "3"), ("KWD", "33.333", "3.333"),
])  # fmt: skip
def test_amounts_have_the_digits_of_their_currency(world: World, currency: str, net: str, earned: str) -> None:
    world.stop_clock("2026-11-02T12:00:00Z")
    shop = world.shop()
    shop.plan()
    shop.sharer("sam", codes=["SAM"])
    lines = [{"id": "l1", "quantity": 1, "amount": "33.333", "tax": "0.00"}]
    shop.told(at(shop, "2026-11-02T10:00:00Z", codes=["SAM"], currency=currency, lines=lines))
    row = day(shop, "2026-11-02", currency)
    assert (row["net"], row["direct"]) == (net, earned)


def test_an_amount_beyond_all_reason_is_cut_and_stops_nothing(world: World) -> None:
    shop = world.shop()
    shop.plan({})
    lines = [{"id": "l1", "quantity": 1, "amount": "999999999999999.99", "tax": "0.00"}]
    refund = {"id": "r1", "amount": "999999999999999.99", "lines": []}
    for _ in range(3):
        shop.told(at(shop, "2026-11-02T10:00:00Z", lines=lines, refunds=[refund]))
    assert day(shop, "2026-11-02")["refunded"] == "30000000000000.00"
    world.books()


def test_erasing_a_buyer_leaves_every_figure(world: World) -> None:
    story = Story(world, Random(5), "Asia/Taipei")  # noqa: S311 - a history that can be run again
    story.run(25)
    kept = stored(world)
    world.command("erase", "--email", "c-bea@buyers.example")
    world.command("erase", "--email", "sam@example.org")
    assert stored(world) == kept
    names = {row["sharer"]: row["name"] for row in read_report(story.shop, "sharers")}
    assert names[story.sam] is None and names[story.uma] == "uma"
    world.books()


# --- days and zones ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "moment", "date"),
    [
        ("Asia/Taipei", "2026-11-01T15:59:59Z", "2026-11-01"),
        ("Asia/Taipei", "2026-11-01T16:00:00Z", "2026-11-02"),
        ("America/New_York", "2026-03-08T04:59:59Z", "2026-03-07"),  # that night clocks go on: 23 hours
        ("America/New_York", "2026-03-08T05:00:00Z", "2026-03-08"),
        ("America/New_York", "2026-03-09T03:59:59Z", "2026-03-08"),
        ("America/New_York", "2026-03-09T04:00:00Z", "2026-03-09"),
        ("America/New_York", "2026-11-01T03:59:59Z", "2026-10-31"),  # that night clocks go back: 25 hours
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-01"),
        ("America/New_York", "2026-11-02T04:59:59Z", "2026-11-01"),
        ("America/New_York", "2026-11-02T05:00:00Z", "2026-11-02"),
        ("Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2027-01-01"),
        ("America/St_Johns", "2006-10-29T02:30:30Z", "2006-10-29"),  # a minute after midnight clocks went back to
        ("America/St_Johns", "2006-10-29T02:31:00Z", "2006-10-28"),  # the day before
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_day_is_the_shop_s_own(world: World, zone: str, moment: str, date: str) -> None:
    world.stop_clock(moment)
    shop = world.shop(timezone=zone)
    shop.plan({"commission": {"default": {"percent": "10"}}}, since="2000-01-01T00:00:00Z")
    sam = shop.sharer("sam", codes=["SAM"], since="2000-01-01T00:00:00Z")
    link = shop.link(sam)
    shop.click(link)
    shop.told(at(shop, moment, codes=["SAM"]))
    world.app.extensions["passalong"].clicks.stop()
    [row] = read_report(shop, "shop-days")
    assert (row["day"], row["orders"], row["direct"], row["clicks"]) == (date, 1, "10.00", 1)
    [month] = read_report(shop, "sharer-months")
    assert (month["month"], month["orders"], month["earned"], month["clicks"]) == (date[:7], 1, "10.00", 1)
    world.books()


# --- what is wrong is named -------------------------------------------------------------------------------------------

TAMPERED = {
    "a day's net": (
        "UPDATE pa_shop_day SET net = net - 200 WHERE day = '2026-11-02'",
        "rollup shop-day 2026-11-02 USD net: booked 98.00, should be 100.00",
    ),
    "a day's count": (
        "UPDATE pa_shop_day SET orders = 7 WHERE day = '2026-11-02'",
        "rollup shop-day 2026-11-02 USD orders: booked 7, should be 1",
    ),
    "money of a day": (
        "UPDATE pa_shop_day SET direct = direct + 1 WHERE day = '2026-11-03'",
        "rollup shop-day 2026-11-03 USD direct: booked 10.01, should be 10.00",
    ),
    "a day that is gone": (
        "DELETE FROM pa_shop_day WHERE day = '2026-11-02'",
        "rollup shop-day 2026-11-02 USD net: booked 0.00, should be 100.00",
    ),
    "a day that never was": (
        "INSERT INTO pa_shop_day (shop_id, day, currency, paid_out) VALUES (1, '2031-01-01', 'KWD', 5)",
        "rollup shop-day 2031-01-01 KWD paid_out: booked 0.005, should be 0.000",
    ),
    "a sharer in all": (
        "UPDATE pa_sharer_total SET net = 1",
        "rollup sharer shr_1 USD net: booked 0.01, should be 100.00",
    ),
    "a sharer's month": (
        "UPDATE pa_sharer_month SET earned = 0",
        "rollup sharer-month shr_1 2026-11 USD earned: booked 0.00, should be 10.00",
    ),
    "clicks of a day": (
        "UPDATE pa_click_day SET clicks = clicks + 1",
        "rollup click-day 2026-11-03 clicks: booked 2, should be 1",
    ),
    "clicks of a sharer": (
        "DELETE FROM pa_click_month",
        "rollup click-month shr_1 2026-11 clicks: booked 0, should be 1",
    ),
    "a click that is gone": ("DELETE FROM pa_click", "rollup click-day 2026-11-03 clicks: booked 1, should be 0"),
}


@pytest.fixture
def told(world: World) -> Shop:
    """Give a shop with one order, one click and ten dollars earned."""
    world.stop_clock("2026-11-03T09:00:00Z")
    shop = world.shop()
    shop.plan()
    shop.click(shop.link(shop.sharer("sam", codes=["SAM"])))
    shop.told(at(shop, "2026-11-02T10:00:00Z", codes=["SAM"]))
    world.app.extensions["passalong"].clicks.stop()
    return shop


@pytest.mark.parametrize(("hand", "words"), TAMPERED.values(), ids=TAMPERED)
def test_check_books_names_the_row_that_was_changed_and_a_rebuild_mends_it(
    world: World, told: Shop, hand: str, words: str
) -> None:
    run(world, hand)
    said = world.command("check-books", expect=1)
    assert not said["ok"] and f"shop {told.key}: {words}" in said["problems"]
    assert world.command("rollups", "rebuild", "--shop", told.key)["mended"] >= 1
    assert world.command("check-books")["ok"]


@pytest.mark.parametrize("hand", ["net = net + 1", "counts = (1 = 0)", "counts_for = NULL", "new_buyer = (1 = 0)",
                                  "refunded = 1"])  # fmt: skip
def test_what_an_order_is_counted_as_is_derived_too(world: World, told: Shop, hand: str) -> None:
    run(world, f"UPDATE pa_order SET {hand}")
    problems = check_books(world.context).problems
    assert any("its row is not what its states and facts say" in one for one in problems)


def test_a_rollup_that_is_wrong_keeps_nobody_from_being_paid(world: World, told: Shop) -> None:
    run(world, "UPDATE pa_shop_day SET net = 5")
    assert world.command("check-books", expect=1)["problems"]
    world.release()
    assert [item["gross"] for item in told.pay()["items"]] == ["10.00"]


def test_a_row_that_cannot_be_counted_is_a_problem_and_no_crash(world: World, told: Shop) -> None:
    run(world, "UPDATE pa_order SET placed_at = 4000000000000000000")
    said = world.command("check-books", expect=1)
    assert any("the rollups cannot be derived: OverflowError" in one for one in said["problems"])


def test_a_rebuild_of_an_unknown_shop_is_refused(world: World) -> None:
    assert "no shop" in world.command("rollups", "rebuild", "--shop", "nothing", expect=1)


# --- a rebuild while things go on -------------------------------------------------------------------------------------


def test_what_happens_during_a_rebuild_is_counted_once(
    world: World, told: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world, *(f"DELETE FROM {table.name}" for table in ROLLUPS.values()))
    mend, happened = service._mend, []

    def meanwhile(*args: Any) -> bool:
        if not happened:
            happened.append(True)
            told.told(at(told, "2026-11-02T11:00:00Z", codes=["SAM"]))
            told.click(told.link("shr_1"))
            world.app.extensions["passalong"].clicks.stop()
        return mend(*args)

    monkeypatch.setattr(service, "_mend", meanwhile)
    rebuild_rollups(world.context)
    assert day(told, "2026-11-02")["orders"] == 2
    Truth(told, "UTC").compare()
    world.books()


def test_of_two_rebuilds_at_once_one_mends(world: World, told: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    run(world, *(f"DELETE FROM {table.name}" for table in ROLLUPS.values()))
    monkeypatch.setattr(service, "BATCH", 2)
    mend, calls = service._mend, []

    def other_first(*args: Any) -> bool:
        calls.append(args)
        if len(calls) == 2:  # in the middle of its work
            monkeypatch.setattr(service, "_mend", mend)
            assert rebuild_rollups(world.context)["mended"] > 0
            monkeypatch.setattr(service, "_mend", other_first)
        return mend(*args)

    monkeypatch.setattr(service, "_mend", other_first)
    rebuild_rollups(world.context)
    Truth(told, "UTC").compare()
    world.books()


# --- what a page costs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shop-days", "sharers", "sharer-months", "products", "channels"])
def test_a_report_reads_no_orders_transfers_or_clicks(world: World, told: Shop, name: str) -> None:
    said: list[str] = []
    engine = world.context.database.engine
    event.listen(engine, "before_cursor_execute", lambda _c, _cur, statement, *_rest: said.append(statement))
    assert read_report(told, name)
    assert world.response("GET", f"/reports/{name}?shop={told.key}&format=csv").status_code == 200
    words = {word.strip('(),"').partition(".")[0] for statement in said for word in statement.split()}
    raw = {"pa_order", "pa_order_state", "pa_transfer", "pa_click", "pa_lot", "pa_decision", "pa_fact", "pa_link"}
    assert words & set(metadata.tables) and not words & raw


def test_a_batch_writes_each_rollup_in_one_statement(world: World, told: Shop) -> None:
    for number in range(20):
        told.deliver(at(told, f"2026-11-{number + 1:02}T10:00:00Z", codes=["SAM"]))
    said: list[tuple[str, bool]] = []
    event.listen(
        world.context.database.engine,
        "before_cursor_execute",
        lambda _c, _cur, statement, _p, _ctx, many: said.append((statement, many)),
    )
    world.work()
    for table in ("pa_shop_day", "pa_sharer_total", "pa_sharer_month"):
        assert sum(statement.startswith(f"INSERT INTO {table} ") for statement, _ in said) == 1
    assert len(read_report(told, "shop-days")) == 20
