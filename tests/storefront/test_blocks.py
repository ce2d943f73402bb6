"""What a shop may add to its pages: the scripts of the blocks, and what they are told, whoever asks for what."""

import re
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from plugin import recent
from plugin.services import record_clicks
from plugin.signing import make_token
from plugin.storefront import BLOCKS, make_block
from tests.admin_ui.seat import set_program, sharer_browser
from tests.world import Clock, Shop, World

BYTES_MAX = 2_048
PLAIN = "A friend recommended this. They may earn a commission."
HOME = "https://share.example.com/pa/0123456789abcdef/"


@pytest.fixture
def shop(world: World, clock: Clock) -> Shop:
    """Give a shop that pays ten percent, at a stopped clock."""
    shop = world.shop(name="Tea House")
    shop.plan()
    return shop


def ask(world: World, path: str, *, expect: int = 200) -> TestResponse:
    """Ask as a shop's page does; every answer may be read there, and is kept by nobody who has to sign in."""
    response = world.client.get(f"/pa/{path}", headers={"Origin": "https://shop.example.com"})
    assert response.status_code == expect, (path, response.status_code, response.data)
    assert response.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert "Access-Control-Allow-Credentials" not in response.headers and "Set-Cookie" not in response.headers
    assert response.headers["Cache-Control"] == ("public, max-age=300" if expect < 300 else "no-store")
    assert (response.data == b"") == (expect == 204)
    return response


def told(shop: Shop, token: str, language: str = "en") -> Any:
    """Return what a page hears of a token."""
    return ask(shop.world, f"{shop.key}/banner/{token}?lang={language}").get_json()


def show_name(shop: Shop, sharer: str, name: str, *, expect: int = 303) -> None:
    """Have a sharer write by which name friends may know them."""
    page = f"/me/{shop.key}/profile"
    form = {"name": "Alice Liddell", "shown_name": name, "language": "en"}
    sharer_browser(shop.world, sharer).post(f"{page}/me", form, on=page, expect=expect)


# -- the scripts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_s_script_is_small_and_does_nothing_that_a_strict_policy_forbids(name: str) -> None:
    script = make_block(name, HOME)[0].decode()
    assert len(script.encode()) < BYTES_MAX and f'"{HOME}"' in script
    assert not re.search(r"\$\w", script) and "//" not in script.replace(HOME, "") and "/*" not in script
    assert not re.search(r"eval|Function\(|(inner|outer)HTML|insertAdjacent|createElement\(.script|\.write", script)
    assert not re.search(r"cookie|setAttribute\(.(style|on)", script)


@pytest.mark.parametrize("name", BLOCKS)
def test_any_page_may_load_and_keep_it(shop: Shop, name: str) -> None:
    path = f"/pa/{shop.key}/{name}.js"
    response = shop.world.client.get(path)
    assert response.status_code == 200 and shop.key in response.text
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cache-Control"] == "public, max-age=300" and "Set-Cookie" not in response.headers
    again = shop.world.client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for key in ("nothing", "0" * 16, "x" * 500, "%00"):
        nobody = shop.world.client.get(f"/pa/{key}/{name}.js")
        assert (nobody.status_code, nobody.data) == (404, b"/**/\n")


# -- who recommended it ------------------------------------------------------------------------------------------------


def test_nobody_is_named_who_has_not_said_so(shop: Shop) -> None:
    token = shop.click(shop.link(shop.sharer("alice")))
    said = told(shop, token)
    assert said == {
        "lang": "en", "label": "Recommendation", "text": PLAIN, "more": "How this works", "close": "Close",
        "url": f"{shop.world.context.settings.base_url}/privacy/{shop.key}?lang=en",
    }  # fmt: skip
    assert "alice" not in str(said)


def test_the_name_that_was_written_for_friends_is_told_and_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=count(0, 61).__next__))
    alice = shop.sharer("alice")
    token = shop.click(shop.link(alice))
    show_name(shop, alice, "  Mei   Lin ")
    assert told(shop, token)["text"] == "\u2068Mei Lin\u2069 recommended this. They may earn a commission."
    page = sharer_browser(shop.world, alice).get(f"/me/{shop.key}/profile")
    assert 'value="Mei Lin"' in page
    wrongs = ("x" * 41, "see https://evil.example", "evil.example", "www.evil", "a@b", "a\u202eb", "a\u2069b", "a\x00b")
    for wrong in wrongs:
        show_name(shop, alice, wrong, expect=422)
        assert "Mei Lin" in told(shop, token)["text"]
    for fine in ("王小明", "J. R. R.", "O'Neil & <b>", "فاطمه", "Dr.Wu"):
        show_name(shop, alice, fine)
        assert told(shop, token)["text"].startswith(f"\u2068{fine}\u2069 ")
    show_name(shop, alice, "")
    assert told(shop, token)["text"] == PLAIN


