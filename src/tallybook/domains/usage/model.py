"""Windows over a range of hours, and what usage adds up to inside them."""

from dataclasses import dataclass
from datetime import datetime

from tallybook.domains.metrics import group_keys_of
from tallybook.values.cased import CasedEnum
from tallybook.values.errors import Invalid
from tallybook.values.instant import format_instant, hour_of, instant_of_hour, is_midnight, is_on_the_hour
from tallybook.values.metric import MetricDefinition
from tallybook.values.period import Period

Group = tuple[str | None, ...]
HOURS_PER_DAY = 24


class WindowSize(CasedEnum):
    """How a range is cut: into UTC hours, UTC days, or not at all."""

    HOUR = "HOUR"
    DAY = "DAY"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a range of hours, `[hour_from, hour_until)`, numbered from 0 in order of time.

    Days are cut at the bounds of the range.
    """

    size: WindowSize
    hour_from: int
    hour_until: int

    @property
    def count(self) -> int:
        """How many there are."""
        return self.index_of(self.hour_until - 1) + 1

    def index_of(self, hour: int) -> int:
        """The number of the window that contains `hour`.

        >>> Windows(WindowSize.DAY, 20, 72).index_of(24)
        1
        """
        if self.size is WindowSize.HOUR:
            return hour - self.hour_from
        if self.size is WindowSize.DAY:
            return hour // HOURS_PER_DAY - self.hour_from // HOURS_PER_DAY
        return 0

    def start_of(self, index: int) -> int:
        """The first hour of a window."""
        if self.size is WindowSize.HOUR:
            return self.hour_from + index
        if self.size is WindowSize.DAY:
            return max(self.hour_from, (self.hour_from // HOURS_PER_DAY + index) * HOURS_PER_DAY)
        return self.hour_from

    def end_of(self, index: int) -> int:
        """The hour at which a window ends."""
        return self.hour_until if index + 1 >= self.count else self.start_of(index + 1)

    def cuts_between(self, start: int, end: int) -> tuple[int, ...] | None:
        """Where windows begin inside a stretch; None for hours, which need no merging.

        >>> Windows(WindowSize.DAY, 0, 96).cuts_between(10, 60)
        (24, 48)
        """
        if self.size is WindowSize.HOUR:
            return None
        return tuple(map(self.start_of, range(self.index_of(start) + 1, self.index_of(end - 1) + 1)))

    def period_of(self, index: int) -> Period:
        """A window as instants."""
        return Period(instant_of_hour(self.start_of(index)), instant_of_hour(self.end_of(index)))


def windows_of(period: Period, size: WindowSize) -> Windows:
    """The windows of a period whose bounds are full hours."""
    return Windows(size, hour_of(period.starting_at), hour_of(period.ending_before))


def check_bounds(starting_on: datetime, ending_before: datetime, *, to_the_hour: bool) -> Period:
    """The range between two bounds, on UTC midnights, or on full hours when `to_the_hour`.

    Raises Invalid naming the bound (design decision 7).
    """
    for name, bound in (("starting_on", starting_on), ("ending_before", ending_before)):
        if to_the_hour and not is_on_the_hour(bound):
            raise Invalid(f"{name}: {format_instant(bound)} is not on a full UTC hour; align it to one")
        if not to_the_hour and not is_midnight(bound):
            raise Invalid(f"{name}: {format_instant(bound)} is not midnight UTC; align it to a day")
    if ending_before <= starting_on:
        least = "one hour" if to_the_hour else "one day"
        raise Invalid(f"ending_before: must be at least {least} after starting_on; send a later end")
    return Period(starting_on, ending_before)


def rank_of(group: Group) -> tuple[tuple[bool, str], ...]:
    """Sorts groups by their texts; absent members come first."""
    return tuple((member is not None, member or "") for member in group)


def check_group_key(definition: MetricDefinition, names: tuple[str, ...], field_name: str) -> None:
    """Raise Invalid naming `field_name` unless usage can be read by these properties (metering.md 3.2).

    They must be all of one declared group key, in whatever order; of an SQL metric, any of its output
    columns beside the quantity.
    """
    keys = group_keys_of(definition)
    is_twofold = len(set(names)) < len(names)
    if definition.sql is not None:
        columns = keys[0] if keys else ()
        if is_twofold or not set(names) <= set(columns):
            offered = ", ".join(columns) or "none"
            message = f"{list(names)} are not output columns of the metric; its columns: {offered}"
            raise Invalid(f"{field_name}: {message}")
    elif is_twofold or not any(set(names) == set(key) for key in keys):
        offered = ", ".join(str(list(key)) for key in keys) or "none"
        message = f"{list(names)} is no declared group key of the metric; declared: {offered}"
        raise Invalid(f"{field_name}: {message}")
