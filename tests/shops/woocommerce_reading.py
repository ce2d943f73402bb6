"""What WooCommerce deliveries and answers mean: an independent reading, to check the adapter against. Standard library only,
nothing of the project. Prints the books of the captured deliveries and of asking at 10 percent; `--write` keeps them."""
import datetime, hashlib, json, pathlib, re, sys
from decimal import Decimal
from fractions import Fraction

HERE = pathlib.Path(__file__).parent
DIGITS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0)
DIGITS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
ENTRY, REFERRER, UTM = ("_wc_order_attribution_" + k for k in ("session_entry", "referrer", "utm_content"))
utc = lambda value: datetime.datetime.fromisoformat(value).strftime("%Y-%m-%dT%H:%M:%SZ")  # all is UTC, said or not


def need(doc, *keys):
    if missing := [key for key in keys if not isinstance(doc, dict) or doc.get(key) in (None, "")]:
        raise ValueError(f"The WooCommerce body has no {', '.join(missing)}, so it cannot be read as an order.")
    return [doc[key] for key in keys]


def money(value):
    if not re.fullmatch(r"-?\d+(\.\d+)?", str(value or "0")):
        raise ValueError(f"The WooCommerce body has {value!r} where an amount should be.")
    return Decimal(str(value or "0")) + 0  # so that PHP's "-0.00" is 0.00


def goods(doc, sign=1):
    """(line, quantity, amount, tax) of an order, or of a refund by sign -1. A fee below zero is a discount: taken from the
    amounts, its tax from the taxes. A refund that takes such a discount back gives so much less of its lines."""
    items, fees = doc.get("line_items") or [], [f for f in doc.get("fee_lines") or [] if sign * money(f.get("total")) < 0]
    columns = [items, [sign * need(item, "id", "total", "quantity")[2] for item in items]]
    for key in ("total", "total_tax"):
        left, off = ([sign * money(row.get(key)) + 0 for row in rows] for rows in (items, fees))
        if not all(type(item["quantity"]) is int for item in items) or min(columns[1] + left, default=0) < 0:
            raise ValueError("A WooCommerce line has no whole quantity or an amount below zero.")
        unit = Decimal(1).scaleb(min([x.as_tuple().exponent for x in left + off], default=0))  # one precision per body
        for fee in off:  # in proportion, by largest remainder, ties to the earlier; never more than there is
            pool, total = sum(left), min(max(-fee, Decimal(0)), sum(left))
            exact = [Fraction(total) * Fraction(x) / Fraction(pool or 1) / Fraction(unit) for x in left]
            more = sorted(range(len(left)), key=lambda i: (-(exact[i] % 1), i))[:int(total / unit) - sum(map(int, exact))]
            left = [x - (int(exact[i]) + (i in more)) * unit for i, x in enumerate(left)]
        columns.append([f"{x:f}" for x in left])
    return zip(*columns)


def refund(row):  # what it gives back of a fee above zero stands nowhere, like that fee itself
    rid, amount, *when = need(row, "id", *(("amount", "date_created_gmt") if "amount" in row else ("total",)))
    fees, shipping = (sum((money(x.get("total")) + money(x.get("total_tax")) for x in row.get(key) or []
                           if money(x.get("total")) <= 0), Decimal(0)) for key in ("fee_lines", "shipping_lines"))
    lines = [{"line_id": str(meta["value"]), "quantity": quantity, "amount": net, "tax": tax}
             for item, quantity, net, tax in goods(row, -1)  # a line that points nowhere is left to `amount`
             for meta in item.get("meta_data") or [] if meta.get("key") == "_refunded_item_id"]
    return {"id": str(rid), "at": utc(*when) if when else None, "lines": lines, "shipping": f"{-shipping:f}",
            "amount": f"{max(abs(money(amount)) + fees, Decimal(0)):f}"}


