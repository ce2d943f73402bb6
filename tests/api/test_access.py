"""Tokens: what each scope may do, and that another shop's things are not there."""

from typing import Any

from plugin.services.manage_access import add_token, revoke_token
from tests.api.fed import TEN_PERCENT, FedShop, Installation

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PAYOUT_ONLY = {
    "api_payouts.post_payout_approve",
    "api_payouts.post_payout_submit",
    "api_payouts.post_payout_item_mark",
    "api_payouts.get_payout_file",
}


def operations(installation: Installation) -> list[tuple[str, str, str]]:
    """Return (method, path, endpoint) of every operation, with some id in each place of the path."""
    found = []
    for rule in installation.app.url_map.iter_rules():
        if rule.endpoint.startswith("api_") and rule.endpoint != "api_document":
            path = rule.build(dict.fromkeys(rule.arguments, "x_1"), append_unknown=False)
            assert path is not None
            for method in sorted((rule.methods or set()) & set(METHODS)):
                found.append((method, path[1].removeprefix("/api/v1"), rule.endpoint))
    assert len(found) > 20
    return found


def test_no_operation_answers_without_a_good_token(installation: Installation) -> None:
    for method, path, _ in operations(installation):
        for header in (None, "Bearer nope"):
            response = installation.client.open(
                f"/api/v1{path}", method=method, headers={"Authorization": header} if header else {}
            )
            installation.problem(response, status=401, code="bad_token")
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_whatever_the_header_holds_is_no_token(installation: Installation) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic YTpi", "Bearer \xff", "bearer a b", installation.token):
        response = installation.client.get("/api/v1/events", headers={"Authorization": header})
        installation.problem(response, status=401, code="bad_token")
    good = {"Authorization": f"bearer  {installation.token} "}
    assert installation.client.get("/api/v1/events", headers=good).status_code == 200


def test_a_revoked_token_is_no_token(installation: Installation) -> None:
    made = add_token(installation.context, "gone", scope="payout", shop_key=None)
    installation.token = made["token"]
    installation.call("GET", "/events", expect=200)
    revoke_token(installation.context, made["id"])
    installation.refused("GET", "/events", status=401, code="bad_token")


def test_each_operation_asks_for_its_scope(installation: Installation) -> None:
    for scope in ("read", "write"):
        installation.use(scope)
        for method, path, endpoint in operations(installation):
            needs_more = endpoint in PAYOUT_ONLY or (scope == "read" and method != "GET")
            status = installation.response(method, path).status_code
            assert (status == 403) == needs_more, (scope, method, path, status)
            if needs_more:
                installation.refused(method, path, status=403, code="scope_too_small")


def things_of(shop: FedShop) -> dict[str, Any]:
    """Make one of everything in a shop."""
    world = shop.world
    alice = shop.sharer("alice", codes=["A"])
    link = shop.link(alice)
    shop.told(shop.order("1001", codes=["A"]))
    world.release()
    batch = world.call("POST", "/payouts", {"shop": shop.key, "rail": "manual", "currency": "USD"}, expect=201)
    return {"sharer": alice, "link": link["id"], "batch": batch["id"], "item": batch["items"][0]["id"]}


def test_another_shops_things_are_not_there(
    installation: Installation, shop: FedShop, other_shop: FedShop
) -> None:
    theirs = things_of(shop)
    installation.use("payout", other_shop)
    before = installation.counts()
    sharer, link, batch, item = (theirs[name] for name in ("sharer", "link", "batch", "item"))
    hand = {"sharer": None, "reason": "r"}
    for method, path, body in (
        ("GET", f"/sharers?shop={shop.key}", None),
        ("GET", f"/sharers/{sharer}", None),
        ("PATCH", f"/sharers/{sharer}", {"group": "mine"}),
        ("GET", f"/sharers/{sharer}/balances", None),
        ("GET", f"/sharers/{sharer}/transfers", None),
        ("GET", f"/links?sharer={sharer}", None),
        ("POST", f"/links/{link}/coupon/end", None),
        ("GET", f"/orders?shop={shop.key}", None),
        ("GET", f"/orders/1001?shop={shop.key}", None),
        ("GET", f"/orders/1001?shop={other_shop.key}", None),
        ("GET", f"/orders/1001/receipt?shop={shop.key}", None),
        ("POST", "/orders/1001/attribution", {"shop": other_shop.key, **hand}),
        ("POST", "/orders/1001/hold", {"shop": other_shop.key, "reason": "r"}),
        ("GET", f"/shops/{shop.key}/plan", None),
        ("PUT", f"/shops/{shop.key}/plan", TEN_PERCENT),
        ("POST", f"/shops/{shop.key}/what-if", {"plan": {}}),
        ("GET", f"/payouts?shop={shop.key}", None),
        ("GET", f"/payouts/{batch}", None),
        ("GET", f"/payouts/{batch}/file", None),
        ("POST", f"/payouts/{batch}/approve", None),
        ("POST", f"/payouts/{batch}/submit", None),
        ("POST", f"/payouts/{batch}/cancel", None),
        ("POST", f"/payouts/{batch}/items/{item}/mark", {"state": "paid"}),
    ):
        response = installation.response(method, path, body)
        assert response.status_code == 404, (method, path, response.status_code)
    named: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("/sharers", {"shop": shop.key, "email": "x@example.org"}, "shop"),
        ("/sharers", {"shop": other_shop.key, "email": "x@example.org", "referred_by": sharer}, "referred_by"),
        ("/links", {"sharer": sharer}, "sharer"),
        ("/orders/1001/attribution", {"shop": shop.key, **hand}, "shop"),
        ("/orders/1001/hold", {"shop": shop.key, "reason": "r"}, "shop"),
        ("/payouts", {"shop": shop.key, "rail": "manual", "currency": "USD"}, "shop"),
        ("/payouts", {"shop": other_shop.key, "rail": "manual", "currency": "USD", "sharers": [sharer]}, "sharers"),
    )
    for path, wrong, field in named:
        assert list(installation.refused("POST", path, wrong, status=422, code="invalid")["errors"]) == [field]
    assert installation.counts() == before


def test_a_token_of_the_shop_may_do_all_of_it(installation: Installation, shop: FedShop) -> None:
    installation.use("payout", shop)
    theirs = things_of(shop)
    installation.call("POST", f"/payouts/{theirs['batch']}/approve", expect=200)
    installation.call("GET", f"/orders/1001/receipt?shop={shop.key}", expect=200)


def test_a_read_token_may_ask_by_head(installation: Installation) -> None:
    installation.use("read")
    response = installation.response("HEAD", "/events")
    assert (response.status_code, response.get_data()) == (200, b"")


def test_the_document_needs_no_token(installation: Installation) -> None:
    document = installation.client.get("/api/v1/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    told = [one for path in document["paths"].values() for name, one in path.items() if name != "parameters"]
    assert len(told) == len(operations(installation))
    assert len({one["operationId"] for one in told}) == len(told)
    assert all(one["summary"] and {"401", "403", "422"} <= one["responses"].keys() for one in told)
