"""The database under faults: two at once, connections cut, migrations broken off, and hands that write into the books.

Cases 45 to 48 of the list and the guards of the append-only tables, on both databases. That a process may be killed at
any statement is tested beside this, in test_crashes.py.
"""

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from sqlalchemy import Connection, event, func, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from plugin import database
from plugin.app import create_app
from plugin.database import Database
from plugin.errors import PluginError
from plugin.migrations import is_current, upgrade
from plugin.models import account, delivery, guards, metadata, payout_item, transfer
from plugin.services import process_inbox
from plugin.services.process_inbox import drain
from plugin.services.recorder import recording
from tests.conftest import settings_for
from tests.world import Shop, World

T = TypeVar("T")

def at_once(*works: Callable[[], T]) -> list[T]:
    """Run all at the same instant, each in a thread of its own; return what each gave."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return [job.result() for job in [threads.submit(run, work) for work in works]]


def post(world: World, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Call the API from a client of its own, as threads must; return status and JSON."""
    sent = {"Authorization": f"Bearer {world.token}", **headers}
    answer = world.app.test_client().post(f"/api/v1{path}", json=body, headers=sent)
    return answer.status_code, answer.get_json()


def sum_of_all_accounts(world: World) -> int:
    """Return the sum that is zero whatever happens."""
    with world.context.database.reading() as connection:
        return int(connection.execute(select(func.coalesce(func.sum(account.c.balance), 0))).scalar_one())


# -- two at once -------------------------------------------------------------------------------------------------------


