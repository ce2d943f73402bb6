"""What chats show of a share link that leads to a product: its name, its picture and a sentence, read off the page."""

from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event

from plugin import recent
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fakes import Fake, open_shop
from tests.world import Clock, Shop, World

BOT = "facebookexternalhit/1.1;line-poker/1.0"


class Head(HTMLParser):
    """What the meta elements of a page say, by name, and which elements there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        self.elements: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.add(tag)
        if tag == "meta" and "content" in found:
            self.said[found.get("property") or found["name"]] = found["content"]


@dataclass
class Pair:
    """A fake shop, which sells hats, and what we know of it."""

    fake: Fake
    shop: Shop
    clock: Clock
    alice: str
    page: str  # where the shop shows a product

    def sell(self, ref: str = "1", **described: Any) -> None:
        """Sell a hat that is described so, by which it becomes known."""
        self.fake.products[ref], self.fake.described[ref] = ["hats"], described
        if isinstance(self.fake, FakeShopify):
            number, topic = self.fake.place("45.01"), "orders/create"
        else:
            number, topic = self.fake.place(("45.01", "0.00", 1)), "order.created"
        self.fake.orders[number]["line_items"][0]["product_id"] = int(ref)
        assert self.fake.send(self.shop, topic, number) == 200
        self.shop.world.work()

    def link(self, path: str | None = None) -> Any:
        """Issue a link to a path of the shop, by default to the hat's page."""
        target = f"{self.fake.url}{self.page if path is None else path}"
        return self.shop.link(self.alice, url=target)

    def preview(self, link: Any, language: str = "en") -> Head:
        """Read what a chat is shown of a link."""
        headers = {"User-Agent": BOT, "Accept-Language": language}
        response = self.shop.world.client.get(f"/s/{link['code']}", headers=headers)
        assert response.status_code == 200
        return Head(response.text)


@pytest.fixture(params=["shopify", "woocommerce"])
def pair(request: pytest.FixtureRequest, world: World) -> Iterator[Pair]:
    """Give a fake shop of each platform that tells of its products."""
    clock = world.stop_clock("2026-11-22T10:00:00Z")
    fake, keys = open_shop(request.param, clock)
    page = "/products/hat-1" if request.param == "shopify" else "/product/hat-1/"
    shop = world.shop(request.param, url=fake.url, name="Hats & more", credentials=keys)
    shop.plan()
    yield Pair(fake, shop, clock, shop.sharer("alice"), page)
    fake.close()


def test_a_link_to_a_product_shows_its_name_its_picture_and_what_it_is(pair: Pair) -> None:
    pair.sell()
    said = pair.preview(pair.link()).said
    assert said["og:title"] == "Hat 1" and said["og:site_name"] == "Hats & more"
    assert said["og:image"] == "https://cdn.example.com/1.png" and said["twitter:card"] == "summary_large_image"
    assert said["og:description"] == said["description"] == "Hat 1 of wool."


def test_a_link_to_a_products_page_with_more_to_it_is_one_to_the_product(pair: Pair) -> None:
    pair.sell()
    for more in ("?variant=2&utm_source=own", "#reviews", "/?a=b"):
        assert pair.preview(pair.link(pair.page.rstrip("/") + more)).said["og:title"] == "Hat 1"


def test_a_link_to_anything_else_shows_the_shop(pair: Pair) -> None:
    pair.sell()
    for path in ("/", "", "/products", "/product/", "/products/hat-10", "/pages/hat-1", "/hat-1"):
        said = pair.preview(pair.link(path)).said
        assert said["og:title"] == "Hats & more" and "og:image" not in said and said["twitter:card"] == "summary"


def test_a_name_in_other_letters_is_found_however_its_address_is_written(pair: Pair) -> None:
    if isinstance(pair.fake, FakeShopify):
        pair.sell(handle="\u5e3d\u5b50", onlineStoreUrl=None)
    else:
        pair.sell(permalink="https://hats.example.com/products/%e5%b8%bd%e5%ad%90/")
    for path in ("/products/\u5e3d\u5b50", "/products/%E5%B8%BD%E5%AD%90", "/products/%e5%b8%bd%e5%ad%90/"):
        assert pair.preview(pair.link(path)).said["og:title"] == "Hat 1"


def test_a_shopify_product_is_the_same_below_a_language_and_a_collection(pair: Pair) -> None:
    pair.sell()
    title = pair.preview(pair.link("/zh-tw/collections/all/products/hat-1")).said["og:title"]
    assert title == ("Hat 1" if isinstance(pair.fake, FakeShopify) else "Hats & more")


