"""What reaches the server below the level of operations: broken HTTP, pages, other methods."""

import json
import socket
import time

import pytest

from tallybook.kit.http.connection import HEAD_BYTES_MAX
from tests.support import SANDBOX_TOKEN, Server

HEAD = f"Host: x\r\nAuthorization: Bearer {SANDBOX_TOKEN}\r\n".encode()
BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01",
    "unknown method": b"SING /v1/customers HTTP/1.1\r\n" + HEAD + b"\r\n",
    "raw bytes in the path": b"GET /v1/\xff HTTP/1.1\r\n" + HEAD + b"\r\n",
    "negative length": b"POST /v1/customers HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n",
    "bad chunk": b"POST /v1/customers HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


def exchange(server: Server, sent: bytes) -> bytes:
    """Everything that comes back before the server closes the connection."""
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_a_malformed_request_is_refused_in_the_one_shape(shared_server: Server, sent: bytes) -> None:
    head, _, body = exchange(shared_server, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head
    assert list(json.loads(body)) == ["message"]


def test_a_body_that_breaks_off_stores_nothing(server: Server) -> None:
    body = b'{"name": "broken off"}'
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /v1/customers HTTP/1.1\r\n" + HEAD + b"Content-Length: 999\r\n\r\n" + body)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /v1/customers HTTP/1.1\r\n" + HEAD + b"Content-Length: 999\r\n\r\n")
    assert server.get("/v1/customers").json()["data"] == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_a_page_is_only_for_reading(shared_server: Server, path: str) -> None:
    assert shared_server.get(path).status_code == 200
    assert shared_server.request("HEAD", path).content == b""
    answer = shared_server.post(path, {})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_405_names_the_methods_in_its_header(shared_server: Server) -> None:
    answer = shared_server.request("DELETE", "/v1/customers")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert "allow" not in shared_server.get("/v1/nothing-here").headers


def head_of(size: int) -> bytes:
    """The head of a request for a page, with one header that makes it so large."""
    start = b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: x\r\nX-Filling: "
    return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"


def test_a_head_of_64_kib_is_read(shared_server: Server) -> None:
    assert exchange(shared_server, head_of(HEAD_BYTES_MAX)).startswith(b"HTTP/1.1 200 ")


def test_a_larger_head_is_refused_before_it_ends(shared_server: Server) -> None:
    """It is not even kept: the connection is closed as soon as the limit is passed."""
    head, _, body = exchange(shared_server, head_of(HEAD_BYTES_MAX + 5)[:-4]).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert list(json.loads(body)) == ["message"]


def test_a_large_body_is_no_large_head(shared_server: Server) -> None:
    body = b" " * (4 * HEAD_BYTES_MAX)
    start = b"POST /v1/customers HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n" % len(body)
    assert exchange(shared_server, start + HEAD + b"\r\n" + body).startswith(b"HTTP/1.1 400 ")


SLOW = {
    "nothing": b"",
    "half a head": b"GET /healthz HTT",
    "half a body": b"POST /v1/customers HTTP/1.1\r\n" + HEAD + b"Content-Length: 999\r\n\r\n{",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_a_request_that_does_not_end_is_ended(
    server: Server, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.kit.http.connection.REQUEST_S_MAX", 0.2)
    head, _, body = exchange(server, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert list(json.loads(body)) == ["message"]
    assert server.get("/v1/customers").json()["data"] == []


def test_a_connection_in_use_is_not_ended(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.kit.http.connection.REQUEST_S_MAX", 0.2)
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.3)
