"""Contracts through the official client, strict about every answer."""

from datetime import UTC, datetime, timedelta

import metronome
import pytest
from metronome import Metronome

from tests.support import NOW, PRODUCTION_TOKEN, Server

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
USD = "2714e483-4ff1-48e4-9e25-ac732e8f24f2"
STRIPE = {
    "billing_provider": "stripe",
    "delivery_method": "direct_to_billing_provider",
    "configuration": {"stripe_customer_id": "cus_1", "stripe_collection_method": "charge_automatically"},
}
NETSUITE = {
    "provider": "netsuite",
    "delivery_method": "direct_to_billing_provider",
    "configuration": {"netsuite_customer_id": "7"},
}


def customer_of(client: Metronome, **given: object) -> str:
    return client.v1.customers.create(name="Acme", **given).data.id


def contract_of(client: Metronome, customer_id: str, **terms: object) -> str:
    given = {"starting_at": JANUARY, **terms}
    return client.v1.contracts.create(customer_id=customer_id, **given).data.id


def current(client: Metronome, customer_id: str, contract_id: str):
    return client.v2.contracts.retrieve(customer_id=customer_id, contract_id=contract_id).data


def test_create_answers_with_the_id_and_what_get_answers(server: Server) -> None:
    body = {"customer_id": customer_of(server.client), "starting_at": "2026-01-10T00:00:00Z"}
    created = server.post("/v1/contracts/create", body).json()["data"]
    names = {"customer_id": body["customer_id"], "contract_id": created["id"]}
    assert server.post("/v2/contracts/get", names).json()["data"] == created["contract"]
    listed = server.post("/v2/contracts/list", {"customer_id": body["customer_id"]}).json()
    assert listed == {"data": [created["contract"]]}
    old = server.post("/v1/contracts/list", {"customer_id": body["customer_id"]}).json()
    assert old == {"data": [server.post("/v1/contracts/get", names).json()["data"]]}


def test_least_contract_is_open_ended_monthly_from_the_first(client: Metronome) -> None:
    customer = customer_of(client)
    starting_at = datetime(2026, 1, 10, 5, tzinfo=UTC)
    created = client.v1.contracts.create(customer_id=customer, starting_at=starting_at).data
    assert created.contract.id == created.id
    contract = current(client, customer, created.id)
    assert (contract.id, contract.customer_id) == (created.id, customer)
    assert (contract.starting_at, contract.ending_before) == (starting_at, None)
    assert (contract.created_at, contract.created_by) == (NOW, "sandbox-admin")
    assert contract.usage_statement_schedule.frequency == "MONTHLY"
    assert contract.usage_statement_schedule.billing_anchor_date == JANUARY
    assert contract.multiplier_override_prioritization == "LOWEST_MULTIPLIER"
    for terms in ("commits", "credits", "overrides", "scheduled_charges", "transitions", "usage_filter"):
        assert getattr(contract, terms) == []
    assert (contract.has_more.commits, contract.has_more.credits) == (False, False)
    assert (contract.custom_fields, contract.archived_at, contract.rate_card_id) == ({}, None, None)


