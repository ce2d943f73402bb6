"""The reports: one file each. A module here registers itself by the ``name`` of its ``REPORT``."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from plugin.reports.base import Report


@cache
def every() -> tuple[Report, ...]:
    """Return the reports there are, by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__) if module.name != "base")
    found: list[Report] = [module.REPORT for module in modules]
    return tuple(sorted(found, key=lambda report: report.name))
