"""Turns rows of the log into tables of accepted events: everything an event said, nothing rounded."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tallybook.adapters.archive.manifest import DAY_MICROS, RawScope
from tallybook.adapters.log.sqlite import LogRow
from tallybook.metering.timestamps import Micros, micros_of_texts
from tallybook.values.event import canonical_text
from tallybook.values.instant import micros_of
from tallybook.values.quantity import parse_number

EVENTS_AT_ONCE = 16_384

SCHEMA = pa.schema(
    [
        pa.field("log_row", pa.int64(), nullable=False),
        pa.field("log_index", pa.int32(), nullable=False),
        pa.field("transaction_id", pa.string(), nullable=False),
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("timestamp", pa.int64(), nullable=False),
        pa.field("received_at", pa.int64(), nullable=False),
        pa.field("properties", pa.string()),
        pa.field("texts", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)
_NULL = msgspec.Raw(b"null")


class _Event(msgspec.Struct, gc=False):
    """An event of the log; its properties as they came."""

    transaction_id: str
    customer_id: str
    event_type: str
    timestamp: str
    properties: msgspec.Raw = _NULL


def _number(text: str) -> Decimal | str:
    number = parse_number(text)
    return text if number is None else number


def _whole(text: str) -> int | str:
    return text if parse_number(text) is None else int(text)


_EVENTS = msgspec.json.Decoder(list[_Event])
_PROPERTIES = msgspec.json.Decoder(list[dict[str, Any] | None], float_hook=_number)


def table_of(rows: Sequence[LogRow], repeats: Mapping[int, bytes], scope: RawScope | None = None) -> pa.Table:
    """The accepted events of some rows in the order of the log, or those of them in `scope`.

    `repeats` holds a bit for every event of a row, set for those that are left out.
    """
    events: list[_Event] = []
    for row in rows:
        for body in row.bodies:
            events += _EVENTS.decode(body)
    counts = [row.events for row in rows]
    is_kept = np.concatenate([_accepted(row, repeats.get(row.row)) for row in rows])
    if scope is not None and scope.customer_keys is not None:
        keys = scope.customer_keys
        is_kept &= np.fromiter([event.customer_id in keys for event in events], np.bool_, len(events))
    instants: Micros = micros_of_texts([event.timestamp for event in events])
    if scope is not None:
        is_kept &= (instants >= scope.micros_from) & (instants < scope.micros_until)
    log_rows = np.repeat(np.array([row.row for row in rows], np.int64), counts)
    indexes = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
    received = np.repeat(np.array([micros_of(row.received_at) for row in rows], np.int64), counts)
    if not is_kept.all():
        events = [events[place] for place in np.flatnonzero(is_kept).tolist()]
        log_rows, indexes = log_rows[is_kept], indexes[is_kept]
        instants, received = instants[is_kept], received[is_kept]
    return _table(events, log_rows, indexes, instants, received)


def tables_of(
    rows: Iterable[LogRow], repeats: Mapping[int, bytes], scope: RawScope | None = None
) -> Iterator[pa.Table]:
    """The same for many rows, in parts, so that few events are objects at a time."""
    for some in in_parts(rows, EVENTS_AT_ONCE):
        yield table_of(some, repeats, scope)


def in_parts(rows: Iterable[LogRow], events: int, size: int = 1 << 62) -> Iterator[list[LogRow]]:
    """The rows in lists of about so many events or bytes."""
    some: list[LogRow] = []
    count = length = 0
    for row in rows:
        some.append(row)
        count += row.events
        length += sum(map(len, row.bodies))
        if count >= events or length >= size:
            yield some
            some, count, length = [], 0, 0
    if some:
        yield some


def clustered(table: pa.Table) -> pa.Table:
    """Events by day, customer, timestamp; those of one instant in the order of the log.

    The table must be in the order of the log.
    """
    customers = table.column("customer_id").combine_chunks().dictionary_encode()
    if isinstance(customers, pa.ChunkedArray):
        customers = customers.combine_chunks()
    order = pc.sort_indices(customers.dictionary).to_numpy()
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    instants = table.column("timestamp").to_numpy()
    ranked = ranks[customers.indices.to_numpy()] if len(order) else np.empty(0, np.int64)
    places = np.lexsort((instants, ranked, instants // DAY_MICROS))
    return table.take(pa.array(places))


def _accepted(row: LogRow, repeats: bytes | None) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    if repeats is None:
        return np.ones(row.events, dtype=np.bool_)
    bits = np.unpackbits(np.frombuffer(repeats, dtype=np.uint8), count=row.events)
    return np.asarray(bits == 0, dtype=np.bool_)


def _table(events: list[_Event], log_rows: Any, indexes: Any, instants: Micros, received: Any) -> pa.Table:
    raws = [bytes(event.properties) for event in events]
    known = _read(raws)
    sent = [None if item is None else raw for item, raw in zip(known, raws, strict=True)]
    return pa.Table.from_arrays(
        [
            pa.array(log_rows, pa.int64()),
            pa.array(indexes, pa.int32()),
            pa.array([event.transaction_id for event in events], pa.string()),
            pa.array([event.customer_id for event in events], pa.string()),
            pa.array([event.event_type for event in events], pa.string()),
            pa.array(instants, pa.int64()),
            pa.array(received, pa.int64()),
            pa.array(sent, pa.binary()).cast(pa.string()),
            _texts(known),
        ],
        schema=SCHEMA,
    )


def _read(raws: list[bytes]) -> list[dict[str, Any] | None]:
    """Properties as values: numbers are int or Decimal, those out of bounds are texts."""
    try:
        return _PROPERTIES.decode(b"[" + b",".join(raws) + b"]")
    except msgspec.ValidationError:  # an integer of thousands of digits
        return [json.loads(raw, parse_int=_whole, parse_float=_number) for raw in raws]


def _texts(known: list[dict[str, Any] | None]) -> pa.MapArray:
    names: list[str] = []
    values: list[Any] = []
    ends = np.zeros(len(known) + 1, dtype=np.int32)
    lengths = [0 if item is None else len(item) for item in known]
    np.cumsum(lengths, out=ends[1:])
    for item in known:
        if item:
            names.extend(item)
            values.extend(item.values())
    texts = [value if value.__class__ is str else canonical_text(value) for value in values]
    if None in texts:
        exists = np.fromiter([text is not None for text in texts], np.bool_, len(texts))
        ends = np.concatenate(([0], np.cumsum(exists, dtype=np.int32)))[ends].astype(np.int32)
        names = [name for name, text in zip(names, texts, strict=True) if text is not None]
        texts = [text for text in texts if text is not None]
    return pa.MapArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array(names, pa.string()), pa.array(texts, pa.string())
    )
