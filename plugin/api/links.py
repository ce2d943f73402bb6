"""Share links: issue them and list them. A link leads only to the shop's own host."""

from typing import Any

from plugin import schemas
from plugin.api.access import context, cursor_in_query, sharer_in_body
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.services.issue_link import issue_link
from plugin.services.manage_access import Caller
from plugin.services.show_sharer import find_sharer, list_links, show_link

blueprint = Blueprint("links", "Signed share links")


@blueprint.operation("POST", "/links", scope="write", body=schemas.NewLink, gives=schemas.Link, status=201)
def post_link(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Issue a share link for a sharer."""
    row = sharer_in_body(caller, body["sharer"], "sharer")
    issued = again(
        lambda: issue_link(
            context(),
            row.shop_id,
            row.id,
            url=body["url"],
            channel=body["channel"],
            campaign=body["campaign"],
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
