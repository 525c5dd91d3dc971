"""The whole metering path against the slow reference: order, batches, repeats, restarts change nothing."""

import json
import tempfile
from datetime import timedelta
from decimal import Decimal
from functools import reduce
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.applier import Metering
from tallybook.metering.aggregate import aggregate, value_of, without_repeats
from tallybook.metering.cells import ActiveMetric, group_of_text
from tallybook.metering.event import decode_events
from tallybook.metering.fold import Folder
from tallybook.metering.match import stored_groupings
from tallybook.metering.timestamps import micros_of_texts
from tallybook.ports import UsageQuestion
from tallybook.values.event import Event
from tallybook.values.instant import hour_of, parse_instant
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter
from tallybook.values.usage import Tally
from tests.metering.test_metering import NOW, Standing, send, wire

names = st.sampled_from(["a", "b", "c"])
numbers = st.one_of(
    st.integers(-1_000, 1_000),
    st.decimals(-100, 100, places=3).map(str),
    st.sampled_from(["many", True, None, [], "1e3"]),
)
events_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "transaction_id": st.integers(0, 25).map(str),
            "customer_id": names,
            "event_type": st.sampled_from(["x", "y"]),
            "timestamp": st.integers(0, 5 * 3600).map(lambda s: (NOW - timedelta(seconds=s)).isoformat()),
            "properties": st.fixed_dictionaries(
                {}, optional={"amount": numbers, "region": names, "team": names}
            ),
        }
    ),
    min_size=1,
    max_size=40,
)
metric_strategy = st.builds(
    MetricDefinition,
    st.just("metric"),
    st.sampled_from(list(Aggregation)),
    st.just("amount"),
    st.sampled_from([ValueFilter(), ValueFilter(in_values=("x",)), ValueFilter(not_in_values=("x",))]),
    st.lists(
        st.sampled_from(
            [
                PropertyFilter("region", exists=True),
                PropertyFilter("region", not_in_values=("a",)),
                PropertyFilter("amount", exists=True),
                PropertyFilter("team", in_values=("a", "b")),
            ]
        ),
        max_size=3,
    ).map(tuple),
    st.sampled_from([(), (("region",),), (("region",), ("region", "team")), (("team",), ("region",))]),
)


@settings(max_examples=60, deadline=None)
@given(events_strategy, metric_strategy, st.data())
def test_everything_agrees_with_the_reference(
    events: list[dict], metric: MetricDefinition, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = Standing()
        metering = Metering(Path(folder), clock)
        try:
            start = 0
            while start < len(events):
                size = data.draw(st.integers(1, 10))
                step = data.draw(st.sampled_from(["send", "restart", "read", "checkpoint"]))
                send(metering, events[start : start + size])
                start += size
                if step == "restart":
                    metering.close()
                    metering = Metering(Path(folder), clock)
                elif step == "read":
                    metering.register(metric)
                elif step == "checkpoint":
                    metering._state.checkpoint()
            logged = [
                Event(
                    position=(0, index),
                    received_at=NOW,
                    **{**item, "timestamp": parse_instant(item["timestamp"])},
                )
                for index, item in enumerate(events)
            ]
            kept = without_repeats(logged)
            for grouping in ((), *metric.group_keys):
                hours = (hour_of(NOW) - 5, hour_of(NOW))
                cells = metering.read(UsageQuestion(metric, frozenset("ab"), *hours, grouping))
                window = (NOW - timedelta(hours=5), NOW)
                ours = [event for event in kept if event.customer_id in "ab"]
                expected = aggregate(metric, ours, *window, grouping)
                groups = {cell.group for cell in cells}
                assert groups == set(expected)
                for group, tally in expected.items():
                    merged = reduce(Tally.merge, (cell.tally for cell in cells if cell.group == group))
                    assert value_of(metric.aggregation, merged) == value_of(metric.aggregation, tally)
                    assert merged.count == tally.count
        finally:
            # An example may end inside a draw; the threads must end before their folder does.
            metering.close()


amounts = st.one_of(
    st.integers(-(10**16), 10**16),
    st.integers(-5, 5),
    st.integers(-(10**30), 10**30),
    st.integers(0, 50).map(str),
    st.decimals(-(10**6), 10**6, places=4).map(str),
    st.decimals(-(10**6), 10**6, places=2),
    st.sampled_from(["", "x", "1e5", "1E-90", True, None, [1], {"a": "b"}, "9" * 60, "007", "-0"]),
)
many_events = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": names,
            "event_type": st.sampled_from(["x", "y", "z"]),
            "timestamp": st.builds(
                lambda seconds, micros, digits: (
                    (NOW - timedelta(seconds=seconds, microseconds=micros))
                    .isoformat(timespec=["seconds", "milliseconds", "microseconds"][digits])
                    .replace("+00:00", "Z")
                ),
                st.integers(0, 9_000),
                st.integers(0, 999_999),
                st.integers(0, 2),
            ),
            "properties": st.fixed_dictionaries(
                {},
                optional={"amount": amounts, "size": amounts, "region": st.one_of(names, st.integers(0, 2))},
            ),
        }
    ),
    min_size=1,
    max_size=120,
)
several_metrics = st.lists(
    st.builds(
        MetricDefinition,
        st.uuids().map(str),
        st.sampled_from(list(Aggregation)),
        st.sampled_from(["amount", "size"]),
        st.sampled_from([ValueFilter(), ValueFilter(in_values=("x",)), ValueFilter(not_in_values=("x",))]),
        st.sampled_from(
            [(), (PropertyFilter("size", exists=True),), (PropertyFilter("region", exists=False),)]
        ),
        st.sampled_from([(), (("region",),), (("region", "size"),)]),
    ),
    min_size=1,
    max_size=5,
)


