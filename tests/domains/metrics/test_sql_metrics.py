"""SQL metrics as they are created and shown."""

from typing import Any

import pytest

from tests.support import NOW, Server, assert_refused

SQL = "SELECT SUM(properties.n) AS value, properties.region FROM events GROUP BY properties.region"


def test_create_answers_what_get_and_the_lists_answer(server: Server) -> None:
    client = server.client
    client.v1.custom_fields.add_key(entity="billable_metric", key="owner", enforce_uniqueness=False)
    made = client.v1.billable_metrics.create(name="Query", sql=SQL, custom_fields={"owner": "ml"}).data.id
    expected = {"id": made, "name": "Query", "sql": SQL, "custom_fields": {"owner": "ml"}}
    assert server.get(f"/v1/billable-metrics/{made}").json() == {"data": expected}
    assert server.get("/v1/billable-metrics").json()["data"] == [expected]
    customer = client.v1.customers.create(name="A").data.id
    assert server.get(f"/v1/customers/{customer}/billable-metrics").json()["data"] == [expected]
    detail = client.v1.billable_metrics.retrieve(billable_metric_id=made).data
    assert (detail.sql, detail.aggregation_type, detail.group_keys) == (SQL, None, None)
    assert [item.sql for item in client.v1.billable_metrics.list()] == [SQL]
    listed = client.v1.customers.list_billable_metrics(customer_id=customer)
    assert [(item.sql, item.aggregate, item.group_by) for item in listed] == [(SQL, None, None)]


def test_only_the_name_changes_and_archiving_is_for_good(server: Server) -> None:
    client = server.client
    made = client.v1.billable_metrics.create(name="Query", sql=SQL).data.id
    client.v1.billable_metrics.update(billable_metric_id=made, name="New")
    client.v1.billable_metrics.archive(id=made)
    detail = client.v1.billable_metrics.retrieve(billable_metric_id=made).data
    assert (detail.name, detail.sql, detail.archived_at) == ("New", SQL, NOW)
    assert list(client.v1.billable_metrics.list()) == []
    body = {"name": "P", "type": "USAGE", "billable_metric_id": made}
    answer = server.post("/v1/contract-pricing/products/create", body)
    assert_refused(answer, 400, "billable_metric_id")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("aggregation_type", "COUNT"),
        ("aggregation_key", "n"),
        ("event_type_filter", {"in_values": ["call"]}),
        ("property_filters", [{"name": "n", "exists": True}]),
        ("group_keys", [["region"]]),
    ],
)
def test_sql_excludes_every_other_way_to_say_it(shared_server: Server, field: str, value: Any) -> None:
    body = {"name": "Query", "sql": SQL, field: value}
    assert_refused(shared_server.post("/v1/billable-metrics/create", body), 400, field)


@pytest.mark.parametrize("sql", ["", " ", "SELECT", "DROP TABLE events", "SELECT 1 FROM other", "no query"])
def test_a_bad_query_is_refused_naming_the_field(shared_server: Server, sql: str) -> None:
    body = {"name": "Query", "sql": sql}
    assert_refused(shared_server.post("/v1/billable-metrics/create", body), 400, "sql")


@pytest.mark.parametrize("kind", ["SQL", "sql", "Sql", "CUSTOM_SQL"])
def test_sql_is_no_aggregation_type(shared_server: Server, kind: str) -> None:
    body = {"name": "Query", "aggregation_type": kind}
    assert_refused(shared_server.post("/v1/billable-metrics/create", body), 400, "aggregation_type")
    old = {"name": "Query", "aggregate": kind, "filter": {}}
    assert_refused(shared_server.post("/v1/billable-metrics", old), 400, "aggregate")
    assert '"SQL"' not in shared_server.get("/openapi.json").text
