"""A load generator on plain sockets: one thread, many kept-alive connections, answers counted by status.

Run as a program it prints one JSON line with what it saw; the server under test runs elsewhere.
"""

import argparse
import json
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.workload import Bodies, Shape

_ANSWER_END = b"\r\n\r\n"


@dataclass
class Result:
    """What a run saw. Latencies in seconds, in the order of the answers."""

    events: int = 0
    seconds: float = 0.0
    requests: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def percentile(self, share: float) -> float:
        """A latency that `share` of the requests stay below, in milliseconds."""
        ordered = sorted(self.latencies)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2) if ordered else 0.0


class _Connection:
    """One socket with at most one request under way."""

    def __init__(self, port: int, head: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self._head = head
        self._answer = b""
        self._unsent: memoryview | None = None
        self.sent_at = 0.0

    def send(self, body: bytes | bytearray, due: float) -> bool:
        """Begin a request; true when all of it has gone."""
        self.sent_at = due
        head = self._head + str(len(body)).encode() + _ANSWER_END
        total = len(head) + len(body)
        try:
            sent = self.socket.sendmsg((head, body))
        except BlockingIOError:
            sent = 0
        if sent < total:
            self._unsent = memoryview(head + bytes(body))[sent:]
        return self._unsent is None

    def go_on(self) -> bool:
        """Send what is left; true when all of it has gone."""
        if self._unsent is not None:
            sent = self.socket.send(self._unsent)
            self._unsent = self._unsent[sent:] or None
        return self._unsent is None

    def receive(self) -> bytes | None:
        """The status of a whole answer, or None while it has not come."""
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self._answer += chunk
        end = self._answer.find(_ANSWER_END)
        if end < 0:
            return None
        at = self._answer.lower().index(b"content-length:", 0, end)
        length = int(self._answer[at + 15 : self._answer.index(b"\r\n", at)])
        if len(self._answer) < end + 4 + length:
            return None
        status = self._answer[9:12]
        self._answer = b""
        return status


class Load:
    """Sends prepared requests to a server, as fast as it answers or at a steady rate."""

    def __init__(self, port: int, token: str, connections: int) -> None:
        """Connect; every connection is kept alive."""
        head = (
            f"POST /v1/ingest HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._connections = [_Connection(port, head) for _ in range(connections)]
        self._selector = selectors.EpollSelector()

    def run(self, bodies: Bodies, seconds: float, rate: float | None = None) -> Result:
        """Send for so long. With a rate, latency counts from when a request was due to be sent."""
        result = Result()
        started, cpu = time.perf_counter(), time.process_time()
        until = started + seconds
        idle = deque(self._connections)
        number = under_way = 0
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        while (now := time.perf_counter()) < until or under_way:
            while idle and now < until:
                due = now if rate is None else started + number / rate
                if due > now:
                    break
                self._send(idle.popleft(), bodies, due)
                number += 1
                under_way += 1
            pause = None if rate is None else max(0.0, min(0.05, started + number / rate - now))
            for key, mask in self._selector.select(pause):
                connection: _Connection = key.data
                if mask & selectors.EVENT_WRITE and connection.go_on():
                    self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
                if mask & selectors.EVENT_READ and (status := connection.receive()) is not None:
                    self._count(result, status, connection, bodies.events)
                    idle.append(connection)
                    under_way -= 1
        result.seconds = time.perf_counter() - started
        result.cpu_s = time.process_time() - cpu
        for connection in self._connections:
            self._selector.unregister(connection.socket)
        return result

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.socket.close()
        self._selector.close()

    def _send(self, connection: _Connection, bodies: Bodies, due: float) -> None:
        if not connection.send(bodies.fresh(), due):
            self._selector.modify(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    @staticmethod
    def _count(result: Result, status: bytes, connection: _Connection, events: int) -> None:
        result.requests += 1
        if status == b"200":
            result.events += events
            result.latencies.append(time.perf_counter() - connection.sent_at)
        else:
            name = status.decode()
            result.refused[name] = result.refused.get(name, 0) + 1


def main() -> None:
    """Run one load and print its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--customer", action="append", default=[])
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--repeats", type=float, default=0)
    given = parser.parse_args()
    shape = Shape(customers=given.customer, hours=given.hours, repeats=given.repeats)
    bodies = Bodies(given.requests, given.events, now=datetime.now(UTC), seed=given.seed, shape=shape)
    load = Load(given.port, given.token, given.connections)
    load.run(bodies, min(1.0, given.seconds / 4), given.rate)
    result = load.run(bodies, given.seconds, given.rate)
    load.close()
    print(
        json.dumps(
            {
                "events": result.events,
                "seconds": round(result.seconds, 3),
                "events_per_s": round(result.events / result.seconds),
                "requests": result.requests,
                "refused": result.refused,
                "p50_ms": result.percentile(0.5),
                "p99_ms": result.percentile(0.99),
                "max_ms": result.percentile(1.0),
                "load_cpu_us_per_event": round(result.cpu_s / max(result.events, 1) * 1e6, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
