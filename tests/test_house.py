"""The rules of the house, checked on the source: what may import what, a place for each thing, no float, one clock."""

import ast
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from plugin import rails, shops
from plugin.domain import rules

ROOT = Path(__file__).parent.parent
HOUSE = ("plugin", "webhooks", "admin_ui")
LINES_MAX = 70
# What tells the time of day. time.monotonic measures how long something took and may be read anywhere.
CLOCKS = frozenset(
    f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime")
) | frozenset(
    f"{owner}.{name}"
    for owner in ("datetime", "datetime.datetime", "date", "datetime.date")
    for name in ("now", "utcnow", "today")
)
ENVIRONMENT = frozenset({"os.environ", "os.getenv", "os.environb", "os.putenv"})


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file once."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def files(*folders: str) -> list[Path]:
    """Return the Python files of folders or files of the repository, all of them there."""
    found: list[Path] = []
    for folder in folders:
        path = ROOT / folder
        assert path.exists(), path
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path for path in found if "__pycache__" not in path.parts]


def show(path: Path, line: int) -> str:
    """Return where something stands, as an editor can open it."""
    return f"{path.relative_to(ROOT)}:{line}"


def module_of(path: Path) -> str:
    """Return the dotted name of a file, a package's own file named like the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (module, line) of all that a file imports, wherever in it; ``from a import b`` may mean the module a.b."""
    here = module_of(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, node.module] if node.module else base)
            for alias in node.names:
                deeper = ROOT.joinpath(*name.split("."), alias.name)
                is_module = deeper.with_suffix(".py").exists() or (deeper / "__init__.py").exists()
                yield (f"{name}.{alias.name}" if is_module else name), node.lineno


