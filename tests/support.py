"""What tests share: a real server in this process, the official client, and plain HTTP."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import loads
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from metronome import Metronome

from tallybook.app import Tallybook, open_tallybook
from tallybook.kit.http.connection import Connection
from tallybook.kit.settings import Settings

PRODUCTION_TOKEN = "production-token"
SANDBOX_TOKEN = "sandbox-token"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
"""Where the sandbox's clock stands when a test begins."""
UNKNOWN = "00000000-0000-4000-8000-000000000000"
"""An id that nothing has."""


@dataclass
class Server:
    """A server on a free port of this machine."""

    url: str
    tallybook: Tallybook
    http: httpx.Client

    @property
    def client(self) -> Metronome:
        """The official client on the sandbox, strict about what it receives."""
        return self.client_of(SANDBOX_TOKEN)

    def client_of(self, token: str) -> Metronome:
        """The official client with another token; it repeats nothing by itself."""
        return Metronome(
            bearer_token=token,
            base_url=self.url,
            max_retries=0,
            _strict_response_validation=True,
            http_client=self.http,
        )

    def request(self, method: str, path: str, *, token: str = SANDBOX_TOKEN, **given: Any) -> httpx.Response:
        """Plain HTTP with a bearer token."""
        headers = {"authorization": f"Bearer {token}", **given.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, **given)

    def post(self, path: str, json: Any = None, **given: Any) -> httpx.Response:
        """POST JSON to the sandbox."""
        return self.request("POST", path, json=json, **given)

    def get(self, path: str, **given: Any) -> httpx.Response:
        """GET from the sandbox."""
        return self.request("GET", path, **given)

    @staticmethod
    def exact(answer: httpx.Response) -> Any:
        """The answer's JSON with every number as an exact decimal."""
        return loads(answer.content, parse_float=Decimal, parse_int=Decimal)

    def move_clock(self, to: datetime) -> None:
        """Move the sandbox's clock; everything due by then is done on return."""
        answer = self.post("/tallybook/v1/clock", {"now": to.isoformat()})
        assert answer.status_code == 200, answer.text


def fill(value: Any, ids: dict[str, str]) -> Any:
    """`value` with every text that stands for an id replaced by that id."""
    if isinstance(value, dict):
        return {key: fill(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value


def assert_refused(answer: httpx.Response, status: int, named: str) -> None:
    """The answer is an error in the one shape, and the field its message begins with is, or ends in, `named`.

    A method or an address may be named instead, anywhere in the message.
    """
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["message"]
    message = answer.json()["message"]
    if named.isupper() or named.startswith("/"):
        assert named in message, message
        return
    field = message.partition(": ")[0]
    whole = re.sub(r"(\[[^\]]*\])+$", "", field)
    assert f".{field}".endswith(f".{named}") or f".{whole}".endswith(f".{named}"), message


@contextmanager
def serving(
    data: Path, *, now: datetime = NOW, grace: timedelta = timedelta(hours=24), **more: Any
) -> Iterator[Server]:
    """A real server on a data folder, with a sandbox whose clock stands at `now`; `more` are settings."""
    settings = Settings(
        data=data,
        api_token=PRODUCTION_TOKEN,
        sandbox_token=SANDBOX_TOKEN,
        sandbox_now=now,
        grace=grace,
        **more,
    )
    tallybook = open_tallybook(settings)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        tallybook.application(), http=Connection, log_level="warning", access_log=False, lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    # Tests that move the clock over months may close many periods in one call.
    http = httpx.Client(timeout=120)
    try:
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", tallybook, http)
    finally:
        http.close()
        server.should_exit = True
        thread.join()
        listener.close()