def test_two_clawbacks_of_one_order_at_once_are_both_booked(
    world: World, shop: Shop, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 45: many workers, each with another state of the same order in hand."""
    monkeypatch.setattr(process_inbox, "BATCH", 1)
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    world.release()
    shop.pay()
    refunds = [{"id": f"r{number}", "amount": "7.77"} for number in range(1, 9)]
    for number in range(1, 9):
        shop.deliver(order | {"updated_at": f"2026-11-20T10:{number:02d}:00Z", "refunds": refunds[:number]})
    tallies = at_once(*[lambda: drain(world.context)] * 4)
    world.work()
    assert sum(tally.done for tally in tallies) == 8
    (one,) = shop.see("o1")["commissions"]
    assert (one["amount"], one["clawed_back"], shop.balance(alice)["payable"]) == ("3.78", "6.22", "-6.22")
    assert sum_of_all_accounts(world) == 0
    world.books()


def test_a_clawback_and_an_approval_at_once_leave_every_cent_in_one_place(world: World) -> None:
    """Case 45: whichever comes first, what is reserved and what is owed add up to what is earned."""
    for _ in range(4):
        shop = world.shop()
        shop.plan()
        alice = shop.sharer("alice", codes=["ALICE10"])
        order = shop.order("o1", codes=["ALICE10"])
        shop.told(order)
        world.release()
        draft = shop.draft()
        shop.deliver(order | {"updated_at": "2026-11-20T10:00:00Z", "refunds": [{"id": "r1", "amount": "30.00"}]})
        (status, answer), _ = at_once(
            lambda draft=draft: post(world, f"/payouts/{draft['id']}/approve", {}), lambda: drain(world.context)
        )
        assert status == 200, answer
        world.work()
        balance = shop.balance(alice)
        assert (answer["items"][0]["gross"], balance["payable"]) in (("10.00", "-3.00"), ("7.00", "0.00"))
        assert balance["in_flight"] == answer["items"][0]["gross"] and balance["earned"] == "7.00"
        world.books()


def test_two_approvals_of_one_balance_at_once_reserve_it_once(world: World, shop: Shop, alice: str) -> None:
    """Case 46: two pay runs that both saw enough."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    drafts = [shop.draft() for _ in range(4)]
    answers = at_once(
        *[lambda draft=draft: post(world, f"/payouts/{draft['id']}/approve", {}) for draft in drafts]
    )
    assert [status for status, _ in answers] == [200] * 4
    assert sorted(len(answer["items"]) for _, answer in answers) == [0, 0, 0, 1]
    reasons = [one["reason"] for _, answer in answers for one in answer["left_out"]]
    assert reasons == ["nothing_payable"] * 3
    balance = shop.balance(alice)
    assert (balance["payable"], balance["in_flight"]) == ("0.00", "10.00")
    world.books()


@pytest.mark.parametrize("verb", ["approve", "submit", "cancel", "mark"])
def test_one_step_of_a_payout_taken_many_times_at_once_is_taken_once(
    world: World, shop: Shop, alice: str, verb: str
) -> None:
    """Case 46: two clicks. The others are told why."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    payout = shop.draft()
    for before in {"approve": [], "submit": ["approve"], "cancel": ["approve"], "mark": ["approve", "submit"]}[verb]:
        payout = shop.step(payout, before)
    path, body = f"/payouts/{payout['id']}/{verb}", {}
    if verb == "mark":
        path, body = f"/payouts/{payout['id']}/items/{payout['items'][0]['id']}/mark", {"state": "paid"}
    answers = at_once(*[lambda: post(world, path, body)] * 5)
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]
    assert {answer["code"] for status, answer in answers if status == 409} == {"wrong_state"}
    balance = shop.balance(alice)
    lies = {"approve": "in_flight", "submit": "in_flight", "cancel": "payable", "mark": "paid"}[verb]
    assert {name: balance[name] for name in ("payable", "in_flight", "paid")} == {
        name: "10.00" if name == lies else "0.00" for name in ("payable", "in_flight", "paid")
    }
    world.books()


def test_the_same_idempotency_key_at_once_is_answered_by_one_payout(world: World, shop: Shop, alice: str) -> None:
    """Case 46: a client that sends again before it has heard."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    body = {"shop": shop.key, "rail": "manual", "currency": "USD"}
    answers = at_once(*[lambda: post(world, "/payouts", body, **{"Idempotency-Key": "k1"})] * 6)
    made = {answer["id"] for status, answer in answers if status == 201}
    assert len(made) == 1 and {status for status, _ in answers} <= {201, 409}
    status, answer = post(world, "/payouts", body, **{"Idempotency-Key": "k1"})
    assert status == 201 and {answer["id"]} == made
    assert len(world.call("GET", f"/payouts?shop={shop.key}", expect=200)["items"]) == 1
    assert post(world, "/payouts", body | {"minimum": "1.00"}, **{"Idempotency-Key": "k1"})[0] == 409


def test_releases_at_once_release_each_order_once(world: World, shop: Shop, alice: str) -> None:
    """Case 46, of the hold: the command beside the worker."""
    for number in range(10):
        shop.deliver(shop.order(f"o{number}", codes=["ALICE10"]))
    world.work()
    released = at_once(*[lambda: world.release()["released"]] * 4)
    assert sum(released) == 10
    balance = shop.balance(alice)
    assert (balance["pending"], balance["payable"]) == ("0.00", "100.00")
    world.books()


def test_enrolments_of_one_e_mail_and_one_code_at_once_give_one_sharer(world: World, shop: Shop) -> None:
    """Case 46, of what must be taken by one alone."""

    def enrol(email: str, code: str) -> tuple[int, Any]:
        return post(world, "/sharers", {"shop": shop.key, "email": email, "codes": [code]})

    same_email = at_once(*[lambda n=n: enrol("carol@example.org", f"C{n}") for n in range(4)])
    assert sorted(status for status, _ in same_email) == [201, 409, 409, 409]
    same_code = at_once(*[lambda n=n: enrol(f"d{n}@example.org", "Dora") for n in range(4)])
    assert sorted(status for status, _ in same_code) == [201, 409, 409, 409]
    world.books()


# -- connections that are cut ------------------------------------------------------------------------------------------


@contextmanager
def cut_at(world: World, uri: str, statement: int) -> Iterator[list[str]]:
    """Cut the connection (pg_terminate_backend) after the nth statement of this thread; yield what was reached.

    So it is the next statement, COPY or COMMIT that finds out.
    """
    thread, reached = threading.get_ident(), list[str]()
    engine = world.context.database.engine

    def after(_connection: Connection, cursor: Any, sql: str, *_: object) -> None:
        if threading.get_ident() == thread:
            reached.append(sql)
            if len(reached) == statement:
                with psycopg.connect(uri, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s, 5000)", (cursor.connection.info.backend_pid,))

    event.listen(engine, "after_cursor_execute", after)
    try:
        yield reached
    finally:
        event.remove(engine, "after_cursor_execute", after)


@pytest.fixture
def server(database_url: str, request: pytest.FixtureRequest) -> str:
    """Give the address of the PostgreSQL server; SQLite has no connections that others could cut."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no server that could cut a connection")
    uri: str = request.getfixturevalue("postgres")
    return uri


def test_who_has_waited_for_a_lock_in_vain_is_told_so_and_does_not_wait_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    world = World(create_app(settings_for(f"sqlite:///{tmp_path}/passalong.db", tmp_path)))
    shop, begun = world.shop(), list[str]()

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        begun.append(statement)

    event.listen(world.context.database.engine, "before_cursor_execute", count)
    with closing(sqlite3.connect(tmp_path / "passalong.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, said = post(world, "/sharers", {"shop": shop.key, "email": "a@example.org"})
        assert (status, said["code"]) == (503, "database_unavailable")
        other.execute("ROLLBACK")
    assert begun.count("BEGIN IMMEDIATE") == 1
    assert post(world, "/sharers", {"shop": shop.key, "email": "a@example.org"})[0] == 201
    world.app.extensions["passalong"].close()


def test_a_worker_whose_connection_is_cut_anywhere_does_its_work_once_later(
    world: World, shop: Shop, alice: str, server: str
) -> None:
    """Case 47: at every statement of the way of a delivery, the COPY of the transfers among them."""
    clock = world.stop_clock("2026-11-22T12:00:00Z")
    statement, total = 1, 0
    while True:
        shop.deliver(shop.order(f"o{statement}", codes=["ALICE10"]))
        with cut_at(world, server, statement) as reached:
            try:
                drain(world.context)
            except PluginError as error:
                assert error.code == "database_unavailable"
            except DBAPIError as error:
                assert error.connection_invalidated
        clock.add(process_inbox.LEASE_SECONDS + 1)
        world.work()
        total += 10
        assert shop.balance(alice)["earned"] == f"{total}.00", reached[-1]
        if len(reached) < statement:
            break
        statement += 1
    assert statement > 15
    assert {one["state"] for one in world.deliveries()} == {"done"}
    with world.context.database.reading() as connection:  # an outage is no fault of the deliveries
        assert connection.execute(select(func.max(delivery.c.attempts))).scalar_one() == 0
    world.books()


def test_an_approval_whose_connection_is_cut_says_503_and_reserves_once_when_tried_again(
    world: World, shop: Shop, alice: str, server: str
) -> None:
    """Case 47: at places all along the way; the same idempotency key leads to one reservation."""
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    with cut_at(world, server, 0) as reached:
        shop.step(shop.step(shop.draft(), "approve"), "cancel")
    statuses = set()
    for statement in range(3, len(reached), len(reached) // 7):
        payout = shop.draft()
        path, key = f"/payouts/{payout['id']}/approve", {"Idempotency-Key": f"k{statement}"}
        with cut_at(world, server, statement) as reached:
            status, answer = post(world, path, {}, **key)
        statuses.add(status)
        assert status in (200, 503), (statement, status, answer, reached[-1])
        if status == 503:
            assert answer["code"] == "database_unavailable"
            seen = world.call("GET", f"/payouts/{payout['id']}", expect=200)["state"]
            status, answer = post(world, path, {}, **key)
            # What was committed before the answer was lost is refused by the state it left, and is not done again.
            assert (status, seen) in ((200, "draft"), (409, "approved")), (statement, status, answer)
        balance = shop.balance(alice)
        assert (balance["payable"], balance["in_flight"]) == ("0.00", "10.00")
        shop.step(payout, "cancel")
    assert statuses == {200, 503}
    world.books()


def test_a_commit_whose_answer_is_lost_is_not_done_twice(
    world: World, shop: Shop, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 47: the connection drops between COMMIT and its answer; what is there is found by its identity."""
    clock = world.stop_clock("2026-11-22T12:00:00Z")
    dialect = world.context.database.engine.dialect
    commit, lose = dialect.do_commit, {"after": 0}

    def lost(connection: Any) -> None:
        commit(connection)
        lose["after"] -= 1
        if lose["after"] == 0:
            raise dialect.loaded_dbapi.OperationalError("the connection is lost")

    monkeypatch.setattr(dialect, "do_commit", lost)
    for commits in range(1, 5):
        shop.deliver(shop.order(f"o{commits}", codes=["ALICE10"]))
        lose["after"] = commits
        with suppress(PluginError, SQLAlchemyError):
            drain(world.context)
        lose["after"] = 0
        clock.add(process_inbox.LEASE_SECONDS + 1)
        world.work()
        assert shop.balance(alice)["earned"] == f"{commits * 10}.00"
    world.release()
    for commits in range(1, 6):
        payout = shop.draft()
        lose["after"] = commits
        path, key = f"/payouts/{payout['id']}/approve", {"Idempotency-Key": f"k{commits}"}
        first, _ = post(world, path, {}, **key)
        lose["after"] = 0
        assert first in (200, 503)
        again, _ = post(world, path, {}, **key)
        assert (first, again) in ((200, 200), (503, 200), (503, 409)), (first, again)
        if again == 409 and shop.balance(alice)["in_flight"] == "0.00":
            assert post(world, path, {})[0] == 200
        balance = shop.balance(alice)
        assert (balance["payable"], balance["in_flight"]) == ("0.00", "40.00")
        shop.step(payout, "cancel")
    world.books()


# -- migrations --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    uri, name = request.getfixturevalue("postgres"), f"e_{uuid.uuid4().hex}"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")
    finally:
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def stands(database: Database) -> tuple[bool, set[str], set[str]]:
    """Return whether the database is of this version, its tables, and its triggers."""
    sqlite = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    query = sqlite if database.is_sqlite else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    with database.reading() as connection:
        tables = set(inspect(connection).get_table_names())
        return is_current(connection), tables, set(connection.execute(text(query)).scalars())


def is_whole(database: Database) -> bool:
    """Tell whether all tables and guards of this version are there, each once."""
    current, tables, triggers = stands(database)
    return current and tables >= set(metadata.tables) and triggers == guards.names(database.engine.dialect.name)


def test_a_migration_that_runs_twice_changes_nothing_the_second_time(empty_url: str) -> None:
    """Case 48."""
    database = Database(empty_url)
    assert stands(database) == (False, set(), set())
    upgrade(database)
    first = stands(database)
    assert is_whole(database)
    upgrade(database)
    assert stands(database) == first
    database.close()


def test_migrations_that_run_at_once_make_one_database(empty_url: str) -> None:
    """Case 48: several processes start on a fresh installation."""
    databases = [Database(empty_url) for _ in range(4)]
    at_once(*[lambda one=one: upgrade(one) for one in databases])
    assert all(is_whole(one) for one in databases)
    with databases[0].reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM pa_version")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM pa_event_head")).scalar_one() == 1
    for one in databases:
        one.close()


