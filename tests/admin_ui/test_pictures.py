"""The pictures of the guides show the demo shop. ``make pictures`` takes them; every run holds them against the pages.

They are taken at a fixed time, so that a picture changes only where a page has changed.
"""

import io
import re
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sqlalchemy import select

from plugin.models import owner, person, sharer
from plugin.services.manage_access import add_owner
from plugin.services.sessions import open_session
from plugin.settings import Settings
from tests.admin_ui.desk import PASSWORD
from tests.admin_ui.seat import set_program
from tests.world import Shop, World

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BYTES_MAX, COLORS = 60_000, 256
NOW = "2026-11-22T10:00:00Z"
OWNER, SHARER = "passalong_owner", "passalong_sharer"
DESK, TALL, PHONE = (1280, 800, 1), (1280, 970, 1), (390, 780, 2)  # width, height, dots a pixel
SHARES = "navigator.share = async () => {}"  # as on a phone


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: whose page it is, its address, the first link of a pattern to follow there, and the screen."""

    name: str
    who: str | None
    path: str
    follow: str | None = None
    screen: tuple[int, int, int] = DESK


PICTURES = (
    Picture("owner-connect", OWNER, "/admin/{shop}/connect"),
    Picture("owner-home", OWNER, "/admin/{shop}/", screen=TALL),
    Picture("owner-home-phone", OWNER, "/admin/{shop}/", screen=PHONE),
    Picture("owner-plan", OWNER, "/admin/{shop}/plan"),
    Picture("owner-sharers", OWNER, "/admin/{shop}/sharers"),
    Picture("owner-receipt", OWNER, "/admin/{shop}/orders", r"/admin/[^/]+/orders/demo-1082"),
    Picture("owner-payouts", OWNER, "/admin/{shop}/payouts"),
    Picture("join", None, "/join/{shop}", screen=PHONE),
    Picture("sharer-home", SHARER, "/me/{shop}/", screen=PHONE),
    Picture("sharer-share", SHARER, "/me/{shop}/share", screen=PHONE),
    Picture("sharer-earnings", SHARER, "/me/{shop}/earnings", screen=PHONE),
    Picture("sharer-why", SHARER, "/me/{shop}/earnings", r"/me/[^/]+/earnings/\d+(?=[^…]+Order …81<)", PHONE),
    Picture("sharer-payouts", SHARER, "/me/{shop}/payouts", screen=PHONE),
)


@dataclass(frozen=True)
class Demo:
    """The demo shop: its key, and the cookie of its owner and of its first sharer by its name."""

    key: str
    cookies: dict[str, str]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give an installation with an address as one has it."""
    return replace(settings, base_url="https://share.example.com")


@pytest.fixture
def demo(world: World) -> Demo:
    """Make the demo shop at a fixed time."""
    world.stop_clock(NOW)
    context = world.context
    key = world.command("demo")["shop"]
    set_program(world, Shop(world, {"key": key, "webhook_secret": ""}), guide_dismissed=True)  # as after the first days
    add_owner(context, "owner@demo.example.com", PASSWORD)
    with context.database.writing() as connection:
        first = select(person.c.id).join(sharer, sharer.c.person_id == person.c.id).order_by(sharer.c.id).limit(1)
        guest = connection.execute(first).scalar_one()
        member = connection.execute(select(owner.c.id)).scalar_one()
        cookies = {
            OWNER: open_session(context, connection, owner_id=member, agent="test"),
            SHARER: open_session(context, connection, person_id=guest, agent="test"),
        }
    return Demo(key, cookies)


def path_of(world: World, demo: Demo, picture: Picture) -> str:
    """Return the address of what a picture shows."""
    path = picture.path.format(shop=demo.key)
    if picture.follow is None:
        return path
    found = re.search(rf'href="({picture.follow})"', page_of(world, demo, picture, path))
    assert found, f"{path} has no link like {picture.follow}"
    return unescape(found[1])


def page_of(world: World, demo: Demo, picture: Picture, path: str) -> str:
    """Return a page as whose it is sees it; assert that it is there."""
    client = world.app.test_client()
    if picture.who:
        client.set_cookie(picture.who, demo.cookies[picture.who], path="/admin" if picture.who == OWNER else "/me")
    answer = client.get(path)
    assert answer.status_code == 200, (picture.name, path, answer.status_code)
    return answer.get_data(as_text=True)


def shown() -> dict[str, set[str]]:
    """Return the names of the pictures that the documents show, each with the documents that do."""
    found: dict[str, set[str]] = {}
    for path in DOCUMENTS:
        for name in re.findall(r"pictures/([\w-]+)\.png", path.read_text()):
            found.setdefault(name, set()).add(path.name)
    return found


def fewer_colors(picture: Image.Image) -> Image.Image:
    """Return a picture in the colours that most of it has, which are kept as they are."""
    seen = picture.convert("RGB")
    counted = sorted(seen.getcolors(seen.width * seen.height), reverse=True)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, color in counted[:COLORS] for part in color])
    return seen.quantize(palette=palette, dither=Image.Dither.NONE)


@pytest.fixture
def wanted(request: pytest.FixtureRequest) -> None:
    """Skip what is done only where somebody asks for it."""
    if not request.config.getoption("--pictures"):
        pytest.skip("pictures are taken by make pictures")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("wanted")
def test_pictures_are_taken(world: World, demo: Demo, address: str, browser: "Chromium") -> None:
    FOLDER.mkdir(exist_ok=True)
    for one in PICTURES:
        width, height, dots = one.screen
        viewport: Any = {"width": width, "height": height}
        sight = browser.new_context(viewport=viewport, device_scale_factor=dots, locale="en-US")
        sight.add_init_script(SHARES)
        there = address + path_of(world, demo, one)
        if one.who:
            sight.add_cookies([{"name": one.who, "value": demo.cookies[one.who], "url": there}])
        page = sight.new_page()
        page.goto(there)
        fewer_colors(Image.open(io.BytesIO(page.screenshot()))).save(FOLDER / f"{one.name}.png", optimize=True)
        sight.close()


def test_every_picture_of_the_documents_is_there_small_and_of_a_page_that_is_known() -> None:
    known = {one.name for one in PICTURES}
    assert shown().keys() == known == {path.stem for path in FOLDER.glob("*")}
    for path in FOLDER.glob("*.png"):
        assert path.stat().st_size <= BYTES_MAX, (path.name, path.stat().st_size)
    for one in PICTURES:
        width, height, dots = one.screen
        with Image.open(FOLDER / f"{one.name}.png") as picture:
            assert picture.size == (width * dots, height * dots) and picture.mode == "P", one.name


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_page_of_a_picture_is_there(world: World, demo: Demo) -> None:
    for one in PICTURES:
        assert "<h1" in page_of(world, demo, one, path_of(world, demo, one)), one.name
