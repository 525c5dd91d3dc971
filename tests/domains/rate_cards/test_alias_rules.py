"""The pure rules of rate cards: who keeps an alias, and where moved products stand."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.domains.rate_cards.model import AliasSegment, check_aliases, cut_back, moved
from tallybook.values.errors import Invalid

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: int | None) -> datetime | None:
    return None if number is None else JANUARY + timedelta(days=number)


def segment(start: int | None = None, end: int | None = None, name: str = "paygo") -> AliasSegment:
    return AliasSegment(name=name, starting_at=day(start), ending_before=day(end))


@pytest.mark.parametrize(
    ("held", "taken", "kept"),
    [
        ([segment()], [segment()], []),
        ([segment()], [segment(10)], [segment(None, 10)]),
        ([segment(0)], [segment(10)], [segment(0, 10)]),
        ([segment(0, 20)], [segment(10)], [segment(0, 10)]),
        ([segment(0, 20)], [segment(5, 8)], [segment(0, 5)]),
        ([segment(10, 20)], [segment(10)], []),
        ([segment(10, 20)], [segment(5)], []),
        ([segment(10, 20)], [segment(5, 15)], []),
        ([segment(0, 10)], [segment(10)], [segment(0, 10)]),
        ([segment(10)], [segment(0, 10)], [segment(10)]),
        ([segment()], [segment(10, name="other")], [segment()]),
        ([segment(name="other"), segment()], [segment()], [segment(name="other")]),
        ([segment()], [segment(10, 20), segment(5, 8)], [segment(None, 5)]),
        ([segment(0, 10), segment(20)], [segment(5, 25)], [segment(0, 5)]),
    ],
)
def test_the_previous_holder_keeps_what_lies_before(
    held: list[AliasSegment], taken: list[AliasSegment], kept: list[AliasSegment]
) -> None:
    assert cut_back(held, taken) == kept


bounds = st.none() | st.integers(0, 12)
segments = st.lists(
    st.builds(segment, bounds, bounds, st.sampled_from(["a", "b"])).filter(
        lambda item: (
            item.starting_at is None or item.ending_before is None or item.starting_at < item.ending_before
        )
    ),
    max_size=4,
)


@given(segments, segments)
def test_after_an_assignment_no_instant_has_two_holders_and_nothing_is_gained(
    held: list[AliasSegment], taken: list[AliasSegment]
) -> None:
    kept = cut_back(held, taken)
    for half_day in range(-2, 28):
        instant = JANUARY + half_day * timedelta(hours=12)
        for name in "ab":
            keeps = any(item.name == name and item.covers(instant) for item in kept)
            assert not (keeps and any(item.name == name and item.covers(instant) for item in taken))
            assert not keeps or any(item.name == name and item.covers(instant) for item in held)


def test_a_segment_must_not_end_before_it_begins() -> None:
    check_aliases([segment(0, 1), segment(), segment(None, 1), segment(5)])
    for wrong in (segment(1, 1), segment(2, 1)):
        with pytest.raises(Invalid, match=r"aliases\[1\]\.ending_before"):
            check_aliases([segment(), wrong])


@given(st.integers(1, 8).flatmap(lambda count: st.tuples(st.just(count), st.randoms())))
def test_every_moved_product_stands_where_it_was_sent(given_) -> None:
    count, random = given_
    order = [f"product-{number}" for number in range(count)]
    chosen = random.sample(order, random.randint(0, count))
    moves = dict(zip(chosen, random.sample(range(count), len(chosen)), strict=True))
    result = moved(order, moves)
    assert sorted(result) == sorted(order)
    assert all(result[position] == product_id for product_id, position in moves.items())
    assert [item for item in result if item not in moves] == [item for item in order if item not in moves]
