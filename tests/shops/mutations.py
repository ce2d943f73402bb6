"""Changes at random to deliveries that are good: strange headers, strange values, strange bytes, all of it seeded."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from plugin.domain.order import read_order, read_state, state_of
from plugin.errors import BadSignature, Malformed
from plugin.shops.base import Headers, Shop

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
Change = Callable[[random.Random, bytes], bytes]


def holds(shop: Shop, headers: Headers, body: bytes, secrets: list[str], now: int) -> bool:
    """Tell whether a signature holds; any error but BadSignature is the adapter's fault."""
    try:
        shop.verify(headers, body, secrets, now)
    except BadSignature:
        return False
    return True


def understood(shop: Shop, topic: str, body: bytes) -> bool:
    """Read a body as the worker does; any error but Malformed is a fault. What is understood is kept unchanged."""
    try:
        for order in shop.parse(topic, body).orders:
            state = state_of(read_order(order, lambda email: f"hash of {len(email)}"))
            assert read_state(state.text).text == state.text, "an order does not survive the form that is stored"
    except Malformed as error:
        assert error.message.strip(), "a body was refused without a reason"
        return False
    return True


def with_strange_header(chance: random.Random, headers: Headers) -> dict[str, str]:
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


def noise(chance: random.Random, body: bytes) -> bytes:
    """Return bytes that have nothing to do with the body, or all its bytes in another order of pieces."""
    if chance.random() < 0.5:
        return chance.randbytes(chance.choice((0, 1, 7, 100, 4_000)))
    cut = [body[start : start + 97] for start in range(0, len(body), 97)]
    chance.shuffle(cut)
    return b"".join(cut)


CHANGES: tuple[Change, ...] = (with_strange_value, with_strange_bytes, noise)
