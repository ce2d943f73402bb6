"""After the demo every page has something true to show, and a second run changes nothing of it."""

import re
from typing import Any

import pytest
from flask import url_for
from sqlalchemy import func, select

from plugin.models import click, event, link, note, orders, payout, payout_item, sharer, task, transfer
from plugin.services.kept_exports import ask_export
from plugin.services.public_id import ITEM, LINK, PAYOUT, SHARER, show
from plugin.services.run_tasks import PAUSES
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.office import plain
from tests.admin_ui.seat import sharer_browser
from tests.world import World

EMPTY = re.compile(r'<div class="empty">.*?</div>|<p class="pad muted">.*?</p>', re.DOTALL)
# What stays empty, and why.
SPARED = {
    "/admin/<shop>/endpoints": "events would be sent to an address that nobody reads",
}


def demo(world: World) -> str:
    """Run the demo where there is an owner, and all the work that it leaves; return the shop's key."""
    member(world)
    made: str = world.command("demo")["shop"]
    world.work()
    return made


pytestmark = pytest.mark.past(made_by=demo)


@pytest.fixture
def key(began: str) -> str:
    """Give the key of the demo's shop."""
    return began


def one_of(world: World, column: Any, *where: Any) -> Any:
    """Return a value of the first row of a table."""
    with world.context.database.reading() as connection:
        return connection.execute(select(column).where(*where).order_by(column).limit(1)).scalar_one()


def addresses(world: World, prefix: str, known: dict[str, Any]) -> dict[str, str]:
    """Return an address of every page of a kind that is only looked at, by its rule."""
    found = {}
    for rule in world.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.endpoint.startswith(f"{prefix}.") and rule.arguments <= known.keys():
            with world.app.test_request_context():
                found[rule.rule] = url_for(rule.endpoint, **{name: known[name] for name in rule.arguments})
    return found


def empties(browser: Browser, pages: dict[str, str]) -> dict[str, str]:
    """Return what pages say that have nothing to show."""
    found = {}
    for rule, path in pages.items():
        answer = browser.client.get(path, headers={"Accept-Language": "en"})
        assert answer.status_code in (200, 303), (path, answer.status_code)
        if answer.mimetype == "text/html" and answer.status_code == 200:
            said = [plain(one) for one in EMPTY.findall(answer.get_data(as_text=True))]
            if said:
                found[rule] = " / ".join(said)
        elif answer.status_code == 200:
            assert len(answer.data.splitlines()) > 1, path
    return found


def test_no_page_of_the_shop_is_empty_after_the_demo(world: World, key: str) -> None:
    alice = one_of(world, sharer.c.id)
    known = {
        "shop": key,
        "sharer": show(SHARER, alice),
        "order": one_of(world, orders.c.ref, orders.c.ref == "demo-1000"),
        "payout": show(PAYOUT, one_of(world, payout.c.id)),
        "item": show(ITEM, one_of(world, payout_item.c.id)),
        "delivery": "dlv_1",
    }
    pages = addresses(world, "owner", known)
    assert len(pages) > 25
    found = empties(member(world), pages)
    assert found.keys() == SPARED.keys(), found


def test_no_page_of_a_sharer_is_empty_after_the_demo(world: World, key: str) -> None:
    alice = one_of(world, sharer.c.id)
    known = {
        "shop": key,
        "order": one_of(world, transfer.c.order_id, transfer.c.sharer_id == alice),
        "item": show(ITEM, one_of(world, payout_item.c.id, payout_item.c.sharer_id == alice)),
        "link": show(LINK, one_of(world, link.c.id, link.c.sharer_id == alice)),
    }
    pages = {rule: path for rule, path in addresses(world, "sharer", known).items() if rule.startswith("/me/<shop>")}
    assert len(pages) > 7
    found = empties(sharer_browser(world, show(SHARER, alice)), pages)
    assert found == {}


def test_every_thing_to_do_waits_after_the_demo(world: World, key: str) -> None:
    browser = member(world)
    said = plain(browser.get(f"/admin/{key}/"))
    for sentence in (
        "1 delivery cannot be understood",
        "1 person wants to share",
        "1 order waits for your decision",
        "is ready for",
        "has something odd about it",
        "The code carol5 may stand on a coupon site",
    ):
        assert sentence in said, said
    assert "Suspended" in plain(browser.get(f"/admin/{key}/sharers"))
    assert "Frank" in plain(browser.get(f"/admin/{key}/sharers"))
    assert plain(browser.get(f"/admin/{key}/plan/versions")).count("Version") >= 4
    with world.context.database.reading() as connection:
        states = set(connection.execute(select(payout_item.c.state)).scalars())
        channels = connection.execute(
            select(func.count(func.distinct(link.c.channel))).join(click, click.c.link_id == link.c.id)
        ).scalar_one()
        months = connection.execute(select(func.min(transfer.c.written_at), func.max(transfer.c.written_at))).one()
    assert {"paid", "failed"} <= states and channels == 3
    assert months[1] - months[0] > 150 * 86_400 * 1_000_000  # booked when it happened
    world.books()


def test_a_second_run_finds_all_of_it_done(world: World, key: str) -> None:
    def counted() -> list[int]:
        with world.context.database.reading() as connection:
            tables = (click, event, link, note, orders, payout, payout_item, sharer, transfer)
            return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

    before = counted()
    assert before[3] == 1
    said = world.command("demo")
    assert (said["processed"], said["paid"]) == (0, 0)
    world.work()
    assert counted() == before
    assert world.call("GET", f"/shops/{key}/plan", expect=200)["version"] == 4


@pytest.mark.past(made_by=None)
def test_the_clock_is_set_back_for_the_demo_shop_alone(world: World) -> None:
    other = world.shop()
    other.plan()
    other.sharer("alice", codes=["A"])
    other.told(other.order("o1", codes=["A"], placed_at="2025-01-01T00:00:00Z", paid_at="2025-01-01T00:00:00Z"))
    began = world.context.now()
    world.command("demo")
    assert other.see("o1")["commissions"][0]["state"] == "pending"  # the worker's to release
    world.command("release")
    with world.context.database.reading() as connection:
        first = connection.execute(select(func.min(transfer.c.written_at)).where(transfer.c.shop_id == 1)).scalar_one()
    assert began - 60_000_000 < first
    world.books()


def test_nothing_that_the_demo_leaves_fails(world: World, key: str) -> None:
    ask_export(world.context, 1)
    world.work()
    with world.context.database.reading() as connection:
        rows = connection.execute(select(task)).all()
    assert [row for row in rows if row.state == "failed" or row.reason or row.attempts >= len(PAUSES)] == []
