"""What every shop promises, whatever bytes it is given: one contract suite over all shops there are.

The fuzzing is seeded; a failure prints the seed and the bytes, which is all it takes to see it again.
"""

import base64
import hmac
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from plugin import shops
from plugin.domain.order import read_order, read_state, state_of
from plugin.errors import BadRequest, BadSignature, Malformed
from plugin.shops import generic
from plugin.shops.base import Headers, Shop

PAYLOADS = Path(__file__).parent / "payloads"
NOW = 1_795_320_000
SECOND = 1_000_000
ROUNDS = 3_000
GENERIC_ORDER = {
    "id": "1001",
    "number": "#1001",
    "updated_at": "2026-11-01T10:00:00Z",
    "placed_at": "2026-11-01T09:00:00+08:00",
    "paid_at": "2026-11-01T10:00:00.5Z",
    "currency": "USD",
    "status": "open",
    "payment": "paid",
    "test": False,
    "customer": {"id": "c-7", "email": "B.u.yer+x@Example.org", "orders_before": 0},
    "lines": [
        {"id": "l1", "product_id": "p1", "sku": "S", "quantity": 2, "amount": "20.00", "tax": "1.00",
         "collections": ["shoes"]},
        {"id": "l2", "quantity": 1, "amount": "5.5"},
    ],
    "shipping": {"amount": "5.00", "tax": "0.00"},
    "total": "31.50",
    "refunds": [
        {"id": "r1", "at": "2026-11-02T10:00:00Z", "shipping": "0.00", "amount": "10.50",
         "lines": [{"line_id": "l1", "quantity": 1, "amount": "10.00", "tax": "0.50"}]}
    ],
    "codes": ["ALICE10"],
    "attributes": {"_pa": "a,b", "utm_content": "c"},
    "landing_url": "https://shop.example.com/?pa=d&utm_content=e",
    "referrer_url": None,
}  # fmt: skip

Good = tuple[dict[str, str], bytes, str, str]  # headers, body, secret, topic


def generic_deliveries() -> list[Good]:
    """Return a good delivery of the generic shop."""
    secret, body = generic.SHOP.new_secret(), json.dumps({"type": "order", "data": GENERIC_ORDER}).encode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW)}
    headers["webhook-signature"] = generic.sign(secret, "msg_1", NOW, body)
    return [(headers, body, secret, "order")]


def woocommerce_deliveries() -> list[Good]:
    """Return the captured deliveries that carry a signature."""
    folder = PAYLOADS / "woocommerce" / "captured"
    secret, found = (folder / "secret.txt").read_text().strip(), []
    for path in sorted(folder.glob("*.headers.json")):
        headers = {name.lower(): value for name, value in json.loads(path.read_text())["headers"]}
        body = path.with_name(path.name.replace(".headers.", ".body.")).read_bytes()
        if "x-wc-webhook-signature" in headers:
            found.append((headers, body, secret, headers["x-wc-webhook-topic"]))
    return found


def shopify_deliveries() -> list[Good]:
    """Return the signed sample, and the others signed with its secret."""
    folder, found = PAYLOADS / "shopify", []
    sealed = json.loads((folder / "composed" / "shopify_signed_order.json").read_text())
    own = {name.lower(): value for name, value in sealed["headers"].items()}
    bodies = {"orders/create": [sealed["body"].encode()]}
    bodies["orders/updated"] = [path.read_bytes() for path in sorted(folder.glob("captured_order_*.json"))]
    bodies["refunds/create"] = [path.read_bytes() for path in sorted(folder.glob("composed/shopify_refund_*.json"))]
    for topic, several in bodies.items():
        for body in several:
            digest = base64.b64encode(hmac.digest(sealed["secret"].encode(), body, "sha256")).decode()
            headers = own | {"x-shopify-topic": topic, "x-shopify-hmac-sha256": digest}
            found.append((headers, body, sealed["secret"], topic))
    return found


