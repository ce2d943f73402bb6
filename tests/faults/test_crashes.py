"""Killed before and after every statement, and run again: each sharer is paid once, and the books hold (case 32)."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select, text

from plugin.database import Database
from plugin.domain.moment import SECOND, parse_moment
from plugin.domain.payout import ENDS
from plugin.errors import Conflict
from plugin.models import sharer
from plugin.services import process_inbox, release_holds, run_payout
from plugin.services.context import Context
from plugin.services.decide_by_hand import attribute_by_hand
from plugin.services.enrol_sharer import NewSharer, change_sharer, enrol_sharer, standing
from plugin.services.put_plan import current_plan, put_plan
from plugin.services.run_payout import NewPayout, approve_payout, draft_payout
from tests.crash import pay_run
from tests.crash.pay_run import PayRun
from tests.crash.points import Points, kill_everywhere
from tests.world import Shop, World

DRAFTS = "SELECT count(*) FROM pa_payout WHERE state = 'draft'"
ROOT = Path(__file__).parent.parent.parent
REAL_KILLS = 4
LATER = "2035-01-01T00:00:00Z"
# Whatever a step gets done moves one of these; a lease alone is no progress.
PROGRESS = """SELECT (SELECT sum(position) FROM pa_head), (SELECT count(*) FROM pa_delivery WHERE state <> 'stored'),
    (SELECT seq FROM pa_event_head), (SELECT count(*) FROM pa_person)"""


class Lab:
    """A world whose services are killed, and a look at its database that never is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.points = Points(world.context.database.engine)
        self.look = Database(str(world.context.settings.database_url), pool_size=1)
        self.lives = 0

    def rows(self, query: str) -> list[Row[Any]]:
        """Ask the database behind the back of the program."""
        with self.look.reading() as connection:
            return list(connection.execute(text(query)).all())

    def number(self, query: str) -> int:
        """Ask for one number."""
        return int(self.rows(query)[0][0])

    def kill_everywhere(self, work: Callable[[Context], object]) -> int:
        """Kill the work at each point of each step; each life is a new process an hour after the one before."""
        context = self.world.context
        born = context.now()

        def live() -> None:
            self.lives += 1
            now = born + self.lives * 3_600 * SECOND
            work(replace(context, accounts={}, now=lambda: now))

        lives = kill_everywhere(
            self.points, live, progress=lambda: self.rows(PROGRESS), check=lambda: self.world.books()
        )
        self.world.books()
        return lives


@pytest.fixture
def lab(world: World) -> Iterator[Lab]:
    """Give a world to be killed in."""
    lab = Lab(world)
    try:
        yield lab
    finally:
        lab.look.close()


def sell(shop: Shop, code: str, *amounts: str) -> list[dict[str, Any]]:
    """Deliver paid orders that a sharer's code brought."""
    lines = [[{"id": "l1", "product_id": "p1", "quantity": 1, "amount": amount, "tax": "0.00"}] for amount in amounts]
    return [shop.deliver(shop.order(codes=[code], lines=one)) for one in lines]


def refund(shop: Shop, order: dict[str, Any]) -> None:
    """Deliver an order again, wholly refunded."""
    amount = order["lines"][0]["amount"]
    back = {"id": "r1", "amount": amount, "lines": [{"line_id": "l1", "quantity": 1, "amount": amount}]}
    shop.deliver(order | {"updated_at": "2026-11-05T10:00:00Z", "refunds": [back]})


# -- a payout ----------------------------------------------------------------------------------------------------------


def number_of(sharer_id: str) -> int:
    """Return our number of a public id."""
    return int(sharer_id.split("_")[1])


def amounts(shop: Shop, who: str) -> tuple[str, str, str]:
    """Return what is payable, in flight and paid."""
    balance = shop.balance(who)
    return balance["payable"], balance["in_flight"], balance["paid"]


@pytest.fixture
def payday(lab: Lab, shop: Shop) -> dict[str, str]:
    """Give two sharers to be paid, one of them with a debt, one whose payment fails, one's returns, one suspended."""
    who = {name: shop.sharer(name, codes=[name]) for name in ("alice", "bob", "carol", "dora", "erin")}
    (old,) = sell(shop, "bob", "100.00")
    lab.world.work()
    lab.world.release(LATER)
    run = PayRun(lab.look, 1, {number_of(who["bob"]): ["paid"]})
    run(lab.world.context)
    refund(shop, old)
    sell(shop, "alice", "200.00", "50.00")
    sell(shop, "bob", "150.00")
    sell(shop, "carol", "70.00")
    sell(shop, "dora", "80.00")
    sell(shop, "erin", "90.00")
    lab.world.work()
    lab.world.release(LATER)
    lab.world.call("PATCH", f"/sharers/{who['erin']}", {"status": "suspended"}, expect=200)
    assert amounts(shop, who["bob"]) == ("5.00", "0.00", "10.00")
    return who


