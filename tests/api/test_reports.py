"""Reports over the API: pages, CSV that a spreadsheet cannot be fooled by, and who may read what."""

import csv
import io
from typing import Any

import pytest

from plugin.api.reports import write_csv
from plugin.reports.base import Column
from tests.rollup_truth import read_report
from tests.world import LONG_AGO, Shop, World

REPORTS = ("shop-days", "sharer-months", "sharers", "products", "channels")


def three_days(world: World) -> Shop:
    """Make a shop with three sharers, orders on three days in two currencies, and clicks."""
    world.stop_clock("2026-11-03T09:00:00Z")
    shop = world.shop()
    shop.plan()
    names = {"sam": "Sam", "eve": '=HYPERLINK("http://evil.example","Sam")', "tom": "Tóm, 分享者"}
    for name, shown in names.items():
        body = {"shop": shop.key, "email": f"{name}@example.org", "name": shown, "codes": [name], "since": LONG_AGO}
        shop.click(shop.link(world.call("POST", "/sharers", body, expect=201)["id"]))
    for number, code in enumerate(("sam", "eve", "tom", "sam", "eve", "tom")):
        moment = f"2026-{10 + number % 2}-0{1 + number % 3}T10:00:00Z"
        shop.deliver(
            shop.order(
                codes=[code],
                placed_at=moment,
                paid_at=moment,
                updated_at=moment,
                currency=("USD", "JPY")[number % 2],
            )
        )
    world.work()
    world.app.extensions["passalong"].clicks.stop()
    return shop


pytestmark = pytest.mark.past(made_by=three_days)


@pytest.fixture
def shop(began: Shop) -> Shop:
    """Give the shop."""
    return began


