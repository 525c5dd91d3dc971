"""Our own OpenAPI document says no more than an operation answers."""

from typing import Any

from tests.support import Server


def test_revenue_systems_are_only_those_that_can_be_set(shared_server: Server) -> None:
    schemas: dict[str, Any] = shared_server.get("/openapi.json").json()["components"]["schemas"]
    shown = schemas["RevenueConfigurationResponse"]["properties"]["provider"]
    assert schemas[shown["$ref"].rpartition("/")[2]]["enum"] == ["netsuite"]
