"""`tallybook worker` and `tallybook migrate`: care for a data folder that no server holds."""

import signal
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tallybook import __version__
from tallybook.app import open_tallybook
from tallybook.cli.common import (
    DataOption,
    ExistingDataOption,
    JsonOption,
    give,
    log_to_stderr,
    owned,
    require_installation,
    say,
)
from tallybook.kit.settings import from_environment


def worker(
    data: ExistingDataOption = Path("data"),
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then end.")] = False,  # noqa: FBT002  # a flag of the command line
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Do the due work of a data folder that no server holds.

    A server does this itself unless it was started with --no-worker. Without --once it goes on until
    it is stopped.
    """
    require_installation(data)
    log_to_stderr()
    with owned(data):
        tallybook = open_tallybook(from_environment(data, runs_worker=not once))
        try:
            if once:
                done = {name: each.run_due() for name, each in tallybook.workers.items()}
                _report(done, as_json=as_json)
            else:
                _wait_for_signal(data)
        finally:
            tallybook.close()


def _wait_for_signal(data: Path) -> None:
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    say(f"working on {data}; stop with Ctrl-C")
    stopping.wait()


def _report(done: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        give({"done": done})
        return
    table = Table("environment", "items done")
    for name, count in done.items():
        table.add_row(name, str(count))
    Console().print(table)


def migrate(data: DataOption = Path("data"), as_json: JsonOption = False) -> None:  # noqa: FBT002  # a flag
    """Bring a data folder to the present schema."""
    with owned(data):
        open_tallybook(from_environment(data, runs_worker=False)).close()
    if as_json:
        give({"data": str(data), "version": __version__})
    else:
        say(f"{data} is at the schema of version {__version__}")
