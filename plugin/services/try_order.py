"""A test order: a click, an order and its refund go as signed HTTP through our own door, for a shop that is not live.

The shop beside the real one has the plan of the real one, and a test sharer. One task does a step at a time, so that
the page sees how far it is; the inbox is read between the steps by the worker, as that of any shop is. The calls go to
where this process listens, else to the installation's own public address, and never anywhere that a request names.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Connection, Row, select

from plugin.domain.moment import SECOND, format_moment
from plugin.domain.money import digits
from plugin.domain.order import normalise_email
from plugin.errors import NotFound
from plugin.models import link, orders, sharer, shop, task, transfer
from plugin.outbound import Answer, Bounds, Origin, OutboundError
from plugin.services.add_shop import NewShop, add_shop
from plugin.services.change_plan import show_reward
from plugin.services.context import Context
from plugin.services.enrol_sharer import NewSharer, enrol_sharer
from plugin.services.issue_link import issue_link
from plugin.services.put_plan import current_plan, put_plan
from plugin.services.reach_shop import newest_secret
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.show_order import show_order
from plugin.services.want_task import want
from plugin.shops import generic

KIND, REF, ACTOR = "try", "order", "test order"
EMAIL = "test-sharer@example.com"
AMOUNT = 100  # of the shop's currency
LOOK_EVERY_MICROSECONDS = SECOND // 5
PATIENCE = 30 * SECOND  # how long the worker may take to read one delivery
BOUNDS = Bounds(connect_seconds=3, read_seconds=10, total_seconds=15, body_bytes=65_536)
_AGENT = {"User-Agent": "Mozilla/5.0 (Passalong test order)"}
Progress = dict[str, Any]


class _Fault(Exception):
    """A step did not work; ``code`` says which way, ``detail`` what came back."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def want_try(context: Context, shop_id: int) -> None:
    """Have a test order made from the beginning."""
    now = context.now()
    with context.database.writing() as connection:
        want(connection, shop_id, KIND, REF, {"run": now}, now=now)
    context.wake()


def show_try(context: Context, shop_id: int) -> Progress | None:
    """Return how far the last test order is; None where there never was one.

    ``steps`` are those that are done, ``next`` is the one to come (None at the end), ``fault`` what stopped it.
    """
    with context.database.reading() as connection:
        row = connection.execute(
            select(task).where(task.c.shop_id == shop_id, task.c.kind == KIND, task.c.ref == REF)
        ).one_or_none()
    if row is None:
        return None
    run = json.loads(row.body)["run"]
    progress: Progress = json.loads(row.result) if row.result else {}
    if progress.get("run") != run:
        progress = _fresh(run)
    if row.reason is not None and progress["fault"] is None:
        progress["fault"] = {"code": "failed", "detail": row.reason}
    return progress


def _fresh(run: int) -> Progress:
    return {"run": run, "steps": [], "next": _STEPS[0][0], "fault": None}


def _try(context: Context, one: Task) -> Done:
    """Do the next step; what stops it is kept as the result, for whoever waits is better told than kept waiting."""
    run = one.body["run"]
    progress: Progress = dict(one.result) if one.result and one.result["run"] == run else _fresh(run)
    names = [name for name, _ in _STEPS]
    if progress["next"] is None or progress["fault"] is not None:
        return Done(progress)
    place = names.index(progress["next"])
    try:
        found = _STEPS[place][1](context, one, progress)
    except _Fault as fault:
        return Done(progress | {"fault": {"code": fault.code, "detail": fault.detail}})
    except OutboundError as error:
        return Done(progress | {"fault": {"code": "no_answer", "detail": error.message}})
    if found is None:  # the worker has not read it yet
        since = progress.setdefault("waiting_since", context.now())
        if context.now() - since > PATIENCE:
            return Done(progress | {"fault": {"code": "not_read", "detail": ""}})
        return Done(progress, again_at=context.now() + LOOK_EVERY_MICROSECONDS)
    progress.pop("waiting_since", None)
    progress["steps"] = [*progress["steps"], {"name": names[place], **found}]
    progress["next"] = names[place + 1] if place + 1 < len(names) else None
    # A moment later, so that the inbox is read before.
    return Done(progress, again_at=None if progress["next"] is None else context.now() + 1)


# --- the steps ------------------------------------------------------------------------------------------------------


