"""Merges cells into their rows, thousands in one statement."""

import sqlite3
from decimal import Decimal
from itertools import chain
from typing import Any

from tallybook.metering.cells import Cell, Cells
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


def merge(connection: sqlite3.Connection, cells: Cells) -> None:
    """Merge cells into their rows. Raises sqlite3.Error."""
    plain, others = cells.apart()
    # The database can add up counts and modest integers.
    counted = [row for row in plain if -_DELTA_MAX < row[2] < _DELTA_MAX]
    if len(counted) < len(plain):
        others += [(key, Cell(*row)) for key, *row in plain if not -_DELTA_MAX < row[1] < _DELTA_MAX]
    connection.execute("SAVEPOINT merging")
    try:
        _write(connection, _COUNTED, [(*key, count, whole) for key, count, whole in counted])
    except sqlite3.IntegrityError:
        # A sum has outgrown 64 bits: merge all of them outside the database, where sums have no bounds.
        connection.execute("ROLLBACK TO merging")
        others += [(key, Cell(*row)) for key, *row in counted]
    connection.execute("RELEASE merging")
    _write(connection, _WHOLE_ROWS, [_merged(connection, key, cell) for key, cell in others])
    values = [(*key, value) for key, cell in others if cell.distinct is not None for value in cell.distinct]
    _write(connection, _VALUES, values)


def _merged(connection: sqlite3.Connection, key: Row, cell: Cell) -> Row:
    """The columns of a row after merging a cell into it."""
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


def _write(connection: sqlite3.Connection, statement: str, rows: list[Row]) -> None:
    """Run a statement over many rows at once."""
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        part = rows[start : start + _ROWS_PER_STATEMENT]
        marks = "(" + ", ".join("?" * len(part[0])) + ")"
        source = "VALUES " + ", ".join([marks] * len(part))
        connection.execute(statement.format(source=source), list(chain.from_iterable(part)))
