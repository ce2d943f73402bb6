"""Whom a host app says is signed in is signed in to the pages, without mail or password, for as long as it says so."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import Client, TestResponse

from plugin.extension import HOST_EXTENSION, Passalong
from plugin.models import owner, session
from plugin.services.manage_access import add_owner
from plugin.services.sessions import NO_PASSWORD
from plugin.settings import Settings
from tests.admin_ui.desk import PASSWORD
from tests.admin_ui.seat import wanted_tickets
from tests.world import World

ALICE, BOSS = "alice@example.org", "boss@shop.example"
FRESH_PAGE = "/passalong/me/{}/profile/way"


class Site:
    """A host app with Passalong mounted in it. ``says`` is whom it takes a browser to be; callables are called."""

    def __init__(self, settings: Settings) -> None:
        self.says: Any = None
        self.asked = 0
        self.app = Flask("host")
        self.app.config.update(
            SECRET_KEY="the host's own",
            PASSALONG_DATABASE_URL=settings.database_url,
            PASSALONG_QUEUE_URL=settings.queue_url,
            PASSALONG_INSTANCE=str(settings.instance),
            PASSALONG_WORKERS=0,
        )
        Passalong().init_app(self.app, identify=self.identify)
        self.inner: Flask = self.app.extensions[HOST_EXTENSION].app
        self.world = World(self.inner)

    def identify(self) -> Any:
        """Say who is signed in, as the host's own code would; it reads what it likes of the request."""
        from flask import request

        assert request.path.startswith("/passalong/") and not request.form
        self.asked += 1
        return self.says() if callable(self.says) else self.says

    def browser(self) -> Client:
        """Return a new browser."""
        return self.app.test_client()


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """Give a host app with a shop in its Passalong, in which alice shares."""
    site = Site(settings)
    yield site
    site.inner.extensions["passalong"].close()


def token_on(answer: TestResponse) -> str:
    """Return the token that the forms of a page carry."""
    found = re.search(r'name="_form" value="([^"]+)"', answer.get_data(as_text=True))
    assert found, answer.status
    return unescape(found[1])


def sessions(site: Site) -> int:
    """Return how many sessions there are."""
    with site.world.context.database.reading() as connection:
        return len(connection.execute(select(session.c.id)).all())


def is_in(answer: TestResponse) -> bool:
    """Tell whether a page was shown, or the way to sign in."""
    assert answer.status_code in (200, 303), answer.status
    return answer.status_code == 200 or "sign-in" not in answer.headers["Location"]


# --- those who share ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [ALICE, {"email": ALICE}, {"email": "  Alice@Example.org ", "role": None}])
def test_who_shares_is_signed_in_without_a_mail(site: Site, said: Any) -> None:
    shop = site.world.shop()
    shop.sharer("alice")
    site.says, browser = said, site.browser()
    first = browser.get(f"/passalong/me/{shop.key}/")
    assert first.status_code == 200 and "alice" in first.get_data(as_text=True)
    assert first.headers["Set-Cookie"].startswith("passalong_sharer=") and "Path=/passalong/me" in str(first.headers)
    again = browser.get(f"/passalong/me/{shop.key}/earnings")
    assert again.status_code == 200 and "Set-Cookie" not in again.headers
    assert sessions(site) == 1 and wanted_tickets(site.world) == []
    assert site.asked == 2, "the host is asked once a page"


def test_forms_work_and_their_body_is_read_by_nobody_else(site: Site) -> None:
    shop = site.world.shop()
    shop.sharer("alice")
    site.says, browser = ALICE, site.browser()
    page = browser.get(f"/passalong/me/{shop.key}/profile")
    form = {"_form": token_on(page), "name": "Alice B", "language": "en"}
    assert browser.post(f"/passalong/me/{shop.key}/profile/me", data=form).status_code == 303
    assert "Alice B" in browser.get(f"/passalong/me/{shop.key}/profile").get_data(as_text=True)


def test_the_session_ends_on_the_server_when_the_host_says_nobody_or_somebody_else(site: Site) -> None:
    shop = site.world.shop()
    shop.sharer("alice"), shop.sharer("bob")
    path = f"/passalong/me/{shop.key}/profile"
    site.says, browser = ALICE, site.browser()
    page = browser.get(path)
    kept = browser.get_cookie("passalong_sharer", path="/passalong/me")
    assert kept is not None
    site.says = None
    form = {"_form": token_on(page), "name": "Mallory", "language": "en"}
    assert browser.post(f"{path}/me", data=form).status_code == 403
    assert not is_in(browser.get(path)) and sessions(site) == 0
    assert browser.get_cookie("passalong_sharer", path="/passalong/me") is None
    site.says = "bob@example.org"
    browser.set_cookie("passalong_sharer", kept.value, path="/passalong/me")
    assert "bob@example.org" in browser.get(path).get_data(as_text=True)
    site.says = ALICE
    page = browser.get(path).get_data(as_text=True)
    assert ALICE in page and "bob@" not in page and sessions(site) == 1