def test_every_term_comes_back_in_both_versions(client: Metronome) -> None:
    client.v1.custom_fields.add_key(entity="contract", key="region", enforce_uniqueness=False)
    customer = customer_of(
        client,
        customer_billing_provider_configurations=[STRIPE],
        customer_revenue_system_configurations=[NETSUITE],
    )
    card = client.v1.contracts.rate_cards.create(name="Card").data.id
    contract_id = client.v1.contracts.create(
        customer_id=customer,
        starting_at=JANUARY,
        ending_before=datetime(2027, 1, 1, tzinfo=UTC),
        name="Deal",
        uniqueness_key="deal-1",
        rate_card_id=card,
        net_payment_terms_days=30,
        total_contract_value=1_200.5,
        usage_statement_schedule={
            "frequency": "QUARTERLY",
            "day": "CUSTOM_DATE",
            "billing_anchor_date": datetime(2025, 11, 20, 3, tzinfo=UTC),
            "invoice_generation_starting_at": datetime(2026, 3, 1, tzinfo=UTC),
        },
        multiplier_override_prioritization="EXPLICIT",
        scheduled_charges_on_usage_invoices="ALL",
        netsuite_sales_order_id="so-1",
        salesforce_opportunity_id="opp-1",
        billing_provider_configuration={
            "billing_provider": "stripe",
            "delivery_method": "direct_to_billing_provider",
        },
        revenue_system_configuration={
            "provider": "netsuite",
            "delivery_method": "direct_to_billing_provider",
        },
        custom_fields={"region": "eu"},
    ).data.id

    flat = current(client, customer, contract_id)
    old = client.v1.contracts.retrieve(customer_id=customer, contract_id=contract_id).data
    for shown in (flat, old.initial, old.current):
        assert (shown.name, shown.rate_card_id, shown.net_payment_terms_days) == ("Deal", card, 30)
        assert (shown.starting_at, shown.ending_before) == (JANUARY, datetime(2027, 1, 1, tzinfo=UTC))
        assert shown.total_contract_value == 1_200.5
        assert (shown.netsuite_sales_order_id, shown.salesforce_opportunity_id) == ("so-1", "opp-1")
        assert shown.scheduled_charges_on_usage_invoices == "ALL"
        assert shown.usage_statement_schedule.frequency == "QUARTERLY"
        anchor = shown.usage_statement_schedule.billing_anchor_date
        assert anchor == datetime(2025, 11, 20, 3, tzinfo=UTC)
        assert (shown.created_at, shown.created_by) == (NOW, "sandbox-admin")
    for shown in (flat, old):
        assert (shown.id, shown.customer_id, shown.uniqueness_key) == (contract_id, customer, "deal-1")
        assert (shown.custom_fields, shown.archived_at) == ({"region": "eu"}, None)
        configuration = shown.customer_billing_provider_configuration
        assert (configuration.billing_provider, configuration.customer_id) == ("stripe", customer)
        assert configuration.configuration["stripe_customer_id"] == "cus_1"
        assert configuration.delivery_method == "direct_to_billing_provider"
    assert old.amendments == []
    assert flat.multiplier_override_prioritization == "EXPLICIT"
    (billing,) = flat.billing_provider_configuration_schedule
    assert (billing.effective_at, billing.effective_until) == (JANUARY, None)
    assert billing.billing_provider_configuration.id == configuration.id
    (revenue,) = flat.revenue_system_configuration_schedule
    assert revenue.effective_at == JANUARY
    assert revenue.revenue_system_configuration.configuration == {"netsuite_customer_id": "7"}


