"""Sharing: products, channels and codes, each with a link that is one's own and counts."""

import json
import re
from typing import Any

import pytest
from sqlalchemy import select

from plugin.models import product
from plugin.models import shop as shops
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.seat import sharer_browser
from tests.admin_ui.test_sharers import text_of
from tests.world import Shop, World

XSS = '"><script>alert(1)</script>'


def know(shop: Shop, *products: dict[str, Any]) -> None:
    """Let the shop have told of products."""
    with shop.world.context.database.writing() as connection:
        number = connection.execute(select(shops.c.id).where(shops.c.key == shop.key)).scalar_one()
        for one in products:
            body = {"title": None, "picture": None, "url": None, "price": None, "currency": None} | one
            row = {"shop_id": number, "ref": one["id"], "at": 1, "body": json.dumps(body, ensure_ascii=False)}
            connection.execute(product.insert().values(row))


def tea(name: str, **details: Any) -> dict[str, Any]:
    """Return a product as a shop tells of it."""
    return {"id": name, "title": f"Tea {name}", "url": f"https://shop.example.com/p/{name}"} | details


@pytest.fixture
def alice(shop: Shop) -> Browser:
    """Give alice's browser; her own link is made."""
    browser = sharer_browser(shop.world, shop.sharer("alice", codes=["ALICE10", XSS[:20]]))
    browser.post(f"/me/{shop.key}/link", on=f"/me/{shop.key}/")
    return browser


def test_a_product_is_one_tap_away_from_its_link(shop: Shop, alice: Browser) -> None:
    know(shop, tea("one", price="12.50", currency="USD", picture="https://cdn.example/a.png"), tea("x", title=XSS))
    know(shop, tea("bad", picture="javascript:alert(1)", title="Bad picture"), tea("nowhere", url=None))
    page = alice.get(f"/me/{shop.key}/share")
    assert "Tea one" in page and "$12.50" in page and "https://cdn.example/a.png" in page
    assert XSS not in page and "javascript:" not in page and "Tea nowhere" not in page
    where = alice.post(f"/me/{shop.key}/share/product", {"product": "one"}, on=f"/me/{shop.key}/share").location
    again = alice.post(f"/me/{shop.key}/share/product", {"product": "one"}, on=f"/me/{shop.key}/share").location
    assert where == again
    page = alice.get(where)
    (code,) = set(re.findall(r"/s/([A-Za-z0-9_-]{20,})/qr\.svg", page))
    assert shop.world.client.get(f"/s/{code}").location.startswith("https://shop.example.com/p/one?")
    assert shop.world.client.get(f"/s/{code}/qr.svg").status_code == 200
    for ref in ("nowhere", "unknown", ""):
        alice.post(f"/me/{shop.key}/share/product", {"product": ref}, on=f"/me/{shop.key}/share", expect=404)


def test_products_are_searched_and_paged(shop: Shop, alice: Browser) -> None:
    know(shop, *(tea(f"n{number:02d}") for number in range(20)), tea("zz", title="高山烏龍"), tea("ee", title="ÉCLAIR"))
    first = alice.get(f"/me/{shop.key}/share")
    (more,) = re.findall(r'href="([^"]+after=[^"]+)"', first)
    second = alice.get(more.replace("&amp;", "&"))
    titles = re.findall(r">Tea (n[0-9]+)<", first + second)
    assert titles == [f"n{number:02d}" for number in range(20)]
    for query, title in (("烏龍", "高山烏龍"), ("éclair", "ÉCLAIR"), ("TEA N07", "Tea n07")):
        found = alice.get(f"/me/{shop.key}/share?q={query}")
        assert title in found and "Tea n08" not in found
    assert "No product is called like this." in alice.get(f"/me/{shop.key}/share?q={XSS}")
    alice.get(f"/me/{shop.key}/share?q={'x' * 3000}&after=%00&before=zzz")


def test_each_channel_has_one_link_and_the_order_says_so(shop: Shop, alice: Browser) -> None:
    page = f"/me/{shop.key}/share"
    where = alice.post(f"{page}/channel", {"channel": "  LINE  群組 "}, on=page).location
    assert alice.post(f"{page}/channel", {"channel": "LINE 群組"}, on=page).location == where
    assert "LINE 群組" in alice.get(page) and "LINE 群組" in alice.get(where)
    made = next(one for one in shop.world.call("GET", "/links?sharer=shr_1", expect=200)["items"] if one["channel"])
    told = shop.told(shop.order(attributes={"_pa": made["code"]}))
    assert shop.receipt(told["id"])["frozen"]["channel"] == "LINE 群組"
    for wrong in ("", "   ", "x" * 61, "a\x00b"):
        answer = alice.post(f"{page}/channel", {"channel": wrong}, on=page, expect=422)
        assert "at most 60 characters" in answer.get_data(as_text=True)


def test_codes_shown_are_those_held_now(shop: Shop, alice: Browser) -> None:
    page = alice.get(f"/me/{shop.key}/share")
    assert "ALICE10" in page and "&lt;scr" in page
    shop.world.call("PATCH", "/sharers/shr_1", {"codes": []}, expect=200)
    shop.sharer("bob", codes=["ALICE10"])
    assert "ALICE10" not in alice.get(f"/me/{shop.key}/share")


def test_links_of_others_and_of_the_suspended_are_not_shared(shop: Shop, alice: Browser) -> None:
    bob = shop.sharer("bob")
    theirs = shop.link(bob)
    alice.get(f"/me/{shop.key}/links/{theirs['id']}", expect=404)
    for name in ("lnk_999", "lnk_x", "x"):
        alice.get(f"/me/{shop.key}/links/{name}", expect=404)
    assert theirs["code"] not in alice.get(f"/me/{shop.key}/share")
    shop.world.call("PATCH", "/sharers/shr_1", {"status": "suspended"}, expect=200)
    own = shop.world.call("GET", "/links?sharer=shr_1", expect=200)["items"][0]
    assert own["share_url"] not in alice.get(f"/me/{shop.key}/links/{own['id']}") + alice.get(f"/me/{shop.key}/share")
    know(shop, tea("one"))
    alice.post(f"/me/{shop.key}/share/product", {"product": "one"}, on=f"/me/{shop.key}/", expect=409)


def test_the_clicks_on_each_link_stand_beside_it(world: World, shop: Shop, alice: Browser) -> None:
    followed, plain = shop.link("shr_1", channel="line"), shop.link("shr_1", channel="blog")
    for _ in range(3):
        shop.click(followed)
    shop.click(plain)
    world.app.extensions["passalong"].clicks.stop()
    links = {one["channel"]: one["clicks"] for one in world.call("GET", "/links?sharer=shr_1", expect=200)["items"]}
    assert (links["line"], links["blog"]) == (3, 1)
    for page in (
        alice.get(f"/me/{shop.key}/share"),
        member(world).get(f"/admin/{shop.key}/sharers/shr_1"),
    ):
        assert "3 clicks" in page and "1 click<" in page
    assert world.call("POST", "/links", {"sharer": "shr_1"}, expect=201)["clicks"] == 0


def test_products_are_spoken_of_where_the_shop_tells_of_them(world: World, shop: Shop, alice: Browser) -> None:
    assert "Products" not in text_of(alice.get(f"/me/{shop.key}/share"))
    hats = world.shop("shopify", url="https://hats.example.com", secret="s" * 20)
    bob = sharer_browser(world, hats.sharer("bob"))
    bob.post(f"/me/{hats.key}/link", on=f"/me/{hats.key}/")
    assert "Products appear here once they were sold." in text_of(bob.get(f"/me/{hats.key}/share"))
