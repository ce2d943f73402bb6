"""Makes the data of the contract suite for the shops that have samples: `--write` keeps it in contract/*.json.

It knows nothing of the product: bodies are the captured and composed samples, signatures are made by the published
library or as the vendor's page says, and every figure is one of an independent reading (shopify_reading.py,
woocommerce_reading.py, ../second_reading.py). So what the suite expects is never our own output. A shop without such
readings needs no program at all: its file may be written by hand.
"""

import base64
import gzip
import hmac
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import second_reading  # noqa: E402
import shopify_cases  # noqa: E402
import shopify_reading  # noqa: E402
import standardwebhooks  # noqa: E402
import woocommerce_reading  # noqa: E402

AT, A_DAY_LATER = "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"
Data = dict[str, Any]
Sign = Callable[[str, str, bytes, str], Data]  # (topic, delivery id, body, at) -> headers
DEEP = "payloads/ten_thousand_deep.txt"
# Bodies that no shop understands, whatever its platform.
NONSENSE: dict[str, bytes] = {
    "no json": b"hello",
    "empty": b"",
    "not utf-8": b'{"id": "\xff\xfe"}',
    "a list": b"[]",
    "another shape": b'{"api": "next", "order": {"total": "1e3"}}',
    "a key twice": b'{"id": "a", "id": "a"}',
    "nan": b'{"id": NaN}',
    "infinity": b'{"id": -Infinity}',
    "a lone surrogate": rb'{"id": "\ud800"}',
    "a number of ten thousand digits": b'{"id": ' + b"9" * 10_000 + b"}",
    "ten thousand deep": b"[" * 10_000 + b"]" * 10_000,
    "gzip": gzip.compress(b"{}", mtime=0),
}


def load(name: str) -> Any:
    return json.loads((HERE / name).read_text())


def compact(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":"), default=str).encode()


