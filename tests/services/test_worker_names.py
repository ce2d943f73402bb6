"""Whoever holds a lease is named so that no other worker takes it for its own, on whatever machine."""

import multiprocessing
import subprocess
import sys
import threading

from plugin.services.context import worker_name

# The first process of a container, in the first thread that it has: alike in every one of them.
FIRST = """
from types import SimpleNamespace
from plugin.services import context
context.os, context.threading = SimpleNamespace(getpid=lambda: 1), SimpleNamespace(get_ident=lambda: 2)
print(context.worker_name())
"""


def first_of_a_machine() -> str:
    """Return the name of a worker that has the number 1 on its machine."""
    return subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True).stdout.strip()


def test_workers_of_two_machines_are_told_apart_though_their_numbers_are_the_same() -> None:
    one, other = first_of_a_machine(), first_of_a_machine()
    assert one != other and one.split(".")[::2] == other.split(".")[::2] == ["1", "2"]


def test_a_worker_keeps_its_name_and_its_threads_have_others() -> None:
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(worker_name()))
    thread.start()
    thread.join()
    assert worker_name() == worker_name() != seen[0]


def test_a_process_of_its_own_has_a_name_of_its_own() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(worker_name).partition(".")[0] != worker_name().partition(".")[0]
        assert len(pool.apply(worker_name)) <= 54  # a lease of events adds ten signs, in a column of 64
