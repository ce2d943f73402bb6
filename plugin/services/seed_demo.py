"""A demo shop with half a year behind it and something on every page, all through the doors that shops and buyers use.

The first run lives that half year over: the clock is set back, and each click, delivery, release and payout comes on
its day. Every id is fixed and every time hangs on the shop's first day: a second run sends the same bytes under the
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
from plugin.models import account, link, owner, payout_item, sharer, shop
from plugin.services import public_id
from plugin.services.add_shop import NewShop, add_shop
from plugin.services.change_sharers import add_note, list_notes
from plugin.services.context import Context
from plugin.services.enrol_sharer import NewSharer, change_sharer, enrol_sharer, statuses_of
from plugin.services.find_leaks import USES_MIN
from plugin.services.follow_orders import follow_orders
from plugin.services.invite_sharers import invite_sharers
from plugin.services.issue_link import issue_link
from plugin.services.keep_payout_way import BANK, find_payout_way, keep_payout_way
from plugin.services.manage_program import MONTHLY, change_program
from plugin.services.process_inbox import drain
from plugin.services.put_plan import current_plan, put_plan
from plugin.services.reach_shop import newest_secret
from plugin.services.release_holds import release_holds
from plugin.services.run_payout import NewPayout, approve_payout, draft_payout, mark_payout_item, submit_payout
from plugin.services.show_sharer import find_sharer
from plugin.shops import generic
from plugin.signing import make_token

NAME, URL, ACTOR = "Demo shop", "https://demo.example.com", "demo"
DAYS = 182  # the demo shop has been open for so long
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
PLANS = {  # by the day they were put: the first percentage was thought too small, and own purchases are looked at now
    75: PLAN | {"commission": PLAN["commission"] | {"default": {"percent": "10"}}},
    140: PLAN
    | {
        "attribution": PLAN["attribution"] | {"self_purchase": "hold"},
        "commission": PLAN["commission"] | {"default": {"percent": "10"}},
        "payout": {"minimum": {"USD": "5.00"}},
    },
}
SHARERS = (  # the first one invited the second
    NewSharer("alice@demo.example.com", "Alice", codes=("ALICE10",), group="guides", locale="en"),
    NewSharer("ming@demo.example.com", "王小明", codes=("MING",), locale="zh-Hant"),
    NewSharer("carol@demo.example.com", "Carol", codes=("CAROL5",), locale="en"),
)
GONE = NewSharer("dan@demo.example.com", "Dan", codes=("DAN",), locale="en")  # approved once, and suspended later
WAITING = NewSharer("eve@demo.example.com", "Eve", status="pending", locale="en")
INVITED = "Frank <frank@demo.example.com>"
CHANNELS = ("line", "instagram", "newsletter")
PAYDAYS = (60, 105, 165)
BROWSER = "Mozilla/5.0 (demo)"
LEAKED = "CAROL5"  # stands on a coupon site since this morning
ODD = {"type": "order", "data": {"id": "demo-odd", "currency": "???"}}

Now = Callable[[], int]


class Clock:
    """The clock of an installation, which can be set back while the demo shop's past goes by."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._at: int | None = None

    def __call__(self) -> int:
        return self._now() if self._at is None else self._at

    def set(self, at: int | None) -> None:
        """Stop at a time, or go on as the true one does."""
        self._at = at