def table(shop: Shop, name: str, **query: str) -> list[dict[str, str]]:
    """Return a report read as CSV, by an independent reader that is strict."""
    asked = "".join(f"&{key}={value}" for key, value in query.items())
    response = shop.world.response("GET", f"/reports/{name}?shop={shop.key}&format=csv{asked}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{shop.key}-{name}.csv"'
    text = response.get_data().decode("utf-8")
    assert text.endswith("\r\n") and text.count("\n") == text.count("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_pages_of_any_size_come_to_the_same_rows(shop: Shop, name: str, limit: int) -> None:
    whole = read_report(shop, name)
    assert len(whole) > 1
    assert read_report(shop, name, limit=limit) == whole


def test_the_newest_come_first(shop: Shop) -> None:
    days = [(row["day"], row["currency"]) for row in read_report(shop, "shop-days")]
    assert [one[0] for one in days] == sorted((one[0] for one in days), reverse=True)
    assert days[:2] == [("2026-11-03", "JPY"), ("2026-11-03", "USD")]
    months = [row["month"] for row in read_report(shop, "sharer-months")]
    assert months == sorted(months, reverse=True)
    sharers = [(row["sharer"], row["currency"]) for row in read_report(shop, "sharers")]
    assert sharers == [("shr_3", "JPY"), ("shr_3", "USD"), ("shr_2", "JPY"), ("shr_2", "USD"), *sharers[4:]]


def test_a_part_of_a_report_is_asked_for_by_its_dates(shop: Shop) -> None:
    days = [row["day"] for row in read_report(shop, "shop-days", since="2026-10-02", until="2026-11-01")]
    assert days == ["2026-11-01", "2026-10-03", "2026-10-02"]
    months = read_report(shop, "sharer-months", month="2026-10")
    assert months and {row["month"] for row in months} == {"2026-10"}
    assert read_report(shop, "sharer-months", month="2031-01") == []


@pytest.mark.parametrize("name", REPORTS)
def test_csv_says_what_json_says_whole(shop: Shop, name: str) -> None:
    rows = read_report(shop, name)
    said = table(shop, name, limit="1")
    assert [row | {"name": None} for row in said] == [
        {key: "" if value is None else str(value) for key, value in row.items()} | {"name": None} for row in rows
    ]
    assert list(said[0]) == list(rows[0])


def test_no_name_acts_as_a_formula(shop: Shop) -> None:
    names = {row["sharer"]: row["name"] for row in table(shop, "sharers")}
    assert names == {"shr_1": "Sam", "shr_2": '\'=HYPERLINK("http://evil.example","Sam")', "shr_3": "Tóm, 分享者"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1"])
def test_whatever_begins_like_a_formula_is_quoted(text: str) -> None:
    columns = [Column("a", "text", ""), Column("b", "money", ""), Column("c", "count", "")]
    said = write_csv(columns, [{"a": text, "b": "-12.30", "c": -4}])
    assert list(csv.reader(io.StringIO(said, newline=""), strict=True))[1] == [f"'{text}", "-12.30", "-4"]


def test_text_comes_back_whatever_it_holds() -> None:
    texts = ['quo"te', "com,ma", "two\r\nlines", "", "a=b", "分享者", None]
    said = write_csv([Column("a", "text", "")], [{"a": text} for text in texts])
    rows = list(csv.reader(io.StringIO(said, newline=""), strict=True))
    assert [row[0] if row else "" for row in rows[1:]] == [text or "" for text in texts]


def test_an_owed_amount_stays_a_number(world: World, shop: Shop) -> None:
    order = shop.told(shop.order("owed", codes=["sam"]))
    world.release()
    shop.pay()
    shop.told(shop.order("owed", codes=["sam"], updated_at="2027-01-01T00:00:00Z", status="cancelled"))
    assert order["id"] == "owed"
    payable = {(row["sharer"], row["currency"]): row["payable"] for row in table(shop, "sharers")}
    assert payable["shr_1", "USD"] == "-10.00"


def test_nothing_to_tell_is_a_page_without_items_and_a_table_without_rows(world: World) -> None:
    shop = world.shop()
    for name in REPORTS:
        assert read_report(shop, name) == [] and table(shop, name) == []


def test_a_report_is_its_shop_s_alone(world: World, shop: Shop) -> None:
    other = world.shop(url="https://other.example.com")
    other.plan()
    other.sharer("zoe", codes=["sam"])
    other.told(other.order(codes=["sam"]))
    assert {row["sharer"] for row in read_report(other, "sharers")} == {"shr_4"}
    assert [row["orders"] for row in read_report(other, "shop-days") if row["orders"]] == [1]
    assert all(row["sharer"] != "shr_4" for row in read_report(shop, "sharers") + read_report(shop, "sharer-months"))


def test_who_may_read(world: World, shop: Shop) -> None:
    other = world.shop(url="https://other.example.com")
    path = f"/reports/sharers?shop={shop.key}"
    token = world.command("token", "add", "reader", "--shop", shop.key, "--scope", "read")["token"]
    assert world.call("GET", path, expect=200, Authorization=f"Bearer {token}")["items"]
    foreign = world.command("token", "add", "other", "--shop", other.key, "--scope", "payout")["token"]
    assert world.call("GET", path, expect=404, Authorization=f"Bearer {foreign}")["code"] == "unknown_shop"
    assert world.call("GET", path, expect=401, Authorization="Bearer no")["code"] == "bad_token"
    assert world.call("GET", f"{path}&format=csv", expect=404, Authorization=f"Bearer {foreign}")
    assert world.call("GET", "/reports/sharers?shop=nothing", expect=404)["code"] == "unknown_shop"


WRONG = {
    "shop-days?shop={0}&since=2026-02-30": "since",
    "shop-days?shop={0}&until=20261122": "until",
    "shop-days?shop={0}&since=2026-1-1": "since",
    "shop-days?shop={0}&since=２０２６-11-22": "since",
    "shop-days?shop={0}&month=2026-11": "month",
    "sharer-months?shop={0}&month=2026-13": "month",
    "sharer-months?shop={0}&month=2026-11-01": "month",
    "sharers?shop={0}&since=2026-11-22": "since",
    "sharers?shop={0}&format=xlsx": "format",
    "sharers?shop={0}&limit=0": "limit",
    "sharers?shop={0}&limit=501": "limit",
    "sharers?shop={0}&cursor=1": "cursor",
    "sharers?shop={0}&cursor=1.2": "cursor",
    "sharers?shop={0}&cursor=x.5592900": "cursor",
    "sharers?shop={0}&cursor=1.999999999999999999": "cursor",
    "shop-days?shop={0}&cursor=20261340.5591876": "cursor",
    "shop-days?shop={0}&cursor=999999999999999999.5591876": "cursor",
    "sharer-months?shop={0}&cursor=202611.5591876": "cursor",
    "sharers?": "shop",
    "products?shop={0}&since=2026-11-01": "since",
    "products?shop={0}&cursor=202611.dGVh": "cursor",
    "products?shop={0}&cursor=202611.dGVh=.5591876": "cursor",
    "products?shop={0}&cursor=202611.A.5591876": "cursor",
    "products?shop={0}&cursor=202611._w.5591876": "cursor",
    "products?shop={0}&cursor=202611.AA.5591876": "cursor",
    "channels?shop={0}&cursor=202611.dGVh.5591876": "cursor",
}


@pytest.mark.parametrize(("path", "field"), WRONG.items())
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_asked_wrongly_is_said_by_field(world: World, shop: Shop, path: str, field: str) -> None:
    said: Any = world.call("GET", f"/reports/{path.format(shop.key)}", expect=422)
    assert list(said["errors"]) == [field] and said["errors"][field][0].endswith((".", "]"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_there_is_no_report_but_those_there_are(world: World, shop: Shop) -> None:
    assert world.call("GET", f"/reports/nothing?shop={shop.key}", expect=404)["code"] == "not_found"
    assert world.call("POST", f"/reports/sharers?shop={shop.key}", {}, expect=405)["code"] == "method_not_allowed"
