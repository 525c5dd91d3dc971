"""What an installation is told at start: where its data lies and how it behaves."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tallybook.values.errors import Invalid

GRACE_HOURS_MAX = 24 * 60


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


def from_environment(
    data: Path,
    *,
    sandbox_now: datetime | None = None,
    runs_worker: bool = True,
    variables: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from the process's environment variables. Raises Invalid naming the variable."""
    known = os.environ if variables is None else variables
    hours = known.get("TALLYBOOK_GRACE_HOURS", "24")
    if not hours.isascii() or not hours.isdigit() or int(hours) > GRACE_HOURS_MAX:
        raise Invalid(f"TALLYBOOK_GRACE_HOURS: {hours!r} is not a whole number from 0 to {GRACE_HOURS_MAX}")
    return Settings(
        data=data,
        api_token=known.get("TALLYBOOK_API_TOKEN") or None,
        sandbox_token=known.get("TALLYBOOK_SANDBOX_TOKEN") or None,
        sandbox_now=sandbox_now,
        secret_key=known.get("TALLYBOOK_SECRET_KEY") or None,
        grace=timedelta(hours=int(hours)),
        runs_worker=runs_worker,
    )
