"""Payouts over the API: every move there is, and that there is no other."""

import threading
from typing import Any

import pytest

from plugin.domain import payout as states
from tests.api.fed import FedShop, Installation

STEPS = ("approve", "submit", "cancel")


@pytest.fixture
def alice(installation: Installation, shop: FedShop) -> str:
    """Give a sharer with 10.00 USD payable."""
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1001", codes=["A"]))
    installation.release()
    return alice


def draft(shop: FedShop, **details: Any) -> Any:
    """Draft a batch."""
    body = {"shop": shop.key, "rail": "manual", "currency": "USD"} | details
    return shop.world.call("POST", "/payouts", body, expect=201)


def step(shop: FedShop, batch: Any, name: str) -> Any:
    """Take a step with a batch."""
    return shop.world.call("POST", f"/payouts/{batch['id']}/{name}", expect=200)


def mark(shop: FedShop, batch: Any, state: str, **details: Any) -> Any:
    """Mark the only item of a batch."""
    path = f"/payouts/{batch['id']}/items/{batch['items'][0]['id']}/mark"
    return shop.world.call("POST", path, {"state": state, **details}, expect=200)


def submitted(shop: FedShop) -> Any:
    """Return a batch that is handed over."""
    batch = draft(shop)
    step(shop, batch, "approve")
    return step(shop, batch, "submit")


def test_the_whole_way_of_a_payment(installation: Installation, shop: FedShop, alice: str) -> None:
    batch = draft(shop)
    assert batch == {
        "id": batch["id"],
        "state": "draft",
        "rail": "manual",
        "currency": "USD",
        "minimum": "0.00",
        "items": [
            {
                "id": batch["items"][0]["id"],
                "sharer": alice,
                "gross": "10.00",
                "withheld": "0.00",
                "fee": "0.00",
                "net": "10.00",
                "state": "reserved",
                "reference": None,
                "reason": None,
            }
        ],
        "left_out": [],
    }
    assert shop.see("1001")["commissions"][0]["state"] == "payable"
    assert step(shop, batch, "approve")["state"] == "approved"
    assert shop.see("1001")["commissions"][0]["state"] == "in_flight"
    assert (shop.balance(alice)["payable"], shop.balance(alice)["in_flight"]) == ("0.00", "10.00")
    assert step(shop, batch, "submit")["items"][0]["state"] == "in_flight"
    paid = mark(shop, batch, "paid", reference="SEPA 7")
    assert (paid["state"], paid["items"][0]["state"], paid["items"][0]["reference"]) == ("settled", "paid", "SEPA 7")
    assert paid == installation.call("GET", f"/payouts/{batch['id']}", expect=200)
    seen = shop.see("1001")["commissions"][0]
    assert (seen["state"], seen["amount"]) == ("paid", "10.00")
    assert shop.balance(alice) == {
        "currency": "USD", "pending": "0.00", "held": "0.00", "payable": "0.00", "in_flight": "0.00",
        "paid": "10.00", "earned": "10.00",
    }  # fmt: skip
    entries = installation.call("GET", f"/sharers/{alice}/transfers")["items"]
    item = batch["items"][0]["id"]
    assert [(one["kind"], one["payout_item"]) for one in entries] == [
        ("settle", item), ("reserve", item), ("release", None), ("earn", None),
    ]  # fmt: skip
    installation.assert_books()


def test_a_refund_after_the_payment_is_a_debt_and_stays_paid(
    installation: Installation, shop: FedShop, alice: str
) -> None:
    mark(shop, submitted(shop), "paid")
    refund = {"id": "r1", "amount": "40.00", "lines": []}
    seen = shop.told(shop.order("1001", codes=["A"], updated_at="2026-11-05T00:00:00Z", refunds=[refund]))
    (commission,) = seen["commissions"]
    assert [commission[name] for name in ("amount", "earned", "clawed_back", "state")] == [
        "6.00", "10.00", "4.00", "paid",
    ]  # fmt: skip
    assert (shop.balance(alice)["payable"], shop.balance(alice)["earned"]) == ("-4.00", "6.00")
    assert draft(shop)["left_out"] == [{"sharer": alice, "reason": "owes_the_shop"}]
    installation.assert_books()


