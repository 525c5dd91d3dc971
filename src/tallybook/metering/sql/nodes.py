"""What a checked query is made of: expressions, and the levels at which rows are gathered.

Nothing here comes from the text of a query but names of properties and literals, and both are data.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum


class Kind(Enum):
    """What an expression gives."""

    NUMBER = "a number"
    TEXT = "a text"
    LOOSE = "a property"
    """A property's text that is read as a number where one is needed."""
    INSTANT = "a timestamp"
    TRUTH = "a condition"
    NOTHING = "NULL"


@dataclass(frozen=True, slots=True)
class Node:
    """An expression over the rows of one level."""

    kind: Kind

    @property
    def parts(self) -> "tuple[Node, ...]":
        """The expressions inside."""
        return ()

    @property
    def weight(self) -> int:
        """How many nodes it has."""
        return 1

    def walk(self) -> "Iterator[Node]":
        """Itself and everything inside."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Property(Node):
    """A property of the event."""

    name: str


@dataclass(frozen=True, slots=True)
class EventType(Node):
    """The event's type."""


@dataclass(frozen=True, slots=True)
class Timestamp(Node):
    """When the usage happened."""


@dataclass(frozen=True, slots=True)
class Key(Node):
    """What the level below groups by."""

    index: int


@dataclass(frozen=True, slots=True)
class Total(Node):
    """What the level below aggregates."""

    index: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant; the value is a Decimal, a str, microseconds, a bool or None by kind."""

    value: Decimal | str | int | bool | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """An operator or function; names are ours, see `check.py` and `generate.py`."""

    name: str
    of: tuple[Node, ...]
    option: str = ""
    heft: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heft", 1 + sum(part.weight for part in self.of))

    @property
    def parts(self) -> tuple[Node, ...]:
        """The operands."""
        return self.of

    @property
    def weight(self) -> int:
        """How many nodes it has."""
        return self.heft


@dataclass(frozen=True, slots=True)
class Aggregate:
    """COUNT (`of` None counts rows), COUNT_DISTINCT, SUM, AVG, MIN, MAX, EARLIEST or LATEST."""

    name: str
    of: Node | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Rollup:
    """One level: the rows of `source` (None: events) that pass `where`, gathered by `keys`.

    Keys None gather everything into one row, also when there is nothing.
    """

    source: "Rollup | None"
    where: Node | None
    keys: tuple[Node, ...] | None
    totals: tuple[Aggregate, ...]

    @property
    def expressions(self) -> Iterator[Node]:
        """Every expression over the source's rows."""
        if self.where is not None:
            yield self.where
        yield from self.keys or ()
        yield from (total.of for total in self.totals if total.of is not None)


@dataclass(frozen=True, slots=True)
class SqlMetric:
    """A checked query: `value` and `groups` are told by the rows of `source` that pass `where`."""

    value_column: str
    columns: tuple[str, ...]
    """Names of the other output columns: usable as group keys."""
    value: Node
    groups: tuple[Node, ...]
    where: Node | None
    source: Rollup

    @property
    def levels(self) -> tuple[Rollup, ...]:
        """From events outwards."""
        levels = [self.source]
        while levels[0].source is not None:
            levels.insert(0, levels[0].source)
        return tuple(levels)
