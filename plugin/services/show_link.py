"""Share links as the API shows them. Reads, never writes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select

from plugin.domain.moment import format_moment
from plugin.errors import NotFound
from plugin.models import link
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.fill_codes import show_pools
from plugin.services.show_sharer import page


def show_link(context: Context, number: int) -> dict[str, Any]:
    """Return a link as the API shows it."""
    with context.database.reading() as connection:
        row = connection.execute(select(link).where(link.c.id == number)).one()
        return _show_link(context, row, show_pools(connection, [number]).get(number))


def list_links(context: Context, sharer_id: int, *, before: int | None, limit: int) -> dict[str, Any]:
    """Return a page of a sharer's links, newest first."""
    wanted = select(link).where(link.c.sharer_id == sharer_id).order_by(link.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(link.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
        pools = show_pools(connection, [row.id for row in rows])
    return page([_show_link(context, row, pools.get(row.id)) for row in rows[:limit]], rows, limit)


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
        "created_at": format_moment(row.created_at),
    }
