"""Checks one ingest request and reads it into events. All of its events are good, or none is taken.

Rules: metering.md 1.1, 1.2; design decisions 1, 3, 4, 10.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import xxhash
from msgspec import Meta

from tallybook.values.errors import Invalid
from tallybook.values.explain import explain
from tallybook.values.instant import DAY, HOUR, format_instant, micros_of, parse_instant
from tallybook.values.quantity import parse_number

EVENTS_MAX = 100
PROPERTIES_MAX = 2_000
PAST = 34 * DAY
FUTURE = 24 * HOUR

_MINUTES_KEPT = 100_000
_MICROSECOND = timedelta(microseconds=1)


class WireEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One event of an ingest request."""

    transaction_id: Annotated[str, Meta(min_length=1, max_length=128)]
    customer_id: Annotated[str, Meta(min_length=1)]
    event_type: Annotated[str, Meta(min_length=1)]
    timestamp: Annotated[str, Meta(max_length=80)]
    properties: Annotated[dict[str, Any], Meta(max_length=PROPERTIES_MAX)] = {}


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of one request, with their timestamps in microseconds since 1970."""

    events: list[WireEvent]
    instants: list[int]


def _number(text: str) -> Decimal | str:
    """A JSON number with a point or an exponent; one out of bounds stays text and counts for nothing."""
    number = parse_number(text)
    return text if number is None else number


_EVENTS = msgspec.json.Decoder(list[WireEvent], float_hook=_number)
_MINUTES: dict[str, int] = {}


def decode_events(body: bytes) -> Batch:
    """The events in a request body, without asking how old they are. Raises Invalid."""
    try:
        events = _EVENTS.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(explain(str(error), "events")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON ({error}); send a JSON array of events.") from None
    instants = []
    for index, event in enumerate(events):
        try:
            instants.append(micros_of_text(event.timestamp))
        except Invalid as error:
            raise Invalid(f"events[{index}].{error.message}") from None
    return Batch(events, instants)


def accept_events(body: bytes, received_at: datetime) -> Batch:
    """The 1 to 100 events of a request body received at `received_at`.

    Raises Invalid naming the index and field of the first event that cannot be taken.
    """
    batch = decode_events(body)
    if not 1 <= len(batch.events) <= EVENTS_MAX:
        raise Invalid(f"events: got {len(batch.events)}; send a JSON array of 1 to {EVENTS_MAX} events")
    now = micros_of(received_at)
    earliest = now - PAST // _MICROSECOND
    latest = now + FUTURE // _MICROSECOND
    if min(batch.instants) < earliest or max(batch.instants) > latest:
        index = next(index for index, at in enumerate(batch.instants) if not earliest <= at <= latest)
        is_old = batch.instants[index] < earliest
        raise Invalid(
            _out_of_window(index, batch.events[index].timestamp, is_old=is_old, received_at=received_at)
        )
    return batch


def _out_of_window(index: int, text: str, *, is_old: bool, received_at: datetime) -> str:
    now = format_instant(received_at)
    rule = "more than 34 days before" if is_old else "more than 24 hours after"
    return f"events[{index}].timestamp: {text} is {rule} now ({now}); send events within that window"


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
                return minute + int(seconds) * 1_000_000
            if fraction.isdigit() and tail[2] == "." and len(fraction) <= 30:
                return minute + int(seconds) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return _micros_slowly(text)


def _micros_slowly(text: str) -> int:
    at = micros_of(parse_instant(text))
    if text[-1] == "Z":
        if len(_MINUTES) >= _MINUTES_KEPT:
            _MINUTES.clear()
        _MINUTES[text[:17]] = at - at % 60_000_000
    return at


def fingerprints_of(events: list[WireEvent]) -> bytes:
    """The 128-bit fingerprints of the transaction ids, 16 bytes each, in order."""
    digest = xxhash.xxh3_128_digest
    return b"".join([digest(event.transaction_id.encode()) for event in events])
