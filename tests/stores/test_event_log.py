"""What was acknowledged survives; what could not be stored is refused and leaves nothing."""

import asyncio
import json
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from tallybook.applier import Metering
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Unavailable
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tests.metering.test_metering import NOW, Standing, wire

METRIC = MetricDefinition("m", Aggregation.SUM, "amount")
ALL = UsageQuestion(METRIC, None, 0, hour_of(NOW) + 48)


def total(metering: Metering) -> int:
    return int(sum(cell.tally.sum for cell in metering.read(ALL)))


def test_a_copy_taken_at_any_moment_counts_every_acknowledged_event_once(tmp_path: Path) -> None:
    """A copy of the folder is what a machine that lost power would find."""
    metering = Metering(tmp_path / "live", Standing()) if (tmp_path / "live").mkdir() is None else None
    assert metering is not None
    metering.register(METRIC)
    for number in range(12):
        body = json.dumps([wire(number * 10 + n) for n in range(10)] + [wire(0)]).encode()
        asyncio.run(metering.ingest(body))
        if number % 3 == 1:
            metering._state.checkpoint()
        copy = tmp_path / f"copy{number}"
        shutil.copytree(tmp_path / "live", copy)
        recovered = Metering(copy, Standing())
        assert total(recovered) == (number + 1) * 10
        assert recovered.status()["events_accepted"] == (number + 1) * 10
        recovered.close()
    metering.close()


def test_full_disk_is_refused_and_the_log_goes_on_when_there_is_space(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    writer = metering._log._writer
    asyncio.run(metering.ingest(json.dumps([wire(0)]).encode()))
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={pages}")
    noise = random.Random(7)
    big = json.dumps(
        [wire(n, properties={"amount": 1, "note": noise.randbytes(3_000).hex()}) for n in range(1, 60)]
    )
    with pytest.raises(Unavailable):
        asyncio.run(metering.ingest(big.encode()))
    writer.execute("PRAGMA max_page_count=1000000")
    asyncio.run(metering.ingest(json.dumps([wire(1), wire(2)]).encode()))
    assert total(metering) == 3
    metering.close()


def test_a_metric_is_filled_once_its_full_disk_has_space_again(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())
    events = [wire(number, customer_id=f"{number}-" + "k" * 2_000) for number in range(100)]
    asyncio.run(metering.ingest(json.dumps(events).encode()))
    metering._wait_for(1, 9)
    with metering._state._checkpointing, metering._store._connection() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
    with metering._state._checkpointing:
        with pytest.raises(sqlite3.Error, match="full"):
            list(metering._state.fill(metering._state.add_metric(METRIC), metering._log, 0))
        metering._fill_apart(metering._state._metrics[1], 0)
        assert not metering._filled[1].wait(0.2)
        with metering._store._connection() as connection:
            connection.execute("PRAGMA max_page_count=1000000")
    assert total(metering) == 100
    metering.close()


def test_two_thousand_concurrent_requests_share_commits(tmp_path: Path) -> None:
    metering = Metering(tmp_path, Standing())

    async def flood() -> None:
        bodies = [json.dumps([wire(number)]).encode() for number in range(2_000)]
        await asyncio.gather(*(metering.ingest(body) for body in bodies))

    asyncio.run(flood())
    assert total(metering) == 2_000
    assert metering.status()["log_position"] < 500
    metering.close()
