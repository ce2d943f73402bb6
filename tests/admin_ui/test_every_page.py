"""Every page, found by walking the routes: who may see it, what it costs, and that it shows the worst text as text."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import url_for
from sqlalchemy import event
from werkzeug.routing import Rule
from werkzeug.serving import make_server

from admin_ui.access import ROLES
from admin_ui.owner import NEEDS
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.small_shop import RAW, Lively, lively
from tests.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

STATEMENTS_MAX = 12
# WCAG 2.2, levels A and AA, as axe-core names its rules.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
SIZES = {"phone": (390, 844), "desk": (1280, 800)}


@pytest.fixture
def world(world: World) -> World:
    """Give the installation as it is at a time when everything in its shop was long ago."""
    world.stop_clock("2026-11-22T10:00:00Z")
    return world


@pytest.fixture
def shop(world: World) -> Lively:
    """Give the shop in which everything has happened."""
    return lively(world)


def rules(world: World, method: str) -> list[Rule]:
    """Return the routes of the pages for members that take a method, in a steady order."""
    ours = [rule for rule in world.app.url_map.iter_rules() if rule.endpoint in NEEDS]
    found = [rule for rule in ours if method in (rule.methods or ())]
    assert found
    return sorted(found, key=lambda rule: rule.rule)


def path_of(world: World, rule: Rule, shop: Lively) -> str:
    """Return an address of a route at which there is something."""
    known = {
        "shop": shop.shop.key,
        "sharer": shop.sharer,
        "order": shop.order,
        "payout": shop.payout,
        "item": shop.item,
        "delivery": shop.delivery,
    }
    assert rule.arguments <= known.keys(), f"name an example for {rule.rule}"
    with world.app.test_request_context():
        return url_for(rule.endpoint, **{name: known[name] for name in rule.arguments})


# --- who may --------------------------------------------------------------------------------------------------------


def test_every_page_is_open_to_the_roles_that_may_see_it_and_to_no_other(world: World, shop: Lively) -> None:
    visits = 0
    for role, may in ROLES.items():
        browser = member(world, role)
        for rule in rules(world, "GET"):
            status = browser.client.get(path_of(world, rule, shop)).status_code
            allowed = NEEDS[rule.endpoint] in may
            assert status in ((200, 303) if allowed else (403,)), (role, rule.rule, status)
            visits += 1
    print(f"{visits} visits of {len(rules(world, 'GET'))} pages by {len(ROLES)} roles")


def test_without_signing_in_every_page_leads_to_the_door(world: World, shop: Lively) -> None:
    for rule in rules(world, "GET"):
        answer = world.client.get(path_of(world, rule, shop))
        assert answer.status_code == 303 and "/admin/sign-in?next=" in answer.headers["Location"], rule.rule


def test_every_change_wants_a_form_of_ours(world: World, shop: Lively) -> None:
    browsers = [Browser(world), *(member(world, role) for role in ROLES)]
    for rule in rules(world, "POST"):
        for browser in browsers:
            for body in ({"data": {"anything": "1"}}, {"json": {"_form": "x"}}, {"data": {"_form": "A" * 25}}):
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


def statements(world: World, browser: Browser, path: str) -> list[str]:
    """Return the SQL statements that one visit took."""
    asked: list[str] = []
    here = threading.get_ident()  # the clicks are written down by a thread of their own, at their own time

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if threading.get_ident() == here:
            asked.append(statement)

    engine = world.context.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        browser.client.get(path)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return [one for one in asked if not one.startswith(("BEGIN", "SET ", "PRAGMA", "SHOW"))]


def test_no_page_asks_the_database_more_than_twelve_things(world: World, shop: Lively) -> None:
    browser, counts = member(world), {}
    for rule in rules(world, "GET"):
        path = path_of(world, rule, shop)
        browser.client.get(path)
        counts[rule.rule] = len(statements(world, browser, path))
    for rule, count in sorted(counts.items()):
        print(f"{count:3} statements {rule}")
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
        for query in ("?cursor=x&page=-1&q=%00", "?status=x&state=x&sort=x", "?since=x&until=9999-99-99", "?said=x"):
            status = browser.client.get(path_of(world, rule, shop) + query).status_code
            assert status in (200, 303, 404, 422), (rule.rule, query, status)


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture
def address(world: World) -> Iterator[str]:
    """Serve the installation; give its address."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("locale", "scheme"), [("en-US", "light"), ("zh-TW", "dark")])
@pytest.mark.timeout(600)
def test_every_page_is_accessible_and_quiet(
    world: World, shop: Lively, address: str, browser: "Chromium", size: str, locale: str, scheme: Any
) -> None:
    someone = member(world)
    cookie = someone.client.get_cookie("passalong_owner", path="/admin")
    assert cookie is not None
    width, height = SIZES[size]
    sight = browser.new_context(viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
    sight.add_cookies([{"name": cookie.key, "value": cookie.value, "url": f"{address}/admin/"}])
    page, wrong, said = sight.new_page(), [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    for rule in rules(world, "GET"):
        path = path_of(world, rule, shop)
        if someone.client.get(path, follow_redirects=True).mimetype != "text/html":
            continue  # a browser does not show a file, it keeps it
        answer = page.goto(address + path)
        assert answer is not None and answer.status == 200, (path, answer and answer.status)
        found = Axe().run(page, options=RULES).response["violations"]
        wrong += [f"{path}: {one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"][:3]]
        page.set_viewport_size({"width": 320, "height": height})
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        wrong += [f"{path}: {over} pixels too wide at 320"] if over > 0 else []
        page.set_viewport_size({"width": width, "height": height})
    sight.close()
    assert not wrong, "\n".join(wrong)
    assert not said, "\n".join(said)
