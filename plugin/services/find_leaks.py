"""Finding coupon codes that have leaked: used by many within a day though hardly anybody followed their sharer's links.

A code that stands on a coupon site earns its sharer money for nobody's recommendation. It is reported, once a day, and
never denied: whether to end it is the owner's to say.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from plugin.database import among
from plugin.domain.moment import DAY, SECOND, format_moment
from plugin.models import click, fact, link, order_code, orders, shop
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.recorder import tell
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.want_task import want_once

KIND, REF = "leaks", "codes"
EVERY_SECONDS = 3_600
USES_MIN = 10  # within a day
CLICKS_PER_USE = 0.5  # below that, in the day and the one before it, hardly anybody came by a link
_CLICK_DAYS = 2


def want_watching(connection: Connection, shop_id: int, *, now: int) -> None:
    """Have a shop's codes looked at every hour."""
    want_once(connection, shop_id, KIND, REF, {}, now=now)


def day_told(now: int) -> str:
    """Return the day under which the result of the task holds the codes that were told on it."""
    return format_moment(now - now % DAY)


def _look(context: Context, one: Task) -> Done:
    """Report the codes that leaked within the last day, each once a day."""
    now = context.now()
    day = day_told(now)
    told = list(one.result["codes"]) if one.result and one.result["day"] == day else []
    with context.database.reading() as connection:
        key = connection.execute(select(shop.c.key).where(shop.c.id == one.shop_id)).scalar_one()
        busy = [row for row in _busy_codes(connection, one.shop_id, now - DAY) if row.code not in told]
        found = [leak for row in busy if (leak := _leak(connection, one.shop_id, row, now)) is not None]

    def write(connection: Connection) -> None:
        for leak in found:
            tell(context, connection, one.shop_id, "code.leaked", {"shop": key, **leak}, actor="worker")

    result = {"day": day, "codes": told + [leak["code"] for leak in found]}
    return Done(result, write, again_at=now + EVERY_SECONDS * SECOND)


def _busy_codes(connection: Connection, shop_id: int, since: int) -> Sequence[Row[Any]]:
    """Return (code, uses) of the codes that many orders carry which were placed since."""
    uses = func.count().label("uses")
    return connection.execute(
        select(order_code.c.code, uses)
        .join(orders, orders.c.id == order_code.c.order_id)
        .where(orders.c.shop_id == shop_id, orders.c.placed_at >= since)
        .group_by(order_code.c.code)
        .having(uses >= USES_MIN)
        .order_by(order_code.c.code)
    ).all()


def _leak(connection: Connection, shop_id: int, row: Row[Any], now: int) -> dict[str, Any] | None:
    """Say of a busy code whose it is and how few clicks explain it; None where enough do, or it is nobody's."""
    holder = connection.execute(
        select(fact.c.sharer_id)
        .where(fact.c.shop_id == shop_id, fact.c.kind == "code", fact.c.code == row.code, fact.c.at <= now)
        .order_by(fact.c.at.desc(), fact.c.position.desc())
        .limit(1)
    ).scalar_one_or_none()
    if holder is None:
        return None
    links = connection.execute(select(link.c.id).where(link.c.sharer_id == holder)).scalars().all()
    recent = select(func.count()).where(among(click.c.link_id, links), click.c.at >= now - _CLICK_DAYS * DAY)
    clicks: int = connection.execute(recent).scalar_one() if links else 0
    if clicks >= row.uses * CLICKS_PER_USE:
        return None
    sharer = public_id.show(public_id.SHARER, holder)
    return {"code": row.code, "sharer": sharer, "uses": row.uses, "clicks": clicks}


WATCH = Kind(_look, is_tireless=True)
