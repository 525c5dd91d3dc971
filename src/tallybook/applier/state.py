"""What has been applied of a log: ids, cells since the last checkpoint, positions."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from tallybook.adapters.log.committer import Committed
from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.adapters.usage.sqlite import CellStore, Progress
from tallybook.applier.answer import Merge
from tallybook.metering.cells import ActiveMetric, Cells
from tallybook.metering.event import Columns, Wanted, decode_events, joined, reread_events
from tallybook.metering.fingerprints import Fingerprints, Flags
from tallybook.metering.fold import Folder
from tallybook.metering.match import grouping_to_read, stored_groupings
from tallybook.metering.timestamps import Micros, micros_of_texts
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid
from tallybook.values.instant import DAY, micros_of
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import UsageCell

SECOND_MAX = 2**32 - 1
_TAIL_MAX = 1_000_000
"""So many events may be applied and not checkpointed; that bounds how long a restart takes."""
_CELLS_HEAVY = 500_000
_CELLS_OVERFULL = 750_000
"""About half a kilobyte of memory each."""
_ROWS_AT_ONCE = 1_024
EVENTS_TOGETHER = 8_192
_NO_INSTANTS: Micros = np.empty(0, dtype=np.int64)
"""Of a row whose timestamps have not been read yet."""
_FILLED_AT_ONCE = 500_000


class State:
    """Applies rows of a log and answers from what was applied. Guards itself; any thread may call."""

    def __init__(self, store: CellStore) -> None:
        """Take up at the last checkpoint."""
        self._store = store
        self._lock = Lock()
        self._checkpointing = Lock()
        self._metrics = {stored.active.number: stored.active for stored in store.metrics()}
        self.numbers = {active.definition.id: number for number, active in self._metrics.items()}
        self._unsaved: list[ActiveMetric] = []
        self.progress = store.progress()
        self._stored = self.progress
        self.fingerprints = Fingerprints(factor=secrets.randbits(64))
        self._folder = Folder(self._metrics.values())
        self._repeats: dict[int, bytes] = {}
        self._flushing: list[Cells] = []
        self._flushing_repeats: dict[int, bytes] = {}
        self._is_broken = False

    @property
    def wanted(self) -> Wanted:
        """The properties that events should be read with."""
        return self._folder.wanted

    @property
    def is_heavy(self) -> bool:
        """Whether so much has come since the last checkpoint that another is overdue."""
        now, stored = self.progress, self._stored
        events = now.accepted + now.repeated - stored.accepted - stored.repeated
        return events >= _TAIL_MAX or self._folder.cells_known >= _CELLS_HEAVY

    @property
    def is_overfull(self) -> bool:
        """Whether so many cells wait for a checkpoint that nothing should be applied before it."""
        return self._folder.cells_known >= _CELLS_OVERFULL

    def recover(self, log: SqliteLog) -> None:
        """Rebuild the table of ids, then apply the rows after the last checkpoint."""
        if log.last_received_at is None:
            return
        until = self.progress.row
        after = log.last_row_at(log.last_received_at - 34 * DAY)
        self.fingerprints.expect(log.events_between(after, log.last_row))
        for rows in _some(log.read_fingerprints(after, until), 65_536):
            repeats = self._store.repeats(rows[0].row, rows[-1].row)
            self.fingerprints.restore(
                b"".join([row.fingerprints for row in rows]),
                np.concatenate([_accepted(row, repeats.get(row.row)) for row in rows]),
                np.repeat([_second(row.received_at) for row in rows], [row.events for row in rows]),
            )
        for row in joinable(map(self.reread, log.read(until)), self._folder.can_join):
            self.apply(row)
            if self.is_heavy:
                self.checkpoint()

    def reread(self, row: LogRow) -> Committed:
        """A row of the log as if it had just been committed."""
        columns = _columns_of(row, self.wanted)
        return Committed(row.row, row.received_at, row.fingerprints, row.bodies, columns, _NO_INSTANTS)

    def can_join(self, row: int) -> bool:
        """Whether the row may be applied together with those after it."""
        return self._folder.can_join(row)

    def apply(self, rows: Sequence[Committed]) -> None:
        """Apply rows received in one second: drop repeats, fold the rest.

        After an error nothing more is stored, so that a restart applies these rows again, whole.
        """
        with self._lock:
            try:
                self._apply(rows)
            except BaseException:
                self._is_broken = True
                raise

    def _apply(self, rows: Sequence[Committed]) -> None:
        fingerprints = b"".join([row.fingerprints for row in rows])
        is_new = self.fingerprints.admit(fingerprints, _second(rows[0].received_at))
        count = len(is_new)
        accepted = int(np.count_nonzero(is_new))
        wanted = self._folder.wanted
        columns = joined([_read_for(row, wanted) for row in rows])
        if any(row.instants is _NO_INSTANTS for row in rows):
            instants = micros_of_texts(columns.timestamps)
        else:
            instants = np.concatenate([row.instants for row in rows])
        begins = list(accumulate([len(row) for row in rows], initial=0))
        places = [(begin, row.row) for begin, row in zip(begins, rows, strict=False)]
        self._folder.fold(columns, instants, None if accepted == count else is_new, places)
        if accepted < count:
            for begin, row in zip(begins, rows, strict=False):
                repeated = ~is_new[begin : begin + len(row)]
                if repeated.any():
                    self._repeats[row.row] = np.packbits(repeated).tobytes()
        before = self.progress
        self.progress = Progress(
            checkpoint=before.checkpoint,
            row=rows[-1].row,
            accepted=before.accepted + accepted,
            repeated=before.repeated + count - accepted,
        )

    def add_metric(self, definition: MetricDefinition) -> ActiveMetric:
        """Fold for a new metric from the next row on."""
        with self._lock:
            number = max(self._metrics, default=0) + 1
            active = ActiveMetric(number, definition, self.progress.row)
            self._metrics[number] = active
            self.numbers[definition.id] = number
            self._unsaved.append(active)
            self._folder.set_metrics(self._metrics.values())
            return active

    def fill(self, metric: ActiveMetric, log: SqliteLog, filled_until: int) -> Iterator[int]:
        """Fold the rows between `filled_until` and the metric's first one, in parts.

        Gives the row reached after every part that is stored. Raises sqlite3.Error.
        """
        folder = Folder([replace(metric, from_row=0)])
        events = 0
        for rows in _some(log.read(filled_until, metric.from_row), EVENTS_TOGETHER):
            repeats = self.repeats_between(rows[0].row, rows[-1].row)
            columns = joined([_columns_of(row, folder.wanted) for row in rows])
            is_new = np.concatenate([_accepted(row, repeats.get(row.row)) for row in rows])
            begins = accumulate([row.events for row in rows], initial=0)
            places = [(begin, row.row) for begin, row in zip(begins, rows, strict=False)]
            folder.fold(
                columns, micros_of_texts(columns.timestamps), None if is_new.all() else is_new, places
            )
            events += len(columns)
            if events >= _FILLED_AT_ONCE:
                self._store.fill(metric, folder.take(), rows[-1].row)
                events = 0
                yield rows[-1].row
        self._store.fill(metric, folder.take(), metric.from_row)
        yield metric.from_row

    def checkpoint(self) -> None:
        """Store everything applied so far. Raises sqlite3.Error; then all of it is kept for the next."""
        with self._checkpointing:
            with self._lock:
                is_unchanged = self.progress == self._stored and not self._unsaved and not self._flushing
                if is_unchanged or self._is_broken:
                    return
                self._flushing = [*self._flushing, self._folder.take()]
                self._flushing_repeats |= self._repeats
                self._repeats = {}
                metrics = list(self._unsaved)
                progress = replace(self.progress, checkpoint=self._stored.checkpoint + 1)
            self._store.checkpoint(progress, self._flushing, self._flushing_repeats, metrics)
            with self._lock:
                self._flushing, self._flushing_repeats = [], {}
                self._unsaved = self._unsaved[len(metrics) :]
                self._stored = progress
                self.progress = replace(self.progress, checkpoint=progress.checkpoint)

    def read(self, number: int, question: UsageQuestion) -> list[UsageCell]:
        """Stored and recent cells, merged into the asked grouping."""
        definition = question.metric
        grouping = grouping_to_read(definition, question.grouping)
        if grouping is None:
            message = f"group_key: {list(question.grouping)} is not within a declared group key of the metric"
            raise Invalid(message)
        keys = None if question.customer_keys is None else sorted(question.customer_keys)
        borders = question.borders
        hours = (question.hour_from, question.hour_until)
        while True:
            checkpoint, cells = self._store.read(
                number, grouping, keys, borders or hours, definition.aggregation, is_hourly=borders is None
            )
            with self._lock:
                if checkpoint < self._stored.checkpoint:
                    continue  # a checkpoint ended in between: what it stored was not read
                merged = Merge(stored_groupings(definition)[grouping], question.grouping, borders)
                flushing = self._flushing if checkpoint == self._stored.checkpoint else []
                for recent in (*flushing, self._folder.cells):
                    merged.add_recent(recent, number, grouping, question)
            for cell in cells:
                merged.add(cell.customer_key, cell.hour, cell.group, cell.tally)
            return merged.cells()

    def seconds_of(self, fingerprints: bytes) -> NDArray[np.int64]:
        """When each of these ids was last accepted; see Fingerprints.seconds_of."""
        with self._lock:
            return self.fingerprints.seconds_of(fingerprints)

    def repeats_between(self, first: int, last: int) -> dict[int, bytes]:
        """The repeats found in some rows that have been applied, both bounds included."""
        with self._lock:
            recent = self._flushing_repeats | self._repeats
        return self._store.repeats(first, last) | recent


def joinable(rows: Iterable[Committed], can_join: Callable[[int], bool]) -> Iterator[list[Committed]]:
    """The rows in lists that can be applied together."""
    together: list[Committed] = []
    events = 0
    for row in rows:
        if together and not (
            events + len(row) <= EVENTS_TOGETHER
            and _second(row.received_at) == _second(together[0].received_at)
            and can_join(together[0].row)
        ):
            yield together
            together, events = [], 0
        together.append(row)
        events += len(row)
    if together:
        yield together


def _some(rows: Iterable[LogRow], count: int) -> Iterator[list[LogRow]]:
    """The rows in lists of about `count` events."""
    some: list[LogRow] = []
    events = 0
    for row in rows:
        some.append(row)
        events += row.events
        if len(some) >= _ROWS_AT_ONCE or events >= count:
            yield some
            some, events = [], 0
    if some:
        yield some


def _read_for(row: Committed, wanted: Wanted) -> Columns:
    """The columns of a row, read now when they were not, or not for every metric there is."""
    if row.columns.wanted == wanted:
        return row.columns
    if row.instants is _NO_INSTANTS:
        return joined([decode_events(body, wanted).columns for body in row.bodies])
    return joined([reread_events(body, wanted) for body in row.bodies])


def _columns_of(row: LogRow, wanted: Wanted) -> Columns:
    return joined([decode_events(body, wanted).columns for body in row.bodies])


def _accepted(row: LogRow, repeats: bytes | None) -> Flags:
    if repeats is None:
        return np.ones(row.events, dtype=np.bool_)
    bits = np.unpackbits(np.frombuffer(repeats, dtype=np.uint8), count=row.events)
    return np.asarray(bits == 0, dtype=np.bool_)


def _second(received_at: datetime) -> int:
    """The second of acceptance; all after the year 2106 are one."""
    return min(micros_of(received_at) // 1_000_000, SECOND_MAX)
