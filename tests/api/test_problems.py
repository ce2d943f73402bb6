"""Errors: one shape on every route, whatever is wrong, and never a 500 that a caller can cause."""

import json
import logging
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from plugin.errors import InvariantBroken
from tests.api.fed import FedShop, Installation
from tests.api.test_access import METHODS, operations

DEEP = b'{"a":' * 2_000 + b"1" + b"}" * 2_000


def test_every_route_refuses_other_methods_and_says_which_it_takes(installation: Installation) -> None:
    taken: dict[str, set[str]] = {}
    for method, path, _ in operations(installation):
        taken.setdefault(path, set()).add(method)
    for path, methods in taken.items():
        # An order's id may hold anything, so what is asked for below one may be an order with a longer name.
        others = {"TRACE", *METHODS} - methods - ({"GET"} if path.startswith("/orders/") else set())
        for method in sorted(others):
            response = installation.response(method, path)
            installation.problem(response, status=405, code="method_not_allowed")
            assert methods <= {one.strip() for one in response.headers["Allow"].split(",")}


def test_where_there_is_nothing_it_says_so(installation: Installation) -> None:
    for path in ("", "/", "/nothing", "/sharers/", "//sharers", "/shops//plan/x", "/reports/x"):
        for method in ("GET", "POST"):
            installation.refused(method, path, status=404, code="not_found")
    installation.refused("GET", "/sharers//balances", status=404, code="not_found")


def test_pages_beside_the_api_keep_their_own_errors(installation: Installation) -> None:
    response = installation.client.get("/elsewhere")
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert installation.client.get("/api/v10").mimetype == "text/html"


def test_every_route_names_what_is_wrong_with_its_query(installation: Installation) -> None:
    for method, path, endpoint in operations(installation):
        if method == "GET" and endpoint in {
            "api_sharers.get_sharers", "api_links.get_links", "api_orders.get_orders", "api_orders.get_order",
            "api_orders.get_order_receipt", "api_payouts.get_payouts", "api_events.get_events",
        }:  # fmt: skip
            told = installation.refused("GET", f"{path}?nonsense=1", status=422, code="invalid")
            assert "nonsense" in told["errors"]


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"{", "body"),
    (b"nonsense", "body"),
    (b'{"email": NaN}', "body"),
    (b'{"email": 1, "email": 2}', "body"),
    (b"\xff\xfe", "body"),
    (b'{"n": ' + b"9" * 5_000 + b"}", "body"),
    (DEEP, "body"),
    (b'{"email": "a\\u0000b"}', "email"),
    (b'{"email": "\\ud800"}', "email"),
    (b'{"codes": ["a", "\\u0000"]}', "codes.1"),
    (b'{"a\\u0000": 1}', "body"),
    (b'{"email": 9223372036854775808}', "email"),
    (b'{"email": -99999999999999999999999}', "email"),
]


def test_what_is_no_json_or_could_not_be_stored_is_refused(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer()
    before = installation.counts()
    for method, path in (
        ("POST", "/sharers"),
        ("PATCH", f"/sharers/{alice}"),
        ("PUT", f"/shops/{shop.key}/plan"),
        ("POST", "/payouts/pay_1/approve"),
    ):
        for body, field in BAD_BODIES:
            response = installation.raw(method, path, body)
            assert field in installation.problem(response, status=422, code=response.get_json(force=True)["code"])[
                "errors"
            ], (path, body[:40])
        for body in (b"[]", b"null", b'"x"', b"7", b"true"):
            assert installation.raw(method, path, body).status_code == 422
    assert installation.counts() == before


def test_deep_but_readable_json_is_refused(installation: Installation, shop: FedShop) -> None:
    deep = b"[" * 100 + b"]" * 100
    for path, field in (("/sharers", b"codes"), (f"/shops/{shop.key}/what-if", b"plan")):
        installation.refused_raw("POST", path, b'{"%b": %b}' % (field, deep), status=422, code="invalid")


def test_another_content_type_is_refused(installation: Installation) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        response = installation.raw("POST", "/sharers", b"{}", content_type)
        installation.problem(response, status=415, code="unsupported_media_type")
    assert installation.raw("POST", "/sharers", b"{}", "application/merge-patch+json").status_code == 422


def test_a_body_too_large_is_refused(installation: Installation) -> None:
    body = json.dumps({"email": "x" * installation.context.settings.max_body_bytes}).encode()
    installation.problem(installation.raw("POST", "/sharers", body), status=413, code="too_large")


def test_a_missing_body_names_what_is_missing(installation: Installation) -> None:
    told = installation.problem(installation.raw("POST", "/sharers", b""), status=422, code="invalid")
    assert sorted(told["errors"]) == ["email", "shop"]


@pytest.mark.parametrize("error", [InvariantBroken("secret detail"), ValueError("secret detail")])
def test_our_own_faults_show_nothing_and_are_logged(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr("plugin.api.events.list_events", _raising(error))
    code = error.code if isinstance(error, InvariantBroken) else "internal_error"
    with caplog.at_level(logging.ERROR):
        told = installation.refused("GET", "/events", status=500, code=code)
    assert "secret" not in json.dumps(told)
    assert caplog.records[0].exc_info
    assert caplog.records[0].exc_info[1] is error


def test_a_database_that_cannot_be_had_is_a_503(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin.api.events.list_events", _raising(OperationalError("s", {}, Exception("locked"))))
    response = installation.response("GET", "/events")
    installation.problem(response, status=503, code="database_unavailable")
    assert response.headers["Retry-After"] == "1"


def _raising(error: Exception) -> Any:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail
