"""Finding events by id: in whatever order they came, whatever came between, and nothing else."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tallybook.applier import Metering, MeteringApart
from tallybook.applier.search import ENTRIES_PER_ID_MAX
from tallybook.metering.fingerprints import Fingerprints
from tallybook.metering.raw import SentEvent, sent_events
from tallybook.ports import RawEvent
from tallybook.values.instant import micros_of
from tests.metering.test_metering import NOW, Standing, wire

WINDOW = timedelta(days=34)
STEPS = [0, 1, 86_400, 34 * 86_400 - 1, 34 * 86_400]


@dataclass
class Sent:
    """What was sent, and whether the first one before it within 34 days had the same id."""

    id: str
    received_at: datetime
    position: tuple[int, int]
    is_repeat: bool


class Play:
    """A metering, and a list of everything sent to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Standing()
        self.metering = Metering(folder, self.clock)
        self.sent: list[Sent] = []
        self.accepted: dict[str, datetime] = {}
        self.rows = 0

    def send(self, numbers: list[int]) -> None:
        now = self.clock.now()
        body = [
            wire(number, timestamp=now.isoformat(), properties={"at": place})
            for place, number in enumerate(numbers)
        ]
        asyncio.run(self.metering.ingest(json.dumps(body).encode()))
        self.rows += 1
        for place, number in enumerate(numbers):
            before = self.accepted.get(f"t{number}")
            is_repeat = before is not None and now - before < WINDOW
            if not is_repeat:
                self.accepted[f"t{number}"] = now
            self.sent.append(Sent(f"t{number}", now, (self.rows, place), is_repeat))

    def check(self, numbers: list[int]) -> None:
        since = self.clock.now() - WINDOW
        ids = {f"t{number}" for number in numbers}
        found = self.metering.search(sorted(ids), since)
        begin = since.replace(microsecond=0) + timedelta(seconds=1)
        assert [(item.transaction_id, item.position, item.is_repeat) for item in found] == [
            (item.id, item.position, item.is_repeat)
            for item in self.sent
            if item.received_at >= begin and item.id in ids
        ]
        for item in found:
            assert item.properties == f'{{"at": {item.position[1]}}}'

    def restart(self) -> None:
        self.metering.close()
        self.metering = Metering(self.folder, self.clock)


numbers = st.lists(st.integers(0, 9), min_size=1, max_size=8)
steps = st.lists(
    st.tuples(st.just("send"), numbers)
    | st.tuples(st.just("check"), numbers)
    | st.tuples(st.just("wait"), st.sampled_from(STEPS))
    | st.tuples(st.sampled_from(["restart", "checkpoint"]), st.just(0)),
    min_size=3,
    max_size=14,
)


@settings(deadline=None, max_examples=30)
@given(steps=steps)
@example(steps=[("send", [1, 1]), ("wait", 34 * 86_400 + 1), ("send", [2])])
def test_the_search_agrees_with_a_list_of_what_was_sent(steps: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder))
        try:
            for name, given_ in steps:
                if name == "send":
                    play.send(given_)
                elif name == "check":
                    play.check(given_)
                elif name == "wait":
                    play.clock.instant += timedelta(seconds=given_)
                elif name == "restart":
                    play.restart()
                else:
                    play.metering._state.checkpoint()
            play.check(list(range(10)))
        finally:
            play.metering.close()


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[MeteringApart]:
    metering = MeteringApart(tmp_path, Standing())
    yield metering
    metering.close()


def test_a_process_apart_finds_what_was_acknowledged(apart: MeteringApart) -> None:
    for number in range(20):
        body = [wire(number), wire(number - 1), wire(number)]
        asyncio.run(apart.ingest(json.dumps(body).encode()))
        found = apart.search([f"t{number}"], NOW - WINDOW)
        assert [(item.position, item.is_repeat) for item in found] == [
            ((number + 1, 0), False),
            ((number + 1, 2), True),
        ]
    assert found[0] == RawEvent(
        position=(20, 0),
        transaction_id="t19",
        customer_id="c",
        event_type="e",
        timestamp_micros=micros_of(NOW - timedelta(hours=2)),
        received_micros=micros_of(NOW),
        properties='{"amount": "1"}',
    )
    assert apart.search([], NOW - WINDOW) == []
    assert apart.search(["nothing", "t1" * 1_000, "é"], NOW - WINDOW) == []


