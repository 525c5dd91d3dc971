"""What may not be written is refused when the metric is created, by its name and with a remedy."""

import pytest

from tallybook.metering.sql import check_sql
from tallybook.values.errors import Invalid

HOSTILE = [
    # query, what the message names
    ("DROP TABLE events", "DROP"),
    ("DELETE FROM events", "DELETE"),
    ("INSERT INTO events VALUES (1)", "INSERT"),
    ("SET memory_limit = '100GB'", "SET"),
    ("PRAGMA database_list", "PRAGMA"),
    ("ATTACH 'x.db'", "ATTACH"),
    ("COPY events TO '/tmp/x'", "COPY"),
    ("INSTALL httpfs", "INSTALL"),
    ("LOAD httpfs", "LOAD"),
    ("CALL pragma_version()", "CALL"),
    ("EXPLAIN SELECT COUNT(*) FROM events", "EXPLAIN"),
    ("FROM events SELECT COUNT(*)", "FROM"),
    ("SELECT COUNT(*) FROM events; DROP TABLE events", "several statements"),
    ("SELECT COUNT(*) FROM events; SELECT COUNT(*) FROM events", "several statements"),
    ("SELECT COUNT(*) FROM events -- ok\n; SET threads = 64", "several statements"),
    ("SELECT COUNT(*) FROM events UNION ALL SELECT 1 FROM events", "UNION"),
    ("SELECT COUNT(*) FROM events INTERSECT SELECT 1 FROM events", "INTERSECT"),
    ("SELECT COUNT(*) FROM (SELECT 1 FROM events EXCEPT SELECT 2 FROM events)", "EXCEPT"),
    ("SELECT COUNT(*) FROM read_csv('/etc/passwd')", "READ_CSV"),
    ("SELECT COUNT(*) FROM read_parquet('archive/*')", "READ_PARQUET"),
    ("SELECT COUNT(*) FROM \"read_csv\"('/etc/passwd')", "READ_CSV"),
    ("SELECT COUNT(*) FROM '/etc/passwd'", "/etc/passwd"),
    ('SELECT COUNT(*) FROM "/etc/passwd"', "/etc/passwd"),
    ("SELECT COUNT(*) FROM raw_events", "raw_events"),
    ("SELECT COUNT(*) FROM texts", "texts"),
    ("SELECT COUNT(*) FROM information_schema.tables", "information_schema.tables"),
    ("SELECT COUNT(*) FROM main.events", "main.events"),
    ("SELECT COUNT(*) FROM duckdb_settings()", "DUCKDB_SETTINGS"),
    ("SELECT COUNT(*) FROM range(1000000000)", "RANGE"),
    ("SELECT COUNT(*) FROM unnest([1, 2])", "UNNEST"),
    ("SELECT COUNT(*) FROM generate_series(1, 9)", "GENERATE_SERIES"),
    ("SELECT COUNT(*) FROM events, events e2", "JOIN"),
    ("SELECT COUNT(*) FROM events JOIN events e2 ON true", "JOIN"),
    ("SELECT COUNT(*) FROM events CROSS JOIN events e2", "JOIN"),
    ("SELECT COUNT(*) FROM events, LATERAL (SELECT 1)", "JOIN"),
    ("SELECT COUNT(*) FROM (VALUES (1), (2))", "VALUES"),
    ("WITH RECURSIVE a AS (SELECT 1 FROM events UNION SELECT 1 FROM a) SELECT COUNT(*) FROM a", "RECURSIVE"),
    ("WITH a AS (SELECT COUNT(*) FROM a) SELECT * FROM a", "table a"),
    ("WITH events AS (SELECT 1 FROM events) SELECT COUNT(*) FROM events", "WITH events"),
    ("SELECT getenv('HOME') FROM events", "GETENV"),
    ("SELECT pg_read_file('x') FROM events", "PG_READ_FILE"),
    ("SELECT current_setting('threads') FROM events", "CURRENT_SETTING"),
    ("SELECT SUM(exact_divide('1', '3', 20)) FROM events", "EXACT_DIVIDE"),
    ('SELECT "sum"(properties.a) FROM events', "SUM"),
    ("SELECT RANDOM() FROM events", "RANDOM"),
    ("SELECT NOW() FROM events", "NOW"),
    ("SELECT CURRENT_TIMESTAMP FROM events", "CURRENT_TIMESTAMP"),
    ("SELECT CURRENT_USER FROM events", "CURRENT_USER"),
    ("SELECT LENGTH(properties.a) FROM events", "LENGTH"),
    ("SELECT SUM(ABS(properties.a)) FROM events", "ABS"),
    ("SELECT MEDIAN(properties.a) FROM events", "MEDIAN"),
    ("SELECT string_agg(properties.a, ',') FROM events", "STRING_AGG"),
    ("SELECT NVL(properties.a, 1) FROM events", "NVL"),
    ("SELECT TRY_CAST(properties.a AS INT) FROM events", "TRY_CAST"),
    ("SELECT EXTRACT(hour FROM timestamp) FROM events", "EXTRACT"),
    ("SELECT json_extract(properties, '$.a') FROM events", "JSON_EXTRACT"),
    ("SELECT SUM(properties.a) OVER () FROM events", "OVER"),
    ("SELECT ROW_NUMBER() OVER (ORDER BY timestamp) FROM events", "ROW_NUMBER"),
    ("SELECT COUNT(*) FILTER (WHERE properties.a = 1) FROM events", "FILTER"),
    ("SELECT (SELECT COUNT(*) FROM events) FROM events", "a sub-select inside"),
    ("SELECT COUNT(*) FROM events WHERE EXISTS (SELECT 1 FROM events)", "EXISTS"),
    ("SELECT COUNT(*) FROM events WHERE properties.a IN (SELECT 1 FROM events)", "IN with a sub-select"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = ANY (SELECT 1 FROM events)", "ANY"),
    ("SELECT COUNT(*) FROM events ORDER BY 1", "ORDER BY"),
    ("SELECT COUNT(*) FROM events LIMIT 1", "LIMIT"),
    ("SELECT COUNT(*) FROM events OFFSET 1", "OFFSET"),
    ("SELECT COUNT(*) FROM events TABLESAMPLE (10)", "TABLESAMPLE"),
    ("SELECT COUNT(*) INTO x FROM events", "INTO"),
    ("SELECT COUNT(*) FROM events FOR UPDATE", "FOR UPDATE"),
    ("SELECT DISTINCT ON (properties.a) properties.b FROM events", "DISTINCT ON"),
    ("SELECT COUNT(*) FROM events GROUP BY ALL", "GROUP BY ALL"),
    ("SELECT properties.a, COUNT(*) FROM events GROUP BY ROLLUP (properties.a)", "ROLLUP"),
    ("SELECT properties.a, COUNT(*) FROM events GROUP BY CUBE (properties.a)", "CUBE"),
    ("SELECT COUNT(*) FROM events WHERE customer_id = 'other'", "customer_id"),
    ("SELECT COUNT(*) FROM events WHERE events.customer_id = 'other'", "customer_id"),
    ("SELECT COUNT(*) FROM (SELECT * FROM events) WHERE Customer_ID = 'other'", "customer_id"),
    ("SELECT COUNT(DISTINCT transaction_id) FROM events", "transaction_id"),
    ("SELECT * FROM events", "*"),
    ("SELECT events.* FROM events", "*"),
    ("SELECT SUM(properties) FROM events", "properties names no property"),
    ("SELECT SUM(properties.a.b) FROM events", "properties.a.b"),
    ("SELECT SUM(properties['a']) FROM events", "[...]"),
    ("SELECT SUM(properties->>'a') FROM events", "->>"),
    ("SELECT SUM(other.a) FROM events", "other.a"),
    ("SELECT COUNT(*) FROM events WHERE properties.a LIKE '%x%'", "LIKE"),
    ("SELECT COUNT(*) FROM events WHERE properties.a ~ 'x'", "REGEXP_LIKE"),
    ("SELECT properties.a || 'x' AS b, COUNT(*) AS value FROM events GROUP BY b", "||"),
    ("SELECT SUM(properties.a % 2) FROM events", "%"),
    ("SELECT SUM(properties.a ^ 2) FROM events", "POW"),
    ("SELECT COUNT(*) FROM events WHERE timestamp > timestamp - INTERVAL '1 day'", "INTERVAL"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = $1", "a parameter"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = ?", "a parameter"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = :name", "a parameter"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = E'\\x27'", "BYTESTRING"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = $$x$$", "RAWSTRING"),
    ("SELECT DATE_TRUNC('second', timestamp) AS s, COUNT(*) AS value FROM events GROUP BY s", "SECOND"),
    ("SELECT DATE_TRUNC('day', timestamp, 'Europe/Berlin') FROM events", "ZONE"),
    ("SELECT DATE_TRUNC('day', properties.at) AS d, COUNT(*) AS value FROM events GROUP BY d", "a property"),
    ("SELECT CAST(properties.a AS BLOB) FROM events", "VARBINARY"),
    ("SELECT CAST(properties.a AS INT[]) FROM events", "ARRAY"),
    ("SELECT CAST(timestamp AS DATE) AS d, COUNT(*) AS value FROM events GROUP BY d", "DATE"),
    ("SELECT CAST(properties.a AS VARCHAR(3)) FROM events", "VARCHAR(3)"),
    ("SELECT SUM(SUM(properties.a)) FROM events", "SUM is not allowed inside an aggregate"),
    ("SELECT COUNT(*) FROM events WHERE SUM(properties.a) > 1", "SUM is not allowed in WHERE"),
    ("SELECT COUNT(*) FROM events GROUP BY SUM(properties.a)", "SUM is not allowed in GROUP BY"),
    ("SELECT properties.a, COUNT(*) FROM events", "properties.a is neither in GROUP BY"),
    ("SELECT SUM(DISTINCT properties.a) FROM events", "SUM"),
    ("SELECT COUNT(DISTINCT properties.a, properties.b) FROM events", "COUNT"),
    ("SELECT SUM(properties.a, 2) FROM events", "too many arguments"),
    ("SELECT SUM() FROM events", "SUM misses an argument"),
    ("SELECT LATEST(properties.a, 2) FROM events", "LATEST takes one argument"),
    ("SELECT LATEST(m) FROM (SELECT MAX(a) AS m, b FROM events GROUP BY b)", "LATEST"),
    ("SELECT SUM(missing) FROM (SELECT MAX(a) AS m FROM events)", "missing"),
    ("SELECT COUNT(*) FROM events WHERE properties.a", "no condition"),
    ("SELECT SUM(event_type) FROM events", "event_type"),
    ("SELECT SUM(timestamp) FROM events", "a timestamp"),
    ("SELECT SUM(properties.a > 1) FROM events", "a condition"),
    ("SELECT SUM(properties.a + 'x') FROM events", "'x' is no number"),
    ("SELECT COUNT(*) FROM events WHERE timestamp > 'yesterday'", "'yesterday' is no timestamp"),
    ("SELECT properties.a AS x, properties.b AS x, COUNT(*) FROM events GROUP BY 1, 2", "two columns"),
    ("SELECT COUNT(*) FROM events GROUP BY 7", "GROUP BY 7"),
    ("SELECT MAX(event_type) FROM events", "event_type cannot be used as a number"),
    ("SELECT SUM(1" + "0" * 40 + ") FROM events", "38 digits"),
    ("SELECT 1", "FROM is missing"),
    ("SELECT COUNT(* FROM events", "cannot be read"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = 'x", "cannot be read"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = 'x\0'", "control character"),
    ("", "is empty"),
    (" \n", "is empty"),
    ("SELECT COUNT(*) FROM events WHERE " + "(" * 60 + "true" + ")" * 60, "nested parentheses"),
    ("SELECT COUNT(*) FROM events WHERE " + "NOT " * 300 + "true", "nested"),
    ("SELECT SUM(" + "-" * 1 + " - " * 800 + "1) FROM events", "nested"),
    ("SELECT SUM(a" + " + a" * 300 + ") FROM events", "nested"),
    ("SELECT COUNT(*) FROM events WHERE " + "CASE WHEN true THEN " * 200 + "true" + " END" * 200, "nested"),
    ("SELECT COUNT(*) FROM " + "(SELECT * FROM " * 12 + "events" + ")" * 12, "nested sub-selects"),
    ("SELECT COUNT(*) FROM events WHERE properties.a = '" + "x" * 10_000 + "'", "10000"),
    ("SELECT " + ", ".join(f"properties.a{n}" for n in range(60)) + " FROM events", "50 columns"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "named"), HOSTILE, ids=[sql[:70] for sql, _ in HOSTILE])
def test_refused_by_name(sql: str, named: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_sql(sql)
    message = refused.value.message
    assert message.startswith("sql: ")
    assert named in message
    assert ";" in message
    assert len(message) < 500


def test_sub_selects_that_double_are_refused() -> None:
    """Each level repeats the expression below it: a sum of fifty, 4 to the 7th times."""
    inner = "SELECT " + " + ".join(["a"] * 50) + " AS a FROM events"
    for _ in range(7):
        inner = f"SELECT a + a + a + a AS a FROM ({inner})"
    with pytest.raises(Invalid, match="more than 8000 parts"):
        check_sql(f"SELECT SUM(a) FROM ({inner})")


def test_the_field_is_named() -> None:
    with pytest.raises(Invalid, match=r"^query: is empty"):
        check_sql("", "query")


LEGAL = [
    "select COUNT() from EVENTS",
    "SELECT count(*) FROM events;",
    "/* by day */ SELECT count(*) -- all\nFROM events",
    "SELECT SUM(properties.date) AS value, properties.user, properties.timestamp FROM events GROUP BY 2, 3",
    "SELECT SUM(properties.customer_id) FROM events",
    'SELECT SUM(properties."a b""c") FROM events',
    "SELECT COUNT(*) FROM events WHERE properties.note = 'it''s; DROP TABLE events -- '",
    "SELECT COUNT(*) FROM (events)",
    "SELECT COUNT(*) FROM ((SELECT properties.a FROM events)) AS x WHERE x.a IS NULL",
    "SELECT SUM(properties.a) value FROM events WHERE event_type IN ('a', 'b') AND NOT properties.b IS NULL",
    "SELECT COUNT(*) FROM events WHERE properties.free = TRUE AND (properties.a > 1) IS TRUE",
    "SELECT DATE_TRUNC('week', timestamp) AS w, COUNT(*) AS value FROM events GROUP BY W",
    "SELECT COUNT(*) FROM events WHERE " + " OR ".join(f"properties.a = '{n}'" for n in range(250)),
    "SELECT COUNT(*) FROM events WHERE properties.a IN (" + ", ".join(map(str, range(900))) + ")",
]


@pytest.mark.parametrize("sql", LEGAL)
def test_taken(sql: str) -> None:
    check_sql(sql)


COLUMNS = [
    # query, value column, other columns
    ("SELECT COUNT(*) FROM events", "count", ()),
    ("SELECT SUM(a) AS total, region FROM events GROUP BY region", "total", ("region",)),
    ("SELECT region, SUM(a) AS Value FROM events GROUP BY region", "Value", ("region",)),
    ('SELECT properties.region, properties."my team", SUM(a) AS value FROM events GROUP BY 1, 2', "value",
     ("region", "my team")),
    ("SELECT SUM(a) + 1, COUNT(*), COUNT(b) FROM events", "column_1", ("count", "count_3")),
    ("SELECT DATE_TRUNC('day', timestamp), COUNT(*) AS value FROM events GROUP BY 1", "value",
     ("date_trunc",)),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "value", "others"), COLUMNS)
def test_columns(sql: str, value: str, others: tuple[str, ...]) -> None:
    metric = check_sql(sql)
    assert (metric.value_column, metric.columns) == (value, others)
