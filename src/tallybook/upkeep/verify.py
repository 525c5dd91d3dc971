"""Computes everything anew from the events of the log and tells every difference. Changes nothing."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from tallybook.adapters.damage import REBUILD, damage_named, is_damage
from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.adapters.usage.sqlite import CellStore, Progress
from tallybook.domains import invoices
from tallybook.kit.db.tx import Environment
from tallybook.metering.aggregate import DEDUPLICATION
from tallybook.upkeep.archive import ArchiveCheck
from tallybook.upkeep.checks import Check, Difference
from tallybook.upkeep.definitions import DefinitionsCheck
from tallybook.upkeep.invoices import InvoicesCheck
from tallybook.upkeep.recount import Kept, Recount, second_of
from tallybook.upkeep.sums import Sums
from tallybook.upkeep.usage import (
    EVERY_HOUR,
    Applied,
    CellsCheck,
    LogCheck,
    RepeatsCheck,
    indexes_of,
    repeats_of,
)
from tallybook.values.errors import Unavailable
from tallybook.values.instant import DAY, format_instant, hour_of, instant_of_hour

SHOWN_MAX = 100
MICROS_PER_HOUR = 3_600_000_000

Told = Callable[[int], object]


@dataclass(slots=True)
class Report:
    """What was compared in an environment, and where it differs."""

    environment: str
    events: int = 0
    """Events in the log."""
    compared: dict[str, int] = field(default_factory=dict)
    """How many things each check compared."""
    differences: dict[str, int] = field(default_factory=dict)
    """How many differences of each check, only where there are some."""
    shown: list[Difference] = field(default_factory=list)
    """The first of them."""
    notes: list[str] = field(default_factory=list)
    """What could not be compared, and why."""

    @property
    def agrees(self) -> bool:
        """Whether there is no difference."""
        return not self.differences

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep it while there are few."""
        self.differences[difference.check] = self.differences.get(difference.check, 0) + 1
        if self.differences[difference.check] <= SHOWN_MAX:
            self.shown.append(difference)

    def close(self, check: Check) -> None:
        """Take note of what a check did."""
        try:
            for difference in check.differences():
                self.add(difference)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self.add(Difference(check.name, "cells.db", f"cannot be read ({error}); {REBUILD}"))
        self.compared[check.name] = check.compared
        if check.note is not None:
            self.notes.append(f"{check.name}: {check.note}")


def verify(environment: Environment, folder: Path, hours: range = EVERY_HOUR, told: Told = bool) -> Report:
    """Check everything that is stored of an environment whose files lie in `folder`.

    `hours` bound the cells and archived events that are compared; the rest is always compared whole.
    `told` hears of every event, twice, and of every invoice. Nobody else may hold the folder.
    """
    report = Report(environment.name)
    with tempfile.TemporaryDirectory(prefix="tallybook-verify-") as temporary, ExitStack() as open_:
        checks = [*_of_usage(environment, folder, Path(temporary), hours, told, report, open_)]
        checks.append(InvoicesCheck(environment, told=told))
        for check in checks:
            report.close(check)
    return report


def verify_invoice(environment: Environment, invoice_id: str) -> Report | None:
    """Check one invoice; None when the environment has no such final invoice."""
    report = Report(environment.name)
    report.close(InvoicesCheck(environment, invoice_id))
    return report if report.compared["invoices"] else None


def expected_steps(environment: Environment, folder: Path) -> int:
    """About how often `told` will hear of something."""
    path = folder / "events.db"
    events = 0
    if path.exists():
        with closing(SqliteLog(path)) as log:
            events = log.events_between(0, log.last_row) if log.last_row else 0
    with environment.read("verify") as tx:
        return 2 * events + invoices.count_invoices(tx)


def _of_usage(
    environment: Environment,
    folder: Path,
    temporary: Path,
    hours: range,
    told: Told,
    report: Report,
    open_: ExitStack,
) -> Iterator[Check]:
    """The checks that look at the log and at what was made of it, after they have seen its events."""
    if not (folder / "events.db").exists():
        return
    log = open_.enter_context(closing(SqliteLog(folder / "events.db")))
    if log.last_row and not (folder / "cells.db").exists():
        report.add(Difference("cells", "cells.db", "missing; the next start makes it anew from the log"))
        return
    try:
        with damage_named(folder / "cells.db", REBUILD):
            store = open_.enter_context(closing(CellStore(folder / "cells.db")))
            progress, metrics = store.progress(), store.metrics()
    except Unavailable as error:
        report.add(Difference("cells", "cells.db", error.message))
        return
    recount = open_.enter_context(closing(Recount(log, temporary, told)))
    whole, applied, first = _read_ids(log, recount, progress, report)
    hours, note = _sure_hours(hours, first)
    recount.find_repeats(None if first is None or first.row == 1 else _kept(store, log, first))
    sums = open_.enter_context(closing(Sums(temporary / "cells.db")))
    cells = CellsCheck(folder / "cells.db", metrics, progress.row, sums, hours, note)
    archive = open_.enter_context(
        closing(ArchiveCheck(folder / "archive", temporary, _micros_of(hours), applied.first))
    )
    yield whole
    yield DefinitionsCheck(environment, metrics)
    yield RepeatsCheck(recount, store, progress, applied)
    for row, events in recount.accepted(applied.first - 1, log.last_row):
        for check in (cells, archive):
            check.see(row, events)
    yield cells
    yield archive


def _read_ids(
    log: SqliteLog, recount: Recount, progress: Progress, report: Report
) -> tuple[LogCheck, Applied, LogRow | None]:
    """Read the log for the first time; also its first row."""
    whole, applied = LogCheck(), Applied(first=1, last=progress.row, events=0)
    first: LogRow | None = None
    for row in log.read(0):
        if first is None:
            first, applied.first = row, row.row
        ids = recount.note_ids(row)
        whole.see_row(row, ids)
        report.events += len(ids)
        if row.row <= progress.row:
            applied.events += len(ids)
    if progress.row > log.last_row:
        message = f"stored as applied up to row {progress.row}, but the log ends at row {log.last_row}"
        report.add(Difference("counts", "position", message))
    return whole, applied, first


def _kept(store: CellStore, log: SqliteLog, first: LogRow) -> Kept:
    """What tells repeats of events that are gone: only what was stored of them then."""
    until = log.last_row_at(first.received_at + DEDUPLICATION)
    found = set()
    for start in range(first.row, until + 1, 1_024):
        for row, packed in repeats_of(store, start, min(start + 1_023, until)).items():
            found |= {(row, index) for index in indexes_of(packed)}
    return Kept(second_of(first) + DEDUPLICATION // (DAY / 86_400), frozenset(found))


def _sure_hours(hours: range, first: LogRow | None) -> tuple[range, str | None]:
    """The hours of which every event is still in the log."""
    if first is None or first.row == 1:
        return hours, None
    # What is gone was received before the first row that is kept, and happened a day later at most.
    sure = hour_of(first.received_at + DAY) + 1
    if hours.start >= sure:
        return hours, None
    note = (
        f"the log begins at row {first.row}: hours before {format_instant(instant_of_hour(sure))} "
        "cannot be counted again and were not compared"
    )
    return range(sure, max(sure, hours.stop)), note


def _micros_of(hours: range) -> range:
    return range(max(hours.start, -(1 << 30)) * MICROS_PER_HOUR, min(hours.stop, 1 << 30) * MICROS_PER_HOUR)
