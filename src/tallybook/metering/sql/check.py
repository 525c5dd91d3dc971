"""Reads the expressions of a query: a short list of what may be written, everything else refused.

The syntax tree is walked with a whitelist of node classes and of the parts each may have; what comes
out is made of our own nodes only (metering.md 2.7).
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from sqlglot import exp

from tallybook.metering.sql.coercion import NULL, Building, Coercion, call
from tallybook.metering.sql.nodes import Aggregate, Key, Kind, Literal, Node
from tallybook.metering.sql.syntax import AGGREGATES, refused_function
from tallybook.values.errors import Invalid
from tallybook.values.quantity import parse_number

DEPTH_MAX = 60
UNITS = ("MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_INTEGERS = {"TINYINT", "SMALLINT", "INT", "BIGINT", "INT128"}
_DECIMALS = {"DECIMAL", "DOUBLE", "FLOAT", "BIGDECIMAL"}
_TEXTS = {"VARCHAR", "TEXT", "CHAR", "NVARCHAR"}
_INSTANTS = {"TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ", "DATETIME"}
_AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Count: "COUNT",
    exp.Sum: "SUM",
    exp.Avg: "AVG",
    exp.Min: "MIN",
    exp.Max: "MAX",
}
_WORDS: dict[type[exp.Expr], str] = {
    exp.Window: "a window function (OVER)",
    exp.Filter: "FILTER; use CASE WHEN inside the aggregate, which",
    exp.Subquery: "a sub-select inside an expression",
    exp.Select: "a sub-select inside an expression",
    exp.Exists: "EXISTS",
    exp.Star: "*",
    exp.Parameter: "a parameter",
    exp.Placeholder: "a parameter",
    exp.DPipe: "||",
    exp.Mod: "%",
    exp.Bracket: "[...]; write properties.name, which",
    exp.JSONExtract: "->; write properties.name, which",
    exp.JSONExtractScalar: "->>; write properties.name, which",
    exp.AtTimeZone: "AT TIME ZONE (everything is UTC)",
    exp.Order: "ORDER BY inside a function",
    exp.TimestampTrunc: "DATE_TRUNC",
}


class Names(Protocol):
    """What column names mean at one place of a query."""

    def column(self, parts: list[str]) -> Node:
        """What a dotted name stands for; raises Invalid when it stands for nothing."""
        ...


class Rows:
    """Reads expressions over the rows of a FROM; aggregates are refused."""

    def __init__(self, names: Names, level: Building | None, field_name: str, place: str) -> None:
        self.names = names
        self.as_kind = Coercion(level, field_name)
        self.field_name = field_name
        self.place = place

    def refuse(self, message: str) -> Invalid:
        """The error that tells what is wrong with the query."""
        return Invalid(f"{self.field_name}: {message}")

    def read(self, node: exp.Expr, depth: int = 0) -> Node:
        """The expression in our own nodes; raises Invalid naming what is not allowed."""
        if depth > DEPTH_MAX:
            raise self.refuse(f"an expression is nested more than {DEPTH_MAX} deep; write it flatter")
        reader = _READERS.get(type(node))
        if reader is not None:
            return reader(self, node, depth + 1)
        if is_aggregate(node):
            return self.aggregate(node, depth + 1)
        raise self._refused(node)

    def aggregate(self, node: exp.Expr, depth: int) -> Node:
        """An aggregate, where there may be one."""
        del depth
        remedy = "use a sub-select in FROM that gathers first"
        raise self.refuse(f"{aggregate_name(node)} is not allowed {self.place}; {remedy}")

    def only(self, node: exp.Expr, *parts: str) -> None:
        """Refuse a node that has other parts than these."""
        for part, value in node.args.items():
            if value and part not in parts:
                inner = value[0] if isinstance(value, list) else value
                word = _WORDS.get(type(inner)) or part.upper().strip("_")
                raise self.refuse(f"{_word_of(node)} with {word} is not allowed; leave it out")

    def _refused(self, node: exp.Expr) -> Invalid:
        if isinstance(node, exp.Anonymous):
            return refused_function(node.name, self.field_name)
        if isinstance(node, exp.Func) and type(node) not in _WORDS:
            return refused_function(node.sql_name(), self.field_name)
        return self.refuse(f"{_word_of(node)} is not allowed; see the reference of SQL metrics for what is")


class Gathered(Rows):
    """Reads what a gathered level shows: its keys, aggregates, and expressions over both."""

    def __init__(self, rows: Rows, level: Building) -> None:
        super().__init__(rows.names, level, rows.field_name, "inside an aggregate")
        self._rows = rows
        self._level = level

    def read(self, node: exp.Expr, depth: int = 0) -> Node:
        """As for rows; but columns must be keys of the level."""
        if isinstance(node, exp.Paren):
            return super().read(node, depth)
        if not any(is_aggregate(part) for part in node.walk()):
            whole = self._rows.read(node, depth)
            keys = self._level.keys or []
            if whole in keys:
                return Key(whole.kind, keys.index(whole))
            if not any(isinstance(part, exp.Column) for part in node.walk()):
                return whole
            if isinstance(node, exp.Column):
                name = ".".join(part.name for part in node.parts)
                remedy = "add it to GROUP BY, or gather it by an aggregate such as SUM or MAX"
                raise self.refuse(f"{name[:80]} is neither in GROUP BY nor inside an aggregate; {remedy}")
        return super().read(node, depth)

    def aggregate(self, node: exp.Expr, depth: int) -> Node:
        """Adds the aggregate to the level."""
        name = aggregate_name(node)
        argument = node.expressions if isinstance(node, exp.Anonymous) else [node.args.get("this")]
        self.only(node, "this", "expressions", "big_int")
        if len(argument) != 1 or (node.expressions and not isinstance(node, exp.Anonymous)):
            raise self.refuse(f"{name} takes one argument; give it one")
        inner = argument[0]
        if name == "COUNT" and (inner is None or isinstance(inner, exp.Star)):
            if inner is not None:
                self.only(inner)
            return self._level.total(Aggregate("COUNT", None, Kind.NUMBER))
        if inner is None:
            raise self.refuse(f"{name} takes one argument; give it one")
        if isinstance(inner, exp.Distinct):
            return self._distinct(name, inner, depth)
        of = self._rows.read(inner, depth)
        if name in ("EARLIEST", "LATEST") and self._level.source is not None:
            raise self.refuse(
                f"{name} goes by the timestamp of events; use it in the sub-select that reads events"
            )
        if name in ("SUM", "AVG") or (name in ("MIN", "MAX") and of.kind in (Kind.LOOSE, Kind.NOTHING)):
            of = self._rows.as_kind.number(of)
        kind = Kind.NUMBER if name == "COUNT" else of.kind
        return self._level.total(Aggregate(name, of, kind))

    def _distinct(self, name: str, node: exp.Distinct, depth: int) -> Node:
        self.only(node, "expressions")
        if name != "COUNT" or len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Tuple):
            message = "DISTINCT is allowed in COUNT(DISTINCT one_expression)"
            raise self.refuse(f"{name}: {message}; for several use a sub-select with SELECT DISTINCT")
        of = self._rows.read(node.expressions[0], depth)
        return self._level.total(Aggregate("COUNT_DISTINCT", of, Kind.NUMBER))


def is_aggregate(node: exp.Expr) -> bool:
    """Whether the node is COUNT, SUM, MAX, MIN, AVG, EARLIEST or LATEST."""
    if isinstance(node, exp.Anonymous):
        return node.name.upper() in AGGREGATES
    return type(node) in _AGGREGATES


def aggregate_name(node: exp.Expr) -> str:
    """COUNT and so on."""
    return node.name.upper() if isinstance(node, exp.Anonymous) else _AGGREGATES[type(node)]


def _word_of(node: exp.Expr) -> str:
    return _WORDS.get(type(node)) or (node.sql_name() if isinstance(node, exp.Func) else node.key.upper())


def _column(rows: Rows, node: exp.Expr, depth: int) -> Node:
    del depth
    assert isinstance(node, exp.Column)
    rows.only(node, "this", "table", "db", "catalog")
    if isinstance(node.this, exp.Star):
        raise rows.refuse("* is not allowed here; name the columns")
    return rows.names.column([part.name for part in node.parts])


def _literal(rows: Rows, node: exp.Expr, depth: int) -> Node:
    del depth
    assert isinstance(node, exp.Literal)
    if node.is_string:
        return Literal(Kind.TEXT, str(node.this))
    value = parse_number(str(node.this)) if len(str(node.this)) <= 60 else None
    if value is None or len(value.as_tuple().digits) > 38 or not -38 <= value.adjusted() <= 37:
        raise rows.refuse(f"{str(node.this)[:60]} is no number of at most 38 digits; shorten it")
    return Literal(Kind.NUMBER, value)


def _boolean(rows: Rows, node: exp.Expr, depth: int) -> Node:
    del rows, depth
    return Literal(Kind.TRUTH, bool(node.this))


def _null(rows: Rows, node: exp.Expr, depth: int) -> Node:
    del rows, node, depth
    return NULL


def _paren(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this")
    return rows.read(node.this, depth)


def _comparison(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expression")
    name = _COMPARISONS[type(node)]
    left, right = rows.read(node.this, depth), rows.read(node.expression, depth)
    return rows.as_kind.compared(name, left, right)


def _arithmetic(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expression", "typed", "safe")
    sides = (rows.read(node.this, depth), rows.read(node.expression, depth))
    return call(_ARITHMETIC[type(node)], Kind.NUMBER, *map(rows.as_kind.number, sides))


def _negative(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this")
    of = rows.as_kind.number(rows.read(node.this, depth))
    if isinstance(of, Literal) and isinstance(of.value, Decimal):
        return Literal(Kind.NUMBER, -of.value)
    return call("negative", Kind.NUMBER, of)


def _logic(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expression")
    name = "and" if isinstance(node, exp.And) else "or"
    sides = []
    inner: exp.Expr = node
    while type(inner) is type(node):  # a long chain is no deep nesting
        rows.only(inner, "this", "expression")
        sides.append(inner.expression)
        inner = inner.this
    sides.append(inner)
    return call(name, Kind.TRUTH, *(rows.as_kind.truth(rows.read(side, depth)) for side in reversed(sides)))


def _not(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this")
    return call("not", Kind.TRUTH, rows.as_kind.truth(rows.read(node.this, depth)))


def _is(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expression", "negate")
    of = rows.read(node.this, depth)
    if isinstance(node.expression, exp.Null):
        found: Node = call("is null", Kind.TRUTH, of)
    elif isinstance(node.expression, exp.Boolean):
        if of.kind is not Kind.TRUTH:
            raise rows.refuse("IS TRUE asks for a condition; for a property write properties.name = 'true'")
        false = Literal(Kind.TRUTH, value=False)
        same = of if node.expression.this else call("not", Kind.TRUTH, of)
        found = call("coalesce", Kind.TRUTH, same, false)
    else:
        raise rows.refuse("IS is allowed as IS NULL and IS NOT NULL; compare with = otherwise")
    return call("not", Kind.TRUTH, found) if node.args.get("negate") else found


def _in(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expressions")
    if not node.expressions:
        raise rows.refuse("IN with a sub-select is not allowed; list the values")
    of = rows.read(node.this, depth)
    by_kind: dict[Kind, list[Node]] = {}
    rest: list[Node] = []
    for item in node.expressions:
        value = rows.read(item, depth)
        if isinstance(value, Literal) and value.kind in (Kind.NUMBER, Kind.TEXT):
            by_kind.setdefault(value.kind, []).append(value)
        else:
            rest.append(rows.as_kind.compared("=", of, value))
    for kind, values in by_kind.items():
        wanted = kind if of.kind in (Kind.LOOSE, Kind.TEXT) else of.kind
        sides = [rows.as_kind.to(wanted, side) for side in (of, *values)]
        rest.append(call("in", Kind.TRUTH, *sides))
    return rest[0] if len(rest) == 1 else call("or", Kind.TRUTH, *rest)


def _between(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "low", "high")
    of = rows.read(node.this, depth)
    low = rows.as_kind.compared(">=", of, rows.read(node.args["low"], depth))
    return call("and", Kind.TRUTH, low, rows.as_kind.compared("<=", of, rows.read(node.args["high"], depth)))


def _case(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "ifs", "default")
    subject = rows.read(node.this, depth) if node.this is not None else None
    conditions, results = [], []
    for branch in node.args["ifs"]:
        rows.only(branch, "this", "true")
        condition = rows.read(branch.this, depth)
        if subject is not None:
            condition = rows.as_kind.compared("=", subject, condition)
        conditions.append(rows.as_kind.truth(condition))
        results.append(rows.read(branch.args["true"], depth))
    default = node.args.get("default")
    results.append(NULL if default is None else rows.read(default, depth))
    kind, results_alike = rows.as_kind.alike(results)
    pairs = [part for pair in zip(conditions, results_alike[:-1], strict=True) for part in pair]
    return call("case", kind, *pairs, results_alike[-1])


def _coalesce(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expressions")
    items = [rows.read(item, depth) for item in (node.this, *node.expressions)]
    kind, alike = rows.as_kind.alike(items)
    return call("coalesce", kind, *alike)


def _nullif(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expression")
    of = rows.read(node.this, depth)
    same = rows.as_kind.compared("=", of, rows.read(node.expression, depth))
    return call("case", of.kind, same, Literal(of.kind, None), of)


def _extreme(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "expressions", "ignore_nulls")
    items = [rows.read(item, depth) for item in (node.this, *node.expressions)]
    kind, alike = rows.as_kind.alike(items, is_numeric=True)
    return call("greatest" if isinstance(node, exp.Greatest) else "least", kind, *alike)


def _rounded(rows: Rows, node: exp.Expr, depth: int) -> Node:
    name = {exp.Round: "round", exp.Ceil: "ceil", exp.Floor: "floor"}[type(node)]  # type: ignore[index]
    rows.only(node, "this", *(["decimals"] if name == "round" else []))
    if node.this is None:
        raise rows.refuse(f"{name.upper()} takes a number; give it one")
    of = rows.as_kind.number(rows.read(node.this, depth))
    places = node.args.get("decimals")
    if places is None:
        return call(name, Kind.NUMBER, of, option="0")
    value = rows.read(places, depth)
    whole = value.value if isinstance(value, Literal) and isinstance(value.value, Decimal) else None
    if whole is None or whole != whole.to_integral_value() or not -20 <= whole <= 20:
        raise rows.refuse("ROUND takes the number of decimals as a whole number from -20 to 20; write one")
    return call(name, Kind.NUMBER, of, option=str(int(whole)))


def _truncated(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "unit")
    unit = node.args.get("unit")
    name = str(unit.name).upper() if unit is not None else ""
    if name not in UNITS:
        raise rows.refuse(
            f"DATE_TRUNC to {name[:40]!r} is not allowed; use one of {', '.join(UNITS).lower()}"
        )
    return call("trunc", Kind.INSTANT, rows.as_kind.instant(rows.read(node.this, depth)), option=name)


def _cast(rows: Rows, node: exp.Expr, depth: int) -> Node:
    rows.only(node, "this", "to", "safe", "_type")
    to = node.args["to"]
    name = to.this.name if isinstance(to, exp.DataType) and isinstance(to.this, exp.DType) else str(to.this)
    of = rows.read(node.this, depth)
    sizes = [str(part.this.this) for part in to.expressions if isinstance(part.this, exp.Literal)]
    if name in _INTEGERS and not sizes:
        return call("round", Kind.NUMBER, rows.as_kind.number(of), option="0")
    if name in _DECIMALS:
        number = rows.as_kind.number(of)
        if name != "DECIMAL" or not sizes:
            return number
        places = sizes[1] if len(sizes) > 1 else "0"
        if not places.isdecimal() or int(places) > 38:
            raise rows.refuse("CAST to DECIMAL takes the decimals as a whole number from 0 to 38; write one")
        return call("round", Kind.NUMBER, number, option=str(int(places)))
    if name in _TEXTS and not sizes:
        return rows.as_kind.text(of)
    if name in _INSTANTS and not sizes:
        return rows.as_kind.instant(of)
    told = f"{name}({', '.join(sizes)})" if sizes else name
    raise rows.refuse(
        f"CAST to {told[:60]} is not allowed; use one of INT, BIGINT, DECIMAL(38, decimals), "
        "NUMERIC, DOUBLE, VARCHAR, TEXT, TIMESTAMP"
    )


_READERS: dict[type[exp.Expr], Callable[[Rows, exp.Expr, int], Node]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: _boolean,
    exp.Null: _null,
    exp.Paren: _paren,
    exp.Neg: _negative,
    exp.And: _logic,
    exp.Or: _logic,
    exp.Not: _not,
    exp.Is: _is,
    exp.In: _in,
    exp.Between: _between,
    exp.Case: _case,
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.Greatest: _extreme,
    exp.Least: _extreme,
    exp.Round: _rounded,
    exp.Ceil: _rounded,
    exp.Floor: _rounded,
    exp.TimestampTrunc: _truncated,
    exp.Cast: _cast,
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
}
