"""Rating against a naive oracle that prices hour by hour, and what must never change a bill."""

import random
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tallybook.rating.account import plan, rate
from tallybook.rating.model import UsageNeed, UsageSlice, UsageSpan
from tallybook.rating.rates import ruling_entry
from tallybook.values.instant import hour_of, instant_of_hour
from tallybook.values.metric import Aggregation
from tallybook.values.period import Period
from tallybook.values.pricing import RateEntry, SqlBreakdownGranularity
from tallybook.values.usage import Tally, value_of
from tests.rating.book import account, amount, day, entry, invoice, product, terms

HOURS = 72
PERIOD = Period(day(1), day(1 + HOURS // 24))

hours = st.integers(0, HOURS - 1).map(lambda hour: instant_of_hour(hour_of(day(1)) + hour))
regions = st.sampled_from(["eu", "us"])
prices = st.decimals(0, 100, places=3)
ends = st.one_of(st.none(), hours)


@st.composite
def entries(draw: st.DrawFn) -> list[RateEntry]:
    """Overlapping, gapping, entitling and refusing entries for two regions."""
    found = []
    for added in range(draw(st.integers(1, 6))):
        start, end = draw(hours), draw(ends)
        if end is not None and end <= start:
            end = None
        entitled = draw(st.booleans())
        found.append(entry(draw(prices), start, end, added=added, entitled=entitled, region=draw(regions)))
    return found


usage = st.lists(
    st.builds(amount, hours, st.decimals(-50, 50, places=2), st.sampled_from(["eu", "us", "mars", None])),
    max_size=30,
)
by_region = terms(pricing_group_key=("region",), sql_breakdown_granularity=SqlBreakdownGranularity.HOUR)


def merged(items: list[UsageSpan]) -> list[UsageSpan]:
    """One record per hour and group, as metering gives them."""
    cells: dict[tuple[int, tuple[str | None, ...]], Tally] = {}
    for item in items:
        place = item.hour, item.group
        cells[place] = cells.get(place, Tally()).merge(item.tally)
    return [UsageSpan(hour, group, tally) for (hour, group), tally in cells.items()]


def naive_total(rates: list[RateEntry], items: list[UsageSpan], aggregation: Aggregation) -> Decimal:
    """Price each hour's increment by the entry that rules in it."""
    total = Decimal(0)
    for region in ("eu", "us"):
        mine = [item for item in rates if item.group_values == (("region", region),)]
        tally, before = Tally(), Decimal(0)
        for hour in range(hour_of(PERIOD.starting_at), hour_of(PERIOD.ending_before)):
            for item in items:
                if item.hour == hour and item.group == (region,):
                    tally = tally.merge(item.tally)
            value = value_of(aggregation, tally) or Decimal(0)
            ruling = ruling_entry(mine, instant_of_hour(hour))
            if ruling is not None and ruling.entitled:
                total += (value - before) * ruling.price.price
            before = value
    return total


@given(entries(), usage, st.sampled_from(list(Aggregation)))
def test_the_bill_is_what_pricing_hour_by_hour_gives(
    rates: list[RateEntry], items: list[UsageSpan], aggregation: Aggregation
) -> None:
    cells = merged(items)
    terms_ = account(product(rates, (None, by_region)), period=PERIOD, m=aggregation)
    draft = invoice(terms_, m=cells)
    assert draft.total == naive_total(rates, cells, aggregation)
    assert draft.total == sum((line.total for line in draft.lines), Decimal(0))
    for line in draft.lines:
        assert line.total == line.quantity * line.unit_price
        assert PERIOD.starting_at <= line.starting_at < line.ending_before <= PERIOD.ending_before


@given(entries(), usage)
def test_a_service_period_bills_all_of_it_at_the_rate_of_its_last_hour(
    rates: list[RateEntry], items: list[UsageSpan]
) -> None:
    once = replace(by_region, sql_breakdown_granularity=None)
    terms_ = account(product(rates, (None, once)), period=PERIOD, m=Aggregation.SQL)
    draft = invoice(terms_, m=merged(items))
    last = instant_of_hour(hour_of(PERIOD.ending_before) - 1)
    expected = Decimal(0)
    for region in ("eu", "us"):
        ruling = ruling_entry([item for item in rates if item.group_values == (("region", region),)], last)
        if ruling is not None and ruling.entitled:
            used = sum((item.tally.sum for item in items if item.group == (region,)), Decimal(0))
            expected += used * ruling.price.price
    assert draft.total == expected


@given(entries(), usage, hours, st.sampled_from(list(Aggregation)))
def test_cutting_the_product_at_any_hour_changes_no_total(
    rates: list[RateEntry], items: list[UsageSpan], cut: object, aggregation: Aggregation
) -> None:
    cells = merged(items)
    plain = product(rates, (None, by_region))
    cut_up = product(rates, (None, by_region), (cut, replace(by_region, name="renamed")))
    whole = invoice(account(plain, period=PERIOD, m=aggregation), m=cells)
    parts = invoice(account(cut_up, period=PERIOD, m=aggregation), m=cells)
    assert whole.total == parts.total


@given(entries(), usage, st.randoms(use_true_random=False))
def test_the_order_of_definitions_and_usage_changes_nothing(
    rates: list[RateEntry], items: list[UsageSpan], shuffler: random.Random
) -> None:
    cells = merged(items)
    other = replace(product([entry(1)]), product_id="q")
    terms_ = account(product(rates, (None, by_region)), other, period=PERIOD)
    slices = [UsageSlice(need, tuple(cells if need.grouping else ())) for need in plan(terms_)]
    expected = rate(terms_, slices)
    shuffler.shuffle(cells)
    mixed = rates[:]
    shuffler.shuffle(mixed)
    again = account(product(mixed, (None, by_region)), other, period=PERIOD)
    shuffled = [UsageSlice(need, tuple(cells if need.grouping else ())) for need in plan(again)]
    shuffler.shuffle(shuffled)
    assert rate(again, shuffled) == expected


@given(entries(), usage, hours, st.sampled_from(list(Aggregation)))
def test_usage_that_comes_merged_between_the_cuts_gives_the_same_bill(
    rates: list[RateEntry], items: list[UsageSpan], cut: object, aggregation: Aggregation
) -> None:
    cells = merged(items)
    renamed = product(rates, (None, by_region), (cut, replace(by_region, name="renamed")))
    terms_ = account(renamed, period=PERIOD, m=aggregation)
    needs = plan(terms_)
    hourly = [UsageSlice(need, tuple(cells)) for need in needs]
    spans = [
        UsageSlice(need, tuple(merged([replace(item, hour=start_of(need, item.hour)) for item in cells])))
        for need in needs
    ]
    assert rate(terms_, spans) == rate(terms_, hourly)


def start_of(need: UsageNeed, hour: int) -> int:
    """The cut or bound at or before an hour."""
    return max(border for border in (need.hour_from, *need.cuts) if border <= hour)
