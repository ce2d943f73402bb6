"""A demo shop with something on every page. Its orders come in as signed deliveries through the real door.

Every time in it hangs on the day the shop was added, and every id is fixed: a second run sends the same bytes under the
same ids, which are duplicates, and doubles nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, select

from plugin.domain import payout as states
from plugin.domain.moment import DAY, SECOND, format_moment
from plugin.domain.order import normalise_email
from plugin.errors import Unavailable
from plugin.models import account, link, payout_item, sharer, shop
from plugin.services import public_id
from plugin.services.add_shop import NewShop, add_shop
from plugin.services.context import Context
from plugin.services.enrol_sharer import NewSharer, enrol_sharer
from plugin.services.issue_link import issue_link
from plugin.services.process_inbox import drain
from plugin.services.put_plan import current_plan, put_plan
from plugin.services.reach_shop import newest_secret
from plugin.services.release_holds import release_holds
from plugin.services.run_payout import NewPayout, approve_payout, draft_payout, mark_payout_item, submit_payout
from plugin.shops import generic
from plugin.signing import make_token

NAME, URL, ACTOR = "Demo shop", "https://demo.example.com", "demo"
DAYS = 60  # the demo shop has been open for so long
PLAN: dict[str, Any] = {
    "attribution": {"window_days": 30, "self_purchase": "block"},
    "commission": {
        "rules": [
            {"id": "shoes", "when": {"collections": ["shoes"]}, "pay": {"percent": "12.5"}},
            {"id": "gift-cards", "when": {"collections": ["gift-cards"]}, "pay": {"none": True}},
            {"id": "tea", "when": {"skus": ["TEA-1"]}, "pay": {"per_item": {"USD": "1.50", "TWD": "45.00"}}},
        ],
        "default": {"percent": "8"},
        "order_cap": {"USD": "60.00"},
    },
    "upline": {"percents": ["2"]},
    "hold_days": 14,
}
SHARERS = (  # the first one invited the second
    NewSharer("alice@demo.example.com", "Alice", codes=("ALICE10",), group="guides", locale="en"),
    NewSharer("ming@demo.example.com", "王小明", codes=("MING",), locale="zh-Hant"),
    NewSharer("carol@demo.example.com", "Carol", codes=("CAROL5",), locale="en"),
)
CHANNELS = ("line", "instagram", "newsletter")

Send = Callable[[str, Mapping[str, str], bytes], int]  # path, headers, body -> status


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo shop as far as it is made: its day one, its sharers, and (our number, number) of the link of each."""

    id: int
    key: str
    secret: str
    anchor: int
    sharers: tuple[int, ...]
    links: tuple[tuple[int, int], ...]


def seed_demo(context: Context, send: Send) -> dict[str, Any]:
    """Make the demo shop, or find it; bring its deliveries to the door by ``send``, book, release and pay."""
    demo = _set_up(context)
    sent = 0
    for number, (name, order) in enumerate(_deliveries(context, demo)):
        for _ in range(2 if number % 5 == 0 else 1):  # shops repeat themselves
            _deliver(context, demo, send, name, order)
            sent += 1
    tally = drain(context)
    release_holds(context, actor=ACTOR)
    return {"shop": demo.key, "sent": sent, "processed": tally.done, "paid": _pay(context, demo)}


# --- the shop and its people ----------------------------------------------------------------------------------------


def _set_up(context: Context) -> Demo:
    row = _find_shop(context)
    if row is None:
        now = context.now()
        starts_at = now - now % SECOND - DAYS * DAY
        add_shop(context, NewShop("generic", URL, name=NAME, starts_at=starts_at, live=False), actor=ACTOR)
        row = _find_shop(context)
        assert row is not None  # noqa: S101 - it was added just now
    if current_plan(context, row.id)["version"] == 1:
        put_plan(context, row.id, PLAN, since=row.starts_at, actor=ACTOR)
    sharers: tuple[int, ...] = ()
    for new in SHARERS:
        inviter = sharers[0] if len(sharers) == 1 else None
        sharers += (_sharer(context, row.id, replace(new, inviter=inviter, since=row.starts_at)),)
    links = tuple(_link(context, row.id, *pair) for pair in zip(sharers, CHANNELS, strict=True))
    secret = newest_secret(context, row)
    return Demo(row.id, row.key, secret, row.starts_at, sharers, links)


