"""Billing-provider configurations that cannot be stored, given apart or inline with a new customer."""

import pytest

from tests.domains.integrations.bodies import (
    ARCHIVE,
    AWS,
    AWS_ACCOUNT,
    AZURE_ACCOUNT,
    CUSTOMER_LEVEL,
    GCP,
    GET,
    NETSUITE,
    SET,
    STRIPE,
    entry,
    new_customer,
    set_up,
    without,
)
from tests.support import PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused


def inline(provider: str = "stripe", configuration: dict | None = None, **fields: object) -> dict:
    item = entry(UNKNOWN, provider, configuration, **fields)
    del item["customer_id"]
    return item


BAD_INLINE = [
    (inline(delivery_method=None), 400, "[0].delivery_method"),
    (inline(delivery_method_id=UNKNOWN), 404, "[0].delivery_method_id"),
    (inline(delivery_method_id="x"), 400, "[0].delivery_method_id"),
    (inline("custom", {}), 400, "[0].billing_provider"),
    (inline("azure_marketplace", {}), 400, "[0].configuration.azure_subscription_id"),
    (inline(tax_provider="anrok"), 400, "[0].tax_provider"),
    ({**inline(), "customer_id": UNKNOWN}, 400, "[0].customer_id"),
]


@pytest.mark.parametrize(("item", "status", "named"), BAD_INLINE)
def test_bad_inline_configuration_stores_no_customer(
    shared_server: Server, item: dict, status: int, named: str
) -> None:
    body = {"name": "x", "customer_billing_provider_configurations": [item]}
    answer = shared_server.post("/v1/customers", body)
    assert answer.status_code == status, answer.text
    assert f"customer_billing_provider_configurations{named}" in answer.json()["message"]
    assert shared_server.get("/v1/customers").json()["data"] == []


def test_inline_delivery_method_of_another_provider_or_environment(server: Server) -> None:
    aws = set_up(server, "aws_marketplace", AWS_ACCOUNT)
    theirs = set_up(server, "azure_marketplace", AZURE_ACCOUNT, token=PRODUCTION_TOKEN)
    for delivery, status in ((aws, 400), (theirs, 404)):
        item = inline("azure_marketplace", delivery_method_id=delivery)
        body = {"name": "x", "customer_billing_provider_configurations": [item]}
        answer = server.post("/v1/customers", body)
        assert answer.status_code == status
        assert "customer_billing_provider_configurations[0].delivery_method_id" in answer.json()["message"]
    revenue = {"provider": "netsuite", "configuration": NETSUITE, "delivery_method_id": aws}
    answer = server.post("/v1/customers", {"name": "x", "customer_revenue_system_configurations": [revenue]})
    assert answer.status_code == 400
    assert "customer_revenue_system_configurations[0].delivery_method_id" in answer.json()["message"]
    assert server.get("/v1/customers").json()["data"] == []


def test_inline_reference_taken_by_another_customer(server: Server) -> None:
    new_customer(server, customer_billing_provider_configurations=[inline()])
    answer = server.post(
        "/v1/customers", {"name": "x", "customer_billing_provider_configurations": [inline()]}
    )
    assert answer.status_code == 409
    assert "customer_billing_provider_configurations[0].configuration.stripe_customer_id" in answer.text
    assert len(server.get("/v1/customers").json()["data"]) == 1


