"""Endpoints: the addresses to which this shop's events go out, which of them each gets, tried, switched and removed."""

from typing import Any

from flask import request
from sqlalchemy import Row

from admin_ui.owner import OWN, Desk, page, show_form
from admin_ui.page import Answer, go, said
from plugin.domain.event_types import EVENT_TYPES
from plugin.errors import BadRequest, PluginError
from plugin.languages import mark
from plugin.services import public_id
from plugin.services.manage_endpoints import NewEndpoint, add_endpoint, change_endpoint, remove_endpoint
from plugin.services.ping_endpoint import ping_endpoint
from plugin.services.replay_events import Stretch, replay_events
from plugin.services.show_endpoints import find_endpoint, list_endpoints

SHOWN_MAX = 50
URL_MAX = 2_000
_ON = said("endpoint-on", mark("It is on; what waited goes out now."))
_OFF = said("endpoint-off", mark("It is off. Nothing is sent until it is on again."))
_REMOVED = said("endpoint-removed", mark("It is removed."))
_AGAIN = said("endpoint-again", mark("The events of the last 24 hours are sent once more, with the same ids."))
_CHOSEN = said("endpoint-types", mark("Saved. From now on it gets these events."))
_ARRIVED = said("endpoint-arrived", mark("A ping arrived there."))
_HOURS = 24 * 3_600 * 1_000_000


@page("/<shop>/endpoints", needs=OWN)
def endpoints(desk: Desk) -> Answer:
    """Where events go, and how each address stands."""
    return _endpoints(desk)


def _endpoints(desk: Desk, errors: Any = None, secret: str | None = None) -> Answer:
    found = list_endpoints(desk.context, shop_id=desk.shop_id, before=None, limit=SHOWN_MAX)
    return show_form("owner/endpoints.html", errors, endpoints=found["items"], secret=secret, event_types=EVENT_TYPES)


@page("/<shop>/endpoints", methods=["POST"], needs=OWN, fresh=True)
def make_endpoint(desk: Desk) -> Answer:
    """Add an address; its secret is shown this once."""
    url = request.form.get("url", "").strip()
    if not 0 < len(url) <= URL_MAX:
        return _endpoints(desk, {"url": [mark("Write an address.")]})
    try:
        _, secret = add_endpoint(desk.context, NewEndpoint(url, shop_id=desk.shop_id, types=_chosen_types()))
    except PluginError as error:
        if error.status >= 500:
            raise
        return _endpoints(desk, {"url": [mark("This address cannot be called. It must be public, and https.")]})
    return _endpoints(desk, secret=secret)


@page("/<shop>/endpoints/change", methods=["POST"], needs=OWN, fresh=True)
def alter_endpoint(desk: Desk) -> Answer:
    """Try an address, choose what it gets, switch it on or off, send the last day again, or remove it."""
    row = find_endpoint(desk.context, request.form.get("endpoint", ""), shop_id=desk.shop_id)
    button = request.form.get("do", "")
    if button == "ping":
        return _ping(desk, row)
    if button == "again":
        replay_events(desk.context, row.id, Stretch(since=desk.context.now() - _HOURS))
        return go("owner.endpoints", shop=desk.shop_key, code=_AGAIN)
    if button == "remove":
        remove_endpoint(desk.context, row.id)
        return go("owner.endpoints", shop=desk.shop_key, code=_REMOVED)
    if button == "types":
        change_endpoint(desk.context, row.id, {"types": _chosen_types()})
        return go("owner.endpoints", shop=desk.shop_key, code=_CHOSEN)
    if button not in ("on", "off"):
        raise BadRequest("invalid", "Some fields are not right.")
    change_endpoint(desk.context, row.id, {"state": "enabled" if button == "on" else "disabled"})
    return go("owner.endpoints", shop=desk.shop_key, code=_ON if button == "on" else _OFF)


def _chosen_types() -> list[str]:
    """Return the kinds of events that are ticked, none for all; raise BadRequest for one there is none of."""
    chosen = request.form.getlist("types")
    if not set(chosen) <= set(EVENT_TYPES):
        raise BadRequest("invalid", "Some fields are not right.")
    return chosen


def _ping(desk: Desk, row: Row[Any]) -> Answer:
    if ping_endpoint(desk.context, row)["arrived"]:
        return go("owner.endpoints", shop=desk.shop_key, code=_ARRIVED)
    name = public_id.show(public_id.ENDPOINT, row.id)
    return _endpoints(desk, {name: [mark("The ping did not arrive there.")]})
