"""Keeping codes ready for the clicks on a link: made in the shop beforehand, each for one order, and used again.

A code that was handed out and not used within the plan's window is handed out once more: it is the same sharer's
whoever uses it, and a shop is not filled with codes that nobody wants.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select, update

from plugin import shops
from plugin.database import among
from plugin.domain.facts import SUSPENDED
from plugin.domain.moment import DAY, SECOND, format_moment
from plugin.errors import InvariantBroken, NotFound
from plugin.models import link, link_code, link_coupon, order_code, plan, shop
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.enrol_sharer import give_click_codes, standing
from plugin.services.make_coupon import make_up_code
from plugin.services.reach_shop import place_of
from plugin.services.recorder import Recorder, recording
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.want_task import want
from plugin.shops.base import Coupon, Discounting

KIND = "link_codes"
CODE_LENGTH = 10
CHUNK = 20  # codes a turn: a shop that lets two calls through in a second is then asked for half a minute
EVERY_SECONDS = 3_600
SHELF_SECONDS = 3_600  # how long a process may keep a code before it hands it out


def open_pool(recorder: Recorder, link_id: int, percent: str | None, amount: str | None, pool: int) -> None:
    """Have so many codes ready for the clicks on a new link, soon."""
    values = {"link_id": link_id, "shop_id": recorder.shop.id, "percent": percent, "amount": amount, "pool": pool}
    values |= {"state": "open", "changed_at": recorder.now}
    recorder.connection.execute(link_coupon.insert().values(values))
    want_codes(recorder.connection, recorder.shop.id, link_id, now=recorder.now)


def want_codes(connection: Connection, shop_id: int, link_id: int, *, now: int) -> None:
    """Have a link's pool looked after soon."""
    want(connection, shop_id, KIND, str(link_id), {}, now=now)


def end_pool(context: Context, row: Row[Any], *, actor: str) -> None:
    """Have the clicks on a link bring nothing along any more, and its unused codes ended in the shop.

    ``row`` is the link's; raise NotFound where it never had a coupon. What was bought with a code stays the sharer's.
    """
    with recording(context, row.shop_id, actor=actor) as recorder:
        mine = select(link_coupon.c.state).where(link_coupon.c.link_id == row.id)
        state = recorder.connection.execute(mine).scalar_one_or_none()
        if state is None:
            raise NotFound("no_link_coupon", "The clicks on this link bring no code along.")
        if state == "open":
            ending = update(link_coupon).where(link_coupon.c.link_id == row.id)
            recorder.connection.execute(ending.values(state="ending", changed_at=recorder.now))
            want_codes(recorder.connection, row.shop_id, row.id, now=recorder.now)


# --- in the shop ------------------------------------------------------------------------------------------------------


def _look_after(context: Context, one: Task) -> Done:
    """Bring a pool nearer to what it shall be; where more is to be done it is due again at once."""
    number = int(one.ref)
    with context.database.reading() as connection:
        row = connection.execute(select(link_coupon).where(link_coupon.c.link_id == number)).one()
        place = connection.execute(select(shop).where(shop.c.id == row.shop_id)).one()
    adapter = shops.get(place.platform)
    if not isinstance(adapter, Discounting):
        raise InvariantBroken("Codes were to be made in a shop that makes none.")
    if row.state != "open":
        return _end(context, adapter, row, place)
    _take_back(context, row)
    _make_up(context, row)
    return _make(context, adapter, row, place)


def _take_back(context: Context, row: Row[Any]) -> None:
    """Have codes ready again that were handed out and not used within the plan's window."""
    with context.database.writing() as connection:
        bodies = (
            select(plan.c.body)
            .where(plan.c.shop_id == row.shop_id, plan.c.in_force_from <= context.now())
            .order_by(plan.c.version.desc())
            .limit(1)
        )
        window_days = json.loads(connection.execute(bodies).scalar_one())["attribution"]["window_days"]
        _mark_used(connection, row.link_id)
        late = context.now() - window_days * DAY - SHELF_SECONDS * SECOND
        over = update(link_code).where(link_code.c.link_id == row.link_id, link_code.c.state == "out")
        connection.execute(over.where(link_code.c.out_at < late).values(state="ready", out_at=None))


def _mark_used(connection: Connection, link_id: int) -> None:
    """Mark the codes of a link that an order carries."""
    name = func.lower(link_code.c.code)  # as codes are compared: there are only plain letters and digits in it
    carried = exists().where(order_code.c.shop_id == link_code.c.shop_id, order_code.c.code == name)
    mine = update(link_code).where(link_code.c.link_id == link_id, link_code.c.state == "out", carried)
    connection.execute(mine.values(state="used"))


