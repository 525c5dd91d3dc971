"""`tallybook serve`: the API from one command and one data folder."""

import gc
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from tallybook.app import open_tallybook
from tallybook.cli.common import DataOption, complain, log_to_stderr, owned, say
from tallybook.kit.http.connection import Connection
from tallybook.kit.settings import from_environment
from tallybook.values.errors import Invalid
from tallybook.values.instant import parse_instant

BACKLOG = 2_048
SWITCH_S = 0.0005
"""How long one thread may keep the interpreter while others wait: a request passes from thread to thread
a few times, and must not wait the usual 5 ms each time while a checkpoint computes."""
COLLECT_AFTER = 20_000
"""So many more objects than before make the interpreter look for circles: at the usual 700 it did little
else while events came in, though requests hardly leave any."""
SHUTDOWN_S = 10
"""How long a stop waits for requests under way; a client that stalls in one is cut off then."""


def serve(
    data: DataOption = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 8080,
    database: Annotated[str | None, typer.Option(help="Not available in this version.")] = None,
    events: Annotated[str | None, typer.Option(help="Not available in this version.")] = None,
    sandbox_now: Annotated[
        str | None, typer.Option(help="Where the sandbox's clock starts, RFC 3339.")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Do due work in this process.")] = True,  # noqa: FBT002  # a flag of the command line
    second_process: Annotated[  # noqa: FBT002  # a flag of the command line
        bool,
        typer.Option(
            "--second-process/--one-process",
            help="Let a second core count production's events, or do all in this process.",
        ),
    ] = True,
) -> None:
    """Serve the API from one command and one data folder.

    Tokens given in TALLYBOOK_API_TOKEN (production) and TALLYBOOK_SANDBOX_TOKEN (sandbox) are created
    when absent. With neither, the first start makes both and prints them once.
    """
    for name, given in (("--database", database), ("--events", events)):
        if given is not None:
            raise Invalid(f"{name}: other stores are not available in this version; leave it out")
    now = None if sandbox_now is None else parse_instant(sandbox_now, "--sandbox-now")
    log_to_stderr()
    known = from_environment(data, sandbox_now=now, runs_worker=worker)
    settings = replace(known, applies_apart=second_process)
    with owned(data), _listening(host, port) as listener:
        tallybook = open_tallybook(settings)
        for environment, text in tallybook.new_tokens.items():
            say(f"{environment} token (shown once): {text}")
        shown = f"[{host}]" if ":" in host else host
        say(f"serving {data} on http://{shown}:{listener.getsockname()[1]}")
        config = uvicorn.Config(
            tallybook.application(),
            loop="uvloop",
            http=Connection,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        _end_quietly_on_signals()
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, 20, 20)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is told before anything is opened. Raises Invalid."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Invalid(
            f"--host, --port: cannot listen on {host} port {port} ({error.strerror}); use another port"
        ) from None


def _end_quietly_on_signals() -> None:
    """Let a stop asked for by a signal end with status 0.

    uvicorn stops gracefully and then raises the signal again for whoever handled it before: without
    this the process would end as if it had been killed.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: complain("stopped; everything acknowledged is on disk"))
