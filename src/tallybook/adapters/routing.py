"""Sends each question about usage to where it is answered: cells, or a query over raw events."""

from collections.abc import Mapping

from tallybook.adapters.archive import RawEventStore
from tallybook.adapters.sql_metrics import SqlMetricReader
from tallybook.ports import UsageQuestion, UsageReader
from tallybook.values.metric import MetricDefinition
from tallybook.values.usage import UsageCell


class RoutedUsage:
    """Answers for every metric; see ports.UsageReader. Any thread may call."""

    def __init__(self, metering: UsageReader, raw: RawEventStore) -> None:
        """Metering keeps cells; `raw` has the events that SQL metrics are computed from."""
        self._metering = metering
        self._raw = raw
        self._sql = SqlMetricReader(raw)

    def read(self, question: UsageQuestion) -> list[UsageCell]:
        """The answer to one question."""
        return (self._metering if question.metric.sql is None else self._sql).read(question)

    def register(self, metric: MetricDefinition) -> None:
        """Begin to meter a metric, unless it is an SQL metric."""
        if metric.sql is None:
            self._metering.register(metric)

    def status(self) -> Mapping[str, int]:
        """How far metering and the archive have come."""
        return {**self._metering.status(), "archive_position": self._raw.manifest().position}
