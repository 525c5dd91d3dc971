"""Brings a database to the present schema by its numbered revisions.

All revisions a database lacks run in one transaction, so a crash leaves it as it was. A database
that is newer than this program is refused: it is never written by code that does not know it.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine, MetaData

from tallybook.kit.db.columns import metadata
from tallybook.kit.http.auth import control_metadata
from tallybook.values.errors import Invalid

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate_catalogue(engine: Engine) -> None:
    """Bring an environment's catalogue to the present schema. Raises Invalid when it is newer."""
    _upgrade(engine, "catalogue", metadata)


def migrate_control(engine: Engine) -> None:
    """Bring the installation's control database to the present schema. Raises Invalid when it is newer."""
    _upgrade(engine, "control", control_metadata)


def _upgrade(engine: Engine, kind: str, target: MetaData) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("version_locations", str(_MIGRATIONS / kind))
    config.set_main_option("path_separator", "os")
    config.attributes["metadata"] = target
    with engine.connect().execution_options(tallybook_writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            message = (
                f"--data: the {kind} database was made by a newer version of Tallybook ({error}); "
                "use that version, or a backup made before the upgrade"
            )
            raise Invalid(message) from None
