"""The webhook door under faults and attacks: cases 1 to 20, each through the running app, on both databases.

Those that concern every platform alike are in test_every_shop.py.
"""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from plugin.models import account, delivery, order_state, transfer
from plugin.services import process_inbox, store_delivery
from plugin.services.add_shop import rotate_secret
from plugin.settings import Settings
from plugin.shops.generic import Generic
from tests.world import Shop, World

DYING = Path(__file__).with_name("dying.py")
TODAY = "2026-11-22T12:00:00Z"


def count(world: World, table: Any) -> int:
    """Return how many rows a table has."""
    with world.context.database.reading() as connection:
        number: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return number


def body_of(order: Any) -> bytes:
    """Return a delivery's body as a generic shop sends it."""
    return json.dumps({"type": "order", "data": order}).encode()


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a generic shop that pays ten percent to alice, whose code is ALICE10."""
    shop = world.shop()
    shop.plan()
    shop.alice = shop.sharer("alice", codes=["ALICE10"])  # type: ignore[attr-defined]
    return shop


def earned(shop: Shop) -> str:
    """Return what alice has earned in USD."""
    return shop.balance(shop.alice)["earned"]  # type: ignore[attr-defined]


def commission(shop: Shop, ref: str) -> Any:
    """Return the one commission of an order."""
    (one,) = shop.see(ref)["commissions"]
    return one


# -- duplicates and order ----------------------------------------------------------------------------------------------


def test_the_same_id_with_another_body_is_a_delivery_of_its_own(world: World, shop: Shop) -> None:
    """Case 2, the other way round: an id that is given twice hides nothing."""
    shop.deliver(shop.order("o1", codes=["ALICE10"]), delivery_id="msg_same")
    shop.deliver(shop.order("o2", codes=["ALICE10"]), delivery_id="msg_same")
    world.work()
    assert len(world.deliveries()) == 2 and earned(shop) == "20.00"


def test_a_refund_that_arrives_before_its_order_ends_in_the_same_books(world: World, shop: Shop) -> None:
    """Case 3: whole orders need not wait for one another."""
    paid = shop.order("o1", codes=["ALICE10"])
    refunded = paid | {"updated_at": "2026-11-02T10:00:00Z", "refunds": [{"id": "r1", "amount": "40.00"}]}
    shop.told(refunded)
    assert commission(shop, "o1")["amount"] == "6.00"
    shop.told(paid)
    one = commission(shop, "o1")
    assert (one["amount"], one["earned"], one["clawed_back"]) == ("6.00", "10.00", "4.00")
    world.books()


def test_a_deletion_that_arrives_before_its_order_waits_for_it(world: World) -> None:
    """Case 3: a bare "deleted" is kept, shown as waiting, and applied when the order comes."""
    captured = Path(__file__).parent.parent / "shops" / "payloads" / "woocommerce" / "captured"
    world.stop_clock("2026-11-23T00:00:00Z")
    shop = world.shop("woocommerce", secret=(captured / "secret.txt").read_text().strip())
    shop.plan()

    def send(name: str) -> None:
        headers = dict(json.loads((captured / f"{name}.headers.json").read_text())["headers"])
        assert shop.post((captured / f"{name}.body.json").read_bytes(), headers).status_code == 200
        world.work()

    send("15-order-deleted-trashed")
    (one,) = world.deliveries()
    assert one["state"] == "waiting" and one["reason"]
    assert world.call("GET", f"/orders/23?shop={shop.key}")["status"] == 404
    send("13-order-updated-set-paid-twd")
    world.work()
    assert [one["state"] for one in world.deliveries()] == ["done", "done"]
    seen = shop.see("23")
    assert seen["status"] == "cancelled" and "deleted_in_shop" in seen["flags"]
    world.books()


def test_an_older_state_that_comes_late_is_kept_and_changes_nothing(world: World, shop: Shop) -> None:
    """Case 4, where it is not quite a copy."""
    clock = world.stop_clock(TODAY)
    paid = shop.order("o1", codes=["ALICE10"])
    shop.told(paid)
    shop.told(paid | {"updated_at": "2026-11-02T10:00:00Z", "refunds": [{"id": "r1", "amount": "100.00"}]})
    before = shop.see("o1")
    assert commission(shop, "o1")["amount"] == "0.00"
    clock.add(86_400)
    shop.told(paid | {"updated_at": "2026-11-01T10:30:00Z", "number": "another"})
    assert shop.see("o1") == before
    assert count(world, order_state) == 3
    world.books()


def test_an_edited_order_without_a_refund_pays_for_what_is_left(world: World, shop: Shop) -> None:
    """Case 5: the books move by the difference, down and up again."""
    order = shop.order("o1", codes=["ALICE10"])
    shop.told(order)
    line = order["lines"][0]
    edits = (("70.00", "7.00"), ("90.00", "9.00"), ("0.00", "0.00"), ("90.00", "9.00"))
    for day, (amount, expected) in enumerate(edits, start=2):
        edited = order | {"updated_at": f"2026-11-0{day}T10:00:00Z", "lines": [line | {"amount": amount}]}
        seen = shop.told(edited)
        assert commission(shop, "o1")["amount"] == expected == earned(shop)
        assert seen["net"] == amount
    world.books()


# -- signatures --------------------------------------------------------------------------------------------------------


def test_a_signature_is_taken_five_minutes_around_now_and_no_second_longer(world: World, shop: Shop) -> None:
    """Case 8: also the future is refused."""
    world.stop_clock(TODAY)
    body = body_of(shop.order("o1"))
    now = world.context.now() // 1_000_000
    for off_by in (-301, 301, -86_400, 86_400, -now):
        answer = shop.post(body, shop.signed(body, at=now + off_by))
        problem = answer.get_json(force=True)
        assert (answer.status_code, problem["status"], problem["code"]) == (401, 401, "bad_signature"), off_by
    assert count(world, delivery) == 0
    for off_by in (-300, 300, 0):
        assert shop.post(body, shop.signed(body, at=now + off_by)).status_code == 200, off_by
    assert count(world, delivery) == 3


def test_a_delivery_replayed_within_the_tolerance_and_after_a_month_has_no_effect(world: World, shop: Shop) -> None:
    """Case 9: the memory of what came outlives every retry."""
    clock = world.stop_clock(TODAY)
    order = shop.order("o1", codes=["ALICE10"])
    body = body_of(order)
    headers = shop.signed(body, delivery_id="msg_1")
    assert shop.post(body, headers).status_code == 200
    world.work()
    clock.add(299)
    assert shop.post(body, headers).status_code == 200
    clock.add(2)
    assert shop.post(body, headers).status_code == 401  # the very bytes, too old by now
    clock.add(31 * 86_400)
    assert shop.post(body, shop.signed(body, delivery_id="msg_1")).status_code == 200  # a retry, signed again
    world.work()
    assert len(world.deliveries()) == 1 and earned(shop) == "10.00" and count(world, transfer) == 1
    world.books()


def test_old_and_new_secret_both_hold_for_the_overlap_and_then_only_the_new(world: World, shop: Shop) -> None:
    """Case 12: no delivery is lost while a secret is turned over."""
    clock = world.stop_clock(TODAY)
    old = Shop(world, {"key": shop.key, "webhook_secret": shop.secret})
    new = Shop(world, {"key": shop.key, **rotate_secret(world.context, shop.key, overlap_hours=24)})
    assert new.secret != old.secret

    def taken(by: Shop) -> bool:
        forget_shops(world)
        body = body_of(by.order())
        status = by.post(body, by.signed(body)).status_code
        assert status in (200, 401)
        return status == 200

    assert taken(old) and taken(new)
    clock.add(24 * 3_600 - 1)
    assert taken(old) and taken(new)
    newest = Shop(world, {"key": shop.key, **rotate_secret(world.context, shop.key, overlap_hours=1)})
    assert taken(old) and taken(new) and taken(newest)
    clock.add(1)
    assert not taken(old) and taken(new) and taken(newest)  # the second turn did not prolong the first
    clock.add(3_600)
    assert not taken(old) and not taken(new) and taken(newest)


def forget_shops(world: World) -> None:
    """Let the door look its shops up again, as it does by itself within two seconds."""
    world.app.extensions["passalong"].intake.shops = store_delivery.ShopCache(world.context)


# -- hostile and unknown bodies ----------------------------------------------------------------------------------------


def test_a_gzip_bomb_is_taken_for_the_few_bytes_it_is(world: World, shop: Shop) -> None:
    """Case 13: nothing is ever unpacked before it is understood, whatever the headers say."""
    bomb = gzip.compress(b"0" * 200_000_000, compresslevel=9)
    assert len(bomb) < world.context.settings.max_body_bytes
    answer = shop.post(bomb, shop.signed(bomb) | {"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    world.work()
    assert world.deliveries()[0]["state"] == "quarantined"


def test_a_body_over_the_limit_is_refused_and_one_byte_less_is_not(world: World, shop: Shop) -> None:
    """Case 13."""
    limit = world.context.settings.max_body_bytes
    for size, status in ((limit, 200), (limit + 1, 413), (50_000_000, 413)):
        body = b" " * size
        answer = shop.post(body, shop.signed(body))
        assert answer.status_code == status
    assert answer.get_json(force=True)["code"] == "body_too_large"
    assert count(world, delivery) == 1


def test_a_fault_of_ours_in_reading_one_delivery_holds_up_no_other(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Case 14: an adapter that breaks its promise quarantines that delivery, and the worker goes on."""
    reads = Generic.parse

    def parse(self: Generic, topic: str, body: bytes) -> Any:
        if b"poison" in body:
            raise ZeroDivisionError("a fault of ours, with alice@example.org in it")
        return reads(self, topic, body)

    monkeypatch.setattr(Generic, "parse", parse)
    shop.deliver(shop.order("poison", codes=["ALICE10"]))
    shop.deliver(shop.order("healthy", codes=["ALICE10"]))
    world.work()
    bad, healthy = world.deliveries()
    assert (bad["state"], healthy["state"]) == ("quarantined", "done") and earned(shop) == "10.00"
    told = [record.getMessage() for record in caplog.records if record.name != "plugin.mail"]  # a mail names its reader
    assert "alice@example.org" not in " ".join([bad["reason"], *told])
    monkeypatch.undo()
    assert world.command("replay", "--delivery", bad["id"])["changed"] == 1
    assert earned(shop) == "20.00"