def test_failed_and_returned_money_is_payable_again(installation: Installation, shop: FedShop, alice: str) -> None:
    failed = mark(shop, submitted(shop), "failed", reason="no such account")
    assert (failed["state"], failed["items"][0]["reason"]) == ("settled", "no such account")
    assert shop.see("1001")["commissions"][0]["state"] == "payable"
    batch = submitted(shop)
    mark(shop, batch, "paid")
    mark(shop, batch, "returned")
    assert shop.balance(alice)["payable"] == "10.00"
    assert shop.see("1001")["commissions"][0]["state"] == "payable"
    installation.assert_books()


def test_a_cancelled_batch_gives_back(installation: Installation, shop: FedShop, alice: str) -> None:
    batch = draft(shop)
    assert step(shop, batch, "cancel")["items"][0]["state"] == "cancelled"
    batch = draft(shop)
    step(shop, batch, "approve")
    assert step(shop, batch, "cancel")["state"] == "cancelled"
    assert shop.balance(alice)["payable"] == "10.00"
    installation.assert_books()


def test_every_other_move_of_a_batch_conflicts(installation: Installation, shop: FedShop, alice: str) -> None:
    ends = {"approve": "approved", "submit": "submitted", "cancel": "cancelled"}
    ways: tuple[tuple[str, ...], ...] = (
        (), ("approve",), ("approve", "submit"), ("approve", "submit", "paid"), ("cancel",), ("approve", "cancel"),
    )  # fmt: skip
    for way in ways:
        batch = draft(shop)
        for name in way:
            batch = step(shop, batch, name) if name in STEPS else mark(shop, batch, name)
        for name in STEPS:
            if (batch["state"], ends[name]) not in states.BATCH_MOVES:
                path = f"/payouts/{batch['id']}/{name}"
                installation.refused("POST", path, status=409, code="wrong_state")
        if batch["state"] == "draft":
            step(shop, batch, "cancel")
        elif batch["state"] == "submitted":
            mark(shop, batch, "failed")
        elif batch["state"] == "approved":
            step(shop, batch, "cancel")
        elif batch["state"] == "settled":
            mark(shop, batch, "returned")
    installation.assert_books()


def test_every_other_mark_of_an_item_conflicts(installation: Installation, shop: FedShop, alice: str) -> None:
    batch = draft(shop)
    path = f"/payouts/{batch['id']}/items/{batch['items'][0]['id']}/mark"

    def refused(*marks: str) -> None:
        for one in marks:
            installation.refused("POST", path, {"state": one}, status=409, code="wrong_state")

    refused("paid", "failed", "returned")
    step(shop, batch, "approve")
    refused("paid", "failed", "returned")
    step(shop, batch, "submit")
    refused("returned")
    mark(shop, batch, "paid")
    refused("paid", "failed")
    mark(shop, batch, "returned")
    refused("paid", "failed", "returned")


