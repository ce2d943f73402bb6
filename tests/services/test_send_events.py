"""Events sent to the owner's addresses: signed, in order, tried again on the schedule, replayed, never two at once."""

import itertools
import threading
import time
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.event import listen
from standardwebhooks import WebhookVerificationError

from plugin.domain.moment import DAY, SECOND, format_moment
from plugin.models import endpoint, event, event_delivery, event_head, metadata
from plugin.queue import Queue
from plugin.services import deliver_event, process_inbox, send_events
from plugin.services import do_work as do_work_module
from plugin.services.count_work import count_work
from plugin.services.do_work import do_work
from plugin.services.forget_deliveries import forget_deliveries
from plugin.worker import embedded
from tests.receiver import Receiver, Roads, answer, silent
from tests.world import Clock, Shop, World

DAY_SECONDS = 86_400
# The example schedule of the specification, in seconds since the first attempt.
SCHEDULE = [
    hours * 3_600 + minutes * 60 + 5
    for hours, minutes in ((0, 0), (0, 5), (0, 35), (2, 35), (7, 35), (17, 35), (31, 35), (51, 35), (75, 35))
]


@pytest.fixture
def shop(world: World, roads: Roads) -> Shop:
    """Give a shop that pays ten percent."""
    one = world.shop()
    one.plan()
    return one


def add(world: World, receiver: Receiver, **details: Any) -> Any:
    """Add an endpoint through the API."""
    return world.call("POST", "/endpoints", {"url": receiver.url, **details}, expect=201)


def see(world: World, made: Any) -> Any:
    return world.call("GET", f"/endpoints/{made['id']}", expect=200)


def missed(world: World, made: Any, query: str = "") -> Any:
    """Return the events that did not arrive at once, oldest first."""
    return world.call("GET", f"/endpoints/{made['id']}/deliveries{query}", expect=200)["items"][::-1]


def happen(shop: Shop, count: int = 1) -> list[int]:
    """Have something happen some times; return the numbers of the events."""
    for _ in range(count):
        shop.sharer(f"s{shop.world.number()}")
    newest = newest_seq(shop.world)
    return list(range(newest - count + 1, newest + 1))


def newest_seq(world: World) -> int:
    with world.context.database.reading() as connection:
        return int(connection.execute(select(event_head.c.seq)).scalar_one())


def wait(world: World, clock: Clock, seconds: int) -> None:
    """Let time go by, and work."""
    clock.add(seconds)
    world.work()


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_what_happens_is_sent_in_order_and_verifies(world: World, shop: Shop, receiver: Receiver) -> None:
    made = add(world, receiver)
    before = newest_seq(world)
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    world.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    world.work()
    events = world.call("GET", f"/events?after={before}", expect=200)["items"]
    assert receiver.seqs == [one["seq"] for one in events] == list(range(before + 1, before + len(events) + 1))
    for heard, one in zip(receiver.heard, events, strict=True):
        assert heard.verify(made["secret"]) == {
            "type": one["type"], "timestamp": one["at"], "data": {**one["data"], "shop": shop.key, "seq": one["seq"]},
        }  # fmt: skip
        assert heard.headers["content-type"] == "application/json" and "." not in heard.id
        assert heard.at == world.context.now() // SECOND
    assert len({heard.id for heard in receiver.heard}) == len(events)
    assert {one["type"] for one in events} >= {"sharer.approved", "order.decided", "commission.changed"}
    assert missed(world, made) == [] and see(world, made)["sent"] == events[-1]["seq"]


def test_what_happened_before_is_not_sent(world: World, shop: Shop, receiver: Receiver) -> None:
    happen(shop, 3)
    add(world, receiver)
    world.work()
    assert receiver.heard == []


