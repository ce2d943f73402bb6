"""Connecting a shop by its page: the light names what came last, and keys make a shop of a platform whole."""

import base64
import hmac
import json
import re

import pytest

from plugin.services import store_delivery
from tests.admin_ui.desk import Browser, member
from tests.shops import fake_shopify, fake_woocommerce
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fake_woocommerce import FakeWooCommerce
from tests.world import Clock, Shop, World

MINUTE = 60
CLIENT = {"client_id": fake_shopify.CLIENT, "client_secret": fake_shopify.SECRET}


@pytest.fixture
def owner(world: World, clock: Clock) -> Browser:
    """Give the browser of an owner; the clock stands."""
    return member(world)


def light(owner: Browser, shop: Shop) -> str:
    """Return what the light of a shop says."""
    page = owner.get(f"/admin/{shop.key}/connect/light", HX_Request="true")
    found = re.search(r"<strong>(.*?)</strong>", page)
    assert found, page
    return found[1]


def polls(owner: Browser, shop: Shop) -> bool:
    """Tell whether the light asks for itself again."""
    return "hx-trigger" in owner.get(f"/admin/{shop.key}/connect/light", HX_Request="true")


# --- the light ------------------------------------------------------------------------------------------------------


def test_the_light_turns_green_with_the_first_signed_delivery_and_says_when_an_order_is_credited(
    world: World, owner: Browser
) -> None:
    shop = world.shop()
    shop.plan()
    assert light(owner, shop) == "Nothing came yet" and polls(owner, shop)
    shop.deliver(shop.order())
    assert light(owner, shop) == "A delivery came and is being read" and polls(owner, shop)
    world.work()
    assert light(owner, shop) == "Connected" and polls(owner, shop)
    link = shop.link(shop.sharer())
    shop.told(shop.order(attributes={"_pa": link["code"]}))
    assert light(owner, shop) == "Connected, and orders are credited" and not polls(owner, shop)


def test_the_light_says_why_a_delivery_was_refused_and_one_that_holds_puts_it_right(
    world: World, owner: Browser, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_delivery, "REFUSAL_SECONDS", 0.0)
    shop, other = world.shop(), world.shop()
    body = json.dumps({"type": "order", "data": shop.order()}).encode()
    for headers, sentence in (
        ({"Content-Type": "application/json"}, "It was not signed"),
        (other.signed(body), "Its signature does not match"),
        (shop.signed(body, at=clock.at // 1_000_000 - 6 * MINUTE), "more than five minutes off"),
        (shop.signed(body) | {"webhook-timestamp": "soon"}, "Its signature does not match"),
    ):
        clock.add(1)
        assert shop.post(body, headers).status_code == 401
        assert light(owner, shop) == "A delivery was refused"
        assert sentence in owner.get(f"/admin/{shop.key}/connect")
        assert light(owner, other) == "Nothing came yet"
    clock.add(1)
    shop.told(shop.order())
    assert light(owner, shop) == "Connected"


def test_of_many_refusals_at_once_only_the_first_is_written_down(world: World, owner: Browser, clock: Clock) -> None:
    shop = world.shop()
    shop.post(b"{}", {"Content-Type": "application/json"})
    clock.add(1)
    for _ in range(20):
        assert shop.post(b"{}", shop.signed(b"[]")).status_code == 401
    assert "It was not signed" in owner.get(f"/admin/{shop.key}/connect")


def test_another_shops_delivery_under_the_same_secret_is_named(world: World, owner: Browser) -> None:
    shop = world.shop("shopify", url="https://hats.myshopify.com")
    body = b"{}"
    digest = base64.b64encode(hmac.digest(shop.secret.encode(), body, "sha256")).decode()
    headers = {"X-Shopify-Hmac-Sha256": digest, "X-Shopify-Shop-Domain": "caps.myshopify.com"}
    assert shop.post(body, headers | {"X-Shopify-Topic": "orders/create"}).status_code == 401
    assert "It came from another shop" in owner.get(f"/admin/{shop.key}/connect")


def test_a_delivery_that_cannot_be_understood_is_named_with_its_reason(world: World, owner: Browser) -> None:
    shop = world.shop()
    body = b'{"type": "parcel"}'
    assert shop.post(body, shop.signed(body)).status_code == 200
    world.work()
    assert light(owner, shop) == "A delivery came, but it cannot be understood" and polls(owner, shop)
    assert "The type is not &#34;order&#34;." in owner.get(f"/admin/{shop.key}/connect")


def test_a_light_that_is_as_the_page_knows_it_sends_nothing(world: World, owner: Browser) -> None:
    shop = world.shop()
    page = owner.get(f"/admin/{shop.key}/connect")
    found = re.search(r'hx-get="([^"]+)"', page)
    assert found
    again = found[1].replace("&amp;", "&")
    assert owner.get(again, expect=204, HX_Request="true") == ""
    shop.deliver(shop.order())
    assert "is being read" in owner.get(again, HX_Request="true")
    owner.get(again, expect=303)  # whoever opens the part alone is led to the page


# --- by hand --------------------------------------------------------------------------------------------------------


def test_the_page_shows_address_secret_and_line_to_owners_alone(world: World, clock: Clock) -> None:
    shop = world.shop(name="<b>Hats</b>")
    page = member(world).get(f"/admin/{shop.key}/connect")
    for text in (f"/webhooks/{shop.key}", shop.secret.replace("+", "&#43;"), f"/pa/{shop.key}.js"):
        assert text in page or text.replace("&#43;", "+") in page
    assert "<b>Hats" not in page
    for role in ("manager", "payer", "viewer"):
        member(world, role).get(f"/admin/{shop.key}/connect", expect=403)
        member(world, role).get(f"/admin/{shop.key}/connect/light", expect=403)


def test_a_new_shop_leads_to_its_connection_and_keeps_currency_and_zone(world: World, clock: Clock) -> None:
    owner = member(world, language="zh-TW")
    form = owner.get("/admin/shops/new")
    assert '<option value="TWD" selected>' in form and '<option value="Asia/Taipei" selected>' in form
    shop = new_shop(owner, "generic", "https://tea.example.com", currency="TWD", timezone="Asia/Taipei")
    (listed,) = world.command("shop", "list")["shops"]
    assert (listed["key"], listed["currency"], listed["timezone"]) == (shop.key, "TWD", "Asia/Taipei")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://x"}, "url"),
        ({"currency": "XXZ"}, "currency"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"platform": "fax"}, "platform"),
    ],
)
def test_what_is_wrong_with_a_new_shop_stands_at_its_field(
    world: World, owner: Browser, changes: dict[str, str], field: str
) -> None:
    form = {"platform": "generic", "url": "https://tea.example.com", "currency": "USD", "timezone": "UTC"} | changes
    page = owner.post("/admin/shops/new", form, expect=422).get_data(as_text=True)
    assert f'id="{field}-error"' in page
    assert world.command("shop", "list")["shops"] == []


