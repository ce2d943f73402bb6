"""The share-link door by itself: where a link leads, what a bad code meets, and how clicks are written down."""

import base64
import hashlib
import json
import logging
import os
import re
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
import segno
from flask import Flask, request
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from plugin import links
from plugin.database import Database
from plugin.keys import KeyStore, retire, rotate
from plugin.migrations import upgrade
from plugin.models import click, fact, link, person, sharer, shop
from plugin.services import record_clicks
from plugin.services.context import Context
from plugin.services.find_product import ProductCache
from plugin.services.hand_out_codes import CodeStock
from plugin.services.record_clicks import ClickRecorder, LinkCache, work_out
from plugin.settings import load
from plugin.signing import make_code, make_token, read_token

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = 1_795_320_000 * SECOND
HOME = "https://shop.example.com"
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"
MAC = b"m" * 16

forks = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")  # from Python 3.12 on


@dataclass
class Services:
    """What the links look for on their app."""

    context: Context
    clicks: ClickRecorder
    link_cache: LinkCache
    products: ProductCache
    codes: CodeStock


class Door:
    """An app with nothing but the share links, and a shop."""

    def __init__(self, context: Context, clock: list[int]) -> None:
        self.clock = clock
        self.context = context
        self.clicks, self.cache = ClickRecorder(context), LinkCache(context)
        self.app = Flask("links")
        others = ProductCache(context), CodeStock(context)
        self.app.extensions["passalong"] = Services(context, self.clicks, self.cache, *others)
        links.init_app(self.app)
        self._numbers = count(1)
        self.shop_id = self.add_shop()

    def insert(self, table: Any, **values: Any) -> int:
        with self.context.database.writing() as connection:
            number: int = connection.execute(table.insert().values(values).returning(table.c.id)).scalar_one()
        return number

    def add_shop(self, name: str = "Shop", url: str = HOME) -> int:
        return self.insert(
            shop, key=f"shop{next(self._numbers)}", platform="generic", url=url, name=name, currency="USD",
            timezone="UTC", starts_at=0, live=True, secrets=b"", credentials=b"", created_at=0,
        )  # fmt: skip

    def add_sharer(self, status: str | None = "approved", *, at: int = NOW, shop_id: int | None = None) -> int:
        number = next(self._numbers)
        person_id = self.insert(person, email_hash=f"{number}", created_at=0)
        sharer_id = self.insert(
            sharer, shop_id=shop_id or self.shop_id, person_id=person_id, email_hash=f"{number}", created_at=0,
            position=number, mac=MAC,
        )  # fmt: skip
        if status:
            self.add_fact(sharer_id, status, at=at, shop_id=shop_id)
        return sharer_id

    def add_fact(self, sharer_id: int, status: str, *, at: int = NOW, shop_id: int | None = None) -> None:
        body = json.dumps({"status": status, "group": None, "inviter": None})
        self.insert(
            fact, shop_id=shop_id or self.shop_id, kind="sharer", at=at, recorded_at=NOW, actor="test",
            sharer_id=sharer_id, body=body, position=next(self._numbers), mac=MAC,
        )  # fmt: skip

    def add_link(self, sharer_id: int | None = None, *, target: str = HOME + "/p", **values: Any) -> str:
        number = int.from_bytes(os.urandom(4), "big")
        shop_id = values.pop("shop_id", self.shop_id)
        code = make_code(self.context.keys, shop_id, number)
        self.insert(
            link, shop_id=shop_id, number=number, sharer_id=sharer_id or self.add_sharer(shop_id=shop_id), code=code,
            target_url=target, position=next(self._numbers), mac=MAC, **{"created_at": NOW, **values},
        )  # fmt: skip
        return code

    def get(self, path: str, *, method: str = "GET", agent: str = BROWSER, **environ: str) -> TestResponse:
        told = {"HTTP_USER_AGENT": agent, "REMOTE_ADDR": "203.0.113.7", **environ}
        return self.app.test_client().open(path, method=method, environ_overrides=told)

    def follow(self, code: str, **told: str) -> TestResponse:
        return self.get(f"/s/{code}", **told)

    def place(self, code: str) -> str:
        response = self.follow(code)
        assert response.status_code == 302
        return response.headers["Location"]

    def counts(self, code: str) -> bool:
        return "pa=" in self.place(code)

    def clicks_written(self) -> list[Any]:
        self.clicks.stop()
        with self.context.database.reading() as connection:
            return list(connection.execute(select(click).order_by(click.c.id)))


