"""Storing deliveries: the door's half that knows the database. A delivery counts as taken once its row is committed.

The rows of all requests of a process that wait are committed together: SQLite has one writer anyway, and a commit for
many costs hardly more than a commit for one.
"""

import hashlib
import json
import logging
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any, TypedDict

from sqlalchemy import Connection, PoolProxiedConnection, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from plugin import shops
from plugin.errors import BadSignature, Unavailable
from plugin.forks import watch_forks
from plugin.models import delivery, refusal, shop
from plugin.recent import Recent
from plugin.services.context import Context
from plugin.services.digest import PURPOSE, row_mac
from plugin.services.process_inbox import seal
from plugin.services.recorder import insert_new
from plugin.services.shop_secrets import open_credentials, open_secrets
from plugin.shops.base import Dated, Headers, Named, Place, Shop

BUDGET_SECONDS = 10.0  # how long a request waits for its commit
QUEUE_MAX = 5_000
BATCH_MAX = 50
ID_LENGTH_MAX, TOPIC_LENGTH_MAX = 200, 255
_HASHED_AT_ONCE = 2_047  # bytes
# Why a delivery was refused. The sender is never told; the owner is.
UNSIGNED, STALE, WRONG_SECRET, OTHER_SHOP = "unsigned", "stale", "wrong_secret", "other_shop"
REFUSAL_SECONDS = 5.0  # between two notes about one shop, so that a flood costs nothing
CACHE_SECONDS = 1.5  # what a look-up may be old; with the query it stays under two seconds
RENEWAL_SECONDS = 0.1  # the same where a signature does not hold by it: a flood of forged ones asks ten times a second
UNKNOWN_MAX = 10_000

SHOP_KEY = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_KEPT_HEADERS = ("content-type", "user-agent")
_log = logging.getLogger(__name__)


# -- rows --------------------------------------------------------------------------------------------------------------


class StoredRow(TypedDict):
    """A row of ``pa_delivery`` as it is written."""

    shop_id: int
    delivery_id: str
    body_sha: bytes
    topic: str
    received_at: int
    body: bytes
    state: str
    attempts: int
    due_at: int
    mac: bytes


_COLUMNS = tuple(StoredRow.__annotations__)
_values = itemgetter(*_COLUMNS)
_identity = itemgetter("shop_id", "delivery_id", "body_sha")  # what makes two deliveries one


@cache
def _insert(mark: str, count: int) -> str:
    """Return the statement that inserts so many rows, leaving those alone that are there already."""
    row = f"({', '.join([mark] * len(_COLUMNS))})"
    return (
        f"INSERT INTO pa_delivery ({', '.join(_COLUMNS)}) VALUES {', '.join([row] * count)}"  # noqa: S608
        " ON CONFLICT (shop_id, delivery_id, body_sha) DO NOTHING"
    )


def storable_id(text: str) -> str:
    """Return a delivery id as every database can keep it: one that is too long or unwritable becomes its own hash."""
    plain = text.encode("utf-8", "surrogatepass")
    if len(text) <= ID_LENGTH_MAX and "\0" not in text and _is_text(text):
        return text
    return "sha256:" + hashlib.sha256(plain).hexdigest()


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _storable_topic(text: str) -> str:
    return text[:TOPIC_LENGTH_MAX].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _sha256(body: bytes) -> Any:
    """Hash a body piece by piece.

    For larger pieces hashlib gives the interpreter lock away, and getting it back from a crowd of other requests takes
    many times as long as the hash.
    """
    digest, whole = hashlib.sha256(), memoryview(body)
    for first in range(0, len(whole), _HASHED_AT_ONCE):
        digest.update(whole[first : first + _HASHED_AT_ONCE])
    return digest


def make_row(
    context: Context, mac_key: bytes, shop_id: int, delivery_id: str, topic: str, headers: Headers, body: bytes
) -> StoredRow:
    """Make the row of a delivery, sealed, with those headers that are to be kept."""
    now = context.now()
    body_sha = _sha256(body)
    row = StoredRow(
        shop_id=shop_id,
        delivery_id=storable_id(delivery_id) if delivery_id else body_sha.hexdigest(),
        topic=_storable_topic(topic),
        body_sha=body_sha.digest(),
        received_at=now,
        body=seal(context, json.dumps(dict(headers)), body),
        state="stored",
        attempts=0,
        due_at=now,
        mac=b"",
    )
    row["mac"] = row_mac(mac_key, delivery.name, row)
    return row


