"""Pure rules of windows, bounds and running sums."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tallybook.domains.usage.model import (
    Windows,
    WindowSize,
    check_bounds,
    check_group_key,
    rank_of,
    windows_of,
)
from tallybook.values.errors import Invalid
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.period import Period
from tallybook.values.usage import Reading, Running, Tally


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "starts"),
    [
        (WindowSize.NONE, [at(1, 22)]),
        (WindowSize.DAY, [at(1, 22), at(2), at(3)]),
        (WindowSize.HOUR, [at(1, 22), at(1, 23), *(at(2, hour) for hour in range(24)), at(3, 0), at(3, 1)]),
    ],
)
def test_windows_tile_their_range(size: WindowSize, starts: list[datetime]) -> None:
    windows = windows_of(Period(at(1, 22), at(3, 2)), size)
    periods = [windows.period_of(number) for number in range(windows.count)]
    assert [period.starting_at for period in periods] == starts
    assert [period.ending_before for period in periods] == [*starts[1:], at(3, 2)]
    for hour in range(windows.hour_from, windows.hour_until):
        number = windows.index_of(hour)
        assert windows.start_of(number) <= hour < windows.end_of(number)


def test_windows_before_1970() -> None:
    start = datetime(1969, 12, 30, 5, tzinfo=UTC)
    windows = windows_of(Period(start, datetime(1970, 1, 1, tzinfo=UTC)), WindowSize.DAY)
    assert windows.count == 2
    assert windows.period_of(0) == Period(start, datetime(1969, 12, 31, tzinfo=UTC))
    assert windows == Windows(WindowSize.DAY, hour_of(start), 0)


@pytest.mark.parametrize(
    ("start", "end", "to_the_hour", "named"),
    [
        (at(1, 1), at(2), False, "starting_on"),
        (at(1), at(2, 1), False, "ending_before"),
        (at(1), at(1), False, "ending_before"),
        (at(2), at(1), False, "ending_before"),
        (at(1).replace(minute=1), at(2), True, "starting_on"),
        (at(1), at(2).replace(microsecond=1), True, "ending_before"),
        (at(1, 1), at(1, 1), True, "ending_before"),
    ],
)
def test_bad_bounds(start: datetime, end: datetime, to_the_hour: bool, named: str) -> None:
    with pytest.raises(Invalid, match=named):
        check_bounds(start, end, to_the_hour=to_the_hour)


def test_hourly_bounds_need_full_hours_only() -> None:
    assert check_bounds(at(1, 1), at(1, 2), to_the_hour=True) == Period(at(1, 1), at(1, 2))


def test_running_sums_are_the_same_in_any_order() -> None:
    tallies = [
        Tally(1, Decimal("0.1"), Decimal(5), Reading(10, (1, 0), Decimal(7)), frozenset("ab")),
        Tally(2, Decimal("0.2"), None, None, frozenset("bc")),
        Tally(1, Decimal(-1), Decimal(6), Reading(10, (1, 1), Decimal(8)), frozenset()),
    ]
    for order in (tallies, tallies[::-1]):
        running = Running()
        for tally in order:
            running.add(tally)
        values = [running.value(Aggregation(name)) for name in ("COUNT", "SUM", "MAX", "LATEST", "UNIQUE")]
        assert values == [4, Decimal("-0.7"), 6, 8, 3]


def test_a_group_key_is_declared_whole_in_any_order() -> None:
    metric = MetricDefinition("m", Aggregation.COUNT, group_keys=(("region",), ("team", "region")))
    check_group_key(metric, ("region", "team"), "group_key")
    check_group_key(metric, ("region",), "group_key")
    for names in [("team",), ("region", "region"), ("region", "team", "x"), ("x",)]:
        with pytest.raises(Invalid, match="group_key"):
            check_group_key(metric, names, "group_key")


def test_absent_members_sort_first() -> None:
    assert sorted([("b",), ("",), (None,), ("a",)], key=rank_of) == [(None,), ("",), ("a",), ("b",)]
