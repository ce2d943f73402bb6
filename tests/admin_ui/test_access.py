"""Coming in: the first owner, passwords, the second factor, sessions that end on the server, and our own forms."""

import gzip
import re
from collections.abc import Iterator
from html import unescape

import pyotp
import pytest
from sqlalchemy import select

from admin_ui.owner.account import device_of
from plugin.domain.moment import SECOND
from plugin.models import session
from plugin.services.sign_in import set_up_address
from plugin.signing import FORM_LENGTH
from tests.admin_ui.desk import PASSWORD, Browser, member
from tests.admin_ui.office import field_of
from tests.world import Clock, World

EMAIL = "owner@example.com"
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def setup_path(world: World) -> str:
    """Return the path of the address that a start would print."""
    address = set_up_address(world.context, "http://127.0.0.1:8000")
    assert address is not None
    return address.removeprefix("http://127.0.0.1:8000")


@pytest.fixture
def owner(world: World, clock: Clock) -> Iterator[Browser]:
    """Give the browser in which the first owner was made."""
    browser = Browser(world)
    browser.post(setup_path(world), {"email": EMAIL, "password": PASSWORD})
    yield browser


def sign_in(world: World, password: str = PASSWORD, *, email: str = EMAIL, expect: int = 303, **form: str) -> Browser:
    """Return a browser after a try to sign in."""
    browser = Browser(world)
    browser.post("/admin/sign-in", {"email": email, "password": password, **form}, expect=expect)
    return browser


# --- the first owner ------------------------------------------------------------------------------------------------


def test_the_printed_address_makes_the_owner_once(world: World, clock: Clock) -> None:
    path = setup_path(world)
    browser = Browser(world)
    browser.post(path, {"email": EMAIL, "password": PASSWORD})
    assert "Connect a shop" in browser.get("/admin/shops/new")
    Browser(world).get(path, expect=404)
    assert set_up_address(world.context, "http://x") is None


def test_a_later_start_takes_the_earlier_address_back(world: World, clock: Clock) -> None:
    first, second = setup_path(world), setup_path(world)
    Browser(world).get(first, expect=404)
    Browser(world).get(second)


