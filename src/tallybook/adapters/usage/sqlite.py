"""Hourly cells on SQLite, checkpointed together with the log position they contain."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from tallybook.metering.cells import ActiveMetric, Cell, Group, Series, SeriesKey
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.quantity import plain
from tallybook.values.usage import Reading, Tally

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS metrics (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, definition TEXT NOT NULL,
        from_row INTEGER NOT NULL, is_filled INTEGER NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS cells (
        metric INTEGER, grouping INTEGER, customer_key TEXT, hour INTEGER, members TEXT,
        count INTEGER NOT NULL, sum TEXT NOT NULL, max TEXT,
        latest_at INTEGER, latest_row INTEGER, latest_index INTEGER, latest TEXT,
        PRIMARY KEY (metric, grouping, customer_key, hour, members)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS distincts (
        metric INTEGER, grouping INTEGER, customer_key TEXT, hour INTEGER, members TEXT, value TEXT,
        PRIMARY KEY (metric, grouping, customer_key, hour, members, value)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS repeats (row INTEGER PRIMARY KEY, bitmap BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
)
_KEYS_PER_QUERY = 400


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the log has been applied, and what was found on the way."""

    checkpoint: int = 0
    row: int = 0
    accepted: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """A metric known to the store. `is_filled` says that rows up to `from_row` are contained."""

    active: ActiveMetric
    is_filled: bool


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell as read back."""

    customer_key: str
    hour: int
    group: Group
    tally: Tally


class CellStore:
    """Reads from any thread; one thread at a time writes."""

    def __init__(self, path: Path) -> None:
        """Open or make the store."""
        self._path = path
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        with self._connection() as connection:
            for statement in _SCHEMA:
                connection.execute(statement)

    def progress(self) -> Progress:
        """The state of the last checkpoint."""
        with self._connection() as connection:
            return _progress(connection)

    def metrics(self) -> list[StoredMetric]:
        """The metrics that are metered."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT number, definition, from_row, is_filled FROM metrics"
            ).fetchall()
        return [
            StoredMetric(
                ActiveMetric(number, msgspec.json.decode(text, type=MetricDefinition), from_row),
                bool(is_filled),
            )
            for number, text, from_row, is_filled in rows
        ]

    def repeats(self, after: int = 0) -> dict[int, bytes]:
        """By log row after `after`: one byte per event, 1 where it repeats an accepted id."""
        with self._connection() as connection:
            return dict(connection.execute("SELECT row, bitmap FROM repeats WHERE row > ?", (after,)))

    def checkpoint(
        self,
        progress: Progress,
        cells: Mapping[SeriesKey, Series],
        repeats: Mapping[int, bytes],
        metrics: Iterable[ActiveMetric],
    ) -> None:
        """Merge cells and advance the position, all or nothing. Raises sqlite3.Error."""
        with self._writing() as connection:
            _store_metrics(connection, metrics, is_filled=False)
            _merge(connection, cells)
            connection.executemany("INSERT OR REPLACE INTO repeats VALUES (?, ?)", repeats.items())
            values = (
                ("checkpoint", progress.checkpoint),
                ("row", progress.row),
                ("accepted", progress.accepted),
                ("repeated", progress.repeated),
            )
            connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values)

    def fill(self, metric: ActiveMetric, cells: Mapping[SeriesKey, Series]) -> None:
        """Add what rows up to `metric.from_row` hold for a new metric, and mark it complete."""
        with self._writing() as connection:
            _store_metrics(connection, [metric], is_filled=True)
            _merge(connection, cells)

    def read(
        self,
        metric: int,
        grouping: int,
        customer_keys: Sequence[str] | None,
        hour_from: int,
        hour_until: int,
        aggregation: Aggregation,
    ) -> tuple[int, list[StoredCell]]:
        """The number of the last checkpoint, and the cells as of it."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                checkpoint = _progress(connection).checkpoint
                bounds = (metric, grouping, hour_from, hour_until)
                rows = list(_select(connection, "cells", bounds, customer_keys))
                values: dict[tuple[str, int, str], set[str]] = {}
                if aggregation is Aggregation.UNIQUE:
                    for row in _select(connection, "distincts", bounds, customer_keys):
                        values.setdefault(row[2:5], set()).add(row[5])
            finally:
                connection.execute("COMMIT")
        return checkpoint, [_cell(row, values.get(row[2:5], ())) for row in rows]

    def close(self) -> None:
        """Close every connection."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
                connection.execute(f"PRAGMA {pragma}")
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _progress(connection: sqlite3.Connection) -> Progress:
    return Progress(**dict(connection.execute("SELECT name, value FROM state")))


