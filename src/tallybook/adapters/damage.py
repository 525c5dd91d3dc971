"""Files that are there and are no longer what they were: named to whoever has to mend them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tallybook.values.errors import Unavailable

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
REBUILD = "make it anew from the log of events with 'tallybook rebuild'"
RESTORE = "restore it from a backup"


def short(path: Path) -> str:
    """A file's name inside the data folder, for who may not know where that lies.

    >>> short(Path("/srv/data/sandbox/cells.db"))
    'sandbox/cells.db'
    """
    return f"{path.parent.name}/{path.name}"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether a file holds no sound database, and not only its disk or a lock is in the way."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


@contextmanager
def damage_named(path: Path, remedy: str) -> Iterator[None]:
    """Raise Unavailable with the file's name and the remedy when a database turns out to be damaged."""
    try:
        yield
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        raise Unavailable(f"{short(path)}: cannot be read ({error}); {remedy}") from None
