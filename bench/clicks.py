"""P1: the share-link redirect, every request a new visitor, against Flask's bare constant 302 on the same server."""

import time
from pathlib import Path

from machine import (
    CannotMeasure,
    Contestant,
    Goal,
    Postgres,
    Server,
    ask,
    contest,
    fair_load,
    granian,
    gunicorn,
    load,
    say,
)
from world import World, click_work, env_of, make_world

GOAL, GOAL_RECOMMENDED, GOAL_P99, GOAL_RECORDED = 0.60, 0.80, 1.2, 0.99
LINKS = 2_000
WARM_PASSES, WARM_SECONDS_MAX = 6, 12
DATABASE = "bench_clicks"
FLUSH_SECONDS_MAX = 5.0  # a batch is written at least every half second


class _Clicking:
    """Loads one server; counts the rows of the clicks where a PostgreSQL is named."""

    def __init__(
        self, wrk: str | None, server: Server, work: dict[str, str], seconds: float, postgres: Postgres | None
    ) -> None:
        self.wrk, self.server, self.work, self.seconds, self.postgres = wrk, server, work, seconds, postgres

    def run(self) -> dict[str, float]:
        before = self._count()
        found: dict[str, float] = fair_load(self.wrk, self.server, self.work, seconds=self.seconds)
        found["recorded"] = self._settled(before + int(found["dealt"])) - before
        return found

    def _count(self) -> int:
        return self.postgres.count(DATABASE, "pa_click") if self.postgres else 0

    def _settled(self, expected: int) -> int:
        """Wait for the batches that are on their way, then count."""
        end = time.monotonic() + FLUSH_SECONDS_MAX
        while self.postgres and self._count() < expected and time.monotonic() < end:
            time.sleep(0.2)
        return self._count()


def measure(folder: Path, postgres: Postgres, wrk: str | None, *, rounds: int, seconds: float) -> list[Goal]:
    """Measure and return the lines of the table."""
    say("P1 clicks …")
    instance = folder / "clicks"
    instance.mkdir()
    postgres.create(DATABASE)
    world = make_world(env_of(postgres.url(DATABASE), instance), links=LINKS)
    work = click_work(world, folder, "clicks")
    starts = {
        "bare Flask on gunicorn": (gunicorn, "bare:redirect()", {}),
        "product on gunicorn": (gunicorn, "plugin:create_app()", world.env),
        "product on granian": (granian, "plugin:create_app", world.env),
    }
    runs: dict[str, _Clicking] = {}
    cold: dict[str, float] = {}
    try:
        for number, (name, (start, app, env)) in enumerate(starts.items()):
            server = start(app, env=env, folder=folder, name=f"clicks-{number}")
            runs[name] = _Clicking(wrk, server, work, seconds, postgres if env else None)
            _check(world, server, counts=bool(env))
            cold[name] = _warm(wrk, server, work)
        time.sleep(1.5)  # the last clicks of the warming up are written
        contestants = [Contestant(name, one.run) for name, one in runs.items()]
        contest(contestants, rounds)
    finally:
        for run in runs.values():
            run.server.program.stop()
        postgres.drop(DATABASE)
    bare, product, recommended = contestants
    goals = [
        _rate(product, bare, f"P1 click, gunicorn gthread: ≥ {GOAL} of bare Flask's 302 there", GOAL),
        _rate(recommended, bare, f"P1 click, granian: ≥ {GOAL_RECOMMENDED} of that same 302", GOAL_RECOMMENDED),
    ]
    goals += [_p99(one, bare) for one in (product, recommended)]
    goals += [_recorded(one) for one in (product, recommended)]
    for one in (product, recommended):
        measured = f"{cold[one.name]:,.0f}/s (bare: {cold[bare.name]:,.0f}/s)"
        goals.append(Goal(f"P1 cold, {one.name}: the first second over {LINKS:,} links", measured))
    return goals


def _warm(wrk: str | None, server: Server, work: dict[str, str]) -> float:
    """Load until each worker process has most likely seen each link; return the rate of the first second."""
    first = load(wrk, server.url, work, seconds=1)
    done, end = first["requests"], time.monotonic() + WARM_SECONDS_MAX
    while done < WARM_PASSES * LINKS and time.monotonic() < end:
        done += load(wrk, server.url, work, seconds=1)["requests"]
    return float(first["rate"])


def _check(world: World, server: Server, *, counts: bool) -> None:
    """Refuse to time a server that does not answer properly."""
    status, headers = ask(f"{server.url}/s/{world.codes[0]}", headers={"User-Agent": "Mozilla/5.0"})
    if status != 302 or (counts and "pa=" not in headers["Location"]):
        raise CannotMeasure(f"A click was answered by {status}: {server.program.log_tail()}")


def _rate(one: Contestant, bare: Contestant, name: str, goal: float) -> Goal:
    ratio, bad = one.ratio("rate", bare), one.total("bad") + one.total("lost")
    failed = f", {bad:.0f} FAILED" if bad else ""
    measured = f"{one.median('rate'):,.0f}/s (bare: {bare.median('rate'):,.0f}/s){failed}"
    return Goal(name, measured, f"{ratio:.2f}", ratio >= goal and not bad)


def _p99(one: Contestant, bare: Contestant) -> Goal:
    ratio = one.ratio("p99", bare)
    measured = f"{one.median('p99'):.1f} ms (bare: {bare.median('p99'):.1f} ms)"
    return Goal(f"P1 p99, {one.name}: ≤ {GOAL_P99} × bare Flask's", measured, f"{ratio:.2f}", ratio <= GOAL_P99)


def _recorded(one: Contestant) -> Goal:
    kept = one.total("recorded") / one.total("dealt")
    measured = f"{one.total('recorded'):,.0f} rows of {one.total('dealt'):,.0f} clicks"
    name = f"P1 honesty, {one.name}: clicks recorded ≥ {GOAL_RECORDED}"
    return Goal(name, measured, f"{kept:.3f}", kept >= GOAL_RECORDED)
