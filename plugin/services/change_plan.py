"""Changing a few parts of the plan in force: the rest of it stays, and what changes is a version like any other."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from plugin.domain.money import format_minor, parse_micros, parse_rate, round_to_minor, share, step
from plugin.services.context import Context
from plugin.services.put_plan import current_plan, put_plan


@dataclass(frozen=True, slots=True)
class Reward:
    """What a plan pays at its simplest; ``percent`` is None where its default pays otherwise, or nothing."""

    percent: str | None
    cashback: str
    hold_days: int
    rules: int  # how many pay otherwise, whatever the default
    pays: bool  # whether anybody can earn anything


@dataclass(frozen=True, slots=True)
class Share:
    """Of an order: what the sharer gets, what the friend gets back, and what stays; minor units."""

    order: int
    sharer: int
    friend: int

    @property
    def rest(self) -> int:
        """Return what stays with the shop."""
        return self.order - self.sharer - self.friend


def show_reward(context: Context, shop_id: int) -> Reward:
    """Return what the plan in force pays."""
    return read_reward(current_plan(context, shop_id))


def read_reward(plan: Mapping[str, Any]) -> Reward:
    """Return what a plan, as it is stored, pays."""
    default, rules = plan["commission"]["default"], plan["commission"]["rules"]
    percent = default.get("percent")
    pays = bool(rules) or (parse_rate(percent) > 0 if percent is not None else "none" not in default)
    return Reward(percent, plan["buyer"]["cashback_percent"], plan["hold_days"], len(rules), pays)


def change_reward(context: Context, shop_id: int, *, percent: str, cashback: str, hold_days: int, actor: str) -> None:
    """Pay so many percent from now on where no rule says otherwise; raise BadRequest as put_plan does."""

    def change(plan: dict[str, Any]) -> None:
        plan["commission"]["default"] = {"percent": percent}
        plan["buyer"] = {"cashback_percent": cashback}
        plan["hold_days"] = hold_days

    _change(context, shop_id, change, actor)


def change_minimum(context: Context, shop_id: int, *, currency: str, minimum: str, actor: str) -> None:
    """Pay out a currency from so much on; raise BadRequest as put_plan does."""

    def change(plan: dict[str, Any]) -> None:
        plan["payout"]["minimum"][currency] = minimum

    _change(context, shop_id, change, actor)


def split_order(order: int, currency: str, *, percent: str, cashback: str) -> Share:
    """Return who gets what of an order of so many minor units; raise Malformed for what is no percentage."""
    exact, unit = parse_micros(format_minor(order, currency)), step(currency)
    parts = (round_to_minor(share(exact, parse_rate(text)), currency, unit=unit) for text in (percent, cashback))
    return Share(order, *parts)


def _change(context: Context, shop_id: int, change: Callable[[dict[str, Any]], None], actor: str) -> None:
    """Put the plan in force changed; one that changes nothing is no new version."""
    plan = current_plan(context, shop_id)
    before = {name: part for name, part in plan.items() if name not in ("version", "in_force_from")}
    changed = deepcopy(before)
    change(changed)
    if changed != before:
        put_plan(context, shop_id, changed, since=None, actor=actor)
