"""Reads the log in order: drop repeats, match, fold into cells, checkpoint. One owner per log.

`Metering` is one environment's whole path from an ingest request to readable usage. Three threads
stand behind it: the committer (adapters/log), the applier, and the checkpointer. What has been
answered is in the log; everything else can be rebuilt from it.
"""

import sqlite3
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from threading import Condition, Event, Lock, Thread

import numpy as np
import structlog

from tallybook.adapters.log.committer import Committed, Committer
from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.adapters.usage.sqlite import CellStore, Progress
from tallybook.metering.cells import ActiveMetric, Folder, Group, Series, SeriesKey
from tallybook.metering.event import Batch, decode_events
from tallybook.metering.fingerprints import Fingerprints, Flags
from tallybook.metering.match import grouping_to_read, stored_groupings
from tallybook.ports import Clock, UsageQuestion
from tallybook.values.errors import Invalid, Unavailable
from tallybook.values.instant import DAY, micros_of
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import Tally, UsageCell

log = structlog.get_logger("tallybook.applier")

CHECKPOINT_S = 1.0
READ_WAIT_S = 30.0
FILL_AGAIN_S = 0.5


class Metering:
    """Takes events durably and answers how much was used. Any thread may call."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Open or make `events.db` and `cells.db` in `folder` and catch up with the log."""
        self._log = SqliteLog(folder / "events.db")
        self._store = CellStore(folder / "cells.db")
        self._state = _State(self._store)
        self._recover()
        self._queue: deque[Committed] = deque()
        self._changed = Condition()
        self._closing = False
        self._committed_row = self._log.last_row
        self._events_queued = 0
        self._registering = Lock()
        self._filled: dict[int, Event] = {}
        self._fillers: list[Thread] = []
        for stored in self._store.metrics():
            self._filled[stored.active.number] = event = Event()
            if stored.is_filled:
                event.set()
            else:
                self._fill_apart(stored.active)
        self._applier = Thread(target=self._apply_forever, name="applier", daemon=True)
        self._applier.start()
        self._stop_checkpoints = Event()
        self._checkpointer = Thread(target=self._checkpoint_forever, name="checkpointer", daemon=True)
        self._checkpointer.start()
        self._committer = Committer(self._log, clock, self._enqueue, lambda: self._events_queued)

    async def ingest(self, body: bytes) -> None:
        """Store the events of one request; see ports.EventSink."""
        await self._committer.ingest(body)

    def register(self, metric: MetricDefinition) -> None:
        """Meter `metric` from now on, and what the log already holds in the background."""
        self._number_of(metric)

    def read(self, question: UsageQuestion) -> list[UsageCell]:
        """Cells that contain every event acknowledged before; see ports.UsageReader.

        Raises Invalid when the metric keeps no such grouping, Unavailable when metering lags too far.
        """
        committed = self._committed_row
        number = self._number_of(question.metric)
        if not self._filled[number].wait(READ_WAIT_S) or not self._wait_for(committed):
            raise Unavailable("Metering has not caught up with the events yet; try again in a moment")
        return self._state.read(number, question)

    def status(self) -> Mapping[str, int]:
        """Positions and counts; see ports.UsageReader."""
        progress = self._state.progress
        return {
            "log_position": self._committed_row,
            "applied_position": progress.row,
            "lag": self._committed_row - progress.row,
            "events_accepted": progress.accepted,
            "events_duplicate": progress.repeated,
        }

    def close(self) -> None:
        """Store and apply everything that was taken, checkpoint, close the files."""
        self._committer.close()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._applier.join()
        for filler in self._fillers:
            filler.join()
        self._stop_checkpoints.set()
        self._checkpointer.join()
        self._state.checkpoint()
        self._store.close()
        self._log.close()

    def _number_of(self, metric: MetricDefinition) -> int:
        with self._registering:
            known = self._state.numbers.get(metric.id)
            if known is not None:
                return known
            active = self._state.add_metric(metric)
            self._filled[active.number] = Event()
            self._fill_apart(active)
            return active.number

    def _fill_apart(self, metric: ActiveMetric) -> None:
        if metric.from_row == 0:
            self._store.fill(metric, {})
            self._filled[metric.number].set()
            return
        filler = Thread(target=self._fill, args=(metric,), name=f"fill-{metric.number}", daemon=True)
        self._fillers.append(filler)
        filler.start()

    def _fill(self, metric: ActiveMetric) -> None:
        """Fold what the log held before the metric was known; tried again until the stores take it."""
        while not self._closing:
            try:
                self._fill_once(metric)
            except sqlite3.Error as error:
                log.warning("fill_failed", metric=metric.definition.id, reason=str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, FILL_AGAIN_S)
            else:
                self._filled[metric.number].set()
                return

    def _fill_once(self, metric: ActiveMetric) -> None:
        repeats = self._state.repeats_until_now()
        folder = Folder([ActiveMetric(metric.number, metric.definition, 0)])
        for row in self._log.read(0, metric.from_row):
            _fold_row(folder, row, repeats.get(row.row))
        self._store.fill(metric, folder.take())

    def _recover(self) -> None:
        """Rebuild the table of ids, then apply the rows after the last checkpoint."""
        last = self._log.last_received_at
        if last is None:
            return
        repeats = self._store.repeats()
        for row in self._log.read_fingerprints(last - 34 * DAY, self._state.progress.row):
            self._state.fingerprints.restore(
                row.fingerprints, _accepted(row, repeats.get(row.row)), _second(row)
            )
        for row in self._log.read(self._state.progress.row):
            batches = tuple(decode_events(body) for body in row.bodies)
            self._state.apply(Committed(row.row, row.received_at, row.fingerprints, batches))

    def _enqueue(self, committed: Committed) -> None:
        with self._changed:
            self._queue.append(committed)
            self._events_queued += len(committed.fingerprints) // 16
            self._committed_row = committed.row
            self._changed.notify_all()

    def _apply_forever(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                committed = self._queue.popleft()
            self._state.apply(committed)
            with self._changed:
                self._events_queued -= len(committed.fingerprints) // 16
                self._changed.notify_all()

    def _wait_for(self, row: int) -> bool:
        if self._state.progress.row >= row:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: self._state.progress.row >= row, READ_WAIT_S)

    def _checkpoint_forever(self) -> None:
        while not self._stop_checkpoints.wait(CHECKPOINT_S):
            try:
                self._state.checkpoint()
            except sqlite3.Error as error:
                # Nothing is lost: the cells stay in memory and the log still holds their events.
                log.warning("checkpoint_failed", reason=str(error))


