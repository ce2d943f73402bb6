"""P6: what an owner's and a sharer's page read, in an installation of many orders against one of a hundredth of them.

Both hold the same year and the same sharers, so in the large one every day, every sharer and every list is a hundred
times as long. The requests go through the whole app in this process, without a network, large and small in turns.
"""

import io
import json
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from filling import DAY, DAYS, SELLING, Calendar, copy_orders, same_rows, settle_orders
from machine import CannotMeasure, Contestant, Goal, Postgres, say
from sqlalchemy import func, select
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder
from world import SHARERS, World, env_of, make_world

from plugin import models
from plugin.app import create_app
from plugin.domain.moment import SECOND
from plugin.services.manage_access import add_token
from plugin.settings import load

GOAL = 1.3
METRICS_TOKEN = "a-token-of-the-benchmark"
TRIED = 60  # orders that are asked for in turns
PROVED, PROVED_TIMES = 40, 3  # orders, and times as many, of the proof that copies are what the worker writes
READ = 20  # copies that are read and held against their originals
SCALES = {False: (10_000, 100), True: (2_000, 25)}  # quick or not: orders of the small one, times as many
REQUESTS = {False: 80, True: 40}  # of each page in a round


@dataclass(frozen=True, slots=True)
class Shown:
    """What the addresses of one installation's pages are made from."""

    shop: str
    sharers: tuple[str, ...]
    refs: tuple[str, ...]
    middle: str  # the cursor of a page of orders in the middle of the year
    last_event: int


# The pages: a name, and the addresses that are asked for in turns. One that has no route yet is left out, and said.
PAGES: dict[str, Callable[[Shown], Iterable[str]]] = {
    "a sharer": lambda at: (f"/api/v1/sharers/{one}" for one in at.sharers),
    "a sharer's balances": lambda at: (f"/api/v1/sharers/{one}/balances" for one in at.sharers),
    "a sharer's newest 50 transfers": lambda at: (f"/api/v1/sharers/{one}/transfers" for one in at.sharers),
    "the shop's newest 50 orders": lambda at: [f"/api/v1/orders?shop={at.shop}"],
    "50 orders of half a year ago": lambda at: [f"/api/v1/orders?shop={at.shop}&cursor={at.middle}"],
    "an order": lambda at: (f"/api/v1/orders/{one}?shop={at.shop}" for one in at.refs),
    "its receipt": lambda at: (f"/api/v1/orders/{one}/receipt?shop={at.shop}" for one in at.refs),
    "the shop's newest 50 sharers": lambda at: [f"/api/v1/sharers?shop={at.shop}"],
    "the last 50 events": lambda at: [f"/api/v1/events?after={at.last_event - 50}"],
    "report: 50 days of the shop": lambda at: [f"/api/v1/reports/shop-days?shop={at.shop}"],
    "report: 50 sharers": lambda at: [f"/api/v1/reports/sharers?shop={at.shop}"],
    "report: 50 months of sharers": lambda at: [f"/api/v1/reports/sharer-months?shop={at.shop}"],
    "the numbers for Prometheus": lambda at: ["/metrics"],
}


