"""The books' page: a check is asked for, goes on in the background, is kept, comes by itself at night, and warns."""

from datetime import datetime

import pytest
from sqlalchemy import select, text, update

from plugin.models import task
from plugin.services import long_tasks, run_tasks
from plugin.services.check_books import Report
from plugin.services.context import worker_name
from plugin.services.watch_books import KIND, WATCH, ask_check, show_check
from tests.admin_ui.office import Office, plain
from tests.world import Shop, World, guards_off


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop with something in its books."""
    world.stop_clock("2026-11-22T10:00:00Z")
    shop = world.shop(timezone="Asia/Taipei")
    shop.plan()
    shop.sharer("alice", codes=["A"])
    shop.told(shop.order("o1", codes=["A"]))
    return shop


def break_books(world: World) -> None:
    """Have somebody add to a transfer behind the books' back."""
    with guards_off(world) as connection:
        connection.execute(text("UPDATE pa_transfer SET amount = amount + 1"))


def test_a_check_is_asked_for_and_what_it_found_is_kept(world: World, shop: Shop) -> None:
    payer, path = Office(world, "payer"), f"/{shop.key}/books"
    assert "The books were not checked yet." in plain(payer.see(path))
    page = payer.follow(payer.send(path))
    assert "as soon as a worker is free" in plain(page) and "hx-get=" in page
    world.work()
    page = payer.see(path)
    assert "The books hold." in plain(page) and "hx-get=" not in page and "Transfers 1 " in plain(page)
    break_books(world)
    assert "The books hold." in plain(payer.see(path))
    payer.send(path)
    world.work()
    said = plain(payer.see(path))
    assert "No payout of this shop goes out" in said and "shop " + shop.key in said and "The books hold." not in said


def test_a_failed_check_is_the_first_thing_to_do_for_everybody(world: World, shop: Shop) -> None:
    break_books(world)
    viewer = Office(world, "viewer")
    ask_check(world.context, _number(world, shop))
    world.work()
    page = viewer.see(f"/{shop.key}/")
    assert "The books do not hold" in plain(page) and 'href="books"' in page
    assert "What it found" in plain(viewer.see(f"/{shop.key}/books"))
    assert "Check the books" not in plain(viewer.see(f"/{shop.key}/books"))
    viewer.send(f"/{shop.key}/books", expect=403)


def test_the_books_are_checked_every_night_of_the_shop(world: World, shop: Shop) -> None:
    clock = world.stop_clock("2026-11-22T18:58:00Z")  # 02:58 in Taipei
    number = _number(world, shop)
    world.work()
    assert show_check(world.context, number)[0] is None
    clock.add(3_600)
    world.work()
    last, next_one = show_check(world.context, number)
    assert last is not None and last.at == clock.at and not last.problems
    night = datetime.fromisoformat("2026-11-23T19:00:00+00:00").timestamp()
    assert night <= next_one.due_at / 1_000_000 < night + 3_600


def test_there_is_one_check_at_a_time_and_others_see_how_far_it_is(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_tasks, "TELL_EVERY_SECONDS", 0)
    number, seen = _number(world, shop), []
    told = long_tasks.keep

    def look(*args: object) -> None:
        told(*args)  # type: ignore[arg-type]
        ask_check(world.context, number)
        office = Office(world)
        seen.append(plain(office.see(f"/{shop.key}/books")))
        assert run_tasks.run_one(world.context, {KIND: WATCH}).done == 0

    monkeypatch.setattr(long_tasks, "keep", look)
    ask_check(world.context, number)
    world.work()
    assert seen and all("A check is under way:" in one for one in seen)
    with world.context.database.reading() as connection:
        row = connection.execute(select(task).where(task.c.shop_id == number, task.c.kind == KIND)).one()
    assert row.wanted == 2 and row.lease_by is None  # the one for every night and the one that was asked for


def test_a_part_of_the_page_answers_only_when_there_is_news(world: World, shop: Shop) -> None:
    owner, path = Office(world), f"/{shop.key}/books"
    page = owner.follow(owner.send(path))
    seen = page.split("progress?seen=")[1].split('"')[0]
    ask = {"HX-Request": "true"}
    assert owner.browser.client.get(f"/admin{path}/progress?seen={seen}", headers=ask).status_code == 204
    world.work()
    part = owner.browser.client.get(f"/admin{path}/progress?seen={seen}", headers=ask).get_data(as_text=True)
    assert "The books hold." in plain(part) and "<html" not in part
    assert owner.browser.client.get(f"/admin{path}/progress").status_code == 303


def test_whoever_was_overtaken_stops_and_writes_nothing(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_tasks, "TELL_EVERY_SECONDS", 0)
    number = _number(world, shop)
    mine, told = (task.c.shop_id == number, task.c.kind == KIND), []

    def overtake(context: object, one: object, result: object) -> None:
        told.append(result)
        with world.context.database.writing() as connection:
            connection.execute(update(task).where(*mine).values(lease_by=f"other {worker_name()}"))
        run_tasks.keep(context, one, result)  # type: ignore[arg-type]

    monkeypatch.setattr(long_tasks, "keep", overtake)
    ask_check(world.context, number)
    world.work()
    with world.context.database.reading() as connection:
        row = connection.execute(select(task).where(*mine)).one()
    assert row.result is None and row.lease_by.startswith("other") and row.reason is None
    assert len(told) == 1


def test_a_check_that_breaks_is_told_and_tried_again(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Report:
        raise ValueError

    monkeypatch.setattr("plugin.services.watch_books.check_shop", broken)
    owner, path = Office(world), f"/{shop.key}/books"
    owner.send(path)
    world.work()
    assert "The last one could not be finished: It failed: ValueError." in plain(owner.see(path))
    monkeypatch.undo()
    owner.send(path)
    world.work()
    assert "The books hold." in plain(owner.see(path))


def _number(world: World, shop: Shop) -> int:
    with world.context.database.reading() as connection:
        found: int = connection.execute(text("SELECT id FROM pa_shop WHERE key = :key"), {"key": shop.key}).scalar_one()
    return found
