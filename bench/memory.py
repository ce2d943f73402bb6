"""P7: the memory of ``passalong run`` (web and worker in one process, on SQLite) after very many requests."""

import time
from pathlib import Path

from machine import CannotMeasure, Goal, Server, embedded, load, say
from sqlalchemy import func, select
from world import click_work, env_of, hook_work, make_world, open_context

from plugin.models import delivery

GOAL_MB, LATER_MB = 130, 110
REQUESTS = 100_000
LINKS = 2_000
EVERY = 10  # one delivery to nine clicks
BODY_BYTES = 3_000
SLICE_SECONDS = 5


def measure(folder: Path, wrk: str | None, *, seconds: float) -> list[Goal]:
    """Measure and return the lines of the table."""
    say("P7 memory …")
    instance = folder / "memory"
    instance.mkdir()
    env = env_of(f"sqlite:///{instance}/passalong.db", instance)
    world = make_world(env, links=LINKS)
    work = click_work(world, folder, "memory") | hook_work(world, folder, "memory", size=BODY_BYTES)
    work |= {"BENCH_EVERY": str(EVERY)}
    server = embedded(env=world.env | {"PASSALONG_WORKERS": "2"}, folder=folder, name="memory")
    try:
        at_start = server.program.rss_mb()
        first, rss, bad = _load(wrk, server, work, REQUESTS, seconds)
        more, after, bad_later = _load(wrk, server, work, first // 2, seconds / 2)
    finally:
        server.program.stop()
    bad += bad_later + _not_understood(env)
    failed = f", {bad} FAILED" if bad else ""
    return [
        Goal(
            f"P7 embedded, SQLite: ≤ {GOAL_MB} MB after {REQUESTS:,} requests (later {LATER_MB})",
            f"{rss:.0f} MB after {first:,} ({at_start:.0f} MB at the start){failed}",
            f"{rss / GOAL_MB:.2f}",
            rss <= GOAL_MB and not bad,
        ),
        Goal(
            "P7 growth after that",
            f"{after:.0f} MB after {more:,} more: {(after - rss) / more * 1e5:+.1f} MB a 100,000",
            f"{after / rss:.2f}",
            None,
        ),
    ]


def _not_understood(env: dict[str, str]) -> int:
    """Return how many deliveries were stored and could not be read: their memory would say nothing."""
    context = open_context(env)
    try:
        with context.database.reading() as connection:
            wrong = select(func.count()).select_from(delivery).where(delivery.c.state == "quarantined")
            return int(connection.execute(wrong).scalar_one())
    finally:
        context.database.close()


def _load(
    wrk: str | None, server: Server, work: dict[str, str], requests: int, seconds: float
) -> tuple[int, float, int]:
    """Load until so many requests were answered or the time is up; return how many, the memory, how many failed."""
    done, bad, end = 0, 0, time.monotonic() + seconds
    while done < requests and time.monotonic() < end:
        found = load(wrk, server.url, work, seconds=min(SLICE_SECONDS, seconds), connections=8)
        done, bad = done + int(found["requests"]), bad + int(found["bad"] + found["lost"])
        if bad > done / 2:
            raise CannotMeasure(f"Most requests failed: {server.program.log_tail()}")
        say(f"  {done:,} requests, {server.program.rss_mb():.0f} MB")
    time.sleep(2)  # let the workers finish
    return done, server.program.rss_mb(), bad
