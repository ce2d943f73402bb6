"""The first ten minutes, as an owner has them: from the README's command to the first credited order of their shop.

The installation and the shop are processes of their own; the owner is a browser. Clicks are counted, typing is not.
What docs/owner.md tells of the steps and their clicks is held against what is counted here.
"""

import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.figures import Record, note_walk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
SCREENS = ROOT / "tests" / "screens"
GUIDE = (ROOT / "docs" / "owner.md").read_text()
CLICKS_MAX = 12
UNTOLD = {"wrong-secret", "home"}  # no steps of the way, and no further click
PATIENCE = 60_000  # milliseconds; a machine may be busy
# A shop that knows only what its owner gave it: reads orders from stdin and sends each, signed.
SHOP = """
import json, sys, time, urllib.request
from plugin.shops.generic import sign
for line in sys.stdin:
    told = json.loads(line)
    body = json.dumps({"type": "order", "data": told["order"]}).encode()
    at = int(time.time())
    headers = {"content-type": "application/json", "webhook-id": told["id"], "webhook-timestamp": str(at),
               "webhook-signature": sign(told["secret"], told["id"], at, body)}
    asked = urllib.request.Request(told["url"], body, headers)
    try:
        print(urllib.request.urlopen(asked, timeout=60).status, flush=True)
    except urllib.error.HTTPError as error:
        print(error.code, flush=True)
"""


class Fake:
    """The owner's shop, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def send(self, url: str, secret: str, name: str, order: dict[str, Any]) -> int:
        """Send an order and return the status."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"url": url, "secret": secret, "id": name, "order": order}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture
def shop() -> Iterator[Fake]:
    """Start the shop."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", SHOP], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    yield Fake(process)
    process.kill()
    process.communicate()


def command() -> list[str]:
    """Return the README's command; it takes any free port, and what make has installed before it installs no more."""
    readme = (ROOT / "README.md").read_text()
    (line,) = re.findall(r"^make run\b[^#\n]*", readme, re.MULTILINE)
    if shutil.which("make") is None:
        pytest.fail("install make: it is the README's command")
    return [*shlex.split(line), "ARGS=--port 0", "--old-file=.venv/runtime.stamp"]


