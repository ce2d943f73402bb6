"""What WooCommerce deliveries mean: an independent reading, to check the adapter against.

Standard library only and nothing of the project. `python tests/shops/woocommerce_reading.py` prints
the books of the captured deliveries at 10 percent, `--write` keeps them in woocommerce_expected.json."""
import hashlib, json, pathlib, re, sys
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction

HERE = pathlib.Path(__file__).parent
DIGITS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0)
DIGITS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
ENTRY, REFERRER, UTM = ("_wc_order_attribution_" + k for k in ("session_entry", "referrer", "utm_content"))


def need(doc, *keys):
    if missing := [key for key in keys if not isinstance(doc, dict) or doc.get(key) in (None, "")]:
        raise ValueError(f"The WooCommerce body has no {', '.join(missing)}, so it cannot be read as an order.")
    return [doc[key] for key in keys]


def money(value):
    if not re.fullmatch(r"-?\d+(\.\d+)?", str(value or "0")):
        raise ValueError(f"The WooCommerce body has {value!r} where an amount should be.")
    return Decimal(str(value or "0"))


def take(total, weights, unit):
    """`total` taken from `weights` in proportion to them, by largest remainder, ties to the earlier. All are
    whole units and never more than the weights is taken, so no share exceeds its weight."""
    pool, total = sum(weights), min(total, sum(weights))
    exact = [Fraction(total) * Fraction(w) / Fraction(pool or 1) / Fraction(unit) for w in weights]
    units = [int(x) for x in exact]
    for i in sorted(range(len(exact)), key=lambda i: (units[i] - exact[i], i))[:int(total / unit) - sum(units)]:
        units[i] += 1
    return [w - u * unit for w, u in zip(weights, units)]


def normal_form(body: bytes, topic: str) -> dict | None:
    if not (topic or "").startswith("order."):
        return None  # the ping has no topic header; action.* tells an id at most
    try:
        doc = json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise ValueError("The WooCommerce body is not JSON.") from error
    if topic == "order.deleted" and isinstance(doc, dict) and set(doc) == {"id"}:
        return None
    oid, status, currency, items, rows, _ = need(doc, "id", "status", "currency", "line_items", "refunds", "date_created_gmt")
    dates = {key: doc.get(f"date_{key}_gmt") for key in ("modified", "paid", "completed", "created")}
    at = {key: datetime.fromisoformat(value).strftime("%Y-%m-%dT%H:%M:%SZ") for key, value in dates.items() if value}
    fees, kept = [f for f in doc.get("fee_lines") or [] if money(f.get("total")) < 0], {}
    for item in items:
        numbers = need(item, "id", "total", "quantity")[2], money(item["total"]), money(item.get("total_tax"))
        if type(numbers[0]) is not int or min(numbers) < 0:
            raise ValueError("A WooCommerce line has no whole quantity or an amount below zero.")
    for key in ("total", "total_tax"):  # a discount is taken from the amounts, its tax from the taxes
        kept[key] = [money(item.get(key)) for item in items]
        # the shop's decimals; every amount of one body carries the same number of places
        unit = Decimal(1).scaleb(min([money(x.get(key)).as_tuple().exponent for x in items + fees], default=0))
        for fee in fees:
            kept[key] = take(max(-money(fee.get(key)), Decimal(0)), kept[key], unit)
    # the date says it is paid: cash on delivery is "processing" before it is
    paid = at.get("paid") or (at.get("completed") if status in ("completed", "refunded") else None)
    refunds = [(str(i), abs(money(total))) for i, total in (need(row, "id", "total") for row in reversed(rows))]
    if status == "refunded" and not refunds:
        refunds = [("status-refunded", money(doc.get("total")))]
    meta = {}
    for row in doc.get("meta_data") or []:
        if isinstance(row.get("value"), str) and row["value"]:  # other shapes are other people's
            meta.setdefault(row.get("key"), []).append(row["value"])
    text = lambda value: str(value) if value not in (None, 0, "") else None
    customer, email = text(doc.get("customer_id")), text((doc.get("billing") or {}).get("email"))
    known = {name: ",".join(meta[key]) for name, key in (("_pa", "_pa"), ("pa", "pa"), ("utm_content", UTM)) if key in meta}
    return {
        "id": str(oid), "number": text(doc.get("number")), "updated_at": max(at.values()),
        "placed_at": at["created"], "paid_at": paid, "currency": currency,
        "status": "cancelled" if status in ("cancelled", "trash") else "open",
        "payment": "paid" if paid or status in ("completed", "refunded") else "unpaid", "test": False,
        "customer": {"id": customer, "email": email, "orders_before": None} if customer or email else None,
        "lines": [{"id": str(x["id"]), "product_id": text(x.get("product_id")), "variant_id": text(x.get("variation_id")),
                   "sku": text(x.get("sku")), "title": x.get("name"), "quantity": x["quantity"], "amount": f"{amount:f}",
                   "tax": f"{tax:f}", "collections": []} for x, amount, tax in zip(items, kept["total"], kept["total_tax"])],
        "shipping": {"amount": f"{money(doc.get('shipping_total')):f}", "tax": f"{money(doc.get('shipping_tax')):f}"},
        "total": f"{money(doc.get('total')):f}",
        "refunds": [{"id": i, "at": None, "lines": [], "shipping": "0", "amount": f"{m:f}"} for i, m in refunds],
        "codes": [c["code"] for c in doc.get("coupon_lines") or [] if (c.get("code") or "").strip()],
        "attributes": known, "landing_url": meta.get(ENTRY, [None])[0], "referrer_url": meta.get(REFERRER, [None])[0]}


