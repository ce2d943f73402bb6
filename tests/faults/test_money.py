"""Money under faults: refunds, currencies, changed rules, debts, holds, own purchases, payouts that meet refunds.

Cases 21 to 31, 40 and 44 of the list, each with its cents, through the doors, on both databases.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, text

from plugin.models import fact, transfer
from tests.admin_ui.desk import member
from tests.world import PLACED, TEN, Shop, World


def at(day: int, hour: int = 10) -> str:
    """Return a time of November 2026."""
    return f"2026-11-{day:02d}T{hour:02d}:00:00Z"


def only(shop: Shop, ref: str, role: str = "direct") -> Any:
    """Return the one commission an order has in a role."""
    (one,) = [one for one in shop.see(ref)["commissions"] if one["role"] == role]
    return one


def transfers(world: World) -> int:
    """Return how many transfers there are."""
    with world.context.database.reading() as connection:
        number: int = connection.execute(select(func.count()).select_from(transfer)).scalar_one()
    return number


def paid_out(shop: Shop, sharer: str, currency: str = "USD") -> str:
    """Release and pay what a sharer has; return what was paid."""
    shop.world.release()
    payout = shop.pay(currency, sharers=[sharer])
    (item,) = payout["items"]
    assert (item["state"], payout["state"]) == ("paid", "settled")
    net: str = item["net"]
    return net


# -- refunds -----------------------------------------------------------------------------------------------------------


def test_999_refunds_of_a_cent_never_take_back_more_than_was_earned_and_never_drift(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 21: after each refund the commission is that of what is left, rounded once; it only falls."""
    order = shop.order("o1", codes=["ALICE10"])
    order["lines"][0]["amount"] = "10.00"
    refunds = [{"id": f"r{number}", "amount": "0.01"} for number in range(1, 1_000)]
    before = Decimal("1.00")
    for taken in [*range(21), 49, 50, 51, 149, 150, 151, 499, 500, 949, 950, 951, *range(990, 1_000)]:
        updated = datetime(2026, 11, 1, 10, tzinfo=UTC) + timedelta(minutes=taken)
        shop.deliver(order | {"updated_at": updated.isoformat(), "refunds": refunds[:taken]})
        world.work()
        left = Decimal("10.00") - taken * Decimal("0.01")
        expected = (left / 10).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        one = only(shop, "o1")
        assert (one["amount"], one["earned"]) == (str(expected), "1.00"), taken
        assert Decimal(one["clawed_back"]) + expected == 1 and expected <= before
        before = expected
    assert shop.balance(alice)["earned"] == "0.00" and shop.see("o1")["refunded"] == "9.99"
    world.books()


def test_refunds_beyond_the_order_are_clamped_and_flagged(world: World, shop: Shop, alice: str) -> None:
    """Case 22."""
    order = shop.order("o1", codes=["ALICE10"], shipping={"amount": "5.00"})
    refunds = [{"id": "r1", "amount": "80.00"}, {"id": "r2", "amount": "80.00"}]
    seen = shop.told(order | {"refunds": refunds})
    assert seen["flags"] == ["refund_exceeds_order"] and seen["refunded"] == "160.00" and seen["net"] == "0.00"
    assert only(shop, "o1")["amount"] == "0.00" == shop.balance(alice)["pending"]
    # To the very last cent of goods and shipping it is no excess.
    whole = [{"id": "r1", "amount": "80.00"}, {"id": "r2", "amount": "25.00"}]
    assert shop.told(order | {"updated_at": at(2), "refunds": whole})["flags"] == []
    # A refund of a line that is not there counts in the sum and takes nothing.
    stray = [{"id": "r1", "amount": "30.00", "lines": [{"line_id": "l9", "quantity": 1, "amount": "30.00"}]}]
    seen = shop.told(order | {"updated_at": at(3), "refunds": stray})
    assert (seen["flags"], seen["refunded"], only(shop, "o1")["amount"]) == (["refund_unknown_line"], "30.00", "10.00")
    # Taken back by the shop: the newest list of refunds is the truth.
    seen = shop.told(order | {"updated_at": at(4), "refunds": []})
    assert (seen["flags"], seen["refunded"], only(shop, "o1")["amount"]) == ([], "0.00", "10.00")
    world.books()


