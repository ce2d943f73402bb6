"""A storm: a shop sends thousands of deliveries, many twice and none in order, while processes are killed under them.

Afterwards every delivery that was answered with 200 must be there once and be done, nothing else may be there, and each
sharer's money must be what the second reading of the contract reckons from the orders alone.
"""

import http.client
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from plugin.domain.money import format_minor
from plugin.installation import open_context
from plugin.services.add_shop import NewShop, add_shop
from plugin.services.check_books import check_books
from plugin.services.context import Context
from plugin.services.enrol_sharer import NewSharer, enrol_sharer
from plugin.services.put_plan import put_plan
from plugin.settings import Settings
from plugin.shops import generic
from tests.crash import program
from tests.second_reading import reckon

ROOT = Path(__file__).parent.parent.parent
PLAN = {"commission": {"default": {"percent": "12.5"}, "include_tax": True}}
SHARERS = 7
DOUBLED = 0.3
SENDERS = 6
BUSY_SECONDS = 5.0  # how long a kill waits for a victim that has something open
REQUEST_SECONDS = 30.0
DECIMALS = {"USD": 2, "TWD": 0, "JPY": 0, "KWD": 3}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as the shop keeps it until it is taken."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Force:
    """Who serves and who works, who dies, and how often. ``lease_seconds`` None: as the product has it."""

    deliveries: int
    kills: int
    seed: int
    commands: Sequence[tuple[str, int]]  # (run or worker, threads that work)
    lease_seconds: int | None = None
    database_kills: int = 0


# -- what the shop tells -----------------------------------------------------------------------------------------------


def _amount(lot: random.Random, currency: str, most: int) -> str:
    return format_minor(lot.randrange(1, most), currency)


def _paid_order(lot: random.Random, number: int) -> dict[str, Any]:
    currency = lot.choice(list(DECIMALS))
    lines = [
        {"id": f"l{n}", "product_id": f"p{n}", "quantity": lot.randrange(1, 5), "tax": _amount(lot, currency, 500)}
        | {"amount": _amount(lot, currency, 20_000)}
        for n in range(lot.randrange(1, 4))
    ]
    return {
        "id": f"order-{number}",
        "updated_at": "2026-11-01T10:00:00Z",
        "placed_at": "2026-11-01T10:00:00Z",
        "paid_at": "2026-11-01T10:00:00Z",
        "currency": currency,
        "status": "open",
        "payment": lot.choice(["paid", "paid", "paid", "unpaid"]),
        "customer": {"id": f"c-{number}", "email": f"c{number}@buyers.example", "orders_before": 0},
        "lines": lines,
        "refunds": [],
        "codes": [f"CODE-{lot.randrange(SHARERS + 1)}"],  # the last one is nobody's
    }


def _changed(lot: random.Random, order: dict[str, Any], step: int) -> dict[str, Any]:
    """Return the order as it is some days later: paid, refunded in part, or cancelled."""
    later = order | {"updated_at": f"2026-11-{1 + step:02}T10:00:00Z", "payment": "paid"}
    kind = lot.random()
    if kind < 0.15:
        return later | {"status": "cancelled"}
    if kind < 0.7:
        line = lot.choice(order["lines"])
        part = {"line_id": line["id"], "quantity": 1, "amount": _amount(lot, order["currency"], 5_000)}
        refund = {"id": f"r{step}", "amount": part["amount"], "lines": [part]}
        return later | {"refunds": [*order["refunds"], refund]}
    return later


def tell_orders(lot: random.Random, deliveries: int) -> Iterator[list[dict[str, Any]]]:
    """Give each order's states in turn, as many in all as there are to be deliveries."""
    for number in itertools.count():
        if not deliveries:
            return
        states = [_paid_order(lot, number)]
        for step in range(1, min(lot.choice([1, 1, 2, 3, 4]), deliveries)):
            states.append(_changed(lot, states[-1], step))
        deliveries -= len(states)
        yield states


# -- the processes -----------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


