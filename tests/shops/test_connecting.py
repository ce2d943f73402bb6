"""Connecting shops: what is tried, what is learned, what the shop is asked to do, and what is said where it cannot."""

import re
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine

from tests.shops import fake_shopify, fake_woocommerce
from tests.shops.fake_shop import SILENCE
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fake_woocommerce import FakeWooCommerce
from tests.world import Clock, Shop, World

WOO_KEYS = {"consumer_key": fake_woocommerce.KEY, "consumer_secret": fake_woocommerce.SECRET}
LONG_AGO = "2020-01-01T00:00:00Z"


def connect(world: World, platform: str, url: str, expect: int = 0, **credentials: str) -> Any:
    """Run ``passalong shop connect``."""
    given = [part for name, value in credentials.items() for part in ("--credential", f"{name}={value}")]
    return world.command("shop", "connect", platform, url, "--starts", LONG_AGO, *given, expect=expect)


def connected(world: World, platform: str, url: str, secret: str, **credentials: str) -> Shop:
    """Connect a shop that pays ten percent of everything."""
    made = connect(world, platform, url, **credentials)
    shop = Shop(world, made | {"webhook_secret": secret})
    shop.plan()
    return shop


def test_a_woocommerce_shop_is_connected_whole(world: World, woo: FakeWooCommerce) -> None:
    made = connect(world, "woocommerce", woo.url, **WOO_KEYS)
    assert (made["name"], made["currency"], made["timezone"]) == ("Hats & more", "USD", "Asia/Taipei")
    assert made["added"] and made["webhook_url"].endswith(f"/webhooks/{made['key']}")
    topics = {hook["topic"]: hook["state"] for hook in made["webhooks"]}
    assert set(topics.values()) == {"made"} and {"order.created", "order.updated", "order.deleted"} <= topics.keys()
    assert {hook["delivery_url"] for hook in woo.webhooks.values()} == {made["webhook_url"]}
    (secret,) = set(woo.secrets.values())
    shop = Shop(world, made | {"webhook_secret": secret})
    assert woo.send(shop, "order.created", woo.place(("10.00", "0.00", 1))) == 200
    again = connect(world, "woocommerce", woo.url)  # the keys are known
    assert again["key"] == made["key"] and not again["added"]
    assert {hook["state"] for hook in again["webhooks"]} == {"kept"}
    (listed,) = world.command("shop", "list")["shops"]
    assert listed["key"] == made["key"] and listed["reconciled"]["trouble"] is None


def test_a_shop_of_shopify_is_connected_with_a_token(world: World, shopify: FakeShopify) -> None:
    made = connect(world, "shopify", shopify.url, access_token=fake_shopify.TOKEN)
    assert (made["name"], made["currency"], made["timezone"]) == ("Hats", "USD", "America/New_York")
    assert {hook["topic"] for hook in shopify.webhooks.values()} == {hook["topic"] for hook in made["webhooks"]}
    assert {"orders/create", "orders/updated", "refunds/create", "orders/edited", "app/uninstalled"} <= {
        hook["topic"] for hook in made["webhooks"]
    }


def test_client_credentials_are_exchanged_and_sign_the_webhooks(
    world: World, shopify: FakeShopify, clock: Clock
) -> None:
    """They are exchanged for a token that is used until it ends, and once more when it ends early."""
    keys = {"client_id": fake_shopify.CLIENT, "client_secret": fake_shopify.SECRET}
    shop = connected(world, "shopify", shopify.url, fake_shopify.SECRET, **keys)
    alice = shop.sharer("alice")
    number = shopify.place("100.00", token=shop.click(shop.link(alice)))
    assert shopify.send(shop, "orders/create", number) == 200
    clock.add(60)
    assert shopify.send(shop, "refunds/create", shopify.refund(number, 0)) == 200
    world.work()
    assert shop.balance(alice)["pending"] == "0.00" and shopify.granted == 1
    shopify.tokens.clear()
    clock.add(60)
    shopify.cancel(number)
    shopify.send(shop, "orders/edited", {"order_edit": {"id": 1, "order_id": number}})
    world.work()
    assert shop.see(str(number))["status"] == "cancelled" and shopify.granted == 2
    world.books()


