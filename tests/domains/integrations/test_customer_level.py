"""A customer's billing-provider configurations: set, read, archived, given inline."""

import metronome
import pytest
from metronome import Metronome

from tests.domains.integrations.bodies import (
    ARCHIVE,
    AWS_ACCOUNT,
    AZURE_ACCOUNT,
    CUSTOMER_LEVEL,
    DIRECT,
    GET,
    NETSUITE,
    SET,
    STRIPE,
    archive_customer,
    entry,
    new_customer,
    set_up,
)
from tests.support import NOW, PRODUCTION_TOKEN, UNKNOWN, Server


def test_what_is_set_is_read(client: Metronome) -> None:
    customer = client.v1.customers.create(name="Acme").data
    entries = [entry(customer.id, provider) for provider in CUSTOMER_LEVEL]
    stored = client.v1.customers.set_billing_configurations(data=entries).data
    assert [(item.billing_provider, item.configuration) for item in stored] == list(CUSTOMER_LEVEL.items())
    assert {item.customer_id for item in stored} == {customer.id}
    assert [item.tax_provider for item in stored] == [None] * 5
    read = client.v1.customers.retrieve_billing_configurations(customer_id=customer.id).data
    assert {item.id for item in read} == {item.id for item in stored}
    for item in read:
        assert item.configuration == CUSTOMER_LEVEL[item.billing_provider]
        assert (item.delivery_method, item.delivery_method_configuration) == (DIRECT, {})
        assert item.archived_at is None
    ids = {item.billing_provider: item.delivery_method_id for item in read}
    assert ids == {item.billing_provider: item.delivery_method_id for item in stored}
    assert len(set(ids.values())) == 5


@pytest.mark.parametrize("provider", ["custom", "quickbooks_online", "workday", "metronome"])
def test_providers_without_documented_keys_take_any(server: Server, provider: str) -> None:
    customer = new_customer(server)
    given = {"account": "a", "nested": {"list": [1, True, None, "x"]}, "none": None}
    stored = server.client.v1.customers.set_billing_configurations(
        data=[entry(customer, provider, given)]
    ).data
    assert stored[0].configuration == {"account": "a", "nested": {"list": [1, True, None, "x"]}}


@pytest.mark.parametrize("fraction", ["1.5", "1e3", "1e400", "-0.0"])
def test_numbers_that_could_not_be_given_back_exactly_are_refused(server: Server, fraction: str) -> None:
    customer = new_customer(server)
    body = (
        f'{{"data":[{{"customer_id":"{customer}","billing_provider":"custom","delivery_method":"{DIRECT}",'
        f'"configuration":{{"deep":[{{"rate":{fraction}}}]}}}}]}}'
    )
    answer = server.post(SET, content=body)
    assert answer.status_code == 400, answer.text
    assert "configuration" in answer.json()["message"]


@pytest.mark.parametrize("digits", [30, 4_000, 5_000])
@pytest.mark.parametrize(("provider", "key"), [("custom", "number"), ("netsuite", "netsuite_customer_id")])
def test_long_whole_numbers_are_exact_or_refused(
    server: Server, provider: str, key: str, digits: int
) -> None:
    customer = new_customer(server)
    body = (
        f'{{"data":[{{"customer_id":"{customer}","billing_provider":"{provider}",'
        f'"delivery_method":"{DIRECT}","configuration":{{"{key}":{"7" * digits}}}}}]}}'
    )
    answer = server.post(SET, content=body)
    read = server.post(GET, {"customer_id": customer})
    if answer.status_code == 200:
        assert "7" * digits in read.text
    else:
        assert answer.status_code == 400, answer.text
        assert read.json() == {"data": []}


@pytest.mark.parametrize("depth", [20, 21, 150, 480, 900, 3_000])
def test_deep_nesting_is_kept_or_refused(server: Server, depth: int) -> None:
    customer = new_customer(server)
    body = (
        f'{{"data":[{{"customer_id":"{customer}","billing_provider":"custom","delivery_method":"{DIRECT}",'
        f'"configuration":{{"deep":{"[" * (depth - 1)}{"]" * (depth - 1)}}}}}]}}'
    )
    answer = server.post(SET, content=body)
    assert answer.status_code == (200 if depth == 20 else 400), answer.text
    assert len(server.post(GET, {"customer_id": customer}).json()["data"]) == (depth == 20)


