"""A client of the published API, no more than the demo needs."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from tallybook.values.errors import TallybookError
from tallybook.values.instant import format_instant

CONNECTIONS = 4
# Moving the clock answers when everything due by then is done.
_TIMEOUT_S = 300.0

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_BODY = msgspec.json.Encoder(decimal_format="number")


class Refused(TallybookError):
    """The server did not take a request of the demo."""


class Api:
    """Requests with one token. Threads may share it."""

    def __init__(self, url: str, token: str) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._client = httpx.Client(base_url=url, headers=headers, limits=limits, timeout=_TIMEOUT_S)

    def post(self, path: str, body: Any) -> Any:
        """The `data` of an answer. Raises Refused."""
        return self._data("POST", path, _BODY.encode(body))

    def create(self, path: str, body: Any) -> str:
        """The id of what was created. Raises Refused."""
        return str(self.post(path, body)["id"])

    def pages(self, path: str) -> Iterator[Any]:
        """Every item of a list, page by page. Raises Refused."""
        mark = "&" if "?" in path else "?"
        cursor = ""
        while True:
            answer = self._answer("GET", path + cursor, None)
            yield from answer["data"]
            if answer.get("next_page") is None:
                return
            cursor = f"{mark}next_page={answer['next_page']}"

    def move_clock(self, to: datetime) -> None:
        """Move the sandbox's clock; on return everything due by then is done. Raises Refused."""
        self.post("/tallybook/v1/clock", {"now": format_instant(to)})

    def _data(self, method: str, path: str, body: bytes | None) -> Any:
        return self._answer(method, path, body).get("data")

    def _answer(self, method: str, path: str, body: bytes | None) -> Any:
        answer = self._client.request(method, path, content=body)
        if answer.status_code != 200:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return _JSON.decode(answer.content)

    def __enter__(self) -> Self:
        """Keep the connections for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()