def _find_shop(context: Context) -> Row[Any] | None:
    wanted = select(shop).where(shop.c.name == NAME, shop.c.platform == "generic", shop.c.live.is_(False))
    with context.database.reading() as connection:
        return connection.execute(wanted.order_by(shop.c.id).limit(1)).one_or_none()


def _sharer(context: Context, shop_id: int, new: NewSharer) -> int:
    email_hash = context.keys.pepper_hash("email", normalise_email(new.email))
    wanted = select(sharer.c.id).where(sharer.c.shop_id == shop_id, sharer.c.email_hash == email_hash)
    with context.database.reading() as connection:
        found: int | None = connection.execute(wanted).scalar_one_or_none()
    return enrol_sharer(context, shop_id, new, actor=ACTOR) if found is None else found


def _link(context: Context, shop_id: int, sharer_id: int, channel: str) -> tuple[int, int]:
    wanted = select(link.c.id, link.c.number).where(link.c.sharer_id == sharer_id, link.c.channel == channel)
    with context.database.reading() as connection:
        row = connection.execute(wanted.order_by(link.c.id).limit(1)).one_or_none()
    if row is not None:
        return row.id, row.number
    issue_link(context, shop_id, sharer_id, url=f"{URL}/products/shoes", channel=channel, campaign="demo", actor=ACTOR)
    return _link(context, shop_id, sharer_id, channel)


# --- the orders -----------------------------------------------------------------------------------------------------


def _deliveries(context: Context, demo: Demo) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (delivery id, order) in the order in which the shop told them."""
    orders = {number: _Order(demo, number, day) for number, day in enumerate(range(3, DAYS - 1, 4))}
    for number, order in orders.items():
        order.brings(_evidence(context, demo, order, number))
        yield f"demo-{number}-paid", order.said
    by_line, whole, cancelled, lost = orders[1], orders[2], orders[3], orders[4]
    yield "demo-1-refund", by_line.refunded([{"line_id": "shoes", "quantity": 1, "amount": by_line.amount(40)}], 40)
    yield "demo-2-refund", whole.refunded([{"line_id": "shoes", "quantity": 2, "amount": whole.amount(80)}], 100)
    yield "demo-3-cancelled", cancelled.changed(status="cancelled", payment="voided")
    yield "demo-4-chargeback", lost.changed(payment="chargeback")
    yield "demo-0-paid-again", orders[0].said  # the same order under another delivery id


def _evidence(context: Context, demo: Demo, order: "_Order", number: int) -> dict[str, Any]:
    """Return what names a sharer on an order: a click, a coupon code, both, or nothing."""
    who = number % len(demo.sharers)
    _, link_number = demo.links[who]
    keys = context.keys
    # By the oldest key, so that a second run after a rotation sends the same bytes.
    oldest = replace(keys, sign=keys.sign[:1])
    token = make_token(oldest, demo.id, link_number, order.placed_at - DAY, b"demo%04d" % number)
    brought: dict[int, dict[str, Any]] = {
        0: {"attributes": {"_pa": token}},
        1: {"codes": [SHARERS[who].codes[0]]},
        2: {"landing_url": f"{URL}/products/shoes?pa={token}", "referrer_url": "https://line.me/"},
        3: {"attributes": {"_pa": token}, "codes": [SHARERS[(who + 1) % len(SHARERS)].codes[0]]},
        4: {},
    }
    return brought[number % 5]


class _Order:
    """An order of the demo, in one of three currencies, told anew with each change."""

    def __init__(self, demo: Demo, number: int, day: int) -> None:
        self.currency, self._factor, self._digits = (("USD", 1, 2), ("TWD", 32, 2), ("JPY", 150, 0))[number % 3]
        self.placed_at = demo.anchor + day * DAY
        placed = format_moment(self.placed_at)
        # The seventh buyer is a sharer who buys by her own link: an own purchase, which earns nothing.
        email = SHARERS[0].email if number == 6 else f"buyer{number}@mail.example.com"
        self.said: dict[str, Any] = {
            "id": f"demo-{1000 + number}",
            "number": f"#{1000 + number}",
            "updated_at": placed,
            "placed_at": placed,
            "paid_at": placed,
            "currency": self.currency,
            "status": "open",
            "payment": "paid",
            "customer": {"id": f"demo-c-{number % 9}", "email": email, "orders_before": number // 9},
            "lines": [
                self._line("shoes", "Running shoes", 2, 80, ["shoes"]),
                self._line("tea", "Oolong tea", 1 + number % 3, 12, ["food"], sku="TEA-1"),
                self._line("card", "Gift card", 1, 8, ["gift-cards"]),
            ],
            "shipping": {"amount": self.amount(5), "tax": self.amount(0)},
            "total": self.amount(105),
            "refunds": [],
            "codes": [],
            "attributes": {},
        }

    def amount(self, dollars: int) -> str:
        """Return an amount in the order's currency."""
        return f"{dollars * self._factor}" + ("." + "0" * self._digits if self._digits else "")

    def _line(self, name: str, title: str, quantity: int, dollars: int, collections: list[str], **more: str) -> Any:
        line = {"id": name, "product_id": name, "title": title, "quantity": quantity, "collections": collections}
        return line | {"amount": self.amount(dollars), "tax": self.amount(0)} | more

    def brings(self, evidence: Mapping[str, Any]) -> None:
        """Say what names a sharer."""
        self.said |= evidence

    def changed(self, **changes: Any) -> dict[str, Any]:
        """Return the order as it is a day later, changed as told."""
        return self.said | {"updated_at": format_moment(self.placed_at + DAY)} | changes

    def refunded(self, lines: list[dict[str, Any]], dollars: int) -> dict[str, Any]:
        """Return the order as it is after a refund of these lines and this sum."""
        at = format_moment(self.placed_at + DAY)
        return self.changed(refunds=[{"id": "r1", "at": at, "lines": lines, "amount": self.amount(dollars)}])


