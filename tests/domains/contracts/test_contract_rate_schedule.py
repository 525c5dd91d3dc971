"""The prices that a contract pays, through the official client."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from metronome import Metronome

from tests.support import NOW, Server

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


@dataclass
class Priced:
    """A customer whose contract has a card with three products."""

    server: Server
    customer_id: str
    contract_id: str
    card_id: str
    tokens: str
    calls: str
    seats: str

    @property
    def client(self) -> Metronome:
        return self.server.client

    def rates(self, **given: object) -> list:
        names = {"customer_id": self.customer_id, "contract_id": self.contract_id}
        return self.client.v1.contracts.retrieve_rate_schedule(**names, **given).data


@pytest.fixture
def priced(server: Server) -> Priced:
    client = server.client
    metric = client.v1.billable_metrics.create(
        name="tokens",
        aggregation_type="SUM",
        aggregation_key="tokens",
        event_type_filter={"in_values": ["call"]},
        property_filters=[{"name": "tokens", "exists": True}, {"name": "model", "exists": True}],
        group_keys=[["model"]],
    ).data.id
    count = client.v1.billable_metrics.create(
        name="calls", aggregation_type="COUNT", event_type_filter={"in_values": ["call"]}
    ).data.id
    products = client.v1.contracts.products
    tokens = products.create(
        name="Tokens", type="USAGE", billable_metric_id=metric, pricing_group_key=["model"], tags=["llm"]
    ).data.id
    calls = products.create(name="Calls", type="USAGE", billable_metric_id=count).data.id
    seats = products.create(name="Idle", type="USAGE", billable_metric_id=count).data.id
    card = client.v1.contracts.rate_cards.create(name="Card").data.id

    def add(product_id: str, price: float, **given: object) -> None:
        terms = {"starting_at": JANUARY, "entitled": True, "rate_type": "FLAT", **given}
        client.v1.contracts.rate_cards.rates.add(
            rate_card_id=card, product_id=product_id, price=price, **terms
        )

    add(tokens, 3, pricing_group_values={"model": "small"})
    add(tokens, 9, pricing_group_values={"model": "large"})
    add(calls, 0.5)
    add(calls, 0.75, starting_at=FEBRUARY)
    add(seats, 10, entitled=False)
    customer = client.v1.customers.create(name="Acme").data.id
    contract = client.v1.contracts.create(
        customer_id=customer, starting_at=JANUARY, rate_card_id=card
    ).data.id
    return Priced(server, customer, contract, card, tokens, calls, seats)


def test_rates_are_those_of_the_card_now_without_what_is_not_entitled(priced: Priced) -> None:
    rows = priced.rates()
    assert [(row.product_name, row.list_rate.price) for row in rows] == [
        ("Tokens", 3),
        ("Tokens", 9),
        ("Calls", 0.5),
    ]
    small, _, calls = rows
    assert small.pricing_group_values == {"model": "small"}
    assert (small.product_id, small.product_tags, small.product_custom_fields) == (priced.tokens, ["llm"], {})
    assert {row.rate_card_id for row in rows} == {priced.card_id}
    assert all(row.entitled for row in rows)
    assert (calls.starting_at, calls.ending_before) == (JANUARY, FEBRUARY)
    assert (calls.list_rate.rate_type, calls.list_rate.credit_type.name) == ("FLAT", "USD (cents)")
    assert (calls.override_rate, calls.commit_rate, calls.billing_frequency) == (None, None, None)


def test_at_chooses_the_instant(priced: Priced) -> None:
    def price(at: datetime) -> list[float]:
        return [row.list_rate.price for row in priced.rates(at=at) if row.product_id == priced.calls]

    assert price(JANUARY - timedelta(seconds=1)) == []
    assert price(FEBRUARY - timedelta(seconds=1)) == [0.5]
    assert price(FEBRUARY) == [0.75]
    priced.server.move_clock(FEBRUARY)
    assert [row.list_rate.price for row in priced.rates()] == [3, 9, 0.75]


def test_any_selector_lets_a_rate_through(priced: Priced) -> None:
    def prices(*selectors: dict) -> list[float]:
        return [row.list_rate.price for row in priced.rates(selectors=list(selectors))]

    assert prices({"product_id": priced.calls}) == [0.5]
    assert prices({"product_tags": ["llm", "other"]}) == [3, 9]
    assert prices({"pricing_group_values": {"model": "large"}}) == [9]
    assert prices({"partial_pricing_group_values": {"model": "small"}}) == [3]
    assert prices({"product_id": priced.calls}, {"pricing_group_values": {"model": "small"}}) == [3, 0.5]
    assert prices({"product_id": priced.calls, "product_tags": ["llm"]}) == []
    assert prices({"product_id": priced.seats}) == []
    assert prices({"billing_frequency": "MONTHLY"}) == []
    assert prices() == [3, 9, 0.5]


def test_pages_are_complete(priced: Priced) -> None:
    names = {"customer_id": priced.customer_id, "contract_id": priced.contract_id}
    seen, cursor = [], None
    for _ in range(4):
        given = {"limit": 1} if cursor is None else {"limit": 1, "next_page": cursor}
        page = priced.client.v1.contracts.retrieve_rate_schedule(**names, **given)
        seen += [row.list_rate.price for row in page.data]
        cursor = page.next_page
        if cursor is None:
            break
    assert seen == [3, 9, 0.5]


def test_contract_without_a_card_has_no_rates(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="Bare").data.id
    contract = client.v1.contracts.create(customer_id=customer, starting_at=NOW).data.id
    answer = client.v1.contracts.retrieve_rate_schedule(customer_id=customer, contract_id=contract)
    assert (answer.data, answer.next_page) == ([], None)
