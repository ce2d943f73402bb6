"""``{"per_order": {"USD": "10.00"}}``: a fixed amount once per order, while a line that matched has an amount left."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from plugin.domain.money import Exact, parse_amounts
from plugin.domain.rules import PaidLine


@dataclass(frozen=True, slots=True)
class PerOrder:
    """Pays ``amounts[currency]`` micros an order."""

    amounts: Mapping[str, int]
    name: ClassVar[str] = "per_order"
    per_order: ClassVar[bool] = True

    @classmethod
    def read(cls, value: Any) -> "PerOrder":
        return cls(parse_amounts(value))

    def reckon(self, line: PaidLine, currency: str) -> Exact:
        return self.amounts.get(currency, 0)

    def names(self, currency: str) -> bool:
        return currency in self.amounts


RULE = PerOrder
