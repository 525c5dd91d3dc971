"""Metering whose log is applied by a process of its own, so that two cores share the work.

The server checks requests, writes the log and answers them; the other process drops repeats, matches
and folds. It can be lost at any moment: the log holds everything, and another is started.
"""

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import structlog

from tallybook.adapters.log.committer import NO_RATE, Committed, Committer, IngestLimits
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.applier.metering import STOPPED
from tallybook.applier.wire import pack_row, receive_frame, send_frame
from tallybook.metering.event import UNREAD
from tallybook.ports import Clock, RawEvent, UsageQuestion
from tallybook.values.errors import TallybookError, Unavailable
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import UsageCell

log = structlog.get_logger("tallybook.applier")

CALLS = 16
FEED_BYTES = 4 << 20
STARTS_MAX = 5
"""So many processes in a row may be lost before they have caught up; then metering has failed."""


class MeteringApart:
    """Takes events durably and answers how much was used. Any thread may call."""

    def __init__(self, folder: Path, clock: Clock, limits: IngestLimits = NO_RATE) -> None:
        """Open or make the log in `folder` and start the process that follows it."""
        self._folder = folder
        self._log = SqliteLog(folder / "events.db")
        self._starting = Lock()
        self._has_failed = False
        self._process = _Process(folder)
        try:
            self._process.call("status")  # it has caught up when it answers
        except TallybookError:
            self._process.kill()
            self._log.close()
            raise
        except (OSError, EOFError):
            self._process.kill()
            self._log.close()
            message = f"{folder}: the events could not be applied; the reason stands in the log above"
            raise Unavailable(message) from None
        self._committer = Committer(self._log, clock, self._follow, lambda: UNREAD, limits)

    async def ingest(self, body: bytes) -> None:
        """Store the events of one request; see ports.EventSink."""
        if self._has_failed:
            raise Unavailable(STOPPED)
        await self._committer.ingest(body)

    def register(self, metric: MetricDefinition) -> None:
        """Meter `metric` from now on, and what the log already holds in the background."""
        self._call("register", metric)

    def read(self, question: UsageQuestion) -> list[UsageCell]:
        """Cells that contain every event acknowledged before; see ports.UsageReader."""
        cells: list[UsageCell] = self._call("read", question, self._log.last_row)
        return cells

    def repeats(self, first: int, last: int) -> dict[int, bytes]:
        """Which events of some rows are repeats; see Follower.repeats."""
        found: dict[int, bytes] = self._call("repeats", first, last)
        return found

    def search(self, transaction_ids: Sequence[str], since: datetime) -> list[RawEvent]:
        """Events by id, every one acknowledged before too; see ports.RawEvents."""
        found: list[RawEvent] = self._call("search", transaction_ids, since, self._log.last_row)
        return found

    def status(self) -> Mapping[str, int]:
        """Positions and counts; see ports.UsageReader."""
        row = self._log.last_row
        found: dict[str, int] = self._call("status")
        return {**found, "log_position": row, "lag": max(0, row - found["applied_position"])}

    def fault(self) -> str | None:
        """Why events cannot be taken or applied now; None when they can."""
        return STOPPED if self._has_failed else self._committer.fault()

    def close(self) -> None:
        """Store and apply everything that was taken, checkpoint, close the files."""
        self._committer.close()
        self._process.finish()
        self._log.close()

    def _follow(self, committed: Committed) -> None:
        """Hand a row on. What takes it may be lost: the next one finds it in the log."""
        process = self._process
        try:
            process.feed(committed)
        except OSError as error:
            log.warning("applier_lost", reason=str(error), row=committed.row)
            self._replace(process)

    def _call(self, name: str, *arguments: object) -> Any:
        """Ask the process. Raises Unavailable when it was lost; another is started then."""
        process = self._process
        try:
            return process.call(name, *arguments)
        except (OSError, EOFError) as error:
            log.warning("applier_lost", reason=str(error), call=name)
            self._replace(process)
            raise Unavailable("Metering is catching up with the events; try again in a moment") from None

    def _replace(self, lost: "_Process") -> None:
        """Start another process in place of a lost one and wait until it has caught up."""
        with self._starting:
            if self._process is not lost or self._has_failed:
                return
            lost.kill()
            for _ in range(STARTS_MAX):
                self._process = _Process(self._folder)
                try:
                    self._process.call("status")
                except TallybookError as error:
                    log.warning("applier_lost", reason=error.message)
                except (OSError, EOFError) as error:
                    log.warning("applier_lost", reason=str(error))
                else:
                    return
                self._process.kill()
            log.error("applier_failed")
            self._has_failed = True


class _Process:
    """One process that follows the log, and the connections to it."""

    def __init__(self, folder: Path) -> None:
        pairs = [socket.socketpair() for _ in range(CALLS + 1)]
        for end in pairs[0]:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, FEED_BYTES)
        theirs = [their.fileno() for _, their in pairs]
        command = [sys.executable, "-m", "tallybook.applier.process", str(folder), *map(str, theirs)]
        # Few threads allocate there: more arenas than that would only hold on to memory.
        environment = {"MALLOC_ARENA_MAX": "2", **os.environ}
        self._process = subprocess.Popen(  # noqa: S603  # ours
            command, pass_fds=theirs, stdin=subprocess.DEVNULL, env=environment
        )
        for _, their in pairs:
            their.close()
        self._is_lost = False
        self._feed = pairs[0][0]
        self._calls: SimpleQueue[socket.socket] = SimpleQueue()
        for ours, _ in pairs[1:]:
            self._calls.put(ours)

    def feed(self, committed: Committed) -> None:
        """Send a row; waits while too many are under way. Raises OSError when the process is lost."""
        send_frame(self._feed, pack_row(committed))

    def call(self, name: str, *arguments: object) -> Any:
        """Call a method of the follower. Raises what it raises; OSError or EOFError when it is lost."""
        connection = self._calls.get()
        try:
            packed = pickle.dumps((name, arguments), protocol=5)
            send_frame(connection, [len(packed).to_bytes(8, "little"), packed])
            frame = receive_frame(connection)
        finally:
            if self._is_lost:
                connection.close()
            else:
                self._calls.put(connection)
        if frame is None:
            raise EOFError("the process that applies the log has ended")
        is_answer, answer = pickle.loads(frame)  # noqa: S301  # from our own process
        if is_answer:
            return answer
        raise answer

    def finish(self) -> None:
        """Let it apply what it was fed, checkpoint and end."""
        with contextlib.suppress(OSError):
            send_frame(self._feed, [bytes(8)])
        self._process.wait()
        self._close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._is_lost = True
        self._feed.close()
        while not self._calls.empty():
            self._calls.get().close()
