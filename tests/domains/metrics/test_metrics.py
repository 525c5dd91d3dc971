"""Billable metrics through the official client, strict about every answer."""

from datetime import UTC, datetime

import metronome
import pytest
from metronome import Metronome

from tests.support import NOW, PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused

TOKENS = {
    "name": "Tokens",
    "event_type_filter": {"in_values": ["inference"], "not_in_values": ["trial"]},
    "property_filters": [
        {"name": "tokens", "exists": True},
        {"name": "region", "exists": True, "in_values": ["eu", "us"]},
        {"name": "team", "not_in_values": ["internal"]},
        {"name": "test", "exists": False},
    ],
    "aggregation_type": "SUM",
    "aggregation_key": "tokens",
    "group_keys": [["region"], ["team", "region"]],
}


def test_create_answers_what_get_and_list_answer(client: Metronome) -> None:
    client.v1.custom_fields.add_key(entity="billable_metric", key="owner", enforce_uniqueness=False)
    made = client.v1.billable_metrics.create(**TOKENS, custom_fields={"owner": "ml"}).data.id
    detail = client.v1.billable_metrics.retrieve(billable_metric_id=made).data
    assert detail.to_dict(mode="json") == {**TOKENS, "id": made, "custom_fields": {"owner": "ml"}}
    assert [item.to_dict() for item in client.v1.billable_metrics.list()] == [detail.to_dict()]


def test_smallest_metric_counts_every_event(server: Server) -> None:
    made = server.client.v1.billable_metrics.create(name="All", aggregation_type="COUNT").data.id
    assert server.get(f"/v1/billable-metrics/{made}").json() == {
        "data": {
            "id": made,
            "name": "All",
            "property_filters": [],
            "aggregation_type": "COUNT",
            "group_keys": [],
            "custom_fields": {},
        }
    }


@pytest.mark.parametrize("kind", ["COUNT", "LATEST", "MAX", "SUM", "UNIQUE"])
def test_aggregations_are_taken_in_every_documented_casing(shared_server: Server, kind: str) -> None:
    for text in (kind, kind.lower(), kind.capitalize()):
        body = {"name": text, "aggregation_type": text}
        if kind != "COUNT":
            body |= {"aggregation_key": "n", "property_filters": [{"name": "n"}]}
        made = shared_server.post("/v1/billable-metrics/create", body).json()["data"]["id"]
        detail = shared_server.client.v1.billable_metrics.retrieve(billable_metric_id=made).data
        assert detail.aggregation_type == kind


def test_count_keeps_an_aggregation_key_without_using_it(server: Server) -> None:
    body = {
        "name": "Calls",
        "aggregation_type": "count",
        "aggregation_key": "n",
        "property_filters": [{"name": "n"}],
    }
    made = server.post("/v1/billable-metrics/create", body).json()["data"]["id"]
    detail = server.client.v1.billable_metrics.retrieve(billable_metric_id=made).data
    assert (detail.aggregation_type, detail.aggregation_key) == ("COUNT", "n")


def test_nulls_and_empty_lists_say_nothing(server: Server) -> None:
    body = {
        "name": "Nulls",
        "sql": None,
        "aggregation_type": "COUNT",
        "aggregation_key": None,
        "event_type_filter": {"in_values": None},
        "property_filters": [],
        "group_keys": [],
        "custom_fields": None,
    }
    made = server.post("/v1/billable-metrics/create", body).json()["data"]["id"]
    assert "event_type_filter" not in server.get(f"/v1/billable-metrics/{made}").json()["data"]


def test_all_problems_come_in_one_message(server: Server) -> None:
    body = {
        "name": "Bad",
        "aggregation_type": "SUM",
        "aggregation_key": "tokens",
        "property_filters": [{"name": "region"}],
        "group_keys": [["region", "team"], ["cluster"]],
    }
    answer = server.post("/v1/billable-metrics/create", body)
    assert answer.status_code == 400
    for named in ("aggregation_key", "'tokens'", "group_keys[0]", "'team'", "group_keys[1]", "'cluster'"):
        assert named in answer.json()["message"]


