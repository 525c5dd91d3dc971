"""Numbers are exact or the query fails: worked out by hand."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.adapters.sql_metrics.numbers import plain_text, product, quotient
from tallybook.metering.sql import expressions
from tallybook.values.errors import Invalid
from tallybook.values.quantity import total
from tests.sql_metrics.support import HOUR, Sent, ask, value


def sent(*amounts: Any, **others: Any) -> list[Sent]:
    return [
        Sent(place * HOUR, "api", {"amount": amount, **others}, place) for place, amount in enumerate(amounts)
    ]


EXACT = [
    # amounts, query, value
    ([Decimal("0.1")] * 10, "SELECT SUM(amount) FROM events", "1"),
    (["0.1", Decimal("0.2"), "3e-1"], "SELECT SUM(amount) FROM events", "0.6"),
    ([10**37, 10**37 + 1], "SELECT SUM(amount) FROM events", "20000000000000000000000000000000000001"),
    (["9" * 38], "SELECT MAX(amount) FROM events", "9" * 38),
    (["-" + "9" * 37, 1], "SELECT SUM(amount) FROM events", "-" + "9" * 36 + "8"),
    (["0." + "0" * 30 + "1234567", 5], "SELECT SUM(amount) FROM events", "5." + "0" * 30 + "1234567"),
    (["000" * 40 + "7.50000"], "SELECT SUM(amount) FROM events", "7.5"),
    ([1, 2], "SELECT SUM(amount) / 1000000 FROM events", "0.000003"),
    ([1, 2], "SELECT SUM(amount) / 1024 FROM events", "0.0029296875"),
    ([1], "SELECT SUM(amount) / 1073741824 FROM events", "0.00000000093132257462"),
    ([2**40], "SELECT SUM(amount) / 1099511627776 FROM events", "1"),
    ([10], "SELECT SUM(amount) / 0.3 FROM events", "33.33333333333333333333"),
    ([1], "SELECT SUM(amount / 0) FROM events", "0"),
    ([1, 2, 2], "SELECT AVG(amount) FROM events", "1.66666666666666666667"),
    ([Decimal("0.5")], "SELECT SUM(amount * amount * amount) FROM events", "0.125"),
    # the square has 38 decimals, of which 24 are kept: ...190|52
    (["0.1234567890123456789"], "SELECT SUM(amount * amount) FROM events", "0.015241578753238836750191"),
    (["0.1234567890123456789"], "SELECT SUM(amount * 3) FROM events", "0.3703703670370370367"),
    (["2.5", "-2.5", "3.5"], "SELECT SUM(ROUND(amount)) FROM events", "4"),
    (["2.5"], "SELECT SUM(CAST(amount AS INT)) FROM events", "3"),
    (["-2.5"], "SELECT SUM(CAST(amount AS INTEGER)) FROM events", "-3"),
    (["2.345", "2.355"], "SELECT SUM(ROUND(amount, 2)) FROM events", "4.71"),
    (["2.345"], "SELECT SUM(CAST(amount AS NUMERIC(4, 2))) FROM events", "2.35"),
    (["2.345"], "SELECT SUM(CAST(amount AS DOUBLE)) FROM events", "2.345"),
    (["154.9", "-155"], "SELECT SUM(ROUND(amount, -1)) FROM events", "-10"),
    (["1.2", "-1.2"], "SELECT SUM(CEIL(amount) * 10 + FLOOR(amount)) FROM events", "9"),
    ([1, "x", None, "", "1,5", " 2"], "SELECT SUM(amount) FROM events", "1"),
    ([1, "x", None, "", "1,5", " 2"], "SELECT COUNT(amount) FROM events", "5"),
    (["1.50", Decimal("1.5"), "1.5"], "SELECT COUNT(DISTINCT amount) FROM events", "2"),
    (["1.50", Decimal("1.5"), "1.5"], "SELECT COUNT(DISTINCT CAST(amount AS DECIMAL)) FROM events", "1"),
    ([9, 10, "8"], "SELECT MAX(amount) FROM events", "10"),
    ([9, 10], "SELECT MAX(CAST(amount AS VARCHAR)) FROM events", "9"),
    ([9, 10], "SELECT COUNT(*) FROM events WHERE amount > 9", "1"),
    ([9, 10], "SELECT COUNT(*) FROM events WHERE amount > '9'", "0"),
    (["10.0", 10], "SELECT COUNT(*) FROM events WHERE amount = 10", "2"),
    (["10.0", 10], "SELECT COUNT(*) FROM events WHERE amount = '10'", "1"),
    ([True, False, "true"], "SELECT COUNT(*) FROM events WHERE amount = TRUE", "2"),
    ([None, 3], "SELECT SUM(LEAST(amount, 2)) FROM events", "4"),
    ([None, 3], "SELECT SUM(amount + 1) FROM events", "4"),
    (["x", 3], "SELECT SUM(COALESCE(amount, 1)) FROM events", "4"),
    ([1, 2, "3.25"], "SELECT SUM(CAST(CAST(amount AS VARCHAR) AS DECIMAL)) FROM events", "6.25"),
    ([], "SELECT COUNT(*) + 5 AS value FROM events", "5"),
    ([], "SELECT SUM(amount) + 5 AS value FROM events", "0"),
    ([], "SELECT COALESCE(SUM(amount), 0) + 5 AS value FROM events", "5"),
    ([], "SELECT region, COUNT(*) + 5 AS value FROM events GROUP BY region", "0"),
    ([1] * 3, "SELECT 7 AS value FROM events", "21"),
]


@pytest.mark.parametrize(
    ("amounts", "sql", "expected"), EXACT, ids=[row[1] + " of " + str(row[0])[:30] for row in EXACT]
)
def test_exact(amounts: list[Any], sql: str, expected: str) -> None:
    events = sent(*amounts)
    assert value(events, sql) == Decimal(expected)
    assert total([*ask(events, sql, (), None).values()]) == Decimal(expected)


TOO_LONG = [
    ([10**20], "SELECT SUM(amount * amount) FROM events"),
    ([10**37], "SELECT SUM(amount * 100) FROM events"),
    ([10**37, -(10**37)], "SELECT SUM(amount + 0.01) FROM events"),
    ([10**20], "SELECT AVG(amount) FROM events"),
]


@pytest.mark.parametrize(("amounts", "sql"), TOO_LONG)
@pytest.mark.parametrize("cuts", [(), None])
def test_more_than_38_digits_are_an_error_and_never_a_wrong_number(
    amounts: list[Any], sql: str, cuts: tuple[int, ...] | None
) -> None:
    with pytest.raises(Invalid, match=r"billable metric m: .*38.*;"):
        ask(sent(*amounts), sql, (), cuts)


NOT_ADDED = [
    (["9" * 39, 5], 5),
    (["9" * 38, "9" * 38, 1], 1),
    (["1" + "0" * 30, "0." + "0" * 10 + "1"], "0.00000000001"),
    # Beside 16 digits and one for a sum of four, 21 decimals have room: 0.123456789012345678901|9
    (["1" + "0" * 17, "9" * 16, "0.1234567890123456789019", 1], "10000000000000000.123456789012345678902"),
    (["9" * 38, "0." + "1" * 38], "0.111111111111111111111"),
]


@pytest.mark.parametrize(("amounts", "expected"), NOT_ADDED)
def test_no_number_keeps_others_from_being_added_up(amounts: list[Any], expected: Any) -> None:
    events = sent(*amounts)
    assert value(events, "SELECT SUM(amount) FROM events") == Decimal(expected)
    assert value(events, "SELECT COUNT(*) FROM events") == len(amounts)


def test_a_number_of_other_events_of_the_customer_decides_nothing() -> None:
    events = [*sent(1, 2), Sent(0, "noise", {"amount": "9" * 60}, 9)]
    assert value(events, "SELECT SUM(amount) FROM events WHERE event_type = 'api'") == 3


def test_texts_that_look_like_long_numbers_are_texts() -> None:
    events = sent(1, 2, user_id="1" * 60, credits="x")
    sql = "SELECT SUM(COALESCE(CAST(amount AS TEXT), credits)) AS value, user_id FROM events GROUP BY user_id"
    assert ask(events, sql, ("user_id",)) == {(0, ("1" * 60,)): 3}


def test_names_and_texts_are_data() -> None:
    name = """a'); DROP TABLE texts; --"""
    odd = "it's \\ \u2019 \u2260"
    events = [Sent(0, "api", {name: 5, "b": odd}), Sent(1, "api", {name: 7, "b": name}, 1)]
    sql = f"""SELECT SUM(properties."{name}") AS value, b FROM events WHERE b <> '(ts ' GROUP BY b"""
    assert ask(events, sql, ("b",)) == {(0, (odd,)): 5, (0, (name,)): 7}
    sql = "SELECT COUNT(*) FROM events WHERE b IN ('it''s \\ \u2019 \u2260')"
    assert value(events, sql) == 1


