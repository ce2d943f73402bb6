"""The plan as the fields of a form and back. What cannot be read stays as it was typed, for the plan's own reader to
refuse it; this module knows shapes, never what is allowed."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from plugin.domain.moment import SECOND, format_moment, parse_moment
from plugin.domain.plan import KINDS
from plugin.languages import mark

LISTS = ("products", "collections", "skus", "groups", "channels", "campaigns")
FORMS = ("percent", "per_item", "per_order", "none")
RULES_SHOWN_MAX = 100
_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
_AMOUNT = re.compile(r"\s*([A-Za-z]{3})\s*([0-9]\S*?)\s*")
_INDEX = re.compile(r"(add|remove|up|down)(?:-([0-9]{1,3}))?", re.ASCII)

Fields = dict[str, Any]

_DAYS = mark("Write a whole number of days.")
_NUMBER = mark("Write a whole number.")
_PERCENT = mark("Write a percentage from 0 to 100 with at most 4 places, such as 12.5.")
_AMOUNTS = mark("Write the currency and the amount, such as USD 5.00, TWD 150.")
_ONE_A_LINE = mark("Write one on each line, each of at most 255 characters.")
_TIME = mark("Write a day and a time.")
_CHOOSE = mark("Choose one of these.")
# Where a fault of the plan is shown, and in which words; a rule's come with its number before them.
_FAULTS: Mapping[str, tuple[str, str]] = {
    "attribution.window_days": ("window_days", _DAYS),
    "attribution.model": ("model", _CHOOSE),
    "attribution.priority": ("priority", mark("Name each kind once.")),
    "attribution.self_purchase": ("self_purchase", _CHOOSE),
    "attribution.binding.mode": ("binding", _CHOOSE),
    "attribution.binding.valid_days": ("valid_days", _DAYS),
    "attribution.binding.protected_days": ("protected_days", _DAYS),
    "attribution.binding.max_orders": ("max_orders", _NUMBER),
    "commission.order_cap": ("cap", _AMOUNTS),
    "commission.rules": ("rules", mark("A plan has at most 500 rules.")),
    "upline.percents": ("upline", _PERCENT),
    "buyer.cashback_percent": ("cashback", _PERCENT),
    "hold_days": ("hold_days", _DAYS),
    "payout.minimum": ("minimum", _AMOUNTS),
}
_RULE_FAULTS = {
    "id": mark("Give the rule a short name that no other rule has."),
    "from": _TIME,
    "until": _TIME,
    "customer": _CHOOSE,
    **dict.fromkeys(LISTS, _ONE_A_LINE),
}


# --- from a plan ----------------------------------------------------------------------------------------------------


def fields_of(plan: Mapping[str, Any], zone: str) -> Fields:
    """Return a whole plan as what stands in the fields of its form."""
    attribution, commission = plan["attribution"], plan["commission"]
    binding = attribution["binding"]
    return {
        "window_days": str(attribution["window_days"]),
        "model": attribution["model"],
        "priority": [*attribution["priority"], *[""] * (len(KINDS) - len(attribution["priority"]))],
        "new_customers_only": attribution["new_customers_only"],
        "self_purchase": attribution["self_purchase"],
        "binding": binding["mode"],
        "valid_days": _shown(binding["valid_days"]),
        "protected_days": str(binding["protected_days"]),
        "max_orders": _shown(binding["max_orders"]),
        "extend_on_order": binding["extend_on_order"],
        "include_tax": commission["include_tax"],
        "include_shipping": commission["include_shipping"],
        "rules": [_rule_fields(rule, zone) for rule in commission["rules"]],
        "default": _pay_fields(commission["default"]),
        "cap": _amounts_shown(commission["order_cap"]),
        "upline": next(iter(plan["upline"]["percents"]), ""),
        "cashback": plan["buyer"]["cashback_percent"],
        "hold_days": str(plan["hold_days"]),
        "minimum": _amounts_shown(plan["payout"]["minimum"]),
    }


def _shown(value: int | None) -> str:
    return "" if value is None else str(value)


def _amounts_shown(amounts: Mapping[str, str]) -> str:
    return ", ".join(f"{currency} {amount}" for currency, amount in amounts.items())


def _pay_fields(pay: Mapping[str, Any]) -> Fields:
    ((form, value),) = pay.items()
    return {
        "form": form,
        "percent": value if form == "percent" else "",
        "amounts": _amounts_shown(value) if form in ("per_item", "per_order") else "",
    }


def _rule_fields(rule: Mapping[str, Any], zone: str) -> Fields:
    when = rule["when"]
    return {
        "id": rule["id"],
        **{name: "\n".join(when[name]) for name in LISTS},
        "customer": when["customer"],
        "from": _local(when["from"], zone),
        "until": _local(when["until"], zone),
        **_pay_fields(rule["pay"]),
    }


def _local(moment: str | None, zone: str) -> str:
    if moment is None:
        return ""
    at = datetime.fromisoformat(format_moment(parse_moment(moment)))
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat(timespec="seconds")


# --- from a form ----------------------------------------------------------------------------------------------------


def read_fields(form: MultiDict[str, str]) -> Fields:
    """Return what was typed, in the shape of :func:`fields_of`."""
    texts = (
        "window_days", "model", "self_purchase", "binding", "valid_days", "protected_days", "max_orders",
        "cap", "upline", "cashback", "hold_days", "minimum",
    )  # fmt: skip
    flags = ("new_customers_only", "extend_on_order", "include_tax", "include_shipping")
    count = form.get("rules", "0")
    rules = int(count) if _WHOLE.fullmatch(count) else 0
    return {
        **{name: form.get(name, "").strip() for name in texts},
        **{name: name in form for name in flags},
        "priority": [form.get(f"priority-{place}", "") for place in range(len(KINDS))],
        "rules": [_read_rule(form, f"rule-{index}-") for index in range(min(rules, 500))],
        "default": _read_pay(form, "default-"),
    }


def _read_pay(form: MultiDict[str, str], prefix: str) -> Fields:
    return {name: form.get(f"{prefix}{name}", "").strip() for name in ("form", "percent", "amounts")}


def _read_rule(form: MultiDict[str, str], prefix: str) -> Fields:
    names = ("id", "customer", "from", "until", *LISTS)
    lines = {name: form.get(f"{prefix}{name}", "").replace("\r\n", "\n").strip() for name in names}
    return lines | _read_pay(form, prefix)


def edit_rules(fields: Fields, button: str) -> bool:
    """Do what a button at the rules says; tell whether it was one."""
    match = _INDEX.fullmatch(button)
    if not match:
        return False
    rules: list[Fields] = fields["rules"]
    index = int(match[2]) if match[2] else len(rules)
    if match[1] == "add":
        rules.append(_new_rule({rule["id"] for rule in rules}))
    elif index < len(rules):
        rule = rules.pop(index)
        if match[1] != "remove":
            rules.insert(max(0, index - 1) if match[1] == "up" else index + 1, rule)
    return True


def _new_rule(taken: set[str]) -> Fields:
    number = next(one for one in range(1, len(taken) + 2) if f"rule-{one}" not in taken)
    return {
        "id": f"rule-{number}",
        **dict.fromkeys(LISTS, ""),
        "customer": "any",
        "from": "",
        "until": "",
        "form": "percent",
        "percent": "10",
        "amounts": "",
    }


def plan_of(fields: Fields, zone: str) -> dict[str, Any]:
    """Return the plan that the fields say; what is not of its shape stays text and is refused by the plan's reader."""
    return {
        "attribution": {
            "window_days": _number(fields["window_days"]),
            "model": fields["model"],
            "priority": [kind for kind in fields["priority"] if kind],
            "new_customers_only": fields["new_customers_only"],
            "self_purchase": fields["self_purchase"],
            "binding": {
                "mode": fields["binding"],
                "valid_days": _optional(fields["valid_days"]),
                "protected_days": _number(fields["protected_days"] or "0"),
                "max_orders": _optional(fields["max_orders"]),
                "extend_on_order": fields["extend_on_order"],
            },
        },
        "commission": {
            "include_tax": fields["include_tax"],
            "include_shipping": fields["include_shipping"],
            "rules": [_rule(rule, zone) for rule in fields["rules"]],
            "default": _pay(fields["default"]),
            "order_cap": _amounts(fields["cap"]),
        },
        "upline": {"percents": [fields["upline"]] if fields["upline"] else []},
        "buyer": {"cashback_percent": fields["cashback"] or "0"},
        "hold_days": _number(fields["hold_days"]),
        "payout": {"minimum": _amounts(fields["minimum"])},
    }


