"""What no other test noticed when it was broken on purpose: each of these is a promise that ``make seeded`` holds up.

Through the doors where there is one; where the fault would be ours alone, through the recorder that alone has the key.
"""

import json
import threading
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from plugin.domain.ledger import Move
from plugin.domain.moment import format_moment
from plugin.models import account, decision, link, orders, transfer
from plugin.services import process_inbox, record_clicks
from plugin.services.add_shop import find_shop
from plugin.services.check_books import check_books
from plugin.services.process_inbox import Tally, drain
from plugin.services.recorder import Recorder, recording
from plugin.signing import make_code, read_code
from tests.journeys.test_books import guards_off
from tests.world import TEN, Shop, World

BROWSER = {"User-Agent": "Mozilla/5.0"}


# -- the door and the inbox --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [b'"note": NaN', b'"note": Infinity', b'"note": [-Infinity]', b'"total": "100.00"', b'"note": {"a": 1, "a": 1}'],
)
def test_json_that_is_none_is_quarantined_even_where_the_order_could_be_read(
    world: World, shop: Shop, alice: str, odd: bytes
) -> None:
    """Case 13: NaN under a key that nobody reads, or a key twice with the same value, is no JSON all the same."""
    plain = json.dumps({"type": "order", "data": shop.order("o1", codes=["ALICE10"])}).encode()
    body = plain.replace(b'"data": {', b'"data": {' + odd + b", ")
    assert shop.post(body, shop.signed(body)).status_code == 200
    world.work()
    (one,) = world.deliveries()
    assert one["state"] == "quarantined" and "JSON" in one["reason"]
    assert shop.balance(alice)["earned"] == "0.00"
    shop.told(json.loads(plain)["data"])
    assert shop.balance(alice)["earned"] == "10.00"