def test_what_waited_for_credentials_is_asked_about_then(world: World, shopify: FakeShopify) -> None:
    shop = world.shop("shopify", url=shopify.url, secret=fake_shopify.SECRET)
    shop.plan()
    alice = shop.sharer("alice")
    number = shopify.place("100.00", "50.00", token=shop.click(shop.link(alice)))
    shopify.send(shop, "refunds/create", shopify.refund(number, 1))
    world.work()
    (waiting,) = world.command("deliveries", "--state", "waiting")["deliveries"]
    assert "no credentials" in waiting["reason"]
    assert connect(world, "shopify", shopify.url, access_token=fake_shopify.TOKEN)["key"] == shop.key
    world.work()
    assert shop.balance(alice)["pending"] == "10.00"
    assert world.command("deliveries", "--state", "waiting")["deliveries"] == []
    world.books()


# -- what is wrong, and where to mend it -------------------------------------------------------------------------------

def test_four_faults_of_woocommerce_and_their_sentences(world: World, woo: FakeWooCommerce) -> None:
    told = connect(world, "woocommerce", woo.url, 1, **WOO_KEYS | {"consumer_key": "ck_wrong"})
    assert "does not accept the consumer key" in told and "Advanced → REST API" in told
    woo.may_only_read = True
    told = connect(world, "woocommerce", woo.url, 1, **WOO_KEYS)
    assert "may only read" in told and "read and write" in told
    woo.may_only_read = False
    woo.namespaces.remove("wc/v3")
    assert "without WooCommerce" in connect(world, "woocommerce", woo.url, 1, **WOO_KEYS)
    woo.namespaces.append("wc/v3")
    names, woo.namespaces = woo.namespaces, 7  # type: ignore[assignment]
    assert "no REST API of WordPress" in connect(world, "woocommerce", woo.url, 1, **WOO_KEYS)
    woo.namespaces = names
    woo.faults.append(404)
    assert "Settings → Permalinks" in connect(world, "woocommerce", woo.url, 1, **WOO_KEYS)
    woo.faults.append(301)
    assert "leads on to another address" in connect(world, "woocommerce", woo.url, 1, **WOO_KEYS)
    woo.faults.append(SILENCE)
    assert "broke off" in connect(world, "woocommerce", woo.url, 1, **WOO_KEYS)
    woo.close()
    assert "refuses" in connect(world, "woocommerce", woo.url, 1, **WOO_KEYS)


def test_four_faults_of_shopify_and_their_sentences(world: World, shopify: FakeShopify) -> None:
    told = connect(world, "shopify", shopify.url, 1, access_token="shpat_ended")
    assert "does not accept the access token" in told and "Install the app" in told
    told = connect(world, "shopify", shopify.url, 1, client_id="x", client_secret=fake_shopify.SECRET)
    assert "does not accept the client id and secret" in told
    shopify.scopes.remove("read_orders")
    told = connect(world, "shopify", shopify.url, 1, access_token=fake_shopify.TOKEN)
    assert "lacks read_orders" in told and "scopes" in told
    shopify.scopes.append("read_orders")
    for status, sentence in ((404, "no shop of Shopify's"), (402, "frozen"), (500, "status 500")):
        shopify.faults.append(status)
        assert sentence in connect(world, "shopify", shopify.url, 1, access_token=fake_shopify.TOKEN)
    shopify.close()
    assert "refuses" in connect(world, "shopify", shopify.url, 1, access_token=fake_shopify.TOKEN)