def normal_form(body: bytes, topic: str) -> dict | None:
    doc = json.loads(body, parse_float=Decimal) if (topic or "").startswith(("order.", "asked/order")) else ...
    if doc is ... or topic == "order.deleted" and isinstance(doc, dict) and set(doc) == {"id"}:
        return None  # the ping has no topic header; action.* tells an id at most; asked/gone holds no order
    asked, doc, listed = need(doc, "at", "order", "refunds") if topic == "asked/order" else (None, doc, None)
    oid, status, currency, _, rows, _ = need(doc, "id", "status", "currency", "line_items", "refunds", "date_created_gmt")
    at = {key: utc(doc[name]) for key in ("modified", "paid", "completed", "created") if doc.get(name := f"date_{key}_gmt")}
    done = status in ("completed", "refunded")
    paid = at.get("paid") or (at.get("completed") if done else None)  # cash on delivery is "processing" before it is paid
    rows = sorted(listed, key=lambda row: need(row, "date_created_gmt", "id", "amount")) if asked else rows[::-1]
    whole = [{"id": "status-refunded", "total": doc.get("total") or "0"}] if status == "refunded" else []
    refunds = [refund(row) for row in rows or whole]  # oldest first; the list is the truth, whatever the order names
    meta = lambda key: [row["value"] for row in doc.get("meta_data") or []  # other shapes are other people's
                        if row.get("key") == key and isinstance(row.get("value"), str) and row["value"]]
    text = lambda value: str(value) if value not in (None, 0, "") else None
    customer, email = text(doc.get("customer_id")), text((doc.get("billing") or {}).get("email"))
    return {
        "id": str(oid), "number": text(doc.get("number")), "currency": currency, "placed_at": at["created"], "paid_at": paid,
        "updated_at": max([*at.values(), *(r["at"] for r in refunds if r["at"]), *([utc(asked)] if asked else [])]),
        "status": "cancelled" if status in ("cancelled", "trash") else "open", "test": False,
        "customer": {"id": customer, "email": email, "orders_before": None} if customer or email else None,
        "lines": [{"id": str(x["id"]), "product_id": text(x.get("product_id")), "variant_id": text(x.get("variation_id")),
                   "sku": text(x.get("sku")), "title": x.get("name"), "quantity": quantity, "amount": amount, "tax": tax,
                   "collections": []} for x, quantity, amount, tax in goods(doc)],
        "shipping": {key: f"{money(doc.get(k)):f}" for key, k in (("amount", "shipping_total"), ("tax", "shipping_tax"))},
        "total": f"{money(doc.get('total')):f}", "payment": "paid" if paid or done else "unpaid", "refunds": refunds,
        "codes": [c["code"] for c in doc.get("coupon_lines") or [] if (c.get("code") or "").strip()],
        "attributes": {key: ",".join(meta(k)) for key, k in (("_pa", "_pa"), ("pa", "pa"), ("utm_content", UTM)) if meta(k)},
        "landing_url": (meta(ENTRY) or [None])[0], "referrer_url": (meta(REFERRER) or [None])[0]}


def rank(form):  # section 5; the product hashes the e-mail first, so its last tie-break may differ
    canonical = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return (form["updated_at"], form["status"] == "cancelled", form["payment"] == "paid",
            sum(Decimal(r["amount"]) for r in form["refunds"]), hashlib.sha256(canonical).hexdigest())


