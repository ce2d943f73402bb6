"""Share links: issue them and list them. A link leads only to the shop's own host."""

from typing import Any

from plugin import schemas
from plugin.api.access import context, cursor_in_query, sharer_in_body
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.services.fill_codes import end_pool
from plugin.services.issue_link import NewLinkCoupon, issue_link
from plugin.services.manage_access import Caller
from plugin.services.show_link import find_link, list_links, show_link
from plugin.services.show_sharer import find_sharer

blueprint = Blueprint("links", "Signed share links")


@blueprint.operation("POST", "/links", scope="write", body=schemas.NewLink, gives=schemas.Link, status=201)
def post_link(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Issue a share link for a sharer.

    With a `coupon` each click brings a code for one order to the shop, made there beforehand; a shop in which no codes
    can be made is a 409.
    """
    row = sharer_in_body(caller, body["sharer"], "sharer")
    issued = again(
        lambda: issue_link(
            context(),
            row.shop_id,
            row.id,
            url=body["url"],
            channel=body["channel"],
            campaign=body["campaign"],
            coupon=None if body["coupon"] is None else NewLinkCoupon(**body["coupon"]),
            actor=caller.actor,
        )
    )
    return show_link(context(), issued.id)


@blueprint.operation(
    "GET", "/links", scope="read", query=schemas.SharerPageQuery, gives=schemas.LinkPage, problems=(404,)
)
def get_links(caller: Caller, query: dict[str, Any]) -> dict[str, Any]:
    """List a sharer's links, newest first."""
    before = cursor_in_query(query.get("cursor"))
    row = find_sharer(context(), query["sharer"], shop_id=caller.shop_id)
    return list_links(context(), row.id, before=before, limit=query["limit"])


@blueprint.operation("POST", "/links/<link_id>/coupon/end", scope="write", gives=schemas.Link, problems=(404,))
def post_link_coupon_end(caller: Caller, link_id: str) -> dict[str, Any]:
    """Have the clicks on a link bring no code along any more, and its unused codes ended in the shop."""
    row = find_link(context(), link_id, shop_id=caller.shop_id)
    again(lambda: end_pool(context(), row, actor=caller.actor))
    return show_link(context(), row.id)