@pytest.mark.parametrize("number", range(12))
def test_a_fresh_file_that_many_open_at_once_is_locked_to_nobody(tmp_path: Path, number: int) -> None:
    """SQLite refuses to change a file's journal while another does so, and does not wait for it."""
    databases = [Database(f"sqlite:///{tmp_path / 'fresh.db'}") for _ in range(12)]

    def use(one: Database) -> None:
        with one.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS seen (number)")

    at_once(*[lambda one=one: use(one) for one in databases])
    for one in databases:
        one.close()


class PowerCut(BaseException):
    """The process ends here."""


def test_a_migration_broken_off_anywhere_leaves_the_old_database_and_runs_through_later(empty_url: str) -> None:
    """Case 48: never in between."""
    statement = 3
    while True:
        database, count = Database(empty_url), [0]

        def before(*_: object, last: int = statement, count: list[int] = count) -> None:
            count[0] += 1
            if count[0] == last:
                raise PowerCut

        event.listen(database.engine, "before_cursor_execute", before)
        try:
            upgrade(database)
        except PowerCut:
            event.remove(database.engine, "before_cursor_execute", before)
            assert stands(database) == (False, set(), set()), statement
            database.close()
            statement += 17
            continue
        break
    assert statement > 60, "the migration has more statements than that"
    event.remove(database.engine, "before_cursor_execute", before)
    assert is_whole(database)
    database.close()