# A new shop adds a line here: good deliveries to start from.
DELIVERIES: dict[str, Callable[[], list[Good]]] = {
    "generic": generic_deliveries,
    "shopify": shopify_deliveries,
    "woocommerce": woocommerce_deliveries,
}


@cache
def good(name: str) -> list[Good]:
    """Return good deliveries of a shop."""
    return DELIVERIES[name]()


@pytest.fixture(params=shops.names())
def shop(request: pytest.FixtureRequest) -> Shop:
    """Give each shop there is."""
    return shops.get(request.param)


def holds(shop: Shop, headers: Headers, body: bytes, secrets: list[str], now: int = NOW) -> bool:
    """Tell whether a signature holds; any error but BadSignature fails the test."""
    try:
        shop.verify(headers, body, secrets, now * SECOND)
    except BadSignature:
        return False
    return True


def understood(shop: Shop, topic: str, body: bytes) -> bool:
    """Read a body as the worker does; any error but Malformed fails the test. What is understood is kept unchanged."""
    try:
        for order in shop.parse(topic, body).orders:
            state = state_of(read_order(order, lambda email: f"hash of {len(email)}"))
            assert read_state(state.text).text == state.text
    except Malformed as error:
        assert error.message.strip()
        return False
    return True


# -- changed at random -------------------------------------------------------------------------------------------------

STRANGE_TEXTS = (
    "", " ", "\0", "é", "\udcff", "\ud800", "0", "-1", "1e3", "1E400", "NaN", "Infinity", "0x10", "٣", "1.", ".5",
    "1,0", "+1", "1_0", "00", "9" * 400, "x" * 100_000, "2026-13-01T00:00:00Z", "0000-00-00T00:00:00", "2026-11-01",
    "T", "🎁", "0001-01-01T00:00:00", "9999-12-31T23:59:59", "2026-11-01T10:00:00+23:59", "2026-W01-1", "İ",
    "a\rb\nc", "%s{0}",
)  # fmt: skip
STRANGE_VALUES: tuple[Any, ...] = (
    *STRANGE_TEXTS, None, True, False, 0, -1, 1, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, [], {}, [[]], [None], [{}],
    {"": None}, ["x", 1], {"id": {}}, [[[[[[[[]]]]]]]],
)  # fmt: skip


def with_strange_header(chance: random.Random, headers: dict[str, str]) -> dict[str, str]:
    """Return headers of which one or two are changed, gone or strange."""
    changed = dict(headers)
    for _ in range(chance.randint(1, 2)):
        name = chance.choice(sorted(changed) or ["webhook-id"])
        value = changed.get(name, "")
        place = chance.randrange(len(value) + 1)
        match chance.randrange(6):
            case 0:
                changed.pop(name, None)
            case 1:
                changed[name] = chance.choice(STRANGE_TEXTS)
            case 2:
                changed[name] = value[:place] + chance.choice(STRANGE_TEXTS) + value[place:]
            case 3:
                changed[name] = value[:place] + chr(chance.randrange(256)) + value[place + 1 :]
            case 4:
                changed[name] = chance.choice((" ", ",", "v1,", ", ")).join([value] * chance.randint(2, 40))
            case 5:
                changed[name] = base64.b64encode(chance.randbytes(chance.randrange(48))).decode()
    return changed


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) of a JSON document."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from places(node[key])


def with_strange_value(chance: random.Random, body: bytes) -> bytes:
    """Return a JSON body of which some values are gone, doubled or strange."""
    data = json.loads(body)
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(list(places(data)) or [([None], 0)])
        if isinstance(container, dict) and chance.random() < 0.2:
            del container[key]
        elif isinstance(container, list) and chance.random() < 0.2:
            container.append(deepcopy(container[key]))
        else:
            container[key] = deepcopy(chance.choice(STRANGE_VALUES))
    return json.dumps(data).encode()