def keep_answer_of_shop(
    context: Context, connection: Connection, shop_id: int, delivery_id: str, topic: str, body: bytes
) -> None:
    """Store what a shop answered when asked, as a delivery like those it sends; the same one twice is one."""
    row = make_row(context, context.keys.mac_key(PURPOSE), shop_id, delivery_id, topic, {}, body)
    insert_new(connection, delivery, [row])


# -- sharing commits ---------------------------------------------------------------------------------------------------


class _Waiting:
    """A row whose request waits; the lock is opened once: when the row is settled, or when the request shall lead."""

    __slots__ = ("row", "woken", "leads", "stored", "given_up")

    def __init__(self, row: StoredRow) -> None:
        self.row = row
        self.woken = threading.Lock()
        self.woken.acquire()
        self.leads = False
        self.stored = False
        self.given_up = False


class Intake:
    """Stores deliveries. The requests share their commits without a thread of their own to do it.

    Whoever finds nobody committing leads: it commits its row with all that wait, tells them, and hands on to the first
    of those who came meanwhile. So a commit costs no more wake-ups than it must, and a lone request none at all.
    """

    def __init__(self, context: Context, on_stored: Callable[[], None]) -> None:
        """``on_stored`` is called once after each commit, in the leading request; it should only wake the workers."""
        self.context = context
        self.shops = ShopCache(context)
        self.refused: Counter[str] = Counter()  # by error code, since the start of the process
        self._noted: dict[int, float] = {}  # when the last refusal of a shop was written down
        self._counting = threading.Lock()
        self._on_stored = on_stored
        self._mac_key = context.keys.mac_key(PURPOSE)  # of the pepper, which never changes
        self._connection: PoolProxiedConnection | None = None
        self._be_new()
        watch_forks(before=self._before_fork, in_parent=self._after_fork, in_child=self._be_new)

    def _be_new(self) -> None:
        """Have nothing waiting and nobody leading: what a fresh process begins with, forked or not."""
        self._queueing = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False
        self._writing = threading.Lock()
        self._busy_since: float | None = None
        self._stopped = False

    def _before_fork(self) -> None:
        """Close the idle connections: over a fork SQLite loses its locks, and PostgreSQL would hear two voices."""
        self._writing.acquire()
        self._drop_connection()
        self.context.database.close()

    def _after_fork(self) -> None:
        self._writing.release()

    def start(self) -> None:
        """Take deliveries, again after :meth:`stop` too."""
        self._stopped = False

    def stop(self) -> None:
        """Refuse later deliveries, and wait until those that wait are committed."""
        self._stopped = True
        end = time.monotonic() + BUDGET_SECONDS
        while self._is_led and time.monotonic() < end:
            time.sleep(0.01)
        if self._writing.acquire(timeout=max(0, end - time.monotonic())):
            self._drop_connection()
            self._writing.release()

    def row(self, shop_id: int, delivery_id: str, topic: str, headers: Headers, body: bytes) -> StoredRow:
        """Make the row of a verified delivery, sealed; ``delivery_id`` may be empty where the shop gave none."""
        return make_row(self.context, self._mac_key, shop_id, delivery_id, topic, headers, body)

    def store(self, row: StoredRow) -> None:
        """Return once the row, or an earlier one of the same identity, is committed; else raise Unavailable."""
        waiting = _Waiting(row)
        with self._queueing:
            if self._stopped or len(self._queue) >= QUEUE_MAX or self._is_stuck():
                raise _unavailable()
            self._queue.append(waiting)
            if not self._is_led:
                self._is_led = waiting.leads = True
        if not waiting.leads and not waiting.woken.acquire(timeout=BUDGET_SECONDS):
            with self._queueing:
                waiting.given_up = not waiting.leads  # it may have been asked to at the last moment
        if waiting.leads:
            self._lead(waiting)
        if not waiting.stored:
            raise _unavailable()

    def _lead(self, own: _Waiting) -> None:
        """Settle the rows that wait, one's own the first among them, and hand on to who came meanwhile."""
        with self._queueing:
            taken = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX))]
            batch = [one for one in taken if not one.given_up]
        self._busy_since = time.monotonic()
        try:
            with self._writing:
                self._settle(batch)
        finally:
            with self._queueing:
                self._busy_since = None
                while self._queue and self._queue[0].given_up:
                    self._queue.popleft()
                heir = self._queue[0] if self._queue else None
                self._is_led = heir is not None
                if heir is not None:
                    heir.leads = True
            for one in batch:
                if one is not own:
                    one.woken.release()
            if heir is not None:
                heir.woken.release()
        if any(one.stored for one in batch):
            try:
                self._on_stored()
            except Exception:
                _log.exception("Waking the workers failed; they look for themselves a little later.")

    def count_refused(self, code: str) -> int:
        """Count a delivery that the door refused; return how many there were for that reason."""
        with self._counting:
            self.refused[code] += 1
            return self.refused[code]

    def note_refused(self, door: "ShopDoor", headers: Headers, body: bytes, *, is_foreign: bool, now: int) -> None:
        """Write down why a delivery was refused, for the shop's owner to see; of many at once only the first."""
        with self._counting:
            at = time.monotonic()
            if at - self._noted.get(door.id, -REFUSAL_SECONDS) < REFUSAL_SECONDS or self._is_stuck():
                return
            self._noted[door.id] = at
        reason = OTHER_SHOP if is_foreign else _reason(door, headers, body, now)
        try:
            with self.context.database.writing() as connection:
                dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
                row = dialect.insert(refusal).values(shop_id=door.id, reason=reason, at=now)
                newest = {"reason": row.excluded.reason, "at": row.excluded.at}
                connection.execute(row.on_conflict_do_update(index_elements=[refusal.c.shop_id], set_=newest))
        except SQLAlchemyError as error:
            _log.warning("That a delivery was refused could not be written down: %s", type(error).__name__)

    def _is_stuck(self) -> bool:
        """Tell whether the database has kept a commit for longer than it may; then nobody should queue behind it."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > BUDGET_SECONDS

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Commit a batch and note what is stored; where the rows themselves fail, each is tried alone."""
        if not batch:
            return
        # In one order everywhere, or two processes with the same two deliveries would wait for each other.
        batch = sorted(batch, key=lambda one: _identity(one.row))
        try:
            self._commit([one.row for one in batch])
        except Exception as error:  # whatever it was, the next one leads and those who wait get their answer
            self._drop_connection()
            if len(batch) > 1 and isinstance(error, self._driver.Error) and not self._is_outage(error):
                for one in batch:
                    self._settle([one])
                return
            _log.error("%d deliveries could not be stored: %s", len(batch), type(error).__name__)
            return
        for one in batch:
            one.stored = True

    def _commit(self, rows: Sequence[StoredRow]) -> None:
        """Commit; once more where the connection was found dead, for a row that is there already is left alone."""
        try:
            self._commit_once(rows)
        except self._driver.Error as error:
            if self._connection is None or not self._is_dead(error):
                raise
            self._drop_connection()
            self._commit_once(rows)

    def _commit_once(self, rows: Sequence[StoredRow]) -> None:
        """Write and commit in one statement by the driver itself, which takes half the time of the usual way."""
        is_sqlite = self.context.database.is_sqlite
        if self._connection is None:
            self._connection = self.context.database.engine.raw_connection()
            budget = round(BUDGET_SECONDS * 1000)  # a request waits here, so the database may not keep it for longer
            if is_sqlite:  # where our connections commit by themselves anyway
                self._driver_connection().execute(f"PRAGMA busy_timeout={budget}")
            else:
                self._driver_connection().autocommit = True
                self._driver_connection().execute(f"SET statement_timeout = {budget}")
        statement = _insert("?" if is_sqlite else "%s", len(rows))
        self._driver_connection().execute(statement, tuple(chain.from_iterable(map(_values, rows))))

    def _driver_connection(self) -> Any:
        return None if self._connection is None else self._connection.driver_connection

    @property
    def _driver(self) -> Any:
        return self.context.database.engine.dialect.loaded_dbapi

    def _is_outage(self, error: Exception) -> bool:
        return isinstance(error, self._driver.OperationalError | self._driver.InterfaceError)

    def _is_dead(self, error: Any) -> bool:
        return self.context.database.engine.dialect.is_disconnect(error, self._driver_connection(), None)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()


