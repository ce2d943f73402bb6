"""A sharer as those who run the shop see them: who they are, how they came to stand so, and what they have."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from plugin.errors import NotFound
from plugin.models import click_month, fact, link, payout, payout_item, person, sharer, sharer_total
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.enrol_sharer import current_codes
from plugin.services.show_link import select_links

LINKS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Stood:
    """One fact of how a sharer stands."""

    at: int
    actor: str
    status: str
    group: str | None
    inviter: int | None


@dataclass(frozen=True, slots=True)
class Whole:
    """A sharer; ``row`` is theirs with the person's columns, ``stood`` their facts, the newest first."""

    row: Row[Any]
    stood: Sequence[Stood]
    inviter: tuple[str, str | None] | None
    codes: Sequence[str]
    links: Sequence[Row[Any]]  # with the clicks on each
    orders: int
    clicks: int

    @property
    def id(self) -> str:
        """Return the public id."""
        return public_id.show(public_id.SHARER, self.row.id)

    @property
    def now(self) -> Stood:
        """Return how they stand."""
        return self.stood[0]


def see_sharer(context: Context, shop_id: int, name: str) -> Whole:
    """Return all that is shown of a sharer of the shop; raise NotFound."""
    number = public_id.read(public_id.SHARER, name)
    wanted = select(sharer, person.c.name, person.c.email, person.c.locale, person.c.erased_at).join(person)
    with context.database.reading() as connection:
        row = connection.execute(wanted.where(sharer.c.id == number, sharer.c.shop_id == shop_id)).one_or_none()
        if row is None:
            raise NotFound("unknown_sharer", "There is no such sharer.")
        stood = _stood(connection, number)
        orders, clicks = _counts(connection, shop_id, number)
        return Whole(
            row=row,
            stood=stood,
            inviter=None if stood[0].inviter is None else _called(connection, stood[0].inviter),
            codes=current_codes(connection, [number]).get(number, ()),
            links=connection.execute(
                select_links(number).order_by(link.c.id.desc()).limit(LINKS_SHOWN)
            ).all(),
            orders=orders,
            clicks=clicks,
        )


def _stood(connection: Connection, number: int) -> list[Stood]:
    facts = select(fact).where(fact.c.sharer_id == number, fact.c.kind == "sharer")
    rows = connection.execute(facts.order_by(fact.c.at.desc(), fact.c.position.desc())).all()
    bodies = [json.loads(row.body) for row in rows]
    return [
        Stood(row.at, row.actor, body["status"], body["group"], body["inviter"])
        for row, body in zip(rows, bodies, strict=True)
    ]


def _called(connection: Connection, number: int) -> tuple[str, str | None]:
    named = select(func.coalesce(person.c.name, person.c.email)).join(sharer).where(sharer.c.id == number)
    return public_id.show(public_id.SHARER, number), connection.execute(named).scalar_one_or_none()


def _counts(connection: Connection, shop_id: int, number: int) -> tuple[int, int]:
    """Return the orders and the clicks of a sharer, from the rollups."""
    total, month = sharer_total.c, click_month.c
    orders = select(func.coalesce(func.sum(total.orders), 0)).where(total.shop_id == shop_id, total.sharer_id == number)
    clicks = select(func.coalesce(func.sum(month.clicks), 0)).where(month.shop_id == shop_id, month.sharer_id == number)
    row = connection.execute(select(orders.scalar_subquery(), clicks.scalar_subquery())).one()
    return int(row[0]), int(row[1])


def payouts_of(context: Context, sharer_id: int, *, limit: int) -> Sequence[Row[Any]]:
    """Return the newest payments to a sharer, drafts left out."""
    wanted = (
        select(payout_item, payout.c.currency, payout.c.created_at)
        .join(payout, payout.c.id == payout_item.c.payout_id)
        .where(payout_item.c.sharer_id == sharer_id, payout.c.state != "draft")
        .order_by(payout_item.c.id.desc())
        .limit(limit)
    )
    with context.database.reading() as connection:
        return connection.execute(wanted).all()
