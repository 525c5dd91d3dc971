"""Reads events back as they were sent, one by one, from bodies that were accepted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import GenericAlias
from typing import Any

import msgspec

from tallybook.metering.timestamps import micros_of_text
from tallybook.values.quantity import parse_number


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event of an ingest request. `properties` is its JSON as sent; None where there is none."""

    transaction_id: str
    customer_id: str
    event_type: str
    timestamp_micros: int
    properties: str | None


class _Wire(msgspec.Struct, gc=False):
    transaction_id: str
    customer_id: str
    event_type: str
    timestamp: str
    properties: msgspec.Raw = msgspec.Raw(b"null")  # never changed


_PARTS: "msgspec.json.Decoder[list[msgspec.Raw]]" = msgspec.json.Decoder(GenericAlias(list, (msgspec.Raw,)))
_EVENT = msgspec.json.Decoder(_Wire)


def sent_events(bodies: Sequence[bytes], indexes: Sequence[int]) -> list[SentEvent]:
    """The events with these numbers, ascending, among those of some bodies in order; only they are read."""
    found: list[SentEvent] = []
    begin = 0
    wanted = iter(indexes)
    index = next(wanted, None)
    for body in bodies:
        if index is None:
            break
        parts = _PARTS.decode(body)
        while index is not None and index - begin < len(parts):
            found.append(_read(parts[index - begin]))
            index = next(wanted, None)
        begin += len(parts)
    return found


def properties_of(text: str | None) -> dict[str, Any]:
    """The properties in a JSON text as metrics see them: numbers are int or Decimal, never float.

    Numbers out of bounds stay texts and count for nothing.
    """
    if text is None:
        return {}
    try:
        properties: dict[str, Any] = _PROPERTIES.decode(text)
    except msgspec.ValidationError:
        properties = json.loads(text, parse_int=_whole, parse_float=_number)
    return properties


def _read(part: msgspec.Raw) -> SentEvent:
    event = _EVENT.decode(part)
    properties = str(bytes(event.properties), "utf-8")
    return SentEvent(
        event.transaction_id,
        event.customer_id,
        event.event_type,
        micros_of_text(event.timestamp),
        None if properties == "null" else properties,
    )


def _number(text: str) -> Decimal | str:
    number = parse_number(text)
    return text if number is None else number


def _whole(text: str) -> int | str:
    return text if parse_number(text) is None else int(text)


_PROPERTIES: "msgspec.json.Decoder[dict[str, Any]]" = msgspec.json.Decoder(
    GenericAlias(dict, (str, Any)), float_hook=_number
)
