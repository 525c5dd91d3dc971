"""Raw events from archive and log together are exactly the accepted ones, whenever they are archived."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tallybook.adapters.archive import RawEventStore, RawScope
from tallybook.adapters.archive.compact import Compactor
from tallybook.applier import Metering
from tallybook.values.instant import micros_of, parse_instant
from tests.metering.test_metering import NOW, Standing, send, wire

ALL = RawScope(None, -(1 << 62), 1 << 62)
COLUMNS = (
    "log_row, log_index, transaction_id, customer_id, event_type, timestamp, received_at, properties, texts"
)


@contextmanager
def metering(folder: Path, clock: Standing | None = None) -> Iterator[tuple[Metering, RawEventStore]]:
    """Metering of a folder, and its raw events."""
    meter = Metering(folder, clock or Standing())
    store = RawEventStore(folder, meter.repeats)
    try:
        yield meter, store
    finally:
        store.close()
        meter.close()


def read(store: RawEventStore, scope: RawScope = ALL) -> list[tuple]:
    with store.events(scope) as connection:
        query = f"SELECT {COLUMNS} FROM raw_events ORDER BY log_row, log_index"
        return connection.execute(query).fetchall()


def ids(store: RawEventStore, scope: RawScope = ALL) -> list[str]:
    return [row[2] for row in read(store, scope)]


def archive(meter: Metering, folder: Path, **given: Any) -> None:
    """Archive everything that was sent."""
    meter._checkpoint()
    Compactor(folder, **given).run()


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
