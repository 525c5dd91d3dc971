"""Clocks: the system's for production, a movable one for the sandbox."""

from datetime import UTC, datetime
from threading import Lock

from sqlalchemy import Column, Engine, String, Table, delete, insert, select

from tallybook.kit.db.columns import Instant
from tallybook.kit.db.faults import store_faults
from tallybook.kit.http.auth import control_metadata
from tallybook.values.errors import Conflict
from tallybook.values.instant import format_instant

clocks = Table(
    "clocks",
    control_metadata,
    Column("environment", String, primary_key=True),
    Column("now", Instant, nullable=False),
)


class SystemClock:
    """The operating system's clock."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)

    def move(self, to: datetime) -> None:
        """Refuse: real time moves by itself. Raises Conflict."""
        when = format_instant(to)
        message = f"now: this environment follows real time and cannot move to {when}; use the sandbox"
        raise Conflict(message)


class SandboxClock:
    """Follows the system until it is first moved; from then on it stands where it was moved to."""

    def __init__(self, control: Engine, environment: str) -> None:
        """Take up where the clock was left."""
        self._control = control
        self._environment = environment
        self._lock = Lock()
        with control.connect() as connection:
            row = connection.execute(select(clocks.c.now).where(clocks.c.environment == environment)).first()
        self._now: datetime | None = row.now if row else None

    def now(self) -> datetime:
        """The instant the sandbox stands at, UTC."""
        return self._now or datetime.now(UTC)

    def start(self, now: datetime) -> None:
        """Stand at `now` if the clock was never moved. Raises Conflict when it was, to a later instant."""
        if self._now is None:
            self._stand(now)
        else:
            self.move(now)

    def move(self, to: datetime) -> None:
        """Stand at `to` from now on, durably. Raises Conflict when that is before now, or Unavailable."""
        with self._lock:
            if to < self.now():
                message = (
                    f"now: {format_instant(to)} lies before the present, {format_instant(self.now())}; "
                    "the clock only moves forward"
                )
                raise Conflict(message)
            self._stand(to)

    def _stand(self, now: datetime) -> None:
        with store_faults(), self._control.begin() as connection:
            connection.execute(delete(clocks).where(clocks.c.environment == self._environment))
            connection.execute(insert(clocks).values(environment=self._environment, now=now))
        self._now = now
