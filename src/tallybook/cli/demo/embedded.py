"""A server inside this process, for as long as a block runs."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Thread

import uvicorn

from tallybook.app import open_tallybook
from tallybook.kit.settings import Settings


@dataclass(frozen=True, slots=True)
class Embedded:
    """Where the server answers, and the token of its sandbox."""

    url: str
    token: str


@contextmanager
def embedded(data: Path, *, now: datetime, port: int) -> Iterator[Embedded]:
    """Serve a new data folder whose sandbox stands at `now`; port 0 takes a free one."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        tallybook = open_tallybook(Settings(data=data, sandbox_now=now))
        config = uvicorn.Config(tallybook.application(), log_level="warning", access_log=False, lifespan="on")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            address = listener.getsockname()
            yield Embedded(f"http://127.0.0.1:{address[1]}", tallybook.new_tokens["sandbox"])
        finally:
            server.should_exit = True
            thread.join()
