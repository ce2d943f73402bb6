"""The webhook door by itself: one small app, real databases, and the faults and attacks that stop at the door."""

import base64
import gzip
import hmac
import io
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

import webhooks
from plugin.database import Database
from plugin.keys import KeyStore
from plugin.migrations import upgrade
from plugin.models import delivery, shop
from plugin.services import store_delivery
from plugin.services.context import Context
from plugin.services.digest import PURPOSE, row_mac
from plugin.services.process_inbox import unseal
from plugin.services.store_delivery import Intake, StoredRow
from plugin.settings import load
from plugin.shops.generic import sign

SECOND = 1_000_000
NOW = 1_795_320_000 * SECOND
CAP = 2_048
SECRET, OTHER = "whsec_" + "A" * 43 + "=", "whsec_" + "B" * 43 + "="
BODY = b'{"type": "order", "data": {"id": "1001"}}'
FOREVER = None

forks = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")  # from Python 3.12 on


@dataclass
class Services:
    """What the door looks for on its app."""

    context: Context
    intake: Intake


class Door:
    """An app with nothing but the door, and a shop called ``shop``."""

    def __init__(self, context: Context, clock: list[int]) -> None:
        self.clock = clock
        self.wakes: list[int] = []
        self.context = context
        self.intake = Intake(context, lambda: self.wakes.append(1))
        self.app = Flask("door")
        self.app.extensions["passalong"] = Services(context, self.intake)
        webhooks.init_app(self.app)
        self.add_shop("shop")

    def add_shop(self, key: str, platform: str = "generic", *secrets: tuple[str, int | None]) -> None:
        sealed = [{"secret": secret, "valid_until": until} for secret, until in secrets or [(SECRET, FOREVER)]]
        row = {
            "key": key,
            "platform": platform,
            "url": "https://shop.example.com",
            "name": "Shop",
            "currency": "USD",
            "timezone": "UTC",
            "starts_at": 0,
            "live": True,
            "secrets": self.context.keys.seal("shop.secrets", json.dumps(sealed).encode()),
            "credentials": b"",
            "created_at": 0,
        }
        with self.context.database.writing() as connection:
            connection.execute(shop.insert().values(row))

    def signed(self, body: bytes = BODY, *, secret: str = SECRET, name: str = "msg_1", age: int = 0) -> dict[str, str]:
        at = self.clock[0] // SECOND - age
        return {
            "webhook-id": name,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(secret, name, at, body),
            "content-type": "application/json",
        }

    def post(self, body: bytes = BODY, headers: Mapping[str, str] | None = None, *, key: str = "shop") -> TestResponse:
        headers = self.signed(body) if headers is None else headers
        return self.app.test_client().post(f"/webhooks/{key}", data=body, headers=dict(headers))

    def raw(self, stream: Any, *, key: str = "shop", **environ: Any) -> TestResponse:
        """Post a body as a server hands it on, with any environment."""
        changed = {"wsgi.input": stream, **environ}
        return self.app.test_client().post(f"/webhooks/{key}", environ_overrides=changed)

    def rows(self) -> list[Any]:
        with self.context.database.reading() as connection:
            return list(connection.execute(select(delivery).order_by(delivery.c.id)))


@pytest.fixture
def door(database_url: str, tmp_path: Path) -> Iterator[Door]:
    names = {"DATABASE_URL": database_url, "INSTANCE": tmp_path / "instance", "MAX_BODY_BYTES": CAP}
    settings = load({}, {f"PASSALONG_{name}": value for name, value in names.items()})
    database, clock = Database(database_url), [NOW]
    upgrade(database)
    door = Door(Context(database, KeyStore(settings), settings, now=lambda: clock[0]), clock)
    yield door
    door.intake.stop()
    database.close()


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_delivery, "CACHE_SECONDS", -1)


def is_problem(response: TestResponse, status: int, code: str) -> bool:
    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert response.content_type == "application/problem+json"
    return problem.keys() == {"type", "title", "status", "code", "detail"} and problem["status"] == status


# -- what is stored ----------------------------------------------------------------------------------------------------


