"""The one way to write a shop's record: rows, transfers and events of one transaction, closed by a link of the chain.

Opening it takes the shop's head row, so the writers of a shop's books queue; what they read after that cannot change
under them. ``position`` numbers the transactions of a shop; as-of questions ("what was known at the release?") use it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from plugin.database import among
from plugin.domain import ledger
from plugin.domain.ledger import Move
from plugin.domain.rollup import Rollup
from plugin.domain.stored_json import canonical, compact
from plugin.models import (
    account,
    chain,
    decision,
    event,
    event_head,
    fact,
    head,
    order_state,
    shop,
    transfer,
)
from plugin.services.context import AccountKey, Context
from plugin.services.digest import PURPOSE, first_mac, head_seal, link_mac, row_mac, transfer_id
from plugin.services.rollups import add_rollup
from plugin.services.want_mail import want_first_commission_mails

_SHOP_SIDE = frozenset(ledger.SHOP_PURPOSES)
_COUNTED = ("states", "decisions", "facts", "transfers")
_OF_ORDERS = frozenset(_COUNTED) - {"facts"}  # what one order's settlement writes never changes another's decision


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, leaving alone those whose identity is already there."""
    if rows:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def put_row(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or write it over the one of the same primary key."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in row.items() if name not in keys}
    connection.execute(dialect.insert(table).values(row).on_conflict_do_update(index_elements=keys, set_=rest))


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of one shape in one go.

    On PostgreSQL by COPY: one statement, so that the triggers that book transfers fire once and not for every row.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(table.insert(), list(rows))
        return
    columns = list(rows[0])
    names = ", ".join(connection.dialect.identifier_preparer.quote(column) for column in columns)
    driver: Any = connection.connection.driver_connection
    statement, errors = f"COPY {table.name} ({names}) FROM STDIN", connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([row[column] for column in columns])
    except errors as error:  # raised as the engine raises it: whoever tries again or puts off knows only that kind
        is_lost = connection.dialect.is_disconnect(error, driver, None)
        raise DBAPIError.instance(statement, None, error, errors, connection_invalidated=is_lost) from error


def take_numbers(connection: Connection, table: Table, count: int) -> list[int]:
    """Return numbers for new rows of a table. On SQLite this holds because the transaction holds the write lock."""
    if connection.dialect.name == "sqlite":
        last = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        return list(range(last + 1, last + 1 + count))
    numbers = select(func.nextval(f"{table.name}_id_seq")).select_from(func.generate_series(1, count))
    return list(connection.execute(numbers).scalars())


class Recorder:
    """A writing transaction on one shop's record. Made by :func:`recording`."""

    def __init__(self, connection: Connection, context: Context, shop_row: Row[Any], actor: str) -> None:
        self.connection = connection
        self.context = context
        self.shop = shop_row
        self.actor = actor
        self.key = context.keys.mac_key(PURPOSE)
        before = connection.execute(
            select(head.c.position, head.c.mac, head.c.news).where(head.c.shop_id == shop_row.id).with_for_update()
        ).one()
        self.now = context.now()  # not before the row is ours: what waited for it is dated after what it waited for
        self.position: int = before.position + 1
        self.news: int = before.news  # the position of the last fact, plan, sharer or link
        self._before: bytes = before.mac
        self._macs: list[bytes] = []
        self._orders: dict[str, list[int]] = {}
        self._others: dict[str, int] = {}
        self._buffers: dict[Table, list[dict[str, Any]]] = {order_state: [], fact: [], decision: [], transfer: []}
        self._wanted: list[tuple[dict[str, Any], AccountKey, AccountKey]] = []
        self._events: list[tuple[str, str]] = []
        self._opened: dict[AccountKey, int] = {}
        self._first: set[AccountKey] = set()  # accounts that this transaction is the first to use
        self._first_orders: dict[int, int] = {}
        self.rollup = Rollup(ZoneInfo(shop_row.timezone))

    # --- what may be written ----------------------------------------------------------------------------------------

    def _seal(self, table: Table, row: dict[str, Any], order_ref: str | None, counted: str) -> dict[str, Any]:
        row["shop_id"] = self.shop.id
        row["position"] = self.position
        row["mac"] = row_mac(self.key, table.name, row)
        self._macs.append(row["mac"])
        if counted not in _OF_ORDERS:
            self.news = self.position
        if order_ref is None:
            self._others[counted] = self._others.get(counted, 0) + 1
        else:
            self._orders.setdefault(order_ref, [0] * len(_COUNTED))[_COUNTED.index(counted)] += 1
        return row

    def add_state(self, order_id: int, ref: str, *, sha: str, body: bytes, delivery_id: int) -> None:
        """Keep a stated order for ever."""
        row = {"order_id": order_id, "sha": sha, "body": body, "delivery_id": delivery_id}
        self._buffers[order_state].append(self._seal(order_state, row, ref, "states"))

    def add_fact(
        self,
        kind: str,
        body: Mapping[str, Any],
        *,
        at: int | None = None,
        sharer_id: int | None = None,
        order: tuple[int, str] | None = None,
        code: str | None = None,
    ) -> None:
        """Record a dated fact; ``order`` is (our number, the shop's id)."""
        row = {
            "kind": kind,
            "at": self.now if at is None else at,
            "recorded_at": self.now,
            "actor": self.actor,
            "sharer_id": sharer_id,
            "order_id": order[0] if order else None,
            "code": code,
            "body": canonical(body),
        }
        self._buffers[fact].append(self._seal(fact, row, order[1] if order else None, "facts"))

    def add_decision(self, order_id: int, ref: str, *, body: str, cause: str) -> None:
        """Keep a decision for ever; the newest one of an order is in force."""
        row = {"order_id": order_id, "body": body, "cause": cause}
        self._buffers[decision].append(self._seal(decision, row, ref, "decisions"))

    def add_row(self, table: Table, row: dict[str, Any]) -> int:
        """Insert one sealed row (a plan, a sharer, a link) at once and return its number."""
        sealed = self._seal(table, row, None, table.name)
        number: int = self.connection.execute(table.insert().values(sealed).returning(table.c.id)).scalar_one()
        return number

    def add_transfer(
        self,
        move: Move,
        *,
        order: tuple[int, str],
        sharer_id: int,
        role: str,
        currency: str,
        cause: str,
        about_at: int,
        payout_item_id: int | None = None,
    ) -> None:
        """Move money along one edge for one commission (order, sharer, role)."""
        row = {
            "id": transfer_id(f"{cause}@{self.position}", order[0], sharer_id, role, move.kind),
            "kind": move.kind,
            "currency": currency,
            "amount": move.minor,
            "sharer_id": sharer_id,
            "order_id": order[0],
            "role": role,
            "payout_item_id": payout_item_id,
            "cause": cause,
            "actor": self.actor,
            "about_at": about_at,
            "written_at": self.now,
            "ref": order[1],
        }
        self.rollup.count_transfer(self.now, sharer_id, role, currency, move.kind, move.minor)
        sides = [
            (self.shop.id, 0 if purpose in _SHOP_SIDE else sharer_id, currency, purpose)
            for purpose in (move.source, move.target)
        ]
        self._wanted.append((row, sides[0], sides[1]))

    def emit(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell the followers of the event stream, once this transaction is committed."""
        self._events.append((kind, compact(data)))

    # --- closing ----------------------------------------------------------------------------------------------------

    def _accounts(self, keys: Iterable[AccountKey]) -> dict[AccountKey, int]:
        """Return the account numbers, opening those that are not there yet."""
        known = self.context.accounts
        missing = {key for key in keys if key not in known and key not in self._opened}
        for opening in (False, True):
            if missing and opening:
                live = self.shop.live
                names = ("shop_id", "sharer_id", "currency", "purpose")
                rows = [dict(zip(names, key, strict=True)) | {"live": live, "balance": 0} for key in sorted(missing)]
                insert_new(self.connection, account, rows)
                self._first |= missing
            if missing:
                self._opened.update(self._find(missing))
                missing -= self._opened.keys()
        return {**known, **self._opened} if self._opened else known

    def _find(self, keys: Iterable[AccountKey]) -> dict[AccountKey, int]:
        sharers = {key[1] for key in keys}
        rows = self.connection.execute(
            select(account.c.id, account.c.sharer_id, account.c.currency, account.c.purpose).where(
                account.c.shop_id == self.shop.id, among(account.c.sharer_id, sharers)
            )
        )
        found = {(self.shop.id, row.sharer_id, row.currency, row.purpose): row.id for row in rows}
        return {key: found[key] for key in keys if key in found}

    def flush(self) -> None:
        """Write what is buffered, so that later reads of this transaction see it."""
        if self._wanted:
            numbers = self._accounts(key for _, source, target in self._wanted for key in (source, target))
            for row, source, target in self._wanted:
                if self._first and target in self._first and target[3] == ledger.PENDING:
                    self._first_orders.setdefault(row["sharer_id"], row["order_id"])
                row |= {"from_account": numbers[source], "to_account": numbers[target]}
                self._buffers[transfer].append(self._seal(transfer, row, row.pop("ref"), "transfers"))
            self._wanted.clear()
        for table, rows in self._buffers.items():
            insert_many(self.connection, table, rows)
            rows.clear()

    def _close(self) -> None:
        self.flush()
        if self._first_orders:
            want_first_commission_mails(self.connection, self.shop, self._first_orders, now=self.now)
        add_rollup(self.connection, self.shop.id, self.rollup)
        if not self._macs:
            self._write_events()
            return
        manifest = canonical({"orders": self._orders, "others": self._others})
        mac = link_mac(self.key, self._before, self.position, manifest, self._macs)
        self.connection.execute(
            chain.insert().values(
                shop_id=self.shop.id, position=self.position, at=self.now, manifest=manifest, mac=mac
            )
        )
        seal = head_seal(self.key, self.shop.id, self.position, mac)
        values = {"position": self.position, "mac": mac, "seal": seal, "news": self.news}
        self.connection.execute(update(head).where(head.c.shop_id == self.shop.id).values(values))
        self._write_events()

    def _write_events(self) -> None:
        """Number the events last: the row taken here is held until the commit, so numbers appear in order."""
        if not self._events:
            return
        count = len(self._events)
        last = self.connection.execute(
            update(event_head)
            .where(event_head.c.id == 1)
            .values(seq=event_head.c.seq + count)
            .returning(event_head.c.seq)
        ).scalar_one()
        rows = [
            {"seq": last - count + 1 + index, "at": self.now, "shop_id": self.shop.id, "type": kind, "data": data}
            for index, (kind, data) in enumerate(self._events)
        ]
        insert_many(self.connection, event, rows)


@contextmanager
def recording(
    context: Context, shop_id: int, *, actor: str, first: Callable[[Connection], None] | None = None
) -> Iterator[Recorder]:
    """Open a writing transaction on a shop's record; commit it whole at the end of the block, or not at all.

    ``first`` is done in it before the record is taken, while its other writers still go on.
    """
    with context.database.writing() as connection:
        if first:
            first(connection)
        row = connection.execute(select(shop).where(shop.c.id == shop_id)).one()
        recorder = Recorder(connection, context, row, actor)
        yield recorder
        recorder._close()
    context.accounts.update(recorder._opened)
    if recorder._events:
        context.wake()  # they go out from a worker


def tell(
    context: Context, connection: Connection, shop_id: int, kind: str, data: Mapping[str, Any], *, actor: str
) -> None:
    """Emit one event in a transaction of others, as its last act: the numbers of events are held until the commit."""
    row = connection.execute(select(shop).where(shop.c.id == shop_id)).one()
    recorder = Recorder(connection, context, row, actor)
    recorder.emit(kind, data)
    recorder._close()


def open_chain(connection: Connection, key: bytes, shop_id: int) -> None:
    """Give a new shop the beginning of its chain."""
    mac = first_mac(key, shop_id)
    connection.execute(head.insert().values(shop_id=shop_id, position=0, mac=mac, seal=head_seal(key, shop_id, 0, mac)))
