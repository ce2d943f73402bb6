"""The generic shop speaks Standard Webhooks 1.0.0 exactly: the published vectors, and what a body may be."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from plugin.errors import BadRequest, BadSignature, Malformed
from plugin.shops.generic import SHOP, sign

PAYLOADS = Path(__file__).parent / "payloads" / "standard_webhooks"
VECTORS = json.loads((PAYLOADS / "signature_vectors.json").read_text())
ROTATION = json.loads((PAYLOADS / "standard_webhooks_rotation.json").read_text())
EXAMPLE = json.loads((PAYLOADS / "example_headers_and_payloads.json").read_text())
SECOND = 1_000_000
NOW = VECTORS["now"]
BODY, HEADERS, SECRET = VECTORS["body"].encode(), VECTORS["headers"], VECTORS["secret"]


def holds(headers: dict[str, str], body: bytes, secret: str, now: int) -> bool:
    """Tell whether the signature holds at a time in seconds; any error but BadSignature fails the test."""
    try:
        SHOP.verify(headers, body, [secret], now * SECOND)
    except BadSignature:
        return False
    return True


# -- the published vectors ---------------------------------------------------------------------------------------------


def test_the_published_signature_holds() -> None:
    assert holds(HEADERS, BODY, SECRET, NOW)
    assert sign(SECRET, HEADERS["webhook-id"], NOW, BODY) == HEADERS["webhook-signature"]


@pytest.mark.parametrize("case", VECTORS["negative"], ids=lambda case: str(case["why"]).replace(" ", "-"))
def test_what_the_vectors_refuse_is_refused(case: dict[str, str]) -> None:
    headers = HEADERS | {"webhook-signature": case["webhook-signature"]}
    assert not holds(headers, BODY, SECRET, NOW)


def test_one_good_signature_among_several_is_enough_and_other_versions_are_passed_over() -> None:
    headers = HEADERS | {"webhook-signature": VECTORS["multi"]["webhook-signature"]}
    assert holds(headers, BODY, SECRET, NOW)


def test_a_secret_means_the_same_with_and_without_its_prefix() -> None:
    for secret in VECTORS["secret_forms_equal"]:
        assert holds(HEADERS, BODY, secret, NOW)


@pytest.mark.parametrize("secret", [*VECTORS["bad_secrets"], "whsec_!!!", "whsec_c2hvcnQ=", "whsec_" + "A" * 400])
def test_an_empty_or_unusable_secret_is_refused(secret: str) -> None:
    with pytest.raises(BadRequest):
        SHOP.check_secret(secret)


@pytest.mark.parametrize(
    "case",
    [case for case in ROTATION["cases"] if "secret" in case],
    ids=lambda case: f"{case['secret'][:6]}-{case['now']}-{case['valid']}",
)
def test_the_rotation_vectors_hold_as_they_say(case: dict[str, Any]) -> None:
    secret = ROTATION["secrets"].get(case["secret"], case["secret"])
    assert holds(ROTATION["headers"], ROTATION["body"].encode(), secret, case["now"]) is case["valid"]


def test_an_asymmetric_signature_alone_is_refused() -> None:
    """Whoever knows only the shop's public key must not be let in by it: ``v1a`` is a scheme we do not speak."""
    only = next(one for one in ROTATION["headers"]["webhook-signature"].split() if one.startswith("v1a,"))
    headers = ROTATION["headers"] | {"webhook-signature": only}
    for secret in (*ROTATION["secrets"].values(), "whsec_" + ROTATION["public_key"].removeprefix("whpk_")):
        assert not holds(headers, ROTATION["body"].encode(), secret, 1785000000)


def test_the_edges_of_the_tolerance_count_and_a_second_beyond_does_not() -> None:
    for moment, good in ((NOW - 301, False), (NOW - 300, True), (NOW + 300, True), (NOW + 301, False)):
        assert holds(HEADERS, BODY, SECRET, moment) is good


def test_the_published_library_and_we_sign_alike() -> None:
    secret, body = SHOP.new_secret(), EXAMPLE["body_minified"].encode()
    SHOP.check_secret(secret)
    theirs = standardwebhooks.Webhook(secret)
    at = 1_700_000_000
    given = theirs.sign("msg_1", datetime.fromtimestamp(at, UTC), body.decode())
    assert given == sign(secret, "msg_1", at, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": given}
    assert holds(headers, body, secret, at)


def test_every_part_of_what_is_signed_counts() -> None:
    for place in range(len(BODY)):
        changed = bytearray(BODY)
        changed[place] ^= 1
        assert not holds(HEADERS, bytes(changed), SECRET, NOW)
    assert not holds(HEADERS | {"webhook-id": HEADERS["webhook-id"] + "x"}, BODY, SECRET, NOW)
    assert not holds(HEADERS | {"webhook-timestamp": str(NOW - 1)}, BODY, SECRET, NOW)
    # The dots are no fence: what moves from one part to the next must not hold either.
    moved = sign(SECRET, "a", NOW, b"b.c")
    shifted = {"webhook-id": f"a.{NOW}.b", "webhook-timestamp": str(NOW), "webhook-signature": moved}
    assert not holds(shifted, b"c", SECRET, NOW)


def test_a_signature_is_one_spelling_of_base64_only() -> None:
    given = HEADERS["webhook-signature"]
    raw = base64.b64decode(given.removeprefix("v1,"))
    for other in (given.rstrip("="), given + "=", given.replace("v1,", "V1,"), "v1," + raw.hex(), "v1, " + given[3:]):
        assert not holds(HEADERS | {"webhook-signature": other}, BODY, SECRET, NOW)


# -- the body ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        EXAMPLE["body_minified"].encode(),
        b"",
        b"null",
        b"[]",
        b'"order"',
        b'{"type": "order"}',
        b'{"type": "order", "data": []}',
        b'{"type": "Order", "data": {}}',
        b'{"type": ["order"], "data": {}}',
        b'{"type": "order", "data": {}, "data": {}}',
        b'{"type": "order", "data": {"total": NaN}}',
        b'{"type": "order", "data": {"total": -Infinity}}',
        b'{"type": "order", "data": {}} trailing',
        b'{"type": "order", "data": {"id": "\xff"}}',
        b'{"type": "order", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type": "order", "data": {"id": ' + b"9" * 10_000 + b"}}",
    ],
    ids=lambda body: body[:40].decode("ascii", "replace") or "empty",
)
def test_a_body_that_is_no_order_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        SHOP.parse("order", body)


def test_an_order_is_handed_on_as_it_was_said() -> None:
    said = SHOP.parse("order", b'{"type": "order", "data": {"id": "1", "later": {"is": "ignored"}}, "extra": 1}')
    assert list(said.orders) == [{"id": "1", "later": {"is": "ignored"}}]
    assert not said.deleted
