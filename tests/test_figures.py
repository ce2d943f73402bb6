"""What the end of a run tells of the pages."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOTED = """
import pytest
from tests.figures import note_axe, note_statements, note_visits, note_walk

@pytest.mark.parametrize("look", ["phone", "desk"])
def test_looks(look, record_property):
    note_axe(record_property, pages=3, look=look, violations=1)

def test_rest(record_property):
    note_visits(record_property, "sharers", pages=14, roles=6)
    note_statements(record_property, {"/a": 3, "/b": 11})
    note_walk(record_property, "a minute", count=3, unit="taps", seconds=1.26)
"""


def test_figures_of_all_processes_are_told_together(tmp_path: Path) -> None:
    tmp_path.joinpath("conftest.py").write_text("from tests.figures import pytest_terminal_summary\n")
    tmp_path.joinpath("test_noted.py").write_text(NOTED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-c", "/dev/null", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = done.stdout.partition(" pages ")[2].splitlines()
    assert told[1:5] == [
        "sharers: 14 pages x 6 roles",
        "statements: at most 11, at /b",
        "axe: 6 pages in 2 looks, 2 violations",
        "a minute: 3 taps, 1.3 s",
    ], done.stdout + done.stderr
