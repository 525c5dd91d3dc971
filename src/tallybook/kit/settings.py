"""What an installation is told at start: where its data lies and how it behaves."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from tallybook.values.errors import Invalid

GRACE_HOURS_MAX = 24 * 60
EVENTS_WAITING_MAX = 100_000
SLOW_REQUESTS_WAITING_MAX = 64
COUNT_MAX = 1_000_000_000
_COUNTS = range(1, COUNT_MAX + 1)
_RAW_EVENTS_DAYS = range(35, 36_501)
"""Repeats are known for 34 days, and events may come as late as that."""

N = TypeVar("N", int, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once at start and never again."""

    data: Path
    api_token: str | None = None
    sandbox_token: str | None = None
    sandbox_now: datetime | None = None
    secret_key: str | None = None
    grace: timedelta = timedelta(hours=24)
    runs_worker: bool = True
    applies_apart: bool = False
    """Whether production's log of events is applied by a process beside the server's."""
    events_waiting_max: int = EVENTS_WAITING_MAX
    """So many events of an environment may wait for the disk."""
    events_per_second: int | None = None
    """So many are taken of an environment; None for as many as there is room for."""
    requests_per_second: int | None = None
    """So many are taken of one token; None for any number."""
    slow_requests_waiting_max: int = SLOW_REQUESTS_WAITING_MAX
    """So many questions about usage may wait while others are answered."""
    raw_events_days: int | None = None
    """So long raw events are kept; None for ever."""


def from_environment(
    data: Path,
    *,
    sandbox_now: datetime | None = None,
    runs_worker: bool = True,
    variables: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from the process's environment variables. Raises Invalid naming the variable."""
    known = os.environ if variables is None else variables
    return Settings(
        data=data,
        api_token=known.get("TALLYBOOK_API_TOKEN") or None,
        sandbox_token=known.get("TALLYBOOK_SANDBOX_TOKEN") or None,
        sandbox_now=sandbox_now,
        secret_key=known.get("TALLYBOOK_SECRET_KEY") or None,
        grace=timedelta(hours=_whole(known, "TALLYBOOK_GRACE_HOURS", range(GRACE_HOURS_MAX + 1), 24)),
        runs_worker=runs_worker,
        events_waiting_max=_whole(known, "TALLYBOOK_EVENTS_WAITING_MAX", _COUNTS, EVENTS_WAITING_MAX),
        events_per_second=_whole(known, "TALLYBOOK_EVENTS_PER_SECOND", _COUNTS, None),
        requests_per_second=_whole(known, "TALLYBOOK_REQUESTS_PER_SECOND", _COUNTS, None),
        slow_requests_waiting_max=_whole(
            known, "TALLYBOOK_SLOW_REQUESTS_WAITING_MAX", _COUNTS, SLOW_REQUESTS_WAITING_MAX
        ),
        raw_events_days=_whole(known, "TALLYBOOK_RAW_EVENTS_DAYS", _RAW_EVENTS_DAYS, None),
    )


def _whole(known: Mapping[str, str], name: str, offered: range, default: N) -> int | N:
    """The whole number in a variable; `default` when it is absent or empty. Raises Invalid naming it."""
    text = known.get(name, "")
    if not text:
        return default
    if (
        not text.isascii()
        or not text.isdigit()
        or len(text) > len(str(offered[-1]))
        or int(text) not in offered
    ):
        raise Invalid(f"{name}: {text[:40]!r} is not a whole number from {offered[0]} to {offered[-1]}")
    return int(text)
