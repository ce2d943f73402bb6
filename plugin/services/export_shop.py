"""All of a shop in one file to read: a zip with each sheet as CSV and as JSON lines, and a manifest to prove it by.

It is made in the background and put away piece by piece, sealed, so that no memory holds it whole, and every process
that shares the database can hand it out. It is removed after a day, and at once when a person is erased.
"""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.exc import IntegrityError

from plugin.database import again
from plugin.domain.moment import SECOND, format_moment
from plugin.domain.stored_json import canonical, compact
from plugin.errors import PluginError
from plugin.models import delivery, event, export, export_piece, fact, orders, shop, transfer
from plugin.services.context import Context
from plugin.services.export_sheets import SHEETS, Reading, Sheet, Values
from plugin.services.kept_exports import KEPT, SEALED_FOR, remove_exports
from plugin.services.long_tasks import Told, teller
from plugin.services.run_tasks import Done, Kind, Task

FORMAT = 1
PIECE_BYTES = 1_048_576
MARK = "\ufeff"  # by which spreadsheets know a file for UTF-8
_FORMULA = frozenset("=+-@\t\r\n")  # what makes a spreadsheet reckon with a cell instead of showing it
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
ABOUT = (
    "Everything Passalong has in its books about one shop, to be read. Each sheet is there as .csv and as .jsonl. The"
    " balance of an account is booked_in less booked_out, which are the sums of transfers.amount by to_account and"
    " from_account; the balances of each currency add up to zero. Left out: raw deliveries, passwords, secrets,"
    " tokens, and where sharers are paid to."
)


class ExportOver(PluginError):
    """An export was removed while it was being made, for what it held may no longer be told."""

    def __init__(self) -> None:
        super().__init__("export_over", "The export was removed while it was being made. It is made anew.")


class _Pieces(io.RawIOBase):
    """A file that is only written to: what comes is sealed and put away, a piece at a time."""

    def __init__(self, context: Context, number: int) -> None:
        super().__init__()
        self.size, self._count, self._waiting = 0, 0, bytearray()
        self._context, self._number = context, number
        self._is_over = False  # a zip that is given up still wants to write its end

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._is_over:
            return len(data)
        self._waiting += data
        self.size += len(data)
        while len(self._waiting) >= PIECE_BYTES:
            self._put(bytes(self._waiting[:PIECE_BYTES]))
            del self._waiting[:PIECE_BYTES]
        return len(data)

    def finish(self) -> None:
        """Put away what is left."""
        if self._waiting:
            self._put(bytes(self._waiting))
            self._waiting.clear()

    def _put(self, data: bytes) -> None:
        self._count += 1
        body = self._context.keys.seal(SEALED_FOR, data)
        row = {"export_id": self._number, "number": self._count, "body": body}

        def put() -> None:
            with self._context.database.writing() as connection:
                connection.execute(export_piece.insert().values(row))

        try:
            again(put)
        except IntegrityError:
            self._is_over = True
            raise ExportOver from None


