"""Endpoints over the API and by command: what is shown, what is refused, and whose they are."""

from typing import Any

import pytest

from tests.api.fed import FedShop, Installation

URL = "https://hooks.example.com/passalong"


def add(installation: Installation, **details: Any) -> Any:
    return installation.call("POST", "/endpoints", {"url": URL, **details}, expect=201)


def test_a_new_endpoint_shows_its_secret_this_once(installation: Installation, shop: FedShop) -> None:
    made = add(installation, shop=shop.key, types=["payout.paid", "order.decided", "payout.paid"])
    secret = made.pop("secret")
    assert secret.startswith("whsec_") and len(secret) > 40
    sent = installation.call("GET", "/events?limit=500")["items"][-1]["seq"]
    created_at = made.pop("created_at")
    assert made == {
        "id": "end_1", "shop": shop.key, "url": URL, "types": ["order.decided", "payout.paid"], "state": "enabled",
        "reason": None, "failing_since": None, "rests_until": None, "sent": sent, "due": 0, "failed": 0,
        "replaying": False,
    }  # fmt: skip
    assert installation.call("GET", "/endpoints/end_1", expect=200) == {**made, "created_at": created_at}
    assert add(installation)["shop"] is None


def test_endpoints_are_listed_newest_first_in_pages(installation: Installation, shop: FedShop) -> None:
    for _ in range(3):
        add(installation)
    first = installation.call("GET", "/endpoints?limit=2", expect=200)
    second = installation.call("GET", f"/endpoints?limit=2&cursor={first['next']}", expect=200)
    assert [one["id"] for one in first["items"] + second["items"]] == ["end_3", "end_2", "end_1"]
    assert second["next"] is None
    assert not any("secret" in one for one in first["items"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"url": 5}, "url"),
        ({"url": "https://hooks.example.com/" + "x" * 2_048}, "url"),
        ({"url": "https://hooks.example.com/\n"}, "url"),
        ({"url": URL, "shop": "nobody"}, "shop"),
        ({"url": URL, "types": "order.decided"}, "types"),
        ({"url": URL, "types": ["order.decided", "order.unknown"]}, "types.1"),
        ({"url": URL, "secret": "whsec_"}, "secret"),
        ({"url": URL, "state": "disabled"}, "state"),
    ],
)
def test_a_wrong_field_is_named(installation: Installation, body: Any, field: str) -> None:
    told = installation.refused("POST", "/endpoints", body, status=422, code="invalid")
    assert list(told["errors"]) == [field]
    assert installation.call("GET", "/endpoints")["items"] == []


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("replay", {}, "after"),
        ("replay", {"after": 1, "since": "2026-11-01T00:00:00Z"}, "after"),
        ("replay", {"after": -1}, "after"),
        ("replay", {"after": "1"}, "after"),
        ("replay", {"after": True}, "after"),
        ("replay", {"after": 2**63}, "after"),
        ("replay", {"since": "yesterday"}, "since"),
        ("replay", {"after": 1, "until": "2026-11-01T00:00:00"}, "until"),
        ("replay", {"after": 1, "up_to": None}, "up_to"),
        ("replay", {"after": 1, "before": 3}, "before"),
        ("rotate", {"overlap_hours": -1}, "overlap_hours"),
        ("rotate", {"overlap_hours": 8_761}, "overlap_hours"),
        ("rotate", {"overlap_hours": "1"}, "overlap_hours"),
        ("test", {"url": URL}, "url"),
    ],
)
def test_a_wrong_field_of_a_verb_is_named(installation: Installation, verb: str, body: Any, field: str) -> None:
    add(installation)
    told = installation.refused("POST", f"/endpoints/end_1/{verb}", body, status=422, code="invalid")
    assert list(told["errors"]) == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"state": "gone"}, "state"), ({"url": None}, "url"), ({"types": None}, "types"), ({"shop": None}, "shop")],
)
def test_a_wrong_change_is_named_and_nothing_changes(installation: Installation, body: Any, field: str) -> None:
    made = add(installation)
    made.pop("secret")
    told = installation.refused("PATCH", "/endpoints/end_1", body, status=422, code="invalid")
    assert list(told["errors"]) == [field]
    assert installation.call("GET", "/endpoints/end_1") == made


def test_a_query_with_an_unknown_state_is_refused(installation: Installation) -> None:
    add(installation)
    told = installation.refused("GET", "/endpoints/end_1/deliveries?state=lost", status=422, code="invalid")
    assert list(told["errors"]) == ["state"]


