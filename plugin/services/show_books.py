"""What the books say of a sharer: balances and the statement; and the payouts of a shop. Reads, never writes."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select

from plugin.domain import ledger
from plugin.domain.moment import format_moment
from plugin.domain.money import format_minor
from plugin.errors import NotFound
from plugin.models import account, orders, payout, transfer
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.show_sharer import page


def show_balances(context: Context, sharer_id: int) -> dict[str, Any]:
    """Return what a sharer has in each currency in which there is an account."""
    with context.database.reading() as connection:
        rows = connection.execute(select(account).where(account.c.sharer_id == sharer_id)).all()
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        found[row.currency][row.purpose] = row.balance
    return {"balances": [_balance(currency, found[currency]) for currency in sorted(found)]}


def _balance(currency: str, lies: Mapping[str, int]) -> dict[str, str]:
    amounts = {name: sum(lies[purpose] for purpose in purposes) for name, purposes in ledger.BALANCES.items()}
    return {"currency": currency} | {name: format_minor(minor, currency) for name, minor in amounts.items()}


def list_transfers(context: Context, sharer_id: int, *, before: int | None, limit: int) -> dict[str, Any]:
    """Return a page of a sharer's statement, newest first; the cursor is a transfer's number."""
    wanted = (
        select(transfer, orders.c.ref)
        .join(orders, orders.c.id == transfer.c.order_id)
        .where(transfer.c.sharer_id == sharer_id)
        .order_by(transfer.c.number.desc())
        .limit(limit + 1)
    )
    if before is not None:
        wanted = wanted.where(transfer.c.number < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    following = str(rows[limit - 1].number) if len(rows) > limit else None
    return {"items": [_show_transfer(row) for row in rows[:limit]], "next": following}


def _show_transfer(row: Row[Any]) -> dict[str, Any]:
    source, target = ledger.EDGES[row.kind]
    return {
        "id": row.id,
        "number": row.number,
        "at": format_moment(row.written_at),
        "about_at": format_moment(row.about_at),
        "kind": row.kind,
        "from": source,
        "to": target,
        "amount": format_minor(row.amount, row.currency),
        "currency": row.currency,
        "order": row.ref,
        "role": row.role,
        "cause": row.cause,
        "actor": row.actor,
        "payout_item": public_id.show_optional(public_id.ITEM, row.payout_item_id),
    }


def find_payout(context: Context, name: str, *, shop_id: int | None) -> Row[Any]:
    """Return a payout's row by the public id; raise NotFound for none, and for another shop's."""
    number = public_id.read(public_id.PAYOUT, name)
    with context.database.reading() as connection:
        row = connection.execute(select(payout).where(payout.c.id == number)).one_or_none()
    if row is None or shop_id not in (None, row.shop_id):
        raise NotFound("unknown_payout", "There is no such payout.")
    return row


def list_payouts(context: Context, shop_id: int, *, before: int | None, limit: int) -> dict[str, Any]:
    """Return a page of a shop's payouts, newest first, without their items."""
    wanted = select(payout).where(payout.c.shop_id == shop_id).order_by(payout.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(payout.c.id < before)
    with context.database.reading() as connection:
        rows = connection.execute(wanted).all()
    items = [
        {
            "id": public_id.show(public_id.PAYOUT, row.id),
            "state": row.state,
            "rail": row.rail,
            "currency": row.currency,
            "minimum": format_minor(row.minimum, row.currency),
            "created_at": format_moment(row.created_at),
        }
        for row in rows[:limit]
    ]
    return page(items, rows, limit)
