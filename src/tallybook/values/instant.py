"""Instants: UTC datetimes, their wire form, and calendar steps from an anchor.

An instant is an aware `datetime` in UTC. Finer fractions than a microsecond are cut, never rounded,
so an event never moves into a later hour. Calendar steps are computed from the anchor and clamped
to the month's last day (design decision 25).
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

from tallybook.values.errors import Invalid

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
"""Where the calendar ends."""

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,30}))?([Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII
)


def parse_instant(text: str, field: str = "timestamp") -> datetime:
    """The UTC instant that an RFC 3339 text names.

    Raises Invalid naming `field` when the text is no RFC 3339 date-time with an offset.

    >>> parse_instant("2023-11-16T18:59:59.9999999Z").second
    59
    """
    match = _RFC3339.fullmatch(text)
    if match is not None:
        date, time, fraction, offset = match.groups()
        micros = (fraction or "")[:6].ljust(6, "0")
        suffix = "+00:00" if offset in "Zz" else offset
        try:
            return datetime.fromisoformat(f"{date}T{time}.{micros}{suffix}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    message = f"{field}: {text[:40]!r} is not an RFC 3339 date-time with offset, e.g. 2026-01-31T00:00:00Z"
    raise Invalid(message)


def format_instant(instant: datetime) -> str:
    """RFC 3339 text in UTC, milliseconds or finer only where there are any.

    >>> format_instant(datetime(2026, 1, 31, tzinfo=UTC))
    '2026-01-31T00:00:00+00:00'
    """
    return instant.astimezone(UTC).isoformat()


def is_on_the_hour(instant: datetime) -> bool:
    """Whether minutes, seconds and fractions are all zero."""
    return instant.minute == 0 and instant.second == 0 and instant.microsecond == 0


def is_midnight(instant: datetime) -> bool:
    """Whether `instant` is 00:00 UTC."""
    return instant.hour == 0 and is_on_the_hour(instant)


def require_on_the_hour(instant: datetime, field: str) -> datetime:
    """`instant`, or Invalid naming `field` when it is not on a full UTC hour (design decision 11)."""
    if not is_on_the_hour(instant):
        message = (
            f"{field}: {format_instant(instant)} is not on a full UTC hour; use minutes and seconds zero"
        )
        raise Invalid(message)
    return instant


def hour_of(instant: datetime) -> int:
    """Number of whole hours since 1970-01-01T00:00Z; negative before it."""
    return (instant - EPOCH) // HOUR


def instant_of_hour(hour: int) -> datetime:
    """Start of the hour that `hour_of` numbered."""
    return EPOCH + hour * HOUR


def micros_of(instant: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z, as an exact integer."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant_of_micros(micros: int) -> datetime:
    """The instant that `micros_of` numbered."""
    return EPOCH + timedelta(microseconds=micros)


def later_by(instant: datetime, span: timedelta) -> datetime:
    """`instant` moved forward by `span`, or the end of the calendar where that comes first.

    >>> later_by(LATEST, HOUR) == LATEST
    True
    """
    return LATEST if instant > LATEST - span else instant + span


def add_months(anchor: datetime, months: int) -> datetime:
    """`anchor` moved by whole months, clamped to the last day of the month reached.

    >>> add_months(datetime(2026, 1, 31, tzinfo=UTC), 1).day
    28
    """
    index = anchor.year * 12 + anchor.month - 1 + months
    year, month = divmod(index, 12)
    day = min(anchor.day, monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)
