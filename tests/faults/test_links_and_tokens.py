"""Links and tokens under attack: nobody is led away from the shop, nothing forged is believed, no secret is ever shown.

Cases 51, 52 and 60 of the list, on both databases.
"""

import base64
import hmac
import json
import logging
import sqlite3
import string
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from plugin import shops
from plugin.database import Database
from plugin.domain.moment import format_moment
from plugin.models import metadata
from plugin.services.add_shop import NewShop, find_shop, rotate_secret
from plugin.services.issue_link import check_target
from plugin.services.manage_access import add_token
from plugin.services.reach_shop import place_of
from plugin.settings import load
from plugin.shops.base import Asked
from plugin.signing import make_code, make_token, read_code
from tests.shops import samples
from tests.shops.fake_shop import FakeShop, Said
from tests.world import Shop, World

HOME = "https://shop.example.com"
BROWSER = {"User-Agent": "Mozilla/5.0"}


@pytest.fixture
def alice(shop: Shop) -> str:
    """Give a sharer."""
    return shop.sharer("alice")


def follow(world: World, code: str, query: str = "") -> str:
    """Follow a share link as a visitor does; return where it leads."""
    answer = world.client.get(f"/s/{code}{query}", headers=BROWSER)
    assert answer.status_code == 302, answer.status_code
    assert not answer.headers.getlist("Set-Cookie")
    location: str = answer.headers["Location"]
    return location


# -- where a link may lead ---------------------------------------------------------------------------------------------

ELSEWHERE = [
    "//evil.example/",
    "///evil.example/",
    "\\\\evil.example",
    "/\\evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https://evil.example/",
    "https://shop.example.com@evil.example/",
    "https://shop.example.com:pw@evil.example/",
    "https://evil.example\\@shop.example.com/",
    "https://shop.example.com.evil.example/",
    "https://evil-shop.example.com/",
    "https://shop.example.com\u3002evil.example/",
    "https://shop.example.com\uff0eevil.example/",
    "https://evil\u2024example/",
    "https://shop\uff0eexample\uff0ecom/",  # may be the shop to a browser, and is not written as it is
    "https://shop.example.com:8443/",
    "http://shop.example.com/",
    "ftp://shop.example.com/",
    "javascript:alert(1)",
    "JaVaScRiPt://shop.example.com/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "https://shop.example.com/\r\nLocation: https://evil.example/",
    "https://shop.example.com/\nSet-Cookie: a=b",
    "https://shop.example.com/\tx",
    "https://shop.example.com /",
    " https://evil.example/",
    "https://\u0000shop.example.com/",
    "https://[::1]/",
    "https://[shop.example.com]/",
    "https://shop.example.com:99999/",
    "https://shop.example.com:x/",
    "https://",
    "https://?",
    "shop.example.com",
    "/only/a/path",
    "?q=1",
    "https://shop.example.com/" + "x" * 3_000,
]


def test_fault_51_no_link_is_issued_that_leads_away_from_the_shop(world: World, shop: Shop, alice: str) -> None:
    """Case 51."""
    for url in ELSEWHERE:
        answer = world.response("POST", "/links", {"sharer": alice, "url": url})
        assert answer.status_code == 422 and "url" in answer.get_json()["errors"], (url, answer.get_data(as_text=True))
    assert world.call("GET", f"/sharers/{alice}", expect=200)["id"] == alice


