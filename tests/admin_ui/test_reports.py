"""Reports on the pages: the figures are those of the books, the file is whole, and no query breaks them."""

import csv
import io

from tests.admin_ui.office import Office, plain
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
    for name in ("shop-days", "sharer-months", "sales-formula"):
        assert "$10" in plain(office.see(f"{path}?report={name}")), name


def test_no_query_breaks_a_report(world: World) -> None:
    shop = world.shop()
    office = Office(world, "viewer")
    for report in ("sharers", "shop-days", "sharer-months", "sales-formula", "none", ""):
        for query in ("cursor=1.2.3.4", "since=9999-99-99&until=x", "month=2026-99", "month=%00", "cursor=%F0%9F"):
            office.see(f"/{shop.key}/reports?report={report}&{query}")