def body_of(raw: bytes) -> Any:
    """Return how bytes stand in the file: as a text where they are one."""
    if raw == NONSENSE["ten thousand deep"]:
        return {"file": DEEP}
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def raw_of(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else (HERE / body["file"]).read_bytes()


def says(**told: Any) -> Data:
    return {"orders": [], "deleted": [], "asks": [], "request": None} | told


def nonsense(sign: Sign, topic: str, good: Data, changes: Mapping[str, Data], wrap: Callable[[Data], Data]) -> Data:
    """Return deliveries that are signed and understood by nobody: the usual ones, and a good order spoiled."""
    found = {}
    spoiled = {name: compact(wrap(good | change)) for name, change in changes.items()}
    unread = compact(wrap(good | {"nobody_reads_this": 1}))
    spoiled["nan where nobody reads"] = unread.replace(b'"nobody_reads_this":1', b'"nobody_reads_this":NaN')
    for name, raw in {**NONSENSE, **spoiled}.items():
        found[f"nonsense: {name}"] = {"topic": topic, "headers": sign(topic, name, raw, AT), "body": body_of(raw)}
    return found


def amount(minor: int, currency: str) -> str:
    digits = shopify_reading.DIGITS.get(currency, 2)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def total(amounts: Iterable[str], currency: str) -> str:
    return f"{sum(map(Decimal, amounts), Decimal(0)):.{shopify_reading.DIGITS.get(currency, 2)}f}"


# -- the generic shop --------------------------------------------------------------------------------------------------

GENERIC_SECRET = "whsec_" + base64.b64encode(b"the generic shop signs with this").decode()
PAID: Data = {
    "id": "1001",
    "number": "#1001",
    "updated_at": "2026-11-01T10:00:00Z",
    "placed_at": "2026-11-01T17:00:00+08:00",
    "paid_at": "2026-11-01T10:00:00.5Z",
    "currency": "USD",
    "status": "open",
    "payment": "paid",
    "test": False,
    "customer": {"id": "c-7", "email": "B.u.yer+x@Example.org", "orders_before": 0},
    "lines": [
        {"id": "l1", "product_id": "p1", "sku": "S", "quantity": 2, "amount": "20.00", "tax": "1.00",
         "collections": ["shoes"]},
        {"id": "l2", "quantity": 1, "amount": "5.55"},
    ],
    "shipping": {"amount": "5.00", "tax": "0.00"},
    "total": "31.55",
    "refunds": [],
    "codes": ["ALICE10"],
    "attributes": {"_pa": "a,b", "utm_content": "c"},
    "landing_url": "https://shop.example.com/?pa=d&utm_content=e",
    "referrer_url": None,
}  # fmt: skip
FIRST = {"id": "r1", "at": "2026-11-02T10:00:00Z", "shipping": "0.00", "amount": "10.50",
         "lines": [{"line_id": "l1", "quantity": 1, "amount": "10.00", "tax": "0.50"}]}  # fmt: skip
REST = {"id": "r2", "amount": "7.07"}
PLAN = {"commission": {"default": {"percent": "10"}}}
DECISION = dict.fromkeys(("group", "channel", "campaign", "upline", "buyer")) | {"winner": True}
GENERIC_STORIES: dict[str, list[Data]] = {
    "paid, a line given back, then money": [
        PAID,
        PAID | {"updated_at": "2026-11-02T10:00:00Z", "refunds": [FIRST]},
        PAID | {"updated_at": "2026-11-03T10:00:00Z", "refunds": [FIRST, REST]},
        PAID | {"updated_at": "2026-11-04T10:00:00Z", "refunds": [REST]},  # the first was taken back
    ],
    "unpaid, paid, charged back": [
        PAID | {"payment": "unpaid", "paid_at": None, "updated_at": "2026-11-01T09:00:00Z"},
        PAID,
        PAID | {"payment": "chargeback", "updated_at": "2026-11-20T10:00:00Z"},
    ],
    "edited, then cancelled in the same second": [
        PAID | {"updated_at": "2026-11-05T00:00:00Z", "lines": [PAID["lines"][1] | {"amount": "1.05"}]},
        PAID | {"updated_at": "2026-11-05T00:00:00Z", "status": "cancelled"},
    ],
    "dollars of Taiwan, half a dollar to the even one": [
        PAID | {"currency": "TWD", "lines": [{"id": "l1", "quantity": 1, "amount": "1805"}]},
        PAID | {"currency": "TWD", "updated_at": "2026-11-02T00:00:00Z", "refunds": [{"id": "r1", "amount": "20"}],
                "lines": [{"id": "l1", "quantity": 1, "amount": "1805"}]},
    ],
}  # fmt: skip


def sign_generic(topic: str, name: str, body: bytes, at: str) -> Data:
    when = datetime.fromisoformat(at).astimezone(UTC)
    stamp = int(when.timestamp())
    try:
        signature = standardwebhooks.Webhook(GENERIC_SECRET).sign(name, when, body.decode())
    except UnicodeDecodeError:  # the published library signs texts alone
        key, signed = base64.b64decode(GENERIC_SECRET.removeprefix("whsec_")), f"{name}.{stamp}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {"Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": str(stamp),
            "webhook-signature": signature}  # fmt: skip


def generic() -> Data:
    deliveries, stories = {}, []
    for number, (name, states) in enumerate(GENERIC_STORIES.items(), 1):
        arrive = []
        for index, state in enumerate(states, 1):
            own, raw = f"{number}.{index}", compact({"type": "order", "data": state})
            arrive.append(own)
            deliveries[own] = {"topic": "order", "headers": sign_generic("order", own, raw, AT), "body": raw.decode(),
                               "says": says(orders=["1001"])}  # fmt: skip
        found = second_reading.reckon(states, DECISION, PLAN)
        now, direct = states[found["now"]], found["commissions"]["direct"]
        stories.append({"name": name, "arrive": arrive, "expected": {"1001": {
            "currency": now["currency"], "status": now["status"], "payment": now["payment"], "net": found["net"],
            "direct": direct["amount"], "earned": direct["earned"], "refunded": found["refunded"],
            "flags": found["flags"]}}})  # fmt: skip
    raw = compact({"type": "order", "data": PAID})
    deliveries["late"] = {"topic": "order", "headers": sign_generic("order", "late", raw, A_DAY_LATER),
                          "body": raw.decode(), "at": A_DAY_LATER, "says": says(orders=["1001"])}  # fmt: skip
    spoiled = {"an exponent": {"total": "1e3"}, "a number for an amount": {"total": 100.0}, "a sign": {"total": "-1"},
               "an unknown currency": {"currency": "XXX"}, "a currency in lower case": {"currency": "usd"},
               "a time without a zone": {"placed_at": "2026-11-01T10:00:00"}, "no placed_at": {"placed_at": None},
               "a nul": {"number": "a\0b"}, "a surrogate in it": {"number": "\ud800"}}  # fmt: skip
    wrong = nonsense(sign_generic, "order", PAID, spoiled, lambda order: {"type": "order", "data": order})
    return {"url": "https://shop.example.com", "secret": GENERIC_SECRET, "at": AT, "topics": ["order"],
            "deliveries": deliveries | wrong, "nonsense": list(wrong), "late": ["1.1", "1.3", "late"],
            "stories": stories}  # fmt: skip


