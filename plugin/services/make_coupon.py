"""Coupon codes made in a shop for a sharer, and ended there. Whose a code is counts by its dated fact, as ever."""

import secrets as randomness
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from plugin import shops
from plugin.domain.moment import format_moment
from plugin.domain.money import parse_micros, parse_rate
from plugin.errors import BadRequest, Conflict, InvariantBroken, Malformed, NotFound
from plugin.languages import mark
from plugin.models import coupon, shop
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.enrol_sharer import give_code, take_code
from plugin.services.reach_shop import can_ask, place_of
from plugin.services.recorder import recording
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.show_sharer import page
from plugin.services.want_task import want
from plugin.shops.base import Coupon, Discounting

KIND = "coupon"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is taken for another
_LENGTH = 8


@dataclass(frozen=True, slots=True)
class NewCoupon:
    """A code to be made for a sharer; it saves the buyer ``percent`` or ``amount``, both decimal strings."""

    code: str | None = None
    percent: str | None = None
    amount: str | None = None
    once: bool = False


def make_coupon(context: Context, row: Row[Any], new: NewCoupon, *, actor: str) -> int:
    """Have a code made in the sharer's shop, and count it as the sharer's from now on; return its number.

    ``row`` is the sharer's. Raise Conflict where the code is somebody's or the shop cannot be asked, BadRequest for a
    discount that is none.
    """
    check_worth(new.percent, new.amount)
    code = new.code or make_up_code(_LENGTH)
    with recording(context, row.shop_id, actor=actor) as recorder:
        require_coupons(context, recorder.shop)
        give_code(recorder, row.id, code)
        values = {
            "shop_id": row.shop_id, "sharer_id": row.id, "code": code.strip(), "percent": new.percent,
            "amount": new.amount, "once": new.once, "state": "making", "created_at": recorder.now,
            "changed_at": recorder.now,
        }  # fmt: skip
        number: int = recorder.connection.execute(coupon.insert().values(values).returning(coupon.c.id)).scalar_one()
        want(recorder.connection, row.shop_id, KIND, str(number), {}, now=recorder.now)
    return number


def end_coupon(context: Context, row: Row[Any], *, actor: str) -> None:
    """Have a code ended in its shop, and count it as nobody's from now on; ``row`` is the coupon's."""
    with recording(context, row.shop_id, actor=actor) as recorder:
        mine = update(coupon).where(coupon.c.id == row.id, coupon.c.state.not_in(("ending", "ended")))
        changed = recorder.connection.execute(mine.values(state="ending", changed_at=recorder.now)).rowcount
        if changed:
            take_code(recorder, row.sharer_id, row.code)
            want(recorder.connection, row.shop_id, KIND, str(row.id), {}, now=recorder.now)


def make_up_code(length: int) -> str:
    """Return a code that nobody guesses."""
    return "".join(randomness.choice(_LETTERS) for _ in range(length))


def check_worth(percent: str | None, amount: str | None) -> None:
    """Raise BadRequest unless one of the two is a discount."""
    if (percent is None) == (amount is None):
        raise BadRequest("invalid", "Some fields are not right.", fields={"percent": [mark("Give percent or amount.")]})
    name = "percent" if percent is not None else "amount"
    try:
        worth = parse_rate(percent) if percent is not None else parse_micros(amount)
    except Malformed as error:
        raise BadRequest("invalid", "Some fields are not right.", fields={name: [error.message]}) from None
    if worth <= 0:
        raise BadRequest("invalid", "Some fields are not right.", fields={name: [mark("Must be more than 0.")]})


def require_coupons(context: Context, row: Row[Any]) -> None:
    """Raise Conflict unless codes can be made in the shop of that row."""
    if not isinstance(shops.get(row.platform), Discounting) or not can_ask(context, row):
        raise Conflict("no_coupons", "No codes can be made in this shop. Connect it, or make them there by hand.")


# --- in the shop ------------------------------------------------------------------------------------------------------


def _work(context: Context, one: Task) -> Done:
    """Bring a code in the shop to the state it is wanted in; done twice it is the same."""
    with context.database.reading() as connection:
        row = connection.execute(select(coupon).where(coupon.c.id == int(one.ref))).one()
        place = connection.execute(select(shop).where(shop.c.id == row.shop_id)).one()
    adapter = shops.get(place.platform)
    if not isinstance(adapter, Discounting):
        raise InvariantBroken("A code was to be made in a shop that makes none.")
    values: dict[str, Any] = {"changed_at": context.now(), "reason": None}
    if row.state == "making":
        note = f"Passalong {public_id.show(public_id.COUPON, row.id)}"
        made = Coupon(row.code, note, percent=row.percent, amount=row.amount, once=row.once)
        values |= {"state": "made", "shop_ref": adapter.make_coupon(context.outbound, place_of(context, place), made)}
    elif row.state == "ending":
        if row.shop_ref is not None:
            adapter.end_coupon(context.outbound, place_of(context, place), row.shop_ref)
        values |= {"state": "ended"}

    def write(connection: Connection) -> None:
        # Whoever wanted it ended meanwhile has wanted the task once more.
        connection.execute(
            update(coupon).where(coupon.c.id == row.id).values(shop_ref=values.get("shop_ref", row.shop_ref))
        )
        connection.execute(update(coupon).where(coupon.c.id == row.id, coupon.c.state == row.state).values(values))

    return Done({"state": values.get("state", row.state)}, write)


def _give_up(context: Context, one: Task, connection: Connection) -> None:
    reason = "The shop did not do it in two days; the doctor says why."
    failed = update(coupon).where(coupon.c.id == int(one.ref))
    connection.execute(failed.values(state="failed", reason=reason, changed_at=context.now()))


MAKE = Kind(_work, give_up=_give_up)


# --- what is seen -----------------------------------------------------------------------------------------------------


def find_coupon(context: Context, name: str, *, shop_id: int | None) -> Row[Any]:
    """Return a coupon's row by its public id, in one shop or in any; raise NotFound."""
    number = public_id.read(public_id.COUPON, name)
    with context.database.reading() as connection:
        row = connection.execute(select(coupon).where(coupon.c.id == number)).one_or_none()
    if row is None or shop_id not in (None, row.shop_id):
        raise NotFound("unknown_coupon", "There is no such coupon.")
    return row


def list_coupons(context: Context, sharer_id: int, *, before: int | None, limit: int) -> dict[str, Any]:
    """Return a page of the codes made for a sharer, newest first."""
    wanted = select(coupon).where(coupon.c.sharer_id == sharer_id).order_by(coupon.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(coupon.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    return page([show_coupon(row) for row in rows[:limit]], rows, limit)


def show_coupon(row: Row[Any]) -> dict[str, Any]:
    """Return a coupon as the API shows it."""
    return {
        "id": public_id.show(public_id.COUPON, row.id),
        "sharer": public_id.show(public_id.SHARER, row.sharer_id),
        "code": row.code,
        "percent": row.percent,
        "amount": row.amount,
        "once": row.once,
        "state": row.state,
        "reason": row.reason,
        "created_at": format_moment(row.created_at),
    }
