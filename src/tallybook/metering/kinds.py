"""Numbers things in the order in which they are first seen, thousands at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_BITS = 21
"""Each part of a code has so many bits; whoever numbers parts forgets before they run out."""
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FREE = -1


class Ordinals(dict[Any, int]):
    """Numbers keys from 0 in the order in which they are first asked for."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()
        self._new: list[tuple[int, Any]] = []

    def __missing__(self, key: Any) -> int:
        number = self[key] = len(self)
        self._new.append((number, key))
        return number

    def newest(self) -> list[tuple[int, Any]]:
        """The numbers and keys given since the last call."""
        newest, self._new = self._new, []
        return newest


class Triples:
    """Numbers triples of numbers below 2^21 from 0 in the order in which they are first asked for.

    An open-addressing table in numpy, so that thousands of look-ups wait for memory together.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._count = 0
        self._clear(1 << 12)

    def __len__(self) -> int:
        return self._count

    def number(self, first: Integers, second: Integers, third: Integers) -> tuple[Integers, Integers]:
        """The number of each triple, and the places of those seen for the first time."""
        codes = (((first << _BITS) | second) << _BITS) | third
        numbers = self._find(codes)
        missing = np.flatnonzero(numbers < 0)
        if not len(missing):
            return numbers, missing
        new, firsts = np.unique(codes[missing], return_index=True)
        order = np.argsort(firsts)
        self._make_room(len(new))
        self._insert(new[order], np.arange(self._count, self._count + len(new)))
        self._count += len(new)
        numbers[missing] = self._find(codes[missing])
        return numbers, missing[firsts[order]]

    def _clear(self, slots: int) -> None:
        self._codes: Integers = np.full(slots, _FREE, dtype=np.int64)
        self._numbers: Integers = np.zeros(slots, dtype=np.int64)
        self._shift = np.uint64(65 - slots.bit_length())

    def _first_slots(self, codes: Integers) -> Integers:
        slots: Integers = ((codes.view(np.uint64) * _SPREAD) >> self._shift).view(np.int64)
        return slots

    def _find(self, codes: Integers) -> Integers:
        """The number of each code, -1 where it has none."""
        numbers = np.full(len(codes), -1, dtype=np.int64)
        pending, slots = np.arange(len(codes)), self._first_slots(codes)
        while len(pending):
            held = self._codes[slots]
            is_mine = held == codes[pending]
            numbers[pending[is_mine]] = self._numbers[slots[is_mine]]
            going = ~is_mine & (held != _FREE)
            pending, slots = pending[going], (slots[going] + 1) & (len(self._codes) - 1)
        return numbers

    def _make_room(self, more: int) -> None:
        slots = len(self._codes)
        if (self._count + more) * 2 <= slots:
            return
        held = self._codes != _FREE
        codes, numbers = self._codes[held], self._numbers[held]
        while (self._count + more) * 2 > slots:
            slots *= 4
        self._clear(slots)
        self._insert(codes, numbers)

    def _insert(self, codes: Integers, numbers: Integers) -> None:
        """Insert codes that differ and are not held."""
        slots = self._first_slots(codes)
        while len(codes):
            free = self._codes[slots] == _FREE
            # Several may want one free slot: the last writer gets it, the others go on.
            self._codes[slots[free]] = codes[free]
            won = free & (self._codes[slots] == codes)
            self._numbers[slots[won]] = numbers[won]
            codes, numbers = codes[~won], numbers[~won]
            slots = (slots[~won] + 1) & (len(self._codes) - 1)