@dataclass(frozen=True, slots=True)
class Doors:
    """How the demo comes in: a delivery (path, headers, body) and a click (path, headers), each answers its status."""

    deliver: Callable[[str, Mapping[str, str], bytes], int]
    click: Callable[[str, Mapping[str, str]], int]


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo shop as far as it is made: its day one, its sharers, and (our number, number) of the link of each.

    ``is_new`` tells whether its past is still to come.
    """

    id: int
    key: str
    secret: str
    anchor: int
    sharers: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    is_new: bool


@dataclass(slots=True)
class Seeded:
    """What a run did."""

    sent: int = 0
    processed: int = 0
    paid: int = 0


def seed_demo(context: Context, doors: Doors, clock: Clock) -> dict[str, Any]:
    """Make the demo shop, or find it; live its past over by ``clock``, which is that of the context and the doors."""
    today = clock()
    demo = _set_up(context, clock)
    seeded = Seeded()
    try:
        for at, happen in sorted(_story(context, demo, doors, seeded), key=lambda one: one[0]):
            if at <= today:
                clock.set(at if demo.is_new else None)
                happen()
    finally:
        clock.set(None)
    seeded.processed += drain(context).done
    _release(context, demo)
    _add_what_needs_an_owner(context, demo)
    while follow_orders(context):
        pass
    return {"shop": demo.key, "sent": seeded.sent, "processed": seeded.processed, "paid": seeded.paid}


# --- what happened, day by day ----------------------------------------------------------------------------------------

Happening = tuple[int, Callable[[], None]]


def _story(context: Context, demo: Demo, doors: Doors, seeded: Seeded) -> Iterator[Happening]:
    """Yield (when, what) of all that happened; what a second run finds done is not done again."""

    def day(number: float) -> int:
        return demo.anchor + round(number * DAY)

    def deliver(name: str, said: Mapping[str, Any], times: int) -> None:
        for _ in range(times):
            _deliver(context, demo, doors, name, said)
            seeded.sent += 1
        seeded.processed += drain(context).done

    for index, (at, name, order) in enumerate(_deliveries(context, demo)):
        times = 2 if index % 5 == 0 else 1  # shops repeat themselves
        yield at, lambda name=name, order=order, times=times: deliver(name, order, times)  # type: ignore[misc]
    yield day(DAYS - 1.5), lambda: deliver("demo-odd", ODD, 1)
    yield day(DAYS - 1), lambda: _make_people(context, demo)
    if not demo.is_new:
        return
    for number in range(3, DAYS):
        yield day(number - 0.5), lambda number=number: _click(context, demo, doors, number)  # type: ignore[misc]
    for number, plan in PLANS.items():
        yield day(number), lambda plan=plan: _put(context, demo, plan)  # type: ignore[misc]
    for number in range(20, DAYS, 5):
        yield day(number + 0.1), lambda: _release(context, demo)
    for number in PAYDAYS:
        fails = number == PAYDAYS[-1]
        yield day(number + 0.2), lambda fails=fails: _pay(context, demo, seeded, fails=fails)  # type: ignore[misc]


def _click(context: Context, demo: Demo, doors: Doors, number: int) -> None:
    """Have the links followed by as many as their channels bring that day; the last one nobody follows any more."""
    for index, (link_id, _) in enumerate(demo.links):
        if index == len(demo.links) - 1 and number > DAYS - 4:
            continue
        with context.database.reading() as connection:
            code = connection.execute(select(link.c.code).where(link.c.id == link_id)).scalar_one()
        for visitor in range((number * (index + 1) + index) % 4):
            headers = {"User-Agent": f"{BROWSER} {number}.{index}.{visitor}"}
            if doors.click(f"/s/{code}", headers) != 302:
                raise Unavailable("demo_refused", "A share link of the demo leads nowhere. Try again.")


def _put(context: Context, demo: Demo, plan: Mapping[str, Any]) -> None:
    put_plan(context, demo.id, plan, since=None, actor=ACTOR)


def _release(context: Context, demo: Demo) -> None:
    release_holds(context, shop_id=demo.id, actor=ACTOR)  # no other shop's: the clock is set back for this one alone


# --- the shop and its people ----------------------------------------------------------------------------------------


def _set_up(context: Context, clock: Clock) -> Demo:
    row = _find_shop(context)
    is_new = row is None
    if row is None:
        now = clock()
        starts_at = now - now % SECOND - DAYS * DAY
        clock.set(starts_at)
        add_shop(context, NewShop("generic", URL, name=NAME, starts_at=starts_at, live=False), actor=ACTOR)
        row = _find_shop(context)
        assert row is not None  # noqa: S101 - it was added just now
    if current_plan(context, row.id)["version"] == 1:
        put_plan(context, row.id, PLAN, since=row.starts_at, actor=ACTOR)
        change_program(context, row.id, {"payout_habit": MONTHLY})
    sharers: tuple[int, ...] = ()
    for new in SHARERS:
        inviter = sharers[0] if len(sharers) == 1 else None
        sharers += (_sharer(context, row.id, replace(new, inviter=inviter, since=row.starts_at)),)
    links = tuple(_link(context, row.id, *pair) for pair in zip(sharers, CHANNELS, strict=True))
    clock.set(None)
    secret = newest_secret(context, row)
    return Demo(row.id, row.key, secret, row.starts_at, sharers, links, is_new)


def _make_people(context: Context, demo: Demo) -> None:
    """Have somebody wait for a word, somebody invited, and somebody suspended; and say where the first one is paid."""
    for new in (GONE, WAITING):
        _sharer(context, demo.id, new)
    invite_sharers(context, demo.id, INVITED, actor=ACTOR)
    gone = _sharer(context, demo.id, GONE)
    with context.database.reading() as connection:
        status = statuses_of(connection, demo.id, {gone})[gone]
    if status != "suspended":
        row = find_sharer(context, public_id.show(public_id.SHARER, gone), shop_id=demo.id)
        change_sharer(context, row, {"status": "suspended"}, actor=ACTOR)
    if find_payout_way(context, demo.sharers[0]) is None:
        account_of = {"holder": "Alice", "bank": "First Demo Bank", "account": "000123456789"}
        keep_payout_way(context, demo.id, demo.sharers[0], BANK, account_of)


def _add_what_needs_an_owner(context: Context, demo: Demo) -> None:
    """Have a note on the first sharer, once there is somebody to have written it."""
    with context.database.reading() as connection:
        wanted = select(owner.c.id).where(owner.c.ended_at.is_(None), owner.c.shop_id.is_(None)).order_by(owner.c.id)
        number = connection.execute(wanted.limit(1)).scalar_one_or_none()
    if number is not None and not list_notes(context, demo.sharers[0]):
        add_note(context, demo.sharers[0], "Knows every running club in town.", owner_id=number)


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


def _deliveries(context: Context, demo: Demo) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (when the shop told it, delivery id, order)."""
    days = [*range(3, 120, 3), *range(120, 150, 2), *range(150, DAYS - 1)]
    orders = {number: _Order(demo, number, day) for number, day in enumerate(days)}
    own = max(orders) - 1
    for number, order in orders.items():
        order.brings(_evidence(context, demo, order, number))
        if number in (6, own):  # a sharer buys by her own link: that earned nothing once, the newest plan holds it
            order.is_bought_by(SHARERS[0].email, _click_of(context, demo, order, 0))
        yield order.told_at, f"demo-{number}-paid", order.said
    by_line, whole, cancelled, lost, odd = orders[1], orders[2], orders[3], orders[4], orders[own - 3]
    changes = {
        "demo-1-refund": (by_line, by_line.refunded([by_line.part("shoes", 1, 40)], 40)),
        "demo-2-refund": (whole, whole.refunded([whole.part("shoes", 2, 80)], 100)),
        "demo-3-cancelled": (cancelled, cancelled.changed(status="cancelled", payment="voided")),
        "demo-4-chargeback": (lost, lost.changed(payment="chargeback")),
        "demo-odd-refund": (odd, odd.refunded([odd.part("shoes", 1, 40)], 400)),  # more than the order: flagged
        "demo-0-paid-again": (orders[0], orders[0].said),  # the same order under another delivery id
    }
    for name, (order, said) in changes.items():
        yield order.told_at + DAY, name, said
    for number in range(USES_MIN):
        order = _Order(demo, 500 + number, DAYS - 0.5 + number / 100)
        order.is_only("tea")
        order.brings({"codes": [LEAKED]})
        yield order.told_at, f"demo-leak-{number}", order.said


