"""The migrations make the very tables that the code names, on an empty database of either kind."""

import json
import subprocess
import sys
import tempfile
from random import Random
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from plugin import migrations
from plugin.database import Database
from plugin.migrations import VERSION_TABLE, is_current, upgrade
from plugin.models import ROLLUPS, head, metadata, product, shop
from tests.parts_truth import PartsTruth
from tests.rollup_truth import Story
from tests.world import World


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


def test_the_newest_migration_is_known_by_its_file_s_name() -> None:
    assert migrations._newest() == migrations._scripts().get_current_head()


def test_a_start_on_a_database_that_is_up_to_date_does_not_load_what_only_an_upgrade_needs(database_url: str) -> None:
    code = (
        "import os, sys; from plugin.app import create_app;"
        f" create_app({{'PASSALONG_DATABASE_URL': {database_url!r}, 'PASSALONG_WORKERS': '0',"
        " 'PASSALONG_INSTANCE': sys.argv[1]});"
        " from plugin.database import Database; from plugin.migrations import upgrade;"
        f" upgrade(Database({database_url!r})); print('alembic' in sys.modules)"
    )
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True).stdout
    assert said.split()[-1] == "False"


def test_rollups_are_filled_from_what_was_there_before_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, Random(11), "America/New_York")  # noqa: S311 - a history that can be run again
    story.run(70)
    later = {"pa_click_link", "pa_click_channel", "pa_product_month", "pa_channel_month"}
    database, names = world.context.database, [table.name for table in ROLLUPS.values() if table.name not in later]
    kept = _rows(database, [*names, "pa_order"])
    assert all(kept.values()) and len(kept["pa_order"]) > 7
    with database.writing() as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP TABLE {name}")
        for column in ("counts", "counts_for", "new_buyer", "net", "refunded"):
            connection.exec_driver_sql(f"ALTER TABLE pa_order DROP COLUMN {column}")
        connection.exec_driver_sql("ALTER TABLE pa_head DROP COLUMN rebuilds")
    scripts = migrations._scripts()
    monkeypatch.setattr(scripts.get_revision("0006").module, "CHUNK", 7)
    _migrate_again(database, scripts, "0006", monkeypatch)
    assert _rows(database, [*names, "pa_order"]) == kept
    assert [row["net"] for row in kept["pa_order"] if row["net"]]
    story.truth().compare()
    world.books()


def test_clicks_by_link_and_channel_are_filled_and_orders_are_left_to_the_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, Random(12), "America/New_York")  # noqa: S311 - a history that can be run again
    story.run(60)
    database = world.context.database
    made = ["pa_click_link", "pa_click_channel", "pa_product_month", "pa_channel_month", "pa_order_product"]
    made += ["pa_order_credit", "pa_sold_product"]
    kept = _rows(database, made)
    assert all(kept.values())
    with database.writing() as connection:
        for name in (*made, "pa_report_place"):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    _migrate_again(database, migrations._scripts(), "0017", monkeypatch)
    filled = _rows(database, made)
    assert {name for name, rows in filled.items() if rows} == {"pa_click_link", "pa_click_channel"}
    world.books()  # nothing is expected of what is still to be counted
    world.work()
    assert _rows(database, made) == kept
    PartsTruth(story.shop, story.zone, story.orders).compare()
    world.books()


def test_products_are_known_by_their_pages_after_the_upgrade(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shopify, other = world.shop("shopify"), world.shop()
    home, database = "https://shop.example.com", world.context.database
    with database.writing() as connection:
        connection.exec_driver_sql("DROP INDEX ix_pa_product_page")
        connection.exec_driver_sql("ALTER TABLE pa_product DROP COLUMN page")
        numbers = {row.key: row.id for row in connection.execute(select(shop.c.key, shop.c.id))}
        for key, ref, url in (
            (shopify.key, "1", f"{home}/en/products/hat?a=b"), (shopify.key, "2", None), (shopify.key, "3", home),
            (shopify.key, "4", f"{home}/products/{'x' * 300}"), (other.key, "1", f"{home}/products/hat"),
        ):  # fmt: skip
            row = {"shop": numbers[key], "ref": ref, "body": json.dumps({"id": ref, "url": url, "collections": []})}
            connection.execute(text("INSERT INTO pa_product VALUES (:shop, :ref, 1, :body)"), row)
    _migrate_again(database, migrations._scripts(), "0008", monkeypatch)
    with database.reading() as connection:
        pages = connection.execute(select(product.c.shop_id, product.c.ref, product.c.page)).all()
    assert {tuple(row) for row in pages if row[2]} == {(numbers[shopify.key], "1", "/products/hat")} and len(pages) == 5


def test_after_the_upgrade_all_that_was_written_before_is_news(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made, database = world.shop(), world.context.database
    made.plan()
    made.told(made.order())
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE pa_head DROP COLUMN news")
    _migrate_again(database, migrations._scripts(), "0018", monkeypatch)
    with database.reading() as connection:
        (row,) = connection.execute(select(head.c.news, head.c.position)).all()
    assert row.news == row.position > 1
    made.told(made.order())
    world.books()


def _migrate_again(
    database: Database, scripts: ScriptDirectory, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Walk one migration again, whatever follows it, on a database from which what it made was taken away."""
    newest, before = scripts.get_current_head(), scripts.get_revision(revision).down_revision
    stand = f"UPDATE {VERSION_TABLE} SET version_num = "
    with database.writing() as connection:
        connection.exec_driver_sql(f"{stand}'{before}'")
    monkeypatch.setattr(scripts, "get_current_head", lambda: revision)
    monkeypatch.setattr(migrations, "_scripts", lambda: scripts)
    upgrade(database)
    with database.writing() as connection:
        connection.exec_driver_sql(f"{stand}'{newest}'")


def _rows(database: Database, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of tables in the order of their keys, without those of rollups that say nothing."""
    found = {}
    with database.reading() as connection:
        for name in names:
            table = metadata.tables[name]
            rows = [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
            figures = {column.name for column in table.columns} - {column.name for column in table.primary_key}
            found[name] = [row for row in rows if any(row[figure] for figure in figures)]
    return found
