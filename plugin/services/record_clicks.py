"""Recording clicks: where a share link leads, and the clicks on it, written down in batches.

A click's token proves itself, so its row is only a statistic: requests never wait for it, and a kill loses at most the
last second. Links never change; how their sharers stand is looked at each second, so a suspension is soon seen.
"""

import hashlib
import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, and_, func, select
from sqlalchemy.exc import SQLAlchemyError

from plugin import shops
from plugin.domain.facts import SUSPENDED
from plugin.domain.moment import DAY
from plugin.domain.rollup import MINUTE, Place, Rollup, place_of
from plugin.errors import Unavailable
from plugin.forks import watch_forks
from plugin.models import fact, link, link_coupon, shop
from plugin.services.context import Context
from plugin.services.rollups import add_rollup
from plugin.shops.base import Catalogued, Discounting

FLUSH_SECONDS = 0.5
BATCH = 100  # so few that nobody waits long for the interpreter lock meanwhile
CLICKS_MAX = 20_000  # in memory, while the database is away
LINKS_MAX = 20_000
CHECK_SECONDS = 1.0
VISITOR_PURPOSE = "visitor"
VISITOR_BYTES = 8

_COLUMNS = "shop_id, link_id, click, at, visitor"
_ROW = "(?, ?, ?, ?, ?)"
_FOREVER = 2**63
_log = logging.getLogger(__name__)


# -- clicks ------------------------------------------------------------------------------------------------------------

ClickRow = tuple[int, int, bytes, int, bytes]
Queued = tuple[ClickRow, int, Place]  # the row, and whose link it is and where it is shared


