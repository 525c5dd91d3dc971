"""Requests that tests of integrations share."""

from tallybook.domains import customers
from tests.support import Server

SET = "/v1/setCustomerBillingProviderConfigurations"
GET = "/v1/getCustomerBillingProviderConfigurations"
ARCHIVE = "/v1/archiveCustomerBillingProviderConfigurations"
DIRECT = "direct_to_billing_provider"

AWS_ACCOUNT = {"aws_external_id": "ext-1", "aws_iam_role_arn": "arn:aws:iam::1:role/metronome-marketplace"}
AZURE_ACCOUNT = {
    "azure_client_id": "client-1",
    "raw_azure_client_secret": "azure-secret-5f1c",
    "azure_tenant_id": "tenant-1",
}
GCP_ACCOUNT = {
    "gcp_provider_id": "provider-1",
    "raw_gcp_workload_identity_federation_config": '{"credential": "gcp-secret-77ab"}',
}

STRIPE = {"stripe_customer_id": "cus_1", "stripe_collection_method": "charge_automatically"}
AWS = {"aws_customer_id": "aws-1", "aws_product_code": "prod-1", "aws_region": "us-west-1"}
AZURE = {"azure_subscription_id": "sub-1"}
GCP = {"gcp_entitlement_id": "ent-1", "gcp_service_name": "service.goog"}
NETSUITE = {"netsuite_customer_id": "12345"}
CUSTOMER_LEVEL = {
    "stripe": STRIPE,
    "aws_marketplace": AWS,
    "azure_marketplace": AZURE,
    "gcp_marketplace": GCP,
    "netsuite": NETSUITE,
}


def account(provider: str, configuration: dict, method: str = DIRECT) -> dict:
    """A body of setUpBillingProvider."""
    return {"billing_provider": provider, "delivery_method": method, "configuration": configuration}


def entry(
    customer_id: str, provider: str = "stripe", configuration: dict | None = None, **fields: object
) -> dict:
    """One item of setCustomerBillingProviderConfigurations; direct unless `fields` say otherwise."""
    if not {"delivery_method", "delivery_method_id"} & set(fields):
        fields["delivery_method"] = DIRECT
    chosen = CUSTOMER_LEVEL.get(provider, {}) if configuration is None else configuration
    return {"customer_id": customer_id, "billing_provider": provider, "configuration": chosen, **fields}


def without(configuration: dict, key: str) -> dict:
    """The configuration without one of its keys."""
    return {name: value for name, value in configuration.items() if name != key}


def new_customer(server: Server, **given: object) -> str:
    return server.client.v1.customers.create(name="Acme", **given).data.id


def archive_customer(server: Server, customer_id: str) -> None:
    with server.tallybook.environments["sandbox"].write("test") as tx:
        customers.mark_archived(tx, customer_id)


def set_up(server: Server, provider: str, configuration: dict, method: str = DIRECT, **given: str) -> str:
    answer = server.post("/v1/setUpBillingProvider", account(provider, configuration, method), **given)
    return answer.json()["data"]["delivery_method_id"]