def _deliver(context: Context, demo: Demo, send: Send, name: str, order: Mapping[str, Any]) -> None:
    body = json.dumps({"type": "order", "data": order}, ensure_ascii=False, sort_keys=True).encode()
    at = context.now() // SECOND
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": generic.sign(demo.secret, name, at, body),
    }
    status = send(f"/webhooks/{demo.key}", headers, body)
    if status != 200:
        raise Unavailable("demo_refused", f"The door answered {status} to a delivery of the demo. Try again.")


# --- the payout -----------------------------------------------------------------------------------------------------


def _pay(context: Context, demo: Demo) -> int:
    """Pay by hand what is payable, currency by currency; return how many payments that were."""
    wanted = select(account.c.currency).where(
        account.c.shop_id == demo.id, account.c.purpose == "payable", account.c.sharer_id != 0, account.c.balance > 0
    )
    with context.database.reading() as connection:
        currencies = connection.execute(wanted.distinct().order_by(account.c.currency)).scalars().all()
    return sum(_pay_in(context, demo, currency) for currency in currencies)


def _pay_in(context: Context, demo: Demo, currency: str) -> int:
    number = draft_payout(context, demo.id, NewPayout("manual", currency), actor=ACTOR)
    approve_payout(context, demo.id, number, actor=ACTOR)
    submit_payout(context, demo.id, number, actor=ACTOR)
    with context.database.reading() as connection:
        wanted = select(payout_item.c.id).where(payout_item.c.payout_id == number).order_by(payout_item.c.id)
        items = connection.execute(wanted).scalars().all()
    for item in items:
        reference = f"demo {public_id.show(public_id.ITEM, item)}"
        mark_payout_item(
            context, demo.id, number, item, state=states.PAID, reference=reference, reason=None, actor=ACTOR
        )
    return len(items)