# -- hands that write into the books -----------------------------------------------------------------------------------


# Written down here once more: a guard that is taken off its list must be missed.
NEVER_CHANGED = (
    "pa_transfer",
    "pa_fact",
    "pa_order_state",
    "pa_decision",
    "pa_plan",
    "pa_chain",
    "pa_link",
    "pa_sharer",
    "pa_event",
    "pa_delivery",
)


@pytest.fixture
def written(world: World, shop: Shop, alice: str) -> World:
    """Give a world with a row in every table that is never changed."""
    shop.link(alice)
    shop.told(shop.order("o1", codes=["ALICE10"]))
    world.release()
    shop.pay()
    return world


def refused(world: World, statement: Any, **values: Any) -> str:
    """Run a statement that the database must refuse; return what it said."""
    with pytest.raises(DBAPIError) as caught, world.context.database.writing() as connection:
        connection.execute(text(statement) if isinstance(statement, str) else statement, values)
    return str(caught.value.orig)


def test_rows_of_the_record_can_be_neither_changed_nor_deleted(written: World) -> None:
    """I2: every append-only table, each of its columns, by any statement."""
    database = written.context.database
    for name in NEVER_CHANGED:
        columns = [column.name for column in metadata.tables[name].columns]
        fixed = columns if name != "pa_delivery" else ["shop_id", "delivery_id", "body_sha", "received_at", "mac"]
        with database.reading() as connection:
            before = connection.execute(text(f"SELECT * FROM {name} ORDER BY 1, 2")).all()
        assert before, f"the world has no row in {name}"
        statements = [f"UPDATE {name} SET {column} = {column}" for column in fixed]
        statements += [f"DELETE FROM {name}", f"DELETE FROM {name} WHERE {columns[0]} = {before[0][0]!r}"]
        if not database.is_sqlite:
            statements.append(f"TRUNCATE {name} CASCADE")
        for statement in statements:
            assert "never" in refused(written, statement), statement
        with database.reading() as connection:
            assert connection.execute(text(f"SELECT * FROM {name} ORDER BY 1, 2")).all() == before
    written.books()


