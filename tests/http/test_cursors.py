"""Cursors are opaque but not secret: forged ones are refused like any other bad input."""

import json

import pytest

from tallybook.domains.usage.schemas import UsageGroupsRequest, _list_name
from tallybook.kit.http.paging import encode_cursor
from tallybook.kit.http.wire import decode
from tests.support import PRODUCTION_TOKEN, Server

INSTANTS = [[10**18, "x"], [-(10**18), "x"], [2**63, "x"], [2**80, "x"], [1, "\x00"]]
NUMBERS = [[2**63], [2**80], [-(2**63)]]
RANGE = {"starting_on": "2026-01-01T00:00:00Z", "ending_before": "2026-01-02T00:00:00Z"}
LISTS = [
    ("GET", "/v1/customers", "customers", INSTANTS),
    ("GET", "/v1/billable-metrics", "billable-metrics", INSTANTS),
    ("GET", "/v1/credit-types/list", "credit types", NUMBERS),
    ("POST", "/v1/customFields/listKeys", "custom field keys", NUMBERS),
]


@pytest.mark.parametrize(("method", "path", "name", "keys"), LISTS)
def test_a_key_that_no_store_can_compare_with_is_refused(
    shared_server: Server, method: str, path: str, name: str, keys: list[list[int | str]]
) -> None:
    for key in keys:
        body = {} if method == "POST" else None
        cursor = encode_cursor(name, key)
        answer = shared_server.request(method, path, json=body, params={"next_page": cursor})
        assert answer.status_code == 400, f"{key}: {answer.text}"
        assert answer.json()["message"].startswith("next_page: ")


def first_cursor(server: Server, token: str) -> str:
    """The cursor of a batch over every customer, from an environment with enough of them."""
    for name in "ab":
        server.request("POST", "/v1/customers", token=token, json={"name": name})
    body = {"name": "m", "aggregation_type": "COUNT"}
    server.request("POST", "/v1/billable-metrics/create", token=token, json=body)
    question = {"starting_on": "2000-01-01T00:00:00Z", "ending_before": "2026-01-02T00:00:00Z"}
    asked = server.request("POST", "/v1/usage", token=token, json={**question, "window_size": "DAY"})
    return str(asked.json()["next_page"])


def test_a_cursor_of_the_other_environment_is_refused(server: Server) -> None:
    cursor = first_cursor(server, PRODUCTION_TOKEN)
    server.post("/v1/billable-metrics/create", {"name": "m", "aggregation_type": "COUNT"})
    body = {"starting_on": "2000-01-01T00:00:00Z", "ending_before": "2026-01-02T00:00:00Z"}
    answer = server.post("/v1/usage", {**body, "window_size": "DAY"}, params={"next_page": cursor})
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"].startswith("next_page: ")


def test_a_forged_group_is_refused(server: Server) -> None:
    customer = server.post("/v1/customers", {"name": "x"}).json()["data"]["id"]
    body = {"name": "m", "aggregation_type": "COUNT"}
    metric = server.post("/v1/billable-metrics/create", body).json()["data"]["id"]
    question = {"customer_id": customer, "billable_metric_id": metric, "window_size": "DAY", **RANGE}
    name = _list_name(decode(json.dumps(question).encode(), UsageGroupsRequest).to_query())
    cursor = encode_cursor(name, [0, "no JSON"])
    answer = server.post("/v1/usage/groups", question, params={"next_page": cursor})
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"].startswith("next_page: ")
