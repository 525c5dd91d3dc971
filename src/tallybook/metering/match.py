"""Which events a metric counts, and in which group (metering.md 2.2, 2.4; design decision 5)."""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tallybook.values.event import canonical_text
from tallybook.values.metric import MetricDefinition, PropertyFilter, ValueFilter
from tallybook.values.quantity import is_bounded, parse_number


def matches(metric: MetricDefinition, event_type: str, properties: Mapping[str, Any]) -> bool:
    """Whether an event passes every filter of a metric."""
    return matches_type(metric.event_types, event_type) and all(
        passes(rule, canonical_text(properties.get(rule.name))) for rule in metric.property_filters
    )


def matches_type(rule: ValueFilter, event_type: str) -> bool:
    """Whether an event type passes; with both lists given it must satisfy both."""
    if rule.in_values is not None and event_type not in rule.in_values:
        return False
    return rule.not_in_values is None or event_type not in rule.not_in_values


def passes(rule: PropertyFilter, text: str | None) -> bool:
    """Whether a property's canonical text passes; None means that it is absent.

    An absent property fails `exists: true` and `in_values`, and passes the rest. An empty
    `not_in_values` is no rule.

    >>> passes(PropertyFilter("region", not_in_values=("eu",)), None)
    True
    """
    if text is None:
        return rule.exists is not True and rule.in_values is None
    if rule.exists is False:
        return False
    if rule.in_values is not None and text not in rule.in_values:
        return False
    return not rule.not_in_values or text not in rule.not_in_values


def group_of(properties: Mapping[str, Any], grouping: tuple[str, ...]) -> tuple[str | None, ...]:
    """The canonical texts of the grouping's properties."""
    return tuple(canonical_text(properties.get(name)) for name in grouping)


def number_of(value: object) -> Decimal | None:
    """The number in a property: JSON numbers and decimal strings alike, else None (decision 4).

    >>> number_of("12.5"), number_of(True), number_of("1,5")
    (Decimal('12.5'), None, None)
    """
    if isinstance(value, str):
        return parse_number(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        value = Decimal(value)
    return value if isinstance(value, Decimal) and is_bounded(value) else None


def stored_groupings(metric: MetricDefinition) -> tuple[tuple[str, ...], ...]:
    """The groupings kept in cells: declared keys that no other declared key contains, sorted inside.

    Any subset of a kept key is read by merging its cells. A metric without group keys keeps the one
    grouping of nothing.

    >>> stored_groupings(MetricDefinition("m", "COUNT", group_keys=(("region",), ("team", "region"))))
    (('region', 'team'),)
    """
    return _kept(metric.group_keys)


@lru_cache(maxsize=4_096)
def _kept(group_keys: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """The declared keys that no other one contains; asked for at every read, and slow where they are many."""
    declared = sorted(
        {tuple(sorted(set(key))) for key in group_keys if key}, key=lambda key: (-len(key), key)
    )
    kept: list[frozenset[str]] = []
    for key in declared:
        members = frozenset(key)
        if not any(members <= other for other in kept):
            kept.append(members)
    return tuple(sorted(tuple(sorted(members)) for members in kept)) or ((),)


def grouping_to_read(metric: MetricDefinition, wanted: tuple[str, ...]) -> int | None:
    """Index into `stored_groupings` of the smallest one that contains `wanted`; None when none does."""
    fitting = [
        (len(kept), index) for index, kept in enumerate(stored_groupings(metric)) if set(wanted) <= set(kept)
    ]
    return min(fitting)[1] if fitting else None