def test_a_signed_delivery_is_stored_sealed_as_it_came(door: Door) -> None:
    headers = door.signed() | {"Cookie": "a=b", "Authorization": "Bearer x", "User-Agent": "shop/1", "X-Other": "y"}
    response = door.post(headers=headers)
    assert (response.status_code, response.get_json()) == (200, {"stored": True})
    (row,) = door.rows()
    assert (row.delivery_id, row.topic, row.state, row.attempts) == ("msg_1", "order", "stored", 0)
    assert row.received_at == row.due_at == NOW and row.body_sha == sha256(BODY).digest()
    assert row.mac == row_mac(door.context.keys.mac_key(PURPOSE), "pa_delivery", row._mapping)
    kept, body = unseal(door.context, row.body)
    assert body == BODY and BODY not in row.body
    names = {"webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent"}
    assert json.loads(kept).keys() == names
    assert door.wakes == [1]


def test_a_woocommerce_delivery_is_told_apart_by_its_own_headers(door: Door) -> None:
    door.add_shop("woo", "woocommerce", ("secret-of-woo", FOREVER))
    signature = base64.b64encode(hmac.digest(b"secret-of-woo", BODY, "sha256")).decode()
    headers = {"X-WC-Webhook-Signature": signature, "X-WC-Webhook-Topic": "order.updated"}
    assert door.post(headers=headers | {"X-WC-Webhook-Delivery-ID": "abc"}, key="woo").status_code == 200
    assert door.post(headers=headers, key="woo").status_code == 200
    assert [(row.delivery_id, row.topic) for row in door.rows()] == [
        ("abc", "order.updated"),
        (sha256(BODY).hexdigest(), "order.updated"),
    ]


@pytest.mark.parametrize("name", ["i" * 201, "a\0b", "a\ud800"])
def test_an_id_no_database_could_keep_becomes_its_hash(door: Door, name: str) -> None:
    hashed = "sha256:" + sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    assert store_delivery.storable_id(name) == hashed and store_delivery.storable_id("i" * 200) == "i" * 200
    door.intake.store(door.intake.row(1, name, "order\0\ud800" + "t" * 300, {}, BODY))
    (row,) = door.rows()
    assert row.delivery_id == hashed and row.topic.startswith("order\ufffd?") and len(row.topic) == 255


def test_latin_1_in_a_header_is_kept_and_hurts_nobody(door: Door) -> None:
    assert door.raw(io.BytesIO(BODY), **_environ(door.signed()), HTTP_USER_AGENT="caf\xe9\xff").status_code == 200
    assert json.loads(unseal(door.context, door.rows()[0].body)[0])["user-agent"] == "caf\xe9\xff"


def _environ(headers: Mapping[str, str], body: bytes = BODY) -> dict[str, str]:
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return named | {"CONTENT_LENGTH": str(len(body))}


# -- fault 1: copies ---------------------------------------------------------------------------------------------------


def test_fault_1_fifty_copies_at_once_on_two_workers_are_one_row(door: Door) -> None:
    other = Door.__new__(Door)
    other.__dict__ |= door.__dict__ | {"intake": Intake(door.context, lambda: None), "app": Flask("other")}
    other.app.extensions["passalong"] = Services(door.context, other.intake)
    webhooks.init_app(other.app)
    headers, start = door.signed(), threading.Barrier(50)

    def send(number: int) -> int:
        start.wait()
        return (door, other)[number % 2].post(headers=headers).status_code

    with ThreadPoolExecutor(50) as threads:
        assert list(threads.map(send, range(50))) == [200] * 50
    other.intake.stop()
    assert len(door.rows()) == 1


def test_the_same_id_with_another_body_is_a_delivery_of_its_own(door: Door) -> None:
    for body in (BODY, BODY + b" ", BODY):
        assert door.post(body).status_code == 200
    assert door.post(headers=door.signed(name="msg_2")).status_code == 200
    assert [row.delivery_id for row in door.rows()] == ["msg_1", "msg_1", "msg_2"]


