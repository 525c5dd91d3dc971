"""How a question is read: keys, groups, ways to the same answer, limits, and the real store of events."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.adapters.sql_metrics import SqlMetricReader
from tallybook.adapters.sql_metrics import reader as reading
from tallybook.adapters.sql_metrics.reader import Run
from tallybook.metering.sql import Program, can_rise, check_sql
from tallybook.ports import UsageQuestion
from tallybook.values.errors import Invalid, Unavailable
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation, MetricDefinition
from tests.archive.support import archive, metering
from tests.metering.test_metering import NOW
from tests.sql_metrics.support import FIRST, HOUR, HOURS, Sent, Table, ask, many
from tests.sql_metrics.test_queries import QUERIES


class Ways(Run):
    """Reads in the way it is told to."""

    way = "bounds"

    def _told(self, program: Program, *, is_one: bool):
        if self.way == "adding" and program.adds_up:
            return self._values(program.changes_statement(self._groups))
        if self.way == "rising" and can_rise(self._metric):
            return super()._told(Rising(program.metric, program.needs, program.digits), is_one=False)
        return self._differences(program)


class Rising(Program):
    """A program that is never said to add up."""

    adds_up = False


@pytest.mark.parametrize(
    ("sql", "grouping"), [query[:2] for query in QUERIES], ids=[q[0][:60] for q in QUERIES]
)
@settings(max_examples=6, deadline=None)
@given(events=many(), at_once=st.sampled_from([1, 50, 10**6]))
def test_all_ways_agree(sql: str, grouping: tuple[str, ...], events: list[Sent], at_once: int) -> None:
    usual, rows = reading.Run, reading.ROWS_AT_ONCE
    told = []
    try:
        reading.Run, reading.ROWS_AT_ONCE = Ways, at_once
        for way in ("adding", "rising", "bounds"):
            Ways.way = way
            told.append(ask(events, sql, grouping, None))
    finally:
        reading.Run, reading.ROWS_AT_ONCE = usual, rows
    assert told[0] == told[2]
    assert told[1] == told[2]


def test_the_quick_ways_are_taken() -> None:
    """Only least and greatest values of what was gathered before need every bound by itself."""
    slow = [sql for sql, _, _ in QUERIES if not can_rise(check_sql(sql))]
    assert [sql.count("MIN(total)") + sql.count("MAX(total)") for sql in slow] == [1, 1, 1]


def question(sql: str, keys: frozenset[str] | None, **changes: object) -> UsageQuestion:
    given = {"hour_from": FIRST, "hour_until": FIRST + HOURS, "cuts": ()}
    return UsageQuestion(MetricDefinition("m", Aggregation.SQL, sql=sql), keys, **(given | changes))  # type: ignore[arg-type]


def read(events: Sequence[Sent], asked: UsageQuestion) -> list[tuple]:
    cells = SqlMetricReader(Table(events)).read(asked)  # type: ignore[arg-type]
    return [(cell.customer_key, cell.hour - FIRST, cell.group, cell.tally.sum) for cell in cells]


def test_keys_of_a_customer_are_taken_together() -> None:
    events = [Sent(0, "api", {"user": "a"}, 0, "x"), Sent(1, "api", {"user": "a"}, 1, "b")]
    events.append(Sent(2, "api", {"user": "b"}, 2, "z"))
    sql = "SELECT COUNT(DISTINCT user) FROM events"
    assert read(events, question(sql, frozenset({"x", "b"}))) == [("b", 0, (), 1)]
    assert read(events, question(sql, None)) == [("b", 0, (), 1), ("x", 0, (), 1), ("z", 0, (), 1)]
    assert read(events, question(sql, frozenset())) == []
    assert read(events, question(sql, frozenset({"none"}))) == []


def test_groups_and_order() -> None:
    given = [("us", "a"), ("eu", "b"), (None, "a"), ("eu", "a")]
    events = [
        Sent(HOUR, "api", {"region": region, "team": team}, place)
        for place, (region, team) in enumerate(given)
    ]
    sql = "SELECT COUNT(*) AS value, region, team FROM events GROUP BY region, team"
    one = frozenset({"c"})
    assert read(events, question(sql, one, grouping=("team", "region"))) == [
        ("c", 0, ("a", "eu"), 1),
        ("c", 0, ("a", "us"), 1),
        ("c", 0, ("a", None), 1),
        ("c", 0, ("b", "eu"), 1),
    ]
    assert read(events, question(sql, one, grouping=("region",), cuts=None)) == [
        ("c", 1, ("eu",), 2),
        ("c", 1, ("us",), 1),
        ("c", 1, (None,), 1),
    ]
    with pytest.raises(Invalid, match=r"'city' is no output column .* region, team"):
        read(events, question(sql, one, grouping=("city",)))


def test_the_bounds_are_half_open() -> None:
    events = [Sent(hour * HOUR, "api", {}, hour) for hour in range(5)]
    events.append(Sent(3 * HOUR - 1, "api", {}, 9))
    sql = "SELECT COUNT(*) FROM events"
    asked = question(sql, frozenset({"c"}), hour_from=FIRST + 1, hour_until=FIRST + 4, cuts=(FIRST + 3,))
    assert read(events, asked) == [("c", 1, (), 3), ("c", 3, (), 1)]
    assert read(events, question(sql, frozenset({"c"}), hour_until=FIRST)) == []


def test_latest_of_one_instant_is_the_last_of_the_log() -> None:
    events = [Sent(HOUR, "api", {"n": number}, place) for place, number in [(7, 1), (30, 2), (9, 3)]]
    assert ask(events, "SELECT LATEST(n) FROM events") == {(0, ()): 2}
    assert ask(events, "SELECT EARLIEST(n) FROM events") == {(0, ()): 1}


def test_a_value_that_vanishes_is_taken_back() -> None:
    events = [Sent(hour * HOUR, "api", {"n": 5, "region": "eu"}, hour) for hour in range(4)]
    sql = "SELECT SUM(n) AS value, region FROM events GROUP BY region HAVING COUNT(*) < 3"
    assert ask(events, sql, ("region",), None) == {(0, ("eu",)): 5, (1, ("eu",)): 5, (2, ("eu",)): -10}


SLOW = "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM events GROUP BY user)"


def test_a_query_that_takes_too_long_is_given_up() -> None:
    events = [Sent(0, "api", {"user": place}, place) for place in range(1_000)]
    with pytest.raises(Unavailable, match=r"billable metric m: its query took longer than 0 s; ask for"):
        ask(events * 40, SLOW, cuts=None, time_limit=timedelta(microseconds=1))
    assert ask(events, SLOW) == {(0, ()): 1}


def test_too_many_groups() -> None:
    usual = reading.GROUPS_MAX
    events = [Sent(0, "api", {"user": place}, place) for place in range(11)]
    sql = "SELECT COUNT(*) AS value, user FROM events GROUP BY user"
    try:
        reading.GROUPS_MAX = 10
        assert len(ask(events[:10], sql, ("user",))) == 10
        with pytest.raises(Invalid, match="gives more than 10 groups; group by"):
            ask(events, sql, ("user",))
    finally:
        reading.GROUPS_MAX = usual


def test_over_stored_events(tmp_path: Path) -> None:
    """Half of the events archived, half in the log's tail, some repeated."""
    sql = "SELECT AVG(properties.n) AS value, properties.region FROM events GROUP BY properties.region"
    first = hour_of(NOW)
    asked = UsageQuestion(
        MetricDefinition("m", Aggregation.SQL, sql=sql), frozenset({"c"}), first - 4, first, ("region",), None
    )
    with metering(tmp_path) as (meter, store):
        for part in (range(6), range(3, 12)):
            events = [
                {
                    "transaction_id": f"t{number}",
                    "customer_id": "c" if number % 4 else "other",
                    "event_type": "e",
                    "timestamp": f"2026-01-15T{8 + number // 3:02}:30:00Z",
                    "properties": {"n": number, "region": "eu" if number % 2 else "us"},
                }
                for number in part
            ]
            asyncio.run(meter.ingest(json.dumps(events).encode()))
            if part.start == 0:
                archive(meter, tmp_path)
        reader = SqlMetricReader(store)
        found = [(cell.hour - first, cell.group[0], cell.tally.sum) for cell in reader.read(asked)]
        # eu: 1, then 3 5, 7, 9 11; us: 2, then nothing, 6, 10
        assert found == [
            (-4, "eu", Decimal(1)), (-4, "us", Decimal(2)), (-3, "eu", Decimal(2)),
            (-2, "eu", Decimal(1)), (-2, "us", Decimal(2)), (-1, "eu", Decimal(2)), (-1, "us", Decimal(2)),
        ]  # fmt: skip
        assert [cell.tally.sum for cell in reader.read(asked)] == [row[2] for row in found]
