"""P3: from a stored delivery to balanced transfers, against one transaction an order by the bare driver."""

import json
import random
import shutil
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import psycopg
from machine import BENCH, Contestant, Goal, Postgres, Program, contest, say
from sqlalchemy import func, select
from world import World, env_of, fill_inbox, make_world, open_context

from plugin.models import transfer
from plugin.services.check_books import check_books

GOAL = 3.0
LATER = 4.0
REFERENCE_ORDERS = 1_000
_REFERENCE_TABLES = (
    "CREATE TABLE ord (id bigserial PRIMARY KEY, shop bigint NOT NULL, ref text NOT NULL, story text NOT NULL,"
    " now bytea NOT NULL, placed_at bigint NOT NULL, UNIQUE (shop, ref))",
    "CREATE TABLE decision (id bigserial PRIMARY KEY, ord bigint NOT NULL REFERENCES ord (id), body text NOT NULL)",
    "CREATE INDEX ON decision (ord)",
    "CREATE TABLE ledger (id bigserial PRIMARY KEY, ord bigint NOT NULL REFERENCES ord (id), account bigint NOT NULL,"
    " amount bigint NOT NULL, at bigint NOT NULL)",
    "CREATE INDEX ON ledger (account, at)",
)


class _Reference:
    """One connection, one transaction an order, five statements: a handler by hand, without its Python."""

    def __init__(self, postgres: Postgres) -> None:
        postgres.create("bench_reference")
        self._connection = psycopg.connect(postgres.dsn("bench_reference"))
        for statement in _REFERENCE_TABLES:
            self._connection.execute(statement)
        self._connection.commit()
        rng = random.Random(1)
        self._story = json.dumps({"first": [rng.randbytes(32).hex(), 0, rng.randbytes(16).hex()], "rest": "x" * 300})
        self._now = zlib.compress(rng.randbytes(600) + b"a line of an order " * 120, 1)
        self._body = json.dumps({"outcome": "credited", "evidence": ["x" * 250], "frozen": [1, None, True]})
        self._number = 0

    def run(self) -> dict[str, float]:
        connection, begin = self._connection, time.perf_counter()
        for _ in range(REFERENCE_ORDERS):
            self._number += 1
            ref, at = f"{4_500_000_000_000 + self._number}", 1_700_000_000_000_000 + self._number
            look = "SELECT id, story, now FROM ord WHERE shop = %s AND ref = %s FOR UPDATE"
            connection.execute(look, (1, ref)).fetchone()
            made = connection.execute(
                "INSERT INTO ord (shop, ref, story, now, placed_at) VALUES (%s, %s, %s, %s, %s) RETURNING id",
                (1, ref, self._story, self._now, at),
            ).fetchone()
            assert made is not None
            connection.execute("INSERT INTO decision (ord, body) VALUES (%s, %s)", (made[0], self._body))
            insert = "INSERT INTO ledger (ord, account, amount, at) VALUES (%s, %s, %s, %s)"
            connection.execute(insert, (made[0], 1, -1200, at))
            connection.execute(insert, (made[0], 2 + self._number % 200, 1200, at))
            connection.commit()
        return {"rate": REFERENCE_ORDERS / (time.perf_counter() - begin)}

    def close(self) -> None:
        self._connection.close()


class _Settling:
    """Drains a fresh copy of a filled inbox by a number of worker processes, and looks at what it did.

    Every time the transfers are counted; the whole check of the books, which takes longer, is made the first time.
    """

    def __init__(self, fresh: Callable[[], dict[str, str]], workers: int, orders: int, folder: Path) -> None:
        self._fresh, self._workers, self._orders, self._folder = fresh, workers, orders, folder
        self.is_honest, self._is_first = True, True

    def run(self) -> dict[str, float]:
        env = self._fresh()
        command = [sys.executable, str(BENCH / "worker.py")]
        programs = [
            Program(command, env=env, folder=self._folder, name=f"worker-{number}", talks=True)
            for number in range(self._workers)
        ]
        try:
            for one in programs:
                assert json.loads(one.read_line())["ready"]
            begin = time.perf_counter()
            for one in programs:
                one.say("go")
            told = [json.loads(one.read_line()) for one in programs]
            took = time.perf_counter() - begin
        finally:
            for one in programs:
                one.stop()
        self._check(env, sum(one["done"] for one in told))
        return {"rate": self._orders / took, "cpu_us": sum(one["cpu"] for one in told) / self._orders * 1e6}

    def _check(self, env: dict[str, str], done: int) -> None:
        context = open_context(env)
        try:
            problems = check_books(context).problems if self._is_first else []
            self._is_first = False
            with context.database.reading() as connection:
                written = connection.execute(select(func.count()).select_from(transfer)).scalar_one()
        finally:
            context.database.close()
        if problems or written != self._orders or done != self._orders:
            self.is_honest = False
            say(f"  NOT HONEST: {done} done, {written} transfers of {self._orders}, problems {problems[:2]}")


def measure(folder: Path, postgres: Postgres, *, rounds: int, orders: int) -> list[Goal]:
    """Measure and return the lines of the table."""
    say(f"P3 settling {orders} orders …")
    instance = folder / "settling"
    instance.mkdir()
    on_postgres, on_sqlite = _worlds(folder, postgres, instance, orders)

    def fresh_postgres() -> dict[str, str]:
        postgres.drop("bench_settle")
        postgres.create("bench_settle", template="bench_inbox")
        postgres.checkpoint()
        return env_of(postgres.url("bench_settle"), instance)

    def fresh_sqlite() -> dict[str, str]:
        for old in instance.glob("settle.db*"):
            old.unlink()
        shutil.copy(instance / "inbox.db", instance / "settle.db")
        return env_of(f"sqlite:///{instance}/settle.db", instance)

    reference = _Reference(postgres)
    runs = {
        f"{name}, {workers} worker{'s'[: workers - 1]}": _Settling(fresh, workers, orders, folder)
        for name, fresh in (("PostgreSQL", fresh_postgres), ("SQLite", fresh_sqlite))
        for workers in (1, 2)
    }
    bare = Contestant("bare driver", reference.run)
    contestants = [Contestant(name, one.run) for name, one in runs.items()]
    try:
        contest([bare, *contestants], rounds)
    finally:
        reference.close()
        postgres.drop("bench_settle")
    goals = []
    for one in contestants:
        ratio = one.ratio("rate", bare)
        measured = f"{one.median('rate'):,.0f} orders/s, {one.median('cpu_us'):.0f} µs of its CPU an order"
        honest = runs[one.name].is_honest
        goals.append(
            Goal(
                f"P3 settle, {one.name}: ≥ {GOAL} × one transaction an order (later {LATER})",
                measured + (f" (bare: {bare.median('rate'):,.0f})" if honest else " BUT THE BOOKS ARE WRONG"),
                f"{ratio:.2f} ×",
                ratio >= GOAL and honest,
            )
        )
    return goals


def _worlds(folder: Path, postgres: Postgres, instance: Path, orders: int) -> tuple[World, World]:
    """Make the inbox once for each database; the rounds work on copies."""
    postgres.create("bench_inbox")
    worlds = []
    for url in (postgres.url("bench_inbox"), f"sqlite:///{instance}/inbox.db"):
        world = make_world(env_of(url, instance), links=200)
        fill_inbox(world, orders)
        worlds.append(world)
    with psycopg.connect(postgres.dsn("bench_inbox"), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    assert worlds[0].shop_id == worlds[1].shop_id
    return worlds[0], worlds[1]
