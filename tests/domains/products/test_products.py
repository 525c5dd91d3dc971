"""Products through the official client, strict about every answer."""

from datetime import UTC, datetime
from typing import Any

import metronome
import pytest
from metronome import Metronome

from tests.support import NOW, PRODUCTION_TOKEN, Server

PATH = "/v1/contract-pricing/products"


def instant(month: int, day: int = 1, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def make_metric(client: Metronome, *group_keys: list[str]) -> str:
    return client.v1.billable_metrics.create(
        name="Tokens",
        aggregation_type="SUM",
        aggregation_key="tokens",
        property_filters=[
            {"name": "tokens", "exists": True},
            *(
                {"name": name, "exists": True}
                for name in sorted({name for key in group_keys for name in key})
            ),
        ],
        group_keys=list(group_keys),
    ).data.id


def read(server: Server, product_id: str) -> dict[str, Any]:
    answer = server.post(f"{PATH}/get", {"id": product_id})
    assert answer.status_code == 200, answer.text
    server.client.v1.contracts.products.retrieve(id=product_id)
    return answer.json()["data"]


def make(server: Server, body: dict[str, Any]) -> str:
    answer = server.post(f"{PATH}/create", body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["id"]


def change(server: Server, product_id: str, starting_at: datetime, **attributes: Any) -> None:
    body = {"product_id": product_id, "starting_at": starting_at.isoformat(), **attributes}
    answer = server.post(f"{PATH}/update", body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"data": {"id": product_id}}


def test_fixed_product_with_its_defaults(client: Metronome) -> None:
    created = client.v1.contracts.products.create(name="Prepayment", type="FIXED").data
    product = client.v1.contracts.products.retrieve(id=created.id).data
    assert (product.id, product.type, product.archived_at) == (created.id, "FIXED", None)
    assert product.initial == product.current
    assert (product.initial.name, product.initial.created_at) == ("Prepayment", NOW)
    assert product.initial.created_by
    assert (product.initial.tags, product.initial.is_refundable) == ([], True)
    assert product.initial.starting_at is None
    assert product.initial.billable_metric_id is None
    assert product.initial.quantity_conversion is None
    assert product.updates == []
    assert product.custom_fields == {}


def test_every_field_of_a_usage_product_comes_back(server: Server) -> None:
    client = server.client
    client.v1.custom_fields.add_key(entity="contract_product", key="sku", enforce_uniqueness=False)
    metric = make_metric(client, ["model", "region", "user"])
    created = client.v1.contracts.products.create(
        name="Tokens",
        type="USAGE",
        billable_metric_id=metric,
        sql_breakdown_granularity="HOUR",
        tags=["llm", "beta"],
        is_refundable=False,
        netsuite_internal_item_id="ns-1",
        netsuite_overage_item_id="ns-2",
        exclude_free_usage=False,
        include_composite_spend=False,
        composite_product_ids=[],
        composite_tags=[],
        pricing_group_key=["region", "model"],
        presentation_group_key=["user", "region"],
        quantity_conversion={"name": "millions", "conversion_factor": 1_000_000, "operation": "DIVIDE"},
        quantity_rounding={"rounding_method": "ROUND_HALF_UP", "decimal_places": 2},
        custom_fields={"sku": "t-1"},
        extra_body={"composite_scope": "CONTRACT"},
    ).data
    product = read(server, created.id)
    initial = product["initial"]
    assert product["custom_fields"] == {"sku": "t-1"}
    assert product["type"] == "USAGE"
    assert initial.pop("created_by")
    assert initial == {
        "created_at": "2026-01-15T12:00:00Z",
        "name": "Tokens",
        "billable_metric_id": metric,
        "sql_breakdown_granularity": "HOUR",
        "tags": ["llm", "beta"],
        "is_refundable": False,
        "netsuite_internal_item_id": "ns-1",
        "netsuite_overage_item_id": "ns-2",
        "exclude_free_usage": False,
        "include_composite_spend": False,
        "composite_product_ids": [],
        "composite_tags": [],
        "composite_scope": "CONTRACT",
        "pricing_group_key": ["region", "model"],
        "presentation_group_key": ["user", "region"],
        "quantity_conversion": {"name": "millions", "conversion_factor": 1000000, "operation": "DIVIDE"},
        "quantity_rounding": {"rounding_method": "ROUND_HALF_UP", "decimal_places": 2},
    }
    assert {key: value for key, value in product["current"].items() if key != "created_by"} == initial


def test_custom_fields_can_be_set_later(client: Metronome) -> None:
    client.v1.custom_fields.add_key(entity="contract_product", key="sku", enforce_uniqueness=True)
    product = client.v1.contracts.products.create(name="Fee", type="FIXED").data
    client.v1.custom_fields.set_values(
        entity="contract_product", entity_id=product.id, custom_fields={"sku": "1"}
    )
    assert client.v1.contracts.products.retrieve(id=product.id).data.custom_fields == {"sku": "1"}
    [listed] = client.v1.contracts.products.list().data
    assert listed.custom_fields == {"sku": "1"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("0.1", "0.1"),
        ("1e6", "1000000"),
        ("1.50", "1.5"),
        ("3.00000000000000000000000000000000001", "3.00000000000000000000000000000000001"),
    ],
)
def test_conversion_factors_keep_every_digit(server: Server, given: str, shown: str) -> None:
    metric = make_metric(server.client)
    body = (
        f'{{"name": "Exact", "type": "usage", "billable_metric_id": "{metric}", "quantity_conversion": '
        f'{{"conversion_factor": {given}, "operation": "multiply"}}}}'
    )
    answer = server.request(
        "POST", f"{PATH}/create", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    text = server.post(f"{PATH}/get", {"id": answer.json()["data"]["id"]}).text
    assert f'{{"conversion_factor":{shown},"operation":"MULTIPLY"}}' in text


@pytest.mark.parametrize("kind", ["FIXED", "fixed", "Fixed"])
def test_types_are_taken_in_any_documented_case(server: Server, kind: str) -> None:
    assert read(server, make(server, {"name": "Fee", "type": kind}))["type"] == "FIXED"


def test_enum_cases_of_conversion_and_rounding(server: Server) -> None:
    product = make(
        server,
        {
            "name": "Cased",
            "type": "usage",
            "billable_metric_id": make_metric(server.client),
            "sql_breakdown_granularity": "service_period",
            "quantity_conversion": {"conversion_factor": 2, "operation": "divide", "name": None},
            "quantity_rounding": {"rounding_method": "round_up", "decimal_places": 3.0},
        },
    )
    initial = read(server, product)["initial"]
    assert initial["sql_breakdown_granularity"] == "SERVICE_PERIOD"
    assert initial["quantity_conversion"] == {"conversion_factor": 2, "operation": "DIVIDE"}
    assert initial["quantity_rounding"] == {"rounding_method": "ROUND_UP", "decimal_places": 3}


@pytest.mark.parametrize(
    "kind", ["SUBSCRIPTION", "COMPOSITE", "PROFESSIONAL_SERVICE", "PRO_SERVICE", "pro_service", "composite"]
)
def test_types_not_built_are_refused_by_name(server: Server, kind: str) -> None:
    answer = server.post(f"{PATH}/create", {"name": "Later", "type": kind})
    assert answer.status_code == 501, answer.text
    assert answer.json()["message"].startswith("type: ")
    assert server.client.v1.contracts.products.list(archive_filter="ALL").data == []


def test_group_keys_may_share_a_property_and_use_part_of_a_declared_key(client: Metronome) -> None:
    metric = make_metric(client, ["model"], ["region", "model", "user"])
    product = client.v1.contracts.products.create(
        name="Tokens",
        type="USAGE",
        billable_metric_id=metric,
        pricing_group_key=["model"],
        presentation_group_key=["model", "region"],
    ).data
    current = client.v1.contracts.products.retrieve(id=product.id).data.current
    assert (current.pricing_group_key, current.presentation_group_key) == (["model"], ["model", "region"])


def test_group_keys_must_lie_in_one_declared_key(client: Metronome) -> None:
    metric = make_metric(client, ["model"], ["region"])
    for keys in (
        {"pricing_group_key": ["model", "region"]},
        {"pricing_group_key": ["model"], "presentation_group_key": ["region"]},
        {"presentation_group_key": ["user"]},
    ):
        with pytest.raises(metronome.BadRequestError) as refused:
            client.v1.contracts.products.create(
                name="Tokens", type="USAGE", billable_metric_id=metric, **keys
            )
        message = refused.value.response.json()["message"]
        assert message.startswith(f"{next(iter(keys))}: ")
        assert "['model'], ['region']" in message
    assert client.v1.contracts.products.list().data == []


def test_updates_take_effect_at_their_start(server: Server) -> None:
    product = make(server, {"name": "January", "type": "FIXED", "tags": ["a"]})
    change(server, product, instant(2), name="February")
    change(server, product, instant(1), tags=["b"])
    change(server, product, instant(3), name="March", is_refundable=False, netsuite_internal_item_id="ns")
    seen = read(server, product)
    assert (seen["current"]["name"], seen["current"]["tags"]) == ("January", ["b"])
    assert seen["current"]["starting_at"] == "2026-01-01T00:00:00Z"
    assert [(item["starting_at"], item.get("name"), item.get("tags")) for item in seen["updates"]] == [
        ("2026-02-01T00:00:00Z", "February", None),
        ("2026-01-01T00:00:00Z", None, ["b"]),
        ("2026-03-01T00:00:00Z", "March", None),
    ]
    assert all(item["created_by"] == seen["initial"]["created_by"] for item in seen["updates"])
    assert (seen["initial"]["name"], seen["initial"]["tags"]) == ("January", ["a"])
    server.move_clock(instant(2))
    seen = read(server, product)["current"]
    assert (seen["name"], seen["tags"], seen["created_at"]) == ("February", ["b"], "2026-01-15T12:00:00Z")
    server.move_clock(instant(3))
    seen = read(server, product)["current"]
    assert (seen["name"], seen["is_refundable"], seen["netsuite_internal_item_id"]) == ("March", False, "ns")


def test_update_carries_when_it_was_made(server: Server) -> None:
    product = make(server, {"name": "Fee", "type": "FIXED"})
    server.move_clock(instant(2, 3))
    change(server, product, instant(1), name="Charge")
    seen = read(server, product)
    assert seen["updates"][0]["created_at"] == "2026-02-03T00:00:00Z"
    assert seen["current"]["created_at"] == "2026-02-03T00:00:00Z"
    assert seen["initial"]["created_at"] == "2026-01-15T12:00:00Z"


def test_the_update_added_last_wins_at_one_start(server: Server) -> None:
    product = make(server, {"name": "Fee", "type": "FIXED", "tags": ["a"]})
    change(server, product, instant(1), name="First", tags=["b"])
    change(server, product, instant(1), name="Second")
    current = read(server, product)["current"]
    assert (current["name"], current["tags"]) == ("Second", ["b"])


def test_usage_attributes_change_and_null_clears_conversion_and_rounding(server: Server) -> None:
    first, second = make_metric(server.client, ["model"]), make_metric(server.client, ["model", "region"])
    product = make(
        server,
        {
            "name": "Tokens",
            "type": "USAGE",
            "billable_metric_id": first,
            "pricing_group_key": ["model"],
            "quantity_conversion": {"conversion_factor": 10, "operation": "DIVIDE"},
            "quantity_rounding": {"rounding_method": "ROUND_DOWN", "decimal_places": 0},
        },
    )
    change(
        server,
        product,
        instant(1),
        billable_metric_id=second,
        presentation_group_key=["region"],
        sql_breakdown_granularity="hour",
        quantity_conversion={"conversion_factor": 0.5, "operation": "MULTIPLY"},
    )
    current = read(server, product)["current"]
    assert current["billable_metric_id"] == second
    assert current["presentation_group_key"] == ["region"]
    assert current["quantity_conversion"] == {"conversion_factor": 0.5, "operation": "MULTIPLY"}
    assert current["quantity_rounding"] == {"rounding_method": "ROUND_DOWN", "decimal_places": 0}
    change(
        server,
        product,
        instant(1),
        quantity_conversion=None,
        quantity_rounding=None,
        pricing_group_key=[],
        presentation_group_key=[],
    )
    seen = read(server, product)
    assert (seen["current"]["quantity_conversion"], seen["current"]["quantity_rounding"]) == (None, None)
    assert (seen["current"]["pricing_group_key"], seen["current"]["presentation_group_key"]) == ([], [])
    assert seen["updates"][1]["quantity_conversion"] is None
    assert "name" not in seen["updates"][1]


def test_metric_swap_must_keep_the_group_keys_possible_at_every_instant(server: Server) -> None:
    grouped, bare = make_metric(server.client, ["model"]), make_metric(server.client)
    product = make(server, {"name": "Tokens", "type": "USAGE", "billable_metric_id": bare})
    change(server, product, instant(3), billable_metric_id=grouped, pricing_group_key=["model"])
    # From March the product groups by model; the metric from February on cannot.
    body = {"product_id": product, "starting_at": "2026-04-01T00:00:00Z", "billable_metric_id": bare}
    answer = server.post(f"{PATH}/update", body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("billable_metric_id: ")
    assert "2026-04-01" in answer.json()["message"]
    # Grouping from February on would fail until March, when the grouped metric comes.
    body = {"product_id": product, "starting_at": "2026-02-01T00:00:00Z", "pricing_group_key": ["model"]}
    answer = server.post(f"{PATH}/update", body)
    assert answer.status_code == 400
    assert "2026-02-01" in answer.json()["message"]
    assert len(read(server, product)["updates"]) == 1
    # A retroactive swap is overruled from March on by the scheduled one.
    change(server, product, instant(1), billable_metric_id=make_metric(server.client))


def test_archived_metric_is_not_for_new_use_but_stays_where_it_is(server: Server) -> None:
    metric = make_metric(server.client, ["model"])
    product = make(server, {"name": "Tokens", "type": "USAGE", "billable_metric_id": metric})
    server.client.v1.billable_metrics.archive(id=metric)
    body = {"name": "More", "type": "USAGE", "billable_metric_id": metric}
    answer = server.post(f"{PATH}/create", body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("billable_metric_id: ")
    change(server, product, instant(1), name="Renamed", pricing_group_key=["model"])
    body = {"product_id": product, "starting_at": "2026-01-01T00:00:00Z", "billable_metric_id": metric}
    assert server.post(f"{PATH}/update", body).status_code == 400


def test_archived_products_stay_readable_and_take_no_update(server: Server) -> None:
    products = server.client.v1.contracts.products
    old, new = make(server, {"name": "Old", "type": "FIXED"}), make(server, {"name": "New", "type": "FIXED"})
    assert products.archive(product_id=old).data.id == old
    assert products.retrieve(id=old).data.archived_at == NOW

    def listed(**wanted: Any) -> list[str]:
        return [item.id for item in products.list(**wanted)]

    assert listed() == listed(archive_filter="NOT_ARCHIVED") == [new]
    assert listed(archive_filter="ARCHIVED") == [old]
    assert sorted(listed(archive_filter="ALL")) == sorted([old, new])
    with pytest.raises(metronome.BadRequestError) as refused:
        products.update(product_id=old, starting_at=NOW, name="Newer")
    assert refused.value.response.json()["message"].startswith("product_id: ")
    server.move_clock(instant(2))
    products.archive(product_id=old)
    assert products.retrieve(id=old).data.archived_at == NOW


def test_pages_are_complete_and_stable_while_products_are_added(client: Metronome) -> None:
    products = client.v1.contracts.products
    before = {products.create(name=f"p{number}", type="FIXED").data.id for number in range(7)}
    seen: list[str] = []
    page = products.list(limit=3)
    while True:
        seen += [item.id for item in page.data]
        if page.next_page is None:
            break
        products.create(name="meanwhile", type="FIXED")
        page = products.list(limit=3, next_page=page.next_page)
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_list_is_oldest_first(server: Server) -> None:
    made = []
    for day in (16, 17, 18):
        server.move_clock(instant(1, day))
        made.append(make(server, {"name": f"day {day}", "type": "FIXED"}))
    assert [item.id for item in server.client.v1.contracts.products.list()] == made


def test_other_environments_products_and_metrics_do_not_exist(server: Server) -> None:
    production = server.client_of(PRODUCTION_TOKEN)
    theirs = production.v1.contracts.products.create(name="Real", type="FIXED").data.id
    metric = make_metric(production)
    calls = [
        ("get", {"id": theirs}, "id"),
        ("update", {"product_id": theirs, "starting_at": "2026-01-01T00:00:00Z", "name": "x"}, "product_id"),
        ("archive", {"product_id": theirs}, "product_id"),
        ("create", {"name": "x", "type": "USAGE", "billable_metric_id": metric}, "billable_metric_id"),
    ]
    for operation, body, named in calls:
        answer = server.post(f"{PATH}/{operation}", body)
        assert answer.status_code == 404, answer.text
        assert answer.json()["message"].startswith(f"{named}: ")
    assert server.client.v1.contracts.products.list(archive_filter="ALL").data == []
    assert production.v1.contracts.products.retrieve(id=theirs).data.archived_at is None


def test_conversion_factors_are_described_as_the_numbers_they_are(server: Server) -> None:
    schemas = server.get("/openapi.json").json()["components"]["schemas"]
    for name in ("QuantityConversionRequest", "QuantityConversionResponse"):
        assert schemas[name]["properties"]["conversion_factor"] == {"type": "number"}
