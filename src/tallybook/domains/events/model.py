"""Ids of events, and the stretches of time that questions about events are about."""

from datetime import UTC, datetime, timedelta

from tallybook.values.errors import Invalid
from tallybook.values.ids import derived_id
from tallybook.values.instant import DAY, later_by, micros_of
from tallybook.values.metric import Aggregation, MetricDefinition

SEARCH_WINDOW = 34 * DAY
"""How far back the search reaches (metering.md 1.9)."""
EXPLORE_WINDOW = 34 * DAY
UNMATCHED_WINDOW = DAY
UNMATCHED_WINDOW_MAX = 34 * DAY
_AHEAD = DAY + timedelta(microseconds=1)
"""No event is dated further ahead than 24 hours."""
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)

MicrosRange = tuple[int, int]
"""Half-open, in microseconds since 1970."""


def event_id(environment: str, position: tuple[int, int]) -> str:
    """The id of the event at a place in an environment's log, the same whenever it is told."""
    return derived_id("event", environment, *map(str, position))


def earlier_by(instant: datetime, span: timedelta) -> datetime:
    """`instant` moved back by `span`, or the beginning of the calendar where that comes first."""
    return _EARLIEST if instant < _EARLIEST + span else instant - span


def explored_range(
    now: datetime, starting_on: datetime | None, ending_before: datetime | None
) -> MicrosRange:
    """The range to explore: by default the last 34 days and all that is dated ahead. Raises Invalid."""
    start = starting_on or earlier_by(ending_before or now, EXPLORE_WINDOW)
    return _range(start, ending_before or later_by(max(now, start), _AHEAD))


def unmatched_range(
    now: datetime, starting_on: datetime | None, ending_before: datetime | None
) -> MicrosRange:
    """The range to look for reasons in: by default the last 24 hours and all that is dated ahead.

    Raises Invalid, also when it begins more than 34 days before its end, or before now without one.
    """
    end = ending_before or now
    start = starting_on or earlier_by(end, UNMATCHED_WINDOW)
    if start < earlier_by(end, UNMATCHED_WINDOW_MAX):
        until = "now" if ending_before is None else "ending_before"
        raise Invalid(f"starting_on: more than 34 days before {until}; ask for a shorter stretch of time")
    return _range(start, ending_before or later_by(max(now, start), _AHEAD))


def is_streaming(metric: MetricDefinition) -> bool:
    """Whether filters decide which events a metric counts, and not a query."""
    return metric.aggregation is not Aggregation.SQL


def _range(start: datetime, end: datetime) -> MicrosRange:
    if end <= start:
        raise Invalid("ending_before: must be after starting_on; send a later end")
    return micros_of(start), micros_of(end)
