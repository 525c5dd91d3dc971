"""When a metric begins to be metered: once it is durable, and at the latest when it is read."""

from datetime import timedelta

import pytest

from tallybook.domains import metrics
from tallybook.domains.metrics import service
from tallybook.domains.metrics.service import MetricDraft
from tallybook.kit.db.tx import Environment
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid, NotFound
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tests.support import NOW, UNKNOWN, Server

COUNT = MetricDraft(name="All", definition=MetricDefinition(id="", aggregation=Aggregation.COUNT))


class _Undone(Exception):
    pass


def _create_and_fail(environment: Environment) -> None:
    with environment.write("test") as tx:
        service.create_metric(tx, COUNT)
        raise _Undone


def test_a_create_that_is_rolled_back_meters_nothing(server: Server) -> None:
    environment = server.tallybook.environments["sandbox"]
    metered = server.tallybook.meterings["sandbox"]._state.numbers
    with pytest.raises(_Undone):
        _create_and_fail(environment)
    assert list(metered) == []
    with environment.write("test") as tx:
        kept = service.create_metric(tx, COUNT)
        assert list(metered) == []
    assert list(metered) == [kept.id]


def test_a_metric_that_a_crash_left_unregistered_counts_all_its_events(server: Server) -> None:
    environment = server.tallybook.environments["sandbox"]
    with environment.write("test") as tx:
        metric = service.create_metric(tx, COUNT)
        tx.after_commit.clear()  # as when the process dies right after the commit
    event = {
        "transaction_id": "t",
        "customer_id": "c",
        "event_type": "any",
        "timestamp": (NOW - timedelta(hours=1)).isoformat(),
    }
    assert server.post("/v1/ingest", [event]).status_code == 200
    hour = hour_of(NOW)
    with environment.read("test") as reading:
        question = UsageQuestion(metric.definition, None, hour - 1, hour)
        assert [cell.tally.count for cell in reading.usage.read(question)] == [1]


def test_the_face(server: Server) -> None:
    environment = server.tallybook.environments["sandbox"]
    with environment.write("test") as tx:
        kept, gone = service.create_metric(tx, COUNT), service.create_metric(tx, COUNT)
        service.archive_metric(tx, gone.id)
        assert metrics.get_metric(tx, kept.id) == kept
        assert metrics.require_active(tx, kept.id) == kept
        with pytest.raises(Invalid, match=r"metric_id.*archived"):
            metrics.require_active(tx, gone.id, "metric_id")
        with pytest.raises(NotFound, match="metric_id"):
            metrics.require_active(tx, UNKNOWN, "metric_id")
        assert set(metrics.metrics_by_id(tx, [kept.id, gone.id, UNKNOWN])) == {kept.id, gone.id}
        assert metrics.metrics_by_id(tx, []) == {}
        assert metrics.all_metrics(tx, include_archived=False) == [kept]
        assert {metric.id for metric in metrics.all_metrics(tx, include_archived=True)} == {kept.id, gone.id}
