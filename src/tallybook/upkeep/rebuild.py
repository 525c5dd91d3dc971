"""Makes everything that metering derives from the log anew: repeats, hourly cells, the archive."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tallybook.adapters.archive.manifest import Manifest, read_manifest
from tallybook.adapters.archive.manifest import switch as switch_manifest
from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.adapters.usage.sqlite import CellStore, Progress
from tallybook.applier.state import State
from tallybook.domains import metrics
from tallybook.kit.db.tx import Environment
from tallybook.metering.cells import ActiveMetric
from tallybook.upkeep import switch
from tallybook.values.errors import Conflict, Unavailable
from tallybook.values.instant import format_instant
from tallybook.values.metric import Aggregation, MetricDefinition

Told = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made anew."""

    environment: str
    rows: int
    accepted: int
    repeated: int
    metrics: int
    archived: int
    """Events in the new archive."""
    first_row: int
    """Where the log begins; 1 where none of it has been removed."""


def rebuild(
    environment: Environment,
    folder: Path,
    *,
    from_kept_events: bool = False,
    told: Told = bool,
    step: switch.Step = bool,
) -> Rebuilt | None:
    """Rebuild what lies in an environment's `folder`; None where it has no log.

    Nobody else may hold the folder. `told` hears of every event twice: counted, archived. Interrupted
    at any moment, the old files stay or the new ones are in place after the next start. Raises Conflict
    when the beginning of the log is gone, unless only what follows from kept events is asked for.
    """
    switch.finish(folder, step)
    if not (folder / "events.db").exists():
        return None
    with closing(SqliteLog(folder / "events.db")) as log:
        first_row = log.first_row() or 1
        if first_row > 1 and not from_kept_events:
            raise Conflict(_lost(log, first_row))
    kept = _metered(environment, folder)
    built = switch.begin(folder, step)
    progress = _rebuild_cells(built, kept, told)
    archived = _rebuild_archive(built, first_row, told, step)
    switch.complete(folder, step)
    switch.finish(folder, step)
    return Rebuilt(
        environment=environment.name,
        rows=progress.row - first_row + 1 if progress.row else 0,
        accepted=progress.accepted,
        repeated=progress.repeated,
        metrics=len(kept),
        archived=archived,
        first_row=first_row,
    )


def expected_events(folder: Path) -> int:
    """About how many events the log of an environment holds."""
    if not (folder / "events.db").exists():
        return 0
    with closing(SqliteLog(folder / "events.db")) as log:
        first = log.first_row()
        return log.events_between(first - 1, log.last_row) if first else 0


def _lost(log: SqliteLog, first_row: int) -> str:
    first: LogRow = next(log.read(first_row - 1, first_row))
    return (
        f"--data: rows 1 to {first_row - 1} of the log are no longer kept, so what was counted and archived "
        f"of events received before {format_instant(first.received_at)} would be lost; restore a backup, or "
        "use --from-kept-events to rebuild without them"
    )


def _metered(environment: Environment, folder: Path) -> list[ActiveMetric]:
    """Every metric to be metered, from the first row on: known ones keep their numbers."""
    known: dict[str, tuple[int, MetricDefinition]] = {}
    try:
        with closing(CellStore(folder / "cells.db")) as store:
            for item in store.metrics():
                known[item.active.definition.id] = (item.active.number, item.active.definition)
    except (sqlite3.Error, ValueError, Unavailable):
        known = {}  # too broken to say: the catalogue knows them all
    with environment.read("rebuild") as tx:
        defined = [item.definition for item in metrics.all_metrics(tx, include_archived=True)]
    for definition in defined:
        if definition.aggregation is not Aggregation.SQL:
            free = 1 + max([number for number, _ in known.values()], default=0)
            number, _ = known.get(definition.id, (free, definition))
            known[definition.id] = (number, definition)
    return [ActiveMetric(number, definition, 0) for number, definition in sorted(known.values(), key=_first)]


def _first(pair: tuple[int, MetricDefinition]) -> int:
    return pair[0]


def _rebuild_cells(built: Path, kept: list[ActiveMetric], told: Told) -> Progress:
    """Apply the whole log, as a start does that finds no checkpoint."""
    with closing(CellStore(built / "cells.db")) as store, closing(_Told(built / "events.db", told)) as log:
        store.checkpoint(Progress(), (), {}, kept)
        state = State(store)
        state.recover(log)
        state.checkpoint()
        return state.progress


def _rebuild_archive(built: Path, first_row: int, told: Told, step: switch.Step) -> int:
    from tallybook.adapters.archive.compact import Compactor  # noqa: PLC0415  # loads pyarrow

    archive = built / "archive"
    archive.mkdir()
    if first_row > 1:
        switch_manifest(archive, Manifest(position=first_row - 1), step)
    seen = 0

    def stepped(name: str) -> None:
        nonlocal seen
        step(name)
        events = read_manifest(archive).events
        told(events - seen)
        seen = events

    Compactor(built, step=stepped).run()
    return read_manifest(archive).events


class _Told(SqliteLog):
    """A log that tells of every event that is read from it."""

    def __init__(self, path: Path, told: Told) -> None:
        super().__init__(path)
        self._told = told

    def read(self, after: int, until: int | None = None) -> Iterator[LogRow]:
        """Rows after one number up to another (or the last), in order."""
        for row in super().read(after, until):
            yield row
            self._told(row.events)
