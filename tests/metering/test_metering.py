"""The whole metering path against the slow reference: order, batches, repeats, restarts change nothing."""

import asyncio
import json
import mmap
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.applier import Metering
from tallybook.metering import fingerprints
from tallybook.metering.event import Batch, accept_events, accept_timestamps, reread_events
from tallybook.metering.fingerprints import Fingerprints
from tallybook.metering.kinds import Triples
from tallybook.metering.match import matches, number_of, passes, stored_groupings
from tallybook.metering.timestamps import micros_of_text, micros_of_texts
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid
from tallybook.values.instant import hour_of, parse_instant
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter

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


def accept(body: bytes) -> Batch:
    batch = accept_events(body)
    accept_timestamps(batch.columns.timestamps, NOW, NOW)
    return batch


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
        accept(json.dumps([wire(0), event]).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b"null", b"[1]", b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_list_of_events_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        accept(body)


def test_a_hundred_events_are_taken_and_one_more_is_not() -> None:
    assert len(accept(json.dumps([wire(n) for n in range(100)]).encode())) == 100
    with pytest.raises(Invalid, match="100"):
        accept(json.dumps([wire(n) for n in range(101)]).encode())


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
        assert len(accept(body)) == 1
    else:
        with pytest.raises(Invalid, match=r"events\[0\].timestamp"):
            accept(body)


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


@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda at, digits, offset: (
                    at.strftime("%Y-%m-%dT%H:%M:%S")
                    + ("." + str(at.microsecond).rjust(6, "0").ljust(31, "9")[:digits] if digits else "")
                    + offset
                ),
                st.datetimes(NOW.replace(year=1000, tzinfo=None)),
                st.sampled_from([0, 1, 3, 6, 7, 29, 30]),
                st.sampled_from(["Z", "Z", "Z", "+00:00", "-07:00", "z"]),
            ),
            st.sampled_from(["2024-02-29T23:59:59Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z"]),
        ),
        min_size=24,
        max_size=60,
    )
)
def test_reading_many_timestamps_at_once_agrees_with_one_by_one(texts: list[str]) -> None:
    assert micros_of_texts(texts).tolist() == [micros_of_text(text) for text in texts]


@given(
    st.lists(st.datetimes(NOW.replace(year=1, tzinfo=None)), min_size=24, max_size=40),
    st.sampled_from([0, 1, 3, 6, 7, 29, 30]),
    st.sampled_from(["Z", "+00:00", "-07:00", "+05:30", "-23:59"]),
)
def test_reading_timestamps_of_one_form_agrees_with_one_by_one(
    instants: list[datetime], digits: int, offset: str
) -> None:
    texts = [
        at.isoformat(timespec="seconds")
        + ("." + str(at.microsecond).rjust(6, "0").ljust(31, "9")[:digits] if digits else "")
        + offset
        for at in instants
    ]

    def one_by_one() -> list[int]:
        return [micros_of_text(text) for text in texts]

    try:
        expected = one_by_one()
    except Invalid:  # an offset may lead out of the calendar
        with pytest.raises(Invalid):
            micros_of_texts(texts)
    else:
        assert micros_of_texts(texts).tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-15T24:00:00Z",
        "2026-01-15T10:60:00Z",
        "2026-01-15T10:00:60Z",
        "0000-01-15T10:00:00Z",
        "2026-01-15T10:00:0:Z",
        "2026-01-15T10:00:0/Z",
        "2026-01-15T10:00:00.Z",
        "2026-01-15T10:00:00,5Z",
        "2026-01-15T10:00:00.5xZ",
        "2026/01/15T10:00:00Z",
        "2026-01-15T10:00:00.+00:00",
        "2026-01-15T10:00:00+24:00",
        "2026-01-15T10:00:00+05:60",
        "2026-01-15T10:00:00 05:00",
        "2026-01-15T10:00:00+05-00",
        "2026-01-15T10:00:00.0000000000000000000000000000001Z",
        "2026-01-15T10:00:00.0000000000000000000000000000001+00:00",
        "\uff12026-01-15T10:00:0Z",
        "",
    ],
)
def test_one_bad_timestamp_among_many_is_named(text: str) -> None:
    good = "2026-01-15T10:00:00Z"
    with pytest.raises(Invalid, match=r"events\[30\].timestamp"):
        accept_timestamps([good] * 30 + [text] + [good] * 5, NOW, NOW)
    with pytest.raises(Invalid, match=r"events\[30\].timestamp"):
        accept_timestamps([good] * 30 + [text] * 30, NOW, NOW)


ODD_BODIES = [
    # properties as JSON, whether taken
    ('{"a": "\\ud83d\\ude00", "skipped": "é"}', True),
    ('{"skipped": "\\ud800"}', False),
    ('{"skipped": 1e999, "a": -0.0}', True),
    ('{"skipped": ' + "9" * 5_000 + "}", True),
    ('{"a": ' + "9" * 5_000 + "}", True),
    ('{"a": ' + "9" * 5_000 + ', "b": NaN}', False),
    ('{"a": ' + "9" * 5_000 + ', "b": "\\ud800"}', False),
    ('{"skipped": 01}', False),
    ('{"skipped": [1,]}', False),
    ('{"skipped": "\t"}', False),
    ('{"a": 1, "a": 2}', True),
    ("null", True),
    ("[]", False),
    ('"x"', False),
]


