"""A fault or a kill at every operation on log and cells: nothing is lost, nothing counts twice."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tallybook.adapters.log.committer import Committed
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.adapters.usage.sqlite import CellStore
from tallybook.applier import Metering
from tallybook.applier.state import State
from tallybook.domains import metrics
from tallybook.metering.event import accept_events, accept_timestamps
from tallybook.upkeep import at_rest
from tallybook.values.errors import Unavailable
from tallybook.values.metric import MetricDefinition
from tests.catalogue import Catalogue
from tests.metering.test_metering import NOW, Standing, wire
from tests.stores.faults import Killed, Plan, striking
from tests.support import serving
from tests.upkeep.support import verified

BODIES = [
    # Within a body, across bodies and across a checkpoint: ids come again.
    [wire(n % 9, timestamp=(NOW - timedelta(hours=n)).isoformat(), properties={"tokens": n}) for n in body]
    for body in (range(6), range(3, 12), range(20, 26), range(10), range(26, 30), range(18, 27))
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that defines a sum and distinct values, and has metered nothing."""
    data = tmp_path_factory.mktemp("faults") / "data"
    with serving(data) as server:
        catalogue = Catalogue(server.client)
        catalogue.metric("tokens", event_type_filter=None)
        catalogue.metric("tokens", name="unique", aggregation_type="UNIQUE", event_type_filter=None)
    for path in [*(data / "sandbox").glob("cells.db*"), *(data / "sandbox").glob("events.db*")]:
        path.unlink()
    return data


@pytest.fixture(scope="module")
def definitions(template: Path) -> list[MetricDefinition]:
    with at_rest(template, "sandbox") as environment, environment.read("test") as tx:
        return [item.definition for item in metrics.all_metrics(tx, include_archived=False)]


