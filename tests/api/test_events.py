"""The stream of events: in order, nothing missed, each shop its own."""

import threading
from typing import Any

from tests.api.fed import FedShop, Installation


def follow(installation: Installation, limit: int = 500) -> list[Any]:
    """Follow the stream to its end."""
    found, after = [], 0
    while True:
        page = installation.call("GET", f"/events?after={after}&limit={limit}", expect=200)
        found += page["items"]
        if page["next"] is None:
            return found
        after = page["next"]


def test_events_are_numbered_in_order_from_the_first(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    installation.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    events = follow(installation, limit=2)
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert [one["type"] for one in events] == [
        "shop.added", "plan.changed", "sharer.approved", "commission.changed", "order.decided", "sharer.suspended",
    ]  # fmt: skip
    assert {one["shop"] for one in events} == {shop.key}
    assert events[3]["data"] == {
        "shop": shop.key, "order": "1", "sharer": alice, "role": "direct", "currency": "USD", "amount": "10.00",
    }  # fmt: skip
    assert installation.call("GET", "/events?after=6") == {"items": [], "next": None}


def test_a_token_of_one_shop_sees_its_events_alone(
    installation: Installation, shop: FedShop, other_shop: FedShop
) -> None:
    installation.use("read", other_shop)
    assert {one["shop"] for one in follow(installation)} == {other_shop.key}


def test_a_bad_query_is_refused(installation: Installation) -> None:
    for query, field in (
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=1.0", "after"),
        ("after=9223372036854775808", "after"),
        ("after=1&after=2", "after"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=", "limit"),
        ("since=1", "since"),
        ("after=%00", "after"),
    ):
        told = installation.refused("GET", f"/events?{query}", status=422, code="invalid")
        assert list(told["errors"]) == [field]
    assert installation.call("GET", "/events?after=9223372036854775807&limit=500", expect=200)["items"] == []


def test_who_follows_misses_nothing_whatever_commits_at_once(
    installation: Installation, shop: FedShop, other_shop: FedShop
) -> None:
    """Writers of two shops commit as they like; a follower who never looks back sees every event, once."""
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        after = 0
        while True:
            last_round = done.is_set()
            page = installation.call("GET", f"/events?after={after}", expect=200)
            seen.extend(one["seq"] for one in page["items"])
            after = page["next"] or after
            if last_round and not page["items"]:
                return

    def write(one: FedShop) -> None:
        for number in range(12):
            one.sharer(f"s{number}")

    follower = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(one,)) for one in (shop, other_shop)]
    for thread in (follower, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    follower.join()
    assert seen == [one["seq"] for one in follow(installation)]
