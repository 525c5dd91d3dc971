"""`tallybook serve` as the program a user starts: tokens, the sandbox's clock, a clean end."""

import socket
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.cli.support import run, served

CLOCK = "/tallybook/v1/clock"


def test_first_start_prints_a_token_each_and_later_starts_print_none(tmp_path: Path) -> None:
    with served(tmp_path / "data") as server:
        printed = [line for line in server.printed if "shown once" in line]
        assert [line.partition(" ")[0] for line in printed] == ["production", "sandbox"]
        tokens = [line.rpartition(": ")[2] for line in printed]
        for token in tokens:
            assert server.call("GET", CLOCK, token).status_code == 200
        assert server.call("GET", CLOCK, "guessed").status_code == 401
        assert server.stop() == 0
    with served(tmp_path / "data") as server:
        assert not [line for line in server.printed if "shown once" in line]
        assert server.call("GET", CLOCK, tokens[1]).status_code == 200


def test_tokens_from_the_environment_and_the_sandbox_s_start(tmp_path: Path) -> None:
    tokens = {"TALLYBOOK_API_TOKEN": "live", "TALLYBOOK_SANDBOX_TOKEN": "trial"}
    with served(tmp_path / "data", "--sandbox-now", "2023-11-17T00:00:00Z", **tokens) as server:
        assert not [line for line in server.printed if "shown once" in line]
        assert server.call("GET", CLOCK, "trial").json()["data"]["now"].startswith("2023-11-17T00:00:00")
        assert not server.call("GET", CLOCK, "live").json()["data"]["now"].startswith("2023")
        moved = server.call("POST", CLOCK, "trial", json={"now": "2023-12-01T00:00:00Z"})
        assert moved.status_code == 200
        assert server.call("POST", CLOCK, "live", json={"now": "2030-01-01T00:00:00Z"}).status_code == 409
        assert server.stop() == 0
    # A clock never runs backwards, so a later start keeps where it was moved to.
    with served(tmp_path / "data", "--sandbox-now", "2023-11-17T00:00:00Z", **tokens) as server:
        assert server.call("GET", CLOCK, "trial").json()["data"]["now"].startswith("2023-12-01")


def test_a_stop_during_ingest_loses_nothing_acknowledged(tmp_path: Path) -> None:
    variables = {"TALLYBOOK_SANDBOX_TOKEN": "trial"}
    acknowledged = [0]
    under_way = threading.Event()

    def send(server: Any, sender: int) -> None:
        for number in range(10_000):
            events = [_event(f"{sender}-{number}-{index}") for index in range(100)]
            try:
                if server.call("POST", "/v1/ingest", "trial", json=events).status_code != 200:
                    return
            except httpx.TransportError:
                return
            acknowledged[sender] += 100
            if number == 20:
                under_way.set()

    with served(tmp_path / "data", "--sandbox-now", "2026-01-15T12:00:00Z", **variables) as server:
        metric = server.call("POST", "/v1/billable-metrics/create", "trial", json=METRIC).json()["data"]["id"]
        sender = threading.Thread(target=send, args=(server, 0))
        sender.start()
        assert under_way.wait(60)
        assert server.stop() == 0
        sender.join()
    with served(tmp_path / "data", **variables) as server:
        query = {
            "billable_metrics": [{"id": metric}],
            "starting_on": "2026-01-15T00:00:00Z",
            "ending_before": "2026-01-16T00:00:00Z",
            "window_size": "none",
        }
        body = {"name": "A", "ingest_aliases": ["a"]}
        assert server.call("POST", "/v1/customers", "trial", json=body).status_code == 200
        rows = server.call("POST", "/v1/usage", "trial", json=query).json()["data"]
        counted = sum(row["value"] for row in rows)
    assert acknowledged[0] > 0
    # A request whose answer was lost on the way may be in too; it is at most one.
    assert acknowledged[0] <= counted <= acknowledged[0] + 100


METRIC = {"name": "requests", "aggregation_type": "COUNT", "event_type_filter": {"in_values": ["chat"]}}


def test_a_client_that_stalls_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    with served(tmp_path / "data", TALLYBOOK_SANDBOX_TOKEN="trial") as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as stalled:
            head = b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer trial\r\n"
            stalled.sendall(head + b'Content-Length: 999\r\n\r\n{"name": ')
            server.call("GET", "/v1/customers", "trial")
            assert server.stop() == 0


def _event(name: str) -> dict[str, str]:
    return {
        "transaction_id": name,
        "customer_id": "a",
        "event_type": "chat",
        "timestamp": "2026-01-15T11:00:00Z",
    }


def test_wrong_usage_is_one_line_and_status_2(tmp_path: Path) -> None:
    for options, said in (
        (("--database", "postgresql://x"), "--database"),
        (("--events", "kafka://x"), "--events"),
        (("--sandbox-now", "soon"), "--sandbox-now"),
        (("--port", "99999"), "--port"),
    ):
        ran = run("serve", "--data", tmp_path / "data", *options)
        assert ran.status == 2
        assert said in ran.err
        assert "Traceback" not in ran.err
    (tmp_path / "file").write_text("")
    assert "cannot be used" in run("serve", "--data", tmp_path / "file").err


def test_a_taken_port_is_told_before_the_folder_is_filled(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run("serve", "--data", tmp_path / "data", "--port", str(taken.getsockname()[1]))
    assert ran.status == 2
    assert "cannot listen" in ran.err
    assert not (tmp_path / "data" / "control.db").exists()


def test_every_command_explains_itself() -> None:
    for command in (
        (),
        ("serve",),
        ("worker",),
        ("migrate",),
        ("ingest",),
        ("demo",),
        ("token",),
        ("token", "create"),
    ):
        ran = run(*command, "--help")
        assert ran.status == 0
        assert "Usage: tallybook" in ran.out


def test_one_process_and_two_share_a_folder_and_count_the_same(tmp_path: Path) -> None:
    for turn, option in enumerate(("--second-process", "--one-process", "--second-process")):
        with served(tmp_path / "data", option, TALLYBOOK_API_TOKEN="live") as server:
            now = server.call("GET", CLOCK, "live").json()["data"]["now"]
            names = [f"{turn}-{index}" for index in range(50)] + ["again"]
            events = [{**_event(name), "timestamp": now} for name in names]
            assert server.call("POST", "/v1/ingest", "live", json=events).status_code == 200
            assert server.stop() == 0
    with served(tmp_path / "data", TALLYBOOK_API_TOKEN="live") as server:
        counted = server.call("GET", "/tallybook/v1/usage/status", "live").json()["data"]
        assert (counted["events_accepted"], counted["events_duplicate"]) == (151, 2)
        assert counted["lag"] == 0
