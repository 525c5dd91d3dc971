"""Opens the catalogue's database: SQLite, durable at every commit, one writer and many readers."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry


def open_sqlite(path: Path) -> Engine:
    """An engine on the file at `path`, made when absent.

    WAL with synchronous=FULL: a commit is on disk before it returns. Transactions opened with the
    execution option `tallybook_writes` take the write lock at once, so two writers never deadlock.
    """
    # Errors that quote a statement's values would carry customers' data, or secrets, into the log.
    engine = create_engine(
        f"sqlite:///{path}", pool_size=32, max_overflow=0, pool_timeout=30, hide_parameters=True
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours, below
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "case_sensitive_like=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection, *_: Any) -> None:
    writes = connection.get_execution_options().get("tallybook_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
