"""Every shop there is, through the running door, on both databases, from its data alone: the stories and the faults.

What the books must say is in tests/shops/contract/<platform>.json. Here stand the faults that concern every platform
alike; those of one platform stand beside its samples, those of the door itself in tests/webhooks.
"""

import itertools
import json
import logging
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from plugin import shops
from plugin.domain.moment import DAY, SECOND
from plugin.errors import Malformed
from plugin.models import delivery, order_state, transfer
from plugin.models import shop as shop_table
from plugin.services import store_delivery
from plugin.services.add_shop import rotate_secret
from plugin.services.process_inbox import drain
from plugin.shops.base import Shop as Adapter
from tests.shops import samples
from tests.shops.samples import Sample, Samples, Told
from tests.world import Clock, Shop, World

ALWAYS = "1970-01-02T00:00:00Z"  # some samples were placed in 2008
SHUFFLES, SHUFFLES_AGAIN = 10, 3  # what an order of arrival comes to hangs on no database
STORIES = [(name, number) for name in shops.names() for number in range(len(samples.of(name).stories))]


@pytest.fixture(params=shops.names())
def data(request: pytest.FixtureRequest) -> Samples:
    """Give the data of each shop there is."""
    return samples.of(request.param)


class Driven:
    """A shop of the platform that pays ten percent of everything to its one sharer, and a clock to be moved."""

    def __init__(self, world: World, data: Samples, *, codes: tuple[str, ...] = (), secret: str | None = None) -> None:
        self.world, self.data = world, data
        now = world.context.now
        self.clock = now if isinstance(now, Clock) else world.stop_clock("2026-11-23T00:00:00Z")
        self.clock.at = data.at
        self.shop: Shop = world.shop(data.shop.name, url=data.url, secret=data.secret if secret is None else secret)
        self.shop.plan(since=ALWAYS)
        self.sharer = self.shop.sharer("alice", since=ALWAYS, codes=list(codes))

    def send(self, one: Sample, *, at: int | None = None, body: bytes | None = None, **headers: str) -> int:
        """Send a delivery at its time, or changed; return the status."""
        self.clock.at = one.at if at is None else at
        changed = {name.lower(): value for name, value in one.headers.items()} | headers
        status: int = self.shop.post(one.body if body is None else body, changed).status_code
        return status

    def decide(self, ref: str) -> None:
        """Give the order to the sharer by the owner's word, where nobody has it."""
        if self.shop.receipt(ref)["winner"] is None:
            word = {"shop": self.shop.key, "sharer": self.sharer, "reason": "no evidence on it"}
            self.world.call("POST", f"/orders/{ref}/attribution", word, expect=200)

    def buy(self) -> dict[str, Any]:
        """Have the paid order told and given to the sharer; return how it is then shown."""
        assert self.send(self.data.paid) == 200
        self.world.work()
        self.decide(self.data.ref)
        return self.seen()

    def seen(self) -> dict[str, Any]:
        """Return how the order of the late delivery is shown."""
        found: dict[str, Any] = self.shop.see(self.data.ref)
        return found

    def count(self, table: Any) -> int:
        """Return how many rows a table has."""
        with self.world.context.database.reading() as connection:
            number: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return number


@pytest.fixture
def driven(world: World, data: Samples) -> Driven:
    """Give a shop of each platform."""
    return Driven(world, data)


# -- the stories -------------------------------------------------------------------------------------------------------


def arrivals(names: tuple[str, ...], shuffles: int) -> Iterator[tuple[str, ...]]:
    """Yield orders of arrival: of a few deliveries all there are, else as told and backwards; some with duplicates."""
    yield from itertools.permutations(names) if len(names) <= 3 else (names, names[::-1])
    for seed in range(shuffles if len(names) > 1 else 1):
        chance = random.Random(seed)
        order = [*names, *chance.choices(names, k=chance.randint(1, len(names)))]
        chance.shuffle(order)
        yield tuple(order)


def shown(driven: Driven, ref: str, expected: Any) -> dict[str, Any]:
    """Return what the API says of an order, by the names that the data use."""
    seen = driven.shop.see(ref)
    (direct,) = seen["commissions"]
    assert (direct["sharer"], direct["role"]) == (driven.sharer, "direct")
    found = seen | {
        "direct": direct["amount"],
        "earned": direct["earned"],
        "lines": [[line["id"], line["amount"], line["tax"], line["quantity"]] for line in seen["lines"]],
        "flags_at_least": [flag for flag in expected.get("flags_at_least", ()) if flag in seen["flags"]],
        "reason": driven.shop.receipt(ref)["reason"],
    }
    return {name: found[name] for name in expected}