@pytest.mark.parametrize(
    ("schedule", "anchor"),
    [
        ({"frequency": "MONTHLY"}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({"frequency": "monthly", "day": "first_of_month"}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({"frequency": "Weekly", "day": "contract_start"}, datetime(2026, 1, 20, 7, tzinfo=UTC)),
        ({"frequency": "ANNUAL", "day": "CONTRACT_START"}, datetime(2026, 1, 20, 7, tzinfo=UTC)),
        (
            {"frequency": "annual", "day": "custom_date", "billing_anchor_date": "2030-02-28T01:00:00+01:00"},
            datetime(2030, 2, 28, tzinfo=UTC),
        ),
    ],
)
def test_anchor_follows_the_day(server: Server, schedule: dict, anchor: datetime) -> None:
    customer = customer_of(server.client)
    body = {
        "customer_id": customer,
        "starting_at": "2026-01-20T07:00:00Z",
        "usage_statement_schedule": schedule,
    }
    contract_id = server.post("/v1/contracts/create", body).json()["data"]["id"]
    shown = current(server.client, customer, contract_id).usage_statement_schedule
    assert shown.billing_anchor_date == anchor
    assert shown.frequency == schedule["frequency"].upper()


def test_alias_is_resolved_as_of_the_start(client: Metronome) -> None:
    february = datetime(2026, 2, 1, tzinfo=UTC)
    cards = client.v1.contracts.rate_cards
    early = cards.create(name="Early", aliases=[{"name": "list", "ending_before": february}]).data.id
    late = cards.create(name="Late", aliases=[{"name": "list", "starting_at": february}]).data.id
    customer = customer_of(client)
    for starting_at, card in ((JANUARY, early), (february, late)):
        contract_id = contract_of(client, customer, starting_at=starting_at, rate_card_alias="list")
        assert current(client, customer, contract_id).rate_card_id == card


def test_uniqueness_key_is_used_once_for_ever(server: Server) -> None:
    client = server.client
    customer, other = customer_of(client), customer_of(client)
    key = "k" * 128
    contract_id = contract_of(client, customer, uniqueness_key=key)
    with pytest.raises(metronome.ConflictError) as refused:
        contract_of(client, other, uniqueness_key=key)
    assert "uniqueness_key" in refused.value.response.json()["message"]
    assert client.v2.contracts.list(customer_id=other).data == []
    with server.tallybook.environments["sandbox"].write("test") as tx:
        from tallybook.domains import contracts

        assert [item.id for item in contracts.archive_contracts_of(tx, customer)] == [contract_id]
    with pytest.raises(metronome.ConflictError):
        contract_of(client, customer, uniqueness_key=key)
    production = server.client_of(PRODUCTION_TOKEN)
    assert contract_of(production, customer_of(production), uniqueness_key=key)


def test_list_filters(server: Server) -> None:
    client = server.client
    customer, other = customer_of(client), customer_of(client)
    spans = [("2026-03-01", None), ("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-04-01")]
    made = [
        contract_of(
            client,
            customer,
            starting_at=datetime.fromisoformat(start).replace(tzinfo=UTC),
            **({"ending_before": datetime.fromisoformat(end).replace(tzinfo=UTC)} if end else {}),
        )
        for start, end in spans
    ]
    contract_of(client, other)

    def ids(**filters: object) -> set[str]:
        new = [item.id for item in client.v2.contracts.list(customer_id=customer, **filters).data]
        old = [item.id for item in client.v1.contracts.list(customer_id=customer, **filters).data]
        assert new == old
        return set(new)

    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert ids() == set(made)
    assert ids(include_balance=True, include_ledgers=True, include_archived=False) == set(made)
    assert ids(starting_at=at("2026-02-01")) == {made[0], made[2]}
    assert ids(starting_at=at("2026-02-01T00:00:01")) == {made[0]}
    assert ids(covering_date=at("2026-01-31T23:59:59")) == {made[1]}
    assert ids(covering_date=at("2026-02-01")) == {made[2]}
    assert ids(covering_date=at("2026-03-15")) == {made[0], made[2]}
    assert ids(covering_date=at("2025-12-31")) == set()


def test_list_is_oldest_first(server: Server) -> None:
    customer = customer_of(server.client)
    made = []
    for number in range(3):
        server.move_clock(NOW + timedelta(hours=number + 1))
        made.append(contract_of(server.client, customer, starting_at=NOW - timedelta(days=number)))
    assert [item.id for item in server.client.v2.contracts.list(customer_id=customer).data] == made


def test_archived_contracts_are_listed_only_when_asked_for(server: Server) -> None:
    from tallybook.domains import contracts

    client = server.client
    customer = customer_of(client)
    contract_id = contract_of(client, customer)
    with server.tallybook.environments["sandbox"].write("test") as tx:
        contracts.archive_contracts_of(tx, customer)
    assert client.v2.contracts.list(customer_id=customer).data == []
    (listed,) = client.v2.contracts.list(customer_id=customer, include_archived=True).data
    assert (listed.id, listed.archived_at) == (contract_id, NOW)
    (old,) = client.v1.contracts.list(customer_id=customer, include_archived=True).data
    assert old.archived_at == NOW
    assert current(client, customer, contract_id).archived_at == NOW
    before = client.v2.contracts.retrieve(
        customer_id=customer, contract_id=contract_id, as_of_date=NOW - timedelta(seconds=1)
    ).data
    assert (before.id, before.archived_at) == (contract_id, None)
    at_archiving = client.v2.contracts.retrieve(
        customer_id=customer, contract_id=contract_id, as_of_date=NOW
    ).data
    assert at_archiving.archived_at == NOW


def test_get_takes_every_documented_flag(server: Server) -> None:
    customer = customer_of(server.client)
    contract_id = contract_of(server.client, customer)
    names = {"customer_id": customer, "contract_id": contract_id}
    flags = {"include_balance": True, "include_ledgers": True}
    assert server.post("/v1/contracts/get", names | flags).status_code == 200
    extra = {"webhook_notification_id": "n", "as_of_date": None}
    assert server.post("/v2/contracts/get", names | flags | extra).status_code == 200
    dated = names | {"as_of_date": "2025-01-01T00:00:00Z", "include_ledgers": False}
    assert server.post("/v2/contracts/get", dated).json()["data"]["id"] == contract_id


def test_empty_terms_are_accepted(server: Server) -> None:
    customer = customer_of(server.client)
    lists = (
        "commits",
        "credits",
        "recurring_commits",
        "recurring_credits",
        "overrides",
        "scheduled_charges",
        "subscriptions",
        "discounts",
        "professional_services",
        "reseller_royalties",
        "spend_trackers",
    )
    nulls = (
        "transition",
        "usage_filter",
        "spend_threshold_configuration",
        "prepaid_balance_threshold_configuration",
        "hierarchy_configuration",
        "package_id",
        "package_alias",
        "name",
        "rate_card_id",
        "usage_statement_schedule",
        "billing_provider_configuration",
        "custom_fields",
    )
    body = {
        "customer_id": customer,
        "starting_at": "2026-01-01T00:00:00Z",
        **{name: [] for name in lists},
        **dict.fromkeys(nulls),
    }
    answer = server.post("/v1/contracts/create", body)
    assert answer.status_code == 200, answer.text


def test_money_keeps_every_digit(server: Server) -> None:
    customer = customer_of(server.client)
    text = (
        '{"customer_id": "%s", "starting_at": "2026-01-01T00:00:00Z", "net_payment_terms_days": 30.0, '
        '"total_contract_value": 12345678901234567890.000000000000000001}'
    )
    answer = server.request(
        "POST",
        "/v1/contracts/create",
        content=text % customer,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    assert '"total_contract_value":12345678901234567890.000000000000000001' in answer.text
    assert '"net_payment_terms_days":30,' in answer.text


# ---- provider configurations ----


def test_configuration_is_chosen_by_id_when_several_fit(server: Server) -> None:
    client = server.client
    second = {**STRIPE, "configuration": {"stripe_customer_id": "cus_2"}}
    customer = customer_of(client, customer_billing_provider_configurations=[STRIPE, second])
    chosen = {"billing_provider": "stripe", "delivery_method": "direct_to_billing_provider"}
    body = {"customer_id": customer, "starting_at": "2026-01-01T00:00:00Z"}
    answer = server.post("/v1/contracts/create", body | {"billing_provider_configuration": chosen})
    assert answer.status_code == 400
    assert "billing_provider_configuration" in answer.json()["message"]
    listed = server.post("/v1/getCustomerBillingProviderConfigurations", {"customer_id": customer})
    ids = [item["id"] for item in listed.json()["data"]]
    for configuration_id in ids:
        contract_id = contract_of(
            client,
            customer,
            billing_provider_configuration={"billing_provider_configuration_id": configuration_id},
        )
        shown = current(client, customer, contract_id).customer_billing_provider_configuration
        assert shown.id == configuration_id


def test_archived_configuration_leaves_the_contract(server: Server) -> None:
    client = server.client
    customer = customer_of(client, customer_billing_provider_configurations=[STRIPE])
    choice = {"billing_provider": "stripe", "delivery_method": "direct_to_billing_provider"}
    contract_id = contract_of(client, customer, billing_provider_configuration=choice)
    held = current(client, customer, contract_id).customer_billing_provider_configuration
    archived = server.post(
        "/v1/archiveCustomerBillingProviderConfigurations",
        {"customer_id": customer, "customer_billing_provider_configuration_ids": [held.id]},
    )
    assert archived.status_code == 200, archived.text
    contract = current(client, customer, contract_id)
    assert contract.customer_billing_provider_configuration is None
    (segment,) = contract.billing_provider_configuration_schedule
    assert segment.billing_provider_configuration.archived_at == NOW
    for by in (choice, {"billing_provider_configuration_id": held.id}):
        answer = server.post(
            "/v1/contracts/create",
            {
                "customer_id": customer,
                "starting_at": "2026-01-01T00:00:00Z",
                "billing_provider_configuration": by,
            },
        )
        assert answer.status_code == 400, answer.text
        assert "billing_provider_configuration" in answer.json()["message"]


def test_marketplace_takes_dollars_only(server: Server) -> None:
    client = server.client
    euro = next(unit.id for unit in client.v1.pricing_units.list() if unit.name == "EUR")
    aws = {
        "billing_provider": "aws_marketplace",
        "delivery_method": "direct_to_billing_provider",
        "configuration": {"aws_customer_id": "a", "aws_product_code": "p", "aws_region": "us-east-1"},
    }
    customer = customer_of(client, customer_billing_provider_configurations=[aws])
    cards = {
        unit: client.v1.contracts.rate_cards.create(name="Card", fiat_credit_type_id=unit).data.id
        for unit in (USD, euro)
    }
    choice = {"billing_provider": "aws_marketplace", "delivery_method": "direct_to_billing_provider"}
    with pytest.raises(metronome.BadRequestError) as refused:
        contract_of(client, customer, rate_card_id=cards[euro], billing_provider_configuration=choice)
    assert "billing_provider_configuration" in refused.value.response.json()["message"]
    assert contract_of(client, customer, rate_card_id=cards[USD], billing_provider_configuration=choice)
    assert contract_of(client, customer, rate_card_id=cards[euro])


def test_contract_may_run_to_the_end_of_the_calendar(server: Server) -> None:
    """Its last statement cannot be issued a day after its end, so it is at the calendar's last instant."""
    client = server.client
    customer = customer_of(client)
    end = "9999-12-31T23:00:00Z"
    assert contract_of(client, customer, starting_at="9999-12-01T00:00:00Z", ending_before=end)
    assert contract_of(client, customer, starting_at="9999-12-31T00:00:00Z")
    server.move_clock(datetime(9999, 12, 31, 22, tzinfo=UTC))
    (draft,) = client.v1.customers.invoices.list(customer_id=customer).data
    assert draft.status == "DRAFT"
    assert draft.issued_at == datetime.max.replace(tzinfo=UTC)
