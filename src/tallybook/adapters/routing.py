"""Sends each question about usage to where it is answered: cells, or a query over raw events."""

from collections.abc import Mapping

from tallybook.adapters.archive import RawEventStore, RawScope
from tallybook.adapters.sql_metrics import SqlMetricReader
from tallybook.ports import CellReader, UsageQuestion
from tallybook.values.instant import HOUR_MICROS
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import UsageCell

# The remainder of an instant before 1970 is negative.
_HOURS = """
    SELECT DISTINCT (timestamp - ((timestamp % $1) + $1) % $1) // $1 AS hour
    FROM raw_events ORDER BY hour
"""


class RoutedUsage:
    """Answers for every metric; see ports.UsageReader. Any thread may call."""

    def __init__(self, cells: CellReader, raw: RawEventStore) -> None:
        """Metering keeps the cells, and `raw` the events that SQL metrics are computed from."""
        self._cells = cells
        self._raw = raw
        self._sql = SqlMetricReader(raw)

    def read(self, question: UsageQuestion) -> list[UsageCell]:
        """The answer to one question."""
        return (self._cells if question.metric.sql is None else self._sql).read(question)

    def register(self, metric: MetricDefinition) -> None:
        """Begin to meter a metric; an SQL metric needs none."""
        if metric.sql is None:
            self._cells.register(metric)

    def status(self) -> Mapping[str, int]:
        """How far metering has come."""
        return self._cells.status()

    def hours_with_events(
        self, customer_keys: frozenset[str] | None, hour_from: int, hour_until: int
    ) -> list[int]:
        """The hours of a range with accepted events, ascending."""
        scope = RawScope(customer_keys, hour_from * HOUR_MICROS, hour_until * HOUR_MICROS)
        with self._raw.events(scope) as connection:
            return [hour for (hour,) in connection.execute(_HOURS, [HOUR_MICROS]).fetchall()]