class _State:
    """What has been applied: ids, cells since the last checkpoint, positions. Guards itself."""

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
        self._flushing: dict[SeriesKey, Series] = {}
        self._flushing_repeats: dict[int, bytes] = {}

    def apply(self, committed: Committed) -> None:
        """Apply one row: drop repeats, fold the rest."""
        second = micros_of(committed.received_at) // 1_000_000
        is_new = self.fingerprints.admit(committed.fingerprints, second)
        count = len(is_new)
        accepted = int(np.count_nonzero(is_new))
        with self._lock:
            if accepted < count:
                self._repeats[committed.row] = (~is_new).astype(np.uint8).tobytes()
            _fold_batches(
                self._folder, committed.row, committed.batches, None if accepted == count else is_new.tolist()
            )
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

    def repeats_until_now(self) -> dict[int, bytes]:
        """The repeats found in every row applied so far."""
        with self._lock:
            recent = self._flushing_repeats | self._repeats
        return self._store.repeats() | recent

    def checkpoint(self) -> None:
        """Store everything applied so far. Raises sqlite3.Error; then all of it is kept for the next."""
        with self._checkpointing:
            with self._lock:
                if self.progress == self._stored and not self._unsaved:
                    return
                self._flushing = _joined(self._flushing, self._folder.take())
                self._flushing_repeats |= self._repeats
                self._repeats = {}
                metrics = list(self._unsaved)
                number = self._stored.checkpoint + 1
                before = self.progress
                progress = Progress(number, before.row, before.accepted, before.repeated)
            self._store.checkpoint(progress, self._flushing, self._flushing_repeats, metrics)
            with self._lock:
                self._flushing, self._flushing_repeats = {}, {}
                self._unsaved = self._unsaved[len(metrics) :]
                self._stored = progress
                now = self.progress
                self.progress = Progress(number, now.row, now.accepted, now.repeated)

    def read(self, number: int, question: UsageQuestion) -> list[UsageCell]:
        """Stored and recent cells, merged into the asked grouping."""
        definition = question.metric
        grouping = grouping_to_read(definition, question.grouping)
        if grouping is None:
            message = f"group_key: {list(question.grouping)} is not within a declared group key of the metric"
            raise Invalid(message)
        keys = None if question.customer_keys is None else sorted(question.customer_keys)
        hours = (question.hour_from, question.hour_until)
        while True:
            checkpoint, cells = self._store.read(number, grouping, keys, *hours, definition.aggregation)
            with self._lock:
                if checkpoint < self._stored.checkpoint:
                    continue  # a checkpoint ended in between: what it stored was not read
                merged = _Merge(stored_groupings(definition)[grouping], question.grouping)
                for cell in cells:
                    merged.add(cell.customer_key, cell.hour, cell.group, cell.tally)
                if checkpoint == self._stored.checkpoint:
                    merged.add_recent(self._flushing, number, grouping, question)
                merged.add_recent(self._folder.cells, number, grouping, question)
            return merged.cells()


