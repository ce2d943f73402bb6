"""Sharers: enrol them, see and change how they stand, and read what they have earned."""

from typing import Any

from plugin import schemas
from plugin.api.access import context, cursor_in_query, sharer_in_body, shop_in_body
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.services.enrol_sharer import NewSharer, change_sharer, enrol_sharer
from plugin.services.manage_access import Caller, shop_of
from plugin.services.show_books import list_transfers, show_balances
from plugin.services.show_sharer import find_sharer, list_sharers, show_sharer

blueprint = Blueprint("sharers", "Persons who share, each in one shop")


def _inviter(caller: Caller, body: dict[str, Any]) -> int | None:
    name = body.get("referred_by")
    return None if name is None else sharer_in_body(caller, name, "referred_by").id


@blueprint.operation(
    "POST", "/sharers", scope="write", body=schemas.NewSharer, gives=schemas.Sharer, status=201
)
def post_sharer(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Enrol a sharer.

    A sharer is a person in one shop; the same e-mail in two shops is one person with two sharers. Status, group,
    inviter and codes count for orders placed from `since` on. An e-mail or code already taken in the shop is a 409.
    """
    shop_id = shop_in_body(caller, body["shop"])
    new = NewSharer(
        email=body["email"],
        name=body["name"],
        codes=body.get("codes", ()),
        inviter=_inviter(caller, body),
        group=body["group"],
        locale=body["locale"],
        status=body["status"],
        since=body["since"],
        customer_id=body["customer_id"],
    )
    return show_sharer(context(), again(lambda: enrol_sharer(context(), shop_id, new, actor=caller.actor)))


@blueprint.operation(
    "GET", "/sharers", scope="read", query=schemas.ShopPageQuery, gives=schemas.SharerPage, problems=(404,)
)
def get_sharers(caller: Caller, query: dict[str, Any]) -> dict[str, Any]:
    """List a shop's sharers, newest first."""
    before = cursor_in_query(query.get("cursor"))
    shop_id = shop_of(context(), caller, query["shop"])
    return list_sharers(context(), shop_id, before=before, limit=query["limit"])


@blueprint.operation("GET", "/sharers/<sharer_id>", scope="read", gives=schemas.Sharer, problems=(404,))
def get_sharer(caller: Caller, sharer_id: str) -> dict[str, Any]:
    """Show a sharer."""
    return show_sharer(context(), find_sharer(context(), sharer_id, shop_id=caller.shop_id).id)


@blueprint.operation(
    "PATCH",
    "/sharers/<sharer_id>",
    scope="write",
    body=schemas.SharerChange,
    gives=schemas.Sharer,
    problems=(404, 409),
)
def patch_sharer(caller: Caller, sharer_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change how a sharer stands from now on.

    A dated fact: it counts for orders placed from then on and never changes what was decided.
    """
    row = find_sharer(context(), sharer_id, shop_id=caller.shop_id)
    changes = {name: value for name, value in body.items() if name != "referred_by"}
    if "referred_by" in body:
        changes["inviter"] = _inviter(caller, body)
    if changes:
        again(lambda: change_sharer(context(), row, changes, actor=caller.actor))
    return show_sharer(context(), row.id)


@blueprint.operation("GET", "/sharers/<sharer_id>/balances", scope="read", gives=schemas.Balances, problems=(404,))
def get_sharer_balances(caller: Caller, sharer_id: str) -> dict[str, Any]:
    """Show what a sharer has in each currency."""
    return show_balances(context(), find_sharer(context(), sharer_id, shop_id=caller.shop_id).id)


@blueprint.operation(
    "GET",
    "/sharers/<sharer_id>/transfers",
    scope="read",
    query=schemas.PageQuery,
    gives=schemas.TransferPage,
    problems=(404,),
)
def get_sharer_transfers(caller: Caller, sharer_id: str, query: dict[str, Any]) -> dict[str, Any]:
    """List a sharer's statement, newest first; its entries never change."""
    before = cursor_in_query(query.get("cursor"))
    row = find_sharer(context(), sharer_id, shop_id=caller.shop_id)
    return list_transfers(context(), row.id, before=before, limit=query["limit"])
