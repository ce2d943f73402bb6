"""Measures the goals of performance, side by side with their reference on this machine, and prints one table.

    make bench                     everything, about ten minutes
    make bench ARGS=--quick        everything, about four minutes, rougher
    make bench ARGS="--only P3"    one goal (P1, P2, P3, P6, P7, P9; several with commas)
"""

import argparse
import os
import platform
import signal
import sys
import time
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the product of this checkout, installed or not

import clicks  # noqa: E402
import intake  # noqa: E402
import memory  # noqa: E402
import pages  # noqa: E402
import settling  # noqa: E402
import sight  # noqa: E402
from machine import UNSTEADY, CannotMeasure, Goal, Postgres, find_wrk, say, temporary_folder, unsteady  # noqa: E402

NAMES = ("P1", "P2", "P3", "P6", "P7", "P9")
LOAD_MAX = 0.7


def main() -> int:
    """Measure, print the table, and return 1 where a goal is missed or could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="about four minutes instead of ten")
    parser.add_argument("--only", default=",".join(NAMES), help="goals, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each contest")
    arguments = parser.parse_args()
    wanted = [name.strip().upper() for name in arguments.only.split(",")]
    if not set(wanted) <= set(NAMES):
        parser.error(f"--only takes {', '.join(NAMES)}")
    signal.signal(signal.SIGTERM, _leave)
    begin = time.monotonic()
    load_before = os.getloadavg()[0]
    goals = _measure(wanted, quick=arguments.quick, rounds=arguments.rounds)
    print(_table(goals))
    took = time.monotonic() - begin
    print(
        f"\n{time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load before {load_before:.2f}, {arguments.rounds} rounds, {took:.0f} s"
    )
    if load_before > LOAD_MAX or max(unsteady, default=1) > UNSTEADY:
        print("Something else used this machine, so quote no figure: run it again when it is idle.")
    return 0 if all(goal.is_reached is not False for goal in goals) else 1


def _measure(wanted: list[str], *, quick: bool, rounds: int) -> list[Goal]:
    seconds, orders, memory_seconds = (2.0, 2_000, 15.0) if quick else (4.0, 6_000, 60.0)
    wrk = find_wrk() if set(wanted) - {"P3", "P6", "P9"} else None
    goals: list[Goal] = []
    with temporary_folder() as folder:
        postgres = Postgres(folder)
        say(f"PostgreSQL {postgres.version}, fsync on, in {folder}")
        measures = {
            "P1": lambda: clicks.measure(folder, postgres, wrk, rounds=rounds, seconds=seconds),
            "P2": lambda: intake.measure(folder, postgres, wrk, rounds=rounds, seconds=seconds),
            "P3": lambda: settling.measure(folder, postgres, rounds=rounds, orders=orders),
            "P6": lambda: pages.measure(folder, postgres, rounds=rounds, quick=quick),
            "P7": lambda: memory.measure(folder, wrk, seconds=memory_seconds),
            "P9": lambda: sight.measure(folder, rounds=rounds),
        }
        try:
            for name in wanted:
                try:
                    goals += measures[name]()
                except CannotMeasure as error:
                    goals.append(Goal(f"{name} could not be measured", str(error).splitlines()[-1][:200], "", False))
                    say(f"{name}: {error}")
        finally:
            postgres.stop()
    return goals


def _table(goals: list[Goal]) -> str:
    rows = [("goal", "measured", "ratio", "reached")]
    rows += [
        (one.name, one.measured, one.ratio, "–" if one.is_reached is None else "yes" if one.is_reached else "NO")
        for one in goals
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that everything that was started is stopped


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