def check_story(driven: Driven, story: Told, what: object) -> None:
    """Compare the books of a story that was told with what its data say."""
    for ref in story.expected:
        driven.decide(ref)
    for ref, expected in story.expected.items():
        assert shown(driven, ref, expected) == dict(expected), (ref, what)


@pytest.mark.parametrize(("platform", "number"), STORIES, ids=lambda one: str(one))
def test_a_story_comes_to_the_same_books_in_any_order(world: World, platform: str, number: int) -> None:
    """Every second order of arrival is worked off after each delivery, the others all at once."""
    data = samples.of(platform)
    story = data.stories[number]
    balances = []
    shuffles = SHUFFLES if world.context.database.is_sqlite else SHUFFLES_AGAIN
    for turn, order in enumerate(arrivals(story.arrive, shuffles)):
        driven = Driven(world, data, codes=story.codes)
        for name in order:
            assert driven.send(data.deliveries[name]) == 200, name
            if turn % 2 == 0:
                world.work()
        world.work()
        check_story(driven, story, order)
        balances.append(world.call("GET", f"/sharers/{driven.sharer}/balances", expect=200))
        told = [one["state"] for one in world.deliveries() if one["shop"] == driven.shop.key]
        assert set(told) == {"done"} and len(told) == len(set(order)), order
    assert all(one == balances[0] for one in balances)
    world.books()


def test_what_says_too_little_waits_with_a_reason_where_the_shop_cannot_be_asked(
    world: World, data: Samples
) -> None:
    for name in data.unasked:
        driven = Driven(world, data)
        assert driven.send(data.deliveries[name]) == 200
        world.work()
        (one,) = [one for one in world.deliveries() if one["shop"] == driven.shop.key]
        assert one["state"] == "waiting" and one["reason"], name


def test_a_greeting_is_answered_and_not_kept(driven: Driven) -> None:
    for one in driven.data.pings.values():
        assert driven.send(one) == 200
        assert driven.send(one, body=one.body + b"x") == 401
    assert driven.count(delivery) == 0


# -- copies ------------------------------------------------------------------------------------------------------------


def test_fault_01_one_delivery_sent_fifty_times_at_once_is_one_row_and_one_effect(driven: Driven) -> None:
    world, one, start = driven.world, driven.data.paid, threading.Barrier(10)
    driven.clock.at = one.at

    def send_five_times() -> list[int]:
        client = world.app.test_client()
        start.wait()
        address = f"/webhooks/{driven.shop.key}"
        return [client.post(address, data=one.body, headers=dict(one.headers)).status_code for _ in range(5)]

    with ThreadPoolExecutor(10) as threads:
        answers = [status for sent in [threads.submit(send_five_times) for _ in range(10)] for status in sent.result()]
    assert answers == [200] * 50 and len(world.deliveries()) == 1
    with ThreadPoolExecutor(4) as threads:  # and several workers at the same instant
        tallies = [job.result() for job in [threads.submit(drain, world.context) for _ in range(4)]]
    assert sum(tally.done for tally in tallies) == 1 and driven.count(order_state) == 1
    driven.decide(driven.data.ref)
    assert driven.count(transfer) == 1
    world.books()


def test_fault_02_one_event_under_two_delivery_ids_has_one_effect(driven: Driven) -> None:
    """The shop's subscription was made twice."""
    world, data = driven.world, driven.data
    before = driven.buy()
    assert driven.send(data.paid_again) == 200
    world.work()
    ids = {data.shop.label(one.lower).delivery_id for one in (data.paid, data.paid_again)}
    assert len(world.deliveries()) == len(ids) and {one["state"] for one in world.deliveries()} == {"done"}
    assert driven.count(order_state) == 1 and driven.count(transfer) == 1 and driven.seen() == before
    world.books()


def test_fault_04_an_old_copy_of_paid_a_day_after_the_refund_changes_nothing(driven: Driven) -> None:
    world, data = driven.world, driven.data
    whole = driven.buy()["commissions"][0]
    assert driven.send(data.refunded) == 200
    world.work()
    before, (direct,) = driven.seen(), driven.seen()["commissions"]
    assert direct["earned"] == whole["earned"] and direct["amount"] != whole["amount"], "nothing was given back"
    moved = driven.count(transfer)
    assert driven.send(data.paid_again) == 200
    world.work()
    assert driven.seen() == before and driven.count(transfer) == moved
    world.books()


