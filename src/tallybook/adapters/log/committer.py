"""Group commit: requests that arrive together become one durable row, and are answered after it."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Condition, Thread

import structlog

from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.metering.event import Batch, accept_events, fingerprints_of
from tallybook.ports import Clock
from tallybook.values.errors import TooMany, Unavailable

log = structlog.get_logger("tallybook.log")

EVENTS_PER_ROW = 8_192
EVENTS_WAITING_MAX = 200_000


@dataclass(slots=True)
class _Pending:
    body: bytes
    batch: Batch
    fingerprints: bytes
    received_at: datetime
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class Committed:
    """A row just stored, still decoded."""

    row: int
    received_at: datetime
    fingerprints: bytes
    batches: tuple[Batch, ...]


class Committer:
    """Owns the writing end of a log. `committed` is told of every row in order, after it is on disk."""

    def __init__(
        self, log_: SqliteLog, clock: Clock, committed: Callable[[Committed], None], lag: Callable[[], int]
    ) -> None:
        """Start the committing thread. `lag` tells how many events are stored and not applied."""
        self._log = log_
        self._clock = clock
        self._committed = committed
        self._lag = lag
        self._waiting: deque[_Pending] = deque()
        self._events_waiting = 0
        self._changed = Condition()
        self._closing = False
        self._thread = Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    async def ingest(self, body: bytes) -> None:
        """Check a request, wait until its row is on disk.

        Raises Invalid, TooMany when too much waits, Unavailable when it could not be stored.
        """
        received_at = self._clock.now()
        batch = accept_events(body, received_at)
        if self._events_waiting > EVENTS_WAITING_MAX or self._lag() > EVENTS_WAITING_MAX:
            raise TooMany("Too many events are waiting to be stored; send them again in a second")
        loop = asyncio.get_running_loop()
        pending = _Pending(
            body, batch, fingerprints_of(batch.events), received_at, loop, loop.create_future()
        )
        with self._changed:
            if self._closing:
                raise Unavailable("The server is shutting down; send the events again in a moment")
            self._waiting.append(pending)
            self._events_waiting += len(batch.events)
            self._changed.notify()
        await pending.done

    def close(self) -> None:
        """Store what waits, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)

    def _next_group(self) -> list[_Pending]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            group: list[_Pending] = []
            events = 0
            while self._waiting and events < EVENTS_PER_ROW:
                pending = self._waiting.popleft()
                events += len(pending.batch.events)
                group.append(pending)
            self._events_waiting -= events
            return group

    def _commit(self, group: list[_Pending]) -> None:
        events = sum(len(pending.batch.events) for pending in group)
        fingerprints = b"".join([pending.fingerprints for pending in group])
        received_at = max(pending.received_at for pending in group)
        if self._log.last_received_at is not None:
            # Received times never run backwards in the log, even when the system's clock does.
            received_at = max(received_at, self._log.last_received_at)
        try:
            row = self._log.append(received_at, events, fingerprints, [pending.body for pending in group])
        except sqlite3.Error as error:
            log.warning("append_failed", reason=str(error), events=events)
            _answer(
                group,
                Unavailable("The event log cannot be written now; nothing was stored. Try again shortly."),
            )
            return
        self._committed(
            Committed(row, received_at, fingerprints, tuple([pending.batch for pending in group]))
        )
        _answer(group, None)


def _answer(group: list[_Pending], error: Unavailable | None) -> None:
    """Let every request of the group go on, with one wake-up per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
    for pending in group:
        by_loop.setdefault(pending.loop, []).append(pending)
    for loop, members in by_loop.items():
        loop.call_soon_threadsafe(_settle, members, error)


def _settle(members: list[_Pending], error: Unavailable | None) -> None:
    for pending in members:
        if pending.done.done():
            continue  # its client went away
        if error is None:
            pending.done.set_result(None)
        else:
            pending.done.set_exception(error)
