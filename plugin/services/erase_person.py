"""Erasing a buyer: every raw delivery that speaks of them, and their name and address as a sharer.

The books stay: amounts, order ids and the keyed hash of the e-mail, which tells nobody who it was. Deliveries that come
later are stored as any other, so the shop has to erase the buyer too.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, or_, select, update

from plugin import shops
from plugin.database import Database, among
from plugin.domain.order import normalise_email
from plugin.errors import BadRequest, BadSignature, Conflict, Malformed, NotFound, Sentence, Unavailable
from plugin.models import (
    delivery,
    export,
    export_piece,
    idempotency,
    note,
    order_state,
    orders,
    payout_way,
    person,
    session,
    sharer,
    shop,
    ticket,
)
from plugin.services import public_id
from plugin.services.context import Context
from plugin.services.erase_bodies import forget
from plugin.services.keep_answer import open_answer
from plugin.services.kept_exports import remove_exports
from plugin.services.process_inbox import drain, unseal
from plugin.services.show_poster import drawn_posters
from plugin.shops.base import Request

BATCH = 50
ERASED_UNREAD = Sentence("Its body was erased at a person's request before it could be processed.")
_BETWEEN = re.compile(r"[\s\"'`<>(){}\[\],;:=&?|/\\]+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_log = logging.getLogger(__name__)

Customer = tuple[int, str]  # shop, customer key


@dataclass(slots=True)
class Buyer:
    """Who is to be erased, by all that is known of them; ``numbers`` are our own of their orders."""

    addresses: set[str] = field(default_factory=set)  # in lower case, as the caller wrote them
    hashes: set[str] = field(default_factory=set)
    customers: set[Customer] = field(default_factory=set)
    orders: dict[int, set[str]] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)


def erase_person(
    context: Context, *, email: str | None = None, order_ref: str | None = None, shop_id: int | None = None
) -> dict[str, int]:
    """Erase the buyer with this e-mail, or of this order, in one shop or everywhere.

    Return how many raw deliveries and persons were erased. Raise NotFound for an unknown order.
    """
    if email is None and order_ref is None:
        raise BadRequest("nobody_named", "Name the buyer by e-mail or by an order.")
    drain(context)  # what is not read yet would be lost with its body
    with context.database.reading() as connection:
        buyer = _know(context, connection, email, order_ref, shop_id)
    erased = _erase(context, buyer, shop_id)
    clear_pages(context.database)
    return erased


def erase_named(context: Context, shop_id: int, request: Request) -> dict[str, int]:
    """Erase the buyer whom a platform names, in one shop; return how many raw deliveries and persons were erased.

    What was erased stays in the pages of the database's files until :func:`clear_pages`.
    """
    drain(context)
    with context.database.reading() as connection:
        buyer = know_named(context, connection, shop_id, request)
    return _erase(context, buyer, shop_id)


def erase_shop_bodies(context: Context, shop_id: int) -> dict[str, int]:
    """Erase every raw delivery of a shop; return how many. The same of :func:`clear_pages` holds."""
    drain(context)
    erased = 0
    for _, rows in _stored_bodies(context, shop_id):
        with context.database.writing() as connection:
            _forget_unread(connection, [row.id for row in rows])
        erased += len(rows)
    return {"erased_bodies": erased, "persons": 0}


def _erase(context: Context, buyer: Buyer, shop_id: int | None) -> dict[str, int]:
    with context.database.reading() as connection:
        shop_ids = connection.execute(select(shop.c.id)).scalars().all() if shop_id is None else [shop_id]
    bodies = sum(_erase_deliveries(context, buyer, one) for one in shop_ids)
    with context.database.writing() as connection:
        persons = _erase_persons(context, connection, buyer, shop_id)
        # What was exported before still names them; an export under way is made anew.
        remove_exports(connection, among(export.c.shop_id, list(shop_ids)))
    if persons:
        drawn_posters(context).clear()
    return {"erased_bodies": bodies, "persons": persons}


# --- who it is ------------------------------------------------------------------------------------------------------


def _know(
    context: Context, connection: Connection, email: str | None, order_ref: str | None, shop_id: int | None
) -> Buyer:
    """Gather what belongs to the buyer: from e-mail to customer to their other orders, until there is no more."""
    buyer = Buyer()
    if email is not None:
        buyer.addresses.add(email.strip().lower())
        buyer.hashes.add(context.keys.pepper_hash("email", normalise_email(email)))
    if order_ref is not None:
        found = connection.execute(_orders(shop_id).where(orders.c.ref == order_ref)).all()
        if not found:
            raise NotFound("unknown_order", "There is no such order. Write its id as the shop gives it.")
        if len(found) > 1:
            raise BadRequest("ambiguous_order", "Several shops have an order with this id: name one with --shop.")
        _add(buyer, found)
    return _know_more(connection, buyer, shop_id)


def know_named(context: Context, connection: Connection, shop_id: int, request: Request) -> Buyer:
    """Gather what belongs to the buyer whom a platform names; orders that are not known here name nobody."""
    buyer = Buyer()
    if request.email is not None:
        buyer.addresses.add(request.email.strip().lower())
        buyer.hashes.add(context.keys.pepper_hash("email", normalise_email(request.email)))
    if request.customer is not None:
        buyer.customers.add((shop_id, f"id:{request.customer}"))
    _add(buyer, connection.execute(_orders(shop_id).where(among(orders.c.ref, list(request.orders)))).all())
    return _know_more(connection, buyer, shop_id)


def _know_more(connection: Connection, buyer: Buyer, shop_id: int | None) -> Buyer:
    count = -1
    while count < len(buyer.numbers):
        count = len(buyer.numbers)
        theirs: list[ColumnElement[bool]] = [among(orders.c.customer_email, buyer.hashes)]
        theirs += [and_(orders.c.shop_id == one, orders.c.customer_key == key) for one, key in buyer.customers]
        _add(buyer, connection.execute(_orders(shop_id).where(or_(*theirs))).all())
    return buyer


def _orders(shop_id: int | None) -> Any:
    wanted = select(orders.c.id, orders.c.shop_id, orders.c.ref, orders.c.customer_key, orders.c.customer_email)
    return wanted if shop_id is None else wanted.where(orders.c.shop_id == shop_id)


def _add(buyer: Buyer, rows: Sequence[Row[Any]]) -> None:
    for row in rows:
        buyer.numbers.add(row.id)
        buyer.orders.setdefault(row.shop_id, set()).add(row.ref)
        if row.customer_key is not None:
            buyer.customers.add((row.shop_id, row.customer_key))
        if row.customer_email is not None:
            buyer.hashes.add(row.customer_email)


# --- what speaks of them --------------------------------------------------------------------------------------------


def _erase_deliveries(context: Context, buyer: Buyer, shop_id: int) -> int:
    """Erase the bodies that speak of the buyer; return how many."""
    erased = 0
    for platform, rows in _stored_bodies(context, shop_id):
        theirs = _told_by(context, buyer, [row.id for row in rows])
        numbers = [row.id for row in rows if row.id in theirs or _speaks_of(context, buyer, shop_id, platform, row)]
        if numbers:
            with context.database.writing() as connection:
                _forget_unread(connection, numbers)
        erased += len(numbers)
    return erased


def _forget_unread(connection: Connection, numbers: Sequence[int]) -> None:
    """Erase bodies, also of deliveries that came meanwhile and are not read yet."""
    forget(connection, numbers)
    connection.execute(
        update(delivery)
        .where(among(delivery.c.id, numbers), delivery.c.state == "stored")
        .values(state="quarantined", reason=ERASED_UNREAD, lease_by=None, lease_until=None)
    )


def _stored_bodies(context: Context, shop_id: int) -> Iterator[tuple[str, Sequence[Any]]]:
    last = 0
    while True:
        with context.database.reading() as connection:
            platform: str = connection.execute(select(shop.c.platform).where(shop.c.id == shop_id)).scalar_one()
            rows = connection.execute(
                select(delivery.c.id, delivery.c.topic, delivery.c.body)
                .where(delivery.c.shop_id == shop_id, delivery.c.id > last, delivery.c.body.is_not(None))
                .order_by(delivery.c.id)
                .limit(BATCH)
            ).all()
        if not rows:
            return
        yield platform, rows
        last = rows[-1].id


def _told_by(context: Context, buyer: Buyer, numbers: Sequence[int]) -> set[int]:
    """Return those deliveries that first told a state of the buyer's orders."""
    if not buyer.numbers:
        return set()
    wanted = select(order_state.c.delivery_id, order_state.c.order_id).where(among(order_state.c.delivery_id, numbers))
    with context.database.reading() as connection:
        return {row.delivery_id for row in connection.execute(wanted) if row.order_id in buyer.numbers}


