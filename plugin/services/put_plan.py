"""Putting a plan: a new version in force from a moment on. What orders were decided under stays what it was."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from plugin.domain.moment import format_moment
from plugin.domain.plan import complete, read_plan
from plugin.errors import BadRequest, Conflict
from plugin.languages import mark
from plugin.models import orders, plan
from plugin.services.context import Context
from plugin.services.enrol_sharer import date_of_change
from plugin.services.recorder import recording
from plugin.services.settle_order import resettle


def put_plan(
    context: Context, shop_id: int, data: Mapping[str, Any], *, since: int | None, actor: str
) -> dict[str, Any]:
    """Put a whole plan in force from ``since`` (default: this second); return its version, date and parts.

    Raises BadRequest for a plan that cannot be read or a date to come, Conflict where an order placed since then is
    decided already.
    """
    read_plan(data)
    whole = complete(data)
    with recording(context, shop_id, actor=actor) as recorder:
        connection = recorder.connection
        if since is not None and since > recorder.now:
            fields = {"from": [mark("Must not lie in the future.")]}
            raise BadRequest("invalid", "Some fields are not right.", fields=fields)
        placed_since = select(orders.c.id).where(orders.c.shop_id == shop_id, orders.c.placed_at >= (since or 0))
        if since is not None and connection.execute(placed_since.limit(1)).first():
            raise Conflict("already_decided", "An order placed since then is already decided; take a later date.")
        version = connection.execute(select(func.max(plan.c.version)).where(plan.c.shop_id == shop_id)).scalar_one() + 1
        in_force_from = date_of_change(recorder) if since is None else since
        body = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        recorder.add_row(
            plan, {"version": version, "in_force_from": in_force_from, "put_at": recorder.now, "body": body}
        )
        later = connection.execute(
            select(orders.c.id).where(orders.c.shop_id == shop_id, orders.c.placed_at >= in_force_from)
        ).scalars()
        concerned = set(later)
        if concerned:
            resettle(recorder, concerned, cause=f"plan:{version}")
        recorder.emit("plan.changed", {"shop": recorder.shop.key, "version": version})
    return {"version": version, "in_force_from": format_moment(in_force_from), **whole}


def current_plan(context: Context, shop_id: int) -> dict[str, Any]:
    """Return the plan in force now."""
    with context.database.reading() as connection:
        row = connection.execute(
            select(plan)
            .where(plan.c.shop_id == shop_id, plan.c.in_force_from <= context.now())
            .order_by(plan.c.version.desc())
            .limit(1)
        ).one()
    return {"version": row.version, "in_force_from": format_moment(row.in_force_from), **json.loads(row.body)}


def list_plans(context: Context, shop_id: int, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Return the versions of a shop's plan, newest first, each with the one before it, if any."""
    wanted = select(plan).where(plan.c.shop_id == shop_id).order_by(plan.c.version.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(plan.c.version < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    bodies = [json.loads(row.body) for row in rows]
    return [
        {
            "version": row.version,
            "in_force_from": row.in_force_from,
            "put_at": row.put_at,
            "plan": bodies[index],
            "before": bodies[index + 1] if index + 1 < len(rows) else None,
        }
        for index, row in enumerate(rows[:limit])
    ]