class Installation:
    """One installation, its app in this process, and the requests of its pages, ready to be made."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._app = create_app(load(world.env | {"PASSALONG_METRICS_TOKEN": METRICS_TOKEN}))
        self._context = self._app.extensions["passalong"].context
        self._token = add_token(self._context, "bench", scope="read", shop_key=None)["token"]
        self.shown = self._look()

    def _look(self) -> Shown:
        rng = random.Random(17)
        orders, event_head = models.orders.c, models.event_head.c
        with self._context.database.reading() as connection:
            first, last, least, most = connection.execute(
                select(func.min(orders.id), func.max(orders.id), func.min(orders.placed_at), func.max(orders.placed_at))
            ).one()
            wanted = select(orders.ref).where(orders.id.in_(rng.sample(range(first, last + 1), TRIED)))
            refs = tuple(connection.execute(wanted).scalars())
            seq = connection.execute(select(event_head.seq)).scalar_one()
        sharers = tuple(f"shr_{number}" for number in rng.sample(range(1, SELLING + 1), SELLING))
        return Shown(self.world.shop_key, sharers, refs, f"{(least + most) // 2}.{last}", seq)

    def has(self, page: str) -> bool:
        """Tell whether there is a route to a page."""
        path = next(iter(PAGES[page](self.shown))).partition("?")[0]
        try:
            self._app.url_map.bind("127.0.0.1").match(path)
        except HTTPException:
            return False
        return True

    def requests(self, page: str) -> list[dict[str, Any]]:
        """Return the requests of a page as WSGI has them."""
        return [self.request(path) for path in PAGES[page](self.shown)]

    def request(self, path: str) -> dict[str, Any]:
        """Return a request as WSGI has it."""
        token = METRICS_TOKEN if path == "/metrics" else self._token
        return EnvironBuilder(path=path, headers={"Authorization": f"Bearer {token}"}).get_environ()

    def read(self, path: str) -> Any:
        """Return what the API says at an address."""
        return json.loads(self.answer(self.request(f"/api/v1{path}"))[1])

    def answer(self, request: Mapping[str, Any]) -> tuple[float, bytes]:
        """Make a request; return the seconds it took and the body. Raise CannotMeasure where it is refused."""
        told: list[str] = []
        environ = {**request, "wsgi.input": io.BytesIO()}
        begin = time.perf_counter()
        answer = self._app(environ, lambda status, headers, error=None: told.append(status))
        body = b"".join(answer)
        took = time.perf_counter() - begin
        if not told[0].startswith("200"):
            raise CannotMeasure(f"{request['PATH_INFO']} was answered by {told[0]}: {body[:200].decode()}")
        return took, body

    def differences(self, derive: Callable[..., Any]) -> list[str]:
        """Return what rollups do not say as the raw rows do."""
        with self._context.database.reading() as connection:
            row = connection.execute(select(models.shop).where(models.shop.c.id == self.world.shop_id)).one()
            with derive(connection, row) as found:
                return [sentence for one in found for sentence in one.sentences()]

    def close(self) -> None:
        """Close what is open."""
        self._app.extensions["passalong"].close()


def measure(folder: Path, postgres: Postgres, *, rounds: int, quick: bool) -> list[Goal]:
    """Measure and return the lines of the table."""
    count, times = SCALES[quick]
    say(f"P6 pages: {count:,} and {count * times:,} orders …")
    instance = folder / "pages"
    instance.mkdir()
    begin = int(time.time()) * SECOND // DAY * DAY - DAYS * DAY
    goals = [_proof(instance, postgres, Calendar(begin, PROVED, PROVED_TIMES))]
    calendar, timed, honest = Calendar(begin, count, times), {}, []
    for kind, make in (("SQLite", _on_sqlite), ("PostgreSQL", _on_postgres)):
        small, large = (Installation(world) for world in make(instance, postgres, calendar))
        try:
            honest += [f"{kind}: {sentence}" for sentence in _read_by_hand(small, large, calendar)]
            goals.append(_rollups(kind, small, large))
            timed[kind] = _time(small, large, rounds=rounds, requests=REQUESTS[quick])
        finally:
            for one in (small, large):
                one.close()
    measured = honest[0] if honest else f"{READ} copies and {SELLING} sharers on each database"
    name = "P6 honesty: copies read like their originals, balances are so many times as large"
    goals.append(Goal(name, measured, "", not honest))
    postgres.drop("bench_small")
    postgres.drop("bench_large")
    return [*_page_goals(timed, count, times), *goals]


# -- the installations -------------------------------------------------------------------------------------------------


def _filled(url: str, instance: Path, calendar: Calendar) -> World:
    world = make_world(env_of(url, instance), links=SHARERS)
    settle_orders(world, calendar)
    return world


def _copied(world: World, url: str, instance: Path, calendar: Calendar) -> World:
    """Fill a copy of an installation's database."""
    large = replace(world, env=env_of(url, instance))
    begin = time.monotonic()
    copy_orders(large, calendar)
    say(f"  {calendar.count * (calendar.times - 1):,} orders copied in {time.monotonic() - begin:.0f} s")
    return large


def _on_sqlite(instance: Path, _postgres: Postgres, calendar: Calendar) -> tuple[World, World]:
    small = _filled(f"sqlite:///{instance}/small.db", instance, calendar)
    shutil.copy(instance / "small.db", instance / "large.db")
    return small, _copied(small, f"sqlite:///{instance}/large.db", instance, calendar)


