"""Cuts a statement period wherever a product's terms or its rate change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tallybook.rating.model import PricedProduct
from tallybook.rating.rates import by_key, segments_of
from tallybook.values.metric import Aggregation
from tallybook.values.period import Period
from tallybook.values.pricing import GroupValues, ProductTerms, RateEntry, SqlBreakdownGranularity


@dataclass(frozen=True, slots=True)
class TermsWindow:
    """A part of a period in which a product's terms stand still."""

    period: Period
    terms: ProductTerms


@dataclass(frozen=True, slots=True)
class PricedWindow:
    """A part of a period in which terms and rate of one pricing group stand still."""

    period: Period
    terms: ProductTerms
    entry: RateEntry


def terms_windows(product: PricedProduct, period: Period) -> list[TermsWindow]:
    """The product's terms through the period.

    A change of tags or of the granularity alone cuts nothing; of the granularities, the last one holds.
    """
    windows: list[TermsWindow] = []
    later = [*product.timeline[1:], None]
    for dated, following in zip(product.timeline, later, strict=True):
        part = period.clip(dated.starting_at, None if following is None else following.starting_at)
        if part.is_empty():
            continue
        terms = replace(dated.terms, tags=())
        if windows and _whatever_granularity(windows[-1].terms) == _whatever_granularity(terms):
            windows[-1] = TermsWindow(Period(windows[-1].period.starting_at, part.ending_before), terms)
        else:
            windows.append(TermsWindow(part, terms))
    return windows


def _whatever_granularity(terms: ProductTerms) -> ProductTerms:
    return replace(terms, sql_breakdown_granularity=None)


def deferred_stretches(
    windows: Sequence[TermsWindow], aggregations: Mapping[str, Aggregation]
) -> list[TermsWindow]:
    """The stretches of one SQL metric whose whole quantity falls on the period's last instant.

    Each holds the terms at its end, which decide for all of it. It is so unless they say HOUR
    (pricing.md 2.5; docs/concepts/products-and-rates.md).
    """
    stretches: list[TermsWindow] = []
    for window in windows:
        last = stretches[-1] if stretches else None
        if last is not None and last.terms.billable_metric_id == window.terms.billable_metric_id:
            joined = Period(last.period.starting_at, window.period.ending_before)
            stretches[-1] = TermsWindow(joined, window.terms)
        else:
            stretches.append(window)
    return [
        stretch
        for stretch in stretches
        if aggregations.get(stretch.terms.billable_metric_id or "") is Aggregation.SQL
        and stretch.terms.sql_breakdown_granularity is not SqlBreakdownGranularity.HOUR
    ]


def priced_windows(
    product: PricedProduct, windows: Sequence[TermsWindow]
) -> dict[GroupValues, list[PricedWindow]]:
    """For each set of pricing group values that has a rate: its entitled windows, in order.

    A rate counts only while its values name exactly the product's pricing group key (pricing.md 4.3),
    and while it entitles (4.4). A new entry with an unchanged price cuts nothing.
    """
    priced: dict[GroupValues, list[PricedWindow]] = {}
    for (_, values, _), entries in by_key(product.entries).items():
        names = {name for name, _ in values}
        rates = segments_of(entries)
        for window in windows:
            if names != set(window.terms.pricing_group_key):
                continue
            for rate in rates:
                part = window.period.clip(rate.starting_at, rate.ending_before)
                if rate.entry.entitled and not part.is_empty():
                    _append(priced.setdefault(values, []), PricedWindow(part, window.terms, rate.entry))
    return priced


def _append(windows: list[PricedWindow], new: PricedWindow) -> None:
    """Add a window, joined to the last one where nothing that shows on a line changes."""
    last = windows[-1] if windows else None
    if (
        last is not None
        and last.period.ending_before == new.period.starting_at
        and last.terms == new.terms
        and last.entry.price == new.entry.price
    ):
        joined = Period(last.period.starting_at, new.period.ending_before)
        windows[-1] = PricedWindow(joined, last.terms, last.entry)
    else:
        windows.append(new)
