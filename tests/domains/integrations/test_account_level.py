"""Account-level delivery methods: set up, listed, secrets kept."""

from pathlib import Path

import metronome
import pytest
from metronome import Metronome

from tests.domains.integrations.bodies import (
    AWS_ACCOUNT,
    AZURE_ACCOUNT,
    DIRECT,
    GCP_ACCOUNT,
    account,
    entry,
    without,
)
from tests.support import PRODUCTION_TOKEN, SANDBOX_TOKEN, UNKNOWN, Server, assert_refused, serving

SET_UP = "/v1/setUpBillingProvider"
LIST = "/v1/listConfiguredBillingProviders"
SECRETS = (b"azure-secret-5f1c", b"gcp-secret-77ab")


def test_marketplaces_are_set_up_and_listed_without_their_secrets(client: Metronome) -> None:
    providers = client.v1.settings.billing_providers
    assert providers.list().data == []
    made = [
        providers.create(
            billing_provider=provider,
            delivery_method="direct_to_billing_provider",
            configuration=configuration,
        ).data.delivery_method_id
        for provider, configuration in (
            ("aws_marketplace", {**AWS_ACCOUNT, "aws_region": "us-east-1"}),
            ("azure_marketplace", AZURE_ACCOUNT),
            ("gcp_marketplace", GCP_ACCOUNT),
        )
    ]
    listed = {item.delivery_method_id: item for item in providers.list().data}
    assert set(listed) == set(made)
    shown = {item.billing_provider: item.delivery_method_configuration for item in listed.values()}
    assert shown == {
        "aws_marketplace": {**AWS_ACCOUNT, "aws_region": "us-east-1"},
        "azure_marketplace": {"azure_client_id": "client-1", "azure_tenant_id": "tenant-1"},
        "gcp_marketplace": {"gcp_provider_id": "provider-1"},
    }
    assert {item.delivery_method for item in listed.values()} == {DIRECT}


@pytest.mark.parametrize("method", [DIRECT, "aws_sqs", "aws_sns"])
def test_each_delivery_method_can_be_set_up(server: Server, method: str) -> None:
    answer = server.post(SET_UP, account("aws_marketplace", AWS_ACCOUNT, method))
    assert answer.status_code == 200, answer.text
    assert server.post(LIST).json()["data"][0]["delivery_method"] == method


def test_the_same_account_twice_is_a_conflict_and_another_is_not(server: Server) -> None:
    first = server.post(SET_UP, account("azure_marketplace", AZURE_ACCOUNT)).json()["data"]
    again = {**AZURE_ACCOUNT, "raw_azure_client_secret": "another"}
    answer = server.post(SET_UP, account("azure_marketplace", again))
    assert answer.status_code == 409
    assert first["delivery_method_id"] in answer.json()["message"]
    assert "another" not in answer.text
    other = {**AZURE_ACCOUNT, "azure_tenant_id": "tenant-2"}
    assert server.post(SET_UP, account("azure_marketplace", other)).status_code == 200
    assert server.post(SET_UP, account("azure_marketplace", AZURE_ACCOUNT, "aws_sqs")).status_code == 200
    assert len(server.post(LIST).json()["data"]) == 3


