"""Case 53: the only servers that are called are those an owner typed in, and nothing that answers can lead elsewhere.

What an address may be, and that a name is looked up once, is in tests/test_outbound.py; here it is seen from the
commands that an owner runs, with shops that lie. Every name that is looked up is written down, and so is every call to
a server that nobody named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from plugin import shops
from plugin.outbound import Outbound
from plugin.shops.base import Connected
from tests.shops import fake_shopify, fake_woocommerce, samples
from tests.shops.fake_shop import FakeShop, Said
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fake_woocommerce import FakeWooCommerce
from tests.world import Clock, World

WOO_KEYS = {"consumer_key": fake_woocommerce.KEY, "consumer_secret": fake_woocommerce.SECRET}
CONNECTED = [(name, names) for name in shops.names() if isinstance(one := shops.get(name), Connected)
             for names in one.credentials]  # fmt: skip


class Canary(FakeShop):
    """A server inside that must never hear of us."""

    def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
        return 200, {}


class Elsewhere(FakeShop):
    """A shop that sends everybody on."""

    status, to = 302, ""

    def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
        return self.status, {}, {"Location": f"{self.to}{path}", "Refresh": f"0; url={self.to}"}


class Lookups:
    """The names that were looked up, and what the names mean here."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self.known: dict[str, list[str]] = {}

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.seen.add((host, port))
        return self.known.get(host, [host])


@pytest.fixture
def lookups(world: World, clock: Clock) -> Lookups:
    """Write down every name that the installation looks up."""
    found = Lookups()
    object.__setattr__(world.context, "outbound", Outbound(resolve=found, now=clock))
    return found


@pytest.fixture
def start(clock: Clock) -> Iterator[Callable[[type[FakeShop]], Any]]:
    """Give what starts a server, which is closed in the end."""
    running: list[FakeShop] = []

    def begin(kind: type[FakeShop]) -> FakeShop:
        running.append(kind(clock))
        return running[-1]

    yield begin
    for one in running:
        one.close()


def connect(world: World, platform: str, url: str, *, expect: int | None = 0, **credentials: str) -> Any:
    """Run ``passalong shop connect``."""
    given = [part for name, value in credentials.items() for part in ("--credential", f"{name}={value}")]
    return world.command("shop", "connect", platform, url, *given, expect=expect)


def place_of(fake: FakeShop) -> tuple[str, int]:
    """Return the host and port of a server."""
    host, _, port = fake.url.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_fault_53_no_redirect_of_a_shop_is_followed(
    world: World, lookups: Lookups, start: Callable[[type[FakeShop]], Any], status: int
) -> None:
    """Neither when it is connected nor when it is asked later, whatever credentials it has."""
    canary, shop = start(Canary), start(Elsewhere)
    shop.status, shop.to = status, canary.url
    for platform, names in CONNECTED:
        keys = {name: f"{name}-of-the-owner" for name in names}
        told = connect(world, platform, shop.url, expect=1, **keys)
        assert told.strip().endswith((".", "shop=NAME.myshopify.com")), told
        known = world.shop(platform, url=shop.url, secret=samples.of(platform).secret, credentials=keys)
        assert "Traceback" not in str(world.command("reconcile", "--shop", known.key, expect=None))
        world.work()
    assert shop.asked and canary.asked == []
    assert lookups.seen == {place_of(shop)}


def test_fault_53_a_link_to_the_next_page_leads_to_the_shop_itself(
    world: World, lookups: Lookups, start: Callable[[type[FakeShop]], Any]
) -> None:
    """Of what such a header says only the cursor is taken."""
    canary = start(Canary)

    class Lying(FakeShopify):
        def _list(self, query: dict[str, str]) -> Said:
            if "page_info" in query:
                return 200, {"orders": []}
            address = f"{canary.url}/admin/api/2026-07/orders.json?limit=250&page_info=next"
            return 200, {"orders": list(self.orders.values())}, {"Link": f'<{address}>; rel="next"'}

    shop = start(Lying)
    shop.place("10.00")
    made = connect(world, "shopify", shop.url, access_token=fake_shopify.TOKEN)
    assert world.command("reconcile", "--shop", made["key"])["found"] == 1
    assert canary.asked == [] and lookups.seen == {place_of(shop)}


