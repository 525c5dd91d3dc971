"""What metrics count, over HTTP: filters, numbers, several metrics on one event. Expected by hand.

Rules: metering.md 1.5, 2.2, 2.3, 2.9; design decisions 4 to 6, 8, 9.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.metering.over_http import (
    WHOLE_DAY,
    assert_taken,
    create_customer,
    create_metric,
    event,
    raw,
    send,
    value,
    with_properties,
)
from tests.support import NOW, Server, assert_refused, serving

ABSENT = "absent"
VALUES = [
    # the property as JSON, and by which text filters know it; None: it does not exist
    (ABSENT, None),
    ("null", None),
    ('""', ""),
    ('"a"', "a"),
    ('"A"', "A"),
    ('" a"', " a"),
    ('"b"', "b"),
    ("true", "true"),
    ('"true"', "true"),
    ('"True"', "True"),
    ("false", "false"),
    ("1.5", "1.5"),
    ("1.50", "1.5"),
    ("15e-1", "1.5"),
    ('"1.5"', "1.5"),
    ('"1.50"', "1.50"),
    ("10", "10"),
    ("10.0", "10"),
    ("1E1", "10"),
    ("-0.0", "0"),
    ("[]", "[]"),
    ('["a", 1.50]', '["a",1.5]'),
    ("{}", "{}"),
    ('{"k": null, "a": true}', '{"a":true,"k":null}'),
]
KNOWN = ["a", "true", "1.5", "10", "", '["a",1.5]']
RULES: dict[str, tuple[dict[str, Any], Any]] = {
    # the filter, and whether the text of a property passes
    "no rule": ({}, lambda _: True),
    "exists null": ({"exists": None}, lambda _: True),
    "exists": ({"exists": True}, lambda text: text is not None),
    "exists not": ({"exists": False}, lambda text: text is None),
    "in": ({"in_values": KNOWN}, lambda text: text in KNOWN),
    "not in": ({"not_in_values": KNOWN}, lambda text: text not in KNOWN),
    "exists, in": ({"exists": True, "in_values": KNOWN}, lambda text: text in KNOWN),
    "exists, not in": (
        {"exists": True, "not_in_values": KNOWN},
        lambda text: text is not None and text not in KNOWN,
    ),
    "exists not, in": ({"exists": False, "in_values": KNOWN}, lambda _: False),
    "exists not, not in": ({"exists": False, "not_in_values": KNOWN}, lambda text: text is None),
    "in and not in": (
        {"in_values": KNOWN, "not_in_values": ["a", "true"]},
        lambda text: text in KNOWN and text not in ("a", "true"),
    ),
    "in with nothing in common": ({"in_values": ["a"], "not_in_values": ["a"]}, lambda _: False),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """How many events each rule counts of a customer who sent one with each value."""
    with serving(tmp_path_factory.mktemp("table") / "data") as server:
        metrics = {
            create_metric(server, "COUNT", property_filters=[{"name": "p", **rule}]): name
            for name, (rule, _) in RULES.items()
        }
        owners = {}
        for number, (json, _) in enumerate(VALUES):
            owners[create_customer(server, f"c{number}")] = json
            properties = "{}" if json == ABSENT else f'{{"p": {json}}}'
            body = with_properties(properties, number).replace("somebody", f"c{number}")
            assert raw(server, body).status_code == 200
        question = {"window_size": "NONE", **WHOLE_DAY}
        rows = server.post("/v1/usage", question).json()
        assert rows["next_page"] is None
        return {
            (metrics[row["billable_metric_id"]], owners[row["customer_id"]]): row["value"]
            for row in rows["data"]
        }


@pytest.mark.parametrize(("json", "text"), VALUES)
@pytest.mark.parametrize("rule", RULES)
def test_filters_know_properties_by_their_text(
    table: dict[tuple[str, str], Any], rule: str, json: str, text: str | None
) -> None:
    assert table[rule, json] == (1 if RULES[rule][1](text) else 0)


def test_events_without_properties_lack_them_all(server: Server) -> None:
    customer = create_customer(server, "somebody")
    absent = create_metric(server, "COUNT", property_filters=[{"name": "p", "exists": False}])
    there = create_metric(server, "COUNT", property_filters=[{"name": "p", "exists": True}])
    assert_taken(server, event(1), event(2, properties=None), event(3, properties={}))
    assert (value(server, customer, absent), value(server, customer, there)) == (3, 0)


def test_all_filters_must_pass(server: Server) -> None:
    customer = create_customer(server, "somebody")
    rules = [
        {"name": "p", "in_values": ["a"]},
        {"name": "q", "not_in_values": ["b"]},
        {"name": "p", "exists": True},
    ]
    metric = create_metric(server, "COUNT", property_filters=rules)
    sent = [{"p": "a"}, {"p": "a", "q": "c"}, {"p": "a", "q": "b"}, {"q": "c"}, {"p": "b"}]
    assert_taken(server, *[event(number, properties=given) for number, given in enumerate(sent)])
    assert value(server, customer, metric) == 2


@pytest.mark.parametrize("name", ["event_type_filter", "property_filters"])
@pytest.mark.parametrize("field", ["in_values", "not_in_values"])
def test_lists_of_filters_are_not_empty(shared_server: Server, name: str, field: str) -> None:
    rule = {field: []}
    given = rule if name == "event_type_filter" else [{"name": "p", **rule}]
    body = {"name": "m", "aggregation_type": "COUNT", name: given}
    assert_refused(shared_server.post("/v1/billable-metrics/create", body), 400, field)


EVENT_TYPES = [
    ({}, ["call", "Call", "calls", " call"]),
    ({"in_values": ["call"]}, ["call"]),
    ({"in_values": ["call", "Call"]}, ["call", "Call"]),
    ({"not_in_values": ["call"]}, ["Call", "calls", " call"]),
    ({"in_values": ["call", "calls"], "not_in_values": ["calls"]}, ["call"]),
]


@pytest.mark.parametrize(("rule", "counted"), EVENT_TYPES, ids=str)
def test_event_types_are_compared_exactly(server: Server, rule: dict[str, Any], counted: list[str]) -> None:
    customer = create_customer(server, "somebody")
    metric = create_metric(server, "COUNT", event_type_filter=rule, group_keys=[["kind"]])
    kinds = ["call", "Call", "calls", " call"]
    assert_taken(server, *[event(kind, event_type=kind, properties={"kind": kind}) for kind in kinds])
    assert value(server, customer, metric) == len(counted)
    question = {
        "customer_id": customer,
        "billable_metric_id": metric,
        "window_size": "NONE",
        "group_key": ["kind"],
        **WHOLE_DAY,
    }
    rows = server.post("/v1/usage/groups", question).json()["data"]
    assert {row["group_value"] for row in rows} == set(counted)


NUMBERS: list[tuple[str, str | None]] = [
    # the property as JSON, and the number that it is; None: it is none
    ("1", "1"),
    ('"1"', "1"),
    ("1.0", "1"),
    ('"1.0"', "1"),
    ("-5", "-5"),
    ('"-5"', "-5"),
    ("0.1", "0.1"),
    ('"0.1"', "0.1"),
    ("-0.0", "0"),
    ('"-0"', "0"),
    ("1e3", "1000"),
    ('"1e3"', "1000"),
    ('"1E+3"', "1000"),
    ('"25e-1"', "2.5"),
    ('"007"', "7"),
    ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ('"12345678901234567890.123456789012345678"', "12345678901234567890.123456789012345678"),
    ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ("0." + "0" * 37 + "1", "0." + "0" * 37 + "1"),
    ('"' + "8" * 60 + "." + "7" * 60 + '"', "8" * 60 + "." + "7" * 60),
    ('"+5"', None),
    ('" 5"', None),
    ('"5 "', None),
    ('"5\\n"', None),
    ('"1,000"', None),
    ('"1.000,5"', None),
    ('"1_000"', None),
    ('"1 000"', None),
    ('".5"', None),
    ('"5."', None),
    ('"0x10"', None),
    ('"1e"', None),
    ('"--1"', None),
    ('"\u2212 5"', None),
    ('"\u0665"', None),
    ('"\uff15"', None),
    ('"\u00b2"', None),
    ('"NaN"', None),
    ('"Infinity"', None),
    ('"five"', None),
    ('""', None),
    ("true", None),
    ("null", None),
    ("[5]", None),
    ('{"n": 5}', None),
]


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """What each aggregation makes of one event with each property, by aggregation and property."""
    with serving(tmp_path_factory.mktemp("numbers") / "data") as server:
        metrics = {}
        for kind in ("SUM", "MAX", "LATEST", "UNIQUE", "COUNT"):
            metrics[create_metric(server, kind, None if kind == "COUNT" else "n")] = kind
        owners = {}
        for number, (json, _) in enumerate(NUMBERS):
            owners[create_customer(server, f"c{number}")] = json
            body = with_properties(f'{{"n": {json}}}', number).replace("somebody", f"c{number}")
            assert raw(server, body).status_code == 200
        answer = server.post("/v1/usage", {"window_size": "NONE", **WHOLE_DAY})
        return {
            (metrics[row["billable_metric_id"]], owners[row["customer_id"]]): row["value"]
            for row in server.exact(answer)["data"]
        }


@pytest.mark.parametrize(("json", "number"), NUMBERS)
def test_numbers_and_their_texts_are_alike_and_nothing_else_is_a_number(
    values: dict[tuple[str, str], Any], json: str, number: str | None
) -> None:
    known = None if number is None else Decimal(number)
    assert values["SUM", json] == (known or 0)
    assert values["MAX", json] == known
    assert values["LATEST", json] == known
    assert values["UNIQUE", json] == (0 if json == "null" else 1)
    assert values["COUNT", json] == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "+5", ".5", "5.", "01", "1_000", "0x10"])
def test_what_is_no_json_is_refused(shared_server: Server, number: str) -> None:
    assert raw(shared_server, with_properties(f'{{"n": {number}}}')).status_code == 400


def test_sums_are_exact_however_many_digits_meet(server: Server) -> None:
    """0.1 ten times is 1; and 38 digits on either side of the point are kept side by side."""
    metric, customer = create_metric(server, "SUM", "n"), create_customer(server, "somebody")
    assert_taken(server, *[event(number, properties={"n": 0.1}) for number in range(10)])
    assert value(server, customer, metric) == 1
    big, small = "9" * 38, "0." + "0" * 37 + "1"
    assert_taken(server, *[event(text, properties={"n": text}) for text in (big, small, "-1")])
    assert value(server, customer, metric) == Decimal(f"{big}.{'0' * 37}1")


def test_64_bits_are_no_border(server: Server) -> None:
    metric, customer = create_metric(server, "SUM", "n"), create_customer(server, "somebody")
    near = 2**63 - 1
    assert_taken(server, *[event(number, properties={"n": near}) for number in range(100)])
    assert value(server, customer, metric) == 100 * near
    assert_taken(server, *[event(-number - 1, properties={"n": str(-near - 2)}) for number in range(50)])
    assert value(server, customer, metric) == 100 * near - 50 * (near + 2)


def test_one_event_feeds_every_metric_that_it_fits(server: Server) -> None:
    customer = create_customer(server, "somebody")
    made = {
        name: create_metric(server, kind, key, **given)
        for name, kind, key, given in [
            ("count", "COUNT", None, {}),
            ("sum", "SUM", "n", {}),
            ("max", "MAX", "n", {}),
            ("latest", "LATEST", "n", {}),
            ("unique", "UNIQUE", "user", {}),
            ("other sum", "SUM", "m", {}),
            ("not this type", "COUNT", None, {"event_type_filter": {"in_values": ["other"]}}),
            ("grouped", "SUM", "n", {"group_keys": [["user"], ["user", "m"]]}),
        ]
    }
    assert_taken(
        server,
        event(1, properties={"n": 3, "m": "10", "user": "x"}),
        event(2, properties={"n": "4.5", "user": "y"}, timestamp="2026-01-15T09:00:00Z"),
    )
    assert {name: value(server, customer, metric) for name, metric in made.items()} == {
        "count": 2,
        "sum": Decimal("7.5"),
        "max": Decimal("4.5"),
        "latest": 3,
        "unique": 2,
        "other sum": 10,
        "not this type": 0,
        "grouped": Decimal("7.5"),
    }


@pytest.mark.parametrize("broken", ["five", "1,5", "", True, [1], {"a": 1}, None, 10**200])
def test_a_value_that_is_broken_for_one_metric_hides_nothing_from_another(
    server: Server, broken: Any
) -> None:
    customer = create_customer(server, "somebody")
    summed, highest = create_metric(server, "SUM", "bad"), create_metric(server, "MAX", "bad")
    other, count = create_metric(server, "SUM", "good"), create_metric(server, "COUNT")
    sent = [{"bad": broken, "good": 1}, {"bad": 2, "good": 10}, {"bad": broken, "good": "100"}]
    assert_taken(server, *[event(number, properties=given) for number, given in enumerate(sent)])
    found = [value(server, customer, metric) for metric in (summed, highest, other, count)]
    assert found == [2, 2, 111, 3]


def test_the_latest_is_the_newest_number_and_of_equal_times_the_one_sent_last(server: Server) -> None:
    metric, customer = create_metric(server, "LATEST", "n"), create_customer(server, "somebody")

    def at(number: int, time: str, given: Any) -> dict[str, Any]:
        return event(number, timestamp=f"2026-01-15T{time}Z", properties={"n": given})

    assert_taken(server, at(1, "10:00:00", 5), at(2, "09:00:00", 9))
    assert value(server, customer, metric) == 5
    assert_taken(server, at(3, "10:00:00", 6), at(4, "10:00:00", 7))
    assert value(server, customer, metric) == 7
    assert_taken(server, at(5, "10:00:00.000001", "-1"), at(6, "10:30:00", "soon"))
    assert value(server, customer, metric) == -1
    earlier = {"starting_on": "2026-01-16T00:00:00Z", "ending_before": "2026-01-17T00:00:00Z"}
    assert value(server, customer, metric, **earlier) is None


def test_sums_and_maxima_may_be_below_zero(server: Server) -> None:
    summed, highest = create_metric(server, "SUM", "n"), create_metric(server, "MAX", "n")
    customer = create_customer(server, "somebody")
    assert_taken(server, event(1, properties={"n": "-50"}), event(2, properties={"n": -7.25}))
    assert (value(server, customer, summed), value(server, customer, highest)) == (
        Decimal("-57.25"),
        Decimal("-7.25"),
    )


def test_a_metric_counts_what_came_before_it_and_goes_on_when_archived(server: Server) -> None:
    customer = create_customer(server, "somebody")
    assert_taken(server, event(1), event(2))
    metric = create_metric(server, "COUNT")
    assert value(server, customer, metric) == 2
    assert server.post("/v1/billable-metrics/archive", {"id": metric}).status_code == 200
    assert_taken(server, event(3))
    assert value(server, customer, metric) == 3


def test_events_nobody_counts_are_taken(server: Server) -> None:
    """Nobody owns the key, no metric looks at the type: no error, and they count once somebody does."""
    assert_taken(server, event(1, customer_id="nobody", event_type="unheard-of"))
    metric = create_metric(server, "COUNT", event_type_filter={"in_values": ["unheard-of"]})
    assert value(server, create_customer(server, "nobody"), metric) == 1


def test_equal_events_of_different_hours_and_forms_give_one_answer_after_a_restart(tmp_path: Path) -> None:
    """Numbers as texts and as numbers, alone and together, before and after they were stored."""
    with serving(tmp_path / "data") as server:
        metrics = [create_metric(server, kind, "n") for kind in ("SUM", "MAX", "LATEST", "UNIQUE")]
        customer = create_customer(server, "somebody")
        forms = [1, "1", 1.0, "1.0", "1e0", 2, "2.50", 2.5, "x"]
        for number, form in enumerate(forms):
            at = NOW - timedelta(hours=number)
            assert send(server, event(number, timestamp=at.isoformat(), properties={"n": form})).is_success
        together = [
            event(f"b{number}", timestamp=_ago(number).isoformat(), properties={"n": form})
            for number, form in enumerate(forms * 10)
        ]
        assert_taken(server, *together)
        week = {"starting_on": "2026-01-09T00:00:00Z", "ending_before": "2026-01-16T00:00:00Z"}
        before = [value(server, customer, metric, **week) for metric in metrics]
    # Texts: "1", "1.0", "1e0" (as a text), "2", "2.50", "2.5", "x"; 1 and 1.0 are "1".
    assert before == [11 * 12, Decimal("2.5"), 1, 7]
    with serving(tmp_path / "data") as server:
        assert [value(server, customer, metric, **week) for metric in metrics] == before


def _ago(number: int) -> datetime:
    return NOW - timedelta(hours=number + 1)
