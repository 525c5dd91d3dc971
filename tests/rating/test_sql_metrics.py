"""Lines of SQL metrics: increments from the start of each period, and when they land."""

from dataclasses import replace
from decimal import Decimal

import msgspec

from tallybook.domains.invoices.model import RatedFrom
from tallybook.rating.account import plan, rate
from tallybook.rating.model import AccountTerms, PricedProduct, UsageNeed, UsageSlice, UsageSpan
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation
from tallybook.values.period import Period
from tallybook.values.pricing import ProductTerms, SqlBreakdownGranularity
from tests.rating.book import (
    FIRST,
    JANUARY,
    MILLION,
    account,
    amount,
    day,
    entry,
    invoice,
    product,
    rounding,
    shown,
    terms,
)

SQL = Aggregation.SQL
HOURLY = SqlBreakdownGranularity.HOUR
ONCE = SqlBreakdownGranularity.SERVICE_PERIOD


def hourly(metric: str = "m", **given: object) -> ProductTerms:
    return terms(metric, sql_breakdown_granularity=HOURLY, **given)


def once(metric: str = "m", **given: object) -> ProductTerms:
    return terms(metric, sql_breakdown_granularity=ONCE, **given)


def sql(*products: PricedProduct, **metrics: Aggregation) -> AccountTerms:
    return account(*products, **(metrics or {"m": SQL}))


def test_increments_are_billed_at_the_rate_of_their_window_and_may_be_negative() -> None:
    """V: 8 until the change at 1 = 8; down to 5 after it: -3 at 10 = -30; together -22."""
    tokens = product([entry(1), entry(10, day(16), added=1)], (None, hourly()))
    draft = invoice(sql(tokens), m=[amount(day(2), 8), amount(day(20), -3)])
    assert shown(draft) == [("01.00-16.00", "8", "1", "8"), ("16.00-01.00", "-3", "10", "-30")]
    assert draft.total == -22


def test_a_service_periods_quantity_lands_in_the_last_window_at_the_final_rate() -> None:
    """8 - 3 = 5 units, all at 10."""
    tokens = product([entry(1), entry(10, day(16), added=1)], (None, once()))
    draft = invoice(sql(tokens), m=[amount(day(2), 8), amount(day(20), -3)])
    assert shown(draft) == [("01.00-16.00", "0", "1", "0"), ("16.00-01.00", "5", "10", "50")]


def test_without_a_granularity_the_quantity_is_that_of_the_service_period() -> None:
    tokens = product([entry(1), entry(10, day(16), added=1)])
    draft = invoice(sql(tokens), m=[amount(day(2), 8)])
    assert [line.total for line in draft.lines] == [0, 80]


def test_granularity_changes_nothing_for_other_metrics() -> None:
    tokens = product([entry(1), entry(10, day(16), added=1)], (None, once()))
    draft = invoice(account(tokens), m=[amount(day(2), 8), amount(day(20), 2)])
    assert [line.total for line in draft.lines] == [8, 20]


def test_a_new_granularity_cuts_no_line_and_the_last_one_holds() -> None:
    """8 + 2 = 10 units at 3 on one line; with a rate change after it, all at the final 4."""
    tokens = product([entry(3)], (None, hourly()), (day(10), once()))
    usage = [amount(day(2), 8), amount(day(20), 2)]
    assert shown(invoice(sql(tokens), m=usage)) == [("01.00-01.00", "10", "3", "30")]
    dearer = product([entry(3), entry(4, day(16), added=1)], (None, hourly()), (day(10), once()))
    assert [line.total for line in invoice(sql(dearer), m=usage).lines] == [0, 40]
    back = product([entry(3), entry(4, day(16), added=1)], (None, once()), (day(10), hourly()))
    assert [line.total for line in invoice(sql(back), m=usage).lines] == [24, 8]


def test_a_service_period_without_a_rate_at_its_end_is_not_billed() -> None:
    ended = product([entry(2, FIRST, day(20))], (None, once()))
    assert [line.total for line in invoice(sql(ended), m=[amount(day(2), 8)]).lines] == [0]
    begun = product([entry(2, day(20))], (None, once()))
    assert shown(invoice(sql(begun), m=[amount(day(2), 8)])) == [("20.00-01.00", "8", "2", "16")]


def test_a_swap_bills_the_old_metric_until_it_and_the_new_ones_growth_after_it() -> None:
    """A(start..s) = 5, B(start..s) = 100, B(start..t) = 103: by hour 5 + 3 at 2 = 16."""
    swapped = product([entry(2)], (None, hourly("a")), (day(16), hourly("b")))
    usage = {
        "a": [amount(day(2), 5), amount(day(20), 50)],
        "b": [amount(day(2), 100), amount(day(20), 3)],
    }
    draft = invoice(sql(swapped, a=SQL, b=SQL), **usage)
    assert shown(draft) == [("01.00-16.00", "5", "2", "10"), ("16.00-01.00", "3", "2", "6")]
    mixed = invoice(sql(swapped, a=Aggregation.MAX, b=SQL), **usage)
    assert mixed.total == 16


def test_a_swap_in_a_service_period_is_one_quantity_at_the_end() -> None:
    """5 + 103 - 100 = 8 at the final 3; A goes on growing after the swap in vain."""
    swapped = product([entry(2), entry(3, day(25), added=1)], (None, once("a")), (day(16), once("b")))
    draft = invoice(
        sql(swapped, a=SQL, b=SQL),
        a=[amount(day(2), 5), amount(day(20), 50)],
        b=[amount(day(2), 100), amount(day(20), 3)],
    )
    assert shown(draft) == [
        ("01.00-16.00", "0", "2", "0"),
        ("16.00-25.00", "0", "2", "0"),
        ("25.00-01.00", "8", "3", "24"),
    ]


