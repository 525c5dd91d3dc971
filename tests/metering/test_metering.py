"""The whole metering path against the slow reference: order, batches, repeats, restarts change nothing."""

import asyncio
import json
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.applier import Metering
from tallybook.metering.aggregate import aggregate, value_of, without_repeats
from tallybook.metering.event import accept_events, micros_of_text
from tallybook.metering.fingerprints import Fingerprints
from tallybook.metering.match import matches, number_of, passes, stored_groupings
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid
from tallybook.values.event import Event
from tallybook.values.instant import hour_of, parse_instant
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter
from tallybook.values.usage import merge_all

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Standing:
    """A clock that stands where it is put."""

    def __init__(self, now: datetime = NOW) -> None:
        self.instant = now

    def now(self) -> datetime:
        return self.instant


def wire(number: int, **changes: object) -> dict:
    event = {
        "transaction_id": f"t{number}",
        "customer_id": "c",
        "event_type": "e",
        "timestamp": "2026-01-15T10:00:00Z",
        "properties": {"amount": "1"},
    }
    return {**event, **changes}


def send(metering: Metering, events: list[dict]) -> None:
    asyncio.run(metering.ingest(json.dumps(events).encode()))


TRUTH = [
    # rule, text of the property (None: absent), passes?
    (PropertyFilter("p"), "a", True),
    (PropertyFilter("p"), None, True),
    (PropertyFilter("p", exists=True), "", True),
    (PropertyFilter("p", exists=True), None, False),
    (PropertyFilter("p", exists=False), "a", False),
    (PropertyFilter("p", exists=False), None, True),
    (PropertyFilter("p", in_values=("a", "b")), "a", True),
    (PropertyFilter("p", in_values=("a", "b")), "A", False),
    (PropertyFilter("p", in_values=("a", "b")), None, False),
    (PropertyFilter("p", not_in_values=("a",)), "a", False),
    (PropertyFilter("p", not_in_values=("a",)), "b", True),
    (PropertyFilter("p", not_in_values=("a",)), None, True),
    (PropertyFilter("p", exists=True, not_in_values=("a",)), None, False),
]


@pytest.mark.parametrize(("rule", "text", "expected"), TRUTH)
def test_filter_truth_table(rule: PropertyFilter, text: str | None, expected: bool) -> None:
    assert passes(rule, text) is expected


def test_numbers_and_booleans_compare_by_canonical_text() -> None:
    metric = MetricDefinition(
        "m", Aggregation.COUNT, property_filters=(PropertyFilter("p", in_values=("1.5", "true")),)
    )
    assert matches(metric, "e", {"p": Decimal("1.50")})
    assert matches(metric, "e", {"p": True})
    assert not matches(metric, "e", {"p": 1})


@pytest.mark.parametrize("text", ["1,5", "", " 1", "abc", "1e999999", "Infinity", "NaN", "0x10", "9" * 150])
def test_other_texts_are_no_numbers(text: str) -> None:
    assert number_of(text) is None


def test_thirty_eight_digits_are_exact() -> None:
    digits = "12345678901234567890.123456789012345678"
    assert number_of(digits) == Decimal(digits)


def test_stored_groupings_are_the_maximal_ones() -> None:
    metric = MetricDefinition("m", Aggregation.COUNT, group_keys=(("a",), ("b", "a"), ("c",)))
    assert stored_groupings(metric) == (("a", "b"), ("c",))


BAD = [
    ({}, "events[1].transaction_id"),
    (wire(1, transaction_id=""), "events[1].transaction_id"),
    (wire(1, transaction_id="x" * 129), "events[1].transaction_id"),
    (wire(1, customer_id=""), "events[1].customer_id"),
    (wire(1, event_type=7), "events[1].event_type"),
    (wire(1, timestamp="2026-01-15T10:00:00"), "events[1].timestamp"),
    (wire(1, timestamp="2026-01-15"), "events[1].timestamp"),
    (wire(1, timestamp="2026-02-30T00:00:00Z"), "events[1].timestamp"),
    (wire(1, timestamp="2026-01-15T10:00:60Z"), "events[1].timestamp"),
    (wire(1, properties=[]), "events[1].properties"),
    (wire(1, properties={str(number): 1 for number in range(2_001)}), "events[1].properties"),
    (wire(1, colour="red"), "events[1].colour"),
]