class Process:
    """One of ours, started again under the same name and at the same port whenever it was killed."""

    def __init__(self, command: str, environment: Mapping[str, str], log: Path) -> None:
        self.port = _free_port() if command == "run" else None
        self._words = [command, "--port", str(self.port)] if self.port else [command]
        self._environment, self._log = dict(environment), log
        self._births = 0
        self.name = ""
        self.start()

    def start(self) -> None:
        """Start it, with a name of its own that the database shows."""
        self._births += 1
        self.name = f"{self._log.stem}.{self._births}"
        self._said_before = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("a") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", program.__name__, *self._words],
                cwd=ROOT,
                env=self._environment | {"PGAPPNAME": self.name},
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill it as the system does when it has no memory left."""
        self.send(signal.SIGKILL)
        self._popen.wait()

    def ended(self) -> int | None:
        """Return how it ended by itself, or None."""
        return self._popen.poll()

    def stop(self) -> int:
        """Ask it to leave, once it has come up and listens to such a wish; return how it ended."""
        for _ in range(600):
            said = self._log.read_bytes()[self._said_before :]
            if b"Passalong listens" in said or b"Working." in said or self._popen.poll() is not None:
                break
            time.sleep(0.1)
        self.send(signal.SIGTERM)
        return self._popen.wait(60)


class Look:
    """Looks into the database from outside, and never waits long."""

    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("sqlite:///") if url.startswith("sqlite") else None
        self._uri = url.replace("postgresql+psycopg", "postgresql")
        self._connection: psycopg.Connection[Any] | None = None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query; raise what the driver raises."""
        if self._path is not None:
            lite = sqlite3.connect(f"file:{self._path}?mode=ro", timeout=0.3, uri=True)
            try:
                return lite.execute(query).fetchall()
            finally:
                lite.close()
        try:
            return self._connected().execute(query.encode()).fetchall()
        except psycopg.OperationalError:  # the server was killed since the last look
            return self._connected().execute(query.encode()).fetchall()

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._uri, autocommit=True, application_name="look")
        return self._connection

    def close(self) -> None:
        """Look no more."""
        if self._connection is not None:
            self._connection.close()

    def has_open(self, process: Process, now: int) -> bool:
        """Tell whether a process (that is stopped) holds a lease or stands in a transaction."""
        lease = f"SELECT 1 FROM pa_delivery WHERE state = 'stored' AND lease_until > {now}"
        try:
            if self.rows(f"{lease} AND substr(lease_by, 1, {len(str(process.pid)) + 1}) = '{process.pid}.' LIMIT 1"):
                return True
            if self._path is not None:
                return False
            return bool(
                self.rows(
                    f"SELECT 1 FROM pg_stat_activity WHERE application_name = '{process.name}'"
                    " AND state <> 'idle' AND xact_start IS NOT NULL LIMIT 1"
                )
            )
        except sqlite3.OperationalError:
            return True  # it was stopped while it held the very lock that a reader needs
        except psycopg.OperationalError:
            return False


