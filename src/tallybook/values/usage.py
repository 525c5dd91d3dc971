"""Usage as metering hands it to everyone else: tallies per customer key, group and UTC hour."""

from dataclasses import dataclass
from decimal import Decimal

from tallybook.values.metric import Aggregation
from tallybook.values.quantity import ZERO, add


@dataclass(frozen=True, slots=True)
class Reading:
    """One numeric value at one moment; the greatest is the latest (design decision 6)."""

    timestamp_micros: int
    position: tuple[int, int]
    value: Decimal

    @property
    def age(self) -> tuple[int, tuple[int, int]]:
        """Sorts readings: by timestamp, then by position in the log."""
        return self.timestamp_micros, self.position


@dataclass(frozen=True, slots=True)
class Tally:
    """What matching events add up to; tallies of disjoint events merge in any order.

    `count` counts every matching event. The numeric fields see only events whose aggregation
    property is a number; `distinct` holds canonical texts and is kept for UNIQUE only.
    """

    count: int = 0
    sum: Decimal = ZERO
    max: Decimal | None = None
    latest: Reading | None = None
    distinct: frozenset[str] = frozenset()

    def merge(self, other: "Tally") -> "Tally":
        """The tally of both sets of events."""
        return Tally(
            count=self.count + other.count,
            sum=add(self.sum, other.sum),
            max=_greater(self.max, other.max),
            latest=_later(self.latest, other.latest),
            distinct=self.distinct | other.distinct if other.distinct else self.distinct,
        )


def _greater(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    if left is None or right is None:
        return right if left is None else left
    return max(left, right)


def _later(left: Reading | None, right: Reading | None) -> Reading | None:
    if left is None or right is None:
        return right if left is None else left
    return left if left.age >= right.age else right


def value_of(aggregation: Aggregation, tally: Tally) -> Decimal | None:
    """The metric's value for the events of a tally (design decision 8).

    Count, sum and unique of nothing are 0; max and latest of nothing are None. What an SQL metric's
    query gave stands in `sum`.
    """
    if aggregation is Aggregation.COUNT:
        return Decimal(tally.count)
    if aggregation in (Aggregation.SUM, Aggregation.SQL):
        return tally.sum
    if aggregation is Aggregation.UNIQUE:
        return Decimal(len(tally.distinct))
    if aggregation is Aggregation.MAX:
        return tally.max
    return tally.latest.value if tally.latest else None


class Running:
    """Adds up tallies of disjoint events in place; any order gives the same."""

    __slots__ = ("_count", "_distinct", "_latest", "_max", "_sum")

    def __init__(self) -> None:
        """Start with nothing."""
        self._count = 0
        self._sum = ZERO
        self._max: Decimal | None = None
        self._latest: Reading | None = None
        self._distinct: set[str] = set()

    def add(self, tally: Tally) -> None:
        """Add one tally."""
        self._count += tally.count
        self._sum = add(self._sum, tally.sum)
        if tally.max is not None and (self._max is None or tally.max > self._max):
            self._max = tally.max
        if tally.latest is not None and (self._latest is None or tally.latest.age > self._latest.age):
            self._latest = tally.latest
        self._distinct |= tally.distinct

    def tally(self) -> Tally:
        """Everything added so far."""
        return Tally(self._count, self._sum, self._max, self._latest, frozenset(self._distinct))

    def value(self, aggregation: Aggregation) -> Decimal | None:
        """What a metric makes of it (design decision 8); see value_of."""
        if aggregation is Aggregation.UNIQUE:
            return Decimal(len(self._distinct))
        return value_of(aggregation, Tally(self._count, self._sum, self._max, self._latest))


@dataclass(frozen=True, slots=True)
class UsageCell:
    """The tally of one metric for one customer key, group and UTC hour.

    `hour` counts hours since 1970 (values.instant.hour_of). `group` holds the canonical texts of the
    asked grouping's properties, in its order; None where the event lacks the property.
    """

    customer_key: str
    hour: int
    group: tuple[str | None, ...]
    tally: Tally
