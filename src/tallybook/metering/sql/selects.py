"""Reads whole SELECTs: where rows come from, what names mean, and at which levels rows are gathered.

A sub-select that gathers nothing is only a way to name things, so its expressions take the place of
their names; what remains is a chain of levels, each gathering the one below (nodes.Rollup).
"""

from dataclasses import dataclass

from sqlglot import exp

from tallybook.metering.sql.check import Gathered, Rows, aggregate_name, is_aggregate
from tallybook.metering.sql.coercion import Building, Coercion, both
from tallybook.metering.sql.nodes import Aggregate as Gathering
from tallybook.metering.sql.nodes import EventType, Key, Kind, Node, Property, SqlMetric, Timestamp
from tallybook.metering.sql.syntax import parse
from tallybook.values.errors import Invalid

LEVELS_MAX = 8
COLUMNS_MAX = 50
_CLAUSES = {
    "joins": "JOIN (and a second table)",
    "laterals": "LATERAL",
    "order": "ORDER BY",
    "limit": "LIMIT",
    "offset": "OFFSET",
    "windows": "WINDOW",
    "qualify": "QUALIFY",
    "into": "INTO",
    "locks": "FOR UPDATE",
    "sample": "TABLESAMPLE",
    "hint": "a hint",
    "pivots": "PIVOT",
}


@dataclass(slots=True)
class Relation:
    """What a FROM offers: rows of a level (None: events) that pass a condition, under names."""

    level: Building | None
    where: Node | None
    columns: list[tuple[str, Node]] | None
    """None: the columns of events and every property."""
    names: tuple[str, ...]
    """What may stand before a column name."""
    field_name: str

    def column(self, parts: list[str]) -> Node:
        """What a dotted name stands for."""
        full = ".".join(parts)[:80]
        if len(parts) > 1 and parts[0].lower() in self.names:
            parts = parts[1:]
        return self._of_events(parts, full) if self.columns is None else self._of_columns(parts, full)

    def _of_events(self, parts: list[str], full: str) -> Node:
        if parts[0].lower() == "properties":
            if len(parts) == 2:
                return Property(Kind.LOOSE, parts[1])
            what = "names no property" if len(parts) == 1 else "looks inside a property"
            raise Invalid(f"{self.field_name}: {full} {what}; write properties.name")
        if len(parts) > 1:
            raise Invalid(f"{self.field_name}: column {full} is not known; write properties.name")
        name = parts[0].lower()
        if name in ("customer_id", "transaction_id"):
            reason = "a query sees one customer's events only, that filter is added by the system"
            remedy = f"leave it out, or write properties.{name} for a property of that name"
            raise Invalid(f"{self.field_name}: column {name} is not allowed: {reason}; {remedy}")
        if name == "event_type":
            return EventType(Kind.TEXT)
        return Timestamp(Kind.INSTANT) if name == "timestamp" else Property(Kind.LOOSE, parts[0])

    def _of_columns(self, parts: list[str], full: str) -> Node:
        found = named(self.columns or [], parts[0]) if len(parts) == 1 else None
        if found is None and len(parts) == 2 and parts[0].lower() == "properties":
            found = named(self.columns or [], parts[1])
        if found is None:
            known = ", ".join(name for name, _ in self.columns or [])[:200]
            raise Invalid(f"{self.field_name}: column {full} is not in the sub-select; it has {known}")
        return found


@dataclass(frozen=True, slots=True)
class Outer:
    """A sub-select of WITH and the names that it may use itself."""

    select: exp.Expr
    known: "dict[str, Outer]"


def named(columns: list[tuple[str, Node]], name: str) -> Node | None:
    """The column of that name; unless there is one, of that name in other case."""
    for wanted, known in ((name, [n for n, _ in columns]), (name.lower(), [n.lower() for n, _ in columns])):
        if wanted in known:
            return columns[known.index(wanted)][1]
    return None


