"""Draft the next numbered migration from what the stores declare.

    python tools/draft_migration.py 0002 "add subscriptions"

Read the draft before committing it: autogeneration sees tables and columns, not intent.
"""

import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import tallybook.adapters.sql.migrate as migrate
from tallybook.adapters.sql.engine import open_sqlite
from tallybook.kit.db.columns import metadata
from tallybook.operations import all_operations

SCRIPTS = Path(migrate.__file__).parent / "migrations"


def main(number: str, message: str) -> None:
    """Write migrations/versions/<number>_<message>.py."""
    all_operations()  # imports every store, so that metadata knows every table
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    heads = ScriptDirectory.from_config(config).get_heads()
    with tempfile.TemporaryDirectory() as folder:
        engine = open_sqlite(Path(folder) / "draft.db")
        if heads:
            migrate.migrate_catalogue(engine)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            script = produce_migrations(context, metadata)
            body = render_python_code(
                script.upgrade_ops, migration_context=context, user_module_prefix="columns.", render_as_batch=True
            )
    path = SCRIPTS / "versions" / f"{number}_{message.replace(' ', '_')}.py"
    path.write_text(TEMPLATE.format(message=message.capitalize(), number=number, down=heads[0] if heads else None, body=body))
    print(path)


TEMPLATE = '''"""{message}."""

import sqlalchemy as sa
from alembic import op

from tallybook.kit.db import columns

revision = "{number}"
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    {body}


def downgrade() -> None:
    """Refuse: history is added, never edited."""
    raise RuntimeError("migrations only go forward; restore a backup to go back")
'''


if __name__ == "__main__":
    main(*sys.argv[1:3])
