"""Coupon codes made in a shop for a sharer: have one made, see them, have one ended."""

from typing import Any

from plugin import schemas
from plugin.api.access import context, cursor_in_query, sharer_in_body
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.services.make_coupon import NewCoupon, end_coupon, find_coupon, list_coupons, make_coupon, show_coupon
from plugin.services.manage_access import Caller
from plugin.services.public_id import COUPON, show
from plugin.services.show_sharer import find_sharer

blueprint = Blueprint("coupons", "Coupon codes made in a shop for a sharer")


def _show(caller: Caller, name: str) -> dict[str, Any]:
    return show_coupon(find_coupon(context(), name, shop_id=caller.shop_id))


@blueprint.operation("POST", "/coupons", scope="write", body=schemas.NewCoupon, gives=schemas.Coupon, status=201)
def post_coupon(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Have a code made in the sharer's shop.

    It counts as the sharer's from now on; the shop is asked to make it at once. `state` says how far that is. A code
    that is somebody's already, or a shop in which no codes can be made, is a 409.
    """
    row = sharer_in_body(caller, body["sharer"], "sharer")
    new = NewCoupon(code=body["code"], percent=body["percent"], amount=body["amount"], once=body["once"])
    return _show(caller, show(COUPON, again(lambda: make_coupon(context(), row, new, actor=caller.actor))))


@blueprint.operation(
    "GET", "/coupons", scope="read", query=schemas.SharerPageQuery, gives=schemas.CouponPage, problems=(404,)
)
def get_coupons(caller: Caller, query: dict[str, Any]) -> dict[str, Any]:
    """List the codes made for a sharer, newest first."""
    before = cursor_in_query(query.get("cursor"))
    row = find_sharer(context(), query["sharer"], shop_id=caller.shop_id)
    return list_coupons(context(), row.id, before=before, limit=query["limit"])


@blueprint.operation("GET", "/coupons/<coupon_id>", scope="read", gives=schemas.Coupon, problems=(404,))
def get_coupon(caller: Caller, coupon_id: str) -> dict[str, Any]:
    """Show a code, and what became of it in the shop."""
    return _show(caller, coupon_id)


@blueprint.operation("POST", "/coupons/<coupon_id>/end", scope="write", gives=schemas.Coupon, problems=(404,))
def post_coupon_end(caller: Caller, coupon_id: str) -> dict[str, Any]:
    """Have a code ended in its shop; from now on it counts as nobody's."""
    row = find_coupon(context(), coupon_id, shop_id=caller.shop_id)
    again(lambda: end_coupon(context(), row, actor=caller.actor))
    return _show(caller, coupon_id)
