"""Group commit: requests that arrive together become one durable row, and are answered after it."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Condition, Thread

import numpy as np
import structlog

from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.kit.rate_limit import RateLimit
from tallybook.kit.settings import EVENTS_WAITING_MAX
from tallybook.metering.event import (
    Batch,
    Columns,
    Wanted,
    accept_events,
    accept_timestamps,
    decode_events,
    joined,
)
from tallybook.metering.timestamps import Micros
from tallybook.ports import Clock
from tallybook.values.errors import Invalid, TallybookError, TooMany, Unavailable

log = structlog.get_logger("tallybook.log")

EVENTS_PER_ROW = 8_192
BYTES_PER_ROW = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """How many events may wait for the disk, and how many are taken in a second (None: any number)."""

    events_waiting_max: int = EVENTS_WAITING_MAX
    rate: RateLimit | None = None


NO_RATE = IngestLimits()


@dataclass(slots=True)
class _Pending:
    body: bytes
    batch: Batch
    received_at: datetime
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class Committed:
    """A row just stored, still decoded."""

    row: int
    received_at: datetime
    fingerprints: bytes
    bodies: Sequence[bytes]
    columns: Columns
    instants: Micros

    def __len__(self) -> int:
        return len(self.fingerprints) // 16


class Committer:
    """Owns the writing end of a log.

    `committed` is told of every row in order, after it is on disk and before its requests are
    answered; it may take its time, and so slow the senders down.
    """

    def __init__(
        self,
        log_: SqliteLog,
        clock: Clock,
        committed: Callable[[Committed], None],
        wanted: Callable[[], Wanted],
        limits: IngestLimits = NO_RATE,
    ) -> None:
        """Start the committing thread. `wanted` tells which properties events are to be read with."""
        self._limits = limits
        self._log = log_
        self._clock = clock
        self._committed = committed
        self._wanted = wanted
        self._waiting: deque[_Pending] = deque()
        self._events_waiting = 0
        self._changed = Condition()
        self._closing = False
        self._fault: str | None = None
        self._thread = Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    async def ingest(self, body: bytes) -> None:
        """Check a request, wait until its row is on disk.

        Raises Invalid, TooMany when too much waits or comes, Unavailable when it could not be stored.
        """
        self._require_room(1)  # a request that must be refused is not worth reading
        if self._limits.rate is not None:
            self._limits.rate.require(1, "events")
        batch = accept_events(body, self._wanted())
        loop = asyncio.get_running_loop()
        pending = _Pending(body, batch, self._clock.now(), loop, loop.create_future())
        with self._changed:
            if self._closing:
                raise Unavailable("The server is shutting down; send the events again in a moment")
            self._require_room(len(batch))
            if self._limits.rate is not None:
                self._limits.rate.take(len(batch), "events")
            self._waiting.append(pending)
            self._events_waiting += len(batch)
            self._changed.notify()
        await pending.done

    def fault(self) -> str | None:
        """Why rows cannot be stored; None when the last one could be, or one could be now."""
        if self._fault is not None:
            try:
                self._log.probe()
            except sqlite3.Error as error:
                self._fault = str(error)
            else:
                self._fault = None
        return self._fault

    def close(self) -> None:
        """Store what waits, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _require_room(self, count: int) -> None:
        """Check that so many events more may wait; a request alone always may. Raises TooMany."""
        waiting = self._events_waiting
        if waiting and waiting + count > self._limits.events_waiting_max:
            raise TooMany(f"{waiting} events are waiting to be stored; send these again in a second")

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._commit(group)
            except sqlite3.Error as error:
                self._fault = str(error)
                log.warning("append_failed", reason=str(error), requests=len(group))
                _answer(group, _unavailable())
            except Exception:
                # Whatever is wrong with this group, those after it are to be served.
                log.exception("commit_failed", requests=len(group))
                _answer(group, _unavailable())

    def _next_group(self) -> list[_Pending]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            group: list[_Pending] = []
            events = size = 0
            while self._waiting and events < EVENTS_PER_ROW and size < BYTES_PER_ROW:
                pending = self._waiting.popleft()
                events += len(pending.batch)
                size += len(pending.body)
                group.append(pending)
            self._events_waiting -= events
            return group

    def _commit(self, group: list[_Pending]) -> None:
        """Store the good requests of a group as one row, hand it on, answer. Raises sqlite3.Error."""
        wanted = group[-1].batch.columns.wanted
        columns, instants = _checked(group, wanted)
        if not group:
            return
        fingerprints = b"".join([pending.batch.fingerprints for pending in group])
        bodies = [pending.body for pending in group]
        received_at = max([pending.received_at for pending in group])
        if self._log.last_received_at is not None:
            # Received times never run backwards in the log, even when the system's clock does.
            received_at = max(received_at, self._log.last_received_at)
        row = self._log.append(received_at, len(fingerprints) // 16, fingerprints, bodies)
        self._fault = None
        self._committed(Committed(row, received_at, fingerprints, bodies, columns, instants))
        _answer(group, None)


def _checked(group: list[_Pending], wanted: Wanted) -> tuple[Columns, Micros]:
    """The events of a group and their instants; requests with a bad timestamp are refused and taken out."""
    columns = [_read_for(pending, wanted) for pending in group]
    together = joined(columns)
    times = [pending.received_at for pending in group]
    try:
        return together, accept_timestamps(together.timestamps, min(times), max(times))
    except Invalid:
        return _checked_one_by_one(group, columns)


def _checked_one_by_one(group: list[_Pending], columns: list[Columns]) -> tuple[Columns, Micros]:
    good: list[_Pending] = []
    instants: list[Micros] = []
    kept: list[Columns] = []
    for pending, part in zip(group, columns, strict=True):
        try:
            instants.append(accept_timestamps(part.timestamps, pending.received_at, pending.received_at))
        except Invalid as error:
            _answer([pending], error)
        else:
            good.append(pending)
            kept.append(part)
    group[:] = good
    return joined(kept or columns[:1]), np.concatenate(instants) if instants else np.empty(0, np.int64)


def _read_for(pending: _Pending, wanted: Wanted) -> Columns:
    """The columns of a request, read again when a metric has appeared since it came."""
    columns = pending.batch.columns
    return columns if columns.wanted == wanted else decode_events(pending.body, wanted).columns


def _unavailable() -> Unavailable:
    return Unavailable("The event log cannot be written now; nothing was stored. Try again shortly.")


def _answer(group: list[_Pending], error: TallybookError | None) -> None:
    """Let every request of the group go on, with one wake-up per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
    for pending in group:
        by_loop.setdefault(pending.loop, []).append(pending)
    for loop, members in by_loop.items():
        with suppress(RuntimeError):  # the loop has ended, and everyone who waited on it
            loop.call_soon_threadsafe(_settle, members, error)


def _settle(members: list[_Pending], error: TallybookError | None) -> None:
    for pending in members:
        if pending.done.done():
            continue  # its client went away
        if error is None:
            pending.done.set_result(None)
        else:
            pending.done.set_exception(error)
