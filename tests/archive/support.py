"""What tests of the archive share: metering of a folder, its raw events, and archiving at will."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tallybook.adapters.archive import RawEventStore, RawScope
from tallybook.adapters.archive.compact import Compactor, Run
from tallybook.applier import Metering
from tallybook.values.instant import micros_of, parse_instant
from tests.metering.test_metering import Standing

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
    """Every column of the events in scope, in the order of the log."""
    with store.events(scope) as connection:
        query = f"SELECT {COLUMNS} FROM raw_events ORDER BY log_row, log_index"
        return connection.execute(query).fetchall()


def brief(store: RawEventStore, scope: RawScope = ALL) -> list[tuple]:
    """Id, customer, timestamp, properties of the events in scope, in the order of the log."""
    return [(row[2], row[3], row[5], row[7]) for row in read(store, scope)]


def sent(events: list[dict]) -> list[tuple]:
    """The same of events that are sent."""
    return [
        (
            event["transaction_id"],
            event["customer_id"],
            micros_of(parse_instant(event["timestamp"])),
            json.dumps(event["properties"]),
        )
        for event in events
    ]


def checkpoint(meter: Metering) -> None:
    """Apply and store everything that was sent."""
    meter._reach(meter._log.last_row)
    meter._checkpoint()


def archive(meter: Metering, folder: Path, **given: Any) -> Run:
    """Archive everything that was sent."""
    checkpoint(meter)
    run = Compactor(folder, **given).run()
    assert run is not None
    return run


def files_on_disk(folder: Path) -> set[str]:
    """The Parquet files there are."""
    return {str(path.relative_to(folder / "archive")) for path in folder.glob("archive/*-*-*/*")}
