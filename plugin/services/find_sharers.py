"""Finding the sharers of a shop by how they stand, by group, or by what somebody remembers of them; with figures.

A page reads one row a sharer and the rollups of those on it, so what it costs does not grow with what they sell.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from plugin.database import among
from plugin.domain.money import format_minor
from plugin.domain.order import normalise_code, normalise_email
from plugin.errors import NotFound
from plugin.models import click_month, fact, person, sharer, sharer_month, sharer_total, standing
from plugin.services import public_id
from plugin.services.context import Context

PAGE = 500  # of an export
GROUPS_MAX = 100


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for; ``text`` is an id, a code, an e-mail, or a part of a name or of an e-mail."""

    text: str = ""
    status: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A sharer as a list shows them; ``sales`` and ``commission`` are pairs of a decimal string and its currency."""

    id: str
    number: int
    name: str | None
    email: str | None
    status: str
    group: str | None
    created_at: int
    clicks: int
    orders: int
    sales: Sequence[tuple[str, str]]
    commission: Sequence[tuple[str, str]]
    active: str | None  # the last month with a click or an order, as 2026-11


def find_sharers(
    context: Context, shop_id: int, sought: Sought, *, before: int | None, limit: int
) -> tuple[list[Found], int | None]:
    """Return a page of the shop's sharers that fit, newest first, and the cursor of the next one."""
    with context.database.reading() as connection:
        wanted = _fitting(context, connection, shop_id, sought)
        if before is not None:
            wanted = wanted.where(standing.c.sharer_id < before)
        rows = connection.execute(wanted.limit(limit + 1)).all()
        found = _with_figures(connection, shop_id, rows[:limit])
    return found, rows[limit - 1].id if len(rows) > limit else None


def every_sharer(context: Context, shop_id: int, sought: Sought) -> Iterator[Found]:
    """Yield all sharers that fit, newest first, from one state of the database."""
    with context.database.reading() as connection:
        wanted, before = _fitting(context, connection, shop_id, sought), None
        while True:
            rest = wanted if before is None else wanted.where(standing.c.sharer_id < before)
            rows = connection.execute(rest.limit(PAGE)).all()
            yield from _with_figures(connection, shop_id, rows)
            if len(rows) < PAGE:
                return
            before = rows[-1].id


def groups_of(context: Context, shop_id: int) -> list[str]:
    """Return the first groups of a shop's sharers, from A to Z: each is a step in the index, however many are in it."""
    name, mine = standing.c.group_name, standing.c.shop_id == shop_id
    steps = select(func.min(name).label("name")).where(mine).cte("steps", recursive=True)
    following = select(func.min(name)).where(mine, name > steps.c.name).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.name.is_not(None)))
    with context.database.reading() as connection:
        rows = connection.execute(select(steps.c.name).where(steps.c.name.is_not(None)).limit(GROUPS_MAX))
        return list(rows.scalars())


def _fitting(context: Context, connection: Connection, shop_id: int, sought: Sought) -> Select[Any]:
    wanted = (
        select(sharer.c.id, sharer.c.created_at, person.c.name, person.c.email, standing)
        .select_from(standing)
        .join(sharer, sharer.c.id == standing.c.sharer_id)
        .join(person, person.c.id == sharer.c.person_id)
        .where(standing.c.shop_id == shop_id)
        .order_by(standing.c.sharer_id.desc())
    )
    if sought.status:
        wanted = wanted.where(standing.c.status == sought.status)
    if sought.group:
        wanted = wanted.where(standing.c.group_name == sought.group)
    return wanted.where(_named(context, connection, shop_id, sought.text)) if sought.text else wanted


def _named(context: Context, connection: Connection, shop_id: int, text: str) -> ColumnElement[bool]:
    """Return the condition that a sharer is meant: what names exactly one is looked up, else names are searched."""
    number = _number(text)
    if number is not None:
        return standing.c.sharer_id.in_((number,))
    holder = connection.execute(
        select(fact.c.sharer_id)
        .where(fact.c.shop_id == shop_id, fact.c.kind == "code", fact.c.code == normalise_code(text))
        .order_by(fact.c.at.desc(), fact.c.position.desc())
        .limit(1)
    ).scalar_one_or_none()
    if holder is not None:
        return standing.c.sharer_id.in_((holder,))
    email_hash = context.keys.pepper_hash("email", normalise_email(text))
    known = select(sharer.c.id).where(sharer.c.shop_id == shop_id, sharer.c.email_hash == email_hash)
    if (mine := connection.execute(known).scalar_one_or_none()) is not None:
        return standing.c.sharer_id.in_((mine,))
    part = text.lower()
    return or_(
        func.lower(person.c.name).contains(part, autoescape=True),
        func.lower(person.c.email).contains(part, autoescape=True),
    )


def _number(text: str) -> int | None:
    try:
        return public_id.read(public_id.SHARER, text)
    except NotFound:
        return None


def _with_figures(connection: Connection, shop_id: int, rows: Sequence[Row[Any]]) -> list[Found]:
    numbers = [row.id for row in rows]
    totals = _sums(connection, shop_id, numbers)
    earned, active = _earned(connection, shop_id, numbers)
    clicks = _clicks(connection, shop_id, numbers)
    found = []
    for row in rows:
        mine, (count, clicked) = totals.get(row.id, []), clicks.get(row.id, (0, None))
        months = [month for month in (active.get(row.id), clicked) if month]
        found.append(
            Found(
                id=public_id.show(public_id.SHARER, row.id),
                number=row.id,
                name=row.name,
                email=row.email,
                status=row.status,
                group=row.group_name,
                created_at=row.created_at,
                clicks=count,
                orders=sum(one.orders for one in mine),
                sales=[(format_minor(one.net, one.currency), one.currency) for one in mine if one.net],
                commission=[(format_minor(minor, currency), currency) for currency, minor in earned[row.id] if minor],
                active=max(months, default=None),
            )
        )
    return found


def _sums(connection: Connection, shop_id: int, numbers: Sequence[int]) -> Mapping[int, list[Row[Any]]]:
    total = sharer_total.c
    wanted = select(sharer_total).where(total.shop_id == shop_id, among(total.sharer_id, numbers))
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(wanted.order_by(total.currency)):
        found[row.sharer_id].append(row)
    return found


def _earned(
    connection: Connection, shop_id: int, numbers: Sequence[int]
) -> tuple[Mapping[int, list[tuple[str, int]]], Mapping[int, str]]:
    """Return what each sharer earned by currency, less what was clawed back, and the last month of each."""
    month = sharer_month.c
    minor = func.sum(month.earned - month.clawed_back)
    wanted = (
        select(month.sharer_id, month.currency, minor.label("minor"), func.max(month.month).label("last"))
        .where(month.shop_id == shop_id, among(month.sharer_id, numbers))
        .group_by(month.sharer_id, month.currency)
        .order_by(month.currency)
    )
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    active: dict[int, str] = {}
    for row in connection.execute(wanted):
        found[row.sharer_id].append((row.currency, int(row.minor)))
        active[row.sharer_id] = max(active.get(row.sharer_id, ""), row.last)
    return found, active


def _clicks(connection: Connection, shop_id: int, numbers: Sequence[int]) -> Mapping[int, tuple[int, str]]:
    month = click_month.c
    wanted = (
        select(month.sharer_id, func.sum(month.clicks).label("clicks"), func.max(month.month).label("last"))
        .where(month.shop_id == shop_id, among(month.sharer_id, numbers))
        .group_by(month.sharer_id)
    )
    return {row.sharer_id: (int(row.clicks), row.last) for row in connection.execute(wanted)}
