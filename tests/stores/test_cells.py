"""Cells stored in any number of checkpoints read back as what their events add up to."""

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.adapters.usage.sqlite import CellStore, Progress
from tallybook.metering.cells import ActiveMetric, Cell, Cells, text_of_group
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.usage import Tally

numbers = st.one_of(
    st.none(), st.decimals(-1000, 1000, places=3), st.integers(-(10**25), 10**25).map(Decimal)
)
wholes = st.one_of(st.integers(-1000, 1000), st.sampled_from([2**53 - 1, -(2**53) + 1, 2**62, -(2**70)]))
places = st.tuples(
    st.integers(1, 2),
    st.integers(0, 1),
    st.sampled_from(["a", "b", "a\0b", "a\0c", 'q"uote', "é"]),
    st.integers(5, 7),
    st.sampled_from([(), (None,), ("x",), ("x\0y",), ("x\0z",), ('"',)]),
)


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    cell = Cell()
    cell.count = draw(st.integers(1, 5))
    cell.whole = draw(wholes)
    cell.exact = draw(numbers) or Decimal(0)
    cell.max = draw(numbers)
    latest = draw(numbers)
    if latest is not None:
        cell.latest = (draw(st.integers(0, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 3)), latest)
    cell.distinct = draw(
        st.one_of(st.none(), st.sets(st.sampled_from(["", "u", "v", "w\0", "w"]), max_size=3))
    )
    return cell


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(places, cells(), max_size=12), max_size=5))
def test_checkpoints_merge_whatever_they_hold(checkpoints: list[dict[tuple, Cell]]) -> None:
    expected: dict[tuple, Tally] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = CellStore(Path(folder) / "cells.db")
        for number, flat in enumerate(checkpoints, start=1):
            for place, cell in flat.items():
                # A latest value of one moment and position is one event: it is counted once.
                expected[place] = expected.get(place, Tally()).merge(cell.tally())
            store.checkpoint(
                Progress(number, number),
                [
                    Cells.of_pairs(
                        ((*place[:4], text_of_group(place[4])), cell) for place, cell in flat.items()
                    )
                ],
                {},
                [],
            )
        found = {
            (metric, grouping, cell.customer_key, cell.hour, cell.group): cell.tally
            for metric in (1, 2)
            for grouping in (0, 1)
            for keys in (["a", "b", "a\0b"], ["a\0c", 'q"uote', "é"])
            for cell in store.read(metric, grouping, keys, (5, 8), Aggregation.UNIQUE, is_hourly=True)[1]
        }
        everything = store.read(1, 0, None, (0, 100), Aggregation.UNIQUE, is_hourly=True)
        store.close()
    assert without_latest(found) == without_latest(expected)
    assert {place: age_of(tally) for place, tally in found.items()} == {
        place: age_of(tally) for place, tally in expected.items()
    }
    assert everything[0] == len(checkpoints)
    assert len(everything[1]) == sum(place[:2] == (1, 0) for place in expected)


def without_latest(tallies: dict[tuple, Tally]) -> dict[tuple, tuple]:
    return {place: (item.count, item.sum, item.max, item.distinct) for place, item in tallies.items()}


def age_of(tally: Tally) -> tuple | None:
    return None if tally.latest is None else (tally.latest.timestamp_micros, tally.latest.position)


def test_sums_outgrow_64_bits_in_the_store(tmp_path: Path) -> None:
    store = CellStore(tmp_path / "cells.db")
    for number in range(1, 1_200):
        cell = Cell()
        cell.count, cell.whole = 1, 2**53 - 1
        store.checkpoint(Progress(number, number), [Cells.of_pairs([((1, 0, "c", 1, "[]"), cell)])], {}, [])
    for is_hourly in (False, True):
        (stored,) = store.read(1, 0, ["c"], (0, 2), Aggregation.SUM, is_hourly=is_hourly)[1]
        assert (stored.tally.count, stored.tally.sum) == (1_199, Decimal(1_199 * (2**53 - 1)))
    store.close()


def test_a_fill_in_parts_goes_on_where_it_stood(tmp_path: Path) -> None:
    store = CellStore(tmp_path / "cells.db")
    metric = ActiveMetric(1, MetricDefinition("m", Aggregation.COUNT), 9)
    for filled_until in (4, 9, 4):
        cell = Cell()
        cell.count = filled_until
        store.fill(metric, Cells.of_pairs([((1, 0, "c", 1, "[]"), cell)]), filled_until)
    (stored,) = store.metrics()
    store.close()
    assert (stored.active, stored.filled_until) == (metric, 9)


@pytest.mark.parametrize(
    ("first", "last", "rows"), [(1, 9, [2, 3, 7]), (3, 6, [3]), (4, 6, []), (7, 7, [7]), (3, 8, [3, 7])]
)
def test_repeats_are_found_by_row(tmp_path: Path, first: int, last: int, rows: list[int]) -> None:
    store = CellStore(tmp_path / "cells.db")
    store.checkpoint(Progress(1, 5), [], {2: b"\x80", 3: b"\x40"}, [])
    store.checkpoint(Progress(2, 9), [], {7: b"\x01"}, [])
    assert sorted(store.repeats(first, last)) == rows
    store.close()