def test_a_refund_in_another_currency_is_quarantined_and_not_converted(world: World, shop: Shop, alice: str) -> None:
    """Case 23."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    shop.told(order | {"updated_at": at(2), "refunds": [{"id": "r1", "amount": "40.00", "currency": "EUR"}]})
    bad = world.deliveries()[-1]
    assert bad["state"] == "quarantined" and "currency" in bad["reason"]
    assert only(shop, "o1")["amount"] == "10.00" and shop.see("o1")["refunded"] == "0.00"
    world.books()


def test_an_order_that_changes_its_currency_moves_the_books_to_the_new_one(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 23, of the order itself: nothing is left behind in the old currency, and nothing is converted."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    shop.told(order | {"updated_at": at(2), "currency": "EUR"})
    assert shop.balance(alice, "USD")["earned"] == "0.00" and shop.balance(alice, "EUR")["earned"] == "10.00"
    world.books()


IN_THEIR_OWN = [
    ("JPY", "1000", "100"),
    ("JPY", "1004.5", "100"),
    ("JPY", "1005", "100"),  # 100.5: half to even
    ("JPY", "1015", "102"),
    ("KWD", "10.005", "1.000"),
    ("KWD", "10.015", "1.002"),
    ("KWD", "0.001", "0.000"),
    ("CLF", "1.0005", "0.1000"),
    ("TWD", "1255.00", "126.00"),  # whole dollars: 125.5 rounds half to even
    ("TWD", "1245.00", "124.00"),
]


def test_currencies_without_and_with_three_digits_are_paid_in_their_own(world: World, shop: Shop) -> None:
    """Case 24: through to the payout's own string."""
    for number, (currency, amount, earned) in enumerate(IN_THEIR_OWN):
        sharer = shop.sharer(f"s{number}", codes=[f"CODE{number}"])
        order = shop.order(f"o{number}", codes=[f"CODE{number}"], currency=currency)
        order["lines"][0]["amount"] = amount
        shop.told(order)
        told = only(shop, f"o{number}")["amount"], shop.balance(sharer, currency)["pending"]
        assert told == (earned, earned), (currency, amount)
        world.release()
        items = shop.draft(currency, sharers=[sharer])["items"]
        expected = [] if set(earned) <= {"0", "."} else [(earned, earned)]
        assert [(item["gross"], item["net"]) for item in items] == expected, (currency, amount)
    world.books()


# -- what is not defined -----------------------------------------------------------------------------------------------


ROUNDED = [
    ("33.333", ["0.01"], "0.00", ["0.00"]),
    ("33.333", ["1000000000000.00"], "333330000000.00", ["333330000000.00"]),
    ("33.3333", ["0.10", "0.10", "0.10"], "0.10", ["0.04", "0.03", "0.03"]),
    ("50", ["0.01"], "0.00", ["0.00"]),  # half a cent: to even
    ("50", ["0.03"], "0.02", ["0.02"]),
    ("10", ["0.05", "0.05", "0.05"], "0.02", ["0.01", "0.01", "0.00"]),  # 1.5 cents in all, not 3 times 0.5
    ("100", ["999999999999999.00"], "999999999999999.00", ["999999999999999.00"]),
    ("0.0001", ["0.01"], "0.00", ["0.00"]),
    ("10", ["0.004", "0.046"], "0.00", ["0.00", "0.00"]),  # a shop that reckons with more places
    ("10", ["0.000001", "0.049999", "100.00"], "10.00", ["0.00", "0.00", "10.00"]),
]


