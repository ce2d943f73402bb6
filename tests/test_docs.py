"""The documents are held against the code: every setting, command, error code, route and event is named in them."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import time_machine

from plugin import reports
from plugin.cli import main
from plugin.domain.event_types import EVENT_TYPES
from plugin.domain.facts import STATUSES
from plugin.domain.moment import format_moment
from plugin.domain.payout import CANCELLED, ENDS
from plugin.settings import table
from tests.receiver import Receiver
from tests.shops.fake_shopify import TOKEN, FakeShopify
from tests.world import Shop, World

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
EVENTS = (ROOT / "docs" / "events.md").read_text()
SOURCES = [path for folder in ("plugin", "webhooks", "admin_ui") for path in (ROOT / folder).rglob("*.py")]
_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
PAGES = ("/admin/", "/me/")


def named(word: str) -> bool:
    """Tell whether the reference names a word in code type."""
    return f"`{word}`" in REFERENCE


def error_codes() -> set[str]:
    """Return every code that the sources give to an error of ours, read from the calls that make them."""
    classes = {"PluginError"}
    trees = [ast.parse(path.read_text()) for path in SOURCES]
    for _ in range(3):  # children of children
        for node in (one for tree in trees for one in ast.walk(tree)):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) in classes for base in node.bases):
                classes.add(node.name)
    codes = set()
    for node in (one for tree in trees for one in ast.walk(tree)):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = ast.unparse(node.func)
        value = node.args[0].value
        is_ours = name in classes or name == "super().__init__"
        if is_ours and isinstance(value, str) and len(node.args) > 1 and _CODE.fullmatch(value):
            codes.add(value)
    return codes


def event_kinds() -> set[str]:
    """Return every kind of event that the sources emit under a constant name."""
    text = "\n".join(path.read_text() for path in SOURCES)
    tables = " ".join(re.findall(r"_EVENTS = \{([^}]*)\}", text))
    kinds = re.findall(r'(?:\.emit\(\s*|\btell\([^"]*?|_tell\([^"]*?)"([a-z]+\.[a-z_]+)"', text)
    return {*kinds, *re.findall(r'"([a-z]+\.[a-z_]+)"', tables)}


def test_settings_table_is_the_one_the_code_makes() -> None:
    assert table().strip() in REFERENCE


def test_every_error_code_is_explained() -> None:
    codes = error_codes()
    assert len(codes) > 20
    assert {code for code in codes if not named(code)} == set()


def test_every_command_is_named() -> None:
    def walk(command: click.Command, path: str) -> list[str]:
        if isinstance(command, click.Group):
            return [line for name, child in command.commands.items() for line in walk(child, f"{path} {name}")]
        return [path]

    assert [line for line in walk(main, "passalong") if f"`{line}" not in REFERENCE] == []


def test_every_option_stands_in_the_line_of_its_command() -> None:
    def walk(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from walk(child, f"{path} {name}")
        else:
            yield from ((path, name) for param in command.params for name in param.opts if name.startswith("--"))

    everywhere, lines = {"--json", "--debug"}, REFERENCE.splitlines()
    assert all(named(name) for name in everywhere)
    said = {(path, name) for path, name in walk(main, "passalong") if name not in everywhere}
    assert len(said) > 20
    assert {
        (path, name) for path, name in said if not any(f"| `{path}" in line and name in line for line in lines)
    } == set()


def test_every_event_is_named() -> None:
    kinds = event_kinds()
    assert "order.decided" in kinds
    assert {kind for kind in kinds if not named(kind)} == set()


def test_every_report_and_column_is_named() -> None:
    names = {report.name for report in reports.every()}
    names |= {column.name for report in reports.every() for column in report.columns}
    assert {name for name in names if not named(name)} == set()


def test_every_column_is_told_of_the_reports_that_have_it() -> None:
    has: dict[str, set[str]] = {}
    for report in reports.every():
        for column in report.columns:
            has.setdefault(column.name, set()).add(report.name)
    told: dict[str, set[str]] = {}
    for line in REFERENCE.split("| column | of | is |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]:
        columns, of = line.split("|")[1:3]
        whose = {report.name for report in reports.every()} if of.strip() == "all" else set(re.findall("`(.+?)`", of))
        for name in re.findall("`(.+?)`", columns):
            told.setdefault(name, set()).update(whose)
    assert told == has


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_route_is_named(world: World) -> None:
    routes = {re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"<\1>", rule.rule) for rule in world.app.url_map.iter_rules()}
    routes -= {route for route in routes if route.startswith(PAGES)}  # found by their links, not by their addresses
    assert {route for route in routes if f" {route}`" not in REFERENCE and not named(route)} == set()


# --- shops/other.md ---------------------------------------------------------------------------------------------------


def test_the_order_of_any_other_shop_is_understood_as_it_is_documented(world: World, address: str) -> None:
    text = (ROOT / "docs" / "shops" / "other.md").read_text()
    (order,) = re.findall(r"<!-- a test sends this order -->\n```json\n(.*?)```", text, re.DOTALL)
    (block,) = re.findall(r"<!-- a test runs this block -->\n```python\n(.*?)```", text, re.DOTALL)
    said = json.loads(order)
    assert {name for name in said if f"`{name}`" not in text} == set()
    shop = world.shop(currency="TWD")
    shop.plan({"commission": {"default": {"percent": "10"}}})
    shop.sharer("mei", codes=["MEI10"])
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - the documented lines are what is tried
    for _ in range(2):
        assert names["tell"](f"{address}/webhooks/{shop.key}", shop.secret, said) == 200
    world.work()
    found = world.call("GET", f"/orders/1001?shop={shop.key}", expect=200)
    assert (found["net"], found["refunded"], found["flags"]) == ("400.00", "420.00", [])
    assert found["commissions"][0]["amount"] == "40.00"


# --- events.md --------------------------------------------------------------------------------------------------------


def types_in_events_md() -> dict[str, set[str]]:
    """Return each event type of the table with the names of what its data holds."""
    told = {}
    for line in EVENTS.split("## The types", 1)[1].splitlines():
        kinds, _, data = line.removeprefix("| ").partition(" | ")
        for kind in re.findall(r"`([a-z]+\.[a-z_]+)`", kinds):
            told[kind] = set(re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", data)))  # in brackets stand values
    return told


def test_event_types_are_those_that_are_emitted() -> None:
    text = "\n".join(path.read_text() for path in SOURCES)
    assert set(re.findall(r'emit\(\s*f"([^"]+)"', text)) == {"sharer.{new.status}", "sharer.{status}", "payout.{state}"}
    made_up = {f"sharer.{status}" for status in STATUSES} | {f"payout.{state}" for state in ENDS - {CANCELLED}}
    assert event_kinds() | made_up == set(EVENT_TYPES) == set(types_in_events_md())


def test_every_event_holds_what_is_told_of_it(world: World) -> None:
    """One of each kind is made to happen."""
    shop = world.shop()
    shop.plan({"commission": {"default": {"percent": "10"}}, "hold_days": 0})
    alice, _ = shop.sharer("alice", codes=["A"]), shop.sharer("bob", status="pending")
    shop.link(alice)
    shop.told(shop.order("1", codes=["A"]))
    body = {"shop": shop.key, "sharer": alice, "reason": "asked"}
    world.call("POST", "/orders/1/attribution", body, expect=200)
    world.release()
    shop.step(shop.draft(), "cancel")
    failed = shop.step(shop.step(shop.draft(), "approve"), "submit")
    shop.mark(failed, failed["items"][0], "failed", reason="closed")
    paid = shop.pay()
    shop.mark(paid, paid["items"][0], "returned", reason="closed")
    world.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    _let_a_connected_shop_live(world)
    _let_a_code_leak(world)
    events = world.call("GET", "/events?limit=500", expect=200)["items"]
    told = types_in_events_md()
    assert {one["type"] for one in events} == set(told)
    for one in events:
        assert set(one["data"]) | {"shop"} == told[one["type"]] | {"shop"}, one


def _let_a_connected_shop_live(world: World) -> None:
    """Have a shop connected, run out of codes, lose a webhook and an order, ask for its buyers' privacy, and leave."""
    fake = FakeShopify(world.context.now)
    try:
        given = ("--credential", f"access_token={TOKEN}", "--secret", "secret-secret-secret")
        made = world.command("shop", "connect", "shopify", fake.url, *given)
        shop = Shop(world, made | {"webhook_secret": "secret-secret-secret"})
        shop.click(shop.link(shop.sharer("dan"), coupon={"percent": "10", "pool": 1}))  # before the first one is made
        fake.webhooks.popitem()
        fake.place("10.00")
        world.command("reconcile", "--shop", shop.key)
        for topic in ("customers/data_request", "customers/redact", "app/uninstalled", "shop/redact"):
            assert fake.send(shop, topic, {"id": 1, "customer": {"id": 7}}) == 200
            world.work()
    finally:
        fake.close()


