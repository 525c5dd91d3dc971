"""A customer's revenue-system configurations; the official client has no method for them."""

import pytest

from tests.domains.integrations.bodies import AWS_ACCOUNT, DIRECT, NETSUITE, account, entry
from tests.support import PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused

SET = "/v1/setCustomerRevenueSystemConfigurations"
GET = "/v1/getCustomerRevenueSystemConfigurations"
ARCHIVE = "/v1/archiveCustomerRevenueSystemConfigurations"
IDS = "customer_revenue_system_configuration_ids"


def item(customer_id: str, netsuite_id: object = "12345", **fields: object) -> dict:
    configuration = {"netsuite_customer_id": netsuite_id}
    return {"customer_id": customer_id, "provider": "netsuite", "configuration": configuration, **fields}


def new_customer(server: Server, token: str | None = None) -> str:
    client = server.client_of(token) if token else server.client
    return client.v1.customers.create(name="Acme").data.id


def test_what_is_set_is_read_and_archived(server: Server) -> None:
    customer = new_customer(server)
    stored = server.post(SET, {"data": [item(customer, 12345), item(customer, "99")]}).json()["data"]
    assert [entry["configuration"] for entry in stored] == [NETSUITE, {"netsuite_customer_id": "99"}]
    for found in stored:
        assert found["customer_id"] == customer
        assert (found["provider"], found["delivery_method"]) == ("netsuite", DIRECT)
        assert (found["delivery_method_configuration"], found["archived_at"]) == ({}, None)
    read = server.post(GET, {"customer_id": customer, "provider": "netsuite"}).json()["data"]
    assert sorted(read, key=str) == sorted(stored, key=str)
    answer = server.post(ARCHIVE, {"customer_id": customer, IDS: [stored[0]["id"]]})
    assert answer.json() == {"data": {"customer_id": customer, IDS: [stored[0]["id"]]}}
    assert [found["id"] for found in server.post(GET, {"customer_id": customer}).json()["data"]] == [
        stored[1]["id"]
    ]
    every = server.post(GET, {"customer_id": customer, "include_archived": True}).json()["data"]
    assert {found["id"]: found["archived_at"] is None for found in every} == {
        stored[0]["id"]: False,
        stored[1]["id"]: True,
    }


def test_billing_and_revenue_are_apart(server: Server) -> None:
    customer, other = new_customer(server), new_customer(server)
    assert server.post(SET, {"data": [item(customer)]}).status_code == 200
    billing = {"data": [entry(other, "netsuite")]}
    assert server.post("/v1/setCustomerBillingProviderConfigurations", billing).status_code == 200
    assert server.post(GET, {"customer_id": other}).json() == {"data": []}
    assert server.post(SET, {"data": [item(other)]}).status_code == 409
    revenue_id = server.post(GET, {"customer_id": customer}).json()["data"][0]["id"]
    assert server.post(ARCHIVE, {"customer_id": customer, IDS: [revenue_id]}).status_code == 200
    assert server.post(SET, {"data": [item(other)]}).status_code == 200


def test_delivery_method_id(server: Server) -> None:
    customer = new_customer(server)
    first = server.post(SET, {"data": [item(customer)]}).json()["data"][0]
    again = item(customer, "2", delivery_method_id=first["delivery_method_id"])
    assert server.post(SET, {"data": [again]}).status_code == 200
    aws = server.post("/v1/setUpBillingProvider", account("aws_marketplace", AWS_ACCOUNT)).json()["data"]
    queued = server.post(
        "/v1/setCustomerBillingProviderConfigurations",
        {"data": [entry(customer, "netsuite", {}, delivery_method="aws_sqs")]},
    ).json()["data"][0]["delivery_method_id"]
    for delivery, status in ((aws["delivery_method_id"], 400), (queued, 400), (UNKNOWN, 404), ("x", 400)):
        answer = server.post(SET, {"data": [item(customer, "3", delivery_method_id=delivery)]})
        assert answer.status_code == status, answer.text
        assert "data[0].delivery_method_id" in answer.json()["message"]


def test_other_customers_and_environments(server: Server) -> None:
    customer, other = new_customer(server), new_customer(server)
    theirs = new_customer(server, PRODUCTION_TOKEN)
    mine = server.post(SET, {"data": [item(customer)]}).json()["data"][0]["id"]
    for stranger in (UNKNOWN, theirs):
        assert server.post(SET, {"data": [item(stranger, "7")]}).status_code == 404
        assert server.post(GET, {"customer_id": stranger}).status_code == 404
        assert server.post(ARCHIVE, {"customer_id": stranger, IDS: [mine]}).status_code == 404
    answer = server.post(ARCHIVE, {"customer_id": other, IDS: [mine]})
    assert (answer.status_code, f"{IDS}[0]" in answer.text) == (404, True)
    assert server.post(ARCHIVE, {"customer_id": customer, IDS: [mine]}).status_code == 200
    answer = server.post(ARCHIVE, {"customer_id": customer, IDS: [mine]})
    assert (answer.status_code, f"{IDS}[0]" in answer.text) == (400, True)


BAD_CALLS = [
    (SET, {}, "data"),
    (SET, {"data": [{}]}, "customer_id"),
    (SET, {"data": [{"customer_id": UNKNOWN, "configuration": {}}]}, "provider"),
    (SET, {"data": [{"customer_id": UNKNOWN, "provider": "netsuite"}]}, "configuration"),
    (SET, {"data": [item("x")]}, "data[0].customer_id"),
    (SET, {"data": [{**item(UNKNOWN), "provider": "sap"}]}, "data[0].provider"),
    (SET, {"data": [{**item(UNKNOWN), "configuration": None}]}, "data[0].configuration"),
    (SET, {"data": [item("C", True)]}, "data[0].configuration.netsuite_customer_id"),
    (SET, {"data": [item("C", "")]}, "data[0].configuration.netsuite_customer_id"),
    (SET, {"data": [{**item("C"), "configuration": {}}]}, "data[0].configuration.netsuite_customer_id"),
    (SET, {"data": [{**item("C"), "configuration": {"other": "x"}}]}, "data[0].configuration.other"),
    (SET, {"data": [item(UNKNOWN, tax_provider="anrok")]}, "data[0].tax_provider"),
    (GET, {}, "customer_id"),
    (GET, {"customer_id": UNKNOWN, "provider": "stripe"}, "provider"),
    (GET, {"customer_id": UNKNOWN, "include_archived": 1}, "include_archived"),
    (GET, {"customer_id": UNKNOWN, "page": 1}, "page"),
    (ARCHIVE, {"customer_id": UNKNOWN}, IDS),
    (ARCHIVE, {IDS: []}, "customer_id"),
    (ARCHIVE, {"customer_id": UNKNOWN, IDS: [5]}, f"{IDS}[0]"),
    (ARCHIVE, {"customer_id": UNKNOWN, IDS: [], "x": 1}, "x"),
]


@pytest.fixture(scope="module")
def known(shared_server: Server) -> str:
    return new_customer(shared_server)


@pytest.mark.parametrize(("path", "body", "named"), BAD_CALLS)
def test_bad_call_is_refused_naming_the_field(
    shared_server: Server, known: str, path: str, body: dict, named: str
) -> None:
    for entry_ in body.get("data", []):
        if entry_.get("customer_id") == "C":
            entry_["customer_id"] = known
    answer = shared_server.post(path, body)
    assert_refused(answer, 400, named)
    assert shared_server.post(GET, {"customer_id": known}).json() == {"data": []}
