"""Releasing: orders whose hold is over become payable, once each. A release is a fact with its place in the record."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import case, select, update

from plugin.database import again, among
from plugin.domain.ledger import PAYABLE, Move
from plugin.domain.money import format_minor
from plugin.models import lot, orders, shop
from plugin.services.context import Context
from plugin.services.recorder import recording
from plugin.services.want_mail import want_ready_mails

BATCH = 500


@dataclass(slots=True)
class Released:
    """How many orders' money became payable, and how much by currency, in minor units."""

    count: int = 0
    amounts: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, object]:
        return {
            "released": self.count,
            "amounts": {code: format_minor(minor, code) for code, minor in sorted(self.amounts.items())},
        }


def release_holds(
    context: Context, *, now: int | None = None, shop_id: int | None = None, actor: str = "worker"
) -> Released:
    """Release every order, of one shop or of all, whose ``release_at`` is reached at ``now`` and which is not held."""
    moment = context.now() if now is None else now
    with context.database.reading() as connection:
        shop_ids = connection.execute(select(shop.c.id)).scalars().all() if shop_id is None else [shop_id]
    total = Released()
    for one in shop_ids:
        while again(lambda one=one: _release_some(context, one, moment, actor, total)):  # type: ignore[misc]
            continue
    return total


def _release_some(context: Context, shop_id: int, moment: int, actor: str, total: Released) -> bool:
    """Release one batch of a shop's due orders; tell whether there may be more."""
    with context.database.reading() as connection:
        due = (
            select(orders.c.id)
            .where(
                orders.c.shop_id == shop_id,
                orders.c.released.is_(None),
                orders.c.release_at <= moment,
                orders.c.held.is_(False),
            )
            .order_by(orders.c.release_at, orders.c.id)
            .limit(BATCH)
        )
        if connection.execute(due.limit(1)).first() is None:
            return False
    batch = Released()
    with recording(context, shop_id, actor=actor) as recorder:
        rows = recorder.connection.execute(due.with_only_columns(orders.c.id, orders.c.ref, orders.c.release_at)).all()
        refs = {row.id: row.ref for row in rows}
        for row in rows:
            recorder.add_fact("release", {"now": moment}, at=row.release_at, order=(row.id, row.ref))
        pending = recorder.connection.execute(
            select(lot).where(among(lot.c.order_id, refs), lot.c.pending > 0).order_by(lot.c.order_id)
        ).all()
        for one in pending:
            recorder.add_transfer(
                Move("release", one.pending),
                order=(one.order_id, refs[one.order_id]),
                sharer_id=one.sharer_id,
                role=one.role,
                currency=one.currency,
                cause="release",
                about_at=moment,
            )
            batch.amounts[one.currency] += one.pending
        batch.count = len({one.order_id for one in pending})
        for order_id in {one.order_id for one in pending}:
            recorder.emit("order.released", {"shop": recorder.shop.key, "order": refs[order_id]})
        recorder.connection.execute(
            update(orders)
            .where(among(orders.c.id, refs))
            .values(
                released=recorder.position,
                state=case((among(orders.c.id, {one.order_id for one in pending}), PAYABLE), else_=orders.c.state),
            )
        )
        sharers = {one.sharer_id for one in pending}
        want_ready_mails(recorder.connection, recorder.shop, sharers, now=recorder.now)
    total.count += batch.count
    total.amounts.update(batch.amounts)
    return len(rows) == BATCH
