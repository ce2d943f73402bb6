"""Posters through their door: what is on them, that the code can be scanned, and that nothing anybody writes harms."""

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image, ImageDraw
from sqlalchemy import text
from werkzeug.test import TestResponse

from plugin.app import create_app
from plugin.posters import ACCENT, PORTRAIT, draw
from plugin.services import record_clicks, show_poster
from plugin.services.context import Context
from tests.receiver import Receiver, Roads, answer
from tests.shops import fake_shopify
from tests.shops.fake_shopify import FakeShopify
from tests.world import Clock, Shop, World, guards_off

LANGUAGES = ("en", "zh-Hant", "zh-Hans", "ja")
PAPER = (240, 246, 246)
HOSTILE = [
    "<script>alert(1)</script>", "'; DROP TABLE pa_person; --", "{name}", "%s%n", "\x00\x01\x1b[31m", "a\nb\r\nc\td",
    "🎉🦄👨‍👩‍👧‍👦", "Alice 🎉", "‮gnp.exe", "​‍﻿", "名" * 300, "W" * 300, "a " * 150,
    "Z̷̢̛͚a̴̡l̵̨g̶̢o̸", "محمد", "שלום", "김민지", "𠮷野家", "𝓐𝓵𝓲𝓬𝓮",
    "（" * 100, "。" * 100, "-" * 300, "https://evil.example/" + "x" * 250, "\ufffe\uffff", "้" * 200,
]  # fmt: skip


def seen(response: TestResponse) -> Image.Image:
    """Return the picture of an answer, which must be a PNG."""
    assert response.status_code == 200 and response.content_type == "image/png", response.text
    picture = Image.open(io.BytesIO(response.data))
    assert picture.format == "PNG"
    return picture.convert("RGB")


def colors(picture: Image.Image, box: tuple[int, int, int, int]) -> set[tuple[int, ...]]:
    """Return which colours there are in a part of a picture."""
    return {color for _, color in picture.crop(box).getcolors(10**6)}  # type: ignore[misc,union-attr]


