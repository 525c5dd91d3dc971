"""Reads one ingest request into columns. All of its events are good, or none is taken.

Only the properties that some metric reads become objects; the others are checked to be JSON and
skipped. Rules: metering.md 1.1, 1.2; design decisions 1, 3, 4, 10.
"""

import json
import re
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import numpy as np
import xxhash
from msgspec import Meta

from tallybook.metering.timestamps import Micros, micros_of_text, micros_of_texts
from tallybook.values.errors import Invalid
from tallybook.values.explain import explain
from tallybook.values.instant import DAY, HOUR, format_instant, micros_of
from tallybook.values.quantity import parse_number

EVENTS_MAX = 100
PROPERTIES_MAX = 2_000
NESTING_MAX = 64
"""Lists and objects may be so deep in one property; whoever makes text of them goes in as deep."""
PAST = 34 * DAY
FUTURE = 24 * HOUR

_PAST_MICROS = PAST // timedelta(microseconds=1)
_FUTURE_MICROS = FUTURE // timedelta(microseconds=1)
_DECODERS_KEPT = 64
_LONG = 2_048
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_GREAT_INTEGER = "Integer value out of range"

Wanted = tuple[str, ...]
"""Names of the properties to read, without repeats."""
UNREAD: Wanted = ("", "")
"""Wanted by who leaves reading to someone else: nothing but ids and timestamps becomes objects.

Nothing is ever wanted twice, so such columns never pass for what is wanted.
"""
Column = Sequence[Any]
"""One property of several events; None where an event lacks it or it is null."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Events side by side: the n-th entry of every column belongs to the n-th event."""

    customers: Sequence[str]
    event_types: Sequence[str]
    timestamps: Sequence[str]
    wanted: Wanted
    properties: tuple[Column, ...]
    """One column for every wanted property, in its order."""

    def __len__(self) -> int:
        return len(self.customers)


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of one request: their columns, and 16 bytes of fingerprint each."""

    columns: Columns
    fingerprints: bytes

    def __len__(self) -> int:
        return len(self.fingerprints) // 16


def joined(parts: Sequence[Columns]) -> Columns:
    """The events of several requests that were read for the same properties, in order."""
    if len(parts) == 1:
        return parts[0]
    customers: list[str] = []
    event_types: list[str] = []
    timestamps: list[str] = []
    properties: tuple[list[Any], ...] = tuple([[] for _ in parts[0].wanted])
    for part in parts:
        customers += part.customers
        event_types += part.event_types
        timestamps += part.timestamps
        for column, more in zip(properties, part.properties, strict=True):
            column.extend(more)
    return Columns(customers, event_types, timestamps, parts[0].wanted, properties)


def decode_events(body: bytes, wanted: Wanted = ()) -> Batch:
    """The events in a request body, without a look at their timestamps. Raises Invalid."""
    is_unread = wanted == UNREAD
    events = _events(body, () if is_unread else wanted)
    ids = [event.transaction_id for event in events]
    timestamps = [event.timestamp for event in events]
    fingerprints = b"".join(map(xxhash.xxh3_128_digest, map(str.encode, ids)))
    if is_unread:
        return Batch(Columns((), (), timestamps, UNREAD, ((), ())), fingerprints)
    properties = [event.properties for event in events]
    columns = Columns(
        [event.customer_id for event in events],
        [event.event_type for event in events],
        timestamps,
        wanted,
        _columns_of(properties, wanted),
    )
    return Batch(columns, fingerprints)


def reread_events(body: bytes, wanted: Wanted) -> Columns:
    """The events in a body that was accepted, without ids and timestamps."""
    if not _can_be_picked_out(wanted):
        return decode_events(body, wanted).columns
    try:
        events = _reader(wanted)[3].decode(body)
    except msgspec.ValidationError:
        return decode_events(body, wanted).columns
    properties = [event.properties for event in events]
    return Columns(
        [event.customer_id for event in events],
        [event.event_type for event in events],
        (),
        wanted,
        _columns_of(properties, wanted),
    )


def _columns_of(properties: list[Any], wanted: Wanted) -> tuple[Column, ...]:
    names = _reader(wanted)[1]
    if len(names) < 2 or None in properties or not properties:
        return tuple([[getattr(item, name, None) for item in properties] for name in names])
    return tuple(zip(*map(attrgetter(*names), properties), strict=True))


def accept_events(body: bytes, wanted: Wanted = ()) -> Batch:
    """The 1 to 100 events of a request body, without a look at their timestamps.

    Raises Invalid naming the index and field of the first event that cannot be taken.
    """
    batch = decode_events(body, wanted)
    if not 1 <= len(batch) <= EVENTS_MAX:
        raise Invalid(f"events: got {len(batch)}; send a JSON array of 1 to {EVENTS_MAX} events")
    # A list of events without nested properties needs so many brackets: few more cannot be deep.
    if _openings(body) > 2 * len(batch) + 1 + NESTING_MAX:
        _require_shallow(body)
    return batch


def _require_shallow(body: bytes) -> None:
    try:
        events = _read_all(body)
    except RecursionError:
        raise _too_deep("events") from None
    for index, event in enumerate(events):
        for name, value in (event.properties or {}).items():
            level, depth = [value], 0
            while level := [item for item in level if isinstance(item, list | dict)]:
                depth += 1
                if depth > NESTING_MAX:
                    raise _too_deep(f"events[{index}].properties.{name[:60]}")
                level = [inner for item in level for inner in _members(item)]


def _too_deep(field: str) -> Invalid:
    return Invalid(f"{field}: nested deeper than {NESTING_MAX} levels; flatten it")


def _members(value: "list[Any] | dict[str, Any]") -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def accept_timestamps(texts: Sequence[str], received_at: datetime, received_until: datetime) -> Micros:
    """The instants, in microseconds since 1970, of events received between two moments.

    Raises Invalid naming the index of the first that is no timestamp, or lies out of the window as
    seen from either moment.
    """
    try:
        instants = micros_of_texts(texts)
    except Invalid:
        _name_the_bad(texts)
        raise
    too_old = instants < micros_of(received_until) - _PAST_MICROS
    outside = too_old | (instants > micros_of(received_at) + _FUTURE_MICROS)
    if outside.any():
        index = int(np.argmax(outside))
        is_old = bool(too_old[index])
        raise Invalid(_out_of_window(index, texts[index], is_old=is_old, received_at=received_at))
    return instants


def _name_the_bad(texts: Iterable[str]) -> None:
    for index, text in enumerate(texts):
        try:
            micros_of_text(text)
        except Invalid as error:
            raise Invalid(f"events[{index}].{error.message}") from None


def _out_of_window(index: int, text: str, *, is_old: bool, received_at: datetime) -> str:
    now = format_instant(received_at)
    rule = "more than 34 days before" if is_old else "more than 24 hours after"
    return f"events[{index}].timestamp: {text} is {rule} now ({now}); send events within that window"


def _number(text: str) -> Decimal | str:
    """A JSON number with a point or an exponent; one out of bounds stays text and counts for nothing."""
    number = parse_number(text)
    return text if number is None else number


def _whole(text: str) -> int | str:
    """A JSON integer; one out of bounds stays text and counts for nothing."""
    return text if parse_number(text) is None else int(text)


def _events(body: bytes, wanted: Wanted) -> list[Any]:
    """The events of a body. Only the wanted properties are read where that is safe to do."""
    try:
        # Skipped text is not checked to be UTF-8, nor are skipped properties counted; 2,001 of them
        # need as many colons.
        is_safe = (body.isascii() or str(body, "utf-8")) and _colons(body) <= PROPERTIES_MAX
        if is_safe and _can_be_picked_out(wanted):
            decoded: list[Any] = _reader(wanted)[0].decode(body)
        else:
            decoded = _pick(_EVERYTHING.decode(body), wanted)
    except msgspec.ValidationError as error:
        if _GREAT_INTEGER not in str(error):
            raise Invalid(explain(str(error), "events")) from None
        return _pick(_with_great_integers(body), wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON ({error}); send a JSON array of events.") from None
    return decoded


def _read_all(body: bytes) -> list[Any]:
    """The events of a body that can be read, with all of their properties."""
    try:
        events: list[Any] = _EVERYTHING.decode(body)
    except msgspec.ValidationError as error:
        if _GREAT_INTEGER not in str(error):
            raise Invalid(explain(str(error), "events")) from None
        return _with_great_integers(body)
    return events


def _with_great_integers(body: bytes) -> list[Any]:
    """The events of a body with integers of thousands of digits, which count for nothing."""
    try:
        plain = json.loads(body, parse_int=_whole, parse_float=_number, parse_constant=_refuse)
        msgspec.json.encode(plain)  # raises where a text is half a surrogate pair
        events: list[Any] = msgspec.convert(plain, _ALL_OF_THEM)
    except msgspec.ValidationError as error:
        raise Invalid(explain(str(error), "events")) from None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON ({error}); send a JSON array of events.") from None
    return events


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _pick(events: list[Any], wanted: Wanted) -> list[Any]:
    """The same events with nothing but the wanted properties."""
    picked = _reader(wanted)[2]
    for event in events:
        known = event.properties or {}
        event.properties = picked(*[known.get(name) for name in wanted])
    return events


def _event_type(properties: Any) -> type[Any]:
    """The shape of one event of an ingest request."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        ("transaction_id", Annotated[str, Meta(min_length=1, max_length=128)]),
        ("customer_id", Annotated[str, Meta(min_length=1)]),
        ("event_type", Annotated[str, Meta(min_length=1)]),
        ("timestamp", Annotated[str, Meta(max_length=80)]),
        ("properties", properties | None, None),
    ]
    return msgspec.defstruct("WireEvent", fields, forbid_unknown_fields=True, gc=False)


