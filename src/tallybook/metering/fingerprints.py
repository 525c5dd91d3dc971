"""Remembers which transaction ids were accepted in the last 34 days, 12 bytes a slot.

An open-addressing table: 64 + 10 bits of fingerprint and the second of acceptance modulo 2^22, which
is 48 days. At 50 million ids the chance of any two sharing 74 bits is below 1e-7. Not safe for several
threads.
"""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 34 * 86_400
_SPAN_S = 1 << 22
"""Seconds are kept modulo this: nothing older may be held."""
_SWEEP_S = 40 * 86_400
"""When the oldest may be so old the table is made anew without what has left the window."""
_FULL_PERCENT = 85
_FRESH_PERCENT = 68
_MOVED_PER_ID = 16
_HASTE = 32
"""A table is moved bit by bit only when more than so many calls like this one would fit in."""
_LINE = 8
_AT_ONCE = 1 << 14
"""So many are restored together: fewer wait for memory one by one, more do not fit into the cache."""
_SEGMENT_LINES = 8_192
_COUNTED_AT_ONCE = 1 << 16
_HALF = np.uint64(32)
_SECONDS = np.uint32(_SPAN_S - 1)
_SECONDS_BITS = np.uint32(22)
_REST = np.uint64(0x3FF)
_ONES = np.uint64(0x0101010101010101)
_TOP_BYTE = np.uint64(56)

Words = NDArray[np.uint64]
"""64 bits of fingerprint each, never 0."""
Rests = NDArray[np.uint32]
"""10 more bits each, and the second in the lower 22."""
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Seconds = NDArray[np.int64]


