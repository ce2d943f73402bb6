"""A second reading of how money comes about, from sections 5 and 6 of the contract page alone, in exact fractions."""

# Where the page is silent: `placed_at` is the earliest state's everywhere; `currency`, `test` and lines are the state
# now's; a test order, or one placed before the start, has `earned` 0 but keeps its `net`; `net` of TWD is rounded to
# its minor unit, only pay to whole dollars; a guest is a null customer or one without id; the rest of a refund leaves
# quantities alone; the default pays `per_order` once, like a rule; the cap cuts the direct amount only.

import hashlib
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

PAYMENTS = ["unpaid", "paid", "voided", "chargeback"]
DIGITS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
DIGITS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3) | dict.fromkeys(["CLF", "UYW"], 4)


def number(value):
    return Fraction(str(value or 0))


def moment(text):
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def state_key(state):
    refunded = sum((number(refund["amount"]) for refund in state.get("refunds") or []), Fraction(0))
    canonical = json.dumps(state, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return (moment(state["updated_at"]), state["status"] == "cancelled", PAYMENTS.index(state["payment"]),
            refunded, hashlib.sha256(canonical).hexdigest())


def after_refunds(order, refunds):
    shipping, lines, flags = order.get("shipping") or {}, order["lines"], set()
    left = {line["id"]: {key: number(line.get(key)) for key in ("amount", "tax", "quantity")} for line in lines}
    shipping_all = shipping_left = number(shipping.get("amount")) + number(shipping.get("tax"))
    for refund in refunds:
        stated = number(refund.get("shipping"))
        exceeds = stated > shipping_left
        shipping_left = max(shipping_left - stated, Fraction(0))
        for part in refund.get("lines") or []:
            stated += number(part.get("amount")) + number(part.get("tax"))
            line = left.get(part["line_id"], {})
            if not line:
                flags.add("refund_unknown_line")
            for key in line:
                exceeds = exceeds or number(part.get(key)) > line[key]
                line[key] = max(line[key] - number(part.get(key)), Fraction(0))
        if number(refund["amount"]) < stated:
            flags.add("refund_amount_below_parts")
        rest = max(number(refund["amount"]) - stated, Fraction(0))
        lines_left = sum(line["amount"] + line["tax"] for line in left.values())
        from_lines = min(rest, lines_left)
        kept = 1 - from_lines / lines_left if lines_left else 1
        for line in left.values():
            line.update(amount=line["amount"] * kept, tax=line["tax"] * kept)
        if exceeds or rest - from_lines > shipping_left:
            flags.add("refund_exceeds_order")
        shipping_left = max(shipping_left - (rest - from_lines), Fraction(0))
    return left, (shipping_left / shipping_all if shipping_all else Fraction(0)), flags


def matches(when, line, decision, customer_kind, placed_at):
    held = {"products": [line.get("product_id")], "collections": line.get("collections") or [],
            "skus": [line.get("sku")], "groups": [decision.get("group")],
            "channels": [decision.get("channel")], "campaigns": [decision.get("campaign")]}
    return (all(not when.get(name) or any(value in when[name] for value in held[name]) for name in held)
            and (when.get("customer") or "any") in ("any", customer_kind)
            and moment(when.get("from") or "0001-01-01") <= placed_at < moment(when.get("until") or "9999-12-31"))


def bases_and_exact_pay(order, left, shipping_share, commission, rules):
    with_tax, bases, figures = bool(commission.get("include_tax")), [], []
    shipping, original_sum = order.get("shipping") or {}, sum(number(line["amount"]) for line in order["lines"])
    spread = (number(shipping.get("amount")) + with_tax * number(shipping.get("tax"))) * shipping_share
    for position, (line, rule) in enumerate(zip(order["lines"], rules)):
        rest, original, pay, figure = left[line["id"]], number(line["amount"]), rule["pay"], Fraction(0)
        base = rest["amount"] + with_tax * rest["tax"]
        if commission.get("include_shipping") and original_sum:
            base += spread * original / original_sum
        if pay.get("percent") is not None:
            figure = base * number(pay["percent"]) / 100
        elif pay.get("per_item") and original:
            items = min(rest["quantity"], number(line["quantity"]) * rest["amount"] / original)
            figure = items * number(pay["per_item"].get(order["currency"]))
        elif pay.get("per_order"):
            matched = [i for i, other in enumerate(rules) if other is rule]
            if position == matched[0] and any(left[order["lines"][i]["id"]]["amount"] > 0 for i in matched):
                figure = number(pay["per_order"].get(order["currency"]))
        bases.append(base)
        figures.append(figure)
    return bases, figures


def largest_remainder(exact, total, unit):
    scaled = [figure * total / sum(exact) / unit if total else Fraction(0) for figure in exact]
    units = [int(share) for share in scaled]
    by_remainder = sorted(range(len(exact)), key=lambda i: (units[i] - scaled[i], i))
    for i in by_remainder[:int(total / unit) - sum(units)]:
        units[i] += 1
    return [count * unit for count in units]


def reckon(order_states, decision, plan, starts="1970-01-01T00:00:00Z"):
    """The order as it is now and what each role earns, in decimal strings."""
    keys, commission = [state_key(state) for state in order_states], plan.get("commission") or {}
    order, first = order_states[keys.index(max(keys))], order_states[keys.index(min(keys))]
    currency, placed_at, customer = order["currency"], moment(first["placed_at"]), first.get("customer") or {}
    minor = Fraction(1, 10 ** DIGITS.get(currency, 2))
    unit = Fraction(1) if currency == "TWD" else minor
    kind = "returning" if customer.get("id") and customer.get("orders_before") else "new"
    choices = (commission.get("rules") or []) + [{"pay": commission.get("default") or {"none": True}}]
    rules = [next(rule for rule in choices if matches(rule.get("when") or {}, line, decision, kind, placed_at))
             for line in order["lines"]]
    winner, cap, rates = bool(decision.get("winner")), (commission.get("order_cap") or {}).get(currency), {}
    if decision.get("upline") and (plan.get("upline") or {}).get("percents"):
        rates["upline"] = number(plan["upline"]["percents"][0]) / 100
    if decision.get("buyer"):
        rates["buyer"] = number((plan.get("buyer") or {}).get("cashback_percent")) / 100

    def rounded(value):
        return round(Fraction(value) / unit) * unit  # round() of a Fraction is exact and half to even

    def show(value):
        return f"{Decimal(round(Fraction(value) / minor)).scaleb(-DIGITS.get(currency, 2)):f}"

    def roles(refunds, earns):
        left, shipping_share, flags = after_refunds(order, refunds)
        bases, pay = bases_and_exact_pay(order, left, shipping_share, commission, rules)
        net = sum(base for base, rule in zip(bases, rules) if not rule["pay"].get("none"))
        direct = min(rounded(value) for value in [sum(pay), net] + ([] if cap is None else [number(cap)])) * earns
        amounts = {"direct": direct} | {role: rounded(net * rate) * earns for role, rate in rates.items()}
        return amounts, bases, largest_remainder(pay, direct, unit), net, flags

    can_earn = winner and not order.get("test") and placed_at >= moment(starts)
    earns_now = can_earn and order["payment"] == "paid" and order["status"] != "cancelled"
    amounts, bases, figures, net, flags = roles(order.get("refunds") or [], earns_now)
    earned = roles([], can_earn and order["payment"] in ("paid", "chargeback"))[0]
    paid_keys, release_at = [key for key in keys if key[2] == PAYMENTS.index("paid")], None
    if paid_keys:
        paid_at = moment(order_states[keys.index(min(paid_keys))].get("paid_at") or first["placed_at"])
        release_at = (paid_at + timedelta(hours=24 * plan.get("hold_days", 30))).isoformat().replace("+00:00", "Z")
    return {"now": keys.index(max(keys)), "flags": sorted(flags), "release_at": release_at,
            "net": show(net if winner else 0), "refunded": show(max(keys)[3]),
            "commissions": {role: {"amount": show(amounts[role]), "earned": show(earned[role]),
                                   "clawed_back": show(earned[role] - amounts[role])} for role in amounts if winner},
            "lines": [{"id": line["id"], "base": base, "rule": rule.get("id"), "amount": show(figure)}
                      for line, base, rule, figure in zip(order["lines"], bases, rules, figures)]}