def with_strange_bytes(chance: random.Random, body: bytes) -> bytes:
    """Return a body with bytes changed, cut out, doubled or put in."""
    changed = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(changed) + 1)
        end = min(len(changed), start + chance.choice((0, 1, 1, 2, 40)))
        changed[start:end] = chance.choice((b"", chance.randbytes(2), changed[start:end] * 2, b"[" * 9, b'"', b"\0"))
    return bytes(changed)


# -- the contract ------------------------------------------------------------------------------------------------------


def test_every_shop_has_good_deliveries_to_start_from() -> None:
    assert sorted(DELIVERIES) == shops.names()


def test_a_good_delivery_holds_with_any_of_the_secrets_and_with_no_other(shop: Shop) -> None:
    other = shop.new_secret()
    for headers, body, secret, topic in good(shop.name):
        assert holds(shop, headers, body, [secret]) and holds(shop, headers, body, [other, secret, other])
        assert not holds(shop, headers, body, [other]) and not holds(shop, headers, body, [])
        assert understood(shop, topic, body)


def test_a_changed_body_never_holds(shop: Shop) -> None:
    for headers, body, secret, _ in good(shop.name)[:3]:
        for place in range(0, len(body), 7):
            changed = body[:place] + bytes([body[place] ^ (1 << place % 8)]) + body[place + 1 :]
            assert not holds(shop, headers, changed, [secret])
        for changed in (b"", body[:-1], body + b" ", body + b"\n", b" " + body, body.upper()):
            assert not holds(shop, headers, changed, [secret])


def test_whatever_the_headers_are_verify_raises_bad_signature_and_nothing_else(shop: Shop) -> None:
    held = 0
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        headers, body, secret, _ = chance.choice(good(shop.name))
        changed = with_strange_header(chance, headers)
        held += holds(shop, changed, body, [secret, shop.new_secret()])
        shop.label(changed)
        shop.is_ping(changed, body)
    assert held < ROUNDS  # a header that is not signed may be anything; one that is must break it


def test_a_header_of_a_megabyte_is_refused_like_any_other(shop: Shop) -> None:
    for headers, body, secret, _ in good(shop.name)[:1]:
        for name in headers:
            if "signature" in name:
                for long in ("x" * 2**20, " " * 2**20, "v1," * 2**18, ",".join([headers[name]] * 2**14)):
                    assert not holds(shop, headers | {name: long}, body, [secret])


@pytest.mark.parametrize("change", [with_strange_value, with_strange_bytes])
def test_whatever_the_body_is_parse_raises_malformed_and_nothing_else(
    shop: Shop, change: Callable[[random.Random, bytes], bytes]
) -> None:
    outcomes = {True: 0, False: 0}
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        _, body, _, topic = chance.choice(good(shop.name))
        changed = change(chance, body)
        try:
            outcomes[understood(shop, topic, changed)] += 1
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}; topic {topic!r}, body {changed!r}")
    assert min(outcomes.values()) > ROUNDS / 50, outcomes  # else the changes are too tame or too wild to say anything


def test_a_strange_topic_is_no_fault_of_parse(shop: Shop) -> None:
    for topic in (*STRANGE_TEXTS, "order.", "order.unknown", "product.updated", "order.deleted\0"):
        for _, body, _, _ in good(shop.name):
            understood(shop, topic, body)


def test_new_secrets_are_long_pass_the_shop_s_own_check_and_differ(shop: Shop) -> None:
    made = {shop.new_secret() for _ in range(50)}
    assert len(made) == 50
    for secret in made:
        shop.check_secret(secret)
        assert len(secret) >= 32
    for secret in ("", " ", "\n", "x", "short", "\0" * 40):
        with pytest.raises(BadRequest):
            shop.check_secret(secret)


def test_the_independent_reading_of_woocommerce_prints_what_is_kept() -> None:
    """woocommerce_expected.json is the program's own output, or nothing that is compared with it means anything."""
    program = PAYLOADS.parent / "woocommerce_reading.py"
    printed = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True).stdout
    assert printed == (PAYLOADS.parent / "woocommerce_expected.json").read_text()
