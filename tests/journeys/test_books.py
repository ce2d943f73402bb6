"""The books find every hand that was in them, name the row, and let no payout go until it is as it was.

A hand here has the whole database and knows its way about: it switches the guards off, keeps sums and caches in step,
and puts the guards back. It has all but the pepper, which lies outside.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from plugin import compression
from plugin.models import guards, metadata
from plugin.services.check_books import check_books
from tests.world import PLACED, Shop, World, guards_off

Hand = Callable[[Connection], None]
LATER = "2026-11-12T10:00:00Z"


def all_rows(world: World) -> dict[str, list[dict[str, Any]]]:
    """Return everything that the tables hold."""
    with world.context.database.reading() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for table in metadata.sorted_tables
        }


def put_back(world: World, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Make the tables hold just that again."""
    with guards_off(world) as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
            if rows[table.name]:
                connection.execute(table.insert(), rows[table.name])


class Books:
    """A shop with something of everything in its books, and a payout in draft that waits for its approval."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.shop = shop = world.shop()
        shop.plan()
        shop.plan({"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}})
        self.carol = shop.sharer("carol")
        self.alice = shop.sharer("alice", codes=["ALICE10"], referred_by=self.carol)
        token = shop.click(shop.link(self.alice))
        shop.told(shop.order("paid", codes=["ALICE10"]))
        world.release()
        shop.pay()
        order = shop.order("refunded", codes=["ALICE10"])
        shop.told(order)
        shop.told(order | {"updated_at": LATER, "refunds": [{"id": "r1", "amount": "50.00"}]})
        shop.told(shop.order("by hand", attributes={"_pa": token}))
        world.release()
        word = {"shop": shop.key, "sharer": self.alice, "reason": "she asked"}
        world.call("POST", "/orders/by hand/attribution", word, expect=200)
        shop.told(shop.order("in hold", codes=["ALICE10"]))
        self.draft = shop.draft()
        assert {item["net"] for item in self.draft["items"]} == {"15.00", "3.00"}
        shop.told(shop.order("last", codes=["ALICE10"]))
        self.other = world.shop(url="https://other.example.com")
        self.other.plan()
        self.other.told(self.other.order("theirs"))
        self.rows, self.turn = all_rows(world), False
        world.books()

    def found(self, hand: Hand, *, watched: bool = False) -> list[str]:
        """Let a hand in, return what the check says to it and whether it stops a payout, and put all back."""
        with self.world.context.database.writing() if watched else guards_off(self.world) as connection:
            hand(connection)
        try:
            problems = list(check_books(self.world.context).problems)
            self.turn = not self.turn  # drafting and approving take turns, for both ask the same check
            wanted = "draft" if self.turn else "approve"
            problems += [f"to {what} IS NOT REFUSED" for what, status in self.steps(wanted).items() if status != 409]
        finally:
            put_back(self.world, self.rows)
        return problems

    def steps(self, *wanted: str) -> dict[str, int]:
        """Try to draft, to approve, or both; return the status of each."""
        body = {"shop": self.shop.key, "rail": "manual", "currency": "USD"}
        requests = {"draft": ("/payouts", body), "approve": (f"/payouts/{self.draft['id']}/approve", {})}
        statuses = {}
        for name in wanted or requests:
            answer = self.world.response("POST", *requests[name])
            assert answer.status_code != 409 or answer.get_json()["code"] == "books_do_not_balance"
            statuses[name] = answer.status_code
        return statuses


def check(world: World, *, ok: bool) -> list[str]:
    """Run the command check-books, whose exit status must say whether all is well; return the problems it prints."""
    report = world.command("check-books", expect=0 if ok else 1)
    assert report["ok"] is ok
    problems: list[str] = report["problems"]
    return problems


@pytest.fixture
def books(world: World) -> Books:
    """Give such books."""
    return Books(world)


def run(statement: str, **values: Any) -> Hand:
    """Return a hand that runs a statement which must touch a row."""

    def hand(connection: Connection) -> None:
        assert connection.execute(text(statement), values).rowcount > 0, statement

    return hand


def every(*hands: Hand) -> Hand:
    """Return a hand that does all of it."""

    def hand(connection: Connection) -> None:
        for one in hands:
            one(connection)

    return hand


def assert_all_found(books: Books, hands: dict[str, tuple[Hand, str]], *, watched: bool = False) -> None:
    """Let the hands in one after the other; every one must be found, by a sentence that holds the words given."""
    unseen = {}
    for name, (hand, words) in hands.items():
        problems = books.found(hand, watched=watched)
        if not any(words in problem for problem in problems) or any("NOT REFUSED" in problem for problem in problems):
            unseen[name] = problems[-3:]
    assert not unseen
    books.world.books()  # put back, all is well again
    approved = books.shop.step(books.draft, "approve")
    assert sorted(item["gross"] for item in approved["items"]) == ["15.00", "3.00"]
    books.world.books()


# -- rows that were changed --------------------------------------------------------------------------------------------


def order(ref: str) -> str:
    """Return the SQL for our number of an order."""
    return f"(SELECT id FROM pa_order WHERE ref = '{ref}')"


def repacked(table: str, where: str, old: str, new: str) -> Hand:
    """Return a hand that replaces text in a compressed normal form."""

    def hand(connection: Connection) -> None:
        query = f"SELECT id, body FROM {table} WHERE {where} ORDER BY id LIMIT 1"
        number, body = connection.execute(text(query)).one()
        plain = compression.unpack(body).decode()
        assert old in plain
        changed = {"id": number, "body": compression.pack(plain.replace(old, new).encode())}
        connection.execute(text(f"UPDATE {table} SET body = :body WHERE id = :id"), changed)

    return hand


def reworded(table: str, where: str, old: str, new: str) -> Hand:
    """Return a hand that replaces text in a row's JSON."""

    def hand(connection: Connection) -> None:
        query = f"SELECT id, body FROM {table} WHERE {where} ORDER BY id LIMIT 1"
        number, body = connection.execute(text(query)).one()
        changed = {"id": number, "body": body.replace(old, new)}
        assert old in body and json.loads(changed["body"])
        connection.execute(text(f"UPDATE {table} SET body = :body WHERE id = :id"), changed)

    return hand


