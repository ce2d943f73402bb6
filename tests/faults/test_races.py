"""Every pair of money verbs at once, on two real connections: one effect each, sums right, and the loser is told why.

In the first round both threads are let go at once; in each later one a thread is stopped at a statement drawn by lot
until the other is done or waits for it. Cases 32, 36, 38, 40, 45 and 46.
"""

import json
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from plugin.domain.moment import SECOND, format_moment, parse_moment
from plugin.services import process_inbox
from plugin.services.list_events import list_events
from plugin.services.process_inbox import drain
from plugin.services.release_holds import release_holds
from plugin.services.replay_deliveries import replay
from tests.crash.points import Points
from tests.crash.stepping import both_at_once, one_stopped
from tests.world import Shop, World

ROUNDS = int(os.environ.get("PASSALONG_TEST_ROUNDS", "3"))
LATER = "2035-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb came to: a status of HTTP and, where it was refused, the code that says why."""

    status: int
    said: Any = None

    @property
    def code(self) -> str | None:
        return self.said["code"] if self.status >= 400 else None


Verb = Callable[[], Answer]
Judge = Callable[[Answer, Answer], None]


@dataclass(slots=True)
class Scene:
    """A shop whose people and orders are new in each round, and the verbs of which two are let loose at once."""

    world: World
    shop: Shop
    other: Shop
    said: list[str] = field(default_factory=list)

    # --- what is there before -----------------------------------------------------------------------------------------

    def sharer(self, name: str = "sharer", **details: Any) -> str:
        """Enrol a sharer who has a code of the same name as their id, in lower case."""
        name = f"{name}-{self.world.number()}"
        self.said.append(name)
        return self.shop.sharer(name, codes=[name], **details)

    def order(self, **changes: Any) -> dict[str, Any]:
        """Return an order brought by the sharer enrolled last."""
        return self.shop.order(**({"codes": [self.said[-1]]} | changes))

    def sold(self, *, released: bool = False, **changes: Any) -> dict[str, Any]:
        """Have an order of 100.00 in the books, earning 10.00."""
        order = self.order(**changes)
        self.shop.told(order)
        if released:
            self.world.release(LATER)
        return order

    def refunded(self, order: dict[str, Any], amount: str, *, day: int = 5) -> dict[str, Any]:
        """Bring a refund to the door and leave it in the inbox."""
        changed = order | {
            "updated_at": f"2026-11-{day:02}T10:00:00Z",
            "refunds": [{"id": "r1", "amount": amount, "lines": [{"line_id": "l1", "quantity": 1, "amount": amount}]}],
        }
        return self.shop.deliver(changed)

    def payout(self, who: str, *, steps: tuple[str, ...] = ()) -> Any:
        """Have a batch for one sharer, and take it some steps on its way."""
        body = {"shop": self.shop.key, "rail": "manual", "currency": "USD", "sharers": [who]}
        batch = self.world.call("POST", "/payouts", body, expect=201)
        for step in steps:
            batch = self.world.call("POST", f"/payouts/{batch['id']}/{step}", {}, expect=200)
        return batch

    def paid(self, who: str) -> Any:
        """Have a batch for one sharer of which the one item is paid."""
        batch = self.payout(who, steps=("approve", "submit"))
        self.mark(batch, "paid")()
        return batch

    # --- verbs --------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Verb:
        """Call the API over a client of its own."""

        def verb() -> Answer:
            sent = {"Authorization": f"Bearer {self.world.token}"} | headers
            answer = self.world.app.test_client().open(f"/api/v1{path}", method=method, json=body, headers=sent)
            return Answer(answer.status_code, answer.get_json())

        return verb

    def step(self, batch: Any, step: str) -> Verb:
        """Approve, submit or cancel a batch."""
        return self.ask("POST", f"/payouts/{batch['id']}/{step}", {})

    def mark(self, batch: Any, state: str) -> Verb:
        """Mark the one item of a batch."""
        return self.ask("POST", f"/payouts/{batch['id']}/items/{batch['items'][0]['id']}/mark", {"state": state})

    def attribute(self, order: dict[str, Any], who: str | None) -> Verb:
        """Give an order to somebody by hand."""
        body = {"shop": self.shop.key, "sharer": who, "reason": "called us"}
        return self.ask("POST", f"/orders/{order['id']}/attribution", body)

    def enrol(self, shop: Shop, email: str, *codes: str) -> Verb:
        """Enrol somebody who counts since long ago."""
        body = {"shop": shop.key, "email": email, "name": "X", "codes": codes, "since": "2020-01-01T00:00:00Z"}
        return self.ask("POST", "/sharers", body)

    def work(self, *, seconds_ahead: int = 0) -> Verb:
        """Work as a worker whose clock goes ahead."""
        context = self.world.context
        if seconds_ahead:
            context = replace(context, now=lambda: self.world.context.now() + seconds_ahead * SECOND)

        return lambda: Answer(200, drain(context))

    def release(self) -> Answer:
        """Release what is due."""
        return Answer(200, release_holds(self.world.context, now=parse_moment(LATER)))

    def replay(self) -> Answer:
        """Replay every delivery of the shop."""
        return Answer(200, replay(self.world.context))

    # --- what must be there after -------------------------------------------------------------------------------------

    def money(self, who: str) -> tuple[str, str, str, str]:
        """Return what is pending or held, payable, in flight and paid, without ``.00``."""
        balance = self.shop.balance(who)
        held = balance["pending"] if balance["held"] in ("0", "0.00") else f"held {balance['held']}"
        return tuple(  # type: ignore[return-value]
            amount.removesuffix(".00") for amount in (held, balance["payable"], balance["in_flight"], balance["paid"])
        )


