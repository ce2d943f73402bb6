"""Doing what a platform asks for its shops' buyers: telling what is held of one, erasing one, or letting a shop go.

Each request is a task of its own, named by its delivery and done once however often it comes; its row, with what was
done and when, stays as the proof, and holds no person. The owner hears of it by an event.
"""

from typing import Any

from sqlalchemy import Connection, select, update

from plugin import shops
from plugin.domain.moment import DAY, format_moment
from plugin.models import delivery, person, sharer, shop, task
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.erase_person import clear_pages, erase_named, erase_shop_bodies, know_named
from plugin.services.process_inbox import unseal
from plugin.services.recorder import tell
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.shop_secrets import seal_credentials
from plugin.shops.base import Request

DAYS_TO_TELL = 30  # Shopify: to be answered within thirty days of the request
_EVENTS = {
    "tell": "privacy.data_requested",
    "erase": "privacy.buyer_erased",
    "erase_shop": "privacy.shop_erased",
    "leave": "shop.left",
}


def _act(context: Context, one: Task) -> Done:
    if one.result is not None:  # all is erased; what is left is to overwrite where it stood
        clear_pages(context.database)
        return Done({**one.result, "cleared_at": format_moment(context.now())})
    number = int(one.ref)
    with context.database.reading() as connection:
        row = connection.execute(select(delivery).where(delivery.c.id == number)).one()
        platform = connection.execute(select(shop.c.platform).where(shop.c.id == one.shop_id)).scalar_one()
    if row.body is None:
        return Done({"kind": one.body["kind"], "erased_bodies": 0, "persons": 0, "already": True})
    request = shops.get(platform).parse(row.topic, unseal(context, row.body)[1]).request
    assert request is not None  # noqa: S101 - it is why there is this task
    return _do(context, one, request)


def _do(context: Context, one: Task, request: Request) -> Done:
    said: dict[str, Any] = {"kind": request.kind, "request": public_id.show(public_id.DELIVERY, int(one.ref))}
    again_at = None
    if request.kind == "tell":
        said |= _held(context, one.shop_id, request) | {"due_at": format_moment(context.now() + DAYS_TO_TELL * DAY)}
    elif request.kind == "erase":
        said |= erase_named(context, one.shop_id, request)
        again_at = context.now()
    elif request.kind == "erase_shop":
        said |= erase_shop_bodies(context, one.shop_id)
        again_at = context.now()
    said["done_at"] = format_moment(context.now())

    def write(connection: Connection) -> None:
        if request.kind in ("leave", "erase_shop"):
            _let_go(context, connection, one.shop_id)
        key = connection.execute(select(shop.c.key).where(shop.c.id == one.shop_id)).scalar_one()
        tell(context, connection, one.shop_id, _EVENTS[request.kind], {"shop": key, **said}, actor="worker")

    return Done(said, write, again_at)


def _held(context: Context, shop_id: int, request: Request) -> dict[str, list[str]]:
    """Return what is held of a buyer, by the names under which the API shows it."""
    with context.database.reading() as connection:
        buyer = know_named(context, connection, shop_id, request)
        theirs = select(sharer.c.id).join(person, person.c.id == sharer.c.person_id)
        mine = theirs.where(sharer.c.shop_id == shop_id, person.c.email_hash.in_(sorted(buyer.hashes)))
        found = connection.execute(mine.order_by(sharer.c.id)).scalars().all()
    return {
        "orders": sorted(buyer.orders.get(shop_id, ())),
        "sharers": [public_id.show(public_id.SHARER, number) for number in found],
    }


def _let_go(context: Context, connection: Connection, shop_id: int) -> None:
    """Forget how a shop is asked: its access was taken back, and asking would only fail."""
    connection.execute(update(shop).where(shop.c.id == shop_id).values(credentials=seal_credentials(context, {})))
    asking = update(task).where(task.c.shop_id == shop_id, task.c.kind.in_(("reconcile", "ask")), task.c.state == "due")
    connection.execute(asking.values(state="done", reason=None, result=None))


PRIVACY = Kind(_act)
