"""Cursor paging: opaque, bound to its list, stable while rows are inserted."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from tallybook.kit.http.wire import Page, Request, is_storable
from tallybook.values.errors import Invalid
from tallybook.values.instant import micros_of

T = TypeVar("T")
R = TypeVar("R")

LIMIT_DEFAULT = 50
_NUMBERS = range(micros_of(datetime.min.replace(tzinfo=UTC)), micros_of(datetime.max.replace(tzinfo=UTC)) + 1)
"""What a number in a cursor may be: an instant in microseconds, or anything smaller."""


class PageQuery(Request, frozen=True):
    """Query parameters of every paged list."""

    limit: Annotated[int, Meta(ge=1, le=100)] | None = None
    next_page: str | None = None


def encode_cursor(list_name: str, key: Sequence[int | str]) -> str:
    """An opaque text that holds the sort key after which the next page starts."""
    content = msgspec.json.encode(list(key))
    return base64.urlsafe_b64encode(_seal(list_name, content) + content).decode().rstrip("=")


def decode_cursor(list_name: str, cursor: str) -> list[Any]:
    """The sort key in a cursor of this list. Raises Invalid for anything else."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if raw[:6] == _seal(list_name, raw[6:]):
            key: list[Any] = msgspec.json.decode(raw[6:], type=list)
            return key
    except (binascii.Error, ValueError, msgspec.DecodeError):
        pass
    message = (
        "next_page: not a cursor of this list; pass the value of next_page from the page before, unchanged"
    )
    raise Invalid(message)


def start_after(list_name: str, cursor: str | None, kinds: tuple[type, ...]) -> Any:
    """The key in `cursor` as a tuple whose members are of `kinds`; None on the first page.

    Raises Invalid for a cursor that is not of this list.
    """
    if cursor is None:
        return None
    key = decode_cursor(list_name, cursor)
    if [type(part) for part in key] != list(kinds) or not all(_is_usable(part) for part in key):
        raise Invalid("next_page: not a cursor of this list; ask for its first page again")
    return tuple(key)


def _is_usable(part: int | str) -> bool:
    """Whether a store can compare with it: cursors are opaque, not secret, so they can be forged."""
    return part in _NUMBERS if isinstance(part, int) else is_storable(part)


def _seal(list_name: str, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=6, person=list_name.encode()[:16]).digest()


def page_of(
    list_name: str,
    rows: Sequence[R],
    limit: int,
    key: Callable[[R], Sequence[int | str]],
    render: Callable[[R], T],
) -> Page[T]:
    """The page made of the first `limit` of `rows`; ask the store for one row more than that.

    `key` gives the values that the list is sorted by, unique per row.
    """
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        data=[render(row) for row in shown],
        next_page=encode_cursor(list_name, key(shown[-1])) if more else None,
    )
