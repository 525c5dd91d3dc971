"""Writes expressions in the SQL of DuckDB, with exact decimal types throughout.

Nothing of a query's text gets here but property names and text literals, and those are written as
quoted strings. Every number is a DECIMAL(38, d); how many decimals d it has is known before the query
runs, so that nothing is rounded but what the rules say (docs/reference/sql-metrics.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tallybook.metering.sql.nodes import Call, EventType, Key, Kind, Literal, Node, Property, Timestamp, Total
from tallybook.values.quantity import parse_number, plain

PRODUCT_DECIMALS = 24
"""Products and quotients by a literal are exact up to so many decimals."""
QUOTIENT_DECIMALS = 20
"""Other quotients are rounded half even to so many decimals, or as many as the dividend has."""

DIVIDE, MULTIPLY, PLAIN = "exact_divide", "exact_multiply", "exact_plain"
"""Functions that the adapter adds to DuckDB, over texts: see adapters.sql_metrics.numbers."""

TYPES = {Kind.TEXT: "VARCHAR", Kind.LOOSE: "VARCHAR", Kind.NOTHING: "VARCHAR"}
TYPES |= {Kind.INSTANT: "BIGINT", Kind.TRUTH: "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Piece:
    """SQL of an expression. `decimals`: of the number, or that a number in the text can have."""

    sql: str
    kind: Kind
    decimals: int = 0
    is_wide: bool = True
    """Whether a number is a DECIMAL(38, decimals), and not a narrower one."""

    def at(self, decimals: int) -> str:
        """The number as DECIMAL(38, decimals)."""
        if self.is_wide and decimals == self.decimals:
            return self.sql
        return f"CAST({self.sql} AS DECIMAL(38,{decimals}))"

    @property
    def wide(self) -> str:
        """The number as DECIMAL(38, its decimals)."""
        return self.at(self.decimals)


@dataclass(frozen=True, slots=True)
class Columns:
    """What the rows below hold: of events the properties, of a level its keys and totals."""

    texts: Mapping[str, Piece]
    numbers: Mapping[str, Piece]
    keys: Sequence[Piece] = ()
    totals: Sequence[Piece] = ()


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def write(node: Node, columns: Columns) -> Piece:
    """The expression over rows with these columns."""
    if isinstance(node, Call):
        return _WRITERS[node.name](node, columns)
    if isinstance(node, Literal):
        return literal(node)
    if isinstance(node, Property):
        return columns.texts[node.name]
    if isinstance(node, Key):
        return columns.keys[node.index]
    if isinstance(node, Total):
        return columns.totals[node.index]
    assert isinstance(node, EventType | Timestamp)
    return Piece("event_type" if isinstance(node, EventType) else '"timestamp"', node.kind)


def literal(node: Literal) -> Piece:
    """A constant, or NULL of its kind."""
    value, kind = node.value, node.kind
    if kind is Kind.NUMBER:
        if value is None:
            return Piece("CAST(NULL AS DECIMAL(38,0))", kind)
        assert isinstance(value, Decimal)
        decimals = decimals_of(value)
        return Piece(f"CAST('{plain(value)}' AS DECIMAL(38,{decimals}))", kind, decimals)
    if value is None:
        return Piece(f"CAST(NULL AS {TYPES[kind]})", kind)
    if isinstance(value, str):
        number = parse_number(value)
        return Piece(quoted(value), kind, 0 if number is None else decimals_of(number))
    return Piece(str(value).upper() if isinstance(value, bool) else f"CAST({value} AS BIGINT)", kind)


def decimals_of(number: Decimal) -> int:
    """How many decimals a number needs.

    >>> decimals_of(Decimal("1.50")), decimals_of(Decimal("1E+2"))
    (1, 0)
    """
    return len(plain(number).partition(".")[2])


def divided(dividend: str, divisor: str, decimals: int) -> Piece:
    """The quotient of two numbers, of which the first has so many decimals; NULL by zero."""
    places = max(QUOTIENT_DECIMALS, decimals)
    sides = f"CAST({dividend} AS VARCHAR), CAST({divisor} AS VARCHAR)"
    sql = f"CAST({DIVIDE}({sides}, {places}) AS DECIMAL(38,{places}))"
    return Piece(sql, Kind.NUMBER, places)


def _alike(pieces: Sequence[Piece]) -> tuple[list[str], int]:
    decimals = max(piece.decimals for piece in pieces)
    if pieces[0].kind is Kind.NUMBER:
        return [piece.at(decimals) for piece in pieces], decimals
    return [piece.sql for piece in pieces], decimals


def _pieces(node: Call, columns: Columns) -> list[Piece]:
    return [write(part, columns) for part in node.of]


def _sum(node: Call, columns: Columns) -> Piece:
    (left, right), decimals = _alike(_pieces(node, columns))
    return Piece(f"({left} {node.name} {right})", node.kind, decimals)


def _product(node: Call, columns: Columns) -> Piece:
    left, right = _pieces(node, columns)
    return _multiplied(left, right)


def _multiplied(left: Piece, right: Piece) -> Piece:
    decimals = left.decimals + right.decimals
    if decimals <= PRODUCT_DECIMALS or 0 in (left.decimals, right.decimals):
        return Piece(f"({left.wide} * {right.wide})", Kind.NUMBER, decimals)
    decimals = max(PRODUCT_DECIMALS, left.decimals, right.decimals)
    sides = f"CAST({left.sql} AS VARCHAR), CAST({right.sql} AS VARCHAR)"
    return Piece(f"CAST({MULTIPLY}({sides}, {decimals}) AS DECIMAL(38,{decimals}))", Kind.NUMBER, decimals)


def _quotient(node: Call, columns: Columns) -> Piece:
    left, right = _pieces(node, columns)
    factor = reciprocal(node.of[1])
    if factor is not None and left.decimals + decimals_of(factor) <= PRODUCT_DECIMALS:
        return _multiplied(left, literal(Literal(Kind.NUMBER, factor)))
    return divided(left.sql, right.sql, left.decimals)


def reciprocal(node: Node) -> Decimal | None:
    """One divided by a literal, when that ends within few decimals.

    >>> reciprocal(Literal(Kind.NUMBER, Decimal(8)))
    Decimal('0.125')
    """
    if not isinstance(node, Literal) or not isinstance(node.value, Decimal) or not node.value:
        return None
    numerator, denominator = node.value.as_integer_ratio()
    power = 10**PRODUCT_DECIMALS
    if power * denominator % numerator:
        return None
    return Decimal(power * denominator // numerator).scaleb(-PRODUCT_DECIMALS).normalize()


def _negative(node: Call, columns: Columns) -> Piece:
    of = write(node.of[0], columns)
    return Piece(f"(-{of.wide})", node.kind, of.decimals)


def _round(node: Call, columns: Columns) -> Piece:
    of, places = write(node.of[0], columns), int(node.option)
    if places >= of.decimals:
        return of
    if places >= 0:
        return Piece(of.at(places), node.kind, places)
    return Piece(f"CAST(round({of.wide}, {places}) AS DECIMAL(38,0))", node.kind)


def _whole(node: Call, columns: Columns) -> Piece:
    return Piece(f"CAST({node.name}({write(node.of[0], columns).wide}) AS DECIMAL(38,0))", node.kind)


def _comparison(node: Call, columns: Columns) -> Piece:
    (left, right), _ = _alike(_pieces(node, columns))
    return Piece(f"({left} {node.name} {right})", node.kind)


def _in(node: Call, columns: Columns) -> Piece:
    (of, *values), _ = _alike(_pieces(node, columns))
    return Piece(f"({of} IN ({', '.join(values)}))", node.kind)


def _logic(node: Call, columns: Columns) -> Piece:
    inner = f" {node.name.upper()} ".join(piece.sql for piece in _pieces(node, columns))
    return Piece(f"({inner})", node.kind)


def _not(node: Call, columns: Columns) -> Piece:
    return Piece(f"(NOT {write(node.of[0], columns).sql})", node.kind)


def _is_null(node: Call, columns: Columns) -> Piece:
    return Piece(f"({write(node.of[0], columns).sql} IS NULL)", node.kind)


def _case(node: Call, columns: Columns) -> Piece:
    pieces = _pieces(node, columns)
    results, decimals = _alike([*pieces[1:-1:2], pieces[-1]])
    branches = zip(pieces[:-1:2], results, strict=False)
    inner = " ".join(f"WHEN {condition.sql} THEN {result}" for condition, result in branches)
    return Piece(f"CASE {inner} ELSE {results[-1]} END", node.kind, decimals)


def _function(node: Call, columns: Columns) -> Piece:
    items, decimals = _alike(_pieces(node, columns))
    return Piece(f"{node.name}({', '.join(items)})", node.kind, decimals)


def _truncated(node: Call, columns: Columns) -> Piece:
    of = write(node.of[0], columns).sql
    return Piece(f"epoch_us(date_trunc('{node.option.lower()}', make_timestamp({of})))", node.kind)


def _number(node: Call, columns: Columns) -> Piece:
    of = node.of[0]
    if isinstance(of, Property):
        return columns.numbers[of.name]
    piece = write(of, columns)
    return Piece(f"CAST({PLAIN}({piece.sql}) AS DECIMAL(38,{piece.decimals}))", node.kind, piece.decimals)


def _text(node: Call, columns: Columns) -> Piece:
    of = write(node.of[0], columns)
    if of.kind is Kind.NUMBER:
        text = f"CAST({of.sql} AS VARCHAR)"
        shown = f"rtrim(rtrim({text}, '0'), '.')" if of.decimals else text
        return Piece(shown, node.kind, of.decimals)
    if of.kind is Kind.INSTANT:
        fraction = (
            f"CASE WHEN {of.sql} % 1000000 = 0 THEN '' ELSE strftime(make_timestamp({of.sql}), '.%f') END"
        )
        second = f"strftime(make_timestamp({of.sql}), '%Y-%m-%dT%H:%M:%S')"
        return Piece(f"({second} || {fraction} || '+00:00')", node.kind)
    if of.kind is Kind.TRUTH:
        return Piece(f"CASE WHEN {of.sql} THEN 'true' WHEN NOT {of.sql} THEN 'false' END", node.kind)
    return Piece(of.sql, node.kind, of.decimals)


_WRITERS: dict[str, Callable[[Call, Columns], Piece]] = {
    "+": _sum,
    "-": _sum,
    "*": _product,
    "/": _quotient,
    "negative": _negative,
    "round": _round,
    "ceil": _whole,
    "floor": _whole,
    "in": _in,
    "and": _logic,
    "or": _logic,
    "not": _not,
    "is null": _is_null,
    "case": _case,
    "coalesce": _function,
    "greatest": _function,
    "least": _function,
    "trunc": _truncated,
    "number": _number,
    "text": _text,
    **dict.fromkeys(("=", "<>", "<", "<=", ">", ">="), _comparison),
}
