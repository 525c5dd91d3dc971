"""Half-open stretches of time, `[starting_at, ending_before)`; an absent end means for ever."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A half-open stretch of time with a known end.

    >>> from datetime import UTC
    >>> january = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    >>> january.contains(january.ending_before)
    False
    """

    starting_at: datetime
    ending_before: datetime

    def contains(self, instant: datetime) -> bool:
        """Whether `instant` lies inside; the start does, the end does not."""
        return self.starting_at <= instant < self.ending_before

    def is_empty(self) -> bool:
        """Whether no instant lies inside."""
        return self.ending_before <= self.starting_at

    def clip(self, starting_at: datetime | None, ending_before: datetime | None) -> "Period":
        """The part of this period inside the given bounds; empty when they do not meet."""
        start = self.starting_at if starting_at is None else max(self.starting_at, starting_at)
        end = self.ending_before if ending_before is None else min(self.ending_before, ending_before)
        return Period(start, max(start, end))


def covers(starting_at: datetime, ending_before: datetime | None, instant: datetime) -> bool:
    """Whether `instant` lies in `[starting_at, ending_before)`, None meaning without end."""
    return starting_at <= instant and (ending_before is None or instant < ending_before)
