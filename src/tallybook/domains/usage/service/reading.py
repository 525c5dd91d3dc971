"""Reads usage of one customer and metric and folds it into windows, a stretch of time at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tallybook.domains.usage.model import Group, Windows
from tallybook.kit.db.tx import ReadTx
from tallybook.ports import UsageQuestion
from tallybook.values.instant import hour_of
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import Running, UsageCell

CHUNK_WINDOWS = 8
"""How many grouped windows are read at first; each further reading takes twice as many."""
CELLS_PER_READ = 200
"""So many cells cost a page as much as one more read."""
QUERY_READS = 25
"""A query of an SQL metric costs a page as much as so many reads."""
QUERY_HOURS_MAX = 400 * 24
"""The most that one query looks at, unless a single window is longer."""
STRETCH_HOURS = 32 * 24
FUTURE_HOURS = 26
"""No event is dated more than 24 hours ahead; an hour is added on either side of that."""

Folded = dict[int, dict[Group, Running]]
"""What was used, by number of the window and group; windows and groups without events are absent."""


@dataclass(slots=True)
class Budget:
    """How many reads the present page may still make."""

    reads: int

    @property
    def is_spent(self) -> bool:
        """Whether the page should end."""
        return self.reads <= 0


@dataclass(frozen=True, slots=True)
class Source:
    """Whose usage of what is read, and in which grouping; `keep` leaves groups out unless it is true."""

    tx: ReadTx
    definition: MetricDefinition
    customer_keys: frozenset[str]
    budget: Budget
    grouping: tuple[str, ...] = ()
    keep: Callable[[Group], bool] | None = None

    def fold(self, windows: Windows, first: int, count: int) -> tuple[Folded, int]:
        """What was used in windows from number `first` on, and how many of them were looked at.

        Those are `count`, or fewer when the budget of the page does not last for them.
        """
        self.budget.reads -= 1
        count = min(count, windows.count - first)
        if self.definition.sql is not None:
            return self._query(windows, first, count)
        folded: Folded = {}
        for cells in self._stretches(windows, windows.start_of(first), windows.end_of(first + count - 1)):
            self._add(folded, windows, cells)
        return folded, count

    def _add(self, folded: Folded, windows: Windows, cells: Iterable[UsageCell]) -> None:
        for cell in cells:
            if self.keep is None or self.keep(cell.group):
                groups = folded.setdefault(windows.index_of(cell.hour), {})
                groups.setdefault(cell.group, Running()).add(cell.tally)

    def _query(self, windows: Windows, first: int, count: int) -> tuple[Folded, int]:
        """What an SQL metric gives for each window by itself.

        Many windows are asked for at once; after a stretch without usage the next is twice as long.
        """
        folded: Folded = {}
        number, until, length = first, first + count, STRETCH_HOURS
        while number < until:
            if self.budget.reads < QUERY_READS and number > first:
                return folded, number - first
            start = windows.start_of(number)
            following = min(windows.index_of(start + length - 1) + 1, until)
            end = windows.end_of(following - 1)
            cuts = windows.cuts_between(start, end)
            cells = self.tx.usage.read(
                UsageQuestion(
                    self.definition, self.customer_keys, start, end, self.grouping, cuts, restarts=True
                )
            )
            self.budget.reads -= QUERY_READS + len(cells) // CELLS_PER_READ
            self._add(folded, windows, cells)
            number, length = following, STRETCH_HOURS if cells else min(2 * length, QUERY_HOURS_MAX)
        return folded, count

    def _stretches(self, windows: Windows, hour_from: int, hour_until: int) -> Iterator[list[UsageCell]]:
        """The cells of a range, newest stretch first; none reaches over the border of a window.

        A stretch is short enough to hold in memory; after one without cells the next is twice as
        long, so that decades without usage cost a few reads.
        """
        end = min(hour_until, _future(self.tx))
        length = STRETCH_HOURS
        while end > hour_from:
            start = max(hour_from, end - length)
            self.budget.reads -= 1
            cuts = windows.cuts_between(start, end)
            question = UsageQuestion(self.definition, self.customer_keys, start, end, self.grouping, cuts)
            cells = self.tx.usage.read(question)
            self.budget.reads -= len(cells) // CELLS_PER_READ
            yield cells
            end = start
            length = STRETCH_HOURS if cells else 2 * length


def used_count(tx: ReadTx, windows: Windows) -> int:
    """How many windows of a range, counted from its start, can hold events by now."""
    end = min(windows.hour_until, _future(tx))
    return windows.index_of(end - 1) + 1 if end > windows.hour_from else 0


def _future(tx: ReadTx) -> int:
    return hour_of(tx.now) + FUTURE_HOURS