def _number(text: str) -> int | str:
    return int(text) if _WHOLE.fullmatch(text) else text


def _optional(text: str) -> int | str | None:
    return _number(text) if text else None


def _amounts(text: str) -> dict[str, str] | str:
    """Return amounts by currency, written as USD 5.00, TWD 150; or the text itself where it is something else."""
    parts = [part for part in re.split(r"[,;\n]", text) if part.strip()]
    matches = [_AMOUNT.fullmatch(part) for part in parts]
    found = {match[1].upper(): match[2] for match in matches if match}
    return found if len(found) == len(parts) else text


def _pay(fields: Fields) -> dict[str, Any]:
    form = fields["form"]
    if form == "none":
        return {"none": True}
    return {form: fields["percent"] if form == "percent" else _amounts(fields["amounts"]) or fields["amounts"]}


def _rule(fields: Fields, zone: str) -> dict[str, Any]:
    when: dict[str, Any] = {
        name: [line.strip() for line in fields[name].split("\n") if line.strip()] for name in LISTS
    }
    times = {name: moment_of(fields[name], zone) for name in ("from", "until")}
    return {"id": fields["id"], "when": when | {"customer": fields["customer"]} | times, "pay": _pay(fields)}


def moment_of(text: str, zone: str) -> str | None:
    """Return a day and time of the shop's zone as ISO 8601 in UTC, or the text itself where it is something else."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        local = at.replace(tzinfo=ZoneInfo(zone)) if at.tzinfo is None else at
        return format_moment(int(local.timestamp()) * SECOND)
    except (ValueError, OverflowError):
        return text


def faults_of(errors: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the plan's reader refused, under the fields of the form and in words."""
    found: dict[str, list[str]] = {}
    for path, messages in errors.items():
        field, sentence = _fault(path, messages)
        found.setdefault(field, []).append(sentence)
    return found


def _fault(path: str, messages: Sequence[str]) -> tuple[str, str]:
    if path in _FAULTS:
        return _FAULTS[path]
    if path == "commission.default":
        return "default", mark("Write what it pays: a percentage, or amounts such as USD 5.00, TWD 150.")
    parts = path.split(".")
    if path.startswith("commission.rules.") and len(parts) > 3:
        name = parts[-1]
        return f"rule-{parts[2]}-{name}", _RULE_FAULTS.get(
            name, mark("Write what it pays: a percentage, or amounts such as USD 5.00, TWD 150.")
        )
    return "plan", " ".join(messages)
