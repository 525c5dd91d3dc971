"""What a server must answer: every event it acknowledged, kept whole, and the slow reference over them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tallybook.metering.aggregate import aggregate, value_of, without_repeats
from tallybook.values.event import Event
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter
from tallybook.values.usage import Tally
from tests.properties.queries import BY_SQL
from tests.reference import Group, logged, read_json

STEPS = {"HOUR": timedelta(hours=1), "DAY": timedelta(days=1)}
Window = tuple[datetime, datetime]
Values = dict[tuple[datetime, Group], Decimal | None]
"""Rows of an answer: the start of a window and a group, and the value."""


def definition_of(metric_id: str, body: dict[str, Any]) -> MetricDefinition:
    """The metric that the body of a create describes."""

    def texts(given: dict[str, Any], name: str) -> tuple[str, ...] | None:
        return tuple(given[name]) if name in given else None

    types = body.get("event_type_filter", {})
    return MetricDefinition(
        id=metric_id,
        aggregation=Aggregation(body["aggregation_type"]),
        aggregation_key=body.get("aggregation_key"),
        event_types=ValueFilter(texts(types, "in_values"), texts(types, "not_in_values")),
        property_filters=tuple(
            PropertyFilter(
                rule["name"], rule.get("exists"), texts(rule, "in_values"), texts(rule, "not_in_values")
            )
            for rule in body["property_filters"]
        ),
        group_keys=tuple(map(tuple, body["group_keys"])),
    )


def windows_of(size: str, start: datetime, end: datetime) -> Iterator[Window]:
    """The windows of a range of whole days."""
    step = STEPS.get(size, end - start)
    while start < end:
        yield start, start + step
        start += step


@dataclass
class Books:
    """One example's events, customers with their aliases, and metrics."""

    events: list[Event] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    customers: list[str] = field(default_factory=list)
    archived: set[str] = field(default_factory=set)
    metrics: list[MetricDefinition] = field(default_factory=list)
    requests: int = 0
    _kept: tuple[int, list[Event]] = (0, [])

    def acknowledge(self, body: str, received_at: datetime) -> None:
        """Note the events of a request that was answered 200."""
        self.requests += 1
        self.events += [
            logged(wire, (self.requests, index), received_at) for index, wire in enumerate(read_json(body))
        ]

    def kept(self) -> list[Event]:
        """The events that are no repeats."""
        if self._kept[0] != len(self.events):
            self._kept = len(self.events), without_repeats(self.events)
        return self._kept[1]

    def used(self, customer: str) -> list[Event]:
        """What a customer used, under its id and every alias it has now."""
        return [
            event
            for event in self.kept()
            if customer in (event.customer_id, self.owners.get(event.customer_id))
        ]

    def tallies(
        self, customer: str, metric: MetricDefinition, windows: list[Window], grouping: tuple[str, ...]
    ) -> Iterator[tuple[Window, dict[Group, Tally]]]:
        """The tallies by group in each window."""
        used = self.used(customer)
        for window in windows:
            inside = [event for event in used if window[0] <= event.timestamp < window[1]]
            if metric.sql is not None:
                values = BY_SQL[metric.sql].values(inside, grouping)
                yield window, {group: Tally(count=1, sum=value) for group, value in values.items()}
            else:
                yield window, aggregate(metric, inside, *window, grouping) if inside else {}

    def groups(
        self,
        customer: str,
        metric: MetricDefinition,
        windows: list[Window],
        grouping: tuple[str, ...],
        shown: dict[str, list[str]],
    ) -> Values:
        """What `/v1/usage/groups` must answer: with no key a row for every window, else where events are."""
        rows: Values = {}
        for window, tallies in self.tallies(customer, metric, windows, grouping):
            for group, tally in (tallies if grouping or tallies else {(): Tally()}).items():
                named = zip(grouping, group, strict=True)
                if all(name not in shown or text in shown[name] for name, text in named):
                    rows[window[0], group] = value_of(metric.aggregation, tally)
        return rows
