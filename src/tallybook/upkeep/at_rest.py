"""Opens an environment of a data folder that nobody serves: its catalogue alone, without metering."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from tallybook.adapters.clock import SystemClock
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
    """An environment whose stored objects can be read. Raises Invalid when its catalogue cannot."""
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
    except Unavailable as error:
        message = (
            f"--data: the catalogue of {name} cannot be read ({reason_of(error)}); if this folder "
            "was made by another version, bring it to the present schema with 'tallybook migrate'"
        )
        raise Invalid(message) from None
    finally:
        engine.dispose()