def _speaks_of(context: Context, buyer: Buyer, shop_id: int, platform: str, row: Row[Any]) -> bool:
    """Tell whether a delivery holds an address of the buyer anywhere, or is about one of their orders or about them."""
    try:
        headers, body = unseal(context, row.body)
    except (BadSignature, ValueError):
        _log.error("Delivery dlv_%d cannot be opened, so nobody can tell whom it speaks of.", row.id)
        return False
    if _names(context, buyer, headers + "\n" + body.decode("utf-8", "replace")):
        return True
    try:
        said = shops.get(platform).parse(row.topic, body)
    except Malformed:
        return False
    refs = buyer.orders.get(shop_id, set())
    return any(_is_theirs(buyer, shop_id, refs, order) for order in said.orders) or any(
        ref in refs for ref in said.deleted
    )


def _names(context: Context, buyer: Buyer, text: str) -> bool:
    """Tell whether one of the buyer's addresses stands in a text, also as JSON or a web address escapes it."""
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    readings = {plain, unquote(plain)} if "%40" in plain else {plain}
    if any(address in reading.lower() for reading in readings for address in buyer.addresses):
        return True
    pieces = {piece.strip(".") for reading in readings for piece in _BETWEEN.split(reading) if "@" in piece}
    keys = context.keys
    return any(keys.pepper_hash("email", normalise_email(piece)) in buyer.hashes for piece in pieces)


