"""What `/readyz` says while something is wrong; `/healthz` goes on saying that the process lives."""

import resource
import time
from pathlib import Path

import httpx

from tests.cli.support import served
from tests.metering.over_http import event, send
from tests.support import Server

NEVER = resource.RLIM_INFINITY


def ready(url: str) -> httpx.Response:
    assert httpx.get(url + "/healthz").json() == {"status": "alive"}
    return httpx.get(url + "/readyz")


def test_a_server_is_ready_when_it_has_started(server: Server) -> None:
    assert (ready(server.url).status_code, ready(server.url).json()) == (200, {"status": "ready"})


def test_metering_that_has_stopped_is_told(server: Server) -> None:
    assert send(server, event(1)).status_code == 200
    metering = server.tallybook.meterings["sandbox"]
    metering._state.fingerprints = None  # type: ignore[union-attr,assignment]  # what nothing can be applied with
    send(server, event(2))
    answer = _until(503, server.url)
    assert "sandbox" in answer.json()["message"]
    assert "stopped after a fault" in answer.json()["message"]
    refused = send(server, event(3))
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"


def test_a_disk_that_takes_no_more_is_told_until_it_does(tmp_path: Path) -> None:
    """A real refusal by the system: from then on no file of the process may grow."""
    with served(tmp_path / "data", TALLYBOOK_API_TOKEN="live") as server:
        now = server.call("GET", "/tallybook/v1/clock", "live").json()["data"]["now"]

        def ingest(number: int) -> int:
            events = [event(number, timestamp=now)]
            return server.call("POST", "/v1/ingest", "live", json=events).status_code

        assert ingest(1) == 200
        assert ready(server.url).status_code == 200
        before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, NEVER))
        try:
            assert ingest(2) == 503
            answer = ready(server.url)
            assert answer.status_code == 503
            assert answer.json()["message"].startswith("production: events are not taken: ")
        finally:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
        assert ready(server.url).status_code == 200
        assert ingest(2) == 200
        status = server.call("GET", "/tallybook/v1/usage/status", "live").json()["data"]
        assert status["log_position"] == 2
        assert server.stop() == 0


def test_a_disk_with_hardly_any_room_is_told(server: Server) -> None:
    """The limit is raised above what the disk has, instead of filling the disk."""
    assert ready(server.url).status_code == 200
    server.tallybook.free_bytes_min = 1 << 62
    answer = ready(server.url)
    assert answer.status_code == 503
    assert "make room" in answer.json()["message"]


def _until(status: int, url: str) -> httpx.Response:
    for _ in range(200):
        answer = ready(url)
        if answer.status_code == status:
            return answer
        time.sleep(0.05)
    raise AssertionError(answer.text)
