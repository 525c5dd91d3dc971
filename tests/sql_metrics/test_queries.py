"""Queries of many shapes against a computation of each in plain Python, for every hour of the time."""

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings

from tests.sql_metrics.support import (
    HOUR,
    HOURS,
    Answer,
    Sent,
    ask,
    away_from_zero,
    by,
    earliest,
    greatest,
    latest,
    least,
    many,
    mean,
    over,
    summed,
)

Events = Sequence[Sent]


def amounts(events: Events) -> list[Decimal | None]:
    return [event.number("amount") for event in events]


def some(events: Events) -> list[Decimal]:
    return [number for number in amounts(events) if number is not None]


def one(value: Decimal | int | None) -> Answer:
    return {(): None if value is None else Decimal(value)}


def api(events: Events) -> list[Sent]:
    return [event for event in events if event.kind == "api"]


def users(events: Events) -> set[str]:
    return {text for event in events if (text := event.text("user_id")) is not None}


def regional(events: Events, value: Callable[[Events], Decimal | int | None]) -> Answer:
    groups = by(events, lambda event: event.text("region"))
    found = {(region,): value(members) for region, members in groups.items()}
    return {group: None if number is None else Decimal(number) for group, number in found.items()}


def daily(events: Events, value: Callable[[Events], Decimal | None]) -> list[Decimal | None]:
    return [value(members) for members in by(events, lambda event: event.day).values()]


def maximum(events: Events) -> Decimal | None:
    return greatest(amounts(events))


def total(events: Events) -> Decimal | None:
    return summed(amounts(events))


def active_users(events: Events) -> int:
    groups = by(events, lambda event: event.text("user_id"))
    last = [latest(members, lambda event: event.text("status")) for members in groups.values()]
    return last.count("active")


def frequent(events: Events) -> Answer:
    groups = by(events, lambda event: event.text("region"))
    return {(region,): total(members) for region, members in groups.items() if len(members) > 2}


def big(event: Sent) -> str | None:
    number = event.number("amount")
    return None if number is None else str(number > 5).lower()


def whole(number: Decimal | None) -> str | None:
    rounded = away_from_zero(number)
    return None if rounded is None else str(int(rounded))


def grouped(
    events: Events, key: Callable[[Sent], str | None], value: Callable[[Events], Decimal | None]
) -> Answer:
    return {(name,): value(members) for name, members in by(events, key).items()}


def rounded_three_ways(events: Events) -> Decimal | None:
    return summed(
        value
        for number in some(events)
        for value in (
            Decimal(int((number / 10).quantize(Decimal(1), rounding="ROUND_HALF_UP")) * 10),
            number.to_integral_value(ROUND_CEILING),
            number.to_integral_value(ROUND_FLOOR),
        )
    )


def not_small(event: Sent) -> bool:
    """NOT (amount < 2 OR region = 'eu'), where both are known or one decides."""
    number, region = event.number("amount"), event.text("region")
    small = None if number is None else number < 2
    eu = None if region is None else region == "eu"
    return small is False and eu is False


def share(events: Events) -> Decimal | None:
    return over(total(events), summed(event.number("seats") for event in events))


def top_regions(events: Events) -> Decimal | None:
    """The mean over regions of the greatest daily total."""
    regions = by(events, lambda event: event.text("region")).values()
    return mean([greatest(daily(members, total)) for members in regions])


