"""Why events are not counted: no customer, no metric, no number."""

from datetime import timedelta
from typing import Any

import pytest

from tallybook.adapters.archive import unmatched
from tallybook.domains import customers
from tests.domains.usage.books import create_metric, event, ingest, wire
from tests.support import NOW, PRODUCTION_TOKEN, Server, assert_refused

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PATH = "/tallybook/v1/usage/unmatched"
NONE = {"event_count": 0, "group_count": 0, "groups": []}


def ask(server: Server, **asked: Any) -> dict[str, Any]:
    answer = server.get(PATH, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def named(reason: dict[str, Any], name: str) -> dict[str, int]:
    """Events by group, in the order of the answer."""
    return {group[name]: group["event_count"] for group in reason["groups"]}


def test_nothing_is_unmatched_where_everything_is_counted(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    create_metric(server.client)
    ingest(server, [event(1, "a", NOW, n=1), event(2, customer, NOW - HOUR, n="2.5")])
    assert ask(server) == {
        "starting_on": wire(NOW - DAY),
        "ending_before": "2026-01-16T12:00:00.000001Z",
        "event_count": 2,
        "no_customer": NONE,
        "no_metric": NONE,
        "unparsable_number": NONE,
        "sql_metric_count": 0,
    }


def test_keys_of_nobody_are_told_with_their_newest_events(server: Server) -> None:
    server.client.v1.customers.create(name="A", ingest_aliases=["a"])
    create_metric(server.client)
    times = [NOW - number * HOUR for number in range(5)]
    ingest(server, [event(number, "stray", when, n=1) for number, when in enumerate(times)])
    ingest(server, [event(5, "a", NOW, n=1), event(6, "other", NOW, n=1), event(0, "repeat", NOW, n=1)])
    data = ask(server, samples=2)
    assert (data["event_count"], data["no_metric"], data["unparsable_number"]) == (7, NONE, NONE)
    reason = data["no_customer"]
    assert (reason["event_count"], reason["group_count"]) == (6, 2)
    assert named(reason, "customer_id") == {"stray": 5, "other": 1}
    samples = reason["groups"][0]["samples"]
    assert [item["transaction_id"] for item in samples] == ["t0", "t1"]
    (found,) = ask(server, samples=1, customer_id="other")["no_customer"]["groups"][0]["samples"]
    assert found == {
        "id": found["id"],
        "transaction_id": "t6",
        "customer_id": "other",
        "event_type": "call",
        "timestamp": wire(NOW),
        "processed_at": wire(NOW),
        "properties": {"n": 1},
    }
    assert ask(server, samples=0)["no_customer"]["groups"][0] == {
        "customer_id": "stray",
        "event_count": 5,
        "samples": [],
    }
    assert len(ask(server)["no_customer"]["groups"][0]["samples"]) == 3


def test_the_owner_of_a_key_is_who_has_it_now(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A").data.id
    ingest(server, [event(1, "late", NOW)])
    assert ask(server)["no_customer"]["event_count"] == 1
    client.v1.customers.set_ingest_aliases(customer_id=customer, ingest_aliases=["late"])
    assert ask(server)["no_customer"] == NONE
    with server.tallybook.environments["sandbox"].write("test") as tx:
        customers.mark_archived(tx, customer)
    assert ask(server)["no_customer"] == NONE
    client.v1.customers.set_ingest_aliases(customer_id=customer, ingest_aliases=[])
    assert named(ask(server)["no_customer"], "customer_id") == {"late": 1}


def test_events_that_no_metric_counts_are_told_by_type(server: Server) -> None:
    server.client.v1.customers.create(name="A", ingest_aliases=["a"])
    ingest(
        server, [event(1, "a", NOW, "call"), event(2, "a", NOW, "CALL"), event(3, "a", NOW, "call", team="x")]
    )
    assert named(ask(server)["no_metric"], "event_type") == {"call": 2, "CALL": 1}
    filters = [{"name": "team", "in_values": ["x"]}, {"name": "n"}]
    metric = create_metric(server.client, property_filters=filters, group_keys=[])
    reason = ask(server)["no_metric"]
    assert named(reason, "event_type") == {"CALL": 1, "call": 1}
    assert [item["samples"][0]["transaction_id"] for item in reason["groups"]] == ["t2", "t1"]
    server.client.v1.billable_metrics.archive(id=metric)
    assert ask(server)["no_metric"]["event_count"] == 2


def test_one_broken_metric_hides_no_event_from_another(server: Server) -> None:
    """A property that is no number for one metric is told for it, and the other goes on counting."""
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    broken, fine = create_metric(client), create_metric(client, "COUNT")
    values = ["x", True, [1], {"b": 1}, "1,5", "", "1e999"]
    events = [event(number, "a", NOW - number * HOUR, n=value) for number, value in enumerate(values)]
    ingest(server, [*events, event(7, "a", NOW, n="7"), event(8, "a", NOW, n=None), event(9, "a", NOW)])
    reason = ask(server, samples=20)["unparsable_number"]
    assert (reason["event_count"], reason["group_count"]) == (7, 1)
    (group,) = reason["groups"]
    assert group["billable_metric"] == {"id": broken, "name": "SUM of calls", "aggregation_key": "n"}
    assert [item["properties"]["n"] for item in group["samples"]] == values
    assert ask(server)["no_metric"] == NONE
    bounds = {"starting_on": NOW.replace(hour=0), "ending_before": NOW.replace(hour=0) + DAY}
    rows = client.v1.usage.list(
        window_size="NONE", customer_ids=[customer], billable_metrics=[{"id": fine}, {"id": broken}], **bounds
    )
    assert [row.value for row in rows] == [10, 7]


def test_an_event_may_stand_under_every_reason_and_several_metrics(server: Server) -> None:
    first, second = (create_metric(server.client, kind) for kind in ("MAX", "LATEST"))
    create_metric(server.client, "UNIQUE", aggregation_key="n")
    ingest(server, [event(1, "stray", NOW, n="x"), event(2, "stray", NOW, "other", n="x")])
    data = ask(server)
    assert (data["event_count"], data["no_customer"]["event_count"], data["no_metric"]["event_count"]) == (
        2,
        2,
        1,
    )
    assert data["unparsable_number"]["event_count"] == 1
    found = {group["billable_metric"]["id"]: group for group in data["unparsable_number"]["groups"]}
    assert set(found) == {first, second}
    assert [item["transaction_id"] for item in found[second]["samples"]] == ["t1"]


def test_only_the_customer_asked_for_is_looked_at(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    ingest(server, [event(1, "a", NOW), event(2, customer, NOW), event(3, "b", NOW)])
    assert (ask(server)["event_count"], ask(server)["no_customer"]["event_count"]) == (3, 1)
    data = ask(server, customer_id=customer)
    assert (data["event_count"], data["no_customer"], data["no_metric"]["event_count"]) == (2, NONE, 2)
    assert ask(server, customer_id="a")["event_count"] == 1
    assert ask(server, customer_id="b")["no_customer"]["event_count"] == 1


def test_the_last_day_is_looked_at_unless_another_range_is_asked_for(server: Server) -> None:
    times = [NOW + DAY, NOW, NOW - DAY, NOW - DAY - HOUR, NOW - 34 * DAY]
    ingest(server, [event(number, "a", when) for number, when in enumerate(times)])
    assert ask(server)["event_count"] == 3
    assert ask(server, ending_before=wire(NOW))["event_count"] == 1
    assert ask(server, starting_on=wire(NOW - DAY - HOUR))["event_count"] == 4
    assert ask(server, starting_on=wire(NOW - 34 * DAY))["event_count"] == 5
    assert ask(server, starting_on=wire(NOW - 34 * DAY), ending_before=wire(NOW))["event_count"] == 3
    assert ask(server, starting_on=wire(NOW + HOUR))["event_count"] == 1


def test_many_groups_are_counted_and_the_largest_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmatched, "GROUPS_MAX", 2)

    events = [event(number, f"k{number % 4}", NOW, f"e{number % 3}", n="x") for number in range(10)]
    ingest(server, events)
    for number in range(5):
        types = [f"e{number}", "e0"]
        create_metric(server.client, event_type_filter={"in_values": types}, name=f"m{number}")
    data = ask(server)
    assert (data["no_customer"]["group_count"], data["no_customer"]["event_count"]) == (4, 10)
    assert named(data["no_customer"], "customer_id") == {"k0": 3, "k1": 3}
    assert data["no_metric"] == NONE
    assert (data["unparsable_number"]["group_count"], data["unparsable_number"]["event_count"]) == (5, 10)
    assert [group["event_count"] for group in data["unparsable_number"]["groups"]] == [7, 7]


def test_nothing_of_another_environment_is_told(server: Server) -> None:
    foreign = server.client_of(PRODUCTION_TOKEN).v1.customers.create(name="F", ingest_aliases=["f"]).data.id
    create_metric(server.client_of(PRODUCTION_TOKEN))
    ingest(server, [event(1, "f", NOW, n="x")])
    data = ask(server)
    assert (data["no_customer"]["event_count"], data["no_metric"]["event_count"]) == (1, 1)
    assert ask(server, customer_id=foreign)["event_count"] == 0
    assert server.get(PATH, token=PRODUCTION_TOKEN).json()["data"]["event_count"] == 0


BAD = [
    ({"customer_id": ""}, "customer_id"),
    ({"customer_id": "\x00"}, "customer_id"),
    ({"starting_on": "now"}, "starting_on"),
    ({"starting_on": wire(NOW - 34 * DAY - timedelta(seconds=1))}, "starting_on"),
    ({"starting_on": "2025-01-01T00:00:00Z", "ending_before": "2025-02-04T00:00:01Z"}, "starting_on"),
    ({"ending_before": "2026-01-01"}, "ending_before"),
    ({"starting_on": wire(NOW), "ending_before": wire(NOW)}, "ending_before"),
    ({"starting_on": wire(NOW), "ending_before": wire(NOW - HOUR)}, "ending_before"),
    ({"samples": "-1"}, "samples"),
    ({"samples": "21"}, "samples"),
    ({"samples": "few"}, "samples"),
    ({"limit": "5"}, "limit"),
]


@pytest.mark.parametrize(("asked", "name"), BAD)
def test_a_bad_question_is_refused_naming_the_field(
    shared_server: Server, asked: dict[str, str], name: str
) -> None:
    assert_refused(shared_server.get(PATH, params=asked), 400, name)