def _prepare(context: Context, one: Task, progress: Progress) -> Mapping[str, Any]:
    """Make the shop beside the real one, or find it, and give it the plan of the real one."""
    with context.database.reading() as connection:
        real = connection.execute(select(shop).where(shop.c.id == one.shop_id)).one()
    if not show_reward(context, real.id).pays:
        raise _Fault("no_reward")
    beside = _beside(context, real)
    plan = _plan(context, real.id)
    if plan != _plan(context, beside.id):
        put_plan(context, beside.id, plan, since=None, actor=ACTOR)
    person = _sharer(context, beside.id)
    return {"shop": beside.key, "plan_version": current_plan(context, real.id)["version"], "code": person.code}


def _click(context: Context, one: Task, progress: Progress) -> Mapping[str, Any]:
    """Open the share link as a friend would."""
    code = _done(progress, "prepare")["code"]
    answer = _call(context, "GET", f"/s/{code}", headers=_AGENT)
    target = answer.headers.get("location", "")
    token = parse_qs(urlsplit(target).query).get("pa")
    if answer.status != 302 or not token:
        raise _Fault("bad_answer", str(answer.status))
    return {"status": answer.status, "path": f"/s/{code}", "target": target.partition("?")[0], "token": token[0]}


def _order(context: Context, one: Task, progress: Progress) -> Mapping[str, Any]:
    """Send a paid order that carries the click, signed as a shop would."""
    now = format_moment(context.now())
    status = _deliver(context, progress, _said(context, progress, placed_at=now, updated_at=now, refunds=[]))
    return {"status": status, "placed_at": now, "amount": AMOUNT, "currency": _shop(context, progress).currency}


def _booked(context: Context, one: Task, progress: Progress) -> Mapping[str, Any] | None:
    """Wait until the order is in the books, and read what it earned there."""
    return _books(context, progress, lambda seen: True)


def _refund(context: Context, one: Task, progress: Progress) -> Mapping[str, Any]:
    """Send the order again, now refunded."""
    row, at = _shop(context, progress), format_moment(context.now())
    amount = _decimal(row.currency)
    lines = [{"line_id": "1", "quantity": 1, "amount": amount, "tax": "0"}]
    refunds = [{"id": "1", "at": at, "lines": lines, "amount": amount}]
    placed_at = _done(progress, "order")["placed_at"]
    said = _said(context, progress, placed_at=placed_at, updated_at=at, refunds=refunds)
    return {"status": _deliver(context, progress, said)}


def _taken_back(context: Context, one: Task, progress: Progress) -> Mapping[str, Any] | None:
    """Wait until the refund is in the books, and read what it moved."""
    return _books(context, progress, lambda seen: any(int(part) for part in seen["refunded"].split(".")))


_STEPS: tuple[tuple[str, Callable[[Context, Task, Progress], Mapping[str, Any] | None]], ...] = (
    ("prepare", _prepare),
    ("click", _click),
    ("order", _order),
    ("booked", _booked),
    ("refund", _refund),
    ("taken_back", _taken_back),
)
STEPS = tuple(name for name, _ in _STEPS)


def _done(progress: Progress, name: str) -> Mapping[str, Any]:
    """Return what came of a step that is done."""
    found: Mapping[str, Any] = next(step for step in progress["steps"] if step["name"] == name)
    return found


# --- the shop beside the real one -----------------------------------------------------------------------------------


def _beside(context: Context, real: Row[Any]) -> Row[Any]:
    """Return the shop for test orders. Its address, which nobody visits, names the real one's key."""
    url = f"{real.url}/test-orders-{real.key}"
    wanted = select(shop).where(shop.c.platform == generic.SHOP.name, shop.c.url == url, shop.c.live.is_(False))
    with context.database.reading() as connection:
        found = connection.execute(wanted.order_by(shop.c.id).limit(1)).one_or_none()
    if found is not None:
        return found
    name = f"{real.name} (test)"
    new = NewShop(generic.SHOP.name, url, name=name, currency=real.currency, timezone=real.timezone, live=False)
    add_shop(context, new, actor=ACTOR)
    return _beside(context, real)


def _plan(context: Context, shop_id: int) -> dict[str, Any]:
    plan = current_plan(context, shop_id)
    return {name: part for name, part in plan.items() if name not in ("version", "in_force_from")}


