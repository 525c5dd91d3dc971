"""The older form: one configuration for each provider of a customer, over the same store."""

import metronome
import pytest
from metronome import Metronome

from tests.domains.integrations.bodies import GCP, STRIPE, entry
from tests.support import PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused


def path(customer_id: str, provider: str = "stripe") -> str:
    return f"/v1/customers/{customer_id}/billing-config/{provider}"


def test_create_retrieve_delete(client: Metronome) -> None:
    customer = client.v1.customers.create(name="Acme").data.id
    config = client.v1.customers.billing_config
    with pytest.raises(metronome.NotFoundError):
        config.retrieve(customer_id=customer, billing_provider_type="stripe")
    config.create(
        customer_id=customer,
        billing_provider_type="stripe",
        billing_provider_customer_id="cus_1",
        stripe_collection_method="charge_automatically",
    )
    found = config.retrieve(customer_id=customer, billing_provider_type="stripe").data
    assert found.billing_provider_customer_id == "cus_1"
    assert found.stripe_collection_method == "charge_automatically"
    assert found.aws_region is None
    newer = client.v1.customers.retrieve_billing_configurations(customer_id=customer).data
    assert [item.configuration for item in newer] == [STRIPE]
    config.delete(customer_id=customer, billing_provider_type="stripe")
    for again in (config.retrieve, config.delete):
        with pytest.raises(metronome.NotFoundError):
            again(customer_id=customer, billing_provider_type="stripe")
    assert client.v1.customers.retrieve_billing_configurations(customer_id=customer).data == []


def test_setting_again_changes_the_same_configuration_and_keeps_other_keys(client: Metronome) -> None:
    customers = client.v1.customers
    customer = customers.create(name="Acme").data.id
    given = {**STRIPE, "leave_stripe_invoices_in_draft": True}
    made = customers.set_billing_configurations(data=[entry(customer, "stripe", given)]).data[0]
    customers.billing_config.create(
        customer_id=customer, billing_provider_type="stripe", billing_provider_customer_id="cus_2"
    )
    now = customers.retrieve_billing_configurations(customer_id=customer).data
    assert [(item.id, item.configuration) for item in now] == [
        (made.id, {**given, "stripe_customer_id": "cus_2"})
    ]
    other = customers.create(name="Other").data.id
    customers.set_billing_configurations(data=[entry(other)])
    with pytest.raises(metronome.ConflictError):
        customers.billing_config.create(
            customer_id=other, billing_provider_type="stripe", billing_provider_customer_id="cus_2"
        )
    with pytest.raises(metronome.ConflictError):
        customers.billing_config.create(
            customer_id=customer, billing_provider_type="stripe", billing_provider_customer_id="cus_1"
        )


def test_marketplaces(client: Metronome) -> None:
    customer = client.v1.customers.create(name="Acme").data.id
    config = client.v1.customers.billing_config
    config.create(
        customer_id=customer,
        billing_provider_type="aws_marketplace",
        billing_provider_customer_id="aws-1",
        aws_product_code="prod",
        aws_region="us-east-1",
        aws_customer_account_id="123456789012",
        aws_customer_id="aws-1",
    )
    aws = config.retrieve(customer_id=customer, billing_provider_type="aws_marketplace").data
    assert (aws.billing_provider_customer_id, aws.aws_product_code) == ("aws-1", "prod")
    assert (aws.aws_region, aws.aws_customer_account_id) == ("us-east-1", "123456789012")
    config.create(
        customer_id=customer, billing_provider_type="azure_marketplace", billing_provider_customer_id="sub-1"
    )
    azure = config.retrieve(customer_id=customer, billing_provider_type="azure_marketplace").data
    assert azure.billing_provider_customer_id == "sub-1"
    for provider in ("aws_marketplace", "azure_marketplace"):
        with pytest.raises(metronome.BadRequestError):
            config.delete(customer_id=customer, billing_provider_type=provider)


@pytest.mark.parametrize("provider", ["netsuite", "custom", "workday", "quickbooks_online", "metronome"])
def test_other_providers(client: Metronome, provider: str) -> None:
    customer = client.v1.customers.create(name="Acme").data.id
    config = client.v1.customers.billing_config
    config.create(customer_id=customer, billing_provider_type=provider, billing_provider_customer_id="n-1")
    found = config.retrieve(customer_id=customer, billing_provider_type=provider).data
    assert found.billing_provider_customer_id == "n-1"
    config.delete(customer_id=customer, billing_provider_type=provider)


def test_gcp_needs_the_newer_operation_first(server: Server) -> None:
    customer = server.client.v1.customers.create(name="Acme").data.id
    body = {"billing_provider_customer_id": "ent-2"}
    answer = server.post(path(customer, "gcp_marketplace"), body)
    assert (answer.status_code, "gcp_service_name" in answer.text) == (400, True)
    server.client.v1.customers.set_billing_configurations(data=[entry(customer, "gcp_marketplace")])
    assert server.post(path(customer, "gcp_marketplace"), body).status_code == 200
    read = server.client.v1.customers.retrieve_billing_configurations(customer_id=customer).data
    assert read[0].configuration == {**GCP, "gcp_entitlement_id": "ent-2"}


