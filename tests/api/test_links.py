"""Share links over the API."""



from tests.api.fed import FedShop, Installation


def test_a_link_leads_to_the_shop(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer()
    link = shop.link(alice, url="https://shop.example.com/p/1?a=b#c", channel="line", campaign="雙十一")
    assert link["share_url"] == f"{installation.context.settings.base_url}/s/{link['code']}"
    assert len(f"/s/{link['code']}") <= 24
    assert link["target_url"] == "https://shop.example.com/p/1?a=b#c"
    assert (link["sharer"], link["channel"], link["campaign"]) == (alice, "line", "雙十一")


def test_without_an_address_it_leads_home(shop: FedShop) -> None:
    assert shop.link(shop.sharer())["target_url"] == "https://shop.example.com/"


WRONG = [
    ("sharer", "shr_404"),
    ("sharer", None),
    ("url", "https://evil.example/"),
    ("url", "//evil.example"),
    ("url", "https://shop.example.com@evil.example/"),
    ("url", "https://shop.example.com:bad/"),
    ("url", "javascript:alert(1)"),
    ("url", "https://shop.example.com/\r\nX: y"),
    ("url", "https://shop.example.com/" + "x" * 2_000),
    ("channel", "x" * 256),
    ("channel", ""),
    ("campaign", 1),
    ("to", "unknown"),
]


def test_a_wrong_field_is_named(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer()
    for field, value in WRONG:
        body = {"sharer": alice} | {field: value}
        assert list(installation.refused("POST", "/links", body, status=422, code="invalid")["errors"]) == [field]


def test_links_are_listed_newest_first(installation: Installation, shop: FedShop) -> None:
    alice, bob = shop.sharer("alice"), shop.sharer("bob")
    made = [shop.link(alice) for _ in range(3)]
    shop.link(bob)
    page = installation.call("GET", f"/links?sharer={alice}&limit=2", expect=200)
    assert page["items"] == [made[2], made[1]]
    rest = installation.call("GET", f"/links?sharer={alice}&cursor={page['next']}", expect=200)
    assert rest == {"items": [made[0]], "next": None}
    installation.refused("GET", "/links?sharer=shr_99", status=404, code="unknown_sharer")