@pytest.fixture
def door(database_url: str, tmp_path: Path) -> Iterator[Door]:
    settings = load({}, {"PASSALONG_DATABASE_URL": database_url, "PASSALONG_INSTANCE": tmp_path / "instance"})
    database, clock = Database(database_url), [NOW]
    upgrade(database)
    door = Door(Context(database, KeyStore(settings), settings, now=lambda: clock[0]), clock)
    yield door
    door.clicks.stop()
    database.close()


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stop the clock by which caches age."""
    stopped = [100.0]
    monkeypatch.setattr(record_clicks.time, "monotonic", lambda: stopped[0])
    return stopped


def token_of(address: str) -> str:
    (token,) = parse_qs(urlsplit(address).query)["pa"]
    return token


# -- where a link leads ------------------------------------------------------------------------------------------------


def test_a_link_leads_to_its_target_with_a_fresh_token(door: Door) -> None:
    code = door.add_link(target=HOME + "/p?color=red#buy", campaign="Été & hiver")
    response = door.follow(code)
    parts = urlsplit(response.headers["Location"])
    assert (response.status_code, response.data) == (302, b"")
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("https", "shop.example.com", "/p", "buy")
    token = token_of(response.headers["Location"])
    assert parse_qs(parts.query) == {
        "color": ["red"], "utm_source": ["share"], "utm_medium": ["referral"], "utm_campaign": ["Été & hiver"],
        "utm_content": [token], "pa": [token],
    }  # fmt: skip
    keys = door.context.keys
    claim = read_token(keys, token)
    assert (claim.shop, claim.at) == (door.shop_id, NOW) and make_code(keys, claim.shop, claim.link) == code
    assert token_of(door.place(code)) != token


def test_the_answer_is_never_kept_and_sets_no_cookie(door: Door) -> None:
    response = door.follow(door.add_link())
    assert response.headers["Cache-Control"] == "no-store" and response.headers["Referrer-Policy"]
    assert response.headers["Content-Length"] == "0" and "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("target", "stem", "fragment", "carries"),
    [
        (HOME, "/?UTM", "", True),
        (HOME + "/a/b", "/a/b?UTM", "", True),
        (HOME + "/a?x=1&y=%20z&&", "/a?x=1&y=%20z&UTM", "", True),
        (HOME + "/a?pa=old&x=1&pa=older&%70a=oldest", "/a?x=1&UTM", "", True),
        (HOME + "/a?spa=1&pa[]=2", "/a?spa=1&pa%5B%5D=2&UTM", "", True),
        (HOME + "/a?utm_source=own&utm_content=own", "/a?utm_source=own&utm_content=own&MEDIUM", "", False),
        (HOME + "/a?utm_medium=m&utm_campaign=c&utm_source=s", "/a?utm_medium=m&utm_campaign=c&utm_source=s", "", True),
        (HOME + "/a#top", "/a?UTM", "#top", True),
        (HOME + "/a?#", "/a?UTM", "", True),
        (HOME + "/caf\xe9/\u4e2d?q=\u6587#\u0444", "/caf%C3%A9/%E4%B8%AD?q=%E6%96%87&UTM", "#%D1%84", True),
        (HOME + ":8443/a", ":8443/a?UTM", "", True),
        (HOME.upper() + "./a", "/a?UTM", "", True),
        (HOME + "//evil.example/a", "//evil.example/a?UTM", "", True),
        (HOME + "/a b\"<>'", "/a%20b%22%3C%3E'?UTM", "", True),
        (HOME + "/\ud800", "/%3F?UTM", "", True),
    ],
)
def test_the_address_is_worked_out_once(target: str, stem: str, fragment: str, carries: bool) -> None:
    medium = "utm_medium=referral&utm_campaign=passalong"
    expected = HOME + stem.replace("UTM", f"utm_source=share&{medium}").replace("MEDIUM", medium)
    assert work_out(target, HOME, None) == (expected, fragment, carries)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "https://evil.example/", "https:evil.example", "https:\\\\evil.example", "\\\\evil.example",
        "https://shop.example.com@evil.example/", "https://user@shop.example.com/", "https://xn--/", "", "/p",
        "https://shop.example.com\\@evil.example", "https://evil.example\\@shop.example.com", "javascript:alert(1)",
        "https://shop.example.com.evil.example/", "https://shop\u3002example.com.evil\uff0eexample/", "data:text,x",
        "https://evil.example\uff0fshop.example.com", "https://\xadevil.example", "ftp://shop.example.com/", "https://[::1",
        "https://shop.example.com:99999/", "https://shop.example.com:x/", "https://evil.example\r\nX: shop.example.com",
    ],
)  # fmt: skip
def test_fault_51_a_target_elsewhere_leads_to_the_shops_home(door: Door, target: str) -> None:
    address = door.place(door.add_link(target=target))
    assert address.startswith(HOME + "/?utm_source=share&") and address.isascii() and address.isprintable()


@pytest.mark.parametrize("query", ["?to=//evil.example", "?url=https://evil.example", "?pa=x&utm_content=y", "?%0d%0a"])
def test_fault_51_what_a_visitor_adds_to_the_address_is_ignored(door: Door, query: str) -> None:
    code = door.add_link()
    plain, added = door.place(code), door.get(f"/s/{code}{query}").headers["Location"]
    assert re.sub("(?<==)[^&=]{41}", "T", plain) == re.sub("(?<==)[^&=]{41}", "T", added)


def test_a_host_of_other_letters_is_written_in_ascii() -> None:
    stem, _, _ = work_out("https://b\xfccher.example/a", "https://b\xfccher.example", None)
    assert stem.startswith("https://xn--bcher-kva.example/a?")
    assert work_out("https://xn--bcher-kva.example/a", "https://b\xfccher.example", None)[0] == stem
    assert work_out("http://[::1]:5000/a", "http://[::1]:5000", None)[0].startswith("http://[::1]:5000/a?")


# -- bad codes ---------------------------------------------------------------------------------------------------------


def answer_to(door: Door, path: str) -> tuple[int, bytes, list[tuple[str, str]]]:
    response = door.get(path)
    return response.status_code, response.data, list(response.headers)


def test_fault_52_every_bad_code_meets_the_same_page(door: Door) -> None:
    code, keys = door.add_link(), door.context.keys
    other = door.add_shop()
    paths = [
        "/s/x", "/s/", f"/s/{code[:-1]}", f"/s/{code}A", f"/s/{code}/", f"/s/{code}%20", f"/s/%00{code}",
        f"/s/{code}%0a", "/s/" + "A" * 21, "/s/" + "A" * 5_000, "/s/..", "/s/\u0430", "/s/a/b/c", "/s/x/qr.svg",
        "/s/x/qr.png", "/s//", "/s//x", "/s/x//", "/s/x//y", f"/s//{code}", f"/s/{code}//qr.svg", "/s/%2Fx", "/s///",
        f"/s/{make_token(keys, door.shop_id, 1, NOW, b'12345678')}",
        f"/s/{make_code(keys, door.shop_id, 1)}", f"/s/{make_code(keys, other, 1)}", f"/s/{make_code(keys, 9, 1)}",
        f"/s/{make_code(replace(keys, sign=(replace(keys.sign[0], secret=b'x' * 32),)), door.shop_id, 1)}",
    ]  # fmt: skip
    page = answer_to(door, "/s/nothing")
    assert page[0] == 404 and b"<h1>" in page[1] and ("Cache-Control", "no-store") in page[2]
    assert [path for path in paths if answer_to(door, path) != page] == []
    assert door.follow(code).status_code == 302


def test_who_follows_a_bad_link_is_told_so_in_four_languages_on_a_phone(door: Door) -> None:
    response = door.follow("nothing")
    assert re.findall(r'<section lang="([^"]+)">', response.text) == ["en", "zh-Hant", "zh-Hans", "ja"]
    assert 'content="width=device-width, initial-scale=1"' in response.text
    style = response.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert response.headers["Content-Security-Policy"] == f"default-src 'none'; style-src 'sha256-{digest}'"


def test_fault_52_a_code_altered_anywhere_is_bad(door: Door) -> None:
    code = door.add_link()
    page = answer_to(door, "/s/nothing")
    for place in range(len(code)):
        for letter in "Aa0-_":
            if code[place] != letter:
                assert answer_to(door, f"/s/{code[:place]}{letter}{code[place + 1 :]}") == page


def test_a_retired_key_opens_only_links_that_are_older(door: Door) -> None:
    codes = [door.add_link(created_at=at) for at in (NOW - 1, NOW, NOW + 1)]
    assert all(door.counts(code) for code in codes * 2)
    name = f"sign:{door.context.keys.sign[0].id}"
    rotate(door.context.settings, "sign")
    retire(door.context.settings, name, NOW)
    object.__setattr__(door.context, "key_store", KeyStore(door.context.settings))
    assert [door.follow(code).status_code for code in codes * 2] == [302, 302, 404] * 2
    assert door.follow(door.add_link(created_at=NOW + 1)).status_code == 302


# -- who may earn ------------------------------------------------------------------------------------------------------


def test_the_link_of_a_suspended_sharer_still_leads_to_the_shop(door: Door) -> None:
    code = door.add_link(door.add_sharer("suspended"), target=HOME + "/p?pa=x#buy")
    assert door.place(code) == HOME + "/p?utm_source=share&utm_medium=referral&utm_campaign=passalong#buy"
    assert door.clicks_written() == []


@pytest.mark.parametrize("status", ["approved", "pending", None])
def test_who_is_not_suspended_may_be_approved_by_the_time_of_the_order(door: Door, status: str | None) -> None:
    assert door.counts(door.add_link(door.add_sharer(status)))
    assert len(door.clicks_written()) == 1


def test_the_newest_fact_in_force_counts(door: Door) -> None:
    who = door.add_sharer("suspended", at=NOW - 10)
    door.add_fact(who, "approved", at=NOW - 5)
    door.add_fact(who, "suspended", at=NOW - 7)
    door.add_fact(who, "suspended", at=NOW + 10)
    code = door.add_link(who)
    assert door.counts(code)
    door.clock[0] = NOW + 9
    assert door.counts(code)
    door.clock[0] = NOW + 10
    assert not door.counts(code)


def test_of_two_facts_of_one_moment_the_later_recorded_counts(door: Door) -> None:
    who = door.add_sharer("approved")
    door.add_fact(who, "suspended")
    assert not door.counts(door.add_link(who))


def test_a_suspension_is_seen_within_two_seconds(door: Door, ticks: list[float]) -> None:
    who = door.add_sharer()
    code = door.add_link(who)
    assert door.counts(code)
    for status, counts in (("suspended", False), ("approved", True), ("suspended", False)):
        door.add_fact(who, status)
        ticks[0] += 0.9
        assert door.counts(code) is not counts
        ticks[0] += 0.2
        assert door.counts(code) is counts


def test_a_link_followed_again_costs_no_query_but_the_look_each_second(door: Door, ticks: list[float]) -> None:
    codes = [door.add_link() for _ in range(5)]
    asked: list[str] = []
    requests = threading.current_thread()  # clicks are written by a thread of their own, whenever it has its turn

    def note(*told: Any) -> None:
        if threading.current_thread() is requests:
            asked.append(told[2])

    event.listen(door.context.database.engine, "before_cursor_execute", note)
    for code in codes:
        door.place(code)
    first = len([one for one in asked if "pa_link" in one])
    assert first == 5
    asked.clear()
    for code in codes * 10:
        door.place(code)
    assert asked == []
    ticks[0] += 1.1
    for code in codes * 10:
        door.place(code)
    assert 0 < len(asked) <= 4 and not any("pa_link" in one for one in asked)


def test_a_click_on_a_known_link_is_answered_in_front_of_flask_and_alike(door: Door) -> None:
    reached: list[str] = []
    door.app.before_request(lambda: reached.append(request.path))
    code = door.add_link(target=HOME + "/p?color=red#buy")
    answers = [door.follow(code) for _ in range(3)]
    assert reached == [f"/s/{code}"]
    places = [answer.headers.pop("Location") for answer in answers]
    tokens = [token_of(place) for place in places]
    assert len({place.replace(token, "") for place, token in zip(places, tokens, strict=True)}) == 1
    assert len({(answer.status, answer.data, str(answer.headers)) for answer in answers}) == 1
    clicks = [read_token(door.context.keys, token).click for token in tokens]
    assert [row.click for row in door.clicks_written()] == clicks


@pytest.mark.parametrize(
    ("method", "end", "agent"),
    [
        ("HEAD", "", BROWSER), ("POST", "", BROWSER), ("GET", "", "Twitterbot/1.0"), ("GET", "/", BROWSER),
        ("GET", "x", BROWSER),
    ],
)  # fmt: skip
def test_what_is_no_plain_click_is_answered_alike_whether_the_link_is_known_or_not(
    door: Door, method: str, end: str, agent: str
) -> None:
    code = door.add_link()
    answers = [door.get(f"/s/{code}{end}", method=method, agent=agent)]
    door.place(code)
    answers.append(door.get(f"/s/{code}{end}", method=method, agent=agent))
    for answer in answers:
        if "Location" in answer.headers:
            answer.headers["Location"] = answer.headers["Location"].partition("utm_content=")[0]
    assert len({(answer.status, answer.data, str(answer.headers)) for answer in answers}) == 1
    assert len(door.clicks_written()) == 1


def test_a_known_link_of_a_suspended_sharer_leads_to_the_shop_alone(door: Door) -> None:
    code = door.add_link(door.add_sharer("suspended"))
    assert [door.counts(code) for _ in range(3)] == [False, False, False]
    assert door.clicks_written() == []


def test_news_that_arrive_while_a_link_is_read_are_not_lost(
    door: Door, ticks: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    who = door.add_sharer()
    code, made = door.add_link(who), record_clicks._share_link
    door.place(door.add_link())

    def slow(*told: Any) -> Any:
        found = made(*told)
        monkeypatch.setattr(record_clicks, "_share_link", made)
        door.add_fact(who, "suspended")  # after the link was read, and seen by another thread before it is kept
        ticks[0] += 1.1
        door.cache.shop_name(door.shop_id)
        return found

    monkeypatch.setattr(record_clicks, "_share_link", slow)
    assert door.counts(code)
    assert not door.counts(code)


def test_a_shop_that_moves_takes_its_links_along(door: Door, ticks: list[float]) -> None:
    code = door.add_link(target="https://new.example.com/p")
    assert door.place(code).startswith(HOME + "/?")
    with door.context.database.writing() as connection:
        connection.execute(shop.update().values(url="https://new.example.com"))
    ticks[0] += 1.1
    assert door.place(code).startswith("https://new.example.com/p?")


def test_only_so_many_links_are_kept(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_clicks, "LINKS_MAX", 3)
    codes = [door.add_link() for _ in range(6)]
    assert all(door.counts(code) for code in codes * 2) and len(door.cache._links) == 3


def test_many_threads_may_follow_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_clicks, "LINKS_MAX", 3)
    monkeypatch.setattr(record_clicks, "CHECK_SECONDS", -1)
    codes = [door.add_link() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(door.counts, codes * 25))
    assert len(door.clicks_written()) == 200


# -- the database is away ----------------------------------------------------------------------------------------------


def _fail(*_: Any) -> Any:
    raise OperationalError("SELECT", {}, Exception("away"))


def test_a_link_followed_before_leads_on_while_the_database_is_away(door: Door, ticks: list[float]) -> None:
    who = door.add_sharer()
    door.add_fact(who, "suspended", at=NOW + DAY)
    known, unknown = door.add_link(who), door.add_link()
    assert door.counts(known)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(door.context.database, "reading", _fail)
        ticks[0] += 10
        assert door.counts(known)
        door.clock[0] += 2 * DAY
        assert door.counts(known)
        response = door.follow(unknown)
        assert response.status_code == 503 and int(response.headers["Retry-After"]) > 0
        assert door.follow("nothing").status_code == 404
    ticks[0] += 10
    assert not door.counts(known) and door.counts(unknown)


def test_clicks_wait_while_the_database_is_away(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_clicks, "FLUSH_SECONDS", 0.01)
    code = door.add_link()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(door.context.database, "writing", _fail)
        tokens = [token_of(door.place(code)) for _ in range(5)]
        time.sleep(0.1)
    written = [row.click for row in door.clicks_written()]
    assert written == [read_token(door.context.keys, token).click for token in tokens]


# -- clicks ------------------------------------------------------------------------------------------------------------


def test_a_click_is_written_with_what_its_token_says_and_no_address(door: Door) -> None:
    code = door.add_link()
    claim = read_token(door.context.keys, token_of(door.place(code)))
    (row,) = door.clicks_written()
    assert (row.shop_id, row.click, row.at) == (door.shop_id, claim.click, NOW) and len(row.visitor) == 8
    with door.context.database.reading() as connection:
        assert row.link_id == connection.execute(select(link.c.id).where(link.c.number == claim.link)).scalar_one()
    assert b"203.0.113.7" not in row.visitor and set(row._mapping) == {
        "id", "shop_id", "link_id", "click", "at", "visitor"
    }  # fmt: skip


def test_a_visitor_is_known_for_one_day_only(door: Door) -> None:
    code = door.add_link()
    for agent, address, at in (
        (BROWSER, "203.0.113.7", NOW), (BROWSER, "203.0.113.7", NOW + 60 * SECOND), ("Other", "203.0.113.7", NOW),
        (BROWSER, "203.0.113.8", NOW), (BROWSER, "203.0.113.7", NOW + DAY), ("caf\xe9\xff", "", NOW),
    ):  # fmt: skip
        door.clock[0] = at
        assert door.follow(code, agent=agent, REMOTE_ADDR=address).status_code == 302
    visitors = [row.visitor for row in door.clicks_written()]
    assert visitors[0] == visitors[1] and len(set(visitors)) == 5


def test_asking_for_the_head_is_no_click(door: Door) -> None:
    code = door.add_link()
    response = door.get(f"/s/{code}", method="HEAD")
    assert (response.status_code, response.data) == (302, b"") and response.headers["Location"].startswith(HOME)
    assert door.clicks_written() == []


def test_clicks_are_written_within_a_second_by_themselves(door: Door) -> None:
    code = door.add_link()
    door.place(code)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with door.context.database.reading() as connection:
            if connection.execute(select(click.c.id)).first():
                return
        time.sleep(0.05)
    pytest.fail("the click was not written")


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250, 4_321])
def test_any_number_of_clicks_is_written_whole(door: Door, number: int) -> None:
    door.clicks.stop()
    clicks = [one.to_bytes(8, "big") for one in range(number)]
    for one in clicks:
        door.clicks.add(shop_id=1, link_id=2, sharer_id=3, click=one, at=NOW, address="a", user_agent="b")
    assert [row.click for row in door.clicks_written()] == clicks


def test_a_full_queue_drops_and_counts_and_never_waits(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_clicks, "CLICKS_MAX", 3)
    code = door.add_link()
    door.clicks.stop()  # nobody empties the queue
    began = time.monotonic()
    assert all(door.counts(code) for _ in range(10))
    assert time.monotonic() - began < 2 and door.clicks.dropped == 7
    assert len(door.clicks_written()) == 3


def test_the_recorder_outlives_a_fault(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    code = door.add_link()
    with pytest.MonkeyPatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(record_clicks, "_insert", _fail)
        door.place(code)
        assert not door.clicks._flush()
    assert "could not be written" in caplog.text
    door.place(code)
    assert len(door.clicks_written()) == 2


@forks
def test_a_fork_after_the_start_gives_each_process_a_recorder_of_its_own(door: Door) -> None:
    code = door.add_link()
    door.place(code)
    door.clicks.stop()
    door.clicks.start()
    door.context.database.close()
    process = os.fork()
    if process == 0:
        try:
            door.place(code)
            door.clicks.stop()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    door.place(code)
    assert len(door.clicks_written()) == 3


def test_stopping_while_clicks_come_loses_none(door: Door) -> None:
    code = door.add_link()
    threads = [threading.Thread(target=lambda: [door.place(code) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    door.clicks.stop()
    for thread in threads:
        thread.join()
    assert len(door.clicks_written()) == 80


# -- preview bots ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "agent",
    [
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "Twitterbot/1.0",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0)", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "TelegramBot (like TwitterBot)", "WhatsApp/2.23.20.0 A", "facebookexternalhit/1.1;line-poker/1.0",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari (Applebot/0.1)",
    ],
)  # fmt: skip
def test_a_preview_bot_gets_a_page_and_is_no_click(door: Door, agent: str) -> None:
    code = door.add_link()
    response = door.follow(code, agent=agent)
    assert response.status_code == 200 and "noindex" in response.text and "Location" not in response.headers
    assert '<meta property="og:title" content="Shop">' in response.text
    assert f'<meta property="og:url" content="http://127.0.0.1:8000/s/{code}">' in response.text
    assert door.follow("x", agent=agent).status_code == 404
    assert door.clicks_written() == []


@pytest.mark.parametrize(
    "agent",
    [
        BROWSER, "", "curl/8.5.0", "Wget/1.21", BROWSER + " Line/14.1.0", BROWSER + " [FBAN/FBIOS;FBAV/450.0]",
        BROWSER + " Instagram 300.0", BROWSER + " [LinkedInApp]/9.1", BROWSER + " Twitter for iPhone",
        BROWSER + " MicroMessenger/8.0.40", "x" * 500 + "Googlebot",
    ],
)  # fmt: skip
def test_a_browser_in_an_app_carries_a_person(door: Door, agent: str) -> None:
    assert door.follow(door.add_link(), agent=agent).status_code == 302
    assert len(door.clicks_written()) == 1


class Page(HTMLParser):
    """What a program that draws previews reads of a page: its elements, and what its meta elements say by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.said: dict[str, str] = {}
        self.language, self.text = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append(tag)
        self.language = found.get("lang", self.language)
        if tag == "meta" and "content" in found:
            self.said[found.get("property") or found["name"]] = found["content"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "name",
    [
        "\"><script>alert('1')</script> & Söhne", "</title><meta property=og:url content=//evil.example>", "{name}",
        "{0.__class__}", "{", "%s", "<!--", " ", "&lt;b&gt;", "'><img src=x onerror=alert(1)>",
        "a\nb\r\nc", "\u202egnp.exe",
    ],
)  # fmt: skip
def test_the_preview_shows_the_shops_name_as_text(door: Door, name: str) -> None:
    code = door.add_link(shop_id=door.add_shop(name=name))
    page = Page(door.follow(code, agent="Twitterbot").text)
    assert page.elements == ["html", "meta", "meta", "title", *["meta"] * 8, "h1", "p"]
    assert page.said["og:title"] == page.said["og:site_name"] == name and name in page.said["og:description"]
    assert page.said["og:url"] == f"http://127.0.0.1:8000/s/{code}" and name in page.text


