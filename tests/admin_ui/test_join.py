"""Joining and signing in: by mail alone, the same answer for everybody, and nothing happens by a mere look."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from plugin.domain.moment import format_moment
from plugin.models import link, person, session, sharer, task, ticket
from plugin.services import tickets
from plugin.services.erase_person import erase_person
from tests.admin_ui.desk import Browser
from tests.admin_ui.seat import set_program, sharer_browser, wanted_tickets
from tests.world import Clock, World

XSS = '<script>alert("x")</script>'


def count(world: World, table: object) -> int:
    """Return how many rows a table has."""
    with world.context.database.reading() as connection:
        found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]
    return found


def test_the_offer_is_what_the_plan_in_force_pays(world: World) -> None:
    shop, browser = world.shop(name=XSS), Browser(world)
    assert "has not" not in browser.get(f"/join/{shop.key}")
    shop.plan({"commission": {"default": {"percent": "12.50"}}, "hold_days": 14})
    page = browser.get(f"/join/{shop.key}")
    assert "You get 12.5% of what your friends buy." in page and "14 days" in page
    assert "same price as everybody else" in page
    assert XSS not in page and "&lt;script&gt;" in page
    rules = [{"id": "tea", "when": {"skus": ["T"]}, "pay": {"percent": "20"}}]
    shop.plan(
        {"commission": {"default": {"percent": "5"}, "rules": rules}, "buyer": {"cashback_percent": "3"}}, since=None
    )
    page = browser.get(f"/join/{shop.key}")
    assert "up to 20%" in page and "3% back" in page
    shop.plan({"commission": {"default": {"per_order": {"TWD": "45.00", "USD": "2.00"}}}}, since=None)
    assert "You get $2.00 for each order of a friend." in browser.get(f"/join/{shop.key}")
    set_program(world, shop, reward_shown=False)
    assert "$2.00" not in browser.get(f"/join/{shop.key}")


def test_joining_takes_a_mail_and_one_button_and_gives_the_link_at_once(world: World) -> None:
    shop, browser = world.shop(), Browser(world, language="zh-TW")
    shop.plan()
    set_program(world, shop, join_mode="open")
    said = browser.post(f"/join/{shop.key}", {"email": "ming@example.org", "name": " 王  小明 "}, expect=200)
    assert "ming@example.org" not in said.get_data(as_text=True) and count(world, sharer) == 0
    ((purpose, text),) = wanted_tickets(world)
    assert purpose == tickets.JOIN
    address = f"/join/{shop.key}/{text}"
    for _ in range(3):  # mail programs look at it, too
        assert "10%" in browser.get(address)
    assert (count(world, sharer), count(world, session)) == (0, 0)
    home = browser.post(address).headers["Location"]
    page = browser.get(home)
    assert "/s/" in page and "王 小明" in page and 'lang="zh-Hant"' in page
    (made,) = world.call("GET", f"/sharers?shop={shop.key}", expect=200)["items"]
    assert (made["name"], made["status"], made["locale"]) == ("王 小明", "approved", "zh-Hant")
    (link,) = world.call("GET", f"/links?sharer={made['id']}", expect=200)["items"]
    assert link["code"] in page and link["target_url"] == "https://shop.example.com/"
    token, now = shop.click(link), format_moment(world.context.now())
    order = shop.told(shop.order(attributes={"_pa": token}, placed_at=now, paid_at=now, updated_at=now))
    assert order["commissions"][0]["sharer"] == made["id"]
    assert browser.get(address, expect=404) and count(world, sharer) == 1


@pytest.mark.parametrize(("mode", "status"), [("open", "approved"), ("approve", "pending")])
def test_the_join_mode_decides_how_one_joins(world: World, mode: str, status: str) -> None:
    shop, browser = world.shop(), Browser(world)
    set_program(world, shop, join_mode=mode)
    browser.post(f"/join/{shop.key}", {"email": "new@example.org"}, expect=200)
    browser.post(f"/join/{shop.key}/{wanted_tickets(world)[0][1]}")
    (made,) = world.call("GET", f"/sharers?shop={shop.key}", expect=200)["items"]
    assert made["status"] == status
    page = browser.get(f"/me/{shop.key}/")
    assert ("yet to approve you" in page) == (status == "pending")
    assert ("/s/" in page) == (status == "approved")
    world.call("PATCH", f"/sharers/{made['id']}", {"status": "approved"}, expect=200)
    assert "/s/" in browser.get(f"/me/{shop.key}/")  # the link was made when they joined


def test_buttons_that_are_pressed_twice_at_once_make_one_link(world: World) -> None:
    shop = world.shop()
    set_program(world, shop, join_mode="open")
    Browser(world).post(f"/join/{shop.key}", {"email": "new@example.org"}, expect=200)
    address = f"/join/{shop.key}/{wanted_tickets(world)[0][1]}"
    browsers = [Browser(world) for _ in range(4)]
    statuses = at_once(browsers, address, {}, on=address)
    assert statuses == [303, 404, 404, 404] and count(world, link) == 1
    (guest,) = [one for one in browsers if one.client.get_cookie("passalong_sharer", path="/me")]
    channel = {"channel": "Instagram"}
    assert at_once(4 * [guest], f"/me/{shop.key}/share/channel", channel, on=f"/me/{shop.key}/share") == 4 * [303]
    assert count(world, link) == 2


def at_once(browsers: list[Browser], path: str, form: dict[str, str], *, on: str) -> list[int]:
    """Send a form from all these browsers at once; return the statuses of the answers, in order."""
    forms = [form | {"_form": browser.token(on)} for browser in browsers]
    start = Barrier(len(browsers))

    def send(number: int) -> int:
        start.wait()
        headers = {"Accept-Language": "en", "User-Agent": "Mozilla/5.0 (test)"}
        return browsers[number].client.post(path, data=forms[number], headers=headers).status_code

    with ThreadPoolExecutor(len(browsers)) as threads:
        return sorted(threads.map(send, range(len(browsers))))


def test_a_closed_program_takes_nobody_new_and_lets_in_who_is_there(world: World) -> None:
    shop, browser = world.shop(), Browser(world)
    set_program(world, shop, join_mode="open")
    browser.post(f"/join/{shop.key}", {"email": "new@example.org"}, expect=200)
    set_program(world, shop, join_mode="closed")
    assert "takes nobody new" in browser.get(f"/join/{shop.key}")
    browser.post(f"/join/{shop.key}", {"email": "a@example.org"}, on="/me/sign-in", expect=409)
    browser.post(f"/join/{shop.key}/{wanted_tickets(world)[0][1]}", expect=409)
    assert count(world, sharer) == 0
    shop.sharer("alice")
    with world.context.database.writing() as connection:
        number = tickets.issue(
            connection, tickets.JOIN, now=world.context.now(), shop_id=1, email="alice@example.org"
        )
        text = tickets.show(world.context, connection, number)
    browser.post(f"/join/{shop.key}/{text}")
    assert "Hello, alice" in browser.get(f"/me/{shop.key}/")


def test_known_and_unknown_addresses_get_the_same_answer_after_the_same_statements(world: World) -> None:
    shop = world.shop()
    set_program(world, shop, join_mode="open")
    shop.sharer("alice")
    answers = []
    for path in (f"/join/{shop.key}", "/me/sign-in"):
        browser = Browser(world)
        before = count(world, ticket), count(world, task)
        known = browser.post(path, {"email": "Alice@example.org"}, expect=200).get_data(as_text=True)
        after_known = count(world, ticket), count(world, task)
        unknown = browser.post(path, {"email": "nobody@example.org"}, expect=200).get_data(as_text=True)
        after_unknown = count(world, ticket), count(world, task)
        assert known == unknown
        assert [b - a for a, b in zip(before, after_known, strict=True)] == [1, 1]
        assert [b - a for a, b in zip(after_known, after_unknown, strict=True)] == [1, 1]
        answers.append(known)
    purposes = [purpose for purpose, _ in wanted_tickets(world)]
    assert purposes == [tickets.SIGN_IN, tickets.JOIN, tickets.SIGN_IN, tickets.SIGN_IN]
    nobody = wanted_tickets(world)[3][1]
    Browser(world).post(f"/me/enter/{nobody}", expect=404)  # a ticket for nobody lets nobody in
    assert count(world, session) == 0


def test_wrong_input_is_said_at_its_field(world: World) -> None:
    shop, browser = world.shop(), Browser(world)
    set_program(world, shop, join_mode="open")
    for email in ("", "nobody", "a b@c.d", "x" * 300 + "@example.org", "a@b\r\nBcc: c@d"):
        page = browser.post(f"/join/{shop.key}", {"email": email, "name": "Kept"}, expect=422).get_data(as_text=True)
        assert "This is not an e-mail address." in page and 'value="Kept"' in page
        browser.post("/me/sign-in", {"email": email}, expect=422)
    long = browser.post(f"/join/{shop.key}", {"email": "a@example.org", "name": "n" * 81}, expect=422)
    assert "at most 80" in long.get_data(as_text=True)
    browser.get("/join/unknown", expect=404)
    browser.get(f"/join/{shop.key}/nothing", expect=404)
    browser.get("/me/enter/nothing", expect=404)
    assert count(world, task) == 0 or not wanted_tickets(world)


def test_a_ticket_holds_in_its_own_shop_alone(world: World) -> None:
    first, second, browser = world.shop(), world.shop(), Browser(world)
    set_program(world, first, join_mode="open")
    set_program(world, second, join_mode="open")
    browser.post(f"/join/{first.key}", {"email": "a@example.org"}, expect=200)
    ((_, text),) = wanted_tickets(world)
    browser.get(f"/join/{second.key}/{text}", expect=404)
    browser.post(f"/join/{second.key}/{text}", on=f"/join/{second.key}", expect=404)
    assert count(world, sharer) == 0


def test_mails_to_one_address_and_tries_from_one_place_are_limited(world: World, clock: Clock) -> None:
    shop = world.shop()
    set_program(world, shop, join_mode="open")
    browser = Browser(world)
    for _ in range(7):
        browser.post("/me/sign-in", {"email": "alice@example.org"}, expect=200)
    assert len(wanted_tickets(world)) == 5
    for number in range(23):
        browser.post("/me/sign-in", {"email": f"a{number}@example.org"}, expect=200)
    browser.post("/me/sign-in", {"email": "late@example.org"}, expect=429)
    clock.add(3_601)
    browser.post("/me/sign-in", {"email": "late@example.org"}, expect=200)


def test_signing_in_takes_a_button_and_works_once_and_ends_on_the_server(world: World) -> None:
    shop = world.shop()
    shop.sharer("alice")
    browser = Browser(world)
    assert browser.client.get(f"/me/{shop.key}/").headers["Location"].startswith("/me/sign-in")
    browser.post("/me/sign-in", {"email": "alice@example.org"}, expect=200)
    ((_, text),) = wanted_tickets(world)
    browser.get(f"/me/enter/{text}")
    assert count(world, session) == 0
    assert browser.post(f"/me/enter/{text}").headers["Location"] == "/me/"
    assert browser.client.get("/me/").headers["Location"] == f"/me/{shop.key}/"
    assert "Hello, alice" in browser.get(f"/me/{shop.key}/")
    browser.get(f"/me/enter/{text}", expect=404)
    kept = browser.client.get_cookie("passalong_sharer", path="/me")
    assert kept is not None
    browser.post("/me/sign-out", on=f"/me/{shop.key}/")
    browser.client.set_cookie("passalong_sharer", kept.value, path="/me")
    assert browser.client.get(f"/me/{shop.key}/").status_code == 303 and count(world, session) == 0


def test_an_erased_person_is_out_and_may_come_back_by_their_own_mail(world: World) -> None:
    shop = world.shop()
    set_program(world, shop, join_mode="open")
    alice = shop.sharer("alice")
    browser = sharer_browser(world, alice)
    assert "alice" in browser.get(f"/me/{shop.key}/")
    erase_person(world.context, email="alice@example.org")
    assert browser.client.get(f"/me/{shop.key}/").status_code == 303
    browser.post("/me/sign-in", {"email": "alice@example.org"}, expect=200)
    browser.post(f"/me/enter/{wanted_tickets(world)[0][1]}", on="/me/sign-in", expect=404)
    browser.post(f"/join/{shop.key}", {"email": "alice@example.org", "name": "Al"}, expect=200)
    browser.post(f"/join/{shop.key}/{wanted_tickets(world)[1][1]}")
    assert "Hello, Al" in browser.get(f"/me/{shop.key}/")
    assert count(world, sharer) == 1 and count(world, person) == 1


def test_forms_from_elsewhere_do_nothing(world: World) -> None:
    shop = world.shop()
    set_program(world, shop, join_mode="open")
    browser = Browser(world)
    browser.send(f"/join/{shop.key}", {"email": "a@example.org"}, expect=403)
    token = browser.token(f"/join/{shop.key}")
    form = {"email": "a@example.org", "_form": token}
    browser.send(f"/join/{shop.key}", form, expect=403, Origin="https://evil.example")
    browser.send("/me/sign-out", {"_form": token}, expect=403)
    assert not wanted_tickets(world)