def _list_of(item: type[Any]) -> Any:
    return types.GenericAlias(list, (item,))


_ALL_OF_THEM = _list_of(_event_type(Annotated[dict[str, Any], Meta(max_length=PROPERTIES_MAX)]))
_EVERYTHING = msgspec.json.Decoder(_ALL_OF_THEM, float_hook=_number)


def _colons(body: bytes) -> int:
    """How many colons a body has; counting them as bytes is slow where they are many."""
    if len(body) < _LONG:
        return body.count(b":")
    return int(np.count_nonzero(np.frombuffer(body, dtype=np.uint8) == ord(":")))


def _openings(body: bytes) -> int:
    """How many opening brackets and braces a body has."""
    if len(body) < _LONG:
        return body.count(b"[") + body.count(b"{")
    # The two differ in the bit that tells small letters from great ones, and no other pair ends there.
    return int(np.count_nonzero((np.frombuffer(body, dtype=np.uint8) | np.uint8(0x20)) == ord("{")))


@lru_cache(maxsize=_DECODERS_KEPT)
def _can_be_picked_out(wanted: Wanted) -> bool:
    """Whether a decoder can be told these names: it takes none that JSON must escape."""
    return not any(map(_ESCAPED.search, wanted))


@lru_cache(maxsize=_DECODERS_KEPT)
def _reader(wanted: Wanted) -> tuple[Any, tuple[str, ...], Any, Any]:
    """A decoder of events with nothing but the wanted properties, their attributes, their type.

    And a decoder of events that were accepted before, without ids and timestamps too.
    """
    names = tuple([f"p{number}" for number in range(len(wanted))])
    properties = msgspec.defstruct(
        "Properties",
        [(name, Any, None) for name in names],
        rename=dict(zip(names, wanted, strict=True)) if _can_be_picked_out(wanted) else None,
        gc=False,
    )
    decoder = msgspec.json.Decoder(_list_of(_event_type(properties)), float_hook=_number)
    known = msgspec.defstruct(
        "KnownEvent",
        [("customer_id", str), ("event_type", str), ("properties", properties | None, None)],
        gc=False,
    )
    return decoder, names, properties, msgspec.json.Decoder(_list_of(known), float_hook=_number)
