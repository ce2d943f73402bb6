"""Addresses that no page of ours ever wrote: whatever stands in their path or query, none of them is answered 500."""

from typing import Any
from urllib.parse import quote

import pytest
from flask import url_for

from admin_ui import assets
from tests.admin_ui import test_every_page, test_every_sharers_page
from tests.admin_ui.desk import Browser, member
from tests.admin_ui.office import Office
from tests.admin_ui.seat import set_program, sharer_browser
from tests.admin_ui.small_shop import Lively, calm_shop
from tests.world import World

pytestmark = pytest.mark.past(made_by=calm_shop)

# What a column of text, a number of ours, a name of a file and a key of the database cannot be.
ODD = ("\0", "a\0b", "9" * 5_000, "٣", "A" * 300, "..", "%")
# Names that url_for takes for its own, and those of the parts of our own addresses.
NAMES = ("endpoint", "_external", "_scheme", "_method", "_anchor", "shop", "sharer", "order", "ticket", "self", "q", "")

MARK = "4711"  # where something odd is put


@pytest.fixture
def shop(began: Lively) -> Lively:
    """Give the shop in which everything has happened, and which whoever wants may join."""
    set_program(began.shop.world, began.shop, join_mode="open")
    return began


def every_rule(world: World, shop: Lively) -> list[tuple[str, dict[str, Any]]]:
    """Return every route that is looked at by GET, with an example of each part of its address."""
    known = {
        "shop": shop.shop.key, "shop_key": shop.shop.key, "sharer": shop.sharer, "sharer_id": shop.sharer,
        "order": shop.order, "payout": shop.payout, "link": shop.link, "code": shop.link_code,
    }  # fmt: skip
    found = []
    for rule in world.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.endpoint.partition(".")[0] in ("owner", "as_sharer", "sharer"):
            mine = known | ({"order": shop.line} if "<number:order>" in rule.rule else {})
            found.append((rule.endpoint, {name: mine.get(name, "1") for name in rule.arguments}))
    assert len(found) > 60
    return found


def test_no_part_of_an_address_breaks_a_page(world: World, shop: Lively) -> None:
    owner, guest = member(world), sharer_browser(world, shop.sharer)
    for endpoint, example in every_rule(world, shop):
        browser = guest if endpoint.startswith("sharer.") else owner
        for name in example:
            with world.app.test_request_context():
                address = url_for(endpoint, **example | {name: MARK})
            for odd in ODD:
                asked = address.replace(MARK, quote(odd))
                answer = browser.client.get(asked)
                assert answer.status_code < 500, (asked[:200], answer.status_code)


def test_no_name_in_a_query_breaks_a_page_or_leads_away(world: World, shop: Lively) -> None:
    owner, guest, visitor = member(world), sharer_browser(world, shop.sharer), Browser(world)
    pages = [(owner, test_every_page.path_of(world, rule, shop)) for rule in test_every_page.rules(world, "GET")]
    own = test_every_sharers_page.own(world, "GET")
    pages += [(guest, test_every_sharers_page.path_of(world, rule, shop)) for rule in own]
    pages += [(visitor, f"/join/{shop.shop.key}"), (visitor, "/me/sign-in"), (visitor, "/admin/sign-in")]
    query = "&".join(f"{name}=x" for name in NAMES)
    for browser, address in pages:
        answer = browser.client.get(f"{address}?{query}")
        assert answer.status_code < 500, (address, answer.status_code)
        assert 'href="x:' not in answer.get_data(as_text=True)
        chosen = browser.client.get(f"{address}?lang=ja&{query}")
        assert chosen.status_code in (303, 404), (address, chosen.status_code)
        assert chosen.headers.get("Location", "/").startswith("/"), (address, chosen.headers["Location"])


def test_what_is_wrong_in_a_query_is_overlooked(world: World, shop: Lively) -> None:
    owner = member(world)
    names = ("q", "after", "before", "left", "cursor", "state", "status", "sharer", "since", "until", "month", "report")
    for rule in test_every_page.rules(world, "GET"):
        address = test_every_page.path_of(world, rule, shop)
        for odd in ODD:
            answer = owner.client.get(address, query_string=dict.fromkeys(names, odd))
            assert answer.status_code < 500, (address, odd[:9], answer.status_code)


def test_a_file_of_no_name_of_ours_is_not_there_and_not_remembered(world: World) -> None:
    client = world.app.test_client()
    client.get("/assets/1/passalong.css")
    known = assets._read.cache_info().currsize
    for name in ("A" * 300, "%00", "passalong.css%00", "..", "no-such.css"):
        assert client.get(f"/assets/1/{name}").status_code == 404
    assert assets._read.cache_info().currsize == known


def test_a_shop_is_not_added_at_what_is_no_address(world: World) -> None:
    office = Office(world)
    wanted = {"platform": "generic", "currency": "USD", "timezone": "UTC"}
    for url in ("https://\0", "https://a.example.com/\0", "https://a b.example.com", "https://a.exam\nple.com"):
        page = office.send("/shops/new", wanted | {"url": url}, expect=422).get_data(as_text=True)
        assert "A shop&#39;s address is like https://shop.example.com, without user or query." in page, url
    office.send("/shops/new", wanted | {"url": "https://a.example.com", "name": "Tea\0 House\r\n"})
    assert "Tea House" in office.see("/shops/new")
