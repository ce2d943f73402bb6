"""The migrations make the very tables that the code names, on an empty database of either kind."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from plugin.database import Database
from plugin.migrations import VERSION_TABLE, is_current, upgrade
from plugin.models import metadata


def test_migrations_make_what_the_models_say(database_url: str) -> None:
    database = Database(database_url)
    with database.reading() as connection:
        assert is_current(connection)
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_an_upgrade_of_a_current_database_changes_nothing(database_url: str) -> None:
    database = Database(database_url)
    upgrade(database)
    with database.reading() as connection:
        assert is_current(connection)
    database.close()
