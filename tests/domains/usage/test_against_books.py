"""Both usage questions, in every window size, against plain-Python books over the same events."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.domains.usage.books import FIRST_DAY, KEYS, LAST_DAY, World, cuts, make_world, value, wire
from tests.support import Server

REGIONS = ["", "eu", "us"]
RANGE = {"starting_on": FIRST_DAY.isoformat(), "ending_before": LAST_DAY.isoformat()}


@pytest.fixture(scope="module")
def world(shared_server: Server) -> World:
    return make_world(shared_server)


def rows_of(server: Server, path: str, body: dict, limit: int | None = None) -> Iterator[dict]:
    """The rows of every page, with exact numbers."""
    parameters = {} if limit is None else {"limit": limit}
    while True:
        answer = server.post(path, body, params=parameters)
        assert answer.status_code == 200, answer.text
        page = json.loads(answer.content, parse_float=Decimal)
        yield from page["data"]
        if page["next_page"] is None:
            return
        parameters["next_page"] = page["next_page"]


@pytest.mark.parametrize("size", ["HOUR", "DAY", "NONE"])
@pytest.mark.parametrize("kind", list(KEYS))
def test_batch_without_groups(shared_server: Server, world: World, kind: str, size: str) -> None:
    body = {**RANGE, "window_size": size, "billable_metrics": [{"id": world.metrics[kind]}]}
    rows = list(rows_of(shared_server, "/v1/usage", body))
    expected = {
        (world.customers[customer], wire(cut[0]), wire(cut[1])): value(
            kind, KEYS[kind], world.of(customer, cut)
        )
        for customer in world.customers
        for cut in cuts(size, FIRST_DAY, LAST_DAY)
    }
    assert {
        (row["customer_id"], row["start_timestamp"], row["end_timestamp"]): row["value"] for row in rows
    } == expected
    assert all("groups" not in row for row in rows)


@pytest.mark.parametrize("size", ["HOUR", "DAY", "NONE"])
@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("values", [None, ["us", "nowhere"]])
def test_batch_by_region(
    shared_server: Server, world: World, kind: str, size: str, values: list[str] | None
) -> None:
    by = {"key": "region"} if values is None else {"key": "region", "values": values}
    body = {
        **RANGE,
        "window_size": size,
        "billable_metrics": [{"id": world.metrics[kind], "group_by": by}],
        "customer_ids": [world.customers["one"]],
    }
    expected = []
    for cut in cuts(size, FIRST_DAY, LAST_DAY):
        events = world.of("one", cut)
        if events:
            by_region = {
                name: world.of("one", cut, lambda given, name=name: given.get("region") == name)
                for name in values or REGIONS
            }
            groups = {
                name: value(kind, KEYS[kind], inside) if inside else None
                for name, inside in by_region.items()
                if inside or values
            }
            expected.append((wire(cut[0]), value(kind, KEYS[kind], events), groups))
    rows = rows_of(shared_server, "/v1/usage", body)
    assert [(row["start_timestamp"], row["value"], row["groups"]) for row in rows] == expected


@pytest.mark.parametrize("size", ["HOUR", "DAY", "NONE"])
@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("limit", [None, 1, 7])
def test_groups_by_region_and_team(
    shared_server: Server, world: World, kind: str, size: str, limit: int | None
) -> None:
    if limit == 1 and size == "HOUR":
        limit = 3
    body = {
        **RANGE,
        "window_size": size,
        "customer_id": world.customers["one"],
        "billable_metric_id": world.metrics[kind],
        "group_key": ["region", "team"],
    }
    expected = []
    for cut in cuts(size, FIRST_DAY, LAST_DAY):
        for region in [None, *REGIONS]:
            for team in [None, "x", "y"]:
                events = world.of(
                    "one",
                    cut,
                    lambda given, region=region, team=team: (
                        (given.get("region"), given.get("team")) == (region, team)
                    ),
                )
                if events:
                    named = {"region": region, "team": team}
                    group = {name: text for name, text in named.items() if text is not None}
                    expected.append(
                        {
                            "starting_on": wire(cut[0]),
                            "ending_before": wire(cut[1]),
                            "group_key": None,
                            "group_value": None,
                            "value": value(kind, KEYS[kind], events),
                            "group": group,
                        }
                    )
    assert list(rows_of(shared_server, "/v1/usage/groups", body, limit)) == expected


@pytest.mark.parametrize("size", ["HOUR", "DAY", "NONE"])
@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("limit", [None, 11])
def test_groups_without_a_key(
    shared_server: Server, world: World, kind: str, size: str, limit: int | None
) -> None:
    body = {
        **RANGE,
        "window_size": size,
        "customer_id": world.customers["two"],
        "billable_metric_id": world.metrics[kind],
    }
    expected = [
        {
            "starting_on": wire(cut[0]),
            "ending_before": wire(cut[1]),
            "group_key": None,
            "group_value": None,
            "value": value(kind, KEYS[kind], world.of("two", cut)),
        }
        for cut in cuts(size, FIRST_DAY, LAST_DAY)
    ]
    assert list(rows_of(shared_server, "/v1/usage/groups", body, limit)) == expected


def test_the_official_client_reads_every_row(shared_server: Server, world: World) -> None:
    client = shared_server.client
    rows = client.v1.usage.list(window_size="HOUR", starting_on=FIRST_DAY, ending_before=LAST_DAY)
    assert len(list(rows)) == len(world.customers) * len(world.metrics) * 24 * 4
    for kind, metric in world.metrics.items():
        rows = client.v1.usage.list_with_groups(
            window_size="NONE",
            starting_on=FIRST_DAY,
            ending_before=LAST_DAY,
            customer_id=world.customers["one"],
            billable_metric_id=metric,
            group_key=["region"],
            group_filters={"region": ["eu", "us"]},
            limit=1,
        )
        cut = FIRST_DAY, LAST_DAY
        assert [(row.group_key, row.group_value, row.group, Decimal(str(row.value))) for row in rows] == [
            (
                "region",
                name,
                {"region": name},
                value(
                    kind,
                    KEYS[kind],
                    world.of("one", cut, lambda given, name=name: given.get("region") == name),
                ),
            )
            for name in ("eu", "us")
        ]
