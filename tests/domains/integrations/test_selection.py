"""How a contract finds the customer's configuration it names."""

import pytest

from tallybook.domains import integrations
from tallybook.values.errors import Invalid, NotFound, TallybookError
from tests.domains.integrations.bodies import DIRECT, NETSUITE, STRIPE, entry
from tests.support import NOW, UNKNOWN, Server


@pytest.fixture
def customer(server: Server) -> str:
    return server.client.v1.customers.create(name="Acme").data.id


def store(server: Server, *entries: dict) -> list[str]:
    stored = server.client.v1.customers.set_billing_configurations(data=list(entries)).data
    return [str(item.id) for item in stored]


def find(server: Server, customer_id: str, **named: str) -> integrations.CustomerConfiguration:
    with server.tallybook.environments["sandbox"].read("test") as tx:
        return integrations.find_billing_configuration(tx, customer_id, **named)


def refusal(server: Server, customer_id: str, kind: type[TallybookError], **named: str) -> str:
    with pytest.raises(kind) as refused:
        find(server, customer_id, **named)
    return refused.value.message


def test_by_id_and_by_provider(server: Server, customer: str) -> None:
    first, second = store(server, entry(customer), entry(customer, "netsuite"))
    assert find(server, customer, configuration_id=first).configuration == STRIPE
    by_name = find(server, customer, provider="netsuite", delivery_method=DIRECT)
    assert (by_name.id, by_name.customer_id, by_name.archived_at) == (second, customer, None)
    assert by_name.provider is integrations.BillingProvider.NETSUITE
    assert by_name.delivery_method is integrations.DeliveryMethod.DIRECT_TO_BILLING_PROVIDER


def test_what_cannot_be_found(server: Server, customer: str) -> None:
    other = server.client.v1.customers.create(name="Other").data.id
    (mine, gone) = store(server, entry(customer), entry(customer, "netsuite"))
    (theirs,) = store(server, entry(other, "azure_marketplace"))
    server.client.v1.customers.archive_billing_configurations(
        customer_id=customer, customer_billing_provider_configuration_ids=[gone]
    )
    path = "billing_provider_configuration.billing_provider_configuration_id:"
    assert refusal(server, customer, NotFound, configuration_id=UNKNOWN).startswith(path)
    assert refusal(server, customer, NotFound, configuration_id=theirs).startswith(path)
    assert refusal(server, customer, Invalid, configuration_id=gone).startswith(path)
    named = {"provider": "netsuite", "delivery_method": DIRECT}
    assert refusal(server, customer, Invalid, **named).startswith("billing_provider_configuration:")
    both = refusal(server, customer, Invalid, configuration_id=mine, provider="stripe")
    assert both.startswith("billing_provider_configuration.billing_provider:")
    half = refusal(server, customer, Invalid, provider="stripe")
    assert half.startswith("billing_provider_configuration.delivery_method:")
    assert refusal(server, customer, Invalid).startswith("billing_provider_configuration.billing_provider:")


def test_several_that_fit_must_be_named_by_id(server: Server, customer: str) -> None:
    first, _ = store(server, entry(customer), entry(customer, "stripe", {"stripe_customer_id": "cus_2"}))
    message = refusal(server, customer, Invalid, provider="stripe", delivery_method=DIRECT)
    assert "billing_provider_configuration_id" in message
    assert find(server, customer, configuration_id=first).id == first


def test_revenue_configurations_are_found_apart(server: Server, customer: str) -> None:
    body = {"data": [{"customer_id": customer, "provider": "netsuite", "configuration": NETSUITE}]}
    made = server.post("/v1/setCustomerRevenueSystemConfigurations", body).json()["data"][0]["id"]
    assert refusal(server, customer, NotFound, configuration_id=made)
    with server.tallybook.environments["sandbox"].read("test") as tx:
        by_id = integrations.find_revenue_configuration(tx, customer, configuration_id=made)
        named = {"provider": "netsuite", "delivery_method": DIRECT}
        assert integrations.find_revenue_configuration(tx, customer, **named) == by_id
        with pytest.raises(NotFound, match=r"revenue_system_configuration\.revenue_system_configuration_id"):
            integrations.find_revenue_configuration(tx, customer, configuration_id=UNKNOWN)


def test_by_ids_shows_archived_ones(server: Server, customer: str) -> None:
    made = store(server, entry(customer), entry(customer, "netsuite"))
    server.client.v1.customers.archive_billing_configurations(
        customer_id=customer, customer_billing_provider_configuration_ids=made[:1]
    )
    with server.tallybook.environments["sandbox"].read("test") as tx:
        found = integrations.configurations_by_id(tx, [*made, UNKNOWN, *[made[0]] * 1_200])
        assert integrations.configurations_by_id(tx, []) == {}
    assert {key: item.archived_at for key, item in found.items()} == {made[0]: NOW, made[1]: None}