@pytest.mark.parametrize("status", ["pending", "suspended"])
def test_whom_the_shop_has_not_approved_is_not_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=count(0, 61).__next__))
    monkeypatch.setattr(record_clicks, "CHECK_SECONDS", 0.0)
    alice = shop.sharer("alice")
    token = shop.click(shop.link(alice))
    show_name(shop, alice, "Mei")
    shop.world.call("PATCH", f"/sharers/{alice}", {"status": status}, expect=200)
    if status == "suspended":
        ask(shop.world, f"{shop.key}/banner/{token}", expect=204)
    else:
        assert told(shop, token)["text"] == PLAIN


def test_who_was_erased_is_named_no_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=count(0, 61).__next__))
    alice = shop.sharer("alice")
    token = shop.click(shop.link(alice))
    show_name(shop, alice, "Mei")
    shop.world.command("erase", "--email", "alice@example.org")
    assert told(shop, token)["text"] == PLAIN


def test_it_is_said_in_the_language_of_the_page(shop: Shop) -> None:
    token = shop.click(shop.link(shop.sharer("alice")))
    for asked, spoken, word in (
        ("zh-TW", "zh-Hant", "推薦"), ("zh-HK", "zh-Hant", "推薦"), ("zh-CN", "zh-Hans", "推荐"),
        ("zh", "zh-Hans", "推荐"),
        ("ja-JP", "ja", "おすすめ"), ("en-GB", "en", "A friend"), ("de", "en", "A friend"), ("", "en", "A friend"),
        ("x" * 5_000, "en", "A friend"), ("%00", "en", "A friend"), ("%F0%9F%92%A9", "en", "A friend"),
    ):  # fmt: skip
        said = told(shop, token, asked)
        assert said["lang"] == spoken and word in said["text"] and said["url"].endswith(f"?lang={spoken}"), asked


def test_a_token_that_does_not_count_says_nothing(shop: Shop, clock: Clock) -> None:
    world = shop.world
    token = shop.click(shop.link(shop.sharer("alice")))
    elsewhere = world.shop(url="https://elsewhere.example.com")
    ask(world, f"{elsewhere.key}/banner/{token}", expect=204)
    ask(world, f"nothing/banner/{token}", expect=204)
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    for forged in (changed, token + "A", token[:-1], token.lower(), "A" * 41, "x", "%00", "é", "x" * 3_000):
        ask(world, f"{shop.key}/banner/{forged}", expect=204)
    nothing = make_token(world.context.keys, 1, 4_000_000_000, clock.at, b"12345678")
    ask(world, f"{shop.key}/banner/{nothing}", expect=204)
    clock.add(30 * 86_400)
    told(shop, token)
    clock.add(1)
    ask(world, f"{shop.key}/banner/{token}", expect=204)
    clock.add(-30 * 86_400 - 302)
    ask(world, f"{shop.key}/banner/{token}", expect=204)
    clock.add(1)
    told(shop, token)


def test_forged_tokens_cost_no_look_up_and_good_ones_one_a_minute(shop: Shop) -> None:
    world = shop.world
    token = shop.click(shop.link(shop.sharer("alice")))
    told(shop, token)
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "shown_name" in statement or "pa_link" in statement:
            asked.append(statement)

    event.listen(world.context.database.engine, "before_cursor_execute", note)
    for number in range(20):
        told(shop, token)
        ask(world, f"{shop.key}/banner/{'A' * 39}{number:02}", expect=204)
    assert asked == []


def test_a_database_that_is_away_costs_the_name_and_no_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=count(0, 61).__next__))
    alice = shop.sharer("alice")
    token = shop.click(shop.link(alice))
    show_name(shop, alice, "Mei")
    assert "Mei" in told(shop, token)["text"]

    def away(*_: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("away"))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shop.world.context.database, "reading", away)
        assert told(shop, token)["text"] == PLAIN
        shop.world.app.extensions["passalong"].link_cache._shops.clear()
        shop.world.app.extensions["passalong"].link_cache._links.clear()
        ask(shop.world, f"{shop.key}/banner/{token}", expect=503)


# -- the invitation to share -------------------------------------------------------------------------------------------


def test_a_buyer_reads_what_whoever_shares_gets_by_the_plan_in_force(shop: Shop) -> None:
    world = shop.world
    base = world.context.settings.base_url
    assert ask(world, f"{shop.key}/thanks?lang=en").get_json() == {
        "lang": "en", "title": "Share Tea House and earn", "text": "You get 10% of what your friends buy.",
        "button": "Get my link", "url": f"{base}/join/{shop.key}?lang=en",
    }  # fmt: skip
    assert "10%" in ask(world, f"{shop.key}/thanks?lang=zh-TW").get_json()["text"]
    set_program(world, shop, reward_shown=False)
    assert "10%" not in ask(world, f"{shop.key}/thanks?lang=en").get_json()["text"]


def test_nobody_is_invited_where_there_is_nothing_to_get_or_nobody_is_taken(shop: Shop) -> None:
    world = shop.world
    ask(world, "nothing/thanks", expect=204)
    silent = world.shop(url="https://silent.example.com")
    ask(world, f"{silent.key}/thanks", expect=204)
    set_program(world, shop, join_mode="closed")
    ask(world, f"{shop.key}/thanks", expect=204)