class Life:
    """What a process does with a log and cells, one step after another; it goes on where it stood."""

    def __init__(self, folder: Path, definitions: list[MetricDefinition], acknowledged: list[int]) -> None:
        self._log = SqliteLog(folder / "events.db")
        self._store = CellStore(folder / "cells.db")
        self._state = State(self._store)
        self._state.recover(self._log)
        self._acknowledged = acknowledged
        self._definitions = definitions
        for stored in self._store.metrics():
            self._fill(stored.active, stored.filled_until)

    def run(self) -> None:
        """Take every body that was not acknowledged; a metric at first, another in the middle."""
        for number, body in enumerate(BODIES):
            if number in (0, 3):
                self._know(self._definitions[number // 3])
            if number not in self._acknowledged:
                self._take(body)
                self._acknowledged.append(number)
            if number % 2:
                self._state.checkpoint()
        self._state.checkpoint()

    def close(self) -> None:
        self._store.close()
        self._log.close()

    def _know(self, definition: MetricDefinition) -> None:
        if definition.id not in self._state.numbers:
            self._fill(self._state.add_metric(definition), 0)

    def _fill(self, metric: object, filled_until: int) -> None:
        for _ in self._state.fill(metric, self._log, filled_until):
            pass

    def _take(self, events: list[dict]) -> None:
        body = json.dumps(events).encode()
        batch = accept_events(body, self._state.wanted)
        instants = accept_timestamps(batch.columns.timestamps, NOW, NOW)
        row = self._log.append(NOW, len(batch), batch.fingerprints, [body])
        self._state.apply([Committed(row, NOW, batch.fingerprints, [body], batch.columns, instants)])


def folders(template: Path, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A copy of the template for every n."""
    number = 0
    while True:
        data = tmp_path / f"data-{number}"
        shutil.copytree(template, data)
        yield number, data
        shutil.rmtree(data)
        number += 1


def lived(data: Path, definitions: list[MetricDefinition], acknowledged: list[int], plan: Plan) -> bool:
    """Live until the end or a kill; whether the end was reached."""
    with striking(plan):
        try:
            life = Life(data / "sandbox", definitions, acknowledged)
            life.run()
            life.close()
        except Killed:
            return False
    return True


def audit(data: Path, acknowledged: list[int], *, is_complete: bool) -> None:
    """All that was acknowledged is in the log; all that is stored follows from the log."""
    with closing(SqliteLog(data / "sandbox" / "events.db")) as log:
        bodies = [json.loads(body) for row in log.read(0) for body in row.bodies]
    for number in acknowledged:
        assert BODIES[number] in bodies
    report = verified(data)
    assert report.agrees, report.shown
    if is_complete:
        assert report.compared["cells"] == 18  # nine ids, two metrics
        assert report.compared["definitions"] == 2


@pytest.mark.parametrize("kind", ["before", "after"])
def test_a_kill_at_any_operation(
    template: Path, definitions: list[MetricDefinition], tmp_path: Path, kind: str
) -> None:
    for number, data in folders(template, tmp_path):
        acknowledged: list[int] = []
        plan = Plan(number, kind)
        if lived(data, definitions, acknowledged, plan):
            assert number > 60
            assert not plan.has_struck
            return
        if (data / "sandbox" / "cells.db").exists() and number % 3 == 0:
            audit(data, acknowledged, is_complete=False)  # as it was left, before anything recovers
        # The next process is killed too, while it recovers, and the one after it goes through.
        assert not lived(data, definitions, acknowledged, Plan(number % 23, kind))
        assert lived(data, definitions, acknowledged, Plan(1 << 30, kind))
        audit(data, acknowledged, is_complete=True)


def test_a_fault_at_any_operation_of_a_running_service(
    template: Path, definitions: list[MetricDefinition], tmp_path: Path
) -> None:
    """Faults that pass: what could not be stored is refused, sent again, and counts once."""
    for number, data in folders(template, tmp_path):
        plan = Plan(1 << 30, "error")
        with striking(plan):
            metering = Metering(data / "sandbox", Standing())
            plan.number = len(plan.done) + number
            for place, body in enumerate(BODIES):
                if place in (0, 3):
                    metering.register(definitions[place // 3])
                while True:
                    try:
                        asyncio.run(metering.ingest(json.dumps(body).encode()))
                        break
                    except Unavailable:
                        assert plan.has_struck
                if place % 2:
                    metering._checkpoint()
            metering.close()
        with closing(Metering(data / "sandbox", Standing())):
            pass
        audit(data, list(range(len(BODIES))), is_complete=True)
        if not plan.has_struck:
            assert number > 20
            return


def test_a_power_cut_takes_back_checkpoints_and_no_event(
    template: Path, definitions: list[MetricDefinition], tmp_path: Path
) -> None:
    """The cells' file need not be synced at every checkpoint: what a cut takes back is made again."""
    source = tmp_path / "source"
    shutil.copytree(template, source)
    acknowledged: list[int] = []
    life = Life(source / "sandbox", definitions, acknowledged)
    life.run()
    left = tmp_path / "left"
    shutil.copytree(source, left)  # the files as they stand while the process lives
    life.close()
    wal = left / "sandbox" / "cells.db-wal"
    sizes = np.linspace(0, wal.stat().st_size, 40).astype(int).tolist()
    for size in sizes:
        data = tmp_path / f"cut-{size}"
        shutil.copytree(left, data)
        with (data / "sandbox" / wal.name).open("r+b") as file:
            file.truncate(size)
        assert lived(data, definitions, acknowledged, Plan(1 << 30, "before"))
        audit(data, acknowledged, is_complete=True)


def test_the_plan_strikes_where_it_says(tmp_path: Path) -> None:
    for kind, left in (("before", 0), ("after", 1)):
        with striking(Plan(1, kind)):
            connection = sqlite3.connect(tmp_path / kind, isolation_level=None)
            connection.execute("CREATE TABLE t (x)")
            with pytest.raises(Killed):
                connection.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(Killed):
                connection.execute("INSERT INTO t VALUES (2)")
        with closing(sqlite3.connect(tmp_path / kind)) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (left,)
