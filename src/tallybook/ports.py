"""What the outside must provide, as protocols. Adapters implement them; domains call them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import UsageCell


class Clock(Protocol):
    """Where `now` comes from: the system for production, a movable one for the sandbox."""

    def now(self) -> datetime:
        """The present instant of this environment, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """Which cells to read.

    `customer_keys` None means every key. Hours are half-open, `[hour_from, hour_until)`. `grouping`
    is () for no grouping or properties that all lie in one declared group key of the metric, in any
    order. Without `cuts` cells are hourly. With them, ascending hours inside the bounds, each stretch
    between neighbouring cuts and bounds is one cell, whose hour is the stretch's first: so () asks for
    one cell over the whole time.
    """

    metric: MetricDefinition
    customer_keys: frozenset[str] | None
    hour_from: int
    hour_until: int
    grouping: tuple[str, ...] = ()
    cuts: tuple[int, ...] | None = None

    @property
    def borders(self) -> tuple[int, ...] | None:
        """Where stretches begin and the last one ends; None for hourly cells."""
        return None if self.cuts is None else (self.hour_from, *self.cuts, self.hour_until)


class UsageReader(Protocol):
    """Reads metered usage, and sees every event acknowledged before the call began."""

    def read(self, question: UsageQuestion) -> list[UsageCell]:
        """Cells with at least one matching event, ordered by customer key, hour, group."""
        ...

    def register(self, metric: MetricDefinition) -> None:
        """Begin to meter a metric, so that the first read of it need not wait."""
        ...

    def status(self) -> Mapping[str, int]:
        """`log_position`, `applied_position`, `lag`, `events_accepted`, `events_duplicate`."""
        ...


class EventSink(Protocol):
    """Takes usage events durably."""

    async def ingest(self, body: bytes) -> None:
        """Store the events of one request body (a JSON array of 1 to 100), all or none.

        Returns once they are on disk. Raises Invalid naming index and field, or Unavailable when
        the store cannot take them.
        """
        ...
