"""Usage lines, case by case, with amounts an accountant can work out."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from tallybook.domains.invoices.model import RatedFrom
from tallybook.rating.account import plan, rate
from tallybook.rating.model import UsageSlice
from tallybook.values.errors import NotBuilt
from tallybook.values.metric import Aggregation
from tallybook.values.pricing import RateType
from tests.rating.book import (
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


def test_flat_price_of_converted_tokens() -> None:
    """1,234,567 tokens / 1,000,000 = 1.234567 units x 250 = 308.64175 cents."""
    tokens = product([entry(250)], (None, terms(quantity_conversion=MILLION)))
    draft = invoice(account(tokens), m=[amount(day(3), 1_234_000), amount(day(9), 567)])
    assert shown(draft) == [("01.00-01.00", "1.234567", "250", "308.64175")]
    assert draft.total == Decimal("308.64175")
    assert draft.issued_at == JANUARY.ending_before + timedelta(hours=24)


def test_rate_change_splits_the_line_at_the_hour() -> None:
    """10 units before the 16th at 3 = 30; 4 units from then on at 5 = 20; together 50."""
    tokens = product([entry(3), entry(5, day(16), added=1)])
    usage = [amount(day(15, 23), 10), amount(day(16), 4)]
    draft = invoice(account(tokens), m=usage)
    assert shown(draft) == [("01.00-16.00", "10", "3", "30"), ("16.00-01.00", "4", "5", "20")]
    assert draft.total == 50


def test_new_entry_at_the_same_price_cuts_nothing() -> None:
    tokens = product([entry(3), entry("3.00", day(16), added=1)])
    assert shown(invoice(account(tokens), m=[amount(day(20), 2)])) == [("01.00-01.00", "2", "3", "6")]


def test_temporary_price_gives_way_to_the_earlier_one() -> None:
    """1 at 10, then 1 at 1 during the promotion of the 10th, then 1 at 10 again: 21."""
    tokens = product([entry(10), entry(1, day(10), day(11), added=1)])
    draft = invoice(account(tokens), m=[amount(day(9), 1), amount(day(10, 5), 1), amount(day(11), 1)])
    assert [line.total for line in draft.lines] == [10, 1, 10]


def test_usage_without_entitlement_or_rate_is_not_billed() -> None:
    """Entitled on the 10th only: 5 of the 11 units at 2 = 10."""
    tokens = product([entry(2, day(10), day(11)), entry(9, entitled=False, added=1)])
    usage = [amount(day(9), 3), amount(day(10), 5), amount(day(11), 3)]
    draft = invoice(account(tokens), m=usage)
    assert shown(draft) == [("10.00-11.00", "5", "2", "10")]


def test_product_without_pricing_key_shows_a_line_for_no_usage() -> None:
    assert shown(invoice(account(product([entry(7)])))) == [("01.00-01.00", "0", "7", "0")]


def test_every_window_without_group_keys_has_a_line() -> None:
    """5 units at 2 before the change = 10, nothing at 3 after it."""
    tokens = product([entry(2), entry(3, day(11), added=1)])
    assert shown(invoice(account(tokens), m=[amount(day(1), 5)])) == [
        ("01.00-11.00", "5", "2", "10"),
        ("11.00-01.00", "0", "3", "0"),
    ]


def test_product_that_loses_its_pricing_key_shows_a_line_from_then_on() -> None:
    keyed, bare = terms(pricing_group_key=("region",)), terms()
    tokens = product([entry(2, region="eu"), entry(3, added=1)], (None, keyed), (day(11), bare))
    agreed = account(tokens)
    usage = [
        UsageSlice(need, (amount(day(1), 5, *(["eu"] if need.grouping else [])),)) for need in plan(agreed)
    ]
    assert shown(rate(agreed, usage).invoices[0]) == [
        ("11.00-01.00", "0", "3", "0"),
        ("01.00-11.00", "5", "2", "10"),
    ]


def test_pricing_groups_are_charged_each_at_its_rate_and_shown_only_when_used() -> None:
    """eu: 3 x 2 = 6; us: 4 x 5 = 20; asia has a rate and no usage; mars has usage and no rate."""
    tokens = product(
        [entry(2, region="eu"), entry(5, region="us", added=1), entry(9, region="asia", added=2)],
        (None, terms(pricing_group_key=("region",))),
    )
    usage = [
        amount(day(1), 4, "us"),
        amount(day(1), 3, "eu"),
        amount(day(1), 8, "mars"),
        amount(day(1), 1, None),
    ]
    draft = invoice(account(tokens), m=usage)
    assert [(line.pricing_group_values, line.total) for line in draft.lines] == [
        ((("region", "eu"),), 6),
        ((("region", "us"),), 20),
    ]


def test_presentation_groups_split_lines_at_one_price() -> None:
    """2 + 3 + 1 units at 4; the event without a team stands first."""
    tokens = product([entry(4)], (None, terms(presentation_group_key=("team",))))
    usage = [amount(day(1), 3, "b"), amount(day(1), 2, "a"), amount(day(1), 1, None)]
    draft = invoice(account(tokens), m=usage)
    assert [(line.presentation_group_values, line.total) for line in draft.lines] == [
        ((("team", None),), 4),
        ((("team", "a"),), 8),
        ((("team", "b"),), 12),
    ]


def test_rounding_acts_on_the_groups_quantity_of_the_period() -> None:
    """0.4 + 0.4 + 0.4 = 1.2, rounded up 2; running 1, 1, 2: windows show 1, 0, 1."""
    tokens = product(
        [entry(10), entry(20, day(11), added=1), entry(30, day(21), added=2)],
        (None, terms(quantity_rounding=rounding("ROUND_UP", 0))),
    )
    usage = [amount(day(1), "0.4"), amount(day(11), "0.4"), amount(day(21), "0.4")]
    draft = invoice(account(tokens), m=usage)
    assert [(line.quantity, line.total) for line in draft.lines] == [(1, 10), (0, 0), (1, 30)]


def test_a_new_way_of_rounding_leaves_what_was_billed_before_it_alone() -> None:
    """0.5 rounded up = 1 until the 11th; after it 0.7 as it is; then nothing is used."""
    tokens = product(
        [entry(10), entry(20, day(21), added=1)],
        (None, terms(quantity_rounding=rounding("ROUND_UP", 0))),
        (day(11), terms()),
    )
    draft = invoice(account(tokens), m=[amount(day(1), "0.5"), amount(day(11), "0.7")])
    assert [(line.quantity, line.total) for line in draft.lines] == [(1, 10), (Decimal("0.7"), 7), (0, 0)]


@pytest.mark.parametrize(
    ("method", "expected"), [("ROUND_UP", "0.13"), ("ROUND_DOWN", "0.12"), ("ROUND_HALF_UP", "0.13")]
)
def test_rounding_comes_after_conversion(method: str, expected: str) -> None:
    """125,000 / 1,000,000 = 0.125."""
    both = terms(quantity_conversion=MILLION, quantity_rounding=rounding(method, 2))
    draft = invoice(account(product([entry(1)], (None, both))), m=[amount(day(1), 125_000)])
    assert draft.lines[0].quantity == Decimal(expected)


def test_maximum_is_billed_by_its_rise() -> None:
    """Up to 8 before the change at 1 = 8; a peak of 11 after it adds 3 at 10 = 30."""
    seats = account(product([entry(1), entry(10, day(16), added=1)]), m=Aggregation.MAX)
    usage = [amount(day(2), 8), amount(day(3), 5), amount(day(17), 7), amount(day(18), 11)]
    assert shown(invoice(seats, m=usage)) == [
        ("01.00-16.00", "8", "1", "8"),
        ("16.00-01.00", "3", "10", "30"),
    ]


def test_latest_that_falls_is_credited_at_the_rate_of_its_window() -> None:
    """100 before the change at 1 = 100; down to 40 after it: -60 at 2 = -120; together -20."""
    disk = account(product([entry(1), entry(2, day(16), added=1)]), m=Aggregation.LATEST)
    draft = invoice(disk, m=[amount(day(2), 100), amount(day(20), 40)])
    assert [line.total for line in draft.lines] == [100, -120]
    assert draft.total == -20


def test_unique_counts_a_value_once_in_the_period() -> None:
    """Users 1 and 2 before, 2 and 3 after: 2 at 5 = 10, then one new at 7 = 7."""
    users = account(product([entry(5), entry(7, day(16), added=1)]), m=Aggregation.UNIQUE)
    usage = [amount(day(2), 1), amount(day(3), 2), amount(day(17), 2), amount(day(18), 3)]
    assert [line.total for line in invoice(users, m=usage).lines] == [10, 7]


def test_renamed_product_shows_both_names_and_a_change_of_tags_cuts_nothing() -> None:
    later = terms(name="Tokens v2")
    tokens = product([entry(1)], (None, terms()), (day(10), terms(tags=("x",))), (day(20), later))
    draft = invoice(account(tokens), m=[amount(day(15), 1), amount(day(25), 2)])
    assert [(line.name, line.starting_at, line.total) for line in draft.lines] == [
        ("Tokens", day(1), 1),
        ("Tokens v2", day(20), 2),
    ]


def test_metric_swapped_inside_a_period_bills_the_new_ones_increments_after_the_swap() -> None:
    """Old metric: 5 before the swap; new metric: 100 before (ignored) and 3 after: 5 + 3 = 8."""
    tokens = product([entry(1)], (None, terms("a")), (day(16), terms("b")))
    both = account(tokens, a=Aggregation.SUM, b=Aggregation.SUM)
    draft = invoice(
        both, a=[amount(day(2), 5), amount(day(20), 50)], b=[amount(day(2), 100), amount(day(20), 3)]
    )
    assert draft.total == 8


def test_conversion_that_does_not_end_still_adds_up_over_a_split() -> None:
    """1 / 3 in two halves of the period: the two quantities add up to the unsplit one."""
    thirds = replace(MILLION, conversion_factor=Decimal(3))
    whole = product([entry(1)], (None, terms(quantity_conversion=thirds)))
    split = product([entry(1), entry(2, day(16), added=1)], (None, terms(quantity_conversion=thirds)))
    usage = [amount(day(2), "0.4"), amount(day(20), "0.6")]
    once = invoice(account(whole), m=usage).lines[0].quantity
    parts = [line.quantity for line in invoice(account(split), m=usage).lines]
    assert sum(parts) == once == Decimal("0.3333333333333333333333333333")


def test_shapes_of_price_that_are_not_built_say_so() -> None:
    tiered = entry(1)
    tiered = replace(tiered, price=replace(tiered.price, rate_type=RateType.TIERED))
    with pytest.raises(NotBuilt, match="TIERED"):
        invoice(account(product([tiered])))


def test_what_was_rated_can_be_stored_and_rated_again_to_the_same_invoice() -> None:
    tokens = product(
        [entry("0.1", region="eu")],
        (
            None,
            terms(
                pricing_group_key=("region",), presentation_group_key=("team",), quantity_conversion=MILLION
            ),
        ),
    )
    terms_ = account(tokens)
    usage = tuple(
        UsageSlice(need, (amount(day(1), "1.5", "eu", "a"), amount(day(2), 7, "eu", None)))
        for need in plan(terms_)
    )
    kept = RatedFrom(terms=terms_, usage=usage)
    back = msgspec.json.decode(msgspec.json.encode(kept), type=RatedFrom)
    assert back == kept
    assert rate(back.terms, back.usage) == rate(terms_, usage)
    assert len(rate(terms_, usage).invoices[0].lines) == 2
