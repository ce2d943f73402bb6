"""P1: the share-link redirect, every request a new visitor, against Flask's bare constant 302 on the same server."""

import time
from collections.abc import Callable, Mapping
from functools import partial
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
    server_line,
    waitress,
)
from rival import DATABASE as PINAX_DATABASE
from rival import RECORDED, pinax
from world import World, click_work, env_of, make_world

GOAL, GOAL_RECOMMENDED, GOAL_P99, GOAL_PINAX, GOAL_RECORDED = 0.60, 0.80, 1.2, 11, 0.99
LINKS = 2_000
WARM_PASSES, WARM_SECONDS_MAX = 6, 12
DATABASE = "bench_clicks"
FLUSH_SECONDS_MAX = 5.0  # a batch is written at least every half second


BARE, PINAX = "bare Flask on gunicorn", "pinax-referrals on gunicorn"
GUNICORN, GRANIAN, WAITRESS = "product on gunicorn", "product on granian", "product on waitress"


class _Clicking:
    """Loads one server; counts the rows of the clicks where a database and its table are named."""

    def __init__(
        self, wrk: str | None, server: Server, work: dict[str, str], seconds: float, count: Callable[[], int] | None
    ) -> None:
        self.wrk, self.server, self.work, self.seconds, self.count = wrk, server, work, seconds, count

    def run(self) -> dict[str, float]:
        before = self._count()
        found: dict[str, float] = fair_load(self.wrk, self.server, self.work, seconds=self.seconds)
        found["recorded"] = self._settled(before + int(found["dealt"])) - before
        return found

    def _count(self) -> int:
        return self.count() if self.count else 0

    def _settled(self, expected: int) -> int:
        """Wait for the batches that are on their way, then count."""
        end = time.monotonic() + FLUSH_SECONDS_MAX
        while self.count and self._count() < expected and time.monotonic() < end:
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
        BARE: (gunicorn, "bare:redirect()", {}),
        GUNICORN: (gunicorn, "plugin:create_app()", world.env),
        GRANIAN: (granian, "plugin:create_app", world.env),
        WAITRESS: (waitress, "", world.env),
    }
    runs: dict[str, _Clicking] = {}
    cold: dict[str, float] = {}
    absent = ""
    try:
        for number, (name, (start, app, env)) in enumerate(starts.items()):
            server = start(app, env=env, folder=folder, name=f"clicks-{number}")
            count = partial(postgres.count, DATABASE, "pa_click") if env else None
            runs[name] = _Clicking(wrk, server, work, seconds, count)
            _check(world, server, counts=bool(env))
            cold[name] = _warm(wrk, server, work)
        try:
            runs[PINAX] = _pinax(folder, postgres, wrk, seconds)
            load(wrk, runs[PINAX].server.url, runs[PINAX].work, seconds=2)
        except CannotMeasure as error:
            absent = str(error)
        time.sleep(1.5)  # the last clicks of the warming up are written
        contestants = {name: Contestant(name, one.run) for name, one in runs.items()}
        contest(list(contestants.values()), rounds)
    finally:
        for run in runs.values():
            run.server.program.stop()
        postgres.drop(DATABASE)
        postgres.drop(PINAX_DATABASE)
    return _goals(contestants, cold, absent)


def _pinax(folder: Path, postgres: Postgres, wrk: str | None, seconds: float) -> _Clicking:
    server, work = pinax(folder, postgres, links=LINKS)
    return _Clicking(wrk, server, work, seconds, partial(postgres.count, PINAX_DATABASE, RECORDED))


def _goals(contestants: Mapping[str, Contestant], cold: Mapping[str, float], absent: str) -> list[Goal]:
    bare, gthread, recommended = (contestants[name] for name in (BARE, GUNICORN, GRANIAN))
    servers = [contestants[name] for name in (GUNICORN, GRANIAN, WAITRESS)]
    goals = [
        _rate(gthread, bare, f"P1 click, gunicorn gthread: ≥ {GOAL} of bare Flask's 302 there", GOAL),
        _rate(recommended, bare, f"P1 click, granian: ≥ {GOAL_RECOMMENDED} of that same 302", GOAL_RECOMMENDED),
    ]
    goals += [_p99(one, bare) for one in (gthread, recommended)]
    goals += [_beside_pinax(one, contestants.get(PINAX), absent) for one in (recommended, gthread)]
    goals += [
        server_line(f"P1 clicks by server, {one.name} (ratio: to gunicorn)", one, gthread) for one in servers
    ]
    goals += [_recorded(one) for one in servers]
    goals += [_recorded(contestants[PINAX])] if PINAX in contestants else []
    for one in servers:
        measured = f"{cold[one.name]:,.0f}/s (bare: {cold[bare.name]:,.0f}/s)"
        goals.append(Goal(f"P1 cold, {one.name}: the first second over {LINKS:,} links", measured))
    return goals


def _beside_pinax(one: Contestant, rival: Contestant | None, absent: str) -> Goal:
    """Hold the product against pinax-referrals; the goal is one for the recommended server."""
    is_goal = one.name == GRANIAN
    name = f"P1 click, {one.name}" + (f": ≥ {GOAL_PINAX} ×" if is_goal else " to") + " pinax-referrals on gunicorn"
    if rival is None:
        return Goal(name, absent)
    ratio, bad = one.ratio("rate", rival), rival.total("bad") + rival.total("lost")
    measured = f"{one.median('rate'):,.0f}/s (pinax-referrals: {rival.median('rate'):,.0f}/s)"
    measured += f", {bad:.0f} of its answers FAILED" if bad else ""
    return Goal(name, measured, f"{ratio:.1f} ×", (ratio >= GOAL_PINAX and not bad) if is_goal else None)


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
