"""The script in a real browser, on pages of the shape that real shops have: what it keeps, what it hands over, when.

The script comes from Passalong's own door at an address of another host, as a shop's pages get it.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route
from sqlalchemy import update

from plugin.models import shop as shop_table
from plugin.signing import read_token
from tests.shops.fake_woocommerce import FakeWooCommerce
from tests.storefront.conftest import settled
from tests.storefront.stub_shops import (
    BLOCK,
    BLOCK_ELSEWHERE,
    CART,
    CLASSIC,
    CLASSIC_FORM,
    CONSENT_API,
    DAWN,
    PRIVACY_API,
    PRODUCT,
    StubShop,
)
from tests.world import World

A, B, C = "A" * 41, "B-_" * 13 + "bb", "C" * 41
DAY = 86_400  # seconds
DOCUMENTS = Path(__file__).parents[2] / "docs" / "shops"

# How a script behaves does not depend on the database; what reaches an order does, and runs on both.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


Open = Callable[..., Page]


@pytest.fixture
def open_shop(world: World, address: str, stub: StubShop, context: BrowserContext) -> Open:
    """Give a way to set the shop up as one of a platform and to open a page of it."""

    def open_shop(
        platform: str = "generic", path: str = "/product?pa=" + A, *, theme: str | None = None, **attributes: str
    ) -> Page:
        shop = world.shop(platform if platform != "shopify" else "generic", url=stub.url)
        if platform == "shopify":
            _as_shopify(world, shop.key)
        stub.pages = PAGES[platform] | stub.pages
        stub.head = (THEMES.get(platform, "") if theme is None else theme) + stub.head
        stub.load(f"{address}/pa/{shop.key}.js", **attributes)
        page = context.new_page()
        page.goto(stub.url + path)
        return page

    return open_shop


def _as_shopify(world: World, key: str) -> None:
    """Make a shop one of Shopify's: the script looks at its row alone."""
    with world.context.database.writing() as connection:
        connection.execute(update(shop_table).where(shop_table.c.key == key).values(platform="shopify"))


PAGES = {
    "generic": {"/product": PRODUCT, "/other": "<main></main>"},
    "shopify": {"/product": PRODUCT, "/cart": CART, "/en-gb/product": PRODUCT},
    "woocommerce": {
        "/product": BLOCK_ELSEWHERE, "/checkout": CLASSIC, "/block": BLOCK.replace("METHOD", "setExtensionData")
    },
}  # fmt: skip
THEMES = {"shopify": DAWN.replace("ROOT", "/")}


def token(page: Page) -> str:
    """Ask the script on a page for what it would hand over."""
    value: str = page.evaluate("passalong.token()")
    return value


