"""Payouts: draft, leave people out, approve (reserve commission by commission, debts included), submit, mark, cancel.

Every step is one transaction under the shop's record lock, so of two at once the second sees what the first reserved.
No payout starts or is handed over while the books fail their check.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from plugin import rails
from plugin.database import among
from plugin.domain import payout as states
from plugin.domain.ledger import Move
from plugin.domain.money import MICROS, digits, format_minor, parse_micros
from plugin.domain.payout import mark_item, move_batch
from plugin.domain.settlement import plan_at
from plugin.errors import BadRequest, Conflict, NotFound, Sentence
from plugin.languages import mark
from plugin.models import account, lot, orders, payout, payout_item, payout_lot, sharer
from plugin.services import public_id
from plugin.services.check_books import require_good_books
from plugin.services.context import Context
from plugin.services.enrol_sharer import why_unpaid
from plugin.services.order_states import mark_orders
from plugin.services.recorder import Recorder, recording
from plugin.services.roster import load_plans
from plugin.services.want_mail import PAID, PAYOUT_FAILED, want_payout_mail

# What the transfers of a lot are called when its item goes somewhere: (for what was earned, for a debt netted).
_KINDS = {
    states.RESERVED: ("reserve", "reserve_debt"),
    states.PAID: ("settle", "settle_debt"),
    states.FAILED: ("give_back", "give_back_debt"),
    states.CANCELLED: ("give_back", "give_back_debt"),
    states.RETURNED: ("return", "return_debt"),
}
# Which mail tells a sharer what came of a payment.
_MAILS = {states.PAID: PAID, states.FAILED: PAYOUT_FAILED, states.RETURNED: PAYOUT_FAILED}
Dropped = Sequence[tuple[int, str]]  # sharers and why they are left out
_MINIMUM_MAX = 2**63 - 1  # what the column holds, and more than any balance
BY_HAND = "left_out_by_hand"  # the reason of those whom the owner took out of a draft


@dataclass(frozen=True, slots=True)
class NewPayout:
    """What is asked for; ``minimum`` a decimal string, ``sharers`` only these (None: everybody)."""

    rail: str
    currency: str
    minimum: str | None = None
    sharers: Collection[int] | None = None


def minor_of(amount: str, currency: str) -> int:
    """Return a decimal string as minor units; raise Malformed or BadRequest where it names parts of a minor unit."""
    minor: int
    minor, rest = divmod(parse_micros(amount) * 10 ** digits(currency), MICROS)
    if rest:
        sentence = Sentence(
            "%(currency)s has %(digits)s digits after the point.", currency=currency, digits=digits(currency)
        )
        fields = {"minimum": [sentence]}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)
    return minor


def minor_minimum(micros: int, currency: str) -> int:
    """Return the least number of minor units that is not below an amount in micros."""
    minor: int = -(-micros * 10 ** digits(currency) // MICROS)
    return minor


def draft_payout(context: Context, shop_id: int, new: NewPayout, *, actor: str) -> int:
    """Make a draft batch of everybody who could be paid now; return its number."""
    rails.get(new.rail)
    require_good_books(context, shop_id)
    with recording(context, shop_id, actor=actor) as recorder:
        candidates = _candidates(recorder.connection, shop_id, new)
        return _draft(recorder, new.rail, new.currency, _minimum(recorder, new), candidates)


def _draft(
    recorder: Recorder, rail: str, currency: str, minimum: int, candidates: Sequence[int], dropped: Dropped = ()
) -> int:
    """Write a draft of those candidates who can be paid; ``dropped`` are left out besides."""
    connection, shop_id = recorder.connection, recorder.shop.id
    ready, left_out = _sort_out(connection, shop_id, currency, minimum, candidates)
    number: int = connection.execute(
        payout.insert()
        .values(
            shop_id=shop_id,
            rail=rail,
            currency=currency,
            state=states.DRAFT,
            minimum=minimum,
            left_out=json.dumps([*left_out, *dropped]),
            created_at=recorder.now,
            actor=recorder.actor,
        )
        .returning(payout.c.id)
    ).scalar_one()
    rows = [_item(number, who, gross) for who, gross in ready]
    if rows:
        connection.execute(payout_item.insert(), rows)
    recorder.add_fact("payout", {"payout": number, "state": states.DRAFT})
    _tell(recorder, number, "payout.drafted")
    return number


def draft_again(context: Context, shop_id: int, number: int, *, actor: str) -> int:
    """Cancel a draft and make a new one of the same people as they stand now; return its number.

    Whom the owner had taken out stays out. So what a draft shows never grows: a payout that somebody has looked at can
    only lose people, and with them a part of its total.
    """
    require_good_books(context, shop_id)
    with recording(context, shop_id, actor=actor) as recorder:
        batch = _locked(recorder, number)
        if batch.state != states.DRAFT:
            raise Conflict(
                "wrong_state", "Only a draft can be made again; this payout is %(state)s.", state=batch.state
            )
        items, left_out = _items(recorder, number), json.loads(batch.left_out)
        dropped = [(who, reason) for who, reason in left_out if reason == BY_HAND]
        candidates = {item.sharer_id for item in items} | {who for who, reason in left_out if reason != BY_HAND}
        _cancel(recorder, batch, items)
        return _draft(recorder, batch.rail, batch.currency, batch.minimum, sorted(candidates), dropped)


def leave_out(context: Context, shop_id: int, number: int, items: Collection[int], *, actor: str) -> int:
    """Take items out of a draft; return how many that were."""
    with recording(context, shop_id, actor=actor) as recorder:
        batch = _locked(recorder, number)
        if batch.state != states.DRAFT:
            raise Conflict(
                "wrong_state", "People can be left out of a draft; this payout is %(state)s.", state=batch.state
            )
        mine = (payout_item.c.payout_id == number, among(payout_item.c.id, items))
        gone = recorder.connection.execute(
            payout_item.delete().where(*mine).returning(payout_item.c.sharer_id)
        ).scalars()
        dropped = [(who, BY_HAND) for who in sorted(gone)]
        known = json.loads(batch.left_out) + dropped
        recorder.connection.execute(
            update(payout).where(payout.c.id == number).values(left_out=json.dumps(known))
        )
    return len(dropped)


def _item(number: int, who: int, gross: int) -> dict[str, Any]:
    return {
        "payout_id": number,
        "sharer_id": who,
        "gross": gross,
        "withheld": 0,
        "fee": 0,
        "net": gross,
        "state": states.RESERVED,
    }


def _minimum(recorder: Recorder, new: NewPayout) -> int:
    if new.minimum is not None:
        return minor_of(new.minimum, new.currency)
    plan = plan_at(load_plans(recorder.connection, recorder.shop.id), recorder.now).plan
    return min(minor_minimum(plan.payout_minimum.get(new.currency, 0), new.currency), _MINIMUM_MAX)


def _candidates(connection: Connection, shop_id: int, new: NewPayout) -> list[int]:
    """Return whom the batch may concern: those named, else everybody who has money anywhere on its way."""
    if new.sharers is not None:
        found = connection.execute(
            select(sharer.c.id).where(sharer.c.shop_id == shop_id, among(sharer.c.id, new.sharers))
        ).scalars()
        known = sorted(found)
        if len(known) != len(set(new.sharers)):
            fields = {"sharers": [mark("Names somebody who is no sharer of this shop.")]}
            raise BadRequest("invalid", "Some fields are not right.", fields=fields)
        return known
    rows = connection.execute(
        select(account.c.sharer_id)
        .where(
            account.c.shop_id == shop_id,
            account.c.currency == new.currency,
            account.c.purpose.in_(("pending", "held", "payable", "in_flight")),
            account.c.balance != 0,
            account.c.sharer_id != 0,
        )
        .distinct()
    )
    return sorted(rows.scalars())


def _payable(connection: Connection, shop_id: int, currency: str) -> dict[int, int]:
    rows = connection.execute(
        select(account.c.sharer_id, account.c.balance).where(
            account.c.shop_id == shop_id,
            account.c.currency == currency,
            account.c.purpose == "payable",
            account.c.balance != 0,
        )
    )
    return {row.sharer_id: row.balance for row in rows}


def _sort_out(
    connection: Connection, shop_id: int, currency: str, minimum: int, sharers: Sequence[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    """Part those who can be paid (with their balance) from those left out (with the reason)."""
    balances, unpaid = _payable(connection, shop_id, currency), why_unpaid(connection, shop_id, sharers)
    ready, left_out = [], []
    for who in sharers:
        balance = balances.get(who, 0)
        if who in unpaid:
            left_out.append((who, unpaid[who]))
        elif balance <= 0:
            left_out.append((who, "nothing_payable" if balance == 0 else "owes_the_shop"))
        elif balance < minimum:
            left_out.append((who, "below_minimum"))
        else:
            ready.append((who, balance))
    return ready, left_out


def _locked(recorder: Recorder, number: int) -> Row[Any]:
    row = recorder.connection.execute(
        select(payout).where(payout.c.id == number, payout.c.shop_id == recorder.shop.id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound("unknown_payout", "There is no such payout.")
    return row


def _items(recorder: Recorder, number: int) -> Sequence[Row[Any]]:
    return recorder.connection.execute(
        select(payout_item).where(payout_item.c.payout_id == number).order_by(payout_item.c.id)
    ).all()


def approve_payout(
    context: Context, shop_id: int, number: int, *, actor: str, seen_total: int | None = None
) -> None:
    """Reserve each balance as it is now, commission by commission; who no longer qualifies is left out.

    With ``seen_total``, what somebody saw the draft come to in minor units, nothing else is approved: raise Conflict
    where the draft comes to another total, or anybody's balance or standing is no longer that of the draft.
    """
    require_good_books(context, shop_id)
    with recording(context, shop_id, actor=actor) as recorder:
        connection, batch = recorder.connection, _locked(recorder, number)
        _set_state(recorder, batch, states.APPROVED)
        items = {row.sharer_id: row for row in _items(recorder, number)}
        ready, left_out = _sort_out(connection, shop_id, batch.currency, batch.minimum, sorted(items))
        if seen_total is not None:
            drafted = [(who, items[who].gross) for who in sorted(items)]
            if seen_total != sum(gross for _, gross in drafted) or ready != drafted:
                raise Conflict("total_changed", "The amounts are no longer those you saw. Draft the payout again.")
        for who, balance in ready:
            _reserve(recorder, batch, items[who].id, who, balance)
        dropped = [items[who].id for who, _ in left_out]
        if dropped:
            connection.execute(payout_item.delete().where(among(payout_item.c.id, dropped)))
            known = json.loads(batch.left_out) + left_out
            connection.execute(update(payout).where(payout.c.id == number).values(left_out=json.dumps(known)))
        _tell(recorder, number, "payout.approved")


def _reserve(recorder: Recorder, batch: Row[Any], item: int, who: int, balance: int) -> None:
    """Reserve every commission of a sharer that is payable or owed; they add up to the balance."""
    connection = recorder.connection
    lots = connection.execute(
        select(lot.c.order_id, lot.c.role, lot.c.payable, orders.c.ref)
        .join(orders, orders.c.id == lot.c.order_id)
        .where(
            lot.c.shop_id == recorder.shop.id,
            lot.c.currency == batch.currency,
            lot.c.sharer_id == who,
            lot.c.payable != 0,
        )
        .order_by(lot.c.payable, lot.c.order_id, lot.c.role)  # debts first: they are paid from what follows
    ).all()
    if sum(one.payable for one in lots) != balance:
        raise Conflict("books_moved", "The commissions do not add up to the balance; run check-books.")
    connection.execute(
        payout_lot.insert(),
        [{"item_id": item, "order_id": one.order_id, "role": one.role, "amount": one.payable} for one in lots],
    )
    connection.execute(
        update(payout_item).where(payout_item.c.id == item).values(gross=balance, net=balance, state=states.RESERVED)
    )
    _record_item(recorder, batch.id, item, who, states.RESERVED)
    for one in lots:
        _move_lot(recorder, batch, item, who, one, one.payable, states.RESERVED)
    mark_orders(recorder, {one.order_id for one in lots})


def _move_lot(
    recorder: Recorder, batch: Row[Any], item: int, who: int, one: Any, amount: int, state: str
) -> None:
    earned, debt = _KINDS[state]
    recorder.add_transfer(
        Move(earned, amount) if amount > 0 else Move(debt, -amount),
        order=(one.order_id, one.ref),
        sharer_id=who,
        role=one.role,
        currency=batch.currency,
        cause=f"item:{item}:{state}",
        about_at=recorder.now,
        payout_item_id=item,
    )


def _move_lots(recorder: Recorder, batch: Row[Any], item: Row[Any], state: str) -> None:
    lots = recorder.connection.execute(
        select(payout_lot.c.order_id, payout_lot.c.role, payout_lot.c.amount, orders.c.ref)
        .join(orders, orders.c.id == payout_lot.c.order_id)
        .where(payout_lot.c.item_id == item.id)
        .order_by(payout_lot.c.amount.desc(), payout_lot.c.order_id, payout_lot.c.role)
    ).all()
    for one in lots:
        _move_lot(recorder, batch, item.id, item.sharer_id, one, one.amount, state)
    mark_orders(recorder, {one.order_id for one in lots})


def submit_payout(context: Context, shop_id: int, number: int, *, actor: str) -> None:
    """Hand the batch over to its rail."""
    require_good_books(context, shop_id)
    with recording(context, shop_id, actor=actor) as recorder:
        batch = _locked(recorder, number)
        _set_state(recorder, batch, states.SUBMITTED)
        items = _items(recorder, number)
        for item in items:
            _set_item(recorder, batch, item, rails.get(batch.rail).submitted_state)
        _settle_when_done(recorder, number)
        _tell(recorder, number, "payout.submitted")


def cancel_payout(context: Context, shop_id: int, number: int, *, actor: str) -> None:
    """Give back everything that was reserved."""
    with recording(context, shop_id, actor=actor) as recorder:
        _cancel(recorder, _locked(recorder, number), _items(recorder, number))


def _cancel(recorder: Recorder, batch: Row[Any], items: Sequence[Row[Any]]) -> None:
    reserved = batch.state == states.APPROVED
    _set_state(recorder, batch, states.CANCELLED)
    for item in items:
        if reserved:
            _move_lots(recorder, batch, item, states.CANCELLED)
        _set_item(recorder, batch, item, states.CANCELLED)
    _tell(recorder, batch.id, "payout.cancelled")


def mark_payout_item(
    context: Context,
    shop_id: int,
    number: int,
    item_id: int,
    *,
    state: str,
    reference: str | None,
    reason: str | None,
    actor: str,
) -> None:
    """Mark one item paid, failed or returned: what happened outside is recorded, whatever state the books are in."""
    with recording(context, shop_id, actor=actor) as recorder:
        batch = _locked(recorder, number)
        item = next((row for row in _items(recorder, number) if row.id == item_id), None)
        if item is None:
            raise NotFound("unknown_item", "There is no such item in this payout.")
        _mark(recorder, batch, item, state, reference=reference, reason=reason)
        _settle_when_done(recorder, number)


def mark_open_items(
    context: Context, shop_id: int, number: int, *, reference: str | None, actor: str
) -> int:
    """Mark every item that has come to no end yet paid, in one transaction; return how many that were."""
    with recording(context, shop_id, actor=actor) as recorder:
        batch = _locked(recorder, number)
        rows = [row for row in _items(recorder, number) if row.state not in states.ENDS]
        for item in rows:
            _mark(recorder, batch, item, states.PAID, reference=reference, reason=None)
        _settle_when_done(recorder, number)
    return len(rows)


def _mark(
    recorder: Recorder, batch: Row[Any], item: Row[Any], state: str, *, reference: str | None, reason: str | None
) -> None:
    mark_item(batch.state, item.state, state)
    _move_lots(recorder, batch, item, state)
    _set_item(recorder, batch, item, state, reference=reference or item.reference, reason=reason)
    recorder.emit(
        f"payout.{state}",
        {
            "shop": recorder.shop.key,
            "payout": public_id.show(public_id.PAYOUT, batch.id),
            "item": public_id.show(public_id.ITEM, item.id),
            "sharer": public_id.show(public_id.SHARER, item.sharer_id),
            "currency": batch.currency,
            "net": format_minor(item.net, batch.currency),
        },
    )
    want_payout_mail(recorder.connection, recorder.shop, _MAILS[state], item.id, item.sharer_id, now=recorder.now)


def _set_state(recorder: Recorder, batch: Row[Any], to: str) -> None:
    move_batch(batch.state, to)
    recorder.connection.execute(update(payout).where(payout.c.id == batch.id).values(state=to))
    recorder.add_fact("payout", {"payout": batch.id, "state": to})


def _set_item(recorder: Recorder, batch: Row[Any], item: Row[Any], to: str, **notes: str | None) -> None:
    recorder.connection.execute(
        update(payout_item).where(payout_item.c.id == item.id).values(state=to, **notes)
    )
    _record_item(recorder, batch.id, item.id, item.sharer_id, to)


def _record_item(recorder: Recorder, number: int, item: int, who: int, state: str) -> None:
    recorder.add_fact("item", {"payout": number, "item": item, "state": state}, sharer_id=who)


def _settle_when_done(recorder: Recorder, number: int) -> None:
    """Settle a submitted batch once every item has come to an end."""
    batch = _locked(recorder, number)
    if batch.state == states.SUBMITTED and all(row.state in states.ENDS for row in _items(recorder, number)):
        _set_state(recorder, batch, states.SETTLED)
        _tell(recorder, number, "payout.settled")


def _tell(recorder: Recorder, number: int, kind: str) -> None:
    recorder.emit(kind, {"shop": recorder.shop.key, "payout": public_id.show(public_id.PAYOUT, number)})


def show_payout(context: Context, number: int, *, visible: Callable[[int], bool]) -> dict[str, Any]:
    """Return a batch with its items and who was left out; raise NotFound where the shop is not visible."""
    with context.database.reading() as connection:
        batch = connection.execute(select(payout).where(payout.c.id == number)).one_or_none()
        if batch is None or not visible(batch.shop_id):
            raise NotFound("unknown_payout", "There is no such payout.")
        items = connection.execute(
            select(payout_item).where(payout_item.c.payout_id == number).order_by(payout_item.c.id)
        ).all()
    return {
        "id": public_id.show(public_id.PAYOUT, batch.id),
        "state": batch.state,
        "rail": batch.rail,
        "currency": batch.currency,
        "minimum": format_minor(batch.minimum, batch.currency),
        "items": [_show_item(item, batch.currency) for item in items],
        "left_out": [
            {"sharer": public_id.show(public_id.SHARER, who), "reason": reason}
            for who, reason in json.loads(batch.left_out)
        ],
    }


def _show_item(item: Row[Any], currency: str) -> dict[str, Any]:
    amounts = {name: format_minor(getattr(item, name), currency) for name in ("gross", "withheld", "fee", "net")}
    return {
        "id": public_id.show(public_id.ITEM, item.id),
        "sharer": public_id.show(public_id.SHARER, item.sharer_id),
        **amounts,
        "state": item.state,
        "reference": item.reference,
        "reason": item.reason,
    }
