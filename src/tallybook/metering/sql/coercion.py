"""Which kinds of expressions go together, and what they become (see docs/reference/sql-metrics.md)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tallybook.metering.sql.nodes import (
    Aggregate,
    Call,
    EventType,
    Kind,
    Literal,
    Node,
    Rollup,
    Total,
)
from tallybook.values.errors import Invalid
from tallybook.values.instant import micros_of, parse_instant
from tallybook.values.quantity import parse_number, plain

NODES_MAX = 8_000

NULL = Literal(Kind.NOTHING, None)
_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2})(:\d{2}(?:\.\d{1,6})?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?"
)


@dataclass(slots=True)
class Building:
    """A level while its query is read: aggregates are added as they are met."""

    source: "Building | None"
    where: Node | None
    keys: list[Node] | None
    totals: list[Aggregate] = field(default_factory=list)

    def total(self, aggregate: Aggregate) -> Total:
        """The reference to an aggregate of this level."""
        if aggregate not in self.totals:
            self.totals.append(aggregate)
        return Total(aggregate.kind, self.totals.index(aggregate))

    def finished(self) -> Rollup:
        """The level as it is kept."""
        source = self.source.finished() if self.source is not None else None
        keys = None if self.keys is None else tuple(self.keys)
        return Rollup(source, self.where, keys, tuple(self.totals))


@dataclass(frozen=True, slots=True)
class Coercion:
    """Turns expressions over one level into the kinds that are needed."""

    level: Building | None
    """Whose keys and totals the expressions name; None: events."""
    field_name: str

    def refuse(self, message: str) -> Invalid:
        """The error that tells what is wrong with the query."""
        return Invalid(f"{self.field_name}: {message}")

    def number(self, node: Node) -> Node:
        """The same as a number; what is no number becomes NULL."""
        if node.kind is Kind.NUMBER:
            return node
        if isinstance(node, Literal) and node.kind is Kind.TEXT:
            value = parse_number(str(node.value))
            if value is None:
                raise self.refuse(
                    f"{str(node.value)[:60]!r} is no number, where one is needed; write a number"
                )
            return Literal(Kind.NUMBER, value)
        if node.kind is Kind.NOTHING:
            return Literal(Kind.NUMBER, None)
        is_type = isinstance(node, EventType) or self._is_total_of_type(node)
        if is_type or node.kind in (Kind.INSTANT, Kind.TRUTH):
            what = "event_type" if is_type else node.kind.value
            raise self.refuse(
                f"{what} cannot be used as a number; use a property, or CASE WHEN ... THEN 1 END"
            )
        if isinstance(node, Total) and node.kind is Kind.LOOSE and self.level is not None:
            # The latest number, not the number that the latest text may be (design decision 4).
            total = self.level.totals[node.index]
            if total.of is not None:
                inner = Coercion(self.level.source, self.field_name).number(total.of)
                return self.level.total(Aggregate(total.name, inner, Kind.NUMBER))
        if isinstance(node, Call) and node.name == "case" and node.kind is Kind.LOOSE:
            return self._case_of_numbers(node)
        return call("number", Kind.NUMBER, node)

    def _is_total_of_type(self, node: Node) -> bool:
        if not isinstance(node, Total) or self.level is None or node.kind is Kind.NUMBER:
            return False
        return isinstance(self.level.totals[node.index].of, EventType)

    def text(self, node: Node) -> Node:
        """The same as a text, as the canonical text of a value."""
        if node.kind is Kind.TEXT:
            return node
        if isinstance(node, Literal) and node.kind is Kind.NUMBER and node.value is not None:
            return Literal(Kind.TEXT, plain(node.value))  # type: ignore[arg-type]
        if node.kind is Kind.NOTHING:
            return Literal(Kind.TEXT, None)
        return call("text", Kind.TEXT, node)

    def instant(self, node: Node) -> Node:
        """The same as a timestamp: itself, or the one that a text literal writes."""
        if node.kind is Kind.INSTANT:
            return node
        if node.kind is Kind.NOTHING:
            return Literal(Kind.INSTANT, None)
        if isinstance(node, Literal) and node.kind is Kind.TEXT:
            return Literal(Kind.INSTANT, self._micros(str(node.value)))
        raise self.refuse(
            f"{node.kind.value} cannot be used as a timestamp; use the column timestamp, "
            "DATE_TRUNC of it, or a text such as '2026-01-31T00:00:00Z'"
        )

    def truth(self, node: Node) -> Node:
        """The same as a condition."""
        if node.kind is Kind.TRUTH:
            return node
        if node.kind is Kind.NOTHING:
            return Literal(Kind.TRUTH, None)
        raise self.refuse(
            f"{node.kind.value} is no condition; compare it with something, e.g. {_example(node)}"
        )

    def to(self, kind: Kind, node: Node) -> Node:
        """The same as `kind`."""
        if kind is Kind.LOOSE:
            return node if node.kind is not Kind.NOTHING else Literal(Kind.LOOSE, None)
        if kind is Kind.NOTHING:
            return node
        turn = {Kind.NUMBER: self.number, Kind.TEXT: self.text, Kind.INSTANT: self.instant}
        return turn.get(kind, self.truth)(node)

    def alike(self, nodes: Sequence[Node], *, is_numeric: bool = False) -> tuple[Kind, tuple[Node, ...]]:
        """The kind that all nodes share, and the nodes as that; properties as numbers if `is_numeric`."""
        kinds = {node.kind for node in nodes} - {Kind.NOTHING}
        if not kinds:
            return Kind.NOTHING, tuple(nodes)
        if len(kinds) == 1:
            kind = next(iter(kinds))
        elif kinds == {Kind.LOOSE, Kind.TEXT}:
            kind = Kind.LOOSE
        elif Kind.INSTANT in kinds:
            kind = Kind.INSTANT
        elif Kind.NUMBER in kinds:
            kind = Kind.NUMBER
        else:
            kind = Kind.TEXT
        if is_numeric and kind is Kind.LOOSE:
            kind = Kind.NUMBER
        if kind is Kind.NUMBER and Kind.TRUTH in kinds:
            raise self.refuse(
                "a condition and a number do not go together; use CASE WHEN ... THEN 1 ELSE 0 END"
            )
        return kind, tuple(self.to(kind, node) for node in nodes)

    def compared(self, name: str, left: Node, right: Node) -> Node:
        """A comparison: as numbers where one side is one, as texts where one side is one."""
        is_order = name not in ("=", "<>")
        kinds = {left.kind, right.kind}
        sides: tuple[Node, ...]
        if kinds in ({Kind.LOOSE, Kind.TEXT}, {Kind.LOOSE, Kind.TRUTH}):
            sides = (self.text(left), self.text(right))
        else:
            _, sides = self.alike((left, right), is_numeric=is_order)
        return call(name, Kind.TRUTH, *sides)

    def _case_of_numbers(self, node: Call) -> Node:
        branches = [
            part if place % 2 == 0 and place < len(node.of) - 1 else self.number(part)
            for place, part in enumerate(node.of)
        ]
        return call("case", Kind.NUMBER, *branches)

    def _micros(self, text: str) -> int:
        match = _DATE.fullmatch(text.strip())
        if match is not None:
            date, minutes, seconds, offset = match.groups()
            offset = offset or "Z"
            if offset != "Z":
                offset = offset[:3] + ":" + (offset[3:].lstrip(":") or "00")
            try:
                return micros_of(parse_instant(f"{date}T{minutes or '00:00'}{seconds or ':00'}{offset}"))
            except Invalid:
                pass
        raise self.refuse(f"{text[:60]!r} is no timestamp; write e.g. '2026-01-31' or '2026-01-31T00:00:00Z'")


def call(name: str, kind: Kind, *of: Node, option: str = "") -> Call:
    """A call, refused when the whole becomes too large: nested sub-selects can double it each time."""
    node = Call(kind, name, tuple(of), option)
    if node.weight > NODES_MAX:
        raise Invalid(f"sql: has more than {NODES_MAX} parts, sub-selects put together; write it simpler")
    return node


def both(first: Node | None, second: Node | None) -> Node | None:
    """Two conditions that must both hold; None holds always."""
    if first is None or second is None:
        return first or second
    return call("and", Kind.TRUTH, first, second)


def _example(node: Node) -> str:
    return "properties.is_free = 'true'" if node.kind in (Kind.LOOSE, Kind.TEXT) else "... > 0"
