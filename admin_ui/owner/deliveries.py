"""What the shop sent: the log of its deliveries, what became of each, and reading them once more."""

import json
from typing import Any

from flask import request, url_for

from admin_ui.lists import PAGE, cursor, typed
from admin_ui.owner import MANAGE, OWN, Desk, Menu, page
from admin_ui.page import Answer, go, said, show
from admin_ui.words import DELIVERIES
from plugin.languages import mark
from plugin.services.public_id import DELIVERY
from plugin.services.public_id import show as show_id
from plugin.services.replay_deliveries import replay
from plugin.services.see_deliveries import find_delivery, open_delivery, page_of_deliveries

_QUARANTINED = "quarantined"
_REPLAYED = said("replayed", mark("Read once more. What became of it stands below."))


@page("/<shop>/deliveries", menu=Menu(mark("Deliveries"), "inbox", 70))
def deliveries(desk: Desk) -> Answer:
    """The log, newest first."""
    state = typed("state") if typed("state") in DELIVERIES else ""
    rows, after = page_of_deliveries(desk.context, desk.shop_id, state=state, before=cursor(), limit=PAGE)
    following = after and url_for("owner.deliveries", shop=desk.shop_key, state=state or None, after=after)
    return show(
        "owner/deliveries.html", rows=rows, state=state, states=DELIVERIES, name=_name, following=following
    )


@page("/<shop>/deliveries/<delivery>")
def delivery(desk: Desk, delivery: str) -> Answer:
    """One delivery; what it said is for owners alone, since it may name a buyer."""
    row = find_delivery(desk.context, desk.shop_id, delivery)
    opened = open_delivery(desk.context, row.id) if desk.may(OWN) else None
    return show("owner/delivery.html", row=row, name=_name(row), opened=opened, body=opened and _laid_out(opened.body))


@page("/<shop>/deliveries/replay", methods=["POST"], needs=MANAGE)
def replay_deliveries(desk: Desk) -> Answer:
    """Read one delivery once more, or all that are in quarantine; where all was well nothing changes."""
    one = request.form.get("delivery")
    if one:
        find_delivery(desk.context, desk.shop_id, one)
        replay(desk.context, shop_id=desk.shop_id, delivery_id=one)
        return go("owner.delivery", shop=desk.shop_key, delivery=one, code=_REPLAYED)
    replay(desk.context, shop_id=desk.shop_id, state=_QUARANTINED)
    return go("owner.deliveries", shop=desk.shop_key, state=_QUARANTINED, code=_REPLAYED)


def _name(row: Any) -> str:
    return show_id(DELIVERY, row.id)


def _laid_out(text: str) -> str:
    """Return JSON with a line for each thing; what is none stays as it came."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text
