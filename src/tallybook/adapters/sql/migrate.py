"""Brings a database to the present schema, one numbered step after the other."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from tallybook.kit.db.columns import metadata
from tallybook.kit.http.auth import control_metadata

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate_catalogue(engine: Engine) -> None:
    """Bring an environment's catalogue to the present schema; doing it again changes nothing."""
    with engine.connect() as connection:
        writable = connection.execution_options(tallybook_writes=True)
        with writable.begin():
            _upgrade(writable)


def migrate_control(engine: Engine) -> None:
    """Bring the installation's control database to the present schema."""
    with engine.begin() as connection:
        control_metadata.create_all(connection)


def differences(engine: Engine) -> list[object]:
    """What the migrations leave different from the tables that the stores declare; must be empty."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return list(compare_metadata(context, metadata))


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    if MigrationContext.configure(connection).get_current_heads() == tuple(scripts.get_heads()):
        return

    def steps(revision: object, _: object) -> object:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type]  # noqa: SLF001

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
        environment.run_migrations()