def kept(page: Page) -> str:
    """Return all that the page's origin keeps, in whatever store."""
    return str(page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"))


# -- what is kept ------------------------------------------------------------------------------------------------------


@on_one_database
def test_the_token_is_kept_for_the_pages_to_come_and_sets_no_cookie(open_shop: Open, stub: StubShop) -> None:
    page = open_shop()
    assert token(page) == A
    page.goto(stub.url + "/other")
    assert token(page) == A and page.evaluate("document.cookie") == ""


@on_one_database
def test_the_first_and_the_latest_are_handed_over_the_first_before(open_shop: Open, stub: StubShop) -> None:
    page = open_shop()
    for path, value in (("?pa=" + B, f"{A},{B}"), ("?pa=" + C, f"{A},{C}"), ("?pa=" + A, f"{A},{C}"), ("", f"{A},{C}")):
        page.goto(stub.url + "/product" + path)
        assert token(page) == value
    assert B not in kept(page)


@on_one_database
def test_one_token_twice_is_one_value(open_shop: Open, stub: StubShop) -> None:
    page = open_shop()
    page.goto(stub.url + "/other?x=1&pa=" + A + "#top")
    page.reload()
    assert token(page) == A


@on_one_database
def test_what_is_older_than_the_window_is_forgotten(open_shop: Open, stub: StubShop, context: BrowserContext) -> None:
    start = 1_793_520_000
    context.clock.set_fixed_time(start)
    page = open_shop()
    for seconds, path, value in (
        (20 * DAY, "/other?pa=" + B, f"{A},{B}"), (30 * DAY, "/other", f"{A},{B}"), (30 * DAY + 1, "/other", B),
        (50 * DAY, "/other", B), (50 * DAY + 1, "/other", ""),
    ):  # fmt: skip
        context.clock.set_fixed_time(start + seconds)
        page.goto(stub.url + path)
        assert token(page) == value, seconds
    assert A not in kept(page) and B not in kept(page)


@on_one_database
def test_the_window_is_the_plan_s(world: World, address: str, stub: StubShop, context: BrowserContext) -> None:
    shop = world.shop(url=stub.url)
    shop.plan({"attribution": {"window_days": 2}})
    stub.pages = PAGES["generic"]
    stub.load(f"{address}/pa/{shop.key}.js")
    context.clock.set_fixed_time(DAY * 20_000)
    page = context.new_page()
    page.goto(f"{stub.url}/product?pa={A}")
    for days, value in ((2, A), (3, "")):
        context.clock.set_fixed_time(DAY * (20_000 + days))
        page.goto(stub.url + "/other")
        assert token(page) == value


NO_TOKENS = (
    "", "A" * 65, "A" * 5_000, "a,b", "a b", "a%0a", "%0aa", "a%00", "<script>alert(1)</script>", "%22%3E%3Cimg src=x>",
    "é", "%F0%9F%92%A9", "%", "a.b", "a=b", "../a", "a+b", "a%2Cb",
)  # fmt: skip


@on_one_database
@pytest.mark.parametrize("path", ["/product", "/product?pa=" + A])
def test_what_is_no_token_is_ignored(open_shop: Open, stub: StubShop, path: str) -> None:
    page = open_shop(path=path)
    before = token(page), kept(page)
    for forged in NO_TOKENS:
        page.goto(f"{stub.url}/product?pa={forged}", wait_until="domcontentloaded")
        assert (token(page), kept(page)) == before, forged


@on_one_database
def test_the_longest_token_is_kept(open_shop: Open) -> None:
    assert token(open_shop(path="/product?pa=" + "z" * 64)) == "z" * 64


FOUND = (
    "", "{", "5", "null", '"text"', "[]", "{}", '{"seen":5}', '{"seen":[null,5,"x",[],[1],["a"],["a b",1],[{},1]]}',
    '{"seen":{"0":["a",1]}}', '{"seen":[["__proto__",1e99]],"sent":7}', '{"seen":[["old",1]]}', '{"seen":[[null,NaN]]}',
)  # fmt: skip


@on_one_database
def test_whatever_is_found_in_the_storage_does_no_harm(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("shopify")
    for found in FOUND:
        page.evaluate("(found) => { localStorage.passalong = found; }", found)
        page.reload()
        assert A in token(page).split(","), found
    page.evaluate("localStorage.clear()")
    assert token(page) == A


@on_one_database
def test_two_tabs_lose_nothing_of_each_other(open_shop: Open, stub: StubShop, context: BrowserContext) -> None:
    one = open_shop()
    other = context.new_page()
    other.goto(f"{stub.url}/product?pa={B}")
    third = context.new_page()
    third.goto(f"{stub.url}/product?pa={C}")
    assert {token(one), token(other), token(third)} == {f"{A},{C}"}


@on_one_database
def test_what_the_visitor_clears_stays_cleared(open_shop: Open, stub: StubShop) -> None:
    page = open_shop()
    page.goto(stub.url + "/other")
    assert token(page) == A
    page.evaluate("localStorage.clear()")
    assert token(page) == ""


# -- storage that is not there -----------------------------------------------------------------------------------------

NO_LOCAL = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});"
NO_SESSION = NO_LOCAL.replace("localStorage", "sessionStorage")
FULL = "Storage.prototype.setItem = function () { throw new DOMException('full', 'QuotaExceededError'); };"


@on_one_database
def test_where_the_local_storage_throws_the_session_s_serves(
    open_shop: Open, stub: StubShop, context: BrowserContext
) -> None:
    context.add_init_script(NO_LOCAL)
    page = open_shop()
    page.goto(stub.url + "/other?pa=" + B)
    assert token(page) == f"{A},{B}" and A in page.evaluate("sessionStorage.passalong")
    page.evaluate("passalong.consent(false)")
    assert A not in page.evaluate("sessionStorage.passalong")


@on_one_database
@pytest.mark.parametrize("broken", [NO_LOCAL + NO_SESSION, FULL])
def test_where_every_storage_throws_the_page_itself_remembers(
    open_shop: Open, context: BrowserContext, broken: str
) -> None:
    context.add_init_script(broken)
    page = open_shop()
    assert token(page) == A
    page.evaluate("passalong.consent(false)")
    assert token(page) == ""
    page.evaluate("passalong.consent(true)")
    assert token(page) == A


