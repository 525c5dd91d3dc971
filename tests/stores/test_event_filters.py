"""Filters as conditions over raw events agree with metering/match.py, whatever the event says."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.adapters.archive.filters import Condition, all_of, any_of, is_unparsable, matches
from tallybook.metering import match
from tallybook.metering.raw import properties_of
from tallybook.values.event import canonical_text
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAMES = ["a", "b'c", 'é "x"', "?"]
WORDS = ["", "eu", "us'", "true", "1", "1.5", "null", "[1]", "ü"]
lists = st.none() | st.lists(st.sampled_from(WORDS), max_size=3).map(tuple)
metrics = st.builds(
    MetricDefinition,
    id=st.just("m"),
    aggregation=st.just(Aggregation.COUNT),
    event_types=st.builds(ValueFilter, lists, lists),
    property_filters=st.lists(
        st.builds(PropertyFilter, st.sampled_from(NAMES), st.none() | st.booleans(), lists, lists), max_size=3
    ).map(tuple),
)
values = (
    st.sampled_from(WORDS)
    | st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2)
    | st.just([1])
    | st.just({"a": None})
)
properties = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


@pytest.fixture(scope="module")
def connection() -> "Iterator[DuckDBPyConnection]":
    opened = duckdb.connect(":memory:")
    opened.execute("CREATE TABLE raw_events (event_type VARCHAR, texts MAP(VARCHAR, VARCHAR))")
    yield opened
    opened.close()


def holds(
    connection: "DuckDBPyConnection", condition: Condition, event_type: str, known: dict[str, Any]
) -> bool:
    texts = {name: canonical_text(value) for name, value in known.items() if value is not None}
    connection.execute("DELETE FROM raw_events")
    connection.execute(
        "INSERT INTO raw_events VALUES (?, map(?::VARCHAR[], ?::VARCHAR[]))",
        [event_type, list(texts), list(texts.values())],
    )
    answer = connection.execute(f"SELECT {condition.sql} FROM raw_events", condition.values).fetchone()
    assert answer is not None
    assert answer[0] is not None
    return bool(answer[0])


@settings(deadline=None)
@given(metric=metrics, event_type=st.sampled_from(WORDS), known=properties)
def test_matching_agrees(
    connection: "DuckDBPyConnection", metric: MetricDefinition, event_type: str, known: dict[str, Any]
) -> None:
    expected = match.matches(metric, event_type, known)
    assert holds(connection, matches(metric), event_type, known) is expected


digits = st.text("0123456789", min_size=1, max_size=101)
number_like = st.builds(
    lambda sign, whole, fraction, power: sign + whole + fraction + power,
    st.sampled_from(["", "-", "+"]),
    digits | st.just("0") | st.just("0" * 99 + "1"),
    st.just("") | digits.map(lambda text: "." + text) | st.just("."),
    st.just("")
    | st.integers(-120, 120).map(lambda power: f"e{power}")
    | st.sampled_from(["E+99", "e", "E1000"]),
)
odd = st.sampled_from(
    ["", " 1", "1 ", "1\n", "1,5", "\u0661", "NaN", "Infinity", "0x1", "-", "1e99999", "true"]
)


@settings(deadline=None, max_examples=300)
@given(value=number_like | odd | values)
def test_what_is_a_number_agrees(connection: "DuckDBPyConnection", value: Any) -> None:
    known = {"b'c": value}
    is_bad = value is not None and match.number_of(value) is None
    if isinstance(value, Decimal) and is_bad:
        return  # reading keeps such a number as text
    assert holds(connection, is_unparsable("b'c"), "e", known) is is_bad


@pytest.mark.parametrize(
    ("text", "is_bad"),
    [
        ("9" * 100, False),
        ("9" * 101, True),
        ("0" * 50 + "9" * 100, False),
        ("0." + "0" * 99 + "1", False),
        ("0." + "0" * 100 + "1", True),
        ("1e99", False),
        ("1e100", True),
        ("0e99", False),
        ("0e100", True),
        ("1.5E-99", False),
        ("1.5E-100", True),
    ],
)
def test_bounds_of_numbers(connection: "DuckDBPyConnection", text: str, is_bad: bool) -> None:
    assert (match.number_of(text) is None) is is_bad
    assert holds(connection, is_unparsable("n"), "e", {"n": text}) is is_bad


def test_thousands_of_conditions_join(connection: "DuckDBPyConnection") -> None:
    metric = MetricDefinition(
        "m", Aggregation.COUNT, property_filters=(PropertyFilter("a", in_values=("x",)),) * 500
    )
    assert not holds(connection, any_of([matches(metric)] * 50), "e", {})
    assert holds(connection, all_of([matches(metric)] * 50), "e", {"a": "x"})
    assert holds(connection, all_of([]), "e", {})
    assert not holds(connection, any_of([]), "e", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("{}", {}),
        ('{"a": 1.50, "b": true, "c": null}', {"a": Decimal("1.50"), "b": True, "c": None}),
        ('{"a": 1e400}', {"a": "1e400"}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        ('{"a": 1' + "0" * 5_000 + "}", {"a": "1" + "0" * 5_000}),
    ],
)
def test_properties_are_read_exactly(text: str | None, expected: dict[str, Any]) -> None:
    assert properties_of(text) == expected