def test_a_fault_of_ours_in_settling_one_order_holds_up_no_other(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 14, further on: the batch is halved down to the one, which is tried again and at last put in quarantine."""
    clock, settle = world.stop_clock(TODAY), process_inbox.settle

    def fail(recorder: Any, works: Any, **kwargs: Any) -> Any:
        if any(work.ref == "poison" for work in works):
            raise AttributeError("a fault of ours")
        return settle(recorder, works, **kwargs)

    monkeypatch.setattr(process_inbox, "settle", fail)
    for ref in ("o1", "o2", "poison", "o3", "o4"):
        shop.deliver(shop.order(ref, codes=["ALICE10"]))
    world.work()
    assert [one["state"] for one in world.deliveries()] == ["done", "done", "stored", "done", "done"]
    assert earned(shop) == "40.00"
    for _ in range(process_inbox.ATTEMPTS_MAX):
        clock.add(600)
        world.work()
    bad = world.deliveries()[2]
    assert bad["state"] == "quarantined" and "AttributeError" in bad["reason"]
    monkeypatch.undo()
    assert world.command("replay", "--delivery", bad["id"]) == {"replayed": 1, "changed": 1}
    assert earned(shop) == "50.00"
    world.books()


def test_a_test_order_in_a_live_shop_earns_nothing_and_is_shown(world: World, shop: Shop) -> None:
    """Case 15."""
    seen = shop.told(shop.order("o1", codes=["ALICE10"], test=True))
    (one,) = seen["commissions"]
    assert (seen["payment"], one["amount"], one["earned"], one["state"]) == ("paid", "0.00", "0.00", "expected")
    assert count(world, transfer) == 0
    world.release()
    assert shop.draft()["items"] == []
    world.books()


def test_the_money_of_a_sandbox_shop_is_not_live(world: World) -> None:
    """Case 15, the reverse: what a sandbox earns never meets live money."""
    sandbox = world.shop(live=False)
    sandbox.plan()
    bob = sandbox.sharer("bob", codes=["BOB"])
    sandbox.told(sandbox.order("o1", codes=["BOB"]))
    assert sandbox.balance(bob)["earned"] == "10.00"
    with world.context.database.reading() as connection:
        assert set(connection.execute(select(account.c.live)).scalars()) == {False}
    world.books()


# -- crashes and outages -----------------------------------------------------------------------------------------------


def die_while_taking(settings: Settings, shop: Shop, body: bytes, headers: dict[str, str], where: str) -> None:
    """Let a process of its own take a delivery and be killed at a place; it must not have answered."""
    told = {
        "settings": {
            "PASSALONG_DATABASE_URL": settings.database_url,
            "PASSALONG_QUEUE_URL": settings.queue_url,
            "PASSALONG_INSTANCE": str(settings.instance),
            "PASSALONG_WORKERS": 0,
        },
        "path": f"/webhooks/{shop.key}",
        "headers": headers,
        "where": where,
    }
    child = subprocess.run(
        [sys.executable, "-W", "error", str(DYING), json.dumps(told)],
        input=body,
        capture_output=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(DYING.parent.parent.parent)},
    )
    assert (child.returncode, child.stdout) == (-9, b""), child.stderr.decode()


@pytest.mark.parametrize(("where", "rows"), [("before commit", 0), ("after commit", 1)])
def test_a_process_killed_around_the_commit_loses_and_doubles_nothing(
    world: World, shop: Shop, settings: Settings, where: str, rows: int
) -> None:
    """Cases 17 and 18: no answer was given, so the shop sends again, and there is one row in the end."""
    body = body_of(shop.order("o1", codes=["ALICE10"]))
    headers = shop.signed(body)
    die_while_taking(settings, shop, body, headers, where)
    assert count(world, delivery) == rows
    assert shop.post(body, headers).status_code == 200
    world.work()
    assert len(world.deliveries()) == 1 and earned(shop) == "10.00" and count(world, transfer) == 1
    world.books()


@contextmanager
def database_gone(world: World, uri: str | None) -> Iterator[None]:
    """Take the database away: PostgreSQL lets nobody in any more, SQLite is locked by somebody who does not let go."""
    if uri is None:
        locking = world.context.database.engine.raw_connection()
        locking.cursor().execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            locking.cursor().execute("ROLLBACK")
            locking.close()
        return
    name = world.context.database.engine.url.database
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.fixture
def server(database_url: str, request: pytest.FixtureRequest) -> str | None:
    """Give the address of the PostgreSQL server's own database, or None on SQLite."""
    return None if database_url.startswith("sqlite") else request.getfixturevalue("postgres")


def test_the_door_says_503_while_the_database_is_away_and_recovers_by_itself(
    world: World, shop: Shop, server: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 19: never 200 without a row, never 404 for a shop that cannot be looked up."""
    monkeypatch.setattr(store_delivery, "BUDGET_SECONDS", 0.3)
    shop.deliver(shop.order("before"))
    sent: list[tuple[bytes, dict[str, str]]] = []
    with database_gone(world, server):
        for _ in range(3):
            body = body_of(shop.order(codes=["ALICE10"]))
            headers = shop.signed(body)
            answer = shop.post(body, headers)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0 and answer.get_json(force=True)["code"]
            sent.append((body, headers))
        if server is not None:  # readers of SQLite do not mind a writer
            forget_shops(world)
            assert shop.post(*sent[0]).status_code == 503
    stored = set()
    for body, headers in sent:
        for _ in range(100):
            if shop.post(body, headers).status_code == 200:
                stored.add(body)
                break
            threading.Event().wait(0.05)
    assert len(stored) == 3, "the door did not recover"
    assert count(world, delivery) == 4
    world.work()
    assert earned(shop) == "30.00"
    world.books()


def test_a_delivery_that_cannot_be_stored_is_never_answered_with_200(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 19: the answer hangs on the commit, whatever it was that failed."""

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store_delivery.Intake, "_commit_once", fail)
        shop.deliver(shop.order("o1"), expect=503)
    assert count(world, delivery) == 0
    shop.deliver(shop.order("o1"))
    assert count(world, delivery) == 1


def test_hundreds_of_deliveries_at_once_are_all_stored_and_another_shop_is_served_between_them(
    world: World, shop: Shop
) -> None:
    """Case 20, what it does: how fast is a matter for the bench."""
    other = world.shop(url="https://other.example.com")
    orders = [shop.order(f"o{number}", codes=["ALICE10"]) for number in range(300)]
    sent = [(body, shop.signed(body)) for body in map(body_of, orders)]

    def send(part: list[tuple[bytes, dict[str, str]]]) -> list[int]:
        client = world.app.test_client()
        return [client.post(f"/webhooks/{shop.key}", data=body, headers=headers).status_code for body, headers in part]

    with ThreadPoolExecutor(10) as threads:
        jobs = [threads.submit(send, sent[start::10]) for start in range(10)]
        other.deliver(other.order("theirs"))
        assert [status for job in jobs for status in job.result()] == [200] * 300
    assert count(world, delivery) == 301
    world.work()
    assert earned(shop) == "3000.00"
    world.books()