def test_keys_that_are_not_filters_are_told_in_the_published_words_all_at_once(server: Server) -> None:
    body = {
        "name": "Bad",
        "aggregation_type": "SUM",
        "aggregation_key": "tokens",
        "property_filters": [{"name": "region"}],
        "group_keys": [["team"]],
    }
    message = server.post("/v1/billable-metrics/create", body).json()["message"]
    assert "Group key 'team' does not match one of the property filter names." in message
    assert "The specified aggregation key must be one of the property filter names." in message


def test_only_the_name_changes(client: Metronome) -> None:
    made = client.v1.billable_metrics.create(**TOKENS).data.id
    assert client.v1.billable_metrics.update(billable_metric_id=made, name="New").data.id == made
    detail = client.v1.billable_metrics.retrieve(billable_metric_id=made).data
    assert detail.to_dict(mode="json") == {**TOKENS, "id": made, "name": "New", "custom_fields": {}}


def test_archived_metrics_are_got_but_listed_only_on_demand(server: Server) -> None:
    client = server.client
    kept, gone = (client.v1.billable_metrics.create(**{**TOKENS, "name": name}).data.id for name in "ab")
    assert client.v1.billable_metrics.archive(id=gone).data.id == gone
    server.move_clock(datetime(2026, 1, 20, tzinfo=UTC))
    assert client.v1.billable_metrics.archive(id=gone).data.id == gone
    assert client.v1.billable_metrics.retrieve(billable_metric_id=gone).data.archived_at == NOW
    assert [item.id for item in client.v1.billable_metrics.list()] == [kept]
    assert {item.id for item in client.v1.billable_metrics.list(include_archived=True)} == {kept, gone}
    assert [item.id for item in client.v1.billable_metrics.list(include_archived=False)] == [kept]
    client.v1.billable_metrics.update(billable_metric_id=gone, name="still renamed")


def test_pages_are_complete_and_stable_while_metrics_are_added(client: Metronome) -> None:
    def create(name: str) -> str:
        return client.v1.billable_metrics.create(name=name, aggregation_type="COUNT").data.id

    before = {create(f"m{number}") for number in range(7)}
    seen = []
    page = client.v1.billable_metrics.list(limit=2)
    while True:
        seen += [metric.id for metric in page.data]
        if page.next_page is None:
            break
        create("meanwhile")
        page = client.v1.billable_metrics.list(limit=100, next_page=page.next_page)
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_other_environments_metrics_do_not_exist(server: Server) -> None:
    theirs = server.client_of(PRODUCTION_TOKEN).v1.billable_metrics.create(**TOKENS).data.id
    with pytest.raises(metronome.NotFoundError):
        server.client.v1.billable_metrics.retrieve(billable_metric_id=theirs)
    with pytest.raises(metronome.NotFoundError):
        server.client.v1.billable_metrics.update(billable_metric_id=theirs, name="mine")
    with pytest.raises(metronome.NotFoundError):
        server.client.v1.billable_metrics.archive(id=theirs)
    assert list(server.client.v1.billable_metrics.list(include_archived=True)) == []


def test_custom_fields_of_a_metric_can_be_set_later(client: Metronome) -> None:
    made = client.v1.billable_metrics.create(name="All", aggregation_type="COUNT").data.id
    client.v1.custom_fields.add_key(entity="billable_metric", key="owner", enforce_uniqueness=False)
    client.v1.custom_fields.set_values(
        entity="billable_metric", entity_id=made, custom_fields={"owner": "ml"}
    )
    detail = client.v1.billable_metrics.retrieve(billable_metric_id=made).data
    assert detail.custom_fields == {"owner": "ml"}