class ClickRecorder:
    """Takes clicks without ever making a request wait. Its thread starts with the first click of a process."""

    def __init__(self, context: Context) -> None:
        self.dropped = 0  # clicks that found the queue full, since the start of the process
        self._context = context
        self._today = -1, b""  # the day and its key
        self._zones: dict[int, ZoneInfo] = {}
        self._be_new()
        watch_forks(in_child=self._be_new)

    def _be_new(self) -> None:
        self._rows: deque[Queued] = deque()
        self._full = threading.Event()
        self._starting = threading.Lock()
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the thread, if it does not run yet."""
        with self._starting:
            self._stopped = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="passalong-clicks", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end the thread."""
        with self._starting:
            self._stopped = True
            self._full.set()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._flush()

    def add(
        self,
        *,
        shop_id: int,
        link_id: int,
        sharer_id: int,
        click: bytes,
        at: int,
        address: str,
        user_agent: str,
        place: Place = ("", ""),
    ) -> None:
        """Queue a click; where the queue is full it is dropped and counted. The address itself is not kept."""
        rows = self._rows
        if len(rows) >= CLICKS_MAX:
            self.dropped += 1
            return
        rows.append(((shop_id, link_id, click, at, self._visitor(at, address, user_agent)), sharer_id, place))
        if self._thread is None and not self._stopped:
            self.start()
        if len(rows) >= BATCH and not self._full.is_set():
            self._full.set()

    def _visitor(self, at: int, address: str, user_agent: str) -> bytes:
        """Return who clicked: alike all day for the same address and browser, and unlike on any other day."""
        day, key = self._today
        if day != at // DAY:
            day = at // DAY
            key = hashlib.blake2b(f"{day}".encode(), key=self._context.keys.mac_key(VISITOR_PURPOSE)).digest()
            self._today = day, key
        said = f"{address}\n{user_agent}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(said, key=key, digest_size=VISITOR_BYTES).digest()

    def _run(self) -> None:
        while not self._stopped:
            self._full.wait(FLUSH_SECONDS)
            self._full.clear()
            if not self._flush():
                time.sleep(FLUSH_SECONDS)

    def _flush(self) -> bool:
        """Write all that is queued; put a batch back that the database did not take, and tell so."""
        with self._flushing:
            while self._rows:
                batch = [self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]
                try:
                    with self._context.database.writing() as connection:
                        _insert(connection, [row for row, _, _ in batch])
                        self._count(connection, batch)
                except Exception as error:  # the recorder must live on, whatever it was
                    _log.error("%d clicks could not be written and wait: %s", len(batch), type(error).__name__)
                    self._rows.extendleft(reversed(batch))
                    return False
        return True


    def _count(self, connection: Connection, batch: Sequence[Queued]) -> None:
        """Count the clicks in the rollups; last, because other processes wait for the rows that this one adds to."""
        rollups: dict[int, Rollup] = {}
        minutes = Counter((row[0], row[3] // MINUTE, sharer, row[1], place) for row, sharer, place in batch)
        for (shop_id, minute, sharer, link_id, place), number in minutes.items():
            if shop_id not in rollups:
                rollups[shop_id] = Rollup(self._zone(connection, shop_id))
            rollups[shop_id].count_link_clicks(minute, sharer, link_id, place, number)
        for shop_id, rollup in sorted(rollups.items(), key=lambda item: item[0]):
            add_rollup(connection, shop_id, rollup)

    def _zone(self, connection: Connection, shop_id: int) -> ZoneInfo:
        """Return a shop's time zone, which never changes."""
        if shop_id not in self._zones:
            name = connection.execute(select(shop.c.timezone).where(shop.c.id == shop_id)).scalar_one()
            self._zones[shop_id] = ZoneInfo(name)
        return self._zones[shop_id]


def _insert(connection: Connection, rows: Sequence[ClickRow]) -> None:
    """Insert by the fastest way of each driver: a background thread must not take the processor from the requests."""
    if connection.dialect.name == "sqlite":
        # Between two statements the other threads get their turn; with one for each row they would fight for it.
        insert = f"INSERT INTO pa_click ({_COLUMNS}) VALUES {', '.join([_ROW] * len(rows))}"  # noqa: S608
        connection.exec_driver_sql(insert, tuple(chain.from_iterable(rows)))
        return
    lines = [f"{one[0]}\t{one[1]}\t\\\\x{one[2].hex()}\t{one[3]}\t\\\\x{one[4].hex()}\n" for one in rows]
    with connection.connection.cursor().copy(f"COPY pa_click ({_COLUMNS}) FROM STDIN") as copy:
        copy.write("".join(lines))


# -- where a link leads ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A link ready to be followed: all of the address but the token is worked out before."""

    id: int
    shop_id: int
    number: int
    sharer_id: int
    place: Place
    created_at: int
    page: str | None  # by which the product it leads to is known; None where it leads to none
    stem: str  # the target with the UTM parameters; it always has a query
    fragment: str
    carries_content: bool  # whether utm_content is ours to set
    may_earn: bool  # whether the sharer is not suspended; who is pending may be approved before the order
    until: int  # when a later fact begins to count
    discounts: Discounting | None  # how the shop takes the code that each click brings along, where one does

    def address(self, token: str) -> str:
        """Return where a click leads."""
        if self.carries_content:
            return f"{self.stem}&utm_content={token}&pa={token}{self.fragment}"
        return f"{self.stem}&pa={token}{self.fragment}"

    def plain_address(self) -> str:
        """Return where a click leads that counts for nobody."""
        return self.stem + self.fragment


_PATH = "/%:@!$&'()*+,;=~-._"
_QUERY = _PATH + "?"


def work_out(target_url: str, home_url: str, campaign: str | None) -> tuple[str, str, bool]:
    """Return (stem, fragment, carries_content) of a link in pure ASCII; it never leaves the host of ``home_url``."""
    parts = _on_host_of(home_url, target_url)
    own = [piece for piece in parts.query.split("&") if piece and _name(piece) != "pa"]
    names = {_name(piece) for piece in own}
    ours = {"utm_source": "share", "utm_medium": "referral", "utm_campaign": campaign or "passalong"}
    query = [quote(piece, safe=_QUERY, errors="replace") for piece in own]
    query += [f"{name}={quote(value, safe='', errors='replace')}" for name, value in ours.items() if name not in names]
    path = quote("/" + parts.path.removeprefix("/"), safe=_PATH, errors="replace")
    stem = f"{parts.scheme}://{parts.netloc}{path}?{'&'.join(query)}"
    fragment = "#" + quote(parts.fragment, safe=_QUERY, errors="replace") if parts.fragment else ""
    return stem, fragment, "utm_content" not in names


def _name(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0])


def _on_host_of(home_url: str, target_url: str) -> SplitResult:
    """Split the target, with its host as ASCII; where it is not on the shop's own host, split the shop's home."""
    home = urlsplit(home_url)
    try:
        target = urlsplit(target_url)
        foreign = target.scheme not in ("http", "https") or "@" in target.netloc or _host(target) != _host(home)
        if not foreign:
            port = f":{target.port}" if target.port is not None else ""
            return target._replace(netloc=_host(home) + port)
    except ValueError:  # an address that cannot be split leads to the shop's home, as a foreign one does
        pass
    return home._replace(netloc=_host(home) + (f":{home.port}" if home.port is not None else ""))


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        return f"[{host}]"
    return host if host.isascii() else host.encode("idna").decode()


@dataclass(slots=True)
class _Shop:
    """What is known of a shop. Its record was read up to ``position``; ``news`` counts the readings that found any."""

    name: str
    url: str
    platform: str
    position: int
    checked_at: float
    news: int = 0


class LinkCache:
    """The links that were followed lately, each asked for once.

    Links are never changed, and how a sharer stands only by a new fact. So one look each second at what was added to
    the shop's record keeps all of its links right; asking again for each would cost a query at nearly every click.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._links: dict[tuple[int, int], ShareLink] = {}
        self._shops: dict[int, _Shop] = {}
        self._changing = threading.Lock()

    def find(self, shop_id: int, number: int) -> ShareLink | None:
        """Return the link of that number, or None; raise Unavailable where the database cannot be asked.

        A link that was followed before still leads to the shop while the database is away.
        """
        known = self._shop(shop_id)
        found = self._links.get((shop_id, number))
        if known is None or (found is not None and self._context.now() < found.until):
            return found
        try:
            return self._load(known, shop_id, number)
        except SQLAlchemyError as error:
            if found is None:
                raise _unavailable() from error
            return found

    def known(self, shop_id: int, number: int) -> ShareLink | None:
        """Return the link of that number where nothing need be asked for it, else None."""
        known, found = self._shops.get(shop_id), self._links.get((shop_id, number))
        if known is None or found is None or time.monotonic() - known.checked_at >= CHECK_SECONDS:
            return None
        return found if self._context.now() < found.until else None

    def shop_name(self, shop_id: int) -> str:
        """Return the name of the shop; empty where there is none."""
        known = self._shop(shop_id)
        return "" if known is None else known.name

    def _load(self, known: _Shop, shop_id: int, number: int) -> ShareLink | None:
        news = known.news
        statement = (
            select(
                link, fact.c.at, fact.c.position.label("fact_position"), fact.c.body,
                link_coupon.c.state.label("coupon_state"),
            )
            .outerjoin(link_coupon, link_coupon.c.link_id == link.c.id)
            .outerjoin(fact, and_(fact.c.sharer_id == link.c.sharer_id, fact.c.kind == "sharer"))
            .where(link.c.shop_id == shop_id, link.c.number == number)
        )  # fmt: skip
        with self._context.database.reading() as connection:
            rows = connection.execute(statement).all()
        if not rows:
            return None
        found = _share_link(rows, known, self._context.now())
        with self._changing:
            if known.news == news:  # else this answer may be older than the news; the next click asks again
                if len(self._links) >= LINKS_MAX:
                    self._links.pop(next(iter(self._links)))
                self._links[shop_id, number] = found
        return found

    def _shop(self, shop_id: int) -> _Shop | None:
        """Return what is known of the shop, after the look at its record that is due each second."""
        known = self._shops.get(shop_id)
        now = time.monotonic()
        if known is not None:
            if now - known.checked_at < CHECK_SECONDS:
                return known
            known.checked_at = now  # at once: the other threads go on with what is known meanwhile
        try:
            return self._check(shop_id, known, now)
        except SQLAlchemyError as error:
            if known is None:
                raise _unavailable() from error
            _log.error("The links of shop %s could not be checked: %s", shop_id, type(error).__name__)
            return known

    def _check(self, shop_id: int, known: _Shop | None, now: float) -> _Shop | None:
        end = select(func.coalesce(func.max(fact.c.position), 0)).where(fact.c.shop_id == shop_id).scalar_subquery()
        added = select(fact.c.sharer_id).where(fact.c.shop_id == shop_id, fact.c.kind == "sharer")
        with self._context.database.reading() as connection:
            told = select(shop.c.name, shop.c.url, shop.c.platform, end).where(shop.c.id == shop_id)
            row = connection.execute(told).one_or_none()
            if row is None:
                return None
            name, url, platform, position = row
            if known is None:
                return self._shops.setdefault(shop_id, _Shop(name, url, platform, position, now))
            changed = set(connection.execute(added.where(fact.c.position > known.position)).scalars())
        with self._changing:
            if changed or url != known.url:
                self._forget(shop_id, None if url != known.url else changed)
                known.news += 1
            known.name, known.url, known.position = name, url, max(position, known.position)
        return known

    def _forget(self, shop_id: int, sharers: set[int] | None) -> None:
        """Drop the shop's links of these sharers, or all of them."""
        for key, found in list(self._links.items()):
            if found.shop_id == shop_id and (sharers is None or found.sharer_id in sharers):
                del self._links[key]


def _share_link(rows: Sequence[Row[Any]], known: _Shop, now: int) -> ShareLink:
    """Make a link of its row, joined to the facts of its sharer."""
    row = rows[0]
    facts = [one for one in rows if one.at is not None]
    in_force = max((one for one in facts if one.at <= now), key=lambda one: (one.at, one.fact_position), default=None)
    stem, fragment, carries_content = work_out(row.target_url, known.url, row.campaign)
    adapter = shops.get(known.platform)
    return ShareLink(
        id=row.id,
        shop_id=row.shop_id,
        number=row.number,
        sharer_id=row.sharer_id,
        place=place_of(row.channel, row.campaign),
        created_at=row.created_at,
        page=adapter.page_of(stem) if isinstance(adapter, Catalogued) else None,
        stem=stem,
        fragment=fragment,
        carries_content=carries_content,
        may_earn=in_force is None or json.loads(in_force.body)["status"] != SUSPENDED,
        discounts=adapter if row.coupon_state == "open" and isinstance(adapter, Discounting) else None,
        until=min((one.at for one in facts if one.at > now), default=_FOREVER),
    )


def _unavailable() -> Unavailable:
    return Unavailable("database_unavailable", "The link could not be looked up now. Try again.")
