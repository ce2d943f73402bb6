"""A world to measure in: one shop that pays ten percent, its sharers, their links, click tokens and orders.

All of it is made through the product's own services. The same link numbers in every database of one run, so that a
delivery made once is good in all of them.
"""

import base64
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from plugin.database import Database
from plugin.domain.moment import SECOND, format_moment
from plugin.keys import KeyStore
from plugin.migrations import upgrade
from plugin.models import delivery, link, shop
from plugin.services.add_shop import NewShop, add_shop
from plugin.services.context import Context
from plugin.services.enrol_sharer import NewSharer, enrol_sharer
from plugin.services.put_plan import put_plan
from plugin.services.recorder import recording
from plugin.services.store_delivery import Intake
from plugin.settings import load
from plugin.shops import generic
from plugin.signing import make_code, make_token

SHARERS = 200
LINES_MAX = 5
SECRET = "whsec_" + base64.b64encode(b"a secret of the benchmark alone!").decode()
_WORDS = [
    "linen", "cotton", "shirt", "summer", "blue", "green", "wide", "long", "sleeve", "travel", "bag", "canvas",
    "leather", "small", "large", "classic", "roasted", "coffee", "beans", "ethiopia", "tea", "oolong", "mountain",
    "cup", "glass", "hand", "made", "ceramic", "plate", "wool", "scarf", "winter", "warm", "soft", "organic",
    "soap", "pine", "lamp", "oak", "desk", "chair", "paper", "notebook", "ink", "pen", "silver", "ring", "stone",
    "garden", "seed", "rose", "pot",
]


@dataclass(frozen=True, slots=True)
class World:
    """The shop in one database."""

    env: dict[str, str]
    shop_id: int
    shop_key: str
    codes: tuple[str, ...]
    numbers: tuple[int, ...]  # of the links

    def context(self) -> Context:
        """Open the database as the product does."""
        return open_context(self.env)


def env_of(database_url: str, instance: Path) -> dict[str, str]:
    """Return the settings of an installation without workers of its own."""
    return {
        "PASSALONG_DATABASE_URL": database_url,
        "PASSALONG_INSTANCE": str(instance),
        "PASSALONG_WORKERS": "0",
    }


def open_context(env: dict[str, str]) -> Context:
    """Return what the services of an installation are given."""
    settings = load(env)
    return Context(Database(settings.database_url), KeyStore(settings), settings)


def make_world(env: dict[str, str], *, links: int) -> World:
    """Make an empty database ready and fill it with the shop, its sharers and their links."""
    context = open_context(env)
    try:
        upgrade(context.database)
        new = NewShop("generic", "https://shop.example.com", secret=SECRET, starts_at=0)
        made = add_shop(context, new, actor="bench")
        with context.database.reading() as connection:
            shop_id = connection.execute(select(shop.c.id).where(shop.c.key == made["key"])).scalar_one()
        put_plan(context, shop_id, {"commission": {"default": {"percent": "10"}}}, since=0, actor="bench")
        sharers = [
            enrol_sharer(context, shop_id, NewSharer(f"sharer-{one}@example.org", since=0), actor="bench")
            for one in range(SHARERS)
        ]
        numbers = tuple(random.Random(7).sample(range(2**32), links))
        codes = _issue(context, shop_id, sharers, numbers)
    finally:
        context.database.close()
    return World(env, shop_id, made["key"], codes, numbers)


def _issue(context: Context, shop_id: int, sharers: Sequence[int], numbers: Sequence[int]) -> tuple[str, ...]:
    """Issue links in one transaction, as ``issue_link`` does one by one."""
    codes = tuple(make_code(context.keys, shop_id, number) for number in numbers)
    with recording(context, shop_id, actor="bench") as recorder:
        for index, (number, code) in enumerate(zip(numbers, codes, strict=True)):
            row = {"number": number, "sharer_id": sharers[index % len(sharers)], "code": code, "channel": None}
            row |= {"target_url": f"https://shop.example.com/products/{index}?colour=blue", "campaign": None}
            recorder.add_row(link, row | {"created_at": recorder.now})
    return codes