def test_an_amount_is_rounded_once_and_stands_on_its_lines_by_largest_remainder(world: World) -> None:
    """Case 25."""
    for percent, amounts, direct, by_line in ROUNDED:
        shop = world.shop()
        shop.plan({"commission": {"default": {"percent": percent}}})
        alice = shop.sharer("alice", codes=["ALICE10"])
        lines = [{"id": f"l{number}", "quantity": 1, "amount": amount} for number, amount in enumerate(amounts)]
        shop.told(shop.order("o1", codes=["ALICE10"], lines=lines))
        assert only(shop, "o1")["amount"] == direct == shop.balance(alice)["pending"], (percent, amounts)
        assert [line["amount"] for line in lines_of_receipt(shop, "o1")] == by_line, (percent, amounts)
    world.books()


def lines_of_receipt(shop: Shop, ref: str) -> list[Any]:
    """Return the lines by which a receipt says how the direct amount came about."""
    (direct,) = [one for one in shop.receipt(ref)["commission"] if one["role"] == "direct"]
    lines: list[Any] = direct["lines"]
    return lines


def test_a_percentage_beyond_a_hundred_or_not_plain_is_refused(world: World) -> None:
    """Case 25."""
    shop = world.shop()
    for percent in ("100.0001", "101", "1000", "-1", "1e1", "10%", "10,5", "0.00001", "", "NaN", " 10", "+5", 10, None):
        problem = shop.plan({"commission": {"default": {"percent": percent}}}, expect=422)
        assert "commission.default" in problem["errors"], percent


UNDEFINED: list[dict[str, Any]] = [
    {"lines": [{"id": "l1", "quantity": 1, "amount": "-5.00"}]},
    {"lines": [{"id": "l1", "quantity": -1, "amount": "5.00"}]},
    {"lines": [{"id": "l1", "quantity": 1.5, "amount": "5.00"}]},
    {"lines": [{"id": "l1", "quantity": 1, "amount": "5.00"}, {"id": "l1", "quantity": 1, "amount": "5.00"}]},
    {"lines": [{"id": "l1", "quantity": 1, "amount": "1" + "0" * 15}]},
    {"lines": [{"id": "l1", "quantity": 1, "amount": "0.0000001"}]},
    {"refunds": [{"id": "r1", "amount": "-5.00"}]},
    {"refunds": [{"id": "r1", "amount": "1.00"}, {"id": "r1", "amount": "1.00"}]},
    {"shipping": {"amount": "-1.00"}},
]


def test_what_is_not_defined_is_quarantined_and_never_guessed(world: World, shop: Shop, alice: str) -> None:
    """Case 25."""
    shop.told(shop.order("good", codes=["ALICE10"]))
    for change in UNDEFINED:
        shop.deliver(shop.order("bad", codes=["ALICE10"], **change))
        world.work()
        assert world.deliveries()[-1]["state"] == "quarantined", change
    assert shop.balance(alice)["earned"] == "10.00"
    world.books()


@pytest.mark.parametrize("currency", ["USD", "KWD"])
def test_more_than_the_books_can_hold_is_quarantined_and_the_books_stay_whole(world: World, currency: str) -> None:
    """Case 25: the largest orders there can be, more of them than the accounts have room for."""
    shop = world.shop()
    shop.plan({"commission": {"default": {"percent": "100"}}})
    alice = shop.sharer("alice", codes=["ALICE10"])
    lines = [{"id": "l1", "quantity": 1, "amount": "999999999999999.999999"}]
    for number in range(100):
        shop.deliver(shop.order(f"o{number}", codes=["ALICE10"], lines=lines, currency=currency))
    clock = world.stop_clock("2027-01-01T00:00:00Z")
    for _ in range(8):  # what fails for a reason we do not know is tried again for a while
        world.work()
        clock.add(600)
    states = [one["state"] for one in world.deliveries()]
    assert set(states) <= {"done", "quarantined"} and "quarantined" in states
    holds = Decimal(shop.balance(alice, currency)["earned"])
    assert holds == states.count("done") * (Decimal("1000000000000000.00") if currency == "USD" else 0)
    world.books()