@dataclass(slots=True)
class _Making:
    """An export that is being made: the zip, what was read for it, and what its manifest will say."""

    reading: Reading
    zip: zipfile.ZipFile
    at: int
    told: Told
    total: int
    files: list[Values] = field(default_factory=list)
    done: int = 0

    def write(self, name: str, pages: Iterable[tuple[int, str]]) -> None:
        """Write a file into the zip; ``pages`` are (rows, text)."""
        digest, size, count = hashlib.sha256(), 0, 0
        year, month, day, hour, minute, second, *_ = datetime.fromtimestamp(self.at // SECOND, UTC).timetuple()
        entry = zipfile.ZipInfo(name, (year, month, day, hour, minute, second))
        entry.compress_type = zipfile.ZIP_DEFLATED
        with self.zip.open(entry, "w", force_zip64=True) as file:
            for rows, text in pages:
                data = text.encode("utf-8", "surrogatepass")
                file.write(data)
                digest.update(data)
                size, count = size + len(data), count + rows
                self.done += rows
                self.told(self.done, self.total)
        self.files.append({"name": name, "rows": count, "bytes": size, "sha256": digest.hexdigest()})


def _make(context: Context, one: Task) -> Done:
    """Make an export anew from its beginning, and keep it for a day."""
    number = again(lambda: _begin(context, one.shop_id))
    file = _Pieces(context, number)
    with context.database.reading() as connection:
        row = connection.execute(select(shop).where(shop.c.id == one.shop_id)).one()
        total = 2 * _count(connection, one.shop_id)
        reading = Reading(connection, one.shop_id, context.settings.base_url)
        with zipfile.ZipFile(file, "w") as packed:
            making = _Making(reading, packed, context.now(), teller(context, one, {}), total)
            for sheet in SHEETS:
                making.write(f"{sheet.name}.csv", _csv(sheet, reading))
                making.write(f"{sheet.name}.jsonl", _lines(sheet, reading))
            making.write("manifest.json", _manifest(making, row))
    file.finish()
    now = context.now()

    def write(connection: Connection) -> None:
        made = {"made_at": now, "ends_at": now + KEPT, "bytes": file.size}
        same = export.c.id == number, export.c.made_at.is_(None)
        if not connection.execute(update(export).where(*same).values(made)).rowcount:
            raise ExportOver
        remove_exports(connection, export.c.shop_id == one.shop_id, export.c.id != number)

    return Done({}, write)


def _begin(context: Context, shop_id: int) -> int:
    """Make the row of an export; what an earlier worker left unfinished goes, for this shop's task is ours now."""
    now = context.now()
    with context.database.writing() as connection:
        remove_exports(connection, export.c.shop_id == shop_id, export.c.made_at.is_(None))
        row = export.insert().values(shop_id=shop_id, begun_at=now, ends_at=now + KEPT, bytes=0)
        number: int = connection.execute(row.returning(export.c.id)).scalar_one()
    return number


def _count(connection: Connection, shop_id: int) -> int:
    """Return about how many rows there are, by the tables that are large."""
    counts = [
        select(func.count()).select_from(table).where(table.c.shop_id == shop_id).scalar_subquery()
        for table in (orders, transfer, fact, delivery, event)
    ]
    return sum(connection.execute(select(*counts)).one())


# --- the files --------------------------------------------------------------------------------------------------------


def _lines(sheet: Sheet, reading: Reading) -> Iterator[tuple[int, str]]:
    for page in sheet.pages(reading):
        rows = list(page)
        yield len(rows), "".join(f"{compact(row)}\n" for row in rows)


def _csv(sheet: Sheet, reading: Reading) -> Iterator[tuple[int, str]]:
    """Yield a sheet as RFC 4180 has it; what is a list or an object in it is JSON in its cell."""
    yield 0, MARK + _written([sheet.columns])
    for page in sheet.pages(reading):
        rows = list(page)
        yield len(rows), _written([_cell(row[name]) for name in sheet.columns] for row in rows)


def _written(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    """Write a cell; numbers stay numbers, and what somebody wrote never acts as a formula."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return canonical(value)
    cell = str(value)
    acts = cell.lstrip(" ")[:1] in _FORMULA and cell != "" and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if acts else cell


def _manifest(making: _Making, row: Row[Any]) -> Iterator[tuple[int, str]]:
    """Yield what the export is, its files, and at the end every account's sum, which may be many."""
    head: Mapping[str, Any] = {
        "format": FORMAT,
        "about": ABOUT,
        "made_at": format_moment(making.at),
        "shop": {
            "key": row.key,
            "name": row.name,
            "platform": row.platform,
            "url": row.url,
            "currency": row.currency,
            "timezone": row.timezone,
            "starts_at": format_moment(row.starts_at),
            "is_live": row.live,
        },
        "files": list(making.files),
    }
    yield 0, json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "accounts": {'
    sheet = next(one for one in SHEETS if one.name == "accounts")
    before = ""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for page in sheet.pages(making.reading):
        for account in page:
            yield 0, f'{before}\n  "{account["id"]}": "{account["balance"]}"'
            before = ","
            sums[account["currency"]] += Decimal(account["balance"])
    yield 0, "\n },\n" + f' "sums": {compact({one: str(sums[one]) for one in sorted(sums)})}\n}}\n'


MAKE = Kind(_make)