class Selects:
    """Reads the SELECTs of one query."""

    def __init__(self, field_name: str) -> None:
        self.field_name = field_name

    def refuse(self, message: str) -> Invalid:
        """The error that tells what is wrong with the query."""
        return Invalid(f"{self.field_name}: {message}")

    def read(self, select: exp.Expr, known: dict[str, Outer], depth: int = 0) -> Relation:
        """What a SELECT offers to the one around it; `known` holds the names of WITH."""
        if not isinstance(select, exp.Select):
            raise self.refuse(f"{select.key.upper()} is not allowed; write one SELECT")
        if depth > LEVELS_MAX:
            raise self.refuse(f"has more than {LEVELS_MAX} nested sub-selects; write it flatter")
        self._check_clauses(select)
        known = self._with(select, known)
        source = self._source(select, known, depth)
        place = "in WHERE"
        rows = Rows(source, source.level, self.field_name, place)
        where = source.where
        if (clause := select.args.get("where")) is not None:
            where = both(where, rows.as_kind.truth(rows.read(clause.this)))
        items = select.expressions
        if any(isinstance(item, exp.Star) for item in items):
            return self._everything(select, source, where, depth)
        if not items or len(items) > COLUMNS_MAX:
            raise self.refuse(f"SELECT must name 1 to {COLUMNS_MAX} columns; it names {len(items)}")
        group, having = select.args.get("group"), select.args.get("having")
        scanned = [*items, having] if having is not None else items
        if group is not None or having is not None or _has_aggregate(scanned):
            relation = self._gathered(select, source, where)
        else:
            rows.place = "here"
            columns = [(name, rows.read(value)) for name, value in self._named(items)]
            relation = Relation(source.level, where, columns, (), self.field_name)
        return self._distinct(relation) if select.args.get("distinct") else relation

    def _check_clauses(self, select: exp.Select) -> None:
        for part, value in select.args.items():
            if not value or part in ("expressions", "from_", "where", "group", "having", "distinct", "with_"):
                continue
            word = _CLAUSES.get(part, part.upper().strip("_"))
            allowed = "the clauses are SELECT, FROM, WHERE, GROUP BY, HAVING and WITH"
            raise self.refuse(f"{word} is not allowed; {allowed}")
        distinct = select.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise self.refuse("DISTINCT ON is not allowed; use GROUP BY with LATEST or MAX")

    def _with(self, select: exp.Select, known: dict[str, Outer]) -> dict[str, Outer]:
        clause = select.args.get("with_")
        if clause is None:
            return known
        if clause.args.get("recursive"):
            raise self.refuse("WITH RECURSIVE is not allowed; a query has a fixed number of steps")
        known = dict(known)
        for part in clause.expressions:
            name = part.alias.lower()
            if part.alias_column_names or name == "events" or name in known:
                name = part.alias[:60]
                raise self.refuse(f"WITH {name} is not allowed; give it a name of its own, no column list")
            if part.args.get("materialized") is not None or part.args.get("search"):
                raise self.refuse("WITH ... AS MATERIALIZED is not allowed; leave the word out")
            known[name] = Outer(part.this, dict(known))
        return known

    def _source(self, select: exp.Select, known: dict[str, Outer], depth: int) -> Relation:
        clause = select.args.get("from_")
        if clause is None:
            raise self.refuse("FROM is missing; read FROM events")
        table = clause.this
        while isinstance(table, exp.Subquery) and isinstance(table.this, exp.Subquery | exp.Table):
            self._only_alias(table)
            alias = table.alias
            table = table.this
            if alias:
                table = table.copy()
                table.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
        if not isinstance(table, exp.Table | exp.Subquery):
            raise self.refuse(
                f"FROM {table.key.upper()} is not allowed; read FROM events or from a sub-select"
            )
        self._only_alias(table)
        alias = table.alias.lower()
        if isinstance(table, exp.Subquery):
            relation = self.read(table.this, known, depth + 1)
            relation.names = (alias,) if alias else ()
            return relation
        if not isinstance(table.this, exp.Identifier):
            name = table.this.name if isinstance(table.this, exp.Anonymous) else table.this.key.upper()
            raise self.refuse(
                f"FROM {name[:60]}(...) is not allowed: there is one table, events; read FROM events"
            )
        name = ".".join(part.name for part in table.parts)
        if name.lower() == "events":
            return Relation(None, None, None, (alias or "events",), self.field_name)
        outer = known.get(name.lower())
        if outer is None:
            raise self.refuse(
                f"table {name[:80]} is not allowed: there is one table, events; read FROM events"
            )
        relation = self.read(outer.select, outer.known, depth + 1)
        relation.names = (alias or name.lower(),)
        return relation

    def _only_alias(self, table: exp.Expr) -> None:
        for part, value in table.args.items():
            if value and part not in ("this", "alias", "db", "catalog"):
                raise self.refuse(
                    f"{_CLAUSES.get(part, part.upper().strip('_'))} is not allowed; leave it out"
                )
        alias = table.args.get("alias")
        if alias is not None and alias.args.get("columns"):
            raise self.refuse("a list of column names after the alias is not allowed; use AS inside")

    def _everything(self, select: exp.Select, source: Relation, where: Node | None, depth: int) -> Relation:
        star = select.expressions[0]
        if len(select.expressions) != 1 or any(star.args.values()) or select.args.get("group"):
            raise self.refuse("* is allowed alone, in a sub-select; name the columns")
        if depth == 0 or (select.args.get("distinct") and source.columns is None):
            raise self.refuse("* is not allowed here; name the columns")
        if select.args.get("having") is not None:
            raise self.refuse("HAVING needs GROUP BY; use WHERE")
        relation = Relation(source.level, where, source.columns, (), self.field_name)
        return self._distinct(relation) if select.args.get("distinct") else relation

    def _gathered(self, select: exp.Select, source: Relation, where: Node | None) -> Relation:
        items = self._named(select.expressions)
        rows = Rows(source, source.level, self.field_name, "in GROUP BY")
        clause = select.args.get("group")
        keys = None if clause is None else self._keys(clause, items, rows)
        rows.place = "inside an aggregate"
        level = Building(source.level, where, keys)
        gathered = Gathered(rows, level)
        columns = [(name, gathered.read(value)) for name, value in items]
        having = select.args.get("having")
        passing = None if having is None else gathered.as_kind.truth(gathered.read(having.this))
        return Relation(level, passing, columns, (), self.field_name)

    def _keys(self, clause: exp.Expr, items: list[tuple[str, exp.Expr]], rows: Rows) -> list[Node]:
        for part, value in clause.args.items():
            if value and part != "expressions":
                word = "GROUP BY ALL" if part == "all" else part.upper().replace("_", " ")
                raise self.refuse(f"{word} is not allowed; name what to group by")
        keys: list[Node] = []
        for item in clause.expressions:
            whole = item.this if isinstance(item, exp.Paren) else item
            value = self._aliased(whole, items)
            if _has_aggregate([value]):
                what = aggregate_name_in(value)
                raise self.refuse(f"{what} is not allowed in GROUP BY; name a column that is no aggregate")
            key = rows.read(value)
            if key not in keys:
                keys.append(key)
        return keys

    def _aliased(self, item: exp.Expr, items: list[tuple[str, exp.Expr]]) -> exp.Expr:
        """An item of GROUP BY: the output column of that name or number, else itself."""
        if isinstance(item, exp.Literal) and not item.is_string:
            number = str(item.this)
            if not number.isdecimal() or not 1 <= int(number) <= len(items):
                raise self.refuse(f"GROUP BY {number[:20]} names no column; count from 1 to {len(items)}")
            return items[int(number) - 1][1]
        if isinstance(item, exp.Column) and len(item.parts) == 1:
            for exact in (True, False):
                for name, value in items:
                    if name == item.name or (not exact and name.lower() == item.name.lower()):
                        return value
        return item

    def _distinct(self, relation: Relation) -> Relation:
        columns = relation.columns or []
        keys = list(dict.fromkeys(value for _, value in columns))
        level = Building(relation.level, relation.where, keys)
        told = [(name, Key(value.kind, keys.index(value))) for name, value in columns]
        return Relation(level, None, list(told), (), self.field_name)

    def _named(self, items: list[exp.Expr]) -> list[tuple[str, exp.Expr]]:
        """Output columns with their names; those without get one."""
        told: list[tuple[str, exp.Expr]] = []
        for place, item in enumerate(items, 1):
            value = item.this if isinstance(item, exp.Alias) else item
            name = item.alias if isinstance(item, exp.Alias) else _name_of(item)
            if not name or (not isinstance(item, exp.Alias | exp.Column) and name in [n for n, _ in told]):
                name = f"{name or 'column'}_{place}"
            if name in [known for known, _ in told]:
                raise self.refuse(f"two columns are named {name[:60]}; give one another name with AS")
            told.append((name, value))
        return told


