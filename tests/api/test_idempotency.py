"""Idempotency keys: one answer for one key and body, also at once, also after a crash."""

import json
import threading
from typing import Any

import pytest
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from plugin.domain.moment import DAY, SECOND
from plugin.models import idempotency, sharer
from tests.api.fed import FedShop, Installation


def enrol(installation: Installation, shop: FedShop, key: str, **changes: Any) -> TestResponse:
    """Enrol Alice under a key."""
    body = {"shop": shop.key, "email": "alice@example.org", "name": "A"} | changes
    return installation.response("POST", "/sharers", body, Idempotency_Key=key)


def sharers(installation: Installation) -> int:
    """Return how many sharers there are."""
    with installation.context.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(sharer)).scalar_one())


def age(installation: Installation, by: int, **changes: Any) -> None:
    """Make the kept answers older."""
    with installation.context.database.writing() as connection:
        connection.execute(update(idempotency).values(created_at=idempotency.c.created_at - by, **changes))


def test_the_first_answer_is_given_again(installation: Installation, shop: FedShop) -> None:
    first, again = enrol(installation, shop, "k1"), enrol(installation, shop, "k1")
    assert first.status_code == again.status_code == 201
    assert first.get_data() == again.get_data()
    assert first.content_type == again.content_type == "application/json"
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert sharers(installation) == 1


def test_the_same_body_in_another_spelling_is_the_same(installation: Installation, shop: FedShop) -> None:
    body = {"shop": shop.key, "email": "alice@example.org", "name": "愛"}
    headers = {
        "Authorization": f"Bearer {installation.token}", "Idempotency-Key": "k", "Content-Type": "application/json",
    }  # fmt: skip
    spellings = [
        json.dumps(body),
        json.dumps(dict(reversed(body.items())), indent=3, ensure_ascii=False),
    ]
    answers = [installation.client.post("/api/v1/sharers", data=text.encode(), headers=headers) for text in spellings]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].get_data() == answers[1].get_data()


def test_another_body_conflicts(installation: Installation, shop: FedShop) -> None:
    enrol(installation, shop, "k1")
    told = installation.problem(enrol(installation, shop, "k1", name="B"), status=409, code="idempotency_mismatch")
    assert told["title"] == "Conflict"


def test_keys_are_kept_by_token_and_path(installation: Installation, shop: FedShop) -> None:
    assert enrol(installation, shop, "k1").status_code == 201
    link = installation.response("POST", "/links", {"sharer": "shr_1"}, Idempotency_Key="k1")
    assert link.status_code == 201
    installation.use("write")
    assert enrol(installation, shop, "k1").status_code == 409  # e-mail taken: this token never used the key


def test_refusals_are_kept_too(installation: Installation, shop: FedShop) -> None:
    bad = enrol(installation, shop, "k1", status="king")
    again = enrol(installation, shop, "k1", status="king")
    assert (bad.status_code, bad.get_data()) == (422, again.get_data())
    assert again.content_type == "application/problem+json"
    installation.problem(enrol(installation, shop, "k1"), status=409, code="idempotency_mismatch")
    enrol(installation, shop, "k2")
    taken = enrol(installation, shop, "k3")
    assert (taken.status_code, taken.get_data()) == (409, enrol(installation, shop, "k3").get_data())


def test_our_own_faults_are_not_kept(
    installation: Installation, shop: FedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> int:
        raise ValueError

    with monkeypatch.context() as patched:
        patched.setattr("plugin.api.sharers.enrol_sharer", fail)
        assert enrol(installation, shop, "k1").status_code == 500
    assert enrol(installation, shop, "k1").status_code == 201


def test_a_key_is_printable_and_not_too_long(installation: Installation, shop: FedShop) -> None:
    for key in ("", "x" * 256, "a\tb", "a\x7fb"):
        told = installation.problem(enrol(installation, shop, key), status=422, code="invalid")
        assert list(told["errors"]) == ["Idempotency-Key"]
    assert enrol(installation, shop, "x" * 255).status_code == 201


def test_a_body_that_cannot_be_read_is_kept_by_nobody(installation: Installation, shop: FedShop) -> None:
    headers = {"Authorization": f"Bearer {installation.token}", "Idempotency-Key": "k1"}
    bad = installation.client.post("/api/v1/sharers", data=b"{", headers=headers, content_type="application/json")
    installation.problem(bad, status=422, code="malformed_json")
    assert enrol(installation, shop, "k1").status_code == 201


def test_an_answer_is_forgotten_after_thirty_days(installation: Installation, shop: FedShop) -> None:
    enrol(installation, shop, "k1")
    age(installation, 29 * DAY)
    assert enrol(installation, shop, "k1").status_code == 201
    age(installation, 2 * DAY)
    assert enrol(installation, shop, "k1", email="bob@example.org").status_code == 201
    assert sharers(installation) == 2


def test_a_claim_whose_process_died_is_taken_over(installation: Installation, shop: FedShop) -> None:
    enrol(installation, shop, "k1", email="bob@example.org")
    age(installation, 0, status=None, answer=None)
    under_way = enrol(installation, shop, "k1", email="bob@example.org")
    installation.problem(under_way, status=409, code="idempotency_in_progress")
    age(installation, 61 * SECOND)
    told = enrol(installation, shop, "k1", email="bob@example.org")
    installation.problem(told, status=409, code="email_taken")  # what the dead process had done stands


def test_who_was_overtaken_does_not_overwrite(
    installation: Installation, shop: FedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow first call comes back after its claim was taken over: the kept answer is the second's."""
    from plugin.services.enrol_sharer import enrol_sharer

    def overtaken(*args: Any, **kwargs: Any) -> int:
        monkeypatch.undo()
        age(installation, 61 * SECOND)
        assert enrol(installation, shop, "k1").status_code == 201
        return enrol_sharer(*args, **kwargs)

    monkeypatch.setattr("plugin.api.sharers.enrol_sharer", overtaken)
    assert enrol(installation, shop, "k1").status_code == 409
    assert enrol(installation, shop, "k1").status_code == 201
    assert sharers(installation) == 1


def test_of_many_at_once_one_does_it(installation: Installation, shop: FedShop) -> None:
    answers: list[TestResponse] = []
    barrier = threading.Barrier(8)

    def call() -> None:
        barrier.wait()
        answers.append(enrol(installation, shop, "k1"))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sharers(installation) == 1
    first = enrol(installation, shop, "k1")
    assert first.status_code == 201
    for answer in answers:
        if answer.status_code == 409:
            installation.problem(answer, status=409, code="idempotency_in_progress")
        else:
            assert (answer.status_code, answer.get_data()) == (201, first.get_data())


def test_a_very_long_path_takes_a_key_too(installation: Installation, shop: FedShop) -> None:
    body = {"shop": shop.key, "sharer": None, "reason": "r"}
    path = f"/orders/{'x' * 600}/attribution"
    for _ in range(2):
        response = installation.response("POST", path, body, Idempotency_Key="k1")
        installation.problem(response, status=404, code="unknown_order")


def test_kept_answers_lie_sealed_and_one_that_cannot_be_opened_is_not_done_again(
    installation: Installation, shop: FedShop
) -> None:
    enrol(installation, shop, "k1")
    with installation.context.database.reading() as connection:
        assert b"alice" not in bytes(connection.execute(select(idempotency.c.answer)).scalar_one())
    age(installation, 0, answer=b'{"of": "an older version"}')
    installation.problem(enrol(installation, shop, "k1"), status=409, code="answer_unreadable")
    assert sharers(installation) == 1
