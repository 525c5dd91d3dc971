"""Running values and their increments per window, by hand and against the slow reference."""

import itertools
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.metering.aggregate import aggregate, value_of
from tallybook.rating.model import UsageSpan
from tallybook.rating.quantities import increments, running_values
from tallybook.values.event import Event
from tallybook.values.instant import HOUR, hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.usage import Tally
from tests.rating.book import FIRST, amount, day

HOURS = 12
BORDERS = list(range(hour_of(FIRST), hour_of(FIRST) + HOURS + 1))
KINDS = [kind for kind in Aggregation if kind is not Aggregation.SQL]


def test_latest_falls_and_a_late_event_repairs_every_later_value() -> None:
    """Readings 10 at 0 h and 4 at 3 h: +10, 0, 0, -6. A late reading 7 at 2 h: +10, 0, -3, -3."""
    borders = BORDERS[:5]
    spans = [amount(FIRST, 10), amount(FIRST + 3 * HOUR, 4)]
    assert increments(Aggregation.LATEST, spans, borders) == [10, 0, 0, -6]
    late = sorted([*spans, amount(FIRST + 2 * HOUR, 7)], key=lambda item: item.hour)
    assert running_values(Aggregation.LATEST, late, borders) == [0, 10, 10, 7, 4]
    assert increments(Aggregation.LATEST, late, borders) == [10, 0, -3, -3]


def test_a_late_maximum_takes_what_came_after_it_back() -> None:
    """Peaks 5 at 1 h and 9 at 3 h: 0, 5, 0, 4. A late 8 at 0 h: 8, 0, 0, 1."""
    borders = BORDERS[:5]
    spans = [amount(FIRST + HOUR, 5), amount(FIRST + 3 * HOUR, 9)]
    assert increments(Aggregation.MAX, spans, borders) == [0, 5, 0, 4]
    assert increments(Aggregation.MAX, [amount(FIRST, 8), *spans], borders) == [8, 0, 0, 1]


def test_unique_moves_to_the_hour_of_a_late_first_sight() -> None:
    borders = BORDERS[:4]
    spans = [amount(FIRST + HOUR, 1), amount(FIRST + 2 * HOUR, 2)]
    assert increments(Aggregation.UNIQUE, spans, borders) == [0, 1, 1]
    assert increments(Aggregation.UNIQUE, [amount(FIRST, 2), *spans], borders) == [1, 1, 0]


def test_spans_of_an_sql_metric_are_increments_already() -> None:
    spans = [amount(FIRST, 5), amount(FIRST + HOUR, -7)]
    assert running_values(Aggregation.SQL, spans, BORDERS[:4]) == [0, 5, -2, -2]
    assert increments(Aggregation.SQL, spans, BORDERS[:4]) == [5, -7, 0]


@pytest.mark.parametrize("borders", [[], [hour_of(FIRST)]])
def test_no_window_has_no_increment(borders: list[int]) -> None:
    assert increments(Aggregation.SUM, [amount(FIRST, 5)], borders) == []


def test_usage_before_the_first_border_belongs_to_no_window() -> None:
    spans = [amount(day(1), 5), amount(day(2), 7)]
    assert increments(Aggregation.MAX, spans, [hour_of(day(2)), hour_of(day(3))]) == [2]


moments = st.integers(0, HOURS * 4 - 1).map(lambda quarter: FIRST + timedelta(minutes=15 * quarter))
numbers = st.sampled_from(["1", "2.5", "-3", "7", "7", "none"])


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """Events in any order of time, many at one instant."""
    sent = draw(st.lists(st.tuples(moments, numbers), max_size=25))
    return [
        Event(f"t{place}", "c", "call", when, {"n": text}, FIRST, (place, 0))
        for place, (when, text) in enumerate(sent)
    ]


def metric(kind: Aggregation) -> MetricDefinition:
    return MetricDefinition("m", kind, "n")


def hour_start(hour: int) -> datetime:
    return FIRST + (hour - BORDERS[0]) * HOUR


def cells(kind: Aggregation, sent: list[Event]) -> list[UsageSpan]:
    """What metering keeps: a tally per hour with events."""
    found = []
    for hour in BORDERS[:-1]:
        start = hour_start(hour)
        tally = aggregate(metric(kind), sent, start, start + HOUR).get(())
        if tally is not None:
            found.append(UsageSpan(hour, (), tally))
    return found


def value_until(kind: Aggregation, sent: list[Event], end: datetime) -> Decimal:
    """V(end), from the events themselves."""
    tally = aggregate(metric(kind), sent, FIRST, end).get((), Tally())
    return value_of(kind, tally) or Decimal(0)


borders = st.sets(st.sampled_from(BORDERS), min_size=2).map(sorted)


@given(st.sampled_from(KINDS), events(), borders)
def test_increments_are_differences_of_the_value_since_the_start(
    kind: Aggregation, sent: list[Event], cut_at: list[int]
) -> None:
    """Hourly or unaligned borders alike."""
    expected = [
        value_until(kind, sent, hour_start(end)) - value_until(kind, sent, hour_start(start))
        for start, end in itertools.pairwise(cut_at)
    ]
    spans = cells(kind, sent)
    assert increments(kind, spans, cut_at) == expected
    whole = increments(kind, spans, BORDERS)
    assert sum(whole) == value_until(kind, sent, hour_start(BORDERS[-1]))


@given(st.sampled_from(KINDS), events(), st.tuples(moments, numbers))
def test_a_late_event_gives_what_it_would_have_given_in_time(
    kind: Aggregation, sent: list[Event], late: tuple[datetime, str]
) -> None:
    """Whatever its hour, every later value is that of all events together."""
    when, text = late
    all_events = [*sent, Event("late", "c", "call", when, {"n": text}, FIRST, (99, 0))]
    values = running_values(kind, cells(kind, all_events), BORDERS)
    assert values == [value_until(kind, all_events, hour_start(hour)) for hour in BORDERS]
    before = running_values(kind, cells(kind, sent), BORDERS)
    untouched = [place for place, hour in enumerate(BORDERS) if hour <= hour_of(when)]
    assert [values[place] for place in untouched] == [before[place] for place in untouched]
