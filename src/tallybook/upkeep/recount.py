"""Reads the log once more, slowly and obviously: which events are repeats, and what the others say.

Nothing here is shared with the path that events take when they come: ids are compared as texts and not
by fingerprint, bodies are read by the standard library, one event at a time. Memory stays bounded:
ids are sorted by DuckDB in a temporary folder.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.metering.aggregate import DEDUPLICATION
from tallybook.values.event import Event
from tallybook.values.instant import DAY, micros_of, parse_instant
from tallybook.values.quantity import parse_number

_WINDOW_S = DEDUPLICATION // (DAY / 86_400)
_SECOND_MAX = 2**32 - 1
_IDS_AT_ONCE = 200_000
_PAIRS_AT_ONCE = 50_000
LIMITS = "SET memory_limit = '512MB'; SET threads = 2"
"""For DuckDB; beyond it, it uses files beside its database."""


class Identified(msgspec.Struct, gc=False):
    """An event of which only the id matters."""

    transaction_id: str


_IDS = msgspec.json.Decoder(list[Identified])


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of the beginning of a log of which rows have been removed."""

    until_second: int
    """An event received before this second may repeat one that was removed."""
    repeats: frozenset[tuple[int, int]]
    """Row and index of the events before it that are stored as repeats."""


class Recount:
    """One reading of a log. `told` hears how many events have been gone through, twice each."""

    def __init__(self, log: SqliteLog, temporary: Path, told: Callable[[int], object] = bool) -> None:
        """Count again what is in `log`; `temporary` is a folder for files that may be large."""
        import duckdb  # noqa: PLC0415  # only this command needs it

        self._log = log
        self._told = told
        self._ids = duckdb.connect(str(temporary / "ids.duckdb"))
        self._ids.execute(LIMITS)
        self._ids.execute(
            "CREATE TABLE ids (id VARCHAR, log_row BIGINT, log_index INTEGER, second BIGINT);"
            "CREATE TABLE repeats (log_row BIGINT, log_index INTEGER)"
        )
        self._waiting: list[tuple[str, int, int, int]] = []

    def close(self) -> None:
        """Let go of the temporary files."""
        self._ids.close()

    def note_ids(self, row: LogRow) -> list[str]:
        """Take note of the ids of a row; gives them."""
        ids = [event.transaction_id for body in row.bodies for event in _IDS.decode(body)]
        second = second_of(row)
        self._waiting += [(id_, row.row, index, second) for index, id_ in enumerate(ids)]
        if len(self._waiting) >= _IDS_AT_ONCE:
            self._store_ids()
        self._told(len(ids))
        return ids

    def find_repeats(self, kept: Kept | None = None) -> None:
        """Work out which of the noted events repeat an earlier one (metering.md 1.3)."""
        self._store_ids()
        reading = self._ids.cursor().sql(
            """SELECT id, log_row, log_index, second FROM ids WHERE id IN
               (SELECT id FROM ids GROUP BY id HAVING count(*) > 1 OR min(second) < ?)
               ORDER BY id, log_row, log_index""",
            params=[kept.until_second if kept else 0],
        )
        found: list[tuple[int, int]] = []
        for place in _repeats_among(_rows_of(reading), kept):
            found.append(place)
            if len(found) >= _PAIRS_AT_ONCE:
                self._store_repeats(found)
                found = []
        self._store_repeats(found)

    def repeats(self) -> Iterator[tuple[int, list[int]]]:
        """Rows that hold repeats, in order, each with the indexes of those."""
        query = "SELECT log_row, log_index FROM repeats ORDER BY log_row, log_index"
        reading = self._ids.cursor().sql(query)
        at, indexes = 0, list[int]()
        for row, index in _rows_of(reading):
            if row != at and indexes:
                yield at, indexes
                indexes = []
            at = row
            indexes.append(index)
        if indexes:
            yield at, indexes

    def accepted(self, after: int, until: int) -> Iterator[tuple[LogRow, list[Event]]]:
        """The rows between two numbers, each with its events that are no repeats."""
        repeats = self.repeats()
        at, indexes = next(repeats, (0, []))
        for row in self._log.read(after, until):
            while at and at < row.row:
                at, indexes = next(repeats, (0, []))
            yield row, events_of(row, frozenset(indexes) if at == row.row else frozenset())
            self._told(row.events)

    def _store_ids(self) -> None:
        self._insert("ids", ("id", "log_row", "log_index", "second"), self._waiting)
        self._waiting = []

    def _store_repeats(self, found: Sequence[tuple[int, int]]) -> None:
        self._insert("repeats", ("log_row", "log_index"), found)

    def _insert(self, name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        import pyarrow as pa  # noqa: PLC0415

        if rows:
            self._ids.register("incoming", pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True))))
            self._ids.execute(f"INSERT INTO {name} SELECT * FROM incoming")  # noqa: S608  # our names
            self._ids.unregister("incoming")


def _rows_of(reading: Any) -> Iterator[tuple[Any, ...]]:
    for batch in reading.to_arrow_reader(_PAIRS_AT_ONCE):
        yield from zip(*[column.to_pylist() for column in batch.columns], strict=True)


def _repeats_among(rows: Iterator[tuple[Any, ...]], kept: Kept | None) -> Iterator[tuple[int, int]]:
    """The events, of ids in order and each id's in the order of the log, that are repeats.

    An id counts again from 34 days, by whole seconds, after it was accepted; a repeat renews nothing.
    """
    known: str | None = None
    accepted: int | None = None
    for id_, row, index, second in rows:
        if id_ != known:
            known, accepted = id_, None
        if accepted is not None:
            is_repeat = second - accepted < _WINDOW_S
        else:
            is_repeat = kept is not None and second < kept.until_second and (row, index) in kept.repeats
        if is_repeat:
            yield row, index
        else:
            accepted = second


def second_of(row: LogRow) -> int:
    """The second in which a row was received; all after the year 2106 are one."""
    return min(micros_of(row.received_at) // 1_000_000, _SECOND_MAX)


def events_of(row: LogRow, repeated: frozenset[int] = frozenset()) -> list[Event]:
    """The events of a row but for those at the indexes of repeats."""
    events = []
    index = 0
    for body in row.bodies:
        for item in json.loads(body.decode(), parse_float=_number, parse_int=_number):
            if index not in repeated:
                events.append(
                    Event(
                        transaction_id=item["transaction_id"],
                        customer_id=item["customer_id"],
                        event_type=item["event_type"],
                        timestamp=parse_instant(item["timestamp"]),
                        properties=item.get("properties") or {},
                        received_at=row.received_at,
                        position=(row.row, index),
                    )
                )
            index += 1
    return events


def _number(text: str) -> Decimal | int | str:
    """A JSON number; one out of bounds stays text and counts for nothing (design decision 4)."""
    number = parse_number(text)
    if number is None:
        return text
    return int(text) if text.lstrip("-").isdigit() else number
