"""Hourly cells: what events add up to, keyed by (metric, grouping, customer key as sent, UTC hour, group).

Cells here are deltas: what has come since the last checkpoint. They merge with what is stored in any
order. Counts and modest whole sums, which are nearly everything, stand in columns of numpy; the rest
of a cell is an object of its own, for the few cells that have more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from tallybook.values.metric import MetricDefinition
from tallybook.values.quantity import ZERO, add
from tallybook.values.usage import Reading, Tally

MICROS_PER_HOUR = 3_600_000_000
WHOLE_ROOM = 2**62
"""Running whole sums stay below this, so that 64 bits hold them."""

Group = tuple[str | None, ...]
SeriesKey = tuple[int, int, str]
"""Metric number, grouping number, customer key."""
Place = tuple[int, Group]
"""Hour and group, within a series."""
CellKey = tuple[int, int, str, int, str]
"""Metric number, grouping number, customer key, hour, group as text."""
Integers = NDArray[np.int64]

_GROUP = msgspec.json.Decoder(tuple[str | None, ...])


def text_of_group(group: Group) -> str:
    """A group as text, by which cells are stored.

    >>> text_of_group(("eu", None))
    '["eu",null]'
    """
    return msgspec.json.encode(group).decode()


def group_of_text(text: str) -> Group:
    """The group that `text_of_group` wrote."""
    return _GROUP.decode(text)


class Cell:
    """What matching events add up to within one hour and group; changed in place."""

    __slots__ = ("count", "distinct", "exact", "latest", "max", "whole")

    def __init__(self, count: int = 0, whole: int = 0) -> None:
        """Start with so many events that add up to `whole`."""
        self.count = count
        self.whole = whole
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


class Cells:
    """Many cells, numbered. Numbers and keys outlast `take`, so that cells need not be found again.

    Number 0 is nobody's: what is added to it is lost.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._keys: list[CellKey] = [(0, 0, "", 0, "")]
        self._series: dict[SeriesKey, dict[Place, int]] = {}
        self._empty()

    def _empty(self) -> None:
        size = max(1_024, len(self._keys))
        self.counts: Integers = np.zeros(size, dtype=np.int64)
        self._wholes: Integers = np.zeros(size, dtype=np.int64)
        self._room = WHOLE_ROOM
        self._others: dict[int, Cell] = {}

    def __len__(self) -> int:
        return len(self._keys) - 1

    def number_of(self, series: SeriesKey, place: Place, text: str) -> int:
        """The number of a cell, whose group is `text` as text; a new one where it has none."""
        places = self._series.setdefault(series, {})
        number = places.get(place)
        if number is None:
            number = places[place] = len(self._keys)
            self._keys.append((*series, place[0], text))
        return number

    def make_room(self, most: int) -> None:
        """Be ready for every number given so far, and for sums that grow by up to `most`."""
        missing = len(self._keys) - len(self.counts)
        if missing > 0:
            more = np.zeros(max(missing, len(self.counts)), dtype=np.int64)
            self.counts = np.concatenate((self.counts, more))
            self._wholes = np.concatenate((self._wholes, more))
        if most > self._room:
            for number in np.flatnonzero(self._wholes).tolist():
                self.other(number).whole += int(self._wholes[number])
            self._wholes[:] = 0
            self._room = WHOLE_ROOM
        self._room -= most

    def add(self, numbers: Integers, counts: Integers, wholes: Integers) -> None:
        """Add events to cells; a number may occur more than once."""
        np.add.at(self.counts, numbers, counts)
        np.add.at(self._wholes, numbers, wholes)

    def other(self, number: int) -> Cell:
        """What a cell holds beside its count and whole sum; to be changed in place."""
        cell = self._others.get(number)
        if cell is None:
            cell = self._others[number] = Cell()
        return cell

    def take(self) -> "Cells":
        """Hand over what was added and start anew, with the same numbers."""
        taken = Cells.__new__(Cells)
        taken.__dict__.update(self.__dict__)
        self._empty()
        return taken

    def of(self, series: SeriesKey) -> Iterator[tuple[int, Group, Cell]]:
        """The cells of a series that hold events: hour, group, cell."""
        places = self._series.get(series)
        if not places:
            return
        # Most of the cells that were ever numbered hold nothing now: those cost next to nothing.
        numbers = np.fromiter(places.values(), dtype=np.int64, count=len(places))
        numbers = numbers[: np.searchsorted(numbers, len(self.counts))]  # ascending as they were given
        live = np.flatnonzero(self.counts[numbers])
        if not len(live):
            return
        known = list(places)
        for index in live.tolist():
            yield *known[index], self._cell(int(numbers[index]))

    def customer_keys(self, metric: int, grouping: int) -> frozenset[str]:
        """The customer keys of the series of a metric and grouping."""
        return frozenset(
            key for number, kept, key in list(self._series) if (number, kept) == (metric, grouping)
        )

    def apart(self) -> tuple[list[tuple[CellKey, int, int]], list[tuple[CellKey, Cell]]]:
        """The cells that hold events: with counts and sums where they have no more, and the others.

        Both in the order of their keys.
        """
        numbers = np.flatnonzero(self.counts[1:]) + 1
        counts, wholes = self.counts[numbers].tolist(), self._wholes[numbers].tolist()
        keys, others = self._keys, self._others
        plain = [
            (keys[number], count, whole)
            for number, count, whole in zip(numbers.tolist(), counts, wholes, strict=True)
            if number not in others
        ]
        plain.sort()
        rest = [(keys[number], self._cell(number)) for number in others]
        rest.sort(key=itemgetter(0))
        return plain, rest

    def __iter__(self) -> Iterator[tuple[CellKey, Cell]]:
        plain, rest = self.apart()
        yield from ((key, Cell(count, whole)) for key, count, whole in plain)
        yield from rest

    def _cell(self, number: int) -> Cell:
        if number >= len(self.counts):
            return Cell()  # numbered after these were handed over
        cell = Cell(int(self.counts[number]), int(self._wholes[number]))
        other = self._others.get(number)
        if other is not None:
            cell.absorb(other)
        return cell

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[CellKey, Cell]]) -> "Cells":
        """The cells of which these are parts."""
        cells = cls()
        for (metric, grouping, customer_key, hour, group), cell in pairs:
            place = (hour, group_of_text(group))
            number = cells.number_of((metric, grouping, customer_key), place, group)
            cells.make_room(0)
            cells.counts[number] += cell.count
            rest = cells.other(number)
            rest.absorb(cell)
            rest.count -= cell.count
        return cells


@dataclass(frozen=True, slots=True)
class ActiveMetric:
    """A metric that is folded live: for log rows after `from_row`; earlier ones are filled in apart."""

    number: int
    definition: MetricDefinition
    from_row: int
