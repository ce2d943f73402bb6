"""A shop in which something has happened of everything the pages show, under names that are hostile or that are not."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from plugin.models import orders
from tests.world import LONG_AGO, Shop, World

# What must only ever be text, whatever it stands in: HTML, an attribute, a script, an address.
HOSTILE = "\"'><img src=x onerror=alert(1)></script>{{7*7}}"
NOW = "2026-11-22T10:00:00Z"
RAW = ("<img src=x", "onerror=alert(1)>", "</script>{{", "&lt;/script&gt;49")


@dataclass(frozen=True)
class Names:
    """What people and shops wrote of everything that has a name."""

    shop: str = f"Tea {HOSTILE}"
    head: str = f"Head {HOSTILE}"
    alice: str = HOSTILE
    pending: str = f"P {HOSTILE}"
    code: str = f"A{HOSTILE[:20]}"
    group: str = f"g{HOSTILE}"
    channel: str = f"c{HOSTILE}"
    campaign: str = f"d{HOSTILE}"
    product: str = HOSTILE
    sku: str = HOSTILE
    number: str = HOSTILE  # ends the number of an order
    referrer: str = f"https://x.example/{HOSTILE}"
    currency: str = HOSTILE  # of the order that nobody understands


WORST = Names()
CALM = Names(
    shop="Tea House 山頂茶行",
    head="Hanako Sato",
    alice="王小明",
    pending="Carol Lee",
    code="MING10",
    group="guides",
    channel="line",
    campaign="spring",
    product="Oolong tea 高山烏龍",
    sku="TEA-1",
    number="",
    referrer="https://line.me/",
    currency="tea leaves",
)


@dataclass(frozen=True)
class Lively:
    """The shop, and one of each thing in it as an address names it."""

    shop: Shop
    sharer: str
    pending: str
    order: str
    payout: str
    item: str
    delivery: str
    link_code: str
    # Of the sharer's own pages: the order by our number, their payment and their link.
    line: str
    own_item: str
    link: str


def worst_shop(world: World) -> Lively:
    """Begin at a time when everything in that shop was long ago, under the worst names."""
    world.stop_clock(NOW)
    return lively(world)


def calm_shop(world: World) -> Lively:
    """Begin so, but under names as people have them."""
    world.stop_clock(NOW)
    return lively(world, CALM)


def lively(world: World, names: Names = WORST) -> Lively:
    """Make the shop: clicks, orders in every state, a refund, a payout, somebody who waits, what nobody understood."""
    shop = world.shop(name=names.shop, url="https://tea.example.com")
    shop.plan({"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}})
    head = _enrol(shop, "head", names.head)
    alice = _enrol(shop, "alice", names.alice, codes=[names.code], referred_by=head, group=names.group)
    pending = _enrol(shop, "pending", names.pending, status="pending")
    link = shop.link(alice, channel=names.channel, campaign=names.campaign, url="https://tea.example.com/p?x=1")
    token = shop.click(link)
    line = {"id": "l1", "product_id": "p1", "sku": names.sku, "title": names.product, "quantity": 2, "amount": "100.00"}
    refund = {"id": "r1", "amount": "40.00", "lines": [{"line_id": "l1", "quantity": 1, "amount": "40.00"}]}
    for number in range(4):
        order = shop.order(f"o{number}", number=f"#{number}{names.number}", codes=[names.code], lines=[line])
        shop.deliver(order | {"attributes": {"_pa": token}})
    shop.deliver(shop.order("nobody", referrer_url=names.referrer))
    world.work()
    world.release()
    shop.told(shop.order("o1", codes=[names.code], updated_at="2026-11-02T10:00:00Z", refunds=[refund]))
    payout = shop.pay()
    shop.deliver(shop.order("late", codes=[names.code], lines=[line], placed_at="2026-11-20T10:00:00Z"))
    shop.deliver(shop.order("bad", currency=names.currency))
    world.work()
    quarantined = next(one for one in world.deliveries() if one["state"] == "quarantined")
    (mine,) = [item["id"] for item in payout["items"] if item["sharer"] == alice]
    return Lively(
        shop, alice, pending, "o1", payout["id"], payout["items"][0]["id"], quarantined["id"], link["code"],
        line=_number_of(world, "o1"), own_item=mine, link=link["id"],
    )  # fmt: skip


def _number_of(world: World, ref: str) -> str:
    with world.context.database.reading() as connection:
        return str(connection.execute(select(orders.c.id).where(orders.c.ref == ref)).scalar_one())


def _enrol(shop: Shop, name: str, shown: str, **details: Any) -> str:
    body = {"shop": shop.key, "email": f"{name}@example.org", "name": shown, "since": LONG_AGO, **details}
    made: str = shop.world.call("POST", "/sharers", body, expect=201)["id"]
    return made
