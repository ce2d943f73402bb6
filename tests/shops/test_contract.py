"""What every shop promises, whatever bytes it is given: one suite over all shops there are, from their data alone.

The data of a platform is tests/shops/contract/<platform>.json. What the door makes of it is in
tests/faults/test_every_shop.py. The fuzzing is seeded; a failure prints the seed and the bytes, which is all it takes
to see it again; ``make soak ARGS="fuzz"`` does more of it.
"""

import hmac
import json
import random
import subprocess
import sys
from typing import Any

import pytest

from plugin import shops
from plugin.domain.order import read_order, state_of
from plugin.errors import BadRequest, BadSignature
from plugin.shops.base import Connected, Named, Place, Shop
from tests.shops import samples
from tests.shops.mutations import CHANGES, STRANGE_TEXTS, Change, holds, understood, with_strange_header
from tests.shops.samples import HERE, Sample, Samples

ROUNDS = 3_000


@pytest.fixture(params=shops.names())
def data(request: pytest.FixtureRequest) -> Samples:
    """Give the data of each shop there is."""
    return samples.of(request.param)


@pytest.fixture
def shop(data: Samples) -> Shop:
    """Give the adapter of that shop."""
    return data.shop


def good(data: Samples, one: Sample, *, body: bytes | None = None, secrets: list[str] | None = None) -> bool:
    """Tell whether a delivery holds, or would with another body or other secrets."""
    told, known = one.body if body is None else body, [data.secret] if secrets is None else secrets
    return holds(data.shop, one.lower, told, known, one.at)


# -- the data ----------------------------------------------------------------------------------------------------------


def test_the_data_says_enough_to_hold_a_shop_to_the_contract(data: Samples) -> None:
    known = data.deliveries.keys()
    assert len(data.good()) >= 3 and len(data.nonsense) >= 5 and data.stories, "too little data"
    used = {name for story in data.stories for name in story.arrive} | {*data.late, *data.unasked, *data.nonsense}
    assert used <= known, f"no such deliveries: {sorted(used - known)}"
    assert {one.topic for one in data.deliveries.values()} <= set(data.topics)
    for story in data.stories:
        for ref, expected in story.expected.items():
            wanted = {"currency", "status", "payment", "net", "direct", "earned", "refunded"}
            assert wanted <= expected.keys(), f"{story.name} does not say enough of {ref}"
    assert any(len(story.arrive) > 1 for story in data.stories), "no story has an order of arrival"
    assert data.paid.body == data.paid_again.body and data.paid_again.at > data.paid.at
    assert (data.another_shop is not None) == isinstance(data.shop, Named)


def test_a_platform_without_data_is_told_what_to_write() -> None:
    with pytest.raises(AssertionError, match=r"write tests/shops/contract/nothing\.json"):
        samples.of("nothing")


def test_the_data_of_our_shops_are_made_of_samples_and_independent_readings() -> None:
    """What the suite expects is never our own output: a program that does not know the product writes it."""
    for program, kept in (("woocommerce_reading.py", "woocommerce_expected.json"), ("write_contract.py", None)):
        ran = subprocess.run([sys.executable, str(HERE / program)], capture_output=True, text=True, timeout=100)
        assert ran.returncode == 0, ran.stderr
        assert kept is None or ran.stdout == (HERE / kept).read_text()


# -- signatures --------------------------------------------------------------------------------------------------------


def test_a_good_delivery_holds_with_any_of_the_secrets_and_with_no_other(data: Samples) -> None:
    other, third = data.shop.new_secret(), data.shop.new_secret()
    for one in data.deliveries.values():
        assert good(data, one) and good(data, one, secrets=[other, data.secret]), one.name
        assert good(data, one, secrets=[data.secret, other, third])
        assert not good(data, one, secrets=[other]) and not good(data, one, secrets=[])


def test_a_changed_body_never_holds(data: Samples) -> None:
    for one in (data.paid, data.refunded, data.good()[-1]):
        body = one.body
        for place in range(len(body)):
            changed = body[:place] + bytes([body[place] ^ (1 << place % 8)]) + body[place + 1 :]
            assert not good(data, one, body=changed), (one.name, place)
        for changed in (b"", body[:-1], body + b" ", body + b"\n", b" " + body, body.swapcase()):
            assert not good(data, one, body=changed), (one.name, changed[-20:])


def test_a_body_that_means_the_same_and_is_spelled_otherwise_does_not_hold(data: Samples) -> None:
    for one in (data.paid, data.refunded):
        respelled = json.dumps(json.loads(one.body), indent=1).encode()
        assert respelled != one.body and not good(data, one, body=respelled)


def test_a_signature_changed_anywhere_never_holds(data: Samples) -> None:
    one = data.paid
    names = data.signed_headers()
    assert names, "nothing in the headers is signed"
    for name in names:
        value = one.lower[name]
        for place in range(len(value)):
            for other in ("", chr(ord(value[place]) ^ 1)):
                changed = value[:place] + other + value[place + 1 :]
                headers = one.lower | {name: changed}
                assert not holds(data.shop, headers, one.body, [data.secret], one.at), (name, changed)


def test_the_signature_of_one_delivery_is_none_of_another(data: Samples) -> None:
    for one in (data.paid, data.refunded):
        for other in data.deliveries.values():
            assert other.body == one.body or not good(data, one, body=other.body), (one.name, other.name)


