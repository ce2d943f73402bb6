"""Payouts: draft, approve, submit, cancel, mark. What moves money needs a token of scope ``payout``."""

from collections.abc import Callable
from typing import Any

from plugin import schemas
from plugin.api.access import context, cursor_in_query, shop_in_body
from plugin.api.body import wrong
from plugin.api.operation import Blueprint
from plugin.database import again
from plugin.errors import Malformed, NotFound
from plugin.services import public_id
from plugin.services.manage_access import Caller, shop_of
from plugin.services.run_payout import (
    NewPayout,
    approve_payout,
    cancel_payout,
    draft_payout,
    mark_payout_item,
    minor_of,
    show_payout,
    submit_payout,
)
from plugin.services.show_books import find_payout, list_payouts

blueprint = Blueprint("payouts", "Batches of payouts and their items")
Step = Callable[..., None]


def _show(caller: Caller, number: int) -> dict[str, Any]:
    return show_payout(context(), number, visible=lambda shop_id: caller.shop_id in (None, shop_id))


def _take_step(caller: Caller, name: str, step: Step) -> dict[str, Any]:
    row = find_payout(context(), name, shop_id=caller.shop_id)
    again(lambda: step(context(), row.shop_id, row.id, actor=caller.actor))
    return _show(caller, row.id)


def _numbers(named: list[str]) -> set[int]:
    """Return the sharers' numbers; whether they are the shop's is seen where the batch is made."""
    try:
        return {public_id.read(public_id.SHARER, name) for name in named}
    except NotFound as error:
        raise wrong("sharers", error.message) from None


def _check_minimum(body: dict[str, Any]) -> None:
    if body["minimum"] is None:
        return
    try:
        minor = minor_of(body["minimum"], body["currency"])
    except Malformed as error:
        raise wrong("minimum", error.message) from None
    if minor > schemas.NUMBER_MAX:
        raise wrong("minimum", "Is too large.")


@blueprint.operation(
    "POST", "/payouts", scope="write", body=schemas.NewPayout, gives=schemas.Payout, status=201
)
def post_payout(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Draft a batch of everybody who could be paid now, or of the sharers named."""
    shop_id = shop_in_body(caller, body["shop"])
    _check_minimum(body)
    named = body["sharers"]
    new = NewPayout(
        rail=body["rail"],
        currency=body["currency"],
        minimum=body["minimum"],
        sharers=None if named is None else _numbers(named),
    )
    return _show(caller, again(lambda: draft_payout(context(), shop_id, new, actor=caller.actor)))


@blueprint.operation(
    "GET", "/payouts", scope="read", query=schemas.ShopPageQuery, gives=schemas.PayoutPage, problems=(404,)
)
def get_payouts(caller: Caller, query: dict[str, Any]) -> dict[str, Any]:
    """List a shop's payouts, newest first."""
    before = cursor_in_query(query.get("cursor"))
    shop_id = shop_of(context(), caller, query["shop"])
    return list_payouts(context(), shop_id, before=before, limit=query["limit"])


@blueprint.operation("GET", "/payouts/<payout_id>", scope="read", gives=schemas.Payout, problems=(404,))
def get_payout(caller: Caller, payout_id: str) -> dict[str, Any]:
    """Show a batch with its items and who was left out."""
    return _show(caller, find_payout(context(), payout_id, shop_id=caller.shop_id).id)


@blueprint.operation(
    "POST",
    "/payouts/<payout_id>/approve",
    scope="payout",
    body=schemas.Nothing,
    gives=schemas.Payout,
    problems=(404,),
)
def post_payout_approve(caller: Caller, payout_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Reserve each balance as it is now; who no longer qualifies moves to `left_out`."""
    return _take_step(caller, payout_id, approve_payout)


@blueprint.operation(
    "POST",
    "/payouts/<payout_id>/submit",
    scope="payout",
    body=schemas.Nothing,
    gives=schemas.Payout,
    problems=(404,),
)
def post_payout_submit(caller: Caller, payout_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Hand an approved batch over to its rail."""
    return _take_step(caller, payout_id, submit_payout)


@blueprint.operation(
    "POST",
    "/payouts/<payout_id>/cancel",
    scope="write",
    body=schemas.Nothing,
    gives=schemas.Payout,
    problems=(404,),
)
def post_payout_cancel(caller: Caller, payout_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Cancel a draft or an approved batch; what was reserved is given back."""
    return _take_step(caller, payout_id, cancel_payout)


@blueprint.operation(
    "POST",
    "/payouts/<payout_id>/items/<item_id>/mark",
    scope="payout",
    body=schemas.Mark,
    gives=schemas.Payout,
    problems=(404,),
)
def post_payout_item_mark(caller: Caller, payout_id: str, item_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Record what became of an item outside."""
    row = find_payout(context(), payout_id, shop_id=caller.shop_id)
    item = public_id.read(public_id.ITEM, item_id)
    again(lambda: mark_payout_item(context(), row.shop_id, row.id, item, actor=caller.actor, **body))
    return _show(caller, row.id)


@blueprint.operation("GET", "/payouts/<payout_id>/file", scope="payout", gives=None, problems=(404,))
def get_payout_file(caller: Caller, payout_id: str) -> dict[str, Any]:
    """Give the file of a batch whose rail makes one."""
    find_payout(context(), payout_id, shop_id=caller.shop_id)
    raise NotFound("no_file", "The rail of this payout makes no file.")
