"""Asking a shop about an order. The answer is stored as a delivery of its own and walks the road of all deliveries."""

import json

from sqlalchemy import Connection, select

from plugin import shops
from plugin.errors import InvariantBroken
from plugin.models import shop
from plugin.services.context import Context
from plugin.services.reach_shop import place_of
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.store_delivery import keep_answer_of_shop
from plugin.shops.base import ASKED_GONE, Asked


def _ask(context: Context, one: Task) -> Done:
    with context.database.reading() as connection:
        row = connection.execute(select(shop).where(shop.c.id == one.shop_id)).one()
    adapter = shops.get(row.platform)
    if not isinstance(adapter, Asked):
        raise InvariantBroken("A shop was to be asked whose platform cannot be.")
    began_at = context.now()
    heard = adapter.ask(context.outbound, place_of(context, row), one.ref)
    said = {"sha": heard.sha, "began_at": began_at}
    if one.result is not None and one.result["sha"] == heard.sha:  # nothing new since the last answer, which is stored
        return Done(said)
    return Done(
        said,
        lambda connection: keep_answer_of_shop(
            context, connection, one.shop_id, f"asked:{one.ref}", heard.topic, heard.body
        ),
    )


def _give_up(context: Context, one: Task, connection: Connection) -> None:
    """Let a deletion count after all, where the shop never said what became of the order."""
    if one.body["deleted"]:
        body = json.dumps({"id": one.ref}).encode()
        keep_answer_of_shop(context, connection, one.shop_id, f"unanswered:{one.ref}", ASKED_GONE, body)


ASK = Kind(_ask, give_up=_give_up)
