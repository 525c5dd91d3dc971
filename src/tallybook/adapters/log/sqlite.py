"""The event log on SQLite: one row per durable commit, never changed, never looked up to append."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import zstandard

from tallybook.adapters.damage import RESTORE, damage_named
from tallybook.values.instant import instant_of_micros, micros_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    row INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    events INTEGER NOT NULL,
    fingerprints BLOB NOT NULL,
    bodies BLOB NOT NULL
) STRICT
"""
_BODIES = msgspec.msgpack.Decoder(list[bytes])
_ROWS_PER_QUERY = 64
_FINGERPRINTS_PER_QUERY = 256


@dataclass(frozen=True, slots=True)
class LogRow:
    """One commit: the requests taken together, in order.

    Rows count from 1 without gaps; the oldest may have been forgotten.
    """

    row: int
    received_at: datetime
    events: int
    fingerprints: bytes
    """16 bytes per event, in order."""
    bodies: tuple[bytes, ...]
    """The request bodies as they came; empty where only fingerprints were asked for."""


class SqliteLog:
    """Appends from one thread; any thread may read."""

    def __init__(self, path: Path) -> None:
        """Open or make the log. Raises Unavailable when the file is no sound database."""
        self._path = path
        with damage_named(path, RESTORE):
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
            self._writer.execute(_SCHEMA)
            newest = "SELECT row, received_at FROM log ORDER BY row DESC LIMIT 1"
            last = self._writer.execute(newest).fetchone()
        self.last_row: int = last[0] if last else 0
        self.last_received_at: datetime | None = instant_of_micros(last[1]) if last else None
        self._compressor = zstandard.ZstdCompressor(level=1)

    def append(self, received_at: datetime, events: int, fingerprints: bytes, bodies: Sequence[bytes]) -> int:
        """Store one row on disk and return its number. Raises sqlite3.Error and stores nothing."""
        row = self.last_row + 1
        packed = self._compressor.compress(msgspec.msgpack.encode(list(bodies)))
        self._writer.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
            (row, micros_of(received_at), events, fingerprints, packed),
        )
        self.last_row, self.last_received_at = row, received_at
        return row

    def read(self, after: int, until: int | None = None) -> Iterator[LogRow]:
        """Rows after one number up to another (or the last), in order."""
        yield from self._read("bodies", after, until, _ROWS_PER_QUERY)

    def read_fingerprints(self, after: int, until: int) -> Iterator[LogRow]:
        """Rows after one number up to another, in order, without their bodies."""
        yield from self._read("NULL", after, until, _FINGERPRINTS_PER_QUERY)

    def stored_row(self) -> int:
        """The last row on disk, whoever wrote it; 0 where there is none."""
        return self._bound("max")

    def first_row(self) -> int:
        """The first row that is still kept; 0 where there is none."""
        return self._bound("min")

    def forget(self, until: int, count: int) -> int:
        """Remove the first rows up to `until`, at most `count` of them, never the last; how many went."""
        first = self.first_row()
        end = min(until + 1, first + count, self.stored_row())
        if not first or end <= first:
            return 0
        connection = self._connect()
        try:
            connection.execute("DELETE FROM log WHERE row < ?", (end,))
        finally:
            connection.close()
        return end - first

    def last_row_at(self, instant: datetime, last_row: int | None = None) -> int:
        """The last row received at or before `instant`; the one before all kept where there is none.

        `last_row` is the last one to look at, for a log that another process appends to.
        """
        micros = micros_of(instant)
        before = max(0, self.first_row() - 1)
        connection = self._connect()
        try:
            # Received times never run backwards in the log, so they need no index.
            low, high = before, self.last_row if last_row is None else last_row
            while low < high:
                middle = (low + high + 1) // 2
                query = "SELECT received_at FROM log WHERE row = ?"
                if connection.execute(query, (middle,)).fetchone()[0] <= micros:
                    low = middle
                else:
                    high = middle - 1
            return low
        finally:
            connection.close()

    def events_between(self, after: int, until: int) -> int:
        """About how many events the rows between two numbers hold, told from a few hundred of them."""
        count = until - after
        step = max(1, count // 512)
        rows = ",".join(str(row) for row in range(after + 1, until + 1, step))
        query = f"SELECT avg(events) FROM log WHERE row IN ({rows})"  # noqa: S608  # numbers
        connection = self._connect()
        try:
            return int((connection.execute(query).fetchone()[0] or 0) * count)
        finally:
            connection.close()

    def probe(self) -> None:
        """Write as an append does, and change nothing. Raises sqlite3.Error where the disk takes nothing."""
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA user_version=0")

    def close(self) -> None:
        """Close the file; everything in it is already on disk."""
        self._writer.close()

    @contextmanager
    def looking(self) -> Iterator["LogLook"]:
        """One connection for many small looks into the log."""
        with closing(self._connect()) as connection:
            yield LogLook(connection)

    def _read(self, bodies: str, after: int, until: int | None, count: int) -> Iterator[LogRow]:
        with closing(self._connect()) as connection:
            yield from _rows(connection, bodies, after, 1 << 62 if until is None else until, count)

    def _bound(self, function: str) -> int:
        connection = self._connect()
        try:
            query = f"SELECT {function}(row) FROM log"  # noqa: S608  # ours
            row: int | None = connection.execute(query).fetchone()[0]
            return row or 0
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA busy_timeout=10000")
        return connection


class LogLook:
    """Looks into a log, at any place of it, from one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Look over a connection."""
        self._connection = connection

    def last_row_before(self, micros: int, first_row: int, last_row: int) -> int:
        """The last of some rows that was received before an instant; the one before the first if none."""
        low, high = first_row - 1, last_row
        while low < high:
            middle = (low + high + 1) // 2
            query = "SELECT received_at < ? FROM log WHERE row = ?"
            found = self._connection.execute(query, (micros, middle)).fetchone()
            # A row that is gone meanwhile lies before everything that is kept.
            if found is None or found[0]:
                low = middle
            else:
                high = middle - 1
        return low

    def read(self, row: int) -> LogRow | None:
        """One row; None when it is no longer kept."""
        return next(_rows(self._connection, "bodies", row - 1, row, 1), None)

    def read_fingerprints(self, after: int, until: int) -> Iterator[LogRow]:
        """Rows after one number up to another, in order, without their bodies."""
        return _rows(self._connection, "NULL", after, until, _FINGERPRINTS_PER_QUERY)


def _rows(
    connection: sqlite3.Connection, bodies: str, after: int, until: int, count: int
) -> Iterator[LogRow]:
    """A few rows a query, so that a long reading never keeps the file from being tidied."""
    decompressor = zstandard.ZstdDecompressor()
    query = (
        f"SELECT row, received_at, events, fingerprints, {bodies} FROM log "  # noqa: S608  # ours
        "WHERE row > ? AND row <= ? ORDER BY row LIMIT ?"
    )
    while rows := connection.execute(query, (after, until, count)).fetchall():
        for row, received_at, events, fingerprints, packed in rows:
            unpacked = _BODIES.decode(decompressor.decompress(packed)) if packed is not None else ()
            yield LogRow(row, instant_of_micros(received_at), events, fingerprints, tuple(unpacked))
        after = rows[-1][0]