CHANGED: dict[str, tuple[Hand, str]] = {
    "a delivery's body by another's": (
        run("UPDATE pa_delivery SET body = (SELECT body FROM pa_delivery WHERE id = 2) WHERE id = 1"),
        "the body of delivery dlv_1 was changed",
    ),
    "a delivery's body by garbage": (
        run("UPDATE pa_delivery SET body = :x WHERE id = 1", x=b"Agarbage"),
        "the body of delivery dlv_1 was changed",
    ),
    "when a delivery came": (
        run("UPDATE pa_delivery SET received_at = received_at - 1 WHERE id = 1"),
        "delivery dlv_1 was changed",
    ),
    "a delivery's id": (run("UPDATE pa_delivery SET delivery_id = 'x' WHERE id = 2"), "delivery dlv_2 was changed"),
    "what an order was stated to be": (
        repacked("pa_order_state", f"order_id = {order('refunded')}", '"amount":"100.00"', '"amount":"900.00"'),
        "order refunded: order_state 2 was changed",
    ),
    "the name of a state": (
        run(f"UPDATE pa_order_state SET sha = :s WHERE order_id = {order('paid')}", s="0" * 64),
        "order paid: order_state 1 was changed",
    ),
    "which delivery told a state": (
        run("UPDATE pa_order_state SET delivery_id = 2 WHERE id = 1"),
        "order paid: order_state 1 was changed",
    ),
    "a sharer's status": (reworded("pa_fact", "kind = 'sharer'", "approved", "suspended"), "was changed"),
    "when a sharer began": (run("UPDATE pa_fact SET at = at + 1 WHERE kind = 'sharer'"), "was changed"),
    "whose a code is": (run("UPDATE pa_fact SET sharer_id = 1 WHERE kind = 'code'"), "was changed"),
    "the owner's word": (
        reworded("pa_fact", "kind = 'manual'", "she asked", "he asked"),
        "order by hand: fact ",
    ),
    "who said the owner's word": (
        run("UPDATE pa_fact SET actor = 'somebody' WHERE kind = 'manual'"),
        "order by hand: fact ",
    ),
    "when an order was released": (
        run(f"UPDATE pa_fact SET at = at + 1 WHERE kind = 'release' AND order_id = {order('paid')}"),
        "order paid: fact ",
    ),
    "a decision": (
        reworded("pa_decision", f"order_id = {order('paid')}", '"reason":"coupon"', '"reason":"link"'),
        "order paid: decision 1 was changed",
    ),
    "a plan": (reworded("pa_plan", "version = 3", '"percent":"10"', '"percent":"90"'), "plan 3 was changed"),
    "when a plan began": (run("UPDATE pa_plan SET in_force_from = 1 WHERE version = 3"), "plan 3 was changed"),
    "where a link leads": (run("UPDATE pa_link SET target_url = 'https://evil.example/'"), "link 1 was changed"),
    "whose a link is": (run("UPDATE pa_link SET sharer_id = 1"), "link 1 was changed"),
    "who a sharer is as a buyer": (
        run("UPDATE pa_sharer SET email_hash = :h WHERE id = 2", h="0" * 32),
        "sharer 2 was changed",
    ),
    "a sharer's customer id": (
        run("UPDATE pa_sharer SET customer_id = 'c-9' WHERE id = 2"),
        "sharer 2 was changed",
    ),
    "the sum of an account": (
        run("UPDATE pa_account SET balance = balance + 1 WHERE purpose = 'payable' AND sharer_id = 2"),
        "(payable, sharer 2, USD) is not the sum of its transfers",
    ),
    "whose an account is": (
        every(
            run("UPDATE pa_account SET sharer_id = 99 WHERE purpose = 'payable' AND sharer_id = 1"),
            run("UPDATE pa_account SET sharer_id = 1 WHERE purpose = 'payable' AND sharer_id = 2"),
            run("UPDATE pa_account SET sharer_id = 2 WHERE purpose = 'payable' AND sharer_id = 99"),
        ),
        "is another's, or for something else",
    ),
    "what an account is for": (
        every(
            run("UPDATE pa_account SET purpose = 'fees' WHERE purpose = 'pending' AND sharer_id = 2"),
        ),
        "is another's, or for something else",
    ),
    "two sums against one another": (
        every(
            run("UPDATE pa_account SET balance = balance + 500 WHERE purpose = 'payable' AND sharer_id = 2"),
            run("UPDATE pa_account SET balance = balance - 500 WHERE purpose = 'commission' AND shop_id = 1"),
        ),
        "is not the sum of its transfers",
    ),
    "what lies where of a commission": (
        run(f"UPDATE pa_lot SET payable = payable + 1 WHERE order_id = {order('refunded')} AND role = 'direct'"),
        "order refunded: shr_2 (direct) has a lot that is not the sum of its transfers",
    ),
    "an amount, with its sums and lots": (
        every(
            run(f"UPDATE pa_transfer SET amount = amount + 100 WHERE kind = 'earn' AND order_id = {order('in hold')}"),
            run(f"UPDATE pa_lot SET pending = pending + 100 WHERE order_id = {order('in hold')}"),
            run("UPDATE pa_account SET balance = balance + 100 WHERE purpose = 'pending' AND shop_id = 1"),
            run("UPDATE pa_account SET balance = balance - 200 WHERE purpose = 'commission' AND shop_id = 1"),
        ),
        "order in hold: transfer ",
    ),
    "whom a transfer is about": (
        run(f"UPDATE pa_transfer SET cause = 'x' WHERE order_id = {order('paid')} AND kind = 'settle'"),
        "order paid: transfer ",
    ),
    "an order's decision in force": (
        run("UPDATE pa_order SET decision = (SELECT decision FROM pa_order WHERE ref = 'by hand') WHERE ref = 'paid'"),
        "order paid: its row is not what",
    ),
    "the end of an order's hold": (
        run("UPDATE pa_order SET release_at = 1 WHERE ref = 'in hold'"),
        "order in hold: its row is not what",
    ),
    "whether an order is held": (
        run("UPDATE pa_order SET held = (1 = 1) WHERE ref = 'in hold'"),
        "order in hold: its row is not what",
    ),
    "whether an order is released": (
        run("UPDATE pa_order SET released = NULL WHERE ref = 'refunded'"),
        "order refunded: its row is not what",
    ),
    "what an order is now": (
        run("UPDATE pa_order SET now = (SELECT now FROM pa_order WHERE ref = 'paid') WHERE ref = 'last'"),
        "order last: its row is not what",
    ),
    "the shop's own id of an order": (run("UPDATE pa_order SET ref = 'renamed' WHERE ref = 'paid'"), "order renamed"),
    "when an order was placed": (run("UPDATE pa_order SET placed_at = 1 WHERE ref = 'paid'"), "order paid"),
    "whose an order is": (run("UPDATE pa_order SET customer_key = 'id:x' WHERE ref = 'paid'"), "order paid"),
    "an order's buyer": (run("UPDATE pa_order SET customer_email = 'x' WHERE ref = 'paid'"), "order paid"),
    "an order's currency": (run("UPDATE pa_order SET currency = 'EUR' WHERE ref = 'paid'"), "order paid"),
    "whose shop an order is": (run("UPDATE pa_order SET shop_id = 2 WHERE ref = 'paid'"), "order"),
    "the state of a payout": (run("UPDATE pa_payout SET state = 'submitted' WHERE id = 1"), "payout pay_1 is not"),
    "the state of an item": (run("UPDATE pa_payout_item SET state = 'failed' WHERE id = 1"), "item itm_1 is not"),
    "what an item paid": (run("UPDATE pa_payout_item SET gross = gross + 1 WHERE id = 1"), "item itm_1"),
    "what an item sends": (run("UPDATE pa_payout_item SET net = net + 1 WHERE id = 1"), "itm_1: what is sent"),
    "what of a commission was paid": (run("UPDATE pa_payout_lot SET amount = amount + 1"), "item itm_1"),
    "from when a shop's orders earn": (run("UPDATE pa_shop SET starts_at = :t WHERE id = 1", t=2**51), "order paid"),
    "whether a shop's money is live": (run("UPDATE pa_shop SET live = (1 = 0) WHERE id = 1"), "live money"),
    "a link of the chain": (
        run("UPDATE pa_chain SET mac = :m WHERE position = 4 AND shop_id = 1", m=b"x" * 16),
        "position 4 of the chain was changed",
    ),
    "what a link of the chain says": (
        run("UPDATE pa_chain SET manifest = :m WHERE position = 4 AND shop_id = 1", m='{"orders":{},"others":{}}'),
        "position 4 of the chain was changed",
    ),
    "the end of the chain": (run("UPDATE pa_head SET seal = :m WHERE shop_id = 1", m=b"x" * 16), "the chain ends at"),
}  # fmt: skip