def test_old_form_is_translated(server: Server) -> None:
    document = {
        "$schema": "http://json-schema.org/draft-07/schema",
        "type": "object",
        "required": ["event_type", "properties"],
        "properties": {
            "event_type": {"enum": ["inference", "batch"]},
            "properties": {
                "type": "object",
                "required": ["tokens", "region"],
                "properties": {
                    "region": {"type": "string", "const": "eu"},
                    "plan": {"not": {"enum": ["free"]}},
                },
            },
        },
    }
    body = {
        "name": "Old",
        "aggregate": "Sum",
        "aggregate_key": "tokens",
        "filter": document,
        "group_keys": ["region", "team"],
    }
    made = server.post("/v1/billable-metrics", body).json()["data"]["id"]
    assert server.client.v1.billable_metrics.retrieve(billable_metric_id=made).data.to_dict() == {
        "id": made,
        "name": "Old",
        "event_type_filter": {"in_values": ["inference", "batch"]},
        "property_filters": [
            {"name": "region", "exists": True, "in_values": ["eu"]},
            {"name": "plan", "not_in_values": ["free"]},
            {"name": "tokens", "exists": True},
            {"name": "team"},
        ],
        "aggregation_type": "SUM",
        "aggregation_key": "tokens",
        "group_keys": [["region"], ["team"]],
        "custom_fields": {},
    }


def test_old_form_as_the_published_example_has_it(server: Server) -> None:
    document = {
        "type": "object",
        "$schema": "http://json-schema.org/draft-07/schema",
        "required": ["event_type"],
    }
    body = {"name": "CPU hours", "aggregate": "Count", "filter": document}
    assert server.post("/v1/billable-metrics", body).status_code == 200


INEXPRESSIBLE = [
    {"type": "array"},
    {"anyOf": []},
    {"required": "event_type"},
    {"required": ["shoe_size"]},
    {"properties": []},
    {"properties": {"timestamp": {"const": "x"}}},
    {"properties": {"event_type": {"pattern": "^a"}}},
    {"properties": {"event_type": {"const": 5}}},
    {"properties": {"event_type": {"enum": []}}},
    {"properties": {"event_type": True}},
    {"properties": {"event_type": {"not": {"pattern": "a"}}}},
    {"properties": {"properties": {"properties": {"n": {"type": "number"}}}}},
    {"properties": {"properties": {"properties": {"region": {"const": "eu"}}}}},
    {"properties": {"properties": {"additionalProperties": False}}},
    {"properties": {"properties": {"required": [""]}}},
    {"$comment": {"a": {"a": {"a": 1}}}},
    {"title": 1.10},
    {"properties": {"event_type": {"description": ["x"]}}},
    {"properties": {"properties": {"$id": None}}},
]


@pytest.mark.parametrize("document", INEXPRESSIBLE)
def test_filter_documents_beyond_property_filters_are_not_built(
    shared_server: Server, document: dict
) -> None:
    body = {"name": "Old", "aggregate": "count", "filter": document}
    answer = shared_server.post("/v1/billable-metrics", body)
    assert answer.status_code == 501, answer.text
    assert answer.json()["message"].startswith("filter")