def test_who_shares_nowhere_is_led_to_the_door_and_no_session_is_made(site: Site) -> None:
    shop = site.world.shop()
    shop.sharer("alice")
    site.says = "stranger@example.org"
    assert not is_in(site.browser().get(f"/passalong/me/{shop.key}/")) and sessions(site) == 0


def test_a_form_that_comes_first_lets_nobody_in(site: Site) -> None:
    shop = site.world.shop()
    shop.sharer("alice")
    site.says = ALICE
    assert site.browser().post(f"/passalong/me/{shop.key}/profile/me", data={"name": "x"}).status_code == 403
    assert sessions(site) == 0


def test_who_signed_in_by_mail_stays_whatever_the_host_says(site: Site) -> None:
    shop = site.world.shop()
    shop.sharer("alice"), shop.sharer("bob")
    browser = site.browser()
    sign_in = browser.get("/passalong/me/sign-in")
    browser.post("/passalong/me/sign-in", data={"_form": token_on(sign_in), "email": ALICE})
    ((_, ticket),) = wanted_tickets(site.world)
    enter = f"/passalong/me/enter/{ticket}"
    browser.post(enter, data={"_form": token_on(browser.get(enter))})
    for said in (None, "bob@example.org", ALICE):
        site.says = said
        page = browser.get(f"/passalong/me/{shop.key}/profile").get_data(as_text=True)
        assert ALICE in page and "Sign out" in page


def test_how_one_is_paid_wants_more_than_the_host_s_word_unless_it_vouches(site: Site) -> None:
    shop = site.world.shop()
    shop.sharer("alice")
    site.says, browser = {"email": ALICE, "fresh": "yes"}, site.browser()
    assert is_in(browser.get(f"/passalong/me/{shop.key}/"))
    way = FRESH_PAGE.format(shop.key)
    asked = browser.get(way)
    assert asked.status_code == 303 and "/again" in asked.headers["Location"]
    site.says = {"email": ALICE, "fresh": True}
    assert browser.get(way).status_code == 200
    site.says = ALICE
    assert browser.get(way).status_code == 303


def test_a_mail_makes_fresh_and_the_session_still_ends_with_the_host_s_word(site: Site) -> None:
    shop = site.world.shop()
    shop.sharer("alice")
    site.says, browser = ALICE, site.browser()
    again = browser.get(f"/passalong/me/{shop.key}/again")
    browser.post(f"/passalong/me/{shop.key}/again", data={"_form": token_on(again)})
    ((_, ticket),) = wanted_tickets(site.world)
    enter = f"/passalong/me/enter/{ticket}"
    browser.post(enter, data={"_form": token_on(browser.get(enter))})
    assert browser.get(FRESH_PAGE.format(shop.key)).status_code == 200 and sessions(site) == 1
    site.says = None
    assert not is_in(browser.get(f"/passalong/me/{shop.key}/")) and sessions(site) == 0


# --- those who run a shop -------------------------------------------------------------------------------------------


def test_a_role_opens_the_owner_s_pages_and_no_role_does_not(site: Site) -> None:
    shop = site.world.shop()
    site.says, browser = BOSS, site.browser()
    assert not is_in(browser.get(f"/passalong/admin/{shop.key}/"))
    site.says = {"email": BOSS, "role": "manager"}
    page = browser.get(f"/passalong/admin/{shop.key}/settings")
    assert page.status_code == 200 and "Sign out" not in page.get_data(as_text=True)
    assert browser.get(f"/passalong/admin/{shop.key}/team").status_code == 403
    with site.world.context.database.reading() as connection:
        (row,) = connection.execute(select(owner)).all()
    assert (row.email, row.role, row.password_hash) == (BOSS, "manager", NO_PASSWORD)
    for password in (NO_PASSWORD, "nobody's", ""):
        door = browser.get("/passalong/admin/sign-in")
        form = {"_form": token_on(door), "email": BOSS, "password": password}
        assert "do not go together" in browser.post("/passalong/admin/sign-in", data=form).get_data(as_text=True)


