"""Earnings, payouts and statements: what is shown adds up to the balances, says why and when, and is one's own."""

import csv
import io
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from plugin.services.public_id import SHARER, read
from plugin.services.show_earnings import list_lines, mask
from tests.admin_ui.desk import Browser
from tests.admin_ui.seat import set_program, sharer_browser
from tests.api.test_plans_of_reads import statements
from tests.world import Clock, Shop, World

_AMOUNT = re.compile(r'<span class="number strong">(-?)\$([0-9,.]+)</span><span class="badge [a-z]*">([^<]+)</span>')
_BALANCE = re.compile(r"<dt>([A-Z][a-z ]+?)(?: <span.*?)?</dt><dd>(-?)\$([0-9,.]+)</dd>")
PLAN = {"attribution": {"self_purchase": "hold"}, "commission": {"default": {"percent": "10"}}, "hold_days": 14}


@pytest.fixture
def shop(world: World, clock: Clock) -> Shop:
    """Give a shop that pays ten percent."""
    shop = world.shop()
    shop.plan(PLAN)
    return shop


def live(shop: Shop) -> str:
    """Let alice earn in every state there is, down to a debt; return her id."""
    world, alice = shop.world, shop.sharer("alice", codes=["A"])
    paid, under_way = shop.told(shop.order("paid", codes=["A"])), shop.order("flying", codes=["A"])
    world.release()
    shop.pay()
    shop.told(under_way)
    world.release()
    shop.step(shop.draft(), "approve")
    again = {"updated_at": "2026-11-20T10:00:00Z"}
    part = [{"id": "r1", "at": "2026-11-20T10:00:00Z", "lines": [], "amount": "30.00"}]
    shop.told(shop.order("paid", codes=["A"], refunds=part, **again))
    shop.told(shop.order("ready", codes=["A"]))
    world.release()
    shop.told(shop.order("waits", codes=["A"]))
    shop.told(shop.order("gone", codes=["A"]))
    shop.told(shop.order("gone", codes=["A"], status="cancelled", **again))
    shop.told(shop.order("own", codes=["A"], customer={"id": "c", "email": "alice@example.org", "orders_before": 0}))
    assert paid["commissions"][0]["amount"] == "10.00"
    return alice


def sums(found: list[tuple[str, ...]]) -> Counter[str]:
    """Add amounts of (name, sign, digits) by name."""
    total: Counter[str] = Counter()
    for name, sign, digits in found:
        total[name] += Decimal(f"{sign}{digits.replace(',', '')}")  # type: ignore[assignment]
    return total


def test_lines_add_up_to_the_balances_and_these_to_what_was_earned(shop: Shop) -> None:
    alice = live(shop)
    browser = sharer_browser(shop.world, alice)
    for path in ("earnings", ""):
        page = browser.get(f"/me/{shop.key}/{path}")
        shown = sums([(name, sign, digits) for name, sign, digits in _BALANCE.findall(page)])
        assert shown["Together"] == sum(shown.values()) - shown["Together"]
        told = shop.balance(alice)
        assert shown["Together"] == Decimal(told["earned"]) and shown["Ready"] == Decimal(told["payable"])
        assert {name: str(shown[name]) for name in ("On the way", "Held", "Being paid", "Paid")} == {
            "On the way": "10.00", "Held": "10.00", "Being paid": "10.00", "Paid": "10.00",
        }  # fmt: skip
    page = browser.get(f"/me/{shop.key}/earnings")
    by_state = sums([(state, sign, digits) for sign, digits, state in _AMOUNT.findall(page)])
    assert by_state == {name: shown[name] for name in by_state}
    assert by_state["Ready"] == Decimal("7.00")  # ten, less a debt of three
    shop.world.books()


