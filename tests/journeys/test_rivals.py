"""Fifteen journeys on which the systems people use today lose, double or invent money; here each ends to the cent.

The numbers are those of the list of rivals' failures; each journey goes through the doors, on both databases.
"""

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from plugin.domain.moment import SECOND, format_moment
from plugin.models import account, metadata, transfer
from plugin.services import process_inbox
from tests.world import PLACED, TEN, Shop, World


def refunds(*amounts: str) -> list[dict[str, str]]:
    """Return refunds of these amounts."""
    return [{"id": f"r{number}", "amount": amount} for number, amount in enumerate(amounts, start=1)]


def later(days: int) -> str:
    """Return a time some days after the order."""
    return (datetime.fromisoformat(PLACED) + timedelta(days=days)).isoformat()


def moved(world: World) -> Counter[str]:
    """Return the sums of all transfers by kind, in minor units."""
    sums: Counter[str] = Counter()
    with world.context.database.reading() as connection:
        for row in connection.execute(select(transfer.c.kind, func.sum(transfer.c.amount)).group_by(transfer.c.kind)):
            sums[row[0]] = int(row[1])
    return sums


def amount(shop: Shop, ref: str) -> str:
    """Return the amount of the one commission of an order."""
    (one,) = shop.see(ref)["commissions"]
    found: str = one["amount"]
    return found