def _evidence(context: Context, demo: Demo, order: "_Order", number: int) -> dict[str, Any]:
    """Return what names a sharer on an order: a click, a coupon code, both, or nothing."""
    who = number % len(demo.sharers)
    token = _click_of(context, demo, order, who)
    brought: dict[int, dict[str, Any]] = {
        0: {"attributes": {"_pa": token}},
        1: {"codes": [SHARERS[who].codes[0]]},
        2: {"landing_url": f"{URL}/products/shoes?pa={token}", "referrer_url": "https://line.me/"},
        3: {"attributes": {"_pa": token}, "codes": [SHARERS[(who + 1) % len(SHARERS)].codes[0]]},
        4: {},
    }
    return brought[number % 5]


def _click_of(context: Context, demo: Demo, order: "_Order", who: int) -> str:
    """Return the token of a click on a sharer's link the day before an order."""
    keys = context.keys
    # By the oldest key, so that a second run after a rotation sends the same bytes.
    oldest = replace(keys, sign=keys.sign[:1])
    return make_token(oldest, demo.id, demo.links[who][1], order.placed_at - DAY, b"demo%04d" % order.index)


_USD, _TWD, _JPY = ("USD", 1, 2), ("TWD", 32, 2), ("JPY", 150, 0)


class _Order:
    """An order of the demo, in one of three currencies, told anew with each change."""

    def __init__(self, demo: Demo, number: int, day: float) -> None:
        self.index = number
        self.currency, self._factor, self._digits = (_USD, _TWD, _USD, _JPY, _USD, _USD)[number % 6]
        self.placed_at = demo.anchor + round(day * 86_400) * SECOND
        self.told_at = self.placed_at + 60 * SECOND
        placed = format_moment(self.placed_at)
        self.said: dict[str, Any] = {
            "id": f"demo-{1000 + number}",
            "number": f"#{1000 + number}",
            "updated_at": placed,
            "placed_at": placed,
            "paid_at": placed,
            "currency": self.currency,
            "status": "open",
            "payment": "paid",
            "customer": {
                "id": f"demo-c-{number % 9}",
                "email": f"buyer{number}@mail.example.com",
                "orders_before": number // 9,
            },
            "lines": [
                self._line("shoes", "Running shoes", 2, 80, ["shoes"]),
                self._line("tea", "Oolong tea", 1 + number % 3, 12 * (1 + number % 3), ["food"], sku="TEA-1"),
                self._line("card", "Gift card", 1, 8, ["gift-cards"]),
            ],
            "shipping": {"amount": self.amount(5), "tax": self.amount(0)},
            "total": self.amount(93 + 12 * (1 + number % 3)),
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

    def part(self, name: str, quantity: int, dollars: int) -> dict[str, Any]:
        """Return what a refund says of a line."""
        return {"line_id": name, "quantity": quantity, "amount": self.amount(dollars)}

    def is_bought_by(self, email: str, token: str) -> None:
        """Have somebody buy it who came by a click."""
        self.said["customer"] |= {"id": f"demo-own-{self.index}", "email": email}
        self.brings({"attributes": {"_pa": token}, "codes": [], "landing_url": None})

    def is_only(self, name: str) -> None:
        """Have nothing bought but one of its lines."""
        (line,) = (one for one in self.said["lines"] if one["id"] == name)
        self.said |= {"lines": [line], "shipping": None, "total": line["amount"]}

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


def _deliver(context: Context, demo: Demo, doors: Doors, name: str, said: Mapping[str, Any]) -> None:
    whole = said if "type" in said else {"type": "order", "data": said}
    body = json.dumps(whole, ensure_ascii=False, sort_keys=True).encode()
    at = context.now() // SECOND
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": generic.sign(demo.secret, name, at, body),
    }
    status = doors.deliver(f"/webhooks/{demo.key}", headers, body)
    if status != 200:
        raise Unavailable("demo_refused", f"The door answered {status} to a delivery of the demo. Try again.")


