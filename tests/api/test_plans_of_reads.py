"""What pages read is found by an index, however much there is: looked up in the database's own plan, not timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from plugin.services.manage_access import add_token
from tests.world import Shop, World

PAGES = (
    "/sharers/{sharer}",
    "/sharers/{sharer}/balances",
    "/sharers/{sharer}/transfers",
    "/orders?shop={shop}",
    "/orders?shop={shop}&limit=2&cursor={cursor}",
    "/orders?shop={shop}&sharer={sharer}&limit=2&cursor={cursor}",
    "/orders/7?shop={shop}",
    "/orders/7/receipt?shop={shop}",
    "/events?after=3",
)
SMALL = ("pa_shop", "pa_plan")  # as many rows as there are shops and versions of a plan, whatever is sold


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop with a sharer and eight orders, a day apart, two of them at the same time."""
    shop = world.shop()
    shop.plan()
    shop.sharer("alice", codes=["A"])
    for number in range(1, 9):
        moment = f"2026-01-{max(number, 2):02d}T10:00:00Z"
        shop.deliver(shop.order(str(number), codes=["A"], placed_at=moment, updated_at=moment, paid_at=moment))
    world.work()
    return shop


@contextmanager
def statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Give the SELECTs that are executed in the block, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().startswith("SELECT"):
            seen.append((statement, values))

    event.listen(engine, "after_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "after_cursor_execute", note)


def plan_of(world: World, statement: str, values: Any) -> list[str]:
    """Return the lines of the database's plan; PostgreSQL reads a whole table or sorts only where it must."""
    database = world.context.database
    with database.reading() as connection:
        if database.is_sqlite:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", values).all()
    return [str(row[-1]) for row in rows]


def reads_a_whole_table(line: str) -> bool:
    """Tell whether a line of a plan goes through all rows of a table that grows."""
    words = line.split()
    table = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in ("SCAN", "on")), "")
    is_whole = line.startswith("SCAN") or "Seq Scan" in line
    return is_whole and table.startswith("pa_") and table not in SMALL


@pytest.mark.parametrize("page", PAGES)
def test_a_page_goes_through_no_table(world: World, shop: Shop, page: str) -> None:
    path = page.format(sharer="shr_1", shop=shop.key, cursor=cursor(world, shop))
    with statements(world.context.database.engine) as seen:
        world.call("GET", path, expect=200)
    assert seen
    for statement, values in list(seen):
        plan = plan_of(world, statement, values)
        assert not [line for line in plan if reads_a_whole_table(line)], (statement, plan)


def crowd(world: World) -> None:
    """Fill the tables with another shop's sharers and events, among which nobody shall look for this shop's."""
    world.shop()
    person = "INSERT INTO pa_person (email_hash, created_at) VALUES (:hash, 0)"
    sharer = (
        "INSERT INTO pa_sharer (shop_id, person_id, email_hash, created_at, position, mac)"
        " SELECT 2, id, email_hash, 0, 1, :mac FROM pa_person WHERE email_hash = :hash"
    )
    event_row = "INSERT INTO pa_event (seq, at, shop_id, type, data) VALUES (:seq, 0, 2, 'plan.changed', '{}')"
    with world.context.database.writing() as connection:
        for number in range(2_000):
            values = {"hash": f"crowd-{number}", "mac": b"m" * 16, "seq": 1_000 + number}
            for statement in (person, sharer, event_row):
                connection.execute(text(statement), values)
        connection.exec_driver_sql("ANALYZE")


@pytest.mark.parametrize(
    ("page", "table"),
    [("/sharers?shop={shop}", "pa_sharer"), ("/sharers?shop={shop}&cursor=3", "pa_sharer"), ("/events", "pa_event")],
)
def test_a_list_of_one_shop_is_read_in_its_order_past_no_other_shops(
    world: World, shop: Shop, page: str, table: str
) -> None:
    crowd(world)
    if table == "pa_event":
        world.token = add_token(world.context, "one shop", scope="read", shop_key=shop.key)["token"]
    with statements(world.context.database.engine) as seen:
        found = world.call("GET", page.format(shop=shop.key), expect=200)["items"]
    assert found and {one["shop"] for one in found} == {shop.key}
    (listing,) = (one for one in seen if f"ORDER BY {table}" in one[0] and f"FROM {table}" in one[0])
    plan = plan_of(world, *listing)
    assert [line for line in plan if ("SEARCH" in line or "Index Cond" in line) and "shop_id" in line], plan
    assert not [line for line in plan if "TEMP B-TREE" in line or "Sort" in line], plan


def cursor(world: World, shop: Shop) -> str:
    """Return the cursor after the first three orders."""
    found: str = world.call("GET", f"/orders?shop={shop.key}&limit=3", expect=200)["next"]
    return found


def test_a_page_of_orders_begins_at_its_cursor_and_not_at_the_newest(world: World, shop: Shop) -> None:
    path = f"/orders?shop={shop.key}&limit=2&cursor={cursor(world, shop)}"
    with statements(world.context.database.engine) as seen:
        world.call("GET", path, expect=200)
    (listing,) = (one for one in seen if "ORDER BY pa_order.placed_at" in one[0])
    plan = "\n".join(plan_of(world, *listing))
    wanted = "placed_at<?" if world.context.database.is_sqlite else "(placed_at <="
    assert wanted in next(line for line in plan.splitlines() if "SEARCH pa_order" in line or "Index Cond" in line), plan


def test_pages_of_orders_miss_none_and_repeat_none_where_several_were_placed_at_once(world: World, shop: Shop) -> None:
    refs, following = [], ""
    while following is not None:
        page = world.call("GET", f"/orders?shop={shop.key}&limit=1{following and f'&cursor={following}'}", expect=200)
        refs += [one["id"] for one in page["items"]]
        following = page["next"]
    assert sorted(refs) == [str(number) for number in range(1, 9)]
    assert refs[:6] == ["8", "7", "6", "5", "4", "3"]
