"""Endpoints: the addresses to which the events are sent. A token of one shop sees and makes that shop's alone."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response

from plugin import schemas
from plugin.api.access import context, cursor_in_query, shop_in_body
from plugin.api.body import wrong
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.outbound import ForbiddenAddress
from plugin.services.manage_access import Caller
from plugin.services.manage_endpoints import (
    NewEndpoint,
    add_endpoint,
    change_endpoint,
    remove_endpoint,
    rotate_endpoint_secret,
)
from plugin.services.ping_endpoint import ping_endpoint
from plugin.services.replay_events import Stretch, replay_events
from plugin.services.show_endpoints import find_endpoint, list_endpoints, list_event_deliveries, show_endpoint

blueprint = Blueprint("endpoints", "Addresses to which the events are sent, signed by Standard Webhooks")
T = TypeVar("T")


def _number(caller: Caller, name: str) -> int:
    return int(find_endpoint(context(), name, shop_id=caller.shop_id).id)


def _checked(work: Callable[[], T]) -> T:
    """Run a transaction; an address that may not be called is a wrong field."""
    try:
        return again(work)
    except ForbiddenAddress as error:
        raise wrong("url", error.message, code=error.code) from None


@blueprint.operation(
    "POST", "/endpoints", scope="write", body=schemas.NewEndpoint, gives=schemas.MadeEndpoint, status=201
)
def post_endpoint(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Have the events that happen from now on sent to an address, of one shop or of all the token sees.

    The secret is shown this once. Without `types` all events are sent.
    """
    shop_id = caller.shop_id if body["shop"] is None else shop_in_body(caller, body["shop"])
    new = NewEndpoint(url=body["url"], shop_id=shop_id, types=body["types"])
    number, secret = _checked(lambda: add_endpoint(context(), new))
    return {**show_endpoint(context(), number), "secret": secret}


@blueprint.operation("GET", "/endpoints", scope="read", query=schemas.PageQuery, gives=schemas.EndpointPage)
def get_endpoints(caller: Caller, query: dict[str, Any]) -> dict[str, Any]:
    """List the endpoints, newest first."""
    before = cursor_in_query(query.get("cursor"))
    return list_endpoints(context(), shop_id=caller.shop_id, before=before, limit=query["limit"])


@blueprint.operation("GET", "/endpoints/<endpoint_id>", scope="read", gives=schemas.Endpoint, problems=(404,))
def get_endpoint(caller: Caller, endpoint_id: str) -> dict[str, Any]:
    """Show an endpoint and how it stands."""
    return show_endpoint(context(), _number(caller, endpoint_id))


@blueprint.operation(
    "PATCH",
    "/endpoints/<endpoint_id>",
    scope="write",
    body=schemas.EndpointChange,
    gives=schemas.Endpoint,
    problems=(404,),
)
def patch_endpoint(caller: Caller, endpoint_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change the address, the types or the state.

    A disabled endpoint keeps its place: enabled again, it gets all that happened meanwhile, and what had failed.
    """
    number = _number(caller, endpoint_id)
    _checked(lambda: change_endpoint(context(), number, body))
    return show_endpoint(context(), number)


@blueprint.operation("DELETE", "/endpoints/<endpoint_id>", scope="write", gives=None, status=204, problems=(404,))
def delete_endpoint(caller: Caller, endpoint_id: str) -> Response:
    """Delete an endpoint. Nothing is sent to it any more."""
    number = _number(caller, endpoint_id)
    again(lambda: remove_endpoint(context(), number))
    return Response(status=204)


@blueprint.operation(
    "POST",
    "/endpoints/<endpoint_id>/rotate",
    scope="write",
    body=schemas.Rotation,
    gives=schemas.EndpointSecret,
    problems=(404,),
)
def post_endpoint_rotate(caller: Caller, endpoint_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Make a new secret, shown this once; for the overlap events are signed with the old one too."""
    number = _number(caller, endpoint_id)
    secret = again(lambda: rotate_endpoint_secret(context(), number, overlap_hours=body["overlap_hours"]))
    return {"secret": secret}


@blueprint.operation(
    "POST",
    "/endpoints/<endpoint_id>/test",
    scope="write",
    body=schemas.Nothing,
    gives=schemas.Pinged,
    problems=(404,),
)
def post_endpoint_test(caller: Caller, endpoint_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a message of type `ping` now and tell what came back."""
    return ping_endpoint(context(), find_endpoint(context(), endpoint_id, shop_id=caller.shop_id))


@blueprint.operation(
    "POST",
    "/endpoints/<endpoint_id>/replay",
    scope="write",
    body=schemas.NewReplay,
    gives=schemas.Replay,
    problems=(404,),
)
def post_endpoint_replay(caller: Caller, endpoint_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Have events sent again, with the same ids: by their numbers or by their times, both ends included but `after`."""
    number = _number(caller, endpoint_id)
    return again(lambda: replay_events(context(), number, Stretch(**body)))


@blueprint.operation(
    "GET",
    "/endpoints/<endpoint_id>/deliveries",
    scope="read",
    query=schemas.EventDeliveriesQuery,
    gives=schemas.EventDeliveryPage,
    problems=(404,),
)
def get_endpoint_deliveries(caller: Caller, endpoint_id: str, query: dict[str, Any]) -> dict[str, Any]:
    """List the events that did not arrive at the first attempt, newest first, with the reason."""
    before = cursor_in_query(query.get("cursor"))
    number = _number(caller, endpoint_id)
    return list_event_deliveries(
        context(), number, state=query.get("state"), before=before, limit=query["limit"]
    )
