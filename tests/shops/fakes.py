"""The fake shops by platform, each with what its owner would give."""

from collections.abc import Callable

from tests.shops import fake_shopify, fake_woocommerce
from tests.shops.fake_shopify import FakeShopify
from tests.shops.fake_woocommerce import FakeWooCommerce

Fake = FakeShopify | FakeWooCommerce


def open_shop(platform: str, clock: Callable[[], int]) -> tuple[Fake, dict[str, str]]:
    """Open a fake shop of that platform; return it with its credentials."""
    if platform == "shopify":
        return FakeShopify(clock), {"access_token": fake_shopify.TOKEN}
    keys = {"consumer_key": fake_woocommerce.KEY, "consumer_secret": fake_woocommerce.SECRET}
    return FakeWooCommerce(clock), keys
