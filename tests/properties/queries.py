"""SQL metrics of a few shapes, and the same in plain Python over the events of a window."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tallybook.metering.match import number_of
from tallybook.values.event import Event, canonical_text
from tallybook.values.quantity import ZERO, add, subtract
from tests.reference import Group

Rows = Iterable[tuple[Group, Decimal | int | None]]
"""What a query gives: the texts of its key columns, and its value."""


@dataclass(frozen=True)
class Query:
    """A query, its columns besides the value, and what it gives."""

    sql: str
    columns: tuple[str, ...]
    rows: Callable[[Sequence[Event]], Rows]

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """Keys to ask for: all columns, the first, and the others."""
        return tuple(sorted({self.columns, self.columns[:1], self.columns[1:]} - {()}))

    def values(self, events: Sequence[Event], grouping: tuple[str, ...]) -> dict[Group, Decimal]:
        """The value by some of the columns, the others added up; none of zero."""
        places = [self.columns.index(name) for name in grouping]
        found: dict[Group, Decimal] = defaultdict(lambda: ZERO)
        for texts, value in self.rows(events):
            group = tuple(texts[place] for place in places)
            found[group] = add(found[group], Decimal(value or 0))
        return {group: value for group, value in found.items() if value}


def _amount(event: Event) -> Decimal | None:
    return number_of(canonical_text(event.properties.get("amount")))


def _numbers(events: Iterable[Event]) -> list[Decimal]:
    return [number for number in map(_amount, events) if number is not None]


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for number in numbers:
        total = add(total, number)
    return total


def _by(events: Iterable[Event], key: Callable[[Event], str | None]) -> dict[str | None, list[Event]]:
    groups: dict[str | None, list[Event]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return groups


def _sum_by_size(events: Sequence[Event]) -> Rows:
    groups = _by(events, lambda event: canonical_text(event.properties.get("size")))
    return [((size,), _sum(_numbers(part))) for size, part in groups.items()]


def _daily_peaks(events: Sequence[Event]) -> Rows:
    days: dict[date, list[Event]] = defaultdict(list)
    for event in events:
        days[event.timestamp.date()].append(event)
    return [((), _sum(max(numbers) for part in days.values() if (numbers := _numbers(part))))]


def _latest_call(events: Sequence[Event]) -> Rows:
    calls = [event for event in events if event.event_type == "call" and _amount(event) is not None]
    newest = max(calls, key=lambda event: (event.timestamp, event.position), default=None)
    return [((), None if newest is None else _amount(newest))]


def _distinct(events: Sequence[Event]) -> Rows:
    texts = {canonical_text(event.properties.get("amount")) for event in events}
    return [((), len(texts - {None}))]


def _weighted(events: Sequence[Event]) -> Rows:
    having = [event for event in events if canonical_text(event.properties.get("amount")) is not None]
    groups = _by(having, lambda event: event.event_type)
    return [((name,), len(part) * (3 if name == "call" else 1)) for name, part in groups.items()]


def _range(events: Sequence[Event]) -> Rows:
    numbers = _numbers(events)
    return [((), subtract(max(numbers), min(numbers)) if numbers else None)]


def _two_keys(events: Sequence[Event]) -> Rows:
    groups: dict[Group, int] = defaultdict(int)
    for event in events:
        groups[event.event_type, canonical_text(event.properties.get("size"))] += 1
    return groups.items()


QUERIES = (
    Query("SELECT count() FROM events", (), lambda events: [((), len(events))]),
    Query(
        "SELECT SUM(properties.amount) AS value, properties.size FROM events GROUP BY properties.size",
        ("size",),
        _sum_by_size,
    ),
    Query(
        "SELECT SUM(peak) AS value FROM (SELECT date_trunc('day', timestamp) AS day, "
        "MAX(CAST(properties.amount AS DECIMAL)) AS peak FROM events GROUP BY day)",
        (),
        _daily_peaks,
    ),
    Query(
        "select latest(properties.amount) as value from events where event_type = 'call'", (), _latest_call
    ),
    Query("SELECT COUNT(DISTINCT properties.amount) FROM events", (), _distinct),
    Query(
        "SELECT event_type, SUM(CASE WHEN event_type = 'call' THEN 3 ELSE 1 END) AS value FROM events "
        "WHERE properties.amount IS NOT NULL GROUP BY event_type",
        ("event_type",),
        _weighted,
    ),
    Query(
        "SELECT MAX(CAST(properties.amount AS DECIMAL)) - MIN(CAST(properties.amount AS DECIMAL)) AS value "
        "FROM events",
        (),
        _range,
    ),
    Query(
        "SELECT COUNT(*) AS value, event_type, properties.size FROM events GROUP BY event_type, size",
        ("event_type", "size"),
        _two_keys,
    ),
)
BY_SQL = {query.sql: query for query in QUERIES}