def tokens(world: World, context: Context, at: int) -> list[str]:
    """Return a click token of each sharer's first link."""
    rng = random.Random(11)
    return [
        make_token(context.keys, world.shop_id, number, at, rng.randbytes(8)) for number in world.numbers[:SHARERS]
    ]


def order_text(ref: str, token: str, *, placed_at: int, rng: random.Random, lines: int = 1, size: int = 0) -> str:
    """Return the body of a delivery: a paid order of ``lines`` lines, or as many more as ``size`` bytes take.

    Like what shops send, it also holds things nobody reads: addresses, notes, discounts; lines that make up a ``size``
    are as wordy as those of the large platforms.
    """
    moment = format_moment(placed_at)
    order = {
        "id": ref,
        "number": f"#{ref}",
        "updated_at": moment,
        "placed_at": moment,
        "paid_at": moment,
        "currency": "USD",
        "status": "open",
        "payment": "paid",
        "test": False,
        "customer": {"id": f"c-{ref}", "email": f"buyer-{ref}@example.com", "orders_before": 0},
        "lines": [],
        "shipping": {"amount": "5.00", "tax": "0.00"},
        "total": "120.00",
        "refunds": [],
        "codes": [],
        "attributes": {"_pa": token},
        "landing_url": f"https://shop.example.com/products/x?utm_source=share&pa={token}",
        "referrer_url": "https://social.example.net/",
        "billing_address": _address(rng),
        "shipping_address": _address(rng),
        "note_attributes": [{"name": "gift_wrap", "value": "no"}, {"name": "delivery_window", "value": "morning"}],
        "shipping_lines": [{"code": "STD", "title": "Standard", "carrier": "post", "discount_allocations": []}],
        "client": {"ip": "198.51.100.7", "language": "zh-TW", "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5)"},
    }
    made = [_line(number, rng) for number in range(1, lines + 1)]
    left = size - len(json.dumps(order | {"lines": made}))
    while left > 0:
        made.append(_wordy_line(len(made) + 1, rng))
        left -= len(json.dumps(made[-1]))
    return json.dumps({"type": "order", "data": order | {"lines": made}})


def _address(rng: random.Random) -> dict[str, object]:
    words = " ".join(rng.choices(_WORDS, k=3))
    return {
        "first_name": rng.choice(_WORDS).capitalize(),
        "last_name": rng.choice(_WORDS).capitalize(),
        "address1": f"{rng.randrange(300)} {words} Road",
        "address2": None,
        "city": "Taipei",
        "zip": f"{rng.randrange(1000):03d}",
        "country_code": "TW",
        "phone": f"+886{rng.randrange(10**9):09d}",
        "latitude": "25.03",
        "longitude": "121.56",
    }


def _line(number: int, rng: random.Random) -> dict[str, object]:
    product = rng.randrange(10**10)
    return {
        "id": f"l{number}",
        "product_id": f"p{product}",
        "variant_id": f"v{rng.randrange(10**10)}",
        "sku": f"SKU-{rng.randrange(10**6):06d}",
        "title": " ".join(rng.choices(_WORDS, k=8)).capitalize(),
        "quantity": rng.randint(1, 4),
        "amount": f"{rng.randint(1, 99)}.{rng.randint(0, 99):02d}",
        "tax": f"{rng.randint(0, 9)}.{rng.randint(0, 99):02d}",
        "collections": [rng.choice(_WORDS)],
        "vendor": "Bench",
        "vendor_id": rng.randrange(10**6),
        "properties": [{"name": "group", "value": f"{rng.randrange(16**8):08x}"}],
        "discount_allocations": [{"amount": "1.00", "application": rng.randrange(3)}],
        "tax_lines": [{"title": "VAT", "rate": "0.05", "channel_liable": False}],
    }


