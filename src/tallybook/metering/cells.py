"""Hourly cells: what events add up to, keyed by (metric, grouping, customer key as sent, UTC hour, group).

Cells here are deltas: what has come since the last checkpoint. They merge with what is stored in any
order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tallybook.values.metric import MetricDefinition
from tallybook.values.quantity import ZERO, add
from tallybook.values.usage import Reading, Tally

MICROS_PER_HOUR = 3_600_000_000

Group = tuple[str | None, ...]
SeriesKey = tuple[int, int, str]
"""Metric number, grouping number, customer key."""


class Cell:
    """What matching events add up to within one hour and group; changed in place."""

    __slots__ = ("count", "distinct", "exact", "latest", "max", "whole")

    def __init__(self) -> None:
        """Start with nothing."""
        self.count = 0
        self.whole = 0
        self.exact: Decimal = ZERO
        self.max: Decimal | None = None
        self.latest: tuple[int, int, int, Decimal] | None = None
        self.distinct: set[str] | None = None

    def tally(self) -> Tally:
        """The cell as everyone else knows it."""
        reading = None
        if self.latest is not None:
            at, row, index, value = self.latest
            reading = Reading(at, (row, index), value)
        distinct = frozenset(self.distinct or ())
        return Tally(self.count, add(Decimal(self.whole), self.exact), self.max, reading, distinct)

    def absorb(self, other: "Cell") -> None:
        """Add another cell's events."""
        self.count += other.count
        self.whole += other.whole
        self.exact = add(self.exact, other.exact)
        if other.max is not None and (self.max is None or other.max > self.max):
            self.max = other.max
        if other.latest is not None and (self.latest is None or other.latest[:3] > self.latest[:3]):
            self.latest = other.latest
        if other.distinct is not None:
            self.distinct = other.distinct if self.distinct is None else self.distinct | other.distinct


Series = dict[tuple[int, Group], Cell]
"""Cells by (hour, group)."""


@dataclass(frozen=True, slots=True)
class ActiveMetric:
    """A metric that is folded live: for log rows after `from_row`; earlier ones are filled in apart."""

    number: int
    definition: MetricDefinition
    from_row: int


def united(left: dict[SeriesKey, Series], right: Mapping[SeriesKey, Series]) -> dict[SeriesKey, Series]:
    """The cells of both; `left` and its cells are changed and handed back."""
    for key, series in right.items():
        known = left.setdefault(key, {})
        for place, cell in series.items():
            if place in known:
                known[place].absorb(cell)
            else:
                known[place] = cell
    return left