def test_the_printed_address_is_good_for_a_day(world: World, clock: Clock) -> None:
    path = setup_path(world)
    clock.add(DAY + 1)
    Browser(world).get(path, expect=404)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"email": "nobody", "password": PASSWORD}, "not an e-mail"),
        ({"email": EMAIL, "password": "short"}, "10 to 1000 characters"),
        ({"email": EMAIL, "password": "x" * 1_001}, "10 to 1000 characters"),
        ({}, "characters"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_the_address_stays_good(
    world: World, clock: Clock, form: dict[str, str], sentence: str
) -> None:
    path = setup_path(world)
    browser = Browser(world)
    page = browser.post(path, form, expect=422).get_data(as_text=True)
    assert sentence in page and 'aria-invalid="true"' in page
    browser.post(path, {"email": EMAIL, "password": PASSWORD})


# --- passwords ------------------------------------------------------------------------------------------------------


def test_an_owner_signs_in_and_goes_on_to_where_they_wanted(world: World, owner: Browser) -> None:
    browser = Browser(world)
    response = browser.client.get("/admin/account")
    assert response.status_code == 303 and response.headers["Location"] == "/admin/sign-in?next=/admin/account"
    form = {"email": "OWNER@example.com ", "password": PASSWORD, "next": "/admin/account"}
    assert browser.post("/admin/sign-in", form).headers["Location"] == "/admin/account"
    assert EMAIL in browser.get("/admin/account")


@pytest.mark.parametrize(
    "where",
    ["//evil.example", "https://evil.example/admin/", "/\\evil.example", "/admin/../../x", "/else", "/administrator"],
)
def test_signing_in_never_leads_elsewhere(world: World, owner: Browser, where: str) -> None:
    browser = Browser(world)
    answer = browser.post("/admin/sign-in", {"email": EMAIL, "password": PASSWORD, "next": where})
    assert answer.headers["Location"] == "/admin/"


def test_an_unknown_address_and_a_wrong_password_get_the_same_page(world: World, owner: Browser) -> None:
    pages = []
    for email, password in ((EMAIL, "not the password"), ("nobody@example.com", "not the password")):
        browser = Browser(world)
        page = browser.post("/admin/sign-in", {"email": email, "password": password}, expect=422).get_data(as_text=True)
        assert password not in page
        pages.append(re.sub(r'name="_form" value="[^"]+"', "", page).replace(email, "X"))
    assert pages[0] == pages[1] and "do not go together" in pages[0]


def test_passwords_cannot_be_tried_in_bulk(world: World, owner: Browser, clock: Clock) -> None:
    for _ in range(8):
        sign_in(world, "not the password", expect=422)
    browser = sign_in(world, PASSWORD, expect=429)
    assert browser.client.get("/admin/account").status_code == 303
    clock.add(15 * MINUTE + 1)
    sign_in(world)


def test_trying_an_address_locks_nobody_out_elsewhere(world: World, owner: Browser) -> None:
    for _ in range(9):
        browser = Browser(world)
        form = {"email": EMAIL, "password": "not the password", "_form": browser.token("/admin/sign-in")}
        tried = browser.client.post("/admin/sign-in", data=form, environ_base={"REMOTE_ADDR": "203.0.113.9"})
        assert tried.status_code in (422, 429)
    sign_in(world)


def test_whoever_has_a_network_has_no_more_tries_than_who_has_an_address(world: World, owner: Browser) -> None:
    def tried(address: str) -> int:
        browser = Browser(world)
        form = {"email": EMAIL, "password": "not the password", "_form": browser.token("/admin/sign-in")}
        return browser.client.post("/admin/sign-in", data=form, environ_base={"REMOTE_ADDR": address}).status_code

    assert [tried(f"2001:db8:0:1:{number}::{number}") for number in range(9)] == 8 * [422] + [429]
    assert tried("2001:db8:0:2::1") == 422
    assert [tried(f"::ffff:203.0.113.{number}") for number in range(9)] == 9 * [422]


def test_a_session_left_open_is_no_way_to_try_passwords_and_codes(world: World, owner: Browser, clock: Clock) -> None:
    app = with_factor(owner, clock)
    old = {"old": "not the password", "password": "another good password"}
    for _ in range(4):
        owner.post("/admin/account/password", old, on="/admin/account", expect=422)
        owner.post("/admin/account/second-factor/off", {"code": "000000"}, on="/admin/account", expect=422)
    owner.post("/admin/account/password", old | {"old": PASSWORD}, on="/admin/account", expect=429)
    owner.post("/admin/account/second-factor/off", {"code": code(app, clock)}, on="/admin/account", expect=429)
    owner.post("/admin/again", {"password": PASSWORD, "code": code(app, clock)}, expect=429)


def test_a_new_password_ends_every_other_session(world: World, owner: Browser) -> None:
    other = sign_in(world)
    form = {"old": PASSWORD, "password": "another good password"}
    owner.post("/admin/account/password", form, on="/admin/account")
    owner.get("/admin/account")
    other.get("/admin/account", expect=303)
    sign_in(world, expect=422)
    sign_in(world, "another good password")


def test_a_wrong_old_password_changes_nothing(world: World, owner: Browser) -> None:
    form = {"old": "not the password", "password": "another good password"}
    page = owner.post("/admin/account/password", form, on="/admin/account", expect=422).get_data(as_text=True)
    assert "not your password" in page
    sign_in(world)


# --- the second factor ----------------------------------------------------------------------------------------------


def with_factor(owner: Browser, clock: Clock) -> pyotp.TOTP:
    """Set a second factor up as a person would; return the app that shows its codes."""
    page = owner.get("/admin/account/second-factor")
    secret = unescape(re.search(r'name="secret" value="([A-Z2-7]+)"', page)[1])  # type: ignore[index]
    app = pyotp.TOTP(secret)
    wrong = {"secret": secret, "code": "000000"}
    owner.post("/admin/account/second-factor", wrong, expect=422)
    owner.post("/admin/account/second-factor", {"secret": secret, "code": code(app, clock)})
    clock.add(30)
    return app


def code(app: pyotp.TOTP, clock: Clock) -> str:
    """Return the code that the app shows now."""
    return app.generate_otp(clock.at // SECOND // 30)


def test_with_a_second_factor_a_password_is_not_enough(world: World, owner: Browser, clock: Clock) -> None:
    app = with_factor(owner, clock)
    browser = Browser(world)
    page = browser.post("/admin/sign-in", {"email": EMAIL, "password": PASSWORD}, expect=200).get_data(as_text=True)
    browser.get("/admin/account", expect=303)
    second = re.search(r'name="second" value="([^"]+)"', page)[1]  # type: ignore[index]
    form = {"second": second, "_form": re.search(r'name="_form" value="([^"]+)"', page)[1]}  # type: ignore[index]
    assert "not the code" in browser.send("/admin/second-step", {**form, "code": "123456"}, expect=422).text
    now = code(app, clock)
    browser.send("/admin/second-step", {**form, "code": f"{now[:3]} {now[3:]}"})
    browser.get("/admin/account")
    browser.send("/admin/second-step", {**form, "code": now}, expect=404)  # the ticket was used


def test_a_new_password_ends_a_sign_in_that_lacks_only_the_second_step(
    world: World, owner: Browser, clock: Clock
) -> None:
    app = with_factor(owner, clock)
    browser = Browser(world)
    page = browser.post("/admin/sign-in", {"email": EMAIL, "password": PASSWORD}, expect=200).get_data(as_text=True)
    form = {name: field_of(page, name) for name in ("second", "_form")}
    owner.post("/admin/account/password", {"old": PASSWORD, "password": "another good password"}, on="/admin/account")
    browser.send("/admin/second-step", {**form, "code": code(app, clock)}, expect=404)


def test_what_is_no_secret_of_an_app_is_refused(world: World, owner: Browser, clock: Clock) -> None:
    for secret in (32 * "0", 31 * "A" + "1", 32 * "a", 32 * "\0", "A"):
        owner.post("/admin/account/second-factor", {"secret": secret, "code": "123456"}, expect=422)


def test_a_code_is_taken_once(world: World, owner: Browser, clock: Clock) -> None:
    app = with_factor(owner, clock)
    clock.add(20 * MINUTE)
    now = code(app, clock)
    form = {"password": PASSWORD, "code": now}
    owner.post("/admin/again", form)
    owner.post("/admin/again", form, expect=422)
    clock.add(30)
    owner.post("/admin/again", form | {"code": now}, expect=422)  # one step late, but it was taken
    owner.post("/admin/again", form | {"code": code(app, clock)})


def test_the_second_factor_is_switched_off_by_a_code(world: World, owner: Browser, clock: Clock) -> None:
    app = with_factor(owner, clock)
    owner.post("/admin/account/second-factor/off", {"code": "000000"}, on="/admin/account", expect=422)
    owner.post("/admin/account/second-factor/off", {"code": code(app, clock)}, on="/admin/account")
    sign_in(world)


def test_a_clock_that_was_ahead_bars_nobody_when_it_is_set_right(world: World, owner: Browser, clock: Clock) -> None:
    app = with_factor(owner, clock)

    def come_in() -> None:
        browser = Browser(world)
        page = browser.post("/admin/sign-in", {"email": EMAIL, "password": PASSWORD}, expect=200).get_data(as_text=True)
        form = {name: field_of(page, name) for name in ("second", "_form")}
        browser.send("/admin/second-step", form | {"code": code(app, clock)})
        browser.get("/admin/account")
        clock.add(30)

    clock.add(365 * DAY)
    come_in()
    for _ in range(7):
        sign_in(world, "not the password", expect=422)
    sign_in(world, "not the password", expect=429)
    clock.add(-365 * DAY)
    come_in()
    come_in()


# --- sessions -------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_on_the_server(world: World, owner: Browser) -> None:
    copied = owner.client.get_cookie("passalong_owner", path="/admin")
    assert copied is not None
    owner.post("/admin/sign-out", on="/admin/account")
    thief = Browser(world)
    thief.client.set_cookie("passalong_owner", copied.value, path="/admin")
    thief.get("/admin/account", expect=303)


def test_a_session_is_made_anew_at_each_sign_in_and_its_cookie_is_out_of_reach(world: World, owner: Browser) -> None:
    planted = Browser(world)
    planted.client.set_cookie("passalong_owner", "planted-token-of-an-attacker-0123456789", path="/admin")
    answer = planted.post("/admin/sign-in", {"email": EMAIL, "password": PASSWORD})
    given = answer.headers["Set-Cookie"]
    assert "planted" not in given
    assert "HttpOnly" in given and "SameSite=Lax" in given and "Path=/admin" in given


def test_the_token_of_a_session_is_not_stored(world: World, owner: Browser) -> None:
    cookie = owner.client.get_cookie("passalong_owner", path="/admin")
    assert cookie is not None
    with world.context.database.reading() as connection:
        rows = connection.execute(select(session)).all()
    assert rows and cookie.value not in str(rows)


def test_a_session_ends_when_it_is_idle_and_when_it_is_old(world: World, owner: Browser, clock: Clock) -> None:
    for _ in range(5):
        clock.add(6 * DAY)
        owner.get("/admin/account", expect=200 if clock.at <= _made(world) + 30 * DAY * SECOND else 303)
    other = sign_in(world)
    clock.add(8 * DAY)
    other.get("/admin/account", expect=303)


def _made(world: World) -> int:
    with world.context.database.reading() as connection:
        return int(connection.execute(select(session.c.created_at).order_by(session.c.id)).scalars().first() or 0)


def test_other_devices_are_signed_out(world: World, owner: Browser) -> None:
    other = sign_in(world)
    owner.post("/admin/account/sessions/end", on="/admin/account")
    other.get("/admin/account", expect=303)
    owner.get("/admin/account")


def test_what_moves_money_wants_a_sign_in_that_is_not_long_ago(world: World, owner: Browser, clock: Clock) -> None:
    clock.add(16 * MINUTE)
    response = owner.client.get("/admin/account/second-factor")
    assert response.headers["Location"] == "/admin/again?next=/admin/account/second-factor"
    owner.post("/admin/again", {"password": "not the password"}, expect=422)
    answer = owner.post("/admin/again", {"password": PASSWORD, "next": "/admin/account/second-factor"})
    assert answer.headers["Location"] == "/admin/account/second-factor"
    owner.get("/admin/account/second-factor")


# --- forms ----------------------------------------------------------------------------------------------------------


def test_a_form_without_its_token_is_refused(world: World, owner: Browser) -> None:
    owner.send("/admin/account/sessions/end", {}, expect=403)
    owner.send("/admin/account/sessions/end", {"_form": "A" * FORM_LENGTH}, expect=403)
    owner.send("/admin/account/sessions/end", {"_form": member(world).token("/admin/account")}, expect=403)
    json = owner.client.post("/admin/account/sessions/end", json={"_form": owner.token("/admin/account")})
    assert json.status_code == 403
    owner.send("/admin/account/sessions/end", {"_form": owner.token("/admin/account")})


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://sub.localhost"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_even_the_right_token_is_refused_from_another_place(
    world: World, owner: Browser, header: dict[str, str]
) -> None:
    form = {"_form": owner.token("/admin/account")}
    owner.send("/admin/account/sessions/end", form, expect=403, **header)
    owner.send("/admin/account/sessions/end", form, Origin="http://localhost", Sec_Fetch_Site="same-origin")


def test_the_token_of_a_visitor_is_that_visitors_own(world: World, owner: Browser) -> None:
    one, two = Browser(world), Browser(world)
    form = {"email": EMAIL, "password": PASSWORD, "_form": one.token("/admin/sign-in")}
    two.get("/admin/sign-in")
    two.send("/admin/sign-in", form, expect=403)
    one.send("/admin/sign-in", form)


def test_no_two_pages_carry_the_same_token_and_every_one_holds(world: World, owner: Browser) -> None:
    pages = [set(re.findall(r'name="_form" value="([^"]+)"', owner.get("/admin/account"))) for _ in range(3)]
    assert all(len(tokens) == 1 for tokens in pages) and len(set.union(*pages)) == 3
    for (token,) in pages:
        owner.send("/admin/account/sessions/end", {"_form": token})
        other = token[:1] + ("B" if token[1] == "A" else "A") + token[2:]
        owner.send("/admin/account/sessions/end", {"_form": other}, expect=403)


# --- what every page has --------------------------------------------------------------------------------------------


def test_nothing_foreign_may_run_in_a_page(world: World, owner: Browser) -> None:
    for path in ("/admin/sign-in", "/admin/account", "/admin/nothing/here"):
        response = owner.client.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|style=|on(click|load|error)=", response.get_data(as_text=True))


@pytest.mark.parametrize(
    ("site", "accepts", "packed"),
    [
        ("same-origin", "gzip, deflate, br, zstd", True),
        ("none", "gzip", True),  # typed, or opened from outside the browser
        ("none", "br", False),
        ("none", "gzip;q=0", False),
        ("cross-site", "gzip", False),
        ("same-site", "gzip", False),
        (None, "gzip", False),
    ],
)
def test_a_page_is_compressed_only_where_no_other_site_can_have_caused_it(
    world: World, owner: Browser, site: str | None, accepts: str, packed: bool
) -> None:
    headers = {"Accept-Encoding": accepts} | ({"Sec-Fetch-Site": site} if site else {})
    response = owner.client.get("/admin/account", headers=headers)
    assert response.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert {"Accept-Encoding", "Sec-Fetch-Site"} <= set(response.vary)
    page = gzip.decompress(response.data) if packed else response.data
    assert EMAIL in page.decode() and int(response.headers["Content-Length"]) == len(response.data)


@pytest.mark.parametrize(
    ("accepts", "tag", "word"),
    [
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant", "登入"),
        ("zh-HK", "zh-Hant", "登入"),
        ("zh-CN,zh;q=0.9", "zh-Hans", "登录"),
        ("ja-JP", "ja", "ログイン"),
        ("fr-FR", "en", "Sign in"),
    ],
)
def test_the_right_language_at_first_sight(world: World, accepts: str, tag: str, word: str) -> None:
    page = Browser(world, language=accepts).get("/admin/sign-in")
    assert f'<html lang="{tag}">' in page and word in page


def test_the_bare_address_leads_to_the_owner_s_pages(world: World) -> None:
    answer = world.client.get("/")
    assert answer.status_code == 303 and answer.headers["Location"] == "/admin/"


def test_a_chosen_language_stays(world: World) -> None:
    browser = Browser(world)
    answer = browser.client.get("/admin/sign-in?next=/admin/account&lang=ja")
    assert answer.status_code == 303 and answer.headers["Location"] == "/admin/sign-in?next=/admin/account"
    assert "ログイン" in browser.get("/admin/sign-in")


def test_files_are_kept_for_ever_under_the_name_of_their_content(world: World) -> None:
    page = Browser(world).get("/admin/sign-in")
    paths = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
    assert len(paths) >= 4
    for path in paths:
        response = world.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert response.status_code == 200 and "immutable" in response.headers["Cache-Control"]
    changed = re.sub("/assets/[0-9a-f]{12}", "/assets/000000000000", paths[0])
    assert world.client.get(changed).status_code == 404
    assert world.client.get(paths[0].rpartition("/")[0] + "/../page.py").status_code == 404


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36", "Chrome · Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Safari Line/15.0.1", "LINE · iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge · Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.1 Safari/605.1.15", "Safari · Mac"),
        ("curl/8.5 <b>", "curl/8.5 <b>"),
    ],
)  # fmt: skip
def test_a_device_is_called_as_its_owner_calls_it(agent: str, device: str) -> None:
    assert device_of(agent) == device