# -- the storm ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Figures:
    """What happened."""

    deliveries: int = 0
    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    kills: int = 0
    kills_with_something_open: int = 0
    kills_by_command: Counter[str] = field(default_factory=Counter)
    database_kills: int = 0
    taken_over: int = 0
    transfers: int = 0
    lost: int = 0
    doubled: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the figures for people."""
        times = sorted(self.milliseconds) or [0.0]
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        killed = ", ".join(f"{name} {count}" for name, count in sorted(self.kills_by_command.items()))
        answers = ", ".join(f"{name} {count}" for name, count in sorted(self.answered.items()))
        return [
            f"{self.deliveries} deliveries, sent {self.sent} times in {self.seconds:.0f} s; answers: {answers}",
            f"a 200 took {p50:.0f} ms (p50), {p99:.0f} ms (p99), {times[-1]:.0f} ms at most",
            f"{self.kills} processes killed ({killed}), {self.kills_with_something_open} of them while a lease or a"
            f" transaction was open; the database killed {self.database_kills} times",
            f"{self.taken_over} leases taken over; {self.transfers} transfers",
            f"lost {self.lost}, doubled {self.doubled}",
        ]


class Storm:
    """One shop, its senders, the processes, and whoever kills them."""

    def __init__(
        self, settings: Settings, folder: Path, force: Force, *, kill_database: Callable[[], None] | None = None
    ) -> None:
        self.settings, self.folder, self.force, self._kill_database = settings, folder, force, kill_database
        self.lot = random.Random(force.seed)
        self.figures = Figures()
        self.context: Context = open_context(settings)
        self.look = Look(settings.database_url)
        made = add_shop(self.context, NewShop("generic", "https://shop.example.com", starts_at=0), actor="storm")
        self.key, self.secret = made["key"], made["webhook_secret"]
        put_plan(self.context, 1, PLAN, since=0, actor="storm")
        self.sharers = [
            enrol_sharer(self.context, 1, NewSharer(f"s{n}@example.org", codes=[f"CODE-{n}"], since=0), actor="storm")
            for n in range(SHARERS)
        ]
        self.orders = list(tell_orders(self.lot, force.deliveries))
        self.deliveries = [
            Delivery(f"msg_{number}", json.dumps({"type": "order", "data": state}).encode())
            for number, state in enumerate(itertools.chain.from_iterable(self.orders))
        ]
        self.figures.deliveries = len(self.deliveries)
        again = self.lot.sample(self.deliveries, round(DOUBLED * len(self.deliveries)))
        self.letters = [*self.deliveries, *again]
        self.lot.shuffle(self.letters)
        self._taken = threading.Lock()
        self._done = 0
        self.stored: set[str] = set()
        self.over = threading.Event()

    def run(self, *, wait_seconds: float) -> Figures:
        """Let it rage; then wait for the workers to finish by themselves, and hold the books against the orders.

        Where ``wait_seconds`` is 0 nobody waits: a worker of our own finishes in the foreground.
        """
        began = time.monotonic()
        processes = [self._process(number, *one) for number, one in enumerate(self.force.commands)]
        try:
            self._rage(processes)
            if wait_seconds:
                self._wait(wait_seconds)
            for process in processes:
                if (code := process.stop()) != 0:
                    self._note(f"{process.name} ended with {code} after SIGTERM")
        finally:
            for process in processes:
                process.kill()
        if not wait_seconds:
            self._finish()
        self.figures.seconds = time.monotonic() - began
        self.check()
        return self.figures

    def close(self) -> None:
        """Close what is open."""
        self.look.close()
        self.context.database.close()

    def _note(self, violation: str) -> None:
        self.figures.violations.append(violation)

    # --- processes --------------------------------------------------------------------------------------------------

    def _environment(self, threads: int) -> dict[str, str]:
        ours = {
            "PASSALONG_DATABASE_URL": self.settings.database_url,
            "PASSALONG_QUEUE_URL": self.settings.queue_url,
            "PASSALONG_INSTANCE": str(self.settings.instance),
            "PASSALONG_WORKERS": str(threads),
            program.TAKEN_OVER: str(self.folder / "taken_over"),
        }
        if self.force.lease_seconds is not None:
            ours[program.LEASE_SECONDS] = str(self.force.lease_seconds)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PASSALONG_")}
        return kept | ours

    def _process(self, number: int, command: str, threads: int) -> Process:
        return Process(command, self._environment(threads), self.folder / f"{command}-{number}.log")

    def _rage(self, processes: Sequence[Process]) -> None:
        """Send everything while the kills fall, evenly over the deliveries."""
        letters = iter(self.letters)
        ports = [process.port for process in processes if process.port]
        tasks = [(letters, ports, number) for number in range(SENDERS)]
        senders = [threading.Thread(target=self._send_on, args=task, daemon=True) for task in tasks]
        for sender in senders:
            sender.start()
        deaths = ["process"] * self.force.kills + ["database"] * self.force.database_kills
        self.lot.shuffle(deaths)
        for number, what in enumerate(deaths):
            while self._done < len(self.letters) * (number + 0.5) / len(deaths) and not self.over.is_set():
                time.sleep(0.005)
            if what == "database" and self._kill_database is not None:
                self._kill_database()
                self.figures.database_kills += 1
            else:
                self._kill(processes)
            self._raise_the_dead(processes)
        for sender in senders:
            while sender.is_alive():
                sender.join(0.2)
                self._raise_the_dead(processes)

    def _kill(self, processes: Sequence[Process]) -> None:
        """Kill a process drawn by lot of those that have a lease or a transaction open just then, if there are any."""
        process = self._busy(self.lot.sample(processes, len(processes)))
        self.figures.kills_with_something_open += process is not None
        process = process or self.lot.choice(processes)
        process.kill()
        self.figures.kills += 1
        self.figures.kills_by_command[process.name.split("-")[0]] += 1
        process.start()

    def _busy(self, processes: Sequence[Process]) -> Process | None:
        """Return a process stopped while it has something open, or None where all of them have nothing for a while."""
        end = time.monotonic() + BUSY_SECONDS
        while time.monotonic() < end:
            for process in processes:
                process.send(signal.SIGSTOP)
                if self.look.has_open(process, self.context.now()):
                    return process
                process.send(signal.SIGCONT)
                time.sleep(self.lot.uniform(0.0005, 0.005))
        return None

    def _raise_the_dead(self, processes: Sequence[Process]) -> None:
        """Start again, as a supervisor would, what ended by itself; only a database that is gone is a reason to."""
        for process in processes:
            if (code := process.ended()) is not None:
                if not self.figures.database_kills:
                    self._note(f"{process.name} ended by itself with {code}")
                process.start()

    # --- the shop ---------------------------------------------------------------------------------------------------

    def _send_on(self, letters: Iterator[Delivery], ports: Sequence[int], number: int) -> None:
        """Send one delivery after the other, each until it is taken, as a shop does."""
        lines: dict[int, http.client.HTTPConnection] = {}
        turns = itertools.cycle(ports[number % len(ports) :] + ports[: number % len(ports)])
        while True:
            with self._taken:
                letter = next(letters, None)
            if letter is None:
                break
            while not self._send(letter, next(turns), lines):
                time.sleep(0.02)
            with self._taken:
                self._done += 1
                self.stored.add(letter.id)
        for line in lines.values():
            line.close()

    def _send(self, letter: Delivery, port: int, lines: dict[int, http.client.HTTPConnection]) -> bool:
        """Send a delivery once; tell whether it was answered with 200."""
        line = lines.setdefault(port, http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS))
        at, began = self.context.now() // 1_000_000, time.monotonic()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": letter.id,
            "webhook-timestamp": str(at),
            "webhook-signature": generic.sign(self.secret, letter.id, at, letter.body),
        }
        try:
            line.request("POST", f"/webhooks/{self.key}", letter.body, headers)
            answer = line.getresponse()
            said = answer.read()
            status = str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            line.close()
            status, said = type(error).__name__, b""
        with self._taken:
            self.figures.sent += 1
            self.figures.answered[status] += 1
            if status == "200":
                self.figures.milliseconds.append((time.monotonic() - began) * 1000)
            elif status.isdigit() and status != "503":
                self._note(f"{letter.id} was answered with {status}: {said[:200]!r}")
        return status == "200"

    # --- afterwards -------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.look.rows("SELECT 1 FROM pa_delivery WHERE state = 'stored' LIMIT 1"):
                return
            time.sleep(0.2)

    def _finish(self) -> None:
        subprocess.run(
            [sys.executable, "-m", program.__name__, "work", "--until-idle", "--json"],
            cwd=ROOT,
            env=self._environment(1),
            check=True,
            capture_output=True,
            timeout=60,
        )

    def check(self) -> None:
        """Hold what is there against what was sent and what it must come to."""
        rows = self.look.rows("SELECT delivery_id, state, reason FROM pa_delivery")
        copies = Counter(row[0] for row in rows)
        sent = {one.id for one in self.deliveries}
        self.figures.lost = len(self.stored - copies.keys())
        self.figures.doubled = copies.total() - len(copies)
        for name in sorted(self.stored - copies.keys())[:5]:
            self._note(f"{name} was answered with 200 and has no row: lost")
        for name in [name for name, count in copies.items() if count > 1][:5]:
            self._note(f"{name} has {copies[name]} rows: doubled")
        if self.stored != sent or copies.keys() != sent:
            self._note(f"{len(sent)} deliveries were sent, {len(self.stored)} answered, {len(copies)} are there")
        for row in [row for row in rows if row[1] != "done"][:5]:
            self._note(f"{row[0]} is {row[1]}: {row[2]}")
        self._check_money()
        report = check_books(self.context)
        self.figures.transfers = report.transfers
        for problem in report.problems:
            self._note(problem)
        log = self.folder / "taken_over"
        self.figures.taken_over = sum(map(int, log.read_text().split())) if log.exists() else 0

    def _check_money(self) -> None:
        wanted: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for states in self.orders:
            number = int(states[0]["codes"][0].split("-")[1])
            if number < SHARERS:
                said = reckon(states, {"winner": self.sharers[number]}, PLAN)
                wanted[(self.sharers[number], states[0]["currency"])] += Decimal(
                    said["commissions"]["direct"]["amount"]
                )
        found: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for who, currency, balance in self.look.rows(
            "SELECT sharer_id, currency, sum(balance) FROM pa_account WHERE sharer_id <> 0 GROUP BY 1, 2"
        ):
            found[(who, currency)] = Decimal(format_minor(int(balance), currency))
        for key in sorted({*wanted, *found}):
            if wanted[key] != found[key]:
                self._note(f"sharer {key[0]} should have {wanted[key]} {key[1]} and has {found[key]}")


@contextmanager
def logs_on_failure(folder: Path) -> Iterator[None]:
    """Print the ends of the processes' logs where something fails."""
    try:
        yield
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            print(f"--- {log.name}", *log.read_text().splitlines()[-15:], sep="\n")
        raise
