"""Reads the running value of an SQL metric and tells how much it rose in each stretch of time.

With V(t) for the value of the query over the events of [hour_from, t), a cell holds V(b) - V(a) for its
stretch [a, b) (metering.md 2.8). V(hour_from) counts as 0, so that the cells of a question add up to
the value over all of it, also where a query gives something for no events at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from tallybook.adapters.archive.manifest import RawScope
from tallybook.values.errors import Invalid, Unavailable
from tallybook.values.instant import format_instant, instant_of_micros
from tallybook.values.quantity import ZERO, add, plain, subtract
from tallybook.values.usage import Tally, UsageCell

if TYPE_CHECKING:
    import duckdb

    from tallybook.adapters.archive.store import RawEventStore
    from tallybook.metering.sql import Digits, Needs, Program, SqlMetric
    from tallybook.ports import UsageQuestion

HOUR_MICROS = 3_600_000_000
TIME_LIMIT = timedelta(seconds=30)
GROUPS_MAX = 100_000
ROWS_AT_ONCE = 4_000_000
"""Stretches are evaluated together as long as they see no more rows than this in all."""
RING_AGAIN_S = 0.05
_FETCHED = 10_000
_AGAIN = timedelta(milliseconds=50)

Group = tuple[str | None, ...]
Values = dict[Group, Decimal]


class SqlMetricReader:
    """Reads SQL metrics over raw events; sees every event acknowledged before a call began."""

    def __init__(self, raw: RawEventStore, time_limit: timedelta = TIME_LIMIT) -> None:
        self._raw = raw
        self._time_limit = time_limit

    def read(self, question: UsageQuestion) -> list[UsageCell]:
        """Increments of the running value, ordered by customer key, hour, group; none of zero.

        The customer's keys are taken together and told as the least of them; None asks for every key
        by itself. Where the question `restarts`, each cell holds the value of its stretch by itself
        instead. `grouping` names output columns of the query; the others are summed away. The tally
        holds the increment in `sum`; its count only says that there is one. Raises Invalid when the
        query cannot be computed exactly or has too many groups, Unavailable when it takes too long.
        """
        keys = question.customer_keys
        if keys is None:
            return [cell for key in self._keys(question) for cell in self._cells(question, frozenset({key}))]
        return self._cells(question, keys) if keys else []

    def _scope(self, question: UsageQuestion, keys: frozenset[str] | None) -> RawScope:
        begin, end = question.hour_from * HOUR_MICROS, question.hour_until * HOUR_MICROS
        return RawScope(keys, begin, end, is_whole=True)

    def _keys(self, question: UsageQuestion) -> list[str]:
        with self._raw.events(self._scope(question, None)) as connection:
            rows = connection.execute("SELECT DISTINCT customer_id FROM raw_events ORDER BY customer_id")
            return [key for (key,) in rows.fetchall()]

    def _cells(self, question: UsageQuestion, keys: frozenset[str]) -> list[UsageCell]:
        if question.hour_from >= question.hour_until:
            return []
        metric = _checked(question.metric.sql or "")
        groups = [_place(metric, name) for name in question.grouping]
        borders = question.borders or tuple(range(question.hour_from, question.hour_until + 1))
        key = min(keys)
        cells = []
        with self._raw.events(self._scope(question, keys)) as connection:
            run = Run(connection, metric, groups, question, self._time_limit)
            told = run.alone(borders) if question.restarts else run.increments(borders)
            for stretch, increments in told:
                cells += [
                    UsageCell(key, borders[stretch], group, Tally(count=1, sum=increments[group]))
                    for group in sorted(increments, key=_order)
                    if increments[group]
                ]
        return cells


def _order(group: Group) -> list[tuple[bool, str]]:
    return [(text is None, text or "") for text in group]


def _place(metric: SqlMetric, name: str) -> int:
    if name not in metric.columns:
        known = ", ".join(metric.columns) or "none"
        raise Invalid(f"group_key: {name!r} is no output column of the metric's query; its columns: {known}")
    return metric.columns.index(name)


@lru_cache(maxsize=256)
def _checked(sql: str) -> SqlMetric:
    from tallybook.metering.sql import check_sql  # noqa: PLC0415 - slow to load, and few need it

    return check_sql(sql)


class Run:
    """One question on one connection."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        metric: SqlMetric,
        groups: list[int],
        question: UsageQuestion,
        time_limit: timedelta,
    ) -> None:
        self._connection = connection
        self._metric = metric
        self._groups = groups
        self._id = question.metric.id
        self._time_limit = time_limit

    def increments(self, borders: Sequence[int]) -> list[tuple[int, Values]]:
        """How much each group rose in each stretch between neighbouring borders, where any did."""
        with self._limited():
            program = self._prepare(borders)
            told = list(self._told(program, is_one=len(borders) == 2))
            self._count_groups(group for _, values in told for group in values)
            return told

    def _told(self, program: Program, *, is_one: bool) -> Iterator[tuple[int, Values]]:
        """By the cheapest of the ways that suit the query; all give the same."""
        from tallybook.metering import sql  # noqa: PLC0415

        if program.adds_up:
            return self._values(program.changes_statement(self._groups))
        if sql.can_rise(self._metric) and not is_one:
            return self._values(sql.rises_statement(program, self._groups))
        return self._differences(program)

    def alone(self, borders: Sequence[int]) -> list[tuple[int, Values]]:
        """What each stretch between neighbouring borders gives by itself, where it gives anything."""
        with self._limited():
            program = self._prepare(borders, alone=True)
            rows = self._connection.execute("SELECT DISTINCT h FROM parts ORDER BY h").fetchall()
            used = [bound for (bound,) in rows]
            idle = sorted(set(range(len(borders) - 1)).difference(used))
            # What a query gives for no events is the same wherever there are none.
            statement = program.values_statement([*used, *idle[:1]], self._groups, alone=True)
            told = dict(self._values(statement))
            self._count_groups(group for values in told.values() for group in values)
            nothing = told.pop(idle[0], {}) if idle else {}
            if any(nothing.values()):
                told |= dict.fromkeys(idle, nothing)
            return sorted(told.items())

    def _prepare(self, borders: Sequence[int], *, alone: bool = False) -> Program:
        """Fill the table `parts` with what the query's first level makes of each stretch."""
        from tallybook.metering import sql  # noqa: PLC0415

        connection = self._connection
        needs = sql.needs_of(self._metric)
        connection.execute(sql.texts_statement(self._metric, needs, _stretch(borders)))
        program = sql.Program(self._metric, needs, self._digits(needs))
        for statement in program.parts_statements(alone=alone):
            connection.execute(statement)
        return program

    def _digits(self, needs: Needs) -> dict[str, Digits]:
        from tallybook.metering import sql  # noqa: PLC0415

        if not needs.numbers:
            return {}
        events, *told = self._connection.execute(sql.digits_statement(needs)).fetchone() or (0,)
        digits = map(sql.Digits, told[::3], told[1::3], told[2::3])
        return {name: each.fitted(events) for name, each in zip(needs.numbers, digits, strict=True)}

    def _differences(self, program: Program) -> Iterator[tuple[int, Values]]:
        """Differences of the running values at the ends of all stretches that hold events."""
        (count,) = self._connection.execute("SELECT count(*) FROM parts").fetchone() or (0,)
        rows = self._connection.execute("SELECT DISTINCT h FROM parts ORDER BY h").fetchall()
        bounds = sorted({0} | {bound for (bound,) in rows})
        before: Values = {}
        at_once = max(1, ROWS_AT_ONCE // max(1, count))
        for first in range(0, len(bounds), at_once):
            some = bounds[first : first + at_once]
            known = dict(self._values(program.values_statement(some, self._groups)))
            for bound in some:
                values = known.get(bound, {})
                rises = {group: subtract(value, before.get(group, ZERO)) for group, value in values.items()}
                for group in before.keys() - values.keys():
                    rises[group] = subtract(ZERO, before[group])
                yield bound, rises
                before = values

    def _values(self, statement: str) -> Iterator[tuple[int, Values]]:
        """The rows of a statement by their first column, which they are ordered by."""
        cursor = self._connection.execute(statement)
        bound, values = -1, Values()
        kinds = [self._metric.groups[place].kind.name for place in self._groups]
        while rows := cursor.fetchmany(_FETCHED):
            for row in rows:
                if row[0] != bound:
                    if values:
                        yield bound, values
                    bound, values = row[0], {}
                group = tuple(_text(value, kind) for value, kind in zip(row[1:-1], kinds, strict=True))
                values[group] = add(values[group], row[-1]) if group in values else row[-1]
                if len(values) > GROUPS_MAX:
                    raise self._too_many()
        if values:
            yield bound, values

    def _count_groups(self, groups: Iterator[Group]) -> None:
        if len(set(groups)) > GROUPS_MAX:
            raise self._too_many()

    def _too_many(self) -> Invalid:
        return Invalid(
            f"billable metric {self._id}: its query gives more than {GROUPS_MAX} groups; group by columns "
            "with fewer values"
        )

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Interrupt what takes too long, and say what went wrong in terms of the metric."""
        import duckdb  # noqa: PLC0415

        alarm = _Alarm(self._connection, self._time_limit)
        try:
            yield
            alarm.check()
        except duckdb.InterruptException:
            seconds = int(self._time_limit.total_seconds())
            raise Unavailable(
                f"billable metric {self._id}: its query took longer than {seconds} s; ask for a shorter "
                "time or wider windows, or make the query simpler"
            ) from None
        except duckdb.OutOfMemoryException:
            raise Unavailable(
                f"billable metric {self._id}: its query needs more memory than it may use; ask for a "
                "shorter time, or make the query simpler"
            ) from None
        except (duckdb.OutOfRangeException, duckdb.ConversionException):
            raise Invalid(
                f"billable metric {self._id}: a number in its query needs more than 38 digits, decimals "
                "included; round with ROUND(x, decimals) before multiplying or summing"
            ) from None
        finally:
            alarm.off()


class _Alarm:
    """Interrupts a connection once some time is over, again and again, until it is switched off.

    Once would not do: between two statements there is nothing to interrupt.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, limit: timedelta) -> None:
        self._connection = connection
        self._limit_s = limit.total_seconds()
        self._lock = Lock()
        self._off = Event()
        self._has_rung = Event()
        Thread(target=self._ring, name="sql-alarm", daemon=True).start()

    def _ring(self) -> None:
        pause = self._limit_s
        while not self._off.wait(pause):
            with self._lock:
                if not self._off.is_set():
                    self._has_rung.set()
                    self._connection.interrupt()
            pause = RING_AGAIN_S

    def check(self) -> None:
        """Raise as the connection does when it is interrupted, if the time is over."""
        import duckdb  # noqa: PLC0415

        if self._has_rung.is_set():
            raise duckdb.InterruptException

    def off(self) -> None:
        """Nothing is interrupted any more once this returns."""
        with self._lock:
            self._off.set()


def _stretch(borders: Sequence[int]) -> str:
    """SQL that numbers the stretch between borders that an event lies in."""
    if len(borders) == 2:
        return "0"
    hour = f"timestamp // {HOUR_MICROS}"
    if borders[-1] - borders[0] == len(borders) - 1:
        return f"{hour} - {borders[0]}"
    starts = list(borders[:-1])
    places = [place for place in range(len(starts)) for _ in range(borders[place + 1] - borders[place])]
    return f"[{', '.join(map(str, places))}][{hour} - {starts[0] - 1}]"


def _text(value: Any, kind: str) -> str | None:
    """The canonical text of an output column's value (design decision 5)."""
    if value is None or isinstance(value, str):
        return value
    if kind == "INSTANT":
        return format_instant(instant_of_micros(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value)
