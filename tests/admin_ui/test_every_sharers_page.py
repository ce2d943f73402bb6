"""Every page of those who share, found by walking the routes: whose it is, what it costs, how it looks and speaks."""

import logging
import re
from typing import TYPE_CHECKING

import pytest
from flask import url_for
from werkzeug.routing import Rule

from plugin.signing import FORM_LENGTH
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.office import Office, plain
from tests.admin_ui.seat import set_program, sharer_browser, wanted_tickets
from tests.admin_ui.small_shop import NOW, RAW, Lively, calm_shop, worst_shop
from tests.admin_ui.walk import LOOKS, PLAIN, QUERIES, STATEMENTS_MAX, Look, Sight, statements
from tests.figures import Record, note_axe, note_statements, note_visits
from tests.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

# Open to whoever comes; all else wants a sharer who is signed in.
DOORS = frozenset({"sharer.join", "sharer.accept", "sharer.sign_in", "sharer.enter", "sharer.privacy"})
THINGS = frozenset({"order", "item", "link"})  # what a page can be about that is one sharer's
MANY = 60  # orders, more than fit on a page


def worst_open_shop(world: World) -> Lively:
    """Begin with the shop in which everything has happened, and which whoever wants may join."""
    return _opened(worst_shop(world))


def calm_open_shop(world: World) -> Lively:
    """Begin with it under names as people have them."""
    return _opened(calm_shop(world))


def _opened(shop: Lively) -> Lively:
    set_program(shop.shop.world, shop.shop, join_mode="open", brand_color="#c2410c")
    return shop


pytestmark = pytest.mark.past(made_by=worst_open_shop)


@pytest.fixture
def shop(began: Lively) -> Lively:
    """Give that shop."""
    return began


def rules(world: World, method: str) -> list[Rule]:
    """Return the routes of sharers' pages that take a method, in a steady order."""
    ours = [
        rule
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint.startswith("sharer.") and rule.endpoint != "sharer.nothing" and method in (rule.methods or ())
    ]
    assert ours
    return sorted(ours, key=lambda rule: rule.rule)


def own(world: World, method: str) -> list[Rule]:
    """Return those of them that are a sharer's own."""
    return [rule for rule in rules(world, method) if rule.endpoint not in DOORS]


def path_of(world: World, rule: Rule, shop: Lively, key: str | None = None) -> str:
    """Return an address of a route at which there is something of alice's."""
    known = {"shop": key or shop.shop.key, "order": shop.line, "item": shop.own_item, "link": shop.link}
    if "ticket" in rule.arguments:
        known["ticket"] = _ticket(world, shop, joins=rule.endpoint == "sharer.accept")
    assert rule.arguments <= known.keys(), f"name an example for {rule.rule}"
    with world.app.test_request_context():
        return url_for(rule.endpoint, **{name: known[name] for name in rule.arguments})


def _ticket(world: World, shop: Lively, *, joins: bool) -> str:
    """Ask for a way in as a visitor does; return what the mail about it would bring."""
    visitor, number = Browser(world), world.number()
    if joins:
        visitor.post(f"/join/{shop.shop.key}", {"email": f"n{number}@example.org", "name": "New"}, expect=200)
    else:
        visitor.post("/me/sign-in", {"email": "alice@example.org"}, expect=200)
    return wanted_tickets(world)[-1][1]


def suspend(world: World, shop: Lively) -> None:
    """Suspend alice, who has earned."""
    world.call("PATCH", f"/sharers/{shop.sharer}", {"status": "suspended"}, expect=200)


# --- who may --------------------------------------------------------------------------------------------------------


def test_every_page_of_a_sharer_is_theirs_alone(world: World, shop: Lively, record_property: Record) -> None:
    elsewhere = world.shop(url="https://elsewhere.example.com")
    people = {
        "herself": sharer_browser(world, shop.sharer),
        "beside her": sharer_browser(world, shop.shop.sharer("beside")),
        "waiting": sharer_browser(world, shop.pending),
        "elsewhere": sharer_browser(world, elsewhere.sharer("carol")),
        "stranger": Browser(world),
    }
    for rule in own(world, "GET"):
        path, is_hers = path_of(world, rule, shop), bool(rule.arguments & THINGS)
        for who, browser in people.items():
            answer = browser.client.get(path)
            allowed = (200, 303)
            if who == "stranger":
                assert answer.status_code == 303 and "/me/sign-in?next=" in answer.headers["Location"], path
                continue
            if (who == "elsewhere" and "shop" in rule.arguments) or (is_hers and who != "herself"):
                allowed = (404,)
            assert answer.status_code in allowed, (who, rule.rule, answer.status_code)
    note_visits(record_property, "sharers", pages=len(own(world, "GET")), roles=len(people) + 1)


