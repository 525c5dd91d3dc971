"""A crash at any step of archiving loses nothing, doubles nothing, and leaves nothing behind."""

import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tallybook.adapters.archive.compact import Compactor, Kept
from tallybook.adapters.archive.manifest import read_manifest
from tallybook.values.instant import DAY
from tests.archive.support import archive, brief, checkpoint, files_on_disk, metering, sent
from tests.metering.test_metering import NOW, Standing, send, wire

LATER = NOW + 40 * DAY
COMMAND = [sys.executable, "-m", "tallybook.adapters.archive.process"]


class Crash(BaseException):
    """What a crash is here: nothing catches it."""


class CrashAt:
    """Counts steps and crashes before the n-th; what was being written then is torn."""

    def __init__(self, folder: Path, number: int) -> None:
        self.archive = folder / "archive"
        self.number = number
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) <= self.number:
            return
        if step in ("file fsync", "manifest fsync"):
            newest = max(
                [*self.archive.glob("*-*-*/*.parquet"), *self.archive.glob("*.new")],
                key=lambda path: path.stat().st_mtime_ns,
            )
            os.truncate(newest, newest.stat().st_size // 2)
        raise Crash(step)


def event(number: int, day: int, start: object = NOW) -> dict:
    at = (start + timedelta(days=day)).isoformat()
    return wire(number, timestamp=at, customer_id=f"c{number % 3}")


BEFORE = [event(number, -(number % 3) - 1) for number in range(30)]
DURING = [event(number, -(number % 4)) for number in range(20, 60)]
AFTER = [event(number, 0) for number in range(60, 65)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where moving, merging and tidying up are due."""
    folder = tmp_path_factory.mktemp("prepared")
    with metering(folder) as (meter, _):
        for start in range(0, 30, 6):
            send(meter, BEFORE[start : start + 6])
            archive(meter, folder)
        send(meter, DURING[:20])
        send(meter, DURING[20:])
        checkpoint(meter)
    (folder / "archive" / "reading-4194305-0").mkdir()  # greater than any process's number
    (folder / "archive" / "tmp").mkdir()
    (folder / "archive" / "tmp" / "spilled").write_bytes(b"left behind")
    return folder


def crash_everywhere(prepared: Path, tmp_path: Path, kept: Kept | None) -> list[tuple[str, Path]]:
    """Folders of runs that crashed at every step, one after the other."""
    found = []
    for number in range(1_000):
        folder = tmp_path / str(number)
        shutil.copytree(prepared, folder)
        crash = CrashAt(folder, number)
        try:
            Compactor(folder, events=30, step=crash, kept=kept).run()
        except Crash as crashed:
            found.append((str(crashed), folder))
        else:
            assert len(crash.steps) == number
            return found
    raise AssertionError("it never ends")


def test_a_crash_at_every_step_leaves_the_accepted_events(prepared: Path, tmp_path: Path) -> None:
    expected = sent(first_of(BEFORE + DURING))
    crashes = crash_everywhere(prepared, tmp_path, None)
    steps = {step for step, _ in crashes}
    assert steps >= {
        "day folder", "file write", "file fsync", "day folder fsync", "archive folder fsync",
        "manifest write", "manifest fsync", "manifest keep", "manifest rename", "manifest folder fsync",
        "merge write", "clean manifest", "clean file", "clean spilled",
    }  # fmt: skip
    for step, folder in crashes:
        with metering(folder) as (meter, store):
            assert brief(store) == expected, step
            send(meter, AFTER)
            assert brief(store) == expected + sent(AFTER), step
            archive(meter, folder)
            assert brief(store) == expected + sent(AFTER), step
            assert files_on_disk(folder) == {file.path for file in store.manifest().files}, step
            assert list(folder.glob("archive/manifest-*")) == []
            assert list(folder.glob("archive/tmp")) == list(folder.glob("archive/reading-4*")) == []
        shutil.rmtree(folder)


def first_of(events: list[dict]) -> list[dict]:
    """Events as accepted: the first of every id."""
    seen: dict[str, dict] = {}
    for item in events:
        seen.setdefault(item["transaction_id"], item)
    return list(seen.values())


def test_a_crash_while_old_events_are_dropped_drops_nothing_else(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    shutil.copytree(prepared, folder)
    clock = Standing(LATER)
    recent = [event(number, -(number % 3), LATER) for number in range(100, 110)]
    kept = Kept(38, LATER)
    with metering(folder, clock) as (meter, _):
        send(meter, recent)
        archive(meter, folder)
    everything = sent(first_of(BEFORE + DURING) + recent)
    first = (LATER - 38 * DAY).replace(hour=0)
    last_before = (first - timedelta(microseconds=1)).date().isoformat()
    remaining = sent(recent)
    assert last_before >= NOW.date().isoformat()  # every event but the recent is to go
    crashes = crash_everywhere(folder, tmp_path, kept)
    assert "log forget" in {step for step, _ in crashes}
    for step, crashed in crashes:
        with metering(crashed, clock) as (meter, store):
            found = brief(store)
            assert found == [item for item in everything if item in found], step
            assert set(found) >= set(remaining), step
            archive(meter, crashed, kept=kept)
            assert brief(store) == remaining, step
            assert meter._log.first_row() == meter._log.stored_row() == 8
            send(meter, [recent[0], event(200, 0, LATER)])
            assert brief(store) == [*remaining, *sent([event(200, 0, LATER)])], step
        shutil.rmtree(crashed)


def test_a_killed_process_is_made_good_by_the_next(tmp_path: Path) -> None:
    events = [event(number, -(number % 30)) for number in range(20_000)]
    with metering(tmp_path) as (meter, store):
        for start in range(0, len(events), 100):
            send(meter, events[start : start + 100])
        checkpoint(meter)
        expected = sent(events)
        ours, theirs = os.pipe()
        command = [*COMMAND, str(tmp_path), str(ours), "0"]
        for part in range(10):
            started = time.monotonic()
            with subprocess.Popen(command, pass_fds=[ours], stdout=subprocess.DEVNULL) as process:
                # Killed as soon as it has come that far; the last time it may finish.
                while process.poll() is None and not progressed(tmp_path, part):
                    time.sleep(0.001)
                if part < 9:
                    process.kill()
            assert time.monotonic() - started < 60
            assert brief(store) == expected
        assert process.returncode == 0
        assert store.manifest().position == 200
        assert files_on_disk(tmp_path) == {file.path for file in store.manifest().files}
        os.close(ours)
        os.close(theirs)


def progressed(folder: Path, part: int) -> bool:
    if part == 9:
        return False
    if part == 8:
        return read_manifest(folder / "archive").position > 0
    try:
        return len(files_on_disk(folder)) > part * 3
    except FileNotFoundError:  # it is tidying up
        return False


def test_a_process_ends_when_its_server_is_gone(tmp_path: Path) -> None:
    with metering(tmp_path) as (meter, _):
        send(meter, [wire(1)])
        checkpoint(meter)
    ours, theirs = os.pipe()
    command = [*COMMAND, str(tmp_path), str(ours), "0"]
    os.close(theirs)
    with subprocess.Popen(command, pass_fds=[ours], stdout=subprocess.DEVNULL) as process:
        assert process.wait(60) == 1
    os.close(ours)
