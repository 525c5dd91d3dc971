"""Revisions lead exactly to the tables of the code, once, and never onto a newer database."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect

import tallybook.app  # noqa: F401  # every table joins its metadata
from tallybook.adapters.sql.engine import open_sqlite
from tallybook.adapters.sql.migrate import migrate_catalogue, migrate_control
from tallybook.kit.db.columns import metadata
from tallybook.kit.http.auth import control_metadata
from tallybook.values.errors import Invalid

KINDS = [(migrate_catalogue, metadata), (migrate_control, control_metadata)]
Migrate = Callable[[Engine], None]


@pytest.mark.parametrize(("migrate", "target"), KINDS)
def test_the_revisions_lead_to_the_tables_of_the_code(
    tmp_path: Path, migrate: Migrate, target: MetaData
) -> None:
    """When this fails a store.py has changed: run tools/draft_migration.py."""
    engine = open_sqlite(tmp_path / "fresh.db")
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, target) == []
    engine.dispose()


@pytest.mark.parametrize(("migrate", "target"), KINDS)
def test_migrating_again_changes_nothing(tmp_path: Path, migrate: Migrate, target: MetaData) -> None:
    engine = open_sqlite(tmp_path / "twice.db")
    migrate(engine)
    tables = inspect(engine).get_table_names()
    migrate(engine)
    assert inspect(engine).get_table_names() == tables
    assert set(target.tables) < set(tables)
    engine.dispose()


@pytest.mark.parametrize("migrate", [migrate for migrate, _ in KINDS])
def test_a_database_of_a_newer_version_is_refused(tmp_path: Path, migrate: Migrate) -> None:
    engine = open_sqlite(tmp_path / "newer.db")
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Invalid, match="newer version"):
        migrate(engine)
    engine.dispose()
