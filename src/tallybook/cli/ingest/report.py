"""Tells people how a load goes and ended, and programs how it ended."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tallybook.cli.common import complain, give, say
from tallybook.cli.ingest.batches import Batch
from tallybook.cli.ingest.checkpoint import Progress as LoadProgress
from tallybook.cli.ingest.loading import Outcome
from tallybook.cli.ingest.sender import Sender


class _Told(ProgressColumn):
    """What a load tells beside its bar; also while nothing moves."""

    def __init__(self, sender: Sender) -> None:
        super().__init__()
        self._sender = sender
        self._started = time.monotonic()

    def render(self, task: Task) -> Text:
        """Events taken, rate, rejected lines, and why it waits."""
        taken, rejected = task.fields["taken"], task.fields["rejected"]
        rate = (taken - task.fields["taken_before"]) / max(time.monotonic() - self._started, 0.001)
        told = f"{taken:,} events, {rate:,.0f}/s"
        if rejected:
            told += f", {rejected:,} rejected"
        if self._sender.trouble is not None:
            told += f"; trying again: {self._sender.trouble[:60]}"
        return Text(told)


class Bar:
    """A progress bar on the standard error, only where a person looks at it."""

    def __init__(self, bytes_total: int, taken_before: int, sender: Sender, *, is_shown: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(),
            TaskProgressColumn(),
            _Told(sender),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not (is_shown and console.is_terminal),
        )
        self._task = self._progress.add_task(
            "", total=max(bytes_total, 1), taken=taken_before, taken_before=taken_before, rejected=0
        )

    def __enter__(self) -> Self:
        """Show the bar for a block."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()

    def advanced(self, progress: LoadProgress, batch: Batch) -> None:
        """Show that everything up to the end of `batch` is done with."""
        self._progress.update(
            self._task, completed=batch.bytes_end, taken=progress.taken, rejected=progress.rejected
        )


def tell_trouble(why: str) -> None:
    """Say why nothing moves, where no bar shows it."""
    if not sys.stderr.isatty():
        complain(why)


def tell(outcome: Outcome, *, seconds: float, rejects: str | None, as_json: bool) -> None:
    """Print how the load ended."""
    if as_json:
        give(summary_of(outcome, seconds))
        return
    progress = outcome.progress
    if outcome.resumed_from:
        say(f"went on after {outcome.resumed_from:,} lines that were done before")
    say(f"{progress.taken:,} events taken in {seconds:.1f} s; repeats among them count once")
    if progress.rejected:
        table = Table("file", "line", "reason", title="rejected lines", title_justify="left")
        for row in progress.shown:
            table.add_row(str(row["file"]), str(row["line"]), str(row["reason"]))
        Console(stderr=True).print(table)
        more = progress.rejected - len(progress.shown)
        where = f"all of them in {rejects}" if rejects else "--rejects FILE writes all of them"
        complain(
            f"{progress.rejected:,} lines rejected"
            + (f" ({more:,} not shown)" if more else "")
            + f"; {where}"
        )
    if outcome.failure is not None:
        complain(f"stopped: {outcome.failure}")
    if outcome.failure is not None or outcome.is_interrupted:
        complain(f"not finished, {progress.records:,} lines are done; the same command goes on from there")


def summary_of(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """How the load ended, for programs."""
    progress = outcome.progress
    return {
        "complete": outcome.failure is None and not outcome.is_interrupted,
        "events_taken": progress.taken,
        "lines_rejected": progress.rejected,
        "rejected": progress.shown,
        "lines_done": progress.records,
        "resumed_from": outcome.resumed_from,
        "interrupted": outcome.is_interrupted,
        "failure": outcome.failure,
        "seconds": round(seconds, 3),
    }
