"""What of usage depends on contracts: the current period, and the metrics on the current plan."""

from datetime import UTC, datetime, timedelta

import metronome
import pytest

from tests.domains.usage.books import create_metric, event, ingest
from tests.support import NOW, Server

HOUR = timedelta(hours=1)


def at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def current(server: Server, customer: str, metric: str, size: str = "NONE", **other) -> list[tuple]:
    rows = server.client.v1.usage.list_with_groups(
        customer_id=customer, billable_metric_id=metric, window_size=size, current_period=True, **other
    )
    return [(row.starting_on, row.ending_before, row.value) for row in rows]


def test_current_period_is_the_statement_period_of_now(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client)
    server.client.v1.contracts.create(customer_id=customer, starting_at=at(1, 10, 6))
    ingest(
        server,
        [event(1, "a", at(1, 10, 5), n=1), event(2, "a", at(1, 10, 6), n=2), event(3, "a", NOW, n=4)],
    )
    assert current(server, customer, metric) == [(at(1, 10, 6), at(2, 1), 6)]
    # The first day begins with the contract, at six; days without events are told too.
    days = current(server, customer, metric, "DAY")
    assert days[:2] == [(at(1, 10, 6), at(1, 11), 2), (at(1, 11), at(1, 12), 0)]
    assert (len(days), days[-1][1]) == (22, at(2, 1))
    server.move_clock(at(2, 1))
    assert current(server, customer, metric) == [(at(2, 1), at(3, 1), 0)]


def test_current_period_pages_and_groups(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A", ingest_aliases=["a"]).data.id
    metric = create_metric(server.client)
    server.client.v1.contracts.create(customer_id=customer, starting_at=at(1, 1))
    ingest(
        server,
        [
            event(number, "a", NOW - number * HOUR, n=number, region=f"r{number % 2}")
            for number in range(1, 6)
        ],
    )
    rows = current(server, customer, metric, "HOUR", group_key=["region"], limit=2)
    assert rows == [(NOW - n * HOUR, NOW - n * HOUR + HOUR, n) for n in range(5, 0, -1)]
    assert len(current(server, customer, metric, "HOUR", limit=100)) == 31 * 24


def test_current_period_of_a_weekly_contract_that_began_first(server: Server) -> None:
    customer = server.client.v1.customers.create(name="A").data.id
    metric = create_metric(server.client)
    server.client.v1.contracts.create(customer_id=customer, starting_at=at(1, 10))
    server.client.v1.contracts.create(
        customer_id=customer,
        starting_at=at(1, 6, 12),
        usage_statement_schedule={"frequency": "WEEKLY", "day": "CONTRACT_START"},
    )
    # Weeks from Tuesday the 6th at noon; now is Thursday the 15th at noon.
    assert current(server, customer, metric) == [(at(1, 13, 12), at(1, 20, 12), 0)]


def test_current_period_needs_an_active_contract(server: Server) -> None:
    client = server.client
    metric = create_metric(client)
    customer = client.v1.customers.create(name="A").data.id
    terms = [{"starting_at": at(1, 16)}, {"starting_at": at(1, 1), "ending_before": at(1, 15, 12)}]
    for given in ({}, *terms):
        if given:
            client.v1.contracts.create(customer_id=customer, **given)
        with pytest.raises(metronome.BadRequestError, match="current_period"):
            current(server, customer, metric)


def test_on_current_plan_means_rates_in_force_on_active_contracts(server: Server) -> None:
    client = server.client
    names = ["on", "expired", "future", "archived", "unpriced", "second"]
    metrics = {name: create_metric(client, name=name) for name in names}
    products = {
        name: client.v1.contracts.products.create(
            name=name, type="USAGE", billable_metric_id=metrics[name]
        ).data.id
        for name in names
    }

    def card(**rates: tuple[datetime, datetime | None]) -> str:
        made = client.v1.contracts.rate_cards.create(name="card").data.id
        for name, (start, end) in rates.items():
            client.v1.contracts.rate_cards.rates.add(
                rate_card_id=made,
                product_id=products[name],
                rate_type="FLAT",
                price=1,
                entitled=True,
                starting_at=start,
                **({} if end is None else {"ending_before": end}),
            )
        return made

    first = card(
        on=(at(1, 1), None),
        expired=(at(1, 1), at(1, 15, 12)),
        future=(at(1, 15, 13), None),
        archived=(at(1, 1), None),
    )
    second = card(second=(at(1, 1), None))
    customer = client.v1.customers.create(name="A").data.id
    client.v1.contracts.create(customer_id=customer, rate_card_id=first, starting_at=at(1, 1))
    client.v1.contracts.create(customer_id=customer, rate_card_id=second, starting_at=at(1, 15, 13))
    client.v1.contracts.create(customer_id=customer, starting_at=at(1, 1))
    client.v1.billable_metrics.archive(id=metrics["archived"])

    def listed(**filters) -> list[str]:
        found = client.v1.customers.list_billable_metrics(
            customer_id=customer, on_current_plan=True, limit=1, **filters
        )
        return sorted(metric.name for metric in found)

    assert listed() == ["on"]
    assert listed(include_archived=True) == ["archived", "on"]
    server.move_clock(at(1, 15, 13))
    assert listed() == ["future", "on", "second"]
    other = client.v1.customers.list_billable_metrics(customer_id=customer, on_current_plan=False)
    assert len(list(other)) == 5


def test_metrics_of_a_customer_carry_the_deprecated_fields(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A").data.id
    kept, gone = create_metric(client), create_metric(client, "COUNT")
    client.v1.billable_metrics.archive(id=gone)
    old = {"name": "Old", "aggregate": "count", "filter": {"required": ["event_type"]}}
    server.move_clock(NOW + HOUR)
    last = server.post("/v1/billable-metrics", old).json()["data"]["id"]
    listed = list(client.v1.customers.list_billable_metrics(customer_id=customer))
    assert [metric.id for metric in listed] == [kept, last]
    assert (listed[0].aggregate, listed[0].aggregate_keys, listed[0].group_by, listed[0].filter) == (
        "sum",
        ["n"],
        ["region"],
        None,
    )
    assert listed[0].group_keys == [["region"], ["team", "region"]]
    assert (listed[1].aggregate, listed[1].aggregate_keys, listed[1].filter) == (
        "count",
        None,
        {"required": ["event_type"]},
    )
    every = list(
        client.v1.customers.list_billable_metrics(customer_id=customer, include_archived=True, limit=1)
    )
    assert {metric.id for metric in every} == {kept, gone, last}
    assert next(metric for metric in every if metric.id == gone).archived_at == NOW
    assert list(client.v1.customers.list_billable_metrics(customer_id=customer, on_current_plan=True)) == []
