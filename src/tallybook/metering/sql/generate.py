"""Writes the statements that answer a question about an SQL metric, in order, for DuckDB.

1. `texts`: one row per event of the scope with what the query needs of it, and its stretch: the number
   of the piece of time it lies in.
2. `parts`: those rows gathered as the query's innermost level does, but by stretch too, into parts from
   which the level's row for any run of stretches can be put together.
3. The running values at the ends of stretches, `bound` by `bound`: the whole query, where each bound
   sees the parts of the stretches up to it.
"""

# ruff: noqa: S608 - statements are put together here, of nothing that comes from outside: see expressions.py

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tallybook.metering.sql.expressions import (
    DIVIDE,
    MULTIPLY,
    PLAIN,
    Columns,
    Piece,
    divided,
    quoted,
    write,
)
from tallybook.metering.sql.nodes import (
    Aggregate,
    Call,
    Key,
    Kind,
    Literal,
    Node,
    Property,
    Rollup,
    SqlMetric,
    Total,
)

DIGITS_MAX = 38
WHOLE_KEPT = 16
"""No event may keep others from being counted: where the numbers of a property have so many digits before
and after the point that they cannot be added up, those with more than so many before it are left out."""
_PLAIN_NUMBER = r"-?0{0,100}[0-9]{1,100}(\.[0-9]{1,100})?"
_OTHER_NUMBER = r"-?[0-9]{1,200}(\.[0-9]{1,200})?[eE][+-]?[0-9]{1,4}"
# Timestamp, row and index in one number: 52, 43 and 31 bits.
_ORDER = (
    "CAST(timestamp AS HUGEINT) * 18889465931478580854784 + CAST(log_row AS HUGEINT) * 2147483648 + log_index"
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a query reads of an event."""

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    has_order: bool


@dataclass(frozen=True, slots=True)
class Digits:
    """The most digits before and after the point among the numbers of a property."""

    whole: int
    decimals: int
    total: int = 0
    """Digits before the point of the sum of all of them without their signs, or one more."""
    is_cut: bool = False
    """Whether some numbers have more: those with more before the point count for nothing then, and
    decimals beyond are rounded."""

    def fitted(self, events: int) -> "Digits":
        """Themselves, or such that so many numbers can be added up: see `WHOLE_KEPT`."""
        whole = max(self.whole, self.total) if events > 1 else self.whole
        if whole + self.decimals <= DIGITS_MAX:
            return self
        whole = min(self.whole, WHOLE_KEPT)
        return Digits(whole, DIGITS_MAX - whole - len(str(events)), is_cut=True)

    @property
    def is_narrow(self) -> bool:
        """Whether they fit a machine word."""
        return self.whole + self.decimals <= 18


def needs_of(metric: SqlMetric) -> Needs:
    """The properties that a query reads, as texts and as numbers."""
    texts = dict.fromkeys(node.name for node in _as_texts(metric.levels[0]))
    numbers: dict[str, None] = {}
    pairs = [(level.source, node) for level in metric.levels for node in level.expressions]
    pairs += [(metric.source, node) for node in (metric.value, metric.where) if node is not None]
    pairs += [(metric.source, node) for node in metric.groups]
    for source, whole in pairs:
        for node in whole.walk():
            if isinstance(node, Call) and node.name == "number":
                numbers |= dict.fromkeys(_read_in(node.of[0], source))
    has_order = any(total.name in ("EARLIEST", "LATEST") for total in metric.levels[0].totals)
    return Needs(tuple(texts), tuple(numbers), has_order)


def _as_texts(level: Rollup) -> Iterator[Property]:
    waiting = list(level.expressions)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Property):
            yield node
        elif not (isinstance(node, Call) and node.name == "number" and isinstance(node.of[0], Property)):
            waiting += node.parts


def _read_in(node: Node, source: Rollup | None) -> Iterator[str]:
    """The properties whose texts an expression over a level's rows can be."""
    if isinstance(node, Property):
        yield node.name
    elif isinstance(node, Key) and source is not None and source.keys is not None:
        yield from _read_in(source.keys[node.index], source.source)
    elif isinstance(node, Total) and source is not None:
        of = source.totals[node.index].of
        if of is not None:
            yield from _read_in(of, source.source)
    for part in node.parts:
        yield from _read_in(part, source)


def texts_statement(metric: SqlMetric, needs: Needs, stretch: str) -> str:
    """Creates `texts`; `stretch` is SQL that gives an event's stretch."""
    told = [f"{stretch} AS stretch", "timestamp", "event_type"]
    told += [f"{_property(name)} AS p{place}" for place, name in enumerate(needs.texts)]
    for place, name in enumerate(needs.numbers):
        text = _property(name)
        plain = f"CASE WHEN regexp_full_match({text}, '{_PLAIN_NUMBER}') THEN {text}"
        other = f"WHEN regexp_full_match({text}, '{_OTHER_NUMBER}') THEN {PLAIN}({text})"
        told.append(f"{plain} {other} END AS v{place}")
    if needs.has_order:
        told.append(f"{_ORDER} AS seq")
    where = " AND ".join(_early(metric.levels[0].where))
    return f"CREATE TEMP TABLE texts AS SELECT {', '.join(told)} FROM raw_events{where and ' WHERE ' + where}"


def _property(name: str) -> str:
    return f"map_extract_value(texts, {quoted(name)})"


def _early(where: Node | None) -> Iterator[str]:
    """The conditions that compare no numbers: they are known before the digits of numbers are."""
    if where is None:
        return
    sides = where.of if isinstance(where, Call) and where.name == "and" else (where,)
    for side in sides:
        if isinstance(side, Call) and side.name == "and":
            yield from _early(side)
        elif not any(isinstance(part, Call) and part.name == "number" for part in side.walk()):
            names = {part.name for part in side.walk() if isinstance(part, Property)}
            texts = {name: Piece(_property(name), Kind.LOOSE) for name in names}
            yield write(side, Columns(texts, {})).sql


def digits_statement(needs: Needs) -> str:
    """Tells how many events there are, then three columns for each number: see `Digits`."""
    told = ["count(*)"]
    for place in range(len(needs.numbers)):
        told.append(f"coalesce(max(length(ltrim(split_part(v{place}, '.', 1), '-0'))), 0)")
        told.append(f"coalesce(max(length(rtrim(split_part(v{place}, '.', 2), '0'))), 0)")
        # Only how long the sum is: a double tells that, with a margin for what it rounds.
        size = f"sum(abs(TRY_CAST(v{place} AS DOUBLE))) * 1.000001"
        told.append(f"CASE WHEN {size} >= 1 THEN CAST(floor(log10({size})) AS INTEGER) + 1 ELSE 0 END")
    return f"SELECT {', '.join(told)} FROM texts"


@dataclass(frozen=True, slots=True)
class Program:
    """The statements of one metric, once the digits of its numbers are known."""

    metric: SqlMetric
    needs: Needs
    digits: Mapping[str, Digits]

    def parts_statements(self, *, alone: bool = False) -> list[str]:
        """Create `parts` from `texts`.

        A distinct value counts in the first stretch that has it; `alone`: in each that has it.
        """
        level, columns = self.metric.levels[0], self.events()
        rows = self._rows(level, columns, "stretch AS h" + (", seq" if self.needs.has_order else ""))
        names = ["h", *(f"g{place}" for place in range(len(level.keys or ())))]
        told = [part for place, total in enumerate(level.totals) for part in _part_of(total, place)]
        distinct = [place for place, total in enumerate(level.totals) if total.name == "COUNT_DISTINCT"]
        if alone:
            told += [f"count(DISTINCT a{place}) AS c{place}" for place in distinct]
        by = ", ".join(names)
        if alone or not distinct:
            return [f"CREATE TEMP TABLE parts AS SELECT {', '.join([by, *told])} FROM ({rows}) GROUP BY {by}"]
        whole = f"(SELECT {', '.join([by, *told])} FROM rows GROUP BY {by}) p"
        for place in distinct:
            value = f"a{place}"
            first = ", ".join(["min(h) AS h", *names[1:]])
            values = ", ".join([*names[1:], value])
            new = f"SELECT {first} FROM rows WHERE {value} IS NOT NULL GROUP BY {values}"
            new = f"(SELECT {by}, count(*) AS c{place} FROM ({new}) GROUP BY {by}) d{place}"
            same = " AND ".join(f"d{place}.{name} IS NOT DISTINCT FROM p.{name}" for name in names)
            whole += f" LEFT JOIN {new} ON {same}"
        counts = [f"d{place}.c{place}" for place in distinct]
        return [
            f"CREATE TEMP TABLE rows AS {rows}",
            f"CREATE TEMP TABLE parts AS SELECT {', '.join(['p.*', *counts])} FROM {whole}",
        ]

    def values_statement(self, bounds: Sequence[int], groups: Sequence[int], *, alone: bool = False) -> str:
        """The values at the ends of some stretches: `bound`, the groups' columns, and the value.

        Rows of the same group are summed. `alone`: of each stretch by itself, whatever came before it.
        """
        bound = f"(SELECT unnest([{', '.join(map(str, bounds))}]) AS k)"
        first = self.metric.levels[0]
        seen = "SELECT b.k, p.* FROM {bound} b {join} JOIN parts p ON p.h {until} b.k"
        join, until = "LEFT" if first.keys is None else "", "=" if alone else "<="
        source = seen.format(bound=bound, join=join, until=until)
        return self._told(source, bound, groups)

    def changes_statement(self, groups: Sequence[int]) -> str:
        """The values of each stretch alone, for a metric whose values add up over stretches."""
        return self._told("SELECT h AS k, * FROM parts", "", groups)

    @property
    def adds_up(self) -> bool:
        """Whether the running value is the sum of the values of the stretches, each taken alone.

        So it is for one level of counts and sums, as long as only exact factors are applied to them.
        """
        metric = self.metric
        if len(metric.levels) != 1 or metric.where is not None:
            return False
        if any(isinstance(part, Total) for group in metric.groups for part in group.walk()):
            return False
        return self._adds_up(metric.value)[0]

    def _adds_up(self, node: Node) -> tuple[bool, bool]:
        """Whether an expression adds up over stretches, and whether it can be NULL."""
        if isinstance(node, Total):
            name = self.metric.source.totals[node.index].name
            return name in ("COUNT", "COUNT_DISTINCT", "SUM"), name == "SUM"
        if not isinstance(node, Call):
            return False, True
        inner = [self._adds_up(part) for part in node.of]
        adds, is_null = False, True
        if node.name == "negative":
            adds, is_null = inner[0]
        elif node.name in ("+", "-"):
            adds, is_null = all(adds and not is_null for adds, is_null in inner), False
        elif node.name == "coalesce" and len(node.of) == 2:
            other = node.of[1]
            adds, is_null = inner[0][0] and isinstance(other, Literal) and other.value == 0, False
        elif node.name in ("*", "/"):
            adds, is_null = self._is_scaled(node, inner)
        return adds, is_null

    def _is_scaled(self, node: Call, inner: Sequence[tuple[bool, bool]]) -> tuple[bool, bool]:
        factors = [isinstance(part, Literal) and part.value is not None for part in node.of]
        place = 0 if factors[1] else 1
        is_factor = factors[1] or (factors[0] and node.name == "*")
        written = write(node, self._level_columns()).sql
        is_exact = DIVIDE not in written and MULTIPLY not in written
        return is_factor and is_exact and inner[place][0], inner[place][1]

    def _level_columns(self) -> Columns:
        first = self.metric.levels[0]
        _, keys = self.keys(first, self.events())
        arguments = self.arguments(first, self.events())
        totals = [_merged(total, place, arguments[place]) for place, total in enumerate(first.totals)]
        return _level("", keys, totals)[1]

    def _told(self, source: str, bound: str, groups: Sequence[int]) -> str:
        first = self.metric.levels[0]
        _, keys = self.keys(first, self.events())
        arguments = self.arguments(first, self.events())
        totals = [_merged(total, place, arguments[place]) for place, total in enumerate(first.totals)]
        sql, columns = _level(source, keys, totals)
        for level in self.metric.levels[1:]:
            sql, columns = self._gathered(level, columns, sql, bound)
        told = ["k"]
        told += [f"{write(self.metric.groups[place], columns).sql} AS x{place}" for place in groups]
        told.append(f"{write(self.metric.value, columns).sql} AS v")
        where = "" if self.metric.where is None else f" WHERE {write(self.metric.where, columns).sql}"
        names = ", ".join(["k", *(f"x{place}" for place in groups)])
        rows = f"SELECT {', '.join(told)} FROM ({sql}){where}"
        return f"SELECT {names}, coalesce(sum(v), 0) FROM ({rows}) GROUP BY {names} ORDER BY k"

    def _gathered(self, level: Rollup, below: Columns, sql: str, bound: str) -> tuple[str, Columns]:
        rows = self._rows(level, below, "k, 1 AS m", source=f"({sql})")
        if level.keys is None and bound:
            rows = f"SELECT b.k AS bound, r.* FROM {bound} b LEFT JOIN ({rows}) r ON r.k = b.k"
            rows = f"SELECT bound AS k, * EXCLUDE (bound, k) FROM ({rows})"
        _, keys = self.keys(level, below)
        arguments = self.arguments(level, below)
        totals = [_direct(total, place, arguments[place]) for place, total in enumerate(level.totals)]
        return _level(rows, keys, totals)

    def events(self) -> Columns:
        """The columns of events."""
        texts, numbers = {}, {}
        for place, name in enumerate(self.needs.texts):
            decimals = self.digits[name].decimals if name in self.digits else 0
            texts[name] = Piece(f"p{place}", Kind.LOOSE, decimals)
        for place, name in enumerate(self.needs.numbers):
            digits = self.digits[name]
            numbers[name] = Piece(f"n{place}", Kind.NUMBER, digits.decimals, not digits.is_narrow)
        return Columns(texts, numbers)

    def _source(self) -> str:
        told = ["*"]
        for place, name in enumerate(self.needs.numbers):
            digits = self.digits[name]
            width = 18 if digits.is_narrow else DIGITS_MAX
            cast = "TRY_CAST" if digits.is_cut else "CAST"
            told.append(f"{cast}(v{place} AS DECIMAL({width},{digits.decimals})) AS n{place}")
        return f"(SELECT {', '.join(told)} FROM texts)"

    def _rows(self, level: Rollup, below: Columns, first: str, source: str = "") -> str:
        keys, _ = self.keys(level, below)
        told = [first, *(f"{piece.sql} AS g{place}" for place, piece in enumerate(keys))]
        arguments = self.arguments(level, below)
        told += [f"{piece.sql} AS a{place}" for place, piece in arguments.items() if piece is not None]
        where = "" if level.where is None else f" WHERE {write(level.where, below).sql}"
        return f"SELECT {', '.join(told)} FROM {source or self._source()}{where}"

    def keys(self, level: Rollup, below: Columns) -> tuple[list[Piece], list[Piece]]:
        """The level's keys as written over the rows below, and as its own columns."""
        written = [write(key, below) for key in level.keys or ()]
        own = [Piece(f"g{n}", key.kind, key.decimals, key.is_wide) for n, key in enumerate(written)]
        return written, own

    def arguments(self, level: Rollup, below: Columns) -> dict[int, Piece | None]:
        """What the level's aggregates are of; None where rows are counted."""
        pairs = enumerate(level.totals)
        return {place: None if total.of is None else write(total.of, below) for place, total in pairs}


def _part_of(total: Aggregate, place: int) -> list[str]:
    """What of an aggregate is kept for a stretch."""
    argument = f"a{place}"
    present = f"FILTER (WHERE {argument} IS NOT NULL)"
    order = "max" if total.name == "LATEST" else "min"
    return {
        "COUNT": [f"count({'*' if total.of is None else argument}) AS c{place}"],
        "COUNT_DISTINCT": [],
        "SUM": [f"sum({argument}) AS s{place}"],
        "AVG": [f"sum({argument}) AS s{place}", f"count({argument}) AS c{place}"],
        "MIN": [f"min({argument}) AS s{place}"],
        "MAX": [f"max({argument}) AS s{place}"],
    }.get(
        total.name,
        [f"arg_{order}({argument}, seq) {present} AS s{place}", f"{order}(seq) {present} AS o{place}"],
    )


def _merged(total: Aggregate, place: int, of: Piece | None) -> Piece:
    """An aggregate of several stretches, from what is kept of each."""
    name, decimals = total.name, 0 if of is None else of.decimals
    kept = f"s{place}"
    if name in ("COUNT", "COUNT_DISTINCT"):
        return Piece(f"CAST(coalesce(sum(c{place}), 0) AS DECIMAL(38,0))", Kind.NUMBER)
    if name == "SUM":
        return Piece(f"CAST(sum({kept}) AS DECIMAL(38,{decimals}))", Kind.NUMBER, decimals)
    if name == "AVG":
        return divided(f"sum({kept})", f"sum(c{place})", decimals)
    picked = {"LATEST": f"arg_max({kept}, o{place})", "EARLIEST": f"arg_min({kept}, o{place})"}
    return _typed(picked.get(name, f"{name.lower()}({kept})"), total.kind, decimals)


def _direct(total: Aggregate, place: int, of: Piece | None) -> Piece:
    """An aggregate of the rows of a level below."""
    argument, decimals = f"a{place}", 0 if of is None else of.decimals
    if total.name == "COUNT":
        counted = "m" if of is None else argument
        return Piece(f"CAST(count({counted}) AS DECIMAL(38,0))", Kind.NUMBER)
    if total.name == "COUNT_DISTINCT":
        return Piece(f"CAST(count(DISTINCT {argument}) AS DECIMAL(38,0))", Kind.NUMBER)
    if total.name == "AVG":
        return divided(f"sum({argument})", f"count({argument})", decimals)
    return _typed(f"{total.name.lower()}({argument})", total.kind, decimals)


def _typed(sql: str, kind: Kind, decimals: int) -> Piece:
    if kind is Kind.NUMBER:
        return Piece(f"CAST({sql} AS DECIMAL(38,{decimals}))", kind, decimals)
    return Piece(sql, kind, decimals)


def _level(rows: str, keys: Sequence[Piece], totals: Sequence[Piece]) -> tuple[str, Columns]:
    names = ", ".join(["k", *(key.sql for key in keys)])
    told = [names, *(f"{total.sql} AS t{place}" for place, total in enumerate(totals))]
    own = [Piece(f"t{place}", total.kind, total.decimals) for place, total in enumerate(totals)]
    return f"SELECT {', '.join(told)} FROM ({rows}) GROUP BY {names}", Columns({}, {}, list(keys), own)
