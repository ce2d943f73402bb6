"""Puts every Shopify sample, and states made from them, through shopify_reading.py: `--write` keeps shopify_expected.json."""
import hashlib, itertools, json, pathlib, sys
from datetime import datetime
from decimal import Decimal
from shopify_reading import earnings, pairs, read

HERE = pathlib.Path(__file__).parent
CONTRACTS = HERE / "payloads" / "shopify"
TOPICS = {"webhook_order_transactions_create": "order_transactions/create", "webhook_app_uninstalled": "app/uninstalled",
          "webhook_customers_data_request": "customers/data_request", "webhook_customers_redact": "customers/redact",
          "webhook_shop_redact": "shop/redact", "webhook_refunds_create": "refunds/create",
          "webhook_orders_create": "orders/create", "webhook_orders_paid": "orders/paid", "webhook_orders_updated": "orders/updated",
          "webhook_orders_cancelled": "orders/cancelled", "webhook_orders_edited": "orders/edited", "fixture_order": "rest",
          "captured_order_5324790137142": "orders/cancelled", "captured_order_6134457074006": "orders/create",
          "shopify_order_": "orders/create", "shopify_refund_": "refunds/create",
          "rest_refund_created": "refunds/create", "rest_order": "rest"}
UNUSED = {"fixture_webhook_object": "a webhook registration, no order", "rest_webhooks_list": "webhook registrations, no order",
          "headers_orders_create": "request headers without their body", "signature_vectors": "signatures over texts that are no orders",
          "rest_transactions_list": "transactions only: no order is read from them (they may confirm what was paid)",
          "rest_refunds_list": "refunds without their order: see the state made with it"}
A, B = "", "composed/shopify_"
PART, EUR, LIVE = A + "rest_order_450789469_partially_refunded_discount_noteattr.json", A + "rest_order_1073459976_paid_eur_tax_on_top.json", \
    A + "webhook_orders_paid.json"
GONE, MULTI = A + "captured_order_5324790137142_cancelled_fully_refunded.json", B + "order_multicurrency_noteattr_discount.json"
R1, R2 = B + "refund_multicurrency_partial_line1.json", B + "refund_multicurrency_rest.json"


def load(name):
    doc = json.loads((CONTRACTS / name).read_text(), parse_float=Decimal)
    return doc.get("order") or doc.get("refund") or (doc.get("orders") or [doc])[0]


def state(name, *refunds, **changes):
    """The sample's order with these refunds added and these top-level fields replaced."""
    doc = load(name) | changes
    doc["refunds"] = (doc.get("refunds") or []) + [load(r) if isinstance(r, str) else r for r in refunds]
    return doc


def one(doc, topic="rest"):
    return read(json.dumps(doc, default=str).encode(), topic)[0][0]  # Decimals become strings: both are allowed


def rank(form):
    """The order of states in section 5. The product hashes the e-mail first, so its last tie-break may differ."""
    canonical = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (datetime.fromisoformat(form["updated_at"]), form["status"] == "cancelled", ("unpaid", "paid", "voided").index(form["payment"]),
            sum(Decimal(r["amount"]) for r in form["refunds"]), hashlib.sha256(canonical.encode()).hexdigest())


def shown(form):
    return {"order": form, "minor": earnings(form, "10")}


def sequence(how, *docs):
    forms = [one(doc) for doc in docs]
    ends = {json.dumps(max(order, key=rank)) for order in itertools.permutations(forms + forms[:1])}
    assert len(ends) == 1  # whatever the order of arrival, duplicates too
    return {"made_of": how, "each_state": [earnings(form, "10") for form in forms], "now": shown(max(forms, key=rank))}


def lines(name, **changes):
    return [row | {k: f(row) for k, f in changes.items()} for row in load(name)["line_items"]]


def file(path, name):
    stem = path.stem
    if why := next((why for start, why in UNUSED.items() if stem.startswith(start)), None):
        return {"unused": why}
    if stem == "line_item_properties_shapes":
        return {"pairs": {k: pairs(v.get("properties")) for k, v in load(name).items() if "raw_text_not_valid_json" not in v}}
    if stem == "shopify_signed_order":
        sealed = load(name)
        body, topic = sealed["body"].encode(), sealed["headers"]["X-Shopify-Topic"]
    else:
        body, topic = path.read_bytes(), next(topic for start, topic in TOPICS.items() if stem.startswith(start))
    forms, ask = read(body, topic)
    return {"topic": topic} | (shown(forms[0]) if forms else {"order": None, "ask": ask})


