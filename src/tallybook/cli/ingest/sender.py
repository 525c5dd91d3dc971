"""Delivers batches over HTTP: repeats what may succeed later, finds out which events are refused."""

import random
import re
import time
from collections.abc import Callable
from threading import Event as Flag

import httpx
import msgspec

from tallybook.cli.ingest.batches import Item, Reject

DELAY_FIRST_S = 0.25
DELAY_MAX_S = 10.0
TIMEOUT_S = 60.0

_BODY = msgspec.json.Encoder(decimal_format="number")
_NAMED = re.compile(r"events\[(\d+)\]")
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class GaveUp(Exception):
    """The server cannot be reached or refuses the sender as a whole; the text says why."""


class Stopped(Exception):
    """The user asked to stop before this batch was acknowledged."""


class Sender:
    """Sends events over a few kept connections. Threads share it."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        connections: int,
        patience_s: float,
        stopping: Flag,
        troubled: Callable[[str], None],
    ) -> None:
        """Send to the server at `url`; repeat for up to `patience_s`, telling `troubled` why."""
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client = httpx.Client(limits=limits, timeout=TIMEOUT_S)
        self._address = url.rstrip("/") + "/v1/ingest"
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._patience_s = patience_s
        self._stopping = stopping
        self._troubled = troubled
        self.trouble: str | None = None
        """Why a request is being repeated just now."""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def deliver(self, items: list[Item]) -> list[Reject]:
        """Deliver all events but the refused ones, which are returned. Raises GaveUp, Stopped.

        Where the server names the refused event that one is left out; else halves are tried, so
        that one bad event never takes others with it.
        """
        if not items:
            return []
        answer = self._post([item.event for item in items])
        if answer.status_code == 200:
            return []
        if answer.status_code not in (400, 413, 422):
            raise GaveUp(_refusal(answer))
        message = _message(answer)
        if len(items) == 1:
            return [items[0].rejected(_NAMED.sub("event", message, count=1))]
        named = _NAMED.match(message)
        if named is not None and int(named[1]) < len(items):
            index = int(named[1])
            refused = items[index].rejected(_NAMED.sub("event", message, count=1))
            return [refused, *self.deliver(items[:index] + items[index + 1 :])]
        middle = len(items) // 2
        return self.deliver(items[:middle]) + self.deliver(items[middle:])

    def _post(self, events: list[dict[str, object]]) -> httpx.Response:
        """One request, repeated until it is answered for good."""
        body = _BODY.encode(events)
        give_up_at = time.monotonic() + self._patience_s
        delay = DELAY_FIRST_S
        while True:
            if self._stopping.is_set():
                raise Stopped
            wait, why = delay, ""
            try:
                answer = self._client.post(self._address, content=body, headers=self._headers)
            except httpx.TransportError as error:
                why = f"{self._address} cannot be reached ({error or type(error).__name__})"
            else:
                if answer.status_code not in _AGAIN:
                    self.trouble = None
                    return answer
                why = f"the server answers {answer.status_code}: {_message(answer)}"
                wait = _retry_after_s(answer) or delay
            if time.monotonic() + wait > give_up_at:
                raise GaveUp(f"{why}; gave up after {self._patience_s:g} s")
            if self.trouble is None:
                self._troubled(f"{why}; trying again")
            self.trouble = why
            # Spread, so that several connections do not come back all at once.
            self._stopping.wait(wait * random.uniform(1, 1.25))  # noqa: S311  # no secret
            delay = min(delay * 2, DELAY_MAX_S)


def _retry_after_s(answer: httpx.Response) -> int | None:
    text = answer.headers.get("retry-after", "")
    return min(int(text), 3_600) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200] or answer.reason_phrase


def _refusal(answer: httpx.Response) -> str:
    advice = {401: "check --token", 403: "check --token", 404: "check --url", 405: "check --url"}
    hint = advice.get(answer.status_code)
    return f"the server answers {answer.status_code}: {_message(answer)}" + (f" ({hint})" if hint else "")
