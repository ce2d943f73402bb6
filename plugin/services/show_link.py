"""Share links as the API shows them. Reads, never writes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Select, and_, func, select

from plugin.domain.moment import format_moment
from plugin.errors import NotFound
from plugin.models import click_link, link
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.fill_codes import show_pools
from plugin.services.show_sharer import page


def show_link(context: Context, number: int) -> dict[str, Any]:
    """Return a link as the API shows it."""
    with context.database.reading() as connection:
        row = connection.execute(_links().where(link.c.id == number)).one()
        return _show_link(context, row, show_pools(connection, [number]).get(number))


def list_links(context: Context, sharer_id: int, *, before: int | None, limit: int) -> dict[str, Any]:
    """Return a page of a sharer's links, newest first."""
    wanted = select_links(sharer_id).order_by(link.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(link.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
        pools = show_pools(connection, [row.id for row in rows])
    return page([_show_link(context, row, pools.get(row.id)) for row in rows[:limit]], rows, limit)


def _links() -> Select[Any]:
    """Return the query for links with the clicks on each, which are counted as they are written down."""
    clicks = func.coalesce(click_link.c.clicks, 0).label("clicks")
    mine = (
        click_link.c.shop_id == link.c.shop_id,
        click_link.c.sharer_id == link.c.sharer_id,
        click_link.c.link_id == link.c.id,
    )
    return select(link, clicks).outerjoin(click_link, and_(*mine))


def select_links(sharer_id: int) -> Select[Any]:
    """Return the query for a sharer's links with the clicks on each."""
    return _links().where(link.c.sharer_id == sharer_id)


def find_link(context: Context, name: str, *, shop_id: int | None) -> Row[Any]:
    """Return a link's row by its public id, in one shop or in any; raise NotFound."""
    number = public_id.read(public_id.LINK, name)
    with context.database.reading() as connection:
        row = connection.execute(select(link).where(link.c.id == number)).one_or_none()
    if row is None or shop_id not in (None, row.shop_id):
        raise NotFound("unknown_link", "There is no such link.")
    return row


def _show_link(context: Context, row: Row[Any], pool: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "id": public_id.show(public_id.LINK, row.id),
        "sharer": public_id.show(public_id.SHARER, row.sharer_id),
        "code": row.code,
        "share_url": f"{context.settings.base_url}/s/{row.code}",
        "target_url": row.target_url,
        "channel": row.channel,
        "campaign": row.campaign,
        "coupon": pool,
        "clicks": row.clicks,
        "created_at": format_moment(row.created_at),
    }
