"""Tells which raw events no customer owns, no metric counts, or whose number a metric cannot read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tallybook.adapters.archive.filters import Kinds
from tallybook.metering.match import matches_type
from tallybook.ports import (
    EventPlace,
    RawEvent,
    Unmatched,
    UnmatchedGroup,
    UnmatchedQuestion,
    UnmatchedReason,
)
from tallybook.values.metric import Aggregation, MetricDefinition

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

GROUPS_MAX = 100
COLUMNS = "log_row, log_index, transaction_id, customer_id, event_type, timestamp, received_at, properties"
_NUMERIC = (Aggregation.SUM, Aggregation.MAX, Aggregation.LATEST)


@dataclass(slots=True)
class _Pile:
    """Events of one group: how many, and where the newest of them stand."""

    count: int = 0
    newest: list[EventPlace] = field(default_factory=list)

    def add(self, count: int, newest: Iterable[EventPlace]) -> None:
        self.count += count
        self.newest += newest


@dataclass(slots=True)
class _Piles:
    """Events of one reason by group; `count` holds each event once, however many groups it is in."""

    count: int = 0
    by_name: dict[str, _Pile] = field(default_factory=dict)

    def add(self, names: Sequence[str], count: int, newest: Sequence[EventPlace]) -> None:
        self.count += count if names else 0
        for name in names:
            self.by_name.setdefault(name, _Pile()).add(count, newest)

    def shown(self, samples: int) -> list[tuple[str, int, list[EventPlace]]]:
        """The groups to tell, those with most events first, with the places of their samples."""
        ordered = sorted(self.by_name.items(), key=lambda item: (-item[1].count, item[0]))[:GROUPS_MAX]
        return [(name, pile.count, sorted(pile.newest, reverse=True)[:samples]) for name, pile in ordered]


def event_of(row: Sequence[Any]) -> RawEvent:
    """The event in a row of COLUMNS."""
    return RawEvent((row[0], row[1]), *row[2:])


def unmatched_in(connection: "DuckDBPyConnection", question: UnmatchedQuestion) -> Unmatched:
    """What the view of raw events holds that is not counted; see ports.Unmatched."""
    looked, unowned = _unowned(connection, question)
    uncounted, unreadable = _by_metrics(connection, question)
    reasons = [(piles, piles.shown(question.samples)) for piles in (unowned, uncounted, unreadable)]
    places = {place for _, shown in reasons for _, _, newest in shown for place in newest}
    samples = events_at(connection, places)
    told = [
        UnmatchedReason(
            piles.count,
            len(piles.by_name),
            tuple(
                UnmatchedGroup(name, count, tuple(samples[place] for place in newest))
                for name, count, newest in shown
            ),
        )
        for piles, shown in reasons
    ]
    return Unmatched(looked, *told)


def _unowned(connection: "DuckDBPyConnection", question: UnmatchedQuestion) -> tuple[int, _Piles]:
    """How many events there are, and those whose key belongs to no customer, by key."""
    rows = connection.execute(_grouped("customer_id", question.samples)).fetchall()
    unowned = set(question.unowned([key for key, *_ in rows]))
    piles = _Piles()
    for key, count, newest in rows:
        piles.add([key] if key in unowned else [], count, _places(newest))
    return sum(count for _, count, _ in rows), piles


def _by_metrics(connection: "DuckDBPyConnection", question: UnmatchedQuestion) -> tuple[_Piles, _Piles]:
    """Events that no metric counts, by type; and by metric those in which it finds no number."""
    keys = {
        metric.id: metric.aggregation_key
        for metric in question.metrics
        if metric.aggregation in _NUMERIC and metric.aggregation_key is not None
    }
    kinds = Kinds(question.metrics, keys.values())
    uncounted, unreadable = _Piles(), _Piles()
    of_type = _MetricsByType(question.metrics)
    query = _grouped(kinds.columns, question.samples)
    for row in connection.execute(query, kinds.values).fetchall():
        kind, (count, newest) = kinds.read(row)
        counting = [metric.id for metric in of_type[kind.event_type] if kind.passes(metric)]
        places = _places(newest)
        uncounted.add([] if counting else [kind.event_type], count, places)
        unreadable.add([name for name in counting if keys.get(name) in kind.unreadable], count, places)
    return uncounted, unreadable


class _MetricsByType(dict[str, list[MetricDefinition]]):
    """The metrics that look at an event type, found once for each type."""

    def __init__(self, metrics: Sequence[MetricDefinition]) -> None:
        super().__init__()
        self._metrics = metrics

    def __missing__(self, event_type: str) -> list[MetricDefinition]:
        self[event_type] = [
            metric for metric in self._metrics if matches_type(metric.event_types, event_type)
        ]
        return self[event_type]


def _grouped(columns: str, samples: int) -> str:
    """A query for the events by some columns: how many, and where the newest of them stand."""
    place = "{'timestamp': timestamp, 'log_row': log_row, 'log_index': log_index}"
    newest = f"max({place}, {samples})" if samples else "[]"
    return f"SELECT {columns}, count(*), {newest} FROM raw_events GROUP BY ALL"  # noqa: S608  # ours


def _places(newest: Iterable[Mapping[str, int]]) -> list[EventPlace]:
    return [(place["timestamp"], place["log_row"], place["log_index"]) for place in newest]


def events_at(connection: "DuckDBPyConnection", places: Iterable[EventPlace]) -> dict[EventPlace, RawEvent]:
    """The events at some places."""
    ordered = sorted(places)
    if not ordered:
        return {}
    query = (
        f"SELECT {COLUMNS} FROM raw_events WHERE timestamp BETWEEN ? AND ? "  # noqa: S608  # ours
        "AND (log_row, log_index) IN (SELECT unnest(?::BIGINT[]), unnest(?::INTEGER[]))"
    )
    values = [
        ordered[0][0],
        ordered[-1][0],
        [row for _, row, _ in ordered],
        [index for _, _, index in ordered],
    ]
    events = map(event_of, connection.execute(query, values).fetchall())
    return {(event.timestamp_micros, *event.position): event for event in events}