HOSTILE = "\"><script>alert(1)</script>' & </title> {name} {0.__class__}"


def test_what_a_product_says_is_shown_as_text(pair: Pair) -> None:
    names = ("title", "description") if isinstance(pair.fake, FakeShopify) else ("name", "unused")
    pair.sell(**dict.fromkeys(names, HOSTILE))
    head = pair.preview(pair.link())
    assert head.said["og:title"] == HOSTILE and "script" not in head.elements
    assert head.said["og:description"] == (HOSTILE if isinstance(pair.fake, FakeShopify) else "Hat 1 of wool.")


PICTURES = (
    "http://cdn.example.com/1.png", "//cdn.example.com/1.png", "javascript:alert(1)", "data:image/png;base64,AAAA",
    "https://cdn.example.com/\"><script>", "https://user@cdn.example.com/1.png", "https:///1.png", "https://a/ b", "x",
    "https://cdn.example.com/1.png\nX: y", "https://cdn.example.com/" + "x" * 2_001,
)  # fmt: skip


def test_only_a_picture_that_is_had_by_https_is_shown(pair: Pair) -> None:
    for number, address in enumerate(PICTURES, 1):
        if isinstance(pair.fake, FakeShopify):
            pair.sell(f"{number}", featuredMedia={"preview": {"image": {"url": address}}})
        else:
            pair.sell(f"{number}", images=[{"src": address}])
        head = pair.preview(pair.link(pair.page.replace("hat-1", f"hat-{number}")))
        assert head.said["og:title"] == f"Hat {number}" and "script" not in head.elements
        assert "og:image" not in head.said and head.said["twitter:card"] == "summary"


def test_a_product_that_says_nothing_is_recommended_in_the_language_asked_for(pair: Pair) -> None:
    if isinstance(pair.fake, FakeShopify):
        pair.sell(description="", featuredMedia=None)
    else:
        pair.sell(short_description="<p> </p>", description="", images=[])
    link = pair.link()
    assert pair.preview(link).said["og:description"].startswith("Someone recommends Hat 1 to you.")
    assert pair.preview(link, "zh-TW").said["og:description"] == "有人向你推薦Hat 1，點開看看。"
    assert pair.preview(link).said["twitter:card"] == "summary"


def test_a_long_description_is_cut(pair: Pair) -> None:
    told = "Wool. " * 100
    pair.sell(**{"description" if isinstance(pair.fake, FakeShopify) else "short_description": told})
    said = pair.preview(pair.link()).said["og:description"]
    assert said.endswith("…") and len(said) <= 200 and told.startswith(said.removesuffix("…"))


def test_a_preview_looks_a_product_up_once_a_minute(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=lambda: now[0]))
    link, seen = pair.link(), []
    event.listen(
        pair.shop.world.context.database.engine, "after_cursor_execute",
        lambda _connection, _cursor, statement, *_more: "pa_product" in statement and seen.append(statement),
    )  # fmt: skip
    for _ in range(5):
        assert pair.preview(link).said["og:title"] == "Hats & more"
    assert len(seen) == 1
    pair.sell()
    now[0] += 61
    seen.clear()
    for _ in range(5):
        assert pair.preview(link).said["og:title"] == "Hat 1"
    assert len(seen) == 1


def test_the_page_of_the_product_asked_about_last_counts(pair: Pair) -> None:
    """A handle may be given to another product once its first one is gone."""
    address = "https://hats.example.com/product/hat-1/"
    same = {"handle": "hat-1"} if isinstance(pair.fake, FakeShopify) else {"permalink": address}
    pair.sell("1")
    pair.clock.add(2 * 86_400)
    pair.sell("2", **same)
    assert pair.preview(pair.link()).said["og:title"] == "Hat 2"


def test_a_page_too_long_to_be_known_by_is_none(pair: Pair) -> None:
    long = "x" * 300
    path = f"/products/{long}"
    if isinstance(pair.fake, FakeShopify):
        pair.sell(handle=long)
    else:
        pair.sell(permalink=f"https://hats.example.com{path}")
    assert pair.preview(pair.link(path)).said["og:title"] == "Hats & more"
    pair.shop.world.books()


def test_a_person_is_led_to_the_product_as_ever(pair: Pair) -> None:
    pair.sell()
    assert pair.shop.click(pair.link())