def test_a_number_as_netsuite_id_comes_back_as_text(server: Server) -> None:
    customer = new_customer(server)
    answer = server.post(SET, {"data": [entry(customer, "netsuite", {"netsuite_customer_id": 12345})]})
    assert answer.json()["data"][0]["configuration"] == {"netsuite_customer_id": "12345"}


def test_optional_keys_and_nulls(server: Server) -> None:
    customer = new_customer(server)
    full = {
        "stripe_customer_id": "cus_9",
        "leave_stripe_invoices_in_draft": True,
        "stripe_collection_method": None,
    }
    sold = {"aws_customer_id": "a", "aws_product_code": "p", "aws_is_subscription_product": False}
    answer = server.post(
        SET, {"data": [entry(customer, "stripe", full), entry(customer, "aws_marketplace", sold)]}
    )
    assert [item["configuration"] for item in answer.json()["data"]] == [
        {"stripe_customer_id": "cus_9", "leave_stripe_invoices_in_draft": True},
        sold,
    ]
    assert "tax_provider" not in answer.json()["data"][0]


@pytest.mark.parametrize("method", ["auto_charge_payment_intent", "manually_charge_payment_intent"])
@pytest.mark.parametrize("tax", ["anrok", "avalara", "stripe"])
def test_tax_providers_go_with_payment_intents(server: Server, method: str, tax: str) -> None:
    customer = new_customer(server)
    given = {**STRIPE, "stripe_collection_method": method}
    stored = server.client.v1.customers.set_billing_configurations(
        data=[entry(customer, "stripe", given, tax_provider=tax)]
    ).data
    assert stored[0].tax_provider == tax


def test_delivery_method_by_id(server: Server) -> None:
    customer = new_customer(server)
    queue = set_up(server, "aws_marketplace", AWS_ACCOUNT, "aws_sqs")
    direct = set_up(server, "aws_marketplace", AWS_ACCOUNT)
    entries = [
        entry(customer, "aws_marketplace", delivery_method_id=queue),
        entry(customer, "aws_marketplace", delivery_method_id=direct, delivery_method=DIRECT),
        entry(customer, "aws_marketplace", delivery_method="tackle"),
        entry(customer, "aws_marketplace", {}, delivery_method="aws_sns"),
    ]
    stored = server.client.v1.customers.set_billing_configurations(data=entries).data
    assert [item.delivery_method_id for item in stored[:2]] == [queue, direct]
    read = server.client.v1.customers.retrieve_billing_configurations(customer_id=customer).data
    methods = {item.id: item.delivery_method for item in read}
    assert [methods[item.id] for item in stored] == ["aws_sqs", DIRECT, "tackle", "aws_sns"]
    shown = {item.delivery_method: item.delivery_method_configuration for item in read}
    assert shown == {"aws_sqs": AWS_ACCOUNT, DIRECT: AWS_ACCOUNT, "tackle": {}, "aws_sns": {}}


def test_an_id_that_was_given_out_can_be_named(server: Server) -> None:
    customer = new_customer(server)
    customers = server.client.v1.customers
    first = customers.set_billing_configurations(data=[entry(customer)]).data[0]
    other = entry(
        customer, "stripe", {"stripe_customer_id": "cus_2"}, delivery_method_id=first.delivery_method_id
    )
    second = customers.set_billing_configurations(data=[other]).data[0]
    assert second.delivery_method_id == first.delivery_method_id


def test_several_accounts_of_a_kind_need_an_id(server: Server) -> None:
    customer = new_customer(server)
    set_up(server, "aws_marketplace", AWS_ACCOUNT)
    second = set_up(server, "aws_marketplace", {**AWS_ACCOUNT, "aws_external_id": "ext-2"})
    answer = server.post(SET, {"data": [entry(customer, "aws_marketplace")]})
    assert answer.status_code == 400
    assert "data[0].delivery_method" in answer.json()["message"]
    assert "delivery_method_id" in answer.json()["message"]
    assert server.post(
        SET, {"data": [entry(customer, "aws_marketplace", delivery_method_id=second)]}
    ).is_success


