"""Every documented limit of ingest at its edge, over HTTP: what is just allowed, and what is just not."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.kit.http.application import BODY_LIMIT
from tallybook.metering.event import EVENTS_MAX, NESTING_MAX, PROPERTIES_MAX
from tests.metering.over_http import (
    MICROSECOND,
    NEWEST,
    OLDEST,
    SECOND,
    accepted,
    assert_not_taken,
    assert_taken,
    create_customer,
    create_metric,
    event,
    raw,
    send,
    server_sees,
    value,
    with_properties,
)
from tests.support import NOW, Server, assert_refused, serving

# Events in a request


@pytest.mark.parametrize("count", [1, 2, EVENTS_MAX])
def test_so_many_events_are_taken_at_once(shared_server: Server, count: int) -> None:
    assert_taken(shared_server, *[event(f"many-{count}-{number}") for number in range(count)])


@pytest.mark.parametrize("count", [0, EVENTS_MAX + 1, 1_000])
def test_so_many_events_are_not(shared_server: Server, count: int) -> None:
    assert_not_taken(shared_server, "events", *[event(f"none-{count}-{number}") for number in range(count)])


def test_the_official_client_sends_a_hundred_events_and_not_one_more(shared_server: Server) -> None:
    usage = shared_server.client.v1.usage
    usage.ingest(usage=[event(f"sdk-{number}") for number in range(100)])  # type: ignore[arg-type]
    with pytest.raises(Exception, match="1 to 100"):
        usage.ingest(usage=[event(f"sdk-{number}") for number in range(101)])  # type: ignore[arg-type]


# Lengths, in characters


LETTERS = ["x", "é", "日", "\U0001f600", "\u0301", '"', "\\", "\u0000", " "]


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("length", [1, 128])
def test_ids_of_1_to_128_characters_are_taken(shared_server: Server, letter: str, length: int) -> None:
    assert_taken(shared_server, event(0, transaction_id=letter * length, customer_id=f"{letter}{length}"))


@pytest.mark.parametrize("letter", LETTERS)
def test_ids_of_129_characters_are_not(shared_server: Server, letter: str) -> None:
    assert_not_taken(shared_server, "transaction_id", event(0, transaction_id=letter * 129))


def test_characters_that_combine_are_counted_each(shared_server: Server) -> None:
    assert_taken(shared_server, event(0, transaction_id="e\u0301" * 64))
    assert_not_taken(shared_server, "transaction_id", event(0, transaction_id="e\u0301" * 64 + "e"))


def test_ids_that_only_look_alike_are_different(shared_server: Server) -> None:
    """No folding of case, no normal form, no trimming."""
    ids = ["same-é", "same-e\u0301", "SAME-é", " same-é", "same-é "]
    server, before = shared_server, shared_server.get("/tallybook/v1/usage/status").json()["data"]
    assert send(server, *[event(0, transaction_id=text) for text in ids]).status_code == 200
    server_sees(server)
    after = server.get("/tallybook/v1/usage/status").json()["data"]
    assert after["events_duplicate"] == before["events_duplicate"]
    assert after["events_accepted"] == before["events_accepted"] + len(ids)


@pytest.mark.parametrize("field", ["transaction_id", "customer_id", "event_type"])
@pytest.mark.parametrize("given", ["", None, 7, True, [], {}])
def test_a_name_must_be_a_text_with_something_in_it(shared_server: Server, field: str, given: Any) -> None:
    assert_not_taken(shared_server, field, event("first"), event("bad", **{field: given}))


@pytest.mark.parametrize("field", ["transaction_id", "customer_id", "event_type", "timestamp"])
def test_a_name_must_be_there(shared_server: Server, field: str) -> None:
    bad = {name: text for name, text in event("bad").items() if name != field}
    assert_not_taken(shared_server, field, event("first"), bad)


@pytest.mark.parametrize("field", ["customer_id", "event_type"])
def test_other_names_may_be_long(shared_server: Server, field: str) -> None:
    for length in (1, 129, 100_000):
        assert_taken(shared_server, event(f"{field}-{length}", **{field: "x" * length}))


# Properties


@pytest.mark.parametrize("filling", [1, "text", "a:b:c", [1], None])
def test_2000_properties_are_taken_and_one_more_is_not(shared_server: Server, filling: Any) -> None:
    full = {f"p{number}": filling for number in range(PROPERTIES_MAX)}
    assert_taken(shared_server, event(f"full-{filling}", properties=full))
    assert_not_taken(shared_server, "properties", event(0, properties={**full, "more": filling}))


def test_the_limit_is_that_of_each_event(shared_server: Server) -> None:
    full = {f"p{number}": 1 for number in range(PROPERTIES_MAX)}
    assert_taken(shared_server, *[event(f"each-{number}", properties=full) for number in range(5)])


@pytest.mark.parametrize("properties", ["{}", "null", '{"": 1}', '{"a": {"b": [null, true]}}'])
def test_properties_may_be_empty_or_hold_any_json(shared_server: Server, properties: str) -> None:
    assert raw(shared_server, with_properties(properties)).status_code == 200


@pytest.mark.parametrize(
    "nested",
    [
        ("[" * NESTING_MAX, "]" * NESTING_MAX),
        ('{"a":' * NESTING_MAX, "}" * NESTING_MAX),
        ("[[],[]," * (NESTING_MAX - 1), "[]" + "]" * (NESTING_MAX - 1)),
    ],
)
def test_64_levels_in_a_property_are_taken_and_one_more_is_not(server: Server, nested: tuple) -> None:
    """Deeper ones once stopped metering for good, where a metric looked at them."""
    metric = create_metric(server, "UNIQUE", "p", group_keys=[["p"]])
    customer = create_customer(server, "somebody")
    left, right = nested
    middle = "" if left.startswith("[") else "1"
    taken = raw(server, with_properties(f'{{"p": {left}{middle}{right}}}', 1))
    assert taken.status_code == 200, taken.text
    refused = raw(server, with_properties(f'{{"p": [{left}{middle}{right}]}}', 2))
    assert_refused(refused, 400, "events[0].properties.p")
    assert value(server, customer, metric) == 1


@pytest.mark.parametrize("depth", [65, 500, 950, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_no_depth_is_a_fault(shared_server: Server, depth: int, pair: str) -> None:
    opening = "[" if pair == "[]" else '{"a":'
    answer = raw(shared_server, with_properties(f'{{"p": {opening * depth}1{pair[1] * depth}}}'))
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]


def test_brackets_in_texts_are_no_levels(shared_server: Server) -> None:
    assert_taken(shared_server, event("brackets", properties={"p": "[{" * 10_000}))


def test_the_last_of_equal_names_counts_in_one_event(server: Server) -> None:
    metric = create_metric(server, "SUM", "n")
    customer = create_customer(server, "somebody")
    assert raw(server, with_properties('{"n": 1, "n": 2}', 1)).status_code == 200
    many = ", ".join(f'"p{number}": 1' for number in range(PROPERTIES_MAX - 1))
    assert raw(server, with_properties(f'{{"n": 10, {many}, "n": 20}}', 2)).status_code == 200
    assert value(server, customer, metric) == 22
    body = json.dumps([event(3)]).replace('"t-3"', '"t-3", "transaction_id": "t-1"')
    assert raw(server, body).status_code == 200
    assert value(server, customer, metric) == 22


# Timestamps


def text_of(instant: datetime) -> str:
    return instant.isoformat()


WINDOW = [
    (OLDEST, True),
    (OLDEST + MICROSECOND, True),
    (OLDEST + SECOND, True),
    (OLDEST - MICROSECOND, False),
    (OLDEST - SECOND, False),
    (NEWEST, True),
    (NEWEST - MICROSECOND, True),
    (NEWEST - SECOND, True),
    (NEWEST + MICROSECOND, False),
    (NEWEST + SECOND, False),
]


@pytest.mark.parametrize(("at", "is_taken"), WINDOW, ids=str)
@pytest.mark.parametrize("company", [0, 40], ids=["alone", "with others"])
def test_34_days_back_and_24_hours_ahead(
    shared_server: Server, at: datetime, is_taken: bool, company: int
) -> None:
    events = [event(f"{at}-{number}", timestamp=text_of(NOW)) for number in range(company)]
    events.append(event(at, timestamp=text_of(at)))
    if is_taken:
        assert_taken(shared_server, *events)
    else:
        assert_not_taken(shared_server, f"events[{company}].timestamp", *events)


@pytest.mark.parametrize("offset", ["+00:00", "-00:00", "+14:00", "-12:00", "+05:30", "-23:59", "+23:59"])
def test_the_window_is_one_of_instants_whatever_the_offset(shared_server: Server, offset: str) -> None:
    sign = -1 if offset[0] == "-" else 1
    shift = sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))

    def written(at: datetime) -> str:
        return (at + shift).strftime("%Y-%m-%dT%H:%M:%S.%f") + offset

    assert_taken(shared_server, event(f"o{offset}", timestamp=written(OLDEST)))
    assert_taken(shared_server, event(f"n{offset}", timestamp=written(NEWEST)))
    assert_not_taken(shared_server, "timestamp", event(0, timestamp=written(OLDEST - MICROSECOND)))
    assert_not_taken(shared_server, "timestamp", event(0, timestamp=written(NEWEST + MICROSECOND)))


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        ("2025-12-12T12:00:00.000000999Z", True),
        ("2025-12-12T11:59:59.999999999Z", False),
        # Finer than a microsecond is cut, so this is the last instant that is taken.
        ("2026-01-16T12:00:00.000000999Z", True),
        ("2026-01-15t10:00:00z", True),
        ("2026-01-15 10:00:00Z", True),
        ("2026-01-15T10:00:00." + "0" * 30 + "Z", True),
        ("2026-01-15T10:00:00." + "0" * 31 + "Z", False),
        ("2026-01-15T10:00:60Z", False),
        ("2026-01-15T23:59:60Z", False),
        ("2026-01-15T24:00:00Z", False),
        ("2026-02-29T10:00:00Z", False),
        ("12026-01-15T10:00:00Z", False),
        ("+2026-01-15T10:00:00Z", False),
        ("+012026-01-15T10:00:00Z", False),
        ("-2026-01-15T10:00:00Z", False),
        ("226-01-15T10:00:00Z", False),
        ("0000-01-15T10:00:00Z", False),
        ("9999-12-31T23:59:59-23:59", False),
        ("0001-01-01T00:00:00+23:59", False),
        ("2026-01-15T10:00:00", False),
        ("2026-01-15T10:00Z", False),
        ("2026-01-15", False),
        ("20260115T100000Z", False),
        ("2026-W03-4T10:00:00Z", False),
        ("2026-01-15T10:00:00+24:00", False),
        ("2026-01-15T10:00:00+05", False),
        ("2026-01-15T10:00:00,5Z", False),
        ("1768471200", False),
        (" 2026-01-15T10:00:00Z", False),
        ("\uff12\uff10\uff12\uff16-01-15T10:00:00Z", False),
        ("", False),
    ],
)
def test_a_timestamp_is_rfc_3339_with_a_year_of_four_digits(
    shared_server: Server, text: str, is_taken: bool
) -> None:
    if is_taken:
        assert_taken(shared_server, event(text, timestamp=text))
    else:
        assert_not_taken(shared_server, "timestamp", event("good"), event(text, timestamp=text))


@pytest.mark.parametrize("given", [1768471200, None, True, ["2026-01-15T10:00:00Z"], {}])
def test_a_timestamp_is_a_text(shared_server: Server, given: Any) -> None:
    assert_not_taken(shared_server, "timestamp", event(0, timestamp=given))


def test_the_window_moves_with_the_clock_of_the_sandbox(server: Server) -> None:
    assert_not_taken(server, "timestamp", event(1, timestamp=text_of(NEWEST + SECOND)))
    server.move_clock(NOW + SECOND)
    assert_taken(server, event(1, timestamp=text_of(NEWEST + SECOND)))
    assert_not_taken(server, "timestamp", event(2, timestamp=text_of(OLDEST)))
    server.move_clock(NOW + SECOND + MICROSECOND)
    assert_not_taken(server, "timestamp", event(2, timestamp=text_of(OLDEST + SECOND)))


# Repeats


def test_an_id_is_a_repeat_until_34_days_after_it_was_accepted(tmp_path: Path) -> None:
    """From acceptance, not from the event's own time; a repeat does not begin the time anew."""
    with serving(tmp_path / "data") as server:
        metric, customer = create_metric(server, "COUNT"), create_customer(server, "somebody")
        ever = {"starting_on": "2025-12-01T00:00:00Z", "ending_before": "2026-06-01T00:00:00Z"}

        def again(after: timedelta, age: timedelta = timedelta(0)) -> Any:
            if after:
                server.move_clock(NOW + after)
            assert send(server, event(1, timestamp=text_of(NOW + after - age))).status_code == 200
            return value(server, customer, metric, **ever)

        assert again(timedelta(0), age=timedelta(days=34)) == 1
        assert again(timedelta(days=20)) == 1
        assert again(timedelta(days=34) - SECOND) == 1
        assert again(timedelta(days=34)) == 2
        assert again(timedelta(days=34) + SECOND) == 2
    with serving(tmp_path / "data") as server:
        assert again(timedelta(days=68) - SECOND) == 2
        assert again(timedelta(days=68)) == 3


