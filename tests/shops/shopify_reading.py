"""What Shopify bodies mean: an independent reading, to check the adapter against. Standard library only and nothing of
the project. read() gives the orders of a body, earnings() what one earns; shopify_cases.py puts the samples through both.

Edits: price, discount_allocations and tax_lines of a line stay as placed for `quantity`, while current_quantity falls with
refunds and with removals alike. So removed = quantity - current_quantity - refunded quantity (never below 0); these
units leave the line at once, with their share of amount and tax; what a refund lists is taken by that refund only."""
import decimal, json, re, collections
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction

decimal.getcontext().prec = 80
WHOLE = {"orders/create", "orders/paid", "orders/updated", "orders/cancelled", "rest"}  # rest: the shop's answer when asked
ASK = {"orders/delete": "id", "orders/edited": "order_id", "refunds/create": "order_id", "order_transactions/create": "order_id"}
PAYMENT = dict.fromkeys("pending authorized partially_paid expired".split(), "unpaid") | {"voided": "voided"}
PAYMENT |= dict.fromkeys("paid partially_refunded refunded".split(), "paid")
DIGITS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
DIGITS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
text = lambda value: None if value in (None, "") else str(value)

def wrong(what):
    raise ValueError(f"The Shopify body {what}, so it cannot be read as an order.")
def need(row, key):
    return wrong(f"has no {key} where it needs one") if row.get(key) in (None, "") else row[key]
def count(row, key):
    value = row.get(key)
    return value if type(value) is int and value >= 0 else wrong(f"has {value!r} for {key}, which is no whole number from 0")
def money(row, key, currency, least=0):
    """In shop currency: key_set.shop_money (old pages nest the set in itself), else the plain field, else 0."""
    both = row.get(key + "_set") or {}
    shop = (both.get(key + "_set") or both).get("shop_money") or {}
    value = next((str(v) for v in (shop.get("amount"), row.get(key)) if v is not None), "0")
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", value) or least is not None and Decimal(value) < least:
        wrong(f"has {value!r} for {key}, which is no amount or one below zero")
    return Decimal(value) if shop.get("currency_code") in (None, currency) else wrong(f"has {key} in another currency than the shop's")