def _sharer(context: Context, shop_id: int) -> Row[Any]:
    """Return the code of the test sharer's link, making both where they are missing."""
    email_hash = context.keys.pepper_hash("email", normalise_email(EMAIL))
    mine = select(sharer.c.id).where(sharer.c.shop_id == shop_id, sharer.c.email_hash == email_hash)
    with context.database.reading() as connection:
        number: int | None = connection.execute(mine).scalar_one_or_none()
    if number is None:
        number = enrol_sharer(context, shop_id, NewSharer(EMAIL), actor=ACTOR)
    first = select(link.c.code).where(link.c.sharer_id == number).order_by(link.c.id).limit(1)
    with context.database.reading() as connection:
        row = connection.execute(first).one_or_none()
    if row is not None:
        return row
    issue_link(context, shop_id, number, url=None, channel=None, campaign=None, actor=ACTOR)
    return _sharer(context, shop_id)


def _shop(context: Context, progress: Progress) -> Row[Any]:
    key = _done(progress, "prepare")["shop"]
    with context.database.reading() as connection:
        return connection.execute(select(shop).where(shop.c.key == key)).one()


# --- the calls ------------------------------------------------------------------------------------------------------


def _call(context: Context, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    """Call our own door: where this process listens, if it does, else at the public address."""
    door = context.doors[0] if context.doors else context.settings.base_url
    return context.outbound.send(
        method, f"{door}{path}", headers=headers, body=body, trusted=Origin.of(door), bounds=BOUNDS
    )


def _said(
    context: Context, progress: Progress, *, placed_at: str, updated_at: str, refunds: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return the order as a shop would tell it."""
    currency, name = _shop(context, progress).currency, f"test-{progress['run']}"
    amount = _decimal(currency)
    return {
        "id": name,
        "number": "#TEST",
        "updated_at": updated_at,
        "placed_at": placed_at,
        "paid_at": placed_at,
        "currency": currency,
        "status": "open",
        "payment": "paid",
        "customer": {"id": name, "email": f"{name}@example.com", "orders_before": 0},
        "lines": [{"id": "1", "product_id": "test", "title": "Test", "quantity": 1, "amount": amount}],
        "total": amount,
        "refunds": refunds,
        "attributes": {"_pa": _done(progress, "click")["token"]},
    }


def _decimal(currency: str) -> str:
    """Return the amount of the test order as a decimal string of its currency."""
    places = digits(currency)
    return f"{AMOUNT}.{'0' * places}" if places else f"{AMOUNT}"


def _deliver(context: Context, progress: Progress, order: Mapping[str, Any]) -> int:
    row = _shop(context, progress)
    body = json.dumps({"type": "order", "data": order}).encode()
    name, at = f"{order['id']}-{len(order['refunds'])}", context.now() // SECOND
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": generic.sign(newest_secret(context, row), name, at, body),
    }
    answer = _call(context, "POST", f"/webhooks/{row.key}", headers=headers, body=body)
    if answer.status != 200:
        raise _Fault("bad_answer", str(answer.status))
    return answer.status


# --- the books ------------------------------------------------------------------------------------------------------


def _books(
    context: Context, progress: Progress, is_there: Callable[[Mapping[str, Any]], bool]
) -> Mapping[str, Any] | None:
    """Return what the books say of the order by now; None while what was sent last is not in them."""
    row, ref = _shop(context, progress), f"test-{progress['run']}"
    try:
        seen = show_order(context, row.id, ref)
    except NotFound:
        return None
    if not is_there(seen):
        return None
    with context.database.reading() as connection:
        moved = _transfers(connection, row.id, ref)
    known = sum(len(step.get("transfers", ())) for step in progress["steps"])
    return {
        "transfers": moved[known:],
        "net": seen["net"],
        "currency": seen["currency"],
        "release_at": seen["release_at"],
        "earned": next((one["amount"] for one in seen["commissions"] if one["role"] == "direct"), None),
    }


def _transfers(connection: Connection, shop_id: int, ref: str) -> list[Mapping[str, Any]]:
    """Return the transfers of an order in the order in which they were written."""
    wanted = (
        select(transfer.c.kind, transfer.c.role, transfer.c.amount)
        .join(orders, orders.c.id == transfer.c.order_id)
        .where(orders.c.shop_id == shop_id, orders.c.ref == ref)
        .order_by(transfer.c.number)
    )
    return [dict(row) for row in connection.execute(wanted).mappings()]


TRY = Kind(_try)
