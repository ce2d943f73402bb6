"""P2: taking in signed deliveries of 20 KB, each stored for good before the answer.

Against checking the signature alone on the same server, and against the database's own rate for the same bodies.
"""

import threading
import time
from pathlib import Path

import psycopg
from machine import (
    CONNECTIONS,
    DEALS_MAX,
    CannotMeasure,
    Contestant,
    Goal,
    Postgres,
    Server,
    contest,
    fair_load,
    granian,
    gunicorn,
    load,
    say,
    server_line,
    waitress,
)
from world import env_of, hook_work, make_world

GOAL_HMAC, LATER_HMAC, LATER_DATABASE, GOAL_RATE, GOAL_P99_MS = 0.35, 0.38, 0.35, 667, 50
SIZE = 20_000
DATABASE_CONNECTIONS = 8


class _Taking:
    """Loads one server with deliveries; counts the rows where a database is named."""

    def __init__(self, wrk: str | None, server: Server, work: dict[str, str], seconds: float) -> None:
        self.wrk, self.server, self.work, self.seconds = wrk, server, work, seconds
        self.postgres: Postgres | None = None
        self.is_honest = True

    def run(self) -> dict[str, float]:
        before = self._count()
        found: dict[str, float] = fair_load(self.wrk, self.server, self.work, seconds=self.seconds)
        if self.postgres:
            time.sleep(0.5)  # what was under way when the clock stopped
            found["stored"] = self._count() - before
            # Those under way are stored and not counted by the load generator; none may be counted and not stored.
            self.is_honest &= found["dealt"] <= found["stored"] <= found["dealt"] + DEALS_MAX * CONNECTIONS
        return found

    def _count(self) -> int:
        return self.postgres.count("bench_intake", "pa_delivery") if self.postgres else 0