# -- WooCommerce -------------------------------------------------------------------------------------------------------

WOO = "payloads/woocommerce"
WOO_SECRET = (HERE / WOO / "captured" / "secret.txt").read_text().strip()
LEFT_OUT = {"Host", "Accept", "Accept-Encoding", "Connection", "Content-Length"}
COUPON = "friend-mei10"


def sign_woo(topic: str, name: str, body: bytes, at: str) -> Data:
    digest = base64.b64encode(hmac.digest(WOO_SECRET.encode(), body, "sha256")).decode()
    return {"Content-Type": "application/json", "X-WC-Webhook-Topic": topic, "X-WC-Webhook-Delivery-ID": name,
            "X-WC-Webhook-Signature": digest}  # fmt: skip


def woo_says(topic: str, raw: bytes) -> Data:
    form = woocommerce_reading.normal_form(raw, topic)
    if form is not None:
        return says(orders=[form["id"]], asks=[form["id"]] if form["refunds"] else [])
    doc = json.loads(raw)
    return says(deleted=[str(doc["id"])], asks=[str(doc["id"])]) if topic == "order.deleted" else says()


def woo_expected(order: Data) -> Data:
    names = ("currency", "status", "payment", "paid_at", "lines", "net", "direct", "earned", "flags")
    found = {name: order[name] for name in names}
    found["refunded"] = total((given for _, given in order["refunds"]), order["currency"])
    return found


def woocommerce() -> Data:
    expected, deliveries, pings = load("woocommerce_expected.json"), {}, {}
    expected.pop("asked")
    for path in sorted((HERE / WOO / "captured").glob("*.headers.json")):
        name = path.name.removesuffix(".headers.json")
        headers = {key: value for key, value in json.loads(path.read_text())["headers"] if key not in LEFT_OUT}
        topic, body = headers.get("X-WC-Webhook-Topic", ""), {"file": f"{WOO}/captured/{name}.body.json"}
        one = {"topic": topic, "headers": headers, "body": body}
        if topic:
            deliveries[name] = one | {"says": woo_says(topic, raw_of(body))}
        else:
            pings[name] = one
    arrive, paid = list(deliveries), deliveries["04-order-updated-paid"]
    bought = {ref: woo_expected(order) for ref, order in expected.items()}
    for ref in ("26", "41"):
        bought[ref]["reason"] = "coupon"
    again = paid["headers"] | {"X-WC-Webhook-Delivery-ID": "late"}
    late = {"late": paid | {"headers": again, "at": A_DAY_LATER}}
    force = compact({"action": "woocommerce_before_delete_order", "arg": 41})
    topic = "action.woocommerce_before_delete_order"
    late["deleted for good"] = {"topic": topic, "headers": sign_woo(topic, "force", force, AT), "body": force.decode(),
                                "says": says(deleted=["41"], asks=["41"])}  # fmt: skip
    order = json.loads((HERE / WOO / "captured" / "18-order-updated-late-already-refunded.body.json").read_text())
    spoiled = {"an exponent": {"total": "1e3"}, "a number for an amount": {"total": 49.5},
               "an unknown currency": {"currency": "XXX"}, "a time with a zone": {"date_created_gmt": AT},
               "no status": {"status": None}, "no refunds": {"refunds": None}, "a nul": {"number": "a\0b"},
               "a surrogate in it": {"number": "\ud800"}}  # fmt: skip
    wrong = nonsense(sign_woo, "order.updated", order, spoiled, lambda one: one)
    answers = {}
    for path in sorted((HERE / WOO / "asked").glob("*.json")):
        kind = "asked/order" if "order" in json.loads(path.read_text()) else "asked/gone"
        answers[path.stem] = {"topic": kind, "body": {"file": f"{WOO}/asked/{path.name}"}}
    answers["listed"] = {"topic": "asked/listed", "body": compact({"order": order}).decode()}
    topics = sorted({one["topic"] for one in deliveries.values()} | {topic})
    return {"url": "http://127.0.0.1:8071", "secret": WOO_SECRET, "at": AT, "topics": topics,
            "deliveries": deliveries | late | wrong, "pings": pings, "answers": answers, "nonsense": list(wrong),
            "late": ["04-order-updated-paid", "07-order-updated-full-refund", "late"],
            "unasked": ["15-order-deleted-trashed"],
            "stories": [{"name": "captured", "codes": [COUPON], "arrive": arrive, "expected": bought}]}  # fmt: skip


