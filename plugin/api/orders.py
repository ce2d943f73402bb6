"""Orders: what each person earns by them, the receipt of the decision, and the owner's word on them.

The id is the shop's own and may hold anything, slashes too, as in ``gid://shopify/Order/1``.
"""

from typing import Any

from werkzeug.routing import BaseConverter

from plugin import schemas
from plugin.api.access import context, cursor_numbers, sharer_in_body, shop_in_body
from plugin.api.body import wrong
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.services.decide_by_hand import attribute_by_hand, hold_order
from plugin.services.manage_access import Caller, shop_of
from plugin.services.show_order import list_orders, show_order, show_receipt
from plugin.services.show_sharer import find_sharer

blueprint = Blueprint("orders", "Orders as the shop stated them, and what they earn whom")


class OrderId(BaseConverter):
    """Whatever a shop calls its orders; unlike Werkzeug's ``path`` it may begin with a slash.

    No order's id holds a NUL, and PostgreSQL would fail on one.
    """

    regex = r"[^\0]+?"
    part_isolating = False
    weight = 200  # after everything that says more of its path


@blueprint.operation(
    "GET", "/orders", scope="read", query=schemas.OrderPageQuery, gives=schemas.OrderPage, problems=(404,)
)
def get_orders(caller: Caller, query: dict[str, Any]) -> dict[str, Any]:
    """List a shop's orders, the last placed first; with `sharer` those that a sharer gets.

    Whose an order is stands here a moment after it was settled.
    """
    cursor = cursor_numbers(query.get("cursor"), count=2)
    shop_id = shop_of(context(), caller, query["shop"])
    before = (cursor[0], cursor[1]) if cursor else None
    sharer_id = find_sharer(context(), query["sharer"], shop_id=shop_id).id if "sharer" in query else None
    return list_orders(context(), shop_id, sharer_id=sharer_id, before=before, limit=query["limit"])


@blueprint.operation(
    "GET", "/orders/<order:order_id>", scope="read", query=schemas.ShopQuery, gives=schemas.Order, problems=(404,)
)
def get_order(caller: Caller, order_id: str, query: dict[str, Any]) -> dict[str, Any]:
    """Show an order as it is now and what everybody earns by it."""
    return show_order(context(), shop_of(context(), caller, query["shop"]), order_id)


@blueprint.operation(
    "GET",
    "/orders/<order:order_id>/receipt",
    scope="read",
    query=schemas.ShopQuery,
    gives=schemas.Receipt,
    problems=(404,),
)
def get_order_receipt(caller: Caller, order_id: str, query: dict[str, Any]) -> dict[str, Any]:
    """Show why an order went to whom, and how each amount came about."""
    return show_receipt(context(), shop_of(context(), caller, query["shop"]), order_id)


@blueprint.operation(
    "POST",
    "/orders/<order:order_id>/attribution",
    scope="write",
    body=schemas.ManualDecision,
    gives=schemas.Order,
    problems=(404,),
)
def post_order_attribution(caller: Caller, order_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Give an order to a sharer, or to nobody, by hand.

    A dated fact that wins over all evidence, also after the release; the books follow.
    """
    shop_id = shop_in_body(caller, body["shop"])
    sharer_id = None
    if body["sharer"] is not None:
        row = sharer_in_body(caller, body["sharer"], "sharer")
        if row.shop_id != shop_id:
            raise wrong("sharer", "There is no such sharer in this shop.")
        sharer_id = row.id
    again(
        lambda: attribute_by_hand(
            context(), shop_id, order_id, sharer_id=sharer_id, reason=body["reason"], actor=caller.actor
        )
    )
    return show_order(context(), shop_id, order_id)


@blueprint.operation(
    "POST", "/orders/<order:order_id>/hold", scope="write", body=schemas.NewHold, gives=schemas.Order, problems=(404,)
)
def post_order_hold(caller: Caller, order_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Keep an order's commissions back until a decision by hand; 409 once it is released."""
    shop_id = shop_in_body(caller, body["shop"])
    again(lambda: hold_order(context(), shop_id, order_id, reason=body["reason"], actor=caller.actor))
    return show_order(context(), shop_id, order_id)
