"""Remembers which transaction ids were accepted in the last 34 days, 16 bytes a slot.

An open-addressing table over numpy columns: 64 + 32 bits of fingerprint and the second of acceptance.
At a billion ids the chance of any two sharing 96 bits is below 1e-10. Not safe for several threads.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 34 * 86_400
_LOAD_PERCENT_MAX = 70
_GROWTH_PERCENT = 140
_MOVED_PER_ID = 8
_MOVED_MIN = 4_096
_CHUNK = 65_536

Words = NDArray[np.uint64]
Halves = NDArray[np.uint32]
Flags = NDArray[np.bool_]


class Fingerprints:
    """A set of fingerprints, each with the second in which its event was accepted.

    It grows a little with every call: while an old table's slots are moved into a larger one, both
    are asked, the larger one first.
    """

    def __init__(self, slots: int = 1 << 16) -> None:
        """Start empty with room for about half of `slots`."""
        self._table = _Table(slots)
        self._old: _Table | None = None
        self._moved = 0

    def __len__(self) -> int:
        """How many are held; while the table grows, those not moved yet are left out."""
        self._move(1 << 62)
        return self._table.used

    @property
    def memory_bytes(self) -> int:
        """Bytes held."""
        return self._table.memory_bytes + (0 if self._old is None else self._old.memory_bytes)

    def expect(self, count: int) -> None:
        """Make room for so many at once, before the first is held."""
        self._table = _Table(max(len(self._table), count * 110 // _LOAD_PERCENT_MAX))

    def admit(self, fingerprints: bytes, second: int) -> Flags:
        """Which of these are new; they are remembered as accepted in `second`.

        `fingerprints` holds 16 bytes each, in log order. One that was accepted less than 34 days
        before is a repeat and renews nothing; a second one inside the same call is a repeat too.
        """
        high, low = _split(fingerprints)
        first = _first_of_each(high, low)
        is_new = np.zeros(len(high), dtype=np.bool_)
        if first is None:
            is_new[:] = self._admit(high, low, np.full(len(high), second, dtype=np.uint32))
        else:
            seconds = np.full(len(first), second, dtype=np.uint32)
            is_new[first] = self._admit(high[first], low[first], seconds)
        return is_new

    def restore(self, fingerprints: bytes, accepted: Flags, seconds: "NDArray[np.int64]") -> None:
        """Remember the accepted ones of some log rows, without asking whether they are new."""
        high, low = _split(fingerprints)
        high, low, kept = high[accepted], low[accepted], seconds[accepted].astype(np.uint32)
        # An id accepted twice, 34 days apart, is held with its later acceptance.
        first = _first_of_each(high[::-1], low[::-1])
        if first is not None:
            last = len(high) - 1 - first
            high, low, kept = high[last], low[last], kept[last]
        self._make_room(len(high), int(kept.max(initial=0)))
        self._table.insert(high, low, kept)

    def _admit(self, high: Words, low: Halves, seconds: Halves) -> Flags:
        second = int(seconds[0]) if len(seconds) else 0
        self._make_room(len(high), second)
        if self._old is None:
            return self._table.insert(high, low, seconds)
        known = self._old.holds(high, low, second)
        is_new = np.zeros(len(high), dtype=np.bool_)
        ask = ~known
        is_new[ask] = self._table.insert(high[ask], low[ask], seconds[ask])
        return is_new

    def _make_room(self, more: int, second: int) -> None:
        if self._old is not None:
            self._move(max(_MOVED_MIN, more * _MOVED_PER_ID))
        if (self._table.used + more) * 100 <= len(self._table) * _LOAD_PERCENT_MAX:
            return
        self._move(1 << 62)
        live = self._table.count_live(second)
        slots = len(self._table)
        if (live + more) * _GROWTH_PERCENT > slots * _LOAD_PERCENT_MAX:
            slots = max(slots * _GROWTH_PERCENT // 100, (live + more) * _GROWTH_PERCENT // _LOAD_PERCENT_MAX)
        self._old, self._moved, self._table = self._table, 0, _Table(slots)
        self._second = second
        self._move(max(_MOVED_MIN, more * _MOVED_PER_ID))
        if (self._table.used + more) * 100 > len(self._table) * _LOAD_PERCENT_MAX:
            self._move(1 << 62)

    def _move(self, slots: int) -> None:
        """Copy further slots of the old table, without those that are out of the window."""
        while self._old is not None and slots > 0:
            part = slice(self._moved, self._moved + min(slots, _CHUNK))
            self._table.insert(*self._old.live(part, self._second), renews=False)
            self._moved, slots = part.stop, slots - _CHUNK
            if self._moved >= len(self._old):
                self._old = None


class _Table:
    """One open-addressing table with linear probing; a high word of 0 marks a free slot."""

    def __init__(self, slots: int) -> None:
        self._slots = np.uint64(slots)
        self._high: Words = np.zeros(slots, dtype=np.uint64)
        self._low: Halves = np.zeros(slots, dtype=np.uint32)
        self._second: Halves = np.zeros(slots, dtype=np.uint32)
        self.used = 0

    def __len__(self) -> int:
        return len(self._high)

    @property
    def memory_bytes(self) -> int:
        return self._high.nbytes + self._low.nbytes + self._second.nbytes

    def count_live(self, second: int) -> int:
        """How many are within the window as of `second`."""
        total = 0
        for start in range(0, len(self), _CHUNK):
            total += len(self.live(slice(start, start + _CHUNK), second)[0])
        return total

    def live(self, part: slice, second: int) -> tuple[Words, Halves, Halves]:
        """What some slots hold that is within the window as of `second`."""
        high, seconds = self._high[part], self._second[part]
        chosen = (high != 0) & _within(seconds, second)
        return high[chosen], self._low[part][chosen], seconds[chosen]

    def holds(self, high: Words, low: Halves, second: int) -> Flags:
        """Which are held and within the window as of `second`."""
        held = np.zeros(len(high), dtype=np.bool_)
        pending = np.arange(len(high))
        slots = high % self._slots
        while len(pending):
            found = self._high[slots]
            mine = (found == high[pending]) & (self._low[slots] == low[pending])
            held[pending[mine]] = _within(self._second[slots[mine]], second)
            going = ~mine & (found != 0)
            pending, slots = pending[going], (slots[going] + np.uint64(1)) % self._slots
        return held

    def insert(self, high: Words, low: Halves, seconds: Halves, *, renews: bool = True) -> Flags:
        """Insert distinct fingerprints; tells which were not held, or held longer than the window.

        With `renews` false what is held stays as it is, however old.
        """
        is_new = np.zeros(len(high), dtype=np.bool_)
        pending = np.arange(len(high))
        slots = high % self._slots
        while len(pending):
            found = self._high[slots]
            wanted_high, wanted_low = high[pending], low[pending]
            free = np.flatnonzero(found == 0)
            if len(free):
                # Several may want one free slot: the last writer of the pair of columns gets it.
                places = slots[free]
                self._high[places] = wanted_high[free]
                self._low[places] = wanted_low[free]
                found = self._high[slots]
            mine = found == wanted_high
            mine &= self._low[slots] == wanted_low
            fresh = np.zeros(len(pending), dtype=np.bool_)
            fresh[free] = mine[free]
            self.used += int(np.count_nonzero(fresh))
            if renews:
                held = np.flatnonzero(mine & ~fresh)
                if len(held):
                    old = self._second[slots[held]].astype(np.int64) + WINDOW_S
                    fresh[held] = old <= seconds[pending[held]].astype(np.int64)
            settled = pending[fresh]
            self._second[slots[fresh]] = seconds[settled]
            is_new[settled] = True
            np.logical_not(mine, out=mine)
            pending, slots = pending[mine], slots[mine] + np.uint64(1)
            slots[slots == self._slots] = 0
        return is_new


def _within(seconds: Halves, second: int) -> Flags:
    """Which were accepted less than 34 days before `second`."""
    least = second - WINDOW_S + 1
    if least <= 0:
        return np.ones(len(seconds), dtype=np.bool_)
    return np.asarray(seconds >= np.uint32(least), dtype=np.bool_)


def _split(fingerprints: bytes) -> tuple[Words, Halves]:
    words: Any = np.frombuffer(fingerprints, dtype="<u8").reshape(-1, 2)
    high = words[:, 0].astype(np.uint64)
    high[high == 0] = 1  # 0 marks a free slot
    return high, words[:, 1].astype(np.uint32)


def _first_of_each(high: Words, low: Halves) -> "NDArray[np.intp] | None":
    """Indexes of the first occurrence of every distinct pair, ascending; None when all are distinct."""
    ordered = np.sort(high)
    if len(high) < 2 or bool((ordered[1:] != ordered[:-1]).all()):
        return None
    order = np.lexsort((low, high))
    changes = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    starts = np.concatenate(([True], changes))
    return np.sort(order[starts])
