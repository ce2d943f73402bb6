"""Reports on the pages: the figures are those of the books, the file is whole, and no query breaks them."""

import csv
import html
import io
import re

from plugin.services.process_inbox import drain
from tests.admin_ui.office import Office, plain
from tests.admin_ui.walk import STATEMENTS_MAX, statements
from tests.world import World


def test_the_sales_formula_multiplies_to_the_sales(world: World) -> None:
    shop = world.shop()
    shop.plan()
    world.stop_clock("2026-11-01T11:00:00Z")
    alice = shop.sharer("alice", codes=["ALICE"])
    link = shop.link(alice)
    for _ in range(8):
        shop.click(link)
    world.app.extensions["passalong"].clicks.stop()
    for ref, amount, before in (("o1", "100.00", 0), ("o2", "50.01", 3)):
        line = {"id": "l1", "quantity": 1, "amount": amount, "tax": "0.00"}
        customer = {"id": ref, "email": f"{ref}@buyers.example", "orders_before": before}
        shop.told(shop.order(ref, codes=["ALICE"], lines=[line], customer=customer))
    rows = world.call("GET", f"/reports/sales-formula?shop={shop.key}", expect=200)["items"]
    assert rows == [
        {
            "month": "2026-11",
            "currency": "USD",
            "clicks": 8,
            "credited": 2,
            "conversion": "25.00",
            "order_value": "75.00",
            "net": "150.01",
            "new_share": "50.00",
        }
    ]
    assert world.call("GET", f"/reports/sales-formula?shop={shop.key}&month=2026-10", expect=200)["items"] == []
    page = plain(Office(world, "viewer").see(f"/{shop.key}/reports"))
    assert "25%" in page and "$75.00" in page and "$150.01" in page


def test_every_report_is_a_page_and_a_whole_file(world: World) -> None:
    shop = world.shop()
    shop.plan()
    office, path = Office(world, "viewer"), f"/{shop.key}/reports"
    assert "Nothing to report yet" in plain(office.see(path))
    for number in range(53):
        shop.sharer(f"s{number}", codes=[f"C{number}"])
    shop.told(shop.order(codes=["C7"]))
    page = office.see(f"{path}?report=sharers")
    assert "s52" in page and "s2<" not in page and "Show more" in page
    rows = list(csv.DictReader(io.StringIO(office.see(f"{path}?report=sharers&format=csv").removeprefix("\ufeff"))))
    assert len(rows) == 53 and {row["net"] for row in rows} == {"0.00", "100.00"}
    for name in ("shop-days", "sharer-months", "sales-formula", "products", "channels"):
        assert "$10" in plain(office.see(f"{path}?report={name}")), name


def test_no_query_breaks_a_report(world: World) -> None:
    shop = world.shop()
    office = Office(world, "viewer")
    for report in ("sharers", "shop-days", "sharer-months", "sales-formula", "products", "channels", "none", ""):
        for query in ("cursor=1.2.3.4", "since=9999-99-99&until=x", "month=2026-99", "month=%00", "cursor=%F0%9F",
                      "since=2026-13&until=0000-00", "cursor=202611..5591876"):
            office.see(f"/{shop.key}/reports?report={report}&{query}")


def test_products_and_channels_are_pages_with_the_formula_of_each_channel(world: World) -> None:
    world.stop_clock("2026-11-03T09:00:00Z")
    shop = world.shop()
    shop.plan()
    link = shop.link(shop.sharer("alice"), channel="LINE <b>", campaign="spring")
    token = [shop.click(link) for _ in range(4)][0]
    world.app.extensions["passalong"].clicks.stop()
    moment = "2026-11-03T09:00:00Z"
    line = {"id": "l1", "product_id": "p1", "title": "<i>Tea</i>", "quantity": 2, "amount": "50.00", "tax": "0.00"}
    times = {"placed_at": moment, "paid_at": moment, "updated_at": moment}
    shop.told(shop.order("o1", lines=[line], attributes={"_pa": token}, **times))
    office, path = Office(world, "viewer"), f"/{shop.key}/reports"
    page = office.see(f"{path}?report=products")
    assert "<i>Tea" not in page and "<i>Tea</i> USD 1 2 $50.00 $0.00 1 2 $50.00 $5.00 0%" in plain(page)
    page = office.see(f"{path}?report=channels")
    assert "<b>" not in page and "LINE <b> spring USD 4 25% 1 $50.00 $50.00 $0.00 $5.00" in plain(page)
    assert "Counted are" not in page
    shop.deliver(shop.order("o2", lines=[line]))
    drain(world.context)
    for name, is_behind in (("products", True), ("channels", True), ("shop-days", False)):
        assert ("Counted are the orders up to" in office.see(f"{path}?report={name}")) is is_behind


