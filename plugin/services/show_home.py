"""What an owner sees first: what is to be done, how far setting up is, and the last thirty days in figures.

All of it is read in one transaction by a few statements that do not grow with the shop: sums come from the rollups,
counts stop at a limit or go by an index.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, ScalarSelect, case, exists, func, literal, select, union_all

from plugin.domain.moment import DAY
from plugin.domain.money import parse_micros, round_to_minor
from plugin.domain.rollup import day_of
from plugin.models import (
    account,
    click_month,
    delivery,
    orders,
    person,
    plan,
    sharer,
    sharer_month,
    shop_day,
    standing,
    task,
)
from plugin.services import find_leaks, reconcile_shop, try_order, watch_books
from plugin.services.change_plan import Reward, read_reward
from plugin.services.context import Context
from plugin.services.manage_program import Program, show_program
from plugin.services.show_connection import Light, read_light

DAYS = 30
MONTHS = 6
COUNT_MAX = 100  # counting stops there; who has so many to do counts no further
_NOBODY = '%"winner":null%'  # as decisions are written
_TASKS = (reconcile_shop.KIND, find_leaks.KIND, try_order.KIND, watch_books.KIND)


@dataclass(frozen=True, slots=True)
class Due:
    """What could be paid out of a currency now: to how many, and how much in minor units."""

    currency: str
    sharers: int
    minor: int


@dataclass(frozen=True, slots=True)
class Todo:
    """What waits for a person. Counts stop at COUNT_MAX."""

    pending: int
    held: int
    quarantined: int
    flagged: int
    odd: str | None  # the shop's id of the newest flagged order
    due: Sequence[Due]
    trouble: str | None  # of asking the shop for its orders
    books: int  # problems that the last check of the books found
    leaks: Sequence[str]  # codes that leaked today

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        counts = (self.pending, self.held, self.quarantined, self.flagged, self.books)
        return not (any(counts) or self.due or self.trouble or self.leaks)


@dataclass(frozen=True, slots=True)
class Guide:
    """How far setting up is, step by step; ``light`` is the connection's, ``minimum`` the plan's for payouts."""

    light: Light
    reward: Reward
    minimum: Mapping[str, str]
    program: Program
    has_sharers: bool
    has_tried: bool

    @property
    def steps(self) -> Mapping[str, bool]:
        """Return the five steps in order, and which are done."""
        return {
            "connect": self.light.is_green or self.light.credited,
            "reward": self.reward.pays,
            "payout": self.program.payout_habit is not None,
            "invite": self.has_sharers,
            "try": self.has_tried,
        }

    @property
    def next(self) -> str | None:
        """Return the first step that is not done."""
        return next((name for name, done in self.steps.items() if not done), None)


@dataclass(frozen=True, slots=True)
class Month:
    """The last DAYS days in one currency, oldest first, in minor units; ``active`` is by month, MONTHS of them."""

    currency: str
    sales: Sequence[int]
    commission: Sequence[int]
    orders: int
    active: Sequence[int]
    others: Mapping[str, int]  # sales in other currencies

    @property
    def cost_rate(self) -> str | None:
        """Return what sharers cost of what they sold, as a percentage with one place; None where nothing was sold."""
        sold = sum(self.sales)
        if sold <= 0:
            return None
        tenths = round(Fraction(max(0, sum(self.commission)) * 1_000, sold))
        return f"{tenths // 10}.{tenths % 10}"

    @property
    def cost_rates(self) -> Sequence[int]:
        """Return the same by day, in tenths of a percent; a day without sales has 0."""
        pairs = zip(self.commission, self.sales, strict=True)
        return [max(0, 1_000 * cost // sold) if sold > 0 else 0 for cost, sold in pairs]


@dataclass(frozen=True, slots=True)
class Home:
    """All that the first page shows."""

    todo: Todo
    guide: Guide
    month: Month


def show_home(context: Context, shop: Row[Any]) -> Home:
    """Return what the first page of a shop shows, as of one state of the database."""
    now = context.now()
    today = date.fromisoformat(day_of(now, ZoneInfo(shop.timezone)))
    with context.database.reading() as connection:
        tasks = _tasks(connection, shop.id)
        guide, counted = _guide(connection, shop.id, tasks, now=now)
        due = _due(connection, shop.id, guide.minimum)
        todo = Todo(*counted, due, _trouble(tasks), _problems(tasks), _leaks(tasks, now=now))
        month = _month(connection, shop, today)
    return Home(todo, guide, month)


def show_guide(context: Context, shop_id: int) -> Guide:
    """Return how far setting up a shop is."""
    with context.database.reading() as connection:
        return _guide(connection, shop_id, _tasks(connection, shop_id), now=context.now())[0]


# --- what is to be done ---------------------------------------------------------------------------------------------


def _tasks(connection: Connection, shop_id: int) -> dict[str, Any]:
    wanted = select(task.c.kind, task.c.reason, task.c.result).where(task.c.shop_id == shop_id, task.c.kind.in_(_TASKS))
    return {row.kind: row for row in connection.execute(wanted)}


def _result(tasks: Mapping[str, Any], kind: str) -> dict[str, Any]:
    row = tasks.get(kind)
    found: dict[str, Any] = json.loads(row.result) if row is not None and row.result else {}
    return found


def _trouble(tasks: Mapping[str, Any]) -> str | None:
    row = tasks.get(reconcile_shop.KIND)
    if row is None:
        return None
    said: str | None = row.reason or _result(tasks, reconcile_shop.KIND).get("trouble")
    return said


def _problems(tasks: Mapping[str, Any]) -> int:
    last = _result(tasks, watch_books.KIND).get("last")
    return len(last["problems"]) if last else 0


def _leaks(tasks: Mapping[str, Any], *, now: int) -> Sequence[str]:
    found = _result(tasks, find_leaks.KIND)
    return found["codes"] if found and found["day"] == find_leaks.day_told(now) else ()


def _guide(
    connection: Connection, shop_id: int, tasks: Mapping[str, Any], *, now: int
) -> tuple[Guide, tuple[int, int, int, int, str | None]]:
    """Return the guide, and what Todo begins with."""
    in_force = (
        select(plan.c.body)
        .where(plan.c.shop_id == shop_id, plan.c.in_force_from <= now)
        .order_by(plan.c.version.desc())
        .limit(1)
    )
    row = connection.execute(
        select(
            in_force.scalar_subquery().label("plan"),
            exists().where(sharer.c.shop_id == shop_id).label("has_sharers"),
            _pending(shop_id).label("pending"),
            _held(shop_id).label("held"),
            _count(select(delivery.c.id).where(delivery.c.shop_id == shop_id, delivery.c.state == "quarantined")).label(
                "quarantined"
            ),
            _count(_flagged(shop_id, now)).label("flagged"),
            _flagged(shop_id, now).order_by(orders.c.placed_at.desc()).limit(1).scalar_subquery().label("odd"),
        )
    ).one()
    in_plan = json.loads(row.plan)
    guide = Guide(
        read_light(connection, shop_id),
        read_reward(in_plan),
        in_plan["payout"]["minimum"],
        show_program(connection, shop_id),
        bool(row.has_sharers),
        len(_result(tasks, try_order.KIND).get("steps", ())) == len(try_order.STEPS),
    )
    return guide, (row.pending, row.held, row.quarantined, row.flagged, row.odd)


def _count(rows: Any) -> ScalarSelect[int]:
    """Count rows up to the limit."""
    return select(func.count()).select_from(rows.limit(COUNT_MAX).subquery()).scalar_subquery()


def _pending(shop_id: int) -> ScalarSelect[int]:
    """Count the sharers who wait."""
    theirs = select(standing.c.sharer_id).where(standing.c.shop_id == shop_id, standing.c.status == "pending")
    return _count(theirs)


def _held(shop_id: int) -> ScalarSelect[int]:
    """Count the orders that somebody must decide about; only those not released can be held."""
    return _count(
        select(orders.c.id).where(
            orders.c.shop_id == shop_id,
            orders.c.released.is_(None),
            orders.c.held.is_(True),
            orders.c.counts.is_(True),
            orders.c.decision.not_like(_NOBODY),
        )
    )


def _flagged(shop_id: int, now: int) -> Any:
    """Find the orders of the last days with something odd about them."""
    recent = orders.c.placed_at >= now - DAYS * DAY
    return select(orders.c.ref).where(orders.c.shop_id == shop_id, recent, orders.c.flags != "[]")


def _due(connection: Connection, shop_id: int, minimum: Mapping[str, str]) -> Sequence[Due]:
    """Return what a payout would pay: of whoever is approved, known and has at least the plan's minimum."""
    floors = {currency: round_to_minor(parse_micros(text), currency) for currency, text in minimum.items()}
    floor = case(floors, value=account.c.currency, else_=1) if floors else literal(1)
    wanted = (
        select(account.c.currency, func.count().label("sharers"), func.sum(account.c.balance).label("minor"))
        .join(standing, standing.c.sharer_id == account.c.sharer_id)
        .join(sharer, sharer.c.id == account.c.sharer_id)
        .join(person, person.c.id == sharer.c.person_id)
        .where(
            account.c.shop_id == shop_id,
            account.c.purpose == "payable",
            account.c.balance > 0,
            account.c.balance >= floor,
            standing.c.status == "approved",
            person.c.erased_at.is_(None),
        )
        .group_by(account.c.currency)
        .order_by(account.c.currency)
    )
    return [Due(row.currency, row.sharers, int(row.minor)) for row in connection.execute(wanted)]


