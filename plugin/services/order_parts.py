"""What orders come to by product and by channel, as it is stored: derived, compared, and moved by the difference.

Each order's part is kept beside the sums, so that it can be taken out again to the cent. Whoever moves parts holds the
row of ``report_place`` (:func:`hold_place`), so no two do it at once and nobody puts an older state over a newer one.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Row, Table, delete, or_, select, union
from sqlalchemy.dialects import postgresql, sqlite

from plugin.database import among
from plugin.domain.attribution import Decision
from plugin.domain.commission import Reckoning, outcome
from plugin.domain.order import Story
from plugin.domain.order_parts import parts_of, product_of
from plugin.domain.rollup import CHANNEL_MONTH, FIGURES, PRODUCT_MONTH, Counted, Rollup, counted, place_of
from plugin.models import (
    ORDER_PARTS,
    ROLLUPS,
    chain,
    decision,
    fact,
    order_state,
    orders,
    report_place,
    sold_product,
)
from plugin.services import stories
from plugin.services.recorder import insert_many, insert_new
from plugin.services.rollups import add_rollup
from plugin.services.roster import load_plans

Part = dict[str, Any]  # a row of one of the tables of parts
Parts = dict[str, list[Part]]  # by rollup, in the order of products
ByOrder = dict[int, Parts]
Titles = dict[str, tuple[int, str]]  # by product: since when it is called so, and how
_KEYS = {name: [one.name for one in ROLLUPS[name].primary_key if one.name != "shop_id"] for name in ORDER_PARTS}
_NONE: Parts = {name: [] for name in ORDER_PARTS}


# --- the place ------------------------------------------------------------------------------------------------------


def hold_place(connection: Connection, shop_id: int, *, wait: bool) -> int | None:
    """Lock a shop's place and return it; None where somebody else holds it and we need not wait."""
    insert_new(connection, report_place, [{"shop_id": shop_id, "position": 0}])
    mine = select(report_place.c.position).where(report_place.c.shop_id == shop_id)
    return connection.execute(mine.with_for_update(skip_locked=not wait)).scalar_one_or_none()


def place_now(connection: Connection, shop_id: int) -> int:
    """Return up to which position of a shop's record orders are counted."""
    mine = select(report_place.c.position).where(report_place.c.shop_id == shop_id)
    return connection.execute(mine).scalar_one_or_none() or 0


def counted_until(connection: Connection, shop_id: int) -> int | None:
    """Return as of when the reports by product and channel are; None while nothing waits to be counted."""
    mine = select(report_place.c.position).where(report_place.c.shop_id == shop_id).scalar_subquery()
    waiting = select(chain.c.at).where(chain.c.shop_id == shop_id, or_(mine.is_(None), chain.c.position > mine))
    return connection.execute(waiting.order_by(chain.c.position).limit(1)).scalar_one_or_none()


def changes(where: Callable[[Table], Iterable[ColumnElement[bool]]]) -> CompoundSelect[Any]:
    """Return the query for the orders of which anything that is counted was written where the conditions hold.

    That is a state, a decision, or one of the facts that change an order without these.
    """
    parts = [select(table.c.order_id).where(*where(table)) for table in (order_state, decision)]
    parts.append(select(fact.c.order_id).where(*where(fact), among(fact.c.kind, ("deleted", "products"))))
    return union(*parts)


# --- deriving -------------------------------------------------------------------------------------------------------


def rows_of(rollup: Rollup, row: Row[Any], story: Story, decided: Decision, now: Reckoning, count: Counted) -> Parts:
    """Return the rows that an order must have; ``now`` is what it earns, ``count`` what it counts as."""
    parts = parts_of(story, count, now, decided.winner)
    placed_at = story.first.placed_at
    about = {
        "order_id": row.id,
        "shop_id": row.shop_id,
        "month": rollup.month_of(placed_at),
        "currency": story.now.order.currency,
    }
    products = [
        about | {"product": product} | dict(zip(FIGURES[PRODUCT_MONTH], figures, strict=True))
        for product, figures in sorted(parts.products.items())
    ]
    if parts.credit is None:
        return {PRODUCT_MONTH: products, CHANNEL_MONTH: []}
    channel, campaign = place_of(decided.frozen.channel, decided.frozen.campaign)
    credit = about | {"sharer_id": decided.winner, "placed_at": placed_at, "channel": channel, "campaign": campaign}
    return {
        PRODUCT_MONTH: products,
        CHANNEL_MONTH: [credit | dict(zip(FIGURES[CHANNEL_MONTH], parts.credit, strict=True))],
    }


