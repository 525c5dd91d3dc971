"""The whole metering path against the slow reference: order, batches, repeats, restarts change nothing."""

import json
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.applier import Metering
from tallybook.metering.aggregate import aggregate, without_repeats
from tallybook.metering.cells import ActiveMetric, group_of_text
from tallybook.metering.event import decode_events
from tallybook.metering.fold import Folder
from tallybook.metering.match import stored_groupings
from tallybook.metering.timestamps import micros_of_texts
from tallybook.ports import UsageQuestion
from tallybook.values.event import Event
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter
from tallybook.values.usage import Tally
from tests.metering.test_metering import NOW, Standing, send, wire
from tests.reference import assert_cells_agree, logged, plain_json

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
    st.sampled_from([kind for kind in Aggregation if kind is not Aggregation.SQL]),
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
            kept = without_repeats(logged(item, (0, index), NOW) for index, item in enumerate(events))
            ours = [event for event in kept if event.customer_id in "ab"]
            window = (NOW - timedelta(hours=5), NOW)
            for grouping in ((), *metric.group_keys):
                hours = (hour_of(NOW) - 5, hour_of(NOW))
                cells = metering.read(UsageQuestion(metric, frozenset("ab"), *hours, grouping))
                assert_cells_agree(cells, metric, ours, window, grouping)
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
        st.sampled_from([kind for kind in Aggregation if kind is not Aggregation.SQL]),
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


def referred(counted: list[Event], metrics: list[MetricDefinition]) -> dict:
    """The same by the reference, one event at a time."""
    expected: dict[tuple, Tally] = {}
    for number, metric in enumerate(metrics):
        for grouping, members in enumerate(stored_groupings(metric)):
            for event in counted:
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
    counted = [
        logged(item, (1, index) if index < cut else (2, index - cut), NOW)
        for index, item in enumerate(events)
        if kept[index]
    ]
    assert folded(events, metrics, kept, cut) == referred(counted, metrics)


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "line\n", "\x1f", "🙂"])
def test_properties_of_any_name_are_metered(tmp_path: Path, name: str) -> None:
    """One metric on such a property once made every request of its environment fail."""
    metric = MetricDefinition("m", Aggregation.SUM, name, group_keys=((name,),))
    metering = Metering(tmp_path, Standing())
    metering.register(metric)
    for number in range(2):
        send(metering, [wire(number, properties={name: 3, "other": 4})])
    (cell,) = metering.read(UsageQuestion(metric, None, 0, hour_of(NOW) + 1, (name,)))
    assert (cell.group, cell.tally.sum) == (("3",), 6)
    metering.close()
    metering = Metering(tmp_path, Standing())
    more = MetricDefinition("n", Aggregation.COUNT, property_filters=(PropertyFilter(name, exists=True),))
    (cell,) = metering.read(UsageQuestion(more, None, 0, hour_of(NOW) + 1))
    assert cell.tally.count == 2
    metering.close()


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


def test_two_hundred_metrics_that_look_at_every_event_agree_with_the_reference() -> None:
    source = np.random.default_rng(3)
    metrics = [
        MetricDefinition(
            f"m{number}",
            list(Aggregation)[number % 5],
            "amount",
            ValueFilter(in_values=("x", f"other{number}")) if number % 4 else ValueFilter(),
            (
                PropertyFilter("region", in_values=("abc"[number % 3], f"other{number}")),
                PropertyFilter("size", exists=bool(number % 2)),
            ),
            ((), (("region",),), (("team", "region"),))[number % 3],
        )
        for number in range(200)
    ]
    assert {metric.aggregation for metric in metrics} == set(list(Aggregation)[:5])
    events = [
        {
            "transaction_id": str(number),
            "customer_id": "abc"[source.integers(3)],
            "event_type": "xy"[source.integers(2)],
            "timestamp": (NOW - timedelta(seconds=int(source.integers(9_000)))).isoformat(),
            "properties": {
                "amount": int(source.integers(-50, 50)),
                "region": "abc"[source.integers(3)],
                **({"size": 1} if source.integers(2) else {}),
                **({"team": "abc"[source.integers(3)]} if source.integers(2) else {}),
            },
        }
        for number in range(60)
    ]
    counted = [
        logged(item, (1, index) if index < 30 else (2, index - 30), NOW) for index, item in enumerate(events)
    ]
    assert folded(events, metrics, [True] * 60, 30) == referred(counted, metrics)
