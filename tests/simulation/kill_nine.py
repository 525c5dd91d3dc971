"""Kills a server with signal 9 at random moments during ingest, and audits what it counts afterwards.

    python -m tests.simulation.kill_nine --rounds 200 --seed 1

Several clients send batches over HTTP: fresh events, whole batches sent before, ids sent before in other
batches and twice in one batch. The server is killed, sometimes while it is still starting, and started
again on the same folder; sometimes the process that applies its log is killed before, alone. Then every
event that was ever acknowledged must count exactly once, and every other one at most once; metrics made
along the way must agree, whatever they had to be filled in from, and so must metrics in SQL, which read
the archive. All the time events are moved into the archive, by processes that are killed too. Every now
and then, and at the end, `tallybook verify` must find no difference in the files as a kill left them.

How a count is told event by event: the k-th event of a lot of 100 weighs 2^k. The sum of a lot tells
which events count, and as many events as the sum has binary ones only if none counts twice.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

TOKEN = "kill-nine"
LOT = 100
CLIENTS = 6
READY_S = 60
LOTS_PER_CUSTOMER = 200
BODIES_KEPT = 400
NEW_METRIC_EVERY = 20
METRICS_MAX = 8
VERIFY_EVERY = 25
SQL = {
    "SUM": "SELECT SUM(properties.weight) AS value, properties.lot FROM events GROUP BY properties.lot",
    "COUNT": "SELECT COUNT(*) AS value, properties.lot FROM events GROUP BY properties.lot",
}


class Server:
    """The program as a user starts it, on one folder and port."""

    def __init__(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (data.parent / "server.log").open("ab")

    def start(self) -> None:
        program = Path(sys.executable).parent / "tallybook"
        self._process = subprocess.Popen(
            [program, "serve", "--data", self._data, "--port", str(self.port)],
            env={**os.environ, "TALLYBOOK_API_TOKEN": TOKEN, "TALLYBOOK_SANDBOX_TOKEN": TOKEN + "-sandbox"},
            stdout=self._log,
            stderr=self._log,
        )

    def wait_until_ready(self) -> None:
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            assert self._process is not None
            assert self._process.poll() is None, f"the server ended by itself; see {self._log.name}"
            try:
                if self.ask("GET", "/readyz") is not None:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the server was not ready within {READY_S} s")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def kill_applier(self) -> None:
        """Kill the process that applies the log, and leave the server."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for child in children.split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._log.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == 200, f"{method} {path}: {answer.status} {content[:500]!r}"
            return json.loads(content)
        finally:
            connection.close()