# --- by keys --------------------------------------------------------------------------------------------------------


def new_shop(owner: Browser, platform: str, url: str, **form: str) -> Shop:
    """Add a shop by its page and return it, with the secret that its connection page shows."""
    answer = owner.post("/admin/shops/new", {"platform": platform, "url": url, **form})
    path = answer.headers["Location"].partition("?")[0]
    page = owner.get(path)
    secret = re.search(r'id="webhook-secret">([^<]+)<', page)
    assert secret, page
    key = path.split("/")[2]
    return Shop(owner.world, {"key": key, "webhook_secret": secret[1].replace("&#43;", "+")})


def send_keys(owner: Browser, shop: Shop, keys: dict[str, str], *, expect: int = 303) -> str:
    """Give the keys of a shop's API on its connection page."""
    path = f"/admin/{shop.key}/connect"
    return owner.post(f"{path}/keys", keys, on=path, expect=expect).get_data(as_text=True)


def test_keys_connect_a_shop_of_woocommerce_whose_webhooks_then_arrive(
    world: World, owner: Browser, woo: FakeWooCommerce
) -> None:
    shop = new_shop(owner, "woocommerce", woo.url)
    keys = {"consumer_key": fake_woocommerce.KEY, "consumer_secret": fake_woocommerce.SECRET}
    send_keys(owner, shop, keys)
    assert set(woo.secrets.values()) == {shop.secret}
    assert "Give other keys" in owner.get(f"/admin/{shop.key}/connect")
    assert woo.send(shop, "order.created", woo.place(("10.00", "0.00", 1))) == 200
    world.work()
    assert light(owner, shop) == "Connected"


def _look_up_again(world: World) -> None:
    """Have the door look the shop up anew, as it does by itself after two seconds."""
    world.app.extensions["passalong"].intake.shops._known.clear()


def test_a_client_secret_given_later_is_the_one_that_signs(
    world: World, owner: Browser, shopify: FakeShopify
) -> None:
    shop = new_shop(owner, "shopify", shopify.url)
    send_keys(owner, shop, CLIENT)
    shop = Shop(world, {"key": shop.key, "webhook_secret": fake_shopify.SECRET})
    _look_up_again(world)
    assert shopify.send(shop, "orders/create", shopify.place("10.00")) == 200
    world.work()
    assert light(owner, shop) == "Connected"


def test_wrong_keys_are_told_in_the_shops_own_sentence_and_nothing_is_kept(
    world: World, owner: Browser, woo: FakeWooCommerce
) -> None:
    shop = new_shop(owner, "woocommerce", woo.url)
    page = send_keys(owner, shop, {"consumer_key": "ck_wrong", "consumer_secret": "cs_wrong"}, expect=422)
    assert "consumer key" in page and "cs_wrong" not in page
    assert "Give other keys" not in owner.get(f"/admin/{shop.key}/connect")
    missing = send_keys(owner, shop, {}, expect=422)
    assert "consumer_key" in missing


def test_keys_of_another_shop_are_not_there(world: World, clock: Clock) -> None:
    mine, other = world.shop(), world.shop("woocommerce")
    owner = member(world, shop=mine)
    owner.get(f"/admin/{other.key}/connect", expect=404)
    owner.get(f"/admin/{other.key}/connect/light", expect=404)
    form = {"_form": owner.token(f"/admin/{mine.key}/connect"), "consumer_key": "x", "consumer_secret": "y"}
    owner.send(f"/admin/{other.key}/connect/keys", form, expect=404)