def test_two_batches_with_the_same_rows_in_other_orders_never_wait_for_each_other(door: Door) -> None:
    rows = [door.intake.row(1, f"msg_{number}", "order", {}, BODY) for number in range(40)]
    other = Intake(door.context, lambda: None)
    for _ in range(10):
        jobs = [
            threading.Thread(target=intake._settle, args=([store_delivery._Waiting(row) for row in order],))
            for intake, order in ((door.intake, rows), (other, rows[::-1]))
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
    for intake in (door.intake, other):
        intake._drop_connection()
    assert len(door.rows()) == 40


# -- faults 8, 11, 12: signatures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "status"), [(300, 200), (301, 401), (-300, 200), (-301, 401)])
def test_fault_8_a_time_more_than_five_minutes_off_is_refused_either_way(door: Door, age: int, status: int) -> None:
    assert door.post(headers=door.signed(age=age)).status_code == status


def test_fault_11_a_shop_without_a_secret_takes_nothing(door: Door) -> None:
    door.add_shop("none", "generic", (OTHER, NOW - 1))
    door.add_shop("empty", "generic", ("", FOREVER))
    door.add_shop("woo", "woocommerce", ("", FOREVER))
    forged = {"X-WC-Webhook-Signature": base64.b64encode(hmac.digest(b"", BODY, "sha256")).decode()}
    assert door.post(key="none").status_code == 401
    assert door.post(headers=door.signed(secret=""), key="empty").status_code == 401
    assert door.post(headers=forged, key="woo").status_code == 401


def test_fault_12_a_rotation_reaches_the_door_within_two_seconds(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = [100.0]
    monkeypatch.setattr(store_delivery.time, "monotonic", lambda: ticks[0])
    asked: list[str] = []
    event.listen(door.context.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    found = door.intake.shops.find("shop")
    assert door.intake.shops.find("unknown") is None
    count = len(asked)
    ticks[0] += 1.4
    assert door.intake.shops.find("shop") is found and door.intake.shops.find("unknown") is None
    assert len(asked) == count
    with door.context.database.writing() as connection:
        sealed = door.context.keys.seal("shop.secrets", json.dumps([{"secret": OTHER, "valid_until": None}]).encode())
        connection.execute(shop.update().where(shop.c.key == "shop").values(secrets=sealed))
    door.add_shop("unknown")
    ticks[0] += 0.5
    fresh = door.intake.shops.find("shop")
    assert fresh is not None and fresh.secrets_at(NOW) == [OTHER] and door.intake.shops.find("unknown") is not None


def test_fault_12_a_new_secret_holds_as_soon_as_it_is_shown(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = [100.0]
    monkeypatch.setattr(store_delivery.time, "monotonic", lambda: ticks[0])
    assert door.post().status_code == 200
    sealed = door.context.keys.seal("shop.secrets", json.dumps([{"secret": OTHER, "valid_until": None}]).encode())
    with door.context.database.writing() as connection:
        connection.execute(shop.update().where(shop.c.key == "shop").values(secrets=sealed))
    ticks[0] += 0.2
    assert door.post(headers=door.signed(secret=OTHER)).status_code == 200
    assert door.post(headers=door.signed(secret=SECRET)).status_code == 401


def test_fault_12_a_flood_of_forged_signatures_asks_for_the_secrets_ten_times_a_second(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = [100.0]
    monkeypatch.setattr(store_delivery.time, "monotonic", lambda: ticks[0])
    forged = door.signed(secret=OTHER)
    assert door.post(headers=forged).status_code == 401
    asked: list[str] = []
    event.listen(door.context.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    for _ in range(100):
        ticks[0] += 0.01
        assert door.post(headers=forged).status_code == 401
    assert 9 <= sum("pa_shop.secrets" in statement for statement in asked) <= 11
    assert not any("INSERT" in statement for statement in asked)


# -- shops that are not there ------------------------------------------------------------------------------------------


class Untouchable:
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize("key", ["unknown", "SHOP", "s%00hop", "\u0430", "x" * 33, "..", "shop%20"])
def test_an_unknown_shop_is_404_before_the_body_is_read(door: Door, key: str) -> None:
    response = door.app.test_client().post(
        f"/webhooks/{key}", environ_overrides={"wsgi.input": Untouchable(), "CONTENT_LENGTH": "10"}
    )
    assert is_problem(response, 404, "unknown_shop")


def test_guessing_keys_neither_fills_memory_nor_pushes_a_shop_out(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.intake.shops._unknown, "_most", 5)
    found = door.intake.shops.find("shop")
    for number in range(12):
        assert door.intake.shops.find(f"guess{number}") is None
    assert len(door.intake.shops._unknown) <= 5 and door.intake.shops.find("shop") is found


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_posting_is_allowed(door: Door, method: str) -> None:
    response = door.app.test_client().open("/webhooks/shop", method=method)
    assert is_problem(response, 405, "method_not_allowed") and "POST" in response.headers["Allow"]


def test_options_names_the_methods_that_a_delivery_may_have(door: Door) -> None:
    response = door.app.test_client().options("/webhooks/shop")
    assert (response.status_code, response.headers["Allow"]) == (200, "POST, OPTIONS")


def test_no_repr_shows_a_secret(door: Door) -> None:
    assert SECRET not in repr(door.intake.shops.find("shop"))


# -- fault 13: bodies --------------------------------------------------------------------------------------------------


class Endless:
    """A chunked body without an end; it counts what was taken."""

    def __init__(self) -> None:
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "an endless body must be read in pieces"
        piece = min(size, 1_000)
        self.taken += piece
        return b"x" * piece


def test_fault_13_an_announced_length_over_the_cap_is_refused_unread(door: Door) -> None:
    assert is_problem(door.raw(Untouchable(), CONTENT_LENGTH=str(CAP + 1)), 413, "body_too_large")
    assert is_problem(door.raw(Untouchable(), CONTENT_LENGTH=str(50 * 2**20)), 413, "body_too_large")


@pytest.mark.parametrize("app_limit", [None, CAP // 2, CAP + 1])
def test_fault_13_an_endless_chunked_body_is_cut_off_one_byte_after_the_cap(door: Door, app_limit: int | None) -> None:
    door.app.config["MAX_CONTENT_LENGTH"] = app_limit
    stream = Endless()
    unknown_length = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert is_problem(door.raw(stream, **unknown_length), 413, "body_too_large")
    assert stream.taken <= CAP + 1


def test_fault_13_a_chunked_body_at_the_cap_is_taken(door: Door) -> None:
    body = BODY + b" " * (CAP - len(BODY))
    environ = _environ(door.signed(body)) | {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert door.raw(io.BytesIO(body), **environ, **{"wsgi.input_terminated": True}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 1_000 + b"]" * 1_000,
        b'{"a": 1, "a": 2}',
        b"[NaN, Infinity, -Infinity, 1e999]",
        rb'["\ud800"]',
        b"\xff\xfe\0",
        gzip.compress(b"0" * 1_000_000),
        b"1" * 2_000,
    ],
    ids=["empty", "deep", "twice", "nan", "surrogate", "binary", "bomb", "digits"],
)
def test_fault_13_a_body_nobody_understands_is_stored_as_it_is(door: Door, body: bytes) -> None:
    began = time.monotonic()
    assert door.post(body, door.signed(body) | {"Content-Encoding": "gzip"}).status_code == 200
    (row,) = door.rows()
    assert unseal(door.context, row.body)[1] == body and time.monotonic() - began < 1


class Broken:
    """A body whose sender goes away, as each server says it in its own way."""

    def read(self, size: int = -1) -> bytes:
        raise ValueError("invalid chunk size")


def test_a_body_that_breaks_off_is_the_senders_fault(door: Door) -> None:
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert is_problem(door.raw(Broken(), **environ), 400, "body_unreadable")
    assert is_problem(door.raw(io.BytesIO(b"short"), CONTENT_LENGTH="100"), 400, "body_unreadable")


@pytest.mark.parametrize("length", ["", "abc", "-1", "\xb2"])
def test_a_length_that_says_nothing_is_a_body_that_is_not_there(door: Door, length: str) -> None:
    environ = _environ(door.signed()) | {"CONTENT_LENGTH": length}
    assert door.raw(io.BytesIO(BODY), **environ).status_code == 401


# -- faults 17 and 18: killed around the commit ------------------------------------------------------------------------


def in_child(work: Callable[[], object]) -> int:
    """Run the work in a forked process; return the signal that ended it, or 0."""
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            logging.getLogger(__name__).exception("the child failed")
        finally:
            os._exit(1)
    status = os.waitpid(process, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def killed(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@forks
def test_fault_17_killed_before_the_commit_the_retry_does_it(door: Door) -> None:
    def deliver() -> None:
        door.intake._commit_once = killed  # type: ignore[method-assign]
        door.post()

    assert in_child(deliver) == signal.SIGKILL
    assert door.rows() == []
    assert door.post().status_code == 200 and len(door.rows()) == 1


@forks
def test_fault_18_killed_after_the_commit_the_retry_is_a_duplicate(door: Door) -> None:
    def deliver() -> None:
        door.intake._on_stored = killed
        door.post()

    assert in_child(deliver) == signal.SIGKILL
    assert len(door.rows()) == 1
    assert door.post().status_code == 200 and len(door.rows()) == 1


@forks
def test_a_fork_after_the_start_gives_each_process_a_writer_of_its_own(door: Door) -> None:
    def deliver(name: str) -> None:
        assert door.post(headers=door.signed(name=name)).status_code == 200

    deliver("before")
    for number in range(3):
        assert in_child(lambda name=f"child {number}": deliver(name)) == 0  # type: ignore[misc]
        deliver(f"parent {number}")
    assert len(door.rows()) == 7


# -- fault 19: the database is slow or away ----------------------------------------------------------------------------


@pytest.fixture
def short_budget(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(store_delivery, "BUDGET_SECONDS", 0.5)
    return 0.5


def test_fault_19_a_locked_database_is_503_within_the_budget_and_recovers(door: Door, short_budget: float) -> None:
    assert door.post(headers=door.signed(name="first")).status_code == 200
    with door.context.database.writing() as connection:
        if not door.context.database.is_sqlite:
            connection.execute(text("LOCK TABLE pa_delivery IN ACCESS EXCLUSIVE MODE"))
        began = time.monotonic()
        response = door.post()
        assert is_problem(response, 503, "database_unavailable") and int(response.headers["Retry-After"]) > 0
        assert short_budget * 0.9 <= time.monotonic() - began < short_budget + 2
        with ThreadPoolExecutor(8) as threads:  # neither does a crowd wait for longer than one of them
            began = time.monotonic()
            jobs = [threads.submit(door.post, BODY, door.signed(name=f"crowd {number}")) for number in range(8)]
            assert {job.result().status_code for job in jobs} == {503}
        assert time.monotonic() - began < 2 * short_budget + 2
    assert door.post(headers=door.signed(name="second")).status_code == 200
    assert {"first", "second"} <= {row.delivery_id for row in door.rows()}


def test_fault_19_nobody_queues_behind_a_commit_that_does_not_come_back(
    door: Door, short_budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, is_back = Intake._commit_once, threading.Event()

    def hang(self: Intake, rows: list[StoredRow]) -> None:
        is_back.wait(20)
        commit(self, rows)

    monkeypatch.setattr(Intake, "_commit_once", hang)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(door.post, BODY, door.signed(name="first"))
        _until(door.intake._is_stuck)
        began = time.monotonic()
        assert is_problem(door.post(), 503, "database_unavailable")
        assert time.monotonic() - began < 0.2
        is_back.set()
        assert first.result().status_code == 200
    assert door.post(headers=door.signed(name="second")).status_code == 200


def test_who_waited_too_long_is_told_so_and_keeps_nobody_from_leading(
    door: Door, short_budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, hangs, is_back = Intake._commit_once, threading.Event(), threading.Event()

    def hang(self: Intake, rows: list[StoredRow]) -> None:
        hangs.set()
        is_back.wait(20)
        commit(self, rows)

    monkeypatch.setattr(Intake, "_commit_once", hang)
    monkeypatch.setattr(Intake, "_is_stuck", lambda self: False)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(door.post, BODY, door.signed(name="first"))
        assert hangs.wait(5)
        second = threads.submit(door.post, BODY, door.signed(name="second"))
        assert is_problem(second.result(), 503, "database_unavailable")
        third = threads.submit(door.post, BODY, door.signed(name="third"))
        _until(lambda: len(door.intake._queue) == 2)
        is_back.set()
        assert {first.result().status_code, third.result().status_code} == {200}
    assert {row.delivery_id for row in door.rows()} == {"first", "third"}


def _until(done: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_fault_19_a_failed_commit_is_503_and_leaves_no_row(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Intake, _rows: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    with monkeypatch.context() as patched:
        patched.setattr(Intake, "_commit_once", fail)
        assert is_problem(door.post(), 503, "database_unavailable")
    assert door.rows() == [] and door.wakes == []
    assert door.post().status_code == 200 and len(door.rows()) == 1


def test_fault_19_a_connection_that_died_meanwhile_costs_no_delivery(door: Door) -> None:
    assert door.post(headers=door.signed(name="first")).status_code == 200
    if door.context.database.is_sqlite:
        door.intake._driver_connection().close()
    else:
        with door.context.database.writing() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
    answers = [door.post(headers=door.signed(name="second")).status_code for _ in range(2)]
    assert answers[-1] == 200 and (door.context.database.is_sqlite or answers == [200, 200])
    assert len(door.rows()) == 2


def test_fault_19_a_database_that_is_gone_is_503_at_the_look_up_too(door: Door, tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    door.intake.shops = store_delivery.ShopCache(
        Context(gone, door.context.key_store, door.context.settings, now=door.context.now)
    )
    assert is_problem(door.post(), 503, "database_unavailable")
    gone.close()


def test_secrets_that_cannot_be_opened_are_our_fault_and_not_the_shops(door: Door) -> None:
    door.add_shop("other")
    with door.context.database.writing() as connection:
        connection.execute(shop.update().where(shop.c.key == "other").values(secrets=b"A" + b"x" * 40))
    assert is_problem(door.post(key="other"), 503, "secrets_unreadable")


def test_a_full_queue_refuses_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_delivery, "QUEUE_MAX", 0)
    began = time.monotonic()
    assert is_problem(door.post(), 503, "database_unavailable")
    assert time.monotonic() - began < 1


def test_one_row_that_cannot_be_written_spoils_no_other(door: Door) -> None:
    rows = [door.intake.row(number, f"msg_{number}", "order", {}, BODY) for number in (1, 999, 1)]
    rows[2]["delivery_id"] = "msg_2"
    waiting = [store_delivery._Waiting(row) for row in rows]
    door.intake._settle(waiting)
    assert [one.stored for one in waiting] == [True, False, True]
    door.intake._drop_connection()
    assert {row.delivery_id for row in door.rows()} == {"msg_1", "msg_2"}


def test_a_failing_wake_costs_no_delivery(door: Door) -> None:
    def fail() -> None:
        raise RuntimeError("the queue is away")

    door.intake._on_stored = fail
    assert [door.post(headers=door.signed(name=name)).status_code for name in "ab"] == [200, 200]


def test_a_stopped_intake_has_written_all_and_takes_no_more(door: Door) -> None:
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(door.post, BODY, door.signed(name=f"msg_{number}")) for number in range(40)]
        door.intake.stop()
        answers = [job.result().status_code for job in jobs]
    assert set(answers) <= {200, 503} and answers.count(200) == len(door.rows())
    assert is_problem(door.post(), 503, "database_unavailable")
    door.intake.start()
    assert door.post(headers=door.signed(name="again")).status_code == 200


def test_many_at_once_share_their_commits(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    commit = Intake._commit_once

    def counted(self: Intake, rows: list[StoredRow]) -> None:
        commits.append(len(rows))
        time.sleep(0.02)
        commit(self, rows)

    monkeypatch.setattr(Intake, "_commit_once", counted)
    with ThreadPoolExecutor(20) as threads:
        jobs = [threads.submit(door.post, BODY, door.signed(name=f"msg_{number}")) for number in range(60)]
        assert {job.result().status_code for job in jobs} == {200}
    assert sum(commits) == 60 == len(door.rows()) and len(commits) < 30 and len(door.wakes) == len(commits)
