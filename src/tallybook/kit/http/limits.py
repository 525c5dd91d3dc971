"""What a server takes on at once: requests of a token, slow requests, bytes of bodies. Beyond it, 429."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tallybook.kit.rate_limit import RateLimit
from tallybook.kit.settings import SLOW_REQUESTS_WAITING_MAX
from tallybook.values.errors import TooMany

SLOW_AT_ONCE = 4
"""How many slow operations run together; the others wait without holding up quick ones."""
BODIES_BYTES_MAX = 256 * 1024 * 1024
_TOKENS_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """How much is taken on; `requests_per_second` of one token, None for any number."""

    clock_ns: Callable[[], int]
    requests_per_second: int | None = None
    slow_waiting_max: int = SLOW_REQUESTS_WAITING_MAX
    bodies_bytes_max: int = BODIES_BYTES_MAX


class Gate:
    """Lets requests in while there is room for them. Used on the event loop only."""

    def __init__(self, limits: RequestLimits) -> None:
        """Begin with nobody inside."""
        self._limits = limits
        self._rates: dict[str, RateLimit] = {}
        self._slow = 0
        self._bytes = 0

    def admit(self, token_id: str) -> None:
        """Count a request of a token. Raises TooMany."""
        per_second = self._limits.requests_per_second
        if per_second is None:
            return
        rate = self._rates.get(token_id)
        if rate is None:
            if len(self._rates) >= _TOKENS_KEPT:
                self._rates.clear()
            rate = self._rates[token_id] = RateLimit(per_second, self._limits.clock_ns)
        rate.take(1, "requests of this token")

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Count a slow request while it waits and runs. Raises TooMany."""
        if self._slow >= SLOW_AT_ONCE + self._limits.slow_waiting_max:
            raise TooMany(f"{self._slow} slow questions are being answered; ask again in a second")
        self._slow += 1
        try:
            yield
        finally:
            self._slow -= 1

    def hold(self, size: int) -> None:
        """Count bytes of a body that is held until `release`. Raises TooMany; then they are not counted."""
        if self._bytes + size > self._limits.bodies_bytes_max:
            raise TooMany("Too many requests are under way to hold another body; send again in a second")
        self._bytes += size

    def release(self, size: int) -> None:
        """Forget bytes that are no longer held."""
        self._bytes -= size