def test_a_period_is_a_tap_and_is_told_as_the_sales_formula(world: World) -> None:
    clock = world.stop_clock("2026-10-31T16:30:00Z")  # it is November in Taipei
    shop = world.shop(timezone="Asia/Taipei")
    shop.plan()
    shop.sharer("alice", codes=["A"])
    link = shop.link("shr_1")
    for day, amount in (("2026-09-30", "10.00"), ("2026-10-02", "30.00"), ("2026-10-03", "50.00")):
        moment = f"{day}T03:00:00Z"
        line = {"id": "l1", "quantity": 1, "amount": amount, "tax": "0.00"}
        shop.told(shop.order(codes=["A"], lines=[line], placed_at=moment, paid_at=moment, updated_at=moment))
        clock.set(moment)
        for _ in range(4):
            shop.click(link)
    world.app.extensions["passalong"].clicks.stop()
    clock.set("2026-10-31T16:30:00Z")
    office = Office(world, "viewer")
    path = f"/{shop.key}/reports?report=sales-formula"
    page = office.see(path)
    periods = dict(re.findall(r'href="/admin([^"]*)"[^>]*>(This month|Last month|This year|Last 30 days)<', page))
    assert {html.unescape(one).partition("&since=")[2]: name for one, name in periods.items()} == {
        "2026-11&until=2026-11": "This month", "2026-10&until=2026-10": "Last month",
        "2026-01&until=2026-11": "This year",
    }  # fmt: skip
    last_month = plain(office.see(f"{path}&since=2026-10&until=2026-10"))
    assert "Clicks 8 × Conversion 25% 2 orders × Order value $40.00 = Sales by sharers $80.00" in last_month
    assert "Conversion 25% 3 orders" in plain(office.see(f"{path}&since=2026-01&until=2026-11"))
    assert "= Sales by sharers" not in plain(office.see(path)) and "$10.00" not in last_month
    days = office.see(f"/{shop.key}/reports?report=shop-days")
    assert "since=2026-10-03&amp;until=2026-11-01" in days  # thirty days, today among them
    thirty = plain(office.see(f"/{shop.key}/reports?report=shop-days&since=2026-10-03&until=2026-11-01"))
    assert "Clicks 4 × Conversion 25% 1 order × Order value $50.00 = Sales by sharers $50.00" in thirty
    assert 'aria-current="true">Last month' in office.see(f"{path}&month=2026-10")  # as the API says it
    rows = world.call("GET", f"/reports/sales-formula?shop={shop.key}&since=2026-10&until=2026-10", expect=200)["items"]
    assert [(row["month"], row["net"]) for row in rows] == [("2026-10", "80.00")]
    for report in ("products", "channels", "sharer-months"):
        asked = f"/reports/{report}?shop={shop.key}&since=2026-10&until=2026-10"
        assert {row["month"] for row in world.call("GET", asked, expect=200)["items"]} == {"2026-10"}


def test_no_report_and_no_list_of_a_sharer_s_orders_costs_more_than_a_page_may(world: World) -> None:
    shop = world.shop()
    shop.plan()
    shop.click(shop.link(shop.sharer("alice", codes=["A"]), channel="line"))
    world.app.extensions["passalong"].clicks.stop()
    shop.told(shop.order(codes=["A"]))
    browser = Office(world, "viewer").browser
    reports = ("products", "channels", "sales-formula&since=2026-01&until=2026-12", "shop-days&since=2026-01-01")
    for path in (*(f"reports?report={report}" for report in reports), "orders?sharer=shr_1", "sharers/shr_1"):
        asked = statements(world, browser, f"/admin/{shop.key}/{path}")
        assert 0 < len(asked) <= STATEMENTS_MAX, (path, asked)
