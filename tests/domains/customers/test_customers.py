"""Customers through the official client, strict about every answer."""

from datetime import UTC, datetime

import metronome
import pytest
from metronome import Metronome

from tests.support import NOW, PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused


def test_create_answers_what_get_and_list_answer(client: Metronome) -> None:
    client.v1.custom_fields.add_key(entity="customer", key="tier", enforce_uniqueness=False)
    created = client.v1.customers.create(
        name="Acme", ingest_aliases=["acme-1", "acme-2", "acme-1"], custom_fields={"tier": "gold"}
    ).data
    assert created.ingest_aliases == ["acme-1", "acme-2"]
    assert created.external_id == "acme-1"
    assert created.custom_fields == {"tier": "gold"}
    detail = client.v1.customers.retrieve(customer_id=created.id).data
    assert (detail.name, detail.created_at, detail.archived_at) == ("Acme", NOW, None)
    assert detail.customer_config.salesforce_account_id is None
    assert [customer.id for customer in client.v1.customers.list()] == [created.id]


def test_customer_without_alias_is_known_by_its_id(client: Metronome) -> None:
    created = client.v1.customers.create(name="Bare").data
    assert created.external_id == created.id
    assert created.ingest_aliases == []


def test_deprecated_external_id_becomes_the_first_alias(client: Metronome) -> None:
    created = client.v1.customers.create(name="Old", external_id="old-1", ingest_aliases=["new-1"]).data
    assert created.external_id == "old-1"
    assert created.ingest_aliases == ["old-1", "new-1"]


def test_names_are_cut_at_160_characters(client: Metronome) -> None:
    created = client.v1.customers.create(name="é" * 200).data
    assert created.name == "é" * 160
    renamed = client.v1.customers.set_name(customer_id=created.id, name="b" * 161).data
    assert renamed.name == "b" * 160


def test_two_thousand_aliases_are_taken_and_one_more_is_refused(server: Server) -> None:
    aliases = [f"alias-{number:04}" for number in range(2_000)]
    created = server.client.v1.customers.create(name="Many", ingest_aliases=aliases).data
    assert created.ingest_aliases == aliases
    answer = server.post("/v1/customers", {"name": "More", "ingest_aliases": [*aliases, "one-more"]})
    assert answer.status_code == 400
    assert "ingest_aliases" in answer.json()["message"]


def test_taken_alias_is_a_conflict_and_stores_nothing(server: Server) -> None:
    server.client.v1.customers.create(name="First", ingest_aliases=["shared"])
    with pytest.raises(metronome.ConflictError) as refused:
        server.client.v1.customers.create(name="Second", ingest_aliases=["mine", "shared"])
    assert "shared" in refused.value.response.json()["message"]
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert [customer.name for customer in server.client.v1.customers.list()] == ["First"]
    server.client.v1.customers.create(name="Third", ingest_aliases=["mine"])


def test_another_customers_id_cannot_be_an_alias(client: Metronome) -> None:
    first = client.v1.customers.create(name="First").data
    with pytest.raises(metronome.ConflictError):
        client.v1.customers.create(name="Second", ingest_aliases=[first.id])


def test_aliases_move_only_after_their_owner_let_go(client: Metronome) -> None:
    first = client.v1.customers.create(name="First", ingest_aliases=["a"]).data
    second = client.v1.customers.create(name="Second").data
    with pytest.raises(metronome.ConflictError):
        client.v1.customers.set_ingest_aliases(customer_id=second.id, ingest_aliases=["a"])
    client.v1.customers.set_ingest_aliases(customer_id=first.id, ingest_aliases=[])
    client.v1.customers.set_ingest_aliases(customer_id=second.id, ingest_aliases=["a"])
    client.v1.customers.set_ingest_aliases(customer_id=second.id, ingest_aliases=["a"])
    assert client.v1.customers.retrieve(customer_id=first.id).data.ingest_aliases == []
    assert client.v1.customers.retrieve(customer_id=second.id).data.ingest_aliases == ["a"]


