"""The documents are held against the code: every setting, command, error code, route and event is named in them."""

import ast
import re
from pathlib import Path

import click
import pytest

from plugin.cli import main
from plugin.settings import table
from tests.world import World

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
SOURCES = [path for folder in ("plugin", "webhooks", "admin_ui") for path in (ROOT / folder).rglob("*.py")]
_CODE = re.compile(r"[a-z]+(_[a-z]+)*")


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


def test_every_event_is_named() -> None:
    kinds = event_kinds()
    assert "order.decided" in kinds
    assert {kind for kind in kinds if not named(kind)} == set()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_route_is_named(world: World) -> None:
    routes = {re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"<\1>", rule.rule) for rule in world.app.url_map.iter_rules()}
    assert {route for route in routes if f" {route}`" not in REFERENCE and not named(route)} == set()