class _Database:
    """The same bodies by the bare driver: one insert, one commit, eight connections."""

    def __init__(self, postgres: Postgres, body: bytes, seconds: float) -> None:
        postgres.create("bench_bodies")
        dsn = postgres.dsn("bench_bodies")
        self._connections = [psycopg.connect(dsn, autocommit=True) for _ in range(DATABASE_CONNECTIONS)]
        self._connections[0].execute(
            "CREATE TABLE delivery (delivery_id text PRIMARY KEY, at timestamptz NOT NULL, body bytea NOT NULL)"
        )
        self._body, self._seconds, self._round = body, seconds, 0

    def run(self) -> dict[str, float]:
        self._round += 1
        counts = [0] * DATABASE_CONNECTIONS
        begin = time.perf_counter()

        def insert(which: int) -> None:
            while time.perf_counter() < begin + self._seconds:
                name = f"msg_{self._round:02d}{which}{counts[which]:08d}"
                self._connections[which].execute(
                    "INSERT INTO delivery (delivery_id, at, body) VALUES (%s, now(), %s) ON CONFLICT DO NOTHING",
                    (name, self._body.replace(b"@@ID@@", name.encode())),
                )
                counts[which] += 1

        threads = [threading.Thread(target=insert, args=(which,)) for which in range(DATABASE_CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"rate": sum(counts) / (time.perf_counter() - begin)}

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def measure(folder: Path, postgres: Postgres, wrk: str | None, *, rounds: int, seconds: float) -> list[Goal]:
    """Measure and return the lines of the table."""
    say("P2 intake …")
    instance = folder / "intake"
    instance.mkdir()
    postgres.create("bench_intake")
    world = make_world(env_of(postgres.url("bench_intake"), instance), links=200)
    work = hook_work(world, folder, "intake", size=SIZE)
    secret = {"BENCH_SECRET": work["BENCH_SECRET"]}
    starts = {
        "HMAC only": (gunicorn, "bare:hmac_only()", secret),
        "product on gunicorn": (gunicorn, "plugin:create_app()", world.env),
        "HMAC only on granian": (granian, "bare:hmac_only", secret),
        "product on granian": (granian, "plugin:create_app", world.env),
        "product on waitress": (waitress, "", world.env),
    }
    runs: dict[str, _Taking] = {}
    database = _Database(postgres, Path(work["BENCH_TEMPLATE"]).read_bytes(), seconds)
    try:
        for number, (name, (start, app, env)) in enumerate(starts.items()):
            runs[name] = _Taking(wrk, start(app, env=env, folder=folder, name=f"intake-{number}"), work, seconds)
            warm = load(wrk, runs[name].server.url, work, seconds=2)
            if warm["bad"]:
                raise CannotMeasure(f"{name} refused deliveries: {runs[name].server.program.log_tail()}")
            runs[name].postgres = postgres if env is world.env else None
        contestants = [Contestant(name, one.run) for name, one in runs.items()]
        contestants.append(Contestant("database itself", database.run))
        contest(contestants, rounds)
    finally:
        for run in runs.values():
            run.server.program.stop()
        database.close()
        postgres.drop("bench_intake")
        postgres.drop("bench_bodies")
    is_honest = all(run.is_honest for run in runs.values())
    return [*_goals(*contestants, is_honest=is_honest), *_servers(*contestants)]


def _servers(
    _bare: Contestant, product: Contestant, granian_bare: Contestant, on_granian: Contestant, on_waitress: Contestant,
    _itself: Contestant,
) -> list[Goal]:
    """Say how the product takes deliveries in on each server."""
    ratio = on_granian.ratio("rate", granian_bare)
    measured = f"{on_granian.median('rate'):,.0f}/s (HMAC only there: {granian_bare.median('rate'):,.0f}/s)"
    return [
        Goal("P2 intake of 20 KB, granian, to HMAC only there", measured, f"{ratio:.2f}"),
        *(
            server_line(f"P2 deliveries by server, {one.name} (ratio: to gunicorn)", one, product)
            for one in (product, on_granian, on_waitress)
        ),
    ]


def _goals(
    bare: Contestant, product: Contestant, _granian_bare: Contestant, on_granian: Contestant, on_waitress: Contestant,
    itself: Contestant, *, is_honest: bool,
) -> list[Goal]:
    to_bare, to_itself = product.ratio("rate", bare), product.ratio("rate", itself)
    rate, p99 = product.median("rate"), product.median("p99")
    all_three = (product, on_granian, on_waitress)
    stored, dealt = (sum(one.total(what) for one in all_three) for what in ("stored", "dealt"))
    slowest, bad = min(one["rate"] for one in product.rounds), product.total("bad") + product.total("lost")
    failed = f", {bad:.0f} FAILED" if bad else ""
    return [
        Goal(
            f"P2 intake of 20 KB, gunicorn gthread: ≥ {GOAL_HMAC} of HMAC only there (later {LATER_HMAC})",
            f"{rate:,.0f}/s (HMAC only: {bare.median('rate'):,.0f}/s){failed}",
            f"{to_bare:.2f}",
            to_bare >= GOAL_HMAC and not bad,
        ),
        Goal(
            f"P2 to PostgreSQL's own rate, {DATABASE_CONNECTIONS} connections (later ≥ {LATER_DATABASE})",
            f"{rate:,.0f}/s (database itself: {itself.median('rate'):,.0f}/s)",
            f"{to_itself:.2f}",
            None,
        ),
        Goal(f"P2 in no round under {GOAL_RATE}/s", f"slowest round {slowest:,.0f}/s", "", slowest >= GOAL_RATE),
        Goal(
            f"P2 p99 ≤ {GOAL_P99_MS} ms",
            f"{p99:.1f} ms (HMAC only: {bare.median('p99'):.1f} ms)",
            "",
            p99 <= GOAL_P99_MS,
        ),
        Goal(
            "P2 honesty: a row for every 200, on all three servers",
            f"{stored:,.0f} rows of {dealt:,.0f} deliveries",
            f"{stored / dealt:.3f}",
            is_honest,
        ),
    ]