def times(row, *keys):
    try:
        found = [datetime.fromisoformat(row[key]) for key in keys if row.get(key)]
    except ValueError:
        wrong("has a time that is not ISO 8601")
    return [at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z") if at.tzinfo else wrong("has a zoneless time") for at in found]
def pairs(value):
    """A list of {name, value}, one such, an object name: value, or nothing; entries of other shapes are other people's."""
    if isinstance(value, dict):
        value = [value] if {"name", "value"} <= set(value) else [{"name": k, "value": v} for k, v in value.items()]
    found = value if isinstance(value, list | None) else wrong("has attributes or properties that are neither a list nor an object")
    named = [(p.get("name"), p.get("value")) for p in found or [] if isinstance(p, dict)]
    return [(name, value) for name, value in named if isinstance(name, str) and isinstance(value, str) and value]

def refund_form(refund, currency, included):
    rows, adjusted = [], {True: Decimal(0), False: Decimal(0)}
    for row in refund.get("refund_line_items") or []:
        tax = money(row, "total_tax", currency)  # prices that contain tax make subtotals that contain tax
        rest = money(row, "subtotal", currency) - (tax if included else 0)
        rows.append((str(need(row, "line_item_id")), count(row, "quantity"), rest if rest >= 0 else wrong("has a refund below zero"), tax))
    for row in refund.get("order_adjustments") or []:  # negative is money back; tax_amount comes on top of amount
        adjusted[row.get("kind") == "shipping_refund"] -= sum(money(row, key, currency, None) for key in ("amount", "tax_amount"))
    listed = sum((money(row, "subtotal_amount", currency) + (0 if included else money(row, "tax_amount", currency))
                  for row in refund.get("refund_shipping_lines") or []), Decimal(0))
    shipping = adjusted[True] or listed  # newer bodies list the same money in both places
    amount = parts = sum((a + t for *_, a, t in rows), Decimal(0)) + shipping
    moved = [t for t in refund.get("transactions") or [] if t.get("kind") == "refund" and t.get("status") == "success"]
    if moved and all(t.get("currency") in (None, currency) or t.get("amount_set") for t in moved):
        amount = sum(money(t, "amount", currency) for t in moved)
    elif moved:  # in the buyer's currency: the parts and what the shop says it gave beside them, both in shop currency
        amount = max(parts + adjusted[False], Decimal(0))
    return {"id": str(need(refund, "id")), "at": next(iter(times(refund, "created_at", "processed_at")), None),
            "lines": [{"line_id": i, "quantity": q, "amount": f"{a:f}", "tax": f"{t:f}"} for i, q, a, t in rows],
            "shipping": f"{shipping:f}" if shipping >= 0 else wrong("has a refund below zero"), "amount": f"{amount:f}"}

def order_form(doc):
    oid, currency, status, items = (need(doc, key) for key in ("id", "currency", "financial_status", "line_items"))
    own = times(doc, "processed_at", "created_at", "updated_at", "cancelled_at", "closed_at")
    if status not in PAYMENT or not doc.get("created_at"):
        wrong("has no created_at or an unknown financial_status")
    included, ways, refunds = doc.get("taxes_included") is True, doc.get("shipping_lines"), doc.get("refunds") or []
    applications, buyer = doc.get("discount_applications") or [], doc.get("customer") or {}
    taxes = lambda row: sum((money(t, "price", currency) for t in row.get("tax_lines") or []), Decimal(0))
    def discount(row, target):  # an allocation of a discount on the other target is not this row's
        to = lambda a: (dict(enumerate(applications)).get(a.get("discount_application_index")) or {}).get("target_type") or target
        return sum((money(a, "amount", currency) for a in row.get("discount_allocations") or [] if to(a) == target), Decimal(0))
    lines, tokens, refunded = [], pairs(doc.get("note_attributes")), collections.Counter()
    for row in (row for refund in refunds for row in refund.get("refund_line_items") or []):
        refunded[str(row.get("line_item_id"))] += count(row, "quantity")
    for item in items:
        number, quantity, tax, _ = str(need(item, "id")), count(item, "quantity"), taxes(item), need(item, "price")
        off = discount(item, "line_item") if "discount_allocations" in item else money(item, "total_discount", currency)
        amount = money(item, "price", currency) * quantity - off - (tax if included else 0)
        left = quantity if item.get("current_quantity") is None else count(item, "current_quantity")
        if (removed := max(quantity - left - refunded[number], 0)):
            amount, tax = (round(x * (quantity - removed) / quantity, 6) for x in (amount, tax))
        lines.append({"id": number, "product_id": text(item.get("product_id")), "variant_id": text(item.get("variant_id")),
                      "sku": text(item.get("sku")), "title": item.get("title"), "quantity": quantity - removed,
                      "amount": f"{amount:f}" if amount >= 0 else wrong("has a line below zero"), "tax": f"{tax:f}", "collections": []})
        tokens += [pair for pair in pairs(item.get("properties")) if pair[0] in ("_pa", "pa")]
    kept = [way for way in ways or [] if way.get("is_removed") is not True]
    freight = money(doc, "total_shipping_price", currency) if ways is None else Decimal(0)
    freight += sum(money(w, "price", currency) - discount(w, "shipping_line") - (taxes(w) if included else 0) for w in kept)
    email = next((doc_[key] for doc_, key in ((buyer, "email"), (doc, "email"), (doc, "contact_email")) if doc_.get(key)), None)
    before = None if buyer.get("orders_count") is None else max(count(buyer, "orders_count") - 1, 0)  # it counts this order
    codes = [c.get("code") for c in (doc.get("discount_codes") or []) + [a for a in applications if a.get("type") == "discount_code"]]
    held = {key: list(dict.fromkeys(v for name, v in tokens if name == key)) for key in ("_pa", "pa", "utm_content")}
    form = {
        "id": str(oid), "number": text(doc.get("name")) or text(doc.get("order_number")), "currency": currency,
        "updated_at": max(own + [at for r in refunds for at in times(r, "created_at", "processed_at")], key=datetime.fromisoformat),
        "placed_at": own[0], "paid_at": own[0] if PAYMENT[status] == "paid" else None,  # imports: processed_at is the old shop's date
        "status": "cancelled" if doc.get("cancelled_at") else "open", "payment": PAYMENT[status], "test": doc.get("test") is True,
        "customer": {"id": text(buyer.get("id")), "email": email, "orders_before": before} if email or buyer.get("id") else None,
        "lines": lines, "shipping": {"amount": f"{freight:f}", "tax": f"{sum(map(taxes, kept), Decimal(0)):f}"},
        "total": f"{money(doc, 'total_price', currency):f}", "refunds": [refund_form(r, currency, included) for r in refunds],
        "codes": list(dict.fromkeys(c for c in codes if c and c.strip())), "attributes": {k: ",".join(v) for k, v in held.items() if v},
        "landing_url": text(doc.get("landing_site")), "referrer_url": text(doc.get("referring_site"))}
    twice = [key for key in ("lines", "refunds") if len({row["id"] for row in form[key]}) < len(form[key])]
    return wrong(f"names one of its {twice[0]} twice") if twice else form

def read(body: bytes, topic: str) -> tuple[list[dict], str | None]:
    """The whole orders in a body, and the order the shop should be asked about."""
    try:
        doc = json.loads(body, parse_float=Decimal, parse_constant=lambda word: wrong(f"has {word}"))
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise ValueError("The Shopify body is not JSON.") from error
    try:
        if topic in ASK:
            return [], str(need(doc.get("order_edit") or doc.get("refund") or doc, ASK[topic]))
        return [order_form(one) for one in doc.get("orders") or [doc.get("order") or doc]] if topic in WHOLE else [], None
    except (TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise ValueError("The Shopify body does not have the shape of an order.") from error

def earnings(form: dict, percent: str) -> dict:
    """What a flat percentage pays for the order as it is now, in minor units, with every step of section 5 on refunds."""
    left, flags = {line["id"]: [Fraction(line["amount"]), Fraction(line["tax"])] for line in form["lines"]}, set()
    before, freight = sum(a for a, _ in left.values()), sum(map(Fraction, form["shipping"].values()))
    for refund in form["refunds"]:
        parts = Fraction(refund["shipping"]) + sum(Fraction(row[key]) for row in refund["lines"] for key in ("amount", "tax"))
        for row in refund["lines"]:
            now = left.get(row["line_id"], [Fraction(0), Fraction(0)])
            now[:] = [max(x - Fraction(row[key]), Fraction(0)) for x, key in zip(now, ("amount", "tax"))]
            flags |= set() if row["line_id"] in left else {"refund_of_unknown_line"}
        rest, goods = Fraction(refund["amount"]) - parts, sum(map(sum, left.values()))
        over = Fraction(refund["shipping"]) - freight + max(rest - goods, 0)  # what shipping cannot bear
        if rest > 0 and goods:
            left = {i: [x * max(goods - rest, 0) / goods for x in pair] for i, pair in left.items()}
        flags |= {name for name, holds in (("refund_less_than_its_parts", rest < 0), ("refund_exceeds_order", over > 0)) if holds}
        freight = max(-over, Fraction(0))
    net, share = sum(a for a, _ in left.values()), Fraction(percent) / 100 * (form["payment"] == "paid" and not form["test"])
    unit = 10 ** DIGITS.get(form["currency"], 2)
    step = unit if form["currency"] == "TWD" else 1  # TWD earns whole dollars; rounded half to even, once
    direct, earned = (round(x * share * unit / step) * step for x in (net * (form["status"] == "open"), before))
    return {"currency": form["currency"], "net": round(net * unit), "direct": direct, "earned": earned, "flags": sorted(flags)}