def test_every_changed_row_is_found_and_named_and_no_payout_goes(books: Books) -> None:
    assert_all_found(books, CHANGED)


# -- rows that are gone or came --------------------------------------------------------------------------------------


def gone(connection: Connection, ref: str) -> None:
    """Remove all rows of an order, and keep the sums of the accounts right."""
    number = order(ref)
    for side, sign in (("to_account", "-"), ("from_account", "+")):
        sums = f"SELECT {side}, sum(amount) FROM pa_transfer WHERE order_id = {number} GROUP BY {side}"
        for account, amount in connection.execute(text(sums)).all():
            connection.execute(text(f"UPDATE pa_account SET balance = balance {sign} {amount} WHERE id = {account}"))
    deliveries = f"SELECT delivery_id FROM pa_order_state WHERE order_id = {number}"
    numbers = [str(one) for one in connection.execute(text(deliveries)).scalars()]
    for table in ("transfer", "decision", "order_state", "fact", "order_code", "lot", "payout_lot"):
        connection.execute(text(f"DELETE FROM pa_{table} WHERE order_id = {number}"))
    connection.execute(text(f"DELETE FROM pa_order WHERE ref = '{ref}'"))
    connection.execute(text(f"DELETE FROM pa_delivery WHERE id IN ({', '.join(numbers)})"))


