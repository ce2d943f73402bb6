"""``{"none": true}``: the line earns nothing, and is no base for the inviter or the buyer either."""

from dataclasses import dataclass
from typing import Any, ClassVar

from plugin.domain.money import Exact
from plugin.domain.rules import PaidLine


@dataclass(frozen=True, slots=True)
class Nothing:
    """Pays nothing."""

    name: ClassVar[str] = "none"
    per_order: ClassVar[bool] = False

    @classmethod
    def read(cls, value: Any) -> "Nothing":
        if value is not True:
            raise ValueError("none must be true.")
        return cls()

    def reckon(self, line: PaidLine, currency: str) -> Exact:
        return 0

    def names(self, currency: str) -> bool:
        return True


RULE = Nothing
