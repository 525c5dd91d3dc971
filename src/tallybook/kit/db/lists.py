"""What every store does with lists: look ids up in parts, and go on with a list after a place."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select

from tallybook.values.instant import instant_of_micros

T = TypeVar("T")
Row = TypeVar("Row", bound=tuple[Any, ...])

PART = 500
"""Databases bound how many values one query may name."""

Place = tuple[int, str]
"""An instant in microseconds since 1970, and an id: what lists in order of time are sorted by."""


def parts_of(values: Iterable[T]) -> Iterator[list[T]]:
    """The distinct values in their order, at most PART at a time."""
    distinct = list(dict.fromkeys(values))
    return (distinct[start : start + PART] for start in range(0, len(distinct), PART))


def page(
    query: Select[Row],
    at: ColumnElement[Any],
    key: ColumnElement[Any],
    after: Place | None,
    count: int | None,
    *,
    newest_first: bool = False,
) -> Select[Row]:
    """At most `count` rows (None: all) by the instant `at`, then the id `key`, that follow a place."""
    if after is not None:
        instant = instant_of_micros(after[0])
        is_later = at < instant if newest_first else at > instant
        follows = key < after[1] if newest_first else key > after[1]
        query = query.where(is_later | ((at == instant) & follows))
    order = (at.desc(), key.desc()) if newest_first else (at, key)
    return query.order_by(*order).limit(count)
