"""Questions about raw events: by transaction id from the log, all others as SQL over their view."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from tallybook.adapters.archive.manifest import RawScope
from tallybook.adapters.archive.unmatched import events_at, unmatched_in
from tallybook.ports import EventPlace, ExploreQuestion, RawEvent, Unmatched, UnmatchedQuestion

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS_PER_PAGE = 5_000_000
"""A page ends when so many events were looked at."""
ROWS_AT_ONCE = 500_000
"""A stretch of time with more events than this is looked at in halves."""
STRETCHES_PER_PAGE = 12
_FEW_ROWS = 100_000
"""After a stretch with fewer events than this the next is twice as long."""
_DAY_MICROS = 86_400_000_000
_SHORTEST_MICROS = 60_000_000


class Finder(Protocol):
    """Finds events by id; see ports.RawEvents.search."""

    def search(self, transaction_ids: Sequence[str], since: datetime) -> list[RawEvent]:
        """Events with these ids, in the order of the log."""
        ...


class Views(Protocol):
    """Gives connections with a view `raw_events` of exactly the accepted events in a scope."""

    def events(self, scope: RawScope) -> "AbstractContextManager[DuckDBPyConnection]":
        """A connection that sees every event acknowledged before the call."""
        ...


class RawQueries:
    """Answers questions about raw events; see ports.RawEvents. Any thread may call."""

    def __init__(self, finder: Finder, views: Views) -> None:
        """Find ids with `finder`, ask `views` for everything else."""
        self._finder = finder
        self._views = views

    def search(self, transaction_ids: Sequence[str], since: datetime) -> list[RawEvent]:
        """Events by id; see ports.RawEvents."""
        return self._finder.search(transaction_ids, since)

    def explore(self, question: ExploreQuestion) -> tuple[list[RawEvent], EventPlace | None]:
        """Events newest first, by walking back in time; see ports.RawEvents."""
        until = question.micros_until
        if question.before is not None:
            until = min(until, question.before[0] + 1)
        if until <= question.micros_from:
            return [], None
        scope = RawScope(question.customer_keys, question.micros_from, until)
        with self._views.events(scope) as connection:
            return _walk(connection, question, until)

    def unmatched(self, question: UnmatchedQuestion) -> Unmatched:
        """Events that something does not count; see ports.RawEvents."""
        scope = RawScope(question.customer_keys, question.micros_from, question.micros_until)
        with self._views.events(scope) as connection:
            return unmatched_in(connection, question)


def _walk(
    connection: "DuckDBPyConnection", question: ExploreQuestion, until: int
) -> tuple[list[RawEvent], EventPlace | None]:
    found: list[RawEvent] = []
    rows = ROWS_PER_PAGE
    length = _DAY_MICROS
    for _ in range(STRETCHES_PER_PAGE):
        start = max(question.micros_from, until - length)
        looked = _count(connection, start, until)
        while looked > ROWS_AT_ONCE and until - start > _SHORTEST_MICROS:
            start = until - (until - start) // 2
            looked = _count(connection, start, until)
        if looked:
            found += _newest(connection, question, (start, until), question.count - len(found))
        if len(found) >= question.count:
            return found, (found[-1].timestamp_micros, *found[-1].position)
        if start <= question.micros_from:
            return found, None
        until, rows = start, rows - looked
        if rows <= 0:
            break
        length = 2 * length if looked < _FEW_ROWS else _DAY_MICROS
    return found, (until, 0, 0)


def _count(connection: "DuckDBPyConnection", start: int, until: int) -> int:
    query = "SELECT count(*) FROM raw_events WHERE timestamp >= ? AND timestamp < ?"
    counted = connection.execute(query, [start, until]).fetchone()
    return int(counted[0]) if counted else 0


def _newest(
    connection: "DuckDBPyConnection", question: ExploreQuestion, stretch: tuple[int, int], count: int
) -> list[RawEvent]:
    where = ["timestamp >= ? AND timestamp < ?"]
    values: list[object] = [*stretch]
    if question.event_type is not None:
        where.append("event_type = ?")
        values.append(question.event_type)
    if question.text is not None:
        # A property's text need not be there; the id always is.
        where.append(
            "(contains(lower(transaction_id), lower(?)) "
            "OR coalesce(contains(lower(properties), lower(?)), FALSE))"
        )
        values += [question.text, question.text]
    if question.before is not None:
        where.append("(timestamp, log_row, log_index) < (?, ?, ?)")
        values += question.before
    query = (
        f"SELECT timestamp, log_row, log_index FROM raw_events WHERE {' AND '.join(where)} "  # noqa: S608  # ours
        f"ORDER BY timestamp DESC, log_row DESC, log_index DESC LIMIT {count}"
    )
    places: list[EventPlace] = connection.execute(query, values).fetchall()
    # What an event said is read for those that are told alone.
    events = events_at(connection, places)
    return [events[place] for place in places]
