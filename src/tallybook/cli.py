"""The command line: serve, migrate, token. Tables for people, `--json` for programs.

Exit codes: 0 done, 1 the work failed, 2 the command was used wrongly.
"""

import fcntl
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from tallybook import __version__
from tallybook.adapters.sql.engine import open_sqlite
from tallybook.app import ENVIRONMENTS, open_tallybook
from tallybook.kit.http.auth import Tokens
from tallybook.kit.settings import from_environment
from tallybook.values.errors import Invalid, TallybookError
from tallybook.values.instant import format_instant, parse_instant

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Usage-based billing, exact and self-hosted."
)
token_app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API tokens.")
app.add_typer(token_app, name="token")

DataOption = Annotated[Path, typer.Option(help="The data folder; made when absent.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def main() -> None:
    """Run the command line; a known problem ends it with one line and status 2."""
    try:
        app()
    except TallybookError as error:
        _stop(error.message)


@app.command()
def serve(
    data: DataOption = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")] = 8080,
    database: Annotated[str | None, typer.Option(help="Not available in this version.")] = None,
    events: Annotated[str | None, typer.Option(help="Not available in this version.")] = None,
    sandbox_now: Annotated[
        str | None, typer.Option(help="Where the sandbox's clock starts, RFC 3339.")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Do due work in this process.")] = True,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Serve the API from one process and one data folder."""
    for name, given in (("--database", database), ("--events", events)):
        if given is not None:
            raise Invalid(f"{name}: other stores are not available in this version; leave it out")
    now = None if sandbox_now is None else parse_instant(sandbox_now, "--sandbox-now")
    _log_to_stderr()
    settings = from_environment(data, sandbox_now=now, runs_worker=worker)
    with _owned(data):
        tallybook = open_tallybook(settings)
        for environment, text in tallybook.new_tokens.items():
            print(f"{environment} token (shown once): {text}", flush=True)  # noqa: T201  # the user's terminal
        config = uvicorn.Config(
            tallybook.application(),
            host=host,
            port=port,
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
            lifespan="on",
        )
        uvicorn.Server(config).run()


@app.command()
def migrate(data: DataOption = Path("data")) -> None:
    """Bring a data folder to the present schema."""
    with _owned(data):
        open_tallybook(from_environment(data, runs_worker=False)).close()
    Console().print(f"{data} is at the schema of version {__version__}")


@token_app.command("create")
def create_token(
    name: str,
    environment: Annotated[str, typer.Option(help="production or sandbox.")] = "sandbox",
    data: DataOption = Path("data"),
    read_only: Annotated[bool, typer.Option("--read-only", help="A token that cannot write.")] = False,  # noqa: FBT002  # a flag of the command line
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Create a token and print it once."""
    if environment not in ENVIRONMENTS:
        raise Invalid(f"--environment: {environment!r} is neither of {', '.join(ENVIRONMENTS)}")
    text = _tokens(data).create(
        name=name, environment=environment, now=datetime.now(UTC), is_read_only=read_only
    )
    print(json.dumps({"token": text}) if as_json else text)  # noqa: T201  # the result


@token_app.command("list")
def list_tokens(data: DataOption = Path("data"), as_json: JsonOption = False) -> None:  # noqa: FBT002  # a flag
    """List tokens; their texts are not kept."""
    rows = [
        {
            "id": token.id,
            "name": token.name,
            "environment": token.environment,
            "read_only": token.is_read_only,
            "created_at": format_instant(token.created_at),
            "revoked_at": None if token.revoked_at is None else format_instant(token.revoked_at),
        }
        for token in _tokens(data).list()
    ]
    if as_json:
        print(json.dumps(rows))  # noqa: T201  # the result
        return
    table = Table("id", "name", "environment", "read only", "created at", "revoked at")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


@token_app.command("revoke")
def revoke_token(token_id: str, data: DataOption = Path("data")) -> None:
    """Refuse a token from now on; a running server notices within seconds."""
    _tokens(data).revoke(token_id, datetime.now(UTC))
    Console().print(f"revoked {token_id}")


def _tokens(data: Path) -> Tokens:
    if not (data / "control.db").exists():
        raise Invalid(f"--data: {data} holds no installation; start one with 'tallybook serve --data {data}'")
    return Tokens(open_sqlite(data / "control.db"))


@contextmanager
def _owned(data: Path) -> Iterator[None]:
    """Hold the data folder alone. Raises Invalid while another process does."""
    data.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Invalid(f"--data: another process serves {data}; stop it first or use another folder") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _log_to_stderr() -> None:
    shown = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _stop(message: str) -> None:
    Console(stderr=True).print(message, style="red", highlight=False, markup=False)
    sys.exit(2)
