"""Whatever JSON is taken as an event can be applied, stored and read again: none stops metering."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallybook.applier import Metering
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter
from tests.archive import support as archives
from tests.metering.test_metering import NOW

TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\x00", "a\x00b", "\ud800", "\ufeff", "\u2028", '"', "\\", "'"]
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([10**99, 10**100, -(10**100), 10**4_299, 2**63, -(2**63), 1e300, 5e-324]),
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)
NUMBER = count()


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


EVENTS = st.fixed_dictionaries(
    {
        "transaction_id": st.builds(lambda text: f"{text}{next(NUMBER)}"[-128:], TEXTS),
        "customer_id": TEXTS.map(lambda text: text or "c"),
        "event_type": TEXTS.map(lambda text: text or "call"),
        "timestamp": st.sampled_from(["2026-01-15T10:00:00Z", "2026-01-15T10:00:00.123456789+05:30"]),
    },
    optional={
        "properties": st.none()
        | st.dictionaries(
            st.sampled_from(["p", "q", "\x00"]), JSON | st.builds(nested, LEAVES, st.integers(0, 70))
        )
    },
)

METRICS = [
    MetricDefinition(kind, kind, "p", group_keys=(("p", "q"), ("\x00",)))
    for kind in Aggregation
    if kind is not Aggregation.SQL
] + [
    MetricDefinition(
        "filtered",
        Aggregation.SUM,
        "q",
        ValueFilter(not_in_values=("other",)),
        (PropertyFilter("p", not_in_values=("\x00", "1")), PropertyFilter("\x00", exists=False)),
    )
]


def read(metering: Metering) -> list[Any]:
    questions = [
        UsageQuestion(metric, None, hour_of(NOW) - 40, hour_of(NOW) + 40, grouping)
        for metric in METRICS
        for grouping in ((), *metric.group_keys)
    ]
    return [metering.read(question) for question in questions]


@pytest.fixture(scope="module")
def metering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metering]:
    """Metering that is asked in the end whether it, its archive and its next start know the same."""
    folder = tmp_path_factory.mktemp("any")
    with archives.metering(folder) as (metering, store):
        for metric in METRICS:
            metering.register(metric)
        yield metering
        before, raw = read(metering), archives.read(store)
        assert len(raw) == metering.status()["events_accepted"]
        archives.archive(metering, folder)
        assert archives.read(store) == raw
    with archives.metering(folder) as (again, store):
        assert read(again) == before
        assert archives.read(store) == raw


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_no_event_stops_metering(metering: Metering, events: list[dict[str, Any]]) -> None:
    with suppress(Invalid):
        asyncio.run(metering.ingest(json.dumps(events).encode()))
    read(metering)
    assert metering.fault() is None
