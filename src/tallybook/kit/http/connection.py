"""Connections: what is not HTTP, too much or too slow is refused in the same shape as everything else."""

import asyncio
from asyncio import TimerHandle
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tallybook.kit.http.wire import encode

HEAD_BYTES_MAX = 64 * 1024
REQUEST_S_MAX = 120
"""From the first byte of a request, or from the begin of a connection, to its last byte."""


class Connection(HttpToolsProtocol):
    """A connection whose refusals are JSON, and on which no request grows or lasts without end."""

    _head_bytes = 0
    _is_in_head = True
    _is_complete = False
    _deadline: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of one request or several. Ends the connection when a head is too large."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > HEAD_BYTES_MAX:
            message = f"The head is larger than {HEAD_BYTES_MAX} bytes; send fewer or shorter headers."
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)
        elif self._is_complete:
            self._stop_waiting()
        elif self._deadline is None:
            self._await_request()

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._is_complete = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that its head is read."""
        self._is_in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that it is whole; the next one begins with a head."""
        self._is_in_head = self._is_complete = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse and close; nothing behind a malformed request can be trusted."""
        self._refuse(HTTPStatus.BAD_REQUEST, f"{msg} Send HTTP/1.1 with a well-formed head and body.")

    def _await_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_S_MAX, self._end_waiting)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_waiting(self) -> None:
        message = f"The request did not come whole within {REQUEST_S_MAX} s; send it again."
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, message)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer, unless an answer has begun that this would spoil, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = encode({"message": message})
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
