"""What commands share: options, the lock of a data folder, output, logs."""

import fcntl
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console

from tallybook.values.errors import Invalid

DataOption = Annotated[Path, typer.Option(help="The data folder; made when absent.")]
ExistingDataOption = Annotated[Path, typer.Option(help="The data folder of an installation.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextmanager
def owned(data: Path) -> Iterator[None]:
    """Hold the data folder alone. Raises Invalid while another process does."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Invalid(f"--data: {data} cannot be used ({error.strerror}); name another folder") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Invalid(
            f"--data: another process holds {data} (a server does its due work itself); "
            "stop it first or use another folder"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def require_installation(data: Path) -> None:
    """Raise Invalid when nothing was ever served from `data`."""
    if not (data / "control.db").exists():
        raise Invalid(f"--data: {data} holds no installation; start one with 'tallybook serve --data {data}'")


def say(text: str) -> None:
    """Print a line for people on the standard output."""
    Console().print(text, highlight=False, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print a line about a problem on the standard error."""
    Console(stderr=True).print(text, style="red", highlight=False, markup=False, soft_wrap=True)


def give(value: Any) -> None:
    """Print a command's result as JSON on the standard output."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write structured logs to the standard error: coloured for people, JSON for programs."""
    shown = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