class _Merge:
    """Merges cells of a stored grouping into a coarser one."""

    def __init__(self, stored: tuple[str, ...], wanted: tuple[str, ...]) -> None:
        self._picks = [stored.index(name) for name in wanted]
        self._tallies: dict[tuple[str, int, Group], Tally] = {}

    def add(self, customer_key: str, hour: int, group: Group, tally: Tally) -> None:
        """Merge one cell in."""
        key = (customer_key, hour, tuple([group[pick] for pick in self._picks]))
        known = self._tallies.get(key)
        self._tallies[key] = tally if known is None else known.merge(tally)

    def add_recent(
        self, cells: Mapping[SeriesKey, Series], number: int, grouping: int, question: UsageQuestion
    ) -> None:
        """Merge in cells that are not stored yet."""
        keys = question.customer_keys
        if keys is None:
            keys = frozenset(key for metric, kept, key in cells if (metric, kept) == (number, grouping))
        for customer_key in keys:
            for (hour, group), cell in cells.get((number, grouping, customer_key), {}).items():
                if question.hour_from <= hour < question.hour_until:
                    self.add(customer_key, hour, group, cell.tally())

    def cells(self) -> list[UsageCell]:
        """The merged cells by customer key, hour and group; absent members first."""
        ordered = sorted(
            self._tallies.items(),
            key=lambda item: (*item[0][:2], [(m is not None, m or "") for m in item[0][2]]),
        )
        return [UsageCell(key, hour, group, tally) for (key, hour, group), tally in ordered]


def _joined(left: dict[SeriesKey, Series], right: dict[SeriesKey, Series]) -> dict[SeriesKey, Series]:
    """Cells of a checkpoint that failed, together with those folded since."""
    if not left:
        return right
    for key, series in right.items():
        known = left.setdefault(key, {})
        for place, cell in series.items():
            if place in known:
                known[place].absorb(cell)
            else:
                known[place] = cell
    return left


def _fold_batches(folder: Folder, row: int, batches: tuple[Batch, ...], is_new: list[bool] | None) -> None:
    index = 0
    for batch in batches:
        count = len(batch.events)
        folder.fold(batch, None if is_new is None else is_new[index : index + count], row, index)
        index += count


def _fold_row(folder: Folder, row: LogRow, repeats: bytes | None) -> None:
    batches = tuple(decode_events(body) for body in row.bodies)
    is_new = None if repeats is None else [not repeated for repeated in repeats]
    _fold_batches(folder, row.row, batches, is_new)


def _accepted(row: LogRow, repeats: bytes | None) -> Flags:
    if repeats is None:
        return np.ones(row.events, dtype=np.bool_)
    return np.asarray(np.frombuffer(repeats, dtype=np.uint8) == 0, dtype=np.bool_)


def _second(row: LogRow) -> int:
    return micros_of(row.received_at) // 1_000_000
