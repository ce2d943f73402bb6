"""Counting attempts, so that passwords and addresses cannot be tried in bulk. Correct over any number of processes.

Nobody is locked out by what another does: the counts are by the caller's network address, or by it and the name tried.
"""

from sqlalchemy import case, or_
from sqlalchemy.dialects import postgresql, sqlite

from plugin.domain.moment import SECOND
from plugin.errors import PluginError
from plugin.models import attempt
from plugin.services.context import Context


class TooMany(PluginError):
    """Too many attempts; ``fields`` says in how many seconds the next one counts."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__("too_many", "Too many attempts. Wait a little and try again.", fields={"seconds": seconds})


def count_attempt(context: Context, purpose: str, who: str, *, at_most: int, seconds: int) -> None:
    """Count an attempt of somebody; raise TooMany for more than that many within these seconds."""
    now = context.now()
    dialect = sqlite if context.database.is_sqlite else postgresql
    row = dialect.insert(attempt).values(
        key=context.keys.pepper_hash(f"attempt.{purpose}", who), count=1, ends_at=now + seconds * SECOND
    )
    # One that ends later than any begun now was begun by a clock that was ahead; nobody is to wait for that time.
    is_over = or_(attempt.c.ends_at <= now, attempt.c.ends_at > now + seconds * SECOND)
    counted = row.on_conflict_do_update(
        index_elements=[attempt.c.key],
        set_={
            "count": case((is_over, 1), else_=attempt.c.count + 1),
            "ends_at": case((is_over, row.excluded.ends_at), else_=attempt.c.ends_at),
        },
    ).returning(attempt.c.count, attempt.c.ends_at)
    with context.database.writing() as connection:
        (count, ends_at) = connection.execute(counted).one()
    if count > at_most:
        raise TooMany(max(1, -(-(ends_at - now) // SECOND)))
