"""More names in one request than a statement can take."""

from tests.support import Server


def test_many_keys_are_cleared_at_once(server: Server) -> None:
    server.post("/v1/customFields/addKey", {"entity": "customer", "key": "k", "enforce_uniqueness": False})
    body = {"name": "x", "custom_fields": {"k": "v"}}
    customer = server.post("/v1/customers", body).json()["data"]["id"]
    keys = [f"key{number}" for number in range(40_000)]
    cleared = {"entity": "customer", "entity_id": customer, "keys": [*keys, "k"]}
    answer = server.post("/v1/customFields/deleteValues", cleared)
    assert answer.status_code == 200, answer.text
    assert server.get(f"/v1/customers/{customer}").json()["data"]["custom_fields"] == {}


def test_an_entity_named_many_times_is_listed_once(server: Server) -> None:
    server.post("/v1/customFields/addKey", {"entity": "customer", "key": "k", "enforce_uniqueness": False})
    answer = server.post("/v1/customFields/listKeys", {"entities": ["customer"] * 40_000})
    assert answer.status_code == 200, answer.text
    assert [item["key"] for item in answer.json()["data"]] == ["k"]