def test_a_swap_from_a_service_period_to_hours_and_to_a_streaming_metric() -> None:
    """A's 5 land at the end beside B's 3 of the last window, all at 3; B's 2 before it at 2."""
    to_hours = product([entry(2), entry(3, day(25), added=1)], (None, once("a")), (day(16), hourly("b")))
    usage = {"a": [amount(day(2), 5)], "b": [amount(day(17), 2), amount(day(26), 3)]}
    for kind in (SQL, Aggregation.SUM):
        draft = invoice(sql(to_hours, a=SQL, b=kind), **usage)
        assert [line.total for line in draft.lines] == [0, 4, 24]


def test_service_periods_by_pricing_and_presentation_key() -> None:
    """eu: 3 at the final 20 = 60, split 2 and 1 by team; us has no rate at the end."""
    keyed = once(pricing_group_key=("region",), presentation_group_key=("team",))
    tokens = product(
        [
            entry(10, region="eu"),
            entry(20, day(16), added=1, region="eu"),
            entry(5, FIRST, day(16), added=2, region="us"),
        ],
        (None, keyed),
    )
    draft = invoice(
        sql(tokens),
        m=[
            amount(day(2), 1, "eu", "a"),
            amount(day(20), 1, "eu", "a"),
            amount(day(3), 1, "eu", "b"),
            amount(day(3), 9, "us", "a"),
        ],
    )
    assert [(line.presentation_group_values, line.quantity, line.total) for line in draft.lines] == [
        ((("team", "a"),), 2, 40),
        ((("team", "b"),), 1, 20),
    ]


def test_conversion_and_rounding_act_on_a_service_periods_quantity() -> None:
    """(1,200,000 + 700,000) / 1,000,000 = 1.9, rounded up 2, at 7."""
    both = once(quantity_conversion=MILLION, quantity_rounding=rounding("ROUND_UP", 0))
    tokens = product([entry(7), entry(7, day(16), added=1)], (None, both))
    draft = invoice(sql(tokens), m=[amount(day(2), 1_200_000), amount(day(20), 700_000)])
    assert shown(draft) == [("01.00-01.00", "2", "7", "14")]


FEBRUARY = Period(day(1).replace(month=2), day(1).replace(month=3))


def two_months(metric: Aggregation) -> AccountTerms:
    whole = account(product([entry(1), entry(2, day(16), added=1)], (None, hourly())), m=metric)
    return replace(whole, contracts=(replace(whole.contracts[0], periods=(JANUARY, FEBRUARY)),))


def test_an_sql_metric_is_asked_for_from_the_start_of_each_period() -> None:
    january, change, february, march = (
        hour_of(at) for at in (FIRST, day(16), FEBRUARY.starting_at, FEBRUARY.ending_before)
    )
    assert plan(two_months(SQL)) == (
        UsageNeed("m", (), january, february, (change,)),
        UsageNeed("m", (), february, march, ()),
    )
    assert plan(two_months(Aggregation.MAX)) == (UsageNeed("m", (), january, march, (change, february)),)


def test_a_service_period_is_asked_for_in_one_piece() -> None:
    january, swap, february = (hour_of(at) for at in (FIRST, day(16), FEBRUARY.starting_at))
    prices = [entry(1), entry(2, day(10), added=1), entry(3, day(20), added=2)]
    assert plan(sql(product(prices))) == (UsageNeed("m", (), january, february, ()),)
    swapped = product(prices, (None, once("a")), (day(16), hourly("b")))
    assert plan(sql(swapped, a=SQL, b=SQL)) == (
        UsageNeed("a", (), january, february, (swap,)),
        UsageNeed("b", (), january, february, (hour_of(day(10)), swap, hour_of(day(20)))),
    )


def test_each_period_is_rated_from_its_own_answer_alone() -> None:
    """Two contracts, months from the 1st and from the 10th: 4 + 6 and 9, whatever order they come in."""
    agreed = account(product([entry(1)], (None, hourly())), m=SQL)
    other = Period(day(10), day(10).replace(month=2))
    first = agreed.contracts[0]
    agreed = replace(
        agreed, contracts=(first, replace(first, contract_id="d", starting_at=day(10), periods=(other,)))
    )
    answers = {JANUARY: (amount(day(2), 4), amount(day(20), 6)), other: (amount(day(20), 9),)}
    by_start = {hour_of(period.starting_at): spans for period, spans in answers.items()}
    slices = [UsageSlice(need, by_start[need.hour_from]) for need in plan(agreed)]
    for usage in (slices, slices[::-1]):
        assert [draft.total for draft in rate(agreed, usage).invoices] == [10, 9]


def test_what_was_rated_can_be_stored_and_rated_again() -> None:
    agreed = two_months(SQL)
    usage = tuple(
        UsageSlice(need, (UsageSpan(need.hour_from, (), amount(FIRST, "-1.5").tally),))
        for need in plan(agreed)
    )
    kept = RatedFrom(terms=agreed, usage=usage)
    back = msgspec.json.decode(msgspec.json.encode(kept), type=RatedFrom)
    assert back == kept
    assert [draft.total for draft in rate(back.terms, back.usage).invoices] == [Decimal("-1.5"), -3]
