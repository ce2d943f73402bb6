"""Every page, found by walking the routes: who may see it, what it costs, and that it shows the worst text as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from flask import url_for
from werkzeug.routing import Rule

from admin_ui.access import ROLES
from admin_ui.owner import NEEDS
from plugin.services.sign_in import set_up_address
from plugin.signing import FORM_LENGTH
from tests.admin_ui.desk import PASSWORD, Browser, member
from tests.admin_ui.office import Office
from tests.admin_ui.small_shop import CALM, RAW, Lively, calm_shop, worst_shop
from tests.admin_ui.test_team import invite
from tests.admin_ui.walk import PLAIN, QUERIES, STATEMENTS_MAX, Look, Sight, statements
from tests.figures import Record, note_axe, note_statements, note_visits
from tests.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium


pytestmark = pytest.mark.past(made_by=worst_shop)


@pytest.fixture
def shop(began: Lively) -> Lively:
    """Give that shop."""
    return began


def rules(world: World, method: str) -> list[Rule]:
    """Return the routes of the pages for members that take a method, in a steady order."""
    ours = [rule for rule in world.app.url_map.iter_rules() if rule.endpoint in NEEDS]
    found = [rule for rule in ours if method in (rule.methods or ())]
    assert found
    return sorted(found, key=lambda rule: rule.rule)


def path_of(world: World, rule: Rule, shop: Lively) -> str:
    """Return an address of a route at which there is something."""
    known: dict[str, str] = {
        "shop": shop.shop.key,
        "sharer": shop.sharer,
        "order": shop.order,
        "payout": shop.payout,
        "item": shop.item,
        "delivery": shop.delivery,
        "ticket": "A" * 22,  # one that was never given: the way back to where there is one
    }
    if rule.endpoint.startswith("as_sharer."):  # those name an order by our own number, as sharers' pages do
        known |= {"order": shop.line, "item": shop.own_item, "link": shop.link}
    assert rule.arguments <= known.keys(), f"name an example for {rule.rule}"
    with world.app.test_request_context():
        return url_for(rule.endpoint, **{name: known[name] for name in rule.arguments})


# --- who may --------------------------------------------------------------------------------------------------------


def test_every_page_is_open_to_the_roles_that_may_see_it_and_to_no_other(
    world: World, shop: Lively, record_property: Record
) -> None:
    for role, may in ROLES.items():
        browser = member(world, role)
        for rule in rules(world, "GET"):
            status = browser.client.get(path_of(world, rule, shop)).status_code
            allowed = NEEDS[rule.endpoint] in may
            assert status in ((200, 303) if allowed else (403,)), (role, rule.rule, status)
    note_visits(record_property, "the shop's people", pages=len(rules(world, "GET")), roles=len(ROLES))


def test_without_signing_in_every_page_leads_to_the_door(world: World, shop: Lively) -> None:
    for rule in rules(world, "GET"):
        answer = world.client.get(path_of(world, rule, shop))
        assert answer.status_code == 303 and "/admin/sign-in?next=" in answer.headers["Location"], rule.rule


def test_every_change_wants_a_form_of_ours(world: World, shop: Lively) -> None:
    browsers = [Browser(world), *(member(world, role) for role in ROLES)]
    for rule in rules(world, "POST"):
        for browser in browsers:
            for body in ({"data": {"anything": "1"}}, {"json": {"_form": "x"}}, {"data": {"_form": "A" * FORM_LENGTH}}):
                status = browser.client.post(path_of(world, rule, shop), **body).status_code  # type: ignore[arg-type]
                assert status == 403, (rule.rule, status)


def test_a_change_is_refused_to_the_roles_that_may_not_make_it(world: World, shop: Lively) -> None:
    for role, may in ROLES.items():
        browser = member(world, role)
        token = browser.token("/admin/account")
        for rule in rules(world, "POST"):
            if NEEDS[rule.endpoint] not in may:
                browser.send(path_of(world, rule, shop), {"_form": token}, expect=403)


def test_the_pages_of_another_shop_are_not_there(world: World, shop: Lively) -> None:
    elsewhere = world.shop(url="https://elsewhere.example.com")
    browser = member(world, "owner", shop=elsewhere)
    token = browser.token("/admin/account")
    for method in ("GET", "POST"):
        for rule in rules(world, method):
            if "shop" in rule.arguments:
                path = path_of(world, rule, shop)
                answer = browser.client.open(path, method=method, data={"_form": token} if method == "POST" else None)
                assert answer.status_code == 404, (method, rule.rule, answer.status_code)


def test_things_of_another_shop_are_not_there_under_the_own_shop_either(world: World, shop: Lively) -> None:
    elsewhere = world.shop(url="https://elsewhere.example.com")
    browser = member(world, "owner")
    for rule in rules(world, "GET"):
        if "shop" in rule.arguments and len(rule.arguments) > 1:
            path = path_of(world, rule, shop).replace(shop.shop.key, elsewhere.key)
            assert browser.client.get(path).status_code in (303, 404), rule.rule
            assert b"Tea " not in browser.client.get(path).data.replace(b"Tea House", b""), rule.rule


# --- what it costs and shows ----------------------------------------------------------------------------------------


def test_no_page_asks_the_database_more_than_twelve_things(
    world: World, shop: Lively, record_property: Record
) -> None:
    browser, counts = member(world), {}
    for rule in rules(world, "GET"):
        path = path_of(world, rule, shop)
        browser.client.get(path)
        counts[rule.rule] = len(statements(world, browser, path))
    note_statements(record_property, counts)
    assert {rule: count for rule, count in counts.items() if count > STATEMENTS_MAX} == {}


def test_the_worst_text_is_only_ever_text(world: World, shop: Lively) -> None:
    browser = member(world)
    for rule in rules(world, "GET"):
        answer = browser.client.get(path_of(world, rule, shop))
        page = answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
        for raw in RAW:
            assert raw not in page, (rule.rule, raw, page[max(0, page.find(raw) - 200) : page.find(raw) + 80])


def test_no_page_breaks_on_a_query_that_nobody_writes(world: World, shop: Lively) -> None:
    browser = member(world)
    for rule in rules(world, "GET"):
        for query in QUERIES:
            status = browser.client.get(path_of(world, rule, shop) + query).status_code
            assert status in (200, 303, 404, 422), (rule.rule, query, status)


# --- in a browser ---------------------------------------------------------------------------------------------------


def pages(world: World, shop: Lively) -> Iterator[tuple[str, str]]:
    """Yield (name, address) of every page; a browser keeps a file unseen."""
    client = member(world).client
    for rule in rules(world, "GET"):
        path = path_of(world, rule, shop)
        if client.get(path, follow_redirects=True).mimetype == "text/html":
            yield rule.endpoint.replace(".", "-"), path


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.past(made_by=calm_shop)
@pytest.mark.timeout(600)
def test_every_page_is_accessible_and_quiet(
    world: World, shop: Lively, address: str, browser: "Chromium", look: Look, record_property: Record
) -> None:
    sight = Sight(browser, address, look, member(world))
    for name, path in pages(world, shop):
        sight.visit(path, name)
    note_axe(record_property, pages=sight.pages, look=sight.look_name, violations=sight.violations)
    sight.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.past(made_by=None)
@pytest.mark.timeout(300)
def test_the_doors_are_accessible_and_quiet(
    world: World, address: str, browser: "Chromium", look: Look, record_property: Record
) -> None:
    sight = Sight(browser, address, look, None)
    first = set_up_address(world.context, "")
    assert first is not None
    sight.visit(first, "owner-set_up")
    owner = Office(world, second_factor=True)
    invitation = invite(owner, world.shop(name=CALM.shop).key, "friend@example.org", "manager")
    sight.visit(invitation, "owner-join_team")
    sight.visit("/admin/sign-in", "owner-sign_in")
    sight.page.fill("#email", owner.email)
    sight.page.fill("#password", PASSWORD)
    sight.page.click("main .main-action")
    sight.page.wait_for_selector("#code")
    sight.look("the second step")
    sight.keep("owner-second_step")
    note_axe(record_property, pages=sight.pages, look=sight.look_name, violations=sight.violations)
    sight.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.timeout(300)
def test_no_name_is_too_wide_for_a_page(world: World, shop: Lively, address: str, browser: "Chromium") -> None:
    sight = Sight(browser, address, PLAIN, member(world))
    for _, path in pages(world, shop):
        sight.open(path)
        sight.narrow(path)
    sight.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.past(made_by=calm_shop)
@pytest.mark.parametrize("locale", ["zh-CN", "ja-JP"])
def test_home_in_the_other_languages(
    world: World, shop: Lively, address: str, browser: "Chromium", locale: str
) -> None:
    sight = Sight(browser, address, Look("phone", locale, "light"), member(world))
    sight.visit(f"/admin/{shop.shop.key}/", "owner-shop_home")
    sight.close()
