"""The slow, obvious reference for what a metric measures."""

from collections.abc import Iterable
from datetime import datetime

from tallybook.metering.match import group_of, matches, number_of
from tallybook.values.event import Event, canonical_text
from tallybook.values.instant import DAY, micros_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.usage import Reading, Tally, value_of

__all__ = ["aggregate", "tally_of", "value_of", "without_repeats"]

DEDUPLICATION = 34 * DAY


def tally_of(metric: MetricDefinition, event: Event) -> Tally:
    """The tally of one event that matches."""
    key = metric.aggregation_key
    value = event.properties.get(key) if key is not None else None
    number = number_of(value)
    if metric.aggregation is Aggregation.UNIQUE:
        text = canonical_text(value)
        return Tally(count=1, distinct=frozenset() if text is None else frozenset((text,)))
    if number is None or metric.aggregation is Aggregation.COUNT:
        return Tally(count=1)
    if metric.aggregation is Aggregation.SUM:
        return Tally(count=1, sum=number)
    if metric.aggregation is Aggregation.MAX:
        return Tally(count=1, max=number)
    return Tally(count=1, latest=Reading(micros_of(event.timestamp), event.position, number))


def aggregate(
    metric: MetricDefinition,
    events: Iterable[Event],
    starting_at: datetime,
    ending_before: datetime,
    grouping: tuple[str, ...] = (),
) -> dict[tuple[str | None, ...], Tally]:
    """Tallies by group over [starting_at, ending_before), from events without repeats."""
    groups: dict[tuple[str | None, ...], Tally] = {}
    for event in events:
        if not starting_at <= event.timestamp < ending_before:
            continue
        if matches(metric, event.event_type, event.properties):
            group = group_of(event.properties, grouping)
            groups[group] = groups.get(group, Tally()).merge(tally_of(metric, event))
    return groups


def without_repeats(events: Iterable[Event]) -> list[Event]:
    """The events that count: the first of an id within any 34 days from when it was accepted.

    `events` come in the order of the log. A repeat does not renew the window (metering.md 1.3), which is
    counted in whole seconds.
    """
    accepted: dict[str, datetime] = {}
    kept = []
    for event in events:
        received_at = event.received_at.replace(microsecond=0)
        before = accepted.get(event.transaction_id)
        if before is None or received_at - before >= DEDUPLICATION:
            accepted[event.transaction_id] = received_at
            kept.append(event)
    return kept
