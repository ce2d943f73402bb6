"""Rollups while everything happens at once, and after a death at each of their statements: equal to the raw rows."""

import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from sqlalchemy import event

from plugin.domain.moment import parse_moment
from plugin.services.process_inbox import drain
from plugin.services.rebuild_rollups import rebuild_rollups
from plugin.services.record_clicks import ClickRecorder
from plugin.services.release_holds import release_holds
from tests.rollup_truth import Truth
from tests.world import Shop, World

LATER = parse_moment("2035-01-01T00:00:00Z")
ORDERS, ROUNDS = 80, 3


class Killed(BaseException):
    """The end of a process; nobody catches it."""


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop with three sharers who earn, and its clicks written by hand."""
    shop = world.shop(timezone="Asia/Taipei")
    shop.plan({"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}})
    uma = shop.sharer("uma", codes=["UMA"])
    for name in ("sam", "tom"):
        shop.sharer(name, codes=[name], referred_by=uma)
    return shop


def bring(shop: Shop, first: int, count: int, **changes: Any) -> None:
    """Bring orders to the door and leave them in the inbox."""
    for number in range(first, first + count):
        moment = f"2026-{10 + number % 2}-{1 + number % 28:02}T{number % 24:02}:30:00Z"
        code = ("UMA", "sam", "tom", "nobody")[number % 4]
        order = shop.order(f"o{number}", codes=[code], placed_at=moment, paid_at=moment, updated_at=moment)
        shop.deliver(order | changes)


def together(*works: Callable[[], None]) -> None:
    """Run all at once; raise what any of them raised."""
    gate, errors = threading.Barrier(len(works)), []

    def run(work: Callable[[], None]) -> None:
        gate.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if errors:
        raise errors[0]


@pytest.mark.timeout(300)
def test_workers_clicks_releases_payouts_and_rebuilds_at_once_come_to_the_raw_rows(world: World, shop: Shop) -> None:
    context, luck = world.context, Random(7)  # noqa: S311 - which sharer's link is clicked
    links = [shop.link(f"shr_{number}") for number in (1, 2, 3)]
    recorders = [ClickRecorder(context) for _ in range(2)]
    refund = {"id": "r1", "amount": "30.00", "lines": [{"line_id": "l1", "quantity": 0, "amount": "30.00"}]}

    def click(recorder: ClickRecorder) -> None:
        for number in range(30):
            for _ in range(10):
                recorder.add(
                    shop_id=1, link_id=1 + number % 3, sharer_id=1 + number % 3, click=luck.randbytes(8),
                    at=context.now(), address="a", user_agent="b",
                )  # fmt: skip
            recorder.stop()

    def pay() -> None:
        for _ in range(3):
            shop.pay()

    def release() -> None:
        for _ in range(6):
            release_holds(context, now=LATER)

    def rebuild() -> None:
        for _ in range(6):
            assert rebuild_rollups(context)["mended"] == 0

    assert [link["id"] for link in links] == ["lnk_1", "lnk_2", "lnk_3"]
    for round_ in range(ROUNDS):
        bring(shop, round_ * ORDERS, ORDERS)
        if round_:  # what was released and paid in the round before is refunded in this one
            bring(shop, (round_ - 1) * ORDERS, ORDERS, updated_at="2026-12-01T00:00:00Z", refunds=[refund])
        together(
            lambda: void(drain(context)),
            lambda: void(drain(context)),
            *(lambda one=one: click(one) for one in recorders),  # type: ignore[misc]
            release,
            pay,
            rebuild,
        )
    world.work()
    Truth(shop, "Asia/Taipei").compare()
    world.books()


def void(_value: object) -> None:
    """Take a value and give none."""


def kill_at(world: World, words: str) -> Callable[[], None]:
    """Let whoever says these words to the database die there; return how to stop that."""

    def look(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(words):
            raise Killed

    engine = world.context.database.engine
    event.listen(engine, "before_cursor_execute", look)
    return lambda: event.remove(engine, "before_cursor_execute", look)


@pytest.mark.parametrize("words", [
    "INSERT INTO pa_shop_day", "INSERT INTO pa_sharer_total", "INSERT INTO pa_sharer_month", "INSERT INTO pa_chain",
    "UPDATE pa_head",
])  # fmt: skip
def test_a_worker_that_dies_at_a_rollup_has_booked_nothing(world: World, shop: Shop, words: str) -> None:
    clock = world.stop_clock("2026-12-01T00:00:00Z")
    bring(shop, 0, 8)
    live = kill_at(world, words)
    with pytest.raises(Killed):
        world.work()
    live()
    Truth(shop, "Asia/Taipei").compare()
    world.books()
    clock.add(60)
    assert world.work().done == 8
    Truth(shop, "Asia/Taipei").compare()
    world.books()


@pytest.mark.parametrize("words", [
    "INSERT INTO pa_click_day", "INSERT INTO pa_click_month", "INSERT INTO pa_click_link",
    "INSERT INTO pa_click_channel",
])  # fmt: skip
def test_clicks_and_their_counts_are_written_together_or_not_at_all(world: World, shop: Shop, words: str) -> None:
    recorder = world.app.extensions["passalong"].clicks
    recorder.stop()
    link = shop.link("shr_2")
    for _ in range(5):
        shop.click(link)
    live = kill_at(world, words)
    with pytest.raises(Killed):
        recorder.stop()
    live()
    Truth(shop, "Asia/Taipei").compare()
    shop.click(link)
    recorder.stop()
    Truth(shop, "Asia/Taipei").compare()
    world.books()


@pytest.mark.parametrize("words", ["INSERT INTO pa_shop_day", "INSERT INTO pa_sharer_month", "UPDATE pa_head"])
def test_a_rebuild_that_dies_is_done_by_the_next(
    world: World, shop: Shop, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(shop, 0, 20)
    world.work()
    with world.context.database.writing() as connection:
        for table in ("pa_shop_day", "pa_sharer_total", "pa_sharer_month"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
    monkeypatch.setattr("plugin.services.rebuild_rollups.BATCH", 3)
    live = kill_at(world, words)
    with pytest.raises(Killed):
        rebuild_rollups(world.context)
    live()
    assert rebuild_rollups(world.context)["mended"] > 0
    Truth(shop, "Asia/Taipei").compare()
    world.books()
