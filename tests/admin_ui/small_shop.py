"""A shop in which something has happened of everything the pages show, every text of it hostile."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from plugin.models import orders
from tests.world import LONG_AGO, Shop, World

# What must only ever be text, whatever it stands in: HTML, an attribute, a script, an address.
HOSTILE = "\"'><img src=x onerror=alert(1)></script>{{7*7}}"
RAW = ("<img src=x", "onerror=alert(1)>", "</script>{{", "&lt;/script&gt;49")


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


def lively(world: World) -> Lively:
    """Make the shop: clicks, orders in every state, a refund, a payout, somebody who waits, what nobody understood."""
    shop = world.shop(name=f"Tea {HOSTILE}", url="https://tea.example.com")
    shop.plan({"commission": {"default": {"percent": "10"}}, "upline": {"percents": ["2"]}})
    code = f"A{HOSTILE[:20]}"
    head = _enrol(shop, "head", f"Head {HOSTILE}")
    alice = _enrol(shop, "alice", HOSTILE, codes=[code], referred_by=head, group=f"g{HOSTILE}")
    pending = _enrol(shop, "pending", f"P {HOSTILE}", status="pending")
    link = shop.link(alice, channel=f"c{HOSTILE}", campaign=f"d{HOSTILE}", url="https://tea.example.com/p?x=1")
    token = shop.click(link)
    line = {"id": "l1", "product_id": "p1", "sku": HOSTILE, "title": HOSTILE, "quantity": 2, "amount": "100.00"}
    refund = {"id": "r1", "amount": "40.00", "lines": [{"line_id": "l1", "quantity": 1, "amount": "40.00"}]}
    for number in range(4):
        order = shop.order(f"o{number}", number=f"#{number}{HOSTILE}", codes=[code], lines=[line])
        shop.deliver(order | {"attributes": {"_pa": token}})
    shop.deliver(shop.order("nobody", referrer_url=f"https://x.example/{HOSTILE}"))
    world.work()
    world.release()
    shop.told(shop.order("o1", codes=[code], updated_at="2026-11-02T10:00:00Z", refunds=[refund]))
    payout = shop.pay()
    shop.deliver(shop.order("late", codes=[code], lines=[line], placed_at="2026-11-20T10:00:00Z"))
    shop.deliver(shop.order("bad", currency=HOSTILE))
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
