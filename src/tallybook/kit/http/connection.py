"""Connections: what is not HTTP at all is refused in the same shape as everything else."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tallybook.kit.http.wire import encode


class Connection(HttpToolsProtocol):
    """A connection whose refusal of a malformed request is JSON, where uvicorn answers plain text."""

    def send_400_response(self, msg: str) -> None:
        """Refuse and close; nothing behind a malformed request can be trusted."""
        body = encode({"message": f"{msg} Send HTTP/1.1 with a well-formed head and body."})
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head % len(body) + body)
        self.transport.close()
