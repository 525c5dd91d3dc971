"""Follows a log: applies its rows in order, checkpoints, fills in metrics, answers how much was used."""

import fcntl
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Condition, Event, Lock, Thread

import structlog

from tallybook.adapters.damage import REBUILD, damage_named, short
from tallybook.adapters.log.committer import Committed
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.adapters.usage.sqlite import CellStore
from tallybook.applier.search import search
from tallybook.applier.state import State, joinable
from tallybook.metering.cells import ActiveMetric
from tallybook.metering.event import Wanted
from tallybook.ports import RawEvent, UsageQuestion
from tallybook.values.errors import Unavailable
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import UsageCell

log = structlog.get_logger("tallybook.applier")

CHECKPOINT_S = 2.0
FIRST_CHECKPOINT_S = 0.1
CHECKPOINT_SHARE = 20
"""A checkpoint waits this many times as long as the one before took, so that it stays cheap."""
READ_WAIT_S = 30.0
TOLD_WITHIN_S = 1.0
"""After so long a row that was committed elsewhere is taken from the log and not waited for."""
FILL_AGAIN_S = 0.5
EVENTS_BEHIND_MAX = 32_768
BYTES_AS_AN_EVENT = 2_048
"""Of the bodies that wait, so many bytes count as one event: large events must not fill the memory."""
_BEHIND = "Metering has not caught up with the events yet; try again in a moment"