def _on_postgres(instance: Path, postgres: Postgres, calendar: Calendar) -> tuple[World, World]:
    postgres.create("bench_small")
    small = _filled(postgres.url("bench_small"), instance, calendar)
    postgres.create("bench_large", template="bench_small")
    with psycopg.connect(postgres.dsn("bench_small"), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    large = _copied(small, postgres.url("bench_large"), instance, calendar)
    postgres.checkpoint()
    return small, large


# -- honesty -----------------------------------------------------------------------------------------------------------


def _proof(instance: Path, postgres: Postgres, calendar: Calendar) -> Goal:
    """Hold a small installation with copies against one in which the worker settled the same orders."""
    truth = make_world(env_of(f"sqlite:///{instance}/truth.db", instance), links=SHARERS)
    settle_orders(truth, calendar, range(calendar.times))
    postgres.create("bench_copies")
    found = []
    for url in (f"sqlite:///{instance}/copies.db", postgres.url("bench_copies")):
        world = _filled(url, instance, calendar)
        copy_orders(world, calendar)
        found += same_rows(truth, world)
    postgres.drop("bench_copies")
    measured = found[0] if found else f"{calendar.count * calendar.times} orders, all their rows, both databases"
    return Goal("P6 honesty: what is copied is what the worker writes", measured, "", not found)


def _read_by_hand(small: Installation, large: Installation, calendar: Calendar) -> Iterable[str]:
    """Say what copies tell otherwise than their originals, and which balances are not so many times as large."""
    rng = random.Random(23)
    for _ in range(READ):
        number, copy = rng.randrange(calendar.count), rng.randrange(1, calendar.times)
        for path in ("/orders/{}?shop={}", "/orders/{}/receipt?shop={}"):
            seen = [
                _timeless(large.read(path.format(calendar.ref(number, one), large.world.shop_key))) for one in (0, copy)
            ]
            if seen[0] != seen[1]:
                yield f"{path.format(calendar.ref(number, copy), '…')} is not like its original"
    for sharer in large.shown.sharers:
        few, many = (one.read(f"/sharers/{sharer}/balances")["balances"] for one in (small, large))
        wanted = [{name: _times(value, calendar.times) for name, value in balance.items()} for balance in few]
        if many != wanted:
            yield f"{sharer} has {many} and not {wanted}"


def _timeless(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in ("placed_at", "release_at")}


def _times(value: str, times: int) -> str:
    return str(Decimal(value) * times) if "." in value else value


def _rollups(kind: str, *installations: Installation) -> Goal:
    """Derive all rollups anew from orders, transfers and clicks."""
    name = f"P6 rollups equal the raw rows, {kind}"
    if find_spec("plugin.services.rollups") is None:
        return Goal(name, "there are no rollups yet", "", None)
    differences = import_module("plugin.services.rollups").differences
    wrong = [sentence for one in installations for sentence in one.differences(differences)]
    return Goal(name, wrong[0] if wrong else "to the cent, in both installations", "", not wrong)


# -- time --------------------------------------------------------------------------------------------------------------


def _time(small: Installation, large: Installation, *, rounds: int, requests: int) -> dict[str, list[Contestant]]:
    """Return the small and the large installation with the medians of each round, in milliseconds, by page."""
    timed = {}
    for page in (page for page in PAGES if small.has(page)):
        both = [Contestant(name, dict) for name in ("small", "large")]
        asked = [one.requests(page) for one in (small, large)]
        _round((small, large), asked, requests // 2)  # what is asked for once is asked for again, so caches are warm
        for _ in range(rounds):
            for one, took in zip(both, _round((small, large), asked, requests), strict=True):
                one.rounds.append({"ms": statistics.median(took) * 1e3})
        timed[page] = both
    return timed


def _round(
    installations: Sequence[Installation], asked: Sequence[Sequence[Mapping[str, Any]]], requests: int
) -> list[list[float]]:
    """Make the requests of a page in turns, A B, B A, A B; return the seconds of each installation's."""
    took: list[list[float]] = [[], []]
    for number in range(requests):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            request = asked[which][number % len(asked[which])]
            took[which].append(installations[which].answer(request)[0])
    return took


def _page_goals(timed: Mapping[str, Mapping[str, Sequence[Contestant]]], count: int, times: int) -> list[Goal]:
    goals = []
    for page in PAGES:
        name = f"P6 {page}: at {count * times:,} orders ≤ {GOAL} × at {count:,}"
        found = {kind: pages[page] for kind, pages in timed.items() if page in pages}
        if not found:
            goals.append(Goal(name, "there is no such route yet"))
            continue
        ratios = [large.ratio("ms", small) for small, large in found.values()]
        measured = [
            f"{kind} {large.median('ms'):.2f} ms ({small.median('ms'):.2f})" for kind, (small, large) in found.items()
        ]
        shown = " / ".join(f"{ratio:.2f}" for ratio in ratios)
        goals.append(Goal(name, ", ".join(measured), shown, max(ratios) <= GOAL))
    return goals