def test_another_environments_delivery_method_is_unknown(server: Server) -> None:
    customer = new_customer(server)
    theirs = set_up(server, "aws_marketplace", AWS_ACCOUNT, token=PRODUCTION_TOKEN)
    answer = server.post(SET, {"data": [entry(customer, "aws_marketplace", delivery_method_id=theirs)]})
    assert answer.status_code == 404
    assert "data[0].delivery_method_id" in answer.json()["message"]


def test_all_or_nothing(server: Server) -> None:
    good, other = new_customer(server), new_customer(server)
    bad = entry(other, "stripe", {"stripe_customer_id": 5})
    answer = server.post(SET, {"data": [entry(good), bad]})
    assert answer.status_code == 400
    assert "data[1].configuration.stripe_customer_id" in answer.json()["message"]
    assert server.post(GET, {"customer_id": good}).json() == {"data": []}
    assert server.post(SET, {"data": [entry(good), entry(other, "azure_marketplace")]}).status_code == 200
    assert len(server.post(GET, {"customer_id": good}).json()["data"]) == 1
    assert len(server.post(GET, {"customer_id": other}).json()["data"]) == 1


def test_unknown_archived_and_foreign_customers(server: Server) -> None:
    archived = new_customer(server)
    server.client.v1.customers.set_billing_configurations(data=[entry(archived)])
    archive_customer(server, archived)
    theirs = server.client_of(PRODUCTION_TOKEN).v1.customers.create(name="Theirs").data.id
    for customer, status in ((UNKNOWN, 404), (theirs, 404), (archived, 400)):
        answer = server.post(SET, {"data": [entry(customer, "azure_marketplace")]})
        assert answer.status_code == status, answer.text
        assert "data[0].customer_id" in answer.json()["message"]
    for customer in (UNKNOWN, theirs):
        for path, body in ((GET, {}), (ARCHIVE, {"customer_billing_provider_configuration_ids": []})):
            answer = server.post(path, {"customer_id": customer, **body})
            assert (answer.status_code, "customer_id" in answer.text) == (404, True)
    kept = server.post(GET, {"customer_id": archived}).json()["data"]
    assert len(kept) == 1
    body = {"customer_id": archived, "customer_billing_provider_configuration_ids": [kept[0]["id"]]}
    assert server.post(ARCHIVE, body).status_code == 200


@pytest.mark.parametrize("provider", list(CUSTOMER_LEVEL))
def test_the_other_sides_customer_belongs_to_one_customer_until_archived(
    server: Server, provider: str
) -> None:
    first, second = new_customer(server), new_customer(server)
    customers = server.client.v1.customers
    made = customers.set_billing_configurations(data=[entry(first, provider)]).data[0]
    with pytest.raises(metronome.ConflictError) as refused:
        customers.set_billing_configurations(data=[entry(second, provider)])
    assert first in refused.value.response.json()["message"]
    customers.archive_billing_configurations(
        customer_id=first, customer_billing_provider_configuration_ids=[made.id]
    )
    customers.set_billing_configurations(data=[entry(second, provider)])
    with pytest.raises(metronome.ConflictError):
        customers.set_billing_configurations(data=[entry(first, provider)])


def test_one_customer_may_have_several_that_differ(server: Server) -> None:
    customer = new_customer(server)
    sent = {**STRIPE, "stripe_collection_method": "send_invoice"}
    body = {"data": [entry(customer), entry(customer, "stripe", sent)]}
    assert server.post(SET, body).status_code == 200
    answer = server.post(SET, {"data": [entry(customer, "stripe", sent)]})
    assert answer.status_code == 409
    assert "data[0].configuration" in answer.json()["message"]


def test_another_account_may_know_the_same_name(server: Server) -> None:
    first, second = new_customer(server), new_customer(server)
    one = set_up(server, "aws_marketplace", AWS_ACCOUNT)
    two = set_up(server, "aws_marketplace", {**AWS_ACCOUNT, "aws_external_id": "ext-2"})
    entries = [
        entry(first, "aws_marketplace", delivery_method_id=one),
        entry(second, "aws_marketplace", delivery_method_id=two),
    ]
    assert server.post(SET, {"data": entries}).status_code == 200


