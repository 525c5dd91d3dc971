"""What tests of SQL metrics share: events in a table of DuckDB, questions, and plain computations."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import strategies as st

from tallybook.adapters.archive import RawScope
from tallybook.adapters.archive.rows import SCHEMA
from tallybook.adapters.sql_metrics import SqlMetricReader
from tallybook.adapters.sql_metrics.numbers import install
from tallybook.ports import UsageQuestion
from tallybook.values.event import canonical_text
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.quantity import parse_number

HOUR = 3_600_000_000
FIRST = 491_328
"""The hour 2026-01-19T00:00Z; events of these tests lie in the 40 hours that begin there."""
HOURS = 40


@dataclass(frozen=True)
class Sent:
    """One event of a test; `at` counts microseconds since FIRST."""

    at: int
    kind: str
    properties: dict[str, Any]
    place: int = 0
    customer: str = "c"

    @property
    def age(self) -> tuple[int, int]:
        return self.at, self.place

    @property
    def hour(self) -> int:
        return self.at // HOUR

    @property
    def day(self) -> int:
        return self.hour // 24

    def text(self, name: str) -> str | None:
        return canonical_text(self.properties.get(name))

    def number(self, name: str) -> Decimal | None:
        text = self.text(name)
        return None if text is None else parse_number(text)


@cache
def database() -> duckdb.DuckDBPyConnection:
    """One for all tests, as a server has one for all questions."""
    connection = duckdb.connect(config={"threads": 2})
    install(connection)
    return connection


class Table:
    """Raw events that lie in memory."""

    def __init__(self, events: Iterable[Sent]) -> None:
        self._events = list(events)

    @contextmanager
    def events(self, scope: RawScope) -> Iterator[duckdb.DuckDBPyConnection]:
        rows = [row for event in self._events if (row := self._row(event, scope))]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in SCHEMA]
        table = pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)],
            schema=SCHEMA,
        )
        connection = database().cursor()
        try:
            connection.register("stored", table)
            connection.execute("CREATE TEMP VIEW raw_events AS SELECT * FROM stored")
            yield connection
        finally:
            connection.close()

    def _row(self, event: Sent, scope: RawScope) -> list[Any] | None:
        micros = FIRST * HOUR + event.at
        keys = scope.customer_keys
        if not scope.micros_from <= micros < scope.micros_until or (keys and event.customer not in keys):
            return None
        texts = [(name, text) for name in event.properties if (text := event.text(name)) is not None]
        sent = json.dumps(event.properties, default=str)
        place = event.place
        return [place // 3, place % 3, f"t{place}", event.customer, event.kind, micros, 0, sent, texts]


def ask(
    events: Sequence[Sent],
    sql: str,
    grouping: tuple[str, ...] = (),
    cuts: tuple[int, ...] | None = (),
    **limits: timedelta,
) -> dict[tuple[int, tuple[str | None, ...]], Decimal]:
    """Increments by hour since FIRST and group."""
    metric = MetricDefinition("m", Aggregation.SQL, sql=sql)
    given = None if cuts is None else tuple(FIRST + cut for cut in cuts)
    question = UsageQuestion(metric, frozenset({"c"}), FIRST, FIRST + HOURS, grouping, given)
    cells = SqlMetricReader(Table(events), **limits).read(question)  # type: ignore[arg-type]
    assert len({(cell.hour, cell.group) for cell in cells}) == len(cells)
    return {(cell.hour - FIRST, cell.group): cell.tally.sum for cell in cells}


def value(events: Sequence[Sent], sql: str) -> Decimal:
    """What the query gives for all events."""
    return ask(events, sql).get((0, ()), Decimal(0))


AMOUNTS: list[Any] = [
    0,
    1,
    2,
    7,
    250,
    -3,
    Decimal("0.1"),
    Decimal("0.25"),
    Decimal("12.345"),
    "5",
    "1.50",
    "-0.5",
]
AMOUNTS += ["1e2", "25E-1", "007", "abc", "", " 1", "+1", "1,5", "NaN", True, None, ["1"]]


@st.composite
def many(draw: st.DrawFn, most: int = 25) -> list[Sent]:
    """Events of three kinds with properties of every sort, in any order of time."""
    properties = st.fixed_dictionaries(
        {},
        optional={
            "amount": st.sampled_from(AMOUNTS),
            "seats": st.sampled_from([1, 2, 3, "4", "none", 0]),
            "user_id": st.sampled_from(["ann", "bob", "cy", 7, "7"]),
            "region": st.sampled_from(["eu", "us", "", None, "it's"]),
            "status": st.sampled_from(["active", "gone"]),
            "my size": st.sampled_from(["10", 10, "9", "large"]),
        },
    )
    kinds = st.sampled_from(["api", "storage", "login"])
    moments = st.integers(0, HOURS * 6 - 1).map(lambda tenth: tenth * HOUR // 6)
    drawn = draw(st.lists(st.tuples(moments, kinds, properties), max_size=most))
    return [Sent(at, kind, given, place) for place, (at, kind, given) in enumerate(drawn)]


# Plain computations ---------------------------------------------------------------------------------

Answer = dict[tuple[str | None, ...], Decimal | None]
_ROOM = Context(prec=200, rounding=ROUND_HALF_EVEN)


def summed(numbers: Iterable[Decimal | None]) -> Decimal | None:
    known = [number for number in numbers if number is not None]
    return sum(known, Decimal(0)) if known else None


def greatest(numbers: Iterable[Decimal | None]) -> Decimal | None:
    return max([number for number in numbers if number is not None], default=None)


def least(numbers: Iterable[Decimal | None]) -> Decimal | None:
    return min([number for number in numbers if number is not None], default=None)


def over(dividend: Decimal | None, divisor: Decimal | None) -> Decimal | None:
    """The quotient to 20 decimals, half even; None by zero."""
    if dividend is None or divisor is None or not divisor:
        return None
    exact = _ROOM.divide(dividend, divisor)
    return exact.quantize(Decimal(1).scaleb(-20), context=_ROOM)


def mean(numbers: Iterable[Decimal | None]) -> Decimal | None:
    known = [number for number in numbers if number is not None]
    return over(summed(known), Decimal(len(known)))


def latest(events: Iterable[Sent], read: Callable[[Sent], Any]) -> Any:
    told = sorted((event for event in events if read(event) is not None), key=lambda event: event.age)
    return read(told[-1]) if told else None


def earliest(events: Iterable[Sent], read: Callable[[Sent], Any]) -> Any:
    told = sorted((event for event in events if read(event) is not None), key=lambda event: event.age)
    return read(told[0]) if told else None


def by(events: Iterable[Sent], key: Callable[[Sent], Any]) -> dict[Any, list[Sent]]:
    groups: dict[Any, list[Sent]] = {}
    for event in events:
        groups.setdefault(key(event), []).append(event)
    return groups


def away_from_zero(number: Decimal | None, places: int = 0) -> Decimal | None:
    return None if number is None else number.quantize(Decimal(1).scaleb(-places), rounding="ROUND_HALF_UP")