@pytest.mark.parametrize(("properties", "is_taken"), ODD_BODIES)
@pytest.mark.parametrize("wanted", [(), ("a",), ("a", "b", "skipped")])
def test_which_properties_are_read_never_decides_what_is_taken(
    properties: str, is_taken: bool, wanted: tuple[str, ...]
) -> None:
    event = json.dumps(wire(0))
    body = event.replace('{"amount": "1"}', properties).join("[]").encode()
    if is_taken:
        columns = accept_events(body, wanted).columns
        again = reread_events(body, wanted)
        assert len(columns) == 1
        assert (again.customers, again.properties) == (columns.customers, columns.properties)
    else:
        with pytest.raises(Invalid):
            accept_events(body, wanted)


@pytest.mark.parametrize("wanted", [(), ("a",)])
def test_a_body_that_is_no_utf8_is_refused_wherever_it_is_not(wanted: tuple[str, ...]) -> None:
    body = json.dumps([wire(0, properties={"skipped": "x"})]).encode().replace(b'"x"', b'"\xff"')
    with pytest.raises(Invalid, match="JSON"):
        accept_events(body, wanted)


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


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 400), min_size=1, max_size=200), st.integers(0, 20 * 86_400)),
        max_size=25,
    ),
    st.sampled_from([16, 64, 300]),
    st.sampled_from([16, 8_192]),
    st.integers(0, 12),
)
def test_fingerprints_are_remembered_for_34_days_while_the_table_grows(
    batches: list[tuple[list[int], int]], slots: int, lines: int, jump: int
) -> None:
    accepted, second = {}, 1_700_000_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprints, "_SEGMENT_LINES", lines)
        if lines < 8_192:
            # Tables of many small segments, moved one at a time.
            for name, value in (("_HASTE", 0), ("_FULL_PERCENT", 50), ("_FRESH_PERCENT", 30)):
                patch.setattr(fingerprints, name, value)
        check_fingerprints(batches, slots, jump, accepted, second)


def check_fingerprints(
    batches: list[tuple[list[int], int]], slots: int, jump: int, accepted: dict[int, int], second: int
) -> None:
    table = Fingerprints(slots)
    for index, (numbers, pause) in enumerate(batches):
        # Seconds are kept modulo 48.5 days: what was forgotten long ago must not seem young again.
        second += pause + (2**22 + 1_000 if index == jump else 0)
        packed = b"".join(xxhash.xxh3_128_digest(str(number).encode()) for number in numbers)
        for number, new in zip(numbers, table.admit(packed, second).tolist(), strict=True):
            assert new is (number not in accepted or accepted[number] + 34 * 86_400 <= second)
            if new:
                accepted[number] = second
        within = {number: at for number, at in accepted.items() if second - at < 34 * 86_400}
        packed = b"".join(xxhash.xxh3_128_digest(str(number).encode()) for number in within)
        assert table.seconds_of(packed).tolist() == list(within.values())
        assert table.seconds_of(xxhash.xxh3_128_digest(b"never")).tolist() == [-1]
        assert len(table) >= len(within)


def test_a_growing_table_costs_less_than_20_bytes_an_id_at_any_time() -> None:
    source, table = np.random.default_rng(5), Fingerprints()
    before = resident()
    for count in range(20_000, 3_000_001, 20_000):
        table.admit(source.bytes(16 * 20_000), 1_700_000_000)
        if count >= 600_000:
            assert resident() - before < count * 20 + 8_000_000
    assert len(table) == 3_000_000


def resident() -> int:
    """Bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def test_a_table_restored_in_one_go_knows_what_was_accepted() -> None:
    source = np.random.default_rng(4)
    packed = source.bytes(16 * 50_000)
    accepted = source.random(50_000) < 0.9
    seconds = np.sort(source.integers(1_000_000, 1_000_000 + 33 * 86_400, 50_000))
    table = Fingerprints()
    table.expect(50_000)
    for start in range(0, 50_000, 7_000):
        part = slice(start, start + 7_000)
        table.restore(packed[start * 16 : (start + 7_000) * 16], accepted[part], seconds[part])
    assert len(table) == np.count_nonzero(accepted)
    assert (table.admit(packed, int(seconds[-1])) == ~accepted).all()


@given(st.lists(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=1, max_size=200), max_size=12))
def test_triples_are_numbered_as_they_come(batches: list[list[tuple[int, int, int]]]) -> None:
    triples, known = Triples(), {}
    triples._clear(4)
    for batch in batches:
        numbers, new = triples.number(*(np.array(part, dtype=np.int64) for part in zip(*batch, strict=True)))
        firsts = [
            place for place, triple in enumerate(batch) if triple not in known and triple not in batch[:place]
        ]
        for triple in batch:
            known.setdefault(triple, len(known))
        assert numbers.tolist() == [known[triple] for triple in batch]
        assert new.tolist() == firsts
    assert len(triples) == len(known)
