"""Remembers which transaction ids were accepted in the last 34 days, 16 bytes a slot.

An open-addressing table over numpy columns: 64 + 32 bits of fingerprint and the second of acceptance.
At a billion ids the chance of any two sharing 96 bits is below 1e-10. Not safe for several threads.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 34 * 86_400
_LOAD_TENTHS_MAX = 6
_CHUNK = 65_536

Words = NDArray[np.uint64]
Halves = NDArray[np.uint32]
Flags = NDArray[np.bool_]


class Fingerprints:
    """A set of fingerprints, each with the second in which its event was accepted."""

    def __init__(self, slots: int = 1 << 16) -> None:
        """Start empty; `slots` is a power of two."""
        self._clear(slots)

    def __len__(self) -> int:
        return self._used

    @property
    def memory_bytes(self) -> int:
        """Bytes held by the table."""
        return self._high.nbytes + self._low.nbytes + self._second.nbytes

    def admit(self, fingerprints: bytes, second: int) -> Flags:
        """Which of these are new; they are remembered as accepted in `second`.

        `fingerprints` holds 16 bytes each, in log order. One that was accepted less than 34 days
        before is a repeat and renews nothing; a second one inside the same call is a repeat too.
        """
        high, low = _split(fingerprints)
        is_new = np.zeros(len(high), dtype=np.bool_)
        first = _first_of_each(high, low)
        self._reserve(len(first), second)
        is_new[first] = self._insert(high[first], low[first], np.full(len(first), second, np.uint32))
        return is_new

    def restore(self, fingerprints: bytes, accepted: Flags, second: int) -> None:
        """Remember the accepted ones of a log row, without asking whether they are new."""
        self.admit(np.frombuffer(fingerprints, dtype="V16")[accepted].tobytes(), second)

    def _clear(self, slots: int) -> None:
        self._mask = np.uint64(slots - 1)
        self._high: Words = np.zeros(slots, dtype=np.uint64)
        self._low: Halves = np.zeros(slots, dtype=np.uint32)
        self._second: Halves = np.zeros(slots, dtype=np.uint32)
        self._used = 0

    def _reserve(self, more: int, second: int) -> None:
        slots = len(self._high)
        if (self._used + more) * 10 <= slots * _LOAD_TENTHS_MAX:
            return
        held = self._high != 0
        live = held & (self._second.astype(np.int64) + WINDOW_S > second)
        high, low, seconds = self._high[live], self._low[live], self._second[live]
        while (len(high) + more) * 20 > slots * _LOAD_TENTHS_MAX:
            slots *= 2
        self._clear(slots)
        for start in range(0, len(high), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._insert(high[part], low[part], seconds[part])

    def _insert(self, high: Words, low: Halves, seconds: Halves) -> Flags:
        """Insert distinct fingerprints; tells which were not held, or held longer than the window."""
        is_new = np.zeros(len(high), dtype=np.bool_)
        pending = np.arange(len(high))
        slots = high & self._mask
        while len(pending):
            found = self._high[slots]
            free = found == 0
            taken = pending[free]
            # Several may want one free slot: the last writer of the pair of columns gets it.
            self._high[slots[free]] = high[taken]
            self._low[slots[free]] = low[taken]
            mine = (self._high[slots] == high[pending]) & (self._low[slots] == low[pending])
            fresh = mine & free
            stale = mine & ~free
            stale[stale] = self._second[slots[stale]].astype(np.int64) + WINDOW_S <= seconds[
                pending[stale]
            ].astype(np.int64)
            self._used += int(np.count_nonzero(fresh))
            settled = fresh | stale
            self._second[slots[settled]] = seconds[pending[settled]]
            is_new[pending[settled]] = True
            pending, slots = pending[~mine], (slots[~mine] + np.uint64(1)) & self._mask
        return is_new


def _split(fingerprints: bytes) -> tuple[Words, Halves]:
    words: Any = np.frombuffer(fingerprints, dtype="<u8").reshape(-1, 2)
    high = words[:, 0].astype(np.uint64)
    high[high == 0] = 1  # 0 marks a free slot
    return high, (words[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def _first_of_each(high: Words, low: Halves) -> NDArray[np.intp]:
    """Indexes of the first occurrence of every distinct pair, ascending."""
    if len(high) == 1:
        return np.zeros(1, dtype=np.intp)
    order = np.lexsort((low, high))
    changes = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    if changes.all():
        return np.arange(len(high), dtype=np.intp)
    starts = np.concatenate(([True], changes))
    return np.sort(order[starts])