VERBS = [
    ("GET", "", None),
    ("PATCH", "", {"state": "disabled"}),
    ("DELETE", "", None),
    ("POST", "/rotate", {}),
    ("POST", "/test", {}),
    ("POST", "/replay", {"after": 0}),
    ("GET", "/deliveries", None),
]


@pytest.mark.parametrize(("method", "verb", "body"), VERBS)
def test_what_is_not_there_is_not_found(installation: Installation, method: str, verb: str, body: Any) -> None:
    installation.refused(method, f"/endpoints/end_7{verb}", body, status=404, code="unknown_endpoint")
    installation.refused(method, f"/endpoints/shr_1{verb}", body, status=404, code="not_found")


@pytest.mark.parametrize(("method", "verb", "body"), VERBS)
def test_a_token_of_one_shop_touches_its_own_alone(
    installation: Installation, shop: FedShop, other_shop: FedShop, method: str, verb: str, body: Any
) -> None:
    every, theirs = add(installation), add(installation, shop=other_shop.key)
    installation.use("write", shop)
    mine = add(installation)
    assert mine["shop"] == shop.key
    for made in (every, theirs):
        path = f"/endpoints/{made['id']}{verb}"
        installation.refused(method, path, body, status=404, code="unknown_endpoint")
    assert installation.response(method, f"/endpoints/{mine['id']}{verb}", body).status_code in (200, 204)
    told = installation.refused(
        "POST", "/endpoints", {"url": URL, "shop": other_shop.key}, status=422, code="invalid"
    )
    assert list(told["errors"]) == ["shop"]
    left = [one["id"] for one in installation.call("GET", "/endpoints")["items"]]
    assert left == ([] if method == "DELETE" else [mine["id"]])


@pytest.mark.parametrize(("method", "verb", "body"), VERBS)
def test_changes_need_the_scope_write(installation: Installation, method: str, verb: str, body: Any) -> None:
    made = add(installation)
    installation.use("read")
    path = f"/endpoints/{made['id']}{verb}"
    if method == "GET":
        installation.call(method, path, expect=200)
    else:
        installation.refused(method, path, body, status=403, code="scope_too_small")
        installation.refused("POST", "/endpoints", {"url": URL}, status=403, code="scope_too_small")


def test_an_idempotency_key_makes_one_endpoint(installation: Installation) -> None:
    made = [installation.response("POST", "/endpoints", {"url": URL}, Idempotency_Key="k") for _ in range(2)]
    assert made[0].get_data() == made[1].get_data() and made[1].headers["Idempotency-Replayed"] == "true"
    assert len(installation.call("GET", "/endpoints")["items"]) == 1


def test_a_name_that_cannot_be_looked_up_now_is_taken(installation: Installation) -> None:
    add(installation)
    said = installation.call("POST", "/endpoints/end_1/test", {}, expect=200)
    assert said == {
        "arrived": False,
        "status": None,
        "reason": "There is no server of the name hooks.example.com. Check the address, or try again later.",
    }


def test_an_unchanged_endpoint_keeps_what_is_held_against_it(installation: Installation) -> None:
    """Only a new address or a new state begins afresh."""
    add(installation)
    before = installation.call("GET", "/endpoints/end_1")
    assert installation.call("PATCH", "/endpoints/end_1", {}, expect=200) == before
    assert installation.call("PATCH", "/endpoints/end_1", {"state": "enabled"}, expect=200) == before


def test_the_commands(installation: Installation, shop: FedShop) -> None:
    wish = ("--shop", shop.key, "--type", "plan.changed")
    made = installation.command("endpoint", "add", "https://93.184.215.14/", *wish)
    secret = made.pop("secret")
    assert secret.startswith("whsec_") and made["types"] == ["plan.changed"] and made["shop"] == shop.key
    assert installation.command("endpoint", "list") == {"endpoints": [made]}
    newest = made["sent"]
    assert installation.command("endpoint", "replay", made["id"], "--after", "1") == {"after": 1, "up_to": newest}
    assert "no such endpoint" in installation.command("endpoint", "replay", "end_9", "--after", "1", expect=1)
    installation.command("endpoint", "replay", made["id"], expect=2)
    installation.command("endpoint", "add", URL, "--type", "order.unknown", expect=2)
    assert "shop" in installation.command("endpoint", "add", URL, "--shop", "nobody", expect=1)
