"""Products: bad input of every field of every operation is refused by name, and nothing is stored."""

from typing import Any

import pytest

from tests.support import UNKNOWN, Server, assert_refused, fill

PATH = "/v1/contract-pricing/products"
METRIC = "the id of a metric that groups by model"
PRODUCT = "the id of a usage product"
FIXED = "the id of a fixed product"


@pytest.fixture(scope="module")
def ids(shared_server: Server) -> dict[str, str]:
    """What stands for ids in the bodies below."""
    metric = shared_server.client.v1.billable_metrics.create(
        name="Calls",
        aggregation_type="COUNT",
        property_filters=[{"name": "model", "exists": True}],
        group_keys=[["model"]],
    ).data.id
    products = shared_server.client.v1.contracts.products
    usage = products.create(name="Calls", type="USAGE", billable_metric_id=metric).data.id
    fixed = products.create(name="Fee", type="FIXED").data.id
    return {METRIC: metric, PRODUCT: usage, FIXED: fixed}


def state(server: Server) -> Any:
    return server.post(f"{PATH}/list?limit=100", {"archive_filter": "ALL"}).json()


CONVERSION = {"conversion_factor": 2, "operation": "DIVIDE"}
ROUNDING = {"rounding_method": "ROUND_UP", "decimal_places": 2}

BAD_ATTRIBUTES: list[tuple[dict[str, Any], int, str]] = [
    ({"name": ""}, 400, "name"),
    ({"name": 5}, 400, "name"),
    ({"name": None}, 400, "name"),
    ({"name": "a\u0000b"}, 400, "name"),
    ({"colour": "red"}, 400, "colour"),
    ({"tags": "a"}, 400, "tags"),
    ({"tags": [1]}, 400, "tags[0]"),
    ({"tags": [""]}, 400, "tags[0]"),
    ({"is_refundable": "yes"}, 400, "is_refundable"),
    ({"netsuite_internal_item_id": 5}, 400, "netsuite_internal_item_id"),
    ({"netsuite_overage_item_id": 5}, 400, "netsuite_overage_item_id"),
    ({"sql_breakdown_granularity": "MINUTE"}, 400, "sql_breakdown_granularity"),
    ({"composite_product_ids": [UNKNOWN]}, 400, "composite_product_ids"),
    ({"composite_product_ids": ["x"]}, 400, "composite_product_ids[0]"),
    ({"composite_tags": ["a"]}, 400, "composite_tags"),
    ({"composite_tags": 5}, 400, "composite_tags"),
    ({"exclude_free_usage": True}, 400, "exclude_free_usage"),
    ({"exclude_free_usage": 1}, 400, "exclude_free_usage"),
    ({"include_composite_spend": True}, 400, "include_composite_spend"),
    ({"include_composite_spend": "no"}, 400, "include_composite_spend"),
]
BAD_OF_USAGE: list[tuple[dict[str, Any], int, str]] = [
    ({"billable_metric_id": "x"}, 400, "billable_metric_id"),
    ({"billable_metric_id": 7}, 400, "billable_metric_id"),
    ({"billable_metric_id": UNKNOWN}, 404, "billable_metric_id"),
    ({"pricing_group_key": "model"}, 400, "pricing_group_key"),
    ({"pricing_group_key": [""]}, 400, "pricing_group_key[0]"),
    ({"pricing_group_key": ["region"]}, 400, "pricing_group_key"),
    ({"pricing_group_key": ["model", "model"]}, 400, "pricing_group_key"),
    ({"presentation_group_key": 5}, 400, "presentation_group_key"),
    ({"presentation_group_key": [5]}, 400, "presentation_group_key[0]"),
    ({"presentation_group_key": ["model", "user"]}, 400, "presentation_group_key"),
    ({"presentation_group_key": ["model", "model"]}, 400, "presentation_group_key"),
    ({"quantity_conversion": 5}, 400, "quantity_conversion"),
    ({"quantity_conversion": {}}, 400, "quantity_conversion.conversion_factor"),
    ({"quantity_conversion": {"conversion_factor": 2}}, 400, "quantity_conversion.operation"),
    ({"quantity_conversion": CONVERSION | {"operation": "ADD"}}, 400, "quantity_conversion.operation"),
    ({"quantity_conversion": CONVERSION | {"name": 5}}, 400, "quantity_conversion.name"),
    ({"quantity_conversion": CONVERSION | {"unit": "MB"}}, 400, "quantity_conversion.unit"),
    ({"quantity_rounding": []}, 400, "quantity_rounding"),
    ({"quantity_rounding": {"decimal_places": 2}}, 400, "quantity_rounding.rounding_method"),
    ({"quantity_rounding": {"rounding_method": "ROUND_UP"}}, 400, "quantity_rounding.decimal_places"),
    ({"quantity_rounding": ROUNDING | {"rounding_method": "UP"}}, 400, "quantity_rounding.rounding_method"),
    ({"quantity_rounding": ROUNDING | {"level": "line"}}, 400, "quantity_rounding.level"),
    *(
        ({"quantity_conversion": CONVERSION | {"conversion_factor": factor}}, 400, "conversion_factor")
        for factor in (0, -1, "many", None, True, "NaN", "Infinity", "1e101", "1e-101", 10**101)
    ),
    *(
        ({"quantity_rounding": ROUNDING | {"decimal_places": places}}, 400, "decimal_places")
        for places in (-1, 1.5, 101, "two", None, False)
    ),
]
USAGE_ONLY: list[tuple[dict[str, Any], int, str]] = [
    ({"billable_metric_id": METRIC}, 400, "billable_metric_id"),
    ({"pricing_group_key": ["model"]}, 400, "pricing_group_key"),
    ({"presentation_group_key": ["model"]}, 400, "presentation_group_key"),
    ({"quantity_conversion": CONVERSION}, 400, "quantity_conversion"),
    ({"quantity_rounding": ROUNDING}, 400, "quantity_rounding"),
]
BAD_CREATES: list[tuple[dict[str, Any], int, str]] = [
    ({"type": None}, 400, "type"),
    ({"type": "GADGET"}, 400, "type"),
    ({"type": "uSaGe"}, 400, "type"),
    ({"type": 1}, 400, "type"),
    ({"billable_metric_id": None}, 400, "billable_metric_id"),
    ({"composite_scope": "CUSTOMER"}, 400, "composite_scope"),
    ({"composite_scope": "GALAXY"}, 400, "composite_scope"),
    ({"custom_fields": {"undeclared": "v"}}, 400, "undeclared"),
    ({"custom_fields": {"k": 1}}, 400, "custom_fields"),
    ({"custom_fields": []}, 400, "custom_fields"),
]