def test_tax_and_shipping_count_only_where_the_plan_says_so(world: World) -> None:
    """Case 25."""
    expected = {(False, False): "10.00", (True, False): "11.00", (False, True): "11.00", (True, True): "12.10"}
    for (tax, shipping), direct in expected.items():
        shop = world.shop()
        shop.plan({"commission": {"default": {"percent": "10"}, "include_tax": tax, "include_shipping": shipping}})
        shop.sharer("alice", codes=["ALICE10"])
        order = shop.order("o1", codes=["ALICE10"], shipping={"amount": "10.00", "tax": "1.00"})
        order["lines"][0]["tax"] = "10.00"
        shop.told(order)
        assert only(shop, "o1")["amount"] == direct, (tax, shipping)
    world.books()


# -- plans, debts, chargebacks -----------------------------------------------------------------------------------------


def test_an_order_keeps_the_plan_it_was_earned_by_whatever_is_put_later(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 26: also for its refunds."""
    order = shop.order("old", codes=["ALICE10"])
    version = shop.told(order)["commissions"][0]["plan_version"]
    shop.plan({"commission": {"default": {"percent": "50"}}}, since=None)
    assert shop.plan({"commission": {"default": {"percent": "50"}}}, since=PLACED, expect=409)["code"]
    shop.told(order | {"updated_at": at(3), "refunds": [{"id": "r1", "amount": "50.00"}]})
    one = only(shop, "old")
    assert (one["amount"], one["earned"], one["plan_version"]) == ("5.00", "10.00", version)
    today = world.context.now()
    placed = datetime.fromtimestamp(today / 1_000_000, UTC).isoformat()
    shop.told(shop.order("new", codes=["ALICE10"], placed_at=placed, paid_at=placed, updated_at=placed))
    assert only(shop, "new")["amount"] == "50.00" and only(shop, "new")["plan_version"] > version
    world.books()


def test_a_refund_after_the_payment_is_a_debt_that_later_earnings_pay(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 27: nothing is paid until the balance is above zero, and the owner sees the debt."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    assert paid_out(shop, alice) == "10.00"
    shop.told(order | {"updated_at": at(20), "refunds": [{"id": "r1", "amount": "60.00"}]})
    one = only(shop, "o1")
    assert (one["amount"], one["clawed_back"], one["state"]) == ("4.00", "6.00", "paid")
    balance = shop.balance(alice)
    assert (balance["payable"], balance["paid"], balance["earned"]) == ("-6.00", "10.00", "4.00")
    draft = shop.draft()
    assert draft["items"] == [] and draft["left_out"] == [{"sharer": alice, "reason": "owes_the_shop"}]
    for ref, expected in (("o2", "-2.00"), ("o3", "2.00")):
        later = shop.order(ref, codes=["ALICE10"])
        later["lines"][0]["amount"] = "40.00"
        shop.told(later)
        world.release()
        assert shop.balance(alice)["payable"] == expected
        assert bool(shop.draft()["items"]) is (expected == "2.00")
    assert paid_out(shop, alice) == "2.00"
    balance = shop.balance(alice)
    assert (balance["payable"], balance["paid"], balance["earned"]) == ("0.00", "12.00", "12.00")
    world.books()


@pytest.mark.parametrize("released", [False, True])
def test_a_chargeback_that_is_won_back_moves_the_money_back_once(
    world: World, shop: Shop, alice: str, released: bool
) -> None:
    """Case 28."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    if released:
        world.release()
    account = "payable" if released else "pending"
    lost = order | {"updated_at": at(5), "payment": "chargeback"}
    won = order | {"updated_at": at(6), "payment": "paid"}
    shop.told(lost)
    one = only(shop, "o1")
    assert (one["amount"], one["earned"], shop.balance(alice)[account]) == ("0.00", "10.00", "0.00")
    for _ in range(3):
        shop.told(won)
        assert (only(shop, "o1")["amount"], shop.balance(alice)[account]) == ("10.00", "10.00")
    shop.told(lost)  # an old copy
    assert shop.balance(alice)[account] == "10.00"
    assert transfers(world) == 3 + released
    world.books()


# -- the hold ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "paid_at", "release_at"),
    [
        ("Europe/Berlin", "2026-10-24T22:30:00Z", "2026-10-26T22:30:00Z"),  # the night the clocks go back
        ("Europe/Berlin", "2026-03-28T00:30:00+01:00", "2026-03-29T23:30:00Z"),  # and forward
        ("America/New_York", "2026-11-01T01:30:00-04:00", "2026-11-03T05:30:00Z"),
        ("Asia/Taipei", "2026-12-31T00:00:00+08:00", "2027-01-01T16:00:00Z"),
        ("Pacific/Kiritimati", "2028-02-28T10:00:00.5Z", "2028-03-01T10:00:00.500000Z"),  # a leap day
    ],
)
def test_the_hold_lasts_days_of_24_hours_whatever_the_shop_s_zone_and_clocks_do(
    world: World, zone: str, paid_at: str, release_at: str
) -> None:
    """Case 29: not a microsecond earlier, and at that moment."""
    shop = world.shop(timezone=zone)
    shop.plan({**TEN, "hold_days": 2})
    alice = shop.sharer("alice", codes=["ALICE10"])
    seen = shop.told(shop.order("o1", codes=["ALICE10"], paid_at=paid_at))
    assert seen["release_at"] == release_at
    due = datetime.fromisoformat(release_at)
    early = (due - timedelta(microseconds=1)).isoformat()
    assert world.command("release", "--now", early) == {"released": 0, "amounts": {}}
    assert shop.balance(alice)["payable"] == "0.00"
    assert world.command("release", "--now", due.isoformat()) == {"released": 1, "amounts": {"USD": "10.00"}}
    assert shop.balance(alice)["payable"] == "10.00"
    world.books()