def books(deliveries: list[tuple[str, bytes, str]], rate: str) -> dict[str, dict]:
    seen, result = {}, {}
    for topic, body, received_at in deliveries:
        if (form := normal_form(body, topic)) or topic in ("order.deleted", "asked/gone"):
            states, times = seen.setdefault(form["id"] if form else str(json.loads(body)["id"]), ([], {}))
            states += [form] if form else []
            times.setdefault(topic, []).append(utc(json.loads(body).get("at") or received_at))
    for oid in sorted((i for i in seen if seen[i][0]), key=lambda i: (len(i), i)):  # never seen, only deleted: nothing
        (states, times), over, below = seen[oid], False, False
        now, gone = max(states, key=rank), times.get("asked/gone", [])
        # a bare "deleted" counts as of its arrival until the shop is asked; only a later state undoes it, or that answer
        answered = max(gone + times.get("asked/order", []), default="")
        binned = now["updated_at"] <= max(gone + [t for t in times.get("order.deleted", []) if t > answered], default="")
        left = {x["id"]: [Fraction(x["amount"]), Fraction(x["tax"])] for x in now["lines"]}
        before, shipping = sum(pair[0] for pair in left.values()), [sum(map(Fraction, now["shipping"].values()))]
        for row in now["refunds"]:  # of a line that the order does not hold nothing is taken
            parts = [(shipping, 0, Fraction(row["shipping"]))] + [(left.get(x["line_id"], [0, 0]), i, Fraction(x[key]))
                for x in row["lines"] for i, key in ((0, "amount"), (1, "tax"))]
            rest = Fraction(row["amount"]) - sum(wanted for *_, wanted in parts)
            for pair, i, wanted in parts:
                over, pair[i] = over or wanted > pair[i], max(pair[i] - wanted, 0)
            pool = sum(map(sum, left.values()))  # the rest shrinks all amounts and taxes by one factor, then the shipping
            share, below = min(max(rest, 0), pool), below or rest < 0
            left = {key: [x - x * share / (pool or 1) for x in pair] for key, pair in left.items()}
            over, shipping = over or rest - share > shipping[0], [max(shipping[0] - max(rest - share, 0), 0)]
        status, places = "cancelled" if binned else now["status"], DIGITS.get(now["currency"], 2)
        flags = {"deleted_in_shop": binned, "refund_below_its_parts": below, "refund_exceeds_order": over,
                 "refunded_without_rows": any(r["id"] == "status-refunded" for r in now["refunds"])}
        step = 0 if now["currency"] == "TWD" else places  # earnings in TWD are whole dollars
        net, share = sum(pair[0] for pair in left.values()), Fraction(rate) / 100 * (now["payment"] == "paid")
        net, direct, earned = (f"{Decimal(round(x * 10 ** n)).scaleb(-n):.{places}f}" for x, n in (  # half to even, and
            (net, places), (net * share if status == "open" else 0, step), (before * share, step)))  # no cap up to 100 %
        result[oid] = {
            "currency": now["currency"], "status": status, "payment": now["payment"], "paid_at": now["paid_at"],
            "lines": [(x["id"], x["amount"], x["tax"], x["quantity"]) for x in now["lines"]],
            "shipping": tuple(now["shipping"].values()), "refunds": [(r["id"], r["amount"]) for r in now["refunds"]],
            "net": net, "direct": direct, "earned": earned, "flags": [flag for flag, holds in flags.items() if holds]}
    return result


def captured(folder=HERE / "payloads" / "woocommerce" / "captured") -> list[tuple[str, bytes, str]]:
    read = [(json.loads(p.read_text()), folder / f"{p.name[:-13]}.body.json") for p in sorted(folder.glob("*.headers.json"))]
    return [(dict(seen["headers"]).get("X-WC-Webhook-Topic", ""), body.read_bytes(),
             datetime.datetime.fromtimestamp(seen["received_at"], datetime.UTC).isoformat()) for seen, body in read]


if __name__ == "__main__":
    known, woo, cases = captured(), HERE / "payloads" / "woocommerce", {}
    known += [("order.updated", path.read_bytes(), "1970-01-01") for path in sorted(woo.glob("order_7*.json"))]
    for path in sorted((woo / "asked").glob("*.json")):  # the order's webhooks up to that answer, then with the answer
        doc = json.loads(path.read_text())
        oid, topic = (str(doc["order"]["id"]), "asked/order") if "order" in doc else (doc["id"], "asked/gone")
        hooks = [d for d in known if (f := normal_form(d[1], d[0])) and f["id"] == oid and f["updated_at"] <= doc["at"]]
        for name, some in (("webhooks", hooks), ("asked", [*hooks, (topic, path.read_bytes(), doc["at"])])):
            form = max(filter(None, (normal_form(body, t) for t, body, _ in some)), key=rank)
            cases.setdefault(path.stem, {})[name] = {"form": form, "books": books(some, "10")[oid]}
    text = json.dumps(books(captured(), "10") | {"asked": cases}, indent=1, ensure_ascii=False) + "\n"
    (HERE / "woocommerce_expected.json").write_text(text) if "--write" in sys.argv[1:] else print(text, end="")