@on_one_database
def test_the_cart_is_told_even_where_nothing_can_be_kept(
    open_shop: Open, stub: StubShop, context: BrowserContext
) -> None:
    context.add_init_script(NO_LOCAL + NO_SESSION)
    settled(open_shop("shopify"))
    assert stub.puts() == [A]


# -- consent -----------------------------------------------------------------------------------------------------------


@on_one_database
def test_a_refusal_erases_and_lasts_and_a_consent_takes_it_back(open_shop: Open, stub: StubShop) -> None:
    page = open_shop()
    page.evaluate("passalong.consent(false)")
    assert token(page) == "" and A not in kept(page)
    page.goto(f"{stub.url}/product?pa={B}")
    assert token(page) == "" and B not in kept(page)
    page.evaluate("passalong.consent(true)")
    assert token(page) == B
    page.goto(stub.url + "/other")
    assert token(page) == B


@on_one_database
def test_a_script_that_must_wait_keeps_nothing_until_it_is_told(open_shop: Open, stub: StubShop) -> None:
    page = open_shop(data_consent="required")
    assert token(page) == "" and kept(page) == '[{},{},""]'
    page.evaluate("passalong.consent(true)")
    assert token(page) == A
    page.goto(stub.url + "/other")  # where no banner asks again
    assert token(page) == A


@on_one_database
def test_global_privacy_control_is_a_refusal_unless_told_otherwise(
    open_shop: Open, stub: StubShop, context: BrowserContext
) -> None:
    page = open_shop()
    assert A in kept(page)
    context.add_init_script("Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})")
    page.goto(f"{stub.url}/product?pa={B}")
    assert token(page) == "" and kept(page) == '[{},{},""]'
    page.evaluate("passalong.consent(true)")
    page.goto(stub.url + "/other")
    assert token(page) == B


@on_one_database
@pytest.mark.parametrize("refused", ["marketing", "analytics"])
def test_shopify_s_own_answer_counts_each_purpose_and_both_ways(open_shop: Open, stub: StubShop, refused: str) -> None:
    stub.head = PRIVACY_API
    page = open_shop("shopify")
    settled(page)
    assert token(page) == "" and kept(page) == '[{},{},""]' and stub.asked.count("/cart.js") == 0
    assert page.evaluate("Shopify.loads") == 1
    allowed = {"marketing": True, "analytics": True}
    page.evaluate("(all) => Shopify.customerPrivacy.setTrackingConsent(all)", allowed | {refused: False})
    settled(page)
    assert token(page) == "" and stub.puts() == []
    page.evaluate("(all) => Shopify.customerPrivacy.setTrackingConsent(all)", allowed)
    settled(page)
    assert token(page) == A and stub.puts() == [A]
    page.goto(stub.url + "/cart")
    settled(page)
    assert stub.puts() == [A]
    page.evaluate("(all) => Shopify.customerPrivacy.setTrackingConsent(all)", allowed | {refused: False})
    settled(page)
    assert token(page) == "" and A not in kept(page)
    assert stub.puts() == [A, ""], "a cart that was told is told that it is over"


@on_one_database
def test_an_owner_s_word_does_not_overrule_shopify_s(open_shop: Open, stub: StubShop) -> None:
    stub.head = PRIVACY_API
    page = open_shop("shopify")
    page.evaluate("passalong.consent(true)")
    settled(page)
    assert token(page) == "" and stub.puts() == []


@on_one_database
def test_the_consent_api_of_wordpress_counts_both_ways(open_shop: Open, stub: StubShop) -> None:
    stub.head = CONSENT_API
    page = open_shop("woocommerce", path="/checkout?pa=" + A)
    field = "(document.querySelector('form.checkout [name=_pa]') || {}).value"
    assert token(page) == "" and A not in kept(page) and page.evaluate(field) is None
    page.evaluate("wp_set_consent('marketing', 'allow')")
    assert page.evaluate(field) == A and token(page) == A
    page.evaluate("wp_set_consent('marketing', 'deny')")
    assert page.evaluate(field) == "" and token(page) == "" and A not in kept(page)