def check_sql(text: str, field_name: str = "sql") -> SqlMetric:
    """The metric that a query describes (metering.md 2.7).

    The value is the output column named `value`, or else the first; the others are group keys.
    Raises Invalid naming `field_name`, what is not allowed, and what to write instead.
    """
    try:
        relation = Selects(field_name).read(parse(text, field_name), {})
        return _metric(relation, field_name)
    except RecursionError:
        raise Invalid(f"{field_name}: is nested too deeply; write it flatter") from None


def _metric(relation: Relation, field_name: str) -> SqlMetric:
    columns = relation.columns or []
    place = next((index for index, (name, _) in enumerate(columns) if name.lower() == "value"), 0)
    as_kind = Coercion(relation.level, field_name)
    value = as_kind.number(columns[place][1])
    others = [column for index, column in enumerate(columns) if index != place]
    level, where = relation.level, relation.where
    groups = [node for _, node in others]
    if level is None:
        # Rows that nothing gathers are summed, by what they are grouped by.
        keys = list(dict.fromkeys(groups))
        level = Building(None, where, keys)
        groups = [Key(node.kind, keys.index(node)) for node in groups]
        value, where = level.total(Gathering("SUM", value, Kind.NUMBER)), None
    return SqlMetric(
        value_column=columns[place][0],
        columns=tuple(name for name, _ in others),
        value=value,
        groups=tuple(groups),
        where=where,
        source=level.finished(),
    )


def aggregate_name_in(node: exp.Expr) -> str:
    """The first aggregate inside."""
    return next((aggregate_name(part) for part in node.walk() if is_aggregate(part)), "an aggregate")


def _has_aggregate(nodes: list[exp.Expr]) -> bool:
    return any(is_aggregate(part) for node in nodes for part in node.walk())


def _name_of(item: exp.Expr) -> str:
    if isinstance(item, exp.Column):
        return item.name
    if is_aggregate(item):
        return aggregate_name(item).lower()
    return "date_trunc" if isinstance(item, exp.TimestampTrunc) else ""
