"""Usage questions: documented edges, by hand."""

from datetime import UTC, datetime, timedelta

import metronome
import pytest

from tallybook.domains import customers
from tallybook.domains.usage.service import batch
from tests.domains.usage.books import create_metric, event, ingest
from tests.support import NOW, PRODUCTION_TOKEN, Server

DAY = datetime(2026, 1, 15, tzinfo=UTC)
NEXT = datetime(2026, 1, 16, tzinfo=UTC)
EVER = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TODAY = {"starting_on": DAY, "ending_before": NEXT}


def total(server: Server, customer: str, metric: str) -> float | None:
    """The usage of today."""
    (row,) = server.client.v1.usage.list(
        window_size="NONE", customer_ids=[customer], billable_metrics=[{"id": metric}], **TODAY
    )
    return row.value


def test_an_acknowledged_event_is_in_the_next_answer(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client)
    for number in range(1, 30):
        ingest(server, [event(number, "a", NOW, n=1)])
        assert total(server, customer, metric) == number


def test_a_repeated_event_counts_once(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client)
    ingest(server, [event(1, "a", NOW, n=5), event(1, "a", NOW, n=7)])
    ingest(server, [event(1, "a", NOW - HOUR, n=9)])
    assert total(server, customer, metric) == 5
    status = server.get("/tallybook/v1/usage/status").json()["data"]
    assert status == {
        "log_position": status["log_position"],
        "applied_position": status["log_position"],
        "lag": 0,
        "events_accepted": 1,
        "events_duplicate": 2,
        "archive_position": 0,
        "unmatched": "/tallybook/v1/usage/unmatched",
    }


def test_usage_follows_an_alias_that_moves(server: Server) -> None:
    client = server.client
    first = client.v1.customers.create(name="First", ingest_aliases=["team"]).data.id
    second = client.v1.customers.create(name="Second").data.id
    metric = create_metric(client)
    ingest(server, [event(1, "team", NOW, n=3), event(2, first, NOW, n=4), event(3, second, NOW, n=5)])
    assert (total(server, first, metric), total(server, second, metric)) == (7, 5)
    client.v1.customers.set_ingest_aliases(customer_id=first, ingest_aliases=[])
    assert (total(server, first, metric), total(server, second, metric)) == (4, 5)
    client.v1.customers.set_ingest_aliases(customer_id=second, ingest_aliases=["team"])
    assert (total(server, first, metric), total(server, second, metric)) == (4, 8)


def test_usage_before_the_customer_and_the_metric_counts(server: Server) -> None:
    ingest(server, [event(1, "early", NOW, n="2.5"), event(2, "early", NOW, n=1)])
    customer = server.client.v1.customers.create(name="Late", ingest_aliases=["early"]).data.id
    assert total(server, customer, create_metric(server.client)) == 3.5