def test_fault_09_a_copy_replayed_a_moment_or_a_month_later_has_no_effect(driven: Driven) -> None:
    """The memory of what came outlives every retry; after a month the scheme may call the signature stale."""
    before = driven.buy()
    paid = driven.data.paid
    assert driven.send(paid, at=paid.at + 299 * SECOND) == 200
    assert driven.send(paid, at=paid.at + 31 * DAY) in (200, 401)
    driven.world.work()
    assert len(driven.world.deliveries()) == 1 and driven.seen() == before and driven.count(transfer) == 1
    driven.world.books()


# -- signatures --------------------------------------------------------------------------------------------------------


def test_fault_07_a_body_changed_by_one_byte_is_refused_counted_and_not_stored(
    driven: Driven, caplog: pytest.LogCaptureFixture
) -> None:
    paid, sent = driven.data.paid, 0
    with caplog.at_level(logging.DEBUG):
        for place in range(0, len(paid.body), max(1, len(paid.body) // 60)):
            changed = paid.body[:place] + bytes([paid.body[place] ^ 1]) + paid.body[place + 1 :]
            assert driven.send(paid, body=changed) == 401
            sent += 1
        assert driven.send(paid, body=paid.body + b" ") == 401
    assert driven.count(delivery) == 0
    assert driven.world.app.extensions["passalong"].intake.refused == {"bad_signature": sent + 1}
    assert driven.data.secret not in caplog.text and paid.body[:30].decode() not in caplog.text


MALFORMED = (
    "", " ", ",", ",,", "v1", "v1,", "v1,,", "v1,a,b", "v1, ", "v2,AAAA", "t=,v1=", "t=x,v1=x", "=", "NaN", "nan",
    "Infinity", "-1", "+1", "1e9", "0x1", "\xb2", "\xe9\xff", "\xff\xfe", "9" * 5_000, "x" * 2**20, " " * 2**20,
    "v1,AA== " * 2**17, "9" * 2**20,
)  # fmt: skip


def test_fault_10_a_malformed_signature_header_is_refused_and_is_no_error_of_ours(driven: Driven) -> None:
    """Each header that is signed, the time and the id too where the scheme has them: strange, doubled or missing."""
    data, answers = driven.data, []
    for name in data.signed_headers():
        good = data.paid.lower[name]
        for strange in (*MALFORMED, f"{good},{good}", good[:-1], good[1:], good.swapcase() + "=", good * 2):
            driven.clock.at = data.paid.at
            answer = driven.shop.post(data.paid.body, data.paid.lower | {name: strange})
            answers.append((name, strange[:50], answer))
        lacking = {key: value for key, value in data.paid.lower.items() if key != name}
        answers.append((name, "missing", driven.shop.post(data.paid.body, lacking)))
    assert len(answers) > len(MALFORMED)
    for name, strange, answer in answers:
        problem = answer.get_json(force=True)
        assert (answer.status_code, problem["code"]) == (401, "bad_signature"), (name, strange, problem)
    assert driven.count(delivery) == 0
    assert driven.send(data.paid) == 200


def test_fault_11_without_a_secret_or_with_another_s_nothing_is_taken(driven: Driven) -> None:
    """A delivery only ever speaks for the shop it is sent to, which is case 16 too."""
    world, data = driven.world, driven.data
    assert driven.shop.post(data.paid.body, {}).status_code == 401
    other = Driven(world, data, secret=data.shop.new_secret())
    assert other.send(data.paid) == 401
    nobody = world.client.post("/webhooks/nobody", data=data.paid.body, headers=dict(data.paid.headers))
    assert nobody.status_code == 404
    with world.context.database.writing() as connection:
        sealed = world.context.keys.seal("shop.secrets", json.dumps([{"secret": "", "valid_until": None}]).encode())
        connection.execute(shop_table.update().where(shop_table.c.key == other.shop.key).values(secrets=sealed))
    forget_shops(world)
    assert other.send(data.paid) == 401
    assert driven.count(delivery) == 0


def test_fault_11_a_shop_cannot_be_added_with_an_empty_secret(world: World, data: Samples) -> None:
    """Whoever signs with nothing must find no shop that takes it."""
    for secret in ("", " ", "whsec_"):
        told = world.command("shop", "add", data.shop.name, data.url, "--secret", secret, expect=1)
        assert "secret" in told
    assert world.command("shop", "list")["shops"] == []


def forget_shops(world: World) -> None:
    """Let the door look its shops up again, as it does by itself within two seconds."""
    world.app.extensions["passalong"].intake.shops = store_delivery.ShopCache(world.context)


def rotate(driven: Driven, hours: int) -> None:
    """Turn the shop's secret over, the old one to stay valid for so many hours."""
    rotate_secret(driven.world.context, driven.shop.key, overlap_hours=hours)
    forget_shops(driven.world)


def test_fault_12_the_old_secret_holds_for_the_overlap_and_no_longer(world: World, data: Samples) -> None:
    """No delivery is lost while a secret is turned over. The one that comes a day later has a signature of its own."""
    hours = (data.paid_again.at - data.paid.at) // (3_600 * SECOND)
    untouched, long, short = (Driven(world, data) for _ in range(3))
    for one, overlap in ((long, hours + 1), (short, hours)):
        rotate(one, overlap)
        assert one.send(data.paid) == 200
    for one, status in ((untouched, 200), (long, 200), (short, 401)):
        one.clock.at = data.paid_again.at
        forget_shops(world)
        assert one.send(data.paid_again) == status


def test_fault_12_the_new_secret_holds_at_once(
    world: World, data: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = Driven(world, data, secret=data.shop.new_secret())
    assert driven.send(data.paid) == 401
    monkeypatch.setattr(type(data.shop), "new_secret", lambda self: data.secret)  # what chance would have made
    rotate(driven, 24)
    assert driven.send(data.paid) == 200


def test_fault_16_a_delivery_that_names_another_shop_is_refused(driven: Driven) -> None:
    """Of platforms where one secret signs for all the shops of an app; a header in other letters is the same one."""
    data = driven.data
    for name, value in (data.another_shop or {}).items():
        assert driven.send(data.paid, **{name.lower(): value}) == 401
        assert driven.send(data.paid, **{name.lower(): data.paid.lower[name.lower()].upper()}) == 200
    assert driven.count(delivery) <= 1


# -- hostile and unknown bodies ----------------------------------------------------------------------------------------


def test_fault_13_a_body_that_is_too_large_is_refused_before_it_is_looked_at(driven: Driven) -> None:
    paid, limit = driven.data.paid, driven.world.context.settings.max_body_bytes
    driven.clock.at = paid.at
    for size in (limit + 1, 50_000_000):
        answer = driven.shop.post(b" " * size, paid.lower)
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (413, "body_too_large")
    assert driven.send(paid, body=b" " * limit) == 401
    assert driven.count(delivery) == 0


def test_fault_14_a_signed_body_nobody_understands_is_quarantined_and_holds_up_no_other(driven: Driven) -> None:
    """Case 13 too: 200 and a row with a reason for each, and what comes in the same batch is done."""
    world, data = driven.world, driven.data
    for number, name in enumerate(data.nonsense):
        assert driven.send(data.deliveries[name]) == 200, name
        if number == len(data.nonsense) // 2:
            assert driven.send(data.paid) == 200
    world.work()
    bad = world.command("deliveries", "--state", "quarantined")["deliveries"]
    assert len(bad) == len({data.deliveries[name].body for name in data.nonsense})
    assert all(len(one["reason"]) > 10 for one in bad)
    assert [one["state"] for one in world.deliveries() if one not in bad] == ["done"]
    driven.decide(data.ref)
    assert driven.count(transfer) == 1
    assert world.command("replay", "--delivery", bad[0]["id"]) == {"replayed": 1, "changed": 0}
    world.books()


def test_fault_14_what_is_learnt_later_can_be_replayed(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new version of the shop sent waits in quarantine until we can read it."""
    world, data = driven.world, driven.data

    def not_yet(self: Adapter, topic: str, body: bytes) -> Any:
        raise Malformed("This shape is not known yet.")

    with monkeypatch.context() as patched:
        patched.setattr(type(data.shop), "parse", not_yet)
        assert driven.send(data.paid) == 200
        world.work()
        (one,) = world.deliveries()
        assert (one["state"], one["reason"]) == ("quarantined", "This shape is not known yet.")
        assert world.command("replay", "--delivery", one["id"]) == {"replayed": 1, "changed": 0}
    assert world.command("replay", "--delivery", one["id"])["replayed"] == 1
    (one,) = world.deliveries()
    assert (one["state"], one["reason"]) == ("done", None)
    driven.decide(data.ref)
    assert driven.count(transfer) == 1
    assert world.command("replay", "--all") == {"replayed": 1, "changed": 0}
    world.books()