def _store_metrics(
    connection: sqlite3.Connection, metrics: Iterable[ActiveMetric], *, is_filled: bool
) -> None:
    connection.executemany(
        """INSERT INTO metrics VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (number) DO UPDATE SET is_filled = max(is_filled, excluded.is_filled)""",
        [
            (
                item.number,
                item.definition.id,
                msgspec.json.encode(item.definition).decode(),
                item.from_row,
                is_filled,
            )
            for item in metrics
        ],
    )


def _merge(connection: sqlite3.Connection, cells: Mapping[SeriesKey, Series]) -> None:
    """Merge cells into their rows."""
    rows: list[tuple[object, ...]] = []
    values: list[tuple[object, ...]] = []
    for (metric, grouping, customer_key), series in cells.items():
        for (hour, group), cell in series.items():
            key = (metric, grouping, customer_key, hour, msgspec.json.encode(group).decode())
            rows.append((*key, *_merged(connection, key, cell)))
            values.extend((*key, value) for value in cell.distinct)
    connection.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("INSERT OR IGNORE INTO distincts VALUES (?, ?, ?, ?, ?, ?)", values)


_SELECT_ONE = """SELECT count, sum, max, latest_at, latest_row, latest_index, latest FROM cells
    WHERE metric = ? AND grouping = ? AND customer_key = ? AND hour = ? AND members = ?"""


def _merged(connection: sqlite3.Connection, key: tuple[object, ...], cell: Cell) -> tuple[object, ...]:
    """The columns of a row after merging a cell into it."""
    old = connection.execute(_SELECT_ONE, key).fetchone()
    new = cell.tally()
    tally = new if old is None else new.merge(_tally(old, ()))
    latest: tuple[object, ...] = (None, None, None, None)
    if tally.latest is not None:
        reading = tally.latest
        latest = (reading.timestamp_micros, *reading.position, plain(reading.value))
    return tally.count, plain(tally.sum), None if tally.max is None else plain(tally.max), *latest


def _select(
    connection: sqlite3.Connection,
    table: str,
    bounds: tuple[int, int, int, int],
    customer_keys: Sequence[str] | None,
) -> Iterator[tuple[Any, ...]]:
    metric, grouping, hour_from, hour_until = bounds
    query = f"SELECT * FROM {table} WHERE metric = ? AND grouping = ?"  # noqa: S608  # the table's name is ours
    if customer_keys is None:
        yield from connection.execute(
            f"{query} AND hour >= ? AND hour < ?", (metric, grouping, hour_from, hour_until)
        )
        return
    for start in range(0, len(customer_keys), _KEYS_PER_QUERY):
        part = customer_keys[start : start + _KEYS_PER_QUERY]
        marks = ",".join("?" * len(part))
        yield from connection.execute(
            f"{query} AND customer_key IN ({marks}) AND hour >= ? AND hour < ?",
            (metric, grouping, *part, hour_from, hour_until),
        )


_GROUP = msgspec.json.Decoder(tuple[str | None, ...])


def _cell(row: tuple[Any, ...], values: Iterable[str]) -> StoredCell:
    customer_key, hour, members = row[2:5]
    return StoredCell(customer_key, hour, _GROUP.decode(members), _tally(row[5:], values))


def _tally(columns: Sequence[Any], values: Iterable[str]) -> Tally:
    count, total, maximum, at, row, index, latest = columns
    reading = None
    if latest is not None:
        reading = Reading(at, (row, index), Decimal(latest))
    return Tally(
        count=count,
        sum=Decimal(total),
        max=None if maximum is None else Decimal(maximum),
        latest=reading,
        distinct=frozenset(values),
    )
