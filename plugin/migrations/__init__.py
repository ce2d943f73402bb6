"""Migrations: forward only, each in one transaction, one process at a time, never edited after a release."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from plugin.database import Database
from plugin.models import metadata

VERSION_TABLE = "pa_version"
_LOCK = 0x7061_7373  # PostgreSQL's advisory locks are numbered; this one says "pass"


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


@cache
def _newest() -> str | None:
    """Return the newest migration there is; the files do not change under a running process."""
    return _scripts().get_current_head()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


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
    """Bring the database to the newest migration; two processes at once do it once."""
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