def test_the_time_of_an_id_is_counted_in_whole_seconds(server: Server) -> None:
    metric, customer = create_metric(server, "COUNT"), create_customer(server, "somebody")
    server.move_clock(NOW + timedelta(milliseconds=900))
    assert_taken(server, event(1))
    later = NOW + timedelta(days=34)
    server.move_clock(later - MICROSECOND)
    assert_taken(server, event(1, timestamp=text_of(later - SECOND)))
    ever = {"starting_on": "2026-01-01T00:00:00Z", "ending_before": "2026-06-01T00:00:00Z"}
    assert value(server, customer, metric, **ever) == 1
    server.move_clock(later)
    assert_taken(server, event(1, timestamp=text_of(later)))
    assert value(server, customer, metric, **ever) == 2


def test_a_refused_request_does_not_use_up_its_ids(server: Server) -> None:
    assert_not_taken(server, "timestamp", event(1), event(2, timestamp="yesterday"))
    metric, customer = create_metric(server, "COUNT"), create_customer(server, "somebody")
    assert_taken(server, event(1), event(2))
    assert value(server, customer, metric) == 2


def test_an_id_is_one_whatever_else_the_event_says(server: Server) -> None:
    metric = create_metric(server, "SUM", "n")
    first, second = create_customer(server, "first"), create_customer(server, "second")
    assert_taken(
        server,
        event(1, customer_id="first", properties={"n": 1}),
        event(1, customer_id="second", event_type="other", properties={"n": 2}),
    )
    assert_taken(server, event(1, customer_id="second", properties={"n": 4}))
    assert (value(server, first, metric), value(server, second, metric)) == (1, 0)


