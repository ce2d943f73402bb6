"""A sharer's first minute, in Chromium: from the mail to the phone's own share sheet, its taps and seconds counted.

Every page of a sharer is looked at on the way, on a phone and on a desk: accessible, quiet, and never too wide.
"""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from plugin.domain.moment import format_moment
from plugin.languages import texts
from tests.admin_ui.seat import set_program
from tests.admin_ui.walk import RULES
from tests.figures import Record, note_walk
from tests.mails.post_office import PostOffice, send_to
from tests.world import Shop, World

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

SCREENS = Path(__file__).parents[1] / "screens"
TAPS_MAX = 3
SHEET = "window.shared = []; navigator.share = async told => { window.shared.push(told) }"
WALKS = [("zh-TW", 390), ("zh-TW", 1280), ("en-US", 390), ("en-US", 1280)]
TAGS = {"zh-TW": "zh-Hant", "en-US": "en", "zh-CN": "zh-Hans", "ja-JP": "ja"}


@pytest.fixture
def shop(world: World, office: PostOffice) -> Shop:
    """Give a shop that whoever wants may share, and that writes to them."""
    send_to(world, f"smtp://127.0.0.1:{office.port}")
    shop = world.shop(name="山頂茶行", url="https://tea.example.com", currency="TWD", timezone="Asia/Taipei")
    shop.plan({"commission": {"default": {"percent": "8"}}, "hold_days": 14})
    set_program(world, shop, join_mode="open", brand_color="#c2410c")
    return shop


class Visit:
    """One visit in the browser: says what it taps, and looks at every page it comes to."""

    def __init__(self, page: "Page", name: str) -> None:
        self.page, self.name, self.taps, self.steps = page, name, 0, 0
        self.said: list[str] = []
        page.on("console", lambda one: self.said.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        self.began = time.monotonic()

    def tap(self, text: str) -> None:
        """Tap the button of that text, and count it."""
        self.page.locator("main").get_by_role("button", name=text, exact=True).click()
        self.page.wait_for_load_state()
        self.taps += 1

    def look(self) -> None:
        """See that the page is accessible, quiet and not too wide, and keep a picture of it."""
        SCREENS.mkdir(exist_ok=True)
        self.steps += 1
        self.page.screenshot(path=SCREENS / f"sharer-{self.name}-{self.steps}.png", full_page=True)
        found = Axe().run(self.page, options=RULES).response["violations"]
        wrong = [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"][:3]]
        size = self.page.viewport_size
        assert size is not None
        self.page.set_viewport_size({"width": 320, "height": size["height"]})
        over = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        self.page.set_viewport_size(size)
        assert not wrong and over <= 0 and not self.said, (self.page.url, wrong, over, self.said)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("locale", "width"), WALKS)
@pytest.mark.timeout(600)
def test_from_the_mail_to_shared_takes_three_taps(
    world: World,
    shop: Shop,
    office: PostOffice,
    address: str,
    browser: "Chromium",
    locale: str,
    width: int,
    record_property: Record,
) -> None:
    say = texts(TAGS[locale]).gettext
    sight = browser.new_context(viewport={"width": width, "height": 844}, locale=locale)
    sight.add_init_script(SHEET)
    visit = Visit(sight.new_page(), f"{locale}-{width}")
    page = visit.page
    page.goto(f"{address}/join/{shop.key}")
    visit.look()
    page.fill("#email", "ming@example.org")
    page.fill("#name", "王小明")
    visit.tap(say("Get started"))
    visit.look()
    world.work()
    path = re.findall(rf"/join/{shop.key}/[\w-]+", office.mails[0].text)[0]
    visit.taps, visit.began = 1, time.monotonic()  # the first tap is the one in the mail
    page.goto(f"{address}{path}")
    visit.tap(say("Get my link"))
    visit.tap(say("Share"))
    seconds = time.monotonic() - visit.began
    (told,) = page.evaluate("window.shared")
    assert world.client.get(told["url"].removeprefix("http://127.0.0.1:8000")).status_code == 302
    what = f"a sharer's first minute, {locale} at {width}"
    note_walk(record_property, what, count=visit.taps, unit="taps", seconds=seconds)
    assert visit.taps <= TAPS_MAX
    visit.look()
    shop.told(shop.order(attributes={"_pa": told["url"].rpartition("/")[2]}, currency="TWD", **_now(world)))
    for name in ("", "share", "earnings", "earnings/1", "payouts", "profile", "profile/way", "profile/leave"):
        answer = page.goto(f"{address}/me/{shop.key}/{name}")
        assert answer is not None and answer.status == 200, name
        visit.look()
    sight.close()


def _now(world: World) -> dict[str, str]:
    now = format_moment(world.context.now())
    return {"placed_at": now, "paid_at": now, "updated_at": now}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("locale", ["zh-CN", "ja-JP"])
@pytest.mark.timeout(300)
def test_the_other_languages_look_as_well(
    shop: Shop, address: str, browser: "Chromium", locale: str
) -> None:
    sight = browser.new_context(viewport={"width": 390, "height": 844}, locale=locale, color_scheme="dark")
    visit = Visit(sight.new_page(), locale)
    visit.page.goto(f"{address}/join/{shop.key}")
    assert visit.page.locator("html").get_attribute("lang") == TAGS[locale]
    visit.look()
    sight.close()