def test_a_clock_that_is_set_back_releases_nothing_twice_and_nothing_early(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 29."""
    clock = world.stop_clock("2026-12-02T00:00:00Z")  # a day after the hold of what was paid on November 1
    shop.told(shop.order("o1", codes=["ALICE10"]))
    shop.told(shop.order("o2", codes=["ALICE10"], paid_at="2026-11-02T12:00:00Z"))
    assert world.command("release") == {"released": 1, "amounts": {"USD": "10.00"}}
    clock.add(-2 * 86_400)
    assert world.command("release")["released"] == 0
    assert only(shop, "o1")["state"] == "payable" and only(shop, "o2")["state"] == "pending"
    clock.add(2 * 86_400)
    assert world.command("release")["released"] == 0
    clock.add(12 * 3_600)
    assert world.command("release")["released"] == 1
    assert world.command("release")["released"] == 0
    assert shop.balance(alice)["payable"] == "20.00" and transfers(world) == 4
    with world.context.database.reading() as connection:
        assert connection.execute(select(func.count()).where(fact.c.kind == "release")).scalar_one() == 2
    world.books()


def test_a_held_order_is_never_released_until_the_owner_decides(world: World) -> None:
    """Case 29, of a hold that has no end by itself."""
    shop = world.shop()
    shop.plan({**TEN, "attribution": {"self_purchase": "hold"}})
    alice = shop.sharer("alice", codes=["ALICE10"])
    own = {"id": "c1", "email": "Alice+shop@example.org", "orders_before": 3}
    shop.told(shop.order("o1", codes=["ALICE10"], customer=own))
    shop.told(shop.order("o2", codes=["ALICE10"], customer=own))
    assert world.release()["released"] == 0
    assert (shop.balance(alice)["held"], only(shop, "o1")["state"]) == ("20.00", "held")
    word = {"shop": shop.key, "reason": "a gift to a friend"}
    world.call("POST", "/orders/o1/attribution", word | {"sharer": alice}, expect=200)
    world.call("POST", "/orders/o2/attribution", word | {"sharer": None}, expect=200)
    balance = shop.balance(alice)
    assert (balance["held"], balance["pending"]) == ("0.00", "10.00")
    assert world.release()["released"] == 1 and shop.balance(alice)["payable"] == "10.00"
    world.books()


# -- people ------------------------------------------------------------------------------------------------------------


def test_a_loop_of_inviters_pays_one_inviter_and_ends_there(world: World) -> None:
    """Case 30: alice invited bob and bob alice; nobody is paid twice, and nobody for themselves."""
    shop = world.shop()
    shop.plan({**TEN, "upline": {"percents": ["2"]}})
    alice = shop.sharer("alice", codes=["ALICE10"])
    bob = shop.sharer("bob", codes=["BOB10"], referred_by=alice)
    world.call("PATCH", f"/sharers/{alice}", {"referred_by": bob}, expect=200)
    now = datetime.fromtimestamp(world.context.now() / 1_000_000 + 2, UTC).isoformat()
    later = {"placed_at": now, "paid_at": now, "updated_at": now}
    shop.told(shop.order("o1", codes=["BOB10"], **later))
    shop.told(shop.order("o2", codes=["ALICE10"], **later))
    for ref, direct, upline in (("o1", bob, alice), ("o2", alice, bob)):
        roles = {one["role"]: (one["sharer"], one["amount"]) for one in shop.see(ref)["commissions"]}
        assert roles == {"direct": (direct, "10.00"), "upline": (upline, "2.00")}
    assert world.call("PATCH", f"/sharers/{alice}", {"referred_by": alice}, expect=422)["errors"]["referred_by"]
    world.books()


def test_own_purchases_pay_neither_the_buyer_as_sharer_nor_the_buyer_as_inviter(world: World) -> None:
    """Case 30: the reason stands in the receipt."""
    shop = world.shop()
    shop.plan({**TEN, "upline": {"percents": ["2"]}})
    alice = shop.sharer("alice", codes=["ALICE10"])
    bob = shop.sharer("bob", codes=["BOB10"], referred_by=alice)
    for spelling in ("alice@example.org", "ALICE@Example.org", "alice+anything@example.org", " alice@example.org "):
        buyer = {"id": None, "email": spelling, "orders_before": 0}
        ref = f"own {spelling}"
        assert [one for one in told(shop, ref, codes=["ALICE10"], customer=buyer) if one["amount"] != "0.00"] == []
        receipt = shop.receipt(ref)
        assert (receipt["outcome"], receipt["winner"]) == ("nobody", None)
        assert [(one["sharer"], one["reason"]) for one in receipt["evidence"]] == [(alice, "own_purchase")]
    buyer = {"id": None, "email": "alice@example.org", "orders_before": 0}
    roles = {one["role"]: one["sharer"] for one in told(shop, "invited", codes=["BOB10"], customer=buyer)}
    assert roles == {"direct": bob} and shop.balance(alice)["earned"] == "0.00"
    world.books()


def told(shop: Shop, ref: str, **changes: Any) -> list[Any]:
    """Deliver an order and return its commissions, wherever the id needs quoting."""
    shop.deliver(shop.order(ref, **changes))
    shop.world.work()
    commissions: list[Any] = shop.see(ref)["commissions"]
    return commissions


def test_a_suspended_inviter_is_not_paid_and_not_replaced_by_theirs(world: World) -> None:
    """Case 30: a sharer in the middle of the chain goes away."""
    shop = world.shop()
    shop.plan({**TEN, "upline": {"percents": ["2"]}})
    top = shop.sharer("top")
    middle = shop.sharer("middle", referred_by=top)
    shop.sharer("below", codes=["BELOW"], referred_by=middle)
    assert {one["sharer"] for one in told(shop, "before", codes=["BELOW"])} >= {middle}
    clock = world.stop_clock("2026-12-01T00:00:00Z")
    world.call("PATCH", f"/sharers/{middle}", {"status": "suspended"}, expect=200)
    clock.add(60)
    later = {"placed_at": "2026-12-01T00:00:30Z", "paid_at": "2026-12-01T00:00:30Z"}
    commissions = told(shop, "after", codes=["BELOW"], updated_at="2026-12-01T00:00:30Z", **later)
    assert [one["role"] for one in commissions] == ["direct"]
    assert shop.balance(top)["earned"] == "0.00" and shop.balance(middle)["earned"] == "2.00"
    world.books()


def test_a_suspended_sharer_keeps_what_is_booked_and_is_not_paid_until_approved_again(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 31: there is no way to delete a sharer, and money does not vanish with a status."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    clock = world.stop_clock("2026-12-05T00:00:00Z")
    world.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    assert world.release()["released"] == 1
    draft = shop.draft()
    assert draft["items"] == [] and draft["left_out"] == [{"sharer": alice, "reason": "sharer_suspended"}]
    assert shop.balance(alice)["payable"] == "10.00"
    assert world.response("DELETE", f"/sharers/{alice}").status_code == 405
    clock.add(60)
    world.call("PATCH", f"/sharers/{alice}", {"status": "approved"}, expect=200)
    assert paid_out(shop, alice) == "10.00"
    world.books()


def suspend(shop: Shop, sharer: str) -> None:
    shop.world.call("PATCH", f"/sharers/{sharer}", {"status": "suspended"}, expect=200)


def erase(shop: Shop, _sharer: str) -> None:
    """Leave no name, address or way to be paid, so that nobody could tell whom to pay."""
    shop.world.command("erase", "--email", "alice@example.org")


@pytest.mark.parametrize(
    ("bar", "reason"), [(suspend, "sharer_suspended"), (erase, "sharer_erased")], ids=["suspended", "erased"]
)
def test_who_is_barred_between_draft_and_approval_is_left_out_with_the_reason(
    world: World, shop: Shop, alice: str, bar: Callable[[Shop, str], None], reason: str
) -> None:
    """Case 31."""
    bob = shop.sharer("bob", codes=["BOB10"])
    shop.told(shop.order("o1", codes=["ALICE10"]))
    shop.told(shop.order("o2", codes=["BOB10"]))
    world.release()
    draft = shop.draft()
    assert {item["sharer"] for item in draft["items"]} == {alice, bob}
    owner = member(world)
    assert "$20.00 is ready for 2 sharers" in owner.get(f"/admin/{shop.key}/")
    bar(shop, alice)
    assert "$10.00 is ready for 1 sharer" in owner.get(f"/admin/{shop.key}/")
    approved = shop.step(draft, "approve")
    assert [item["sharer"] for item in approved["items"]] == [bob]
    assert approved["left_out"] == [{"sharer": alice, "reason": reason}]
    assert {"sharer": alice, "reason": reason} in shop.draft()["left_out"]
    assert shop.balance(alice)["payable"] == "10.00" and shop.balance(bob)["in_flight"] == "10.00"
    world.books()


# -- far away in time --------------------------------------------------------------------------------------------------


def test_an_order_paid_at_the_end_of_time_is_shown_wherever_orders_are(world: World, shop: Shop, alice: str) -> None:
    """Its hold would end in a year that nothing can write."""
    shop.plan({**TEN, "hold_days": 3_650})
    end = "9998-12-31T23:59:59Z"
    seen = shop.told(shop.order("o1", codes=["ALICE10"], placed_at=end, paid_at=end, updated_at=end))
    assert seen["release_at"] == "9998-12-31T23:59:59.999999Z"
    assert "o1" in str(world.call("GET", f"/orders?shop={shop.key}"))
    assert "9998" in member(world).get(f"/admin/{shop.key}/orders/o1")
    assert world.release()["released"] == 0
    world.books()


# -- payouts that meet refunds, and broken books -----------------------------------------------------------------------


def test_a_refund_between_draft_and_approval_lowers_what_is_reserved(world: World, shop: Shop, alice: str) -> None:
    """Case 40."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    world.release()
    draft = shop.draft()
    assert draft["items"][0]["gross"] == "10.00"
    shop.told(order | {"updated_at": at(20), "refunds": [{"id": "r1", "amount": "25.00"}]})
    approved = shop.step(draft, "approve")
    assert approved["items"][0]["gross"] == approved["items"][0]["net"] == "7.50"
    balance = shop.balance(alice)
    assert (balance["payable"], balance["in_flight"]) == ("0.00", "7.50")
    world.books()


def test_a_refund_of_everything_between_draft_and_approval_leaves_the_sharer_out(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 40."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    world.release()
    draft = shop.draft()
    shop.told(order | {"updated_at": at(20), "status": "cancelled"})
    approved = shop.step(draft, "approve")
    assert approved["items"] == [] and approved["left_out"] == [{"sharer": alice, "reason": "nothing_payable"}]
    world.books()


@pytest.mark.parametrize("ending", ["paid", "failed", "cancelled", "returned"])
def test_a_refund_after_the_reservation_goes_to_payable_and_the_batch_carries_what_was_reserved(
    world: World, shop: Shop, alice: str, ending: str
) -> None:
    """Case 40."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    world.release()
    payout = shop.step(shop.draft(), "approve")
    shop.told(order | {"updated_at": at(20), "refunds": [{"id": "r1", "amount": "25.00"}]})
    balance = shop.balance(alice)
    assert (balance["payable"], balance["in_flight"], balance["earned"]) == ("-2.50", "10.00", "7.50")
    world.books()
    if ending == "cancelled":
        payout = shop.step(payout, "cancel")
    else:
        payout = shop.step(payout, "submit")
        for state in {"returned": ["paid", "returned"]}.get(ending, [ending]):
            payout = shop.mark(payout, payout["items"][0], state)
    assert payout["items"][0]["gross"] == "10.00" and payout["items"][0]["state"] == ending
    balance = shop.balance(alice)
    expected = ("-2.50", "0.00", "10.00") if ending == "paid" else ("7.50", "0.00", "0.00")
    assert (balance["payable"], balance["in_flight"], balance["paid"]) == expected
    assert balance["earned"] == "7.50"
    world.books()


def test_a_payout_nets_the_debts_of_some_orders_against_the_earnings_of_others(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 40, with a debt inside: commission by commission, and back again when it fails."""
    first, second = shop.order("o1", codes=["ALICE10"]), shop.order("o2", codes=["ALICE10"])
    shop.told(first)
    assert paid_out(shop, alice) == "10.00"
    shop.told(first | {"updated_at": at(20), "refunds": [{"id": "r1", "amount": "30.00"}]})
    shop.told(second)
    world.release()
    payout = shop.step(shop.step(shop.draft(), "approve"), "submit")
    assert payout["items"][0]["net"] == "7.00"
    payout = shop.mark(payout, payout["items"][0], "failed", reason="account closed")
    assert shop.balance(alice)["payable"] == "7.00" and payout["state"] == "settled"
    world.books()
    assert paid_out(shop, alice) == "7.00"
    assert shop.balance(alice)["paid"] == "17.00"
    world.books()


def test_payouts_stop_by_themselves_while_the_books_do_not_balance_and_reading_goes_on(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 44."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    draft = shop.draft()
    with world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_account SET balance = balance + 1 WHERE purpose = 'payable'"))
    assert shop.draft(expect=409)["code"] == "books_do_not_balance"
    assert shop.step(draft, "approve", expect=409)["code"] == "books_do_not_balance"
    assert world.call("GET", f"/payouts/{draft['id']}", expect=200)["state"] == "draft"
    assert shop.see("o1")["id"] == "o1" and shop.receipt("o1")["winner"] == alice
    world.call("GET", f"/sharers/{alice}/transfers", expect=200)
    shop.told(shop.order("o2", codes=["ALICE10"]))  # and the door still takes what comes
    assert only(shop, "o2")["amount"] == "10.00"
    with world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_account SET balance = balance - 1 WHERE purpose = 'payable'"))
    world.books()
    assert shop.step(draft, "approve")["items"][0]["gross"] == "10.00"
