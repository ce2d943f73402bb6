"""Puts known faults into a copy of the code, one at a time, and sees that the tests which guard against each go red.

The faults are the seeds in ``tests/seeds/*.toml``: each replaces one text, found exactly once in one file, and names
the tests that must bite. A seed that stays green is a promise no test holds; ``make seeded`` then fails and names it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent
LANES = 2  # copies in which seeds are tried side by side
SECONDS_MAX = 300
LEFT_BEHIND = (
    ".git", ".venv", ".cache", ".*_cache", ".hypothesis", "__pycache__", "instance", "build", "dist", "*.egg-info",
    "node_modules", ".schemathesis",
)  # fmt: skip
DATABASES = {"sqlite": "not postgresql", "postgresql": "postgresql"}  # by which parameter of a test
_SUMMARY = re.compile(r"^(FAILED|ERROR) ((?:\S+\.py)(?:::.*?)?)(?: - (.*))?$", re.MULTILINE)
# What a seed that is itself wrong raises: the test is red and has noticed nothing.
_BROKEN = re.compile(r"(NameError|UnboundLocalError|ImportError|ModuleNotFoundError|SyntaxError|IndentationError)\b")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seed:
    """One known fault: what is replaced by what, which promise or fault case it breaks, and who must notice."""

    name: str
    breaks: str
    file: str
    find: str
    put: str
    tests: tuple[str, ...]
    on: str = "sqlite"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a seed: the test that went red, or what is wrong."""

    seed: Seed
    seconds: float
    red: str | None = None
    wrong: str | None = None


# -- the seeds ---------------------------------------------------------------------------------------------------------


def read_seeds(folder: Path) -> list[Seed]:
    """Return all seeds, in the order of the files and their lines."""
    seeds = []
    for path in sorted(folder.glob("*.toml")):
        for one in tomllib.loads(path.read_text(encoding="utf-8"))["seed"]:
            seeds.append(Seed(**one | {"tests": tuple(one["tests"])}))
    return seeds


def faults_of(seeds: Sequence[Seed], root: Path) -> list[str]:
    """Return what has rotted: a text that is not found exactly once, a test that is gone, a name given twice."""
    names = [seed.name for seed in seeds]
    found = [f"{name}: two seeds have this name" for name in sorted({one for one in names if names.count(one) > 1})]
    for seed in seeds:
        found += [f"{seed.name}: {fault}" for fault in _faults(seed, root)]
    return found


def _faults(seed: Seed, root: Path) -> Iterable[str]:
    path = root / seed.file
    if not path.is_file():
        yield f"{seed.file} is not there"
        return
    text = path.read_text(encoding="utf-8")
    if (count := text.count(seed.find)) != 1:
        yield f"its text stands {count} times in {seed.file}, and not once:\n{textwrap.indent(seed.find, '    ')}"
    elif path.suffix == ".py":
        try:
            compile(text.replace(seed.find, seed.put), seed.file, "exec")
        except SyntaxError as error:
            yield f"{seed.file} is no Python with it: {error}"
    if seed.on not in DATABASES or not seed.tests:
        yield f"it needs tests, and on is one of {', '.join(DATABASES)}"
    for test in seed.tests:
        name, _, function = test.partition("[")[0].partition("::")
        module = root / name
        if not module.is_file() or f"\ndef {function}(" not in module.read_text(encoding="utf-8"):
            yield f"there is no test {test}"


# -- a copy ------------------------------------------------------------------------------------------------------------


class Copy:
    """A copy of the working tree, in which seeds are planted and taken out again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree = folder, folder / "tree"
        folder.mkdir()
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*LEFT_BEHIND), symlinks=True)
        self._planted = 0

    def run(self, tests: Iterable[str], on: str, *, stop_at_first: bool) -> tuple[int, str]:
        """Run tests on one kind of database; return pytest's status and what it printed."""
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "-k", DATABASES[on]]
        command += ["-p", "pytest_timeout", "-p", "no:cacheprovider", f"--basetemp={self.folder / 'tmp'}"]
        command += ["-x"] * stop_at_first
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        # In order, in one process, and without the plugins that no test here needs: they take longer than most tests.
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        # Wide, so that no line of the summary is cut; and whoever starts a process of its own starts it on the copy.
        environment |= {"COLUMNS": "1000", "PYTHONPATH": str(self.tree)}
        done = subprocess.run(
            [*command, *tests],
            cwd=self.tree,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS_MAX if stop_at_first else None,
        )
        return done.returncode, done.stdout

    def plant(self, seed: Seed) -> Result:
        """Put a seed in, run its tests, take it out."""
        path, since = self.tree / seed.file, time.monotonic()
        whole = path.read_bytes()
        self._planted += 1
        path.write_text(whole.decode().replace(seed.find, seed.put), encoding="utf-8")
        # Two versions of one size within one second would be one to Python's cache of compiled files.
        os.utime(path, (self._planted, self._planted))
        try:
            status, said = self.run(seed.tests, seed.on, stop_at_first=True)
        except subprocess.TimeoutExpired:
            return Result(seed, time.monotonic() - since, wrong=f"its tests took longer than {SECONDS_MAX} seconds")
        finally:
            path.write_bytes(whole)
        return judge(seed, status, said, time.monotonic() - since)


