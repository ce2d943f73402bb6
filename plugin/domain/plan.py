"""The plan: what a shop pays for, to whom, and how long an order may be taken back. Read strictly, field by field."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from plugin.domain.moment import parse_moment
from plugin.domain.money import parse_amounts, parse_rate
from plugin.domain.rules import Pay, read_pay
from plugin.domain.rules.nothing import Nothing
from plugin.errors import BadRequest, Malformed

# Controls and half characters: no database or page could hold them. Wide and hard blanks are text like any other.
UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

KINDS = ("manual", "coupon", "link", "binding")
T = TypeVar("T")
_DAYS_MAX = 36_500


@dataclass(frozen=True, slots=True)
class Binding:
    """How long a customer stays with the sharer who brought them. Days are 24 hours."""

    mode: str = "none"
    valid_days: int | None = None
    protected_days: int = 0
    max_orders: int | None = None
    extend_on_order: bool = False


@dataclass(frozen=True, slots=True)
class Attribution:
    """Which evidence counts, in which order, and for how long."""

    window_days: int = 30
    model: str = "last"
    priority: tuple[str, ...] = KINDS
    new_customers_only: bool = False
    self_purchase: str = "block"
    binding: Binding = field(default_factory=Binding)


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of a rule; an empty one names nothing. Times in microseconds since 1970."""

    products: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    customer: str = "any"
    from_: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a line earns when every named condition holds."""

    id: str
    when: When
    pay: Pay


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan. Rates are integers of a ten-thousandth of a percent, caps and minimums micros by currency."""

    attribution: Attribution = field(default_factory=Attribution)
    include_tax: bool = False
    include_shipping: bool = False
    rules: tuple[Rule, ...] = ()
    default: Pay = field(default_factory=Nothing)
    order_cap: Mapping[str, int] = field(default_factory=dict)
    upline_rate: int | None = None
    cashback_rate: int = 0
    hold_days: int = 30
    payout_minimum: Mapping[str, int] = field(default_factory=dict)


class _Reader:
    """Reads one object of the plan and collects what is wrong under its path, so that all faults show at once."""

    def __init__(self, data: object, path: str, errors: dict[str, list[str]]) -> None:
        self.path, self.errors = path, errors
        if not isinstance(data, dict):
            self.fail("", "Not an object.")
            data = {}
        self.data: dict[str, Any] = data
        self.known: set[str] = set()

    def fail(self, name: str, message: str) -> None:
        path = ".".join(part for part in (self.path, name) if part)
        self.errors.setdefault(path or "plan", []).append(message)

    def take(self, name: str, default: T, read: Callable[[Any], T]) -> T:
        """Read a field; a missing one is the default, a wrong one is noted and read as the default."""
        self.known.add(name)
        if name not in self.data:
            return default
        try:
            return read(self.data[name])
        except (ValueError, Malformed) as error:
            self.fail(name, str(error))
            return default

    def part(self, name: str) -> "_Reader":
        self.known.add(name)
        path = f"{self.path}.{name}" if self.path else name
        return _Reader(self.data.get(name, {}), path, self.errors)

    def close(self) -> None:
        for name in self.data:
            if name not in self.known:
                self.fail(str(name), "Unknown field.")


def _choice(*allowed: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"Must be one of {', '.join(allowed)}.")
        return value

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be true or false.")
    return value


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"Must be a whole number from {least} to {most}.")
        return value

    return read