def one_gone(table: str, where: str) -> Hand:
    """Return a hand that removes one row."""
    key = "number" if table == "pa_transfer" else "id"
    return run(f"DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table} WHERE {where})")


def cut_the_tail(connection: Connection) -> None:
    """Take the last transaction of the shop back, as if it had never been: the order "last" and all that it moved."""
    gone(connection, "last")
    last = connection.execute(text("SELECT max(position) FROM pa_chain WHERE shop_id = 1")).scalar_one()
    connection.execute(text(f"DELETE FROM pa_chain WHERE shop_id = 1 AND position = {last}"))
    before = f"SELECT mac FROM pa_chain WHERE shop_id = 1 AND position = {last - 1}"
    connection.execute(text(f"UPDATE pa_head SET position = {last - 1}, mac = ({before}) WHERE shop_id = 1"))


GONE: dict[str, tuple[Hand, str]] = {
    "all of a paid order": (lambda connection: gone(connection, "paid"), "order paid: 1 of its states"),
    "all of an order in hold": (lambda connection: gone(connection, "in hold"), "order in hold: 1 of its states"),
    "the last transaction": (cut_the_tail, "its sealed end says"),
    "a state": (one_gone("pa_order_state", f"order_id = {order('refunded')}"), "order refunded: 1 of its states"),
    "a transfer": (one_gone("pa_transfer", f"order_id = {order('refunded')}"), "order refunded: 1 of its transfers"),
    "a decision": (one_gone("pa_decision", f"order_id = {order('paid')}"), "order paid: 1 of its decisions"),
    "the owner's word": (one_gone("pa_fact", "kind = 'manual'"), "order by hand: 1 of its facts"),
    "a release": (
        one_gone("pa_fact", f"kind = 'release' AND order_id = {order('paid')}"),
        "order paid: 1 of its facts",
    ),
    "a sharer's standing": (one_gone("pa_fact", "kind = 'sharer' AND sharer_id = 2"), "rows of facts"),
    "a plan": (one_gone("pa_plan", "shop_id = 1"), "rows of pa_plan"),
    "a sharer": (one_gone("pa_sharer", "shop_id = 1"), "rows of pa_sharer"),
    "a link": (one_gone("pa_link", "shop_id = 1"), "rows of pa_link"),
    "an order's row alone": (run("DELETE FROM pa_order WHERE ref = 'in hold'"), "order that is gone"),
    "a delivery that told a state": (run("DELETE FROM pa_delivery WHERE id = 1"), "the delivery of a state of order"),
    "an account": (run("DELETE FROM pa_account WHERE purpose = 'paid' AND sharer_id = 2"), "is gone"),
    "a lot": (run(f"DELETE FROM pa_lot WHERE order_id = {order('paid')} AND role = 'direct'"), "order paid: shr_2"),
    "a payout": (run("DELETE FROM pa_payout WHERE id = 1"), "payout 1 is gone"),
    "an item of a payout": (run("DELETE FROM pa_payout_item WHERE id = 1"), "item 1 is gone"),
    "a link of the chain": (run("DELETE FROM pa_chain WHERE shop_id = 1 AND position = 4"), "positions 4 to 4"),
    "the whole chain": (run("DELETE FROM pa_chain WHERE shop_id = 1"), "chain"),
    "the end of the chain": (run("DELETE FROM pa_head WHERE shop_id = 1"), "the end of the chain is gone"),
}


