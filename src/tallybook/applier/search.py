"""Finds events by transaction id in a log, without an index of the log.

When an id was accepted is held in memory, so only rows received in that second are looked into; its
repeats can only be in rows that are known to hold some. Of both only fingerprints are read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

import numpy as np
import xxhash
from numpy.typing import NDArray

from tallybook.adapters.log.sqlite import LogLook, SqliteLog
from tallybook.applier.state import SECOND_MAX, State
from tallybook.metering.raw import sent_events
from tallybook.ports import RawEvent
from tallybook.values.instant import micros_of

ENTRIES_PER_ID_MAX = 100
"""So many entries of one id are told, the oldest."""
_ROWS_AT_ONCE = 65_536
_GAP_ROWS = 32
"""Reading so many rows in vain costs less than another query."""
_SECOND_MICROS = 1_000_000

Span = tuple[int, int]
"""Rows after the first number up to the second."""
Place = tuple[int, int, bool]
"""A row, the index of an event inside it, and whether it is a repeat."""
Places = dict[bytes, list[Place]]
"""By fingerprint, in the order of the log."""


def search(
    log: SqliteLog, state: State, transaction_ids: Iterable[str], since: datetime, last_row: int
) -> list[RawEvent]:
    """Every event with one of these ids that was received in a later second than `since`, in order.

    Repeats too. In that very second, 34 days ago, an id may have been accepted that has been accepted
    again by now, and only one acceptance of an id is remembered.
    """
    places: Places = {xxhash.xxh3_128_digest(text.encode()): [] for text in transaction_ids}
    if not places:
        return []
    with log.looking() as look:
        first_micros = (micros_of(since) // _SECOND_MICROS + 1) * _SECOND_MICROS
        first_row = look.last_row_before(first_micros, log.first_row(), last_row) + 1
        spans = _accepted_in(look, state, b"".join(places), first_row, last_row)
        for begin in range(first_row, last_row + 1, _ROWS_AT_ONCE):
            end = min(begin + _ROWS_AT_ONCE, last_row + 1)
            repeats = state.repeats_between(begin, end - 1)
            clipped = [(max(after, begin - 1), min(until, end - 1)) for after, until in spans]
            rest = _spans_of(_rest(repeats, range(begin, end), spans))
            for after, until in sorted([*clipped, *rest]):
                if after < until:
                    _look(look, repeats, (after, until), places)
        return list(_read(look, [place for found in places.values() for place in found]))


def _accepted_in(
    look: LogLook, state: State, fingerprints: bytes, first_row: int, last_row: int
) -> list[Span]:
    """The stretches of rows that were received in the seconds of acceptance, in order."""
    seconds = state.seconds_of(fingerprints)
    spans = []
    for second in np.unique(seconds[seconds >= 0]).tolist():
        after = look.last_row_before(second * _SECOND_MICROS, first_row, last_row)
        until = last_row
        if second < SECOND_MAX:
            until = look.last_row_before((second + 1) * _SECOND_MICROS, after + 1, last_row)
        if after < until:
            spans.append((after, until))
    return spans


def _rest(rows: Iterable[int], wanted: range, spans: Sequence[Span]) -> list[int]:
    """Those of some rows that are wanted and lie in no span, ascending."""
    given = np.array(sorted(rows), dtype=np.int64)
    given = given[(given >= wanted.start) & (given < wanted.stop)]
    afters, untils = np.array([(-1, -1), *spans], dtype=np.int64).T
    # The last span that begins before a row is the only one that may hold it.
    nearest = np.searchsorted(afters, given) - 1
    rest: list[int] = given[given > untils[nearest]].tolist()
    return rest


def _spans_of(rows: Sequence[int]) -> Iterator[Span]:
    """Stretches that cover ascending rows."""
    start = 0
    for number, row in enumerate(rows):
        if number + 1 == len(rows) or rows[number + 1] > row + _GAP_ROWS:
            yield rows[start] - 1, row
            start = number + 1


def _look(look: LogLook, repeats: Mapping[int, bytes], span: Span, places: Places) -> None:
    """Note where the fingerprints of a stretch are wanted ones that have not been found often enough."""
    firsts = _firsts(places)
    for row in look.read_fingerprints(*span):
        seen = np.frombuffer(row.fingerprints, dtype="<u8")[::2]
        likely = seen == firsts[0] if len(firsts) == 1 else np.isin(seen, firsts)
        is_any_full = False
        for index in np.flatnonzero(likely).tolist():
            found = places.get(row.fingerprints[16 * index : 16 * index + 16])
            if found is not None and len(found) < ENTRIES_PER_ID_MAX:
                found.append((row.row, index, _is_repeat(repeats.get(row.row), index)))
                is_any_full |= len(found) == ENTRIES_PER_ID_MAX
        if is_any_full:
            firsts = _firsts(places)


def _firsts(places: Places) -> NDArray[np.uint64]:
    """The first halves of the fingerprints to look for."""
    wanted = [print_ for print_, found in places.items() if len(found) < ENTRIES_PER_ID_MAX]
    return np.frombuffer(b"".join(wanted), dtype="<u8")[::2]


def _is_repeat(bits: bytes | None, index: int) -> bool:
    return bits is not None and bool(bits[index // 8] & (128 >> index % 8))


def _read(look: LogLook, places: Iterable[Place]) -> Iterator[RawEvent]:
    """The events at some places, in the order of the log."""
    for number, group in groupby(sorted(places), key=lambda place: place[0]):
        row = look.read(number)
        if row is None:
            continue
        here = list(group)
        events = sent_events(row.bodies, [index for _, index, _ in here])
        for (_, index, is_repeat), event in zip(here, events, strict=True):
            yield RawEvent(
                position=(number, index),
                transaction_id=event.transaction_id,
                customer_id=event.customer_id,
                event_type=event.event_type,
                timestamp_micros=event.timestamp_micros,
                received_micros=micros_of(row.received_at),
                properties=event.properties,
                is_repeat=is_repeat,
            )