def test_several_configurations_of_a_provider_cannot_be_told_apart(server: Server) -> None:
    customers = server.client.v1.customers
    customer = customers.create(name="Acme").data.id
    customers.set_billing_configurations(
        data=[entry(customer), entry(customer, "stripe", {"stripe_customer_id": "cus_2"})]
    )
    for method, body in (("GET", None), ("POST", {"billing_provider_customer_id": "x"}), ("DELETE", None)):
        answer = server.request(method, path(customer), json=body)
        assert (answer.status_code, "billing_provider_type" in answer.text) == (409, True)


def test_a_tax_provider_holds_the_collection_method(server: Server) -> None:
    customers = server.client.v1.customers
    customer = customers.create(name="Acme").data.id
    given = {**STRIPE, "stripe_collection_method": "auto_charge_payment_intent"}
    customers.set_billing_configurations(data=[entry(customer, "stripe", given, tax_provider="anrok")])
    body = {"billing_provider_customer_id": "cus_1", "stripe_collection_method": "send_invoice"}
    answer = server.post(path(customer), body)
    assert (answer.status_code, "tax_provider" in answer.text) == (400, True)


GOOD = {"billing_provider_customer_id": "x"}
BAD_BODIES = [
    ("stripe", {}, "billing_provider_customer_id"),
    ("stripe", {"billing_provider_customer_id": ""}, "billing_provider_customer_id"),
    ("stripe", {"billing_provider_customer_id": 5}, "billing_provider_customer_id"),
    ("stripe", {"billing_provider_customer_id": "x" * 256}, "stripe_customer_id"),
    ("stripe", {**GOOD, "stripe_collection_method": "beg"}, "stripe_collection_method"),
    ("stripe", {**GOOD, "aws_region": "us-east-1"}, "aws_region"),
    ("stripe", {**GOOD, "colour": "red"}, "colour"),
    ("aws_marketplace", GOOD, "aws_product_code"),
    ("aws_marketplace", {**GOOD, "aws_product_code": 5}, "aws_product_code"),
    ("aws_marketplace", {**GOOD, "aws_product_code": "p", "aws_region": "moon"}, "aws_region"),
    ("aws_marketplace", {**GOOD, "aws_product_code": "p", "aws_customer_id": "y"}, "aws_customer_id"),
    (
        "aws_marketplace",
        {**GOOD, "aws_product_code": "p", "aws_customer_account_id": 1},
        "aws_customer_account_id",
    ),
    ("azure_marketplace", {**GOOD, "stripe_collection_method": "send_invoice"}, "stripe_collection_method"),
    ("abacus", GOOD, "billing_provider_type"),
]


@pytest.mark.parametrize(("provider", "body", "named"), BAD_BODIES)
def test_bad_body_is_refused_naming_the_field(
    shared_server: Server, provider: str, body: dict, named: str
) -> None:
    customer = shared_server.client.v1.customers.create(name="Acme").data.id
    answer = shared_server.post(path(customer, provider), body)
    assert_refused(answer, 400, named)
    assert shared_server.client.v1.customers.retrieve_billing_configurations(customer_id=customer).data == []


def test_strange_customers(server: Server) -> None:
    from tallybook.domains import customers

    theirs = server.client_of(PRODUCTION_TOKEN).v1.customers.create(name="Theirs").data.id
    for stranger, status in ((UNKNOWN, 404), (theirs, 404), ("x", 400)):
        for method, body in (("GET", None), ("POST", GOOD), ("DELETE", None)):
            answer = server.request(method, path(stranger), json=body)
            assert (answer.status_code, "customer_id" in answer.text) == (status, True)
    archived = server.client.v1.customers.create(name="Gone").data.id
    assert server.post(path(archived), GOOD).json() == {}
    with server.tallybook.environments["sandbox"].write("test") as tx:
        customers.mark_archived(tx, archived)
    assert server.post(path(archived), GOOD).status_code == 400
    assert server.get(path(archived)).status_code == 200
    assert server.request("DELETE", path(archived)).json() == {}
    assert server.request("PUT", path(archived), json=GOOD).status_code == 405


def test_the_document_names_the_providers(server: Server) -> None:
    document = server.get("/openapi.json").json()
    operation = document["paths"]["/v1/customers/{customer_id}/billing-config/{billing_provider_type}"]["get"]
    schemas = {item["name"]: item["schema"] for item in operation["parameters"]}
    assert schemas["customer_id"] == {"type": "string", "format": "uuid"}
    assert "stripe" in schemas["billing_provider_type"]["enum"]