def _is_theirs(buyer: Buyer, shop_id: int, refs: set[str], order: Mapping[str, Any]) -> bool:
    customer = order.get("customer")
    number = customer.get("id") if isinstance(customer, Mapping) else None
    return str(order.get("id")) in refs or (shop_id, f"id:{number}") in buyer.customers


# --- the person -----------------------------------------------------------------------------------------------------


def _erase_persons(context: Context, connection: Connection, buyer: Buyer, shop_id: int | None) -> int:
    """Empty the persons the buyer is; within one shop only those who are no sharers of another."""
    theirs: list[ColumnElement[bool]] = [among(person.c.email_hash, buyer.hashes)]
    for one, key in buyer.customers:
        if key.startswith("id:"):
            same = and_(sharer.c.shop_id == one, sharer.c.customer_id == key.removeprefix("id:"))
            theirs.append(person.c.id.in_(select(sharer.c.person_id).where(same)))
    wanted = select(person.c.id).where(or_(*theirs), person.c.erased_at.is_(None))
    if shop_id is not None:
        wanted = wanted.where(person.c.id.not_in(select(sharer.c.person_id).where(sharer.c.shop_id != shop_id)))
    numbers = connection.execute(wanted).scalars().all()
    if numbers:
        told = ("email", "name", "shown_name", "locale", "mail_choices")
        nothing = {**dict.fromkeys(told), "erased_at": context.now()}
        connection.execute(update(person).where(among(person.c.id, numbers)).values(nothing))
        _forget_visits(connection, numbers)
    connection.execute(delete(ticket).where(func.lower(ticket.c.email).in_(buyer.addresses)))
    _forget_answers(context, connection, buyer, [public_id.show(public_id.PERSON, number) for number in numbers])
    return len(numbers)


def _forget_visits(connection: Connection, persons: Sequence[int]) -> None:
    """Sign persons out, and delete what was noted of them beside the books."""
    for table in (session, ticket):
        connection.execute(delete(table).where(among(table.c.person_id, persons)))
    theirs = select(sharer.c.id).where(among(sharer.c.person_id, persons))
    for beside in (note, payout_way):
        connection.execute(delete(beside).where(beside.c.sharer_id.in_(theirs)))


def _forget_answers(context: Context, connection: Connection, buyer: Buyer, persons: Sequence[str]) -> None:
    """Delete the answers kept for idempotency keys that name the buyer: they repeat what was said at an enrolment."""
    kept = idempotency.c
    for row in connection.execute(select(idempotency).where(kept.answer.is_not(None))).all():
        if _is_about(context, row.answer, buyer, persons):
            same = and_(kept.token_id == row.token_id, kept.endpoint == row.endpoint, kept.key == row.key)
            connection.execute(delete(idempotency).where(same))


def _is_about(context: Context, answer: bytes, buyer: Buyer, persons: Sequence[str]) -> bool:
    """Tell whether a kept answer names the buyer; of one that cannot be opened any more nobody knows, so it must go."""
    try:
        text = open_answer(context, answer).decode("utf-8", "replace")
    except Conflict:
        return True
    return any(f'"{one}"' in text for one in persons) or _names(context, buyer, text)


# --- the pages of the file ------------------------------------------------------------------------------------------


def clear_pages(database: Database) -> None:
    """Leave nothing of what was erased in the database's files; raise Unavailable where others are in the way."""
    connection = database.engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        cursor = driver.cursor()
        if database.is_sqlite:
            cursor.execute("VACUUM")
            (is_busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if is_busy:
                raise _in_the_way()
        else:
            driver.autocommit = True
            for table in (delivery, person, idempotency, ticket, note, payout_way, export_piece):
                cursor.execute(f"VACUUM {table.name}")
            driver.autocommit = False
        cursor.close()
    except database.engine.dialect.loaded_dbapi.Error as error:
        raise _in_the_way() from error
    finally:
        connection.close()


def _in_the_way() -> Unavailable:
    return Unavailable(
        "pages_not_cleared",
        "All is erased, but old pages of the database's files could not be overwritten now. Run the command again.",
    )