# The body


def test_a_body_of_8_mib_is_taken_and_one_byte_more_is_not(shared_server: Server) -> None:
    body = json.dumps([event("largest")]).encode()
    before = accepted(shared_server)
    assert raw(shared_server, body.ljust(BODY_LIMIT)).status_code == 200
    assert raw(shared_server, body.replace(b"largest", b"too-much").ljust(BODY_LIMIT + 1)).status_code == 413
    server_sees(shared_server)
    assert accepted(shared_server) == before + 1


def test_one_text_may_fill_the_body(server: Server) -> None:
    metric, customer = create_metric(server, "UNIQUE", "p"), create_customer(server, "somebody")
    assert_taken(server, event(1, properties={"p": "x" * (BODY_LIMIT - 1_000)}))
    assert value(server, customer, metric) == 1


# Numbers


HUGE = [
    # JSON of the property, what a sum of it is
    ("9" * 100, int("9" * 100)),
    ("-" + "9" * 100, -int("9" * 100)),
    ("9" * 101, 0),
    ("9" * 4_300, 0),
    ("9" * 4_301, 0),
    ("9" * 100_000, 0),
    ("1e99", 10**99),
    ("1E+99", 10**99),
    ("1e100", 0),
    ("1e-100", None),
    ("1e-101", 0),
    ("1e999999999", 0),
    ("-1e999999999", 0),
    ("1e-999999999", 0),
    ('"1e99"', 10**99),
    ('"1e100"', 0),
]


@pytest.mark.parametrize(("number", "total"), HUGE, ids=lambda given: str(given)[:16])
def test_numbers_have_at_most_100_digits_on_either_side_of_the_point(
    shared_server: Server, number: str, total: int | None
) -> None:
    """Longer ones are taken, as any property is, and add nothing."""
    alias = f"n-{number[:12]}-{len(number)}"
    metric, customer = create_metric(shared_server, "SUM", "n"), create_customer(shared_server, alias)
    body = with_properties(f'{{"n": {number}}}', alias).replace("somebody", alias.replace('"', '\\"'))
    assert raw(shared_server, body).status_code == 200
    shown = value(shared_server, customer, metric)
    assert shown == (shown.__class__("1e-100") if total is None else total)
