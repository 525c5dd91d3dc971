"""`tallybook rebuild`: mends whatever is derived, and a crash at any step leaves old or new, never half."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tallybook.adapters.archive.compact import Compactor, Kept
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.upkeep import at_rest, rebuild, switch
from tallybook.values.errors import Conflict
from tests.cli.support import run
from tests.support import NOW, serving
from tests.upkeep.support import copied, event, verified

SANDBOX = ("--environment", "sandbox")


def damage(data: Path) -> None:
    with closing(sqlite3.connect(data / "sandbox" / "cells.db", isolation_level=None)) as connection:
        connection.execute("UPDATE cells SET count = count + 1 WHERE metric = 1")
        connection.execute("DELETE FROM distincts")
        connection.execute("DELETE FROM repeats")
    next((data / "sandbox" / "archive").glob("*-*-*/*.parquet")).unlink()


def test_rebuild_mends_cells_and_archive(data: Path) -> None:
    before = verified(data)
    damage(data)
    assert set(verified(data).differences) == {"cells", "repeats", "archive"}
    ran = run("rebuild", "--data", data, *SANDBOX, "--yes", "--json")
    assert ran.status == 0, ran.err
    (told,) = ran.json["environments"]
    report = verified(data)
    assert report.agrees, report.shown
    assert told["archived"] == told["accepted"] == report.compared["archive"]
    assert told["accepted"] + told["repeated"] == report.events == before.events
    assert report.compared["cells"] == before.compared["cells"]
    assert not (data / "sandbox" / "rebuild").exists()
    # And it goes on from there.
    with serving(data) as server:
        body = [event(9_000, NOW + timedelta(days=34)), event(9_000, NOW + timedelta(days=34))]
        assert server.post("/v1/ingest", body).status_code == 200
    assert verified(data).agrees


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_rebuild_needs_nothing_of_the_old_files(data: Path, content: bytes | None) -> None:
    before = verified(data)
    shutil.rmtree(data / "sandbox" / "archive")
    for path in (data / "sandbox").glob("cells.db*"):
        path.unlink()
    if content is not None:
        (data / "sandbox" / "cells.db").write_bytes(content)
    assert run("rebuild", "--data", data, "--yes").status == 0
    report = verified(data)
    assert report.agrees, report.shown
    assert report.compared["cells"] == before.compared["cells"]


def test_an_empty_installation_has_nothing_to_rebuild(tmp_path: Path) -> None:
    assert run("migrate", "--data", tmp_path / "data").status == 0
    ran = run("rebuild", "--data", tmp_path / "data", "--yes")
    assert ran.status == 0, ran.err
    assert run("verify", "--data", tmp_path / "data").status == 0


def test_nothing_is_replaced_unasked(data: Path) -> None:
    ran = run("rebuild", "--data", data)
    assert ran.status == 2
    assert "--yes" in ran.err
    assert run("rebuild", "--data", data, "--environment", "x", "--yes").status == 2
    assert run("rebuild", "--data", data / "none", "--yes").status == 2


def test_a_log_without_its_beginning_is_rebuilt_only_when_told(data: Path) -> None:
    kept = Kept(1, NOW + timedelta(days=34))
    Compactor(data / "sandbox", kept=kept).run()
    with closing(SqliteLog(data / "sandbox" / "events.db")) as log:
        assert log.first_row() > 1
    report = verified(data)
    assert report.agrees, report.shown
    assert any("cannot be counted again and were not compared" in note for note in report.notes)
    ran = run("rebuild", "--data", data, *SANDBOX, "--yes")
    assert ran.status == 2
    assert "would be lost" in ran.err
    assert "--from-kept-events" in ran.err
    assert run("rebuild", "--data", data, *SANDBOX, "--yes", "--from-kept-events").status == 0
    report = verified(data)
    assert report.agrees, report.shown


class Crash(BaseException):
    """What a crash is here: nothing catches it."""


class CrashAt:
    """Crashes before the n-th step."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) > self.number:
            raise Crash(step)


def crashed(data: Path, number: int) -> list[str] | None:
    """Rebuild and crash at a step; the steps until then, or None when it got through."""
    step = CrashAt(number)
    with at_rest(data, "sandbox") as environment:
        try:
            rebuild(environment, data / "sandbox", step=step)
        except Crash:
            return step.steps
    return None


def test_a_crash_at_any_step_leaves_the_old_or_leads_to_the_new(healthy: Path, tmp_path: Path) -> None:
    damaged = copied(healthy, tmp_path / "damaged")
    damage(damaged)
    outcomes = []
    number = 0
    while True:
        data = copied(damaged, tmp_path / f"data-{number}")
        steps = crashed(data, number)
        if steps is None:
            break
        switch.finish(data / "sandbox")
        report = verified(data)
        outcomes.append((steps[-1], report.agrees))
        # Never half: either everything is as damaged as before, or nothing is.
        assert report.agrees or set(report.differences) == {"cells", "repeats", "archive"}, steps[-1]
        assert not (data / "sandbox" / "rebuild").exists()
        assert crashed(data, 1_000_000) is None
        assert verified(data).agrees
        shutil.rmtree(data)
        number += 1
    names = [name for name, _ in outcomes]
    assert {"begin", "mark", "unlink old", "replace cells", "move old archive", "remove"} <= set(names)
    marked = names.index("unlink old")
    assert [is_new for _, is_new in outcomes] == [False] * marked + [True] * (len(names) - marked)


def test_a_crash_while_finishing_is_finished_by_the_next_start(healthy: Path, tmp_path: Path) -> None:
    damaged = copied(healthy, tmp_path / "damaged")
    damage(damaged)
    steps = CrashAt(1_000_000)
    whole = copied(damaged, tmp_path / "whole")
    with at_rest(whole, "sandbox") as environment:
        rebuild(environment, whole / "sandbox", step=steps)
    first = steps.steps.index("unlink old")
    crashed(damaged, first)
    for number in range(len(steps.steps) - first):
        data = copied(damaged, tmp_path / f"data-{number}")
        with pytest.raises(Crash):
            switch.finish(data / "sandbox", CrashAt(number))
        with serving(data):
            pass
        assert not (data / "sandbox" / "rebuild").exists()
        assert verified(data).agrees
        shutil.rmtree(data)


def test_verify_finishes_a_rebuild_that_was_interrupted(healthy: Path, tmp_path: Path) -> None:
    damaged = copied(healthy, tmp_path / "damaged")
    damage(damaged)
    number = 0
    while not (damaged / "sandbox" / "rebuild" / "complete").exists():
        assert crashed(damaged, number) is not None
        number += 1
    assert run("verify", "--data", damaged).status == 0
    assert not (damaged / "sandbox" / "rebuild").exists()


def test_the_loss_is_told_as_a_conflict(data: Path) -> None:
    with closing(sqlite3.connect(data / "sandbox" / "events.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM log WHERE row <= 3")
    with at_rest(data, "sandbox") as environment, pytest.raises(Conflict, match="rows 1 to 3"):
        rebuild(environment, data / "sandbox")