# -- Shopify -----------------------------------------------------------------------------------------------------------

SHOPIFY = "payloads/shopify"
SEALED = load(f"{SHOPIFY}/composed/shopify_signed_order.json")
# Our names of what the reading flags; we also flag a line of which more was given back than it cost.
FLAGS = {"refund_less_than_its_parts": "refund_amount_below_parts", "refund_exceeds_order": "refund_exceeds_order",
         "refund_of_unknown_line": "refund_unknown_line"}  # fmt: skip
REQUESTS = {"app/uninstalled": "leave", "customers/data_request": "tell", "customers/redact": "erase",
            "shop/redact": "erase_shop"}  # fmt: skip


def sign_shopify(topic: str, name: str, body: bytes, at: str) -> Data:
    digest = base64.b64encode(hmac.digest(SEALED["secret"].encode(), body, "sha256")).decode()
    return {"Content-Type": "application/json", "X-Shopify-Topic": topic, "X-Shopify-Hmac-Sha256": digest,
            "X-Shopify-Shop-Domain": "composed-shop.myshopify.com", "X-Shopify-Webhook-Id": name}  # fmt: skip


def shopify_states() -> dict[str, list[Data]]:
    """Return the states of each story as bodies, made anew by the reading's own program; it must end as is kept."""
    made: list[list[Data]] = []
    original = shopify_cases.sequence
    shopify_cases.sequence = lambda how, *docs: made.append(list(docs)) or original(how, *docs)
    everything = json.loads(json.dumps(shopify_cases.everything(), default=str))
    if everything != load("shopify_expected.json"):
        raise SystemExit("shopify_expected.json is not what shopify_cases.py prints: run it with --write.")
    return dict(zip(everything["sequences"], made, strict=True))


def shopify_samples() -> Data:
    """Return the samples that came, or could come, as deliveries."""
    found = {}
    for name, file in load("shopify_expected.json")["files"].items():
        topic = file.get("topic")
        if topic in (None, "rest") or name.endswith("signed_order.json"):
            continue
        body = {"file": f"{SHOPIFY}/{name}"}
        orders = [file["order"]["id"]] if file["order"] else []
        told = says(orders=orders, asks=[file["ask"]] if file.get("ask") else [], request=REQUESTS.get(topic))
        found[name] = {"topic": topic, "headers": sign_shopify(topic, name, raw_of(body), AT), "body": body,
                       "says": told}  # fmt: skip
    sealed = {"topic": "orders/create", "headers": SEALED["headers"], "body": SEALED["body"]}
    gone = compact({"id": 7_000_000_000_001})
    deleted = {"topic": "orders/delete", "headers": sign_shopify("orders/delete", "deleted", gone, AT),
               "body": gone.decode(), "says": says(deleted=["7000000000001"], asks=["7000000000001"])}  # fmt: skip
    return found | {"signed": sealed | {"says": says(orders=["6134457074006"])}, "deleted": deleted}