def test_no_sentence_holds_a_secret_and_no_shop_is_left_behind(world: World, woo: FakeWooCommerce) -> None:
    keys = {"consumer_key": "ck_canary_1", "consumer_secret": "cs_canary_2"}
    told = connect(world, "woocommerce", woo.url, 1, **keys)
    assert not re.search("canary", told) and world.command("shop", "list")["shops"] == []


def test_what_is_missing_here_is_said_before_anything_is_asked(world: World, woo: FakeWooCommerce) -> None:
    assert "consumer_key and consumer_secret" in connect(world, "woocommerce", woo.url, 1)
    assert "cannot be asked" in connect(world, "generic", "https://shop.example.com", 1)
    assert "PASSALONG_BASE_URL" in connect(world, "woocommerce", "https://shop.example.com", 1, **WOO_KEYS)
    assert woo.asked == []


# -- keys that the shop's own page grants ------------------------------------------------------------------------------

PUBLIC = "https://pay.example.com"


def asked_for(world: World, woo: FakeWooCommerce) -> dict[str, str]:
    """Run the command without keys, and return what the page it names is asked for."""
    object.__setattr__(world.context, "settings", replace(world.context.settings, base_url=PUBLIC))
    told = connect(world, "woocommerce", woo.url, 1)
    (address,) = re.findall(r"https?://\S+/wc-auth/v1/authorize\?\S+", told)
    assert address.startswith(woo.url)
    return dict(parse_qsl(urlsplit(address).query))


def grant(world: World, page: dict[str, str], **said: Any) -> Any:
    """Send keys to where the page was asked to send them, as WooCommerce does."""
    keys = {"key_id": 1, "user_id": page["user_id"], "key_permissions": "read_write"} | WOO_KEYS | said
    return world.client.post(page["callback_url"].removeprefix(PUBLIC), json=keys)


def test_keys_that_the_owner_grants_in_the_shop_connect_it(world: World, woo: FakeWooCommerce) -> None:
    page = asked_for(world, woo)
    assert (page["app_name"], page["scope"]) == ("Passalong", "read_write")
    answer = grant(world, page)
    assert answer.status_code == 200 and answer.get_json()["connected"]
    (listed,) = world.command("shop", "list")["shops"]
    assert (listed["key"], listed["name"]) == (answer.get_json()["shop"], "Hats & more") and len(woo.webhooks) == 5
    back = world.client.get(page["return_url"].removeprefix(PUBLIC) + "?success=1&user_id=passalong")
    assert back.status_code == 200 and back.text.count("<section") == 4


def test_what_is_no_grant_connects_nothing(world: World, woo: FakeWooCommerce) -> None:
    page = asked_for(world, woo)
    wrong: list[tuple[Any, int, str]] = [
        (grant(world, page, consumer_key="ck_other"), 502, "shop_refused"),
        (grant(world, page, key_permissions="read"), 422, "malformed"),
        (grant(world, page, consumer_key=None), 422, "malformed"),
        (grant(world, page, consumer_secret="x" * 5_000), 422, "bad_grant"),
        (grant(world, page | {"callback_url": page["callback_url"] + "x"}), 404, "unknown_grant"),
        (grant(world, page | {"callback_url": f"{PUBLIC}/connect/nothing"}), 404, "unknown_grant"),
        (world.client.post(page["callback_url"].removeprefix(PUBLIC), data=b"\xff{"), 422, "malformed"),
    ]
    assert [(answer.status_code, answer.get_json()["code"]) for answer, *_ in wrong] == [one[1:] for one in wrong]
    assert world.command("shop", "list")["shops"] == []


@pytest.mark.parametrize("seconds", [3_700, -60])
def test_a_grant_is_good_for_an_hour_and_not_from_the_future(
    world: World, woo: FakeWooCommerce, seconds: int
) -> None:
    page = asked_for(world, woo)
    with time_machine.travel(time.time() + seconds, tick=False):
        assert grant(world, page).status_code == 404
    assert grant(world, page).status_code == 200
