"""Every form of every page, sent with something wrong in it: that is said in the reader's language and as text, and the
links to other languages lead back to a page.
"""

import re
from html import unescape

import pytest

from tests.admin_ui import test_every_page, test_every_sharers_page
from tests.admin_ui.desk import Browser
from tests.admin_ui.office import Office, plain
from tests.admin_ui.seat import set_program, sharer_browser
from tests.admin_ui.small_shop import HOSTILE, RAW, Lively, lively
from tests.world import World

# What is typed into every field: nothing, what is nothing anywhere, too much, and the worst.
TYPED = ("", "？", "長" * 5_000, HOSTILE)
_FORM = re.compile(r'<form\b([^>]*\bmethod="post"[^>]*)>(.*?)</form>', re.DOTALL)
_ACTION = re.compile(r'\baction="([^"]*)"')
_NAMED = re.compile(r'<(?:input|select|textarea|button)\b[^>]*\bname="([^"]+)"')
_SAID = re.compile(r'<div class="(?:error|note bad)".*?</div>', re.DOTALL)
_MAIN = re.compile(r"<main\b.*?<footer>", re.DOTALL)
_ENGLISH = re.compile(r"\b[A-Za-z']+(?: [a-z']{2,}){2,}")
_LANGUAGES = re.compile(r'href="([^"]*)"[^>]* hreflang=')


@pytest.fixture
def world(world: World) -> World:
    """Give the installation as it is at a time when everything in its shop was long ago."""
    world.stop_clock("2026-11-22T10:00:00Z")
    return world


@pytest.fixture
def shop(world: World) -> Lively:
    """Give the shop in which everything has happened, and which whoever wants may join."""
    shop = lively(world)
    set_program(world, shop.shop, join_mode="open")
    return shop


def forms(browser: Browser, path: str) -> list[tuple[str, set[str]]]:
    """Return the forms of a page: where each is sent, and the names of its fields."""
    answer = browser.client.get(path, headers={"Accept-Language": browser.language})
    page = answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
    found = []
    for attributes, inside in _FORM.findall(page):
        action = _ACTION.search(attributes)
        where = unescape(action[1]) if action else path
        if not where.endswith("/sign-out"):  # whoever signs out sends nothing more
            found.append((where, {unescape(name) for name in _NAMED.findall(inside)} - {"_form"}))
    return found


def faults(browser: Browser, token: str, where: str, fields: set[str], typed: str) -> tuple[bool, list[str]]:
    """Send a form with that in every field; tell whether it was refused, and return what is wrong with the answer."""
    sent = dict.fromkeys(fields, typed) | {"_form": token}
    answer = browser.client.post(where, data=sent, headers={"Accept-Language": browser.language})
    page = answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
    wrong = [f"answered {answer.status_code}"] if answer.status_code in (500, 405) else []
    wrong += [f"shows {raw!r}" for raw in RAW if raw in page]
    if answer.status_code < 400:
        return False, wrong
    parts = _SAID.findall(page) or _MAIN.findall(page)
    said = " ".join(plain(part) for part in parts)
    assert said, (where, answer.status_code, page)
    wrong += [f"says {english!r}" for english in _ENGLISH.findall(said.replace(HOSTILE, ""))]
    for address in _LANGUAGES.findall(page):
        led = browser.client.get(unescape(address), follow_redirects=True)
        wrong += [f"leads to {unescape(address)}: {led.status_code}"] if led.status_code != 200 else []
    return True, wrong


def walk(world: World, browser: Browser, token: str, paths: list[str]) -> tuple[int, list[str]]:
    """Send every form of these pages; return how many were refused, and what was wrong with the answers."""
    refused, wrong = 0, []
    known: set[str] = set()
    for path in paths:
        for where, fields in forms(browser, path):
            if where not in known:
                known.add(where)
                for typed in TYPED:
                    is_refused, found = faults(browser, token, where, fields, typed)
                    refused += is_refused
                    wrong += [f"{where} {typed[:5]!r}: {one}" for one in found]
                    browser.client.delete_cookie("passalong_language")
    return refused, wrong


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_owners_read_what_is_wrong_in_their_language(world: World, shop: Lively) -> None:
    office = Office(world, second_factor=True)
    office.browser.language = "zh-TW"
    paths = [test_every_page.path_of(world, rule, shop) for rule in test_every_page.rules(world, "GET")]
    refused, wrong = walk(world, office.browser, office.token, paths)
    assert refused > 50, refused
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sharers_read_what_is_wrong_in_their_language(world: World, shop: Lively) -> None:
    browser = sharer_browser(world, shop.sharer, language="zh-TW")
    token = browser.token(f"/me/{shop.shop.key}/")
    own = test_every_sharers_page.own(world, "GET")
    refused, wrong = walk(world, browser, token, [test_every_sharers_page.path_of(world, rule, shop) for rule in own])
    assert refused > 10, refused
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_visitors_read_what_is_wrong_in_their_language(world: World, shop: Lively) -> None:
    visitor = Browser(world, language="zh-TW")
    token = visitor.token("/me/sign-in")
    paths = [f"/join/{shop.shop.key}", "/me/sign-in", "/me/enter/AAAAAAA", "/admin/sign-in"]
    refused, wrong = walk(world, visitor, token, paths)
    assert refused > 5, refused
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Moon/Base is not a time zone; write one like Asia/Taipei."),
        ("zh-TW", "Moon/Base 不是時區，請寫成像 Asia/Taipei 這樣。"),
        ("zh-CN", "Moon/Base 不是时区，请写成像 Asia/Taipei 这样。"),
        ("ja", "Moon/Base はタイムゾーンではありません。"),
    ],
)
def test_what_was_typed_stands_in_the_sentence(world: World, language: str, said: str) -> None:
    office = Office(world)
    office.browser.language = language
    shop = {"platform": "generic", "url": "https://a.example.com", "currency": "USD", "timezone": "Moon/Base"}
    assert said in plain(office.send("/shops/new", shop, expect=422).get_data(as_text=True))


def test_a_language_is_chosen_on_a_form_that_was_wrong(world: World, shop: Lively) -> None:
    office = Office(world)
    answer = office.send("/account/password", {"old": "wrong", "password": "a long enough password"}, expect=422)
    assert "This is not your password." in answer.get_data(as_text=True)
    (japanese,) = [one for one in _LANGUAGES.findall(answer.get_data(as_text=True)) if "lang=ja" in one]
    assert unescape(japanese) == "/admin/account?lang=ja"
    led = office.browser.client.get(unescape(japanese), follow_redirects=True)
    assert led.status_code == 200 and '<html lang="ja">' in led.get_data(as_text=True)


def test_the_api_says_it_in_english(world: World, shop: Lively) -> None:
    answer = world.response("PATCH", f"/sharers/{shop.sharer}", {"codes": ["x" * 999]}, Accept_Language="zh-TW")
    assert answer.status_code == 422 and answer.get_data(as_text=True).isascii()
    answer = world.response("GET", "/payouts/x", Accept_Language="zh-TW")
    assert answer.status_code == 404 and answer.get_data(as_text=True).isascii()
