"""Events: everything that happened, in order. A token of one shop sees that shop's alone."""

from typing import Any

from plugin import schemas
from plugin.api.access import context
from plugin.api.operation import Blueprint
from plugin.services.list_events import list_events
from plugin.services.manage_access import Caller

blueprint = Blueprint("events", "Everything that happened, oldest first")


@blueprint.operation("GET", "/events", scope="read", query=schemas.EventsQuery, gives=schemas.Events)
def get_events(caller: Caller, query: dict[str, Any]) -> dict[str, Any]:
    """Follow what happens: who asks with the last number seen misses nothing."""
    return list_events(context(), after=query["after"], limit=query["limit"], shop_id=caller.shop_id)
