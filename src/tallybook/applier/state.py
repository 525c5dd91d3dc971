"""What has been applied of a log: ids, cells since the last checkpoint, positions."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from threading import Lock

import numpy as np

from tallybook.adapters.log.committer import Committed
from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.adapters.usage.sqlite import CellStore, Progress
from tallybook.applier.answer import Merge
from tallybook.metering.cells import ActiveMetric, Cells
from tallybook.metering.event import Columns, Wanted, decode_events, joined
from tallybook.metering.fingerprints import Fingerprints, Flags
from tallybook.metering.fold import Folder
from tallybook.metering.match import grouping_to_read, stored_groupings
from tallybook.metering.timestamps import micros_of_texts
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid
from tallybook.values.instant import DAY, micros_of
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import UsageCell

_SECOND_MAX = 2**32 - 1
_TAIL_MAX = 1_000_000
"""So many events may be applied and not checkpointed; that bounds how long a restart takes."""
_ROWS_AT_ONCE = 1_024
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
        self.fingerprints = Fingerprints()
        self._folder = Folder(self._metrics.values())
        self._repeats: dict[int, bytes] = {}
        self._flushing: list[Cells] = []
        self._flushing_repeats: dict[int, bytes] = {}

    @property
    def wanted(self) -> Wanted:
        """The properties that events should be read with."""
        return self._folder.wanted

    @property
    def is_heavy(self) -> bool:
        """Whether so much has come since the last checkpoint that another is overdue."""
        now, stored = self.progress, self._stored
        return now.accepted + now.repeated - stored.accepted - stored.repeated >= _TAIL_MAX

    def recover(self, log: SqliteLog) -> None:
        """Rebuild the table of ids, then apply the rows after the last checkpoint."""
        if log.last_received_at is None:
            return
        until = self.progress.row
        after = log.last_row_at(log.last_received_at - 34 * DAY)
        self.fingerprints.expect(log.events_between(after, log.last_row))
        for rows in _some(log.read_fingerprints(after, until)):
            repeats = self._store.repeats(rows[0].row, rows[-1].row)
            self.fingerprints.restore(
                b"".join([row.fingerprints for row in rows]),
                np.concatenate([_accepted(row, repeats.get(row.row)) for row in rows]),
                np.repeat([_second(row.received_at) for row in rows], [row.events for row in rows]),
            )
        for row in log.read(until):
            columns = _columns_of(row, self.wanted)
            instants = micros_of_texts(columns.timestamps)
            self.apply(Committed(row.row, row.received_at, row.fingerprints, row.bodies, columns, instants))
            if self.is_heavy:
                self.checkpoint()

    def apply(self, committed: Committed) -> None:
        """Apply one row: drop repeats, fold the rest."""
        is_new = self.fingerprints.admit(committed.fingerprints, _second(committed.received_at))
        count = len(is_new)
        accepted = int(np.count_nonzero(is_new))
        with self._lock:
            columns = committed.columns
            if columns.wanted != self._folder.wanted:
                # A metric has appeared since the requests were read.
                columns = joined([decode_events(body, self.wanted).columns for body in committed.bodies])
            self._folder.fold(
                columns, committed.instants, None if accepted == count else is_new, committed.row
            )
            if accepted < count:
                self._repeats[committed.row] = np.packbits(~is_new).tobytes()
            before = self.progress
            self.progress = Progress(
                checkpoint=before.checkpoint,
                row=committed.row,
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
        for rows in _some(log.read(filled_until, metric.from_row)):
            repeats = self._repeats_between(rows[0].row, rows[-1].row)
            for row in rows:
                columns = _columns_of(row, folder.wanted)
                bits = repeats.get(row.row)
                is_new = None if bits is None else _accepted(row, bits)
                folder.fold(columns, micros_of_texts(columns.timestamps), is_new, row.row)
                events += row.events
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
                if self.progress == self._stored and not self._unsaved and not self._flushing:
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

    def _repeats_between(self, first: int, last: int) -> dict[int, bytes]:
        """The repeats found in some rows that have been applied, both bounds included."""
        with self._lock:
            recent = self._flushing_repeats | self._repeats
        return self._store.repeats(first, last) | recent


def _some(rows: Iterable[LogRow]) -> Iterator[list[LogRow]]:
    """The rows in lists of about as many events as are quick to handle together."""
    some: list[LogRow] = []
    events = 0
    for row in rows:
        some.append(row)
        events += row.events
        if len(some) >= _ROWS_AT_ONCE or events >= 65_536:
            yield some
            some, events = [], 0
    if some:
        yield some


def _columns_of(row: LogRow, wanted: Wanted) -> Columns:
    return joined([decode_events(body, wanted).columns for body in row.bodies])


def _accepted(row: LogRow, repeats: bytes | None) -> Flags:
    if repeats is None:
        return np.ones(row.events, dtype=np.bool_)
    bits = np.unpackbits(np.frombuffer(repeats, dtype=np.uint8), count=row.events)
    return np.asarray(bits == 0, dtype=np.bool_)


def _second(received_at: datetime) -> int:
    """The second of acceptance; all after the year 2106 are one."""
    return min(micros_of(received_at) // 1_000_000, _SECOND_MAX)
