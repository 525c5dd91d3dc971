"""Decides when to archive, and has it done by a process beside the server at the lowest priority."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock, Thread

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from tallybook.adapters.archive.manifest import clean, day_of, read_manifest, writing
from tallybook.adapters.archive.store import RawEventStore
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.adapters.usage.sqlite import CellStore
from tallybook.kit.http.metrics import registry
from tallybook.ports import Clock
from tallybook.values.errors import TallybookError
from tallybook.values.instant import DAY, later_by, micros_of

log = structlog.get_logger("tallybook.archive")

LOOK_EVERY_S = 2.0
EVENTS_DUE = 200_000
WAITING_S_MAX = 600.0
"""Events that wait so long are archived however few they are."""
BUSY_EVENTS_PER_S = 50_000
EVENTS_POSTPONED = 2_000_000
"""While events come in faster than that, archiving waits until so many are due."""
AGAIN_AFTER_S = 30.0
AGAIN_AFTER_S_MAX = 1_800.0
NICE = 19
EVENTS_BEHIND = 20_000_000
NICE_BEHIND = 5
"""With so many events behind, archiving takes a greater share of the machine."""

_position = Gauge(
    "tallybook_archive_position", "Last row of the log in the archive.", ["environment"], registry=registry
)
_files = Gauge("tallybook_archive_files", "Files in the archive.", ["environment"], registry=registry)
_bytes = Gauge("tallybook_archive_bytes", "Size of the archive.", ["environment"], registry=registry)
_waiting = Gauge(
    "tallybook_archive_waiting_events",
    "About how many are to be archived.",
    ["environment"],
    registry=registry,
)
_last = Gauge(
    "tallybook_archive_last_run_seconds", "How long the last run took.", ["environment"], registry=registry
)
_runs = Counter(
    "tallybook_archive_runs", "Runs of the archiver.", ["environment", "outcome"], registry=registry
)


@dataclass(frozen=True, slots=True)
class Due:
    """When a run is due."""

    look_every_s: float = LOOK_EVERY_S
    events: int = EVENTS_DUE
    waiting_s: float = WAITING_S_MAX
    busy_events_per_s: float = BUSY_EVENTS_PER_S
    events_postponed: int = EVENTS_POSTPONED


class Archiver:
    """Keeps the archive of one environment near its log, in a thread that mostly sleeps."""

    def __init__(
        self,
        store: RawEventStore,
        environment: str,
        clock: Clock,
        days: int | None = None,
        due: Due | None = None,
        needed_from: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """Archive what `store` reads; keep events for so many `days`, or for ever.

        What happened at `needed_from` or later is kept however old it is.
        """
        self._store = store
        self._folder = store.folder
        self._environment = environment
        self._clock = clock
        self._days = days
        self._needed_from = needed_from
        self._due = due or Due()
        self._log = SqliteLog(self._folder / "events.db")
        self._cells = CellStore(self._folder / "cells.db")
        self._waiting_since: float | None = None
        self._events_waiting = 0
        self._looked: tuple[float, int] | None = None
        self._stopping = Event()
        self._ending = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._run_forever, name=f"archiver-{environment}", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop now; a run under way is given up, which harms nothing."""
        with self._ending:
            self._stopping.set()
            if self._process is not None:
                self._process.kill()
        if self._thread.is_alive():
            self._thread.join()
        self._cells.close()
        self._log.close()

    def _run_forever(self) -> None:
        pause = self._due.look_every_s
        again_after = AGAIN_AFTER_S
        self._tidy()
        while not self._stopping.wait(pause):
            pause = self._due.look_every_s
            try:
                if not self._is_due() or self._run():
                    again_after = AGAIN_AFTER_S
                    continue
            except (TallybookError, OSError, sqlite3.Error) as error:
                log.warning("archive_failed", environment=self._environment, reason=str(error))
            # Nothing is lost meanwhile: what is not archived is read from the log.
            pause = again_after
            again_after = min(2 * again_after, AGAIN_AFTER_S_MAX)

    def _tidy(self) -> None:
        """Remove what a crash has left behind."""
        archive = self._folder / "archive"
        try:
            with writing(archive) as is_mine:
                if is_mine and (archive / "manifest.json").exists():
                    clean(archive, bool)
            self._observe()
        except (TallybookError, OSError) as error:
            log.warning("archive_failed", environment=self._environment, reason=str(error))

    def _is_due(self) -> bool:
        position = read_manifest(self._folder / "archive").position
        applied = self._cells.progress().row
        self._events_waiting = self._log.events_between(position, applied) if applied > position else 0
        _waiting.labels(self._environment).set(self._events_waiting)
        if applied <= position:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
        waited = 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since
        is_old = self._waiting_since is not None and waited >= self._due.waiting_s
        is_busy = self._is_busy(applied)
        if is_old or self._events_waiting >= self._due.events:
            return not is_busy or self._events_waiting >= self._due.events_postponed
        return not is_busy and self._holds_too_old()

    def _is_busy(self, applied: int) -> bool:
        """Whether many events have come since the last look."""
        before, now = self._looked, time.monotonic()
        self._looked = (now, applied)
        if before is None or applied <= before[1]:
            return False
        events = self._log.events_between(before[1], applied)
        return events >= self._due.busy_events_per_s * max(now - before[0], 0.001)

    def _holds_too_old(self) -> bool:
        """Whether something is kept longer than it should be."""
        if self._days is None:
            return False
        since = self._kept_as_of(self._days) - self._days * DAY
        manifest = read_manifest(self._folder / "archive")
        if any(file.day < day_of(since) for file in manifest.files):
            return True
        first, last = self._log.first_row(), self._log.stored_row()
        old = min(self._log.last_row_at(since, last), manifest.position, last - 1)
        return 0 < first <= old

    def _kept_as_of(self, days: int) -> datetime:
        """The instant at which to ask what is too old: an earlier one while old events are needed."""
        now, needed = self._clock.now(), self._needed_from()
        return min(now, later_by(needed, days * DAY)) if needed else now

    def _run(self) -> bool:
        """Have it done; whether it went well."""
        started = time.monotonic()
        ours, theirs = os.pipe()
        try:
            with self._ending:
                if self._stopping.is_set():
                    return True
                self._process = self._started(ours)
            answer, _ = self._process.communicate()
            code = self._process.returncode
        finally:
            os.close(theirs)
            os.close(ours)
        with self._ending:
            self._process = None
        if self._stopping.is_set():
            return True
        seconds = time.monotonic() - started
        _runs.labels(self._environment, "failed" if code else "done").inc()
        _last.labels(self._environment).set(seconds)
        if code:
            log.warning("archive_failed", environment=self._environment, code=code)
            return False
        self._waiting_since = None
        self._store.trim()
        self._observe()
        log.info(
            "archived",
            environment=self._environment,
            seconds=round(seconds, 3),
            **msgspec.json.decode(answer),
        )
        return True

    def _started(self, server: int) -> "subprocess.Popen[bytes]":
        niceness = NICE_BEHIND if self._events_waiting > EVENTS_BEHIND else NICE
        keeping: Sequence[str] = ()
        if self._days is not None:
            keeping = (str(self._days), str(micros_of(self._kept_as_of(self._days))))
        command = [sys.executable, "-m", "tallybook.adapters.archive.process", str(self._folder)]
        command += [str(server), str(niceness), *keeping]
        return subprocess.Popen(  # noqa: S603  # ours
            command,
            pass_fds=[server],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1", **os.environ},
        )

    def _observe(self) -> None:
        status = self._store.status()
        _position.labels(self._environment).set(status["archive_position"])
        _files.labels(self._environment).set(status["archive_files"])
        _bytes.labels(self._environment).set(status["archive_bytes"])