def _wordy_line(number: int, rng: random.Random) -> dict[str, object]:
    line = _line(number, rng)
    amount, tax = _money_set(str(line["amount"])), _money_set(str(line["tax"]))
    return line | {
        "admin_graphql_api_id": f"gid://shop/LineItem/{10_000_000_000 + number}",
        "fulfillable_quantity": line["quantity"],
        "fulfillment_service": "manual",
        "fulfillment_status": None,
        "gift_card": False,
        "grams": rng.randrange(2_000),
        "name": f"{line['title']} - {number % 5}",
        "price_set": amount,
        "requires_shipping": True,
        "taxable": True,
        "total_discount": "0.00",
        "total_discount_set": _money_set("0.00"),
        "variant_inventory_management": "shop",
        "tax_lines": [{"title": "VAT", "rate": 0.05, "price": line["tax"], "price_set": tax, "channel_liable": False}],
        "discount_allocations": [
            {"amount": "1.00", "amount_set": _money_set("1.00"), "discount_application_index": rng.randrange(3)}
        ],
        "duties": [],
    }


def _money_set(amount: str) -> dict[str, object]:
    money = {"amount": amount, "currency_code": "USD"}
    return {"shop_money": money, "presentment_money": money}


def template_file(path: Path, size: int) -> Path:
    """Write the body of a delivery with the markers the load generators fill."""
    placed_at = int(time.time()) * SECOND
    body = order_text("@@ID@@", "@@TOKEN@@", size=size, placed_at=placed_at, rng=random.Random(5))
    # The load generators put in one id and one token.
    first_id, first_token = body.index("@@ID@@"), body.index("@@TOKEN@@")
    body = body[: first_token + 9] + body[first_token + 9 :].replace("@@TOKEN@@", "x")
    head, rest = body[: first_id + 6], body[first_id + 6 :]
    path.write_text(head + rest.replace("@@ID@@", "x"))
    return path


def hook_work(world: World, folder: Path, name: str, *, size: int) -> dict[str, str]:
    """Return what the load generators need to send signed deliveries to the shop."""
    context = world.context()
    try:
        known = tokens(world, context, (int(time.time()) - 60) * SECOND)
    finally:
        context.database.close()
    (folder / f"{name}.tokens").write_text("\n".join(known) + "\n")
    return {
        "BENCH_TEMPLATE": str(template_file(folder / f"{name}.json", size)),
        "BENCH_TOKENS": str(folder / f"{name}.tokens"),
        "BENCH_HOOK": f"/webhooks/{world.shop_key}",
        "BENCH_SECRET": generic._secret_bytes(SECRET).hex(),
    }


def click_work(world: World, folder: Path, name: str) -> dict[str, str]:
    """Return what the load generators need to follow the links."""
    (folder / f"{name}.paths").write_text("".join(f"/s/{code}\n" for code in world.codes))
    return {"BENCH_PATHS": str(folder / f"{name}.paths")}


def fill_inbox(world: World, count: int) -> float:
    """Store deliveries of orders of 1 to 5 lines, sealed as the door seals them; return the bytes of a mean body."""
    context, rng = world.context(), random.Random(3)
    try:
        intake = Intake(context, lambda: None)
        placed_at = (int(time.time()) - 3_600) * SECOND
        known = tokens(world, context, placed_at - 600 * SECOND)
        rows: list[dict[str, object]] = []
        sizes: list[int] = []
        for number in range(count):
            ref, lines = f"{4_500_000_000_000 + number}", rng.randint(1, LINES_MAX)
            body = order_text(ref, known[number % SHARERS], lines=lines, placed_at=placed_at + number, rng=rng).encode()
            sizes.append(len(body))
            name = f"msg_{number}"
            rows.append(dict(intake.row(world.shop_id, name, "order", {"webhook-id": name}, body)))
        with context.database.writing() as connection:
            connection.execute(delivery.insert(), rows)
    finally:
        context.database.close()
    return sum(sizes) / count
