"""A log that is applied by a process of its own, which may be lost at any moment."""

import asyncio
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.applier import Metering, MeteringApart
from tallybook.applier.apart import _Process
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid, Unavailable
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tests.metering.test_metering import NOW, Standing, wire

SUM = MetricDefinition("sum", Aggregation.SUM, "amount")
ALL = UsageQuestion(SUM, None, 0, hour_of(NOW) + 48)


@pytest.fixture
def metering(tmp_path: Path) -> Iterator[MeteringApart]:
    apart = MeteringApart(tmp_path, Standing())
    yield apart
    apart.close()


def send(metering: Metering | MeteringApart, numbers: range) -> None:
    asyncio.run(metering.ingest(json.dumps([wire(number) for number in numbers]).encode()))


def total(metering: Metering | MeteringApart) -> int:
    """The sum, asked for again while a lost process is being replaced."""
    for _ in range(3):
        try:
            return int(sum(cell.tally.sum for cell in metering.read(ALL)))
        except Unavailable:
            continue
    raise AssertionError("a lost process was not replaced")


def test_reads_see_what_was_acknowledged(metering: MeteringApart) -> None:
    metering.register(SUM)
    for number in range(20):
        send(metering, range(number * 5, number * 5 + 10))
        assert total(metering) == number * 5 + 10
    assert dict(metering.status()) == {
        "log_position": 20,
        "applied_position": 20,
        "lag": 0,
        "events_accepted": 105,
        "events_duplicate": 95,
    }


def test_what_a_question_lacks_is_told_as_in_one_process(metering: MeteringApart) -> None:
    with pytest.raises(Invalid, match="group_key"):
        metering.read(UsageQuestion(SUM, None, 0, 5, ("region",)))
    with pytest.raises(Invalid, match="events"):
        asyncio.run(metering.ingest(b"[{}]"))


def test_a_lost_process_is_replaced_and_nothing_is_counted_twice_or_left_out(
    metering: MeteringApart,
) -> None:
    metering.register(SUM)
    for round_ in range(3):
        send(metering, range(round_ * 10, round_ * 10 + 10))
        metering._process._process.kill()
        metering._process._process.wait()
        if round_ != 1:  # else the next read finds it lost, not the next row
            send(metering, range(round_ * 10 + 5, round_ * 10 + 10))
        assert total(metering) == round_ * 10 + 10


def test_a_row_that_was_never_handed_on_is_found_in_the_log(metering: MeteringApart) -> None:
    metering.register(SUM)
    send(metering, range(10))
    whole, metering._committer._committed = metering._committer._committed, lambda _: None
    send(metering, range(10, 20))
    assert total(metering) == 20
    send(metering, range(20, 30))
    metering._committer._committed = whole
    send(metering, range(30, 40))
    assert total(metering) == 40
    assert metering.status()["events_accepted"] == 40


def test_both_ways_of_metering_take_up_where_the_other_stopped(tmp_path: Path) -> None:
    for number, kind in enumerate((Metering, MeteringApart, Metering, MeteringApart)):
        metering = kind(tmp_path, Standing())
        send(metering, range(number * 10, number * 10 + 15))
        assert total(metering) == number * 10 + 15
        metering.close()


def test_a_process_that_never_catches_up_ends_metering(
    metering: MeteringApart, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(metering, range(10))
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/bin/false")
    metering._process._process.kill()
    with pytest.raises(Unavailable):
        metering.read(ALL)
    with pytest.raises(Unavailable, match="restart"):
        send(metering, range(10))


def test_a_folder_whose_cells_are_no_database_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "cells.db").write_bytes(b"no database" * 500)
    with pytest.raises(Unavailable, match=r"cells\.db: cannot be read .*tallybook rebuild"):
        MeteringApart(tmp_path, Standing())


def test_a_process_whose_server_is_gone_ends_even_while_it_waits_for_another(tmp_path: Path) -> None:
    with (tmp_path / "cells.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        orphan = _Process(tmp_path)
        orphan._close()
        assert orphan._process.wait(timeout=30) == 1
