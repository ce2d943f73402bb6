"""Case 62: floods of forged clicks. They cost no query, slow no order, and nobody earns or is counted by them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, select

from plugin.models import click, metadata
from plugin.signing import make_code, make_token
from tests.world import PLACED, Shop, World

FLOOD = 3_000
BROWSER = {"User-Agent": "Mozilla/5.0"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop that pays ten percent, at the time of its orders."""
    world.stop_clock(PLACED)
    shop = world.shop()
    shop.plan()
    return shop


@pytest.fixture
def alice(shop: Shop) -> str:
    """Give a sharer."""
    return shop.sharer("alice")


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Write down every statement that reaches the database."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    engine = world.context.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def rows(world: World) -> dict[str, int]:
    """Return how many rows each table has."""
    with world.context.database.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def forged(world: World, shop: Shop, code: str, chance: random.Random) -> str:
    """Return a code or token that is none: made up, altered, or taken for what it is not."""
    place = chance.randrange(len(code))
    match chance.randrange(5):
        case 0:
            return "".join(chance.choices(LETTERS, k=chance.choice((1, 10, 20, 21, 24, 64, 300))))
        case 1:
            return code[:place] + chance.choice([one for one in LETTERS if one != code[place]]) + code[place + 1 :]
        case 2:
            return code[: place or 1]
        case 3:
            return code[place:] + code[:place] if place else code[::-1]
        case _:
            return make_token(world.context.keys, 1, chance.randrange(2**32), world.context.now(), chance.randbytes(8))


def flush(world: World) -> None:
    """Have every click written that is still in memory."""
    world.app.extensions["passalong"].clicks.stop()


def test_fault_62_thousands_of_forged_clicks_never_touch_the_database(world: World, shop: Shop, alice: str) -> None:
    code, chance = shop.link(alice)["code"], random.Random(62)
    before = rows(world)
    with statements(world) as seen:
        for _ in range(FLOOD):
            bad = forged(world, shop, code, chance)
            way = chance.choice(("", "", "", "/qr.svg"))
            assert world.client.get(f"/s/{bad}{way}", headers=BROWSER).status_code == 404, bad
        flush(world)
    assert seen == [] and rows(world) == before
    assert world.client.get(f"/s/{code}", headers=BROWSER).status_code == 302


def worked(world: World, shop: Shop, **changes: Any) -> tuple[list[str], dict[str, int]]:
    """Have an order told and worked off; return the statements it took and how many rows came of it."""
    order = shop.order(**changes)
    shop.deliver(order)
    before = rows(world)
    with statements(world) as seen:
        world.work()
    shop.see(order["id"])
    return seen, {name: count - before[name] for name, count in rows(world).items() if count != before[name]}


def test_fault_62_an_order_costs_no_more_after_a_flood_and_nobody_earns_by_it(
    world: World, shop: Shop, alice: str
) -> None:
    """Neither after forged clicks nor after as many genuine ones on one link, which are counted and pay nothing."""
    link = shop.link(alice)
    token = shop.click(link)
    worked(world, shop, attributes={"_pa": token})  # the first of a shop opens its accounts
    usual = worked(world, shop, attributes={"_pa": token})
    earned, events = shop.balance(alice), world.call("GET", "/events?after=0&limit=500", expect=200)["items"]
    chance = random.Random(62)
    for number in range(FLOOD):
        bad = number % 2 == 0
        code = forged(world, shop, link["code"], chance) if bad else link["code"]
        assert world.client.get(f"/s/{code}", headers=BROWSER).status_code == (404 if bad else 302)
    flush(world)
    with world.context.database.reading() as connection:
        clicks = connection.execute(select(func.count()).select_from(click)).scalar_one()
        visitors = connection.execute(select(func.count(func.distinct(click.c.visitor)))).scalar_one()
    assert clicks == FLOOD // 2 + 1 and visitors <= 2
    assert shop.balance(alice) == earned
    assert world.call("GET", "/events?after=0&limit=500", expect=200)["items"] == events
    flooded = worked(world, shop, attributes={"_pa": token})
    assert (len(flooded[0]), flooded[1]) == (len(usual[0]), usual[1])
    assert not [one for one in flooded[0] if "pa_click" in one]
    assert shop.balance(alice)["earned"] == "30.00"
    world.books()


def test_fault_62_genuine_clicks_are_written_in_batches(world: World, shop: Shop, alice: str) -> None:
    """However many they are, they cost a few statements, and no request waits for one."""
    code = shop.link(alice)["code"]
    assert world.client.get(f"/s/{code}", headers=BROWSER).status_code == 302
    flush(world)
    with statements(world) as seen:
        for _ in range(FLOOD):
            world.client.get(f"/s/{code}", headers=BROWSER)
        flush(world)
    # Once a second the record is looked at for news, in two statements; the clicks themselves go in by the hundred.
    assert len(seen) < FLOOD / 10, len(seen)


def test_fault_62_an_order_that_carries_thousands_of_forged_tokens_costs_no_more(
    world: World, shop: Shop, alice: str
) -> None:
    code, keys, chance = shop.link(alice)["code"], world.context.keys, random.Random(62)
    one = [make_token(keys, 10_000, 1, world.context.now(), b"12345678")]
    many = [forged(world, shop, code, chance) for _ in range(FLOOD - 2)] + [make_code(keys, 10_000, 7)]
    worked(world, shop, attributes={"_pa": ",".join(one)})
    usual = worked(world, shop, attributes={"_pa": ",".join(one)})
    flooded = worked(world, shop, attributes={"_pa": ",".join(many)})
    assert len(flooded[0]) <= len(usual[0]) + 2 and flooded[1] == usual[1]
    assert shop.balance(alice)["earned"] == "0.00"
    world.books()