def test_few_entries_of_an_endlessly_repeated_id_are_told(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    for _ in range(3):
        asyncio.run(metering.ingest(json.dumps([wire(1)] * 50 + [wire(2)]).encode()))
    found = metering.search(["t2", "t1"], NOW - WINDOW)
    ids = [item.transaction_id for item in found]
    assert (ids.count("t1"), ids.count("t2")) == (ENTRIES_PER_ID_MAX, 3)
    assert [item.is_repeat for item in found if item.transaction_id == "t2"] == [False, True, True]
    metering.close()


def test_a_log_long_before_and_after_is_passed_over(tmp_path: Path) -> None:
    """Repeats far apart are found in stretches of rows of their own."""
    clock = Standing()
    metering = Metering(tmp_path, clock)
    for number in range(200):
        clock.instant += timedelta(seconds=1)
        again = [wire(0)] if number in (50, 51, 120, 199) else []
        body = [wire(number, timestamp=clock.instant.isoformat()), *again]
        asyncio.run(metering.ingest(json.dumps(body).encode()))
    found = metering.search(["t0", "t100"], clock.instant - WINDOW)
    assert [(item.position[0], item.is_repeat) for item in found] == [
        (1, False),
        (51, True),
        (52, True),
        (101, False),
        (121, True),
        (200, True),
    ]
    assert metering.search(["t0"], clock.instant - timedelta(seconds=1)) == found[-1:]
    assert metering.search(["t0"], clock.instant) == []
    metering.close()


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_the_table_tells_when_each_id_was_accepted(data: st.DataObject) -> None:
    """While it grows too, when some slots have been moved and others not."""
    table = Fingerprints(slots=64)
    known: dict[bytes, int] = {}
    second = 1_000
    for _ in range(data.draw(st.integers(1, 12))):
        ids = data.draw(st.lists(st.integers(0, 500), min_size=1, max_size=120, unique=True))
        prints = [xxhash.xxh3_128_digest(str(item).encode()) for item in ids]
        is_new = table.admit(b"".join(prints), second)
        known |= {item: second for item, fresh in zip(prints, is_new, strict=True) if fresh}
        asked = [*prints, xxhash.xxh3_128_digest(b"unknown")]
        told = table.seconds_of(b"".join(asked))
        assert told.tolist() == [known.get(item, -1) for item in asked]
        second += data.draw(st.sampled_from([0, 1, 34 * 86_400]))
    assert table.seconds_of(b"").dtype == np.int64


def test_events_are_read_out_of_the_middle_of_bodies() -> None:
    bodies = [
        b'[{"transaction_id":"a","customer_id":"c","event_type":"e","timestamp":"1970-01-01T00:00:01Z"}]',
        (
            b' [ {"properties" : { "n":1e400, "\\u00e9":"\\ud83d\\ude00" } ,'
            b'"transaction_id":"b","customer_id":"c",'
            b'"event_type":"e","timestamp":"1970-01-01T00:00:00+01:00"},'
            b'{"transaction_id":"d","customer_id":"c","event_type":"e","timestamp":"1970-01-01T00:00:01.5Z",'
            b'"properties":null}]'
        ),
    ]
    known = [
        SentEvent("a", "c", "e", 1_000_000, None),
        SentEvent("b", "c", "e", -3_600_000_000, '{ "n":1e400, "\\u00e9":"\\ud83d\\ude00" }'),
        SentEvent("d", "c", "e", 1_500_000, None),
    ]
    for indexes in ([], [0], [1], [2], [0, 2], [0, 1, 2]):
        assert sent_events(bodies, indexes) == [known[index] for index in indexes]
