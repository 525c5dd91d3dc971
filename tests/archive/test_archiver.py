"""The archiver runs when enough has gathered, gives nothing up, and keeps events as long as is set."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tallybook.adapters.archive import RawEventStore
from tallybook.adapters.archive.archiver import Archiver, Due
from tallybook.applier import Metering, MeteringApart
from tallybook.kit.http import metrics
from tallybook.kit.settings import from_environment
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid, Unavailable
from tallybook.values.instant import DAY, hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tests.archive.support import brief, checkpoint, metering, sent
from tests.metering.test_metering import NOW, Standing, send, wire
from tests.support import PRODUCTION_TOKEN, serving

COUNT = MetricDefinition("count", Aggregation.COUNT)


@contextmanager
def archiving(store: RawEventStore, clock: Standing, due: Due, days: int | None = None) -> Iterator[Archiver]:
    archiver = Archiver(store, "test", clock, days, due)
    archiver.start()
    try:
        yield archiver
    finally:
        archiver.stop()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for a minute at most."""
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def events(number: int, clock: Standing) -> list[dict]:
    at = clock.instant.isoformat()
    return [wire(index, timestamp=at) for index in range(number, number + 10)]


def test_events_are_archived_once_there_are_enough(tmp_path: Path) -> None:
    clock = Standing()
    with metering(tmp_path, clock) as (meter, store):
        with archiving(store, clock, Due(0.01, events=20, waiting_s=3_600)):
            send(meter, events(0, clock))
            checkpoint(meter)
            send(meter, events(10, clock))
            checkpoint(meter)
            eventually(lambda: store.manifest().position == 2)
            eventually(lambda: b'tallybook_archive_position{environment="test"} 2.0' in metrics.render())
        assert store.status()["archive_events"] == 20
        assert store._tail is None
        assert brief(store) == sent(events(0, clock) + events(10, clock))


def test_few_events_are_archived_after_a_while(tmp_path: Path) -> None:
    clock = Standing()
    with metering(tmp_path, clock) as (meter, store):
        send(meter, events(0, clock))
        checkpoint(meter)
        with archiving(store, clock, Due(0.01, events=1_000, waiting_s=0.05)):
            eventually(lambda: store.manifest().position == 1)


def test_archiving_waits_while_many_events_come_in_but_not_for_ever(tmp_path: Path) -> None:
    clock = Standing()
    with metering(tmp_path, clock) as (meter, store):
        archiver = Archiver(
            store, "test", clock, due=Due(events=10, busy_events_per_s=0.001, events_postponed=40)
        )
        found = []
        for number in range(0, 50, 10):
            send(meter, events(number, clock))
            checkpoint(meter)
            found.append(archiver._is_due())
        assert found == [True, False, False, True, True]  # nothing is known of the time before the first look
        assert archiver._is_due()  # nothing came since
        archiver.stop()


def test_an_archiver_stops_at_once_in_the_middle_of_a_run(tmp_path: Path) -> None:
    clock = Standing()
    with metering(tmp_path, clock) as (meter, store):
        send(meter, events(0, clock))
        checkpoint(meter)
        with archiving(store, clock, Due(0.01, events=1)) as archiver:
            eventually(lambda: archiver._process is not None)
        assert archiver._process is None
        assert brief(store) == sent(events(0, clock))


def test_a_failed_run_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.adapters.archive.archiver.AGAIN_AFTER_S", 0.01)
    clock = Standing()
    with metering(tmp_path, clock) as (meter, store):
        send(meter, events(0, clock))
        checkpoint(meter)
        (tmp_path / "archive").mkdir()
        blocking = tmp_path / "archive" / "2026-01-15"
        blocking.write_text("a file where a folder is to be")
        with archiving(store, clock, Due(0.01, events=1)):
            failed = b'tallybook_archive_runs_total{environment="test",outcome="failed"}'
            eventually(lambda: failed in metrics.render())
            assert brief(store) == sent(events(0, clock))
            blocking.unlink()
            eventually(lambda: store.manifest().position == 1)
        assert brief(store) == sent(events(0, clock))


def test_a_log_that_is_applied_apart_is_archived_too(tmp_path: Path) -> None:
    clock = Standing()
    meter = MeteringApart(tmp_path, clock)
    store = RawEventStore(tmp_path, meter.repeats)
    with archiving(store, clock, Due(0.01, events=1)):
        send(meter, events(0, clock) + events(5, clock))  # type: ignore[arg-type]
        expected = sent(events(0, clock) + events(10, clock)[:5])
        assert brief(store) == expected
        eventually(lambda: store.manifest().position == 1)
        assert brief(store) == expected
    store.close()
    meter.close()


