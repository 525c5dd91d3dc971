"""Custom fields through the official client, on every kind of object that exists by now."""

from typing import Any

import metronome
import pytest

from tests.catalogue import Catalogue
from tests.support import PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused


def objects(server: Server) -> dict[str, str]:
    """One object of every entity that can be made, by entity."""
    make = Catalogue(server.client)
    metric = make.metric()
    product = make.product(metric)
    card = make.card()
    make.rate(card, product, 1)
    customer = make.customer()
    contract = make.contract(customer, card)
    invoice = server.client.v1.customers.invoices.list(customer_id=customer).data[0].id
    return {
        "billable_metric": metric,
        "contract_product": product,
        "rate_card": card,
        "customer": customer,
        "contract": contract,
        "invoice": invoice,
    }


def values(server: Server, entity: str, made: dict[str, str]) -> Any:
    """The object's values as its own read shows them."""
    client, key = server.client, made[entity]
    if entity == "billable_metric":
        return client.v1.billable_metrics.retrieve(billable_metric_id=key).data.custom_fields
    if entity == "contract_product":
        return client.v1.contracts.products.retrieve(id=key).data.custom_fields
    if entity == "rate_card":
        return client.v1.contracts.rate_cards.retrieve(id=key).data.custom_fields
    if entity == "customer":
        return client.v1.customers.retrieve(customer_id=key).data.custom_fields
    if entity == "contract":
        got = client.v2.contracts.retrieve(customer_id=made["customer"], contract_id=key)
        return got.data.custom_fields
    invoices = client.v1.customers.invoices
    return invoices.retrieve(customer_id=made["customer"], invoice_id=key).data.custom_fields


def test_every_kind_of_object_carries_values(server: Server) -> None:
    fields = server.client.v1.custom_fields
    made = objects(server)
    for entity, key in made.items():
        for name in ("colour", "size"):
            fields.add_key(entity=entity, key=name, enforce_uniqueness=False)
        fields.set_values(entity=entity, entity_id=key, custom_fields={"colour": "red", "size": "s"})
        fields.set_values(entity=entity, entity_id=key, custom_fields={"size": "m"})
        assert values(server, entity, made) == {"colour": "red", "size": "m"}
        fields.delete_values(entity=entity, entity_id=key, keys=["colour", "never-set"])
        assert values(server, entity, made) == {"size": "m"}
        fields.remove_key(entity=entity, key="size")
        assert values(server, entity, made) == {}


def test_keys_are_listed_by_entity_in_pages(server: Server) -> None:
    fields = server.client.v1.custom_fields
    for number in range(60):
        fields.add_key(entity="customer", key=f"key-{number}", enforce_uniqueness=number == 0)
    fields.add_key(entity="contract", key="other", enforce_uniqueness=False)
    listed = list(fields.list_keys(entities=["customer"]))
    assert [(item.key, item.enforce_uniqueness) for item in listed[:2]] == [("key-0", True), ("key-1", False)]
    assert len(listed) == 60
    assert len(list(fields.list_keys())) == 61


def test_unique_values_are_held_by_one_object_even_an_archived_one(server: Server) -> None:
    client = server.client
    client.v1.custom_fields.add_key(entity="customer", key="erp", enforce_uniqueness=True)
    first = client.v1.customers.create(name="First", custom_fields={"erp": "1"}).data.id
    second = client.v1.customers.create(name="Second").data.id
    for holder in ("active", "archived"):
        with pytest.raises(metronome.ConflictError) as refused:
            client.v1.custom_fields.set_values(
                entity="customer", entity_id=second, custom_fields={"erp": "1"}
            )
        assert "erp" in refused.value.response.json()["message"]
        with pytest.raises(metronome.ConflictError):
            client.v1.customers.create(name="Third", custom_fields={"erp": "1"})
        if holder == "active":
            client.v1.customers.archive(id=first)
    client.v1.custom_fields.delete_values(entity="customer", entity_id=first, keys=["erp"])
    client.v1.custom_fields.set_values(entity="customer", entity_id=second, custom_fields={"erp": "1"})
    assert len(list(client.v1.customers.list())) == 1


