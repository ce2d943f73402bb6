"""A plan in words: what a rule pays and when, and how one version differs from the one before."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from admin_ui.page import gettext, language, ngettext
from plugin.languages import formats, mark

MODELS = {"last": mark("The last touch wins"), "first": mark("The first touch wins")}
OWN = {
    "block": mark("Do not count"),
    "hold": mark("Hold until somebody decides"),
    "allow": mark("Count like any other"),
}
BINDINGS = {
    "none": mark("Nobody: each order is judged by itself"),
    "first": mark("Whoever brought them first, while it is valid"),
    "latest": mark("Whoever brought them last"),
}
CUSTOMERS = {
    "any": mark("Any buyer"),
    "new": mark("New buyers only"),
    "returning": mark("Returning buyers only"),
}
CONDITIONS = {
    "products": mark("Product ids"),
    "collections": mark("Collections"),
    "skus": mark("SKUs"),
    "groups": mark("Groups of sharers"),
    "channels": mark("Channels"),
    "campaigns": mark("Campaigns"),
}
PAYS = {
    "percent": mark("A percentage"),
    "per_item": mark("An amount for each item"),
    "per_order": mark("An amount for each order"),
    "none": mark("Nothing"),
}
KINDS = {
    "manual": mark("Your own word"),
    "coupon": mark("Coupon code"),
    "link": mark("Share link"),
    "binding": mark("Earlier order"),
}
_LABELS: Mapping[tuple[str, ...], str] = {
    ("attribution", "window_days"): mark("Attribution window in days"),
    ("attribution", "model"): mark("Of several touches"),
    ("attribution", "priority"): mark("What counts first"),
    ("attribution", "new_customers_only"): mark("New customers only"),
    ("attribution", "self_purchase"): mark("Own purchases"),
    ("attribution", "binding", "mode"): mark("Who keeps a customer"),
    ("attribution", "binding", "valid_days"): mark("Kept for days"),
    ("attribution", "binding", "protected_days"): mark("Protected days"),
    ("attribution", "binding", "max_orders"): mark("Kept for orders"),
    ("attribution", "binding", "extend_on_order"): mark("Each order begins it anew"),
    ("commission", "include_tax"): mark("Count tax"),
    ("commission", "include_shipping"): mark("Count shipping"),
    ("commission", "default"): mark("Everything else pays"),
    ("commission", "order_cap"): mark("Most for one order"),
    ("upline", "percents"): mark("Inviter's percentage"),
    ("buyer", "cashback_percent"): mark("Buyer's cashback in percent"),
    ("hold_days",): mark("Hold in days"),
    ("payout", "minimum"): mark("Least amount to pay out"),
}
_NAMED: Mapping[str, Mapping[str, str]] = {"model": MODELS, "self_purchase": OWN, "mode": BINDINGS}


def pay_in_words(pay: Mapping[str, Any]) -> str:
    """Say what a rule pays."""
    ((form, value),) = pay.items()
    if form == "percent":
        return formats.percent(value, language())
    if form == "none":
        return gettext("nothing")
    said = _amounts(value)
    return gettext("%(amounts)s per item") % {"amounts": said} if form == "per_item" else (
        gettext("%(amounts)s per order") % {"amounts": said}
    )


def _amounts(amounts: Mapping[str, str]) -> str:
    return ", ".join(formats.amount(amount, currency, language()) for currency, amount in amounts.items())


def differences(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """Say what a version changed, a sentence for each thing."""
    if before is None:
        return []
    found = [
        gettext("%(what)s: %(before)s → %(now)s")
        % {"what": gettext(label), "before": _value(path, _at(before, path)), "now": _value(path, _at(now, path))}
        for path, label in _LABELS.items()
        if _at(before, path) != _at(now, path)
    ]
    return found + list(_rule_differences(before["commission"]["rules"], now["commission"]["rules"]))


def _at(plan: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = plan
    for part in path:
        value = value[part]
    return value


def _value(path: Sequence[str], value: Any) -> str:
    name = path[-1]
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if name == "default":
        return pay_in_words(value)
    if name in _NAMED:
        return gettext(_NAMED[name][value])
    if name == "priority":
        return ", ".join(gettext(KINDS[kind]) for kind in value)
    if isinstance(value, Mapping):
        return _amounts(value) or gettext("none")
    if isinstance(value, list):
        return ", ".join(formats.percent(one, language()) for one in value) or gettext("none")
    return gettext("none") if value is None else str(value)


def _rule_differences(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    old, new = ({rule["id"]: rule for rule in rules} for rules in (before, now))
    for name, rule in new.items():
        words = {"name": name, "pay": pay_in_words(rule["pay"])}
        if name not in old:
            yield gettext("Rule “%(name)s” is new and pays %(pay)s") % words
        elif old[name]["pay"] != rule["pay"]:
            words["before"] = pay_in_words(old[name]["pay"])
            yield gettext("Rule “%(name)s” pays %(pay)s instead of %(before)s") % words
        if name in old and old[name]["when"] != rule["when"]:
            yield gettext("Rule “%(name)s” has other conditions") % words
    for name in old:
        if name not in new:
            yield gettext("Rule “%(name)s” is gone") % {"name": name}
    stayed = [[name for name in rules if name in old and name in new] for rules in (old, new)]
    if stayed[0] != stayed[1]:
        yield gettext("The rules stand in another order")


def conditions(rule: Mapping[str, Any]) -> int:
    """Return how many conditions a rule's fields name."""
    named = [name for name in (*CONDITIONS, "from", "until") if rule[name]]
    return len(named) + (rule["customer"] != "any")


def orders_in_words(count: int) -> str:
    """Say how many orders."""
    return ngettext("%(num)s order", "%(num)s orders", count) % {"num": formats.number(count, language())}
