"""Finding events again by transaction id."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.domains import customers
from tests.domains.usage.books import create_metric, event, ingest
from tests.support import NOW, PRODUCTION_TOKEN, Server, assert_refused, serving

SECOND = timedelta(seconds=1)
WINDOW = timedelta(days=34)


def search(server: Server, *ids: str) -> list[Any]:
    return server.client.v1.usage.search(transaction_ids=list(ids))


def raw(server: Server, *ids: str) -> Any:
    answer = server.post("/v1/events/search", {"transactionIds": list(ids)})
    assert answer.status_code == 200, answer.text
    return server.exact(answer)


def test_an_event_is_told_as_it_was_sent(server: Server) -> None:
    customer = server.client.v1.customers.create(name="Acme", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client)
    body = (
        b'[{"transaction_id":"x","customer_id":"a","event_type":"call",'
        b'"timestamp":"2026-01-15T10:00:00.25+01:00",'
        b'"properties":{ "n" : 1.10, "deep":{"list":[1e3,null,true]}, "great":123456789012345678901234567890'
        b"}}]"
    )
    headers = {"content-type": "application/json"}
    assert server.request("POST", "/v1/ingest", content=body, headers=headers).status_code == 200
    answer = server.post("/v1/events/search", {"transactionIds": ["x"]})
    assert b'"properties":{ "n" : 1.10, "deep":{"list":[1e3,null,true]}, "great":1234567' in answer.content
    (found,) = answer.json()
    assert {name: found[name] for name in ("transaction_id", "customer_id", "event_type")} == {
        "transaction_id": "x",
        "customer_id": "a",
        "event_type": "call",
    }
    assert (found["timestamp"], found["processed_at"]) == (
        "2026-01-15T09:00:00.250000Z",
        "2026-01-15T12:00:00Z",
    )
    assert found["is_duplicate"] is False
    assert found["matched_customer"] == {"id": customer, "name": "Acme"}
    assert [item["id"] for item in found["matched_billable_metrics"]] == [metric]
    (item,) = search(server, "x")
    assert item.id == found["id"]
    assert item.properties["n"] == 1.1


def test_what_an_event_lacks_is_left_out(server: Server) -> None:
    ingest(server, [{**event(1, "nobody", NOW), "properties": None}])
    (found,) = raw(server, "t1")
    assert set(found) == {
        "id",
        "transaction_id",
        "customer_id",
        "event_type",
        "timestamp",
        "processed_at",
        "is_duplicate",
        "matched_billable_metrics",
    }
    (item,) = search(server, "t1")
    assert (item.properties, item.matched_customer, item.matched_billable_metrics) == (None, None, [])


def test_repeats_are_entries_of_their_own(server: Server) -> None:
    """Within one request, across requests, under another customer; in the order in which they came."""
    ingest(server, [event(1, "a", NOW, n=1), event(2, "a", NOW, n=2), event(1, "b", NOW, n=3)])
    ingest(server, [event(3, "a", NOW), event(1, "c", NOW - SECOND, "other", n=4)])
    found = search(server, "t3", "t1", "missing", "t1")
    assert [(item.transaction_id, item.customer_id, item.is_duplicate) for item in found] == [
        ("t3", "a", False),
        ("t1", "a", False),
        ("t1", "b", True),
        ("t1", "c", True),
    ]
    assert [item.properties for item in found] == [{}, {"n": 1}, {"n": 3}, {"n": 4}]
    assert len({item.id for item in found}) == 4


def test_ids_of_events_stay_over_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        ingest(server, [event(number % 3, "a", NOW, n=number) for number in range(7)])
        before = raw(server, "t0", "t1", "t2")
    with serving(tmp_path / "data") as server:
        assert raw(server, "t0", "t1", "t2") == before
        ingest(server, [event(0, "a", NOW, n=7)])
        assert [item["is_duplicate"] for item in raw(server, "t0")] == [False, True, True, True]
    assert len({item["id"] for item in before}) == 7


def test_the_same_place_in_another_environment_has_another_id(server: Server) -> None:
    ids = []
    for token in (PRODUCTION_TOKEN, "sandbox-token"):
        client = server.client_of(token)
        now = server.tallybook.environments[
            "production" if token == PRODUCTION_TOKEN else "sandbox"
        ].clock.now()
        client.v1.usage.ingest(
            usage=[
                {
                    "transaction_id": "same",
                    "customer_id": "a",
                    "event_type": "call",
                    "timestamp": now.isoformat(),
                }
            ]
        )
        (found,) = client.v1.usage.search(transaction_ids=["same"])
        ids.append(found.id)
    assert len(set(ids)) == 2


def test_no_event_of_another_environment_is_found(server: Server) -> None:
    ingest(server, [event(1, "a", NOW)])
    assert server.client_of(PRODUCTION_TOKEN).v1.usage.search(transaction_ids=["t1"]) == []


def test_the_matched_customer_follows_an_alias_at_once(server: Server) -> None:
    client = server.client
    first = client.v1.customers.create(name="First", ingest_aliases=["team"]).data.id
    second = client.v1.customers.create(name="Second").data.id
    ingest(server, [event(1, "team", NOW), event(2, second, NOW), event(3, "later", NOW)])

    def owners() -> list[str | None]:
        found = search(server, "t1", "t2", "t3")
        return [None if item.matched_customer is None else item.matched_customer.name for item in found]

    assert owners() == ["First", "Second", None]
    client.v1.customers.set_ingest_aliases(customer_id=first, ingest_aliases=["later"])
    assert owners() == [None, "Second", "First"]
    client.v1.customers.set_ingest_aliases(customer_id=second, ingest_aliases=["team"])
    client.v1.customers.set_name(customer_id=second, name="Renamed")
    assert owners() == ["Renamed", "Renamed", "First"]
    with server.tallybook.environments["sandbox"].write("test") as tx:
        customers.mark_archived(tx, second)
    assert owners() == ["Renamed", "Renamed", "First"]


def test_the_matched_metrics_are_those_whose_filters_pass(server: Server) -> None:
    client = server.client
    create = client.v1.billable_metrics.create
    by_type = create(
        name="Calls", aggregation_type="COUNT", event_type_filter={"in_values": ["call"]}, property_filters=[]
    ).data.id
    by_region = create(
        name="In the EU",
        aggregation_type="SUM",
        aggregation_key="n",
        property_filters=[{"name": "n"}, {"name": "region", "in_values": ["eu"]}],
        group_keys=[["region"], ["n", "region"]],
        custom_fields={},
    ).data.id
    without = create(
        name="Of no team", aggregation_type="COUNT", property_filters=[{"name": "team", "exists": False}]
    ).data.id
    client.v1.billable_metrics.archive(id=by_type)
    ingest(
        server,
        [
            event(1, "a", NOW, n="no number", region="eu"),
            event(2, "a", NOW, "other", team="x"),
            event(3, "a", NOW, "other", region="us"),
        ],
    )
    found = search(server, "t1", "t2", "t3")
    matched = [{item.id: item for item in entry.matched_billable_metrics} for entry in found]
    assert [set(items) for items in matched] == [{by_type, by_region, without}, set(), {without}]
    calls, eu = matched[0][by_type], matched[0][by_region]
    assert calls.archived_at == NOW
    assert (calls.name, calls.aggregation_type, calls.aggregate, calls.aggregation_key) == (
        "Calls",
        "COUNT",
        "count",
        None,
    )
    assert (eu.aggregation_type, eu.aggregation_key, eu.aggregate_keys) == ("SUM", "n", ["n"])
    assert (eu.group_keys, eu.group_by) == ([["region"], ["n", "region"]], ["region"])
    assert [item.name for item in eu.property_filters] == ["n", "region"]


def test_custom_fields_of_matched_metrics_are_told(server: Server) -> None:
    client = server.client
    client.v1.custom_fields.add_key(entity="billable_metric", key="team", enforce_uniqueness=False)
    create_metric(client, custom_fields={"team": "core"})
    ingest(server, [event(1, "a", NOW)])
    (found,) = search(server, "t1")
    assert found.matched_billable_metrics[0].custom_fields == {"team": "core"}


def test_only_the_last_34_days_are_searched(server: Server) -> None:
    ingest(server, [event(1, "a", NOW), event(2, "a", NOW - SECOND), event(1, "a", NOW + SECOND)])
    server.move_clock(NOW + WINDOW - SECOND)
    ingest(server, [event(3, "a", NOW), event(2, "a", NOW)])
    ids = ("t1", "t2", "t3")
    assert [(item.transaction_id, item.timestamp) for item in search(server, *ids)] == [
        ("t1", NOW),
        ("t1", NOW + SECOND),
        ("t2", NOW - SECOND),
        ("t2", NOW),
        ("t3", NOW),
    ]
    server.move_clock(NOW + WINDOW)
    # What was received 34 days ago is out, as its ids may be accepted again.
    assert [(item.transaction_id, item.timestamp) for item in search(server, *ids)] == [
        ("t2", NOW),
        ("t3", NOW),
    ]
    server.move_clock(NOW + WINDOW + SECOND)
    assert search(server, *ids) == []


def test_an_id_accepted_anew_after_34_days_is_no_duplicate(server: Server) -> None:
    ingest(server, [event(1, "a", NOW, n=1)])
    server.move_clock(NOW + timedelta(days=33))
    ingest(server, [event(1, "a", NOW + timedelta(days=33), n=2)])
    server.move_clock(NOW + timedelta(days=35))
    ingest(server, [event(1, "a", NOW + timedelta(days=35), n=3)])
    assert [(item.properties["n"], item.is_duplicate) for item in search(server, "t1")] == [
        (2, True),
        (3, False),
    ]


def test_a_thousand_ids_are_searched_at_once(server: Server) -> None:
    ingest(server, [event(number, "a", NOW, n=number) for number in range(1_000)])
    ids = [f"t{number}" for number in reversed(range(1_000))]
    assert [item["transaction_id"] for item in raw(server, *ids)] == ids
    assert raw(server) == []


BAD = [
    ({}, "transactionIds"),
    ({"transactionIds": None}, "transactionIds"),
    ({"transactionIds": "t1"}, "transactionIds"),
    ({"transactionIds": [1]}, "transactionIds"),
    ({"transactionIds": ["a", None]}, "transactionIds"),
    ({"transactionIds": ["\x00"]}, "transactionIds"),
    ({"transactionIds": ["t"] * 1_001}, "transactionIds"),
    ({"transaction_ids": ["t1"]}, "transaction_ids"),
    ({"transactionIds": ["t1"], "limit": 5}, "limit"),
]


@pytest.mark.parametrize(("body", "named"), BAD)
def test_a_bad_search_is_refused_naming_the_field(shared_server: Server, body: dict, named: str) -> None:
    assert_refused(shared_server.post("/v1/events/search", body), 400, named)


def test_the_search_takes_no_query_parameters(shared_server: Server) -> None:
    answer = shared_server.post("/v1/events/search?limit=2", {"transactionIds": []})
    assert_refused(answer, 400, "limit")


def test_an_sql_metric_is_named_beside_every_event(server: Server) -> None:
    """Which events it counts only its query knows."""
    text = "SELECT sum(properties.n) AS value FROM events WHERE event_type = 'call'"
    metric = server.client.v1.billable_metrics.create(name="By query", sql=text).data.id
    ingest(server, [event(1, "a", NOW, n=1), event(2, "a", NOW, "other")])
    for found in search(server, "t1", "t2"):
        (item,) = found.matched_billable_metrics
        assert (item.id, item.name, item.aggregation_type, item.sql) == (
            metric,
            "By query",
            "custom_sql",
            text,
        )
        assert (item.aggregate, item.group_keys, item.property_filters) == (None, None, None)
    data = server.get("/tallybook/v1/usage/unmatched").json()["data"]
    assert (data["sql_metric_count"], data["no_metric"]["event_count"]) == (1, 2)