def test_who_is_suspended_sees_all_that_was_theirs(world: World, shop: Lively) -> None:
    suspend(world, shop)
    browser = sharer_browser(world, shop.sharer)
    for rule in own(world, "GET"):
        assert browser.client.get(path_of(world, rule, shop)).status_code in (200, 303), rule.rule
    home = browser.get(f"/me/{shop.shop.key}/")
    assert "data-share" not in home and "<button" not in home.partition("<main")[2]


def test_the_doors_are_open_to_whoever_comes(world: World, shop: Lively) -> None:
    for rule in rules(world, "GET"):
        if rule.endpoint in DOORS:
            Browser(world).get(path_of(world, rule, shop))


def test_every_form_wants_to_be_ours(world: World, shop: Lively) -> None:
    for browser in (sharer_browser(world, shop.sharer), Browser(world), member(world)):
        for rule in rules(world, "POST"):
            path = path_of(world, rule, shop)
            for body in ({"data": {"anything": "1"}}, {"json": {"_form": "x"}}, {"data": {"_form": "A" * FORM_LENGTH}}):
                status = browser.client.post(path, **body).status_code  # type: ignore[arg-type]
                assert status == 403, (rule.rule, status)


def test_nobody_acts_in_a_shop_that_is_not_theirs(world: World, shop: Lively) -> None:
    elsewhere = world.shop(url="https://elsewhere.example.com")
    browser = sharer_browser(world, elsewhere.sharer("carol"))
    token = browser.token(f"/me/{elsewhere.key}/")
    for rule in own(world, "POST"):
        if "shop" in rule.arguments:
            browser.send(path_of(world, rule, shop), {"_form": token}, expect=404)


# --- what it costs and shows ----------------------------------------------------------------------------------------


def test_no_page_of_a_sharer_asks_more_however_large_the_shop(
    world: World, shop: Lively, record_property: Record
) -> None:
    browser, counts = sharer_browser(world, shop.sharer), {}
    looking = member(world, "viewer")
    below = f"/admin/{shop.shop.key}/sharers/{shop.sharer}/as"
    for size in ("small", "large"):
        for rule in own(world, "GET"):
            path = path_of(world, rule, shop)
            counts[size, rule.rule] = len(statements(world, browser, path))
            if rule.endpoint.removeprefix("sharer.") in ("home", "share", "earnings", "line", "payouts", "statement"):
                seen = path.replace(f"/me/{shop.shop.key}", below)
                counts[size, f"{rule.rule} as the shop sees it"] = len(statements(world, looking, seen))
        if size == "small":
            code = shop.shop.world.call("GET", f"/sharers/{shop.sharer}", expect=200)["codes"][0]
            for number in range(MANY):
                shop.shop.deliver(shop.shop.order(f"many{number}", codes=[code]))
            world.work()
    note_statements(record_property, {rule: count for (_, rule), count in counts.items()})
    assert {rule: count for rule, count in counts.items() if count > STATEMENTS_MAX} == {}
    assert "after=" in browser.get(f"/me/{shop.shop.key}/earnings")


def test_the_worst_text_is_only_ever_text_to_sharers(world: World, shop: Lively) -> None:
    browser = sharer_browser(world, shop.sharer)
    for rule in rules(world, "GET"):
        answer = browser.client.get(path_of(world, rule, shop))
        page = answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
        for raw in RAW:
            assert raw not in page, (rule.rule, raw)


def test_no_page_of_a_sharer_breaks_on_a_query_that_nobody_writes(world: World, shop: Lively) -> None:
    browser = sharer_browser(world, shop.sharer)
    for rule in own(world, "GET"):
        for query in QUERIES:
            status = browser.client.get(path_of(world, rule, shop) + query).status_code
            assert status in (200, 303, 404, 422), (rule.rule, query, status)


# --- the shop's people look on --------------------------------------------------------------------------------------

ACTS = ("<form", "<button", "data-copy", "data-share", "line.me", "wa.me", "download=", "/me/", "statement.csv")


