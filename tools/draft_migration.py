"""Drafts the next revision of a database from the tables in the code.

`python tools/draft_migration.py catalogue "Say what changes."`, or `control`. Run it after changing a
`store.py`; read what it wrote, then commit it. A committed revision is never edited. Types are written
as what the database stores, so that a revision needs nothing of ours.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy.types import TypeDecorator

import tallybook.app  # noqa: F401  # every table joins its metadata
from tallybook.adapters.sql.engine import open_sqlite
from tallybook.adapters.sql.migrate import migrate_catalogue, migrate_control
from tallybook.kit.db.columns import metadata
from tallybook.kit.http.auth import control_metadata

FOLDER = Path(__file__).parent.parent / "src/tallybook/adapters/sql/migrations"
KINDS = {"catalogue": (metadata, migrate_catalogue), "control": (control_metadata, migrate_control)}
TEMPLATE = '''"""{text}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {before}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """{text}"""
    {body}
'''


def render_stored(kind: str, item: Any, _: Any) -> str | bool:
    """Our column types as the type they are stored in."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def main(kind: str, text: str) -> None:
    """Write the revision, or say that nothing has changed."""
    target, migrate = KINDS[kind]
    known = sorted((FOLDER / kind).glob("[0-9]*.py"))
    with TemporaryDirectory() as folder:
        engine = open_sqlite(Path(folder) / "present.db")
        if known:
            migrate(engine)
        with engine.connect() as connection:
            options = {"render_item": render_stored, "target_metadata": target, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            draft = produce_migrations(context, target)
            if draft.upgrade_ops is None or draft.upgrade_ops.is_empty():
                print(f"{kind}: the code and the last revision agree")
                return
            code = render_python_code(draft.upgrade_ops, render_item=render_stored)
            body = "\n".join(line for line in code.splitlines() if "# ###" not in line)
        engine.dispose()
    revision = f"{len(known) + 1:04}"
    before = f'"{known[-1].name[:4]}"' if known else None
    path = FOLDER / kind / f"{revision}_{text.lower().replace(' ', '_').rstrip('.')}.py"
    path.write_text(TEMPLATE.format(text=text, revision=revision, before=before, body=body.strip()))
    print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