def test_every_row_that_is_gone_is_found_and_no_payout_goes(books: Books) -> None:
    assert_all_found(books, GONE)


def copied(table: str, where: str, **changes: Any) -> Hand:
    """Return a hand that writes a row like another one."""

    def hand(connection: Connection) -> None:
        rows = connection.execute(text(f"SELECT * FROM {table} WHERE {where} LIMIT 1")).mappings().all()
        key = "number" if table == "pa_transfer" else "id"
        row = {name: value for name, value in rows[0].items() if name != key} | changes
        connection.execute(metadata.tables[table].insert().values(row))

    return hand


CAME: dict[str, tuple[Hand, str]] = {
    "a transfer": (
        copied("pa_transfer", f"kind = 'earn' AND order_id = {order('in hold')}", id=uuid.uuid4().hex, amount=5_000),
        "order in hold: transfer ",
    ),
    "a transfer in no transaction": (
        copied("pa_transfer", "kind = 'earn'", id=uuid.uuid4().hex, amount=5_000, position=9_999),
        "rows stand at position 9999, which is not in the chain",
    ),
    "a second copy of a fact": (
        copied("pa_fact", "kind = 'manual'"),
        "order by hand: 1 of its facts written at position",
    ),
    "a state in the books of another shop": (
        copied("pa_order_state", f"order_id = {order('paid')}", shop_id=2, sha="0" * 64),
        "stands in the books of another shop",
    ),
    "a fact in the books of another shop": (
        copied("pa_fact", "kind = 'sharer' AND shop_id = 1", shop_id=2),
        "stands in the books of another shop",
    ),
    "a decision of no shop": (
        copied("pa_decision", f"order_id = {order('paid')}", shop_id=99, position=9_997),
        "stands in the books of another shop",
    ),
    "the owner's word": (copied("pa_fact", "kind = 'manual'", sharer_id=1), "order by hand: fact "),
    "a plan": (copied("pa_plan", "shop_id = 1 AND version = 3", version=4), "plan"),
    "a decision": (
        copied("pa_decision", f"order_id = {order('paid')}", position=9_998),
        "rows stand at position 9998",
    ),
}


