"""`tallybook ingest` against a real server, and against one that answers badly on purpose."""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import TALLYBOOK, Ran, run
from tests.cli.taker import TAKEN, Taker, refused, taking
from tests.support import NOW, SANDBOX_TOKEN, Server

MAPPING = ("--customer-id", "acme", "--event-type", "chat", "--timestamp-column", "At")


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TALLYBOOK_TOKEN", SANDBOX_TOKEN)


@pytest.fixture
def taker() -> Iterator[Taker]:
    with taking() as running:
        yield running


def _csv(path: Path, rows: int, *, seed: int | None = None) -> Path:
    """Rows with repeats among them: tokens 0 to 6 in the same few seconds."""
    lines = [f"{NOW - timedelta(seconds=n % 3):%Y-%m-%d %H:%M:%S}.1234567,{n % 7}\n" for n in range(rows)]
    if seed is not None:
        random.Random(seed).shuffle(lines)
    path.write_text("At,Tokens\n" + "".join(lines))
    return path


def _states(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state").rglob("*.json"))


def _status(server: Server) -> tuple[int, int]:
    status = server.tallybook.meterings["sandbox"].status()
    return status["events_accepted"], status["events_duplicate"]


def test_loaded_twice_and_shuffled_counts_once(server: Server, tmp_path: Path) -> None:
    first = _csv(tmp_path / "a.csv", 1_234)
    ran = run("ingest", first, "--url", server.url, *MAPPING, "--json")
    assert ran.status == 0, ran.err
    assert (ran.json["events_taken"], ran.json["complete"], ran.json["resumed_from"]) == (1_234, True, 0)
    assert _states(tmp_path) == []
    assert run("ingest", first, "--url", server.url, *MAPPING).status == 0
    assert run("ingest", _csv(tmp_path / "b.csv", 1_234, seed=5), "--url", server.url, *MAPPING).status == 0
    assert _settled(server, 3 * 1_234) == (1_234, 2 * 1_234)


def _settled(server: Server, events: int) -> tuple[int, int]:
    """The counts, once everything acknowledged has been applied."""
    give_up_at = time.monotonic() + 30
    while sum(_status(server)) < events:
        assert time.monotonic() < give_up_at
        time.sleep(0.005)
    return _status(server)


def test_json_lines_reach_the_server_exactly(taker: Taker, tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_bytes(
        b'{"transaction_id":"t-1","customer_id":"acme","event_type":"chat",'
        b'"timestamp":"2026-01-15T10:00:00Z","properties":{"n":"0.10","x":[true,null]}}\n'
    )
    ran = run("ingest", lines, "--url", taker.url + "/")
    assert (ran.status, ran.err) == (0, "")
    assert "1 events taken" in ran.out
    assert taker.taken == [json.loads(lines.read_bytes())]
    assert taker.tokens == {f"Bearer {SANDBOX_TOKEN}"}


def test_requests_hold_a_hundred_events_on_few_connections(taker: Taker, tmp_path: Path) -> None:
    sizes: list[int] = []
    taker.answer = lambda _number, events: sizes.append(len(events)) or TAKEN  # type: ignore[func-returns-value]
    assert run("ingest", _csv(tmp_path / "a.csv", 950), "--url", taker.url, *MAPPING).status == 0
    assert sorted(sizes) == [50] + [100] * 9
    assert len(taker.connections) <= 4
    assert len(set(taker.ids)) == 950


def test_bad_lines_are_reported_and_the_others_go_on(server: Server, tmp_path: Path) -> None:
    old, future = NOW - timedelta(days=35), NOW + timedelta(days=2)
    rows = [f"{NOW:%Y-%m-%d %H:%M:%S},{n}" for n in range(30)]
    rows[3], rows[5] = "yesterday,1", "1,2,3"
    rows[7], rows[20] = f"{old:%Y-%m-%d %H:%M:%S},7", f"{future:%Y-%m-%d %H:%M:%S},20"
    file, rejects = tmp_path / "a.csv", tmp_path / "rejects.jsonl"
    file.write_text("At,Tokens\n" + "\n".join(rows) + "\n")
    ran = run("ingest", file, "--url", server.url, *MAPPING, "--json", "--rejects", rejects)
    assert ran.status == 1
    assert (ran.json["complete"], ran.json["events_taken"], ran.json["lines_rejected"]) == (True, 26, 4)
    assert [row["line"] for row in ran.json["rejected"]] == [5, 7, 9, 22]
    reasons = [row["reason"] for row in ran.json["rejected"]]
    assert "'yesterday' is not a date-time" in reasons[0]
    assert "3 cells" in reasons[1]
    assert reasons[2].startswith("event.timestamp: ")
    assert "34 days" in reasons[2]
    assert "24 hours" in reasons[3]
    written = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [row["line"] for row in written] == [5, 7, 9, 22]
    assert written[2]["record"] == {"At": f"{old:%Y-%m-%d %H:%M:%S}", "Tokens": "7"}
    assert written[1]["record"] == "1,2,3"
    assert _settled(server, 26) == (26, 0)
    # Told to people as a table, with the file that has them all.
    ran = run("ingest", file, "--url", server.url, *MAPPING, "--rejects", rejects)
    assert ran.status == 1
    assert "4 lines rejected; all of them in" in ran.err
    assert len(rejects.read_text().splitlines()) == 4


def test_reported_lines_are_capped_and_all_are_counted(taker: Taker, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("At,Tokens\n" + "never,1\n" * 2_500)
    ran = run("ingest", file, "--url", taker.url, *MAPPING, "--json")
    assert (ran.status, taker.requests) == (1, 0)
    assert (ran.json["lines_rejected"], len(ran.json["rejected"])) == (2_500, 20)
    assert "(2,480 not shown)" in run("ingest", file, "--url", taker.url, *MAPPING).err


@pytest.mark.parametrize("names_it", [True, False])
def test_one_refused_event_takes_no_other_with_it(taker: Taker, tmp_path: Path, *, names_it: bool) -> None:
    def answer(_number: int, events: list[dict[str, Any]]) -> Any:
        for index, event in enumerate(events):
            if event["properties"]["Tokens"] == "bad":
                return refused(400, f"events[{index}].properties: bad" if names_it else "bad")
        return TAKEN

    taker.answer = answer
    file = tmp_path / "a.csv"
    rows = [f"2026-01-15 10:00:00,{'bad' if n in (0, 17, 99) else n}\n" for n in range(150)]
    file.write_text("At,Tokens\n" + "".join(rows))
    ran = run("ingest", file, "--url", taker.url, *MAPPING, "--json")
    assert ran.status == 1
    assert [row["line"] for row in ran.json["rejected"]] == [2, 19, 101]
    assert ran.json["rejected"][0]["reason"] == ("event.properties: bad" if names_it else "bad")
    assert len(set(taker.ids)) == len(taker.ids) == ran.json["events_taken"] == 147


def test_a_body_that_is_too_large_is_split(taker: Taker, tmp_path: Path) -> None:
    taker.answer = lambda _number, events: TAKEN if len(events) <= 30 else refused(413, "too large")
    assert run("ingest", _csv(tmp_path / "a.csv", 100), "--url", taker.url, *MAPPING).status == 0
    assert len(set(taker.ids)) == len(taker.ids) == 100


def test_busy_and_failing_servers_are_asked_again(taker: Taker, tmp_path: Path) -> None:
    troubles = {
        1: refused(503, "wait"),
        3: refused(429, "slow down", retry_after="1"),
        4: refused(500, "oops"),
    }
    asked: dict[int, float] = {}

    def answer(number: int, _events: list[dict[str, Any]]) -> Any:
        asked[number] = time.monotonic()
        return troubles.get(number, TAKEN)

    taker.answer = answer
    ran = run("ingest", _csv(tmp_path / "a.csv", 300), "--url", taker.url, *MAPPING, "--connections", "1")
    assert (ran.status, taker.requests) == (0, 6)
    assert len(set(taker.ids)) == len(taker.ids) == 300
    assert asked[4] - asked[3] >= 1  # as Retry-After said
    assert "the server answers 503: wait; trying again" in ran.err


def test_a_server_that_is_not_there_ends_the_load_and_the_same_command_goes_on(
    taker: Taker, tmp_path: Path
) -> None:
    """Two requests are taken, then the server fails for good; what was taken is not sent again."""
    file = _csv(tmp_path / "a.csv", 1_000)
    file.write_text(file.read_text() + "never,1\n")
    taker.answer = lambda number, _events: TAKEN if number <= 2 else refused(503, "down")
    command = ("ingest", file, "--url", taker.url, *MAPPING, "--json", "--connections", "1")
    ran = run(*command, "--retry-for", "0")
    assert ran.status == 1
    assert (ran.json["complete"], ran.json["events_taken"], ran.json["lines_done"]) == (False, 200, 200)
    assert "down" in ran.json["failure"]
    assert len(_states(tmp_path)) == 1
    taker.answer = lambda _number, _events: TAKEN
    ran = run(*command)
    assert (ran.json["complete"], ran.json["resumed_from"], ran.json["events_taken"]) == (True, 200, 1_000)
    assert (ran.status, ran.json["lines_rejected"]) == (1, 1)
    assert len(set(taker.ids)) == len(taker.ids) == 1_000
    assert _states(tmp_path) == []


def test_rejected_lines_survive_an_interruption_once_each(taker: Taker, tmp_path: Path) -> None:
    file, rejects = tmp_path / "a.csv", tmp_path / "rejects.jsonl"
    rows = [f"{'never' if n % 50 == 0 else '2026-01-15 10:00:00'},{n}\n" for n in range(1_000)]
    file.write_text("At,Tokens\n" + "".join(rows))
    taker.answer = lambda number, _events: TAKEN if number <= 4 else refused(503, "down")
    command = ("ingest", file, "--url", taker.url, *MAPPING, "--rejects", rejects, "--connections", "2")
    assert "the same command goes on" in run(*command, "--retry-for", "0").err
    assert 0 < len(rejects.read_text().splitlines()) < 20
    taker.answer = lambda _number, _events: TAKEN
    assert run(*command).status == 1
    written = [json.loads(line)["line"] for line in rejects.read_text().splitlines()]
    assert written == [n + 2 for n in range(0, 1_000, 50)]


def test_restart_and_foreign_state_files(taker: Taker, tmp_path: Path) -> None:
    state = tmp_path / "mine.json"
    taker.answer = lambda number, _events: TAKEN if number <= 2 else refused(503, "down")
    options = ("--url", taker.url, *MAPPING, "--state", state, "--connections", "1", "--json")
    first, other = _csv(tmp_path / "a.csv", 500), _csv(tmp_path / "b.csv", 100)
    assert run("ingest", first, *options, "--retry-for", "0").status == 1
    taker.answer = lambda _number, _events: TAKEN
    ran = run("ingest", other, *options)
    assert ran.status == 2
    assert "--restart" in ran.err
    ran = run("ingest", first, *options, "--restart")
    assert (ran.json["resumed_from"], ran.json["events_taken"]) == (0, 500)
    state.write_text("{}")
    assert "not a state file" in run("ingest", first, *options).err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_process_goes_on_and_misses_nothing(
    taker: Taker, tmp_path: Path, number: signal.Signals
) -> None:
    file = _csv(tmp_path / "a.csv", 5_000)
    under_way = threading.Event()

    def slowly(count: int, _events: list[dict[str, Any]]) -> Any:
        if count == 20:
            under_way.set()
        time.sleep(0.03)
        return TAKEN

    taker.answer = slowly
    command = [str(TALLYBOOK), "ingest", str(file), "--url", taker.url, *MAPPING]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert under_way.wait(60)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert len(set(taker.ids)) < 5_000
    taken = len(taker.ids)
    if number == signal.SIGINT:
        assert process.returncode == 1
        assert "the same command goes on from there" in err
    taker.answer = lambda _number, _events: TAKEN
    ran = run(*command[1:])
    assert ran.status == 0
    assert len(set(taker.ids)) == 5_000
    if number == signal.SIGINT:
        assert "went on after" in ran.out
        # Up to the batches under way at the end, nothing was sent twice.
        assert len(taker.ids) - 5_000 <= min(taken, 8 * 100)


@pytest.mark.parametrize(("status", "hint"), [(401, "check --token"), (404, "check --url"), (302, "302")])
def test_a_server_that_refuses_the_sender_ends_the_load(
    taker: Taker, tmp_path: Path, status: int, hint: str
) -> None:
    taker.answer = lambda _number, _events: refused(status, "no")
    ran = run("ingest", _csv(tmp_path / "a.csv", 10), "--url", taker.url, *MAPPING)
    assert ran.status == 1
    assert hint in ran.err


def _wrong(ran: Ran, *said: str) -> None:
    assert ran.status == 2, (ran.out, ran.err)
    # A long path is broken over the lines of a box.
    told = re.sub(r"[\s│]", "", ran.err)
    assert all(re.sub(r"\s", "", text) in told for text in said), ran.err


def test_wrong_usage_is_told_before_anything_is_sent(taker: Taker, tmp_path: Path, monkeypatch: Any) -> None:
    file = _csv(tmp_path / "a.csv", 5)
    url = ("--url", taker.url)
    _wrong(run("ingest", tmp_path / "none.csv", *url, *MAPPING), "none.csv")
    _wrong(run("ingest", file, *url), "--timestamp-column", "there are At, Tokens")
    _wrong(run("ingest", file, *url, *MAPPING, "--property", "tokens"), "NAME=COLUMN")
    _wrong(run("ingest", file, *url, *MAPPING, "--property", "a=Tokens", "--property", "a=At"), "twice")
    _wrong(run("ingest", file, *url, *MAPPING, "--format", "xml"), "--format")
    _wrong(run("ingest", file, "--url", "nowhere", *MAPPING), "--url")
    _wrong(run("ingest", file, *url, *MAPPING, "--connections", "0"), "--connections")
    _wrong(run("ingest", file, *url, *MAPPING, "--rejects", tmp_path), "--rejects")
    _wrong(run("ingest", file, *url, "--customer-id", "", "--event-type", "e"), "--customer-id")
    monkeypatch.delenv("TALLYBOOK_TOKEN")
    _wrong(run("ingest", file, *url, *MAPPING), "--token")
    assert taker.requests == 0


def test_several_files_are_one_input(taker: Taker, tmp_path: Path) -> None:
    """Identical rows in two files of one command are two events."""
    files = (_csv(tmp_path / "a.csv", 120), _csv(tmp_path / "b.csv", 120))
    assert run("ingest", *files, "--url", taker.url, *MAPPING).status == 0
    assert len(set(taker.ids)) == 240
