"""Exact arithmetic that DuckDB lacks, as functions over texts; NULL in, NULL out.

They belong to a database and not to one of its connections, and end with the connection that added
them: whoever opens the database adds them, on a connection that is kept as long (RawEventStore).
"""

from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from tallybook.values.quantity import parse_number, plain


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Add the functions that `metering.sql.expressions` names to a database that has none yet."""
    texts = ["VARCHAR", "VARCHAR", "INTEGER"]
    functions: list[tuple[str, Callable[..., Any], list[str]]] = [
        ("exact_plain", _of_one, ["VARCHAR"]),
        ("exact_divide", _of_two(quotient), texts),
        ("exact_multiply", _of_two(product), texts),
    ]
    for name, function, types in functions:
        connection.create_function(
            name,
            function,
            [*types],
            "VARCHAR",
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def plain_text(text: str) -> str | None:
    """The number that a text writes, without exponent; None when it writes none."""
    number = parse_number(text)
    return None if number is None else plain(number)


def quotient(dividend: str, divisor: str, places: int) -> str | None:
    """The quotient rounded half even to so many decimals; None by zero.

    >>> quotient("-2", "3.0", 4)
    '-0.6667'
    """
    above, above_places = _units(dividend)
    below, below_places = _units(divisor)
    if not below:
        return None
    if below < 0:
        above, below = -above, -below
    return _shown(_rounded(above * 10 ** (places + below_places), below * 10**above_places), places)


def product(left: str, right: str, places: int) -> str:
    """The product rounded half even to so many decimals.

    >>> product("0.5", "0.25", 2)
    '0.12'
    """
    one, one_places = _units(left)
    other, other_places = _units(right)
    return _shown(_rounded(one * other * 10**places, 10 ** (one_places + other_places)), places)


def _units(text: str) -> tuple[int, int]:
    """A plain decimal as a whole number and the places to move its point."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), len(fraction)


def _rounded(above: int, below: int) -> int:
    """The quotient by a positive number, rounded half even."""
    found, rest = divmod(above, below)
    return found + (2 * rest > below or (2 * rest == below and found % 2 == 1))


def _shown(units: int, places: int) -> str:
    digits = str(abs(units)).rjust(places + 1, "0")
    sign = "-" if units < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def _of_one(column: Any) -> Any:
    return _texts([None if text is None else plain_text(text) for text in column.to_pylist()])


def _of_two(function: Callable[[str, str, int], str | None]) -> Callable[[Any, Any, Any], Any]:
    def over(lefts: Any, rights: Any, places: Any) -> Any:
        rows = zip(lefts.to_pylist(), rights.to_pylist(), places.to_pylist(), strict=True)
        return _texts([None if None in row else function(*row) for row in rows])

    return over


def _texts(values: list[str | None]) -> Any:
    return pa.array(values, pa.string())