def test_no_row_of_the_record_can_be_replaced_on_sqlite(written: World) -> None:
    """I2: INSERT OR REPLACE deletes without the word DELETE, and SQLite's triggers do not fire for it by default."""
    if not written.context.database.is_sqlite:
        pytest.skip("PostgreSQL has no such statement")
    for name in NEVER_CHANGED:
        with written.context.database.reading() as connection:
            before = connection.execute(text(f"SELECT * FROM {name} ORDER BY 1, 2")).all()
        with pytest.raises(DBAPIError), written.context.database.writing() as connection:
            connection.execute(text(f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}"))
        with written.context.database.reading() as connection:
            assert connection.execute(text(f"SELECT * FROM {name} ORDER BY 1, 2")).all() == before, name
    written.books()


def copy_of_a_transfer(world: World, kind: str, /, **changes: Any) -> dict[str, Any]:
    """Return the row of a transfer of that kind, made a new one and changed."""
    with world.context.database.reading() as connection:
        row = connection.execute(select(transfer).where(transfer.c.kind == kind).limit(1)).mappings().one()
    return {name: value for name, value in row.items() if name != "number"} | {"id": uuid.uuid4().hex} | changes


def accounts(world: World) -> dict[str, int]:
    """Return the accounts by purpose."""
    with world.context.database.reading() as connection:
        return {row.purpose: row.id for row in connection.execute(select(account.c.purpose, account.c.id))}


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("nothing", {"amount": 0}),
        ("less than nothing", {"amount": -1}),
        ("another currency", {"currency": "EUR"}),
        ("no currency", {"currency": None}),
        ("no amount", {"amount": None}),
        ("a kind there is not", {"kind": "gift"}),
        ("another kind's edge", {"kind": "release"}),
        ("an account there is not", {"to_account": 999_999}),
        ("an order there is not", {"order_id": 999_999}),
        ("a sharer there is not", {"sharer_id": 999_999}),
    ],
)
def test_the_database_refuses_a_transfer_of(written: World, what: str, changes: dict[str, Any]) -> None:
    """I2: whoever writes it, and however."""
    refused(written, insert(transfer).values(copy_of_a_transfer(written, "earn", **changes)))
    assert sum_of_all_accounts(written) == 0
    written.books()


