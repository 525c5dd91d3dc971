"""Statement periods: the documented cases, and properties against a slow and obvious reference."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallybook.rating.statements import (
    StatementFrequency,
    StatementSchedule,
    border,
    first_of_month,
    statement_periods,
    step_of,
)
from tallybook.values.instant import add_months
from tallybook.values.period import Period

HOUR = timedelta(hours=1)
MONTHS = {"MONTHLY": 1, "QUARTERLY": 3, "ANNUAL": 12}


def day(text: str) -> datetime:
    """A UTC instant from a date, optionally with an hour."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schedule(frequency: str, anchor: str, generation: str | None = None) -> StatementSchedule:
    return StatementSchedule(
        frequency=StatementFrequency(frequency),
        anchor=day(anchor),
        invoice_generation_starting_at=day(generation) if generation else None,
    )


def days(periods: list[Period]) -> list[tuple[str, str]]:
    return [(p.starting_at.strftime("%m-%dT%H"), p.ending_before.strftime("%m-%dT%H")) for p in periods]


CASES = [
    pytest.param(
        schedule("MONTHLY", "2024-09-10"),
        "2024-09-15",
        None,
        [("09-15T00", "10-10T00"), ("10-10T00", "11-10T00"), ("11-10T00", "12-10T00")],
        id="documented example: the first period is a stub",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-31"),
        "2026-01-31",
        None,
        [("01-31T00", "02-28T00"), ("02-28T00", "03-31T00"), ("03-31T00", "04-30T00")],
        id="month ends clamp and come back",
    ),
    pytest.param(
        schedule("MONTHLY", "2024-01-30"),
        "2024-01-30",
        None,
        [("01-30T00", "02-29T00"), ("02-29T00", "03-30T00"), ("03-30T00", "04-30T00")],
        id="leap year",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-01"),
        "2026-01-01",
        "2026-02-15",
        [("01-01T00", "02-01T00"), ("02-01T00", "02-15T00")],
        id="cut to the contract's end",
    ),
    pytest.param(
        schedule("QUARTERLY", "2026-01-01"),
        "2026-02-10T05:00",
        "2026-07-02",
        [("02-10T05", "04-01T00"), ("04-01T00", "07-01T00"), ("07-01T00", "07-02T00")],
        id="quarters",
    ),
    pytest.param(
        schedule("ANNUAL", "2024-02-29"),
        "2024-02-29",
        None,
        [("02-29T00", "02-28T00"), ("02-28T00", "02-28T00"), ("02-28T00", "02-28T00")],
        id="years from a leap day",
    ),
    pytest.param(
        schedule("WEEKLY", "2026-01-01"),
        "2026-01-07T23:00",
        "2026-01-15",
        [("01-07T23", "01-08T00"), ("01-08T00", "01-15T00")],
        id="weeks, ending on a border",
    ),
    pytest.param(
        schedule("MONTHLY", "2030-06-20"),
        "2026-01-05",
        "2026-03-01",
        [("01-05T00", "01-20T00"), ("01-20T00", "02-20T00"), ("02-20T00", "03-01T00")],
        id="an anchor after the contract",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-01", generation="2026-02-10"),
        "2026-01-05",
        "2026-04-01",
        [("02-10T00", "03-01T00"), ("03-01T00", "04-01T00")],
        id="the period that contains the start of generation begins there",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-01", generation="2026-02-01"),
        "2026-01-05",
        "2026-03-01",
        [("02-01T00", "03-01T00")],
        id="generation starts on a border",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-01", generation="2025-01-01"),
        "2026-01-05",
        "2026-02-01",
        [("01-05T00", "02-01T00")],
        id="generation before the contract changes nothing",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-01", generation="2026-05-01"),
        "2026-01-05",
        "2026-05-01",
        [],
        id="generation at the contract's end leaves nothing",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-15"),
        "9999-11-20",
        "9999-12-31",
        [("11-20T00", "12-15T00"), ("12-15T00", "12-31T00")],
        id="a contract that ends with the calendar keeps its last period",
    ),
    pytest.param(
        schedule("MONTHLY", "2026-01-15"),
        "9999-11-20",
        None,
        [("11-20T00", "12-15T00")],
        id="without end, only periods that the calendar can end",
    ),
]


@pytest.mark.parametrize(("when", "starting_at", "ending_before", "expected"), CASES)
def test_periods(
    when: StatementSchedule, starting_at: str, ending_before: str | None, expected: list
) -> None:
    end = day(ending_before) if ending_before else None
    periods = islice(statement_periods(when, day(starting_at), end), 3)
    assert days(list(periods)) == expected


