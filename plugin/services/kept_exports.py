"""Exports of a shop as its owners see them: asked for, handed out by an address that works once, removed in a day."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select

from plugin.domain.moment import DAY
from plugin.errors import NotFound
from plugin.models import export, export_piece
from plugin.services import tickets
from plugin.services.context import Context
from plugin.services.long_tasks import Progress, ask, find_task, read_progress

KIND, REF = "export", "shop"
KEPT = DAY  # how long an export can be had
SEALED_FOR = "export"


@dataclass(frozen=True, slots=True)
class Export:
    """An export that can be had until ``ends_at``."""

    id: int
    bytes: int
    made_at: int
    ends_at: int


def ask_export(context: Context, shop_id: int) -> None:
    """Have an export of a shop made soon; while one is under way there is nothing more to ask for."""
    ask(context, shop_id, KIND, REF, {})


def show_export(context: Context, shop_id: int) -> tuple[Export | None, Progress | None]:
    """Return the export of a shop that can be had now, and how the making of one stands if ever one was asked for."""
    with context.database.reading() as connection:
        made = _find(connection, shop_id, now=context.now())
        row = find_task(connection, shop_id, KIND, REF)
    return made, row and read_progress(row, now=context.now())


def _find(connection: Connection, shop_id: int, *, now: int) -> Export | None:
    wanted = select(export.c.id, export.c.bytes, export.c.made_at, export.c.ends_at).where(
        export.c.shop_id == shop_id, export.c.made_at.is_not(None), export.c.ends_at > now
    )
    row = connection.execute(wanted.order_by(export.c.id.desc()).limit(1)).one_or_none()
    return row and Export(*row)


def open_export(context: Context, shop_id: int, owner_id: int) -> str:
    """Return the ticket by which this owner can have the shop's export, once and within ten minutes; raise NotFound."""
    now = context.now()
    with context.database.writing() as connection:
        made = _find(connection, shop_id, now=now)
        if made is None:
            raise NotFound("no_export", "There is no export any more. Have a new one made.")
        number = tickets.issue(
            connection, tickets.EXPORT, now=now, shop_id=shop_id, owner_id=owner_id, body={"export": made.id}
        )
        return tickets.show(context, connection, number)


def use_export(context: Context, text: str, *, shop_id: int, owner_id: int) -> tuple[Export, Iterator[bytes]]:
    """Use a ticket of this owner up and return the export with its bytes; raise TicketOver."""
    with context.database.writing() as connection:
        found = tickets.use(context, connection, tickets.EXPORT, text)
        made = _find(connection, shop_id, now=context.now())
        if made is None or (found.shop_id, found.owner_id, found.body) != (shop_id, owner_id, {"export": made.id}):
            raise tickets.TicketOver
    return made, _read(context, made.id)


def _read(context: Context, number: int) -> Iterator[bytes]:
    """Yield an export piece by piece. One removed meanwhile ends too early, which whoever fetches it notices."""
    place = 0
    while True:
        place += 1
        wanted = select(export_piece.c.body).where(export_piece.c.export_id == number, export_piece.c.number == place)
        with context.database.reading() as connection:
            body = connection.execute(wanted).scalar_one_or_none()
        if body is None:
            return
        yield context.keys.open(SEALED_FOR, body)


def remove_exports(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Remove exports, also those under way: whoever makes one of them notices and begins anew. Return how many."""
    theirs = select(export.c.id).where(*which)
    connection.execute(delete(export_piece).where(export_piece.c.export_id.in_(theirs)))
    return connection.execute(delete(export).where(*which)).rowcount


def drop_export(context: Context, shop_id: int) -> None:
    """Remove a shop's export before its time."""
    with context.database.writing() as connection:
        remove_exports(connection, export.c.shop_id == shop_id, export.c.made_at.is_not(None))


def forget_exports(context: Context) -> int:
    """Remove the exports that were kept long enough; return how many."""
    over = export.c.ends_at <= context.now()
    with context.database.reading() as connection:  # most of the time there is nothing: do not take the write lock
        if connection.execute(select(export.c.id).where(over).limit(1)).first() is None:
            return 0
    with context.database.writing() as connection:
        return remove_exports(connection, over)