@pytest.mark.parametrize(
    ("asked", "language", "locale"),
    [
        ("", "en", "en_US"), ("en-GB,en;q=0.9", "en", "en_US"), ("de-DE,fr;q=0.5", "en", "en_US"),
        ("*", "en", "en_US"), ("ja", "ja", "ja_JP"), ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant", "zh_TW"),
        ("zh-HK", "zh-Hant", "zh_TW"), ("zh-Hant-CN", "zh-Hant", "zh_TW"), ("zh-Hans-TW", "zh-Hans", "zh_CN"),
        ("zh", "zh-Hans", "zh_CN"), ("ZH_cn", "zh-Hans", "zh_CN"),
        ("de,ja;q=0.4,en;q=0.6", "en", "en_US"), ("ja;q=0,zh-TW;q=0.1", "zh-Hant", "zh_TW"),
        ("ja;q=nan,;,=,-", "en", "en_US"),
        ("x" * 5_000, "en", "en_US"), ("\xff\x00", "en", "en_US"),
    ],
)  # fmt: skip
def test_the_preview_speaks_the_language_that_is_asked_for(door: Door, asked: str, language: str, locale: str) -> None:
    response = door.follow(door.add_link(), agent="facebookexternalhit/1.1", HTTP_ACCEPT_LANGUAGE=asked)
    page = Page(response.text)
    assert response.status_code == 200 and (page.language, page.said["og:locale"]) == (language, locale)
    assert page.said["og:description"] == page.said["description"] and page.said["twitter:card"] == "summary"


