"""Metering as a whole: many threads at once, and what happens when a part of it fails."""

import asyncio
import json
import random
import shutil
from pathlib import Path
from threading import Thread

import pytest

from tallybook.applier import Metering
from tallybook.metering.cells import Cells
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid, Unavailable
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter
from tests.metering.test_metering import NOW, Standing, wire

HOURS = (0, hour_of(NOW) + 48)


def metric(number: int) -> MetricDefinition:
    """A metric that reads a property of its own, so that events are read anew for it."""
    name = f"p{number % 4}"
    return MetricDefinition(
        f"metric {number}",
        (Aggregation.COUNT, Aggregation.SUM, Aggregation.UNIQUE)[number % 3],
        None if number % 3 == 0 else name,
        property_filters=(PropertyFilter(name, exists=True),),
        group_keys=(("region",),) if number % 2 else (),
    )


def test_metrics_made_while_events_pour_in_count_them_all(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    sent = 40

    async def pour() -> None:
        for request in range(sent):
            events = [
                wire(
                    request * 50 + number,
                    properties={f"p{n}": number for n in range(4)} | {"region": f"r{number % 3}"},
                )
                for number in range(50)
            ]
            body = json.dumps([*events, events[0]]).encode()
            await asyncio.gather(metering.ingest(body), metering.ingest(body))

    pouring = Thread(target=lambda: asyncio.run(pour()))
    pouring.start()
    for number in range(12):
        metering.register(metric(number))
        metering._state.checkpoint()
    pouring.join()
    for number in range(12):
        cells = metering.read(UsageQuestion(metric(number), frozenset("c"), *HOURS))
        assert sum(cell.tally.count for cell in cells) == sent * 50
        if number % 3 == 1:
            assert sum(cell.tally.sum for cell in cells) == sent * sum(range(50))
        if number % 3 == 2:
            assert {value for cell in cells for value in cell.tally.distinct} == set(map(str, range(50)))
    assert metering.status()["events_duplicate"] == sent * 52
    metering.close()


def test_bad_timestamps_refuse_their_own_request_alone(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    good = [wire(number) for number in range(30)]
    bad = [wire(100), wire(101, timestamp="2025-01-01T00:00:00Z")]

    async def send() -> list[BaseException | None]:
        bodies = [json.dumps(events).encode() for events in (good[:10], bad, good[10:20], bad, good[20:])]
        return await asyncio.gather(*map(metering.ingest, bodies), return_exceptions=True)

    answers = asyncio.run(send())
    assert [type(answer) for answer in answers] == [type(None), Invalid, type(None), Invalid, type(None)]
    assert "events[1].timestamp" in str(answers[1])
    counted = metering.read(UsageQuestion(metric(0), None, *HOURS))
    assert counted == []
    assert metering.status()["events_accepted"] == 30
    metering.close()


@pytest.mark.parametrize("broken", ["fingerprints", "progress"])
def test_after_a_fault_in_applying_nothing_more_is_taken_answered_or_stored(
    tmp_path: Path, broken: str
) -> None:
    """The fault comes before a row is folded, or after it and before the position moves on."""
    metering = Metering(tmp_path, Standing())
    metering.register(metric(0))
    metering._state.checkpoint()
    question = UsageQuestion(metric(0), None, *HOURS)
    body = json.dumps([wire(0, properties={"p0": 1})]).encode()
    whole = getattr(metering._state, broken)
    setattr(metering._state, broken, None)
    asyncio.run(metering.ingest(body))
    metering._applier.join()
    setattr(metering._state, broken, whole)
    with pytest.raises(Unavailable):
        asyncio.run(metering.ingest(body))
    with pytest.raises(Unavailable):
        metering.read(question)
    metering.close()
    again = Metering(tmp_path, Standing())
    assert sum(cell.tally.count for cell in again.read(question)) == 1
    again.close()


def test_a_fault_in_committing_refuses_the_group_and_the_next_is_taken(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    body = json.dumps([wire(0, properties={"p0": 1})]).encode()
    compressor = metering._log._compressor
    metering._log._compressor = None
    with pytest.raises(Unavailable):
        asyncio.run(metering.ingest(body))
    metering._log._compressor = compressor
    asyncio.run(metering.ingest(body))
    assert metering.status()["log_position"] == 1
    metering.close()


def test_a_request_whose_loop_has_ended_is_stored_and_harms_nobody(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    body = json.dumps([wire(0, properties={"p0": 1})]).encode()

    async def leave() -> None:
        task = asyncio.ensure_future(metering.ingest(body))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    asyncio.run(metering.ingest(json.dumps([wire(1, properties={"p0": 1})]).encode()))
    assert sum(cell.tally.count for cell in metering.read(UsageQuestion(metric(0), None, *HOURS))) == 2
    metering.close()


def test_a_folder_without_its_cells_is_rebuilt_from_the_log(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    events = [wire(number, properties={"p0": number}) for number in range(60)]
    for start in range(0, 60, 10):
        asyncio.run(metering.ingest(json.dumps(events[start : start + 10] + events[:5]).encode()))
        metering._state.checkpoint()
    metering.close()
    for path in tmp_path.glob("cells.db*"):
        path.unlink()
    again = Metering(tmp_path, Standing())
    assert sum(cell.tally.count for cell in again.read(UsageQuestion(metric(0), None, *HOURS))) == 60
    assert again.status()["events_duplicate"] == 30
    again.close()


def test_a_metric_half_filled_when_the_program_ended_is_filled_to_the_end(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    for number in range(8):
        asyncio.run(metering.ingest(json.dumps([wire(number, properties={"p0": 1})]).encode()))
    metering._wait_for(8, 9)
    added = metering._state.add_metric(metric(0))
    metering._store.fill(added, Cells(), 0)
    metering._state.checkpoint()
    half = metering._state.fill(added.__class__(added.number, added.definition, 5), metering._log, 0)
    assert list(half) == [5]
    with metering._store._writing() as connection:
        connection.execute("UPDATE metrics SET from_row = 8")
    metering.close()
    again = Metering(tmp_path, Standing())
    assert sum(cell.tally.count for cell in again.read(UsageQuestion(metric(0), None, *HOURS))) == 8
    again.close()


def test_many_small_rows_applied_together_give_what_they_give_one_by_one(tmp_path: Path) -> None:
    """Live, when a metric is filled in, and when everything is rebuilt from the log."""
    source = random.Random(5)
    latest = MetricDefinition("latest", Aggregation.LATEST, "p0", group_keys=(("region",),))
    unique = MetricDefinition("unique", Aggregation.UNIQUE, "p0")
    question = UsageQuestion(latest, None, *HOURS, ("region",))
    events = [
        wire(
            source.randrange(250),
            timestamp=f"2026-01-15T10:00:0{source.randrange(3)}Z",
            customer_id=source.choice("cd"),
            properties={"p0": number, "region": source.choice("xy")},
        )
        for number in range(300)
    ]
    live, behind = tmp_path / "live", tmp_path / "behind"
    live.mkdir()
    metering = Metering(live, Standing())
    metering.register(latest)
    metering._state.checkpoint()
    shutil.copytree(live, behind)

    async def send() -> None:
        for event in events:
            await metering.ingest(json.dumps([event]).encode())

    asyncio.run(send())
    kept = list({event["transaction_id"]: event for event in reversed(events)}.values())[::-1]
    expected = {}
    for event in sorted(kept, key=lambda event: (event["timestamp"], events.index(event))):
        expected[event["customer_id"], event["properties"]["region"]] = event["properties"]["p0"]

    def found(metering: Metering) -> dict[tuple, int]:
        cells = metering.read(question)
        return {(cell.customer_key, cell.group[0]): int(cell.tally.latest.value) for cell in cells}

    assert metering.status()["log_position"] == 300
    assert found(metering) == expected
    filled = metering.read(UsageQuestion(unique, None, *HOURS))
    assert sum(cell.tally.count for cell in filled) == len(kept)
    metering.close()
    for path in behind.glob("events.db*"):
        path.unlink()
    for path in live.glob("events.db*"):
        shutil.copy(path, behind)
    for path in live.glob("cells.db*"):
        path.unlink()
    for folder in (live, behind):
        again = Metering(folder, Standing())
        assert again.status()["events_accepted"] == len(kept)
        assert found(again) == expected
        again.close()
