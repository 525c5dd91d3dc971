"""Overlapping entries of a rate card as a timeline: cases, and properties against the plain rule."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tallybook.rating.rates import by_key, key_of, ruling_entry, segments_of
from tallybook.values.pricing import GroupValues, Price, RateEntry, RateType

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def at(hour: int) -> datetime:
    return JANUARY + timedelta(hours=hour)


def entry(
    added: int,
    start: int,
    end: int | None = None,
    *,
    product_id: str = "p",
    group_values: GroupValues = (),
    frequency: str | None = None,
    entitled: bool = True,
) -> RateEntry:
    return RateEntry(
        id=f"rate-{added}",
        product_id=product_id,
        group_values=group_values,
        starting_at=at(start),
        ending_before=None if end is None else at(end),
        entitled=entitled,
        price=Price(rate_type=RateType.FLAT, price=Decimal(added)),
        added=added,
        billing_frequency=frequency,
    )


def timeline(*entries: RateEntry) -> list[tuple[int, datetime, datetime | None]]:
    return [
        (segment.entry.added, segment.starting_at, segment.ending_before) for segment in segments_of(entries)
    ]


def test_no_entries_have_no_timeline() -> None:
    assert segments_of([]) == []
    assert ruling_entry([], JANUARY) is None


def test_one_entry_rules_from_its_start_for_ever_or_to_its_end() -> None:
    assert timeline(entry(1, 0)) == [(1, at(0), None)]
    assert timeline(entry(1, 0, 5)) == [(1, at(0), at(5))]


def test_later_start_takes_over_and_history_stays() -> None:
    assert timeline(entry(1, 0), entry(2, 10)) == [(1, at(0), at(10)), (2, at(10), None)]
    assert timeline(entry(1, 10), entry(2, 0)) == [(2, at(0), at(10)), (1, at(10), None)]


def test_of_one_start_the_latest_added_rules() -> None:
    assert timeline(entry(1, 0), entry(2, 0)) == [(2, at(0), None)]
    assert timeline(entry(2, 0), entry(1, 0)) == [(2, at(0), None)]


def test_an_ended_entry_gives_way_to_the_earlier_one_that_still_runs() -> None:
    assert timeline(entry(1, 0), entry(2, 10, 20)) == [
        (1, at(0), at(10)),
        (2, at(10), at(20)),
        (1, at(20), None),
    ]


def test_ends_hidden_under_a_later_entry_cut_nothing() -> None:
    assert timeline(entry(1, 0, 15), entry(2, 10)) == [(1, at(0), at(10)), (2, at(10), None)]
    assert timeline(entry(1, 0, 20), entry(2, 5), entry(3, 5)) == [(1, at(0), at(5)), (3, at(5), None)]


def test_gaps_stay_gaps() -> None:
    assert timeline(entry(1, 0, 5), entry(2, 8, 9)) == [(1, at(0), at(5)), (2, at(8), at(9))]


def test_an_entry_that_does_not_entitle_rules_all_the_same() -> None:
    off = entry(2, 10, entitled=False)
    assert timeline(entry(1, 0), off) == [(1, at(0), at(10)), (2, at(10), None)]
    assert ruling_entry([entry(1, 0), off], at(10)) is off


def test_ends_are_exclusive_and_starts_inclusive() -> None:
    only = entry(1, 0, 5)
    assert ruling_entry([only], at(0)) is only
    assert ruling_entry([only], at(5) - timedelta(microseconds=1)) is only
    assert ruling_entry([only], at(5)) is None
    assert ruling_entry([only], at(0) - timedelta(microseconds=1)) is None


def test_keys_are_product_exact_group_values_and_frequency() -> None:
    first = entry(1, 0)
    same = entry(2, 5)
    others = [
        entry(3, 0, product_id="q"),
        entry(4, 0, group_values=(("region", "eu"),)),
        entry(5, 0, group_values=(("region", "EU"),)),
        entry(6, 0, group_values=(("model", "s"), ("region", "eu"))),
        entry(7, 0, frequency="MONTHLY"),
    ]
    grouped = by_key([first, *others, same])
    assert list(grouped) == [key_of(first), *map(key_of, others)]
    assert grouped[key_of(first)] == [first, same]
    assert all(len(grouped[key_of(other)]) == 1 for other in others)


def test_a_price_that_changed_ten_thousand_times_is_one_pass() -> None:
    entries = [entry(number, number, number + 500) for number in range(10_000)]
    segments = segments_of(entries)
    assert len(segments) == 10_000
    assert (segments[-1].starting_at, segments[-1].ending_before) == (at(9_999), at(10_499))


@st.composite
def entries_of_one_key(draw: st.DrawFn) -> list[RateEntry]:
    spans = draw(st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(1, 8)), max_size=9))
    made = [
        entry(added, start, None if length is None else start + length)
        for added, (start, length) in enumerate(spans, start=1)
    ]
    return draw(st.permutations(made))


@given(entries_of_one_key())
def test_at_every_instant_the_timeline_shows_the_ruling_entry(entries: list[RateEntry]) -> None:
    segments = segments_of(entries)
    for half_hour in range(-1, 46):
        instant = JANUARY + half_hour * timedelta(minutes=30)
        running = [
            item
            for item in entries
            if item.starting_at <= instant and (item.ending_before is None or instant < item.ending_before)
        ]
        expected = sorted(running, key=lambda item: (item.starting_at, item.added))[-1:]
        shown = [
            segment.entry
            for segment in segments
            if segment.starting_at <= instant
            and (segment.ending_before is None or instant < segment.ending_before)
        ]
        assert shown == expected
        assert [ruling_entry(entries, instant)] == (expected or [None])


@given(entries_of_one_key())
def test_segments_follow_one_another_and_none_could_be_joined(entries: list[RateEntry]) -> None:
    segments = segments_of(entries)
    for segment in segments:
        assert segment.ending_before is None or segment.starting_at < segment.ending_before
        assert segment.starting_at >= segment.entry.starting_at
    for before, after in pairwise(segments):
        assert before.ending_before is not None
        assert before.ending_before <= after.starting_at
        assert before.entry is not after.entry or before.ending_before < after.starting_at


@given(entries_of_one_key(), st.randoms(use_true_random=False))
def test_the_order_in_which_entries_are_read_does_not_matter(entries: list[RateEntry], random) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert segments_of(shuffled) == segments_of(entries)
