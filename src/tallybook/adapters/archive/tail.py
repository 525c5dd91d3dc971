"""Events that are not archived yet: read from the log, kept decoded for the questions that follow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tallybook.adapters.archive.manifest import RawScope
from tallybook.adapters.archive.rows import EVENTS_AT_ONCE, SCHEMA, in_parts, table_of
from tallybook.adapters.log.sqlite import LogRow, SqliteLog

KEPT_BYTES = 96 << 20
"""So much stays decoded; what lies beyond is decoded for every question, and only what it asks for."""

Repeats = Callable[[int, int], Mapping[int, bytes]]
"""The repeats of some rows, both bounds included: a bit for every event, packed, by row."""


class Moved(Exception):  # no error: read again
    """Rows that were still to be read from the log are gone from it, since they have been archived."""


@dataclass(frozen=True, slots=True)
class _Part:
    first: int
    last: int
    table: pa.Table


class Tail:
    """The newest rows of a log as tables. One thread at a time."""

    def __init__(self, log: SqliteLog, repeats: Repeats, kept_bytes: int = KEPT_BYTES) -> None:
        """Keep nothing yet."""
        self._log = log
        self._repeats = repeats
        self._kept_bytes = kept_bytes
        self._parts: list[_Part] = []

    def drop(self, position: int) -> None:
        """Keep nothing of the rows up to `position`."""
        self._parts = [part for part in self._parts if part.last > position]
        if self._parts and self._parts[0].first > position + 1:
            self._parts = []

    def read(self, position: int, last: int, scope: RawScope) -> pa.Table:
        """The accepted events in scope of the rows after `position` up to `last`.

        Raises Moved when the log does not hold all of those rows, Unavailable when metering lags.
        """
        self.drop(position)
        found = [_after(position, part.table) for part in self._parts]
        reached = self._parts[-1].last if self._parts else position
        for rows in self._rows(reached, last):
            repeats = self._repeats(rows[0].row, rows[-1].row)
            if sum([part.table.nbytes for part in self._parts]) >= self._kept_bytes:
                found.append(table_of(rows, repeats, scope))
                continue
            table = table_of(rows, repeats)
            self._keep(_Part(rows[0].row, rows[-1].row, table))
            found.append(table)
        return pa.concat_tables([SCHEMA.empty_table(), *[_within(scope, table) for table in found]])

    def _rows(self, after: int, last: int) -> Iterator[Sequence[LogRow]]:
        reached = after
        for rows in in_parts(self._log.read(after, last), EVENTS_AT_ONCE):
            if rows[0].row != reached + 1 or rows[-1].row != reached + len(rows):
                raise Moved
            reached = rows[-1].row
            yield rows
        if reached < last:
            raise Moved

    def _keep(self, part: _Part) -> None:
        newest = self._parts[-1] if self._parts else None
        if newest is not None and newest.table.num_rows + part.table.num_rows <= EVENTS_AT_ONCE:
            joined = pa.concat_tables([newest.table, part.table]).combine_chunks()
            self._parts[-1] = _Part(newest.first, part.last, joined)
        else:
            self._parts.append(part)


def _after(position: int, table: pa.Table) -> pa.Table:
    rows = table.column("log_row").to_numpy()
    return table.slice(int(np.searchsorted(rows, position, side="right")))


def _within(scope: RawScope, table: pa.Table) -> pa.Table:
    instants = table.column("timestamp")
    is_in = pc.and_(
        pc.greater_equal(instants, pa.scalar(scope.micros_from, pa.int64())),
        pc.less(instants, pa.scalar(scope.micros_until, pa.int64())),
    )
    if scope.customer_keys is not None:
        keys = pa.array(sorted(scope.customer_keys), pa.string())
        is_in = pc.and_(is_in, pc.is_in(table.column("customer_id"), value_set=keys))
    return table.filter(is_in)