def test_list_filters(client: Metronome) -> None:
    made = [client.v1.customers.create(name=name, ingest_aliases=[name]).data.id for name in "abc"]
    client.v1.customers.update_config(customer_id=made[1], salesforce_account_id="sf-1")

    def ids(**filters: object) -> set[str]:
        return {customer.id for customer in client.v1.customers.list(**filters)}

    assert ids() == set(made)
    assert ids(ingest_alias="b") == {made[1]}
    assert ids(ingest_alias="nobody") == set()
    assert ids(customer_ids=[made[0], made[2]]) == {made[0], made[2]}
    assert ids(salesforce_account_ids=["sf-1", "sf-2"]) == {made[1]}
    assert ids(customer_ids=[made[0]], salesforce_account_ids=["sf-1"]) == set()
    assert ids(only_archived=True) == set()


def test_update_config_changes_only_what_is_given(server: Server) -> None:
    customer = server.client.v1.customers.create(name="Config").data
    path = f"/v1/customers/{customer.id}/updateConfig"
    assert (
        server.post(path, {"salesforce_account_id": "sf", "leave_stripe_invoices_in_draft": True}).json()
        == {}
    )
    assert server.post(path, {"leave_stripe_invoices_in_draft": None}).status_code == 200
    detail = server.get(f"/v1/customers/{customer.id}").json()["data"]
    assert detail["customer_config"] == {"salesforce_account_id": "sf"}
    server.post(path, {"salesforce_account_id": None})
    assert (
        server.client.v1.customers.retrieve(
            customer_id=customer.id
        ).data.customer_config.salesforce_account_id
        is None
    )


def test_billable_status_takes_effect_at_its_instant(server: Server) -> None:
    customer = server.client.v1.customers.create(name="Status").data
    body = {
        "customer_id": customer.id,
        "billable_status": "unbillable",
        "effective_at": "2026-02-01T00:00:00Z",
    }
    assert server.post("/v1/customers/setBillableStatus", body).json() == {
        "data": {"id": customer.id, "current_billable_status": "billable"}
    }
    server.move_clock(datetime(2026, 2, 1, tzinfo=UTC))
    detail = server.get(f"/v1/customers/{customer.id}").json()["data"]
    assert detail["current_billable_status"]["value"] == "unbillable"


def test_pages_are_complete_and_stable_while_customers_are_added(client: Metronome) -> None:
    before = {client.v1.customers.create(name=f"c{number}").data.id for number in range(7)}
    seen = []
    page = client.v1.customers.list(limit=2)
    while True:
        seen += [customer.id for customer in page.data]
        if page.next_page is None:
            break
        if len(seen) <= 4:
            client.v1.customers.create(name="meanwhile")
        page = client.v1.customers.list(limit=2, next_page=page.next_page)
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_other_environments_customers_do_not_exist(server: Server) -> None:
    ours = server.client.v1.customers.create(name="Sandboxed", ingest_aliases=["same"]).data
    production = server.client_of(PRODUCTION_TOKEN)
    with pytest.raises(metronome.NotFoundError):
        production.v1.customers.retrieve(customer_id=ours.id)
    assert production.v1.customers.create(name="Real", ingest_aliases=["same"]).data.id != ours.id


