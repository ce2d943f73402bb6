"""Random orders and plans in the shop's own words, for two programs that must come to the same cents."""

from dataclasses import dataclass
from random import Random
from typing import Any

CURRENCIES = ["USD", "EUR", "TWD", "JPY", "KWD"]
PLACED = ["2026-11-01T09:00:00Z", "2026-10-31T00:00:00+08:00", "2026-11-01T09:00:00.000001Z"]
PERCENTS = ["10", "12.5", "33.3333", "100", "0", "0.0001", "7.77"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """An order's states as told, what its decision froze, the plan, and the shop's start."""

    states: list[dict[str, Any]]
    decision: dict[str, Any]
    plan: dict[str, Any]
    starts: str


def draw(luck: Random) -> Drawn:
    """Draw one case."""
    currency = luck.choice(CURRENCIES)
    states = [_state(luck, currency)]
    for _ in range(luck.choice([0, 0, 1, 2])):
        states.append(_edited(luck, states[-1]) if luck.random() < 0.5 else _state(luck, currency))
    decision = {
        "winner": luck.random() < 0.9,
        "group": luck.choice([None, "vip"]),
        "channel": luck.choice([None, "ig"]),
        "campaign": luck.choice([None, "bf"]),
        "upline": luck.random() < 0.7,
        "buyer": luck.random() < 0.5,
    }
    return Drawn(states, decision, _plan(luck), luck.choice(["1970-01-01T00:00:00Z"] * 6 + ["2026-11-01T09:00:00Z"]))


def _amount(luck: Random, most: int = 200) -> str:
    places = luck.choice([0, 2, 2, 2, 3, 4, 6])
    part = f".{luck.randint(0, 10**places - 1):0{places}d}" if places else ""
    return f"{luck.randint(0, most)}{part}"


def _state(luck: Random, currency: str) -> dict[str, Any]:
    lines = [_line(luck, number) for number in range(luck.randint(0, 4))]
    if lines and luck.random() < 0.15:  # lines alike, so that their remainders tie
        lines = [{**lines[0], "id": line["id"]} for line in lines]
    state = {
        "id": "1",
        "updated_at": _updated_at(luck),
        "placed_at": luck.choice(PLACED),
        "paid_at": luck.choice([None, "2026-11-01T10:00:00Z", "2026-11-02T03:00:00.5+09:00"]),
        "currency": currency,
        "status": luck.choice(["open", "open", "open", "cancelled"]),
        "payment": luck.choice(["paid", "paid", "paid", "unpaid", "voided", "chargeback"]),
        "test": luck.random() < 0.03,
        "customer": luck.choice(
            [
                None,
                {"id": "c"},
                {"id": "c", "orders_before": 3},
                {"email": "a@b.c", "orders_before": 2},
                {"id": "c", "orders_before": 0},
            ]
        ),
        "lines": lines,
        "shipping": luck.choice([None, {"amount": _amount(luck, 10), "tax": _amount(luck, 1)}]),
    }
    state["refunds"] = [_refund(luck, state, number) for number in range(luck.choice([0, 0, 1, 2, 3]))]
    return state


def _updated_at(luck: Random) -> str:
    return f"2026-11-0{luck.randint(1, 3)}T1{luck.randint(0, 2)}:00:00Z"


def _edited(luck: Random, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state with a few fields changed and, as often as not, one refund more."""
    other = _state(luck, state["currency"])
    names = luck.sample(["payment", "status", "placed_at", "paid_at", "customer", "test"], 2)
    edited = {**state, "updated_at": other["updated_at"], **{name: other[name] for name in names}}
    if luck.random() < 0.5:
        edited["refunds"] = [*state["refunds"], _refund(luck, state, len(state["refunds"]))]
    return edited


def _line(luck: Random, number: int) -> dict[str, Any]:
    return {
        "id": f"l{number}",
        "quantity": luck.randint(0, 4),
        "amount": luck.choice([_amount(luck), _amount(luck), "0"]),
        "tax": _amount(luck, 20),
        "product_id": luck.choice(["p1", "p2", None]),
        "sku": luck.choice(["S", "T"]),
        "collections": luck.sample(["shoes", "hats"], luck.randint(0, 2)),
    }


def _refund(luck: Random, state: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a refund that says anything, or one that a shop would: of whole lines, with the sum of its parts."""
    if luck.random() < 0.5 or not state["lines"]:
        parts = [
            {
                "line_id": f"l{luck.randint(0, 4)}",
                "quantity": luck.randint(0, 2),
                "amount": _amount(luck, 60),
                "tax": luck.choice(["0", _amount(luck, 3)]),
            }
            for _ in range(luck.randint(0, 2))
        ]
        refund = {"id": f"r{number}", "amount": _amount(luck, 150), "lines": parts}
        return refund | ({"shipping": _amount(luck, 5)} if luck.random() < 0.3 else {})
    some = luck.sample(state["lines"], luck.randint(1, len(state["lines"])))
    parts = [{"line_id": line["id"], **{name: line[name] for name in ("quantity", "amount", "tax")}} for line in some]
    micros: int = sum(_micros(line["amount"]) + _micros(line["tax"]) for line in some)
    micros += luck.choice([0, 0, 0, 1, -1, 5_000])
    return {"id": f"r{number}", "amount": _text(max(0, micros)), "lines": parts}


def _micros(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 10**6 + int(part.ljust(6, "0") or "0")


def _text(micros: int) -> str:
    return f"{micros // 10**6}.{micros % 10**6:06d}"


def _pay(luck: Random) -> dict[str, Any]:
    return luck.choice(
        [
            {"percent": luck.choice(PERCENTS)},
            {"per_item": {luck.choice(["USD", "JPY", "TWD"]): _amount(luck, 9), "KWD": "1.5"}},
            {"per_order": {luck.choice(["USD", "JPY", "TWD"]): _amount(luck, 30)}},
            {"none": True},
        ]
    )


def _when(luck: Random) -> dict[str, Any]:
    named = {
        "products": ["p1"],
        "collections": luck.choice([["shoes"], ["shoes", "hats"]]),
        "skus": ["S"],
        "groups": ["vip", "gold"],
        "channels": ["ig"],
        "campaigns": ["bf"],
    }
    when: dict[str, Any] = {name: value for name, value in named.items() if luck.random() < 0.2}
    if luck.random() < 0.3:
        when["customer"] = luck.choice(["any", "new", "returning"])
    for name in ("from", "until"):
        if luck.random() < 0.2:
            when[name] = luck.choice(PLACED)
    return when


def _plan(luck: Random) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "commission": {
            "include_tax": luck.random() < 0.5,
            "include_shipping": luck.random() < 0.5,
            "default": _pay(luck),
            "rules": [{"id": f"x{at}", "when": _when(luck), "pay": _pay(luck)} for at in range(luck.randint(0, 3))],
        },
        "hold_days": luck.choice([0, 1, 30]),
    }
    if luck.random() < 0.3:
        plan["commission"]["order_cap"] = {luck.choice(["USD", "TWD", "JPY"]): _amount(luck, 20)}
    if luck.random() < 0.6:
        plan["upline"] = {"percents": [luck.choice(["2.5", "0", "33.3333"])]}
    if luck.random() < 0.6:
        plan["buyer"] = {"cashback_percent": luck.choice(["1.25", "100"])}
    return plan
