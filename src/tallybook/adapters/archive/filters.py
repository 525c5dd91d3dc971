"""The rules of metering/match.py as conditions over the view of raw events, never null.

Property tests hold them to agree with what they restate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tallybook.values.metric import MetricDefinition, PropertyFilter, ValueFilter
from tallybook.values.quantity import DIGITS_MAX

_NUMBER = r"-?[0-9]{1,200}(?:\.[0-9]{1,200})?(?:[eE][+-]?[0-9]{1,4})?"


@dataclass(slots=True)
class Condition:
    """A condition in SQL, and the values of its question marks, in order."""

    sql: str
    values: list[object] = field(default_factory=list)


def matches(metric: MetricDefinition) -> Condition:
    """Whether an event passes every filter of a metric; see metering.match.matches."""
    rules = [_passes(rule) for rule in metric.property_filters]
    return all_of([_matches_type(metric.event_types), *rules])


def is_unparsable(name: str) -> Condition:
    """Whether a property is there and is no number in bounds; see metering.match.number_of."""
    text = _text(name)
    whole = f"regexp_extract({text}, '^-?([0-9]+)', 1)"
    fraction = f"regexp_extract({text}, '\\.([0-9]+)', 1)"
    power = f"coalesce(try_cast(regexp_extract({text}, '[eE]([+-]?[0-9]+)$', 1) AS INTEGER), 0)"
    exponent = f"({power} - length({fraction}))"
    digits = f"greatest(length(ltrim({whole} || {fraction}, '0')), 1)"
    is_bounded = f"{exponent} >= -{DIGITS_MAX} AND {digits} + {exponent} <= {DIGITS_MAX}"
    is_number = f"(regexp_full_match({text}, '{_NUMBER}') AND {is_bounded})"
    return Condition(f"({text} IS NOT NULL AND NOT {is_number})")


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Whether every one of some conditions holds."""
    return _joined(" AND ", "TRUE", conditions)


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Whether at least one of some conditions holds."""
    return _joined(" OR ", "FALSE", conditions)


def _joined(word: str, none: str, conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return Condition(none)
    values = [value for condition in conditions for value in condition.values]
    return Condition(f"({word.join(condition.sql for condition in conditions)})", values)


def _text(name: str) -> str:
    """The canonical text of a property; a name holds no NUL, so doubling its quotes is enough."""
    doubled = name.replace("'", "''")
    return f"texts['{doubled}']"


def _matches_type(rule: ValueFilter) -> Condition:
    parts = []
    if rule.in_values is not None:
        parts.append(_is_in("event_type", rule.in_values))
    if rule.not_in_values is not None:
        parts.append(_is_not_in("event_type", rule.not_in_values))
    return all_of(parts)


def _passes(rule: PropertyFilter) -> Condition:
    text = _text(rule.name)
    parts = []
    if rule.exists is not None:
        parts.append(Condition(f"{text} IS {'NOT ' if rule.exists else ''}NULL"))
    if rule.in_values is not None:
        parts.append(_is_in(text, rule.in_values))
    if rule.not_in_values:
        parts.append(_is_not_in(text, rule.not_in_values))
    return all_of(parts)


def _is_in(text: str, members: Sequence[str]) -> Condition:
    return Condition(f"coalesce(list_contains(?::VARCHAR[], {text}), FALSE)", [list(members)])


def _is_not_in(text: str, members: Sequence[str]) -> Condition:
    return Condition(f"coalesce(NOT list_contains(?::VARCHAR[], {text}), TRUE)", [list(members)])