def test_the_preview_says_something_else_in_each_language(door: Door) -> None:
    code = door.add_link()
    told = {
        Page(door.follow(code, agent="Slackbot", HTTP_ACCEPT_LANGUAGE=tag).text).said["og:description"]
        for tag in ("en", "zh-TW", "zh-CN", "ja")
    }
    assert len(told) == 4 and all("Shop" in one for one in told)


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_the_qr_picture_shows_the_share_address(door: Door) -> None:
    code = door.add_link()
    response = door.get(f"/s/{code}/qr.svg")
    assert response.status_code == 200 and response.content_type == "image/svg+xml"
    root = ElementTree.fromstring(response.data)  # noqa: S314 - our own picture
    assert root.tag.endswith("svg") and root.get("width") == root.get("height")
    address = f"http://127.0.0.1:8000/s/{code}"
    assert response.data == links.draw_qr(address, "svg") != links.draw_qr(address + "x", "svg")
    assert door.clicks_written() == []


def pixels(picture: bytes) -> list[str]:
    """Return the rows of a black and white PNG as bits, white being 1, read by the standard (ISO/IEC 15948)."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(picture):
        length, name = struct.unpack(">I4s", picture[place : place + 8])
        data = picture[place + 8 : place + 8 + length]
        assert zlib.crc32(name + data) == int.from_bytes(picture[place + 8 + length : place + 12 + length], "big")
        chunks[name], place = data, place + 12 + length
    width, height, depth, color, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, color, rest) == (1, 0, [0, 0, 0])
    raw, size = zlib.decompress(chunks[b"IDAT"]), 1 + (width + 7) // 8
    rows = [bytes(size - 1)]
    for first in range(0, len(raw), size):
        kind, row = raw[first], raw[first + 1 : first + size]
        assert kind in (0, 2), "a filter that this reader does not know"
        rows.append(row if kind == 0 else bytes((one + up) % 256 for one, up in zip(row, rows[-1], strict=True)))
    assert len(rows) == height + 1
    return [f"{int.from_bytes(row, 'big'):0{8 * (size - 1)}b}"[:width] for row in rows[1:]]


def test_the_qr_picture_is_there_as_png_too_with_the_same_modules(door: Door) -> None:
    code = door.add_link()
    response = door.get(f"/s/{code}/qr.png")
    assert response.status_code == 200 and response.content_type == "image/png"
    assert response.headers["Cache-Control"] == "public, max-age=86400"
    rows = pixels(response.data)
    matrix = segno.make(f"http://127.0.0.1:8000/s/{code}", micro=False).matrix
    modules = [[bool(rows[8 * (y + 4)][8 * (x + 4)] == "0") for x in range(len(matrix))] for y in range(len(matrix))]
    assert modules == [[bool(one) for one in row] for row in matrix]
    assert len(rows) == len(rows[0]) == 8 * (len(matrix) + 8) and set("".join(rows[:32])) == {"1"}
    svg = ElementTree.fromstring(door.get(f"/s/{code}/qr.svg").data)  # noqa: S314 - our own picture
    assert svg.get("width") == str(len(rows)) and door.clicks_written() == []
