"""A limit on how much may happen in a second, with room for a burst; computed in whole numbers."""

from collections.abc import Callable

from tallybook.values.errors import TooMany

NS_PER_S = 1_000_000_000


class RateLimit:
    """A bucket that fills at a steady rate and holds what one second brings. Used by one thread.

    What costs more than the whole bucket passes when it is full, and is paid back by waiting longer
    afterwards: so no request is too big for ever, and the rate holds in the long run.
    """

    def __init__(self, per_second: int, clock_ns: Callable[[], int]) -> None:
        """Begin with a full bucket. `clock_ns` never runs backwards; its zero means nothing."""
        self._per_second = per_second
        self._clock_ns = clock_ns
        # Units of a billionth: one that is taken weighs 10^9, and each nanosecond brings `per_second`.
        self._full = self._level = per_second * NS_PER_S
        self._filled_at = clock_ns()

    def wait_ns(self, count: int = 1) -> int:
        """How long until `count` may be taken; 0 when they may be now."""
        now = self._clock_ns()
        self._level = min(self._full, self._level + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        missing = min(count * NS_PER_S, self._full) - self._level
        return max(0, -(-missing // self._per_second))

    def take(self, count: int, what: str) -> None:
        """Take `count`. Raises TooMany, which says what of and when to come back; then none is taken."""
        self.require(count, what)
        self._level -= count * NS_PER_S

    def require(self, count: int, what: str) -> None:
        """Check that `count` may be taken, and take none. Raises as `take`."""
        wait_ns = self.wait_ns(count)
        if wait_ns:
            seconds = -(-wait_ns // NS_PER_S)
            message = f"More than {self._per_second} {what} a second; send again in {seconds} s"
            raise TooMany(message, retry_after_s=seconds)