class Compactions(Thread):
    """Moves events into the archive over and over, by the server's own process for it, and kills some."""

    def __init__(self, data: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self._folder = data / "production"
        self._random = random.Random(seed)
        self.stop = Event()
        self.tally: Counter[str] = Counter()
        self.working = Lock()
        self.fault: str | None = None

    def run(self) -> None:
        ours, theirs = os.pipe()  # the process ends when whoever started it does
        module = "tallybook.adapters.archive.process"
        command = [sys.executable, "-m", module, str(self._folder), str(ours), "0"]
        while not self.stop.wait(self._random.uniform(0, 0.3)):
            if not (self._folder / "cells.db").exists():
                continue
            with self.working:
                self._compact(command, ours)
        os.close(ours)
        os.close(theirs)

    def _compact(self, command: list[str], server: int) -> None:
        process = subprocess.Popen(
            command, pass_fds=[server], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if self._random.random() < 0.5:
            time.sleep(self._random.uniform(0.2, 1.5))
            process.kill()
        _, said = process.communicate()
        is_killed = process.returncode == -signal.SIGKILL
        self.tally["compactions killed" if is_killed else "compactions"] += 1
        if process.returncode and not is_killed:
            self.fault = said.decode()


def verify(data: Path) -> None:
    """Have the program compare everything that is stored with the log. Nobody may serve the folder."""
    program = Path(sys.executable).parent / "tallybook"
    ran = subprocess.run(
        [program, "verify", "--data", data, "--json"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, (
        f"verify ended with {ran.returncode}: {ran.stdout[-3_000:]} {ran.stderr[-500:]}"
    )


@dataclass
class Books:
    """What was sent and what was acknowledged, as one bit per event of every lot."""

    sent: dict[int, int] = field(default_factory=dict)
    acknowledged: dict[int, int] = field(default_factory=dict)
    lots_of_round: set[int] = field(default_factory=set)
    tally: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)
    next_lot: int = 0

    def new_lot(self) -> int:
        with self.lock:
            self.next_lot += 1
            return self.next_lot

    def note(self, events: Iterable[tuple[int, int]], into: dict[int, int]) -> None:
        with self.lock:
            for lot, place in events:
                into[lot] = into.get(lot, 0) | 1 << place
                self.lots_of_round.add(lot)


class Client(Thread):
    """Sends batches on one connection until told to stop or the server is gone."""

    def __init__(self, server: Server, books: Books, seed: int, memory: list[list[tuple[int, int]]]) -> None:
        super().__init__(daemon=True)
        self._server, self._books, self._memory = server, books, memory
        self._random = random.Random(seed)
        self._lot, self._place = books.new_lot(), 0
        self.stop = Event()
        self.fault: str | None = None

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        try:
            while not self.stop.is_set() and self.fault is None:
                self._send(connection, self._batch())
        except (OSError, http.client.HTTPException):
            pass  # the server was killed: what was under way is not acknowledged
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, batch: list[tuple[int, int]]) -> None:
        self._books.note(batch, self._books.sent)
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        connection.request("POST", "/v1/ingest", _body(batch), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 200:
            self._books.note(batch, self._books.acknowledged)
            self._books.tally["acknowledged requests"] += 1
        elif answer.status in (429, 503):
            self._books.tally[f"answered {answer.status}"] += 1
        else:
            self.fault = f"ingest answered {answer.status}: {content[:300]!r}"

    def _batch(self) -> list[tuple[int, int]]:
        chance = self._random.random()
        if self._memory and chance < 0.2:
            self._books.tally["repeated requests"] += 1
            return self._random.choice(self._memory)
        batch = [self._fresh() for _ in range(self._random.choice((1, 2, 10, 50, 100)))]
        if self._memory and chance < 0.4:
            earlier = self._random.choice(self._memory)
            batch = (batch + self._random.sample(earlier, len(earlier) // 2) + batch[:2])[-100:]
            self._random.shuffle(batch)
        with self._books.lock:
            self._memory.append(batch)
            del self._memory[:-BODIES_KEPT]
        return batch

    def _fresh(self) -> tuple[int, int]:
        if self._place == LOT:
            self._lot, self._place = self._books.new_lot(), 0
        self._place += 1
        return self._lot, self._place - 1


def _body(batch: list[tuple[int, int]]) -> str:
    # An event is the same whenever it is sent: its hour follows from its number.
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return json.dumps(
        [
            {
                "transaction_id": f"{lot}/{place}",
                "customer_id": _alias(lot // LOTS_PER_CUSTOMER),
                "event_type": "work" if lot % 2 else "play",
                "timestamp": (now - timedelta(hours=place % 7, seconds=lot % 3_000)).isoformat(),
                "properties": {"lot": str(lot), "weight": str(1 << place), "kind": ("a", "b")[place % 2]},
            }
            for lot, place in batch
        ]
    )


def _alias(block: int) -> str:
    return f"audited-{block}"


class Auditor:
    """Asks the server for every lot and compares with the books."""

    def __init__(self, server: Server, books: Books) -> None:
        self._server, self._books = server, books
        self._metrics: list[tuple[str, str]] = []
        self._customers: dict[int, str] = {}

    def make_sql_metrics(self) -> None:
        """The same two in SQL."""
        for aggregation, sql in SQL.items():
            made = self._server.ask("POST", "/v1/billable-metrics/create", {"name": aggregation, "sql": sql})
            self._metrics.append((aggregation, made["data"]["id"]))

    def make_metrics(self) -> None:
        """One metric that sums weights and one that counts, both by lot."""
        if len(self._metrics) >= METRICS_MAX:
            return
        for aggregation in ("SUM", "COUNT"):
            definition: dict[str, Any] = {
                "name": f"{aggregation} {len(self._metrics)}",
                "aggregation_type": aggregation,
                "property_filters": [{"name": "lot", "exists": True}, {"name": "weight", "exists": True}],
                "group_keys": [["lot"]],
            }
            if aggregation == "SUM":
                definition["aggregation_key"] = "weight"
            made = self._server.ask("POST", "/v1/billable-metrics/create", definition)
            self._metrics.append((aggregation, made["data"]["id"]))

    def audit(self, lots: Iterable[int]) -> list[str]:
        """What is wrong with these lots, in words."""
        wrong: list[str] = []
        blocks: dict[int, list[int]] = {}
        for lot in sorted(lots):
            blocks.setdefault(lot // LOTS_PER_CUSTOMER, []).append(lot)
        for block, part in blocks.items():
            customer = self._customer(block)
            for number in range(0, len(self._metrics), 2):
                sums, counts = (self._values(customer, self._metrics[number + n][1], part) for n in (0, 1))
                for lot in part:
                    wrong += self._compare(lot, sums.get(str(lot), 0), counts.get(str(lot), 0), number)
        return wrong

    def _customer(self, block: int) -> str:
        """The customer of a block of lots; made after its first events."""
        known = self._customers.get(block)
        if known is None:
            body = {"name": f"Customer {block}", "ingest_aliases": [_alias(block)]}
            known = self._customers[block] = self._server.ask("POST", "/v1/customers", body)["data"]["id"]
        return known

    def _compare(self, lot: int, total: int, count: int, number: int) -> list[str]:
        sent, acknowledged = self._books.sent.get(lot, 0), self._books.acknowledged.get(lot, 0)
        where = f"lot {lot} by metric {number}"
        if count != total.bit_count():
            return [f"{where}: {count} events count, but they weigh {total:#x}: some count twice"]
        if acknowledged & ~total:
            return [f"{where}: acknowledged and not counted: {acknowledged & ~total:#x}"]
        if total & ~sent:
            return [f"{where}: counted and never sent: {total & ~sent:#x}"]
        self._books.tally["counted though not acknowledged"] += (total & ~acknowledged).bit_count()
        return []

    def _values(self, customer: str, metric: str, lots: list[int]) -> dict[str, int]:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        question = {
            "window_size": "NONE",
            "starting_on": (today - timedelta(days=2)).isoformat(),
            "ending_before": (today + timedelta(days=1)).isoformat(),
            "customer_ids": [customer],
            "billable_metrics": [{"id": metric, "group_by": {"key": "lot", "values": list(map(str, lots))}}],
        }
        found: Counter[str] = Counter()
        page = ""
        while True:
            answer = self._server.ask("POST", f"/v1/usage{page}", question)
            for row in answer["data"]:
                found.update({lot: value or 0 for lot, value in (row.get("groups") or {}).items()})
            if not answer.get("next_page"):
                return found
            page = f"?next_page={answer['next_page']}"


def simulate(folder: Path, *, rounds: int, seed: int, says: bool = False) -> Counter[str]:
    """Run the rounds; tallies of what happened. Raises AssertionError with what is wrong."""
    source = random.Random(seed)
    server, books = Server(folder / "data"), Books()
    memory: list[list[tuple[int, int]]] = []
    compactions = Compactions(folder / "data", seed)
    try:
        server.start()
        server.wait_until_ready()
        auditor = Auditor(server, books)
        auditor.make_sql_metrics()
        auditor.make_metrics()
        compactions.start()
        for number in range(1, rounds + 1):
            books.lots_of_round.clear()
            _storm(server, books, source, memory)
            if source.random() < 0.15:  # killed again while it is starting
                server.start()
                time.sleep(source.uniform(0, 1.5))
                server.kill()
                books.tally["killed while starting"] += 1
            if number % VERIFY_EVERY == 0:
                with compactions.working:
                    verify(folder / "data")
            server.start()
            server.wait_until_ready()
            if number % NEW_METRIC_EVERY == 2:
                auditor.make_metrics()
            _hold(auditor.audit(books.lots_of_round), number)
            if says:
                print(f"round {number}: {len(books.lots_of_round)} lots audited", flush=True)
        _hold(auditor.audit(books.sent), rounds)
        server.kill()
        compactions.stop.set()
        compactions.join()
        assert compactions.fault is None, compactions.fault
        verify(folder / "data")
        server.start()
        server.wait_until_ready()
        books.tally.pop("counted though not acknowledged", None)
        _hold(auditor.audit(books.sent), rounds)
    finally:
        server.close()
        compactions.stop.set()
    books.tally.update(compactions.tally)
    books.tally["rounds"] = rounds
    books.tally["metrics"] = len(auditor._metrics)
    books.tally["events sent"] = sum(bits.bit_count() for bits in books.sent.values())
    books.tally["events acknowledged"] = sum(bits.bit_count() for bits in books.acknowledged.values())
    return books.tally


def _storm(server: Server, books: Books, source: random.Random, memory: list[list[tuple[int, int]]]) -> None:
    """Let the clients loose and kill the server in the middle of it."""
    clients = [Client(server, books, source.randrange(1 << 30), memory) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    if source.random() < 0.2:
        time.sleep(source.uniform(0.02, 0.8))
        server.kill_applier()
        books.tally["appliers killed"] += 1
    time.sleep(source.uniform(0.02, 0.8) if source.random() < 0.75 else source.uniform(0.8, 4.0))
    server.kill()
    for client in clients:
        client.stop.set()
        client.join()
        assert client.fault is None, client.fault


def _hold(wrong: list[str], number: int) -> None:
    assert not wrong, f"after round {number}: {len(wrong)} faults, first: " + "; ".join(wrong[:5])


def main() -> None:
    """Run as a script; status 1 and the folder kept when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill-nine-"))
    started = time.monotonic()
    print(f"seed {given.seed}, {given.rounds} rounds in {folder}", flush=True)
    try:
        tally = simulate(folder, rounds=given.rounds, seed=given.seed, says=True)
    except AssertionError as error:
        print(f"FAILED with seed {given.seed}: {error}\nThe folder is kept: {folder}")
        sys.exit(1)
    shutil.rmtree(folder)
    for name, count in sorted(tally.items()):
        print(f"{name:34}{count:>12,}")
    print(f"every acknowledged event counts once; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