def everything():
    paths = [*sorted(CONTRACTS.glob("*.json")), *sorted((CONTRACTS / "composed").glob("*.json"))]
    files = {name: file(path, name) for path in paths for name in [str(path.relative_to(CONTRACTS))]}
    third = {"id": 1, "created_at": "2025-07-05T00:00:00Z", "transactions": [
        {"kind": "refund", "status": "success", "amount": "74.99", "currency": "EUR"},
        {"kind": "refund", "status": "failure", "amount": "9"}],
        "refund_line_items": [{"line_item_id": 1071823188, "quantity": 1, "subtotal": Decimal("74.99"), "total_tax": Decimal("4.50")}]}
    freight = {"id": 2, "created_at": "2025-07-06T00:00:00Z", "order_adjustments": [
        {"kind": "shipping_refund", "amount": "-5.00", "tax_amount": "-0.50"}], "refund_shipping_lines": [
        {"subtotal_amount_set": {"shop_money": {"amount": "5.00", "currency_code": "EUR"}},
         "tax_amount_set": {"shop_money": {"amount": "0.50", "currency_code": "EUR"}}}], "transactions": []}
    way = {"price": "10.00", "tax_lines": [{"price": "1.00"}], "discount_allocations": [{"amount": "2.00"}]}
    goodwill = {"id": 3, "created_at": "2026-07-11T00:00:00Z", "refund_line_items": [], "transactions": [
        {"kind": "refund", "status": "success", "amount": "9.32", "currency": "EUR"}], "order_adjustments": [
        {"kind": "refund_discrepancy", "amount": "-9.32", "amount_set": {"shop_money": {"amount": "-10.00", "currency_code": "USD"}}}]}
    live, freed = {"test": False, "financial_status": "paid", "cancelled_at": None}, load(GONE)["discount_applications"]
    names = [A + f"rest_order_450789469_{x}.json"
             for x in ("partially_refunded_discount_noteattr", "authorized", "cancelled_no_new_refund")]
    states = {
        "multicurrency_then_two_refunds": sequence([MULTI, R1, R2], state(MULTI), state(MULTI, R1, financial_status="partially_refunded"),
                                                   state(MULTI, R1, R2, financial_status="refunded")),
        "multicurrency_then_goodwill_in_eur": sequence([MULTI, goodwill], state(MULTI), state(MULTI, goodwill)),
        "order_450789469_three_states": sequence(names, *map(state, names)),
        "order_450789469_then_refund_of_money_only": sequence([PART, A + "rest_refund_created_line_item_partial.json"], state(PART),
                                                              state(PART, A + "rest_refund_created_line_item_partial.json")),
        "order_450789469_with_the_refunds_list": sequence([PART, "its refunds replaced by rest_refunds_list.json"], state(
            PART, refunds=load(A + "rest_refunds_list.json")["refunds"])),
        "order_450789469_lines_removed_by_an_edit": sequence([PART, {"refunds": []}], state(PART, refunds=[])),
        "eur_one_of_three_removed_by_an_edit": sequence([EUR, "current_quantity 2 of 3, no refund"], state(EUR), state(
            EUR, updated_at="2025-07-03T00:00:00Z", line_items=lines(EUR, current_quantity=lambda row: 2))),
        "eur_taxes_included_one_refunded": sequence([EUR, {"taxes_included": True}, third], state(EUR, taxes_included=True), state(
            EUR, third, taxes_included=True, line_items=lines(EUR, current_quantity=lambda row: 2))),
        "eur_shipping_with_discount_refunded": sequence([EUR, {"shipping_lines": [way]}, freight], state(EUR, shipping_lines=[way]), state(
            EUR, freight, shipping_lines=[way])),
        "webhook_order_made_live": sequence([LIVE, live], state(LIVE, **live)),
        "webhook_order_made_live_then_refund": sequence([LIVE, live, A + "webhook_refunds_create.json"], state(LIVE, **live), state(
            LIVE, A + "webhook_refunds_create.json", **live)),
        "webhook_order_as_it_is_with_refund": sequence([LIVE, A + "webhook_refunds_create.json"], state(
            LIVE, A + "webhook_refunds_create.json")),
        "captured_order_not_cancelled_not_refunded": sequence([
            GONE, {"cancelled_at": None, "refunds": [], "financial_status": "paid"}], state(
            GONE, cancelled_at=None, refunds=[], financial_status="paid")),
        "captured_order_first_discount_is_for_shipping": sequence([
            GONE, "discount_applications[0].target_type shipping_line, open, paid"], state(
            GONE, cancelled_at=None, refunds=[], financial_status="paid", discount_applications=[
                freed[0] | {"target_type": "shipping_line"}, freed[1]])),
        "tokens_everywhere": sequence([MULTI, "note_attributes an object; properties a list on line 1, an object on line 2"], state(
            MULTI, note_attributes={"_pa": "t1", "pa": "t2", "gift note": "x"}, landing_site="/?pa=t5", line_items=lines(
                MULTI, properties=lambda row: [{"name": "_pa", "value": "t3"}, {"name": 2}] if row["sku"] == "PACH" else {"pa": "t4"})))}
    refused = {}
    dumped = lambda **changes: json.dumps(state(MULTI, **changes), default=str)
    for name, body in {"not_json": b"{", "nan": b'{"id": NaN}', "a_list": b"[]",
                       "no_lines": b'{"id": 1, "currency": "USD", "financial_status": "paid"}',
                       "price_with_exponent": dumped().replace(chr(34) + "45.01" + chr(34), "4E+1").encode(),
                       "impossible_time": dumped(created_at="2024-13-24T13:55:18Z").encode(),
                       "naive_time": dumped(created_at="2024-06-24T13:55:18").encode(),
                       "other_currency": dumped(currency="CAD").encode(),
                       "unknown_financial_status": dumped(financial_status="x").encode()}.items():
        try:
            refused[name] = read(body, "orders/create")[0]
        except ValueError as error:
            refused[name] = str(error)
    return {"files": files, "sequences": states, "refused": refused}


if __name__ == "__main__":
    out = json.dumps(everything(), indent=1, ensure_ascii=False, default=str) + "\n"
    (HERE / "shopify_expected.json").write_text(out) if "--write" in sys.argv[1:] else print(out, end="")
