"""A server that takes events and answers as a test tells it, over real connections."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any], dict[str, str]]
TAKEN: Answer = (200, {}, {})


def refused(status: int, message: str, **headers: str) -> Answer:
    """An answer with an error's body."""
    return status, {"message": message}, headers


@dataclass
class Taker:
    """What came in, and how the next requests are answered: `answer(number, events)`, from 1."""

    url: str = ""
    answer: Callable[[int, list[dict[str, Any]]], Answer] = lambda _number, _events: TAKEN
    requests: int = 0
    tokens: set[str | None] = field(default_factory=set)
    connections: set[Any] = field(default_factory=set)
    taken: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ids(self) -> list[str]:
        """Ids of the events that were answered with 200."""
        return [event["transaction_id"] for event in self.taken]


@contextmanager
def taking() -> Iterator[Taker]:
    """A running taker on a free port."""
    taker = Taker()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            events = json.loads(body)
            with taker.lock:
                taker.requests += 1
                number = taker.requests
                taker.tokens.add(self.headers["authorization"])
                taker.connections.add(self.client_address)
            status, content, headers = taker.answer(number, events)
            with taker.lock:
                if status == 200:
                    taker.taken += events
            answer = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(answer)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    taker.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield taker
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