def test_distinct_values_are_counted_once_over_all_aliases(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a", "b"]).data.id
    metric = create_metric(server.client, "UNIQUE")
    ingest(
        server,
        [
            event(1, "a", NOW, user="x"),
            event(2, "b", NOW, user="x"),
            event(3, customer, NOW - HOUR, user="x"),
            event(4, "b", NOW, user="y"),
        ],
    )
    assert total(server, customer, metric) == 2


def test_an_archived_metric_goes_on_metering(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(client)
    client.v1.billable_metrics.archive(id=metric)
    ingest(server, [event(1, "a", NOW, n=6)])
    assert total(server, customer, metric) == 6
    rows = client.v1.usage.list(window_size="NONE", **TODAY)
    assert [(row.billable_metric_id, row.billable_metric_name, row.value) for row in rows] == [
        (metric, "SUM of calls", 6)
    ]


def test_an_archived_customer_is_told_only_when_named(server: Server) -> None:
    kept, gone = (server.client.v1.customers.create(name=name).data.id for name in "ab")
    metric = create_metric(server.client)
    ingest(server, [event(1, gone, NOW, n=6)])
    with server.tallybook.environments["sandbox"].write("test") as tx:
        customers.mark_archived(tx, gone)
    rows = server.client.v1.usage.list(window_size="NONE", **TODAY)
    assert [row.customer_id for row in rows] == [kept]
    assert total(server, gone, metric) == 6


@pytest.mark.parametrize(
    ("kind", "value"), [("COUNT", 0), ("SUM", 0), ("UNIQUE", 0), ("MAX", None), ("LATEST", None)]
)
def test_windows_without_events(shared_server: Server, kind: str, value: int | None) -> None:
    client = shared_server.client
    customer = client.v1.customers.create(name="Idle").data.id
    metric = create_metric(client, kind)
    asked = {"customer_id": customer, "billable_metric_id": metric, "window_size": "DAY"}
    bounds = {"starting_on": DAY, "ending_before": DAY + timedelta(days=3)}
    rows = list(client.v1.usage.list_with_groups(**asked, **bounds))
    assert [(row.starting_on, row.value) for row in rows] == [
        (DAY + timedelta(days=number), value) for number in range(3)
    ]
    assert list(client.v1.usage.list_with_groups(**asked, **bounds, group_key=["region"])) == []
    batch = {"window_size": "DAY", "customer_ids": [customer], **bounds}
    rows = list(client.v1.usage.list(**batch, billable_metrics=[{"id": metric}]))
    assert [row.value for row in rows] == [value] * 3
    by = {"id": metric, "group_by": {"key": "region", "values": ["eu"]}}
    assert list(client.v1.usage.list(**batch, billable_metrics=[by])) == []


def test_values_asked_for_without_usage_are_null(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client)
    ingest(server, [event(1, "a", NOW, n=2, region="eu"), event(2, "a", NOW, n=3, region="us")])
    body = {
        "window_size": "day",
        "starting_on": "2026-01-14T00:00:00Z",
        "ending_before": "2026-01-17T00:00:00Z",
        "customer_ids": [customer],
        "billable_metrics": [{"id": metric, "group_by": {"key": "region", "values": ["asia", "eu", "asia"]}}],
    }
    answer = server.post("/v1/usage", body).json()
    assert answer == {
        "data": [
            {
                "customer_id": customer,
                "billable_metric_id": metric,
                "billable_metric_name": "SUM of calls",
                "start_timestamp": "2026-01-15T00:00:00Z",
                "end_timestamp": "2026-01-16T00:00:00Z",
                "value": 5,
                "groups": {"asia": None, "eu": 2},
            }
        ],
        "next_page": None,
    }


def test_at_most_200_values_are_told_of_a_window(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client, "COUNT")
    ingest(server, [event(number, "a", NOW, region=f"r{number:03}") for number in range(230)])
    (row,) = server.client.v1.usage.list(
        window_size="NONE",
        customer_ids=[customer],
        billable_metrics=[{"id": metric, "group_by": {"key": "region"}}],
        **TODAY,
    )
    assert row.value == 230
    assert list(row.groups) == [f"r{number:03}" for number in range(200)]
    assert set(row.groups.values()) == {1}
    rows = server.client.v1.usage.list_with_groups(
        customer_id=customer, billable_metric_id=metric, window_size="NONE", group_key=["region"], **TODAY
    )
    assert [row.group_value for row in rows] == [f"r{number:03}" for number in range(230)]


def test_one_metric_can_be_asked_for_in_two_groupings(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client, group_keys=[["region"], ["team"]])
    ingest(server, [event(1, "a", NOW, n=2, region="eu", team="x")])
    rows = server.client.v1.usage.list(
        window_size="NONE",
        customer_ids=[customer, customer],
        billable_metrics=[
            {"id": metric, "group_by": {"key": "team"}},
            {"id": metric, "group_by": {"key": "region"}},
            {"id": metric},
        ],
        **TODAY,
    )
    assert [row.groups for row in rows] == [{"x": 2}, {"eu": 2}, None]


def test_asking_for_none_answers_none(server: Server) -> None:
    server.client.v1.customers.create(name="A")
    metric = create_metric(server.client)
    ask = server.client.v1.usage.list
    assert list(ask(window_size="NONE", customer_ids=[], **TODAY)) == []
    assert list(ask(window_size="NONE", billable_metrics=[], **TODAY)) == []
    assert [row.billable_metric_id for row in ask(window_size="NONE", **TODAY)] == [metric]


@pytest.mark.parametrize("size", ["none", "None", "NONE", "day", "Day", "DAY", "hour", "Hour", "HOUR"])
def test_window_sizes_in_every_documented_casing(shared_server: Server, size: str) -> None:
    customer = shared_server.client.v1.customers.create(name="A").data.id
    metric = create_metric(shared_server.client)
    bounds = {"starting_on": DAY.isoformat(), "ending_before": NEXT.isoformat(), "window_size": size}
    batch = shared_server.post(
        "/v1/usage", {**bounds, "customer_ids": [customer], "billable_metrics": [{"id": metric}]}
    )
    groups = shared_server.post(
        "/v1/usage/groups", {**bounds, "customer_id": customer, "billable_metric_id": metric}
    )
    count = 24 if size.lower() == "hour" else 1
    assert (len(batch.json()["data"]), len(groups.json()["data"])) == (count, count)


def test_hourly_groups_take_hourly_bounds(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client)
    ingest(server, [event(1, "a", NOW, n=2), event(2, "a", NOW - HOUR, n=3), event(3, "a", NOW + HOUR, n=4)])
    rows = server.client.v1.usage.list_with_groups(
        customer_id=customer,
        billable_metric_id=metric,
        window_size="HOUR",
        starting_on=NOW - HOUR,
        ending_before=NOW + HOUR,
    )
    assert [(row.starting_on, row.ending_before, row.value) for row in rows] == [
        (NOW - HOUR, NOW, 3),
        (NOW, NOW + HOUR, 2),
    ]


def test_bounds_may_be_written_with_an_offset(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A").data.id
    metric = create_metric(server.client)
    ingest(server, [event(1, customer, NOW, n=2)])
    body = {
        "window_size": "NONE",
        "starting_on": "2026-01-15T02:00:00+02:00",
        "ending_before": "2026-01-15T19:00:00-05:00",
        "customer_ids": [customer],
        "billable_metrics": [{"id": metric}],
    }
    (row,) = server.post("/v1/usage", body).json()["data"]
    assert (row["start_timestamp"], row["value"]) == ("2026-01-15T00:00:00Z", 2)


def test_large_numbers_stay_exact(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A").data.id
    create_metric(server.client)
    ingest(
        server,
        [
            event(1, customer, NOW, n="12345678901234567890123456789012345678.1"),
            event(2, customer, NOW, n="0.000000000000000000000000000000000001"),
        ],
    )
    body = {"window_size": "NONE", "starting_on": DAY.isoformat(), "ending_before": NEXT.isoformat()}
    text = server.post("/v1/usage", body).text
    assert '"value":12345678901234567890123456789012345678.100000000000000000000000000000000001' in text


def test_all_of_time_is_asked_for_in_one_read_of_each_pair(server: Server) -> None:
    ids = [server.client.v1.customers.create(name=f"c{number}").data.id for number in range(3)]
    metric = create_metric(server.client)
    ingest(server, [event(number, owner, NOW, n=number) for number, owner in enumerate(ids)])
    bounds = {"starting_on": EVER, "ending_before": NEXT}
    answer = server.client.v1.usage.list(window_size="NONE", **bounds)
    assert answer.next_page is None
    assert {row.customer_id: row.value for row in answer} == dict(zip(ids, (0, 1, 2), strict=True))
    far = {"starting_on": EVER, "ending_before": datetime(9999, 12, 31, tzinfo=UTC)}
    for size in ("HOUR", "DAY"):
        rows = server.client.v1.usage.list_with_groups(
            customer_id=ids[2],
            billable_metric_id=metric,
            window_size=size,
            group_key=["region"],
            **far,
        )
        assert [(row.group_value, row.group, row.value) for row in rows] == [(None, {}, 2)]
        by = {"id": metric, "group_by": {"key": "region"}}
        rows = server.client.v1.usage.list(window_size=size, billable_metrics=[by], **far)
        assert {row.customer_id: row.value for row in rows} == dict(zip(ids, (0, 1, 2), strict=True))


def test_a_page_is_bounded_inside_one_pair(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A").data.id
    create_metric(server.client, "COUNT")
    create_metric(server.client, "MAX")
    ingest(server, [event(1, customer, NOW, n=4)])
    start = DAY - timedelta(days=69)
    bounds = {"starting_on": start, "ending_before": NEXT}
    page = server.client.v1.usage.list(window_size="HOUR", **bounds)
    assert len(page.data) == batch.PAGE_WEIGHT
    rows = list(page)
    assert len(rows) == 2 * 70 * 24
    assert len({(row.billable_metric_id, row.start_timestamp) for row in rows}) == len(rows)
    hit = [row for row in rows if row.value]
    assert sorted((row.start_timestamp, row.value) for row in hit) == [(NOW, 1), (NOW, 4)]


def test_pages_stay_whole_while_customers_metrics_and_events_come(server: Server) -> None:
    client = server.client
    before = [client.v1.customers.create(name=f"c{number}").data.id for number in range(4)]
    create_metric(client, "COUNT")
    bounds = {"starting_on": DAY - timedelta(days=40), "ending_before": NEXT}
    seen: list[tuple[str, str, datetime]] = []
    page = client.v1.usage.list(window_size="HOUR", **bounds)
    while True:
        seen += [(row.customer_id, row.billable_metric_id, row.start_timestamp) for row in page.data]
        if page.next_page is None:
            break
        if len(seen) == batch.PAGE_WEIGHT:
            client.v1.customers.create(name="meanwhile")
            ingest(server, [event(1, before[0], NOW, n=1)])
            with server.tallybook.environments["sandbox"].write("test") as tx:
                customers.mark_archived(tx, max(before))
        page = client.v1.usage.list(window_size="HOUR", next_page=page.next_page, **bounds)
    assert len(seen) == len(set(seen))
    for customer in sorted(before)[:3]:
        assert sum(row[0] == customer for row in seen) == 41 * 24


def test_group_pages_stay_whole_while_events_come(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client, "COUNT")
    ingest(server, [event(number, "a", NOW, region=f"r{number}") for number in range(6)])
    asked = {
        "customer_id": customer,
        "billable_metric_id": metric,
        "window_size": "HOUR",
        "group_key": ["region"],
        "limit": 2,
        **TODAY,
    }
    seen = []
    page = server.client.v1.usage.list_with_groups(**asked)
    number = 10
    while True:
        seen += [row.group_value for row in page.data]
        if page.next_page is None:
            break
        # One group before what was shown and one event in a group that was shown.
        ingest(server, [event(number, "a", NOW, region=f"a{number}"), event(-number, "a", NOW, region="r0")])
        number += 1
        page = server.client.v1.usage.list_with_groups(**asked, next_page=page.next_page)
    assert seen == [f"r{number}" for number in range(6)]


def test_a_cursor_fits_only_its_question(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(client, "COUNT")
    ingest(server, [event(number, "a", NOW, region=f"r{number}") for number in range(6)])
    asked = {"customer_id": customer, "billable_metric_id": metric, "group_key": ["region"], **TODAY}
    page = client.v1.usage.list_with_groups(**asked, window_size="DAY", limit=1)
    with pytest.raises(metronome.BadRequestError, match="next_page"):
        client.v1.usage.list_with_groups(**asked, window_size="HOUR", next_page=page.next_page)
    with pytest.raises(metronome.BadRequestError, match="next_page"):
        client.v1.usage.list(window_size="DAY", next_page=page.next_page, **TODAY)


def test_group_by_is_the_old_way_to_say_group_key(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(client)
    ingest(server, [event(number, "a", NOW, n=number, region=f"r{number}") for number in range(1, 4)])
    asked = {"customer_id": customer, "billable_metric_id": metric, "window_size": "NONE", **TODAY}
    old = client.v1.usage.list_with_groups(**asked, group_by={"key": "region", "values": ["r1", "r3"]})
    new = client.v1.usage.list_with_groups(
        **asked, group_key=["region"], group_filters={"region": ["r1", "r3"]}
    )
    assert [row.value for row in old] == [1, 3]
    assert [row.to_dict() for row in new] == [row.to_dict() for row in old]
    everything = client.v1.usage.list_with_groups(**asked, group_key=["region"], group_filters={"region": []})
    assert [row.value for row in everything] == [1, 2, 3]


def test_compound_filters_must_all_be_met(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(client)
    places = [("eu", "x"), ("eu", "y"), ("us", "x")]
    ingest(
        server,
        [
            event(number, "a", NOW, n=10**number, region=region, team=team)
            for number, (region, team) in enumerate(places)
        ],
    )
    asked = {"customer_id": customer, "billable_metric_id": metric, "window_size": "NONE", **TODAY}
    rows = list(
        client.v1.usage.list_with_groups(
            **asked, group_key=["team", "region"], group_filters={"region": ["eu"], "team": ["x", "z"]}
        )
    )
    assert [(row.group, row.value, row.group_key) for row in rows] == [
        ({"team": "x", "region": "eu"}, 1, None)
    ]
    rows = client.v1.usage.list_with_groups(**asked, group_key=["team", "region"])
    assert [(row.group["team"], row.group["region"], row.value) for row in rows] == [
        ("x", "eu", 1),
        ("x", "us", 100),
        ("y", "eu", 10),
    ]


def test_a_read_only_view_answers_under_an_idempotency_key(server: Server) -> None:
    body = {"window_size": "NONE", "starting_on": DAY.isoformat(), "ending_before": NEXT.isoformat()}
    headers = {"Idempotency-Key": "k"}
    for _ in range(2):
        assert server.post("/v1/usage", body, headers=headers).json() == {"data": [], "next_page": None}


def test_other_environments_have_no_usage_here(server: Server) -> None:
    theirs = server.client_of(PRODUCTION_TOKEN)
    customer = theirs.v1.customers.create(name="Theirs").data.id
    metric = create_metric(theirs)
    ours = create_metric(server.client)
    mine = server.client.v1.customers.create(name="Mine").data.id
    ask = server.client.v1.usage.list
    with pytest.raises(metronome.NotFoundError, match="customer_ids"):
        ask(window_size="NONE", customer_ids=[mine, customer], **TODAY)
    with pytest.raises(metronome.NotFoundError, match="billable_metrics"):
        ask(window_size="NONE", billable_metrics=[{"id": metric}], **TODAY)
    group = server.client.v1.usage.list_with_groups
    with pytest.raises(metronome.NotFoundError, match="customer_id"):
        group(customer_id=customer, billable_metric_id=ours, window_size="NONE", **TODAY)
    with pytest.raises(metronome.NotFoundError, match="billable_metric_id"):
        group(customer_id=mine, billable_metric_id=metric, window_size="NONE", **TODAY)
    with pytest.raises(metronome.NotFoundError, match="customer_id"):
        server.client.v1.customers.list_billable_metrics(customer_id=customer)
