"""What the walks over all pages share: what a visit asks of the database, and how a page looks in a browser."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from axe_playwright_python.base import AXE_SCRIPT
from sqlalchemy import event

from tests.admin_ui.desk import Browser
from tests.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

SCREENS = Path(__file__).parents[1] / "screens"
STATEMENTS_MAX = 12
# WCAG 2.2, levels A and AA, as axe-core names its rules.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
SIZES = {"phone": (390, 844), "desk": (1280, 800)}
# The narrowest window there is, and the desk's at a zoom of 200 % (WCAG 2.2, 1.4.10 and 1.4.4).
NARROW = {"320 pixels": 320, "200 %": 640}


class Look(NamedTuple):
    """How somebody looks at pages: on what, in which language, by day or by night."""

    size: str
    locale: str
    scheme: Any

    def __str__(self) -> str:
        return " ".join(self)


LOOKS = [Look(size, *rest) for size in SIZES for rest in (("en-US", "light"), ("zh-TW", "dark"))]
PLAIN = LOOKS[0]
QUERIES = ("?cursor=x&page=-1&q=%00", "?status=x&state=x&sort=x", "?since=x&until=9999-99-99", "?said=x", "?after=x.y")
# Lets a form be sent as somebody would send it who does not heed the browser.
_FREE = """form => {
  form.noValidate = true
  form.querySelectorAll("[maxlength]").forEach(one => one.removeAttribute("maxlength"))
}"""
_REFUSED = "Failed to load resource: the server responded with a status of 422"  # said by the browser of any such page


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


class Sight:
    """A window of a browser in which pages are looked at: each must be accessible, quiet, and never too wide."""

    def __init__(self, chromium: "Chromium", address: str, look: Look, signed_in: Browser | None) -> None:
        self.width, self.height = SIZES[look.size]
        self.context = chromium.new_context(
            viewport={"width": self.width, "height": self.height}, locale=look.locale, color_scheme=look.scheme
        )
        for name, below in (("passalong_owner", "/admin"), ("passalong_sharer", "/me")):
            cookie = signed_in.client.get_cookie(name, path=below) if signed_in else None
            if cookie is not None:
                self.context.add_cookies([{"name": name, "value": cookie.value, "url": f"{address}{below}/"}])
        self.context.add_init_script(AXE_SCRIPT)
        self.address, self.look_name = address, str(look)
        self.picture_name = f"{look.locale}-{self.width}"
        self.page: Page = self.context.new_page()
        self.pages, self.violations = 0, 0
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(_REFUSED):
            self.wrong.append(f"{self.page.url}: {text}")

    def visit(self, path: str, picture: str | None = None) -> None:
        """Open a page that there is, and look at it; keep a picture of it under a name, to be looked at by people."""
        self.open(path)
        self.look(path)
        if picture:
            self.keep(picture)

    def open(self, path: str) -> None:
        """Open a page that there is."""
        answer = self.page.goto(self.address + path)
        assert answer is not None and answer.status == 200, (path, answer and answer.status)

    def keep(self, name: str) -> None:
        """Keep a picture of the page that is open."""
        SCREENS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}-{self.picture_name}.png", full_page=True)

    def look(self, name: str) -> None:
        """Look at the page that is open."""
        self.pages += 1
        found = self.page.evaluate("rules => axe.run(rules).then(found => found.violations)", RULES)
        self.violations += len(found)
        self.wrong += [f"{name}: {one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"][:3]]
        self.narrow(name)

    def narrow(self, name: str) -> None:
        """See whether the page that is open keeps to a narrow window."""
        for what, width in NARROW.items():
            self.page.set_viewport_size({"width": width, "height": self.height})
            over = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            self.wrong += [f"{name}: {over} pixels too wide at {what}"] if over > 0 else []
        self.page.set_viewport_size({"width": self.width, "height": self.height})

    def send_wrong(self, path: str, fields: dict[str, str]) -> None:
        """Send the form of a page that has those fields with something wrong in it, and look at how that is said."""
        self.page.goto(self.address + path)
        name = next(iter(fields))
        form = self.page.locator(f"form:has([name='{name}'])").first
        form.evaluate(_FREE)
        for field, value in fields.items():
            form.locator(f"[name='{field}']").first.fill(value)
        with self.page.expect_navigation() as going:
            form.locator("button").first.click()
        assert going.value is not None and going.value.status == 422, (path, going.value and going.value.status)
        self.look(f"{path} in error")

    def close(self) -> None:
        """Close the window; assert that nothing was wrong in it."""
        self.context.close()
        assert not self.wrong, "\n".join(self.wrong)