def test_a_payout_killed_at_every_statement_pays_each_sharer_once(
    lab: Lab, shop: Shop, payday: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its look at the books, at each statement of which the draft below is killed."""
    monkeypatch.setattr(run_payout, "require_good_books", lambda context, shop_id: None)
    draft_payout(lab.world.context, 1, NewPayout("manual", "USD"), actor="operator")
    lives = lab.kill_everywhere(PayRun(lab.look, 1, marks_of(payday)))
    assert lives > 100, "the deaths came nowhere"
    assert_paid_once(lab, shop, payday)


def test_a_payout_whose_processes_are_killed_by_the_system_pays_each_sharer_once(
    lab: Lab, shop: Shop, payday: dict[str, str]
) -> None:
    """The same with real processes and a real kill -9, at points drawn by lot."""
    draft_payout(lab.world.context, 1, NewPayout("manual", "USD"), actor="operator")
    settings = lab.world.context.settings
    told = {
        "settings": {
            "PASSALONG_DATABASE_URL": settings.database_url,
            "PASSALONG_QUEUE_URL": settings.queue_url,
            "PASSALONG_INSTANCE": str(settings.instance),
        },
        "marks": marks_of(payday),
    }
    seed = random.randrange(2**32)
    print("seed", seed)
    for at in random.Random(seed).sample(range(1, 300), REAL_KILLS):
        assert run_until(told | {"at": at}) in (-signal.SIGKILL, 0)
        lab.world.books()
    assert run_until(told | {"at": 0}) == 0
    assert_paid_once(lab, shop, payday)


def run_until(told: dict[str, Any]) -> int:
    """Run a payout in a process that dies at a point; return how it ended."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", pay_run.__name__, json.dumps(told)], cwd=ROOT, timeout=60
    ).returncode


def marks_of(payday: dict[str, str]) -> dict[int, list[str]]:
    """Return what becomes of each payment."""
    marks = {"alice": ["paid"], "bob": ["paid"], "carol": ["failed"], "dora": ["paid", "returned"]}
    return {number_of(payday[name]): wanted for name, wanted in marks.items()}


def assert_paid_once(lab: Lab, shop: Shop, payday: dict[str, str]) -> None:
    """Assert that everybody was paid once, whatever it took."""
    assert amounts(shop, payday["alice"]) == ("0.00", "0.00", "25.00")
    assert amounts(shop, payday["bob"]) == ("0.00", "0.00", "15.00")
    assert amounts(shop, payday["carol"]) == ("7.00", "0.00", "0.00")
    assert amounts(shop, payday["dora"]) == ("8.00", "0.00", "0.00")
    assert amounts(shop, payday["erin"]) == ("9.00", "0.00", "0.00")
    assert {row.state for row in lab.rows("SELECT state FROM pa_payout_item")} <= ENDS
    assert lab.number("SELECT count(*) FROM pa_payout_item") == 5


def test_a_draft_killed_at_every_statement_is_whole_and_of_two_drafts_one_pays(
    lab: Lab, shop: Shop, payday: dict[str, str]
) -> None:
    def draft(context: Context) -> None:
        if not lab.number(DRAFTS):
            draft_payout(context, 1, NewPayout("manual", "USD"), actor="operator")

    lab.kill_everywhere(draft)
    assert lab.number(DRAFTS) == 1, "nobody was told of it, so whoever does not look makes another"
    draft_payout(lab.world.context, 1, NewPayout("manual", "USD"), actor="operator")
    drafts = lab.rows("SELECT id FROM pa_payout WHERE state = 'draft' ORDER BY id")
    for row in drafts:
        assert lab.number(f"SELECT count(*) FROM pa_payout_item WHERE payout_id = {row.id}") == 4
        approve_payout(lab.world.context, 1, row.id, actor="operator")
    assert amounts(shop, payday["alice"]) == ("0.00", "25.00", "0.00")
    assert lab.number(f"SELECT count(*) FROM pa_payout_item WHERE payout_id = {drafts[1].id}") == 0
    lab.world.books()


# -- the rest of what moves money --------------------------------------------------------------------------------------


def test_a_release_killed_at_every_statement_releases_each_order_once(
    lab: Lab, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_holds, "BATCH", 2)
    alice = shop.sharer("alice", codes=["alice"])
    sell(shop, "alice", "10.00", "20.00", "30.00", "40.00", "50.00")
    lab.world.work()
    lab.kill_everywhere(lambda context: release_holds.release_holds(context, now=parse_moment(LATER)))
    balance = shop.balance(alice)
    assert (balance["pending"], balance["payable"]) == ("0.00", "15.00")
    assert lab.number("SELECT count(*) FROM pa_fact WHERE kind = 'release'") == 5
    assert lab.number("SELECT count(*) FROM pa_transfer WHERE kind = 'release'") == 5
    assert lab.number("SELECT count(*) FROM pa_event WHERE type = 'order.released'") == 5


def work_off(lab: Lab, context: Context) -> None:
    """Work until nothing is left. PostgreSQL notices a death a moment later; until then its rows are passed over."""
    while lab.number("SELECT count(*) FROM pa_delivery WHERE state = 'stored'"):
        process_inbox.drain(context)