def test_secrets_are_nowhere_in_the_clear(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        customer = server.client.v1.customers.create(name="Acme").data
        answers = [
            server.post(
                SET_UP, account("azure_marketplace", AZURE_ACCOUNT), headers={"idempotency-key": "one"}
            ),
            server.post(
                SET_UP, account("azure_marketplace", AZURE_ACCOUNT), headers={"idempotency-key": "one"}
            ),
            server.post(SET_UP, account("azure_marketplace", AZURE_ACCOUNT)),
            server.post(SET_UP, account("gcp_marketplace", GCP_ACCOUNT), headers={"idempotency-key": "two"}),
            server.post(
                "/v1/setCustomerBillingProviderConfigurations",
                {"data": [entry(customer.id, "azure_marketplace"), entry(customer.id, "gcp_marketplace")]},
            ),
            server.post("/v1/getCustomerBillingProviderConfigurations", {"customer_id": customer.id}),
            server.post(LIST),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 409, 200, 200, 200, 200]
        assert answers[0].json() == answers[1].json()
    stored = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    output = capfd.readouterr()
    told = b"".join(answer.content for answer in answers) + (output.out + output.err).encode()
    for secret in SECRETS:
        assert secret not in stored
        assert secret not in told


def test_sealed_secrets_can_be_opened_by_the_server_itself(server: Server) -> None:
    from tallybook.domains.integrations.store import deliveries

    server.post(SET_UP, account("azure_marketplace", AZURE_ACCOUNT))
    with server.tallybook.environments["sandbox"].read("test") as tx:
        sealed = tx.sql.execute(deliveries.select()).one().sealed_secrets
        assert tx.vault.open(sealed["raw_azure_client_secret"]) == AZURE_ACCOUNT["raw_azure_client_secret"]


def test_set_up_connects_configurations_that_named_the_provider_before(server: Server) -> None:
    customers = server.client.v1.customers
    customer = customers.create(name="Early").data
    customers.set_billing_configurations(data=[entry(customer.id, "aws_marketplace")])
    before = customers.retrieve_billing_configurations(customer_id=customer.id).data[0]
    assert before.delivery_method_configuration == {}
    assert server.post(LIST).json() == {"data": [], "next_page": None}
    made = server.post(SET_UP, account("aws_marketplace", AWS_ACCOUNT)).json()["data"]["delivery_method_id"]
    assert made == before.delivery_method_id
    after = customers.retrieve_billing_configurations(customer_id=customer.id).data[0]
    assert after.delivery_method_configuration == AWS_ACCOUNT
    second = {**AWS_ACCOUNT, "aws_external_id": "ext-2"}
    other = server.post(SET_UP, account("aws_marketplace", second)).json()["data"]["delivery_method_id"]
    assert other != made


def test_pages_go_on_from_a_uuid_and_lose_nothing(server: Server) -> None:
    made = [
        server.post(
            SET_UP, account("gcp_marketplace", {**GCP_ACCOUNT, "gcp_provider_id": f"p{number}"})
        ).json()["data"]["delivery_method_id"]
        for number in range(101)
    ]
    seen: list[str] = []
    sizes, cursor = [], None
    while True:
        page = server.client.v1.settings.billing_providers.list(next_page=cursor)
        seen += [item.delivery_method_id for item in page.data]
        sizes.append(len(page.data))
        cursor = page.next_page
        if cursor is None:
            break
    assert sizes == [50, 50, 1]
    assert sorted(seen) == sorted(made)


def test_environments_share_nothing(server: Server) -> None:
    made = server.client.v1.settings.billing_providers.create(
        billing_provider="aws_marketplace", delivery_method="aws_sqs", configuration=AWS_ACCOUNT
    ).data.delivery_method_id
    production = server.client_of(PRODUCTION_TOKEN)
    assert production.v1.settings.billing_providers.list().data == []
    with pytest.raises(metronome.BadRequestError):
        production.v1.settings.billing_providers.list(next_page=made)
    assert server.post(
        SET_UP, account("aws_marketplace", AWS_ACCOUNT, "aws_sqs"), token=PRODUCTION_TOKEN
    ).is_success


GOOD = account("azure_marketplace", AZURE_ACCOUNT)


BAD_SET_UPS = [
    ({**GOOD, "billing_provider": None}, "billing_provider"),
    ({**GOOD, "billing_provider": 5}, "billing_provider"),
    ({**GOOD, "billing_provider": "gcp"}, "billing_provider"),
    ({**GOOD, "billing_provider": "custom"}, "billing_provider"),
    ({**GOOD, "billing_provider": "metronome"}, "billing_provider"),
    (without(GOOD, "billing_provider"), "billing_provider"),
    ({**GOOD, "delivery_method": None}, "delivery_method"),
    ({**GOOD, "delivery_method": "tackle"}, "delivery_method"),
    ({**GOOD, "delivery_method": "pigeon"}, "delivery_method"),
    (without(GOOD, "delivery_method"), "delivery_method"),
    ({**GOOD, "configuration": None}, "configuration"),
    ({**GOOD, "configuration": []}, "configuration"),
    (without(GOOD, "configuration"), "configuration"),
    ({**GOOD, "alias": "x"}, "alias"),
    (account("aws_marketplace", AZURE_ACCOUNT), "configuration.azure_client_id"),
    (account("aws_marketplace", {**AWS_ACCOUNT, "aws_external_id": 5}), "configuration.aws_external_id"),
    (account("aws_marketplace", {**AWS_ACCOUNT, "aws_external_id": ""}), "configuration.aws_external_id"),
    (
        account("aws_marketplace", {**AWS_ACCOUNT, "aws_external_id": "x" * 256}),
        "configuration.aws_external_id",
    ),
    (account("aws_marketplace", {**AWS_ACCOUNT, "aws_region": "Mars"}), "configuration.aws_region"),
    (
        account("azure_marketplace", {**AZURE_ACCOUNT, "raw_azure_client_secret": 7}),
        "raw_azure_client_secret",
    ),
    (account("gcp_marketplace", {**GCP_ACCOUNT, "gcp_provider_id": {}}), "configuration.gcp_provider_id"),
    *[(account("aws_marketplace", without(AWS_ACCOUNT, key)), f"configuration.{key}") for key in AWS_ACCOUNT],
    *[
        (account("aws_marketplace", {**AWS_ACCOUNT, key: None}), f"configuration.{key}")
        for key in AWS_ACCOUNT
    ],
    *[(account("azure_marketplace", without(AZURE_ACCOUNT, key)), key) for key in AZURE_ACCOUNT],
    *[(account("gcp_marketplace", without(GCP_ACCOUNT, key)), key) for key in GCP_ACCOUNT],
]


@pytest.mark.parametrize(("body", "named"), BAD_SET_UPS)
def test_bad_set_up_is_refused_naming_the_field(shared_server: Server, body: dict, named: str) -> None:
    answer = shared_server.post(SET_UP, body)
    assert_refused(answer, 400, named)
    assert shared_server.post(LIST).json()["data"] == []


@pytest.mark.parametrize(
    "text", ["gcp-secret-not-json", "[1]", '"gcp-secret"', "1", "[" * 5_000, '{"a": gcp-secret}']
)
def test_a_bad_federation_text_is_refused_and_not_repeated(shared_server: Server, text: str) -> None:
    given = {**GCP_ACCOUNT, "raw_gcp_workload_identity_federation_config": text}
    answer = shared_server.post(SET_UP, account("gcp_marketplace", given))
    assert answer.status_code == 400
    assert "raw_gcp_workload_identity_federation_config" in answer.json()["message"]
    assert "gcp-secret" not in answer.text


@pytest.mark.parametrize("provider", ["stripe", "netsuite"])
def test_providers_that_cannot_be_connected_yet_say_so(shared_server: Server, provider: str) -> None:
    answer = shared_server.post(SET_UP, account(provider, {}))
    assert answer.status_code == 501
    assert "billing_provider" in answer.json()["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("cursor", ["x", 5, UNKNOWN, UNKNOWN.replace("0", "A")])
def test_bad_cursor_is_refused(shared_server: Server, cursor: object) -> None:
    answer = shared_server.post(LIST, {"next_page": cursor})
    assert answer.status_code == 400
    assert "next_page" in answer.json()["message"]


def test_list_takes_no_body_an_empty_one_and_null(shared_server: Server) -> None:
    headers = {"authorization": f"Bearer {SANDBOX_TOKEN}"}
    assert shared_server.http.post(shared_server.url + LIST, headers=headers).status_code == 200
    for body in ({}, {"next_page": None}):
        assert shared_server.post(LIST, body).status_code == 200
    answer = shared_server.post(LIST, {"limit": 5})
    assert (answer.status_code, "limit" in answer.text) == (400, True)
