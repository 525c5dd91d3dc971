"""Events, metrics and questions over HTTP, for tests of limits and meanings."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import NOW, Server, assert_refused

DAY = datetime(2026, 1, 15, tzinfo=UTC)
WHOLE_DAY = {"starting_on": DAY.isoformat(), "ending_before": (DAY + timedelta(days=1)).isoformat()}
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
OLDEST = NOW - timedelta(days=34)
NEWEST = NOW + timedelta(hours=24)


def event(number: object, **changes: Any) -> dict[str, Any]:
    known = {
        "transaction_id": f"t-{number}",
        "customer_id": "somebody",
        "event_type": "call",
        "timestamp": "2026-01-15T10:00:00Z",
    }
    return {**known, **changes}


def send(server: Server, *events: dict[str, Any]) -> Any:
    return server.post("/v1/ingest", list(events))


def raw(server: Server, body: str | bytes) -> Any:
    headers = {"content-type": "application/json"}
    return server.request("POST", "/v1/ingest", content=body, headers=headers)


def with_properties(properties: str, number: object = 0) -> str:
    return json.dumps([event(number, properties="HERE")]).replace('"HERE"', properties)


def accepted(server: Server) -> int:
    """How many events were taken so far, repeats too."""
    status = server.get("/tallybook/v1/usage/status").json()["data"]
    return status["events_accepted"] + status["events_duplicate"]


def assert_taken(server: Server, *events: dict[str, Any]) -> None:
    before = accepted(server)
    answer = send(server, *events)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {}
    server_sees(server)
    assert accepted(server) == before + len(events)


def assert_not_taken(server: Server, named: str, *events: dict[str, Any]) -> None:
    before = accepted(server)
    assert_refused(send(server, *events), 400, named)
    server_sees(server)
    assert accepted(server) == before


def server_sees(server: Server) -> None:
    """Wait, as every read does, until what was acknowledged is applied."""
    metric = server.tallybook.environments["sandbox"].usage
    while metric.status()["lag"]:
        pass


def create_metric(server: Server, aggregation: str, key: str | None = None, **given: Any) -> str:
    names = [*([key] if key else []), *(name for names in given.get("group_keys", ()) for name in names)]
    shape = {
        "name": "m",
        "aggregation_type": aggregation,
        "aggregation_key": key,
        "property_filters": [{"name": name} for name in names],
        **given,
    }
    answer = server.post("/v1/billable-metrics/create", shape)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["id"]


def create_customer(server: Server, *aliases: str, name: str = "A") -> str:
    answer = server.post("/v1/customers", {"name": name, "ingest_aliases": list(aliases)})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["id"]


def value(server: Server, customer: str, metric: str, **bounds: str) -> Any:
    question = {
        "window_size": "NONE",
        "customer_ids": [customer],
        "billable_metrics": [{"id": metric}],
        **WHOLE_DAY,
        **bounds,
    }
    answer = server.post("/v1/usage", question)
    assert answer.status_code == 200, answer.text
    (row,) = server.exact(answer)["data"]
    return row["value"]