def rank(form):
    """The order of states in section 5. The product hashes the e-mail first, so its last tie-break may differ."""
    canonical = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (form["updated_at"], form["status"] == "cancelled", form["payment"] == "paid",
            sum(Decimal(r["amount"]) for r in form["refunds"]), hashlib.sha256(canonical.encode()).hexdigest())


def deleted(now, deletions):
    """Is the order in the bin? "Deleted" has no time of its own, so it counts as of its arrival and loses against any
    later state. A restored order whose own times lie before that arrival does not undo it: only asking the shop could
    tell the two apart, whichever of them arrives first."""
    return bool(deletions) and datetime.fromisoformat(now["updated_at"]) <= max(deletions)


def books(deliveries: list[tuple[str, bytes, str]], rate: str) -> dict[str, dict]:
    seen, result = {}, {}
    for topic, body, received_at in deliveries:
        form = normal_form(body, topic)
        if form or topic == "order.deleted":
            states, gone = seen.setdefault(form["id"] if form else str(json.loads(body)["id"]), ([], []))
            states += [form] if form else []
            gone += [datetime.fromisoformat(received_at)] if topic == "order.deleted" else []
    for oid in sorted((i for i in seen if seen[i][0]), key=lambda i: (len(i), i)):  # never seen, only deleted: nothing
        states, gone = seen[oid]
        now = max(states, key=rank)
        binned, shipping = deleted(now, gone), (now["shipping"]["amount"], now["shipping"]["tax"])
        status = "cancelled" if binned else now["status"]
        lines = [(line["id"], line["amount"], line["tax"], line["quantity"]) for line in now["lines"]]
        refunds = [(refund["id"], refund["amount"]) for refund in now["refunds"]]
        before, taxes = (sum(Fraction(line[i]) for line in lines) for i in (1, 2))
        goods, refunded = before + taxes, sum(Fraction(amount) for _, amount in refunds)
        # refunds without lines shrink every amount and every tax by one factor, then they take the shipping
        net = before * max(goods - refunded, 0) / goods if goods else Fraction(0)
        places = DIGITS.get(now["currency"], 2)
        flags = {"deleted_in_shop": binned, "refund_exceeds_order": refunded > goods + sum(map(Fraction, shipping)),
                 "refunded_without_rows": "status-refunded" in dict(refunds)}
        step = 0 if now["currency"] == "TWD" else places  # earnings in TWD are whole dollars
        share = Fraction(rate) / 100 if now["payment"] == "paid" else Fraction(0)
        # the cut to the sum of the bases, rounded likewise, changes nothing up to 100 percent
        net, direct, earned = (f"{Decimal(round(x * 10 ** n)).scaleb(-n):.{places}f}" for x, n in (  # half to even
            (net, places), (net * share if status == "open" else 0, step), (before * share, step)))
        result[oid] = {
            "currency": now["currency"], "status": status, "payment": now["payment"], "paid_at": now["paid_at"],
            "lines": lines, "shipping": shipping, "refunds": refunds, "net": net, "direct": direct,
            "earned": earned, "flags": [flag for flag, holds in flags.items() if holds]}
    return result


def captured(folder=HERE / "payloads" / "woocommerce" / "captured") -> list[tuple[str, bytes, str]]:
    found = []
    for path in sorted(folder.glob("*.headers.json")):
        seen, body = json.loads(path.read_text()), path.with_name(path.name.replace(".headers.", ".body.")).read_bytes()
        when = datetime.fromtimestamp(seen["received_at"], timezone.utc).isoformat()
        found.append((dict(seen["headers"]).get("X-WC-Webhook-Topic", ""), body, when))
    return found


if __name__ == "__main__":
    text = json.dumps(books(captured(), "10"), indent=1, ensure_ascii=False) + "\n"
    (HERE / "woocommerce_expected.json").write_text(text) if "--write" in sys.argv[1:] else print(text, end="")
