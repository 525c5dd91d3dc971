"""Usage asked for in stretches is hourly usage merged, wherever its cells lie."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.applier import Metering
from tallybook.ports import UsageQuestion
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.usage import Tally, UsageCell, value_of
from tests.metering.test_metering import NOW, Standing, send, wire

FIRST, LAST = hour_of(NOW) - 9, hour_of(NOW) + 1
amounts = st.one_of(st.integers(-(10**18), 10**18).map(str), st.decimals(-9, 9, places=2).map(str))


def merged(cells: Sequence[UsageCell], borders: Sequence[int]) -> dict[tuple[object, ...], Tally]:
    tallies: dict[tuple[object, ...], Tally] = {}
    for cell in cells:
        place = cell.customer_key, max(border for border in borders if border <= cell.hour), cell.group
        tallies[place] = tallies.get(place, Tally()).merge(cell.tally)
    return tallies


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("ab"), st.sampled_from("xyz"), amounts), max_size=40
    ),
    st.sampled_from([kind for kind in Aggregation if kind is not Aggregation.SQL]),
    st.sets(st.integers(FIRST + 1, LAST - 1), max_size=4).map(lambda cuts: tuple(sorted(cuts))),
    st.sampled_from([(), ("region",)]),
    st.integers(0, 40),
)
def test_stretches_are_hours_merged(
    used: list[tuple[int, str, str, str]],
    aggregation: Aggregation,
    cuts: tuple[int, ...],
    grouping: tuple[str, ...],
    stored: int,
) -> None:
    metric = MetricDefinition("m", aggregation, "amount", group_keys=(("region",),))
    events = [
        wire(
            number,
            customer_id=customer,
            timestamp=(NOW - timedelta(hours=hours)).isoformat(),
            properties={"amount": value, "region": region},
        )
        for number, (hours, customer, region, value) in enumerate(used)
    ]
    with tempfile.TemporaryDirectory() as folder:
        metering = Metering(Path(folder), Standing())
        try:
            metering.register(metric)
            for part in (events[:stored], events[stored:]):
                if part:
                    send(metering, part)
                    metering.read(UsageQuestion(metric, None, FIRST, LAST))
                metering._state.checkpoint()
            hourly = metering.read(UsageQuestion(metric, frozenset("ab"), FIRST, LAST, grouping))
            asked = UsageQuestion(metric, frozenset("ab"), FIRST, LAST, grouping, cuts)
            found = metering.read(asked)
            expected = merged(hourly, (FIRST, *cuts))
            assert {(cell.customer_key, cell.hour, cell.group) for cell in found} == set(expected)
            for cell in found:
                tally = expected[cell.customer_key, cell.hour, cell.group]
                assert value_of(aggregation, cell.tally) == value_of(aggregation, tally)
                assert cell.tally.count == tally.count
        finally:
            metering.close()


def test_sums_that_outgrow_64_bits_stay_exact(tmp_path: Path) -> None:
    """Twenty hours of 9 x 10^14 x 1,000 events each: 1.8 x 10^19, beyond what the database can add."""
    metric = MetricDefinition("m", Aggregation.SUM, "amount")
    metering = Metering(tmp_path, Standing())
    metering.register(metric)
    most = 9 * 10**14
    for hour in range(20):
        at = (NOW - timedelta(hours=hour)).isoformat()
        for part in range(10):
            names = [f"{hour}-{part}-{number}" for number in range(100)]
            events = [
                wire(0, transaction_id=name, timestamp=at, properties={"amount": most}) for name in names
            ]
            asyncio.run(metering.ingest(json.dumps(events).encode()))
    metering.read(UsageQuestion(metric, None, 0, LAST))
    metering._state.checkpoint()
    (cell,) = metering.read(UsageQuestion(metric, None, 0, LAST, (), ()))
    assert cell.tally.sum == most * 20_000
    metering.close()
