"""The owner's word on one order: a manual decision, or a hold. Both are dated facts; the books follow."""

from typing import Any

from sqlalchemy import select

from plugin.errors import BadRequest, Conflict, NotFound
from plugin.languages import mark
from plugin.models import orders, sharer
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.recorder import Recorder, recording
from plugin.services.settle_order import resettle

REASON_LENGTH_MAX = 1_000


def _order(recorder: Recorder, ref: str) -> Any:
    row = recorder.connection.execute(
        select(orders.c.id, orders.c.ref, orders.c.released).where(
            orders.c.shop_id == recorder.shop.id, orders.c.ref == ref
        )
    ).one_or_none()
    if row is None:
        raise NotFound("unknown_order", "There is no such order in this shop.")
    return row


def attribute_by_hand(
    context: Context, shop_id: int, ref: str, *, sharer_id: int | None, reason: str, actor: str
) -> None:
    """Give an order to a sharer of the shop, or to nobody; this wins over all evidence, also after the release."""
    with recording(context, shop_id, actor=actor) as recorder:
        order = _order(recorder, ref)
        if sharer_id is not None:
            found = recorder.connection.execute(
                select(sharer.c.id).where(sharer.c.id == sharer_id, sharer.c.shop_id == shop_id)
            ).first()
            if found is None:
                fields = {"sharer": [mark("There is no such sharer in this shop.")]}
                raise BadRequest("invalid", "Some fields are not right.", fields=fields)
        recorder.add_fact("manual", {"reason": reason}, sharer_id=sharer_id, order=(order.id, order.ref))
        resettle(recorder, {order.id}, cause=f"manual:{recorder.position}")
        recorder.emit(
            "order.attributed",
            {
                "shop": recorder.shop.key,
                "order": ref,
                "sharer": public_id.show_optional(public_id.SHARER, sharer_id),
            },
        )


def hold_order(context: Context, shop_id: int, ref: str, *, reason: str, actor: str) -> None:
    """Keep an order's commissions back until a manual decision; raise Conflict once it is released."""
    with recording(context, shop_id, actor=actor) as recorder:
        order = _order(recorder, ref)
        if order.released is not None:
            raise Conflict("already_released", "The order is released; a hold would come too late.")
        recorder.add_fact("hold", {"reason": reason}, order=(order.id, order.ref))
        resettle(recorder, {order.id}, cause=f"hold:{recorder.position}")