def refused(server: Server, operation: str, body: Any, status: int, named: str) -> None:
    before = state(server)
    assert_refused(server.post(f"{PATH}/{operation}", body), status, named)
    assert state(server) == before


@pytest.mark.parametrize(("given", "status", "named"), BAD_ATTRIBUTES + BAD_OF_USAGE + BAD_CREATES)
def test_bad_usage_product(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    body = {"name": "Bad", "type": "USAGE", "billable_metric_id": METRIC} | given
    refused(shared_server, "create", fill(body, ids), status, named)


@pytest.mark.parametrize(("given", "status", "named"), BAD_ATTRIBUTES + USAGE_ONLY)
def test_bad_fixed_product(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    refused(shared_server, "create", fill({"name": "Bad", "type": "FIXED"} | given, ids), status, named)


@pytest.mark.parametrize("missing", ["name", "type", "billable_metric_id"])
def test_create_without_a_required_field(shared_server: Server, ids: dict[str, str], missing: str) -> None:
    body = {"name": "Bad", "type": "USAGE", "billable_metric_id": METRIC}
    del body[missing]
    refused(shared_server, "create", fill(body, ids), 400, missing)


NOT_NULL = [
    "name",
    "billable_metric_id",
    "sql_breakdown_granularity",
    "tags",
    "is_refundable",
    "netsuite_internal_item_id",
    "netsuite_overage_item_id",
    "composite_product_ids",
    "composite_tags",
    "exclude_free_usage",
    "include_composite_spend",
    "pricing_group_key",
    "presentation_group_key",
]
BAD_UPDATES: list[tuple[dict[str, Any], int, str]] = [
    ({"product_id": None}, 400, "product_id"),
    ({"product_id": "x"}, 400, "product_id"),
    ({"product_id": UNKNOWN}, 404, "product_id"),
    ({"starting_at": None}, 400, "starting_at"),
    ({"starting_at": "2026-02-01"}, 400, "starting_at"),
    ({"starting_at": "2026-02-01T00:00:00"}, 400, "starting_at"),
    ({"starting_at": "2026-02-01T00:30:00Z"}, 400, "starting_at"),
    ({"starting_at": "2026-02-01T00:00:01Z"}, 400, "starting_at"),
    ({"starting_at": "2026-02-01T00:00:00.000001Z"}, 400, "starting_at"),
    ({"starting_at": "2026-02-01T00:00:00+05:30"}, 400, "starting_at"),
    ({"starting_at": 5}, 400, "starting_at"),
    ({"type": "USAGE"}, 400, "type"),
    ({"custom_fields": {}}, 400, "custom_fields"),
    ({"composite_scope": "CONTRACT"}, 400, "composite_scope"),
    *(({name: None}, 400, name) for name in NOT_NULL),
]


@pytest.mark.parametrize(("given", "status", "named"), BAD_UPDATES + BAD_ATTRIBUTES + BAD_OF_USAGE)
def test_bad_update_of_a_usage_product(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    body = {"product_id": PRODUCT, "starting_at": "2026-01-01T00:00:00Z"} | given
    refused(shared_server, "update", fill(body, ids), status, named)


@pytest.mark.parametrize(("given", "status", "named"), BAD_ATTRIBUTES + USAGE_ONLY)
def test_bad_update_of_a_fixed_product(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    body = {"product_id": FIXED, "starting_at": "2026-01-01T00:00:00Z"} | given
    refused(shared_server, "update", fill(body, ids), status, named)


@pytest.mark.parametrize("missing", ["product_id", "starting_at"])
def test_update_without_a_required_field(shared_server: Server, ids: dict[str, str], missing: str) -> None:
    body = {"product_id": PRODUCT, "starting_at": "2026-01-01T00:00:00Z", "name": "x"}
    del body[missing]
    refused(shared_server, "update", fill(body, ids), 400, missing)


BAD_CALLS: list[tuple[str, Any, int, str]] = [
    ("get", {}, 400, "id"),
    ("get", {"id": None}, 400, "id"),
    ("get", {"id": "x"}, 400, "id"),
    ("get", {"id": UNKNOWN}, 404, "id"),
    ("get", {"id": UNKNOWN, "product_id": UNKNOWN}, 400, "product_id"),
    ("get?limit=5", {"id": UNKNOWN}, 400, "limit"),
    ("archive", {}, 400, "product_id"),
    ("archive", {"product_id": 5}, 400, "product_id"),
    ("archive", {"product_id": "x"}, 400, "product_id"),
    ("archive", {"product_id": UNKNOWN}, 404, "product_id"),
    ("archive", {"product_id": UNKNOWN, "id": UNKNOWN}, 400, "id"),
    ("list", {"archive_filter": "SOME"}, 400, "archive_filter"),
    ("list", {"archive_filter": 5}, 400, "archive_filter"),
    ("list", {"type": "USAGE"}, 400, "type"),
    ("list", {"limit": 5}, 400, "limit"),
    ("list", [], 400, "body"),
    ("list?limit=0", {}, 400, "limit"),
    ("list?limit=101", {}, 400, "limit"),
    ("list?limit=x", {}, 400, "limit"),
    ("list?next_page=abc", {}, 400, "next_page"),
    ("list?colour=red", {}, 400, "colour"),
]


@pytest.mark.parametrize(("operation", "body", "status", "named"), BAD_CALLS)
def test_bad_call(shared_server: Server, operation: str, body: Any, status: int, named: str) -> None:
    refused(shared_server, operation, body, status, named)


@pytest.mark.parametrize("operation", ["create", "get", "list", "update", "archive"])
def test_products_are_reached_by_post_with_json(shared_server: Server, operation: str) -> None:
    assert shared_server.get(f"{PATH}/{operation}").status_code == 405
    assert shared_server.request("POST", f"{PATH}/{operation}", content=b"{").status_code == 400
    plain = {"content-type": "text/plain"}
    answer = shared_server.request("POST", f"{PATH}/{operation}", content=b"{}", headers=plain)
    assert answer.status_code == 415


def test_list_without_a_body(shared_server: Server, ids: dict[str, str]) -> None:
    answer = shared_server.request("POST", f"{PATH}/list")
    assert answer.status_code == 200
    assert {item["id"] for item in answer.json()["data"]} >= {ids[PRODUCT], ids[FIXED]}