# --- the payout -----------------------------------------------------------------------------------------------------


def _pay(context: Context, demo: Demo, seeded: Seeded, *, fails: bool) -> None:
    """Pay by hand what is payable, currency by currency; where it ``fails``, one payment of the last batch does."""
    _release(context, demo)
    wanted = select(account.c.currency).where(
        account.c.shop_id == demo.id, account.c.purpose == "payable", account.c.sharer_id != 0, account.c.balance > 0
    )
    with context.database.reading() as connection:
        currencies = connection.execute(wanted.distinct().order_by(account.c.currency)).scalars().all()
    for currency in currencies:
        seeded.paid += _pay_in(context, demo, currency, fails=fails and currency == currencies[-1])


def _pay_in(context: Context, demo: Demo, currency: str, *, fails: bool) -> int:
    number = draft_payout(context, demo.id, NewPayout("manual", currency), actor=ACTOR)
    approve_payout(context, demo.id, number, actor=ACTOR)
    submit_payout(context, demo.id, number, actor=ACTOR)
    with context.database.reading() as connection:
        wanted = select(payout_item.c.id).where(payout_item.c.payout_id == number).order_by(payout_item.c.id)
        items = connection.execute(wanted).scalars().all()
    for item in items:
        failed = fails and item == items[-1]
        mark_payout_item(
            context,
            demo.id,
            number,
            item,
            state=states.FAILED if failed else states.PAID,
            reference=None if failed else f"demo {public_id.show(public_id.ITEM, item)}",
            reason="The account is closed." if failed else None,
            actor=ACTOR,
        )
    return len(items) - fails