def test_fault_51_whatever_a_link_was_given_it_leads_to_the_shop_s_own_host(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 51: what is odd and yet on the shop's host is taken, and every character of it stays in its place."""
    for url in (
        None,
        "",
        HOME,
        HOME + "/",
        HOME + "//evil.example/",
        HOME + "/a/../b?x=//evil.example&y=https://evil.example#@evil.example",
        HOME + "?pa=forged",
        HOME + "/%0d%0aLocation:%20https://evil.example/",
        HOME + "/\u00e4\u4e2d?q=\u00e9&pa=1&utm_content=x#\u00fc",
        HOME + "/;//evil.example",
        "HTTPS://SHOP.EXAMPLE.COM/Case",
        HOME + ":443/port",
    ):
        answer = world.response("POST", "/links", {"sharer": alice} if url is None else {"sharer": alice, "url": url})
        if answer.status_code == 422:
            assert url == HOME + ":443/port"
            continue
        location = follow(world, answer.get_json()["code"])
        parts = urlsplit(location)
        assert (parts.scheme, parts.netloc) == ("https", "shop.example.com"), (url, location)
        assert location.isascii() and not set(location) & set("\r\n\t \\\"<>")
        assert len(parse_qs(parts.query)["pa"]) == 1, location


VISITORS = [
    "?to=//evil.example",
    "?to=https://evil.example&url=https://evil.example&next=//evil.example&redirect_uri=//evil.example",
    "?pa=forged&utm_content=forged",
    "?%0d%0aLocation:%20https://evil.example",
    "?__proto__[to]=//evil.example",
]


def test_fault_51_a_visitor_s_own_query_and_headers_change_nothing(world: World, shop: Shop, alice: str) -> None:
    """Case 51: where a link leads is what its owner said, and nothing that comes with the click."""
    code = shop.link(alice, url=HOME + "/tea?x=1")["code"]
    claims = ({}, {"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Referer": "//evil.example"})
    for query, headers in product(VISITORS, claims):
        answer = world.client.get(f"/s/{code}{query}", headers=BROWSER | headers)
        location = answer.headers["Location"]
        assert location.startswith(HOME + "/tea?x=1&") and "evil" not in location and "forged" not in location
        shown = world.client.get(f"/s/{code}/qr.svg{query}", headers=headers).get_data(as_text=True)
        assert "evil" not in shown


def test_fault_51_every_ascii_character_in_a_link_s_path_and_query_stays_harmless(shop: Shop) -> None:
    """Case 51: character by character, what is kept can end neither the address nor the header."""
    for one in map(chr, range(256)):
        for url in (f"{HOME}/a{one}b", f"{HOME}/?q={one}x", f"{HOME}/#{one}", f"{HOME}{one}.evil"):
            try:
                target = check_target(HOME, url)
            except Exception as error:
                assert type(error).__name__ == "BadRequest", (url, error)
                continue
            parts = urlsplit(target)
            assert (parts.scheme, parts.netloc) == ("https", "shop.example.com") and target.isascii(), (url, target)
            assert all(32 < ord(sign) < 127 and sign not in '"<>\\^`{|}' for sign in target), (url, target)


# -- codes and tokens --------------------------------------------------------------------------------------------------


def not_found_page(world: World) -> bytes:
    """Return the one page that every bad code shows."""
    answer = world.client.get("/s/nothing", headers=BROWSER)
    assert answer.status_code == 404
    return answer.get_data()


def test_fault_52_an_altered_code_shows_the_one_page_of_every_bad_code(world: World, shop: Shop, alice: str) -> None:
    """Case 52: character by character; nothing in the answer tells how near a guess came."""
    code = shop.link(alice)["code"]
    page = not_found_page(world)
    assert follow(world, code)
    headers = dict(world.client.get("/s/nothing", headers=BROWSER).headers)
    alphabet = string.ascii_letters + string.digits + "-_"
    bad = [code[:-1], code + "A", code.swapcase(), code[::-1], code + "=", "A" * 21, "A" * 41, code.lower(), ""]
    bad += [" " + code, code + "%00", code + "/", code + "/x", "..%2f" + code, "%0d%0a", "\u4e2d", "x" * 5_000]
    for place in range(len(code)):
        swapped = alphabet[(alphabet.index(code[place]) + 1) % 64]
        bad.append(code[:place] + swapped + code[place + 1 :])
    for one in bad:
        answer = world.client.get(f"/s/{quote(one, safe='%/')}", headers=BROWSER)
        assert (answer.status_code, answer.get_data()) == (404, page), one
        assert dict(answer.headers) == headers, one


def test_fault_52_a_token_of_one_purpose_is_worth_nothing_for_another(world: World, shop: Shop, alice: str) -> None:
    """Case 52: salt and audience; a click token is no code, and a code of another shop or no link leads nowhere."""
    link = shop.link(alice)
    token, page, keys = shop.click(link), not_found_page(world), world.context.keys
    shop_id = find_shop(world.context, shop.key).id
    strangers = [token, token[:21], make_code(keys, shop_id + 1, 5), make_code(keys, shop_id, 5), world.token]
    for one in strangers:
        for suffix in ("", "/qr.svg"):
            answer = world.client.get(f"/s/{one}{suffix}", headers=BROWSER)
            assert (answer.status_code, answer.get_data()) == (404, page)
    for one in (link["code"], token, f"{link['code']}.{token}"):
        headers = {"Authorization": f"Bearer {one}"}
        assert world.client.get(f"/api/v1/orders?shop={shop.key}", headers=headers).status_code == 401


def test_fault_52_links_cannot_be_counted(world: World, shop: Shop, alice: str) -> None:
    """Case 52: two codes issued one after the other share nothing that could be counted up."""
    codes = [shop.link(alice)["code"] for _ in range(12)]
    assert len(set(codes)) == 12
    numbers = [read_code(world.context.keys, code).link for code in codes]
    steps = {abs(one - other) for one, other in zip(numbers, numbers[1:], strict=False)}
    assert min(steps) > 1_000 and max(numbers) > 2**24


@pytest.mark.parametrize("carrier", ["_pa", "pa", "landing", "utm"])
def test_fault_52_a_forged_token_on_an_order_earns_nobody_anything(
    world: World, shop: Shop, alice: str, carrier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 52: altered, of another shop, signed by a key of their own; the receipt says that it was refused."""
    monkeypatch.setattr("plugin.services.issue_link.randomness.randbelow", lambda _: 7)  # both shops have a link 7
    other = world.shop(url="https://other.example.com")
    other.plan()
    theirs = other.link(other.sharer("mallory"))
    good = shop.click(shop.link(alice))
    foreign = other.click(theirs)
    key = type(world.context.keys)(*[(type(world.context.keys.sign[0])("A", b"m" * 32, 0),)] * 2, b"p" * 32)
    at = world.context.now()
    forged = [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good[:5] + ("A" if good[5] != "A" else "B") + good[6:],
        good.swapcase(),
        foreign,
        theirs["code"],
        make_token(key, find_shop(world.context, shop.key).id, 7, at, b"12345678"),
        make_code(key, find_shop(world.context, shop.key).id, 7),
    ]
    for number, one in enumerate(forged):
        ref, carried = f"{carrier}-{number}", carry(carrier, one)
        seen = shop.told(shop.order(ref, **carried))
        receipt = shop.receipt(ref)
        assert (receipt["outcome"], receipt["winner"], seen["commissions"]) == ("nobody", None, [])
        reasons = {evidence["reason"] for evidence in receipt["evidence"]}
        assert reasons == {"not_a_token" if carrier == "utm" else "forged"}
        assert not any(evidence["accepted"] for evidence in receipt["evidence"])
    # And a genuine one beside a forged one still counts.
    now = {"placed_at": stamp(at), "paid_at": stamp(at), "updated_at": stamp(at)}
    seen = shop.told(shop.order(f"{carrier}-good", **carry(carrier, f"{forged[0]},{good}"), **now))
    assert [one["sharer"] for one in seen["commissions"]] == [alice]
    world.books()


def carry(carrier: str, value: str) -> dict[str, Any]:
    """Return what of an order carries a token in that place."""
    match carrier:
        case "landing":
            return {"landing_url": f"{HOME}/?a=b&pa={value}#c"}
        case "utm":
            return {"landing_url": f"{HOME}/?utm_content={value}"}
        case _:
            return {"attributes": {carrier: value}}


def stamp(moment: int) -> str:
    """Return a moment as an order states it."""
    return format_moment(moment)


def test_fault_52_a_token_of_a_retired_key_holds_for_what_it_signed_before_and_for_nothing_after(
    world: World, shop: Shop, alice: str
) -> None:
    """Case 52: a stolen old key signs nothing new."""
    link = shop.link(alice)
    before = shop.click(link)
    stolen = world.context.keys
    world.command("keys", "rotate", "sign")
    world.command("keys", "retire", "sign:A")
    world.context.key_store._looked_at = 0  # as if a second had gone by
    assert [key.retired_at is None for key in world.context.keys.sign] == [False, True]
    after = shop.click(link)
    assert before[0] == "A" and after[0] == "B"
    shop_id, at = find_shop(world.context, shop.key).id, world.context.now() + 60_000_000
    number = read_code(stolen, link["code"]).link
    new_by_old = make_token(stolen, shop_id, number, at, b"12345678")
    placed = {"placed_at": stamp(at), "paid_at": stamp(at), "updated_at": stamp(at)}
    winners = {}
    for name, token in (("before", before), ("after", after), ("stolen", new_by_old), ("code", link["code"])):
        shop.told(shop.order(name, attributes={"_pa": token}, **placed))
        winners[name] = shop.receipt(name)["winner"]
    assert winners == {"before": alice, "after": alice, "stolen": None, "code": alice}
    assert follow(world, link["code"])
    world.books()


# -- API tokens --------------------------------------------------------------------------------------------------------


def test_fault_52_an_api_token_holds_whole_or_not_at_all_and_ends_at_once(world: World, shop: Shop) -> None:
    """Case 52, of the API: one answer to every bad token."""
    path = f"/api/v1/orders?shop={shop.key}"
    made = add_token(world.context, "reader", scope="read", shop_key=shop.key)
    good = made["token"]
    assert world.client.get(path, headers={"Authorization": f"Bearer {good}"}).status_code == 200
    problems = set()
    for bad in (
        f"Bearer {good[:-1]}",
        f"Bearer {good}x",
        f"Bearer {good.swapcase()}",
        f"Bearer  {good}x",
        f"bearer {good[4:]}",
        f"Basic {good}",
        good,
        "Bearer",
        "Bearer ",
        "",
        "Bearer \xff",
        "Bearer " + "x" * 100_000,
        f"Bearer {made['id']}",
    ):
        answer = world.client.get(path, headers={"Authorization": bad})
        assert answer.status_code == 401, bad
        problems.add(answer.get_data())
    assert len(problems) == 1
    world.command("token", "revoke", made["id"])
    answer = world.client.get(path, headers={"Authorization": f"Bearer {good}"})
    assert (answer.status_code, answer.get_data()) == (401, problems.pop())


def test_a_token_of_one_shop_sees_nothing_of_another_s(world: World, shop: Shop, alice: str) -> None:
    """Case 58 of the tokens there are: not yours is as good as not there."""
    other = world.shop(url="https://other.example.com")
    world.token = add_token(world.context, "theirs", scope="payout", shop_key=other.key)["token"]
    bob = other.sharer("bob")
    number = int(alice.removeprefix("shr_"))
    for path in (
        f"/sharers/{alice}",
        f"/sharers/{alice}/balances",
        f"/sharers/{alice}/transfers",
        f"/orders?shop={shop.key}",
        f"/orders/o1?shop={shop.key}",
        f"/shops/{shop.key}/plan",
        f"/payouts?shop={shop.key}",
    ):
        mine, none = world.response("GET", path), world.response("GET", path.replace(alice, f"shr_{number + 900}"))
        assert mine.status_code == none.status_code == 404
        assert mine.get_json()["code"] == none.get_json()["code"]
    for path, body in (
        ("/links", {"sharer": alice}),
        ("/sharers", {"shop": shop.key, "email": "x@example.org"}),
        ("/sharers", {"shop": other.key, "email": "x@example.org", "referred_by": alice}),
        ("/payouts", {"shop": shop.key, "rail": "manual", "currency": "USD"}),
        ("/payouts", {"shop": other.key, "rail": "manual", "currency": "USD", "sharers": [alice]}),
    ):
        assert world.response("POST", path, body).status_code == 422, path
    assert world.response("PATCH", f"/sharers/{alice}", {"group": "x"}).status_code == 404
    assert world.call("GET", f"/sharers/{bob}", expect=200)["id"] == bob


STRANGE_TEXTS = ["\ud800", "\0", "a\0b", "\u202e", "x" * 300, "\U0010ffff", "\x7f", "\r\n"]


def test_fault_52_no_text_is_so_strange_that_the_api_fails_on_it(world: World, shop: Shop, alice: str) -> None:
    """Case 52 and 64: what a database cannot keep is refused by name, and is no fault of ours."""
    shop.told(shop.order("o1"))
    for strange in STRANGE_TEXTS:
        for method, path, body in requests_with(strange, shop, alice):
            answer = world.response(method, path, body)
            assert answer.status_code < 500, (method, path, body, answer.get_data(as_text=True))
    world.books()


def requests_with(strange: str, shop: Shop, alice: str) -> list[tuple[str, str, Any]]:
    """Return requests that carry a text in every place there is for one."""
    return [
        ("POST", "/sharers", {"shop": shop.key, "email": "b@example.org", "name": strange}),
        ("POST", "/sharers", {"shop": shop.key, "email": "c@example.org", "locale": strange}),
        ("POST", "/sharers", {"shop": shop.key, "email": "d@example.org", "group": strange}),
        ("POST", "/sharers", {"shop": shop.key, "email": "e@example.org", "codes": [strange]}),
        ("POST", "/sharers", {"shop": shop.key, "email": f"{strange}@example.org"}),
        ("POST", "/sharers", {"shop": strange, "email": "f@example.org"}),
        ("POST", "/links", {"sharer": alice, "channel": strange}),
        ("POST", "/links", {"sharer": alice, "campaign": strange}),
        ("POST", "/links", {"sharer": alice, "url": f"{HOME}/{strange}"}),
        ("POST", "/links", {"sharer": strange}),
        ("PATCH", f"/sharers/{alice}", {"group": strange}),
        ("POST", "/orders/o1/attribution", {"shop": shop.key, "sharer": None, "reason": strange}),
        ("POST", "/payouts", {"shop": shop.key, "rail": strange, "currency": "USD"}),
        ("POST", "/payouts", {"shop": shop.key, "rail": "manual", "currency": strange}),
        ("POST", "/payouts", {"shop": shop.key, "rail": "manual", "currency": "USD", "minimum": strange}),
        ("PUT", f"/shops/{shop.key}/plan", {"commission": {"rules": [{"id": strange, "pay": {"none": True}}]}}),
        ("PUT", f"/shops/{shop.key}/plan",
         {"commission": {"rules": [{"id": "r", "when": {"groups": [strange]}, "pay": {"none": True}}]}}),
        ("GET", f"/orders/{quote(strange, safe='', errors='surrogatepass')}?shop={shop.key}", None),
        ("GET", f"/orders?shop={shop.key}&cursor={quote(strange, safe='', errors='surrogatepass')}", None),
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["\u00df" * 255, "\u0130" * 200, "\ufb03" * 255], ids=("ss", "i-dot", "ffi"))
def test_a_code_that_grows_when_its_case_is_folded_is_no_fault(world: World, shop: Shop, code: str) -> None:
    """Case 64: ß becomes ss. An order with such a code is settled like any other, on both databases alike."""
    alice = shop.sharer("anna", codes=["ANNA"])
    shop.told(shop.order("o1", codes=[code, "anna"]))
    assert world.deliveries()[0]["state"] == "done", world.deliveries()[0]["reason"]
    assert shop.balance(alice)["earned"] == "10.00"
    answer = world.response("POST", "/sharers", {"shop": shop.key, "email": "b@example.org", "codes": [code]})
    assert answer.status_code in (201, 422)
    world.books()


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_fault_60_signatures_and_tokens_are_compared_in_constant_time(
    world: World, shop: Shop, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 60: by hmac.compare_digest, and by nothing else; an API token is looked up by its hash."""
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def spy(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return real(one, other)

    code = shop.link(alice)["code"]
    monkeypatch.setattr(hmac, "compare_digest", spy)

    def bad(act: Any) -> None:
        compared.clear()
        assert act().status_code in (401, 404)
        assert compared and all(len(one) == len(other) for one, other in compared[-1:])

    body = json.dumps({"type": "order", "data": shop.order("o1")}).encode()
    other = Shop(world, {"key": shop.key, "webhook_secret": "whsec_" + "A" * 44})
    bad(lambda: shop.post(body, other.signed(body)))
    woo = world.shop("woocommerce", url="https://woo.example.com")
    bad(lambda: woo.post(body, {"X-WC-Webhook-Signature": "A" * 43 + "=", "X-WC-Webhook-Topic": "order.updated"}))
    bad(lambda: world.client.get(f"/s/{code[:-1]}{'A' if code[-1] != 'A' else 'B'}"))
    # An API token never meets the stored one: what the database compares are hashes of 256 bits.
    with world.context.database.reading() as connection:
        stored = connection.execute(text("SELECT token_hash FROM pa_api_token")).scalars().all()
    assert world.token not in "".join(stored) and all(len(one) == 64 for one in stored)


def everything_stored(world: World) -> str:
    """Return all that the database holds, with bytes as text in several readings."""
    found = []
    with world.context.database.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(table.select()).mappings():
                found += [one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in row.values()]
    if world.context.database.is_sqlite:  # and what lies in its files beside the rows
        path = Path(world.context.database.engine.url.database or "")
        plain = sqlite3.connect(path)
        plain.execute("PRAGMA wal_checkpoint(FULL)")
        plain.close()
        found.append(path.read_bytes().decode("latin-1"))
    return "\n".join(found)


CANARY = "canary7d1f"


def test_fault_60_secrets_lie_encrypted_and_buyers_only_as_keyed_hashes(world: World) -> None:
    """Case 60: what a thief of the database would find."""
    shop = world.shop(
        secret="whsec_Y2FuYXJ5N2QxZmNhbmFyeTdkMWZjYW5hcnk3ZDFm", credentials={"api": f"{CANARY}-credential"}
    )
    shop.plan()
    alice = shop.sharer("alice", codes=["ALICE10"])
    token = shop.click(shop.link(alice))
    buyer = {"id": "c1", "email": f"{CANARY}@buyers.example", "orders_before": 0}
    extra = {"billing": {"phone": f"{CANARY}-phone"}, "note": f"{CANARY}-note", "referrer_url": f"{HOME}/{CANARY}"}
    shop.told(
        shop.order("o1", customer=buyer, attributes={"_pa": token, "gift": f"{CANARY}-gift"},
                   landing_url=f"{HOME}/?email={CANARY}%40buyers.example", **extra)
    )  # fmt: skip
    bad = json.dumps({"type": "order", "data": {"id": f"{CANARY}-quarantined"}}).encode()
    assert shop.post(bad, shop.signed(bad)).status_code == 200
    world.work()
    rotated = rotate_secret(world.context, shop.key)["webhook_secret"]
    stored = everything_stored(world)
    assert "ALICE10" in stored and "alice@example.org" in stored, "the look into the database sees nothing"
    secrets = {CANARY, shop.secret, shop.secret.removeprefix("whsec_"), rotated, rotated.removeprefix("whsec_")}
    secrets |= {world.token, "canary7d1fcanary7d1f"}
    for key in (*world.context.keys.sign, *world.context.keys.encrypt):
        secrets.add(key.secret.decode("latin-1"))
    secrets.add(world.context.keys.pepper.decode("latin-1"))
    for secret in secrets:
        assert secret not in stored, f"{secret[:12]} lies in the database in clear"


@pytest.fixture
def whole_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Listen to everything that anybody logs."""
    with caplog.at_level(logging.DEBUG):
        for name in ("plugin", "webhooks", "admin_ui", "werkzeug", "huey"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        yield caplog


def test_fault_60_no_secret_is_ever_in_a_log_an_error_or_a_repr(
    world: World, whole_log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 60: the canary secrets go every way that fails, and are seen nowhere."""
    shop = world.shop(secret="whsec_Y2FuYXJ5N2QxZmNhbmFyeTdkMWZjYW5hcnk3ZDFm", credentials={"api": f"{CANARY}-cred"})
    shop.plan()
    alice = shop.sharer("alice", codes=["ALICE10"])
    click = shop.click(shop.link(alice))
    said: list[str] = []

    def call(method: str, path: str, body: Any = None, **headers: str) -> None:
        said.append(world.response(method, path, body, **headers).get_data(as_text=True))

    buyer = {"id": "c1", "email": f"{CANARY}@buyers.example", "orders_before": "no number"}
    for order in (shop.order("o1", customer=buyer), shop.order("o2", attributes={"_pa": click}, total=f"{CANARY}")):
        shop.deliver(order)
    order = shop.order("o3", customer=buyer | {"orders_before": 0}, attributes={"_pa": click}, codes=["ALICE10"])
    body = json.dumps({"type": "order", "data": order}).encode()
    for headers in (shop.signed(body, at=1), shop.signed(body) | {"webhook-signature": f"v1,{CANARY}"}, {}):
        said.append(shop.post(body, {"Authorization": f"Bearer {CANARY}", **headers}).get_data(as_text=True))
    world.work()
    fails = {"once": True}

    def fail(*_: Any, **__: Any) -> Any:
        fails["once"] = False
        raise ValueError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr("plugin.services.process_inbox.settle", fail)
        shop.deliver(order)
        world.work()
    with monkeypatch.context() as patched:
        patched.setattr("plugin.services.store_delivery.Intake._commit_once", fail)
        said.append(shop.post(body, shop.signed(body)).get_data(as_text=True))
    assert not fails["once"]
    call("POST", "/sharers", {"shop": shop.key, "email": f"{CANARY} no address"})
    call("POST", "/sharers", {"shop": shop.key, "email": "alice@example.org"})
    call("POST", "/links", {"sharer": alice, "url": "https://evil.example"})
    call("GET", f"/orders/none?shop={shop.key}")
    call("GET", f"/orders/none?shop={shop.key}", Authorization=f"Bearer {CANARY}")
    with monkeypatch.context() as patched:
        patched.setattr("plugin.services.enrol_sharer.normalise_email", fail)
        call("POST", "/sharers", {"shop": shop.key, "email": f"{CANARY}@example.org", "name": f"{CANARY}"})
    assert '"status": 500' in said[-1] or '"status":500' in said[-1]
    context, door = world.context, world.app.extensions["passalong"].intake.shops.find(shop.key)
    said += [repr(one) for one in (context, context.settings, context.keys, context.key_store, door, context.database)]
    said += [repr(vars(door)) if hasattr(door, "__dict__") else str(door), str(context.keys.sign[0]), str(context.keys)]
    shown = "\n".join([*said, whole_log.text, *(repr(vars(record)) for record in whole_log.records)])
    shown += json.dumps(world.deliveries())
    assert "refused" in shown.lower() and "failed" in shown, "the look into the log sees nothing"
    secrets = [CANARY, shop.secret, shop.secret.removeprefix("whsec_"), world.token, click]
    secrets += [str(key.secret) for key in (*context.keys.sign, *context.keys.encrypt)] + [str(context.keys.pepper)]
    for secret in secrets:
        assert secret not in shown, f"{secret[:12]} was shown: …{shown[max(0, shown.index(secret) - 300):][:400]}"


class Parrot(FakeShop):
    """A shop that refuses, and says back all that it was told."""

    status = 401

    def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
        told = json.dumps([path, query, dict(headers), body])
        return self.status, {"errors": told, "message": told}, {"X-Told": "".join(c for c in told if c.isprintable())}


CREDENTIALS = [(name, names) for name in shops.names() if isinstance(one := shops.get(name), Asked)
               for names in one.credentials]  # fmt: skip


@pytest.mark.parametrize(("platform", "names"), CREDENTIALS, ids=str)
def test_fault_60_no_credential_of_a_shop_is_shown_or_lies_in_clear(
    world: World, whole_log: pytest.LogCaptureFixture, platform: str, names: tuple[str, ...]
) -> None:
    """Neither what its owner gave nor the webhook secret: whatever goes wrong, and whatever an owner asks to see."""
    keys = {name: f"{CANARY}-{number}-{name}" for number, name in enumerate(names)}
    given = [part for name, value in keys.items() for part in ("--credential", f"{name}={value}")]
    secret = samples.of(platform).secret
    parrot, said = Parrot(world.stop_clock("2026-11-22T10:00:00Z")), []
    try:
        for parrot.status in (401, 403, 404, 422, 500, 503, 302, 200):
            said.append(str(world.command("shop", "connect", platform, parrot.url, *given, expect=1)))
        made = world.command(
            "shop", "add", platform, parrot.url, *given, "--secret", secret, "--starts", "2020-01-01T00:00:00Z"
        )
        assert made.pop("webhook_secret") == secret  # shown this once
        said.append(str(made))
        for parrot.status in (401, 500, 200):
            said.append(str(world.command("reconcile", "--shop", made["key"], expect=None)))
            world.work()
    finally:
        parrot.close()
    known = Shop(world, made | {"webhook_secret": secret})
    said.append(known.post(b"{}", {"X-Shopify-Hmac-Sha256": "A" * 44}).get_data(as_text=True))
    said += [str(world.command(*words)) for words in (("shop", "list"), ("doctor",), ("deliveries",))]
    said.append(json.dumps(world.call("GET", "/events?after=0&limit=500", expect=200)))
    door = world.app.extensions["passalong"].intake.shops.find(known.key)
    row = find_shop(world.context, known.key)
    told = NewShop(platform, parrot.url, secret=secret, credentials=keys)
    said += [repr(one) for one in (place_of(world.context, row), door, told, row)]
    shown = "\n".join([*said, whole_log.text, *(repr(vars(record)) for record in whole_log.records)])
    assert platform in shown and parrot.asked, "the look at what is shown sees nothing"
    stored = everything_stored(world)
    for canary in (*keys.values(), secret):
        forms = (canary, base64.b64encode(canary.encode()).decode().rstrip("="), quote(canary))
        for form in (*forms, base64.b64encode(":".join(keys.values()).encode()).decode()):
            assert form not in shown, f"…{shown[max(0, shown.index(form) - 300) :][:400]}"
            assert form not in stored, f"…{stored[max(0, stored.index(form) - 300) :][:400]}"


def test_fault_60_an_error_of_the_database_shows_nothing_of_what_was_to_be_written(
    world: World, shop: Shop, whole_log: pytest.LogCaptureFixture
) -> None:
    """Case 60: a column that is not there; the e-mail was among the parameters of the statement."""
    with world.context.database.writing() as connection:
        connection.execute(text("ALTER TABLE pa_person RENAME COLUMN email TO elsewhere"))
    answer = world.response("POST", "/sharers", {"shop": shop.key, "email": f"{CANARY}@example.org"})
    assert answer.status_code >= 500
    assert CANARY not in answer.get_data(as_text=True) and CANARY not in whole_log.text
    with pytest.raises(DBAPIError) as caught, world.context.database.reading() as connection:
        connection.execute(text("SELECT nothing FROM pa_person WHERE name = :name"), {"name": CANARY})
    assert CANARY not in str(caught.value)


def test_fault_60_the_password_of_the_database_is_in_no_repr_and_no_error(tmp_path: Path) -> None:
    """Case 60: not even where the address of the database is what is wrong."""
    url = f"postgresql+psycopg://user:{CANARY}@127.0.0.1:1/nothing"
    settings = load({}, {"PASSALONG_DATABASE_URL": url, "PASSALONG_INSTANCE": str(tmp_path)})
    assert CANARY not in repr(settings)
    database = Database(url)
    with pytest.raises(OperationalError) as caught, database.reading():
        pass
    assert CANARY not in str(caught.value) and CANARY not in repr(database.engine)
