"""The whole way from an empty sandbox to a final invoice, through the official Python client.

The client validates strictly what it receives, so every answer on the way has the published shape.
Amounts are in cents and worked out by hand:

    input tokens   1,234,567 at 250 a million                     308.64175
    output tokens    200,000 of model large at 1,000 a million    200
                     300,000 of model small at   400 a million    120
    platform fee   a product that is not on the card               -
    total                                                         628.64175
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from metronome import APIStatusError, Metronome

from tests.support import NOW, Server

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
A_MILLION = {"conversion_factor": 1_000_000, "operation": "divide"}


def make_catalogue(client: Metronome) -> dict[str, str]:
    """Two metrics, two products, a card with three rates; their ids."""
    ids: dict[str, str] = {}
    for kind, groups in (("input", []), ("output", [["model"]])):
        names = [f"{kind}_tokens", *groups[0]] if groups else [f"{kind}_tokens"]
        metric = client.v1.billable_metrics.create(
            name=f"{kind} tokens",
            event_type_filter={"in_values": ["inference"]},
            property_filters=[{"name": name, "exists": True} for name in names],
            aggregation_type="SUM",
            aggregation_key=f"{kind}_tokens",
            group_keys=groups,
        )
        product = client.v1.contracts.products.create(
            name=f"{kind} tokens",
            type="USAGE",
            billable_metric_id=metric.data.id,
            quantity_conversion=A_MILLION,
            **({"pricing_group_key": groups[0]} if groups else {}),
        )
        ids |= {f"{kind}_metric": metric.data.id, f"{kind}_product": product.data.id}
    card = client.v1.contracts.rate_cards.create(name="List prices", aliases=[{"name": "list"}])
    ids["card"] = card.data.id
    flat: dict[str, Any] = {"starting_at": JANUARY, "entitled": True, "rate_type": "FLAT"}
    client.v1.contracts.rate_cards.rates.add(
        rate_card_id=ids["card"], product_id=ids["input_product"], price=250, **flat
    )
    client.v1.contracts.rate_cards.rates.add_many(
        rate_card_id=ids["card"],
        rates=[
            {
                "product_id": ids["output_product"],
                "price": 1000,
                "pricing_group_values": {"model": "large"},
                **flat,
            },
            {
                "product_id": ids["output_product"],
                "price": 400,
                "pricing_group_values": {"model": "small"},
                **flat,
            },
        ],
    )
    return ids


EVENTS = [
    ("1", {"input_tokens": "1000000", "output_tokens": "200000", "model": "large"}),
    ("2", {"input_tokens": 234567, "output_tokens": 300000, "model": "small"}),
    # A repeat of the first: counted once.
    ("1", {"input_tokens": "1000000", "output_tokens": "200000", "model": "large"}),
]


def ingest(client: Metronome, customer: str) -> None:
    client.v1.usage.ingest(
        usage=[
            {
                "transaction_id": f"request-{number}",
                "customer_id": customer,
                "event_type": "inference",
                "timestamp": (NOW - timedelta(days=index)).isoformat(),
                "properties": properties,
            }
            for index, (number, properties) in enumerate(EVENTS)
        ]
    )


def exact_invoice(client: Metronome, customer: str, invoice: str) -> dict[str, Any]:
    """An invoice with its numbers exactly as they were sent."""
    raw = client.v1.customers.invoices.with_raw_response.retrieve(invoice_id=invoice, customer_id=customer)
    data: dict[str, Any] = json.loads(raw.text(), parse_float=Decimal, parse_int=Decimal)["data"]
    return data


def check_usage(client: Metronome, ids: dict[str, str], customer: str) -> None:
    rows = list(
        client.v1.usage.list(
            starting_on=JANUARY, ending_before=FEBRUARY, window_size="NONE", customer_ids=[customer]
        )
    )
    assert {(row.billable_metric_id, row.value) for row in rows} == {
        (ids["input_metric"], 1_234_567),
        (ids["output_metric"], 500_000),
    }
    groups = list(
        client.v1.usage.list_with_groups(
            billable_metric_id=ids["output_metric"],
            customer_id=customer,
            window_size="NONE",
            group_key=["model"],
            starting_on=JANUARY,
            ending_before=FEBRUARY,
        )
    )
    assert {(row.group["model"], row.value) for row in groups if row.group} == {
        ("large", 200_000),
        ("small", 300_000),
    }


def check_contract(client: Metronome, ids: dict[str, str], customer: str, contract: str) -> None:
    assert client.v1.contracts.retrieve(contract_id=contract, customer_id=customer).data.id == contract
    assert client.v2.contracts.retrieve(contract_id=contract, customer_id=customer).data.id == contract
    assert [item.id for item in client.v1.contracts.list(customer_id=customer).data] == [contract]
    assert [item.id for item in client.v2.contracts.list(customer_id=customer).data] == [contract]
    schedule = client.v1.contracts.retrieve_rate_schedule(contract_id=contract, customer_id=customer)
    assert len(schedule.data) == 3
    rates = client.v1.contracts.rate_cards.rates.list(at=NOW, rate_card_id=ids["card"])
    assert {rate.rate.price for rate in rates.data} == {250, 400, 1000}


def test_from_an_empty_sandbox_to_a_final_invoice(server: Server) -> None:
    client = server.client
    ids = make_catalogue(client)
    customer = client.v1.customers.create(name="Acme", ingest_aliases=["acme"]).data.id
    contract = client.v1.contracts.create(
        customer_id=customer, rate_card_alias="list", starting_at=JANUARY
    ).data.id
    ingest(client, "acme")
    check_usage(client, ids, customer)
    check_contract(client, ids, customer, contract)

    (draft,) = list(client.v1.customers.invoices.list(customer_id=customer))
    assert (draft.status, draft.total) == ("DRAFT", 628.64175)

    # The period is over but its grace is not: still a draft.
    server.move_clock(FEBRUARY + timedelta(hours=23))
    january, february = list(client.v1.customers.invoices.list(customer_id=customer))
    assert (january.id, january.status, february.status) == (draft.id, "DRAFT", "DRAFT")

    server.move_clock(FEBRUARY + timedelta(days=1))
    final = exact_invoice(client, customer, draft.id)
    assert final["status"] == "FINALIZED"
    assert final["total"] == Decimal("628.64175")
    lines = {
        (line["name"], line.get("pricing_group_values", {}).get("model")): (
            line["quantity"],
            line["unit_price"],
            line["total"],
        )
        for line in final["line_items"]
    }
    assert lines == {
        ("input tokens", None): (Decimal("1.234567"), 250, Decimal("308.64175")),
        ("output tokens", "large"): (Decimal("0.2"), 1000, 200),
        ("output tokens", "small"): (Decimal("0.3"), 400, 120),
    }


def test_a_final_invoice_stays_as_it_is(server: Server) -> None:
    client = server.client
    ids = make_catalogue(client)
    customer = client.v1.customers.create(name="Acme", ingest_aliases=["acme"]).data.id
    client.v1.contracts.create(customer_id=customer, rate_card_id=ids["card"], starting_at=JANUARY)
    ingest(client, "acme")
    (draft,) = list(client.v1.customers.invoices.list(customer_id=customer))
    server.move_clock(FEBRUARY + timedelta(days=2))
    before = exact_invoice(client, customer, draft.id)

    client.v1.usage.ingest(
        usage=[
            {
                "transaction_id": "late",
                "customer_id": "acme",
                "event_type": "inference",
                "timestamp": (FEBRUARY - timedelta(hours=1)).isoformat(),
                "properties": {"input_tokens": 1_000_000},
            }
        ]
    )
    client.v1.contracts.products.update(product_id=ids["input_product"], starting_at=JANUARY, name="Renamed")
    client.v1.customers.set_name(customer_id=customer, name="Acme Ltd")
    server.move_clock(FEBRUARY + timedelta(days=3))
    assert exact_invoice(client, customer, draft.id) == before


def test_errors_reach_the_caller_as_the_client_knows_them(server: Server) -> None:
    client = server.client
    with pytest.raises(APIStatusError) as caught:
        client.v1.customers.retrieve(customer_id="123e4567-e89b-12d3-a456-426614174000")
    assert caught.value.status_code == 404
    assert list(json.loads(caught.value.response.text)) == ["message"]