def test_one_bad_value_stores_none(server: Server) -> None:
    client = server.client
    client.v1.custom_fields.add_key(entity="customer", key="a", enforce_uniqueness=False)
    customer = client.v1.customers.create(name="Acme", custom_fields={"a": "v" * 200}).data.id
    for bad in ({"a": "new", "b": "1"}, {"a": "v" * 201}):
        answer = server.post(
            "/v1/customFields/setValues",
            {"entity": "customer", "entity_id": customer, "custom_fields": bad},
        )
        assert answer.status_code == 400
        assert "custom_fields." in answer.json()["message"]
    assert client.v1.customers.retrieve(customer_id=customer).data.custom_fields == {"a": "v" * 200}


def test_keys_and_values_of_the_other_environment_are_unknown(server: Server) -> None:
    production = server.client_of(PRODUCTION_TOKEN)
    production.v1.custom_fields.add_key(entity="customer", key="k", enforce_uniqueness=False)
    foreign = production.v1.customers.create(name="Foreign").data.id
    assert list(server.client.v1.custom_fields.list_keys()) == []
    server.client.v1.custom_fields.add_key(entity="customer", key="k", enforce_uniqueness=False)
    with pytest.raises(metronome.NotFoundError):
        server.client.v1.custom_fields.set_values(
            entity="customer", entity_id=foreign, custom_fields={"k": "v"}
        )


BAD = [
    ("addKey", {"key": "k", "enforce_uniqueness": False}, 400, "entity"),
    ("addKey", {"entity": "planet", "key": "k", "enforce_uniqueness": False}, 400, "entity"),
    ("addKey", {"entity": "customer", "enforce_uniqueness": False}, 400, "key"),
    ("addKey", {"entity": "customer", "key": "", "enforce_uniqueness": False}, 400, "key"),
    ("addKey", {"entity": "customer", "key": 7, "enforce_uniqueness": False}, 400, "key"),
    ("addKey", {"entity": "customer", "key": "k"}, 400, "enforce_uniqueness"),
    ("addKey", {"entity": "customer", "key": "k", "enforce_uniqueness": "no"}, 400, "enforce_uniqueness"),
    ("addKey", {"entity": "customer", "key": "k", "enforce_uniqueness": False, "x": 1}, 400, "x"),
    ("addKey", {"entity": "customer", "key": "taken", "enforce_uniqueness": False}, 409, "key"),
    ("removeKey", {"key": "k"}, 400, "entity"),
    ("removeKey", {"entity": "customer"}, 400, "key"),
    ("removeKey", {"entity": "customer", "key": "absent"}, 404, "key"),
    ("listKeys", {"entities": ["planet"]}, 400, "entities"),
    ("listKeys", {"entities": "customer"}, 400, "entities"),
    ("listKeys", {"limit": 5}, 400, "limit"),
    ("setValues", {"entity": "customer", "entity_id": UNKNOWN, "custom_fields": {}}, 404, "entity_id"),
    ("setValues", {"entity": "customer", "entity_id": "x", "custom_fields": {}}, 400, "entity_id"),
    ("setValues", {"entity": "customer", "entity_id": UNKNOWN}, 400, "custom_fields"),
    (
        "setValues",
        {"entity": "customer", "entity_id": UNKNOWN, "custom_fields": {"a": 1}},
        400,
        "custom_fields",
    ),
    ("setValues", {"entity_id": UNKNOWN, "custom_fields": {}}, 400, "entity"),
    ("deleteValues", {"entity": "customer", "entity_id": UNKNOWN, "keys": ["a"]}, 404, "entity_id"),
    ("deleteValues", {"entity": "customer", "entity_id": UNKNOWN}, 400, "keys"),
    ("deleteValues", {"entity": "customer", "entity_id": UNKNOWN, "keys": [1]}, 400, "keys"),
    ("deleteValues", {"entity": "planet", "entity_id": UNKNOWN, "keys": ["a"]}, 400, "entity"),
]


@pytest.mark.parametrize(("operation", "body", "status", "named"), BAD)
def test_bad_input_is_refused_by_name(
    shared_server: Server, operation: str, body: dict[str, Any], status: int, named: str
) -> None:
    taken = {"entity": "customer", "key": "taken", "enforce_uniqueness": False}
    shared_server.post("/v1/customFields/addKey", taken)
    answer = shared_server.post(f"/v1/customFields/{operation}", body)
    assert_refused(answer, status, named)
    listed = shared_server.post("/v1/customFields/listKeys", {}).json()["data"]
    assert [item["key"] for item in listed] == ["taken"]
