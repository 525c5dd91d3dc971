"""Brings a database to the present schema."""

from sqlalchemy import Engine

from tallybook.kit.db.columns import metadata
from tallybook.kit.http.auth import control_metadata


def migrate_catalogue(engine: Engine) -> None:
    """Make the tables of an environment's catalogue that are absent."""
    with engine.begin() as connection:
        metadata.create_all(connection)


def migrate_control(engine: Engine) -> None:
    """Make the tables of the installation's control database that are absent."""
    with engine.begin() as connection:
        control_metadata.create_all(connection)