@dataclass(frozen=True, slots=True)
class Started:
    """The address that the command printed, and when the command was given."""

    address: str
    at: float


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Start the README's command on an empty instance."""
    began = time.monotonic()
    env = os.environ | {"PASSALONG_INSTANCE": str(tmp_path / "instance"), "PYTHONUNBUFFERED": "1"}
    env |= {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command(), cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout
    reader = threading.Thread(target=lambda out: [lines.put(line) for line in out], args=(process.stdout,))
    reader.start()
    try:
        while not (found := re.search(r"http://\S+/admin/setup/\S+", lines.get(timeout=90))):
            pass
        yield Started(found[0], began)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        reader.join(10)
        process.stdout.close()


class Walk:
    """One owner's way: counts clicks, keeps a picture of each step, and prints what it took."""

    def __init__(self, page: "Page", name: str, began: float) -> None:
        self.page, self.name, self.began = page, name, began
        self.clicks = 0
        self.steps: dict[str, tuple[int, float]] = {}  # clicks and seconds since the beginning

    def click(self, selector: str) -> None:
        """Click, once."""
        self.clicks += 1
        self.page.click(selector)
        self.page.wait_for_load_state()

    def step(self, name: str) -> None:
        """Note a step and keep its picture."""
        self.steps[name] = self.clicks, time.monotonic() - self.began
        SCREENS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{self.name}-{len(self.steps)}-{name}.png", full_page=True)

    def copied(self, name: str) -> str:
        """Press a copy button and return what it copied."""
        self.click(f'[data-copy="{name}"]')
        said: str = self.page.evaluate("navigator.clipboard.readText()")
        return said


def order(number: int, token: str | None) -> dict[str, Any]:
    """Return a paid order placed now, which may carry a click token."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "id": f"o-{number}",
        "number": f"#{number}",
        "updated_at": now,
        "placed_at": now,
        "paid_at": now,
        "currency": "TWD",
        "status": "open",
        "payment": "paid",
        "customer": {"id": f"c-{number}", "email": f"c{number}@example.org", "orders_before": 0},
        "lines": [{"id": "l1", "product_id": "p1", "quantity": 1, "amount": "1000.00"}],
        "total": "1000.00",
        "refunds": [],
        "attributes": {"_pa": token} if token else {},
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("locale", "width"), [("zh-TW", 390), ("en-US", 1280), ("zh-TW", 1280), ("en-US", 390)], ids=str
)
def test_from_the_printed_address_to_a_credited_order(
    started: Started, shop: Fake, browser: "Browser", locale: str, width: int, record_property: Record
) -> None:
    sight = browser.new_context(
        viewport={"width": width, "height": 844}, locale=locale, timezone_id="Asia/Taipei",
        permissions=["clipboard-read", "clipboard-write"],
    )  # fmt: skip
    page = sight.new_page()
    page.set_default_timeout(PATIENCE)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    walk = Walk(page, f"{locale}-{width}", started.at)

    page.goto(started.address)
    walk.step("start")
    page.fill("#email", "owner@example.com")
    page.fill("#password", "correct horse battery staple")
    walk.click("main .main-action")
    walk.step("owner")

    page.check('[name="platform"][value="generic"]')
    walk.clicks += 1
    page.fill("#url", "https://shop.example.com")
    assert page.input_value("#timezone") == "Asia/Taipei"
    page.select_option("#currency", "TWD")
    walk.click("main .main-action")
    walk.step("connect")

    url, secret = walk.copied("webhook-url"), walk.copied("webhook-secret")
    origin = re.sub(r"/admin/.*", "", started.address)
    hook = re.sub(r"^http://[^/]+", origin, url)  # the port was any free one, which the public address does not know
    assert shop.send(hook, "whsec_" + "A" * 43 + "=", "wrong", order(0, None)) == 401
    page.wait_for_selector("#light .light.bad")
    walk.step("wrong-secret")
    assert shop.send(hook, secret, "first", order(1, None)) == 200
    page.wait_for_selector("#light .light.good")
    walk.step("green")

    walk.click("main .main-action")
    page.fill("#percent", "12")
    page.wait_for_selector("#example:has-text('NT$88')")
    walk.step("reward")
    walk.click("main .main-action")
    walk.step("payout")
    walk.click("main .main-action")
    page.fill("#addresses", "Mei <mei@example.com>, bob@example.com")
    walk.click("main form .main-action")
    walk.step("invited")

    # A friend follows the link of a sharer, and buys. The owner looks on where the light is.
    link = re.sub(r"^http://[^/]+", origin, walk.copied("link-1"))
    answer = sight.request.get(link, max_redirects=0)
    found = re.search(r"[?&]pa=([^&]+)", answer.headers["location"])
    assert found
    time.sleep(1.1)  # orders have whole seconds, and the plan is in force from one
    assert shop.send(hook, secret, "second", order(2, found[1])) == 200
    credited = {"zh-TW": "歸因", "en-US": "credited"}[locale]
    light = sight.new_page()
    light.goto(f"{page.url.partition('?')[0].rsplit('/', 1)[0]}/connect")
    light.wait_for_selector(f"#light:has(.light.good) strong:has-text('{credited}')", timeout=PATIENCE)
    light.close()
    walk.step("credited")

    walk.click("main > p > .main-action")
    walk.click("main .main-action")
    page.wait_for_selector("#progress .note.good")
    assert page.locator("#progress .steps > li.done").count() == 6
    walk.step("test-order")
    page.goto(f"{page.url.rsplit('/', 1)[0]}/")
    assert page.locator("progress").get_attribute("value") == "5"
    assert page.locator(".stats .stat .value").first.inner_text() == "NT$1,000"
    walk.step("home")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    sight.close()
    print(f"\n{walk.name}: clicks and seconds since the command was given")
    for name, (clicks, seconds) in walk.steps.items():
        print(f"  {name}: {clicks}, {seconds:.1f} s")
    for what, step in (("first ten minutes", "home"), ("way to the first credited order", "credited")):
        clicks, seconds = walk.steps[step]
        told = f"an owner's {what}, {locale} at {width}"
        note_walk(record_property, told, count=clicks, unit="clicks", seconds=seconds)
    assert wide == 0
    assert walk.clicks <= CLICKS_MAX, walk.steps
    assert told_clicks() == {name: clicks for name, (clicks, _) in walk.steps.items() if name not in UNTOLD}
    assert said == []


def told_clicks() -> dict[str, int]:
    """Return how many clicks the guide for owners says each step ends with."""
    return {name: int(count) for name, count in re.findall(r"<!-- (\S+) -->.*?\((\d+) clicks?\b", GUIDE, re.DOTALL)}