def test_what_one_worker_has_in_hand_is_not_given_to_another(
    world: World, shop: Shop, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 1, of the workers: the lease holds while the work lasts, and ends when its time is over."""
    clock, process, others = world.stop_clock("2026-11-22T12:00:00Z"), process_inbox.process, list[Tally]()

    def slow(context: Any, rows: Any, *ahead: Any) -> Tally:
        monkeypatch.setattr(process_inbox, "process", process)
        others.append(drain(context))
        clock.add(process_inbox.LEASE_SECONDS + 1)
        others.append(drain(context))
        return process(context, rows, *ahead)

    monkeypatch.setattr(process_inbox, "process", slow)
    shop.deliver(shop.order("o1", codes=["ALICE10"]))
    tally = world.work()
    assert ([one.done for one in others], [one.taken_over for one in others]) == ([0, 1], [0, 1])
    assert tally.done == 0 and shop.balance(alice)["earned"] == "10.00"
    world.books()


# -- states ------------------------------------------------------------------------------------------------------------


def test_of_two_states_of_one_time_the_one_with_more_refunded_stands(world: World, shop: Shop, alice: str) -> None:
    """I8: by the sum, and not by the hash of the text, which would be right only every other time."""
    for number in range(6):
        order = shop.order(f"o{number}", codes=["ALICE10"])
        states = [
            order | {"refunds": [{"id": "r1", "amount": "30.00"}]},
            order | {"refunds": [{"id": "r1", "amount": "15.00"}, {"id": "r2", "amount": "15.10"}]},
        ]
        for one in states if number % 2 else reversed(states):
            shop.deliver(one)
    world.work()
    assert {shop.see(f"o{number}")["refunded"] for number in range(6)} == {"30.10"}
    assert shop.balance(alice)["earned"] == "41.94"
    world.books()


def test_once_per_order_is_paid_for_lines_of_its_own_rule_alone(world: World) -> None:
    """Interface 6, step 3: when all that a rule matched went back, what other lines earn does not keep it alive."""
    shop = world.shop()
    rules = [{"id": "set", "when": {"skus": ["SET"]}, "pay": {"per_order": {"USD": "5.00"}}}]
    shop.plan({"commission": {"rules": rules, "default": {"percent": "10"}}})
    alice = shop.sharer("alice", codes=["ALICE10"])
    lines = [
        {"id": "l1", "sku": "SET", "quantity": 1, "amount": "20.00"},
        {"id": "l2", "sku": "TEA", "quantity": 1, "amount": "90.00"},
    ]
    order = shop.order("o1", codes=["ALICE10"], lines=lines)
    shop.told(order)
    assert shop.balance(alice)["pending"] == "14.00"
    part = {"line_id": "l1", "quantity": 1, "amount": "20.00"}
    refund = {"id": "r1", "amount": "20.00", "lines": [part]}
    shop.told(order | {"updated_at": "2026-11-02T10:00:00Z", "refunds": [refund]})
    assert shop.balance(alice)["pending"] == "9.00"
    world.books()


# -- bindings and releases ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [False, True])
def test_an_order_that_comes_late_decides_the_customer_s_later_orders_anew(world: World, together: bool) -> None:
    """I8, with a binding: the later order is the sharer's, whichever of the two arrived first."""
    shop = world.shop()
    shop.plan({**TEN, "attribution": {"binding": {"mode": "first"}}})
    alice = shop.sharer("alice", codes=["ALICE10"])
    customer = {"id": "c-1", "email": "buyer@example.net", "orders_before": 0}
    later = "2026-11-05T10:00:00Z"
    shop.deliver(shop.order("second", customer=customer, placed_at=later, paid_at=later, updated_at=later))
    if not together:
        world.work()
        assert shop.receipt("second")["winner"] is None
    shop.deliver(shop.order("first", customer=customer, codes=["ALICE10"]))
    world.work()
    receipt = shop.receipt("second")
    assert (receipt["winner"], receipt["reason"]) == (alice, "binding")
    assert shop.balance(alice)["pending"] == "20.00"
    world.books()


def test_an_order_is_released_once_and_stays_as_it_was_known_then(world: World, shop: Shop, alice: str) -> None:
    """Case 29: a second release changes nothing, and what came to be known between the two decides nothing."""
    shop.sharer("bob", codes=["BOB10"])
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    assert world.release()["released"] == 1
    released_at = shop.receipt("o1")["released_at"]
    earlier = order | {"updated_at": "2026-11-01T09:00:00Z", "codes": ["BOB10"]}
    assert "late_evidence" in shop.told(earlier)["flags"]
    assert world.release() == {"released": 0, "amounts": {}}
    receipt = shop.receipt("o1")
    assert (receipt["winner"], receipt["released_at"], receipt["flags"]) == (alice, released_at, ["late_evidence"])
    world.books()
    assert world.command("replay", "--all")["changed"] == 0 and shop.receipt("o1")["winner"] == alice
    world.books()


# -- the books ---------------------------------------------------------------------------------------------------------

RECORD = ("transfer", "fact", "order_state", "decision", "plan", "chain", "link", "sharer", "event")
CAME_IN = ("shop_id", "delivery_id", "topic", "body_sha", "received_at", "mac")


def test_every_row_the_books_rest_on_is_guarded(world: World, shop: Shop, alice: str) -> None:
    """I2, I9: the list is written here once more, so that none can drop out of the guards' own list unseen."""
    shop.link(alice)
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    wrong = [f"UPDATE pa_delivery SET {column} = {column}" for column in CAME_IN] + ["DELETE FROM pa_delivery"]
    for table in RECORD:
        wrong += [f"UPDATE pa_{table} SET shop_id = shop_id", f"DELETE FROM pa_{table}"]
    for statement in wrong:
        with pytest.raises(DBAPIError, match="never"), world.context.database.writing() as connection:
            connection.execute(text(statement))
    world.books()


def test_check_books_finds_money_that_the_order_does_not_justify(world: World, shop: Shop, alice: str) -> None:
    """I3: also where it was ourselves who booked it, with every digest right; no payout moves then."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    assert book(world, shop, "o1", Move("earn", 500)) == ["should have 1000 USD minor units in the books and has 1500"]
    assert shop.draft(expect=409)["code"] == "books_do_not_balance"


def test_check_books_finds_money_in_the_wrong_account(world: World, shop: Shop, alice: str) -> None:
    """I3: the amount is right, and the hold is not over."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    assert book(world, shop, "o1", Move("release", 1000)) == ["has money in the wrong account"]
    assert shop.draft(expect=409)["code"] == "books_do_not_balance"


def test_check_books_finds_a_decision_that_the_evidence_does_not_give(world: World, shop: Shop, alice: str) -> None:
    """Promise 2: what is stored as the decision is derived anew from the deliveries."""
    shop.sharer("bob", codes=["BOB10"])
    shop.told(shop.order("o1", codes=["ALICE10"]))
    shop.told(shop.order("o2", codes=["BOB10"]))
    shop_id = find_shop(world.context, shop.key).id
    with recording(world.context, shop_id, actor="a fault of ours") as recorder:
        found = {row.ref: row.id for row in recorder.connection.execute(select(orders.c.ref, orders.c.id))}
        query = select(decision.c.body).where(decision.c.order_id == found["o2"])
        body = recorder.connection.execute(query).scalar_one()
        recorder.add_decision(found["o1"], "o1", body=body, cause="a fault of ours")
    problems = check_books(world.context).problems
    assert problems == [f"shop {shop.key}: order o1: its stored decision is not what its states and facts decide"]


def test_check_books_finds_the_latest_rows_cut_off_while_the_sealed_end_still_stands(
    world: World, shop: Shop, alice: str
) -> None:
    """Promise 2: every link that is left holds; only the sealed end says that there was one more."""
    shop.link(alice)
    with guards_off(world) as connection:
        connection.execute(text("DELETE FROM pa_link"))
        connection.execute(text("DELETE FROM pa_chain WHERE position = (SELECT max(position) FROM pa_chain)"))
    (problem,) = check_books(world.context).problems
    assert "the chain ends at" in problem


def test_no_shop_takes_back_what_another_paid_for(world: World, shop: Shop, alice: str) -> None:
    """I2: the account money goes to is the shop's own, as is the one it comes from."""
    other = world.shop(url="https://other.example.com")
    other.plan()
    other.sharer("bob", codes=["BOB10"])
    order = shop.order("o1", codes=["ALICE10"])
    for one in (order, order | {"updated_at": "2026-11-02T10:00:00Z", "status": "cancelled"}, order):
        shop.told(one)
    other.told(other.order("theirs", codes=["BOB10"]))
    shop.told(order | {"updated_at": "2026-11-03T10:00:00Z"})
    with world.context.database.reading() as connection:
        taken = connection.execute(select(transfer).where(transfer.c.kind == "take_back")).mappings().one()
        theirs = connection.execute(
            select(account.c.id).where(account.c.purpose == "commission", account.c.shop_id != taken["shop_id"])
        ).scalar_one()
    row = {name: value for name, value in taken.items() if name != "number"} | {"id": "0" * 32, "to_account": theirs}
    with pytest.raises(DBAPIError, match="no such edge"), world.context.database.writing() as connection:
        connection.execute(transfer.insert().values(row))
    world.books()


def test_live_money_never_moves_into_an_account_of_test_money(world: World, shop: Shop, alice: str) -> None:
    """Case 15, I2: not even where a hand made the account what it is not; the delivery waits for the owner."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    with world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_account SET live = (1 = 0) WHERE purpose = 'pending'"))
    shop.deliver(shop.order("o2", codes=["ALICE10"]))
    world.work()
    assert world.deliveries()[-1]["state"] == "quarantined"
    assert shop.balance(alice)["earned"] == "10.00"
    with world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_account SET live = (1 = 1) WHERE purpose = 'pending'"))
    assert world.command("replay", "--all") == {"replayed": 2, "changed": 1}
    assert shop.balance(alice)["earned"] == "20.00"
    world.books()


def book(world: World, shop: Shop, ref: str, move: Move) -> list[str]:
    """Book a move for the first sharer of an order as only a fault of ours could; return what check-books says."""
    shop_id = find_shop(world.context, shop.key).id
    with recording(world.context, shop_id, actor="a fault of ours") as recorder:
        number = recorder.connection.execute(select(orders.c.id).where(orders.c.ref == ref)).scalar_one()
        recorder.add_transfer(
            move,
            order=(number, ref),
            sharer_id=1,
            role="direct",
            currency="USD",
            cause="a fault of ours",
            about_at=recorder.now,
        )
    stem = f"shop {shop.key}: order {ref}: shr_1 (direct) "
    return [problem.removeprefix(stem) for problem in check_books(world.context).problems]


def test_an_event_is_never_seen_before_one_with_a_smaller_number(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interface 4: who follows while one shop's writer hangs just before its commit still sees all, in order."""
    other, write = world.shop(url="https://other.example.com"), Recorder._write_events
    hangs, may_go_on = threading.Event(), threading.Event()

    def slow(self: Recorder) -> None:
        write(self)
        if self.shop.key == shop.key:
            hangs.set()
            may_go_on.wait(20)

    def seen(after: int) -> list[int]:
        page = world.app.test_client().get(f"/api/v1/events?after={after}&limit=500", headers=headers).get_json()
        return [one["seq"] for one in page["items"]]

    def enrol(one: Shop) -> threading.Thread:
        body = {"shop": one.key, "email": f"{one.key}@example.org"}
        client = world.app.test_client()
        thread = threading.Thread(target=lambda: client.post("/api/v1/sharers", json=body, headers=headers))
        thread.start()
        return thread

    headers = {"Authorization": f"Bearer {world.token}"}
    monkeypatch.setattr(Recorder, "_write_events", slow)
    first = enrol(shop)
    assert hangs.wait(20)
    second = enrol(other)
    second.join(0.5)
    early = seen(0)
    may_go_on.set()
    first.join()
    second.join()
    assert early + seen(early[-1]) == seen(0) and len(seen(0)) == len(early) + 2


# -- payouts -----------------------------------------------------------------------------------------------------------


def test_an_approved_batch_is_not_handed_over_while_the_books_do_not_balance(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 44: the check stands before the last step too, after which the money is gone."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    payout = shop.step(shop.draft(), "approve")
    shift = text("UPDATE pa_account SET balance = balance + :by WHERE purpose = 'in_flight'")
    with world.context.database.writing() as connection:
        connection.execute(shift, {"by": 1})
    assert shop.step(payout, "submit", expect=409)["code"] == "books_do_not_balance"
    assert world.call("GET", f"/payouts/{payout['id']}", expect=200)["state"] == "approved"
    with world.context.database.writing() as connection:
        connection.execute(shift, {"by": -1})
    assert shop.step(payout, "submit")["state"] == "submitted"
    world.books()


def test_the_plan_s_minimum_keeps_back_what_is_below_it_and_pays_what_reaches_it(world: World) -> None:
    """Interface 6: by currency; what is asked for with the payout takes its place."""
    shop = world.shop()
    shop.plan({**TEN, "payout": {"minimum": {"USD": "10.00", "EUR": "1000"}}})
    alice, bob = shop.sharer("alice", codes=["ALICE10"]), shop.sharer("bob", codes=["BOB10"])
    shop.told(shop.order("o1", codes=["ALICE10"]))
    order = shop.order("o2", codes=["BOB10"])
    order["lines"][0]["amount"] = "99.90"
    shop.told(order)
    world.release()
    draft = shop.draft()
    assert [(item["sharer"], item["net"]) for item in draft["items"]] == [(alice, "10.00")]
    assert (draft["minimum"], draft["left_out"]) == ("10.00", [{"sharer": bob, "reason": "below_minimum"}])
    assert len(shop.draft(minimum="9.99")["items"]) == 2


# -- links -------------------------------------------------------------------------------------------------------------


def test_a_code_that_a_retired_key_signs_for_a_newer_link_is_worth_nothing(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 52: a code carries no time, so the link's own day says whether its key might still sign it."""
    stolen = world.context.keys
    old = shop.link(alice)
    world.command("keys", "rotate", "sign")
    world.command("keys", "retire", "sign:A")
    world.context.key_store._looked_at = 0  # as if a second had gone by
    new = shop.link(alice)
    assert (old["code"][0], new["code"][0]) == ("A", "B")
    number = read_code(world.context.keys, new["code"]).link
    forged = make_code(stolen, find_shop(world.context, shop.key).id, number)
    winners, at = {}, format_moment(world.context.now())
    for name, code in (("old", old["code"]), ("new", new["code"]), ("forged", forged)):
        shop.told(shop.order(name, attributes={"_pa": code}, placed_at=at, paid_at=at, updated_at=at))
        winners[name] = shop.receipt(name)["winner"], world.client.get(f"/s/{code}", headers=BROWSER).status_code
    assert winners == {"old": (alice, 302), "new": (alice, 302), "forged": (None, 404)}


@pytest.mark.parametrize(
    "target", ["https://evil.example/x", "//evil.example/x", "https://shop.example.com@evil.example/", "javascript:x"]
)
def test_a_target_that_came_into_the_database_some_other_way_still_leads_to_the_shop(
    world: World, shop: Shop, alice: str, target: str
) -> None:
    """Case 51: by an import, a restore, or a shop that moved; the redirect looks for itself."""
    shop_id = find_shop(world.context, shop.key).id
    code = make_code(world.context.keys, shop_id, 7)
    with recording(world.context, shop_id, actor="import") as recorder:
        row = {"number": 7, "sharer_id": 1, "code": code, "target_url": target, "channel": None, "campaign": None}
        recorder.add_row(link, row | {"created_at": recorder.now})
    answer = world.client.get(f"/s/{code}", headers=BROWSER)
    assert answer.status_code == 302 and answer.headers["Location"].startswith("https://shop.example.com/?")


def test_the_link_of_a_suspended_sharer_leads_to_the_shop_without_a_token(
    world: World, shop: Shop, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interface 3: the buyer arrives all the same, and nothing on the address names the sharer any more."""
    monkeypatch.setattr(record_clicks, "CHECK_SECONDS", 0)
    made = shop.link(alice, url="https://shop.example.com/tea")
    assert shop.click(made)
    world.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    answer = world.client.get(f"/s/{made['code']}", headers=BROWSER)
    location = answer.headers["Location"]
    assert answer.status_code == 302 and location.startswith("https://shop.example.com/tea?utm_source=share")
    assert "pa=" not in location and "utm_content" not in location
    world.call("PATCH", f"/sharers/{alice}", {"status": "approved"}, expect=200)
    assert shop.click(made)
