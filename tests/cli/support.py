"""Runs commands: in this process, or as the program a user starts."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tallybook.cli import main

TALLYBOOK = Path(sys.executable).parent / "tallybook"


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for programs; a server in this process may have logged before it."""
        return msgspec.json.decode(self.out.splitlines()[-1])


def run(*arguments: str | Path) -> Ran:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["tallybook", *map(str, arguments)]
    status = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = before
    return Ran(status, out.getvalue(), err.getvalue())


@dataclass
class Served:
    """A `tallybook serve` process."""

    process: "subprocess.Popen[str]"
    url: str
    printed: list[str]
    seconds_to_ready: float

    def call(self, method: str, path: str, token: str, **given: Any) -> httpx.Response:
        """One request with a token."""
        return httpx.request(
            method, self.url + path, headers={"authorization": f"Bearer {token}"}, timeout=60, **given
        )

    def stop(self) -> int:
        """Ask it to end; returns its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def served(data: Path, *options: str, log: Path | None = None, **variables: str) -> Iterator[Served]:
    """A server as its own process on a free port, ready to answer; what it complains of goes to `log`."""
    known = {name: text for name, text in os.environ.items() if not name.startswith("TALLYBOOK_")}
    started = time.monotonic()
    with Path("/dev/null" if log is None else log).open("ab") as complaints:
        process = subprocess.Popen(
            [TALLYBOOK, "serve", "--data", data, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=known | variables,
        )
    printed: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        printed.append(line.strip())
        if line.startswith("serving "):
            break
    try:
        url = printed[-1].rpartition(" on ")[2]
        assert httpx.get(url + "/readyz", timeout=30).status_code == 200
        yield Served(process, url, printed, time.monotonic() - started)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