def test_the_database_refuses_a_second_transfer_of_one_id(written: World) -> None:
    """I2: one cause, one row."""
    with written.context.database.reading() as connection:
        known = connection.execute(select(transfer.c.id).limit(1)).scalar_one()
    refused(written, insert(transfer).values(copy_of_a_transfer(written, "earn", id=known)))
    written.books()


def test_the_database_refuses_a_transfer_from_an_account_to_itself_or_backwards(written: World) -> None:
    """I2: money takes only the edges there are."""
    by = accounts(written)
    for source, target in (("commission", "commission"), ("pending", "commission"), ("paid", "pending")):
        row = copy_of_a_transfer(written, "earn", from_account=by[source], to_account=by[target])
        refused(written, insert(transfer).values(row))
    written.books()


def test_the_database_refuses_money_between_two_shops_two_sharers_or_live_and_test(written: World) -> None:
    """I2: an account pair is one shop's and one sharer's."""
    other = written.shop(url="https://other.example.com", live=False)
    other.plan()
    other.sharer("bob", codes=["BOB"])
    other.told(other.order("theirs", codes=["BOB"]))
    with written.context.database.reading() as connection:
        theirs = connection.execute(select(transfer).where(transfer.c.role == "direct")).mappings().all()[-1]
    mixed = [
        {"to_account": theirs["to_account"]},
        {"from_account": theirs["from_account"]},
        {"from_account": theirs["from_account"], "to_account": theirs["to_account"]},
        {"sharer_id": theirs["sharer_id"]},
        {"shop_id": theirs["shop_id"]},
    ]
    for changes in mixed:
        refused(written, insert(transfer).values(copy_of_a_transfer(written, "earn", **changes)))
    written.books()


def test_payable_is_never_overdrawn_but_by_a_clawback(written: World) -> None:
    """I5: nothing is reserved that is not there; alice has been paid everything."""
    said = refused(written, insert(transfer).values(copy_of_a_transfer(written, "reserve", amount=1)))
    assert "more than is payable" in said
    written.books()


@pytest.mark.parametrize("kind", ["settle", "release"])
def test_no_transaction_of_the_record_ends_with_another_account_below_zero(written: World, kind: str) -> None:
    """I5: pending and in_flight; the closing of the chain refuses what the transfers before it did."""
    row = copy_of_a_transfer(written, kind, amount=1)
    with pytest.raises(DBAPIError) as caught, recording(written.context, 1, actor="hand") as recorder:
        recorder.connection.execute(insert(transfer).values(row))
        recorder.add_fact("hold", {"reason": "to have a link of the chain"})
    assert "below zero" in str(caught.value.orig)
    assert sum_of_all_accounts(written) == 0
    written.books()


def test_an_item_or_account_of_somebody_who_is_not_there_is_refused(written: World) -> None:
    """I2: what the books name is there, also on SQLite, which would not look without being told to."""
    refused(written, insert(payout_item).values(
        payout_id=999, sharer_id=1, gross=1, withheld=0, fee=0, net=1, state="reserved"
    ))  # fmt: skip
    refused(written, insert(account).values(
        shop_id=999, sharer_id=1, currency="USD", purpose="payable", live=True
    ))  # fmt: skip
    refused(written, "DELETE FROM pa_account WHERE purpose = 'payable'")
    refused(written, "DELETE FROM pa_order")
    written.books()