def plain_json(value: object) -> str:
    """JSON in which decimals are numbers."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{plain_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(plain_json, value)) + "]"
    return json.dumps(value)


def folded(events: list[dict], metrics: list[MetricDefinition], kept: list[bool], cut: int) -> dict:
    """What a folder makes of the events in two rows, with a hand-over between them."""
    folder = Folder([ActiveMetric(number, metric, 0) for number, metric in enumerate(metrics)])
    taken: dict[tuple, Tally] = {}
    for row, (part, chosen) in enumerate(((events[:cut], kept[:cut]), (events[cut:], kept[cut:])), start=1):
        columns = decode_events(plain_json(part).encode(), folder.wanted).columns
        flags = np.array(chosen[: len(part)], dtype=np.bool_)
        folder.fold(columns, micros_of_texts(columns.timestamps), None if flags.all() else flags, [(0, row)])
        for (*series, text), cell in folder.take():
            place = (*series, group_of_text(text))
            taken[place] = taken.get(place, Tally()).merge(cell.tally())
    return taken


def referred(logged: list[Event], metrics: list[MetricDefinition]) -> dict:
    """The same by the reference, one event at a time."""
    expected: dict[tuple, Tally] = {}
    for number, metric in enumerate(metrics):
        for grouping, members in enumerate(stored_groupings(metric)):
            for event in logged:
                window = (event.timestamp, event.timestamp + timedelta(microseconds=1))
                for group, tally in aggregate(metric, [event], *window, members).items():
                    place = (number, grouping, event.customer_id, hour_of(event.timestamp), group)
                    expected[place] = expected.get(place, Tally()).merge(tally)
    return expected


@settings(max_examples=150, deadline=None)
@given(many_events, several_metrics, st.lists(st.booleans(), min_size=120, max_size=120), st.integers(1, 120))
def test_folding_many_at_once_agrees_with_the_reference(
    events: list[dict], metrics: list[MetricDefinition], kept: list[bool], cut: int
) -> None:
    events = [{"transaction_id": str(number), **event} for number, event in enumerate(events)]
    logged = [
        Event(
            position=(1, index) if index < cut else (2, index - cut),
            received_at=NOW,
            **{**item, "timestamp": parse_instant(item["timestamp"])},
        )
        for index, item in enumerate(events)
        if kept[index]
    ]
    assert folded(events, metrics, kept, cut) == referred(logged, metrics)


def test_sums_beyond_64_bits_are_exact() -> None:
    metric = MetricDefinition("m", Aggregation.SUM, "amount")
    folder = Folder([ActiveMetric(1, metric, 0)])
    great = 10**15 - 1
    for row in range(1, 101):
        # A customer of every row of its own, and one of all of them.
        keys = ["all", str(row)] * 50
        events = [wire(0, customer_id=key, properties={"amount": great}) for key in keys]
        columns = decode_events(json.dumps(events).encode(), folder.wanted).columns
        folder.fold(columns, micros_of_texts(columns.timestamps), None, [(0, row)])
    sums = {key[2]: cell.tally().sum for key, cell in folder.take()}
    assert sums.pop("all") == 5_000 * great
    assert sums == {str(row): 50 * great for row in range(1, 101)}