class Follower:
    """Applies the rows of a log that it is told of. Any thread may call."""

    def __init__(self, folder: Path, on_fault: Callable[[], object] = bool) -> None:
        """Open or make `events.db` and `cells.db` in `folder` and catch up with the log.

        `on_fault` is called when a row cannot be applied; nothing is applied after that. Raises
        Unavailable when rows that were never folded are no longer in the log.
        """
        self._on_fault = on_fault
        self._owned = _own(folder)
        self._log = SqliteLog(folder / "events.db")
        self._store = CellStore(folder / "cells.db")
        with damage_named(folder / "cells.db", REBUILD):
            self._state = State(self._store)
        self._require_rows(folder)
        self._state.recover(self._log)
        self._queue: deque[Committed] = deque()
        self._changed = Condition()
        self._stopping = Event()
        self._has_failed = False
        self._committed_row = self._log.last_row
        self._events_behind = 0
        self._following = Lock()
        self._registering = Lock()
        self._filled: dict[int, Event] = {}
        self._fillers: list[Thread] = []
        for stored in self._store.metrics():
            self._fill_apart(stored.active, stored.filled_until)
        self._applier = Thread(target=self._apply_forever, name="applier", daemon=True)
        self._applier.start()
        self._stop_checkpoints = Event()
        self._checkpointer = Thread(target=self._checkpoint_forever, name="checkpointer", daemon=True)
        self._checkpointer.start()

    def _require_rows(self, folder: Path) -> None:
        """Old rows may be gone from the log (TALLYBOOK_RAW_EVENTS_DAYS), but none that is still needed."""
        first, folded = self._log.first_row(), self._state.progress.row
        if first > folded + 1:
            self._store.close()
            self._log.close()
            os.close(self._owned)
            message = (
                f"{short(folder / 'cells.db')}: holds the events up to row {folded} and the log begins at "
                f"row {first}; restore cells.db from a backup, or run tallybook rebuild --from-kept-events"
            )
            raise Unavailable(message)

    def follow(self, committed: Committed) -> None:
        """Take a row to be applied; while too many wait, hold up whoever tells.

        Rows that come twice are ignored; rows that were left out are taken from the log.
        """
        with self._following:
            if committed.row > self._committed_row + 1:
                self._catch_up(committed.row - 1)
            if committed.row > self._committed_row:
                self._enqueue(committed)

    def _catch_up(self, row: int) -> None:
        for logged in self._log.read(self._committed_row, row):
            self._enqueue(self._state.reread(logged))

    def _enqueue(self, committed: Committed) -> None:
        with self._changed:
            self._queue.append(committed)
            self._events_behind += _weight_of(committed)
            self._committed_row = committed.row
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._events_behind <= EVENTS_BEHIND_MAX or self._has_failed)

    @property
    def wanted(self) -> Wanted:
        """The properties that events should be read with."""
        return self._state.wanted

    def register(self, metric: MetricDefinition) -> None:
        """Meter `metric` from now on, and what the log already holds in the background."""
        self._number_of(metric)

    def read(self, question: UsageQuestion, row: int | None = None) -> list[UsageCell]:
        """Cells that contain every row up to `row`, or every one told of; see ports.UsageReader.

        Raises Invalid when the metric keeps no such grouping, Unavailable when metering lags too far.
        """
        committed = self._committed_row if row is None else row
        number = self._number_of(question.metric)
        if not self._filled[number].wait(READ_WAIT_S):
            raise Unavailable(_BEHIND)
        self._reach(committed)
        return self._state.read(number, question)

    def _reach(self, row: int) -> None:
        """Wait until a row is applied. Raises Unavailable when metering lags too far."""
        if row > self._committed_row and not self._wait_for(row, TOLD_WITHIN_S):
            with self._following:
                self._catch_up(row)
        if not self._wait_for(row, READ_WAIT_S):
            raise Unavailable(_BEHIND)

    def repeats(self, first: int, last: int) -> dict[int, bytes]:
        """Which events of some rows, both bounds included, are repeats: a bit each, packed, by row.

        Rows without a repeat are left out. Raises Unavailable when metering lags too far.
        """
        self._reach(last)
        return self._state.repeats_between(first, last)

    def search(
        self, transaction_ids: Sequence[str], since: datetime, row: int | None = None
    ) -> list[RawEvent]:
        """Events by id, with every row up to `row` or every one told of; see ports.RawEvents.

        Raises Unavailable when metering lags too far.
        """
        committed = self._committed_row if row is None else row
        self._reach(committed)
        return search(self._log, self._state, transaction_ids, since, committed)

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
        """Apply everything told of, checkpoint, close the files."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        self._applier.join()
        for filler in self._fillers:
            filler.join()
        self._stop_checkpoints.set()
        self._checkpointer.join()
        self._checkpoint()
        self._store.close()
        self._log.close()
        os.close(self._owned)

    def _number_of(self, metric: MetricDefinition) -> int:
        known = self._state.numbers.get(metric.id)
        if known is not None and known in self._filled:
            return known
        with self._registering:
            known = self._state.numbers.get(metric.id)
            if known is None:
                active = self._state.add_metric(metric)
                known = active.number
                self._fill_apart(active, 0)
            return known

    def _fill_apart(self, metric: ActiveMetric, filled_until: int) -> None:
        """Fold what the log held before the metric was known, in a thread of its own."""
        self._filled[metric.number] = event = Event()
        if filled_until >= metric.from_row:
            event.set()
            return
        filler = Thread(
            target=self._fill, args=(metric, filled_until), name=f"fill-{metric.number}", daemon=True
        )
        self._fillers.append(filler)
        filler.start()

    def _fill(self, metric: ActiveMetric, filled_until: int) -> None:
        """Fill a metric in from where it stands; tried again until the stores take it."""
        while not self._stopping.is_set():
            try:
                for reached in self._state.fill(metric, self._log, filled_until):
                    filled_until = reached
                    if self._stopping.is_set():
                        return
            except sqlite3.Error as error:
                log.warning("fill_failed", metric=metric.definition.id, reason=str(error))
                self._stopping.wait(FILL_AGAIN_S)
            else:
                self._filled[metric.number].set()
                return

    def _apply_forever(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopping.is_set():
                    self._changed.wait()
                if not self._queue:
                    return
                rows = self._next_rows()
            try:
                if self._state.is_overfull:
                    self._checkpoint()  # senders wait for it rather than memory grows
                self._state.apply(rows)
            except Exception:
                # Going on would leave these rows out of every bill: take and answer nothing more.
                log.exception("apply_failed", row=rows[0].row)
                self._has_failed = True
                self._on_fault()
            with self._changed:
                self._events_behind -= sum([_weight_of(row) for row in rows])
                self._changed.notify_all()
            if self._has_failed:
                return

    def _next_rows(self) -> list[Committed]:
        """The rows that wait, as many as can be applied together."""
        rows = next(joinable(self._queue, self._state.can_join))
        for _ in rows:
            self._queue.popleft()
        return rows

    def _wait_for(self, row: int, seconds: float) -> bool:
        if self._state.progress.row >= row:
            return True
        with self._changed:
            self._changed.wait_for(lambda: self._state.progress.row >= row or self._has_failed, seconds)
        return self._state.progress.row >= row

    def _checkpoint_forever(self) -> None:
        # What a start had to apply again is stored soon, so that the next one need not.
        pause = next_in = FIRST_CHECKPOINT_S
        while not self._stop_checkpoints.wait(pause):
            next_in -= pause
            if next_in <= 0 or self._state.is_heavy:
                started = time.monotonic()
                self._checkpoint()
                next_in = max(CHECKPOINT_S, CHECKPOINT_SHARE * (time.monotonic() - started))
            pause = min(CHECKPOINT_S, next_in)

    def _checkpoint(self) -> None:
        try:
            self._state.checkpoint()
        except sqlite3.Error as error:
            # Nothing is lost: the cells stay in memory and the log still holds their events.
            log.warning("checkpoint_failed", reason=str(error))


def _weight_of(row: Committed) -> int:
    """How many events a row that waits counts for."""
    return max(len(row), sum(map(len, row.bodies)) // BYTES_AS_AN_EVENT)


def _own(folder: Path) -> int:
    """Wait until nobody else folds in this folder; a descriptor that keeps it so.

    A process that outlives its server for a moment must be gone before what it stored is read.
    """
    descriptor = os.open(folder / "cells.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
