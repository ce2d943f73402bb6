"""What a plan offers to those who share and to their friends, in the few figures that a sentence can hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from plugin.services.context import Context
from plugin.services.put_plan import current_plan

FIXED = ("per_order", "per_item")


@dataclass(frozen=True, slots=True)
class Offer:
    """The best a plan pays: a percentage, else an amount for each order or item; and what else is said of it.

    ``differs``: other purchases pay something else, or nothing. All numbers are decimal strings.
    """

    percent: str | None
    fixed: str | None  # one of FIXED, where there is no percentage
    amount: str | None
    currency: str
    differs: bool
    cashback: str | None
    hold_days: int


def show_offer(context: Context, shop_id: int, currency: str) -> Offer:
    """Return what the plan in force offers; fixed amounts are told in the shop's currency where it names that."""
    plan = current_plan(context, shop_id)
    commission = plan["commission"]
    pays = [*(rule["pay"] for rule in commission["rules"]), commission["default"]]
    percent = max((Decimal(pay["percent"]) for pay in pays if "percent" in pay), default=Decimal())
    kind, named, amount = _best_fixed(pays, currency) if not percent else (None, currency, None)
    cashback = plan["buyer"]["cashback_percent"]
    return Offer(
        percent=format(percent, "f") if percent else None,
        fixed=kind,
        amount=amount,
        currency=named,
        differs=any(pay != pays[-1] for pay in pays),
        cashback=cashback if Decimal(cashback) else None,
        hold_days=plan["hold_days"],
    )


def _best_fixed(pays: list[Mapping[str, Any]], currency: str) -> tuple[str | None, str, str | None]:
    """Return the highest amount of the first kind that is paid at all, in the shop's currency if any names it."""
    for kind in FIXED:
        found = list(_named(pays, kind))
        if found:
            own = [one for one in found if one[1] == currency] or [one for one in found if one[1] == found[0][1]]
            return max(own, key=lambda one: Decimal(one[2]))
    return None, currency, None


def _named(pays: list[Mapping[str, Any]], kind: str) -> Iterator[tuple[str, str, str]]:
    for pay in pays:
        for currency, amount in pay.get(kind, {}).items():
            if Decimal(amount):
                yield kind, currency, amount
