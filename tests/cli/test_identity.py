"""Derived ids depend on the content of the input alone, not on its order."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tallybook.cli.ingest.identity import Identity
from tallybook.cli.ingest.mapping import Event


def _event(tokens: int, customer: str = "acme") -> Event:
    return {
        "customer_id": customer,
        "event_type": "chat",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {"tokens": str(tokens)},
    }


def _ids(events: list[Event], size: int) -> list[str]:
    identity = Identity()
    for start in range(0, len(events), size):
        identity.name(events[start : start + size])
    return [event["transaction_id"] for event in events]


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 20), st.randoms(use_true_random=False))
def test_a_shuffled_input_has_the_same_ids(tokens: list[int], size: int, chance: random.Random) -> None:
    ids = _ids([_event(n) for n in tokens], size)
    assert len(set(ids)) == len(ids)
    shuffled = list(tokens)
    chance.shuffle(shuffled)
    again = _ids([_event(n) for n in shuffled], 7)
    assert Counter(again) == Counter(ids)


def test_what_an_event_says_tells_it_apart() -> None:
    events = [_event(1), _event(2), _event(1, "other"), _event(1) | {"event_type": "x"}]
    ids = _ids([*events, _event(1) | {"timestamp": "2026-01-01T00:00:00.000001Z"}], 100)
    assert len({name.rpartition("-")[0] for name in ids}) == 5
    assert all(name.endswith("-1") for name in ids)


def test_order_of_properties_does_not_matter() -> None:
    one, other = _event(1), _event(1)
    one["properties"] = {"a": "1", "b": "2"}
    other["properties"] = {"b": "2", "a": "1"}
    first, second = _ids([one, other], 100)
    assert (first[-2:], second[-2:]) == ("-1", "-2")
    assert first[:-2] == second[:-2]


def test_given_ids_are_kept_and_do_not_count() -> None:
    named = _event(1) | {"transaction_id": "mine"}
    assert _ids([named, _event(1)], 100)[0] == "mine"
    assert _ids([named, _event(1)], 100)[1].endswith("-1")
