"""The page that says what is kept of visitors and buyers: open, in every language, and held against what is kept."""

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from sqlalchemy import select

from plugin.languages import LANGUAGES
from plugin.models import click, order_state
from plugin.storefront import BLOCKS, make_block, make_script
from tests.admin_ui.desk import Browser
from tests.admin_ui.office import Office, plain
from tests.admin_ui.seat import set_program
from tests.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}


def test_it_is_open_and_says_the_plan_s_window_in_every_language(world: World) -> None:
    shop = world.shop(name="Tea <b>House</b>")
    shop.plan({"attribution": {"window_days": 17}}, since=None)
    heads = set()
    for tag in LANGUAGES:
        answer = world.app.test_client().get(f"/privacy/{shop.key}", headers={"Accept-Language": tag})
        page = answer.get_data(as_text=True)
        assert answer.status_code == 200 and f'lang="{tag}"' in page and "Set-Cookie" not in answer.headers
        assert "17" in page and "90" in page and "Tea &lt;b&gt;House" in page and "<b>House" not in page
        assert "passalong.consent(false)" in page and not re.search("。 [^<]", page)
        heads |= set(re.findall(r"<h1>(.*?)</h1>", page))
    assert len(heads) == len(LANGUAGES)


def test_what_it_names_is_what_the_scripts_keep(world: World) -> None:
    page = Browser(world).get(f"/privacy/{world.shop().key}")
    named = set(re.findall(r"<code>(passalong[a-z-]*)</code>", page))
    scripts = [make_script(platform, 30)[0].decode() for platform in ("shopify", "woocommerce", "generic")]
    scripts += [make_block(name, "https://share.example.com/pa/k/")[0].decode() for name in BLOCKS]
    kept = {key for script in scripts for key in re.findall(r'\w="(passalong[a-z-]*)"', script)}
    assert named == kept and not any("document.cookie=" in script for script in scripts)
    shopify = world.shop("shopify", url="https://hats.example.com", secret="s" * 20)
    assert "cart" in Browser(world).get(f"/privacy/{shopify.key}") and "cart" not in page


def test_no_click_keeps_an_address_and_no_book_the_name_or_mail_of_a_buyer(world: World) -> None:
    shop = world.shop()
    shop.plan()
    token = shop.click(shop.link(shop.sharer("alice")))
    shop.told(shop.order("1", attributes={"_pa": token}, customer={"id": "c-7", "email": "mei.lin@example.org"}))
    world.app.extensions["passalong"].clicks.stop()
    with world.context.database.reading() as connection:
        (one,) = connection.execute(select(click)).all()
        (body,) = connection.execute(select(order_state.c.body)).scalars()
    assert set(one._mapping) == {"id", "shop_id", "link_id", "click", "at", "visitor"} and len(one.visitor) == 8
    assert "mei.lin" not in str(body)


def test_it_says_whom_to_ask(world: World) -> None:
    shop = world.shop()
    owner, path = Office(world), f"/{shop.key}/settings"
    assert 'href="https://shop.example.com"' in Browser(world).get(f"/privacy/{shop.key}")
    form = {"brand_color": "#0f766e", "join_mode": "open"}
    for wrong in ("nobody", "@", "a b@example.org", "x" * 250 + "@example.org"):
        page = owner.send(f"{path}/brand", form | {"support_email": wrong}, expect=422).get_data(as_text=True)
        assert "This is not an e-mail address." in plain(page)
    owner.send(f"{path}/brand", form | {"support_email": " help@shop.example "})
    assert 'value="help@shop.example"' in owner.see(path)
    assert 'href="mailto:help@shop.example"' in Browser(world).get(f"/privacy/{shop.key}")
    owner.send(f"{path}/brand", form)
    assert "mailto:" not in Browser(world).get(f"/privacy/{shop.key}")


def test_the_owner_finds_the_lines_where_the_script_s_line_is(world: World) -> None:
    shop = world.shop()
    base = world.context.settings.base_url
    for page in (Office(world).see(f"/{shop.key}/settings"), Office(world).see(f"/{shop.key}/connect")):
        for path in (f"/pa/{shop.key}.js", f"/pa/{shop.key}/banner.js", f"/pa/{shop.key}/thanks.js"):
            assert f"&lt;script src=&#34;{base}{path}&#34; defer&gt;&lt;/script&gt;" in page, path
        assert f'href="{base}/privacy/{shop.key}"' in page


@pytest.mark.parametrize("path", ["nothing", "", "a/b", "%00", "%F0%9F%92%A9", "x" * 2_000])
def test_what_is_no_shop_has_no_page(world: World, path: str) -> None:
    world.shop()
    set_program(world, world.shop(url="https://b.example.com"), language="ja")
    assert world.client.get(f"/privacy/{path}").status_code == 404
    assert world.client.get(f"/join/{path}").status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("locale", "width"), [("en-US", 390), ("zh-TW", 1280), ("zh-CN", 390), ("ja-JP", 320)])
def test_everybody_can_read_it(world: World, address: str, browser: "Chromium", locale: str, width: int) -> None:
    shop = world.shop(name="Tea House")
    context = browser.new_context(locale=locale, viewport={"width": width, "height": 844})
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(f"{address}/privacy/{shop.key}")
    assert Axe().run(page, options=RULES).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    context.close()
    assert said == []