def test_every_row_that_was_written_past_us_is_found_even_with_all_guards_on(books: Books) -> None:
    """The database itself keeps sums and lots in step with such a transfer; its digest it cannot make."""
    assert_all_found(books, CAME, watched=True)


def test_a_guard_that_is_gone_is_found_and_no_payout_goes(books: Books) -> None:
    world = books.world
    dialect = world.context.database.engine.dialect.name
    tables = {"pa_transfer_book": "pa_transfer", "pa_chain_close": "pa_chain"}
    with world.context.database.reading() as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        statements = {row.name: row.sql for row in connection.execute(text(query))} if dialect == "sqlite" else {}
    guarded = [name for name in guards.names(dialect) if name.startswith(("pa_transfer", "pa_chain_close"))]
    for name in sorted(guards.names(dialect)):
        table = tables.get(name, name.split("_no_")[0])
        off = f"DROP TRIGGER {name}" if dialect == "sqlite" else f"ALTER TABLE {table} DISABLE TRIGGER {name}"
        on = statements[name] if dialect == "sqlite" else f"ALTER TABLE {table} ENABLE TRIGGER {name}"
        with world.context.database.writing() as connection:
            connection.exec_driver_sql(off)
        problems = check_books(world.context).problems
        assert problems == [f"guard {name} is gone from the database: rows can be changed"]
        if name in guarded:
            assert check(world, ok=False) == problems
            assert books.steps() == {"draft": 409, "approve": 409}
        with world.context.database.writing() as connection:
            connection.exec_driver_sql(on)
    assert check(world, ok=True) == []
    assert books.shop.step(books.draft, "approve")["state"] == "approved"


# -- what is no fault --------------------------------------------------------------------------------------------------


def test_another_shop_pays_on_while_the_books_of_one_do_not_balance(books: Books) -> None:
    other: Shop = books.other
    bob = other.sharer("bob", codes=["BOB"])
    other.told(other.order("o1", codes=["BOB"]))
    books.world.release()
    with guards_off(books.world) as connection:
        run("UPDATE pa_link SET target_url = 'https://evil.example/'")(connection)
    assert check(books.world, ok=False)
    assert books.shop.draft(expect=409)["code"] == "books_do_not_balance"
    assert [item["sharer"] for item in other.pay()["items"]] == [bob]


def test_bodies_that_were_erased_in_time_are_no_fault(books: Books) -> None:
    """The normal form stays, and with it the proof."""
    with books.world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_delivery SET body = NULL"))
    assert check(books.world, ok=True) == []
    assert books.world.command("replay", "--all")["changed"] == 0
    assert check(books.world, ok=True) == []


def test_the_books_hold_after_every_kind_of_step_and_say_how_much_they_looked_at(world: World) -> None:
    shop = world.shop()
    assert world.command("check-books") == {"ok": True, "transfers": 0, "accounts": 0, "problems": []}
    shop.plan()
    alice = shop.sharer("alice", codes=["ALICE10"])
    placed = shop.order("o1", codes=["ALICE10"], payment="unpaid", paid_at=None)
    for step in (
        lambda: shop.told(placed),
        lambda: shop.told(placed | {"updated_at": LATER, "payment": "paid", "paid_at": PLACED}),
        lambda: world.release(),
        lambda: shop.pay(),
        lambda: world.call("PATCH", f"/sharers/{alice}", {"codes": ["OTHER"], "group": "vip"}, expect=200),
        lambda: shop.told(placed | {"updated_at": "2026-11-13T10:00:00Z", "payment": "chargeback"}),
        lambda: shop.told(shop.order("o2", codes=["ALICE10"])),
        lambda: world.command("keys", "rotate", "encrypt"),
        lambda: world.command("replay", "--all"),
    ):
        step()
        report = world.books()
    assert (report.transfers, report.accounts) == (6, 5)
