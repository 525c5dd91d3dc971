"""Raw events from archive and log together are exactly the accepted ones, whenever they are archived."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.adapters.archive import RawEventStore, RawScope
from tallybook.adapters.archive.compact import Compactor
from tallybook.adapters.archive.manifest import ArchiveFile
from tallybook.adapters.archive.merge import FILES_MAX, LARGEST, due
from tallybook.adapters.archive.tail import Tail
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.metering.aggregate import without_repeats
from tallybook.values.errors import Unavailable
from tallybook.values.event import Event
from tallybook.values.instant import micros_of, parse_instant
from tests.archive.support import ALL, archive, brief, files_on_disk, metering, read, sent
from tests.metering.test_metering import NOW, Standing, send, wire

DAY = 86_400_000_000


def test_events_are_read_from_the_log_and_from_the_archive_alike(tmp_path: Path) -> None:
    properties = {"n": 1.50, "t": "x", "yes": True, "none": None, "list": [1, "a"], "o": {"b": 1, "a": None}}
    with metering(tmp_path) as (meter, store):
        assert read(store) == []
        send(meter, [wire(1, properties=properties), wire(2), wire(1, customer_id="other")])
        send(
            meter, [{**wire(3), "properties": None}, {k: v for k, v in wire(4).items() if k != "properties"}]
        )
        before = read(store)
        archive(meter, tmp_path)
        assert store.manifest().position == 2
        assert read(store) == before
    assert [row[:6] for row in before] == [
        (1, 0, "t1", "c", "e", micros_of(parse_instant("2026-01-15T10:00:00Z"))),
        (1, 1, "t2", "c", "e", micros_of(parse_instant("2026-01-15T10:00:00Z"))),
        (2, 0, "t3", "c", "e", micros_of(parse_instant("2026-01-15T10:00:00Z"))),
        (2, 1, "t4", "c", "e", micros_of(parse_instant("2026-01-15T10:00:00Z"))),
    ]
    assert {row[6] for row in before} == {micros_of(NOW)}
    assert before[0][7] == json.dumps(properties)
    texts = {"n": "1.5", "t": "x", "yes": "true", "list": '[1,"a"]', "o": '{"a":null,"b":1}'}
    assert [row[8] for row in before] == [texts, {"amount": "1"}, {}, {}]
    assert [row[7] for row in before[1:]] == ['{"amount": "1"}', None, None]


ODD_PROPERTIES = [
    # JSON as sent, texts
    ('{"n": 0.1000}', {"n": "0.1"}),
    ('{"n": 12345678901234567890.123456789012345678}', {"n": "12345678901234567890.123456789012345678"}),
    ('{"n": 1e3, "m": -0.0, "k": 1e999, "z": 0}', {"n": "1000", "m": "0", "k": "1e999", "z": "0"}),
    ('{"n": ' + "9" * 5_000 + ', "t": "1.50"}', {"n": "9" * 5_000, "t": "1.50"}),
    ('{"n": 123456789012345678901234567890}', {"n": "123456789012345678901234567890"}),
    ('{"\\u0000": "\\ud83d\\ude00", "": ""}', {"\0": "\U0001f600", "": ""}),
    (
        '{"a": "\\"quoted\\\\", "b": [true, null, 1.50, {"x": 1e2}]}',
        {"a": '"quoted\\', "b": '[true,null,1.5,{"x":100}]'},
    ),
    ("{}", {}),
]


@pytest.mark.parametrize(("text", "texts"), ODD_PROPERTIES)
def test_properties_are_kept_as_sent_and_their_texts_are_exact(
    tmp_path: Path, text: str, texts: dict[str, str]
) -> None:
    body = json.dumps([wire(1, properties="P"), wire(2)]).replace('"P"', text).encode()
    with metering(tmp_path) as (meter, store):
        asyncio.run(meter.ingest(body))
        before = read(store)
        archive(meter, tmp_path)
        assert read(store) == before
    assert before[0][7:] == (text, texts)


@pytest.mark.parametrize("key", ["o'neil", "a\0b", "", "ü", '"', "c"])
def test_customer_keys_are_compared_as_they_are(tmp_path: Path, key: str) -> None:
    keys = ["o'neil", "a\0b", "ü", '"', "c", "c ", "C"]
    with metering(tmp_path) as (meter, store):
        send(meter, [wire(number, customer_id=text) for number, text in enumerate(keys)])
        for _ in range(2):
            found = [row[3] for row in read(store, RawScope(frozenset((key,)), 0, 1 << 60))]
            assert found == ([key] if key in keys else [])
            archive(meter, tmp_path)


def test_a_scope_is_half_open_and_of_any_number_of_customers(tmp_path: Path) -> None:
    at = micros_of(parse_instant("2026-01-15T10:00:00Z"))
    with metering(tmp_path) as (meter, store):
        send(meter, [wire(number, customer_id=f"c{number}") for number in range(100)])
        for _ in range(2):
            assert len(read(store, RawScope(None, at, at + 1))) == 100
            assert read(store, RawScope(None, at - 1, at)) == []
            assert read(store, RawScope(None, at + 1, at + 2)) == []
            assert read(store, RawScope(frozenset(), at, at + 1)) == []
            many = frozenset(f"c{number}" for number in range(0, 4_000, 2))
            assert len(read(store, RawScope(many, at, at + 1))) == 50
            archive(meter, tmp_path)


def test_files_are_by_day_and_clustered(tmp_path: Path) -> None:
    days = ("2026-01-14T23:59:59.999999Z", "2026-01-15T00:00:00Z", "2025-12-31T12:00:00Z")
    events = [wire(number, timestamp=days[number % 3], customer_id=f"c{number % 7}") for number in range(90)]
    with metering(tmp_path) as (meter, store):
        send(meter, events[:50])
        send(meter, events[50:])
        archive(meter, tmp_path)
        names = sorted(files_on_disk(tmp_path))
        assert [name.split("/")[0] for name in names] == ["2025-12-31", "2026-01-14", "2026-01-15"]
        assert {file.path for file in store.manifest().files} == set(names)
        for name in names:
            table = pq.read_table(tmp_path / "archive" / name)
            places = table.select(["customer_id", "timestamp", "log_row", "log_index"]).to_pylist()
            assert places == sorted(places, key=lambda row: tuple(row.values()))
        assert brief(store) == sent(events)


def test_only_what_is_checkpointed_is_archived(tmp_path: Path) -> None:
    """Repeats are known on disk that far; what comes later stays in the log."""
    with metering(tmp_path) as (meter, store):
        send(meter, [wire(1), wire(1)])
        archive(meter, tmp_path)
        send(meter, [wire(2), wire(1)])
        position = meter._store.progress().row
        Compactor(tmp_path).run()
        assert store.manifest().position == position
        assert brief(store) == sent([wire(1), wire(2)])


def test_many_small_files_of_a_day_are_merged(tmp_path: Path) -> None:
    events = [wire(number, customer_id=f"c{number % 5}") for number in range(80)]
    with metering(tmp_path) as (meter, store):
        for start in range(0, 80, 4):
            send(meter, events[start : start + 4])
            archive(meter, tmp_path)
            assert brief(store) == sent(events[: start + 4])
            assert len(files_on_disk(tmp_path)) < FILES_MAX
            assert files_on_disk(tmp_path) == {file.path for file in store.manifest().files}
        before = read(store)
        (merged, *_) = store.manifest().files
        table = pq.read_table(tmp_path / "archive" / merged.path)
        places = table.select(["customer_id", "timestamp", "log_row", "log_index"]).to_pylist()
        assert places == sorted(places, key=lambda row: tuple(row.values()))
        assert (merged.customer_first, merged.customer_last) == ("c0", "c4")
    with metering(tmp_path) as (meter, store):
        assert read(store) == before


def test_files_of_about_one_size_are_due_and_all_of_days_long_over() -> None:
    def files(day: int, *sizes: int) -> list[ArchiveFile]:
        return [ArchiveFile(day, f"{number}.parquet", size, 1, "a", "b") for number, size in enumerate(sizes)]

    small, mixed = files(100, *[10] * FILES_MAX), files(99, *[10] * (FILES_MAX - 1), 100_000)
    huge, over = files(98, *[LARGEST + 1] * FILES_MAX), files(63, 10, 1_000_000, LARGEST + 1)
    assert due((*small, *mixed, *huge, *over)) == [small, over[:2]]
    assert due((*files(64, 10, 10), *files(100, 10))) == []
    assert due(()) == []


def test_readers_of_the_files_before_a_switch_keep_them(tmp_path: Path) -> None:
    events = [wire(number) for number in range(35)]
    with metering(tmp_path) as (meter, store):
        send(meter, events[:10])
        archive(meter, tmp_path)
        with store.events(ALL) as connection:
            for start in range(10, 35, 5):
                send(meter, events[start : start + 5])
                archive(meter, tmp_path)
            assert len(store.manifest().files) == 1
            assert connection.execute("SELECT count(*) FROM raw_events").fetchall() == [(10,)]
        assert len(files_on_disk(tmp_path)) == 2
        archive(meter, tmp_path)
        assert len(files_on_disk(tmp_path)) == 1
        assert list(tmp_path.glob("archive/manifest-*")) == []


def test_reading_while_archiving_sees_every_event_once(tmp_path: Path) -> None:
    events = [wire(number, customer_id=f"c{number % 3}") for number in range(600)]
    with metering(tmp_path) as (meter, store), ThreadPoolExecutor(3) as pool:
        for start in range(0, 600, 20):
            send(meter, events[start : start + 20])
            until = start + 20
            readings = [pool.submit(brief, store) for _ in range(2)]
            pool.submit(archive, meter, tmp_path).result()
            for reading in readings:
                assert reading.result() == sent(events[:until])


def test_decoded_events_are_kept_within_bounds_and_dropped_once_archived(tmp_path: Path) -> None:
    events = [wire(number) for number in range(300)]
    with metering(tmp_path) as (meter, store):
        store._tail = tail = Tail(SqliteLog(tmp_path / "events.db"), meter.repeats, kept_bytes=1)
        for start in range(0, 300, 100):
            send(meter, events[start : start + 100])
            assert brief(store) == sent(events[: start + 100])
        assert [part.last for part in tail._parts] == [1]
        assert brief(store, RawScope(frozenset("x"), 0, 1 << 60)) == []
        archive(meter, tmp_path)
        store.trim()
        assert tail._parts == []
        tail._log.close()


def test_a_connection_reaches_nothing_but_the_archive(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with metering(tmp_path) as (meter, store):
        send(meter, [wire(1)])
        with store.events(ALL) as connection:
            for statement in (
                f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
                f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
                f"ATTACH '{tmp_path}/events.db'",
                "INSTALL httpfs",
                "SET enable_external_access = true",
                "SET memory_limit = '10GB'",
            ):
                with pytest.raises(duckdb.Error):
                    connection.execute(statement)
            assert connection.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_connections_do_not_see_each_other(tmp_path: Path) -> None:
    with metering(tmp_path) as (meter, store):
        send(meter, [wire(1, customer_id="a"), wire(2, customer_id="b")])
        one, other = (RawScope(frozenset(key), 0, 1 << 60) for key in "ab")
        with store.events(one) as first, store.events(other) as second:
            for connection, key in ((first, "a"), (second, "b")):
                found = connection.execute("SELECT customer_id FROM raw_events").fetchall()
                assert found == [(key,)]


def test_a_lost_manifest_is_not_taken_for_an_empty_archive(tmp_path: Path) -> None:
    with metering(tmp_path) as (meter, store):
        for number in range(3):
            send(meter, [wire(number)])
        archive(meter, tmp_path)
        assert meter._log.forget(2, 10) == 2
        (tmp_path / "archive" / "manifest.json").unlink()
        with pytest.raises(Unavailable, match="restore"):
            archive(meter, tmp_path)
        with pytest.raises(Unavailable, match="restore"):
            read(store)
        assert len(files_on_disk(tmp_path)) == 1


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    with metering(tmp_path) as (meter, store):
        send(meter, [wire(1)])
        archive(meter, tmp_path)
        (tmp_path / "archive" / "manifest.json").write_bytes(b"{")
        with pytest.raises(Unavailable, match=r"manifest\.json"):
            read(store)


EVENTS = st.builds(
    lambda number, customer, hours, amount: wire(
        number,
        customer_id=f"c{customer}",
        timestamp=(NOW + timedelta(hours=hours)).isoformat(),
        properties={"amount": amount},
    ),
    st.integers(0, 12),
    st.integers(0, 3),
    st.integers(-30 * 24, 24),
    st.integers(0, 9),
)
STEPS = st.lists(
    st.one_of(
        st.lists(EVENTS, min_size=1, max_size=6),
        st.sampled_from(["archive", "read", "restart"]),
        st.integers(1, 60).map(lambda days: timedelta(days=days)),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 10))
def test_archive_and_tail_are_the_accepted_events_whatever_happened_before(steps: list, at_once: int) -> None:
    clock = Standing()
    accepted: list[Event] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        todo = list(steps)
        while True:
            with metering(folder, clock) as (meter, store):
                while todo and todo[0] != "restart":
                    step = todo.pop(0)
                    if step == "archive":
                        archive(meter, folder, events=at_once)
                    elif step == "read":
                        assert_accepted(store, accepted)
                    elif isinstance(step, timedelta):
                        clock.instant += step
                    else:
                        batch = moved(step, clock)
                        send(meter, batch)
                        accepted += [event_of(item, clock, len(accepted) + 1) for item in batch]
                assert_accepted(store, accepted)
            if not todo:
                break
            todo.pop(0)


def moved(events: list[dict], clock: Standing) -> list[dict]:
    """Events as far from the clock's time as they were from NOW."""
    by = clock.instant - NOW
    return [{**e, "timestamp": (parse_instant(e["timestamp"]) + by).isoformat()} for e in events]


def event_of(item: dict, clock: Standing, row: int) -> Event:
    return Event(
        item["transaction_id"],
        item["customer_id"],
        item["event_type"],
        parse_instant(item["timestamp"]),
        item["properties"],
        clock.instant,
        (row, 0),
    )


def assert_accepted(store: RawEventStore, events: list[Event]) -> None:
    kept = without_repeats(events)
    expected = [
        (e.transaction_id, e.customer_id, micros_of(e.timestamp), json.dumps(e.properties)) for e in kept
    ]
    assert brief(store) == expected
    middle = micros_of(NOW)
    scope = RawScope(frozenset(("c1", "c3", "unknown")), middle - 5 * DAY, middle)
    assert brief(store, scope) == [
        e for e in expected if e[1] in scope.customer_keys and middle - 5 * DAY <= e[2] < middle
    ]
