"""``{"per_item": {"USD": "5.00"}}``: a fixed amount for each item that stays sold, fractions of an item included."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from plugin.domain.money import Exact, parse_amounts
from plugin.domain.rules import PaidLine


@dataclass(frozen=True, slots=True)
class PerItem:
    """Pays ``amounts[currency]`` micros an item."""

    amounts: Mapping[str, int]
    name: ClassVar[str] = "per_item"
    per_order: ClassVar[bool] = False

    @classmethod
    def read(cls, value: Any) -> "PerItem":
        return cls(parse_amounts(value))

    def reckon(self, line: PaidLine, currency: str) -> Exact:
        return self.amounts.get(currency, 0) * line.items

    def names(self, currency: str) -> bool:
        return currency in self.amounts


RULE = PerItem
