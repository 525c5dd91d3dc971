"""`make bench`: measures ingest end to end against its baselines and writes BENCHMARKS.md.

Everything runs on this machine in one run, the load generator too, so ratios mean more than figures.
"""

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

from bench.baselines import append_and_fsync, postgresql, rows_in_postgresql
from bench.report import write
from bench.scenarios import growth, loads, one_customer
from bench.server import TOKEN, Server
from bench.stages import stages

CONNECTIONS = 64


@dataclass
class Figures:
    """Everything measured, by name."""

    machine: dict[str, str] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    postgresql: dict[str, int] = field(default_factory=dict)
    ingest: dict[str, Any] = field(default_factory=dict)
    singles: dict[str, Any] = field(default_factory=dict)
    freshness_ms: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    restart: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    loads: list[dict[str, Any]] = field(default_factory=list)
    growth: dict[str, Any] = field(default_factory=dict)
    customers: list[dict[str, Any]] = field(default_factory=list)


def load(port: int, **given: object) -> dict[str, Any]:
    """Run the load generator in a process of its own; what it saw."""
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "bench.load", "--port", str(port), "--token", TOKEN, *options]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def measure_baselines(figures: Figures, folder: Path, seconds: float) -> None:
    """Bare appends and rows in PostgreSQL."""
    for requests in (1, 20):
        say(f"append + fsync, {requests * 100} events at a time")
        figures.disk[str(requests * 100)] = append_and_fsync(
            folder, requests_at_once=requests, seconds=seconds / 4
        )
    say("PostgreSQL: a row per event")
    with postgresql(folder) as (url, version):
        figures.machine["PostgreSQL"] = version
        for connections, events in ((8, 100), (4, 1_000)):
            figures.postgresql[str(events)] = rows_in_postgresql(
                url, connections=connections, events=events, seconds=seconds
            )


def measure_ingest(figures: Figures, server: Server, seconds: float) -> None:
    """Requests of 100 events, as fast as they are taken."""
    say("ingest, 100 events a request")
    empty = server.memory_mb()
    load(server.port, seconds=2, connections=CONNECTIONS, seed=1)
    before, cpu = server.status(), server.cpu_s()
    seen = load(server.port, seconds=seconds, connections=CONNECTIONS, seed=2)
    after = server.status()
    events = after["events_accepted"] - before["events_accepted"]
    figures.ingest = {
        **seen,
        "events_per_row": round(events / max(1, after["log_position"] - before["log_position"])),
        "server_cpu_us_per_event": round((server.cpu_s() - cpu) / max(1, events) * 1e6, 2),
        "repeats": after["events_duplicate"],
    }
    time.sleep(3)
    figures.memory = {
        "empty_mb": round(empty),
        "loaded_mb": round(server.memory_mb()),
        "stored_events": after["events_accepted"],
    }


def measure_singles(figures: Figures, server: Server, metrics: list[str], seconds: float) -> None:
    """One event a request at 1,000 requests a second, and how soon an event is read back."""
    say("1,000 single events a second")
    customer = server.ask("POST", "/v1/customers", {"name": "Fresh", "ingest_aliases": ["fresh"]})
    found: list[float] = []
    stop: list[bool] = []
    asking = Thread(target=_ask_again, args=(server, metrics[2], customer["data"]["id"], found, stop))
    asking.start()
    figures.singles = load(
        server.port, seconds=seconds, events=1, connections=CONNECTIONS, rate=1_000, seed=3
    )
    stop.append(True)
    asking.join()
    found.sort()
    figures.freshness_ms = {
        "p50": round(found[len(found) // 2] * 1000, 1),
        "p99": round(found[int(len(found) * 0.99)] * 1000, 1),
        "asked": len(found),
    }


def _ask_again(server: Server, metric: str, customer: str, found: list[float], stop: list[bool]) -> None:
    """Send an event and read until it is counted, over and over."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    question = {
        "customer_ids": [customer],
        "billable_metrics": [{"id": metric}],
        "window_size": "NONE",
        "starting_on": (today - timedelta(days=1)).isoformat(),
        "ending_before": (today + timedelta(days=1)).isoformat(),
    }
    sent = 0
    while not stop:
        started = time.perf_counter()
        event = {
            "transaction_id": f"fresh-{time.time_ns()}",
            "customer_id": "fresh",
            "event_type": "rerank",
            "timestamp": now.isoformat(),
            "properties": {"region": "us-east-1"},
        }
        server.ask("POST", "/v1/ingest", [event])
        sent += 1
        while server.ask("POST", "/v1/usage", question)["data"][0]["value"] != sent:
            pass
        found.append(time.perf_counter() - started)
        time.sleep(0.05)


def measure_restart(figures: Figures, server: Server) -> None:
    """Kill the server under full load, start it, and see how long it takes to be ready."""
    say("kill -9 under load, restart")
    loading = Thread(target=_load_until_killed, args=(server.port,))
    loading.start()
    time.sleep(5)
    server.kill()
    loading.join()
    seconds = server.start()
    figures.restart = {
        "stored_events": server.status()["events_accepted"],
        "ready_s": round(seconds, 2),
        "stop_s": round(server.stop(), 2),
    }
    figures.restart["start_s"] = round(server.start(), 2)
    server.stop()


def _load_until_killed(port: int) -> None:
    command = [
        sys.executable,
        "-m",
        "bench.load",
        "--port",
        str(port),
        "--token",
        TOKEN,
        "--seconds",
        "60",
        "--requests",
        "100",
    ]
    subprocess.run(command, check=False, capture_output=True)


def describe_machine() -> dict[str, str]:
    """What the figures were measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True
    )
    return {
        "processor": f"{os.cpu_count()} x {cpu}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def say(text: str) -> None:
    """Tell what is being measured."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main() -> None:
    """Measure everything; about forty minutes, most of them growing to 100 million events."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, nothing written")
    parser.add_argument("--stored", type=float, default=100e6, help="how many events to grow to")
    parser.add_argument("--events", type=float, default=10e6, help="of the greatest customer")
    given = parser.parse_args()
    share = 0.1 if given.quick else 1.0
    figures = Figures(machine=describe_machine())
    # Beside the sources, not in /tmp, which may be memory.
    folder = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path.cwd()))
    try:
        _measure(figures, folder, share, given.stored * share, given.events * share)
    finally:
        Server.kill_all()
        shutil.rmtree(folder)
    # Whatever the page makes of them, they are not to be lost.
    print(json.dumps(asdict(figures)))
    text = write(figures)
    print(text)
    if not given.quick:
        Path("BENCHMARKS.md").write_text(text, encoding="utf-8")
        say("written to BENCHMARKS.md")


def _measure(figures: Figures, folder: Path, share: float, stored: float, greatest: float) -> None:
    server = Server(folder / "data")
    figures.restart["empty_s"] = server.start()
    metrics = server.make_metrics()
    measure_ingest(figures, server, 20 * share)
    measure_singles(figures, server, metrics, max(3, 15 * share))
    empty_s = figures.restart["empty_s"]
    measure_restart(figures, server)
    figures.restart["empty_s"] = round(empty_s, 2)
    measure_baselines(figures, folder, max(3, 8 * share))
    say("stages")
    figures.stages = stages(folder)
    say("loads")
    figures.loads = loads(folder, load, max(2, 6 * share))
    figures.customers = one_customer(folder, load, (1_000, int(greatest / 10), int(greatest)), say)
    great = Server(folder / "great")
    great.start()
    great.make_metrics()
    figures.growth = growth(great, load, max(3, 10 * share), stored, say)


if __name__ == "__main__":
    main()
