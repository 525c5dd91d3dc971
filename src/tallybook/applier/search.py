"""Finds events by transaction id in a log, without an index of the log.

When an id was accepted is held in memory, so only rows received in that second are looked into; its
repeats can only be in rows that are known to hold some. Of both only fingerprints are read.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
import xxhash

from tallybook.adapters.log.sqlite import LogRow, SqliteLog
from tallybook.applier.state import SECOND_MAX, State
from tallybook.metering.raw import sent_events
from tallybook.ports import RawEvent
from tallybook.values.instant import instant_of_micros, micros_of

ENTRIES_PER_ID_MAX = 100
"""So many entries of one id are told, the oldest."""
_ROWS_AT_ONCE = 65_536
_GAP_ROWS = 32
"""Reading so many rows in vain costs less than another query."""
_MICRO = timedelta(microseconds=1)

Places = dict[int, dict[int, bool]]
"""By row: the index of each event found, and whether it is a repeat."""


def search(
    log: SqliteLog, state: State, transaction_ids: Iterable[str], since: datetime, last_row: int
) -> list[RawEvent]:
    """Every event with one of these ids that was received at `since` or later, repeats too, in order."""
    ids = {xxhash.xxh3_128_digest(text.encode()): text for text in transaction_ids}
    if not ids:
        return []
    first_row = log.last_row_at(since - _MICRO, last_row) + 1
    places: Places = {}
    spans = _accepted_in(log, state, b"".join(ids), first_row, last_row)
    for after, until in spans:
        _look(log, ids, state.repeats_between(after + 1, until), (after, until), places)
    for begin in range(first_row, last_row + 1, _ROWS_AT_ONCE):
        end = min(begin + _ROWS_AT_ONCE, last_row + 1)
        repeats = state.repeats_between(begin, end - 1)
        seen = [range(after + 1, until + 1) for after, until in spans]
        # More rows may have been told of than were asked for.
        rows = [
            row for row in sorted(repeats) if begin <= row < end and not any(row in span for span in seen)
        ]
        for span in _spans_of(rows):
            _look(log, ids, repeats, span, places)
    return _limited(_read(log, places))


def _accepted_in(
    log: SqliteLog, state: State, fingerprints: bytes, first_row: int, last_row: int
) -> list[tuple[int, int]]:
    """The stretches of rows, as (after, until), that were received in the seconds of acceptance."""
    seconds = state.seconds_of(fingerprints)
    spans = []
    for second in np.unique(seconds[seconds >= 0]).tolist():
        after = log.last_row_at(instant_of_micros(second * 1_000_000) - _MICRO, last_row)
        until = last_row
        if second < SECOND_MAX:
            until = log.last_row_at(instant_of_micros((second + 1) * 1_000_000) - _MICRO, last_row)
        after = max(after, first_row - 1)
        if after < until:
            spans.append((after, until))
    return spans


def _spans_of(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches (after, until) that cover ascending rows."""
    start = 0
    for number, row in enumerate(rows):
        if number + 1 == len(rows) or rows[number + 1] > row + _GAP_ROWS:
            yield rows[start] - 1, row
            start = number + 1


def _look(
    log: SqliteLog, ids: dict[bytes, str], repeats: dict[int, bytes], span: tuple[int, int], places: Places
) -> None:
    """Note where the fingerprints of a stretch are those of wanted ids."""
    firsts = np.frombuffer(b"".join(ids), dtype="<u8")[::2]
    for row in log.read_fingerprints(*span):
        seen = np.frombuffer(row.fingerprints, dtype="<u8")[::2]
        likely = seen == firsts[0] if len(firsts) == 1 else np.isin(seen, firsts)
        for index in np.flatnonzero(likely).tolist():
            if row.fingerprints[16 * index : 16 * index + 16] in ids:
                places.setdefault(row.row, {})[index] = _is_repeat(repeats.get(row.row), index)


def _is_repeat(bits: bytes | None, index: int) -> bool:
    return bits is not None and bool(bits[index // 8] & (128 >> index % 8))


def _read(log: SqliteLog, places: Places) -> Iterator[RawEvent]:
    for number in sorted(places):
        row: LogRow = next(iter(log.read(number - 1, number)))
        indexes = sorted(places[number])
        for index, event in zip(indexes, sent_events(row.bodies, indexes), strict=True):
            yield RawEvent(
                position=(number, index),
                transaction_id=event.transaction_id,
                customer_id=event.customer_id,
                event_type=event.event_type,
                timestamp_micros=event.timestamp_micros,
                received_micros=micros_of(row.received_at),
                properties=event.properties,
                is_repeat=places[number][index],
            )


def _limited(events: Iterable[RawEvent]) -> list[RawEvent]:
    told: dict[str, int] = {}
    kept = []
    for event in events:
        count = told[event.transaction_id] = told.get(event.transaction_id, 0) + 1
        if count <= ENTRIES_PER_ID_MAX:
            kept.append(event)
    return kept