def test_who_looks_on_sees_the_same_and_can_do_nothing(world: World, shop: Lively) -> None:
    herself, looking = sharer_browser(world, shop.sharer), member(world, "viewer")
    below = f"/admin/{shop.shop.key}/sharers/{shop.sharer}/as"
    seen = 0
    for rule in world.app.url_map.iter_rules():
        if rule.endpoint.startswith("as_sharer.") and rule.endpoint != "as_sharer.nothing":
            theirs = next(one for one in own(world, "GET") if one.endpoint == rule.endpoint.replace("as_", "", 1))
            path = path_of(world, theirs, shop)
            page = looking.get(path.replace(f"/me/{shop.shop.key}", below))
            assert [act for act in ACTS if act in page] == [], path
            assert f'href="/admin/{shop.shop.key}/sharers/{shop.sharer}"' in page, path
            assert "Nothing can be done here." in page and 'class="band"' in page, path
            amounts = re.findall(r"[−-]?\$[0-9.,]+", plain(herself.get(path)))
            assert re.findall(r"[−-]?\$[0-9.,]+", plain(page)) == amounts, path
            seen += 1
    assert seen == 8


def test_who_looks_on_never_sees_where_the_money_goes(world: World, shop: Lively) -> None:
    herself = sharer_browser(world, shop.sharer)
    way = {"kind": "bank", "holder": "Alice Ho", "bank": "First Bank 007", "account": "9876543210"}
    herself.post(f"/me/{shop.shop.key}/profile/way", way)
    assert "…3210" in herself.get(f"/me/{shop.shop.key}/profile")
    page = member(world).get(f"/admin/{shop.shop.key}/sharers/{shop.sharer}/as/profile")
    assert "Bank account" in page
    assert not [text for text in ("3210", "Alice Ho", "First Bank", "profile/way") if text in page]


def test_whatever_is_sent_from_where_one_looks_on_is_refused(world: World, shop: Lively) -> None:
    browser = member(world)
    token = browser.token("/admin/account")
    below = f"/admin/{shop.shop.key}/sharers/{shop.sharer}/as"
    for path in ("/", "/link", "/share", "/share/channel", "/profile", "/profile/me", "/profile/way", "/profile/leave"):
        browser.send(below + path, {"_form": token, "channel": "x", "name": "y"}, expect=403)
    for path in ("/link", "/share/channel", "/profile/way", "/profile/leave", "/payouts/x/statement.csv", "/nowhere"):
        browser.get(below + path, expect=404)


def test_the_log_keeps_who_looked_at_whom(world: World, shop: Lively, caplog: pytest.LogCaptureFixture) -> None:
    office = Office(world)
    with caplog.at_level(logging.INFO, logger="admin_ui"):
        office.see(f"/{shop.shop.key}/sharers/{shop.sharer}/as/earnings")
        office.see(f"/{shop.shop.key}/sharers/shr_999/as/earnings", expect=404)
    told = [record.getMessage() for record in caplog.records if record.name == "admin_ui.as_sharer"]
    assert told == [f"own_{office.id} looks at the pages of {shop.sharer}."]


def test_a_sharer_of_another_shop_is_not_looked_at(world: World, shop: Lively) -> None:
    elsewhere = world.shop(url="https://elsewhere.example.com")
    carol = elsewhere.sharer("carol")
    for sharer in (carol, "shr_999", "shr_x", "itm_1"):
        member(world).get(f"/admin/{shop.shop.key}/sharers/{sharer}/as/", expect=404)
    member(world, shop=elsewhere).get(f"/admin/{shop.shop.key}/sharers/{shop.sharer}/as/", expect=404)
    answer = sharer_browser(world, shop.sharer).client.get(f"/admin/{shop.shop.key}/sharers/{shop.sharer}/as/")
    assert answer.status_code == 303 and "/admin/sign-in" in answer.headers["Location"]


# --- the receipt ----------------------------------------------------------------------------------------------------


def test_owner_and_sharer_read_the_same_receipt(world: World, shop: Lively) -> None:
    desk = plain(member(world).get(f"/admin/{shop.shop.key}/orders/{shop.order}"))
    mine = plain(sharer_browser(world, shop.sharer).get(f"/me/{shop.shop.key}/earnings/{shop.line}"))
    told = ("Why this person", "The buyer used this sharer's coupon code.", "What it comes to", "Earned by the order")
    for said in told:
        assert said in desk and said in mine, said
    for amount in ("$10.00", "$60.00", "$6.00"):
        assert amount in desk and amount in mine, amount


