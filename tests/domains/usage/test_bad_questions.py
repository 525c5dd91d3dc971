"""Every field of every usage question, wrong in every way."""

import pytest

from tests.domains.usage.books import create_metric
from tests.support import UNKNOWN, Server, assert_refused

BATCH = {"window_size": "DAY", "starting_on": "2026-01-15T00:00:00Z", "ending_before": "2026-01-16T00:00:00Z"}
GROUPS = {**BATCH, "customer_id": UNKNOWN, "billable_metric_id": UNKNOWN}
BAD_CALLS = [
    ("/v1/usage", {**BATCH, "window_size": None}, 400, "window_size"),
    ("/v1/usage", {**BATCH, "window_size": "week"}, 400, "window_size"),
    ("/v1/usage", {**BATCH, "window_size": "dAY"}, 400, "window_size"),
    ("/v1/usage", {**BATCH, "starting_on": None}, 400, "starting_on"),
    ("/v1/usage", {**BATCH, "starting_on": "2026-01-15"}, 400, "starting_on"),
    ("/v1/usage", {**BATCH, "starting_on": "2026-01-15T00:00:00"}, 400, "starting_on"),
    ("/v1/usage", {**BATCH, "starting_on": "2026-01-15T01:00:00Z"}, 400, "starting_on"),
    ("/v1/usage", {**BATCH, "ending_before": "2026-01-16T00:00:01Z"}, 400, "ending_before"),
    ("/v1/usage", {**BATCH, "ending_before": "2026-01-15T00:00:00Z"}, 400, "ending_before"),
    ("/v1/usage", {**BATCH, "ending_before": "2026-01-14T00:00:00Z"}, 400, "ending_before"),
    (
        "/v1/usage",
        {**BATCH, "window_size": "HOUR", "ending_before": "2026-01-16T05:00:00Z"},
        400,
        "ending_before",
    ),
    ("/v1/usage", {"window_size": "DAY", "starting_on": BATCH["starting_on"]}, 400, "ending_before"),
    ("/v1/usage", {**BATCH, "customer_ids": "x"}, 400, "customer_ids"),
    ("/v1/usage", {**BATCH, "customer_ids": ["x"]}, 400, "customer_ids[0]"),
    ("/v1/usage", {**BATCH, "customer_ids": [UNKNOWN]}, 404, "customer_ids[0]"),
    ("/v1/usage", {**BATCH, "billable_metrics": [UNKNOWN]}, 400, "billable_metrics[0]"),
    ("/v1/usage", {**BATCH, "billable_metrics": [{}]}, 400, "billable_metrics[0].id"),
    ("/v1/usage", {**BATCH, "billable_metrics": [{"id": "x"}]}, 400, "billable_metrics[0].id"),
    ("/v1/usage", {**BATCH, "billable_metrics": [{"id": UNKNOWN}]}, 404, "billable_metrics[0].id"),
    (
        "/v1/usage",
        {**BATCH, "billable_metrics": [{"id": UNKNOWN, "group_by": {}}]},
        400,
        "billable_metrics[0].group_by.key",
    ),
    (
        "/v1/usage",
        {**BATCH, "billable_metrics": [{"id": UNKNOWN, "group_by": {"key": ""}}]},
        400,
        "billable_metrics[0].group_by.key",
    ),
    (
        "/v1/usage",
        {**BATCH, "billable_metrics": [{"id": UNKNOWN, "group_by": {"key": "a", "values": []}}]},
        400,
        "billable_metrics[0].group_by.values",
    ),
    (
        "/v1/usage",
        {**BATCH, "billable_metrics": [{"id": UNKNOWN, "group_by": {"key": "a", "values": [""]}}]},
        400,
        "billable_metrics[0].group_by.values[0]",
    ),
    (
        "/v1/usage",
        {**BATCH, "billable_metrics": [{"id": UNKNOWN, "group_by": {"key": "a", "values": ["v"] * 201}}]},
        400,
        "billable_metrics[0].group_by.values",
    ),
    ("/v1/usage", {**BATCH, "group_key": ["region"]}, 400, "group_key"),
    ("/v1/usage?limit=10", BATCH, 400, "limit"),
    ("/v1/usage?next_page=x", BATCH, 400, "next_page"),
    ("/v1/usage?page=1", BATCH, 400, "page"),
    ("/v1/usage/groups", {**GROUPS, "customer_id": None}, 400, "customer_id"),
    ("/v1/usage/groups", {**GROUPS, "customer_id": "alias"}, 400, "customer_id"),
    ("/v1/usage/groups", {**GROUPS, "billable_metric_id": 5}, 400, "billable_metric_id"),
    ("/v1/usage/groups", {**GROUPS, "window_size": "MONTH"}, 400, "window_size"),
    ("/v1/usage/groups", {**GROUPS, "starting_on": "2026-01-15T01:00:00Z"}, 400, "starting_on"),
    ("/v1/usage/groups", {**GROUPS, "starting_on": None}, 400, "starting_on"),
    ("/v1/usage/groups", {**GROUPS, "ending_before": None}, 400, "ending_before"),
    ("/v1/usage/groups", {**GROUPS, "ending_before": GROUPS["starting_on"]}, 400, "ending_before"),
    (
        "/v1/usage/groups",
        {**GROUPS, "window_size": "NONE", "ending_before": "2026-01-16T01:00:00Z"},
        400,
        "ending_before",
    ),
    (
        "/v1/usage/groups",
        {**GROUPS, "window_size": "HOUR", "ending_before": "2026-01-16T01:30:00Z"},
        400,
        "ending_before",
    ),
    ("/v1/usage/groups", {**GROUPS, "current_period": True}, 400, "starting_on"),
    (
        "/v1/usage/groups",
        {**GROUPS, "starting_on": None, "current_period": True},
        400,
        "ending_before",
    ),
    (
        "/v1/usage/groups",
        {**GROUPS, "starting_on": None, "ending_before": None, "current_period": False},
        400,
        "starting_on",
    ),
    ("/v1/usage/groups", {**GROUPS, "current_period": "yes"}, 400, "current_period"),
    ("/v1/usage/groups", {**GROUPS, "group_key": "region"}, 400, "group_key"),
    ("/v1/usage/groups", {**GROUPS, "group_key": []}, 400, "group_key"),
    ("/v1/usage/groups", {**GROUPS, "group_key": [""]}, 400, "group_key[0]"),
    ("/v1/usage/groups", {**GROUPS, "group_filters": {"region": ["eu"]}}, 400, "group_filters.region"),
    (
        "/v1/usage/groups",
        {**GROUPS, "group_key": ["region"], "group_filters": {"team": ["x"]}},
        400,
        "group_filters.team",
    ),
    (
        "/v1/usage/groups",
        {**GROUPS, "group_key": ["region"], "group_filters": {"region": "eu"}},
        400,
        "group_filters",
    ),
    (
        "/v1/usage/groups",
        {**GROUPS, "group_key": ["region"], "group_filters": {"region": [""]}},
        400,
        "group_filters",
    ),
    (
        "/v1/usage/groups",
        {
            **GROUPS,
            "group_key": ["region", "team"],
            "group_filters": {"region": ["x"] * 150, "team": ["x"] * 51},
        },
        400,
        "group_filters",
    ),
    ("/v1/usage/groups", {**GROUPS, "group_by": {"key": "region", "values": []}}, 400, "group_by.values"),
    ("/v1/usage/groups", {**GROUPS, "group_by": {"values": ["x"]}}, 400, "group_by.key"),
    (
        "/v1/usage/groups",
        {**GROUPS, "group_by": {"key": "region"}, "group_key": ["region"]},
        400,
        "group_key",
    ),
    (
        "/v1/usage/groups",
        {**GROUPS, "group_by": {"key": "region"}, "group_filters": {}},
        400,
        "group_filters",
    ),
    ("/v1/usage/groups", {**GROUPS, "customer_ids": []}, 400, "customer_ids"),
    ("/v1/usage/groups", GROUPS, 404, "customer_id"),
    ("/v1/usage/groups?limit=0", GROUPS, 400, "limit"),
    ("/v1/usage/groups?limit=101", GROUPS, 400, "limit"),
    ("/v1/usage/groups?next_page=x", GROUPS, 400, "next_page"),
    ("/v1/usage/groups?sort=value", GROUPS, 400, "sort"),
]


