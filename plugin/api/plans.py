"""Plans: what a shop pays for, and what another plan would have meant."""

from typing import Any

from flask import request

from plugin import schemas
from plugin.api.access import context
from plugin.api.body import json_body, wrong
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.services.manage_access import Caller, shop_of
from plugin.services.put_plan import current_plan, put_plan
from plugin.services.what_if import what_if

blueprint = Blueprint("plans", "What a shop pays for, to whom, and how long an order may be taken back")
PLAN = {"$ref": "#/components/schemas/Plan"}
PLAN_VERSION = {"$ref": "#/components/schemas/PlanVersion"}


@blueprint.operation("GET", "/shops/<shop_key>/plan", scope="read", gives=PLAN_VERSION, problems=(404,))
def get_shop_plan(caller: Caller, shop_key: str) -> dict[str, Any]:
    """Show the plan in force now."""
    return current_plan(context(), shop_of(context(), caller, shop_key))


@blueprint.operation(
    "PUT",
    "/shops/<shop_key>/plan",
    scope="write",
    body=PLAN,
    query=schemas.PlanQuery,
    gives=PLAN_VERSION,
    problems=(404, 409),
)
def put_shop_plan(caller: Caller, shop_key: str, query: dict[str, Any]) -> dict[str, Any]:
    """Replace the whole plan by a new version.

    Missing parts take their defaults. It is in force from this second, or from `from`: 409 when an order placed since
    then is already decided, 422 in the future.
    """
    shop_id, plan = shop_of(context(), caller, shop_key), json_body()
    if not request.get_data():  # no words at all must not wipe a plan out
        raise wrong("plan", "Send the whole plan; an empty object is the plan of a new shop.")
    return again(lambda: put_plan(context(), shop_id, plan, since=query.get("since"), actor=caller.actor))


@blueprint.operation(
    "POST", "/shops/<shop_key>/what-if", scope="write", body=schemas.Question, gives=schemas.WhatIf, problems=(404,)
)
def post_shop_what_if(caller: Caller, shop_key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Replay the orders of a period under another plan; writes nothing."""
    shop_id = shop_of(context(), caller, shop_key)
    return what_if(context(), shop_id, body["plan"], since=body["since"], until=body["until"])