REQUIRED = [
    ("stripe", STRIPE, "stripe_customer_id"),
    ("aws_marketplace", AWS, "aws_customer_id"),
    ("aws_marketplace", AWS, "aws_product_code"),
    ("azure_marketplace", CUSTOMER_LEVEL["azure_marketplace"], "azure_subscription_id"),
    ("gcp_marketplace", GCP, "gcp_entitlement_id"),
    ("gcp_marketplace", GCP, "gcp_service_name"),
    ("netsuite", NETSUITE, "netsuite_customer_id"),
]
BAD_ITEMS = [
    *[
        (entry("C", provider, without(given, key)), f"configuration.{key}")
        for provider, given, key in REQUIRED
    ],
    *[
        (entry("C", provider, {**given, key: None}), f"configuration.{key}")
        for provider, given, key in REQUIRED
    ],
    *[
        (entry("C", provider, {**given, key: ""}), f"configuration.{key}")
        for provider, given, key in REQUIRED
    ],
    *[
        (entry("C", provider, {**given, key: True}), f"configuration.{key}")
        for provider, given, key in REQUIRED
    ],
    *[
        (entry("C", provider, {**given, key: "x" * 256}), f"configuration.{key}")
        for provider, given, key in REQUIRED
    ],
    *[
        (entry("C", provider, {**given, "colour": "red"}), "configuration.colour")
        for provider, given, _ in REQUIRED
    ],
    (without(entry("C"), "customer_id"), "customer_id"),
    ({**entry("C"), "customer_id": "x"}, "data[0].customer_id"),
    ({**entry("C"), "customer_id": None}, "data[0].customer_id"),
    (without(entry("C"), "billing_provider"), "billing_provider"),
    ({**entry("C"), "billing_provider": "abacus"}, "data[0].billing_provider"),
    ({**entry("C"), "billing_provider": 1}, "data[0].billing_provider"),
    ({**entry("C"), "configuration": []}, "data[0].configuration"),
    (without(entry("C"), "configuration"), "data[0].configuration.stripe_customer_id"),
    (without(entry("C"), "delivery_method"), "data[0].delivery_method"),
    (entry("C", delivery_method="pigeon"), "data[0].delivery_method"),
    (entry("C", delivery_method=5), "data[0].delivery_method"),
    (entry("C", delivery_method="tackle"), "data[0].delivery_method"),
    (entry("C", delivery_method_id="x"), "data[0].delivery_method_id"),
    (entry("C", delivery_method_id=5), "data[0].delivery_method_id"),
    (entry("C", tax_provider="vertex"), "data[0].tax_provider"),
    (entry("C", tax_provider="anrok"), "data[0].tax_provider"),
    (entry("C", "netsuite", tax_provider="anrok"), "data[0].tax_provider"),
    (entry("C", "stripe", {"stripe_customer_id": "c"}, tax_provider="stripe"), "data[0].tax_provider"),
    (
        entry("C", "stripe", {**STRIPE, "stripe_collection_method": "beg"}),
        "configuration.stripe_collection_method",
    ),
    (
        entry("C", "stripe", {**STRIPE, "stripe_collection_method": 1}),
        "configuration.stripe_collection_method",
    ),
    (
        entry("C", "stripe", {**STRIPE, "leave_stripe_invoices_in_draft": "yes"}),
        "configuration.leave_stripe_invoices_in_draft",
    ),
    (entry("C", "aws_marketplace", {**AWS, "aws_region": "moon"}), "configuration.aws_region"),
    (
        entry("C", "aws_marketplace", {**AWS, "aws_is_subscription_product": 1}),
        "configuration.aws_is_subscription_product",
    ),
    (entry("C", "netsuite", {"netsuite_customer_id": 1.5}), "configuration.netsuite_customer_id"),
    (entry("C", alias="x"), "data[0].alias"),
]


@pytest.fixture(scope="module")
def known(shared_server: Server) -> str:
    return new_customer(shared_server)


@pytest.mark.parametrize(("item", "named"), BAD_ITEMS)
def test_bad_item_is_refused_naming_the_field(
    shared_server: Server, known: str, item: dict, named: str
) -> None:
    filled = {**item, "customer_id": known} if item.get("customer_id") == "C" else item
    answer = shared_server.post(SET, {"data": [filled]})
    assert_refused(answer, 400, named)
    assert shared_server.post(GET, {"customer_id": known}).json() == {"data": []}


def test_unknown_and_ill_fitting_delivery_method_ids(server: Server) -> None:
    customer = new_customer(server)
    aws = set_up(server, "aws_marketplace", AWS_ACCOUNT)
    cases = [
        (entry(customer, "stripe", delivery_method_id=UNKNOWN), 404, "data[0].delivery_method_id"),
        (entry(customer, "stripe", delivery_method_id=aws), 400, "data[0].delivery_method_id"),
        (
            entry(customer, "aws_marketplace", delivery_method_id=aws, delivery_method="aws_sqs"),
            400,
            "data[0].delivery_method",
        ),
    ]
    for item, status, named in cases:
        answer = server.post(SET, {"data": [item]})
        assert_refused(answer, status, named)
    assert server.post(GET, {"customer_id": customer}).json() == {"data": []}


BAD_CALLS = [
    (SET, {}, "data"),
    (SET, {"data": None}, "data"),
    (SET, {"data": {}}, "data"),
    (SET, {"data": [5]}, "data[0]"),
    (SET, {"data": [], "more": 1}, "more"),
    (SET, {"data": [entry(UNKNOWN)] * 501}, "data"),
    (GET, {}, "customer_id"),
    (GET, {"customer_id": "x"}, "customer_id"),
    (GET, {"customer_id": UNKNOWN, "include_archived": "yes"}, "include_archived"),
    (GET, {"customer_id": UNKNOWN, "limit": 5}, "limit"),
    (ARCHIVE, {"customer_billing_provider_configuration_ids": []}, "customer_id"),
    (ARCHIVE, {"customer_id": UNKNOWN}, "customer_billing_provider_configuration_ids"),
    (
        ARCHIVE,
        {"customer_id": UNKNOWN, "customer_billing_provider_configuration_ids": ["x"]},
        "customer_billing_provider_configuration_ids[0]",
    ),
    (
        ARCHIVE,
        {"customer_id": UNKNOWN, "customer_billing_provider_configuration_ids": UNKNOWN},
        "customer_billing_provider_configuration_ids",
    ),
    (ARCHIVE, {"customer_id": 5, "customer_billing_provider_configuration_ids": []}, "customer_id"),
    (ARCHIVE, {"customer_id": UNKNOWN, "customer_billing_provider_configuration_ids": [], "why": ""}, "why"),
]


@pytest.mark.parametrize(("path", "body", "named"), BAD_CALLS)
def test_bad_call_is_refused_naming_the_field(
    shared_server: Server, path: str, body: dict, named: str
) -> None:
    answer = shared_server.post(path, body)
    assert_refused(answer, 400, named)
