"""Migrations: forward only, each in one transaction, one process at a time, never edited after a release.

Alembic is loaded by whoever upgrades. A start on a database that is up to date is spared its 10 MB of memory.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table

from plugin.database import Database
from plugin.errors import Conflict
from plugin.models import metadata

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

VERSION_TABLE = "pa_version"
_FOLDER = Path(__file__).parent
_LOCK = 0x7061_7373  # PostgreSQL's advisory locks are numbered; this one says "pass"


def _scripts() -> "ScriptDirectory":
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


@cache
def _known() -> frozenset[str]:
    """Return every migration there is, by its file's name; the files do not change under a running process."""
    return frozenset(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def _newest() -> str:
    """Return the newest migration there is."""
    return max(_known())


def _revision(connection: Connection) -> str | None:
    """Return the migration at which a database stands, None for an empty one."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()
    return found


def is_current(connection: Connection) -> bool:
    """Tell whether the database stands at the newest migration."""
    return _revision(connection) == _newest()


def make_ready(database: Database) -> bool:
    """Upgrade an empty database and leave any other alone; tell whether it stands at the newest migration now.

    Raises SQLAlchemy's errors where the database cannot be had.
    """
    with database.reading() as connection:
        is_empty = _revision(connection) is None
    if is_empty:
        upgrade(database)
    with database.reading() as connection:
        return is_current(connection)


def upgrade(database: Database) -> None:
    """Bring the database to the newest migration; two processes at once do it once.

    Raise Conflict for one that stands at a migration nobody here knows: there is no way back from it.
    """
    with database.reading() as connection:
        found = _revision(connection)
    if found == _newest():
        return
    if found is not None and found not in _known():
        raise Conflict(
            "unknown_version",
            "The database was upgraded by a newer Passalong, which this one does not know. Install that one again, or"
            " restore a backup from before.",
        )
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    scripts = _scripts()
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        head = scripts.get_current_head()
        environment = EnvironmentContext(
            Config(), scripts, fn=lambda revision, _context: scripts._upgrade_revs(head or "head", revision)
        )
        environment.configure(
            connection=connection,
            target_metadata=metadata,
            version_table=VERSION_TABLE,
            transaction_per_migration=False,
            transactional_ddl=True,
        )
        environment.run_migrations()
