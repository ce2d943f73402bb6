"""What the tests of the pages measured, told at the end of a run: visits, questions to the database, axe, clicks, taps.

A test notes a figure by ``record_property``, which comes along from every process that runs tests.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

VISITS, STATEMENTS, AXE, WALK = "visits", "statements", "axe", "walk"
Record = Callable[[str, object], None]


def note_visits(record: Record, whose: str, *, pages: int, roles: int) -> None:
    """Note that so many people, each in a role of their own, visited so many pages."""
    record(VISITS, [whose, pages, roles])


def note_statements(record: Record, counts: dict[str, int]) -> None:
    """Note how many statements each page took, by its rule."""
    rule = max(counts, key=lambda name: counts[name])
    record(STATEMENTS, [counts[rule], rule])


def note_axe(record: Record, *, pages: int, look: str, violations: int) -> None:
    """Note that axe read so many pages in a look, such as a size and a scheme, and what it found."""
    record(AXE, [pages, look, violations])


def note_walk(record: Record, what: str, *, count: int, unit: str, seconds: float) -> None:
    """Note what somebody's way took: clicks or taps, and how long."""
    record(WALK, [what, count, unit, round(seconds, 1)])


def lines(properties: Iterable[tuple[str, Any]]) -> list[str]:
    """Return what was noted, a line for each kind of figure."""
    noted: dict[str, list[Any]] = {}
    for name, value in properties:
        noted.setdefault(name, []).append(value)
    told = []
    visits = {whose: (pages, roles) for whose, pages, roles in noted.get(VISITS, [])}
    told += [f"{whose}: {pages} pages x {roles} roles" for whose, (pages, roles) in sorted(visits.items())]
    if STATEMENTS in noted:
        count, rule = max(noted[STATEMENTS])
        told.append(f"statements: at most {count}, at {rule}")
    if AXE in noted:
        looks = {look for _, look, _ in noted[AXE]}
        read, found = sum(one[0] for one in noted[AXE]), sum(one[2] for one in noted[AXE])
        told.append(f"axe: {read} pages in {len(looks)} looks, {found} violations")
    for what, count, unit, seconds in sorted(noted.get(WALK, [])):
        told.append(f"{what}: {count} {unit}, {seconds} s")
    return told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the figures after the last test."""
    reports = [one for some in terminalreporter.stats.values() for one in some if getattr(one, "when", None) == "call"]
    found = lines(pair for report in reports for pair in report.user_properties)
    if found:
        terminalreporter.section("pages")
        for line in found:
            terminalreporter.write_line(line)
