"""Hourly cells on SQLite, checkpointed together with the log position they contain.

Rows go in by hundreds and come out by thousands at a step of a statement: every step gives up the
interpreter and has to win it back from the threads that take events.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from tallybook.adapters.damage import REBUILD, damage_named
from tallybook.adapters.usage.rows import merge
from tallybook.metering.cells import ActiveMetric, Cells, Group, group_of_text
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.quantity import add, total
from tallybook.values.usage import Reading, Tally

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS metrics (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, definition TEXT NOT NULL,
        from_row INTEGER NOT NULL, filled_until INTEGER NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS cells (
        metric INTEGER, grouping INTEGER, customer_key TEXT, hour INTEGER, members TEXT,
        count INTEGER NOT NULL, whole INTEGER NOT NULL, exact TEXT, max TEXT,
        latest_at INTEGER, latest_row INTEGER, latest_index INTEGER, latest TEXT,
        PRIMARY KEY (metric, grouping, customer_key, hour, members)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS distincts (
        metric INTEGER, grouping INTEGER, customer_key TEXT, hour INTEGER, members TEXT, value TEXT,
        PRIMARY KEY (metric, grouping, customer_key, hour, members, value)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS repeats (
        last_row INTEGER PRIMARY KEY, first_row INTEGER NOT NULL, bitmaps BLOB NOT NULL) STRICT""",
    "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
)
_KEYS_PER_QUERY = 400
_BORDERS_ADDED_UP = 64
"""With more stretches than this it is quicker to read the cells."""
_ADDED_UP = (Aggregation.COUNT, Aggregation.SUM)
_BITMAPS = msgspec.msgpack.Decoder(dict[int, bytes])


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the log has been applied, and what was found on the way."""

    checkpoint: int = 0
    row: int = 0
    accepted: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """A metric known to the store, which contains the rows up to `filled_until`."""

    active: ActiveMetric
    filled_until: int


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
        """Open or make the store. Raises Unavailable when the file is no sound database."""
        self._path = path
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        with damage_named(path, REBUILD), self._connection() as connection:
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
                "SELECT number, definition, from_row, filled_until FROM metrics"
            ).fetchall()
        return [
            StoredMetric(
                ActiveMetric(number, msgspec.json.decode(text, type=MetricDefinition), from_row), filled_until
            )
            for number, text, from_row, filled_until in rows
        ]

    def repeats(self, first: int, last: int) -> dict[int, bytes]:
        """The repeats in some rows of the log, both bounds included: a bit for every event of a row."""
        found: dict[int, bytes] = {}
        with self._connection() as connection:
            # Every checkpoint's rows come after those of the one before, so the first beyond ends it.
            rows = connection.execute(
                "SELECT first_row, bitmaps FROM repeats WHERE last_row >= ? ORDER BY last_row", (first,)
            )
            for first_row, packed in rows:
                if first_row > last:
                    rows.close()
                    break
                found.update(_BITMAPS.decode(packed))
        return {row: bits for row, bits in found.items() if first <= row <= last}

    def checkpoint(
        self,
        progress: Progress,
        cells: Iterable[Cells],
        repeats: Mapping[int, bytes],
        metrics: Iterable[ActiveMetric],
    ) -> None:
        """Merge cells and advance the position, all or nothing. Raises sqlite3.Error."""
        with self._writing() as connection:
            for metric in metrics:
                _store_metric(connection, metric, 0)
            for part in cells:
                merge(connection, part)
            if repeats:
                connection.execute(
                    "INSERT OR REPLACE INTO repeats VALUES (?, ?, ?)",
                    (max(repeats), min(repeats), msgspec.msgpack.encode(repeats)),
                )
            for name in ("checkpoint", "row", "accepted", "repeated"):
                connection.execute(
                    "INSERT OR REPLACE INTO state VALUES (?, ?)", (name, getattr(progress, name))
                )

    def fill(self, metric: ActiveMetric, cells: Cells, filled_until: int) -> None:
        """Add what further rows up to `filled_until` hold for a new metric. Raises sqlite3.Error."""
        with self._writing() as connection:
            _store_metric(connection, metric, filled_until)
            merge(connection, cells)

    def read(
        self,
        metric: int,
        grouping: int,
        customer_keys: Sequence[str] | None,
        borders: Sequence[int],
        aggregation: Aggregation,
        *,
        is_hourly: bool,
    ) -> tuple[int, list[StoredCell]]:
        """The number of the last checkpoint, and the cells as of it between the outer borders.

        Cells may come merged between borders, unless `is_hourly`; then their hour is the border
        before them.
        """
        is_added_up = aggregation in _ADDED_UP and not is_hourly and len(borders) <= _BORDERS_ADDED_UP
        with self._snapshot() as connection:
            checkpoint = _progress(connection).checkpoint
            try:
                if is_added_up:
                    return checkpoint, list(_sums(connection, (metric, grouping), borders, customer_keys))
            except sqlite3.OperationalError as error:
                if "overflow" not in str(error):
                    raise
            bounds = (metric, grouping, borders[0], borders[-1])
            rows = _select(connection, _CELLS, bounds, customer_keys)
            values: dict[tuple[str, int, str], set[str]] = {}
            if aggregation is Aggregation.UNIQUE:
                for row in _select(connection, _DISTINCTS, bounds, customer_keys):
                    values.setdefault(row[:3], set()).add(row[3])
        return checkpoint, [_cell(row, values.get(row[:3], ())) for row in rows]

    def sync(self) -> None:
        """Make the checkpoints so far durable, so that what they were made of may go."""
        with self._connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

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
            # A checkpoint that a power cut undoes is made again from the log, so it need not be waited for.
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
                connection.execute(f"PRAGMA {pragma}")
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the store."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

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
    return Progress(**dict(connection.execute("SELECT name, value FROM state").fetchall()))


def _store_metric(connection: sqlite3.Connection, item: ActiveMetric, filled_until: int) -> None:
    definition = msgspec.json.encode(item.definition).decode()
    connection.execute(
        """INSERT INTO metrics VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (number) DO UPDATE SET filled_until = max(filled_until, excluded.filled_until)""",
        (item.number, item.definition.id, definition, item.from_row, filled_until),
    )


_CellRow = tuple[
    str, int, str, int, int, str | None, str | None, int | None, int | None, int | None, str | None
]
_SUMS = (
    """SELECT json_group_array(json_array(customer_key, members, count, whole, exact)) FROM (
        SELECT customer_key, members, sum(count) AS count, sum(whole) AS whole, group_concat(exact) AS exact
        FROM cells WHERE {where} GROUP BY customer_key, members)""",
    msgspec.json.Decoder(list[tuple[str, str, int, int, str | None]]),
)
_CELLS = (
    """SELECT json_group_array(json_array(customer_key, hour, members,
        count, whole, exact, max, latest_at, latest_row, latest_index, latest)) FROM cells WHERE {where}""",
    msgspec.json.Decoder(list[_CellRow]),
)
_DISTINCTS = (
    "SELECT json_group_array(json_array(customer_key, hour, members, value)) FROM distincts WHERE {where}",
    msgspec.json.Decoder(list[tuple[str, int, str, str]]),
)


def _select(
    connection: sqlite3.Connection,
    what: tuple[str, msgspec.json.Decoder[Any]],
    bounds: tuple[int, int, int, int],
    customer_keys: Sequence[str] | None,
) -> list[Any]:
    query, decoder = what
    where = "metric = ? AND grouping = ? AND hour >= ? AND hour < ?"
    if customer_keys is None:
        text = connection.execute(query.format(where=where), bounds).fetchone()[0]
        found: list[Any] = decoder.decode(text)
        return found
    rows: list[Any] = []
    for start in range(0, len(customer_keys), _KEYS_PER_QUERY):
        part = customer_keys[start : start + _KEYS_PER_QUERY]
        marked = f"{where} AND customer_key IN ({','.join('?' * len(part))})"
        text = connection.execute(query.format(where=marked), (*bounds, *part)).fetchone()[0]
        rows += decoder.decode(text)
    return rows


def _sums(
    connection: sqlite3.Connection,
    series: tuple[int, int],
    borders: Sequence[int],
    customer_keys: Sequence[str] | None,
) -> Iterator[StoredCell]:
    """Counts and sums between borders, added up by the database; raises where 64 bits do not hold them."""
    for start, end in pairwise(borders):
        for key, members, count, whole, exact in _select(
            connection, _SUMS, (*series, start, end), customer_keys
        ):
            parts = [] if exact is None else list(map(Decimal, exact.split(",")))
            tally = Tally(count=count, sum=total([Decimal(whole), *parts]))
            yield StoredCell(key, start, group_of_text(members), tally)


def _cell(row: tuple[Any, ...], values: Iterable[str]) -> StoredCell:
    customer_key, hour, members, count, whole, exact, maximum, at, log_row, index, latest = row
    reading = None
    if latest is not None:
        reading = Reading(at, (log_row, index), Decimal(latest))
    small = Decimal(whole)
    tally = Tally(
        count=count,
        sum=small if exact is None else add(small, Decimal(exact)),
        max=None if maximum is None else Decimal(maximum),
        latest=reading,
        distinct=frozenset(values),
    )
    return StoredCell(customer_key, hour, group_of_text(members), tally)
