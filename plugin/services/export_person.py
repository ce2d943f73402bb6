"""Everything that is stored about a person who shares, as one file for them to keep: JSON for what they are, CSV for
what they earned. It holds nothing of other people.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from plugin.domain.ledger import EDGES
from plugin.domain.moment import format_moment
from plugin.domain.money import format_minor
from plugin.models import fact, link, payout, payout_item, person, session, sharer, shop, transfer
from plugin.services import public_id
from plugin.services.choose_mails import PERSON, read_choices
from plugin.services.context import Context
from plugin.services.keep_payout_way import find_payout_way

READ = 5_000
_FORMULA = frozenset("=+-@\t\r\n")


def export_person(context: Context, person_id: int) -> bytes:
    """Return a zip file with all that is stored about a person."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file, context.database.reading() as connection:
        seats = connection.execute(
            select(sharer, shop.c.key, shop.c.name.label("shop_name"))
            .join(shop, shop.c.id == sharer.c.shop_id)
            .where(sharer.c.person_id == person_id)
            .order_by(sharer.c.id)
        ).all()
        told = _person(connection, person_id) | {"shops": [_seat(context, connection, row) for row in seats]}
        file.writestr("person.json", json.dumps(told, ensure_ascii=False, indent=1))
        for row in seats:
            file.writestr(f"{row.key}/statement.csv", _csv(_TRANSFER, _transfers(connection, row.id)))
            file.writestr(f"{row.key}/payouts.csv", _csv(_PAYOUT, _payouts(connection, row.id)))
            file.writestr(f"{row.key}/links.csv", _csv(_LINK, _links(context, connection, row.id)))
    return packed.getvalue()


def _person(connection: Connection, person_id: int) -> dict[str, Any]:
    row = connection.execute(select(person).where(person.c.id == person_id)).one()
    signed_in = connection.execute(select(session).where(session.c.person_id == person_id).order_by(session.c.id)).all()
    return {
        "id": public_id.show(public_id.PERSON, person_id),
        "email": row.email,
        "name": row.name,
        "shown_name": row.shown_name,
        "language": row.locale,
        "known_since": format_moment(row.created_at),
        "mails": read_choices(connection, PERSON, person_id),
        "signed_in": [
            {"since": format_moment(one.created_at), "seen": format_moment(one.seen_at), "browser": one.agent}
            for one in signed_in
        ],
    }


def _seat(context: Context, connection: Connection, row: Row[Any]) -> dict[str, Any]:
    facts = connection.execute(
        select(fact).where(fact.c.sharer_id == row.id, fact.c.kind.in_(("sharer", "code"))).order_by(fact.c.position)
    ).all()
    way = find_payout_way(context, row.id)
    return {
        "id": public_id.show(public_id.SHARER, row.id),
        "shop": row.key,
        "shop_name": row.shop_name,
        "customer_id": row.customer_id,
        "joined_at": format_moment(row.created_at),
        "changes": [_change(one) for one in facts],
        "paid_to": None if way is None else {"kind": way.kind, **way.details},
    }


def _change(one: Row[Any]) -> dict[str, Any]:
    body = json.loads(one.body)
    if one.kind == "code":
        return {"from": format_moment(one.at), "code": body["code"]}
    return {"from": format_moment(one.at), "status": body["status"], "group": body["group"]}


# --- what was earned --------------------------------------------------------------------------------------------------

_TRANSFER = ("number", "at", "kind", "from", "to", "amount", "currency", "role")
_PAYOUT = ("id", "begun_at", "state", "gross", "withheld", "fee", "net", "currency", "reference", "reason")
_LINK = ("address", "leads_to", "channel", "campaign", "made_at")


def _transfers(connection: Connection, sharer_id: int) -> Iterable[Sequence[Any]]:
    last = 0
    while True:
        more = transfer.c.sharer_id == sharer_id, transfer.c.number > last
        rows = connection.execute(select(transfer).where(*more).order_by(transfer.c.number).limit(READ)).all()
        for row in rows:
            at, amount = format_moment(row.written_at), format_minor(row.amount, row.currency)
            yield row.number, at, row.kind, *EDGES[row.kind], amount, row.currency, row.role
        if len(rows) < READ:
            return
        last = rows[-1].number


def _payouts(connection: Connection, sharer_id: int) -> Iterable[Sequence[Any]]:
    rows = connection.execute(
        select(payout_item, payout.c.currency, payout.c.created_at)
        .join(payout, payout.c.id == payout_item.c.payout_id)
        .where(payout_item.c.sharer_id == sharer_id, payout.c.state != "draft")
        .order_by(payout_item.c.id)
    ).all()
    for row in rows:
        amounts = (format_minor(minor, row.currency) for minor in (row.gross, row.withheld, row.fee, row.net))
        name, begun_at = public_id.show(public_id.ITEM, row.id), format_moment(row.created_at)
        yield name, begun_at, row.state, *amounts, row.currency, row.reference, row.reason


def _links(context: Context, connection: Connection, sharer_id: int) -> Iterable[Sequence[Any]]:
    for row in connection.execute(select(link).where(link.c.sharer_id == sharer_id).order_by(link.c.id)):
        address = f"{context.settings.base_url}/s/{row.code}"
        yield address, row.target_url, row.channel, row.campaign, format_moment(row.created_at)


def _csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(name, value) for name, value in zip(names, row, strict=True)])
    return "\ufeff" + text.getvalue()


def _cell(name: str, value: Any) -> str:
    """Write a cell; what somebody wrote never acts as a formula, and amounts stay numbers."""
    cell = "" if value is None else str(value)
    is_words = name in ("reference", "reason", "channel", "campaign", "leads_to")
    return f"'{cell}" if is_words and cell.lstrip(" ")[:1] in _FORMULA and cell else cell
