"""Waking the workers: one wake for many, none lost, and a queue that fails delays work and loses none."""

import json
import logging
import pickle
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from plugin import queue as module
from plugin.app import create_app
from plugin.domain.moment import DAY
from plugin.installation import Installation
from plugin.models import api_token, delivery, idempotency
from plugin.queue import Queue
from plugin.services import do_work, watch_books
from plugin.services.check_books import check_books
from plugin.services.context import Context
from plugin.services.run_tasks import Done, Kind, Task
from plugin.settings import Settings, load
from plugin.worker import Workers, embedded
from tests.world import World


def wait_for(seen: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something is so; fail where it does not come."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.01)


def count(context: Context, state: str) -> int:
    """Return how many deliveries are in a state."""
    with context.database.reading() as connection:
        return len(connection.execute(select(delivery.c.id).where(delivery.c.state == state)).all())


@pytest.fixture
def installation(world: World) -> Installation:
    """Give what is open for the running installation."""
    found: Installation = world.app.extensions["passalong"]
    return found


@pytest.fixture
def queue(installation: Installation) -> Queue:
    """Give its queue."""
    return installation.queue


@pytest.fixture
def workers(installation: Installation) -> Iterator[Workers]:
    """Give two worker threads beside it."""
    started = embedded(installation, 2)
    try:
        yield started
    finally:
        started.stop()


# --- wakes ----------------------------------------------------------------------------------------------------------


def test_many_wakes_put_one_task_into_the_queue(queue: Queue) -> None:
    for _ in range(200):
        queue.wake()
    wait_for(queue.ping)
    time.sleep(4 * module.QUIET_SECONDS)
    assert queue.ping() == 1


def test_a_wake_in_the_pause_after_another_is_not_lost(queue: Queue) -> None:
    queue.wake()
    wait_for(queue.ping)
    assert queue.huey.dequeue() is not None  # a worker is at it
    queue.wake()
    wait_for(queue.ping, 5)


def test_a_stop_hands_on_the_last_wake(queue: Queue) -> None:
    queue.wake()
    queue.stop()
    assert queue.ping() == 1
    assert not any(thread.name == "passalong-wake" for thread in threading.enumerate())


def test_a_wake_neither_waits_nor_raises_while_the_queue_is_away_and_arrives_when_it_is_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    folder = tmp_path / "away"
    away = load({}, overrides_of(settings) | {"PASSALONG_QUEUE_URL": f"sqlite:///{folder}/queue.db"})
    app = create_app(away)
    installation: Installation = app.extensions["passalong"]
    world = World(app)
    shop = world.shop()
    began = time.monotonic()
    shop.deliver(shop.order())  # 200: it is stored
    assert time.monotonic() - began < 2
    wait_for(lambda: "cannot be reached" in caplog.text)
    folder.mkdir()
    wait_for(lambda: (folder / "queue.db").exists() and installation.queue.ping() == 1)
    installation.close()


def overrides_of(settings: Settings) -> dict[str, object]:
    """Return settings as a host's config names them."""
    return {
        "PASSALONG_DATABASE_URL": settings.database_url,
        "PASSALONG_QUEUE_URL": settings.queue_url,
        "PASSALONG_INSTANCE": str(settings.instance),
        "PASSALONG_WORKERS": settings.workers,
    }


def test_a_missing_driver_is_named(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ImportError("no module named redis")

    monkeypatch.setattr(module, "_open", refuse)
    with pytest.raises(module.SettingsError, match="PASSALONG_QUEUE_URL"):
        Queue(context).ping()


# --- what lies in the queue -----------------------------------------------------------------------------------------


def test_the_queue_holds_names_of_tasks_and_nothing_of_a_delivery(world: World, queue: Queue) -> None:
    shop = world.shop()
    shop.deliver(shop.order(customer={"id": "c-1", "email": "bob@example.org"}))
    wait_for(queue.ping)
    (data,) = queue.huey.storage.enqueued_items()
    assert set(json.loads(bytes(data))) == {"id", "name"}


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return logging.getLogger("bomb").error, ("it went off",)


def test_nothing_in_the_queue_is_ever_unpickled(
    queue: Queue, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    for data in (pickle.dumps(Bomb()), b"[]", b'{"id": "1", "name": "os.system"}', b"\xff"):
        queue.huey.storage.enqueue(data)
    wait_for(lambda: queue.ping() == 0)
    assert "it went off" not in caplog.text


def test_two_installations_that_share_a_queue_have_names_of_their_own(world: World, tmp_path: Path) -> None:
    other = create_app({"PASSALONG_INSTANCE": str(tmp_path / "other")}).extensions["passalong"]
    mine = world.app.extensions["passalong"].queue.huey.name
    assert mine != other.queue.huey.name
    other.close()


# --- workers --------------------------------------------------------------------------------------------------------


def test_a_delivery_is_booked_soon_though_the_workers_were_idle(world: World, workers: Workers) -> None:
    shop = world.shop()
    shop.plan()
    alice = shop.sharer(codes=["ALICE"])
    time.sleep(1.0)  # the workers are idle
    shop.deliver(shop.order(codes=["ALICE"]))
    wait_for(lambda: shop.balance(alice)["pending"] == "10.00", 5)


def test_the_queue_beside_the_database_wakes_the_workers_too(settings: Settings) -> None:
    app = create_app(overrides_of(settings) | {"PASSALONG_QUEUE_URL": None})
    installation: Installation = app.extensions["passalong"]
    assert installation.settings.queue_url.startswith("sqlite" if installation.context.database.is_sqlite else "postg")
    workers = embedded(installation, 2)
    shop = World(app).shop()
    time.sleep(0.5)  # the workers are idle
    shop.deliver(shop.order())
    wait_for(lambda: count(installation.context, "done") == 1, 5)
    workers.stop()
    installation.close()


def test_two_threads_at_once_book_each_order_once(world: World, workers: Workers) -> None:
    shop = world.shop()
    shop.plan()
    alice = shop.sharer(codes=["ALICE"])
    for _ in range(30):
        order = shop.order(codes=["ALICE"])
        shop.deliver(order)
        shop.deliver(order)  # under another delivery id
    wait_for(lambda: count(world.context, "done") == 60, 30)
    assert shop.balance(alice)["pending"] == "300.00"
    world.books()


def test_however_much_takes_long_a_thread_is_free_for_what_comes_in(
    world: World, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [world.shop(name=name) for name in ("one", "two", "three")]
    at_it, through = [], threading.Event()

    def take_long(_context: Context, one: Task) -> Done:
        at_it.append(one.shop_id)
        assert through.wait(60)
        return Done({"last": None})

    monkeypatch.setattr(do_work, "LONG", {watch_books.KIND: Kind(take_long)})
    for number, _ in enumerate(shops, 1):
        watch_books.ask_check(installation.context, number)
    workers = embedded(installation, 2)
    try:
        wait_for(lambda: at_it)
        shops[0].deliver(shops[0].order())
        wait_for(lambda: count(installation.context, "done") == 1)
        assert len(at_it) == 1
        through.set()
        wait_for(lambda: len(at_it) == len(shops))
    finally:
        through.set()
        workers.stop()


def test_a_failing_drain_is_logged_and_tried_again(
    world: World, workers: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    true_drain, failures = module.do_work, iter([True])

    def drain(*args: object, **kwargs: object) -> object:
        if next(failures, False):
            raise RuntimeError("once")
        return true_drain(*args, **kwargs)  # type: ignore[arg-type]

    time.sleep(0.5)  # the first sweep is done
    monkeypatch.setattr(module, "do_work", drain)
    shop = world.shop()
    shop.deliver(shop.order())
    wait_for(lambda: "Draining the inbox failed" in caplog.text)
    shop.deliver(shop.order())
    wait_for(lambda: count(world.context, "done") == 2)


def test_without_a_queue_the_process_that_has_workers_does_the_work_itself(
    world: World, installation: Installation, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise ConnectionError

    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(installation.queue, "ping", refuse)
    shop = world.shop()
    shop.deliver(shop.order())
    wait_for(lambda: count(world.context, "done") == 1)


def test_a_worker_that_must_leave_does_not_take_the_next_batch(
    world: World, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin.services.process_inbox.BATCH", 1)
    shop = world.shop()
    for _ in range(3):
        shop.deliver(shop.order())
    installation.queue.leaving.set()
    installation.queue._drain_inbox()
    assert count(world.context, "stored") == 3
    installation.queue.leaving.clear()
    installation.queue._drain_inbox()
    assert count(world.context, "stored") == 0


def test_a_start_finds_what_was_stored_before_it(world: World, installation: Installation) -> None:
    shop = world.shop()
    shop.deliver(shop.order())
    wait_for(installation.queue.ping)
    installation.queue.huey.flush()  # the wake is lost
    workers = embedded(installation, 1)
    wait_for(lambda: count(world.context, "done") == 1)
    workers.stop()


# --- the sweep ------------------------------------------------------------------------------------------------------


def test_the_sweep_releases_erases_and_forgets_also_where_draining_fails(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = world.shop()
    shop.plan()
    alice = shop.sharer(codes=["ALICE"])
    shop.told(shop.order(codes=["ALICE"], placed_at="2020-05-01T00:00:00Z", paid_at="2020-05-01T00:00:00Z"))
    world.call("POST", "/sharers", {"shop": shop.key, "email": "b@example.org", "name": "B"}, Idempotency_Key="k1")
    later = Context(
        world.context.database,
        world.context.key_store,
        world.context.settings,
        now=lambda: world.context.now() + 91 * DAY,
    )
    with world.context.database.reading() as connection:
        assert connection.execute(select(idempotency)).all() and connection.execute(select(api_token)).all()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "do_work", fail)
    sweeper = Queue(later)
    sweeper._sweep()
    sweeper._sweep()  # doubled, it does no more
    assert shop.balance(alice)["payable"] == "10.00"
    with world.context.database.reading() as connection:
        assert connection.execute(select(delivery.c.body)).scalars().all() == [None]
        assert connection.execute(select(idempotency)).all() == []
    assert check_books(world.context).ok


def test_the_retention_erases_what_is_old_and_read_and_nothing_else(world: World, queue: Queue) -> None:
    shop = world.shop()
    shop.told(shop.order("old"))
    shop.told(shop.order("young"))
    shop.deliver(shop.order("unread"))
    kept = world.context.settings.keep_bodies_days * DAY
    with world.context.database.writing() as connection:
        rows = connection.execute(select(delivery)).mappings().all()
    # What came in is never changed, so the old ones are written as they came.
    with world.context.database.writing() as connection:
        for row in rows:
            aged = dict(row) | {"id": row["id"] + 100, "delivery_id": f"aged-{row['id']}"}
            aged["received_at"] -= kept + DAY if row["id"] != rows[1]["id"] else kept - DAY
            connection.execute(insert(delivery).values(aged))
        connection.execute(update(delivery).where(delivery.c.id == rows[2]["id"] + 100).values(state="stored"))
    module.erase_bodies(world.context)
    with world.context.database.reading() as connection:
        found = {row.id: row.body is None for row in connection.execute(select(delivery.c.id, delivery.c.body))}
    assert [number for number, erased in found.items() if erased] == [rows[0]["id"] + 100]


def test_the_queue_file_waits_for_no_disk(queue: Queue, settings: Settings) -> None:
    queue.ping()
    assert queue.huey.storage.sql("PRAGMA synchronous", results=True) == [(0,)]
    with sqlite3.connect(settings.queue_url.removeprefix("sqlite://")) as connection:
        assert connection.execute("SELECT count(*) FROM task").fetchone() is not None
    connection.close()