def test_an_endpoint_gets_the_types_and_the_shop_it_wants(world: World, shop: Shop, roads: Roads) -> None:
    other = world.shop(url="https://other.example.com")
    every, mine, typed = (roads.receiver(f"{name}.example.com") for name in ("every", "mine", "typed"))
    add(world, every)
    add(world, mine, shop=shop.key)
    made = add(world, typed, types=["sharer.suspended", "plan.changed"])
    since = newest_seq(world)
    alice = shop.sharer("alice")
    other.plan()
    world.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    world.work()
    assert every.seqs == [since + 1, since + 2, since + 3]
    assert mine.seqs == [since + 1, since + 3] and typed.seqs == [since + 2, since + 3]
    world.call("PATCH", f"/endpoints/{made['id']}", {"types": ["sharer.approved"]}, expect=200)
    shop.sharer("bob")
    world.work()
    assert typed.seqs[2:] == [since + 4]


def test_a_long_log_of_what_an_endpoint_does_not_want_is_walked_in_steps(
    world: World, shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_events, "WINDOW", 4)
    made = add(world, receiver, types=["plan.changed"])
    start = newest_seq(world)
    happen(shop, 3)
    world.work()
    assert see(world, made)["sent"] == start  # no write for a few events that it does not want
    happen(shop, 7)
    world.work()
    assert start + 8 <= see(world, made)["sent"] <= start + 10
    shop.plan()
    world.work()
    assert receiver.seqs == [start + 11] and see(world, made)["sent"] == start + 11


def test_without_an_endpoint_there_is_one_look_and_nothing_is_written(
    world: World, shop: Shop, receiver: Receiver
) -> None:
    made = add(world, receiver)
    world.call("PATCH", f"/endpoints/{made['id']}", {"state": "disabled"}, expect=200)
    happen(shop, 2)
    statements = seen_statements(world)
    assert not send_events.send_events(world.context)
    assert len([one for one in statements if "pa_" in one]) == 1


def seen_statements(world: World) -> list[str]:
    """Return a list that every statement is added to from now on."""
    seen: list[str] = []
    engine = world.context.database.engine
    listen(engine, "before_cursor_execute", lambda connection, cursor, text, *more: seen.append(text))
    return seen


def test_no_more_than_a_batch_is_held_and_all_arrive(world: World, shop: Shop, receiver: Receiver) -> None:
    add(world, receiver)
    seqs = happen(shop, 2 * send_events.BATCH + 3)
    world.work()
    assert receiver.seqs == seqs


# --- what fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500, 502, 503, 504])
def test_only_2xx_is_an_arrival(world: World, shop: Shop, receiver: Receiver, clock: Clock, status: int) -> None:
    made = add(world, receiver)
    receiver.answers.append(answer(status, "Location: https://hooks.example.com/elsewhere"))
    seqs = happen(shop, 2)
    world.work()
    assert receiver.seqs == seqs  # the next one did not wait
    (one,) = missed(world, made)
    assert (one["seq"], one["state"], one["attempts"], one["status"]) == (seqs[0], "due", 1, status)
    assert str(status) in one["reason"] and one["type"] == "sharer.approved" and one["id"] == receiver.heard[0].id
    assert one["next_attempt_at"] == format_moment(clock.at + 5 * SECOND)
    wait(world, clock, 4)
    assert len(receiver.heard) == 2
    wait(world, clock, 1)
    assert receiver.seqs == [*seqs, seqs[0]]
    (one,) = missed(world, made, "?state=done")
    assert (one["attempts"], one["status"], one["reason"], one["next_attempt_at"]) == (2, 204, None, None)
    first, _, again = receiver.heard
    assert (first.id, first.body) == (again.id, again.body) and again.at == first.at + 5
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"]
    again.verify(made["secret"])


