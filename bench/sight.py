"""P9: what a page weighs over the wire, when it is seen, and whether it moves then, in Chromium on a slowed processor.

Each visit is a first one: an empty browser, nothing kept. The shop has a year of orders, so every list is full.
"""

import shutil
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filling import DAY, DAYS, SELLING, Calendar, settle_orders
from machine import CannotMeasure, Goal, say, waitress
from sqlalchemy import select
from world import SHARERS, World, env_of, make_world

from plugin.domain.moment import SECOND
from plugin.models import owner, person
from plugin.services.manage_access import add_owner
from plugin.services.sessions import open_session

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

KB_MAX, SEEN_MS_MAX, MOVED_MAX = 60, 1_500, 0.05
SLOWED = 4  # times
ORDERS = 60 * SELLING  # a page of a sharer's earnings is full, and there is a next one
PHONE = {"width": 390, "height": 844}
ELSEWHERE = "data:text/html,<a href='{}'>to the shop</a>"
# What Chromium tells of a visit, asked for before the page's first byte (LCP and CLS, W3C Performance Timeline).
WATCH = """
window.seen = 0; window.moved = 0;
const watch = (type, note) =>
  new PerformanceObserver(list => list.getEntries().forEach(note)).observe({type, buffered: true});
watch("largest-contentful-paint", one => { window.seen = one.startTime });
watch("layout-shift", one => { window.moved += one.hadRecentInput ? 0 : one.value });
"""
OWNER, SHARER = "passalong_owner", "passalong_sharer"


@dataclass(frozen=True, slots=True)
class Visited:
    """A page: its address, whose cookie it wants, and whether another site leads there."""

    path: str
    who: str | None = None
    led: bool = False


PAGES = {
    "owner's home": Visited("/admin/{shop}/", OWNER),
    "50 sharers": Visited("/admin/{shop}/sharers", OWNER),
    "an order's receipt": Visited("/admin/{shop}/orders/{order}", OWNER),
    "sharer's home": Visited("/me/{shop}/", SHARER),
    "share": Visited("/me/{shop}/share", SHARER),
    "50 earnings": Visited("/me/{shop}/earnings", SHARER),
    "join": Visited("/join/{shop}"),
    "join, by another site's link": Visited("/join/{shop}", led=True),  # so the page itself is not compressed
}


@dataclass(slots=True)
class Visits:
    """What was seen of one page: bytes over the wire and files, milliseconds, and how far things moved."""

    sent: list[int] = field(default_factory=list)
    files: int = 0
    seen: list[float] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)

    def goal(self, name: str) -> Goal:
        """Return the page's line."""
        weight, seen, moved = max(self.sent) / 1e3, statistics.median(self.seen), max(self.moved)
        limits = f"≤ {KB_MAX} KB, seen ≤ {SEEN_MS_MAX / 1e3} s, moves ≤ {MOVED_MAX}"
        return Goal(
            f"P9 {name}: {limits}",
            f"{weight:.1f} KB in {self.files} files, seen after {seen / 1e3:.2f} s, moved {moved:.3f}",
            f"{weight / KB_MAX:.2f}",
            weight <= KB_MAX and seen <= SEEN_MS_MAX and moved <= MOVED_MAX,
        )


def measure(folder: Path, *, rounds: int) -> list[Goal]:
    """Measure and return the lines of the table."""
    say(f"P9 pages in a browser: {ORDERS:,} orders …")
    program = shutil.which("chromium")
    if program is None:
        raise CannotMeasure("There is no Chromium here (on Debian: apt-get install chromium).")
    from playwright.sync_api import sync_playwright

    instance = folder / "sight"
    instance.mkdir()
    world = make_world(env_of(f"sqlite:///{instance}/passalong.db", instance), links=SHARERS)
    calendar = Calendar(int(time.time()) * SECOND // DAY * DAY - DAYS * DAY, ORDERS, 1)
    settle_orders(world, calendar)
    tokens = _sign_in(world)
    server = waitress("", env=world.env, folder=folder, name="sight")
    visits = {name: Visits() for name in PAGES}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            for number in range(rounds + 1):
                for name, page in PAGES.items():
                    there = server.url + page.path.format(shop=world.shop_key, order=calendar.ref(0))
                    cookie = {"name": page.who, "value": tokens[page.who], "url": there} if page.who else None
                    kept = visits[name] if number else Visits()  # at first the server has read no template yet
                    _visit(browser, there, cookie, kept, led=page.led)
            browser.close()
    finally:
        server.program.stop()
    return [one.goal(name) for name, one in visits.items()]


def _sign_in(world: World) -> Mapping[str, str]:
    """Return the session of an owner and of the first sharer, by the cookie's name."""
    context = world.context()
    try:
        add_owner(context, "owner@example.org", "a password of the benchmark alone")
        with context.database.writing() as connection:
            member = connection.execute(select(owner.c.id)).scalar_one()
            guest = connection.execute(select(person.c.id).where(person.c.email == "sharer-0@example.org")).scalar_one()
            return {
                OWNER: open_session(context, connection, owner_id=member, agent="bench"),
                SHARER: open_session(context, connection, person_id=guest, agent="bench"),
            }
    finally:
        context.database.close()


def _visit(browser: "Browser", there: str, cookie: Any, visits: Visits, *, led: bool) -> None:
    """Visit a page in a browser that knows nothing, and note what came of it."""
    context: BrowserContext = browser.new_context(viewport=PHONE)
    if cookie:
        context.add_cookies([cookie])
    page: Page = context.new_page()
    page.add_init_script(WATCH)
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    if led:
        page.goto(ELSEWHERE.format(there))
    sent: list[int] = []
    failed: list[str] = []
    wire.on("Network.loadingFinished", lambda told: sent.append(round(told["encodedDataLength"])))
    page.on("response", lambda answer: failed.append(f"{answer.status} {answer.url}") if answer.status != 200 else None)
    if led:
        page.click("a")
        page.wait_for_url(there)
    else:
        page.goto(there)
    page.wait_for_load_state("networkidle")
    if failed:
        raise CannotMeasure(f"A part of {there} was answered {failed[0]}.")
    page.wait_for_function("window.seen > 0")  # a frame later than the page says that it is there
    seen, moved = page.evaluate("[window.seen, window.moved]")
    context.close()
    visits.files = len(sent)
    visits.sent.append(sum(sent))
    visits.seen.append(seen)
    visits.moved.append(moved)