def test_an_inbox_killed_at_every_statement_books_each_delivery_once(
    lab: Lab, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_inbox, "BATCH", 4)
    alice = shop.sharer("alice", codes=["alice"])
    first, *_ = sell(shop, "alice", "10.00", "20.00", "30.00")
    refund(shop, first)
    shop.deliver(first)
    assert shop.post(b"not an order", shop.signed(b"not an order")).status_code == 200
    sell(shop, "alice", "40.00")
    lab.kill_everywhere(lambda context: work_off(lab, context))
    assert shop.balance(alice)["pending"] == "9.00"
    assert lab.number("SELECT count(*) FROM pa_order_state") == 5, "one of the seven is a copy, one nobody understands"
    states = {row.state: row.count for row in lab.rows("SELECT state, count(*) AS count FROM pa_delivery GROUP BY 1")}
    assert states == {"done": 6, "quarantined": 1}
    assert lab.number("SELECT count(*) FROM pa_delivery WHERE attempts > 0") == 0, "a death is nobody's fault"


def test_a_clawback_killed_at_every_statement_takes_back_once(lab: Lab, shop: Shop) -> None:
    alice = shop.sharer("alice", codes=["alice"])
    (order,) = sell(shop, "alice", "100.00")
    lab.world.work()
    lab.world.release(LATER)
    refund(shop, order)
    lab.kill_everywhere(lambda context: work_off(lab, context))
    assert amounts(shop, alice) == ("0.00", "0.00", "0.00")
    assert lab.number("SELECT count(*) FROM pa_transfer WHERE kind = 'claw_back'") == 1


def test_a_plan_put_killed_at_every_statement_is_put_whole_or_not_at_all(lab: Lab, shop: Shop) -> None:
    alice = shop.sharer("alice", codes=["alice"])
    sell(shop, "alice", "100.00")
    lab.world.work()
    ahead = shop.order("ahead", codes=["alice"], placed_at="2027-01-01T00:00:00Z", paid_at="2027-01-01T00:00:00Z")
    shop.told(ahead)
    plan = {"commission": {"default": {"percent": "20"}}}

    def put(context: Context) -> None:
        if current_plan(replace(context, database=lab.look), 1)["commission"]["default"] != {"percent": "20"}:
            put_plan(context, 1, plan, since=None, actor="owner")

    lab.kill_everywhere(put)
    assert lab.number("SELECT count(*) FROM pa_plan") == 3
    assert shop.balance(alice)["pending"] == "30.00", "the order placed before keeps its plan, the later one follows"


def test_a_change_of_a_sharer_killed_at_every_statement_is_whole_or_not_at_all(lab: Lab, shop: Shop) -> None:
    alice, bob = shop.sharer("alice", codes=["alice"]), shop.sharer("bob")
    ahead = shop.order("ahead", codes=["alice"], placed_at="2027-01-01T00:00:00Z", paid_at="2027-01-01T00:00:00Z")
    shop.told(ahead)
    wanted = {"status": "suspended", "codes": ["other"], "inviter": number_of(bob)}

    def change(context: Context) -> None:
        with lab.look.reading() as connection:
            row = connection.execute(select(sharer).where(sharer.c.id == number_of(alice))).one()
            if standing(connection, row.id).status == "suspended":
                return
        change_sharer(context, row, wanted, actor="owner")

    lab.kill_everywhere(change)
    assert lab.number("SELECT count(*) FROM pa_fact WHERE kind = 'sharer'") == 3
    assert lab.number("SELECT count(*) FROM pa_fact WHERE kind = 'code'") == 3
    assert shop.balance(alice)["pending"] == "0.00"


def test_an_enrolment_killed_at_every_statement_enrols_once(lab: Lab, shop: Shop) -> None:
    shop.told(shop.order("before", codes=["alice"]))
    new = NewSharer("alice@example.org", name="alice", codes=["alice"], since=0)
    taken: list[str] = []

    def enrol(context: Context) -> None:
        try:
            enrol_sharer(context, 1, new, actor="owner")
        except Conflict as error:
            taken.append(error.code)

    lab.kill_everywhere(enrol)
    assert taken == ["email_taken"], "the life that was killed after its commit had enrolled her"
    assert lab.number("SELECT count(*) FROM pa_sharer") == lab.number("SELECT count(*) FROM pa_person") == 1
    assert lab.number("SELECT sum(balance) FROM pa_account WHERE purpose = 'pending'") == 1_000


def test_a_decision_by_hand_killed_at_every_statement_moves_the_money_once(lab: Lab, shop: Shop) -> None:
    alice, bob = shop.sharer("alice", codes=["alice"]), shop.sharer("bob")
    (order,) = sell(shop, "alice", "100.00")
    lab.world.work()
    lab.world.release(LATER)

    def decide(context: Context) -> None:
        if not lab.number("SELECT count(*) FROM pa_fact WHERE kind = 'manual'"):
            attribute_by_hand(context, 1, order["id"], sharer_id=number_of(bob), reason="called", actor="owner")

    lab.kill_everywhere(decide)
    assert amounts(shop, alice) == ("0.00", "0.00", "0.00")
    assert amounts(shop, bob) == ("10.00", "0.00", "0.00")
    assert lab.number("SELECT count(*) FROM pa_transfer WHERE kind = 'claw_back'") == 1