def test_one_event_is_tried_on_the_schedule_of_standard_webhooks(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    receiver.always = answer(500)
    (seq,) = happen(shop)
    began = clock.at // SECOND
    world.work()
    for attempts, since_start in enumerate(SCHEDULE, start=1):
        clock.at = (began + since_start) * SECOND - 1
        world.work()
        assert len(receiver.heard) == attempts
        clock.at += 1
        world.work()
        assert len(receiver.heard) == attempts + 1 and receiver.heard[-1].at == began + since_start
    (one,) = missed(world, made)
    assert (one["seq"], one["state"], one["attempts"], one["next_attempt_at"]) == (seq, "failed", 10, None)
    assert see(world, made) | {"due": 0, "failed": 1} == see(world, made)
    wait(world, clock, 86_400)
    assert len(receiver.heard) == 10
    (check,) = [one for one in world.command("doctor", expect=None)["checks"] if one["name"] == "endpoints"]
    assert not check["ok"] and "end_1" in check["hint"]


def test_an_event_that_is_never_taken_holds_up_no_other(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    (poison,) = happen(shop)
    receiver.answers.append(answer(500))
    world.work()
    for pause in send_events.PAUSES:
        clock.add(pause)
        receiver.answers.append(answer(500))  # what is due again goes first
        (seq,) = happen(shop)
        world.work()
        assert receiver.seqs[-2:] == [poison, seq]
    wait(world, clock, 100_000)
    assert receiver.seqs.count(poison) == 10
    assert [(one["seq"], one["state"]) for one in missed(world, made)] == [(poison, "failed")]
    assert see(world, made)["failing_since"] is None and see(world, made)["state"] == "enabled"


def test_a_dead_endpoint_is_left_alone_and_loses_nothing(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    receiver.always = answer(500)
    seqs = happen(shop, 50)
    world.work()
    assert receiver.seqs == seqs[:3]  # after three in a row it rests, and no further event is spent on it
    assert see(world, made)["rests_until"] == format_moment(clock.at + 60 * SECOND)
    assert len(missed(world, made)) == 3 and see(world, made)["failing_since"] is not None
    wait(world, clock, 59)
    assert len(receiver.heard) == 3
    for rest in (1, 120, 240, 480):
        wait(world, clock, rest)
    assert len(receiver.heard) == 7  # one attempt after each rest, each rest twice the one before
    for _ in range(10):
        wait(world, clock, 3_600)
    assert 16 <= len(receiver.heard) <= 17  # an hour is the longest rest
    receiver.always = answer(200)
    for _ in range(30):
        wait(world, clock, 3_600)
    assert sorted({heard.seq for heard in receiver.heard}) == seqs
    assert see(world, made) | {"due": 0, "failed": 0, "reason": None, "failing_since": None} == see(world, made)


def test_a_ping_that_arrives_ends_the_rest(world: World, shop: Shop, receiver: Receiver) -> None:
    made = add(world, receiver)
    receiver.answers.extend([answer(500)] * 3)
    seqs = happen(shop, 5)
    world.work()
    assert receiver.seqs == seqs[:3]
    assert world.call("POST", f"/endpoints/{made['id']}/test", {}, expect=200) == {
        "arrived": True, "status": 204, "reason": None,
    }  # fmt: skip
    world.work()
    assert [heard.said["type"] for heard in receiver.heard[3:]] == ["ping", "sharer.approved", "sharer.approved"]
    ping = receiver.heard[3]
    assert ping.verify(made["secret"])["data"] == {"endpoint": made["id"]} and ping.id.startswith("ping_")


def test_410_disables_and_enabling_goes_on_where_it_stood(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    receiver.answers.extend([answer(200), answer(500), answer(410)])
    seqs = happen(shop, 4)
    world.work()
    assert receiver.seqs == seqs[:3]
    now = see(world, made)
    assert (now["state"], now["sent"]) == ("disabled", seqs[1]) and "410 Gone" in now["reason"]
    (check,) = [one for one in world.command("doctor", expect=1)["checks"] if one["name"] == "endpoints"]
    assert not check["ok"] and made["id"] in check["hint"] and "410 Gone" in check["hint"]
    seqs += happen(shop, 2)
    wait(world, clock, 3 * DAY_SECONDS)
    assert len(receiver.heard) == 3
    now = world.call("PATCH", f"/endpoints/{made['id']}", {"state": "enabled"}, expect=200)
    assert (now["state"], now["reason"], now["failing_since"]) == ("enabled", None, None)
    world.work()
    assert receiver.seqs == [*seqs[:3], seqs[1], *seqs[2:]]
    assert {one["state"] for one in missed(world, made)} == {"done"}
    (check,) = [one for one in world.command("doctor", expect=0)["checks"] if one["name"] == "endpoints"]
    assert check["ok"]


def test_after_five_days_without_an_arrival_it_is_disabled(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    receiver.always = answer(503)
    began = clock.at
    happen(shop, 30)
    world.work()
    for _ in range(5 * 24 - 1):
        wait(world, clock, 3_600)
    assert see(world, made)["state"] == "enabled" and clock.at - began < 5 * DAY
    for _ in range(3):
        wait(world, clock, 3_600)
    now = see(world, made)
    assert now["state"] == "disabled"
    assert now["reason"] == (
        f"Nothing has arrived since {format_moment(began)}. The last attempt: hooks.example.com answered 503; only 2xx"
        " says that an event has arrived."
    )
    count = len(receiver.heard)
    wait(world, clock, DAY_SECONDS)
    assert len(receiver.heard) == count


def test_an_arrival_within_the_five_days_begins_them_anew(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    receiver.always = answer(503)
    happen(shop, 30)
    for hours in range(0, 8 * 24, 2):
        if hours == 4 * 24:
            receiver.answers.append(answer(200))
        wait(world, clock, 2 * 3_600)
    assert see(world, made)["state"] == "enabled"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_heeded_and_costs_no_attempt(
    world: World, shop: Shop, receiver: Receiver, clock: Clock, status: int
) -> None:
    made = add(world, receiver)
    receiver.answers.append(answer(status, "Retry-After: 600"))
    seqs = happen(shop, 3)
    world.work()
    now = see(world, made)
    assert len(receiver.heard) == 1 and now["rests_until"] == format_moment(clock.at + 600 * SECOND)
    assert "asks to be left alone" in now["reason"] and missed(world, made) == []
    wait(world, clock, 599)
    assert len(receiver.heard) == 1
    wait(world, clock, 1)
    assert receiver.seqs == [seqs[0], *seqs] and missed(world, made) == []


def test_retry_after_zero_makes_no_busy_loop(world: World, shop: Shop, receiver: Receiver, clock: Clock) -> None:
    add(world, receiver)
    receiver.always = answer(429, "Retry-After: 0")
    happen(shop)
    world.work()
    assert len(receiver.heard) == 1
    wait(world, clock, 5)
    assert len(receiver.heard) == 2


def test_retry_after_of_any_failure_moves_the_next_attempt(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    receiver.answers.append(answer(500, "Retry-After: 90"))
    happen(shop)
    world.work()
    assert missed(world, made)[0]["next_attempt_at"] == format_moment(clock.at + 90 * SECOND)


def test_a_receiver_that_says_nothing_is_given_up_in_time(
    world: World, shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 15 <= deliver_event.BOUNDS.total_seconds <= 30  # what Standard Webhooks recommends
    short = deliver_event.Bounds(connect_seconds=1, read_seconds=0.2, total_seconds=0.5, body_bytes=0)
    monkeypatch.setattr(deliver_event, "BOUNDS", short)
    made = add(world, receiver)
    receiver.answers.append(silent(2))
    seqs = happen(shop, 2)
    world.work()
    assert receiver.seqs == seqs
    (one,) = missed(world, made)
    assert one["seq"] == seqs[0] and one["status"] is None and "did not answer in time" in one["reason"]


def test_a_slow_receiver_holds_up_no_other(
    world: World, shop: Shop, roads: Roads, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = roads.receiver("slow.example.com"), roads.receiver("quick.example.com")
    add(world, slow)
    add(world, quick)
    done = threading.Event()
    slow.answers.append(lambda connection: (done.wait(10), connection.sendall(answer(200)))[1])
    happen(shop)
    thread = threading.Thread(target=world.work)
    thread.start()
    try:
        for _ in range(1_000):
            if quick.heard and slow.heard:
                break
            time.sleep(0.01)
        assert quick.heard and slow.at_once == 1
    finally:
        done.set()
        thread.join()


def test_the_body_of_an_answer_is_not_read(world: World, shop: Shop, receiver: Receiver) -> None:
    made = add(world, receiver)
    receiver.answers.append(answer(200, body=b"x" * 10_000_000))
    receiver.answers.append(b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnogip")
    seqs = happen(shop, 3)
    world.work()
    assert receiver.seqs == seqs and missed(world, made) == []


@pytest.mark.parametrize("play", [b"", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 2"])
def test_what_is_no_answer_is_no_arrival(world: World, shop: Shop, receiver: Receiver, play: bytes) -> None:
    made = add(world, receiver)
    receiver.answers.append(play)
    happen(shop)
    world.work()
    (one,) = missed(world, made)
    assert one["status"] is None and "hooks.example.com" in one["reason"] and "/hook" not in one["reason"]


# --- one at a time --------------------------------------------------------------------------------------------------


def test_two_workers_never_send_to_one_endpoint_at_once(world: World, shop: Shop, receiver: Receiver) -> None:
    add(world, receiver)
    receiver.always = lambda connection: (time.sleep(0.01), connection.sendall(answer(200)))[1]
    seqs = happen(shop, 25)
    threads = [threading.Thread(target=do_work, args=(world.context,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.work()
    assert receiver.seqs == seqs and receiver.most_at_once == 1


def test_what_happens_while_a_batch_is_sent_goes_out_by_the_same_worker(
    world: World, shop: Shop, receiver: Receiver
) -> None:
    add(world, receiver)
    more: list[int] = []

    def play(connection: Any) -> None:
        more.extend(happen(shop))
        connection.sendall(answer(200))

    receiver.answers.append(play)
    seqs = happen(shop)
    world.work()
    assert receiver.seqs == seqs + more


def test_a_lease_that_ran_out_writes_nothing(world: World, shop: Shop, receiver: Receiver, clock: Clock) -> None:
    """A worker that was away too long must not write over what its successor has done."""
    made = add(world, receiver)

    def play(connection: Any) -> None:
        clock.add(send_events.LEASE_SECONDS)
        thread = threading.Thread(target=world.work)
        thread.start()
        thread.join()
        connection.sendall(answer(500))

    receiver.answers.append(play)
    (seq,) = happen(shop)
    world.work()
    assert receiver.seqs == [seq, seq] and missed(world, made) == [] and see(world, made)["sent"] == seq


def test_workers_send_at_once_what_happens_outside_the_inbox(
    world: World, shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "_sweep", lambda self: None)  # else it might be that which finds them
    made = add(world, receiver)
    workers = embedded(world.app.extensions["passalong"], 1)
    try:
        for count, cause in enumerate(
            (
                lambda: happen(shop),
                lambda: world.call("POST", f"/endpoints/{made['id']}/replay", {"after": newest_seq(world) - 1}),
            ),
            start=1,
        ):
            cause()
            end = time.monotonic() + 60
            while len(receiver.heard) < count:
                assert time.monotonic() < end, "it was not sent in time"
                time.sleep(0.01)
    finally:
        workers.stop()


def test_work_command_sends_all_that_is_due(world: World, shop: Shop, receiver: Receiver) -> None:
    add(world, receiver)
    seqs = happen(shop, 3)
    world.command("work", "--until-idle")
    assert receiver.seqs == seqs


def test_a_backlog_in_the_inbox_keeps_no_event_waiting(
    world: World, shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_inbox, "BATCH", 1)
    monkeypatch.setattr(do_work_module, "TURN_SECONDS", 0.05)
    process = process_inbox.process
    monkeypatch.setattr(process_inbox, "process", lambda *given: (time.sleep(0.06), process(*given))[1])
    add(world, receiver)
    for _ in range(5):
        shop.deliver(shop.order())
    left: list[int] = []

    def play(connection: Any) -> None:
        left.append(count_work(world.context).stored)
        connection.sendall(answer(200))

    receiver.always = play
    world.work()
    assert left == [4, 3, 2, 1, 0] and len(receiver.heard) == 5


# --- secrets --------------------------------------------------------------------------------------------------------


def test_a_rotated_secret_signs_beside_the_new_one_for_the_overlap(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    old, path = made["secret"], f"/endpoints/{made['id']}/rotate"
    new = world.call("POST", path, {"overlap_hours": 2}, expect=200)["secret"]
    happen(shop)
    world.work()
    clock.add(2 * 3_600)
    happen(shop)
    world.work()
    during, after = receiver.heard
    assert len(during.headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        during.verify(secret)
    after.verify(new)
    with pytest.raises(WebhookVerificationError):
        after.verify(old)
    at_once = world.call("POST", path, {"overlap_hours": 0}, expect=200)["secret"]
    happen(shop)
    world.work()
    receiver.heard[-1].verify(at_once)
    assert len(receiver.heard[-1].headers["webhook-signature"].split(" ")) == 1


def test_lost_encryption_keys_are_told_and_rotating_mends_it(world: World, shop: Shop, receiver: Receiver) -> None:
    made = add(world, receiver)
    with world.context.database.writing() as connection:
        connection.execute(update(endpoint).values(secrets=b"sealed by a key that is gone"))
    happen(shop)
    world.work()
    assert receiver.heard == [] and "cannot be opened" in missed(world, made)[0]["reason"]
    said = world.call("POST", f"/endpoints/{made['id']}/test", {}, expect=200)
    assert not said["arrived"] and "cannot be opened" in said["reason"]
    secret = world.call("POST", f"/endpoints/{made['id']}/rotate", {}, expect=200)["secret"]
    happen(shop)
    world.work()
    receiver.heard[0].verify(secret)


# --- replay ---------------------------------------------------------------------------------------------------------


def test_a_replay_sends_the_same_again(world: World, shop: Shop, receiver: Receiver, clock: Clock) -> None:
    made = add(world, receiver)
    seqs = happen(shop, 5)
    world.work()
    first = list(receiver.heard)
    receiver.heard.clear()
    wait(world, clock, 60)
    body = {"after": seqs[0], "up_to": seqs[3]}
    assert world.call("POST", f"/endpoints/{made['id']}/replay", body, expect=200) == body
    assert see(world, made)["replaying"]
    world.work()
    assert [(one.id, one.body) for one in receiver.heard] == [(one.id, one.body) for one in first[1:4]]
    assert receiver.heard[0].at == first[1].at + 60 and not see(world, made)["replaying"]
    receiver.heard.clear()
    world.command("endpoint", "replay", made["id"], "--after", "0")
    world.work()
    assert receiver.seqs == list(range(1, seqs[-1] + 1))  # also of before it was added


def test_a_replay_by_time(world: World, shop: Shop, receiver: Receiver, clock: Clock) -> None:
    made = add(world, receiver)
    times, seqs = [], []
    for _ in range(4):
        clock.add(3_600)
        times.append(format_moment(clock.at))
        seqs += happen(shop)
    world.work()
    receiver.heard.clear()
    path = f"/endpoints/{made['id']}/replay"
    said = world.call("POST", path, {"since": times[1], "until": times[2]}, expect=200)
    assert said == {"after": seqs[0], "up_to": seqs[2]}
    world.work()
    assert receiver.seqs == seqs[1:3]
    later = world.call("POST", path, {"since": "2030-01-01T00:00:00Z"}, expect=200)
    assert later["after"] == later["up_to"] and not see(world, made)["replaying"]


def test_a_replay_of_what_failed_mends_it_and_one_that_fails_is_tried_again(
    world: World, shop: Shop, receiver: Receiver, clock: Clock
) -> None:
    made = add(world, receiver)
    receiver.answers.append(answer(500))
    seqs = happen(shop, 2)
    world.work()
    path = f"/endpoints/{made['id']}/replay"
    receiver.answers.extend([answer(200), answer(500)])
    world.call("POST", path, {"after": seqs[0] - 1}, expect=200)
    world.work()
    rows = {one["seq"]: (one["state"], one["attempts"]) for one in missed(world, made)}
    assert rows == {seqs[0]: ("done", 2), seqs[1]: ("due", 1)}
    wait(world, clock, 5)
    assert {one["state"] for one in missed(world, made)} == {"done"}
    assert receiver.seqs == [*seqs, *seqs, seqs[1]]


def test_new_events_do_not_wait_for_a_long_replay(world: World, shop: Shop, receiver: Receiver) -> None:
    made = add(world, receiver)
    old = happen(shop, 3 * send_events.BATCH)
    world.work()
    receiver.heard.clear()
    world.call("POST", f"/endpoints/{made['id']}/replay", {"after": old[0] - 1}, expect=200)
    new = happen(shop, 2)
    world.work()
    assert receiver.seqs == [*new, *old]


def test_two_replays_are_both_done(world: World, shop: Shop, receiver: Receiver) -> None:
    made = add(world, receiver)
    seqs = happen(shop, 4)
    world.work()
    receiver.heard.clear()
    for start in (3, 1):
        world.call("POST", f"/endpoints/{made['id']}/replay", {"after": seqs[start] - 1}, expect=200)
    world.work()
    assert receiver.seqs == [seqs[3], *seqs[1:]]


# --- changing and ending --------------------------------------------------------------------------------------------


def test_disabled_then_enabled_loses_nothing(world: World, shop: Shop, receiver: Receiver, clock: Clock) -> None:
    made = add(world, receiver)
    seqs = happen(shop, 2)
    world.work()
    path = f"/endpoints/{made['id']}"
    now = world.call("PATCH", path, {"state": "disabled"}, expect=200)
    assert now["state"] == "disabled" and now["reason"] is None
    seqs += happen(shop, 3)
    wait(world, clock, 30 * DAY_SECONDS)
    assert len(receiver.heard) == 2
    assert world.command("doctor", expect=0)["ok"]  # its owner wants it so
    world.call("PATCH", path, {"state": "enabled"}, expect=200)
    world.work()
    assert receiver.seqs == seqs


def test_a_new_address_gets_what_the_old_one_did_not_take(
    world: World, shop: Shop, roads: Roads, receiver: Receiver
) -> None:
    made = add(world, receiver)
    receiver.always = answer(500)
    seqs = happen(shop, 5)
    world.work()
    other = roads.receiver("new.example.com")
    world.call("PATCH", f"/endpoints/{made['id']}", {"url": other.url}, expect=200)
    world.work()
    assert other.seqs == seqs and see(world, made)["reason"] is None


def test_what_came_of_the_old_address_is_not_held_against_the_new_one(
    world: World, shop: Shop, roads: Roads, receiver: Receiver
) -> None:
    made, other = add(world, receiver), roads.receiver("new.example.com")

    def play(connection: Any) -> None:
        world.call("PATCH", f"/endpoints/{made['id']}", {"url": other.url}, expect=200)
        connection.sendall(answer(410))

    receiver.answers.append(play)
    seqs = happen(shop)
    world.work()
    assert see(world, made)["state"] == "enabled" and other.seqs == seqs


def test_a_deleted_endpoint_gets_nothing_more_also_while_a_batch_is_sent(
    world: World, shop: Shop, receiver: Receiver
) -> None:
    made = add(world, receiver)

    def play(connection: Any) -> None:
        assert world.response("DELETE", f"/endpoints/{made['id']}").status_code == 204
        connection.sendall(answer(500))

    receiver.answers.append(play)
    happen(shop)
    world.work()
    happen(shop)
    world.work()
    assert len(receiver.heard) == 1
    with world.context.database.reading() as connection:
        for table in (endpoint, event_delivery):
            assert connection.execute(select(table)).all() == []


def test_what_ended_long_ago_is_forgotten_but_not_what_a_disabled_endpoint_missed(
    world: World, shop: Shop, roads: Roads, clock: Clock
) -> None:
    on, off = (add(world, roads.receiver(f"{name}.example.com")) for name in ("on", "off"))
    numbers = itertools.count(1)
    with world.context.database.writing() as connection:
        for made in (on, off):
            for state, age in (("done", 31), ("failed", 31), ("due", 31), ("done", 29)):
                connection.execute(
                    insert(event_delivery).values(
                        endpoint_id=int(made["id"].removeprefix("end_")), seq=next(numbers), state=state, attempts=2,
                        due_at=clock.at, changed_at=clock.at - age * DAY,
                    )
                )  # fmt: skip
    world.call("PATCH", f"/endpoints/{off['id']}", {"state": "disabled"}, expect=200)
    assert forget_deliveries(world.context) == 3
    with world.context.database.reading() as connection:
        left = connection.execute(select(event_delivery.c.seq)).scalars().all()
    assert sorted(left) == [3, 4, 6, 7, 8]
    assert forget_deliveries(world.context) == 0


# --- what lies in the database --------------------------------------------------------------------------------------


def test_secrets_lie_sealed_also_in_kept_answers(world: World, shop: Shop, receiver: Receiver) -> None:
    made = world.call("POST", "/endpoints", {"url": receiver.url}, expect=201, Idempotency_Key="k1")
    again = world.call("POST", "/endpoints", {"url": receiver.url}, expect=201, Idempotency_Key="k1")
    assert made == again
    path = f"/endpoints/{made['id']}/rotate"
    new = world.call("POST", path, {}, expect=200, Idempotency_Key="k2")["secret"]
    assert world.call("POST", path, {}, expect=200, Idempotency_Key="k2")["secret"] == new != made["secret"]
    happen(shop)
    world.work()
    receiver.heard[0].verify(made["secret"])
    stored = b"\n".join(
        bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in every_value(world)
    )
    for secret in (made["secret"], new):
        assert secret.removeprefix("whsec_").encode() not in stored


def every_value(world: World) -> list[Any]:
    """Return every value of every table."""
    with world.context.database.reading() as connection:
        return [
            value
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
            for value in row
            if value is not None
        ]


def test_an_erased_person_is_nowhere_in_the_tables_of_endpoints(
    world: World, shop: Shop, receiver: Receiver
) -> None:
    add(world, receiver)
    receiver.answers.append(answer(500))
    body = {"shop": shop.key, "email": "berta@example.org", "name": "Berta Brandt"}
    berta = world.call("POST", "/sharers", body, expect=201)["id"]
    shop.told(shop.order("1", customer={"id": "c-77", "email": "berta@example.org", "name": "Berta Brandt"}))
    world.command("erase", "--email", "berta@example.org")
    world.work()
    assert berta in str([heard.said for heard in receiver.heard])
    sent = b"".join(heard.body for heard in receiver.heard).decode()
    with world.context.database.reading() as connection:
        rows = [str(row) for table in (endpoint, event_delivery, event) for row in connection.execute(select(table))]
    for text in (sent, *rows):
        assert "brandt" not in text.lower() and "berta@" not in text.lower()
