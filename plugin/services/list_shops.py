"""The shops of an installation, and how far each was reconciled."""

from typing import Any

from sqlalchemy import select

from plugin.domain.moment import format_moment, parse_moment
from plugin.models import shop
from plugin.services.context import Context
from plugin.services.reconcile_shop import read_progress


def list_shops(context: Context) -> list[dict[str, Any]]:
    """Return the shops, oldest first; ``reconciled`` is None for one that cannot be asked."""
    with context.database.reading() as connection:
        rows = connection.execute(select(shop).order_by(shop.c.id)).all()
        progress = {row.id: read_progress(connection, row.id) for row in rows}
    return [
        {
            "key": row.key,
            "platform": row.platform,
            "url": row.url,
            "name": row.name,
            "currency": row.currency,
            "timezone": row.timezone,
            "live": row.live,
            "starts_at": format_moment(row.starts_at),
            "reconciled": _shown(progress[row.id]),
        }
        for row in rows
    ]


def _shown(found: Any) -> dict[str, Any] | None:
    if found is None:
        return None
    task, progress = found
    sure = progress.get("sure")
    return {
        "sure": format_moment(parse_moment(sure)) if sure else None,
        "asked": progress.get("asked", 0),
        "found": progress.get("found", 0),
        "trouble": task.reason or progress.get("trouble"),
    }