@on_one_database
def test_a_consent_type_that_is_named_late_counts(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("woocommerce")
    assert token(page) == A
    page.evaluate("window.wp_has_consent = () => false; document.dispatchEvent(new Event('wp_consent_type_defined'))")
    assert kept(page) == '[{},{},""]'


# -- Shopify's cart ----------------------------------------------------------------------------------------------------


@on_one_database
def test_the_cart_is_told_once_and_not_again_on_the_next_pages(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("shopify")
    settled(page)
    assert [cart["attributes"] for cart in stub.carts.values()] == [{"_pa": A}]
    for _ in range(3):
        page.goto(stub.url + "/cart")
        settled(page)
    assert stub.puts() == [A] and "/cart.js" not in stub.asked[stub.asked.index("/cart") :]


@on_one_database
def test_a_new_value_is_told_and_other_attributes_stay(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("shopify")
    settled(page)
    (cart,) = stub.carts.values()
    cart["attributes"]["gift"] = "yes"
    page.goto(f"{stub.url}/product?pa={B}")
    settled(page)
    assert stub.puts() == [A, f"{A},{B}"] and cart["attributes"] == {"_pa": f"{A},{B}", "gift": "yes"}


@on_one_database
@pytest.mark.parametrize("flags", ["", "; HttpOnly"])
def test_after_a_checkout_the_new_cart_is_told_too(
    open_shop: Open, stub: StubShop, context: BrowserContext, flags: str
) -> None:
    stub.cookie_flags = flags
    page = open_shop("shopify")
    settled(page)
    page.goto(stub.url + "/cart")
    settled(page)
    assert stub.puts() == [A]
    context.clear_cookies()  # as after an order: the next cart is another one
    page.goto(stub.url + "/cart")
    settled(page)
    assert stub.puts() == [A, A] and [cart["attributes"] for cart in stub.carts.values()] == [{"_pa": A}] * 2


@on_one_database
def test_a_cart_that_holds_the_value_already_is_left_alone(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("shopify", path="/cart")
    token_of_cart, _ = stub.update(None, {"attributes": {"_pa": A}})
    page.evaluate(f"document.cookie = 'cart={token_of_cart}; path=/'")
    page.goto(f"{stub.url}/product?pa={A}")
    settled(page)
    assert stub.asked.count("/cart.js") and stub.puts() == []


@on_one_database
def test_a_shop_in_a_folder_of_its_language_is_told_there(open_shop: Open, stub: StubShop) -> None:
    settled(open_shop("shopify", path="/en-gb/product?pa=" + A, theme=DAWN.replace("ROOT", "/en-gb/")))
    assert stub.told == [("/en-gb/cart/update.js", {"attributes": {"_pa": A}})] and "/cart.js" not in stub.asked


@on_one_database
def test_a_visitor_without_a_token_costs_the_cart_nothing(open_shop: Open, stub: StubShop) -> None:
    settled(open_shop("shopify", path="/product"))
    assert stub.puts() == [] and "/cart.js" not in stub.asked


@on_one_database
@pytest.mark.parametrize("answer", ["busy", '{"status": 422, "message": "no"}', '{"attributes": {}}'])
def test_a_cart_that_could_not_be_told_is_told_at_the_next_chance(
    open_shop: Open, stub: StubShop, context: BrowserContext, answer: str
) -> None:
    stub.faults["/cart/update.js"] = answer
    context.add_cookies([{"name": "cart", "value": "c1-1", "url": stub.url}])
    page = open_shop("shopify")
    settled(page)
    assert stub.puts() == [] and token(page) == A and "/cart/update.js" in stub.asked
    stub.faults.clear()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    settled(page)
    assert stub.puts() == [A]


@on_one_database
def test_a_refusal_that_the_cart_could_not_be_told_keeps_no_token_and_is_told_later(
    open_shop: Open, stub: StubShop
) -> None:
    page = open_shop("shopify")
    settled(page)
    stub.faults["/cart.js"] = "busy"
    page.evaluate("passalong.consent(false)")
    settled(page)
    assert stub.puts() == [A] and A not in page.evaluate("localStorage.passalong")
    stub.faults.clear()
    page.goto(stub.url + "/cart")
    settled(page)
    page.goto(stub.url + "/cart")
    settled(page)
    assert stub.puts() == [A, ""]


@on_one_database
def test_a_tab_that_is_left_tells_the_cart_what_another_brought(
    open_shop: Open, stub: StubShop, context: BrowserContext
) -> None:
    one = open_shop("shopify")
    settled(one)
    one.evaluate(f"localStorage.passalong = JSON.stringify({{seen: [['{A}', Date.now()], ['{B}', Date.now()]]}})")
    one.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    settled(one)
    assert stub.puts() == [A, f"{A},{B}"]


# -- WooCommerce's checkouts -------------------------------------------------------------------------------------------


@on_one_database
def test_the_classic_checkout_carries_a_hidden_field_also_after_it_was_drawn_again(
    open_shop: Open, stub: StubShop
) -> None:
    page = open_shop("woocommerce")
    page.goto(stub.url + "/checkout")
    field = page.locator("form.checkout input[type=hidden][name=_pa]")
    assert field.count() == 1 and field.input_value() == A
    draw_again = f"document.querySelector('#shop').innerHTML = {json.dumps(CLASSIC_FORM)};"
    page.evaluate(draw_again + "jQuery(document.body).trigger('updated_checkout')")
    assert field.count() == 1 and field.input_value() == A
    page.evaluate("jQuery(document.body).trigger('updated_checkout')")
    assert field.count() == 1 and page.evaluate("jQuery.told.updated_checkout.length") == 1
    page.evaluate(draw_again)  # by something that says nothing
    page.click("#place_order")
    assert stub.told[-1][1]["_pa"] == A


@on_one_database
def test_a_checkout_of_a_visitor_without_a_token_stays_as_it_was(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("woocommerce", path="/checkout")
    assert page.locator("[name=_pa]").count() == 0
    page.click("#place_order")
    assert "_pa" not in stub.told[-1][1]


@on_one_database
@pytest.mark.parametrize("method", ["setExtensionData", "__internalSetExtensionData"])
def test_the_block_checkout_sends_the_value_as_extension_data(open_shop: Open, stub: StubShop, method: str) -> None:
    page = open_shop("woocommerce")
    stub.pages["/block"] = BLOCK.replace("METHOD", method)
    page.goto(stub.url + "/block")
    page.click("button")
    page.wait_for_function("document.title === 'placed'")
    assert stub.told[-1] == ("/wp-json/wc/store/v1/checkout", {"extensions": {"passalong": {"_pa": A}}})


@on_one_database
def test_the_block_checkout_is_told_nothing_where_there_is_nothing(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("woocommerce", path="/block")
    assert token(page) == "" and page.evaluate("extensions") == {}
    page.goto(f"{stub.url}/block?pa={A}")
    assert page.evaluate("extensions") == {"passalong": {"_pa": A}}
    page.evaluate("passalong.consent(false)")
    assert page.evaluate("extensions") == {"passalong": {"_pa": ""}}


# -- hostile and strict pages ------------------------------------------------------------------------------------------


@on_one_database
@pytest.mark.parametrize("platform", sorted(PAGES))
def test_a_page_with_a_strict_policy_runs_it(
    open_shop: Open, stub: StubShop, address: str, context: BrowserContext, platform: str
) -> None:
    stub.policy = (
        f"default-src 'none'; script-src {address}; connect-src 'self'; form-action 'self'; base-uri 'none';"
        " require-trusted-types-for 'script'"
    )
    stub.pages = {"/product": "<main></main><form class='checkout'></form>"}
    page = open_shop(platform, theme="")
    settled(page)
    assert token(page) == A
    assert stub.puts() == ([A] if platform == "shopify" else [])
    assert page.locator("form.checkout [name=_pa]").count() == (platform == "woocommerce")


@on_one_database
def test_the_lines_for_any_shop_s_own_form_do_what_they_say(open_shop: Open, stub: StubShop) -> None:
    _, form, *_ = re.findall(r"```html\n(.*?)```", (DOCUMENTS / "other.md").read_text(), re.DOTALL)
    stub.pages = {"/checkout": form.replace("…", "<button>Order</button>", 1)}
    page = open_shop(path="/checkout?pa=" + A)
    page.click("button")
    assert stub.told == [("/checkout", {"_pa": A})]


@on_one_database
def test_a_script_that_is_loaded_late_or_twice_does_the_same(open_shop: Open, stub: StubShop) -> None:
    page = open_shop("woocommerce", path="/checkout?pa=" + A)
    address = page.evaluate("document.querySelector('script[src]').src")
    stub.script = ""
    page.evaluate("localStorage.clear()")
    page.goto(f"{stub.url}/checkout?pa={A}")
    for _ in range(2):
        page.add_script_tag(url=address)
        assert page.locator("form.checkout [name=_pa]").count() == 1 and token(page) == A


@on_one_database
def test_a_page_that_is_slow_to_load_is_served_before_and_after(
    open_shop: Open, stub: StubShop, context: BrowserContext
) -> None:
    page = open_shop(path="/other")
    waiting: list[Route] = []
    context.route("**/slow.png", lambda route: waiting.append(route))
    stub.pages = {"/slow": "<main></main><img src='/slow.png'>"}
    page.goto(f"{stub.url}/slow?pa={A}", wait_until="domcontentloaded")
    page.wait_for_function("localStorage.passalong")
    assert page.evaluate("document.readyState") == "interactive"
    address, stub.script = page.evaluate("document.querySelector('script[src]').src"), ""
    page.goto(f"{stub.url}/slow?pa={B}", wait_until="domcontentloaded")
    page.add_script_tag(url=address)  # by something that was in no hurry, yet before all pictures were there
    assert B not in page.evaluate("localStorage.passalong")
    waiting[-1].fulfill(status=204)
    page.wait_for_function("(token) => localStorage.passalong.includes(token)", arg=B)


@on_one_database
def test_a_shop_that_is_not_there_breaks_no_page(stub: StubShop, address: str, browser: Browser) -> None:
    stub.pages = PAGES["generic"]
    stub.load(f"{address}/pa/nothing.js")
    context = browser.new_context()
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    page = context.new_page()
    page.goto(f"{stub.url}/product?pa={A}")
    assert page.evaluate("typeof passalong") == "undefined" and errors == []
    context.close()


# -- the whole way -----------------------------------------------------------------------------------------------------


def test_from_the_link_over_woocommerce_s_checkout_to_the_sharer(
    world: World, address: str, stub: StubShop, context: BrowserContext
) -> None:
    clock = world.stop_clock("2026-11-01T10:00:00Z")
    shop = world.shop("woocommerce", url=stub.url)
    shop.plan()
    sharer = shop.sharer()
    stub.pages = PAGES["woocommerce"]
    stub.load(f"{address}/pa/{shop.key}.js")
    page = context.new_page()
    page.goto(f"{address}/s/{shop.link(sharer, url=stub.url + '/product')['code']}")
    assert page.url.startswith(stub.url + "/product?") and token(page)
    for path, button in (("/checkout", "#place_order"), ("/block", "button")):
        clock.add(600)
        page.goto(stub.url + path)
        page.click(button)
        page.wait_for_function("document.title === 'placed'")
        sent = stub.told[-1][1]
        fake = FakeWooCommerce(clock)
        carried = sent["_pa"] if "_pa" in sent else sent["extensions"]["passalong"]["_pa"]
        number = fake.place(("100.00", "0.00", 1), token=carried)
        assert fake.send(shop, "order.created", number) == 200
        fake.close()
        world.work()
        receipt = shop.receipt(str(number))
        assert (receipt["winner"], receipt["reason"]) == (sharer, "link")
    world.books()


def test_from_the_link_over_any_shop_s_own_checkout_to_the_sharers(
    world: World, address: str, stub: StubShop, context: BrowserContext
) -> None:
    clock = world.stop_clock("2026-11-01T08:00:00Z")
    shop = world.shop(url=stub.url)
    shop.plan()
    sharers = [shop.sharer(name) for name in ("alice", "bob", "carol")]
    stub.pages = PAGES["generic"]
    stub.load(f"{address}/pa/{shop.key}.js")
    page = context.new_page()
    for sharer in sharers:
        page.goto(f"{address}/s/{shop.link(sharer, url=stub.url + '/product')['code']}")
        token(page)
        clock.add(60)
    clock.set("2026-11-01T10:00:00Z")
    value = token(page)
    assert value.count(",") == 1
    order = shop.told(shop.order(attributes={"_pa": value}))
    receipt = shop.receipt(order["id"])
    assert receipt["winner"] == sharers[2]
    assert [one["sharer"] for one in receipt["evidence"] if one["accepted"]] == [sharers[0], sharers[2]]
    world.books()


def test_from_the_link_into_shopify_s_cart(
    world: World, address: str, stub: StubShop, context: BrowserContext
) -> None:
    shop = world.shop(url=stub.url)
    _as_shopify(world, shop.key)
    link = shop.link(shop.sharer(), url=stub.url + "/product?variant=41#reviews")
    stub.pages = PAGES["shopify"]
    stub.head = THEMES["shopify"]
    stub.load(f"{address}/pa/{shop.key}.js")
    page = context.new_page()
    page.goto(f"{address}/s/{link['code']}")
    settled(page)
    ((_, cart),) = stub.carts.items()
    assert read_token(world.context.keys, cart["attributes"]["_pa"]).link > 0
    assert stub.puts() == [token(page)]
