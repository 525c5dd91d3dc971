"""Merges cells into their rows, thousands in one statement."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import msgspec

from tallybook.metering.cells import Cell, Group, Series, SeriesKey
from tallybook.values.quantity import ZERO, add, plain

_ROWS_PER_STATEMENT = 500
_DELTA_MAX = 2**53
_WHOLE_MAX = 2**62

Row = tuple[Any, ...]

_COUNTED = """INSERT INTO cells (metric, grouping, customer_key, hour, members, count, whole) {source}
    ON CONFLICT DO UPDATE SET count = count + excluded.count, whole = whole + excluded.whole"""
_WHOLE_ROWS = "INSERT OR REPLACE INTO cells {source}"
_VALUES = "INSERT OR IGNORE INTO distincts {source}"
_OLD = """SELECT count, whole, exact, max, latest_at, latest_row, latest_index, latest FROM cells
    WHERE metric = ? AND grouping = ? AND customer_key = ? AND hour = ? AND members = ?"""


def merge(connection: sqlite3.Connection, cells: Mapping[SeriesKey, Series]) -> None:
    """Merge cells into their rows. Raises sqlite3.Error."""
    connection.execute("SAVEPOINT merging")
    try:
        _write(connection, _COUNTED, 7, _counted(cells))
    except sqlite3.IntegrityError:
        # A sum has outgrown 64 bits: merge all of them outside the database, where sums have no bounds.
        connection.execute("ROLLBACK TO merging")
        everything: Iterable[Row] = _keyed(cells)
    else:
        everything = ((*key, cell) for *key, cell in _keyed(cells) if not _is_counted(cell))
    connection.execute("RELEASE merging")
    _write(connection, _WHOLE_ROWS, 13, (_merged(connection, *row) for row in everything))
    values = (
        (*key, value) for *key, cell in _keyed(cells) if cell.distinct is not None for value in cell.distinct
    )
    _write(connection, _VALUES, 6, values)


def _keyed(cells: Mapping[SeriesKey, Series]) -> Iterator[Row]:
    """The cells, each behind the five columns of its key."""
    texts: dict[Group, str] = {}
    for (metric, grouping, customer_key), series in cells.items():
        for (hour, group), cell in series.items():
            members = texts.get(group)
            if members is None:
                members = texts[group] = msgspec.json.encode(group).decode()
            yield metric, grouping, customer_key, hour, members, cell


def _is_counted(cell: Cell) -> bool:
    """Whether the database can merge it: nothing but a count and a sum of modest integers."""
    return cell.max is None and cell.latest is None and not cell.exact and abs(cell.whole) < _DELTA_MAX


def _counted(cells: Mapping[SeriesKey, Series]) -> Iterator[Row]:
    for *key, cell in _keyed(cells):
        if _is_counted(cell):
            yield (*key, cell.count, cell.whole)


def _merged(connection: sqlite3.Connection, *row: Any) -> Row:
    """The columns of a row after merging a cell into it."""
    *key, cell = row
    old = connection.execute(_OLD, key).fetchone()
    merged = Cell()
    merged.absorb(cell)
    if old is not None:
        merged.absorb(_read(old))
    total = add(Decimal(merged.whole), merged.exact)
    is_whole = not merged.exact and abs(merged.whole) < _WHOLE_MAX
    latest: Row = (None, None, None, None)
    if merged.latest is not None:
        latest = (*merged.latest[:3], plain(merged.latest[3]))
    return (
        *key,
        merged.count,
        merged.whole if is_whole else 0,
        None if is_whole else plain(total),
        None if merged.max is None else plain(merged.max),
        *latest,
    )


def _read(columns: Row) -> Cell:
    cell = Cell()
    cell.count, cell.whole, exact, maximum, at, row, index, latest = columns
    cell.exact = ZERO if exact is None else Decimal(exact)
    cell.max = None if maximum is None else Decimal(maximum)
    cell.latest = None if latest is None else (at, row, index, Decimal(latest))
    return cell


def _write(connection: sqlite3.Connection, statement: str, width: int, rows: Iterable[Row]) -> None:
    """Run a statement over many rows at once, in the order of their keys."""
    ordered = iter(sorted(rows, key=itemgetter(0, 1, 2, 3, 4)))
    marks = "(" + ", ".join("?" * width) + ")"
    while part := list(islice(ordered, _ROWS_PER_STATEMENT)):
        values = ", ".join([marks] * len(part))
        connection.execute(statement.format(source=f"VALUES {values}"), list(chain.from_iterable(part)))