# --- the last thirty days -------------------------------------------------------------------------------------------


def _month(connection: Connection, shop: Row[Any], today: date) -> Month:
    days = [(today - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS))]
    cost = shop_day.c.direct + shop_day.c.upline + shop_day.c.buyer
    sold = select(shop_day.c.day, shop_day.c.currency, shop_day.c.net, cost.label("cost"), shop_day.c.credited).where(
        shop_day.c.shop_id == shop.id, shop_day.c.day >= days[0], shop_day.c.day <= days[-1]
    )
    sales: dict[str, int] = defaultdict(int)
    costs: dict[str, int] = defaultdict(int)
    others: dict[str, int] = defaultdict(int)
    credited = 0
    for row in connection.execute(sold):
        credited += row.credited
        if row.currency == shop.currency:
            sales[row.day] += row.net
            costs[row.day] += row.cost
        elif row.net:
            others[row.currency] += row.net
    return Month(
        shop.currency,
        [sales[day] for day in days],
        [costs[day] for day in days],
        credited,
        _active(connection, shop.id, today),
        dict(sorted(others.items())),
    )


def _active(connection: Connection, shop_id: int, today: date) -> Sequence[int]:
    """Return how many sharers were clicked or sold something, by month, oldest first."""
    months = [_month_before(today, ago) for ago in reversed(range(MONTHS))]
    shared = union_all(
        select(click_month.c.month, click_month.c.sharer_id).where(
            click_month.c.shop_id == shop_id, click_month.c.month >= months[0], click_month.c.clicks > 0
        ),
        select(sharer_month.c.month, sharer_month.c.sharer_id).where(
            sharer_month.c.shop_id == shop_id, sharer_month.c.month >= months[0], sharer_month.c.orders > 0
        ),
    ).subquery()
    wanted = select(shared.c.month, func.count(func.distinct(shared.c.sharer_id)).label("sharers")).group_by(
        shared.c.month
    )
    found = {row.month: row.sharers for row in connection.execute(wanted)}
    return [found.get(month, 0) for month in months]


def _month_before(today: date, ago: int) -> str:
    year, month = divmod(today.year * 12 + today.month - 1 - ago, 12)
    return f"{year:04d}-{month + 1:02d}"


def average_order(context: Context, shop: Row[Any]) -> int | None:
    """Return what an order that sharers brought came to in the last ninety days, in minor units; None without any."""
    since = day_of(context.now() - 90 * DAY, ZoneInfo(shop.timezone))
    wanted = select(func.sum(shop_day.c.net), func.sum(shop_day.c.credited)).where(
        shop_day.c.shop_id == shop.id, shop_day.c.currency == shop.currency, shop_day.c.day >= since
    )
    with context.database.reading() as connection:
        net, count = connection.execute(wanted).one()
    return int(net) // int(count) if count and net else None