@pytest.mark.parametrize(
    ("since", "first"),
    [
        ("2025-01-01", ("01-05T00", "02-01T00")),
        ("2026-01-31T23:00", ("01-05T00", "02-01T00")),
        ("2026-02-01", ("02-01T00", "03-01T00")),
        ("2026-03-31T23:00", ("03-01T00", "04-01T00")),
        ("2026-04-01", ("04-01T00", "04-10T00")),
        ("2026-04-10", None),
        ("2027-01-01", None),
    ],
)
def test_since_leaves_out_what_ended_by_then(since: str, first: tuple[str, str] | None) -> None:
    when = schedule("MONTHLY", "2026-01-01")
    periods = statement_periods(when, day("2026-01-05"), day("2026-04-10"), since=day(since))
    assert days(list(islice(periods, 1))) == ([first] if first else [])


def test_first_of_month_is_midnight_on_day_one() -> None:
    assert first_of_month(datetime(2026, 3, 31, 23, 59, 59, 5, tzinfo=UTC)) == day("2026-03-01")


# ---- properties ----

instants = st.integers(0, 24 * 365 * 12).map(lambda hours: day("2020-01-01") + hours * HOUR)
anchors = st.one_of(
    instants,
    st.builds(
        lambda year, month, hour: add_months(day("2019-12-31") + hour * HOUR, 12 * year + month),
        st.integers(0, 12),
        st.integers(0, 11),
        st.integers(0, 23),
    ),
)
schedules = st.builds(
    StatementSchedule,
    frequency=st.sampled_from(StatementFrequency),
    anchor=anchors,
    invoice_generation_starting_at=st.none() | instants,
)


def reference(when: StatementSchedule, start: datetime, end: datetime) -> list[Period]:
    """Every border for decades around, cut and thrown away one by one."""
    borders = []
    for step in range(-1_500, 1_501):
        if when.frequency == "WEEKLY":
            borders.append(when.anchor + step * timedelta(days=7))
        elif -600 <= step * MONTHS[when.frequency] <= 600:
            borders.append(add_months(when.anchor, step * MONTHS[when.frequency]))
    begin = max(start, when.invoice_generation_starting_at or start)
    periods = []
    for left, right in pairwise(borders):
        first, last = max(left, begin), min(right, end)
        if first < last:
            periods.append(Period(first, last))
    return periods


@given(schedules, instants, instants)
@example(schedule("MONTHLY", "2020-01-31"), day("2020-02-29"), day("2020-03-30"))
def test_periods_are_those_of_the_reference(when: StatementSchedule, one: datetime, other: datetime) -> None:
    start, end = min(one, other), max(one, other)
    assert list(statement_periods(when, start, end)) == reference(when, start, end)


@given(schedules, instants, instants)
def test_periods_tile_the_contract(when: StatementSchedule, one: datetime, other: datetime) -> None:
    start, end = min(one, other), max(one, other)
    begin = max(start, when.invoice_generation_starting_at or start)
    periods = list(statement_periods(when, start, end))
    assert bool(periods) == (begin < end)
    if periods:
        assert (periods[0].starting_at, periods[-1].ending_before) == (begin, end)
    for earlier, later in pairwise(periods):
        assert earlier.starting_at < earlier.ending_before == later.starting_at


@given(schedules, instants, instants, instants)
def test_since_is_a_filter(when: StatementSchedule, one: datetime, other: datetime, since: datetime) -> None:
    start, end = min(one, other), max(one, other)
    later = [period for period in statement_periods(when, start, end) if period.ending_before > since]
    assert list(statement_periods(when, start, end, since=since)) == later


@given(schedules, instants)
def test_an_endless_contract_goes_on_as_one_with_an_end(when: StatementSchedule, start: datetime) -> None:
    endless = list(islice(statement_periods(when, start, None), 5))
    assert len(endless) == 5
    assert list(statement_periods(when, start, endless[-1].ending_before)) == endless


@given(schedules, instants)
def test_the_step_of_an_instant_is_the_period_that_contains_it(
    when: StatementSchedule, instant: datetime
) -> None:
    step = step_of(when, instant)
    assert border(when, step) <= instant < border(when, step + 1)


@given(schedules, st.integers(-100, 100))
def test_a_border_opens_its_own_period(when: StatementSchedule, step: int) -> None:
    assert step_of(when, border(when, step)) == step


@given(schedules, instants, st.integers(1, 500))
def test_billing_one_period_after_the_other_reaches_the_end(
    when: StatementSchedule, start: datetime, hours: int
) -> None:
    end = start + hours * HOUR
    billed: datetime | None = None
    seen = []
    while (period := next(statement_periods(when, start, end, since=billed), None)) is not None:
        seen.append(period)
        billed = period.ending_before
    assert seen == list(statement_periods(when, start, end))