@pytest.mark.past(made_by=None)
def test_a_receipt_tells_a_sharer_nothing_of_others(world: World) -> None:
    world.stop_clock(NOW)
    shop = world.shop()
    shop.plan({"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}})
    head = shop.sharer("head")
    bob = shop.sharer("bob", codes=["BOBS-CODE"], referred_by=head, group="bobs-group")
    link = shop.link(bob, channel="bobs-channel", campaign="bobs-campaign")
    shop.told(shop.order("o1", codes=["BOBS-CODE"], attributes={"_pa": shop.click(link)}))
    now = dict.fromkeys(("placed_at", "paid_at", "updated_at"), "2026-11-22T10:00:00Z")
    shop.told(shop.order("o2", attributes={"_pa": shop.click(link)}, **now))
    word = {"shop": shop.key, "sharer": bob, "reason": "Told by phone"}
    world.call("POST", "/orders/o1/attribution", word, expect=200)
    buyers = ("buyers.example", "c-o1", "#o1", "#o2")
    for number, theirs in ((1, ("BOBS-CODE", "bobs-group", "Told by phone")), (2, ("bobs-channel", "bobs-campaign"))):
        page = sharer_browser(world, head).get(f"/me/{shop.key}/earnings/{number}")
        assert "Another sharer" in page and "$2.00" in page
        assert not [text for text in ("bob", "BOBS", bob, "$10.00", *buyers) if text in page], number
        page = plain(sharer_browser(world, bob).get(f"/me/{shop.key}/earnings/{number}"))
        assert all(text in page for text in (*theirs, "$10.00")), page
        assert not [text for text in ("head", head, "$2.00", *buyers) if text in page], number
    assert "Told by phone" in sharer_browser(world, head).get(f"/me/{shop.key}/earnings/1")


# --- in a browser ---------------------------------------------------------------------------------------------------

UNLIKE = (LOOKS[0], LOOKS[-1])  # the two looks that have nothing in common see all there is
WRONG: tuple[tuple[str, dict[str, str]], ...] = (
    ("share", {"channel": "x" * 61}),
    ("profile", {"name": "x" * 81}),
    ("profile/way", {"holder": "", "bank": "", "account": ""}),
    ("profile/leave", {"shop_name": "another"}),
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.past(made_by=calm_open_shop)
@pytest.mark.timeout(600)
def test_every_page_of_a_sharer_is_accessible_and_quiet(
    world: World, shop: Lively, address: str, browser: "Chromium", look: Look, record_property: Record
) -> None:
    empty, linkless = shop.shop.sharer("empty"), shop.shop.sharer("linkless")
    shop.shop.link(empty)
    others = (empty, linkless, shop.pending) if look in UNLIKE else ()
    for sharer in (shop.sharer, *others):
        someone = sharer_browser(world, sharer)
        sight = Sight(browser, address, look, someone)
        for rule in own(world, "GET"):
            path = path_of(world, rule, shop)
            answer = someone.client.get(path, follow_redirects=True)
            if answer.status_code == 200 and answer.mimetype == "text/html":
                sight.visit(path, rule.endpoint.replace(".", "-") if sharer == shop.sharer else None)
        for name, fields in WRONG if sharer == shop.sharer else ():
            sight.send_wrong(f"/me/{shop.shop.key}/{name}", fields)
        note_axe(record_property, pages=sight.pages, look=sight.look_name, violations=sight.violations)
        sight.close()
    suspend(world, shop)
    someone = sharer_browser(world, shop.sharer)
    sight = Sight(browser, address, look, someone)
    for name in ("", "share", "profile") if others else ():
        sight.visit(f"/me/{shop.shop.key}/{name}")
    for rule in rules(world, "GET"):
        if rule.endpoint in DOORS:
            sight.visit(path_of(world, rule, shop), rule.endpoint.replace(".", "-"))
    sight.send_wrong(f"/join/{shop.shop.key}", {"email": "nobody", "name": "x" * 81})
    sight.send_wrong("/me/sign-in", {"email": "nobody"})
    note_axe(record_property, pages=sight.pages, look=sight.look_name, violations=sight.violations)
    sight.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.timeout(300)
def test_no_name_is_too_wide_for_a_page_of_a_sharer(
    world: World, shop: Lively, address: str, browser: "Chromium"
) -> None:
    someone = sharer_browser(world, shop.sharer)
    sight = Sight(browser, address, PLAIN, someone)
    for rule in own(world, "GET"):
        path = path_of(world, rule, shop)
        answer = someone.client.get(path, follow_redirects=True)
        if answer.status_code == 200 and answer.mimetype == "text/html":
            sight.open(path)
            sight.narrow(path)
    sight.close()
