"""Remembers which transaction ids were accepted in the last 34 days, 16 bytes a slot.

An open-addressing table in one numpy array: 64 + 32 bits of fingerprint and the second of acceptance.
At a billion ids the chance of any two sharing 96 bits is below 1e-10. Not safe for several threads.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 34 * 86_400
_LOAD_PERCENT_MAX = 70
_LARGE = 1 << 22
"""Tables of so many slots and more grow by less at a time: memory matters more than time then."""
_EXPECTED_PERCENT = 55
_PREPARE_PERCENT = 66
_MOVED_PER_ID = 16
_MOVED_MIN = 1_024
_TOUCHED_PER_ID = 640
_PAGE_WORDS = 512
_CHUNK = 16_384
_ALL = 1 << 62
_LINE = 8
_ALIGNED = 128
_HALF = np.uint64(32)
_SECOND = np.uint64(0xFFFFFFFF)
_PRINT = np.uint64(0xFFFFFFFF00000000)

Entries = NDArray[np.uint64]
"""Two words each: 64 bits of fingerprint, never 0; then 32 more bits, and the second in the low half."""
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Fingerprints:
    """A set of fingerprints, each with the second in which its event was accepted.

    It grows a little with every call: while an old table's slots are moved into a larger one, both
    are asked, the larger one first.
    """

    def __init__(self, slots: int = 1 << 16) -> None:
        """Start empty with room for about two thirds of `slots`."""
        self._table = _Table(slots)
        self._old: _Table | None = None
        self._next: _Table | None = None
        self._moved = 0
        self._since: int | None = None
        """No acceptance held is older than this."""

    def __len__(self) -> int:
        """How many are held."""
        self._move(_ALL)
        return self._table.used

    @property
    def memory_bytes(self) -> int:
        """Bytes held."""
        tables = (self._table, self._old, self._next)
        return sum([table.memory_bytes for table in tables if table is not None])

    def expect(self, count: int) -> None:
        """Make room for so many at once, before the first is held."""
        self._table = _Table(max(len(self._table), count * 100 // _EXPECTED_PERCENT))

    def admit(self, fingerprints: bytes, second: int) -> Flags:
        """Which of these are new; they are remembered as accepted in `second`.

        `fingerprints` holds 16 bytes each, in log order. One that was accepted less than 34 days
        before is a repeat and renews nothing; a second one inside the same call is a repeat too.
        """
        entries = _entries(fingerprints, np.uint64(second))
        self._make_room(len(entries), second)
        first = _first_of_each(entries)
        if first is None:
            return self._admit(entries, second)
        is_new = np.zeros(len(entries), dtype=np.bool_)
        is_new[first] = self._admit(entries[first], second)
        return is_new

    def seconds_of(self, fingerprints: bytes) -> NDArray[np.int64]:
        """The second in which each of these was last accepted; -1 for one that is not held.

        One that has left the window may still be held.
        """
        entries = _entries(fingerprints, np.uint64(0))
        seconds = self._table.seconds_of(entries)
        return seconds if self._old is None else np.maximum(seconds, self._old.seconds_of(entries))

    def restore(self, fingerprints: bytes, accepted: Flags, seconds: "NDArray[np.int64]") -> None:
        """Remember the accepted ones of some log rows, without asking whether they are new."""
        entries = _entries(fingerprints, seconds.astype(np.uint64))[accepted]
        ordered = _ordered(entries)
        if bool((ordered[1:, 0] == ordered[:-1, 0]).any()):
            # An id accepted twice, 34 days apart, is held with its later acceptance.
            last = _first_of_each(entries[::-1])
            if last is not None:
                ordered = _ordered(entries[len(entries) - 1 - last])
        self._make_room(len(ordered), int(seconds.min(initial=0)))
        self._table.fill(ordered)

    def _admit(self, entries: Entries, second: int) -> Flags:
        if self._old is None:
            return self._table.insert(entries)
        unknown = ~self._old.holds(entries, second)
        is_new = np.zeros(len(entries), dtype=np.bool_)
        is_new[unknown] = self._table.insert(entries[unknown])
        return is_new

    def _make_room(self, more: int, second: int) -> None:
        self._since = second if self._since is None else min(self._since, second)
        if self._old is not None:
            self._move(more * _MOVED_PER_ID)
        elif not self._table.has_room(more, _PREPARE_PERCENT):
            self._prepare(more, second)
        if self._table.has_room(more, _LOAD_PERCENT_MAX):
            return
        self._move(_ALL)
        self._next = self._next or self._prepare(more, second)
        self._old, self._moved, self._table, self._next = self._table, 0, self._next, None
        self._second = second
        self._move(more * _MOVED_PER_ID)
        if not self._table.has_room(more, _LOAD_PERCENT_MAX):
            self._move(_ALL)
            self._make_room(more, second)

    def _prepare(self, more: int, second: int) -> "_Table":
        """Make the table that comes next, and a further part of its memory."""
        if self._next is None:
            held = self._table.used
            if second - (self._since or 0) >= WINDOW_S:
                held = self._table.count_live(second)
                self._since = second - WINDOW_S
            wanted = (held + more) * 100 // _PREPARE_PERCENT + 1
            slots = len(self._table)
            # What has left the window may have made room enough.
            if wanted * 3 > slots * 2:
                slots = max(slots * 2 if slots < _LARGE else slots * 14 // 10, wanted * 14 // 10)
            self._next = _Table(slots)
        self._next.touch(more * _TOUCHED_PER_ID)
        return self._next

    def _move(self, slots: int) -> None:
        """Copy further slots of the old table, without those that are out of the window."""
        while self._old is not None and slots > 0:
            count = max(_MOVED_MIN, min(slots, _CHUNK))
            self._table.fill(_ordered(self._old.live(self._moved, count, self._second)), renews=False)
            self._moved, slots = self._moved + count // _LINE * _LINE, slots - count
            if self._moved >= len(self._old):
                self._old = None


class _Table:
    """One open-addressing table of lines of eight slots; a first word of 0 marks a free slot.

    A fingerprint is in its own line or, where that is full, in the next one that is not. Lines are in
    the order of the fingerprints, so that moving a stretch of them into a larger table writes one
    stretch there. A line is eight first words and then eight second ones: two lines of the cache.
    """

    def __init__(self, slots: int) -> None:
        count = -(-slots // _LINE)
        words: Entries = np.zeros(count * 2 * _LINE + _ALIGNED // 8, dtype=np.uint64)
        start = -words.ctypes.data % _ALIGNED // 8
        self._words: Entries = words[start : start + count * 2 * _LINE]
        self._lines: Entries = self._words.reshape(count, 2 * _LINE)
        self.used = 0
        self._touched = 0

    def __len__(self) -> int:
        return len(self._lines) * _LINE

    @property
    def memory_bytes(self) -> int:
        return self._words.nbytes

    def has_room(self, more: int, percent: int) -> bool:
        """Whether so many more leave the table no fuller than that."""
        return (self.used + more) * 100 <= len(self) * percent

    def touch(self, size: int) -> None:
        """Have the system hand out further memory now, so that it is not all asked for at once."""
        until = min(len(self._words), self._touched + size // 8)
        self._words[self._touched : until : _PAGE_WORDS] |= np.uint64(0)
        self._touched = until

    def count_live(self, second: int) -> int:
        """How many are within the window as of `second`."""
        return sum(len(self.live(start, _CHUNK, second)) for start in range(0, len(self), _CHUNK))

    def live(self, start: int, count: int, second: int) -> Entries:
        """What some slots hold that is within the window as of `second`."""
        lines = self._lines[start // _LINE : start // _LINE + count // _LINE]
        first, other = lines[:, :_LINE], lines[:, _LINE:]
        chosen = (first != 0) & _within(other, second)
        return np.stack((first[chosen], other[chosen]), axis=1)

    def holds(self, entries: Entries, second: int) -> Flags:
        """Which are held and within the window as of `second`."""
        held = np.zeros(len(entries), dtype=np.bool_)
        pending, lines = np.arange(len(entries)), self._own_lines(entries)
        while len(pending):
            places, is_free, is_mine = self._look(lines, entries[pending])
            held[pending[is_mine]] = _within(self._words[places[is_mine] + _LINE], second)
            going = ~(is_free | is_mine)
            pending, lines = pending[going], self._next(lines[going])
        return held

    def seconds_of(self, entries: Entries) -> NDArray[np.int64]:
        """The second that is held with each; -1 for those that are not held."""
        seconds = np.full(len(entries), -1, dtype=np.int64)
        pending, lines = np.arange(len(entries)), self._own_lines(entries)
        while len(pending):
            places, is_free, is_mine = self._look(lines, entries[pending])
            seconds[pending[is_mine]] = (self._words[places[is_mine] + _LINE] & _SECOND).astype(np.int64)
            going = ~(is_free | is_mine)
            pending, lines = pending[going], self._next(lines[going])
        return seconds

    def insert(self, entries: Entries, *, renews: bool = True) -> Flags:
        """Insert distinct fingerprints; tells which were not held, or held longer than the window.

        With `renews` false what is held stays as it is, however old.
        """
        is_new = np.zeros(len(entries), dtype=np.bool_)
        pending, lines = np.arange(len(entries)), self._own_lines(entries)
        while len(pending):
            wanted = entries[pending]
            places, is_free, is_mine = self._look(lines, wanted)
            if renews and is_mine.any():
                self._renew(places[is_mine], wanted[is_mine], pending[is_mine], is_new)
            free = np.flatnonzero(is_free)
            taken, others = places[free], places[free] + _LINE
            # Several may want one free slot: the last writer gets it, the others look again.
            self._words[taken] = wanted[free, 0]
            self._words[others] = wanted[free, 1]
            has_won = (self._words[taken] == wanted[free, 0]) & (self._words[others] == wanted[free, 1])
            won = free[has_won]
            self.used += len(won)
            is_new[pending[won]] = True
            is_mine[won] = True
            going = np.flatnonzero(~is_mine)
            lines = np.where(is_free[going], lines[going], self._next(lines[going]))
            pending = pending[going]
        return is_new

    def fill(self, entries: Entries, *, renews: bool = True) -> None:
        """Insert many distinct fingerprints in their order: several at once into one line."""
        lines = self._own_lines(entries)
        seen = self._lines.take(lines, axis=0)
        known = ((seen[:, :_LINE] == entries[:, :1]) & ((seen[:, _LINE:] ^ entries[:, 1:]) <= _SECOND)).any(1)
        if known.any():
            self.insert(entries[known], renews=renews)
            entries, lines, seen = entries[~known], lines[~known], seen[~known]
        numbers = np.arange(len(lines))
        begins = np.concatenate((numbers[:1] == 0, lines[1:] != lines[:-1]))
        ranks = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
        steps = np.count_nonzero(seen[:, :_LINE], axis=1) + ranks
        fits = steps < _LINE
        places = lines[fits] * (2 * _LINE) + steps[fits]
        self._words[places] = entries[fits, 0]
        self._words[places + _LINE] = entries[fits, 1]
        self.used += len(places)
        self.insert(entries[~fits], renews=renews)

    def _renew(self, places: Places, wanted: Entries, numbers: Places, is_new: Flags) -> None:
        """Take what is held longer than the window for new."""
        until = (self._words[places + _LINE] & _SECOND).astype(np.int64) + WINDOW_S
        is_stale = until <= (wanted[:, 1] & _SECOND).astype(np.int64)
        self._words[places[is_stale] + _LINE] = wanted[is_stale, 1]
        is_new[numbers[is_stale]] = True

    def _own_lines(self, entries: Entries) -> Places:
        """The fingerprint's share of the whole range."""
        shares: Places = ((entries[:, 0] >> _HALF) * np.uint64(len(self._lines)) >> _HALF).astype(np.int64)
        return shares

    def _next(self, lines: Places) -> Places:
        following = lines + 1
        following[following == len(self._lines)] = 0
        return following

    def _look(self, lines: Places, wanted: Entries) -> tuple[Places, Flags, Flags]:
        """In each line the slot that holds the wanted one or is the first free one, and which it is."""
        seen = self._lines.take(lines, axis=0)
        first = seen[:, :_LINE]
        same = first == wanted[:, :1]
        if same.any():
            same &= (seen[:, _LINE:] ^ wanted[:, 1:]) <= _SECOND
        stops = first == 0
        stops |= same
        steps = stops.argmax(axis=1)
        rows = np.arange(len(steps))
        is_mine = same[rows, steps]
        return lines * (2 * _LINE) + steps, stops[rows, steps] & ~is_mine, is_mine


