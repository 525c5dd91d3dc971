"""Checks of what metering has stored: the log itself, repeats, counts, and hourly cells."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path

import numpy as np
import xxhash

from tallybook.adapters.log.sqlite import LogRow
from tallybook.adapters.usage.sqlite import CellStore, Progress, StoredMetric
from tallybook.metering.aggregate import tally_of
from tallybook.metering.cells import CellKey, text_of_group
from tallybook.metering.match import group_of, matches, matches_type, stored_groupings
from tallybook.upkeep.checks import Difference, Unseeing
from tallybook.upkeep.recount import Recount
from tallybook.upkeep.sums import Sums, tally_of_row
from tallybook.values.event import Event
from tallybook.values.instant import format_instant, hour_of, instant_of_hour
from tallybook.values.metric import Aggregation
from tallybook.values.quantity import add, plain
from tallybook.values.usage import Tally

_ROWS_AT_ONCE = 1_024
_TYPES_KEPT = 10_000
EVERY_HOUR = range(-(1 << 40), 1 << 40)


class LogCheck(Unseeing):
    """Whether rows are whole: numbered without gaps, in order of time, with their events' fingerprints."""

    name = "log"

    def __init__(self) -> None:
        self._before: LogRow | None = None
        self._found: list[Difference] = []

    def see_row(self, row: LogRow, ids: Sequence[str]) -> None:
        """Take every row of the log, with its ids."""
        self.compared += 1
        before, self._before = self._before, row
        if before is not None and row.row != before.row + 1:
            self._find(row, f"follows on row {before.row}: rows in between are missing")
        if before is not None and row.received_at < before.received_at:
            self._find(row, "was received before the row that it follows on")
        if row.events != len(ids):
            self._find(row, f"says that it holds {row.events} events and holds {len(ids)}")
        elif row.fingerprints != b"".join([xxhash.xxh3_128_digest(id_.encode()) for id_ in ids]):
            self._find(row, "holds fingerprints that are not those of its events' transaction ids")

    def differences(self) -> Iterator[Difference]:
        """What was noticed."""
        yield from self._found

    def _find(self, row: LogRow, message: str) -> None:
        self._found.append(Difference(self.name, f"row {row.row}", message))


class RepeatsCheck(Unseeing):
    """Whether the events stored as repeats are those that repeat an earlier one, and are counted so."""

    name = "repeats"

    def __init__(self, recount: Recount, store: CellStore, progress: Progress, applied: "Applied") -> None:
        self._recount, self._store, self._progress, self._applied = recount, store, progress, applied

    def differences(self) -> Iterator[Difference]:
        """Compare row by row, then the counts."""
        expected = self._recount.repeats()
        row, indexes = next(expected, (0, []))
        repeated = 0
        for first, last in self._applied.parts():
            stored = repeats_of(self._store, first, last)
            should: dict[int, list[int]] = {}
            while row and row <= last:
                should[row] = indexes
                repeated += len(indexes)
                row, indexes = next(expected, (0, []))
            for at in sorted(should.keys() | stored.keys()):
                yield from self._compare(at, set(should.get(at, ())), stored.get(at, b""))
            self.compared += last - first + 1
        yield from self._stray()
        yield from self._compare_counts(repeated)

    def _compare(self, row: int, should: set[int], packed: bytes) -> Iterator[Difference]:
        found = set(indexes_of(packed))
        for index in sorted(should ^ found):
            said = "a repeat" if index in found else "no repeat"
            truly = "it repeats an earlier one" if index in should else "it repeats none"
            yield Difference(self.name, f"row {row}, event {index}", f"stored as {said}, but {truly}")

    def _stray(self) -> Iterator[Difference]:
        beyond = repeats_of(self._store, self._progress.row + 1, 1 << 62)
        for row in sorted(beyond):
            message = f"stored for a row after the applied position {self._progress.row}"
            yield Difference(self.name, f"row {row}", message)

    def _compare_counts(self, repeated: int) -> Iterator[Difference]:
        if self._applied.first > 1:
            return  # what was counted of rows that are gone cannot be counted again
        expected = {"accepted": self._applied.events - repeated, "repeated": repeated}
        for name, count in expected.items():
            stored = getattr(self._progress, name)
            if stored != count:
                yield Difference(
                    "counts", name, f"stored {stored}, the log up to the position has {count} of them"
                )


@dataclass(slots=True)
class Applied:
    """How much of the log has been applied."""

    first: int
    """The first row kept."""
    last: int
    """The last row applied."""
    events: int
    """In all of those rows."""

    def parts(self) -> Iterator[tuple[int, int]]:
        """All rows in stretches."""
        for start in range(self.first, self.last + 1, _ROWS_AT_ONCE):
            yield start, min(start + _ROWS_AT_ONCE - 1, self.last)


def repeats_of(store: CellStore, first: int, last: int) -> dict[int, bytes]:
    """The packed bits of the rows with repeats between two numbers, both included."""
    # Those of neighbouring rows come along where they are stored together.
    found = store.repeats(first, last)
    return {row: bits for row, bits in found.items() if first <= row <= last and any(bits)}


def indexes_of(packed: bytes) -> list[int]:
    """The numbers of the bits that are set."""
    indexes: list[int] = np.flatnonzero(np.unpackbits(np.frombuffer(packed, dtype=np.uint8))).tolist()
    return indexes