def _let_a_code_leak(world: World) -> None:
    """Have many buy with a code whose sharer's links nobody follows."""
    shop, now = world.shop(), format_moment(world.context.now())
    shop.sharer("eve", codes=["EVE"])
    for number in range(10):
        shop.deliver(shop.order(str(number), codes=["EVE"], placed_at=now, updated_at=now))
    world.work()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_receiver_of_the_document_takes_what_is_sent_and_nothing_else(world: World, receiver: Receiver) -> None:
    secret = world.call("POST", "/endpoints", {"url": receiver.url}, expect=201)["secret"]
    shop = world.shop()
    world.work()
    remembered: dict[str, Any] = {}
    (block,) = re.findall(r"<!-- a test runs this block -->\n```python\n(.*?)```", EVENTS, re.DOTALL)
    names: dict[str, Any] = {"SECRET": secret, "remember": remembered.__setitem__, "__name__": "receiver"}
    exec(block, names)  # noqa: S102 - it is our own document
    client = names["app"].test_client()
    heard = receiver.heard[0]
    headers = {name: value for name, value in heard.headers.items() if name.startswith("webhook-")}
    with time_machine.travel(datetime.fromtimestamp(heard.at, UTC), tick=False):
        assert client.post("/passalong", data=heard.body, headers=headers).status_code == 204
        assert client.post("/passalong", data=heard.body + b" ", headers=headers).status_code == 401
    assert remembered == {heard.id: heard.said} and heard.said["data"]["shop"] == shop.key
