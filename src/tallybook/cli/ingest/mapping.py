"""Makes events of records: which column is what, and timestamps as the API wants them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tallybook.values.errors import Invalid
from tallybook.values.instant import parse_instant

ID_LENGTH_MAX = 128

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(:\d{2})?(?:[.,](\d{1,30}))? ?([Zz]|UTC|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)

Event = dict[str, Any]
"""An event as the ingest operation takes it; `transaction_id` is missing where it is still to be derived."""


class Unusable(Exception):
    """A record cannot become an event; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Where each field of an event comes from. A fixed value goes before a column."""

    customer_id: str | None = None
    customer_column: str | None = None
    event_type: str | None = None
    event_type_column: str | None = None
    timestamp_column: str | None = None
    transaction_id_column: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    """Column by name of the property."""
    takes_rest: bool = False
    """Whether every column not named otherwise becomes a property."""
    assumes_utc: bool = True
    """Whether a time without an offset is UTC; else it is refused."""


def event_maker(mapping: Mapping, columns: Sequence[str] | None) -> Callable[[dict[str, Any]], Event]:
    """The function from a record's values to an event; `columns` are a CSV file's, None for JSON lines.

    The function raises Unusable. Raises Invalid when a named column does not exist.
    """
    plan = _plan(mapping, columns)
    is_nested = columns is None and not mapping.properties and not mapping.takes_rest

    def make(values: dict[str, Any]) -> Event:
        event: Event = {}
        if plan.transaction_id is not None and values.get(plan.transaction_id) not in (None, ""):
            event["transaction_id"] = _text(values, plan.transaction_id, None, ID_LENGTH_MAX)
        event["customer_id"] = _text(values, plan.customer, mapping.customer_id)
        event["event_type"] = _text(values, plan.event_type, mapping.event_type)
        event["timestamp"] = timestamp_of(
            _text(values, plan.timestamp, None), plan.timestamp, assumes_utc=mapping.assumes_utc
        )
        event["properties"] = _nested(values, plan) if is_nested else _flat(values, plan, columns)
        return event

    return make


@dataclass(frozen=True, slots=True)
class _Plan:
    customer: str
    event_type: str
    timestamp: str
    transaction_id: str | None
    properties: dict[str, str]
    used: frozenset[str]
    takes_rest: bool


def _plan(mapping: Mapping, columns: Sequence[str] | None) -> _Plan:
    """Decide on every field's column; those not named have the API's own names."""
    customer = mapping.customer_column or "customer_id"
    event_type = mapping.event_type_column or "event_type"
    timestamp = mapping.timestamp_column or "timestamp"
    transaction_id = mapping.transaction_id_column or "transaction_id"
    needed = {"--timestamp-column": timestamp}
    if mapping.customer_id is None:
        needed["--customer-column (or --customer-id)"] = customer
    if mapping.event_type is None:
        needed["--event-type-column (or --event-type)"] = event_type
    if mapping.transaction_id_column is not None:
        needed["--transaction-id-column"] = transaction_id
    used = {*needed.values(), transaction_id}
    needed |= {f"--property {name}={column}": column for name, column in mapping.properties.items()}
    if columns is not None:
        for option, column in needed.items():
            if column not in columns:
                raise Invalid(f"{option}: there is no column {column!r}; there are {', '.join(columns)}")
    return _Plan(
        customer=customer,
        event_type=event_type,
        timestamp=timestamp,
        transaction_id=transaction_id,
        properties=mapping.properties,
        used=frozenset(used | set(mapping.properties.values())),
        takes_rest=mapping.takes_rest or (columns is not None and not mapping.properties),
    )


def _text(values: dict[str, Any], column: str, fixed: str | None, length_max: int | None = None) -> str:
    """A non-empty text: the fixed one, or the column's."""
    if fixed is not None:
        return fixed
    value = values.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Unusable(f"{column}: missing" if value is None else f"{column}: not a text")
    if not value:
        raise Unusable(f"{column}: empty")
    if length_max is not None and len(value) > length_max:
        raise Unusable(f"{column}: longer than {length_max} characters")
    return value


def _flat(values: dict[str, Any], plan: _Plan, columns: Sequence[str] | None) -> dict[str, Any]:
    """Properties out of columns. An empty CSV cell is no property: CSV cannot tell it from none."""
    chosen = {name: values.get(column) for name, column in plan.properties.items()}
    if plan.takes_rest:
        chosen |= {name: value for name, value in values.items() if name not in plan.used}
    absent = (None, "") if columns is not None else (None,)
    return {name: value for name, value in chosen.items() if value not in absent}


def _nested(values: dict[str, Any], plan: _Plan) -> dict[str, Any]:
    """Properties of an event in the documented shape."""
    for name in values:
        if name not in plan.used and name != "properties":
            raise Unusable(f"{name}: unknown field; map it with --property or --properties-rest")
    properties = values.get("properties")
    if properties is None:
        return {}
    if not isinstance(properties, dict):
        raise Unusable("properties: not an object")
    return properties


def timestamp_of(text: str, column: str = "timestamp", *, assumes_utc: bool = True) -> str:
    """The RFC 3339 text of a time as exports write it; finer than a microsecond is cut, never rounded.

    Raises Unusable.

    >>> timestamp_of("2023-11-16 18:17:03.9799600")
    '2023-11-16T18:17:03.979960Z'
    >>> timestamp_of("2023-11-16 18:17:03.99999999+0130")
    '2023-11-16T18:17:03.999999+01:30'
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise Unusable(f"{column}: {text[:40]!r} is not a date-time such as 2026-01-31 18:00:00Z")
    date, minutes, seconds, fraction, offset = match.groups()
    if offset is None:
        if not assumes_utc:
            raise Unusable(f"{column}: {text[:40]!r} has no offset; add one or use --assume-utc")
        offset = "Z"
    elif offset in {"UTC", "z"}:
        offset = "Z"
    elif offset != "Z" and ":" not in offset:
        offset = f"{offset[:3]}:{offset[3:]}"
    digits = f".{fraction[:6]}" if fraction else ""
    result = f"{date}T{minutes}{seconds or ':00'}{digits}{offset}"
    try:
        parse_instant(result, column)
    except Invalid as error:
        raise Unusable(error.message) from None
    return result