def derive(connection: Connection, shop: Row[Any], rollup: Rollup, rows: Sequence[Row[Any]]) -> tuple[ByOrder, Titles]:
    """Return what settled orders come to as they stand now, and what their products are called on them."""
    plans = {one.version: one.plan for one in load_plans(connection, shop.id)}
    found: ByOrder = {}
    titles: Titles = {}
    for row in rows:
        story, decided = stories.load(row.story, row.now), Decision.from_json(json.loads(row.decision))
        now = outcome(story, decided.frozen, plans[decided.plan_version], starts_at=shop.starts_at).now
        count = counted(story, decided.winner, now.net, starts_at=shop.starts_at)
        found[row.id] = rows_of(rollup, row, story, decided, now, count)
        for line in story.now.order.lines:
            if line.title is not None:
                name = (story.now.order.updated_at, line.title)
                titles[product_of(line)] = max(name, titles.get(product_of(line), name))
    titles.pop("", None)
    return found, titles


def stored_parts(connection: Connection, order_ids: Collection[int]) -> ByOrder:
    """Return what orders are counted as."""
    found: ByOrder = defaultdict(lambda: {name: [] for name in ORDER_PARTS})
    for name, table in ORDER_PARTS.items():
        wanted = select(table).where(among(table.c.order_id, order_ids))
        for row in connection.execute(wanted).mappings():
            found[row["order_id"]][name].append(dict(row))
    for parts in found.values():
        parts[PRODUCT_MONTH].sort(key=lambda part: str(part["product"]))
    return found


def differing(must: Mapping[int, Parts], booked: Mapping[int, Parts]) -> list[int]:
    """Return the orders that are not counted as they must be."""
    return sorted(one for one in must.keys() | booked.keys() if must.get(one, _NONE) != booked.get(one, _NONE))


# --- moving ---------------------------------------------------------------------------------------------------------


def count_anew(connection: Connection, shop: Row[Any], order_ids: Collection[int]) -> int:
    """Count orders as they stand now, by the difference; return how many changed. The caller holds the place."""
    rollup = Rollup(ZoneInfo(shop.timezone))
    mine = select(orders).where(orders.c.shop_id == shop.id, among(orders.c.id, order_ids))
    must, titles = derive(connection, shop, rollup, connection.execute(mine).all())
    booked = stored_parts(connection, order_ids)
    changed = differing(must, booked)
    for one in changed:
        _count(rollup, booked.get(one, _NONE), sign=-1)
        _count(rollup, must.get(one, _NONE), sign=1)
    for name, table in ORDER_PARTS.items():
        old = [one for one in changed if booked.get(one, _NONE)[name]]
        if old:
            connection.execute(delete(table).where(among(table.c.order_id, old)))
        insert_many(connection, table, [part for one in changed for part in must.get(one, _NONE)[name]])
    if changed:
        add_rollup(connection, shop.id, rollup)
    _name(connection, shop.id, titles)
    return len(changed)


def _count(rollup: Rollup, parts: Parts, *, sign: int) -> None:
    for name, rows in parts.items():
        for row in rows:
            rollup.count(name, tuple(row[key] for key in _KEYS[name]), (row[one] for one in FIGURES[name]), sign=sign)


def _name(connection: Connection, shop_id: int, titles: Titles) -> None:
    """Remember what products are called, each as on the newest order."""
    rows: Iterable[dict[str, Any]] = (
        {"shop_id": shop_id, "product": product, "title": title, "at": at}
        for product, (at, title) in sorted(titles.items())
    )
    wish: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(sold_product)
    newer = sold_product.c.at < wish.excluded.at
    same = (sold_product.c.at == wish.excluded.at) & (sold_product.c.title < wish.excluded.title)
    wish = wish.on_conflict_do_update(
        index_elements=[sold_product.c.shop_id, sold_product.c.product],
        set_={"title": wish.excluded.title, "at": wish.excluded.at},
        where=newer | same,
    )
    if titles:
        connection.execute(wish, list(rows))
