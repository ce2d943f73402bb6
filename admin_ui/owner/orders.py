"""The orders of a shop, and of each the receipt: why this person, why this amount, and what became of it."""

from typing import Any

from flask import request, url_for

from admin_ui.lists import PAGE, cursors, typed
from admin_ui.owner import MANAGE, Desk, Menu, page, show_form
from admin_ui.page import Answer, go, said, show
from admin_ui.words import ORDER_STATES
from plugin.database import again
from plugin.errors import BadRequest, NotFound
from plugin.languages import mark
from plugin.services.decide_by_hand import attribute_by_hand, hold_order
from plugin.services.explain_order import explain_order
from plugin.services.find_orders import find_order, find_orders, show_whose
from plugin.services.find_sharers import Sought, find_sharers
from plugin.services.show_sharer import find_sharer

CANDIDATES = 10
_NOBODY = "nobody"
_STORY = {
    "placed": mark("Ordered"),
    "paid": mark("Paid by the buyer"),
    "manual": mark("Decided by hand"),
    "hold": mark("Kept back"),
    "release": mark("The hold ended"),
}
_GIVEN = said("given", mark("Decided. The books follow your word."))
_HELD = said("held", mark("Its commissions are kept back until you decide."))


@page("/<shop>/orders", menu=Menu(mark("Orders"), "shopping-bag", 30))
def orders(desk: Desk) -> Answer:
    """Every order that was told, or those that a sharer gets, the last placed first."""
    text, state, name, after = typed("q"), typed("state"), typed("sharer"), cursors(2)
    state = state if state in ORDER_STATES else ""
    whose = show_whose(desk.context, desk.shop_id, name) if name else None
    found = find_orders(
        desk.context,
        desk.shop_id,
        text=text,
        state=state,
        sharer_id=whose.number if whose else None,
        before=(after[0], after[1]) if after else None,
        limit=PAGE,
    )
    sought: dict[str, Any] = {"q": text or None, "state": state or None, "sharer": name or None}
    following = found["next"] and url_for("owner.orders", shop=desk.shop_key, after=found["next"], **sought)
    return show(
        "owner/orders.html",
        found=found,
        text=text,
        state=state,
        whose=whose,
        states=ORDER_STATES,
        following=following,
    )


@page("/<shop>/orders/<order:order>")
def order(desk: Desk, order: str) -> Answer:
    """The receipt of an order."""
    return _show(desk, order)


@page("/<shop>/orders/<order:order>/hold", methods=["POST"], needs=MANAGE)
def hold(desk: Desk, order: str) -> Answer:
    """Keep an order's commissions back until a decision by hand."""
    try:
        reason = _reason()
        again(lambda: hold_order(desk.context, desk.shop_id, order, reason=reason, actor=desk.actor))
    except BadRequest as error:
        return _show(desk, order, error.fields)
    return go("owner.order", shop=desk.shop_key, order=order, code=_HELD)


@page("/<shop>/orders/<order:order>/attribution", methods=["GET", "POST"], needs=MANAGE)
def attribution(desk: Desk, order: str) -> Answer:
    """Give an order to a sharer or to nobody by hand: find them, choose, say why."""
    row = find_order(desk.context, desk.shop_id, order)
    if row is None:
        raise NotFound("unknown_order", "There is no such order in this shop.")
    errors: object = None
    if request.method == "POST":
        try:
            _give(desk, order)
        except BadRequest as error:
            errors = error.fields
        else:
            return go("owner.order", shop=desk.shop_key, order=order, code=_GIVEN)
    who = typed("who", form=request.method == "POST")
    found, _ = find_sharers(desk.context, desk.shop_id, Sought(who), before=None, limit=CANDIDATES)
    return show_form("owner/attribution.html", errors, row=row, who=who, found=found)


def _give(desk: Desk, order: str) -> None:
    """Do what the form says; raise BadRequest for what is not right in it."""
    chosen = request.form.get("sharer", "")
    if not chosen:
        fields = {"sharer": [mark("Choose a sharer, or nobody.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)
    sharer_id: int | None = None
    if chosen != _NOBODY:
        try:
            sharer_id = find_sharer(desk.context, chosen, shop_id=desk.shop_id).id
        except NotFound:
            fields = {"sharer": [mark("There is no such sharer in this shop.")]}
            raise BadRequest("invalid", "Some fields are not right.", fields=fields) from None
    reason = _reason()
    again(
        lambda: attribute_by_hand(
            desk.context, desk.shop_id, order, sharer_id=sharer_id, reason=reason, actor=desk.actor
        )
    )


def _reason() -> str:
    """Return the reason that was typed; raise BadRequest without one."""
    reason = typed("reason", form=True)
    if not reason:
        fields = {"reason": [mark("Say why: it stays on the receipt, and the sharer reads it too.")]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)
    return reason


def _show(desk: Desk, order: str, errors: Any = None) -> Answer:
    seen = explain_order(desk.context, desk.shop_id, order)
    return show_form("owner/order.html", errors, seen=seen, story_titles=_STORY)
