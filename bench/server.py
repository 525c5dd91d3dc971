"""The server under test, as a user starts it, and what the system says about its process."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.workload import METRICS

TOKEN = "bench"
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """`tallybook serve` on a folder of its own."""

    started: ClassVar[list["Server"]] = []

    def __init__(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.data = data
        self._log = data.with_suffix(".log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start and wait until it is ready; the seconds that took."""
        started = time.perf_counter()
        Server.started.append(self)
        self._process = subprocess.Popen(
            [
                Path(sys.executable).parent / "tallybook",
                "serve",
                "--data",
                self.data,
                "--port",
                str(self.port),
            ],
            env={**os.environ, "TALLYBOOK_API_TOKEN": TOKEN, "TALLYBOOK_SANDBOX_TOKEN": TOKEN + "-sandbox"},
            stdout=self._log,
            stderr=self._log,
        )
        while True:
            if self._process.poll() is not None:
                message = f"the server ended by itself; see {self._log.name}"
                raise RuntimeError(message)
            try:
                self.ask("GET", "/readyz")
            except OSError:
                time.sleep(0.005)
            else:
                return time.perf_counter() - started

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    @staticmethod
    def kill_all() -> None:
        """End every server that was started and still runs."""
        for server in Server.started:
            server.kill()

    def stop(self) -> float:
        """Ask it to end; the seconds that took."""
        started = time.perf_counter()
        self._end(signal.SIGTERM)
        return time.perf_counter() - started

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call an operation and decode its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                message = f"{method} {path}: {answer.status} {content[:300]!r}"
                raise RuntimeError(message)
            return json.loads(content)
        finally:
            connection.close()

    def make_metrics(self, metrics: Sequence[dict[str, Any]] = METRICS) -> list[str]:
        """Create metrics, those of the workload unless told others; their ids."""
        made = [self.ask("POST", "/v1/billable-metrics/create", metric) for metric in metrics]
        ids = [answer["data"]["id"] for answer in made]
        today = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime())
        tomorrow = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() + 86_400))
        asked = {"window_size": "NONE", "starting_on": today, "ending_before": tomorrow}
        self.ask("POST", "/v1/usage", {**asked, "billable_metrics": [{"id": one} for one in ids]})
        return ids

    def status(self) -> dict[str, int]:
        """How far metering has come."""
        found: dict[str, int] = self.ask("GET", "/tallybook/v1/usage/status")["data"]
        return found

    def cpu_s(self) -> float:
        """Processor time used so far by the server and the process that applies its log."""
        total = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))  # those it has waited for too
        return total / _TICKS

    def memory_mb(self) -> float:
        """Resident memory of both; what they share counts once."""
        size = 0
        for pid in self._pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    size += int(line.split()[1])
        return size / 1024

    def _pids(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
