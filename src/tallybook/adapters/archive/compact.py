"""Moves accepted events from the log into Parquet: by day, then customer, timestamp and place in the log.

Every step leaves the archive whole. New files come first, then the manifest that names them, then the
removal of what no manifest names any more. So a crash at any moment loses nothing and doubles nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from tallybook.adapters.archive.files import write_day
from tallybook.adapters.archive.manifest import (
    DAY_MICROS,
    ArchiveFile,
    Manifest,
    Step,
    clean,
    day_of,
    fsync_folder,
    read_manifest,
    switch,
    writing,
)
from tallybook.adapters.archive.merge import merge
from tallybook.adapters.archive.rows import clustered, in_parts, tables_of
from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.adapters.usage.sqlite import CellStore
from tallybook.values.errors import Unavailable
from tallybook.values.instant import DAY

EVENTS_AT_ONCE = 250_000
BYTES_AT_ONCE = 96 << 20
FORGOTTEN_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Kept:
    """How long events are kept: of days that ended and rows that came `days` before `now` no longer."""

    days: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """What one compaction did."""

    position: int = 0
    events: int = 0
    files_written: int = 0
    files_merged: int = 0
    files_dropped: int = 0
    rows_forgotten: int = 0


class Compactor:
    """Compacts what has been applied and checkpointed of an environment's log."""

    def __init__(
        self, folder: Path, *, kept: Kept | None = None, step: Step = bool, events: int = EVENTS_AT_ONCE
    ) -> None:
        """Prepare for the environment in `folder`; about so many `events` are moved at a time."""
        self._folder = folder
        self._archive = folder / "archive"
        self._kept = kept
        self._step = step
        self._events = events
        self._run = Run()

    def run(self) -> Run | None:
        """Move, merge, drop what is too old, tidy up. None when somebody else is at it.

        Raises Unavailable when the archive cannot go on from where it stands.
        """
        with writing(self._archive) as is_mine:
            if not is_mine:
                return None
            log = SqliteLog(self._folder / "events.db")
            cells = CellStore(self._folder / "cells.db")
            try:
                self._check(log)
                clean(self._archive, self._step)
                self._move(log, cells)
                self._merge()
                if self._kept is not None:
                    self._drop(self._kept)
                    self._forget(self._kept, log, cells)
                clean(self._archive, self._step)
            finally:
                cells.close()
                log.close()
        return self._run

    def _check(self, log: SqliteLog) -> None:
        manifest = read_manifest(self._archive)
        if log.first_row() > manifest.position + 1:
            message = (
                f"{self._archive}: its manifest ends at row {manifest.position} and the log begins at "
                f"{log.first_row()}; restore the folder from a backup"
            )
            raise Unavailable(message)

    def _move(self, log: SqliteLog, cells: CellStore) -> None:
        """Write what the log holds beyond the archive, as far as repeats are known on disk."""
        manifest = read_manifest(self._archive)
        until = cells.progress().row
        for rows in in_parts(log.read(manifest.position, until), self._events, BYTES_AT_ONCE):
            manifest = self._move_part(manifest, rows, cells)
        self._run = replace(self._run, position=manifest.position)

    def _move_part(self, manifest: Manifest, rows: Sequence[LogRow], cells: CellStore) -> Manifest:
        if rows[0].row != manifest.position + 1 or rows[-1].row != manifest.position + len(rows):
            message = (
                f"{self._folder}: the log lacks rows after {manifest.position}; restore it from a backup"
            )
            raise Unavailable(message)
        repeats = cells.repeats(rows[0].row, rows[-1].row)
        table = clustered(pa.concat_tables(tables_of(rows, repeats)))
        generation = manifest.generation + 1
        files = tuple(
            write_day(self._archive, f"{generation}-{number}.parquet", part, self._step)
            for number, part in enumerate(_days(table))
        )
        self._step("archive folder fsync")
        fsync_folder(self._archive)
        manifest = replace_files(manifest, (), files, position=rows[-1].row)
        switch(self._archive, manifest, self._step)
        self._run = replace(
            self._run,
            events=self._run.events + table.num_rows,
            files_written=self._run.files_written + len(files),
        )
        return manifest

    def _merge(self) -> None:
        """Merge small files of a day until none has many."""
        while True:
            manifest = read_manifest(self._archive)
            merged = merge(self._archive, manifest, self._step)
            if not merged:
                return
            old = {file.path for group, _ in merged for file in group}
            new = tuple(file for _, file in merged)
            switch(self._archive, replace_files(manifest, old, new), self._step)
            self._run = replace(self._run, files_merged=self._run.files_merged + len(old))
            clean(self._archive, self._step)

    def _drop(self, kept: Kept) -> None:
        """Name no files of days that are wholly too old."""
        manifest = read_manifest(self._archive)
        first_day = day_of(kept.now - kept.days * DAY)
        old = {file.path for file in manifest.files if file.day < first_day}
        if old:
            without = replace_files(manifest, old, ())
            switch(self._archive, _kept_from(without, first_day), self._step)
            self._run = replace(self._run, files_dropped=len(old))

    def _forget(self, kept: Kept, log: SqliteLog, cells: CellStore) -> None:
        """Remove rows of the log that are too old, and contained in all that is made of them."""
        if any(metric.filled_until < metric.active.from_row for metric in cells.metrics()):
            return  # a new metric is being filled in from these rows
        archived = min(read_manifest(self._archive).position, cells.progress().row)
        until = min(log.last_row_at(kept.now - kept.days * DAY), archived)
        cells.sync()
        gone = 1
        while gone:
            self._step("log forget")
            gone = log.forget(until, FORGOTTEN_AT_ONCE)
            self._run = replace(self._run, rows_forgotten=self._run.rows_forgotten + gone)


def replace_files(
    manifest: Manifest,
    old: "set[str] | tuple[()]",
    new: tuple[ArchiveFile, ...],
    position: int | None = None,
) -> Manifest:
    """The next manifest: without some files and with others."""
    kept = tuple(file for file in manifest.files if file.path not in old)
    files = sorted((*kept, *new), key=lambda file: (file.day, file.name))
    return Manifest(
        generation=manifest.generation + 1,
        position=manifest.position if position is None else position,
        files=tuple(files),
        kept_from_day=manifest.kept_from_day,
    )


def _kept_from(manifest: Manifest, day: int) -> Manifest:
    return Manifest(manifest.generation, manifest.position, manifest.files, day)


def _days(table: pa.Table) -> list[pa.Table]:
    """A clustered table day by day."""
    if not table.num_rows:
        return []
    days = table.column("timestamp").to_numpy() // DAY_MICROS
    borders = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), table.num_rows]
    return [table.slice(a, b - a) for a, b in pairwise(borders)]
