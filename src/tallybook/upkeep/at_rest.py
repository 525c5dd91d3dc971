"""Opens an environment of a data folder that nobody serves: its catalogue alone, without metering."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from tallybook.adapters.clock import SystemClock
from tallybook.adapters.damage import is_damage
from tallybook.adapters.sql.engine import open_sqlite
from tallybook.kit.db.faults import reason_of
from tallybook.kit.db.tx import Environment
from tallybook.kit.vault import Vault
from tallybook.values.errors import Invalid, Unavailable


class _Closed:
    """Stands for everything that is not open."""

    def __getattr__(self, name: str) -> NoReturn:
        message = f"{name} is not to be had of a folder at rest"
        raise RuntimeError(message)


_CLOSED: Any = _Closed()


@contextmanager
def at_rest(data: Path, name: str) -> Iterator[Environment]:
    """An environment whose stored objects can be read.

    Raises Invalid when its catalogue, or a database that is read meanwhile, cannot be read.
    """
    engine = open_sqlite(data / name / "catalogue.db")
    known = {
        "name": name,
        "engine": engine,
        "clock": SystemClock(),
        "vault": Vault(Vault.new_key()),
        "grace": timedelta(0),
    }
    closed = {field.name: _CLOSED for field in fields(Environment) if field.default_factory is MISSING}
    try:
        yield Environment(**{**closed, **known})
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        message = (
            f"--data: a database of {name} is damaged ({error}); restore {name}/events.db from a backup if "
            f"it is that one, {name}/cells.db is made anew from it by 'tallybook rebuild'"
        )
        raise Invalid(message) from None
    except Unavailable as error:
        if error.__cause__ is None:
            raise  # it names its file already
        message = (
            f"--data: the catalogue of {name} cannot be read ({reason_of(error)}); if this folder "
            "was made by another version, bring it to the present schema with 'tallybook migrate'"
        )
        raise Invalid(message) from None
    finally:
        engine.dispose()
