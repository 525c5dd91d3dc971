"""Reads RFC 3339 timestamps into microseconds since 1970, one by one or thousands at a time."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tallybook.values.instant import micros_of, parse_instant

Micros = NDArray[np.int64]
Flags = NDArray[np.bool_]

_FEW = 24
_MINUTES_KEPT = 100_000
_MICROS_PER_S = 1_000_000
_MINUTES: dict[str, int] = {}
_LENGTHS = frozenset((20, *range(22, 56)))
"""Of texts in the usual form: to the second, or with a point and digits, then Z or an offset."""
_WITH_FRACTION = range(21, 51)
_WITH_OFFSET_MIN = 25
_TENS = np.array((0, 2, 5, 8, 11, 14, 17))
_UNITS = _TENS + 1
_SEPARATORS = ((4, ord("-")), (7, ord("-")), (10, ord("T")), (13, ord(":")), (16, ord(":")))
_LEAST = np.array((0, 0, 1, 1, 0, 0, 0))[:, None]
_MOST = np.array((99, 99, 12, 31, 23, 59, 59))[:, None]


def micros_of_texts(texts: Sequence[str]) -> Micros:
    """Microseconds since 1970 of each text; finer fractions are cut. Raises Invalid for a bad one.

    Gives what `micros_of_text` gives for each, faster for many texts in the form
    `2026-01-31T10:00:00.123Z`.
    """
    if len(texts) < _FEW:
        return np.array([micros_of_text(text) for text in texts], dtype=np.int64)
    lengths = list(map(len, texts))
    different = set(lengths)
    if len(different) == 1:
        return _of_one_length(texts, lengths[0])
    micros = np.empty(len(texts), dtype=np.int64)
    each = np.array(lengths)
    for length in different:
        chosen = each == length
        micros[chosen] = _of_one_length(list(compress(texts, chosen.tolist())), length)
    return micros


def _of_one_length(texts: Sequence[str], length: int) -> Micros:
    joined = "".join(texts)
    if length not in _LENGTHS or len(texts) < _FEW or not joined.isascii():
        return np.array([micros_of_text(text) for text in texts], dtype=np.int64)
    rows: Any = np.frombuffer(joined.encode("ascii"), dtype=np.uint8).reshape(len(texts), length)
    columns = np.ascontiguousarray(rows.T)
    is_utc = columns[length - 1] == ord("Z")
    if is_utc.all():
        micros, usual = _read_columns(columns[: length - 1])
    elif not is_utc.any() and length >= _WITH_OFFSET_MIN:
        micros, usual = _read_columns(columns[: length - 6])
        offset, is_offset = _read_offset(columns[length - 6 :])
        micros -= offset
        usual &= is_offset
    else:
        return np.array([micros_of_text(text) for text in texts], dtype=np.int64)
    if not usual.all():
        for index in np.flatnonzero(~usual).tolist():
            micros[index] = micros_of_text(texts[index])
    return micros


def _read_columns(columns: NDArray[np.uint8]) -> tuple[Micros, Flags]:
    """The instants as if in UTC, one text a column, and which of them are in the usual form."""
    usual = np.ones(columns.shape[1], dtype=np.bool_)
    for place, separator in _SEPARATORS:
        usual &= columns[place] == separator
    digits = columns - np.uint8(ord("0"))
    usual &= ((digits[_TENS] <= 9) & (digits[_UNITS] <= 9)).all(axis=0)
    pairs = digits[_TENS].astype(np.int64) * 10 + digits[_UNITS]
    usual &= ((pairs >= _LEAST) & (pairs <= _MOST)).all(axis=0)
    century, year, month, day, hour, minute, second = pairs
    years = century * 100 + year
    # At either end of the calendar an offset may lead out of it: those are read one by one.
    usual &= (years > 1) & (years < 9_999)
    months = np.where(usual, (years * 12 + month - 1) - 1970 * 12, 0)
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    following = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    usual &= first + day <= following
    micros = ((((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second) * _MICROS_PER_S
    if len(columns) > 19:
        usual &= len(columns) in _WITH_FRACTION
        usual &= (columns[19] == ord(".")) & (digits[20:] <= 9).all(axis=0)
        scale = _MICROS_PER_S // 10
        for place in range(20, min(26, len(columns))):
            micros += digits[place].astype(np.int64) * scale
            scale //= 10
    return micros, usual


def _read_offset(columns: NDArray[np.uint8]) -> tuple[Micros, Flags]:
    """Offsets such as +05:30, and which of them are in that form."""
    digits = columns - np.uint8(ord("0"))
    is_east = columns[0] == ord("+")
    usual = (is_east | (columns[0] == ord("-"))) & (columns[3] == ord(":"))
    usual &= (digits[[1, 2, 4, 5]] <= 9).all(axis=0)
    pairs = digits[[1, 4]].astype(np.int64) * 10 + digits[[2, 5]]
    usual &= (pairs[0] <= 23) & (pairs[1] <= 59)
    size = (pairs[0] * 60 + pairs[1]) * 60 * _MICROS_PER_S
    return np.where(is_east, size, -size), usual


def micros_of_text(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 text; finer fractions are cut. Raises Invalid.

    Whole minutes are remembered, so that texts of one minute cost a look-up.

    >>> micros_of_text("1970-01-01T00:00:01.5Z")
    1500000
    """
    minute = _MINUTES.get(text[:17])
    tail = text[17:]
    if minute is not None and tail[-1:] == "Z" and tail.isascii():
        seconds, fraction = tail[:2], tail[3:-1]
        if seconds.isdigit() and seconds < "60" and len(seconds) == 2:
            if not fraction and len(tail) == 3:
                return minute + int(seconds) * _MICROS_PER_S
            if fraction.isdigit() and tail[2] == "." and len(fraction) <= 30:
                return minute + int(seconds) * _MICROS_PER_S + int(fraction[:6].ljust(6, "0"))
    return _micros_slowly(text)


def _micros_slowly(text: str) -> int:
    at = micros_of(parse_instant(text))
    if text[-1] == "Z":
        if len(_MINUTES) >= _MINUTES_KEPT:
            _MINUTES.clear()
        _MINUTES[text[:17]] = at - at % 60_000_000
    return at
