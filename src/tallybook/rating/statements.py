"""When usage is billed: statement periods of a contract (pricing.md 9.7 to 9.11)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tallybook.values.cased import CasedEnum
from tallybook.values.instant import add_months
from tallybook.values.period import Period


class StatementFrequency(CasedEnum):
    """How long a statement period is."""

    MONTHLY = "MONTHLY"
    QUARTERLY = "QUARTERLY"
    ANNUAL = "ANNUAL"
    WEEKLY = "WEEKLY"


MONTHS = {
    StatementFrequency.MONTHLY: 1,
    StatementFrequency.QUARTERLY: 3,
    StatementFrequency.ANNUAL: 12,
}
_WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSchedule:
    """Steps from `anchor` by `frequency`, in both directions.

    Periods before `invoice_generation_starting_at` yield no invoice; a period that contains it begins
    there (pricing.md 9.10).
    """

    frequency: StatementFrequency
    anchor: datetime
    invoice_generation_starting_at: datetime | None = None


def first_of_month(instant: datetime) -> datetime:
    """Midnight UTC on the first day of the instant's month."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def border(schedule: StatementSchedule, step: int) -> datetime:
    """The anchor moved by `step` periods, clamped to the month's last day (design decision 25)."""
    months = MONTHS.get(schedule.frequency)
    if months is None:
        return schedule.anchor + step * _WEEK
    return add_months(schedule.anchor, step * months)


def step_of(schedule: StatementSchedule, instant: datetime) -> int:
    """The step of the period that contains `instant`."""
    months = MONTHS.get(schedule.frequency)
    if months is None:
        return (instant - schedule.anchor) // _WEEK
    anchor = schedule.anchor
    step = ((instant.year - anchor.year) * 12 + instant.month - anchor.month) // months
    return step if border(schedule, step) <= instant else step - 1


def statement_periods(
    schedule: StatementSchedule,
    starting_at: datetime,
    ending_before: datetime | None,
    since: datetime | None = None,
) -> Iterator[Period]:
    """The periods of a contract in order, cut to it; without end when the contract has none.

    With `since`, only periods that end after it. Empty periods are left out.
    """
    start = max(starting_at, schedule.invoice_generation_starting_at or starting_at)
    begin = start if since is None else max(start, since)
    if ending_before is not None and begin >= ending_before:
        return
    step = step_of(schedule, begin)
    while True:
        try:
            end = border(schedule, step + 1)
        except (ValueError, OverflowError):
            # The calendar ends: only a contract that ends inside it has a last period.
            if ending_before is None:
                return
            end = ending_before
        clipped = Period(border(schedule, step), end).clip(start, ending_before)
        if not clipped.is_empty():
            yield clipped
        if ending_before is not None and end >= ending_before:
            return
        step += 1