BASE = {"name": "x", "aggregation_type": "COUNT"}
BAD_CREATES = [
    ({"aggregation_type": "COUNT"}, 400, "name"),
    ({**BASE, "name": None}, 400, "name"),
    ({**BASE, "name": 5}, 400, "name"),
    ({**BASE, "name": ""}, 400, "name"),
    ({**BASE, "name": "a\u0000"}, 400, "name"),
    ({"name": "x"}, 400, "aggregation_type"),
    ({**BASE, "aggregation_type": "MEAN"}, 400, "aggregation_type"),
    ({**BASE, "aggregation_type": "cOUNT"}, 400, "aggregation_type"),
    ({**BASE, "aggregation_type": 1}, 400, "aggregation_type"),
    ({**BASE, "aggregation_type": "SUM"}, 400, "aggregation_key"),
    ({**BASE, "aggregation_type": "MAX"}, 400, "aggregation_key"),
    ({**BASE, "aggregation_type": "LATEST"}, 400, "aggregation_key"),
    ({**BASE, "aggregation_type": "UNIQUE"}, 400, "aggregation_key"),
    ({**BASE, "aggregation_key": "n"}, 400, "aggregation_key"),
    ({**BASE, "aggregation_key": ""}, 400, "aggregation_key"),
    ({**BASE, "aggregation_key": ["n"]}, 400, "aggregation_key"),
    ({**BASE, "event_type_filter": []}, 400, "event_type_filter"),
    ({**BASE, "event_type_filter": {"in_values": []}}, 400, "event_type_filter.in_values"),
    ({**BASE, "event_type_filter": {"not_in_values": []}}, 400, "event_type_filter.not_in_values"),
    ({**BASE, "event_type_filter": {"in_values": [1]}}, 400, "event_type_filter.in_values[0]"),
    ({**BASE, "event_type_filter": {"exists": True}}, 400, "event_type_filter.exists"),
    ({**BASE, "property_filters": {}}, 400, "property_filters"),
    ({**BASE, "property_filters": [{}]}, 400, "property_filters[0].name"),
    ({**BASE, "property_filters": [{"name": ""}]}, 400, "property_filters[0].name"),
    ({**BASE, "property_filters": [{"name": "a", "exists": "yes"}]}, 400, "property_filters[0].exists"),
    ({**BASE, "property_filters": [{"name": "a", "in_values": []}]}, 400, "property_filters[0].in_values"),
    (
        {**BASE, "property_filters": [{"name": "a", "not_in_values": []}]},
        400,
        "property_filters[0].not_in_values",
    ),
    ({**BASE, "property_filters": [{"name": "a", "gt": 5}]}, 400, "property_filters[0].gt"),
    ({**BASE, "group_keys": ["a"]}, 400, "group_keys[0]"),
    ({**BASE, "group_keys": [[]]}, 400, "group_keys[0]"),
    ({**BASE, "group_keys": [[""]]}, 400, "group_keys[0][0]"),
    ({**BASE, "group_keys": [["a"]]}, 400, "group_keys[0]"),
    ({**BASE, "property_filters": [{"name": "a"}], "group_keys": [["a", "a"]]}, 400, "group_keys[0]"),
    (
        {
            **BASE,
            "property_filters": [{"name": "a"}, {"name": "b"}],
            "group_keys": [["a", "b"], ["b", "a"]],
        },
        400,
        "group_keys[1]",
    ),
    (
        {**BASE, "property_filters": [{"name": "a"}], "group_keys": [["a"]] * 101},
        400,
        "group_keys",
    ),
    ({**BASE, "group_keys": [["a"] * 101]}, 400, "group_keys[0]"),
    (
        {**BASE, "property_filters": [{"name": str(number)} for number in range(501)]},
        400,
        "property_filters",
    ),
    ({**BASE, "custom_fields": {"undeclared": "v"}}, 400, "undeclared"),
    ({**BASE, "custom_fields": {"k": 1}}, 400, "custom_fields"),
    ({**BASE, "unit": "token"}, 400, "unit"),
    ({"name": "x", "sql": 5}, 400, "sql"),
    ({"name": "x", "sql": "SELECT 1", "aggregation_type": "SUM"}, 400, "aggregation_type"),
    ({"name": "x", "sql": "SELECT 1", "event_type_filter": {}}, 400, "event_type_filter"),
    ({"name": "x", "sql": "SELECT 1", "property_filters": []}, 400, "property_filters"),
    ({"name": "x", "sql": "SELECT 1", "aggregation_key": "a"}, 400, "aggregation_key"),
    ({"name": "x", "sql": "SELECT 1", "group_keys": []}, 400, "group_keys"),
]


@pytest.mark.parametrize(("body", "status", "named"), BAD_CREATES)
def test_bad_create_is_refused_naming_the_field(
    shared_server: Server, body: dict, status: int, named: str
) -> None:
    before = len(shared_server.get("/v1/billable-metrics?limit=100").json()["data"])
    answer = shared_server.post("/v1/billable-metrics/create", body)
    assert_refused(answer, status, named)
    assert len(shared_server.get("/v1/billable-metrics?limit=100").json()["data"]) == before