def _or_null(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else read(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and 0 < len(item) <= 255 for item in value):
        raise ValueError("Must be a list of strings of 1 to 255 characters.")
    if any(UNSHOWABLE.search(item) for item in value):
        raise ValueError("Holds characters that cannot be shown.")
    return tuple(value)


def _kinds(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item in KINDS for item in value):
        raise ValueError(f"Must be a list drawn from {', '.join(KINDS)}.")
    if len(set(value)) != len(value):
        raise ValueError("Names a kind twice.")
    return tuple(value)


def _upline(value: Any) -> int | None:
    if not isinstance(value, list):
        raise ValueError("Must be a list of at most one percentage.")
    if len(value) > 1:
        raise ValueError("At most one inviter is paid: the sharer and one inviter are the most there can ever be.")
    return parse_rate(value[0]) if value else None


def _binding(reader: _Reader) -> Binding:
    binding = Binding(
        mode=reader.take("mode", "none", _choice("none", "first", "latest")),
        valid_days=reader.take("valid_days", None, _or_null(_whole(0, _DAYS_MAX))),
        protected_days=reader.take("protected_days", 0, _whole(0, _DAYS_MAX)),
        max_orders=reader.take("max_orders", None, _or_null(_whole(0, 1_000_000))),
        extend_on_order=reader.take("extend_on_order", False, _flag),
    )
    reader.close()
    return binding


def _attribution(reader: _Reader) -> Attribution:
    attribution = Attribution(
        window_days=reader.take("window_days", 30, _whole(0, _DAYS_MAX)),
        model=reader.take("model", "last", _choice("last", "first")),
        priority=reader.take("priority", KINDS, _kinds),
        new_customers_only=reader.take("new_customers_only", False, _flag),
        self_purchase=reader.take("self_purchase", "block", _choice("block", "hold", "allow")),
        binding=_binding(reader.part("binding")),
    )
    reader.close()
    return attribution


def _when(reader: _Reader) -> When:
    nothing: tuple[str, ...] = ()
    when = When(
        products=reader.take("products", nothing, _texts),
        collections=reader.take("collections", nothing, _texts),
        skus=reader.take("skus", nothing, _texts),
        groups=reader.take("groups", nothing, _texts),
        channels=reader.take("channels", nothing, _texts),
        campaigns=reader.take("campaigns", nothing, _texts),
        customer=reader.take("customer", "any", _choice("any", "new", "returning")),
        from_=reader.take("from", None, _or_null(parse_moment)),
        until=reader.take("until", None, _or_null(parse_moment)),
    )
    reader.close()
    return when


def _rule_id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 100 or UNSHOWABLE.search(value):
        raise ValueError("Must be a string of 1 to 100 characters.")
    return value


def _rules(reader: _Reader, errors: dict[str, list[str]]) -> tuple[Rule, ...]:
    nothing: list[Any] = []
    items = reader.take("rules", nothing, _list_of_rules)
    rules: list[Rule] = []
    none: Pay = Nothing()
    for index, item in enumerate(items):
        one = _Reader(item, f"{reader.path}.rules.{index}", errors)
        if isinstance(item, dict):
            for name in ("id", "pay"):
                if name not in item:
                    one.fail(name, "Missing.")
        rule = Rule(one.take("id", "", _rule_id), _when(one.part("when")), one.take("pay", none, read_pay))
        one.close()
        if rule.id and rule.id in {other.id for other in rules}:
            one.fail("id", "Another rule has this id.")
        rules.append(rule)
    return tuple(rules)


def _list_of_rules(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > 500:
        raise ValueError("Must be a list of at most 500 rules.")
    return value


def read_plan(data: object) -> Plan:
    """Read a plan of section 6 of the interface page; raise BadRequest with every fault under its path."""
    errors: dict[str, list[str]] = {}
    whole = _Reader(data, "", errors)
    commission, upline, buyer, payout = (whole.part(name) for name in ("commission", "upline", "buyer", "payout"))
    none: Pay = Nothing()
    plan = Plan(
        attribution=_attribution(whole.part("attribution")),
        include_tax=commission.take("include_tax", False, _flag),
        include_shipping=commission.take("include_shipping", False, _flag),
        rules=_rules(commission, errors),
        default=commission.take("default", none, read_pay),
        order_cap=commission.take("order_cap", {}, parse_amounts),
        upline_rate=upline.take("percents", None, _upline),
        cashback_rate=buyer.take("cashback_percent", 0, parse_rate),
        hold_days=whole.take("hold_days", 30, _whole(0, 3_650)),
        payout_minimum=payout.take("minimum", {}, parse_amounts),
    )
    for reader in (commission, upline, buyer, payout, whole):
        reader.close()
    if errors:
        raise BadRequest("invalid_plan", "The plan cannot be read; mend the fields named.", fields=errors)
    return plan


_WHEN_DEFAULTS: dict[str, Any] = {
    "products": [],
    "collections": [],
    "skus": [],
    "groups": [],
    "channels": [],
    "campaigns": [],
    "customer": "any",
    "from": None,
    "until": None,
}
_DEFAULTS: dict[str, Any] = {
    "attribution": {
        "window_days": 30,
        "model": "last",
        "priority": list(KINDS),
        "new_customers_only": False,
        "self_purchase": "block",
        "binding": {
            "mode": "none",
            "valid_days": None,
            "protected_days": 0,
            "max_orders": None,
            "extend_on_order": False,
        },
    },
    "commission": {
        "include_tax": False,
        "include_shipping": False,
        "rules": [],
        "default": {"none": True},
        "order_cap": {},
    },
    "upline": {"percents": []},
    "buyer": {"cashback_percent": "0"},
    "hold_days": 30,
    "payout": {"minimum": {}},
}


def _filled(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what is given over the defaults. An object with defaults of its own is filled the same way."""
    return {
        name: _filled(default, given.get(name, {})) if isinstance(default, dict) and name not in _WHOLE
        else given.get(name, default)
        for name, default in defaults.items()
    }


_WHOLE = {"default", "order_cap", "minimum"}


def complete(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan with every missing part filled by its default: what is stored and shown."""
    whole = _filled(_DEFAULTS, data)
    whole["commission"]["rules"] = [
        {"id": rule["id"], "when": _filled(_WHEN_DEFAULTS, rule.get("when", {})), "pay": rule["pay"]}
        for rule in whole["commission"]["rules"]
    ]
    return whole
