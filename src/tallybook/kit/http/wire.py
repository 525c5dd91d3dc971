"""Wire forms: JSON in and out without floats, and errors that name the field and the remedy.

Requests are msgspec structs that refuse unknown fields; responses are structs whose UNSET fields
are left out. Numbers are Decimals in both directions; instants are UTC.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tallybook.values.errors import Invalid
from tallybook.values.explain import explain
from tallybook.values.ids import require_uuid
from tallybook.values.quantity import DIGITS_MAX, is_bounded, plain

__all__ = ["UNSET", "UnsetType"]

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every request body and query."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every response shape; fields that are UNSET are left out."""


class Data(Response, Generic[T], frozen=True):
    """The envelope of one answer."""

    data: T


class Page(Response, Generic[T], frozen=True):
    """The envelope of a list; `next_page` is None on the last page."""

    data: list[T]
    next_page: str | None


class Empty(Response, frozen=True):
    """An answer without content, `{}`."""


class Id(Response, frozen=True):
    """The id of the object created or changed."""

    id: str


class IdRequest(Request, frozen=True):
    """A request that names one object."""

    id: "Uuid"


Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 date-time with offset")]
Text = Annotated[str, Meta(min_length=1)]
# Ids are given out in lower case and taken only so: a body has no place to fold them without knowing
# which texts are ids and which are the caller's own.
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")]
CustomFields = dict[str, str]


def or_unset(value: T | None) -> T | UnsetType:
    """`value`, or UNSET in place of None, so that an answer leaves the field out."""
    return UNSET if value is None else value


def encode(value: Any) -> bytes:
    """JSON with plain decimal numbers: no exponent, no trailing zeros, never through a float."""
    return _ENCODER.encode(_printable(value))


_ENCODER = msgspec.json.Encoder()


def _printable(value: Any) -> Any:
    """`value` with its Decimals as the text they are printed in (design decision 36)."""
    if isinstance(value, Decimal):
        return msgspec.Raw(plain(value).encode())
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {name: _printable(item) for name, item in fields if item is not UNSET}
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def decode(body: bytes, shape: type[T]) -> T:
    """The request of type `shape` in a JSON body. Raises Invalid naming the field."""
    try:
        request = msgspec.json.decode(body, type=shape)
        normalised(request, "")

    except msgspec.ValidationError as error:
        raise Invalid(explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON ({error}); send a JSON document.") from None
    return request


def convert(values: dict[str, Any], shape: type[T]) -> T:
    """The query of type `shape` in texts as they stand in a URL. Raises Invalid naming the field."""
    try:
        query = msgspec.convert(values, shape, strict=False)
        normalised(query, "")

    except msgspec.ValidationError as error:
        raise Invalid(explain(str(error))) from None
    return query


def normalised(value: Any, path: str) -> Any:
    """`value` with every instant in UTC; raises Invalid on numbers or texts nothing can store."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            before = getattr(value, name)
            after = normalised(before, f"{path}.{name}" if path else name)
            if after is not before:
                msgspec.structs.force_setattr(value, name, after)
    elif isinstance(value, list):
        value[:] = [normalised(item, f"{path}[{index}]") for index, item in enumerate(value)]
    elif isinstance(value, dict):
        for key, item in value.items():
            normalised(key, path)
            value[key] = normalised(item, f"{path}.{key}" if path else key)
    elif isinstance(value, datetime):
        return _utc(value, path)
    elif isinstance(value, Decimal) and not is_bounded(value):
        raise Invalid(
            f"{path}: number out of range; send at most {DIGITS_MAX} digits on either side of the point"
        )
    elif isinstance(value, str) and not is_storable(value):
        raise Invalid(f"{path}: holds a NUL or half a surrogate pair; remove that character")
    return value


def is_storable(text: str) -> bool:
    """Whether every store can hold the text: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and (
        text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
    )


def _utc(instant: datetime, path: str) -> datetime:
    if instant.tzinfo is UTC:
        return instant
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise Invalid(f"{path}: date-time out of range; use years 0001 to 9999 in UTC") from None


def path_value(text: str, name: str, kind: Any) -> Any:
    """A path parameter: a UUID where `kind` is str, else a member of that enum. Raises Invalid naming it."""
    if kind is str:
        return require_uuid(text, name)
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"{name}: {text[:60]!r} is not known; use one of {', '.join(kind)}") from None
