"""One usage event as accepted: the fact that everything else is computed from."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tallybook.values.quantity import is_bounded, plain


@dataclass(frozen=True, slots=True)
class Event:
    """A usage event. `timestamp` is when the usage happened, `received_at` when we accepted it.

    `customer_id` is the key as sent: a customer's id or one of its ingest aliases. Properties hold
    JSON values; numbers are int or Decimal, never float.
    """

    transaction_id: str
    customer_id: str
    event_type: str
    timestamp: datetime
    properties: dict[str, Any]
    received_at: datetime
    position: tuple[int, int]
    """Where it stands in the log: the commit and the index inside it. Later is greater."""


def canonical_text(value: object) -> str | None:
    """The text by which filters and group keys compare a property (design decision 5).

    Booleans are `true` and `false`, numbers their shortest plain decimal, texts themselves, lists
    and objects their compact JSON. None (null or absent) does not exist.

    >>> canonical_text(True), canonical_text(Decimal("1.50")), canonical_text("")
    ('true', '1.5', '')
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return _number_text(value)
    return _json_text(value)


def _number_text(number: Decimal) -> str:
    return plain(number) if is_bounded(number) else str(number)


def _json_text(value: object) -> str:
    if isinstance(value, list):
        return "[" + ",".join(_json_member(item) for item in value) + "]"
    if isinstance(value, dict):
        members = (f"{_quoted(key)}:{_json_member(item)}" for key, item in sorted(value.items()))
        return "{" + ",".join(members) + "}"
    return str(value)


def _json_member(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return _quoted(value)
    return canonical_text(value) or "null"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