def test_who_has_no_password_here_follows_the_host_at_once(site: Site) -> None:
    shop, other = site.world.shop(), site.world.shop(url="https://other.example.com")
    browser = site.browser()
    team, account = f"/passalong/admin/{shop.key}/team", "/passalong/admin/account"
    for role, status in (("owner", 200), ("viewer", 403), ("owner", 200)):
        site.says = {"email": BOSS, "role": role}
        assert browser.get(team).status_code == status
    assert "You have none here" in browser.get(account).get_data(as_text=True)
    token = token_on(browser.get(account))
    site.says = {"email": BOSS, "role": "viewer"}
    assert browser.post("/passalong/admin/account/language", data={"_form": token}).status_code == 403
    site.says = {"email": BOSS, "role": "owner", "shop": other.key}
    assert browser.get(team).status_code == 404
    assert browser.get(f"/passalong/admin/{other.key}/team").status_code == 200
    site.says = {"email": BOSS, "role": "owner", "shop": "nothing"}
    assert not is_in(browser.get(account))
    site.says = None
    assert not is_in(browser.get(account)) and sessions(site) == 0


def test_a_member_with_a_password_may_what_both_say_and_no_more(site: Site) -> None:
    shop = site.world.shop()
    add_owner(site.world.context, BOSS, PASSWORD)
    with site.world.context.database.writing() as connection:
        connection.execute(update(owner).values(role="manager"))
    for role, status in (("owner", 200), ("manager", 200), ("payer", 403), ("viewer", 403)):
        site.says, browser = {"email": BOSS, "role": role}, site.browser()
        assert browser.get(f"/passalong/admin/{shop.key}/settings").status_code == status, role
        assert browser.get(f"/passalong/admin/{shop.key}/team").status_code == 403, role


def test_whose_access_was_ended_here_stays_out(site: Site) -> None:
    site.world.shop()
    add_owner(site.world.context, BOSS, PASSWORD)
    with site.world.context.database.writing() as connection:
        connection.execute(update(owner).values(ended_at=1))
    site.says = {"email": BOSS, "role": "owner", "fresh": True}
    assert not is_in(site.browser().get("/passalong/admin/account")) and sessions(site) == 0


def test_what_moves_money_or_opens_doors_wants_more_than_the_host_s_word(site: Site) -> None:
    shop = site.world.shop()
    add_owner(site.world.context, BOSS, PASSWORD)
    site.says, browser = {"email": BOSS, "role": "owner"}, site.browser()
    secret = f"/passalong/admin/{shop.key}/settings/secret"
    token = token_on(browser.get("/passalong/admin/account"))
    asked = browser.post(secret, data={"_form": token})
    assert asked.status_code == 303 and "/passalong/admin/again" in asked.headers["Location"]
    back = {"_form": token, "password": PASSWORD, "next": f"/passalong/admin/{shop.key}/settings"}
    entered = browser.post("/passalong/admin/again", data=back)
    assert entered.headers["Location"].endswith(f"/passalong/admin/{shop.key}/settings")
    page = browser.get("/passalong/admin/account")
    assert browser.post(secret, data={"_form": token_on(page)}).status_code == 200
    site.says = None
    assert not is_in(browser.get("/passalong/admin/account")) and sessions(site) == 0


def test_who_has_no_password_here_is_sent_back_to_the_host_to_prove_it(site: Site) -> None:
    shop = site.world.shop()
    site.says, browser = {"email": BOSS, "role": "owner"}, site.browser()
    token = token_on(browser.get("/passalong/admin/account"))
    secret = f"/passalong/admin/{shop.key}/settings/secret"
    asked = browser.post(secret, data={"_form": token})
    page = browser.get(asked.headers["Location"]).get_data(as_text=True)
    assert "Sign in there once more" in page and 'type="password"' not in page
    site.says = {"email": BOSS, "role": "owner", "fresh": True}
    assert browser.post(secret, data={"_form": token}).status_code == 200


NONSENSE = (
    7, True, [], ["a@b.example"], {}, {"email": None}, {"email": ""}, {"email": "no address"}, b"a@example.org",
    {"email": ALICE, "role": "god"}, {"email": ALICE, "role": ["owner"]}, {"email": ALICE, "shop": 7}, object(),
    lambda: 1 / 0,
)  # fmt: skip


def test_a_host_that_fails_or_says_nonsense_lets_nobody_in_and_breaks_no_page(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    shop = site.world.shop()
    shop.sharer("alice")
    for said in NONSENSE:
        site.says, browser = said, site.browser()
        caplog.clear()
        assert not is_in(browser.get(f"/passalong/me/{shop.key}/")), said
        assert not is_in(browser.get("/passalong/admin/account")), said
        assert browser.get(f"/passalong/join/{shop.key}").status_code == 200
        assert "could not say who is signed in" in caplog.text
    assert sessions(site) == 0
