"""The numbers in a column of properties, thousands at a time (design decision 4)."""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from tallybook.metering.cells import Integers
from tallybook.metering.event import Column
from tallybook.metering.match import number_of

_WHOLE_MAX = 10**15
"""Integers below this are added up in 64 bits; greater ones one by one, exactly."""
_NUMBERS_MAX = 100_000
_NUMBER_LENGTH_MAX = 40
_WHOLE_TYPE: frozenset[type] = frozenset((int,))

Number = int | Decimal


class _Numbers(dict[str, Number | None]):
    """The numbers that texts are, remembered; small whole ones as integers."""

    def __missing__(self, text: str) -> Number | None:
        decimal = number_of(text)
        number: Number | None = decimal
        if decimal is not None and decimal.copy_abs() < _WHOLE_MAX and decimal == int(decimal):
            number = int(decimal)
        if len(text) <= _NUMBER_LENGTH_MAX:
            if len(self) >= _NUMBERS_MAX:
                self.clear()
            self[text] = number
        return number


_NUMBERS = _Numbers()


def small_and_whole(column: Column) -> tuple[Integers, list[tuple[int, Decimal]]]:
    """What can be added up in 64 bits, 0 elsewhere; and the other numbers with their indexes."""
    if _WHOLE_TYPE.issuperset(map(type, column)):
        try:
            wholes = np.array(column, dtype=np.int64)
        except OverflowError:
            pass
        else:
            if int(wholes.min()) > -_WHOLE_MAX and int(wholes.max()) < _WHOLE_MAX:
                return wholes, []
    numbers = numbers_of(column)
    if _WHOLE_TYPE.issuperset(map(type, numbers)):
        return np.array(numbers, dtype=np.int64), []
    wholes = np.array([number if number.__class__ is int else 0 for number in numbers], dtype=np.int64)
    return wholes, [(index, number) for index, number in enumerate(numbers) if number.__class__ is Decimal]


def numbers_of(column: Column) -> "list[Number | None]":
    """The numbers in a column; None where there is none. Integers are modest; decimals are in bounds."""
    return [
        _NUMBERS[value]
        if value.__class__ is str
        else value
        if value.__class__ is Decimal or (value.__class__ is int and -_WHOLE_MAX < value < _WHOLE_MAX)
        else number_of(value)
        for value in column
    ]


def greatest(kinds: list[int], numbers: "list[Number | None]") -> "dict[int, Number]":
    """The greatest number of each kind."""
    found: dict[int, Number] = {}
    for kind, number in zip(kinds, numbers, strict=True):
        if number is not None:
            known = found.get(kind)
            if known is None or number > known:
                found[kind] = number
    return found


def latest(
    kinds: list[int], places: "Iterable[tuple[int, int, Number | None]]"
) -> "dict[int, tuple[int, int, Number]]":
    """The latest of each kind that is a number: instant, place, number."""
    found: dict[int, tuple[int, int, Number]] = {}
    for kind, place in zip(kinds, places, strict=True):
        if place[2] is not None:
            known = found.get(kind)
            # The later in order wins among those of one instant.
            if known is None or place[0] >= known[0]:
                found[kind] = place  # type: ignore[assignment]  # its number is not None
    return found