SCENES: list[Callable[[Scene], tuple[Verb, Verb, Judge]]] = []


def scene(make: Callable[[Scene], tuple[Verb, Verb, Judge]]) -> Callable[[Scene], tuple[Verb, Verb, Judge]]:
    """Register a pair of verbs: who they are, and what must be true of their answers and the books."""
    SCENES.append(make)
    return make


def both_done(one: Answer, other: Answer) -> None:
    """Assert that both verbs came through."""
    assert one.status < 300 and other.status < 300, (one, other)


def one_wins(code: str, one: Answer, other: Answer) -> bool:
    """Assert that exactly one verb came through and that the other is told why; tell whether it was the first."""
    winners = [answer for answer in (one, other) if answer.status < 300]
    losers = [answer for answer in (one, other) if answer.status >= 300]
    assert len(winners) == len(losers) == 1, (one, other)
    assert (losers[0].status, losers[0].code) == (409, code)
    assert losers[0].said["detail"].endswith("."), "a sentence that says why"
    return one.status < 300


# -- holds and clawbacks -----------------------------------------------------------------------------------------------


@scene
def release_and_refund(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.refunded(s.sold(), "40.00")

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) == ("0", "6", "0", "0")

    return s.release, s.work(), judge


@scene
def release_and_release(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold()

    def judge(one: Answer, other: Answer) -> None:
        assert one.said.count + other.said.count == 1
        assert s.money(who) == ("0", "10", "0", "0")

    return s.release, s.release, judge


@scene
def release_and_decision_by_hand(s: Scene) -> tuple[Verb, Verb, Judge]:
    bob, alice = s.sharer("bob"), s.sharer("alice")
    order = s.sold()

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert (s.money(alice), s.money(bob)) == (("0", "0", "0", "0"), ("0", "10", "0", "0"))

    return s.release, s.attribute(order, bob), judge


@scene
def release_and_hold(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    order = s.sold()

    def judge(one: Answer, other: Answer) -> None:
        if other.status < 300:
            assert s.money(who) == ("held 10", "0", "0", "0")
        else:
            assert (other.status, other.code) == (409, "already_released")
            assert s.money(who) == ("0", "10", "0", "0")

    return s.release, s.ask("POST", f"/orders/{order['id']}/hold", {"shop": s.shop.key, "reason": "odd"}), judge


@scene
def two_clawbacks_of_one_order(s: Scene) -> tuple[Verb, Verb, Judge]:
    """Case 45: each worker has one of them in hand."""
    who = s.sharer()
    order = s.sold(released=True)
    s.refunded(order, "30.00", day=5)
    s.refunded(order, "70.00", day=6)
    context, batch = s.world.context, process_inbox.BATCH

    def one_delivery() -> Answer:
        return Answer(200, drain(context))

    def judge(one: Answer, other: Answer) -> None:
        process_inbox.BATCH = batch
        assert one.said.done + other.said.done == 2
        assert s.money(who) == ("0", "3", "0", "0")

    process_inbox.BATCH = 1
    return one_delivery, one_delivery, judge


@scene
def two_orders_of_one_sharer(s: Scene) -> tuple[Verb, Verb, Judge]:
    """The accounts of a sharer are opened by whoever comes first."""
    who = s.sharer()
    s.shop.deliver(s.order())
    s.shop.deliver(s.order(currency="EUR"))
    s.shop.deliver(s.order())
    batch = process_inbox.BATCH

    def judge(one: Answer, other: Answer) -> None:
        process_inbox.BATCH = batch
        assert one.said.done + other.said.done == 3
        assert s.money(who) == ("20", "0", "0", "0")

    process_inbox.BATCH = 1
    return s.work(), s.work(), judge


# -- payouts -----------------------------------------------------------------------------------------------------------


@scene
def approve_and_approve_the_same_draft(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who)

    def judge(one: Answer, other: Answer) -> None:
        one_wins("wrong_state", one, other)
        assert s.money(who) == ("0", "0", "10", "0")

    return s.step(batch, "approve"), s.step(batch, "approve"), judge


@scene
def approve_two_drafts_of_one_sharer(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    s.sold(released=True)
    drafts = s.payout(who), s.payout(who)

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert sorted(len(answer.said["items"]) for answer in (one, other)) == [0, 1]
        loser = one if not one.said["items"] else other
        assert loser.said["left_out"] == [{"sharer": who, "reason": "nothing_payable"}]
        assert s.money(who) == ("0", "0", "20", "0")
        for batch in drafts:
            assert s.step(batch, "submit")().status == 200
        s.mark(one.said if loser is other else other.said, "paid")()
        assert s.money(who) == ("0", "0", "0", "20")

    return s.step(drafts[0], "approve"), s.step(drafts[1], "approve"), judge


@scene
def draft_and_approve(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who)
    body = {"shop": s.shop.key, "rail": "manual", "currency": "USD", "sharers": [who]}

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.step(one.said, "approve")().said["items"] == []
        assert s.money(who) == ("0", "0", "10", "0")

    return s.ask("POST", "/payouts", body), s.step(batch, "approve"), judge


@scene
def approve_and_clawback(s: Scene) -> tuple[Verb, Verb, Judge]:
    """Case 40: the batch carries what was reserved, or the sharer is left out; never a part of both."""
    who = s.sharer()
    order = s.sold(released=True)
    batch = s.payout(who)
    s.refunded(order, "100.00")

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        if one.said["items"]:
            assert s.money(who) == ("0", "-10", "10", "0")
        else:
            assert one.said["left_out"] == [{"sharer": who, "reason": "nothing_payable"}]
            assert s.money(who) == ("0", "0", "0", "0")

    return s.step(batch, "approve"), s.work(), judge


@scene
def approve_and_cancel(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who)

    def judge(one: Answer, other: Answer) -> None:
        assert other.status == 200
        assert one.status == 200 or (one.status, one.code) == (409, "wrong_state")
        assert s.money(who) == ("0", "10", "0", "0")

    return s.step(batch, "approve"), s.step(batch, "cancel"), judge


@scene
def approve_and_suspend(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who)

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        if one.said["items"]:
            assert s.money(who) == ("0", "0", "10", "0")
        else:
            assert one.said["left_out"] == [{"sharer": who, "reason": "sharer_suspended"}]
            assert s.money(who) == ("0", "10", "0", "0")

    return s.step(batch, "approve"), s.ask("PATCH", f"/sharers/{who}", {"status": "suspended"}), judge


@scene
def approve_and_decision_by_hand(s: Scene) -> tuple[Verb, Verb, Judge]:
    bob, alice = s.sharer("bob"), s.sharer("alice")
    order = s.sold(released=True)
    batch = s.payout(alice)

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(bob) == ("0", "10", "0", "0")
        assert s.money(alice) == (("0", "-10", "10", "0") if one.said["items"] else ("0", "0", "0", "0"))

    return s.step(batch, "approve"), s.attribute(order, bob), judge


@scene
def approve_and_release(s: Scene) -> tuple[Verb, Verb, Judge]:
    """What becomes payable meanwhile is in the batch or is not; it is paid once either way."""
    who = s.sharer()
    s.sold(released=True)
    s.sold()
    batch = s.payout(who)

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) in (("0", "10", "10", "0"), ("0", "0", "20", "0"))

    return s.step(batch, "approve"), s.release, judge


@scene
def submit_and_cancel(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who, steps=("approve",))

    def judge(one: Answer, other: Answer) -> None:
        if one_wins("wrong_state", one, other):
            assert s.money(who) == ("0", "0", "10", "0")
        else:
            assert s.money(who) == ("0", "10", "0", "0")

    return s.step(batch, "submit"), s.step(batch, "cancel"), judge


@scene
def submit_and_submit(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who, steps=("approve",))

    def judge(one: Answer, other: Answer) -> None:
        one_wins("wrong_state", one, other)
        assert s.money(who) == ("0", "0", "10", "0")

    return s.step(batch, "submit"), s.step(batch, "submit"), judge


@scene
def cancel_and_clawback(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    order = s.sold(released=True)
    batch = s.payout(who, steps=("approve",))
    s.refunded(order, "100.00")

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) == ("0", "0", "0", "0")

    return s.step(batch, "cancel"), s.work(), judge


@scene
def paid_and_failed(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who, steps=("approve", "submit"))

    def judge(one: Answer, other: Answer) -> None:
        if one_wins("wrong_state", one, other):
            assert s.money(who) == ("0", "0", "0", "10")
        else:
            assert s.money(who) == ("0", "10", "0", "0")

    return s.mark(batch, "paid"), s.mark(batch, "failed"), judge


@scene
def paid_and_paid(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.payout(who, steps=("approve", "submit"))

    def judge(one: Answer, other: Answer) -> None:
        one_wins("wrong_state", one, other)
        assert s.money(who) == ("0", "0", "0", "10")

    return s.mark(batch, "paid"), s.mark(batch, "paid"), judge


@scene
def paid_and_clawback(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    order = s.sold(released=True)
    batch = s.payout(who, steps=("approve", "submit"))
    s.refunded(order, "100.00")

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) == ("0", "-10", "0", "10")

    return s.mark(batch, "paid"), s.work(), judge


@scene
def failed_and_clawback(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    order = s.sold(released=True)
    batch = s.payout(who, steps=("approve", "submit"))
    s.refunded(order, "100.00")

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) == ("0", "0", "0", "0")

    return s.mark(batch, "failed"), s.work(), judge


@scene
def returned_and_returned(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.paid(who)

    def judge(one: Answer, other: Answer) -> None:
        one_wins("wrong_state", one, other)
        assert s.money(who) == ("0", "10", "0", "0")

    return s.mark(batch, "returned"), s.mark(batch, "returned"), judge


@scene
def returned_and_approve(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    batch = s.paid(who)
    s.sold(released=True)
    draft = s.payout(who)

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) in (("0", "10", "10", "0"), ("0", "0", "20", "0"))

    return s.mark(batch, "returned"), s.step(draft, "approve"), judge


# -- the inbox ---------------------------------------------------------------------------------------------------------


@scene
def two_workers(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    orders = [s.shop.deliver(s.order()) for _ in range(3)]
    for order in orders:
        s.refunded(order, "50.00")

    def judge(one: Answer, other: Answer) -> None:
        assert one.said.done + other.said.done == 6
        assert s.money(who) == ("15", "0", "0", "0")

    return s.work(), s.work(), judge


@scene
def two_workers_of_whom_one_s_lease_ran_out(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    order = s.shop.deliver(s.order())
    s.refunded(order, "50.00")

    def judge(one: Answer, other: Answer) -> None:
        assert one.said.done + other.said.done == 2, "each is done by one of them alone"
        assert s.money(who) == ("5", "0", "0", "0")

    return s.work(), s.work(seconds_ahead=process_inbox.LEASE_SECONDS + 1), judge


@scene
def replay_and_refund(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.refunded(s.sold(), "100.00")

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) == ("0", "0", "0", "0")

    return s.replay, s.work(), judge


@scene
def replay_and_replay(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold()

    def judge(one: Answer, other: Answer) -> None:
        assert (one.said["changed"], other.said["changed"]) == (0, 0)
        assert s.money(who) == ("10", "0", "0", "0")

    return s.replay, s.replay, judge


@scene
def replay_and_release(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold()

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) == ("0", "10", "0", "0")

    return s.replay, s.release, judge


@scene
def the_same_delivery_at_two_doors(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    body = json.dumps({"type": "order", "data": s.order()}).encode()
    headers = s.shop.signed(body)

    def door() -> Answer:
        client = s.world.app.test_client()
        answer = client.post(f"/webhooks/{s.shop.key}", data=body, headers=headers)
        return Answer(answer.status_code, drain(s.world.context))

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert one.said.done + other.said.done == 1
        assert s.money(who) == ("10", "0", "0", "0")

    return door, door, judge


# -- facts that decide money -------------------------------------------------------------------------------------------


@scene
def plan_and_delivery(s: Scene) -> tuple[Verb, Verb, Judge]:
    """The plan is in force before the order, or it is refused; no order is decided by both."""
    who = s.sharer()
    at = format_moment(parse_moment("2026-11-02T00:00:00Z") + s.world.number() * SECOND)
    order = s.shop.deliver(s.order(placed_at=at))
    put = s.ask("PUT", f"/shops/{s.shop.key}/plan?from={at}", {"commission": {"default": {"percent": "20"}}})

    def judge(one: Answer, other: Answer) -> None:
        if one.status == 200:
            assert s.money(who) == ("20", "0", "0", "0")
            again = {"commission": {"default": {"percent": "10"}}}
            late = format_moment(parse_moment(at) + SECOND)
            assert s.ask("PUT", f"/shops/{s.shop.key}/plan?from={late}", again)().status == 200
        else:
            assert (one.status, one.code) == (409, "already_decided")
            assert s.money(who) == ("10", "0", "0", "0")
        versions = {line["plan_version"] for line in s.shop.see(order["id"])["commissions"]}
        assert len(versions) == 1

    return put, s.work(), judge


@scene
def plan_and_plan(s: Scene) -> tuple[Verb, Verb, Judge]:
    plan = {"commission": {"default": {"percent": "10"}}}

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert abs(one.said["version"] - other.said["version"]) == 1

    put = s.ask("PUT", f"/shops/{s.shop.key}/plan", plan)
    return put, put, judge


@scene
def the_first_plan_that_binds_and_delivery(s: Scene) -> tuple[Verb, Verb, Judge]:
    """A worker that looked at the shop before the plan came must not settle as if nobody were bound."""
    shop = s.world.shop(url=f"https://shop-{s.world.number()}.example.com")
    shop.plan()
    name = f"alice-{s.world.number()}"
    alice, buyer = shop.sharer(name, codes=[name]), {"id": "c-1", "orders_before": 0}
    shop.told(shop.order("one", codes=[name], customer=buyer, placed_at="2026-11-01T10:00:00Z"))
    shop.deliver(shop.order("two", customer=buyer, placed_at="2026-11-03T10:00:00Z"))
    plan = {"commission": {"default": {"percent": "10"}}, "attribution": {"binding": {"mode": "first"}}}

    def judge(one: Answer, other: Answer) -> None:
        assert one.status == 200 or (one.status, one.code) == (409, "already_decided")
        assert shop.balance(alice)["pending"] == ("20.00" if one.status == 200 else "10.00")

    return s.ask("PUT", f"/shops/{shop.key}/plan?from=2026-11-02T10:00:00Z", plan), s.work(), judge


@scene
def suspension_and_delivery(s: Scene) -> tuple[Verb, Verb, Judge]:
    """It counts for orders placed from then on, whoever of the two comes first."""
    who = s.sharer()
    s.shop.deliver(s.order())
    ahead = format_moment(s.world.context.now() + 3_600 * SECOND)
    s.shop.deliver(s.order(placed_at=ahead))

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(who) == ("10", "0", "0", "0")

    return s.ask("PATCH", f"/sharers/{who}", {"status": "suspended"}), s.work(), judge


@scene
def enrolment_and_delivery(s: Scene) -> tuple[Verb, Verb, Judge]:
    """The code's order comes before its owner, or after; it is theirs either way."""
    name = f"late-{s.world.number()}"
    s.shop.deliver(s.shop.order(codes=[name]))

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert s.money(one.said["id"]) == ("10", "0", "0", "0")

    return s.enrol(s.shop, f"{name}@example.org", name), s.work(), judge


@scene
def enrolment_of_the_buyer_and_delivery(s: Scene) -> tuple[Verb, Verb, Judge]:
    """Who shares may not buy on their own code; the order is refused them whoever comes first."""
    who = s.sharer()
    email = f"{s.said[-1]}@example.org"
    s.shop.deliver(s.order(customer={"id": "c", "email": email, "orders_before": 0}))
    other = s.sharer("other")
    s.shop.deliver(s.order(customer={"id": "d", "email": f"new-{email}", "orders_before": 0}))

    def judge(one: Answer, two: Answer) -> None:
        both_done(one, two)
        assert s.money(who) == ("0", "0", "0", "0")
        assert s.money(other) == ("10", "0", "0", "0"), "somebody else's purchase, though by a sharer"

    return s.enrol(s.shop, f"new-{email}"), s.work(), judge


@scene
def two_enrolments_with_one_code(s: Scene) -> tuple[Verb, Verb, Judge]:
    name = f"code-{s.world.number()}"

    def judge(one: Answer, other: Answer) -> None:
        one_wins("code_taken", one, other)

    return s.enrol(s.shop, f"a-{name}@example.org", name), s.enrol(s.shop, f"b-{name}@example.org", name), judge


@scene
def two_enrolments_with_one_email(s: Scene) -> tuple[Verb, Verb, Judge]:
    email = f"same-{s.world.number()}@example.org"

    def judge(one: Answer, other: Answer) -> None:
        one_wins("email_taken", one, other)

    return s.enrol(s.shop, email), s.enrol(s.shop, email), judge


@scene
def two_shops_enrol_one_person(s: Scene) -> tuple[Verb, Verb, Judge]:
    email = f"person-{s.world.number()}@example.org"

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert one.said["person"] == other.said["person"] and one.said["id"] != other.said["id"]

    return s.enrol(s.shop, email), s.enrol(s.other, email), judge


@scene
def two_sharers_take_one_code(s: Scene) -> tuple[Verb, Verb, Judge]:
    alice, bob, code = s.sharer(), s.sharer(), f"free-{s.world.number()}"
    take = {"codes": [code]}

    def judge(one: Answer, other: Answer) -> None:
        one_wins("code_taken", one, other)

    return s.ask("PATCH", f"/sharers/{alice}", take), s.ask("PATCH", f"/sharers/{bob}", take), judge


@scene
def two_decisions_by_hand(s: Scene) -> tuple[Verb, Verb, Judge]:
    """The one that the record has last is in force, and it alone."""
    bob, alice = s.sharer("bob"), s.sharer("alice")
    order = s.sold()

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        ten, nothing = ("10", "0", "0", "0"), ("0", "0", "0", "0")
        assert (s.money(alice), s.money(bob)) in ((ten, nothing), (nothing, ten))
        winner = s.shop.receipt(order["id"])["winner"]
        assert s.money(winner) == ten

    return s.attribute(order, alice), s.attribute(order, bob), judge


@scene
def decision_by_hand_and_refund(s: Scene) -> tuple[Verb, Verb, Judge]:
    bob, alice = s.sharer("bob"), s.sharer("alice")
    order = s.sold(released=True)
    s.refunded(order, "40.00")

    def judge(one: Answer, other: Answer) -> None:
        both_done(one, other)
        assert (s.money(alice), s.money(bob)) == (("0", "0", "0", "0"), ("0", "6", "0", "0"))

    return s.attribute(order, bob), s.work(), judge


# -- the same question twice -------------------------------------------------------------------------------------------


@scene
def one_idempotency_key_twice(s: Scene) -> tuple[Verb, Verb, Judge]:
    who = s.sharer()
    s.sold(released=True)
    body = {"shop": s.shop.key, "rail": "manual", "currency": "USD", "sharers": [who]}
    key = {"Idempotency-Key": f"key-{s.world.number()}"}

    def batches() -> int:
        return len(s.ask("GET", f"/payouts?shop={s.shop.key}&limit=500")().said["items"])

    before = batches()

    def judge(one: Answer, other: Answer) -> None:
        if {one.status, other.status} == {201, 409}:
            assert (one.code or other.code) == "idempotency_in_progress"
        else:
            assert (one.status, other.status, one.said) == (201, 201, other.said)
        assert batches() == before + 1

    return s.ask("POST", "/payouts", body, **key), s.ask("POST", "/payouts", body, **key), judge


# -- the run -----------------------------------------------------------------------------------------------------------


class Follower:
    """Follows the events as they are committed; whoever does so must miss nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seen: list[int] = []

    def look(self) -> None:
        """Take what is new."""
        context, after = self._world.context, self.seen[-1] if self.seen else 0
        while items := list_events(context, after=after, limit=500, shop_id=None)["items"]:
            self.seen += [one["seq"] for one in items]
            after = self.seen[-1]


@pytest.fixture
def shops(world: World) -> tuple[Shop, Shop]:
    """Give two shops that pay ten percent."""
    both = world.shop(), world.shop(url="https://other.example.com")
    for shop in both:
        shop.plan()
    return both


def test_a_worker_overtaken_at_each_statement_does_nothing_twice(world: World, shops: tuple[Shop, Shop]) -> None:
    """Its lease ran out while it was stopped; whatever it had reached, what the other did is not done again."""
    points, stop_at, overtaken = Points(world.context.database.engine), 0, True
    while overtaken:
        stop_at += 1
        first, second, judge = two_workers_of_whom_one_s_lease_ran_out(Scene(world, *shops))
        threads = one_stopped(points, first, second, stop_at=stop_at)
        judge(threads[0].result(), threads[1].result())
        overtaken = threads[0].steps >= stop_at
    assert stop_at > 20
    world.books()


def test_a_worker_that_fails_after_it_was_overtaken_leaves_done_what_the_other_did(
    world: World, shops: tuple[Shop, Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(world, *shops)
    who, overtaking = scene.sharer(), scene.work(seconds_ahead=process_inbox.LEASE_SECONDS + 1)
    scene.shop.deliver(scene.order())
    recording = process_inbox.recording

    def failing(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(process_inbox, "recording", recording)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(overtaking).result().said.done == 1
        raise ValueError("a fault of ours")

    monkeypatch.setattr(process_inbox, "recording", failing)
    drain(world.context)
    (one,) = world.deliveries()
    assert (one["state"], one["reason"]) == ("done", None)
    assert scene.money(who) == ("10", "0", "0", "0")


@pytest.mark.parametrize("make", SCENES, ids=lambda make: make.__name__)
def test_at_once(world: World, shops: tuple[Shop, Shop], make: Callable[[Scene], tuple[Verb, Verb, Judge]]) -> None:
    points, seed, follower = Points(world.context.database.engine), random.randrange(2**32), Follower(world)
    lot, steps = random.Random(seed), [1, 1]
    for number in range(ROUNDS):
        first, second, judge = make(Scene(world, *shops))
        turn = number % 2
        if number == 0:
            threads = both_at_once(points, first, second)
            print(f"seed {seed}, both at once")
        else:
            # What matters lies towards the end of a verb, after its looks at the books.
            stop_at = max(1, round(steps[turn] * (1 - lot.random() ** 2)))
            print(f"round {number}: verb {turn + 1} stopped at {stop_at}")
            pair = (first, second) if turn == 0 else (second, first)
            threads = one_stopped(points, *pair, stop_at=stop_at)
            threads = threads if turn == 0 else (threads[1], threads[0])
        answers = threads[0].result(), threads[1].result()
        steps = [max(known, thread.steps) for known, thread in zip(steps, threads, strict=True)]
        assert max(answer.status for answer in answers) < 500, answers
        judge(*answers)
        follower.look()
        world.books()
    assert follower.seen == list(range(1, len(follower.seen) + 1))