def test_group_values_are_canonical_texts() -> None:
    events = sent("1.50", 2, None)
    sql = "SELECT CAST(amount AS DECIMAL) AS size, COUNT(*) AS value FROM events GROUP BY size"
    assert ask(events, sql, ("size",)) == {(0, ("1.5",)): 1, (0, ("2",)): 1, (0, (None,)): 1}
    sql = (
        "SELECT CAST(CAST(amount AS DECIMAL) AS VARCHAR) AS size, COUNT(*) AS value FROM events GROUP BY size"
    )
    assert ask(events, sql, ("size",)) == {(0, ("1.5",)): 1, (0, ("2",)): 1, (0, (None,)): 1}
    sql = "SELECT timestamp AS at, timestamp::TEXT AS text, COUNT(*) AS value FROM events GROUP BY 1, 2"
    odd = [Sent(HOUR + 1_500_000, "api", {}, 0), Sent(2 * HOUR, "api", {}, 1)]
    halves = ("2026-01-19T01:00:01.500000+00:00",) * 2
    assert ask(odd, sql, ("at", "text")) == {(0, halves): 1, (0, ("2026-01-19T02:00:00+00:00",) * 2): 1}


NUMBERS = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=6)


@given(NUMBERS, NUMBERS, st.integers(0, 30))
def test_helpers_round_half_even(left: Decimal, right: Decimal, places: int) -> None:
    one, other = format(left, "f"), format(right, "f")
    half = Fraction(1, 2 * 10**places)
    assert abs(Fraction(product(one, other, places)) - Fraction(left) * Fraction(right)) <= half
    found = quotient(one, other, places)
    if right == 0:
        assert found is None
    else:
        assert found is not None
        assert abs(Fraction(found) - Fraction(left) / Fraction(right)) <= half


def test_helpers() -> None:
    assert (quotient("1", "8", 2), quotient("3", "8", 2), quotient("-1", "8", 2)) == ("0.12", "0.38", "-0.12")
    assert (product("0.5", "0.5", 1), quotient("7", "2", 0), quotient("-0.4", "1", 0)) == ("0.2", "4", "0")
    assert (plain_text("-1.50e3"), plain_text("1e-3"), plain_text("e"), plain_text("1e400")) == (
        "-1500", "0.001", None, None,
    )  # fmt: skip
    assert (expressions.PLAIN, expressions.DIVIDE, expressions.MULTIPLY) == (
        "exact_plain", "exact_divide", "exact_multiply",
    )  # fmt: skip
