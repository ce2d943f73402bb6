"""``{"percent": "12.5"}``: a share of the line's base after refunds."""

from dataclasses import dataclass
from typing import Any, ClassVar

from plugin.domain.money import Exact, parse_rate, share
from plugin.domain.rules import PaidLine


@dataclass(frozen=True, slots=True)
class Percent:
    """Pays ``rate`` ten-thousandths of a percent of the base."""

    rate: int
    name: ClassVar[str] = "percent"
    per_order: ClassVar[bool] = False

    @classmethod
    def read(cls, value: Any) -> "Percent":
        return cls(parse_rate(value))

    def reckon(self, line: PaidLine, currency: str) -> Exact:
        return share(line.base, self.rate)

    def names(self, currency: str) -> bool:
        return True


RULE = Percent