@pytest.mark.parametrize(("path", "body", "status", "named"), BAD_CALLS)
def test_bad_question_is_refused_naming_the_field(
    shared_server: Server, path: str, body: dict, status: int, named: str
) -> None:
    answer = shared_server.post(path, body)
    assert_refused(answer, status, named)


@pytest.mark.parametrize("key", [["team"], ["region", "region"], ["region", "team", "n"], ["n"]])
def test_only_whole_declared_keys_group(shared_server: Server, key: list[str]) -> None:
    customer = shared_server.client.v1.customers.create(name="A").data.id
    metric = create_metric(shared_server.client)
    asked = {**GROUPS, "customer_id": customer, "billable_metric_id": metric}
    answer = shared_server.post("/v1/usage/groups", {**asked, "group_key": key})
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"].startswith("group_key: ")
    if len(key) == 1:
        by = {"key": key[0]}
        answer = shared_server.post("/v1/usage/groups", {**asked, "group_by": by})
        assert (answer.status_code, answer.json()["message"][:14]) == (400, "group_by.key: ")
        answer = shared_server.post(
            "/v1/usage", {**BATCH, "billable_metrics": [{"id": metric, "group_by": by}]}
        )
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("billable_metrics[0].group_by.key: ")


BAD_LISTS = [
    ("/v1/customers/x/billable-metrics", 400, "customer_id"),
    (f"/v1/customers/{UNKNOWN}/billable-metrics", 404, "customer_id"),
    (f"/v1/customers/{UNKNOWN}/billable-metrics?limit=0", 400, "limit"),
    (f"/v1/customers/{UNKNOWN}/billable-metrics?next_page=x", 400, "next_page"),
    (f"/v1/customers/{UNKNOWN}/billable-metrics?on_current_plan=maybe", 400, "on_current_plan"),
    (f"/v1/customers/{UNKNOWN}/billable-metrics?include_archived=2", 400, "include_archived"),
    (f"/v1/customers/{UNKNOWN}/billable-metrics?plan=x", 400, "plan"),
    ("/tallybook/v1/usage/status?x=1", 400, "x"),
]


@pytest.mark.parametrize(("path", "status", "named"), BAD_LISTS)
def test_bad_list_is_refused_naming_the_field(
    shared_server: Server, path: str, status: int, named: str
) -> None:
    answer = shared_server.get(path)
    assert_refused(answer, status, named)