def test_events_are_kept_as_long_as_is_set_and_the_log_goes_on(tmp_path: Path) -> None:
    clock = Standing()
    with metering(tmp_path, clock) as (meter, store):
        meter.register(COUNT)
        for number in range(0, 60, 10):
            send(meter, events(number, clock))
            clock.instant += 10 * DAY
        checkpoint(meter)
        # Rows came at days 0, 10, 20, 30, 40, 50; it is day 60 now.
        with archiving(store, clock, Due(0.01, events=1_000, waiting_s=3_600), days=35):
            assert len(brief(store)) == 60
        with archiving(store, clock, Due(0.01, events=1), days=35):
            eventually(lambda: meter._log.first_row() == 4)
            eventually(lambda: len(list(tmp_path.glob("archive/2026-*"))) == 3)
        assert [row[0] for row in brief(store)] == [f"t{number}" for number in range(30, 60)]

    later = MetricDefinition("later", Aggregation.COUNT)
    with metering(tmp_path, clock) as (meter, store):
        assert (meter._log.last_row, meter._log.last_row_at(NOW), meter._log.last_row_at(clock.now())) == (
            6,
            3,
            6,
        )
        assert [row.row for row in meter._log.read(0)] == [4, 5, 6]
        clock.instant -= timedelta(days=10)  # back to when the last row came: its ids are known
        send(meter, events(45, clock))
        clock.instant += timedelta(days=10)
        assert [row[0] for row in brief(store)] == [f"t{number}" for number in range(30, 60)]
        everything = UsageQuestion(COUNT, None, 0, hour_of(clock.now()) + 48, cuts=())
        assert [cell.tally.count for cell in meter.read(everything)] == [60]
        everything = UsageQuestion(later, None, 0, hour_of(clock.now()) + 48, cuts=())
        assert [cell.tally.count for cell in meter.read(everything)] == [30]

    (tmp_path / "cells.db").rename(tmp_path / "cells.old")
    for _ in range(2):
        with pytest.raises(Unavailable, match="restore cells"):
            Metering(tmp_path, clock)
    (tmp_path / "cells.old").rename(tmp_path / "cells.db")
    with metering(tmp_path, clock) as (meter, _):
        assert [cell.tally.count for cell in meter.read(everything)] == [30]


def test_old_events_that_are_needed_are_kept(tmp_path: Path) -> None:
    """It is day 60: of rows of days 0 to 50, those from day 5 on are needed."""
    clock = Standing()
    needed = clock.instant + 5 * DAY
    with metering(tmp_path, clock) as (meter, store):
        for number in range(0, 60, 10):
            send(meter, events(number, clock))
            clock.instant += 10 * DAY
        checkpoint(meter)
        archiver = Archiver(store, "test", clock, 35, Due(0.01, events=1), needed_from=lambda: needed)
        archiver.start()
        eventually(lambda: meter._log.first_row() == 2)
        eventually(lambda: [row[0] for row in brief(store)] == [f"t{number}" for number in range(10, 60)])
        archiver.stop()


@pytest.mark.parametrize("text", ["34", "0", "-35", "35.5", "for ever", "36501"])
def test_days_that_are_too_few_or_no_number_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid, match="TALLYBOOK_RAW_EVENTS_DAYS"):
        from_environment(tmp_path, variables={"TALLYBOOK_RAW_EVENTS_DAYS": text})


def test_days_are_read_and_for_ever_by_default(tmp_path: Path) -> None:
    for text, days in (("35", 35), ("", None)):
        settings = from_environment(tmp_path, variables={"TALLYBOOK_RAW_EVENTS_DAYS": text})
        assert settings.raw_events_days == days


def test_a_server_archives_both_environments_and_closes_soon(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert set(server.tallybook.archivers) == {"production", "sandbox"}
        server.post("/v1/ingest", [wire(1)])
        at = server.tallybook.environments["production"].clock.now().isoformat()
        server.post("/v1/ingest", [wire(1, timestamp=at)], token=PRODUCTION_TOKEN)
        for store in server.tallybook.raw_stores.values():
            assert len(brief(store)) == 1
        started = time.monotonic()
    assert time.monotonic() - started < 20