@pytest.mark.parametrize(("event", "named"), BAD)
def test_one_bad_event_refuses_its_request(event: dict, named: str) -> None:
    with pytest.raises(Invalid, match=named.replace("[", r"\[")):
        accept_events(json.dumps([wire(0), event]).encode(), NOW)


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b"null", b"[1]", b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_list_of_events_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        accept_events(body, NOW)


def test_a_hundred_events_are_taken_and_one_more_is_not() -> None:
    assert len(accept_events(json.dumps([wire(n) for n in range(100)]).encode(), NOW).events) == 100
    with pytest.raises(Invalid, match="100"):
        accept_events(json.dumps([wire(n) for n in range(101)]).encode(), NOW)


@pytest.mark.parametrize(
    ("offset", "taken"),
    [
        (timedelta(days=-34), True),
        (timedelta(days=-34, seconds=-1), False),
        (timedelta(hours=24), True),
        (timedelta(hours=24, seconds=1), False),
    ],
)
def test_the_window_of_timestamps_includes_its_edges(offset: timedelta, taken: bool) -> None:
    body = json.dumps([wire(0, timestamp=(NOW + offset).isoformat())]).encode()
    if taken:
        assert len(accept_events(body, NOW).events) == 1
    else:
        with pytest.raises(Invalid, match=r"events\[0\].timestamp"):
            accept_events(body, NOW)


@given(
    st.datetimes(NOW.replace(year=1990, tzinfo=None), NOW.replace(year=2090, tzinfo=None)),
    st.integers(0, 9),
    st.sampled_from(["Z", "+00:00", "-07:00", "+05:30", "z"]),
)
def test_fast_and_slow_reading_of_timestamps_agree(at: datetime, digits: int, offset: str) -> None:
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    text += ("." + str(at.microsecond).rjust(6, "0").ljust(9, "7")[:digits] if digits else "") + offset
    slow = parse_instant(text)
    assert micros_of_text(text) == micros_of_text(text)
    assert micros_of_text(text) == round(
        (slow - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)
    )


def test_fine_fractions_never_move_an_event_into_the_next_hour() -> None:
    assert micros_of_text("2026-01-15T10:59:59.9999999Z") // 3_600_000_000 == hour_of(NOW) - 2


def test_repeats_are_dropped_for_34_days_from_acceptance(tmp_path: Path) -> None:
    clock = Standing()
    metering = Metering(tmp_path, clock)
    metric = MetricDefinition("m", Aggregation.COUNT)
    question = UsageQuestion(metric, None, 0, hour_of(NOW) + 10_000)

    def count() -> int:
        return sum(cell.tally.count for cell in metering.read(question))

    def again(at: datetime) -> int:
        clock.instant = at
        send(metering, [wire(0, timestamp=at.isoformat())])
        return count()

    assert again(NOW) == 1
    assert again(NOW + timedelta(days=20)) == 1
    assert again(NOW + timedelta(days=34, seconds=-1)) == 1
    assert again(NOW + timedelta(days=34)) == 2
    metering.close()
    metering = Metering(tmp_path, clock)
    assert again(NOW + timedelta(days=60)) == 2
    assert metering.status()["events_duplicate"] == 3
    metering.close()


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
                    merged = merge_all(cell.tally for cell in cells if cell.group == group)
                    assert value_of(metric.aggregation, merged) == value_of(metric.aggregation, tally)
                    assert merged.count == tally.count
        finally:
            # An example may end inside a draw; the threads must end before their folder does.
            metering.close()


@given(st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=30), max_size=20))
def test_fingerprints_behave_like_a_set(batches: list[list[int]]) -> None:
    table, known = Fingerprints(slots=16), set()
    for batch in batches:
        packed = b"".join(
            (number % 7).to_bytes(8, "little") + (number % 3).to_bytes(8, "little") for number in batch
        )
        is_new = table.admit(packed, 1_000_000)
        for number, new in zip(batch, is_new, strict=True):
            # 0 marks a free slot, so a high word of 0 is kept as 1.
            key = (number % 7 or 1, number % 3)
            assert bool(new) is (key not in known)
            known.add(key)
    assert len(table) == len(known)