def test_01_three_uneven_refunds_take_back_exactly_what_was_earned(world: World, shop: Shop, alice: str) -> None:
    """33.33 + 33.33 + 33.34 of 100.00 at 10 %: 10.00 in all, never 9.99 or 10.01."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    parts, left = ("33.33", "33.33", "33.34"), []
    for count in range(1, 4):
        shop.told(order | {"updated_at": later(count), "refunds": refunds(*parts[:count])})
        left.append(amount(shop, "o1"))
    assert left == ["6.67", "3.33", "0.00"]
    assert moved(world) == {"earn": 1000, "take_back": 1000}
    assert shop.see("o1")["commissions"][0]["clawed_back"] == "10.00"
    world.books()


def test_02_a_refund_of_one_dollar_takes_back_ten_cents_and_not_everything(
    world: World, shop: Shop, alice: str
) -> None:
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    shop.told(order | {"updated_at": later(1), "refunds": refunds("1.00")})
    assert amount(shop, "o1") == "9.90" == shop.balance(alice)["pending"]
    world.books()


def test_03_a_refund_after_the_payout_is_a_debt_that_the_next_commission_pays(
    world: World, shop: Shop, alice: str
) -> None:
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    world.release()
    assert shop.pay()["items"][0]["net"] == "10.00"
    shop.told(order | {"updated_at": later(40), "refunds": refunds("45.00")})
    assert (shop.balance(alice)["payable"], shop.draft()["items"]) == ("-4.50", [])
    shop.told(shop.order("o2", codes=["ALICE10"]))
    world.release()
    payout = shop.pay()
    assert [item["net"] for item in payout["items"]] == ["5.50"]
    balance = shop.balance(alice)
    assert (balance["payable"], balance["paid"], balance["earned"]) == ("0.00", "15.50", "15.50")
    world.books()


def test_04_processing_that_fails_once_and_a_shop_that_sends_again_make_one_commission(
    world: World, shop: Shop, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = world.stop_clock("2026-11-22T12:00:00Z")
    order, settle, failed = shop.order("o1", codes=["ALICE10"]), process_inbox.settle, []

    def fail_once(*args: Any, **kwargs: Any) -> Any:
        made = settle(*args, **kwargs)
        if not failed:
            failed.append(True)
            raise OSError("the disk went away after everything was written and before it was committed")
        return made

    monkeypatch.setattr(process_inbox, "settle", fail_once)
    shop.deliver(order, delivery_id="msg_1")
    world.work()
    assert failed and shop.balance(alice)["earned"] == "0.00"
    shop.deliver(order, delivery_id="msg_1")
    shop.deliver(order, delivery_id="msg_2")
    clock.add(60)
    world.work()
    assert moved(world) == {"earn": 1000} and shop.balance(alice)["pending"] == "10.00"
    assert {one["state"] for one in world.deliveries()} == {"done"}
    world.books()


def test_05_two_payouts_of_the_whole_balance_at_once_pay_it_once(world: World, shop: Shop, alice: str) -> None:
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    headers = {"Authorization": f"Bearer {world.token}"}

    def whole_way(_: int) -> list[str]:
        client = world.app.test_client()

        def post(path: str, body: Any) -> Any:
            return client.post(f"/api/v1{path}", json=body, headers=headers).get_json()

        payout = post("/payouts", {"shop": shop.key, "rail": "manual", "currency": "USD", "sharers": [alice]})
        post(f"/payouts/{payout['id']}/approve", {})
        return [item["net"] for item in post(f"/payouts/{payout['id']}/submit", {})["items"]]

    with ThreadPoolExecutor(4) as threads:
        sent = [net for nets in threads.map(whole_way, range(4)) for net in nets]
    assert sent == ["10.00"]
    balance = shop.balance(alice)
    assert (balance["payable"], balance["in_flight"]) == ("0.00", "10.00")
    world.books()


def test_06_ten_percent_of_a_thousand_yen_are_a_hundred_yen(world: World, shop: Shop, alice: str) -> None:
    order = shop.order("o1", codes=["ALICE10"], currency="JPY")
    order["lines"][0]["amount"] = "1000"
    shop.told(order)
    assert (amount(shop, "o1"), moved(world)) == ("100", {"earn": 100})
    world.release()
    assert shop.pay("JPY")["items"][0]["net"] == "100"
    world.books()


def test_07_two_currencies_of_one_sharer_are_two_balances(world: World, shop: Shop, alice: str) -> None:
    shop.told(shop.order("o1", codes=["ALICE10"]))
    shop.told(shop.order("o2", codes=["ALICE10"], currency="EUR"))
    balances = world.call("GET", f"/sharers/{alice}/balances", expect=200)["balances"]
    assert sorted((one["currency"], one["pending"]) for one in balances) == [("EUR", "10.00"), ("USD", "10.00")]
    assert world.release()["amounts"] == {"EUR": "10.00", "USD": "10.00"}
    assert [item["net"] for item in shop.pay("EUR")["items"]] == ["10.00"]
    assert (shop.balance(alice, "EUR")["payable"], shop.balance(alice, "USD")["payable"]) == ("0.00", "10.00")
    world.books()


def test_08_an_old_order_that_is_edited_keeps_the_rate_it_was_placed_under(
    world: World, shop: Shop, alice: str
) -> None:
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    shop.plan({"commission": {"default": {"percent": "20"}}}, since=None)
    shop.told(order | {"updated_at": later(30), "number": "edited"})
    assert amount(shop, "o1") == "10.00"
    order["lines"][0]["amount"] = "80.00"
    shop.told(order | {"updated_at": later(31)})
    assert amount(shop, "o1") == "8.00" == shop.balance(alice)["pending"]
    world.books()


def test_09_twelve_and_a_half_percent_are_not_twelve(world: World) -> None:
    shop = world.shop()
    shop.plan({"commission": {"default": {"percent": "12.5"}}})
    shop.sharer("alice", codes=["ALICE10"])
    shop.told(shop.order("o1", codes=["ALICE10"]))
    assert amount(shop, "o1") == "12.50"
    world.books()


@pytest.mark.parametrize(
    ("priority", "winner", "lost"),
    [
        (["manual", "coupon", "link", "binding"], "bob", "link"),
        (["manual", "link", "coupon", "binding"], "alice", "coupon"),
        (["link"], "alice", "coupon"),
    ],
)
def test_10_a_link_of_one_and_a_coupon_of_another_pay_one_by_rule_and_say_why(
    world: World, priority: list[str], winner: str, lost: str
) -> None:
    shop = world.shop()
    shop.plan({**TEN, "attribution": {"priority": priority}})
    who = {name: shop.sharer(name, codes=[f"{name.upper()}10"]) for name in ("alice", "bob")}
    token = shop.click(shop.link(who["alice"]))
    now = format_moment(world.context.now() // SECOND * SECOND)
    placed = {"placed_at": now, "paid_at": now, "updated_at": now}
    seen = shop.told(shop.order("o1", codes=["BOB10"], attributes={"_pa": token}, **placed))
    assert [(one["sharer"], one["amount"]) for one in seen["commissions"]] == [(who[winner], "10.00")]
    receipt = shop.receipt("o1")
    kinds = {one["kind"]: one["sharer"] for one in receipt["evidence"]}
    assert kinds == {"coupon": who["bob"], "link": who["alice"]}  # also what lost is told
    assert (receipt["winner"], receipt["reason"]) == (who[winner], {"coupon": "link", "link": "coupon"}[lost])
    assert moved(world) == {"earn": 1000}
    world.books()


def test_11_shipping_is_spread_by_value_also_over_what_pays_nothing_and_none_is_lost(world: World) -> None:
    """60.00 that pays and 40.00 that does not, shipping 10.00: 10 % of 60.00 + 6.00."""
    shop = world.shop()
    rules = [{"id": "gift cards", "when": {"skus": ["GIFT"]}, "pay": {"none": True}}]
    shop.plan({"commission": {"include_shipping": True, "rules": rules, "default": {"percent": "10"}}})
    alice = shop.sharer("alice", codes=["ALICE10"])
    lines = [
        {"id": "l1", "sku": "TEA", "quantity": 1, "amount": "60.00"},
        {"id": "l2", "sku": "GIFT", "quantity": 1, "amount": "40.00"},
    ]
    seen = shop.told(shop.order("o1", codes=["ALICE10"], lines=lines, shipping={"amount": "10.00"}))
    assert (seen["net"], amount(shop, "o1"), shop.balance(alice)["pending"]) == ("66.00", "6.60", "6.60")
    assert [(line["base"], line["commission"]) for line in seen["lines"]] == [("66.00", "6.60"), ("44.00", "0.00")]
    world.books()


def test_12_an_item_stays_in_flight_until_it_is_marked_and_can_never_be_paid_again(
    world: World, shop: Shop, alice: str
) -> None:
    """Nothing but a person's word ends it; no later payout, refund or click sends the money a second time."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    world.release()
    payout = shop.step(shop.step(shop.draft(), "approve"), "submit")
    (item,) = payout["items"]
    for disturb in (
        lambda: world.release(),
        lambda: world.work(),
        lambda: shop.told(order | {"updated_at": later(60), "number": "seen again"}),
        lambda: shop.step(payout, "submit", expect=409),
        lambda: shop.step(payout, "cancel", expect=409),
        lambda: shop.step(payout, "approve", expect=409),
    ):
        disturb()
        seen = world.call("GET", f"/payouts/{payout['id']}", expect=200)
        assert (seen["state"], seen["items"][0]["state"]) == ("submitted", "in_flight")
        assert shop.balance(alice)["in_flight"] == "10.00" and shop.draft()["items"] == []
    paid = shop.mark(payout, item, "paid", reference="bank 17")
    assert (paid["state"], paid["items"][0]["state"], paid["items"][0]["reference"]) == ("settled", "paid", "bank 17")
    for state in ("paid", "failed"):
        assert shop.mark(payout, item, state, expect=409)["code"] == "wrong_state"
    for verb in ("approve", "submit", "cancel"):
        assert shop.step(payout, verb, expect=409)["code"] == "wrong_state"
    assert shop.draft()["items"] == [] and shop.balance(alice)["paid"] == "10.00"
    assert moved(world)["settle"] == 1000
    returned = shop.mark(payout, item, "returned", reason="account closed")
    assert returned["items"][0]["state"] == "returned" and shop.balance(alice)["payable"] == "10.00"
    for state in ("paid", "failed", "returned"):
        assert shop.mark(payout, item, state, expect=409)["code"] == "wrong_state"
    world.books()