def test_each_line_says_why_and_when_and_nothing_of_the_buyer(shop: Shop) -> None:
    alice = live(shop)
    browser = sharer_browser(shop.world, alice)
    page = browser.get(f"/me/{shop.key}/earnings")
    for said in (
        "with your code",
        "Ready on Nov 15, after the return period.",
        "The order was cancelled.",
        "Something was refunded",
        "It is kept off your next payout.",
        "The shop looks at this order first.",
    ):
        assert said in page, said
    assert "buyers.example" not in page and "#waits" not in page and "…its" in page
    texts = "".join(browser.get(f"/me/{shop.key}/earnings/{number}") for number in range(1, 7))
    assert "buyers.example" not in texts and "c-paid" not in texts and "#paid" not in texts
    assert "10%" in texts and "Clawed back" in texts and "Released" in texts


def test_a_line_is_marked_off_as_its_language_does(shop: Shop) -> None:
    alice = live(shop)
    assert ", with your code" in sharer_browser(shop.world, alice).get(f"/me/{shop.key}/earnings")
    assert "日，使用你的優惠碼" in sharer_browser(shop.world, alice, language="zh-TW").get(f"/me/{shop.key}/earnings")


def test_receipts_reckon_line_by_line_to_the_amount(shop: Shop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    lines = [
        {"id": "l1", "title": "Tea <b>x</b>", "quantity": 1, "amount": "40.00"},
        {"id": "l2", "title": None, "quantity": 1, "amount": "60.50"},
    ]
    shop.told(shop.order(codes=["A"], lines=lines))
    page = sharer_browser(shop.world, alice).get(f"/me/{shop.key}/earnings/1")
    assert "Tea &lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page and "Item 2" in page
    assert all(amount in page for amount in ("$40.00", "$4.00", "$60.50", "$6.05", "$10.05"))


def test_statements_say_which_orders_a_payment_pays(shop: Shop) -> None:
    alice = live(shop)
    browser = sharer_browser(shop.world, alice)
    page = browser.get(f"/me/{shop.key}/payouts")
    items = re.findall(r"payouts/(itm_[0-9]+)", page)
    assert len(items) == 2 and "bank 1" in page and "Set aside" in page
    statement = browser.get(f"/me/{shop.key}/payouts/{items[1]}")
    assert "$10.00" in statement and "…id" in statement and "#paid" not in statement
    answer = browser.client.get(f"/me/{shop.key}/payouts/{items[1]}/statement.csv")
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert [(row["order"], row["amount"], row["currency"]) for row in rows] == [("…id", "10.00", "USD")]
    assert "attachment" in answer.headers["Content-Disposition"]


def test_nobody_hears_of_a_draft(shop: Shop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order(codes=["A"]))
    shop.world.release()
    draft = shop.draft()
    browser = sharer_browser(shop.world, alice)
    assert "No payout yet" in browser.get(f"/me/{shop.key}/payouts")
    browser.get(f"/me/{shop.key}/payouts/{draft['items'][0]['id']}", expect=404)
    shop.step(draft, "approve")
    assert "Set aside" in browser.get(f"/me/{shop.key}/payouts")


def test_what_is_another_sharers_is_not_there(shop: Shop) -> None:
    world, alice, other = shop.world, live(shop), world_shop(shop.world)
    bob, carol = shop.sharer("bob"), other.sharer("carol")
    (item, *_) = re.findall(r"itm_[0-9]+", sharer_browser(world, alice).get(f"/me/{shop.key}/payouts"))
    for sharer, key in ((bob, shop.key), (carol, other.key)):
        browser = sharer_browser(world, sharer)
        assert "Nothing earned yet" in browser.get(f"/me/{key}/earnings")
        for path in ("earnings/1", f"payouts/{item}", f"payouts/{item}/statement.csv", "earnings/999", "payouts/itm_9"):
            browser.get(f"/me/{key}/{path}", expect=404)
    for path in ("", "share", "earnings", "earnings/1", "payouts", "profile"):
        sharer_browser(world, carol).get(f"/me/{shop.key}/{path}", expect=404)
        Browser(world).get(f"/me/{shop.key}/{path}", expect=303)


def world_shop(world: World) -> Shop:
    """Give another shop of the installation."""
    return world.shop(url="https://other.example.com")


def test_what_others_did_in_an_order_is_not_shown(shop: Shop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    bob = shop.sharer("bob", codes=["B"], referred_by=alice)
    shop.plan({**PLAN, "upline": {"percents": ["2"]}})
    shop.told(shop.order(codes=["B"]))
    page = sharer_browser(shop.world, alice).get(f"/me/{shop.key}/earnings/1")
    assert "$2.00" in page and "$10.00" not in page and "bob" not in page and bob not in page


def test_lists_are_paged_and_cost_the_same_however_long(shop: Shop) -> None:
    world, alice = shop.world, shop.sharer("alice", codes=["A"])
    browser = sharer_browser(world, alice)
    paths = ("", "earnings", "payouts")
    counts: list[list[int]] = []
    for upto in (3, 60):
        for number in range(0 if upto == 3 else 3, upto):
            shop.deliver(shop.order(f"n{number:03d}", codes=["A"]))
        world.work()
        counts.append([])
        for path in paths:
            with statements(world.context.database.engine) as seen:
                browser.get(f"/me/{shop.key}/{path}")
            counts[-1].append(len(seen))
    assert counts[0] == counts[1] and max(counts[1]) <= 12, counts
    first = browser.get(f"/me/{shop.key}/earnings")
    (more,) = re.findall(r'href="(/me/[^"]+earnings\?after=[^"]+)"', first)
    second = browser.get(more.replace("&amp;", "&"))
    found = re.findall(r"earnings/([0-9]+)", first) + re.findall(r"earnings/([0-9]+)", second)
    assert [int(one) for one in found] == sorted(map(int, found), reverse=True) and len(set(found)) == 60
    number = read(SHARER, alice)
    walked, after = [], None
    while True:
        page = list_lines(world.context, number, after=after, limit=7)
        walked += [line.order_id for line in page.items]
        if (after := page.next) is None:
            break
    assert walked == [int(one) for one in found]
    for bad in ("x", "1", "9" * 30, "1.direct", "-1.a.b", "١.a.b"):
        assert browser.client.get(f"/me/{shop.key}/earnings?after={bad}").status_code in (200, 404)
        assert browser.client.get(f"/me/{shop.key}/payouts?before={bad}").status_code in (200, 404)


def test_several_currencies_stand_side_by_side_and_are_never_added(shop: Shop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order(codes=["A"]))
    shop.told(shop.order(codes=["A"], currency="JPY"))
    page = sharer_browser(shop.world, alice).get(f"/me/{shop.key}/")
    assert "$10.00" in page and "¥10" in page and "<table" in page and "$20" not in page


@pytest.mark.parametrize(
    ("number", "shown"), [("#1003", "…03"), ("A-2026-000123", "…123"), ("7", "…"), ("", "…"), ("42", "…2")]
)
def test_numbers_are_shown_by_their_end(number: str, shown: str) -> None:
    assert mask(number) == shown


def test_how_one_stands_is_said_at_home(shop: Shop) -> None:
    alice: Any = shop.sharer("alice", status="pending")
    set_program(shop.world, shop, brand_color="#ffee00", logo_url="https://cdn.example/logo.png")
    browser = sharer_browser(shop.world, alice)
    page = browser.get(f"/me/{shop.key}/")
    assert "yet to approve you" in page and "Get my link" not in page and "https://cdn.example/logo.png" in page
    browser.post(f"/me/{shop.key}/link", on=f"/me/{shop.key}/", expect=409)
    shop.world.call("PATCH", f"/sharers/{alice}", {"status": "approved"}, expect=200)
    assert "Get my link" in browser.get(f"/me/{shop.key}/")
    browser.post(f"/me/{shop.key}/link", on=f"/me/{shop.key}/")
    browser.post(f"/me/{shop.key}/link", on=f"/me/{shop.key}/")
    (link,) = shop.world.call("GET", f"/links?sharer={alice}", expect=200)["items"]
    page = browser.get(f"/me/{shop.key}/")
    assert link["share_url"] in page and "line.me/R/share?text=" in page and "wa.me/?text=" in page
    shop.world.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    page = browser.get(f"/me/{shop.key}/")
    assert "do not share for this shop" in page and link["share_url"] not in page