def test_fault_53_webhooks_of_others_and_strange_ids_lead_nowhere(
    world: World, lookups: Lookups, start: Callable[[type[FakeShop]], Any]
) -> None:
    """A hook that delivers elsewhere is none of ours; an id that is a path stays on the shop's own host."""
    canary, shop = start(Canary), start(FakeWooCommerce)
    elsewhere = {"topic": "order.created", "delivery_url": f"{canary.url}/webhooks/x", "status": "disabled"}
    shop.webhooks |= {1: {"id": f"@{place_of(canary)[0]}/x"} | elsewhere, 2: {"id": f"//{canary.url}"} | elsewhere}
    made = connect(world, "woocommerce", shop.url, **WOO_KEYS)
    assert {hook["state"] for hook in made["webhooks"]} == {"made"}
    again = {"topic": "order.restored", "delivery_url": made["webhook_url"], "status": "disabled"}
    shop.webhooks = {9: {"id": f"@{canary.url}/#"} | again}
    connect(world, "woocommerce", shop.url, expect=None, **WOO_KEYS)
    assert canary.asked == [] and lookups.seen == {place_of(shop)}


@pytest.mark.parametrize(
    "name",
    [
        "{canary}/.myshopify.com", "{canary}#.myshopify.com", "{canary}?.myshopify.com", "x@{canary}/.myshopify.com",
        "{canary}\\.myshopify.com", "hats.myshopify.com@{canary}", "hats.myshopify.com:443@{canary}/.myshopify.com",
        "hats.myshopify.com.{canary}", "evil.example/hats.myshopify.com", ".myshopify.com", "a.b.myshopify.com", "",
        "hats.myshopify.com\n", "hats\u3002myshopify.com", "[::1].myshopify.com", "{canary}",
    ],
)  # fmt: skip
def test_fault_53_what_a_shop_says_to_be_its_name_leads_nowhere_else(
    world: World, lookups: Lookups, start: Callable[[type[FakeShop]], Any], name: str
) -> None:
    """The token would go with it."""
    canary = start(Canary)
    told = name.format(canary="{}:{}".format(*place_of(canary)))

    class Lying(FakeShopify):
        def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
            said = super().answer(method, path, query, headers, body)
            if path.endswith("/shop.json"):
                said[1]["shop"]["myshopify_domain"] = told
            return said

    shop = start(Lying)
    made = connect(world, "shopify", shop.url, access_token=fake_shopify.TOKEN)
    assert world.command("reconcile", "--shop", made["key"])["missing"] == 0
    assert canary.asked == [] and lookups.seen == {place_of(shop)}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "192.168.1.1", "fd00::1"]
)
def test_fault_53_a_name_that_the_owner_did_not_type_may_not_be_inside(
    world: World, lookups: Lookups, start: Callable[[type[FakeShop]], Any], address: str
) -> None:
    """Only the very address that was typed in is trusted; DNS may say of the shop's own name what it likes."""

    class Named(FakeShopify):
        def answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: Any) -> Said:
            said = super().answer(method, path, query, headers, body)
            if path.endswith("/shop.json"):
                said[1]["shop"]["myshopify_domain"] = "hats.myshopify.com"
            return said

    shop = start(Named)
    lookups.known["hats.myshopify.com"] = ["93.184.216.34", address]
    told = connect(world, "shopify", shop.url, expect=1, access_token=fake_shopify.TOKEN)
    assert "not in the public internet" in told
    assert lookups.seen == {place_of(shop), ("hats.myshopify.com", 443)}


def test_fault_53_an_address_that_is_none_of_a_web_server_is_refused(world: World, lookups: Lookups) -> None:
    """Before anything is looked up, and no shop is left behind."""
    for url in (
        "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_", "javascript:alert(1)", "127.0.0.1",
        "http://", "//127.0.0.1/", "http://user:password@127.0.0.1/", "http://127.0.0.1/?to=x", "http://127.0.0.1/#x",
        "http://[::1", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "unix:/run/x", "",
    ):  # fmt: skip
        for platform, names in CONNECTED:
            told = connect(world, platform, url, expect=1, **dict.fromkeys(names, "given-by-the-owner"))
            assert told.strip().endswith("."), told
    assert lookups.seen == set() and world.command("shop", "list")["shops"] == []


def test_fault_53_the_address_that_the_owner_typed_may_be_inside(
    world: World, lookups: Lookups, start: Callable[[type[FakeShop]], Any]
) -> None:
    """A shop on the same machine or in the same house is a usual one, and its name is looked up anew for each call."""
    shop = start(FakeWooCommerce)
    _, port = place_of(shop)
    lookups.known["shop.lan"] = ["127.0.0.1"]
    made = connect(world, "woocommerce", f"http://shop.lan:{port}", expect=None, **WOO_KEYS)
    told = str(made)
    assert "PASSALONG_BASE_URL" in told or made["added"]
    assert connect(world, "woocommerce", shop.url, **WOO_KEYS)["added"]
