"""What a line can be paid: one file per rule. A rule reads its own parameters and reckons exact micros.

To add one, write a module here whose class has ``name`` (the key of the plan's ``pay`` object), ``per_order`` and the
methods of :class:`Pay`; modules in this folder register themselves by that name.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Protocol

from plugin.domain.money import Exact


class PaidLine(Protocol):
    """What a rule may know of a line: what is left of it after refunds. Money in exact micros."""

    @property
    def base(self) -> Exact: ...
    @property
    def items(self) -> Exact: ...
    @property
    def amount(self) -> Exact: ...


class Pay(Protocol):
    """One way to be paid. ``per_order`` ones are paid once per order and rule, while any line still has an amount."""

    name: ClassVar[str]
    per_order: ClassVar[bool]

    def reckon(self, line: PaidLine, currency: str) -> Exact:
        """Return what the line (or, per order, the order) earns in exact micros."""
        ...

    def names(self, currency: str) -> bool:
        """Tell whether this pay speaks of the currency at all; where not it pays nothing, and the receipt says so."""
        ...


_READERS: dict[str, Any] = {}


def read_pay(value: Any) -> Pay:
    """Read a ``pay`` object, ``{"percent": "12.5"}``; raise ValueError or Malformed with what is wrong."""
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("Must be an object with exactly one way to pay.")
    ((name, parameter),) = value.items()
    if not _READERS:
        for module in iter_modules(__path__):
            rule = import_module(f"{__name__}.{module.name}").RULE
            _READERS[rule.name] = rule
    if name not in _READERS:
        raise ValueError(f"Must be one of {', '.join(sorted(_READERS))}.")
    pay: Pay = _READERS[name].read(parameter)
    return pay