def test_13_a_conversion_cannot_be_made_up(world: World, shop: Shop, alice: str) -> None:
    """No door counts a sale without the shop's own signature, and none reads a rate from a visitor."""
    body = json.dumps({"type": "order", "data": shop.order("o1", codes=["ALICE10"])}).encode()
    digests = [hashlib.new(name, body).hexdigest() for name in ("md5", "sha1", "sha256")]
    at = str(world.context.now() // SECOND)
    for digest in digests:
        for headers in (
            {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": f"v1,{digest}"},
            {"X-WC-Webhook-Signature": digest},
            {"Authorization": f"Bearer {digest}"},
        ):
            assert shop.post(body, headers).status_code == 401
    for path in ("/conversions", "/api/v1/conversions", "/api/v1/orders", "/track", f"/s/{shop.key}", "/pa/convert"):
        sent = {"visit_id": "777", "amount": "100.00", "affiliate": alice, "md5": digests[0]}
        assert world.client.post(path, json=sent).status_code in (401, 404, 405)
    token = shop.click(shop.link(alice))
    middle = len(token) // 2
    forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    cheated = {"_pa": forged, "rate": "90", "percent": "90", "commission": "90.00"}
    seen = shop.told(shop.order("o2", attributes=cheated))
    assert seen["commissions"] == [] and shop.receipt("o2")["evidence"][0]["reason"] == "forged"
    assert moved(world) == {}


def test_13b_a_rate_in_the_visitor_s_cookie_or_address_changes_nothing(world: World, shop: Shop, alice: str) -> None:
    code = shop.link(alice)["code"]
    headers = {"User-Agent": "Mozilla/5.0", "Cookie": "rate=90; commission=90; pa=forged; sharer=shr_99"}
    answer = world.client.get(f"/s/{code}?rate=90&commission=90", headers=headers)
    assert answer.status_code == 302 and "Set-Cookie" not in answer.headers and "90" not in answer.headers["Location"]
    token = answer.headers["Location"].split("pa=", 1)[1].split("&")[0]
    now = format_moment(world.context.now() // SECOND * SECOND)
    placed = {"placed_at": now, "paid_at": now, "updated_at": now}
    shop.told(shop.order("o1", attributes={"_pa": token, "rate": "90"}, landing_url="https://x/?rate=90", **placed))
    assert amount(shop, "o1") == "10.00" == shop.balance(alice)["pending"]
    world.books()


def test_14_a_refund_that_comes_before_its_order_ends_in_the_same_books(world: World) -> None:
    books = []
    for order_of_arrival in ([0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1, 0, 2]):
        shop = world.shop()
        shop.plan()
        alice = shop.sharer("alice", codes=["ALICE10"])
        placed = shop.order("o1", codes=["ALICE10"], payment="unpaid", paid_at=None)
        paid = placed | {"updated_at": later(1), "payment": "paid", "paid_at": later(1)}
        refunded = paid | {"updated_at": later(2), "refunds": refunds("25.00")}
        for index in order_of_arrival:
            shop.told((placed, paid, refunded)[index])
        seen = shop.see("o1")
        assert seen.pop("commissions")[0].pop("sharer") == alice
        books.append((seen, dict(shop.balance(alice))))
    assert books[0][1]["pending"] == "7.50"
    assert all(one == books[0] for one in books)
    world.books()


def test_15_erasing_a_buyer_leaves_no_person_and_every_amount(world: World, shop: Shop, alice: str) -> None:
    buyer = {"id": "c-77", "email": "Berta.Buyer@example.net", "orders_before": 0}
    person = {"billing": {"name": "Berta Buyer", "phone": "+886 912 345 678", "street": "Nowhere Road 7"}}
    order = shop.order("o1", codes=["ALICE10"], customer=buyer, **person)
    shop.told(order)
    shop.told(order | {"updated_at": later(1), "refunds": refunds("20.00")})
    shop.told(shop.order("other", codes=["ALICE10"]))
    world.release()
    before, seen, receipt = trial_balance(world), shop.see("o1"), shop.receipt("o1")
    erased = world.command("erase", "--email", "berta.buyer@example.net")
    assert erased["erased_bodies"] == 2
    assert trial_balance(world) == before and shop.see("o1") == seen and shop.receipt("o1") == receipt
    assert amount(shop, "o1") == "8.00" and shop.balance(alice)["payable"] == "18.00"
    shown = [seen, receipt, world.call("GET", "/events?limit=500", expect=200), world.deliveries()]
    shown.append(world.call("GET", f"/sharers/{alice}/transfers", expect=200))
    text = (json.dumps(shown) + everything(world)).lower()
    for piece in ("berta", "buyer@", "886 912", "nowhere road"):
        assert piece not in text
    world.books()
    assert world.command("replay", "--all")["changed"] == 0 and trial_balance(world) == before


def trial_balance(world: World) -> list[tuple[Any, ...]]:
    """Return every account with its balance."""
    with world.context.database.reading() as connection:
        columns = (account.c.id, account.c.purpose, account.c.currency, account.c.balance)
        return [tuple(row) for row in connection.execute(select(*columns).order_by(account.c.id))]


def everything(world: World) -> str:
    """Return all text and bytes that the tables hold, sealed bodies opened by nobody."""
    with world.context.database.reading() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(table.select())]
    return "\n".join(one.decode("latin-1") if isinstance(one, bytes) else str(one) for row in rows for one in row)