def test_archiving_hides_unless_asked_for(client: Metronome) -> None:
    customers = client.v1.customers
    customer = customers.create(name="Acme").data.id
    stored = customers.set_billing_configurations(
        data=[entry(customer), entry(customer, "netsuite"), entry(customer, "azure_marketplace")]
    ).data
    gone = [stored[0].id, stored[1].id]
    answer = customers.archive_billing_configurations(
        customer_id=customer, customer_billing_provider_configuration_ids=[*gone, gone[0]]
    )
    assert answer.data.customer_id == customer
    assert answer.data.customer_billing_provider_configuration_ids == gone
    shown = customers.retrieve_billing_configurations(customer_id=customer).data
    assert [item.id for item in shown] == [stored[2].id]
    every = customers.retrieve_billing_configurations(customer_id=customer, include_archived=True).data
    assert {item.id: item.archived_at for item in every} == {
        stored[0].id: NOW,
        stored[1].id: NOW,
        stored[2].id: None,
    }


def test_archiving_is_all_or_nothing(server: Server) -> None:
    customer, other = new_customer(server), new_customer(server)
    customers = server.client.v1.customers
    mine = customers.set_billing_configurations(data=[entry(customer), entry(customer, "netsuite")]).data
    theirs = customers.set_billing_configurations(data=[entry(other, "azure_marketplace")]).data[0].id
    revenue = server.post(
        "/v1/setCustomerRevenueSystemConfigurations",
        {"data": [{"customer_id": customer, "provider": "netsuite", "configuration": NETSUITE}]},
    ).json()["data"][0]["id"]
    archived = mine[1].id
    ids = "customer_billing_provider_configuration_ids"
    assert server.post(ARCHIVE, {"customer_id": customer, ids: [archived]}).status_code == 200
    for bad, status in ((UNKNOWN, 404), (theirs, 404), (revenue, 404), (archived, 400)):
        answer = server.post(ARCHIVE, {"customer_id": customer, ids: [mine[0].id, bad]})
        assert answer.status_code == status, answer.text
        assert f"{ids}[1]" in answer.json()["message"]
    assert [item["id"] for item in server.post(GET, {"customer_id": customer}).json()["data"]] == [mine[0].id]


def test_order_is_by_creation(server: Server) -> None:
    from datetime import timedelta

    customer = new_customer(server)
    customers = server.client.v1.customers
    made = []
    for number in range(4):
        server.move_clock(NOW + timedelta(minutes=number + 1))
        given = {"stripe_customer_id": f"cus_{number}"}
        made += [customers.set_billing_configurations(data=[entry(customer, "stripe", given)]).data[0].id]
    assert [item.id for item in customers.retrieve_billing_configurations(customer_id=customer).data] == made


def test_nothing_to_do_is_fine(server: Server) -> None:
    customer = new_customer(server)
    assert server.post(SET, {"data": []}).json() == {"data": []}
    body = {"customer_id": customer, "customer_billing_provider_configuration_ids": []}
    assert server.post(ARCHIVE, body).json() == {"data": body}


def test_inline_configurations_are_stored_with_the_customer(server: Server) -> None:
    queue = set_up(server, "azure_marketplace", AZURE_ACCOUNT, "aws_sqs")
    created = server.client.v1.customers.create(
        name="Inline",
        customer_billing_provider_configurations=[
            {"billing_provider": "stripe", "delivery_method": DIRECT, "configuration": STRIPE},
            {"billing_provider": "azure_marketplace", "delivery_method_id": queue},
        ],
        customer_revenue_system_configurations=[
            {"provider": "netsuite", "delivery_method": DIRECT, "configuration": NETSUITE}
        ],
    ).data
    read = server.client.v1.customers.retrieve_billing_configurations(customer_id=created.id).data
    assert {item.billing_provider: item.configuration for item in read} == {
        "stripe": STRIPE,
        "azure_marketplace": {},
    }
    assert {item.delivery_method_id for item in read if item.billing_provider != "stripe"} == {queue}
    body = {"customer_id": created.id}
    revenue = server.post("/v1/getCustomerRevenueSystemConfigurations", body).json()["data"]
    assert [item["configuration"] for item in revenue] == [NETSUITE]
