"""Passalong. The public names are loaded on first use, so that ``import plugin.domain`` never loads Flask."""

from importlib import import_module
from typing import Any

_PUBLIC = {"create_app": "plugin.app", "Passalong": "plugin.extension"}

__all__ = ["Passalong", "create_app"]  # noqa: F822


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