def _unavailable() -> Unavailable:
    return Unavailable("database_unavailable", "The delivery could not be stored now. Send it again.")


# -- the shops ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class ShopDoor:
    """What the door must know of a shop. ``secrets`` are (secret, valid until or None); no ``repr`` shows them.

    ``account`` is the name that its deliveries must carry where they carry one; None where that is not known.
    """

    id: int
    key: str
    platform: str
    adapter: Shop
    secrets: tuple[tuple[str, int | None], ...]
    account: str | None = None

    def __repr__(self) -> str:
        return f"ShopDoor({self.key!r})"

    def secrets_at(self, now: int) -> list[str]:
        """Return the secrets that are valid at ``now`` (microseconds since 1970)."""
        return [secret for secret, until in self.secrets if until is None or now < until]

    def kept(self, headers: Headers) -> Headers:
        """Return the headers that are needed to understand a delivery; never cookies or credentials."""
        beginnings = _KEPT_HEADERS + self.adapter.headers
        return {name: value for name, value in headers.items() if name.startswith(beginnings)}


def _reason(door: ShopDoor, headers: Headers, body: bytes, now: int) -> str:
    """Return why a delivery does not hold: it is not signed at all, or for another time, or by another secret."""
    adapter = door.adapter
    if not any(name.startswith(adapter.headers) for name in headers):
        return UNSIGNED
    signed_at = adapter.signed_at(headers) if isinstance(adapter, Dated) else None
    if signed_at is not None:
        try:
            adapter.verify(headers, body, door.secrets_at(now), signed_at)
        except BadSignature:
            return WRONG_SECRET
        return STALE
    return WRONG_SECRET