class CellsCheck:
    """Whether every hourly cell holds what its events add up to, and no cell is there without events."""

    name = "cells"

    def __init__(
        self,
        path: Path,
        metrics: Sequence[StoredMetric],
        position: int,
        sums: Sums,
        hours: range = EVERY_HOUR,
        note: str | None = None,
    ) -> None:
        """Compare the cells in the file at `path` in these hours, up to the applied position."""
        self.compared = 0
        self.note = note
        self._path, self._sums, self._hours, self._position = path, sums, hours, position
        self._metrics = {item.active.number: item for item in metrics}
        self._by_type: dict[str, list[_Metered]] = {}

    def see(self, row: LogRow, events: Sequence[Event]) -> None:
        """Add a row's events up."""
        for event in events:
            hour = hour_of(event.timestamp)
            if hour not in self._hours:
                continue
            for metered in self._of_type(event.event_type):
                definition = metered.item.active.definition
                if metered.holds(row.row, self._position) and matches(
                    definition, event.event_type, event.properties
                ):
                    tally = tally_of(definition, event)
                    for number, grouping in enumerate(metered.groupings):
                        group = text_of_group(group_of(event.properties, grouping))
                        key = (metered.item.active.number, number, event.customer_id, hour, group)
                        self._sums.add(key, tally)

    def differences(self) -> Iterator[Difference]:
        """Go through expected and stored cells side by side."""
        self._sums.spill()
        stored = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        try:
            yield from self._compare_cells(stored)
            stored.execute("ATTACH ? AS expected", (str(self._sums.path),))
            yield from self._compare_values(stored, "main", "expected", "stored, but no event has it")
            yield from self._compare_values(stored, "expected", "main", "missing")
        finally:
            stored.close()

    def _of_type(self, event_type: str) -> "list[_Metered]":
        known = self._by_type.get(event_type)
        if known is None:
            if len(self._by_type) >= _TYPES_KEPT:
                self._by_type.clear()
            known = self._by_type[event_type] = [
                _Metered(item, stored_groupings(item.active.definition))
                for item in self._metrics.values()
                if item.active.definition.aggregation is not Aggregation.SQL
                and matches_type(item.active.definition.event_types, event_type)
            ]
        return known

    def _compare_cells(self, stored: sqlite3.Connection) -> Iterator[Difference]:
        """Both come in the order of their keys."""
        expected, found = self._sums.cells(), _cells_of(stored, self._hours)
        left, right = next(expected, None), next(found, None)
        while left is not None or right is not None:
            self.compared += 1
            if right is None or (left is not None and left[0] < right[0]):
                assert left is not None
                yield self._difference(left[0], f"missing; its events give {_told(left[1])}")
                left = next(expected, None)
            elif left is None or right[0] < left[0]:
                yield self._difference(right[0], f"holds {_told(right[1])}, but no event belongs there")
                right = next(found, None)
            else:
                if left[1] != right[1]:
                    message = f"holds {_told(right[1])}; its events give {_told(left[1])}"
                    yield self._difference(left[0], message)
                left, right = next(expected, None), next(found, None)

    def _compare_values(
        self, stored: sqlite3.Connection, these: str, those: str, message: str
    ) -> Iterator[Difference]:
        query = f"""SELECT * FROM {these}.distincts AS a WHERE a.hour >= ? AND a.hour < ? AND NOT EXISTS (
            SELECT 1 FROM {those}.distincts AS b WHERE a.metric = b.metric AND a.grouping = b.grouping
            AND a.customer_key = b.customer_key AND a.hour = b.hour AND a.members = b.members
            AND a.value = b.value)"""  # noqa: S608  # our names
        for *key, value in stored.execute(query, (self._hours.start, self._hours.stop)):
            yield self._difference(tuple(key), f"the distinct value {value!r} is {message}")

    def _difference(self, key: CellKey, message: str) -> Difference:
        metric, grouping, customer, hour, group = key
        item = self._metrics.get(metric)
        if item is None:
            name, members = f"unknown metric {metric}", f"grouping {grouping}"
        else:
            name = f"metric {item.active.definition.id}"
            members = ", ".join(
                next(islice(stored_groupings(item.active.definition), grouping, None), ("?",))
            )
        at = format_instant(instant_of_hour(hour))
        place = f"{name}, customer key {customer!r}, hour {at}, group ({members}) {group}"
        return Difference(self.name, place, message)


@dataclass(frozen=True, slots=True)
class _Metered:
    item: StoredMetric
    groupings: tuple[tuple[str, ...], ...]

    def holds(self, row: int, position: int) -> bool:
        """Whether the stored cells of the metric contain a row: by filling in, or as it came."""
        return row <= self.item.filled_until or self.item.active.from_row < row <= position


def _cells_of(stored: sqlite3.Connection, hours: range) -> Iterator[tuple[CellKey, Tally]]:
    query = """SELECT metric, grouping, customer_key, hour, members, count, whole, exact, max,
        latest_at, latest_row, latest_index, latest FROM cells WHERE hour >= ? AND hour < ?
        ORDER BY metric, grouping, customer_key, hour, members"""
    for *key, count, whole, exact, most, at, log_row, index, latest in stored.execute(
        query, (hours.start, hours.stop)
    ):
        amount = add(Decimal(whole), Decimal(exact or 0))
        yield tuple(key), tally_of_row((count, str(amount), most, at, log_row, index, latest))


def _told(tally: Tally) -> str:
    """A tally in words, without what it lacks."""
    told = [f"count {tally.count}"]
    if tally.sum:
        told.append(f"sum {plain(tally.sum)}")
    if tally.max is not None:
        told.append(f"max {plain(tally.max)}")
    if tally.latest is not None:
        told.append(f"latest {plain(tally.latest.value)} of event {tally.latest.position}")
    return ", ".join(told)