def test_fault_60_what_decides_a_signature_is_a_comparison_in_constant_time(
    data: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other comparison decides: with that of hmac held at yes a changed body passes, held at no a good one fails.

    Each secret was compared, whichever of them was the right one.
    """
    one, secrets = data.paid, [data.shop.new_secret(), data.secret, data.shop.new_secret()]
    compared: list[tuple[Any, Any]] = []

    def held_at(answer: bool) -> Any:
        def compare(given: Any, expected: Any) -> bool:
            compared.append((given, expected))
            return answer

        return compare

    assert not good(data, one, body=b"{}", secrets=secrets)
    monkeypatch.setattr(hmac, "compare_digest", held_at(True))
    assert good(data, one, body=b"{}", secrets=secrets)
    monkeypatch.setattr(hmac, "compare_digest", held_at(False))
    compared.clear()
    assert not good(data, one, secrets=secrets)
    assert len({expected for _, expected in compared}) >= len(secrets)


def test_whatever_the_headers_are_verify_raises_bad_signature_and_nothing_else(data: Samples) -> None:
    held, deliveries = 0, list(data.deliveries.values())
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        one = chance.choice(deliveries)
        changed = with_strange_header(chance, one.lower)
        held += holds(data.shop, changed, one.body, [data.secret, data.shop.new_secret()], one.at)
        data.shop.label(changed)
        data.shop.is_ping(changed, one.body)
    assert held < ROUNDS  # a header that is not signed may be anything; one that is must break it


# -- what a delivery is ------------------------------------------------------------------------------------------------


def test_a_delivery_is_told_apart_by_its_headers_alone(data: Samples) -> None:
    """The topic as it is told; the same id for the same delivery, another where it is sent anew."""
    for one in data.deliveries.values():
        label = data.shop.label(one.lower)
        assert label.topic == one.topic and label == data.shop.label(dict(one.lower)), one.name
        assert not data.shop.is_ping(one.lower, one.body)
    ids = [data.shop.label(one.lower).delivery_id for one in (data.paid, data.paid_again)]
    assert ids == [None, None] or (all(ids) and ids[0] != ids[1])
    account = data.shop.account(Place(data.url, {})) if isinstance(data.shop, Named) else None
    assert data.shop.label(data.paid.lower).shop in (None, account)


def test_a_ping_is_one_only_as_it_is_sent(data: Samples) -> None:
    for one in data.pings.values():
        assert data.shop.is_ping(one.lower, one.body)
        for body in (one.body + b"&more=1", b"x" + one.body, one.body + b"\n", b"", data.paid.body):
            assert not data.shop.is_ping(one.lower, body)
        assert not data.shop.is_ping(data.paid.lower, one.body)


def test_a_delivery_says_what_its_data_tell_each_time_and_its_orders_are_kept_as_they_are(data: Samples) -> None:
    for one in [*data.good(), *data.answers.values()]:
        said = data.shop.parse(one.topic, one.body)
        assert said == data.shop.parse(one.topic, one.body), f"{one.name} is not read the same twice"
        assert understood(data.shop, one.topic, one.body), one.name
        if one.says:
            assert samples.says(data.shop, one) == one.says, one.name
        for order in said.orders:
            form = state_of(read_order(order, str)).text
            assert form == state_of(read_order(order, str)).text


def test_whatever_the_shop_says_in_numbers_no_amount_is_a_float(data: Samples) -> None:
    def walk(node: Any) -> None:
        assert not isinstance(node, float), f"{node!r} is a float"
        for one in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
            walk(one)

    for one in [*data.good(), *data.answers.values()]:
        for order in data.shop.parse(one.topic, one.body).orders:
            walk(order)


def test_nonsense_is_refused_with_a_reason(data: Samples) -> None:
    for name in data.nonsense:
        one = data.deliveries[name]
        assert not understood(data.shop, one.topic, one.body), name


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_the_body_is_parse_raises_malformed_and_nothing_else(data: Samples, change: Change) -> None:
    outcomes, several = {True: 0, False: 0}, [*data.good(), *data.answers.values()]
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        one = chance.choice(several)
        changed = change(chance, one.body)
        try:
            outcomes[understood(data.shop, one.topic, changed)] += 1
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}; topic {one.topic!r}, body {changed!r}")
    tame = 0 if change is CHANGES[-1] else ROUNDS / 50  # of noise nothing need be understood
    assert min(outcomes.values()) >= tame, outcomes  # else the changes are too tame or too wild to say anything


def test_a_strange_topic_is_no_fault_of_parse(data: Samples) -> None:
    topics = {f"{topic}{more}" for topic in data.all_topics() for more in ("", "x", "\0", "/", ".")}
    several = [data.paid, data.good()[-1], *data.answers.values(), *(data.deliveries[name] for name in data.nonsense)]
    for topic in (*STRANGE_TEXTS, *sorted(topics), "order.", "product.updated"):
        for one in several:
            understood(data.shop, topic, one.body)


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_new_secrets_are_long_pass_the_shop_s_own_check_and_differ(data: Samples, shop: Shop) -> None:
    made = {shop.new_secret() for _ in range(50)}
    assert len(made) == 50
    for secret in made:
        shop.check_secret(secret)
        assert len(secret) >= 32
    shop.check_secret(data.secret)
    for secret in ("", " ", "\n", "x", "short", "\0" * 40):
        with pytest.raises(BadRequest):
            shop.check_secret(secret)


def test_no_secret_may_be_empty_though_somebody_signed_with_it(data: Samples) -> None:
    for empty in ("", " ", "whsec_"):
        with pytest.raises(BadRequest):
            data.shop.check_secret(empty)


def test_a_bad_signature_says_nothing_of_the_secret_or_of_the_body(data: Samples) -> None:
    with pytest.raises(BadSignature) as caught:
        data.shop.verify(data.paid.lower, data.paid.body + b"canary", [data.secret], data.paid.at)
    told = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert data.secret not in told and "canary" not in told


def test_a_shop_that_can_be_connected_names_what_its_owner_must_give(data: Samples) -> None:
    if isinstance(data.shop, Connected):
        assert data.shop.credentials and all(names for names in data.shop.credentials)