class ShopCache:
    """The shops by key. A look-up is kept for less than two seconds, so an old secret ends at once.

    A new one holds earlier still: whoever finds that a signature does not hold asks for the secrets of this moment.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, tuple[float, ShopDoor]] = {}
        # Apart, so that guessing never pushes a real shop out.
        self._unknown = Recent[str, None](CACHE_SECONDS, UNKNOWN_MAX)

    def find(self, key: str) -> ShopDoor | None:
        """Return the shop of that key, or None; raise Unavailable where the database cannot be asked."""
        now = time.monotonic()
        found = self._known.get(key)
        if found is not None and now - found[0] < CACHE_SECONDS:
            return found[1]
        _, is_unknown = self._unknown.look(key, None)
        return None if is_unknown or not SHOP_KEY.fullmatch(key) else self._look_up(key, now)

    def renewed(self, door: ShopDoor) -> ShopDoor | None:
        """Return the shop as it is now where its secrets are not those of ``door`` any more, else None."""
        now = time.monotonic()
        at, known = self._known.get(door.key, (now, door))
        found = self._look_up(door.key, now) if known is door and now - at >= RENEWAL_SECONDS else known
        return found if found is not None and found.secrets != door.secrets else None

    def _look_up(self, key: str, now: float) -> ShopDoor | None:
        with _asking(), self._context.database.reading() as connection:
            row = connection.execute(
                select(shop.c.id, shop.c.platform, shop.c.url, shop.c.secrets, shop.c.credentials).where(
                    shop.c.key == key
                )
            ).one_or_none()
        if row is None:
            self._known.pop(key, None)
            return self._unknown.keep(key, None)
        adapter, account = shops.get(row.platform), None
        try:
            ring = open_secrets(self._context, row.secrets)
            if isinstance(adapter, Named):
                account = adapter.account(Place(row.url, open_credentials(self._context, row.credentials)))
        except BadSignature:
            _log.error("The secrets of shop %s cannot be opened with the encryption keys there are.", key)
            raise Unavailable("secrets_unreadable", "The shop's secrets cannot be read now. Send it again.") from None
        # An empty secret would let anybody sign.
        secrets = tuple((one["secret"], one["valid_until"]) for one in ring if one["secret"])
        door = ShopDoor(row.id, key, row.platform, adapter, secrets, account)
        self._known[key] = now, door
        return door


@contextmanager
def _asking() -> Iterator[None]:
    """Turn every failure to ask the database into Unavailable."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _unavailable() from error
