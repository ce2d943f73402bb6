"""The ways money leaves: one file each. A module here registers itself by the ``name`` of its ``RAIL``."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from plugin.errors import BadRequest, Sentence
from plugin.rails.base import Rail


@cache
def _found() -> dict[str, Rail]:
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__) if module.name != "base")
    return {module.RAIL.name: module.RAIL for module in modules}


def names() -> list[str]:
    """Return the rails there are."""
    return sorted(_found())


def get(name: str) -> Rail:
    """Return a rail; raise BadRequest naming those there are."""
    try:
        return _found()[name]
    except KeyError:
        fields = {"rail": [Sentence("Must be one of %(names)s.", names=", ".join(names()))]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields) from None
