"""What the outside must provide, as protocols. Adapters implement them; domains call them."""

from collections.abc import Callable, Collection, Mapping, Sequence
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
    one cell over the whole time. Cells of an SQL metric tell how much its value since `hour_from` grew
    in them; when the question `restarts`, they tell the value of each stretch by itself.
    """

    metric: MetricDefinition
    customer_keys: frozenset[str] | None
    hour_from: int
    hour_until: int
    grouping: tuple[str, ...] = ()
    cuts: tuple[int, ...] | None = None
    restarts: bool = False

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
        """Begin to meter a metric, so that the first read of it need not wait.

        SQL metrics need none of it: their queries read stored events.
        """
        ...

    def status(self) -> Mapping[str, int]:
        """Positions and counts.

        `log_position`, `applied_position`, `lag`, `archive_position`; `events_accepted`, `events_duplicate`.
        """
        ...


class EventSink(Protocol):
    """Takes usage events durably."""

    async def ingest(self, body: bytes) -> None:
        """Store the events of one request body (a JSON array of 1 to 100), all or none.

        Returns once they are on disk. Raises Invalid naming index and field, or Unavailable when
        the store cannot take them.
        """
        ...


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as it was sent. Instants are microseconds since 1970.

    `position` is its row in the log and its index inside it. `properties` is the JSON as sent, None
    where there is none. A repeat is an event whose id had been accepted before.
    """

    position: tuple[int, int]
    transaction_id: str
    customer_id: str
    event_type: str
    timestamp_micros: int
    received_micros: int
    properties: str | None
    is_repeat: bool = False


EventPlace = tuple[int, int, int]
"""Where an event stands in order of time: its timestamp in microseconds, then its position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreQuestion:
    """Which accepted events to list, newest first; every filter given must be met.

    The range is half-open, in microseconds since 1970. `text` is looked for in the transaction id and
    in the JSON of the properties, whatever the case of its letters. Only events that stand before
    `before` are told.
    """

    customer_keys: frozenset[str] | None
    event_type: str | None
    text: str | None
    micros_from: int
    micros_until: int
    before: EventPlace | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedQuestion:
    """Which accepted events to look at for reasons why something does not count them.

    The range is half-open, in microseconds since 1970. `metrics` holds no SQL metrics. `unowned` tells
    which of some customer keys belong to no customer. At most `samples` events are told of each group.
    """

    customer_keys: frozenset[str] | None
    micros_from: int
    micros_until: int
    metrics: Sequence[MetricDefinition]
    unowned: Callable[[Sequence[str]], Collection[str]]
    samples: int


@dataclass(frozen=True, slots=True)
class UnmatchedGroup:
    """Events that one reason holds for: by customer key, by event type, or by id of a metric."""

    name: str
    event_count: int
    samples: tuple[RawEvent, ...]
    """The newest of them first."""


@dataclass(frozen=True, slots=True)
class UnmatchedReason:
    """All events that a reason holds for, and their groups, those with most events first."""

    event_count: int
    group_count: int
    groups: tuple[UnmatchedGroup, ...]
    """The first of the groups; there may be more."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What is counted nowhere, or not by everything; an event may stand under several reasons."""

    event_count: int
    """How many events were looked at."""
    no_customer: UnmatchedReason
    no_metric: UnmatchedReason
    unparsable_number: UnmatchedReason


class RawEvents(Protocol):
    """Reads events as they were sent, and sees every one acknowledged before the call began."""

    def search(self, transaction_ids: Sequence[str], since: datetime) -> list[RawEvent]:
        """Events with these ids received at `since` or later, repeats too, in the order of the log.

        `since` reaches back 34 days at most. Raises Unavailable when metering lags too far.
        """
        ...

    def explore(self, question: ExploreQuestion) -> tuple[list[RawEvent], EventPlace | None]:
        """At most `count` events, newest first, and where to go on; None when nothing is left.

        Work is bounded: there may be fewer events, even none, while something is left.
        """
        ...

    def unmatched(self, question: UnmatchedQuestion) -> Unmatched:
        """Events that no customer owns, no metric counts, or whose number a metric cannot read."""
        ...