def judge(seed: Seed, status: int, said: str, seconds: float) -> Result:
    """Tell from what pytest printed which test noticed the seed, or that none did."""
    if status == 0:
        return Result(seed, seconds, wrong="STAYED GREEN")
    noticed = _SUMMARY.search(said)
    if status == 1 and noticed is not None and noticed[1] == "FAILED" and not _BROKEN.match(noticed[3] or ""):
        return Result(seed, seconds, red=noticed[2])
    return Result(seed, seconds, wrong=f"its tests could not run (status {status}):\n{textwrap.indent(said, '    ')}")


def side_by_side(copies: Sequence[Copy], works: Iterable[Callable[[Copy], T]]) -> Iterable[T]:
    """Do works in as many threads as there are copies, each with a copy of its own; give what they return, in order."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def do(work: Callable[[Copy], T]) -> T:
        copy = free.get()
        try:
            return work(copy)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as threads:
        yield from threads.map(do, works)


# -- the run -----------------------------------------------------------------------------------------------------------


def red_without(copies: Sequence[Copy], seeds: Sequence[Seed]) -> list[str]:
    """Run all chosen tests on the code as it is; return those that fail, or what kept them from running."""
    chosen = [(on, sorted({test for seed in seeds if seed.on == on for test in seed.tests})) for on in DATABASES]
    parts = [(on, tests[lane::LANES]) for on, tests in chosen for lane in range(LANES)]
    works = [lambda copy, part=part: copy.run(part[1], part[0], stop_at_first=False) for part in parts if part[1]]
    found: list[str] = []
    for status, said in side_by_side(copies, works):
        failed = [match[2] for match in _SUMMARY.finditer(said)]
        found += failed if failed or status == 0 else [said]
    return found


def show(result: Result) -> None:
    """Print one line of the table."""
    noticed = re.sub(r"^.*/(?=\w+\.py::)", "", result.red) if result.red else result.wrong
    print(f"{result.seed.name:<46} {result.seed.breaks:<30} {result.seconds:>4.0f} s  {noticed}", flush=True)


def run(seeds: Sequence[Seed]) -> int:
    """Try the seeds; return the exit status."""
    since = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="passalong-seeded-") as folder:
        copies = [Copy(Path(folder) / f"copy{lane}") for lane in range(min(LANES, len(seeds)))]
        if rotten := faults_of(seeds, copies[0].tree):
            print("These seeds no longer fit the code:\n" + "\n".join(rotten), file=sys.stderr)
            return 1
        if red := red_without(copies, seeds):
            print("These tests fail without any seed:\n" + "\n".join(red), file=sys.stderr)
        results: list[Result] = []
        for result in side_by_side(copies, [lambda copy, seed=seed: copy.plant(seed) for seed in seeds]):
            show(result)
            results.append(result)
    bad = [result.seed.name for result in results if result.wrong]
    print(f"\n{len(results)} seeds, {len(results) - len(bad)} noticed, in {time.monotonic() - since:.0f} seconds.")
    if bad:
        print(f"Not noticed: {', '.join(bad)}.", file=sys.stderr)
    return 1 if bad or red else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(description="Put known faults in and see that the tests find them.")
    parser.add_argument("--only", metavar="NAME", action="append", help="try this seed alone; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the seeds and what each breaks")
    asked: Any = parser.parse_args(arguments)
    seeds = read_seeds(ROOT / "tests" / "seeds")
    wanted = {name.replace("-", " ") for name in asked.only or ()}
    if unknown := wanted - {seed.name.replace("-", " ") for seed in seeds}:
        parser.error(f"there is no seed called {', '.join(sorted(unknown))}; --list names them")
    if wanted:
        seeds = [seed for seed in seeds if seed.name.replace("-", " ") in wanted]
    if asked.list:
        for seed in seeds:
            print(f"{seed.name:<46} {seed.breaks}")
        return 0
    return run(seeds)


if __name__ == "__main__":
    sys.exit(main())