def shopify_answers(order: Data) -> Data:
    found = {}
    for name, file in load("shopify_expected.json")["files"].items():
        if file.get("topic") == "rest":
            doc = json.loads((HERE / SHOPIFY / name).read_text(), parse_float=Decimal)
            body = compact(doc["orders"][0]).decode() if "orders" in doc else {"file": f"{SHOPIFY}/{name}"}
            found[name] = {"topic": "asked/order", "body": body}
    found["gone"] = {"topic": "asked/gone", "body": compact({"at": AT, "id": "7000000000001"}).decode()}
    return found | {"listed": {"topic": "asked/listed", "body": compact({"order": order}).decode()}}


def shopify() -> Data:
    expected, deliveries, stories = load("shopify_expected.json")["sequences"], shopify_samples(), []
    bodies: dict[bytes, str] = {}
    for name, states in shopify_states().items():
        now, minor = expected[name]["now"]["order"], expected[name]["now"]["minor"]
        for number, state in enumerate(states, 1):
            raw = compact(state)
            if bodies.setdefault(raw, f"{name} {number}") == f"{name} {number}":
                deliveries[bodies[raw]] = {
                    "topic": "orders/updated", "headers": sign_shopify("orders/updated", bodies[raw], raw, AT),
                    "body": raw.decode(), "says": says(orders=[now["id"]]),
                }  # fmt: skip
        figures = {key: amount(minor[key], minor["currency"]) for key in ("net", "direct", "earned")}
        figures |= {"currency": minor["currency"], "status": now["status"], "payment": now["payment"],
                    "refunded": total((one["amount"] for one in now["refunds"]), minor["currency"]),
                    "flags_at_least": [FLAGS[flag] for flag in minor["flags"]]}  # fmt: skip
        stories.append({"name": name, "arrive": [bodies[compact(state)] for state in states],
                        "expected": {now["id"]: figures}})  # fmt: skip
    told = "multicurrency_then_two_refunds"
    paid = deliveries[f"{told} 1"]
    again = paid["headers"] | {"X-Shopify-Webhook-Id": "late"}
    order = json.loads(paid["body"])
    spoiled = {"an exponent": {"total_price": "1e3", "total_price_set": None},
               "an unknown currency": {"currency": "XXX"},
               "no financial_status": {"financial_status": None}, "a new financial_status": {"financial_status": "x"},
               "a time without a zone": {"created_at": "2024-06-24T13:55:18"}, "no lines": {"line_items": None},
               "a nul": {"name": "a\0b"}, "a surrogate in it": {"name": "\ud800"}}  # fmt: skip
    wrong = nonsense(sign_shopify, "orders/updated", order, spoiled, lambda one: one)
    unasked = [name for name, one in deliveries.items() if one["says"]["asks"]]
    return {"url": "https://composed-shop.myshopify.com", "secret": SEALED["secret"], "at": AT,
            "topics": sorted({one["topic"] for one in deliveries.values()}),
            "deliveries": deliveries | {"late": paid | {"headers": again, "at": A_DAY_LATER}} | wrong,
            "answers": shopify_answers(order), "nonsense": list(wrong), "late": [f"{told} 1", f"{told} 3", "late"],
            "unasked": unasked, "another_shop": {"X-Shopify-Shop-Domain": "other.myshopify.com"},
            "stories": stories}  # fmt: skip


def files() -> dict[str, str]:
    """Return the files by their names, as they shall stand beside this one."""
    made = {made.__name__: made() for made in (generic, shopify, woocommerce)}
    found = {f"contract/{name}.json": json.dumps(data, indent=1) + "\n" for name, data in made.items()}
    return found | {DEEP: NONSENSE["ten thousand deep"].decode()}


if __name__ == "__main__":
    for path, text in files().items():
        if "--write" in sys.argv[1:]:
            (HERE / path).write_text(text)
        elif (HERE / path).read_text() != text:
            raise SystemExit(f"{path} is not what is made here: run this with --write, and look at what changed.")