class Fingerprints:
    """A set of fingerprints, each with the second in which its event was accepted.

    It grows a little with every call: a table that is full is moved, segment by segment, into one
    that is larger, and gives its memory back as it goes. What belongs to a segment that has been
    moved is in the new table, all else in the old one.
    """

    def __init__(self, slots: int = 1 << 16, factor: int = 0) -> None:
        """Start empty with room for about four fifths of `slots`.

        Ids are chosen by senders: a `factor` of 64 bits that they do not know keeps them from crowding
        one place.
        """
        self._factor = np.uint64(factor | 1)
        self._table = _Table(slots)
        self._old: _Table | None = None
        self._moved = 0
        """So many segments of the old table have been moved."""
        self._debt = 0
        self._latest = 0
        self._since: int | None = None
        """No acceptance held is older than this."""
        self._renewed_at = 0

    def __len__(self) -> int:
        """How many are held."""
        return self._table.used + (self._old.used if self._old is not None else 0)

    @property
    def memory_bytes(self) -> int:
        """About as many bytes as are held; a table being moved has given back a part."""
        if self._old is None:
            return self._table.memory_bytes
        return max(self._table.memory_bytes, self._old.memory_bytes)

    def expect(self, count: int) -> None:
        """Make room for so many at once, before the first is held."""
        self._table = _Table(max(len(self._table), count * 100 // _FRESH_PERCENT))

    def admit(self, fingerprints: bytes, second: int) -> Flags:
        """Which of these are new; they are remembered as accepted in `second`.

        `fingerprints` holds 16 bytes each, in log order. One that was accepted less than 34 days
        before is a repeat and renews nothing; a second one inside the same call is a repeat too.
        Seconds must not run backwards from call to call.
        """
        words, rests = self._split(fingerprints)
        self._make_room(len(words), second)
        rests |= np.uint32(second & (_SPAN_S - 1))
        first = _first_of_each(words, rests)
        if first is None:
            return self._admit(words, rests)
        is_new = np.zeros(len(words), dtype=np.bool_)
        is_new[first] = self._admit(words[first], rests[first])
        return is_new

    def restore(self, fingerprints: bytes, accepted: Flags, seconds: Seconds) -> None:
        """Remember the accepted ones of some log rows, without asking whether they are new."""
        if not len(seconds):
            return
        words, rests = self._split(fingerprints)
        self._make_room(len(words), int(seconds[-1]), int(seconds[0]))
        rests |= (seconds & (_SPAN_S - 1)).astype(np.uint32)
        words, rests = words[accepted], rests[accepted]
        if int(seconds[-1] - seconds[0]) >= WINDOW_S:
            # An id accepted twice, 34 days apart, is held with its later acceptance.
            last = _first_of_each(words[::-1], rests[::-1])
            if last is not None:
                kept = len(words) - 1 - last
                words, rests = words[kept], rests[kept]
        for start in range(0, len(words), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            for table, chosen in self._apart(words[part]):
                table.insert(words[part][chosen], rests[part][chosen], renews_all=True)

    def seconds_of(self, fingerprints: bytes) -> Seconds:
        """The second of acceptance of each, by its table; -1 of those that are not held."""
        words, rests = self._split(fingerprints)
        seconds = np.full(len(words), -1, dtype=np.int64)
        for table, part in self._apart(words):
            places, is_mine = table.find(words[part], rests[part])
            ages = (self._latest - table.seconds_at(places[is_mine])) & (_SPAN_S - 1)
            seconds[part[is_mine]] = self._latest - ages
        return seconds

    def _split(self, fingerprints: bytes) -> tuple[Words, Rests]:
        """The words, and the rests without a second."""
        parts: Words = np.frombuffer(fingerprints, dtype="<u8").reshape(-1, 2)
        words = parts[:, 0] * self._factor
        words[words == 0] = self._factor  # 0 marks a free slot
        return words, (parts[:, 1] & _REST).astype(np.uint32) << _SECONDS_BITS

    def _admit(self, words: Words, rests: Rests) -> Flags:
        if self._old is None:
            return self._table.insert(words, rests)
        is_new = np.zeros(len(words), dtype=np.bool_)
        for table, part in self._apart(words):
            is_new[part] = table.insert(words[part], rests[part])
        return is_new

    def _apart(self, words: Words) -> "list[tuple[_Table, Places]]":
        """The indexes of those that belong to either table."""
        if self._old is None:
            return [(self._table, np.arange(len(words)))]
        is_moved = self._old.segments_of(words) < self._moved
        return [(self._table, np.flatnonzero(is_moved)), (self._old, np.flatnonzero(~is_moved))]

    def _make_room(self, more: int, second: int, since: int | None = None) -> None:
        """Be ready for so many more, accepted in `second`, or from `since` on."""
        second = max(second, self._latest)
        if self._since is None:
            self._since = self._latest = second if since is None else since
        if self._old is not None:
            self._debt += more * _MOVED_PER_ID
            self._move(self._debt // self._old.segment_slots, second)
        oldest = second - self._since
        if oldest >= _SPAN_S and self._old is not None:
            self._move(len(self._old), second)
            oldest = second - self._since
        is_full = (len(self) + more) * 100 > len(self._table) * _FULL_PERCENT
        if is_full or oldest >= (_SWEEP_S if self._old is None else _SPAN_S):
            self._renew(more, second, in_haste=oldest >= _SPAN_S)
        self._latest = second

    def _renew(self, more: int, second: int, *, in_haste: bool) -> None:
        """Begin to move everything within the window into a table that has room."""
        if self._old is not None:
            self._move(len(self._old), second)
        held = self._table.used
        if second - (self._since or 0) >= WINDOW_S:
            held = self._table.count_live(self._latest, second)
        self._old, self._moved, self._debt = self._table, 0, 0
        self._renewed_at = second
        self._table = _Table((held + more) * 100 // _FRESH_PERCENT + 1)
        in_haste |= more * _HASTE > len(self._old)
        self._move(len(self._old) if in_haste else 1, second)

    def _move(self, segments: int, second: int) -> None:
        """Move further segments of the old table, without what is out of the window."""
        for _ in range(segments):
            if self._old is None:
                return
            words, rests = self._old.live(self._moved, self._latest, second)
            for start in range(_LINE):
                # They come line by line; those inserted together should go to different ones.
                part = slice(start, None, _LINE)
                self._table.insert(words[part], rests[part], renews_all=True)
            self._old.release(self._moved)
            self._moved += 1
            self._debt = max(0, self._debt - self._old.segment_slots)
            if self._moved == self._old.segments:
                self._old, self._debt = None, 0
                # Whatever had left the window when it was moved has not come along.
                self._since = max(self._since or 0, self._renewed_at - WINDOW_S)


class _Table:
    """One open-addressing table of lines of eight slots, filled from the left; word 0 marks a free one.

    A fingerprint is in its own line or, where that is full, in the next one of its segment that is
    not. Lines are in the order of the words, so that moving a segment into another table writes one
    stretch there.
    """

    def __init__(self, slots: int) -> None:
        lines = -(-slots // _LINE)
        self._segment = min(lines, _SEGMENT_LINES)
        self.segments = -(-lines // self._segment)
        lines = self.segments * self._segment
        self._word_pages = _pages(lines * _LINE * 8)
        self._rest_pages = _pages(lines * _LINE * 4)
        self._words: Words = np.frombuffer(self._word_pages, dtype=np.uint64, count=lines * _LINE)
        self._rests: Rests = np.frombuffer(self._rest_pages, dtype=np.uint32, count=lines * _LINE)
        self._word_lines = self._words.reshape(lines, _LINE)
        self._rest_lines = self._rests.reshape(lines, _LINE)
        self.used = 0

    def __len__(self) -> int:
        return len(self._words)

    @property
    def memory_bytes(self) -> int:
        return self._words.nbytes + self._rests.nbytes

    @property
    def segment_slots(self) -> int:
        return self._segment * _LINE

    def segments_of(self, words: Words) -> Places:
        """The segment to which each belongs."""
        return self._own_lines(words) // self._segment

    def seconds_at(self, places: Places) -> Seconds:
        """The seconds in some slots, modulo the span."""
        return (self._rests[places] & _SECONDS).astype(np.int64)

    def count_live(self, latest: int, second: int) -> int:
        """How many are within the window as of `second`; `latest` as for `live`."""
        count = 0
        for start in range(0, len(self), _COUNTED_AT_ONCE):
            part = slice(start, start + _COUNTED_AT_ONCE)
            is_live = (self._words[part] != 0) & _is_live(self._rests[part], latest, second)
            count += int(np.count_nonzero(is_live))
        return count

    def live(self, segment: int, latest: int, second: int) -> tuple[Words, Rests]:
        """What a segment holds that is within the window as of `second`.

        `latest` is no earlier than any second held, and later than each by less than the span.
        """
        part = slice(segment * self.segment_slots, (segment + 1) * self.segment_slots)
        words, rests = self._words[part], self._rests[part]
        chosen = words != 0
        self.used -= int(np.count_nonzero(chosen))
        chosen &= _is_live(rests, latest, second)
        return words[chosen], rests[chosen]

    def release(self, segment: int) -> None:
        """Give the memory of a segment back to the system, where it takes parts back."""
        for pages, size in ((self._word_pages, 8), (self._rest_pages, 4)):
            length = self.segment_slots * size
            if length % mmap.PAGESIZE == 0 and hasattr(mmap, "MADV_DONTNEED"):
                pages.madvise(mmap.MADV_DONTNEED, segment * length, length)

    def find(self, words: Words, rests: Rests) -> tuple[Places, Flags]:
        """Where each is held, and whether it is."""
        found = np.zeros(len(words), dtype=np.int64)
        held = np.zeros(len(words), dtype=np.bool_)
        pending, lines = np.arange(len(words)), self._own_lines(words)
        while len(pending):
            places, _, is_full, is_mine = self._look(lines, words[pending], rests[pending])
            found[pending[is_mine]] = places[is_mine]
            held[pending[is_mine]] = True
            going = is_full & ~is_mine
            pending, lines = pending[going], self._next(lines[going])
        return found, held

    def insert(self, words: Words, rests: Rests, *, renews_all: bool = False) -> Flags:
        """Insert distinct fingerprints; tells which were not held, or held longer than the window.

        With `renews_all` what is held takes the new second, however old it is.
        """
        is_new = np.zeros(len(words), dtype=np.bool_)
        pending, lines = np.arange(len(words)), self._own_lines(words)
        while len(pending):
            places, is_free, _, is_mine = self._look(lines, words, rests)
            if is_mine.any():
                stale = is_mine.copy()
                if not renews_all:
                    ages = (rests[is_mine] - self._rests[places[is_mine]]) & _SECONDS
                    stale[is_mine] = ages >= WINDOW_S
                self._rests[places[stale]] = rests[stale]
                is_new[pending[stale]] = True
            taken = places[is_free]
            # Several may want one free slot: the last writer gets it, the others look again.
            self._words[taken] = words[is_free]
            self._rests[taken] = rests[is_free]
            has_won = (self._words[taken] == words[is_free]) & (self._rests[taken] == rests[is_free])
            self.used += int(np.count_nonzero(has_won))
            is_done = is_mine
            is_done[is_free] = has_won
            is_new[pending[is_free]] = has_won
            if is_done.all():
                break
            going = np.flatnonzero(~is_done)
            lines = np.where(is_free[going], lines[going], self._next(lines[going]))
            pending, words, rests = pending[going], words[going], rests[going]
        return is_new

    def _own_lines(self, words: Words) -> Places:
        """The word's share of the whole range."""
        shares: Places = ((words >> _HALF) * np.uint64(len(self._word_lines)) >> _HALF).view(np.int64)
        return shares

    def _next(self, lines: Places) -> Places:
        following = lines + 1
        following[following % self._segment == 0] -= self._segment
        return following

    def _look(self, lines: Places, words: Words, rests: Rests) -> tuple[Places, Flags, Flags, Flags]:
        """In each line the slot that holds the wanted one, else the first free one.

        And whether it is free, whether the line is full, whether it holds the wanted one.
        """
        seen = self._word_lines.take(lines, axis=0)
        same = seen == words[:, None]
        is_mine = _packed(same) != 0
        filled = (_packed(seen != 0) * _ONES >> _TOP_BYTE).view(np.int64)
        is_full = filled == _LINE
        places = lines * _LINE
        hits = np.flatnonzero(is_mine)
        if len(hits):
            mine = same[hits]
            found = places[hits] + mine.argmax(axis=1)
            wanted = rests[hits]
            if ((self._rests[found] ^ wanted) > _SECONDS).any():
                # Others with the same word are held: look at all of them.
                mine &= (self._rest_lines[lines[hits]] ^ wanted[:, None]) <= _SECONDS
                found = places[hits] + mine.argmax(axis=1)
                is_mine[hits] = mine.any(axis=1)
            places += filled
            places[hits] = np.where(is_mine[hits], found, places[hits])
        else:
            places += filled
        return places, ~(is_full | is_mine), is_full, is_mine


def _pages(size: int) -> mmap.mmap:
    """Zeroed memory that the system hands out page by page, large ones where it can."""
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


def _packed(flags: Flags) -> Words:
    """Eight flags a line as one number a line."""
    return flags.view(np.uint64).ravel()


def _is_live(rests: Rests, latest: int, second: int) -> Flags:
    """Which were accepted less than 34 days before `second`."""
    ages = (np.uint32(latest & (_SPAN_S - 1)) - rests) & _SECONDS
    return np.asarray(ages < max(0, WINDOW_S - (second - latest)), dtype=np.bool_)


def _first_of_each(words: Words, rests: Rests) -> "NDArray[np.intp] | None":
    """Indexes of the first occurrence of every distinct one, ascending; None when all are distinct."""
    ordered = np.sort(words)
    if len(words) < 2 or bool((ordered[1:] != ordered[:-1]).all()):
        return None
    low: Any = rests >> _SECONDS_BITS
    order = np.lexsort((low, words))
    changes = (words[order][1:] != words[order][:-1]) | (low[order][1:] != low[order][:-1])
    return np.sort(order[np.concatenate(([True], changes))])