def test_of_two_approvals_at_once_one_is_told_that_it_is_too_late(
    installation: Installation, shop: FedShop, alice: str
) -> None:
    batch = draft(shop)
    path = f"/payouts/{batch['id']}/approve"
    barrier = threading.Barrier(2)
    statuses: list[int] = []

    def approve() -> None:
        barrier.wait()
        statuses.append(installation.response("POST", path).status_code)

    threads = [threading.Thread(target=approve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409]
    assert shop.balance(alice)["in_flight"] == "10.00"
    installation.assert_books()


def test_who_is_left_out_and_why(installation: Installation, shop: FedShop, alice: str) -> None:
    bob = shop.sharer("bob", codes=["B"])
    shop.told(shop.order("b", codes=["B"]))
    batch = draft(shop, minimum="10.01")
    assert batch["items"] == []
    assert batch["left_out"] == [
        {"sharer": alice, "reason": "below_minimum"},
        {"sharer": bob, "reason": "nothing_payable"},
    ]
    assert draft(shop, sharers=[bob])["left_out"] == [{"sharer": bob, "reason": "nothing_payable"}]
    batch = draft(shop)
    installation.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    approved = step(shop, batch, "approve")
    assert (approved["items"], approved["left_out"][-1]) == ([], {"sharer": alice, "reason": "sharer_suspended"})


WRONG = [
    ("shop", "nope"),
    ("rail", "pigeon"),
    ("rail", "x" * 17),
    ("currency", "XXX"),
    ("currency", "usd"),
    ("minimum", "-1"),
    ("minimum", "0.001"),
    ("minimum", 5),
    ("sharers", ["shr_404"]),
    ("sharers", ["pay_1"]),
    ("sharers", "shr_1"),
    ("sharers.0", [None]),
    ("to", "unknown"),
]


def test_a_wrong_field_is_named(installation: Installation, shop: FedShop, other_shop: FedShop) -> None:
    body = {"shop": shop.key, "rail": "manual", "currency": "USD"}
    stranger = other_shop.sharer()
    for field, value in [*WRONG, ("sharers", [stranger])]:
        wrong = body | {field.partition(".")[0]: value}
        told = installation.refused("POST", "/payouts", wrong, status=422, code="invalid")
        assert list(told["errors"]) == [field]
    huge = body | {"currency": "CLF", "minimum": "999999999999999"}
    assert list(installation.refused("POST", "/payouts", huge, status=422, code="invalid")["errors"]) == ["minimum"]


def test_a_plans_minimum_however_large_is_one(installation: Installation, shop: FedShop) -> None:
    shop.plan({"payout": {"minimum": {"CLF": "999999999999999.999999"}}})
    assert draft(shop, currency="CLF")["items"] == []


def test_a_wrong_mark_is_named(installation: Installation, shop: FedShop, alice: str) -> None:
    batch = submitted(shop)
    path = f"/payouts/{batch['id']}/items/{batch['items'][0]['id']}/mark"
    for field, body in (
        ("state", {}),
        ("state", {"state": "in_flight"}),
        ("reference", {"state": "paid", "reference": "x" * 256}),
        ("why", {"state": "paid", "why": "?"}),
    ):
        assert list(installation.refused("POST", path, body, status=422, code="invalid")["errors"]) == [field]
    for item, code in (("itm_99", "unknown_item"), ("shr_1", "not_found")):
        path = f"/payouts/{batch['id']}/items/{item}/mark"
        installation.refused("POST", path, {"state": "paid"}, status=404, code=code)


def test_the_manual_rail_makes_no_file(installation: Installation, shop: FedShop, alice: str) -> None:
    installation.refused("GET", f"/payouts/{draft(shop)['id']}/file", status=404, code="no_file")
    installation.refused("GET", "/payouts/pay_99/file", status=404, code="unknown_payout")


def test_payouts_are_listed_newest_first(installation: Installation, shop: FedShop) -> None:
    made = [draft(shop) for _ in range(3)]
    page = installation.call("GET", f"/payouts?shop={shop.key}&limit=2", expect=200)
    assert [one["id"] for one in page["items"]] == [made[2]["id"], made[1]["id"]]
    rest = installation.call("GET", f"/payouts?shop={shop.key}&cursor={page['next']}", expect=200)
    assert ([one["id"] for one in rest["items"]], rest["next"]) == ([made[0]["id"]], None)


def test_an_empty_body_is_as_good_as_none_and_nothing_else(installation: Installation, shop: FedShop) -> None:
    batch = draft(shop)
    path = f"/payouts/{batch['id']}/approve"
    told = installation.refused("POST", path, {"now": True}, status=422, code="invalid")
    assert list(told["errors"]) == ["now"]
    installation.call("POST", path, {}, expect=200)