def _within(words: Entries, second: int) -> Flags:
    """Which were accepted less than 34 days before `second`."""
    least = second - WINDOW_S + 1
    if least <= 0:
        return np.ones(words.shape, dtype=np.bool_)
    return np.asarray((words & _SECOND) >= np.uint64(least), dtype=np.bool_)


def _entries(fingerprints: bytes, seconds: Any) -> Entries:
    entries: Entries = np.frombuffer(fingerprints, dtype="<u8").reshape(-1, 2).copy()
    high = entries[:, 0]
    high[high == 0] = 1  # 0 marks a free slot
    entries[:, 1] = (entries[:, 1] << _HALF) | seconds
    return entries


def _ordered(entries: Entries) -> Entries:
    ordered: Entries = entries[np.argsort(entries[:, 0])]
    return ordered


def _first_of_each(entries: Entries) -> "NDArray[np.intp] | None":
    """Indexes of the first occurrence of every distinct one, ascending; None when all are distinct."""
    ordered = np.sort(entries[:, 0])
    if len(entries) < 2 or bool((ordered[1:] != ordered[:-1]).all()):
        return None
    high, low = entries[:, 0], entries[:, 1] & _PRINT
    order = np.lexsort((low, high))
    changes = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    return np.sort(order[np.concatenate(([True], changes))])