def is_under(module: str, *roots: str) -> bool:
    """Tell whether a module is one of the roots or lies below one."""
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` of an attribute, or nothing for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def uses(path: Path, names: frozenset[str]) -> list[str]:
    """Return where a file uses one of the dotted names, however it imported them."""
    known: dict[str, str] = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    found = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        head, point, rest = dotted(node).partition(".")
        if head in known and known[head] + point + rest in names:
            found.append(show(path, node.lineno))
    return found


# -- what may import what ----------------------------------------------------------------------------------------------


def test_the_domain_imports_nothing_but_itself_the_errors_and_the_standard_library() -> None:
    wrong = [
        f"{show(path, line)} imports {module}"
        for path in files("plugin/domain", "plugin/errors.py")
        for module, line in imports(path)
        if not is_under(module, "plugin.domain", "plugin.errors")
        and module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ["shops", "rails"])
def test_shops_and_rails_know_only_domain_errors_outbound_and_their_own_base(folder: str) -> None:
    own = (f"plugin.{folder}", f"plugin.{folder}.base")
    for path in files(f"plugin/{folder}"):
        for module, line in imports(path):
            if is_under(module, "plugin"):
                allowed = is_under(module, "plugin.domain", "plugin.errors", "plugin.outbound") or module in own
                assert allowed, f"{show(path, line)} imports {module}"
            else:
                assert module.split(".")[0] in sys.stdlib_module_names, f"{show(path, line)} imports {module}"


def test_below_the_rim_nobody_knows_flask() -> None:
    below = ["plugin/services", "plugin/models", "plugin/domain", "plugin/shops", "plugin/rails", "plugin/migrations"]
    below += ["plugin/clock.py", "plugin/database.py", "plugin/errors.py", "plugin/keys.py", "plugin/signing.py"]
    wrong = [
        f"{show(path, line)} imports {module}"
        for path in files(*below, "plugin/settings.py")
        for module, line in imports(path)
        if is_under(module, "flask", "flask_smorest", "flask_sqlalchemy", "werkzeug")
    ]
    assert not wrong


def test_plugin_never_imports_the_packages_it_includes_and_those_never_each_other() -> None:
    for package, foreign in (
        ("plugin", ("webhooks", "admin_ui")),
        ("webhooks", ("admin_ui",)),
        ("admin_ui", ("webhooks",)),
    ):
        wrong = [
            f"{show(path, line)} imports {module}"
            for path in files(package)
            for module, line in imports(path)
            if is_under(module, *foreign)
        ]
        assert not wrong


def test_services_stand_below_the_rim() -> None:
    rim = [f"plugin.{name}" for name in ("app", "extension", "cli", "api", "links", "storefront", "schemas")]
    wrong = [
        f"{show(path, line)} imports {module}"
        for path in files("plugin/services", "plugin/models")
        for module, line in imports(path)
        if is_under(module, *rim)
    ]
    assert not wrong


# -- one place for each thing ------------------------------------------------------------------------------------------


def test_only_the_clock_reads_the_time() -> None:
    for path in files(*HOUSE):
        if path != ROOT / "plugin" / "clock.py":
            assert not uses(path, CLOCKS), uses(path, CLOCKS)
    assert uses(ROOT / "plugin" / "clock.py", CLOCKS), "the check sees nothing where it must"


def test_only_the_settings_read_the_environment() -> None:
    for path in files(*HOUSE):
        if path != ROOT / "plugin" / "settings.py":
            assert not uses(path, ENVIRONMENT), uses(path, ENVIRONMENT)
    assert uses(ROOT / "plugin" / "settings.py", ENVIRONMENT), "the check sees nothing where it must"


def test_only_outbound_calls_out() -> None:
    clients = ("requests", "urllib3", "urllib.request", "http.client", "httpx", "aiohttp", "socket", "smtplib")
    allowed = {ROOT / "plugin" / "outbound.py", ROOT / "plugin" / "mail.py"}
    wrong = [
        f"{show(path, line)} imports {module}"
        for path in files(*HOUSE)
        if path not in allowed
        for module, line in imports(path)
        if is_under(module, *clients)
    ]
    assert not wrong


def test_no_float_comes_near_the_domain() -> None:
    for path in files("plugin/domain"):
        for node in ast.walk(tree(path)):
            is_float = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
            is_float = is_float or (isinstance(node, ast.Name) and node.id == "float")
            assert not is_float, show(path, getattr(node, "lineno", 0))


def registered(folder: str, name: str) -> list[Path]:
    """Return the files of a folder that register something, each of which must assign the name exactly once."""
    found = [path for path in files(folder) if path.name not in ("__init__.py", "base.py")]
    for path in found:
        targets = [
            target.id
            for node in tree(path).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        assert targets.count(name) == 1, f"{show(path, 1)} must assign {name} once"
    return found


def test_each_shop_and_each_rail_registers_one_name_and_it_is_the_file_s() -> None:
    assert [path.stem for path in registered("plugin/shops", "SHOP")] == shops.names()
    assert [path.stem for path in registered("plugin/rails", "RAIL")] == rails.names()
    for name in shops.names():
        assert shops.get(name).name == name
    for name in rails.names():
        assert rails.get(name).name == name


def test_each_commission_rule_registers_one_name_of_its_own() -> None:
    modules = [import_module(f"{rules.__name__}.{path.stem}") for path in registered("plugin/domain/rules", "RULE")]
    names = [module.RULE.name for module in modules]
    assert len(set(names)) == len(names) == 4


def test_every_shop_has_data_for_the_contract_suite_and_there_is_none_of_any_other() -> None:
    data = ROOT / "tests" / "shops" / "contract"
    assert sorted(path.stem for path in data.glob("*.json")) == shops.names(), f"see {data / 'README.md'}"


def test_no_code_but_its_own_file_knows_a_shop_by_name() -> None:
    """Else a new shop would have to be written into more than one file. The demo shop is a generic one."""
    own, demo = ROOT / "plugin" / "shops", ROOT / "plugin" / "services" / "seed_demo.py"
    for path in files(*HOUSE):
        if path.parent == own or path == demo:
            continue
        for node in ast.walk(tree(path)):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if text in shops.names() or text.startswith(("x-wc", "x-shopify", "shopify-")):
                raise AssertionError(f"{show(path, getattr(node, 'lineno', 0))} names the shop {text!r}")


# -- how code reads ----------------------------------------------------------------------------------------------------


def test_every_file_opens_with_what_it_is_for() -> None:
    for path in files(*HOUSE, "tests"):
        assert ast.get_docstring(tree(path)), f"{show(path, 1)} has no docstring"


def test_no_function_is_longer_than_a_screen() -> None:
    wrong = [
        f"{show(path, node.lineno)} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in files(*HOUSE)
        if path.parent.name != "versions"  # a migration is a list of what it makes
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LINES_MAX
    ]
    assert not wrong


# -- what is shipped ---------------------------------------------------------------------------------------------------


def test_every_file_that_is_no_code_is_shipped_with_its_package() -> None:
    """Templates, translations and fonts that are not named in setup.cfg would be missing in an installed copy."""
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    for package in HOUSE:
        patterns = settings["options.package_data"][package].split()
        shipped = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
        there = {path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert there <= shipped, sorted(str(path.relative_to(ROOT)) for path in there - shipped)