BAD_CREATES = [
    ({}, "name"),
    ({"name": None}, "name"),
    ({"name": 5}, "name"),
    ({"name": ""}, "name"),
    ({"name": "x", "ingest_aliases": "a"}, "ingest_aliases"),
    ({"name": "x", "ingest_aliases": [""]}, "ingest_aliases[0]"),
    ({"name": "x", "ingest_aliases": ["ok", "a" * 129]}, "ingest_aliases[1]"),
    ({"name": "x", "ingest_aliases": ["a\u0000b"]}, "ingest_aliases[0]"),
    ({"name": "x", "external_id": "a" * 129}, "external_id"),
    ({"name": "x", "surname": "y"}, "surname"),
    ({"name": "x", "custom_fields": {"undeclared": "v"}}, "undeclared"),
    ({"name": "x", "custom_fields": {"k": 1}}, "custom_fields"),
    ({"name": "x", "customer_billing_provider_configurations": [{}]}, "billing_provider"),
    (
        {"name": "x", "customer_billing_provider_configurations": [{"billing_provider": "abacus"}]},
        "billing_provider",
    ),
    (
        {
            "name": "x",
            "customer_billing_provider_configurations": [
                {
                    "billing_provider": "stripe",
                    "delivery_method": "direct_to_billing_provider",
                    "configuration": {"stripe_customer_id": 7},
                }
            ],
        },
        "stripe_customer_id",
    ),
    ({"name": "x", "customer_revenue_system_configurations": [{"provider": "sap"}]}, "provider"),
]


@pytest.mark.parametrize(("body", "named"), BAD_CREATES)
def test_bad_create_is_refused_naming_the_field(shared_server: Server, body: dict, named: str) -> None:
    before = len(shared_server.get("/v1/customers").json()["data"])
    answer = shared_server.post("/v1/customers", body)
    assert_refused(answer, 400, named)
    assert len(shared_server.get("/v1/customers").json()["data"]) == before


BAD_CALLS = [
    ("GET", "/v1/customers/not-a-uuid", None, 400, "customer_id"),
    ("GET", f"/v1/customers/{UNKNOWN}", None, 404, "customer_id"),
    ("GET", "/v1/customers?limit=0", None, 400, "limit"),
    ("GET", "/v1/customers?limit=101", None, 400, "limit"),
    ("GET", "/v1/customers?limit=ten", None, 400, "limit"),
    ("GET", "/v1/customers?next_page=abc", None, 400, "next_page"),
    ("GET", "/v1/customers?colour=red", None, 400, "colour"),
    ("GET", "/v1/customers?only_archived=perhaps", None, 400, "only_archived"),
    ("GET", "/v1/customers?customer_ids=x", None, 400, "customer_ids"),
    ("GET", "/v1/customers?customer_ids=" + ",".join([UNKNOWN] * 101), None, 400, "customer_ids"),
    ("POST", f"/v1/customers/{UNKNOWN}/setName", {"name": "x"}, 404, "customer_id"),
    ("POST", f"/v1/customers/{UNKNOWN}/setName", {}, 400, "name"),
    ("POST", f"/v1/customers/{UNKNOWN}/setIngestAliases", {"ingest_aliases": []}, 404, "customer_id"),
    ("POST", f"/v1/customers/{UNKNOWN}/setIngestAliases", {}, 400, "ingest_aliases"),
    (
        "POST",
        f"/v1/customers/{UNKNOWN}/updateConfig",
        {"salesforce_account_id": 5},
        400,
        "salesforce_account_id",
    ),
    ("POST", f"/v1/customers/{UNKNOWN}/updateConfig", {}, 404, "customer_id"),
    ("POST", "/v1/customers/setBillableStatus", {"customer_id": UNKNOWN}, 400, "billable_status"),
    (
        "POST",
        "/v1/customers/setBillableStatus",
        {"customer_id": UNKNOWN, "billable_status": "billable", "effective_at": "2026-01-01"},
        400,
        "effective_at",
    ),
    (
        "POST",
        "/v1/customers/setBillableStatus",
        {"customer_id": UNKNOWN, "billable_status": "billable", "effective_at": "2026-01-01T00:00:00Z"},
        404,
        "customer_id",
    ),
    ("DELETE", "/v1/customers", None, 405, "DELETE"),
    ("PUT", f"/v1/customers/{UNKNOWN}", None, 405, "PUT"),
    ("GET", "/v1/clients", None, 404, "/v1/clients"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "named"), BAD_CALLS)
def test_bad_call_is_refused_naming_the_field(
    shared_server: Server, method: str, path: str, body: dict | None, status: int, named: str
) -> None:
    answer = shared_server.request(method, path, json=body)
    assert_refused(answer, status, named)
