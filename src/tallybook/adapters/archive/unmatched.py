"""Tells which raw events no customer owns, no metric counts, or whose number a metric cannot read."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from tallybook.adapters.archive.filters import Condition, all_of, any_of, is_unparsable, matches
from tallybook.ports import RawEvent, Unmatched, UnmatchedGroup, UnmatchedQuestion, UnmatchedReason
from tallybook.values.metric import Aggregation

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

GROUPS_MAX = 100
COLUMNS = "log_row, log_index, transaction_id, customer_id, event_type, timestamp, received_at, properties"
NEWEST_FIRST = "timestamp DESC, log_row DESC, log_index DESC"
_NUMERIC = (Aggregation.SUM, Aggregation.MAX, Aggregation.LATEST)
_METRICS_AT_ONCE = 50

Counts = list[tuple[str, int]]
"""Events by name of the group."""


def event_of(row: tuple[Any, ...]) -> RawEvent:
    """The event in a row of COLUMNS."""
    return RawEvent((row[0], row[1]), *row[2:])


def unmatched_in(connection: "DuckDBPyConnection", question: UnmatchedQuestion) -> Unmatched:
    """What the view of raw events holds that is not counted; see ports.Unmatched."""
    by_key = _counts(connection, "customer_id", Condition("TRUE"))
    unowned = set(question.unowned([key for key, _ in by_key]))
    uncounted = any_of([matches(metric) for metric in question.metrics])
    uncounted.sql = f"NOT {uncounted.sql}"
    by_type = _counts(connection, "event_type", uncounted)
    always = Condition("TRUE")
    return Unmatched(
        event_count=sum(count for _, count in by_key),
        no_customer=_reason(
            connection, "customer_id", always, [item for item in by_key if item[0] in unowned], question
        ),
        no_metric=_reason(connection, "event_type", uncounted, by_type, question),
        unparsable_number=_unparsable(connection, question),
    )


def _counts(connection: "DuckDBPyConnection", column: str, where: Condition) -> Counts:
    """Events by the values of a column, most first."""
    query = (
        f"SELECT {column}, count(*) FROM raw_events WHERE {where.sql} "  # noqa: S608  # ours
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    return connection.execute(query, where.values).fetchall()


def _reason(
    connection: "DuckDBPyConnection",
    column: str,
    where: Condition,
    counts: Counts,
    question: UnmatchedQuestion,
) -> UnmatchedReason:
    """The groups of a column's values, with the newest events of those shown."""
    shown = counts[:GROUPS_MAX]
    samples: dict[str, list[RawEvent]] = {name: [] for name, _ in shown}
    if shown and question.samples:
        query = (
            f"SELECT {COLUMNS} FROM raw_events "  # noqa: S608  # ours
            f"WHERE list_contains(?::VARCHAR[], {column}) AND {where.sql} "
            f"QUALIFY row_number() OVER (PARTITION BY {column} ORDER BY {NEWEST_FIRST}) "
            f"<= {question.samples} ORDER BY {NEWEST_FIRST}"
        )
        for row in connection.execute(query, [list(samples), *where.values]).fetchall():
            event = event_of(row)
            samples[event.customer_id if column == "customer_id" else event.event_type].append(event)
    return UnmatchedReason(
        event_count=sum(count for _, count in counts),
        group_count=len(counts),
        groups=tuple(UnmatchedGroup(name, count, tuple(samples[name])) for name, count in shown),
    )


def _unparsable(connection: "DuckDBPyConnection", question: UnmatchedQuestion) -> UnmatchedReason:
    """By metric: events that it counts whose property is there and is no number."""
    conditions = {
        metric.id: all_of([matches(metric), is_unparsable(metric.aggregation_key)])
        for metric in question.metrics
        if metric.aggregation in _NUMERIC and metric.aggregation_key is not None
    }
    counts = [
        (name, count)
        for part in _parts(list(conditions), _METRICS_AT_ONCE)
        for name, count in zip(
            part, _count_each(connection, [conditions[name] for name in part]), strict=True
        )
        if count
    ]
    counts.sort(key=lambda item: (-item[1], item[0]))
    any_ = any_of([conditions[name] for name, _ in counts])
    groups = [
        UnmatchedGroup(name, count, _newest(connection, conditions[name], question.samples))
        for name, count in counts[:GROUPS_MAX]
    ]
    total = _count_each(connection, [any_])[0] if counts else 0
    return UnmatchedReason(total, len(counts), tuple(groups))


def _count_each(connection: "DuckDBPyConnection", conditions: Sequence[Condition]) -> list[int]:
    """How many events each condition holds for, in one pass."""
    columns = ", ".join(f"count(*) FILTER (WHERE {condition.sql})" for condition in conditions)
    values = [value for condition in conditions for value in condition.values]
    counted = connection.execute(f"SELECT {columns} FROM raw_events", values).fetchone()  # noqa: S608  # ours
    return [int(count) for count in counted or ()]


def _newest(connection: "DuckDBPyConnection", where: Condition, count: int) -> tuple[RawEvent, ...]:
    query = (
        f"SELECT {COLUMNS} FROM raw_events WHERE {where.sql} "  # noqa: S608  # ours
        f"ORDER BY {NEWEST_FIRST} LIMIT {count}"
    )
    return tuple(event_of(row) for row in connection.execute(query, where.values).fetchall())


def _parts(names: Iterable[str], count: int) -> Iterable[list[str]]:
    rest = iter(names)
    while part := list(islice(rest, count)):
        yield part
