"""What cells should hold, added up tally by tally, in memory as long as there is little of it.

Beyond that, parts go to a temporary file and are merged in the order of their keys, so that any number
of cells takes the same memory.
"""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from tallybook.metering.cells import CellKey
from tallybook.values.quantity import ZERO, add
from tallybook.values.usage import Reading, Tally

_HELD_MAX = 200_000
"""So many cells and distinct values are held at once."""
_KEY = "metric INTEGER, grouping INTEGER, customer_key TEXT, hour INTEGER, members TEXT"
_TABLES = f"""
CREATE TABLE parts ({_KEY}, count INTEGER, sum TEXT, max TEXT,
    latest_at INTEGER, latest_row INTEGER, latest_index INTEGER, latest TEXT);
CREATE TABLE distincts ({_KEY}, value TEXT,
    PRIMARY KEY (metric, grouping, customer_key, hour, members, value)) WITHOUT ROWID;
"""


class _Sum:
    """One cell; changed in place."""

    __slots__ = ("count", "latest", "max", "sum")

    def __init__(self) -> None:
        self.count = 0
        self.sum = ZERO
        self.max: Decimal | None = None
        self.latest: Reading | None = None

    def add(self, tally: Tally) -> None:
        self.count += tally.count
        if tally.sum:
            self.sum = add(self.sum, tally.sum)
        if tally.max is not None and (self.max is None or tally.max > self.max):
            self.max = tally.max
        if tally.latest is not None and (self.latest is None or tally.latest.age > self.latest.age):
            self.latest = tally.latest


class Sums:
    """Adds tallies up by cell."""

    def __init__(self, path: Path) -> None:
        """Keep what memory must not hold at `path`."""
        self.path = path
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.execute("PRAGMA synchronous=OFF")
        self._file.execute("PRAGMA journal_mode=OFF")
        self._file.executescript(_TABLES)
        self._sums: dict[CellKey, _Sum] = {}
        self._values: set[tuple[int, int, str, int, str, str]] = set()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def add(self, key: CellKey, tally: Tally) -> None:
        """Add a tally to a cell."""
        held = self._sums.get(key)
        if held is None:
            held = self._sums[key] = _Sum()
        held.add(tally)
        for value in tally.distinct:
            self._values.add((*key, value))
        if len(self._sums) + len(self._values) >= _HELD_MAX:
            self.spill()

    def spill(self) -> None:
        """Move everything held to the file."""
        rows = []
        for key, held in self._sums.items():
            reading = (None, None, None, None)
            if held.latest is not None:
                at, position = held.latest.age
                reading = (at, *position, str(held.latest.value))  # type: ignore[assignment]
            most = None if held.max is None else str(held.max)
            rows.append((*key, held.count, str(held.sum), most, *reading))
        self._file.execute("BEGIN")
        self._file.executemany(f"INSERT INTO parts VALUES ({','.join('?' * 12)})", rows)  # noqa: S608
        self._file.executemany("INSERT OR IGNORE INTO distincts VALUES (?, ?, ?, ?, ?, ?)", self._values)
        self._file.execute("COMMIT")
        self._sums.clear()
        self._values.clear()

    def cells(self) -> Iterator[tuple[CellKey, Tally]]:
        """Every cell but for its distinct values, in the order of the keys; spill before."""
        parts = self._file.execute(
            "SELECT * FROM parts ORDER BY metric, grouping, customer_key, hour, members"
        )
        for key, members in groupby(parts, key=itemgetter(0, 1, 2, 3, 4)):
            merged = _Sum()
            for row in members:
                merged.add(tally_of_row(row[5:]))
            yield key, Tally(merged.count, merged.sum, merged.max, merged.latest)


def tally_of_row(row: tuple[int, str, str | None, int | None, int, int, str]) -> Tally:
    """A tally from the columns count, sum, max, latest_at, latest_row, latest_index, latest."""
    count, amount, most, at, log_row, index, latest = row
    reading = None if at is None else Reading(at, (log_row, index), Decimal(latest))
    return Tally(count, Decimal(amount), None if most is None else Decimal(most), reading)
