"""Every aggregation in every window size, with values worked out by hand; and many metrics and groups."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.domains.usage.books import KEYS, create_metric, event, ingest
from tests.support import NOW, Server


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


BOUNDS: dict[str, Any] = {"starting_on": at(12), "ending_before": at(15)}
EVENTS = [
    event(1, "a", at(12, 3, 59), n="5", user="ann", region="eu"),
    event(2, "a", at(12, 3, 10), n="-2.5", user="bob", region="us"),
    event(3, "a", at(12, 4), n="7", user="ann", region="eu"),
    event(4, "a", at(14, 23, 59), n="1", user="cat", region="us"),
    event(5, "a", at(14, 23, 59), n="2", user="bob", region="eu"),
    event(6, "a", at(14, 20), n="much", region="us"),
    event(7, "a", at(15), n="1000", user="dan", region="eu"),
    event(8, "a", at(11, 23, 59), n="1000", user="dan", region="eu"),
    event(9, "a", at(13), "other", n="1000", user="dan", region="eu"),
]
# Days 12, 13 and 14; the hours 3 and 4 of the 12th, 20 and 23 of the 14th; the whole.
BY_HAND: dict[str, tuple[list[Any], list[Any], Any]] = {
    "COUNT": ([3, 0, 3], [2, 1, 1, 2], 6),
    "SUM": ([9.5, 0, 3], [2.5, 7, 0, 3], 12.5),
    "MAX": ([7, None, 2], [5, 7, None, 2], 7),
    "LATEST": ([7, None, 2], [5, 7, None, 2], 2),
    "UNIQUE": ([2, 0, 2], [2, 1, 0, 2], 3),
}
HOURS = [at(12, 3), at(12, 4), at(14, 20), at(14, 23)]
# The same by region, eu before us.
BY_REGION: dict[str, tuple[list[Any], Any, Any]] = {
    "COUNT": ([("12", "eu", 2), ("12", "us", 1), ("14", "eu", 1), ("14", "us", 2)], 3, 3),
    "SUM": ([("12", "eu", 12), ("12", "us", -2.5), ("14", "eu", 2), ("14", "us", 1)], 14, -1.5),
    "MAX": ([("12", "eu", 7), ("12", "us", -2.5), ("14", "eu", 2), ("14", "us", 1)], 7, 1),
    "LATEST": ([("12", "eu", 7), ("12", "us", -2.5), ("14", "eu", 2), ("14", "us", 1)], 2, 1),
    "UNIQUE": ([("12", "eu", 1), ("12", "us", 1), ("14", "eu", 1), ("14", "us", 1)], 2, 2),
}


@pytest.fixture(scope="module")
def world(shared_server: Server) -> tuple[str, dict[str, str]]:
    """A customer, and the metric of each kind."""
    customer = shared_server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metrics = {kind: create_metric(shared_server.client, kind) for kind in KEYS}
    ingest(shared_server, EVENTS)
    return customer, metrics


@pytest.mark.parametrize("kind", list(BY_HAND))
def test_windows(shared_server: Server, world: tuple[str, dict[str, str]], kind: str) -> None:
    customer, metrics = world
    days, hours, whole = BY_HAND[kind]

    def batch(size: str) -> dict[datetime, Any]:
        asked = [{"id": metrics[kind]}]
        rows = shared_server.client.v1.usage.list(
            window_size=size, customer_ids=[customer], billable_metrics=asked, **BOUNDS
        )
        return {row.start_timestamp: row.value for row in rows}

    def groups(size: str) -> dict[datetime, Any]:
        rows = shared_server.client.v1.usage.list_with_groups(
            customer_id=customer, billable_metric_id=metrics[kind], window_size=size, limit=100, **BOUNDS
        )
        return {row.starting_on: row.value for row in rows}

    for ask in (batch, groups):
        assert list(ask("DAY").values()) == days
        found = ask("HOUR")
        assert [found[hour] for hour in HOURS] == hours
        assert (len(found), {found[hour] for hour in found if hour not in HOURS}) == (72, {days[1]})
        assert ask("NONE") == {at(12): whole}


@pytest.mark.parametrize("kind", list(BY_REGION))
def test_groups(shared_server: Server, world: tuple[str, dict[str, str]], kind: str) -> None:
    customer, metrics = world
    days, eu, us = BY_REGION[kind]
    asked: dict[str, Any] = {"customer_id": customer, "billable_metric_id": metrics[kind], **BOUNDS}
    ask = shared_server.client.v1.usage.list_with_groups
    rows = list(ask(window_size="DAY", group_key=["region"], **asked))
    assert [(f"{row.starting_on:%d}", row.group_value, row.value) for row in rows] == days
    rows = list(ask(window_size="NONE", group_key=["region"], **asked))
    assert [(row.group, row.value) for row in rows] == [({"region": "eu"}, eu), ({"region": "us"}, us)]
    rows = list(ask(window_size="NONE", group_key=["region"], group_filters={"region": ["us"]}, **asked))
    assert [row.value for row in rows] == [us]
    by = [{"id": metrics[kind], "group_by": {"key": "region", "values": ["us", "mars"]}}]
    (row,) = shared_server.client.v1.usage.list(
        window_size="NONE", customer_ids=[customer], billable_metrics=by, **BOUNDS
    )
    assert row.groups == {"us": us, "mars": None}
    assert row.value == BY_HAND[kind][2]


def test_several_metrics_count_one_event_and_none_disturbs_another(server: Server) -> None:
    """Twelve metrics on one event: those whose property is no number, or whose filter fails, give nothing."""
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    good = {kind: create_metric(client, kind) for kind in KEYS}
    text = create_metric(client, "SUM", aggregation_key="user")
    missing = create_metric(
        client, "MAX", aggregation_key="absent", property_filters=[{"name": "absent"}], group_keys=[]
    )
    other = create_metric(client, "COUNT", event_type_filter={"in_values": ["other"]})
    every = create_metric(client, "COUNT", event_type_filter={})
    ingest(server, [event(1, "a", NOW, n="4", user="ann", region="eu"), event(2, "a", NOW, n="6", user="b")])
    late = create_metric(client, "SUM", name="late")
    rows = client.v1.usage.list(window_size="NONE", starting_on=at(15), ending_before=at(16))
    found = {row.billable_metric_id: row.value for row in rows if row.customer_id == customer}
    assert {kind: found[good[kind]] for kind in good} == {
        "COUNT": 2,
        "SUM": 10,
        "MAX": 6,
        "LATEST": 6,
        "UNIQUE": 2,
    }
    assert [found[metric] for metric in (text, missing, other, every, late)] == [0, None, 0, 2, 10]


def test_a_key_with_thousands_of_values_is_read_page_by_page_and_costs_others_nothing(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    wide = create_metric(client, "SUM", group_keys=[["region"]])
    plain = create_metric(client, "SUM", group_keys=[])
    count = 3_000
    ingest(server, [event(n, "a", NOW, n=1, region=f"r{n:04}") for n in range(count)])
    asked: dict[str, Any] = {
        "customer_id": customer,
        "billable_metric_id": wide,
        "window_size": "DAY",
        "group_key": ["region"],
        "starting_on": at(15),
        "ending_before": at(16),
        "limit": 100,
    }
    page = client.v1.usage.list_with_groups(**asked)
    seen, pages = [], 1
    while True:
        seen += [row.group_value for row in page.data]
        if page.next_page is None:
            break
        if pages == 3:  # before the place, in it and after it
            new = [event(-n, "a", NOW, n=1, region=name) for n, name in enumerate(("a", "r0299x", "z"), 1)]
            ingest(server, new)
        page = client.v1.usage.list_with_groups(**asked, next_page=page.next_page)
        pages += 1
    expected = [f"r{n:04}" for n in range(count)]
    assert seen == [*expected[:300], "r0299x", *expected[300:], "z"]
    (row,) = client.v1.usage.list(
        window_size="NONE", billable_metrics=[{"id": plain}], starting_on=at(15), ending_before=at(16)
    )
    assert row.value == count + 3


def test_an_exact_sum_is_told_with_every_digit(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(client)
    ingest(server, [event(n, "a", NOW, n="0.1") for n in range(10)] + [event(99, "a", NOW, n=0.2)])
    body = {
        "window_size": "NONE",
        "starting_on": at(15).isoformat(),
        "ending_before": at(16).isoformat(),
        "customer_ids": [customer],
        "billable_metrics": [{"id": metric}],
    }
    assert server.exact(server.post("/v1/usage", body))["data"][0]["value"] == Decimal("1.2")
