"""What a billable metric measures: filters, one aggregation, and the groupings kept for it."""

from dataclasses import dataclass, field

from tallybook.values.cased import CasedEnum


class Aggregation(CasedEnum):
    """How matching events become one value (metering.md 2.3); SQL: as the metric's query says (2.7)."""

    COUNT = "COUNT"
    SUM = "SUM"
    MAX = "MAX"
    LATEST = "LATEST"
    UNIQUE = "UNIQUE"
    SQL = "SQL"


@dataclass(frozen=True, slots=True)
class ValueFilter:
    """Lists of accepted and refused texts; None where no rule is given."""

    in_values: tuple[str, ...] | None = None
    not_in_values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """One rule on one event property; all rules of a metric must pass (metering.md 2.2)."""

    name: str
    exists: bool | None = None
    in_values: tuple[str, ...] | None = None
    not_in_values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """Everything of a metric that decides which events count and how. Immutable after creation.

    With an aggregation SQL the query in `sql` says everything, and the other fields are empty.
    """

    id: str
    aggregation: Aggregation
    aggregation_key: str | None = None
    event_types: ValueFilter = field(default_factory=ValueFilter)
    property_filters: tuple[PropertyFilter, ...] = ()
    group_keys: tuple[tuple[str, ...], ...] = ()
    sql: str | None = None
