"""Usage questions about SQL metrics, by hand."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tallybook.domains.usage.service import reading
from tallybook.ports import UsageQuestion
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tests.domains.usage.books import event, ingest
from tests.support import NOW, Server, assert_refused

FIRST = datetime(2026, 1, 12, tzinfo=UTC)
LAST = datetime(2026, 1, 16, tzinfo=UTC)
BOUNDS: dict[str, Any] = {"starting_on": FIRST, "ending_before": LAST}
LATEST = "SELECT LATEST(properties.n) AS value FROM events WHERE event_type = 'call'"
BY_PLACE = """
    SELECT SUM(properties.n) AS value, properties.region, properties.team
    FROM events GROUP BY properties.region, properties.team
"""

HOURLY_PEAKS = """
    SELECT SUM(peak) AS value, region FROM (
        SELECT MAX(properties.n) AS peak, properties.region, date_trunc('hour', timestamp) AS hour
        FROM events GROUP BY properties.region, hour
    ) GROUP BY region
"""


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


EVENTS = [
    event(1, "a", at(12, 3), n="5", region="eu", team="x"),
    event(2, "a", at(12, 5), n="2", region="us", team="x"),
    event(3, "a", at(14, 23), n="4", region="eu", team="y"),
    event(4, "a", at(15, 0), n="0.5", region="eu", team="x"),
]


@pytest.fixture
def customer(server: Server) -> str:
    made = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    ingest(server, EVENTS)
    return made


def query(server: Server, sql: str) -> str:
    return server.client.v1.billable_metrics.create(name="Query", sql=sql).data.id


def test_windows_hold_absolute_values(server: Server, customer: str) -> None:
    metric = query(server, LATEST)
    asked: dict[str, Any] = {"customer_ids": [customer], "billable_metrics": [{"id": metric}], **BOUNDS}
    expected = {
        "DAY": {at(12): 2, at(14): 4, at(15): 0.5},
        "HOUR": {at(12, 3): 5, at(12, 5): 2, at(14, 23): 4, at(15, 0): 0.5},
        "NONE": {at(12): 0.5},
    }
    counts = {"DAY": 4, "HOUR": 96, "NONE": 1}
    for size, values in expected.items():
        rows = list(server.client.v1.usage.list(window_size=size, **asked))
        assert [row.billable_metric_name for row in rows] == ["Query"] * counts[size]
        assert {row.start_timestamp: row.value for row in rows if row.value} == values
        groups = server.client.v1.usage.list_with_groups(
            customer_id=customer, billable_metric_id=metric, window_size=size, limit=100, **BOUNDS
        )
        assert [(row.starting_on, row.ending_before, row.value) for row in groups] == [
            (row.start_timestamp, row.end_timestamp, row.value) for row in rows
        ]


def test_a_window_without_events_is_zero(server: Server, customer: str) -> None:
    metric = query(server, LATEST)
    rows = list(
        server.client.v1.usage.list_with_groups(
            customer_id=customer, billable_metric_id=metric, window_size="DAY", **BOUNDS
        )
    )
    assert [row.value for row in rows] == [2, 0, 4, 0.5]


def test_what_a_query_gives_for_no_events_is_its_value_there(server: Server, customer: str) -> None:
    metric = query(server, "SELECT COUNT(*) * 10 + 1 AS value FROM events")
    for size, expected in (("DAY", [21, 1, 11, 11]), ("NONE", [41])):
        rows = server.client.v1.usage.list_with_groups(
            customer_id=customer, billable_metric_id=metric, window_size=size, **BOUNDS
        )
        assert [row.value for row in rows] == expected


@pytest.mark.parametrize(
    ("sql", "grouping"),
    [
        (LATEST, ()),
        (BY_PLACE, ("region",)),
        (BY_PLACE, ("team", "region")),
        ("SELECT count(DISTINCT properties.region) AS value FROM events", ()),
        (
            "SELECT AVG(properties.n) AS value, properties.team FROM events GROUP BY properties.team",
            ("team",),
        ),
        (
            HOURLY_PEAKS,
            ("region",),
        ),
    ],
)
def test_many_windows_at_once_give_what_each_gives_by_itself(
    server: Server, customer: str, sql: str, grouping: tuple[str, ...]
) -> None:
    metric = MetricDefinition("m", Aggregation.SQL, sql=sql)
    keys, start, end = frozenset(["a", customer]), hour_of(FIRST), hour_of(LAST)
    with server.tallybook.environments["sandbox"].read("test") as tx:
        for cuts in (None, (start + 5, start + 50), ()):
            whole = UsageQuestion(metric, keys, start, end, grouping, cuts, restarts=True)
            borders = whole.borders or tuple(range(start, end + 1))
            each = [
                cell
                for first, last in pairwise(borders)
                for cell in tx.usage.read(UsageQuestion(metric, keys, first, last, grouping, ()))
            ]
            assert tx.usage.read(whole) == each


def test_grouped_by_an_output_column(server: Server, customer: str) -> None:
    metric = query(server, BY_PLACE)
    by = {"id": metric, "group_by": {"key": "region"}}
    rows = server.client.v1.usage.list(
        window_size="DAY", customer_ids=[customer], billable_metrics=[by], **BOUNDS
    )
    assert [(row.start_timestamp, row.value, row.groups) for row in rows] == [
        (at(12), 7, {"eu": 5, "us": 2}),
        (at(14), 4, {"eu": 4}),
        (at(15), 0.5, {"eu": 0.5}),
    ]
    by = {"id": metric, "group_by": {"key": "region", "values": ["us", "asia"]}}
    rows = server.client.v1.usage.list(
        window_size="NONE", customer_ids=[customer], billable_metrics=[by], **BOUNDS
    )
    assert [(row.value, row.groups) for row in rows] == [(11.5, {"us": 2, "asia": None})]


def test_any_of_the_output_columns_may_be_the_key(server: Server, customer: str) -> None:
    metric = query(server, BY_PLACE)
    asked: dict[str, Any] = {
        "customer_id": customer,
        "billable_metric_id": metric,
        "window_size": "NONE",
        **BOUNDS,
    }
    ask = server.client.v1.usage.list_with_groups
    rows = list(ask(**asked, group_key=["team"]))
    assert [(row.group_key, row.group_value, row.value) for row in rows] == [
        ("team", "x", 7.5),
        ("team", "y", 4),
    ]
    rows = list(ask(**asked, group_key=["team", "region"]))
    assert [(row.group, row.group_value, row.value) for row in rows] == [
        ({"team": "x", "region": "eu"}, None, 5.5),
        ({"team": "x", "region": "us"}, None, 2),
        ({"team": "y", "region": "eu"}, None, 4),
    ]
    rows = list(ask(**asked, group_key=["team", "region"], group_filters={"region": ["eu"], "team": ["x"]}))
    assert [row.value for row in rows] == [5.5]
    assert [row.value for row in ask(**asked, group_by={"key": "region", "values": ["us"]})] == [2]


@pytest.mark.parametrize("key", [["value"], ["tier"], ["team", "team"], ["team", "region", "n"]])
def test_what_is_no_output_column_is_refused(server: Server, customer: str, key: list[str]) -> None:
    metric = query(server, BY_PLACE)
    body = {
        "customer_id": customer,
        "billable_metric_id": metric,
        "window_size": "NONE",
        "starting_on": FIRST.isoformat(),
        "ending_before": LAST.isoformat(),
        "group_key": key,
    }
    answer = server.post("/v1/usage/groups", body)
    assert_refused(answer, 400, "group_key")
    assert "region, team" in answer.json()["message"]
    batch = {name: body[name] for name in ("window_size", "starting_on", "ending_before")}
    asked = [{"id": metric, "group_by": {"key": key[0]}}]
    if key[0] != "team":
        answer = server.post("/v1/usage", {**batch, "billable_metrics": asked})
        assert_refused(answer, 400, "billable_metrics[0].group_by.key")


def test_the_current_period(server: Server, customer: str) -> None:
    metric = query(server, LATEST)
    server.client.v1.contracts.create(customer_id=customer, starting_at=at(14, 6))
    rows = server.client.v1.usage.list_with_groups(
        customer_id=customer, billable_metric_id=metric, window_size="DAY", current_period=True, limit=2
    )
    found = [(row.starting_on, row.ending_before, row.value) for row in rows]
    assert found[:2] == [(at(14, 6), at(15), 4), (at(15), at(16), 0.5)]
    assert len(found) == 18


def test_pages_chain_while_events_come_and_their_work_is_bounded(
    server: Server, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "QUERY_READS", 200)
    metric = query(server, BY_PLACE)
    asked: dict[str, Any] = {
        "customer_id": customer,
        "billable_metric_id": metric,
        "window_size": "HOUR",
        "group_key": ["region"],
        "limit": 100,
        **BOUNDS,
    }
    seen, pages, page = [], 0, server.client.v1.usage.list_with_groups(**asked)
    while True:
        seen += [(row.starting_on, row.group_value, row.value) for row in page.data]
        pages += 1
        if page.next_page is None:
            break
        ingest(server, [event(100 + pages, "a", at(12, 3), n=1, region=f"a{pages}")])
        page = server.client.v1.usage.list_with_groups(**asked, next_page=page.next_page)
    assert seen == [
        (at(12, 3), "eu", 5),
        (at(12, 5), "us", 2),
        (at(14, 23), "eu", 4),
        (at(15, 0), "eu", 0.5),
    ]
    assert pages > 1
    plain = server.client.v1.usage.list_with_groups(
        customer_id=customer, billable_metric_id=metric, window_size="HOUR", limit=100, **BOUNDS
    )
    starts = [row.starting_on for row in plain]
    assert starts == [FIRST + number * timedelta(hours=1) for number in range(96)]


def test_all_of_time_costs_a_few_queries(server: Server, customer: str) -> None:
    metric = query(server, BY_PLACE)
    far = {
        "starting_on": datetime(1970, 1, 1, tzinfo=UTC),
        "ending_before": datetime(9999, 12, 31, tzinfo=UTC),
    }
    by = {"id": metric, "group_by": {"key": "region"}}
    rows = list(server.client.v1.usage.list(window_size="HOUR", billable_metrics=[by], **far))
    assert [(row.start_timestamp, row.value) for row in rows] == [
        (at(12, 3), 5),
        (at(12, 5), 2),
        (at(14, 23), 4),
        (at(15, 0), 0.5),
    ]
    (row,) = server.client.v1.usage.list(window_size="NONE", billable_metrics=[{"id": metric}], **far)
    assert row.value == 11.5


def test_events_acknowledged_before_the_question_are_in_the_answer(server: Server, customer: str) -> None:
    metric = query(server, "SELECT COUNT(*) FROM events")
    for number in range(10):
        ingest(server, [event(50 + number, "a", NOW, n=1)])
        (row,) = server.client.v1.usage.list(
            window_size="NONE", billable_metrics=[{"id": metric}], customer_ids=[customer], **BOUNDS
        )
        assert row.value == 5 + number


def test_usage_follows_an_alias_that_moves(server: Server, customer: str) -> None:
    metric = query(server, LATEST)
    other = server.client.v1.customers.create(name="B").data.id
    server.client.v1.customers.set_ingest_aliases(customer_id=customer, ingest_aliases=[])
    server.client.v1.customers.set_ingest_aliases(customer_id=other, ingest_aliases=["a"])
    rows = server.client.v1.usage.list(window_size="NONE", billable_metrics=[{"id": metric}], **BOUNDS)
    assert {row.customer_id: row.value for row in rows} == {customer: 0, other: 0.5}


def test_a_query_that_cannot_be_computed_hides_no_other_usage(server: Server, customer: str) -> None:
    squared = query(server, "SELECT SUM(properties.n * properties.n) AS value FROM events")
    total = query(server, "SELECT SUM(properties.n) AS value FROM events")
    ingest(server, [event(5, "a", at(13), n=10**20)])
    rows = list(server.client.v1.usage.list(window_size="NONE", **BOUNDS))
    assert {row.billable_metric_id: row.value for row in rows} == {squared: None, total: 10**20 + 11.5}
    asked = {"window_size": "NONE", "starting_on": FIRST.isoformat(), "ending_before": LAST.isoformat()}
    refused = server.post("/v1/usage", {**asked, "billable_metrics": [{"id": squared}]})
    assert refused.status_code == 400
    assert squared in refused.json()["message"]