def _make_up(context: Context, row: Row[Any]) -> None:
    """Write down the codes that are missing; from then on they are the sharer's, whenever the shop knows them."""
    with recording(context, row.shop_id, actor="worker") as recorder:
        connection = recorder.connection
        there = select(func.count()).where(
            link_code.c.link_id == row.link_id, among(link_code.c.state, ("making", "ready"))
        )
        missing = row.pool - connection.execute(there).scalar_one()
        sharer_id = connection.execute(select(link.c.sharer_id).where(link.c.id == row.link_id)).scalar_one()
        if missing <= 0 or standing(connection, sharer_id).status == SUSPENDED:
            return
        made_up = dict.fromkeys(make_up_code(CODE_LENGTH) for _ in range(min(missing, CHUNK)))
        for code in give_click_codes(recorder, sharer_id, list(made_up)):
            values = {"shop_id": row.shop_id, "link_id": row.link_id, "code": code, "state": "making"}
            connection.execute(link_code.insert().values(values))


def _make(context: Context, adapter: Discounting, row: Row[Any], place: Row[Any]) -> Done:
    """Make what is written down; done twice it is the same."""
    wanted = _some(context, row.link_id, ("making",))
    made = {}
    for one in wanted:
        made[one.id] = adapter.make_coupon(context.outbound, place_of(context, place), _coupon(row, one.code))

    def write(connection: Connection) -> None:
        for number, ref in made.items():
            mine = update(link_code).where(link_code.c.id == number, link_code.c.state == "making")
            connection.execute(mine.values(state="ready", shop_ref=ref))
        kept = update(link_coupon).where(link_coupon.c.link_id == row.link_id)
        connection.execute(kept.values(reason=None, changed_at=context.now()))
        if made:
            connection.execute(kept.values(ran_out_at=None))

    now = context.now()
    return Done({"made": len(made)}, write, again_at=now if made else now + EVERY_SECONDS * SECOND)


def _end(context: Context, adapter: Discounting, row: Row[Any], place: Row[Any]) -> Done:
    """End a chunk of the codes that nobody used."""
    with context.database.writing() as connection:
        _mark_used(connection, row.link_id)
    left = _some(context, row.link_id, ("making", "ready", "out"))
    for one in left:
        # One that was being made may be there although we never heard of it: made again it tells what it is there.
        ref = one.shop_ref or adapter.make_coupon(context.outbound, place_of(context, place), _coupon(row, one.code))
        adapter.end_coupon(context.outbound, place_of(context, place), ref)

    def write(connection: Connection) -> None:
        numbers = [one.id for one in left]
        connection.execute(update(link_code).where(among(link_code.c.id, numbers)).values(state="ended"))
        if not left:
            mine = update(link_coupon).where(link_coupon.c.link_id == row.link_id)
            connection.execute(mine.values(state="ended", reason=None, changed_at=context.now()))

    return Done({"ended": len(left)}, write, again_at=context.now() if left else None)


def _coupon(row: Row[Any], code: str) -> Coupon:
    note = f"Passalong {public_id.show(public_id.LINK, row.link_id)} {code}"
    return Coupon(code, note, percent=row.percent, amount=row.amount, once=True)


def _some(context: Context, link_id: int, states: Sequence[str]) -> Sequence[Row[Any]]:
    mine = select(link_code).where(link_code.c.link_id == link_id, among(link_code.c.state, states))
    with context.database.reading() as connection:
        return connection.execute(mine.order_by(link_code.c.id).limit(CHUNK)).all()


def _give_up(context: Context, one: Task, connection: Connection) -> None:
    reason = "The shop did not do it in two days; the doctor says why."
    failed = update(link_coupon).where(link_coupon.c.link_id == int(one.ref))
    connection.execute(failed.values(reason=reason, changed_at=context.now()))


LOOK_AFTER = Kind(_look_after, give_up=_give_up)


# --- what is seen -----------------------------------------------------------------------------------------------------


def show_pools(connection: Connection, links: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return what the clicks on links bring along, by the links that have a coupon."""
    pools = connection.execute(select(link_coupon).where(among(link_coupon.c.link_id, links))).all()
    counted = (
        select(link_code.c.link_id, link_code.c.state, func.count().label("codes"))
        .where(among(link_code.c.link_id, [row.link_id for row in pools]))
        .group_by(link_code.c.link_id, link_code.c.state)
    )
    counts = {(one.link_id, one.state): one.codes for one in connection.execute(counted)} if pools else {}
    return {
        row.link_id: {
            "percent": row.percent,
            "amount": row.amount,
            "pool": row.pool,
            "state": row.state,
            "ready": counts.get((row.link_id, "ready"), 0),
            "out": counts.get((row.link_id, "out"), 0),
            "used": counts.get((row.link_id, "used"), 0),
            "ran_out_at": None if row.ran_out_at is None else format_moment(row.ran_out_at),
            "reason": row.reason,
        }
        for row in pools
    }