OLD = {"name": "x", "aggregate": "count", "filter": {}}
BAD_CALLS = [
    ("POST", "/v1/billable-metrics", {**OLD, "name": ""}, 400, "name"),
    ("POST", "/v1/billable-metrics", {**OLD, "aggregate": "mean"}, 400, "aggregate"),
    ("POST", "/v1/billable-metrics", {**OLD, "filter": []}, 400, "filter"),
    ("POST", "/v1/billable-metrics", {"name": "x", "aggregate": "count"}, 400, "filter"),
    ("POST", "/v1/billable-metrics", {"name": "x", "filter": {}}, 400, "aggregate"),
    ("POST", "/v1/billable-metrics", {**OLD, "aggregate_key": 5}, 400, "aggregate_key"),
    ("POST", "/v1/billable-metrics", {**OLD, "aggregate": "sum"}, 400, "aggregate_key"),
    ("POST", "/v1/billable-metrics", {**OLD, "group_keys": [["a"]]}, 400, "group_keys[0]"),
    ("POST", "/v1/billable-metrics", {**OLD, "group_keys": ["a", "a"]}, 400, "group_keys[1]"),
    ("POST", "/v1/billable-metrics", {**OLD, "group_keys": ["a"] * 101}, 400, "group_keys"),
    ("POST", "/v1/billable-metrics", {**OLD, "group_values": ["a"]}, 501, "group_values"),
    ("POST", "/v1/billable-metrics", {**OLD, "custom_fields": {}}, 400, "custom_fields"),
    ("GET", "/v1/billable-metrics/not-a-uuid", None, 400, "billable_metric_id"),
    ("GET", f"/v1/billable-metrics/{UNKNOWN}", None, 404, "billable_metric_id"),
    ("GET", f"/v1/billable-metrics/{UNKNOWN}?x=1", None, 400, "x"),
    ("GET", "/v1/billable-metrics?limit=0", None, 400, "limit"),
    ("GET", "/v1/billable-metrics?limit=101", None, 400, "limit"),
    ("GET", "/v1/billable-metrics?limit=ten", None, 400, "limit"),
    ("GET", "/v1/billable-metrics?next_page=abc", None, 400, "next_page"),
    ("GET", "/v1/billable-metrics?colour=red", None, 400, "colour"),
    ("GET", "/v1/billable-metrics?include_archived=perhaps", None, 400, "include_archived"),
    ("PUT", f"/v1/billable-metrics/{UNKNOWN}", {"name": "x"}, 404, "billable_metric_id"),
    ("PUT", f"/v1/billable-metrics/{UNKNOWN}", {}, 400, "name"),
    ("PUT", f"/v1/billable-metrics/{UNKNOWN}", {"name": ""}, 400, "name"),
    ("PUT", f"/v1/billable-metrics/{UNKNOWN}", {"name": 1}, 400, "name"),
    (
        "PUT",
        f"/v1/billable-metrics/{UNKNOWN}",
        {"name": "x", "aggregation_type": "SUM"},
        400,
        "aggregation_type",
    ),
    ("POST", "/v1/billable-metrics/archive", {"id": UNKNOWN}, 404, "id"),
    ("POST", "/v1/billable-metrics/archive", {"id": "x"}, 400, "id"),
    ("POST", "/v1/billable-metrics/archive", {}, 400, "id"),
    ("POST", "/v1/billable-metrics/archive", {"id": UNKNOWN, "now": True}, 400, "now"),
    ("DELETE", f"/v1/billable-metrics/{UNKNOWN}", None, 405, "DELETE"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "named"), BAD_CALLS)
def test_bad_call_is_refused_naming_the_field(
    shared_server: Server, method: str, path: str, body: dict | None, status: int, named: str
) -> None:
    answer = shared_server.request(method, path, json=body)
    assert_refused(answer, status, named)
