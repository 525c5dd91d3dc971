"""Reads RFC 3339 timestamps into microseconds since 1970, one by one or thousands at a time."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tallybook.values.instant import micros_of, parse_instant

Micros = NDArray[np.int64]

_FEW = 24
_MINUTES_KEPT = 100_000
_MICROS_PER_S = 1_000_000
_MINUTES: dict[str, int] = {}
_LENGTHS = frozenset((20, *range(22, 51)))
"""Of texts in the usual form: to the second, or with a point and 1 to 29 digits, then Z."""
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
    micros, usual = _read_columns(columns, length)
    if not usual.all():
        for index in np.flatnonzero(~usual).tolist():
            micros[index] = micros_of_text(texts[index])
    return micros


def _read_columns(columns: NDArray[np.uint8], length: int) -> tuple[Micros, NDArray[np.bool_]]:
    """The instants, one text a column, and which of them are in the usual form; the rest is noise."""
    usual = columns[length - 1] == ord("Z")
    for place, separator in _SEPARATORS:
        usual &= columns[place] == separator
    digits = columns - np.uint8(ord("0"))
    usual &= ((digits[_TENS] <= 9) & (digits[_UNITS] <= 9)).all(axis=0)
    pairs = digits[_TENS].astype(np.int64) * 10 + digits[_UNITS]
    usual &= ((pairs >= _LEAST) & (pairs <= _MOST)).all(axis=0)
    century, year, month, day, hour, minute, second = pairs
    months = np.where(usual, ((century * 100 + year) * 12 + month - 1) - 1970 * 12, 0)
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    following = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    usual &= (first + day <= following) & (century + year > 0)
    micros = ((((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second) * _MICROS_PER_S
    if length > 20:
        usual &= columns[19] == ord(".")
        usual &= (digits[20 : length - 1] <= 9).all(axis=0)
        scale = _MICROS_PER_S // 10
        for place in range(20, min(26, length - 1)):
            micros += digits[place].astype(np.int64) * scale
            scale //= 10
    return micros, usual


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