def stays_inside(picture: Image.Image) -> bool:
    """Tell whether the margin on all sides is bare, but for the hair by which a letter may lean out of its line."""
    width, height, margin = PORTRAIT.width, PORTRAIT.height, PORTRAIT.margin - 2
    sides = [(0, 0, width, margin), (0, 0, margin, height), (width - margin, 0, width, height)]
    bare = picture.getpixel((0, 0))
    return all(colors(picture, box) == {bare} for box in [*sides, (0, height - margin // 2, width, height)])


def poster(world: World, link: Any, language: str | None = "en", **headers: str) -> TestResponse:
    """Ask for the poster of a link."""
    suffix = f"?lang={language}" if language else ""
    return world.client.get(f"/s/{link['code']}/poster.png{suffix}", headers=headers)


def kept(world: World, folder: str = "posters") -> list[Path]:
    """Return the files that are kept of posters."""
    return sorted((world.context.settings.instance / folder).glob("*"))


def rename(world: World, name: str | None) -> None:
    """Give every sharer another name."""
    with guards_off(world) as connection:
        connection.execute(text("UPDATE pa_person SET name = :name"), {"name": name})


@pytest.fixture
def shop(world: World) -> Shop:
    """Give a shop."""
    return world.shop(name="小農選物")


# --- what is on it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_on_a_poster_is_the_share_address(world: World, shop: Shop, language: str) -> None:
    link = shop.link(shop.sharer("王小明"))
    picture = seen(poster(world, link, language))
    assert picture.size == (750, 1334) and stays_inside(picture)
    (code,) = zxingcpp.read_barcodes(picture)
    assert code.text == link["share_url"] == f"http://127.0.0.1:8000/s/{link['code']}"


def test_the_code_is_read_from_what_a_chat_makes_of_a_poster(world: World, shop: Shop) -> None:
    picture = seen(poster(world, shop.link(shop.sharer())))
    file = io.BytesIO()
    picture.resize((375, 667)).save(file, "JPEG", quality=50)
    (code,) = zxingcpp.read_barcodes(Image.open(file))
    assert "/s/" in code.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_poster_says_in_every_language_that_the_sharer_may_earn(world: World, shop: Shop, language: str) -> None:
    shown = seen(poster(world, shop.link(shop.sharer()), language))
    foot = (48, 1258, 702, 1300)
    assert len(colors(shown, foot)) > 50 and (255, 255, 255) not in colors(shown, foot)


def test_a_poster_speaks_the_language_asked_for(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer())
    tags = {language: poster(world, link, language).headers["ETag"] for language in LANGUAGES}
    assert len(set(tags.values())) == 4
    for asked, language in (("zh-TW,en;q=0.5", "zh-Hant"), ("zh-CN", "zh-Hans"), ("ja", "ja"), ("de", "en")):
        for parameter in (None, "xx", "../../etc", "%00"):
            response = poster(world, link, parameter, **{"Accept-Language": asked})
            assert response.headers["ETag"] == tags[language] and response.vary.as_set() == {"accept-language"}
    assert len(kept(world)) == 4


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_people_are_called_harms_a_poster(world: World, shop: Shop, name: str) -> None:
    link = shop.link(shop.sharer())
    if not world.context.database.is_sqlite:
        name = name.replace("\x00", "")  # which PostgreSQL keeps in no text
    rename(world, name)
    with guards_off(world) as connection:
        connection.execute(text("UPDATE pa_shop SET name = :name"), {"name": name})
    picture = seen(poster(world, link))
    assert stays_inside(picture) and len(zxingcpp.read_barcodes(picture)) == 1


def test_a_name_that_cannot_be_drawn_is_left_out(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer())
    rename(world, None)
    nameless = poster(world, link).data
    for name in ("김민지", "محمد", "🎉", "​", "", "Alice 김"):
        rename(world, name)
        assert poster(world, link).data == nameless, name
    rename(world, "Alice")
    alice = poster(world, link).data
    assert alice != nameless
    for name in ("Alice 🎉", "A\u200bli\u202ece", " Alice\n", "𝓐𝓵𝓲𝓬𝓮"):
        rename(world, name)
        assert poster(world, link).data == alice, name


def test_the_name_of_a_suspended_sharer_is_not_shown(
    world: World, shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_clicks, "CHECK_SECONDS", 0)
    sharer = shop.sharer()
    link = shop.link(sharer)
    rename(world, "Official Support")
    named = poster(world, link).data
    world.call("PATCH", f"/sharers/{sharer}", {"status": "suspended"}, expect=200)
    suspended = poster(world, link).data
    assert suspended != named and zxingcpp.read_barcodes(Image.open(io.BytesIO(suspended)))
    rename(world, None)
    assert poster(world, link).data == suspended


def test_a_bad_code_has_no_poster(world: World, shop: Shop) -> None:
    code = shop.link(shop.sharer())["code"]
    page = world.client.get("/s/bad")
    for bad in (code[:-1] + ("A" if code[-1] != "A" else "B"), "x", "%00", code + "x", "é"):
        response = world.client.get(f"/s/{bad}/poster.png")
        assert response.status_code == 404 and response.data == page.data
    assert kept(world) == []


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_a_poster_is_drawn_once_for_all_processes(world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    link = shop.link(shop.sharer())
    first = poster(world, link)
    assert first.headers["Cache-Control"] == "public, max-age=3600" and "Set-Cookie" not in first.headers
    monkeypatch.setattr(draw, "draw", lambda *_: pytest.fail("drawn again"))
    assert poster(world, link).data == first.data
    other = create_app(world.context.settings)
    try:
        again = other.test_client().get(f"/s/{link['code']}/poster.png?lang=en")
        assert again.data == first.data and again.headers["ETag"] == first.headers["ETag"]
    finally:
        other.extensions["passalong"].close()


def test_who_has_the_poster_already_is_told_so(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer())
    tag = poster(world, link).headers["ETag"]
    for path in kept(world):
        path.unlink()
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        response = poster(world, link, **{"If-None-Match": known})
        assert response.status_code == 304 and response.data == b"" and response.headers["ETag"] == tag
    assert kept(world) == []
    rename(world, "Somebody else")
    assert poster(world, link, **{"If-None-Match": tag}).status_code == 200


def test_posters_are_kept_a_day_and_no_more_than_there_is_room_for(
    world: World, shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = shop.link(shop.sharer())
    poster(world, link)
    (first,) = kept(world)
    clock.add(86_401)
    show_poster.tidy_posters(world.context)
    assert kept(world) == []
    drawn = world.app.extensions["passalong"].posters._drawn
    monkeypatch.setattr(drawn, "_bytes_max", 4 * len(poster(world, link).data))
    for number in range(12):
        rename(world, f"Sharer {number}")
        clock.add(1)
        newest = poster(world, link).headers["ETag"]
    assert 2 <= len(kept(world)) <= 4 and newest.strip('"') in {path.name for path in kept(world)}


def test_a_folder_that_cannot_be_written_only_costs_time(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer())
    (world.context.settings.instance / "posters").write_text("no folder")
    assert poster(world, link).data == poster(world, link).data
    seen(poster(world, link))


def test_too_many_posters_at_once_are_asked_to_wait(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer())
    posters = world.app.extensions["passalong"].posters
    with ExitStack() as busy:
        for _ in range(show_poster.AT_WORK_MAX):
            busy.enter_context(posters._turn())
        response = poster(world, link)
        assert response.status_code == 503 and response.headers["Retry-After"] == "10"
        assert response.content_type == "text/html; charset=utf-8"
    drawn = poster(world, link)
    with ExitStack() as busy:
        for _ in range(show_poster.AT_WORK_MAX):
            busy.enter_context(posters._turn())
        assert poster(world, link).data == drawn.data  # what is kept needs no turn
    assert seen(drawn)


def test_posters_that_are_asked_for_together_are_drawn_one_at_a_time(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    links, at_once, most = [shop.link(shop.sharer(f"s{n}")) for n in range(6)], 0, 0
    real = draw.draw

    def watched(*args: Any) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return real(*args)
        finally:
            at_once -= 1

    monkeypatch.setattr(draw, "draw", watched)
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda one=one: answers.append(
                world.app.test_client().get(f"/s/{one['code']}/poster.png?lang=ja").status_code
            )
        )
        for one in links
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 6 and most == 1 and len(kept(world)) == 6


def test_an_erased_person_is_on_no_poster(world: World, shop: Shop) -> None:
    link = shop.link(shop.sharer("alice"))
    named = poster(world, link).data
    assert kept(world)
    world.command("erase", "--email", "alice@example.org")
    assert kept(world) == []
    nameless = poster(world, link)
    assert nameless.data != named and seen(nameless)


def test_an_installation_that_draws_nothing_does_not_load_pillow(tmp_path: Path) -> None:
    program = (
        "import sys; from plugin.app import create_app\n"
        f"app = create_app({{'PASSALONG_INSTANCE': {str(tmp_path)!r}, 'PASSALONG_WORKERS': 0}})\n"
        "assert app.test_client().get('/s/x/poster.png').status_code == 404\n"
        "assert 'PIL' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_while_the_database_is_away_the_visitor_is_asked_to_come_back(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = shop.link(shop.sharer())
    seen(poster(world, link))
    with guards_off(world) as connection:
        connection.execute(text("ALTER TABLE pa_person RENAME COLUMN name TO gone"))
    response = poster(world, link)
    assert response.status_code == 503 and "Retry-After" in response.headers


# --- the product ------------------------------------------------------------------------------------------------------


@dataclass
class Hat:
    """A hat that was sold before, a link to its page, and where its picture lies."""

    world: World
    link: Any
    cdn: Receiver
    clock: Clock

    def poster(self, language: str = "en") -> TestResponse:
        """Ask for the poster of the link."""
        return poster(self.world, self.link, language)

    def serve(self, data: bytes, status: int = 200, *headers: str) -> None:
        """Have the picture's server answer so from now on."""
        self.cdn.always = answer(status, *headers, body=data)


def picture(color: str = "#c0392b", size: tuple[int, int] = (1200, 1000), kind: str = "JPEG", **how: Any) -> bytes:
    """Return a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, kind, **how)
    return file.getvalue()


@pytest.fixture
def sold(request: pytest.FixtureRequest, world: World, clock: Clock) -> Any:
    """Give a link to a hat that was sold before; its description may be given as the parameter."""
    fake = FakeShopify(clock)
    shop = world.shop("shopify", url=fake.url, name="Hats", credentials={"access_token": fake_shopify.TOKEN})
    fake.products["1"], fake.described["1"] = ["hats"], getattr(request, "param", {})
    number = fake.place("45.01")
    fake.orders[number]["line_items"][0]["product_id"] = 1
    assert fake.send(shop, "orders/create", number) == 200
    world.work()
    link = shop.link(shop.sharer("alice"), url=f"{fake.url}/products/hat-1")
    fake.close()
    return link


@pytest.fixture
def hat(sold: Any, world: World, clock: Clock, roads: Roads) -> Iterator[Hat]:
    """Give the hat with a server of pictures."""
    hat = Hat(world, sold, roads.receiver("cdn.example.com"), clock)
    hat.serve(picture())
    yield hat


def is_red(picture: Image.Image) -> bool:
    """Tell whether the stage shows the red picture."""
    red, green, blue = picture.getpixel((375, 400))  # type: ignore[misc]
    return abs(red - 192) < 6 and abs(green - 57) < 6 and abs(blue - 43) < 6


def has_price(picture: Image.Image) -> bool:
    """Tell whether something stands between title and card in the accent's own colour."""
    accent = tuple(int(ACCENT[i : i + 2], 16) for i in (1, 3, 5))
    return accent in colors(picture, (48, 780, 702, 920))


def test_a_poster_shows_the_product_and_fetches_its_picture_once(hat: Hat) -> None:
    first = seen(hat.poster())
    assert is_red(first) and has_price(first) and stays_inside(first) and len(zxingcpp.read_barcodes(first)) == 1
    assert hat.poster().headers["Cache-Control"] == "public, max-age=3600"
    for language in LANGUAGES:
        assert is_red(seen(hat.poster(language)))
    (heard,) = hat.cdn.heard
    assert "authorization" not in heard.headers and "x-shopify-access-token" not in heard.headers
    assert "cookie" not in heard.headers


def test_a_price_of_long_ago_is_not_shown(hat: Hat) -> None:
    assert has_price(seen(hat.poster()))
    hat.clock.add(30 * 86_400)
    assert has_price(seen(hat.poster()))
    hat.clock.add(1)
    old = seen(hat.poster())
    assert is_red(old) and not has_price(old)


PICTURES = {
    "png": picture(kind="PNG"),
    "webp": picture(kind="WEBP", quality=95),
    "gif": picture(kind="GIF"),
    "tall": picture(size=(300, 1500)),
    "small": picture(size=(80, 80)),
    "cmyk": b"",
    "clear": b"",
    "turned": b"",
}


def made(name: str) -> bytes:
    """Return a picture of a kind that needs more than a colour."""
    file = io.BytesIO()
    if name == "cmyk":
        Image.new("RGB", (400, 400), "#c0392b").convert("CMYK").save(file, "JPEG", quality=95)
    elif name == "clear":
        clear = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
        ImageDraw.Draw(clear).rectangle((100, 100, 300, 300), fill="#c0392b")
        clear.save(file, "PNG")
    elif name == "turned":  # the camera lay on its side: orientation 6 of EXIF
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (600, 400), "#c0392b").save(file, "JPEG", exif=exif)
    return PICTURES[name] or file.getvalue()


@pytest.mark.parametrize("name", PICTURES)
def test_every_usual_kind_of_picture_is_shown(hat: Hat, name: str) -> None:
    hat.serve(made(name))
    shown = seen(hat.poster())
    assert is_red(shown)
    if name == "clear":
        assert shown.getpixel((80, 150)) == (255, 255, 255)


BAD = {
    "gone": (b"", 404, ()),
    "elsewhere": (b"", 302, ("Location: https://cdn.example.com/other.png",)),
    "a page": (b"<html>not found</html>", 200, ("Content-Type: image/png",)),
    "nothing": (b"", 200, ()),
    "cut off": (picture()[:300], 200, ()),
    "a bomb": (picture("#000000", (8_000, 8_000), "PNG"), 200, ()),  # which Pillow itself would unpack without a word
    "too heavy": (b"\xff\xd8" + bytes(9 * 1_048_576), 200, ()),
    "a strip": (picture(size=(3_000, 100)), 200, ()),
    "a dot": (picture(size=(1, 1), kind="GIF"), 200, ()),
    "a program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 200, ()),
}


@pytest.mark.parametrize("name", BAD)
def test_without_a_picture_the_poster_does_without_and_tries_again_later(hat: Hat, name: str) -> None:
    data, status, headers = BAD[name]
    hat.serve(data, status, *headers)
    response = hat.poster()
    bare = seen(response)
    assert response.headers["Cache-Control"] == "public, max-age=60"
    assert not is_red(bare) and stays_inside(bare) and len(zxingcpp.read_barcodes(bare)) == 1
    hat.serve(picture())
    assert hat.poster("ja").status_code == 200 and len(hat.cdn.heard) == 1
    hat.clock.add(601)
    assert is_red(seen(hat.poster())) and len(hat.cdn.heard) == 2


@pytest.mark.parametrize(
    "sold",
    [
        {"featuredMedia": {"preview": {"image": {"url": url}}}}
        for url in (
            "http://cdn.example.com/1.png", "https://127.0.0.1/1.png", "https://user:x@cdn.example.com/1.png",
            "https://gone.example.com/1.png", "file:///etc/passwd", "https://[::1/1.png", "", "https://\udcff/",
        )
    ],
    indirect=True,
)  # fmt: skip
def test_a_picture_is_fetched_from_nowhere_but_the_public_web_over_https(hat: Hat, roads: Roads) -> None:
    response = hat.poster()
    assert seen(response) and not is_red(seen(response)) and roads.walked == []


@pytest.mark.parametrize("sold", [{"title": title} for title in (*HOSTILE, "", None)], indirect=True)
def test_nothing_that_products_are_called_harms_a_poster(hat: Hat) -> None:
    with_picture = seen(hat.poster())
    hat.serve(b"", 404)
    hat.clock.add(8 * 86_400)  # the picture is kept for a week
    without = seen(hat.poster())
    for shown in (with_picture, without):
        assert stays_inside(shown) and len(zxingcpp.read_barcodes(shown)) == 1
    assert is_red(with_picture) and not is_red(without)


def test_a_host_of_pictures_that_is_away_is_asked_for_none_of_its_pictures(context: Context, roads: Roads) -> None:
    posters = show_poster.Posters(context)
    roads.names["cdn.example.com"] = ["93.184.215.1"]
    with pytest.raises(AssertionError, match="left for"):
        posters._picture("https://cdn.example.com/0.png")
    roads.names.clear()
    for number in range(3):
        assert posters._picture(f"https://cdn.example.com/{number}.png") is None
    assert list(posters._failed) == ["cdn.example.com"]
