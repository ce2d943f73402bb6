"""The blocks in a real browser, on a shop's page with a strict policy: what visitors see, hear, close and refuse."""

from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import update

from plugin.models import shop as shops
from tests.storefront.stub_shops import DAWN, PRIVACY_API, PRODUCT, StubShop
from tests.world import Shop, World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
PLAIN = "A friend recommended this. They may earn a commission."
# A theme that would spoil a block which lay open to it.
HOSTILE = "* { color: yellow !important; font-size: 3px !important; outline: none !important } div { display: none }"
FOCUSED = "((document.activeElement.shadowRoot || document).activeElement || {}).textContent"
SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => { sum += one.value; }))
    .observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(sum), 200);
})"""


@pytest.fixture
def shop(world: World, address: str, stub: StubShop) -> Shop:
    """Give a shop whose pages have the script and the blocks, as the documents say, and a strict policy."""
    object.__setattr__(world.context, "settings", replace(world.context.settings, base_url=address))
    shop = world.shop(url=stub.url, name="Tea House")
    shop.plan()
    stub.load(f"{address}/pa/{shop.key}.js")
    tags = {name: f"<script src='{address}/pa/{shop.key}/{name}.js' defer></script>" for name in ("banner", "thanks")}
    way = f"<div data-passalong='thanks'><a href='{address}/join/{shop.key}'>Share</a></div>"
    stub.pages = {
        "/product": PRODUCT + tags["banner"],
        "/other": "<main></main>" + tags["banner"],
        "/placed": "<main><h1>Thank you</h1>" + way + "</main>" + tags["thanks"],
        "/theme.css": HOSTILE,
    }
    stub.policy = f"default-src 'none'; script-src {address}; connect-src 'self' {address}; style-src 'self'"
    return shop


@pytest.fixture
def landing(shop: Shop, stub: StubShop) -> str:
    """Give the address to which a share link of the shop leads."""
    link = shop.link(shop.sharer("alice"), url=f"{stub.url}/product")
    return f"{stub.url}/product?pa={shop.click(link)}"


def opened(context: BrowserContext, address: str) -> Page:
    """Open an address and wait until nothing is under way any more."""
    page = context.new_page()
    page.goto(address, wait_until="networkidle")
    return page


def test_the_line_is_there_and_can_be_read_heard_and_closed(shop: Shop, landing: str, context: BrowserContext) -> None:
    page = opened(context, landing)
    bar = page.get_by_role("region", name="Recommendation")
    expect(bar).to_be_in_viewport()
    expect(bar.get_by_role("status")).to_have_text(PLAIN)
    more = bar.get_by_role("link", name="How this works")
    assert more.get_attribute("href") == f"{shop.world.context.settings.base_url}/privacy/{shop.key}?lang=en"
    found = Axe().run(page, context="div", options=RULES).response["violations"]
    assert not found, found
    assert page.evaluate(SHIFTS) < 0.01
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    button = bar.get_by_role("button", name="Close")
    box = button.bounding_box()
    assert box is not None and box["height"] >= 24
    reached = []
    while "Close" not in reached and len(reached) < 6:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    assert reached[-2:] == ["How this works", "Close"]
    page.keyboard.press("Enter")
    expect(bar).to_have_count(0)
    page.reload(wait_until="networkidle")
    expect(bar).to_have_count(0)
    assert page.evaluate("[document.cookie, ...Object.keys(sessionStorage)]") == ["", "passalong-closed"]


def test_the_escape_key_closes_it_and_no_style_of_the_shop_reaches_it(
    shop: Shop, stub: StubShop, landing: str, context: BrowserContext
) -> None:
    stub.head = "<link rel='stylesheet' href='/theme.css'>"
    page = opened(context, landing)
    bar = page.get_by_role("region", name="Recommendation")
    expect(bar).to_be_in_viewport()
    assert bar.evaluate("(one) => getComputedStyle(one).color") == "rgb(255, 255, 255)"
    bar.get_by_role("link").focus()
    page.keyboard.press("Escape")
    expect(bar).to_have_count(0)


@pytest.mark.parametrize(
    ("language", "text"), [("zh-TW", "朋友推薦了這個"), ("ja", "お友だちのおすすめです"), ("", PLAIN)]
)
def test_it_speaks_the_language_of_the_page(
    stub: StubShop, landing: str, context: BrowserContext, language: str, text: str
) -> None:
    stub.language = language
    expect(opened(context, landing).get_by_role("status")).to_contain_text(text)


def test_a_refused_consent_takes_it_away_and_nobody_is_asked_after_one(
    stub: StubShop, landing: str, context: BrowserContext
) -> None:
    page = opened(context, landing)
    bar = page.get_by_role("region", name="Recommendation")
    expect(bar).to_have_count(1)
    page.evaluate("passalong.consent(false)")
    expect(bar).to_have_count(0)
    page.evaluate("passalong.consent(true)")
    expect(bar).to_have_count(1)
    page.evaluate("passalong.consent(false)")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload(wait_until="networkidle")
    expect(bar).to_have_count(0)
    assert not any("/banner/" in one for one in asked)


def test_it_waits_for_the_consent_that_the_script_waits_for(
    shop: Shop, stub: StubShop, landing: str, context: BrowserContext
) -> None:
    stub.load(f"{shop.world.context.settings.base_url}/pa/{shop.key}.js", data_consent="required")
    page = opened(context, landing)
    bar = page.get_by_role("region", name="Recommendation")
    expect(bar).to_have_count(0)
    page.evaluate("passalong.consent(true)")
    expect(bar).to_have_count(1)


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_on_shopify_it_waits_for_shopify_s_own_answer(
    shop: Shop, stub: StubShop, landing: str, context: BrowserContext, answer: str
) -> None:
    with shop.world.context.database.writing() as connection:
        connection.execute(update(shops).values(platform="shopify"))
    late = PRIVACY_API.replace("done(false);\n    })", "done(false);\n    }, 600)")
    assert late != PRIVACY_API
    stub.policy, stub.head = "", DAWN.replace("ROOT", "/") + late
    names = ("marketing", "analytics")
    context.add_cookies([{"name": name, "value": answer, "url": stub.url} for name in names])
    page = context.new_page()
    page.goto(landing)
    page.wait_for_function("Shopify.customerPrivacy")
    page.wait_for_timeout(1_000)
    expect(page.get_by_role("region", name="Recommendation")).to_have_count(1 if answer == "yes" else 0)


def test_it_does_no_harm_before_the_script_is_there_and_finds_it_later(
    shop: Shop, stub: StubShop, landing: str, context: BrowserContext
) -> None:
    script, stub.script = f"{shop.world.context.settings.base_url}/pa/{shop.key}.js", ""
    stub.pages["/product"] = "<div id='passalong'></div>" + stub.pages["/product"]
    page = opened(context, landing)
    bar = page.get_by_role("region", name="Recommendation")
    expect(bar).to_have_count(0)
    page.add_script_tag(url=script)
    page.evaluate("dispatchEvent(new Event('pageshow'))")
    expect(bar).to_have_count(1)


def test_without_a_link_or_with_a_forged_one_there_is_nothing(
    stub: StubShop, context: BrowserContext, landing: str
) -> None:
    for path in ("/other", "/product?pa=" + "A" * 41, "/product?pa=<b>"):
        page = opened(context, stub.url + path)
        expect(page.get_by_role("region")).to_have_count(0)


def test_the_invitation_says_what_one_gets_and_leads_there(
    shop: Shop, stub: StubShop, context: BrowserContext
) -> None:
    stub.language = "zh-TW"
    page = opened(context, f"{stub.url}/placed")
    block = page.get_by_role("region", name="分享Tea House，賺取佣金")
    expect(block).to_contain_text("10%")
    way = block.get_by_role("link", name="取得我的連結")
    assert way.get_attribute("href") == f"{shop.world.context.settings.base_url}/join/{shop.key}?lang=zh-Hant"
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])").count(":") <= 1


def test_where_nothing_is_offered_what_the_shop_wrote_stays(
    shop: Shop, stub: StubShop, context: BrowserContext
) -> None:
    shop.plan({}, since=None)
    page = opened(context, f"{stub.url}/placed")
    expect(page.get_by_role("link", name="Share")).to_be_visible()
    expect(page.get_by_role("region")).to_have_count(0)
