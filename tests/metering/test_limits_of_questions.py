"""Limits of lists, names, values and questions about usage at their edges, over HTTP."""

from typing import Any

import pytest

from tests.metering.over_http import WHOLE_DAY, create_customer, create_metric, event, send
from tests.support import Server, assert_refused


def test_pages_have_at_most_100_entries(server: Server) -> None:
    for number in range(101):
        create_customer(server, name=f"c{number}")
    page = server.get("/v1/customers", params={"limit": 100}).json()
    assert len(page["data"]) == 100
    rest = server.get("/v1/customers", params={"limit": 1, "next_page": page["next_page"]}).json()
    assert (len(rest["data"]), rest["next_page"]) == (1, None)
    for limit in ("0", "101", "-1", "1.5", "x"):
        assert_refused(server.get("/v1/customers", params={"limit": limit}), 400, "limit")


def test_custom_field_values_have_at_most_200_characters(server: Server) -> None:
    server.client.v1.custom_fields.add_key(entity="customer", key="k", enforce_uniqueness=False)
    for letter in ("x", "é", "\U0001f600"):
        taken = server.post("/v1/customers", {"name": "A", "custom_fields": {"k": letter * 200}})
        assert taken.status_code == 200, taken.text
        refused = server.post("/v1/customers", {"name": "A", "custom_fields": {"k": letter * 201}})
        assert refused.status_code == 400, refused.text
        assert "custom_fields" in refused.json()["message"]


@pytest.fixture
def grouped(server: Server) -> tuple[Server, str, str]:
    """A customer with 201 groups of one event each, and the metric that groups."""
    metric = create_metric(server, "COUNT", group_keys=[["g"], ["g", "h"]])
    customer = create_customer(server, "somebody")
    names = [f"v{number:03}" for number in range(201)]
    for start in range(0, 201, 100):
        events = [event(name, properties={"g": name, "h": "x"}) for name in names[start : start + 100]]
        assert send(server, *events).status_code == 200
    return server, customer, metric


def test_a_batch_groups_by_at_most_200_values(grouped: tuple[Server, str, str]) -> None:
    server, customer, metric = grouped
    names = [f"v{number:03}" for number in range(201)]

    def ask(values: list[str] | None) -> Any:
        by = {"key": "g"} if values is None else {"key": "g", "values": values}
        question = {
            "window_size": "NONE",
            "customer_ids": [customer],
            "billable_metrics": [{"id": metric, "group_by": by}],
            **WHOLE_DAY,
        }
        return server.post("/v1/usage", question)

    groups = ask(names[:200]).json()["data"][0]["groups"]
    assert (len(groups), set(groups.values())) == (200, {1})
    assert_refused(ask(names), 400, "billable_metrics[0].group_by.values")
    assert_refused(ask([]), 400, "billable_metrics[0].group_by.values")
    unasked = ask(None).json()["data"][0]
    assert list(unasked["groups"]) == names[:200]
    assert unasked["value"] == 201


def test_groups_are_filtered_by_at_most_200_values_in_all(grouped: tuple[Server, str, str]) -> None:
    server, customer, metric = grouped
    names = [f"v{number:03}" for number in range(201)]

    def ask(filters: dict[str, list[str]]) -> Any:
        question = {
            "customer_id": customer,
            "billable_metric_id": metric,
            "window_size": "NONE",
            "group_key": ["g", "h"],
            "group_filters": filters,
            **WHOLE_DAY,
        }
        return server.post("/v1/usage/groups", question, params={"limit": 100})

    assert len(ask({"g": names[:199], "h": ["x"]}).json()["data"]) == 100
    assert ask({"g": names[:200]}).status_code == 200
    assert_refused(ask({"g": names[:200], "h": ["x"]}), 400, "group_filters")
    assert_refused(ask({"g": names}), 400, "group_filters")