QUERIES: list[tuple[str, tuple[str, ...], Callable[[Events], Answer]]] = [
    ("select count() from events", (), lambda e: one(len(e))),
    ("SELECT COUNT(*) FROM events WHERE event_type = 'api'", (), lambda e: one(len(api(e)))),
    (
        "SELECT COUNT(properties.user_id) AS value FROM events;",
        (),
        lambda e: one(sum(event.text("user_id") is not None for event in e)),
    ),
    ("SELECT count(DISTINCT properties.user_id) AS value FROM events", (), lambda e: one(len(users(e)))),
    ("SELECT SUM(properties.amount) FROM events", (), lambda e: one(total(e))),
    (
        "SELECT SUM(CAST(properties.amount AS INT)) AS value FROM events",
        (),
        lambda e: one(summed(map(away_from_zero, amounts(e)))),
    ),
    (
        "SELECT SUM(properties.amount::DECIMAL(10, 1)) AS value FROM events",
        (),
        lambda e: one(summed(away_from_zero(number, 1) for number in amounts(e))),
    ),
    ("SELECT MAX(properties.amount) FROM events", (), lambda e: one(maximum(e))),
    ("SELECT MIN(amount) FROM events", (), lambda e: one(least(amounts(e)))),
    ("SELECT AVG(amount) FROM events", (), lambda e: one(mean(amounts(e)))),
    ("SELECT LATEST(amount) FROM events", (), lambda e: one(latest(e, lambda x: x.number("amount")))),
    (
        "SELECT EARLIEST(properties.amount) FROM events",
        (),
        lambda e: one(earliest(e, lambda x: x.number("amount"))),
    ),
    (
        "SELECT SUM(properties.amount) AS value, region FROM events GROUP BY region",
        ("region",),
        lambda e: regional(e, total),
    ),
    (
        "SELECT properties.region, COUNT(*) AS value FROM events GROUP BY properties.region",
        ("region",),
        lambda e: regional(e, len),
    ),
    (
        "SELECT properties.region, COUNT(*) AS value FROM events GROUP BY 1",
        (),
        lambda e: one(len(e)),
    ),
    (
        (
            "select sum(peak) from (select max(properties.amount) as peak, date_trunc('day', "
            "timestamp) as date from events group by date)"
        ),
        (),
        lambda e: one(summed(daily(e, maximum))),
    ),
    (
        (
            "SELECT AVG(people) AS value FROM (SELECT COUNT(DISTINCT user_id) AS people, "
            "DATE_TRUNC('hour', timestamp) AS hour FROM events WHERE event_type = 'api' GROUP BY "
            "hour) AS hours"
        ),
        (),
        lambda e: one(mean(Decimal(len(users(m))) for m in by(api(e), lambda x: x.hour).values())),
    ),
    (
        "SELECT SUM(CASE WHEN event_type = 'api' THEN amount WHEN seats > 2 THEN 1 ELSE 0 END) FROM events",
        (),
        lambda e: one(
            summed(
                x.number("amount") if x.kind == "api" else Decimal(int((x.number("seats") or 0) > 2))
                for x in e
            )
        ),
    ),
    (
        "SELECT SUM(CASE region WHEN 'eu' THEN 2 WHEN 'us' THEN 3 END) FROM events",
        (),
        lambda e: one(summed({"eu": Decimal(2), "us": Decimal(3)}.get(x.text("region") or "") for x in e)),
    ),
    (
        "SELECT SUM(amount * 2 - 1) / 4 AS value FROM events",
        (),
        lambda e: one(None if not some(e) else sum(n * 2 - 1 for n in some(e)) / 4),
    ),
    (
        (
            "SELECT COUNT(*) FROM events WHERE amount BETWEEN 1 AND 10 AND region IN ('eu', 'it''s') "
            "AND seats NOT IN (1, 2) AND status IS NOT NULL"
        ),
        (),
        lambda e: one(
            sum(
                1 <= (x.number("amount") or Decimal(0)) <= 10
                and x.text("region") in ("eu", "it's")
                and x.number("seats") not in (None, 1, 2)
                and x.text("status") is not None
                for x in e
            )
        ),
    ),
    ("SELECT GREATEST(COUNT(*), 10) AS value FROM events", (), lambda e: one(max(len(e), 10))),
    (
        (
            "SELECT SUM(num_days) AS value FROM (SELECT 1 AS num_days, date_trunc('day', timestamp) "
            "AS date FROM events GROUP BY date)"
        ),
        (),
        lambda e: one(len(daily(e, total))),
    ),
    (
        "SELECT region, SUM(amount) AS value FROM events GROUP BY region HAVING COUNT(*) > 2",
        ("region",),
        frequent,
    ),
    (
        (
            "WITH calls AS (SELECT * FROM events WHERE event_type = 'api'), days AS (SELECT "
            "SUM(amount) AS total FROM calls GROUP BY DATE_TRUNC('day', timestamp)) SELECT MIN(total) "
            "FROM days"
        ),
        (),
        lambda e: one(least(daily(api(e), total))),
    ),
    (
        (
            "SELECT COUNT(*) FROM (SELECT DISTINCT user_id, DATE_TRUNC('day', timestamp) AS day FROM "
            "events) WHERE user_id IS NOT NULL"
        ),
        (),
        lambda e: one(sum(len(users(members)) for members in by(e, lambda x: x.day).values())),
    ),
    (
        "SELECT COUNT(*) FROM events WHERE amount ≥ 1 AND amount ≤ 7 AND event_type ≠ 'api'",
        (),
        lambda e: one(sum(x.kind != "api" and 1 <= (x.number("amount") or Decimal(0)) <= 7 for x in e)),
    ),
    (
        "SELECT SUM(COALESCE(NULLIF(amount, 7), 100)) FROM events",
        (),
        lambda e: one(
            summed(Decimal(100) if x.number("amount") in (None, 7) else x.number("amount") for x in e)
        ),
    ),
    (
        "SELECT SUM(ROUND(amount, -1) + CEIL(amount) + FLOOR(amount)) FROM events",
        (),
        lambda e: one(rounded_three_ways(e)),
    ),
    (
        "SELECT SUM(amount / 3) FROM events",
        (),
        lambda e: one(summed(over(number, Decimal(3)) for number in amounts(e))),
    ),
    ("SELECT SUM(amount) / SUM(seats) AS value FROM events", (), lambda e: one(share(e))),
    (
        (
            "SELECT AVG(best) AS value FROM (SELECT region, MAX(total) AS best FROM (SELECT region, "
            "SUM(amount) AS total, DATE_TRUNC('day', timestamp) AS day FROM events GROUP BY region, "
            "day) GROUP BY region)"
        ),
        (),
        lambda e: one(top_regions(e)),
    ),
    (
        (
            "SELECT MAX(total) FROM "
            "(SELECT SUM(amount) AS total FROM events GROUP BY DATE_TRUNC('day', timestamp))"
        ),
        (),
        lambda e: one(greatest(daily(e, total))),
    ),
    (
        (
            "SELECT COUNT(*) FROM (SELECT user_id, LATEST(status) AS status FROM events GROUP BY "
            "user_id) WHERE status = 'active'"
        ),
        (),
        lambda e: one(active_users(e)),
    ),
    (
        'SELECT COUNT(*) FROM events AS e WHERE e.properties."my size" = \'10\' OR e."my size" < 10',
        (),
        lambda e: one(sum(x.text("my size") == "10" or (x.number("my size") or Decimal(99)) < 10 for x in e)),
    ),
    (
        (
            "SELECT SUM(amount) FROM events "
            "WHERE timestamp >= '2026-01-19T06:00:00Z' AND timestamp < '2026-01-20'"
        ),
        (),
        lambda e: one(total([x for x in e if 6 * HOUR <= x.at < 24 * HOUR])),
    ),
    (
        "SELECT DATE_TRUNC('day', timestamp) AS day, SUM(amount) AS value FROM events GROUP BY day",
        ("day",),
        lambda e: grouped(e, lambda x: f"2026-01-{19 + x.day}T00:00:00+00:00", total),
    ),
    ("SELECT -SUM(amount) AS value FROM events", (), lambda e: one(None if total(e) is None else -total(e))),
    (
        "SELECT properties.amount AS value, region FROM events",
        ("region",),
        lambda e: regional(e, total),
    ),
    (
        "SELECT amount > 5 AS is_big, SUM(LEAST(amount, 100)) AS value FROM events GROUP BY is_big",
        ("is_big",),
        lambda e: grouped(e, big, lambda m: summed(least((n, Decimal(100))) for n in amounts(m))),
    ),
    (
        "SELECT COUNT(*) - COUNT(DISTINCT user_id) + 2 * COUNT(DISTINCT region) AS value FROM events",
        (),
        lambda e: one(len(e) - len(users(e)) + 2 * len({x.text("region") for x in e} - {None})),
    ),
    (
        "SELECT CAST(amount AS BIGINT) AS size, COUNT(*) AS value FROM events GROUP BY size",
        ("size",),
        lambda e: grouped(e, lambda x: whole(x.number("amount")), lambda m: Decimal(len(m))),
    ),
    (
        "SELECT COUNT(*) FROM events WHERE NOT (amount < 2 OR region = 'eu')",
        (),
        lambda e: one(sum(map(not_small, e))),
    ),
    (
        (
            "SELECT SUM(last) AS value, region FROM (SELECT LATEST(amount) AS last, region, user_id "
            "FROM events GROUP BY region, user_id) WHERE last > 0 GROUP BY region"
        ),
        ("region",),
        lambda e: regional(
            e,
            lambda m: summed(
                number
                for people in by(m, lambda x: x.text("user_id")).values()
                if (number := latest(people, lambda x: x.number("amount"))) is not None and number > 0
            ),
        ),
    ),
    (
        "SELECT region, user_id, MAX(amount) AS value FROM events GROUP BY region, user_id",
        ("region",),
        lambda e: regional(e, lambda m: summed(map(maximum, by(m, lambda x: x.text("user_id")).values()))),
    ),
]


def expected(events: Events, compute: Callable[[Events], Answer], borders: list[int]) -> dict:
    """Increments between borders by the definition: the value of all events before each."""
    found = {}
    before: Answer = {}
    for start, end in pairwise(borders):
        now = compute([event for event in events if event.hour < end])
        for group in now.keys() | before.keys():
            rise = (now.get(group) or Decimal(0)) - (before.get(group) or Decimal(0))
            if rise:
                found[start, group] = rise
        before = now
    return found


@pytest.mark.parametrize(("sql", "grouping", "compute"), QUERIES, ids=[query[0][:60] for query in QUERIES])
@settings(max_examples=10, deadline=None)
@given(events=many())
def test_equals_the_plain_computation(
    sql: str, grouping: tuple[str, ...], compute: Callable[[Events], Answer], events: list[Sent]
) -> None:
    assert ask(events, sql, grouping) == expected(events, compute, [0, HOURS])
    assert ask(events, sql, grouping, (3, 24)) == expected(events, compute, [0, 3, 24, HOURS])
    assert ask(events, sql, grouping, None) == expected(events, compute, list(range(HOURS + 1)))


def test_there_are_many_shapes() -> None:
    assert len({sql for sql, _, _ in QUERIES}) >= 40
