"""Usage lines of one product in one statement period (invoicing.md 2.3)."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tallybook.rating.model import Line, LineKind, LineTrail, PresentationValues, PricedProduct, UsageSpan
from tallybook.rating.prices import charge
from tallybook.rating.quantities import convert, round_quantity, running_values
from tallybook.rating.segments import (
    PricedWindow,
    TermsWindow,
    deferred_stretches,
    priced_windows,
    terms_windows,
)
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation
from tallybook.values.period import Period
from tallybook.values.pricing import GroupValues, ProductTerms
from tallybook.values.quantity import ZERO, add, subtract

Series = Mapping[tuple[str | None, ...], Sequence[UsageSpan]]
"""The spans of one metric and grouping in one period, ascending, by group."""
SeriesKey = tuple[str, tuple[str, ...]]
"""Metric id and grouping."""
LineGroup = tuple[GroupValues, PresentationValues]


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch that is measured by its terms, and the window in which its usage lands."""

    values: GroupValues
    measured: TermsWindow
    window: PricedWindow


@dataclass(frozen=True, slots=True)
class _Portion:
    """What one line group used in one window: the metric's increment, and the same in priced units."""

    window: PricedWindow
    metered: Decimal
    converted: Decimal


@dataclass(frozen=True, slots=True)
class _Running:
    """One group's running value at every border of the product, and where spans with usage begin."""

    values: Mapping[int, Decimal]
    hours: Sequence[int]

    def has_usage(self, start: int, end: int) -> bool:
        """Whether there is usage in [start, end)."""
        place = bisect_left(self.hours, start)
        return place < len(self.hours) and self.hours[place] < end


_ByPricing = Mapping[PresentationValues, Sequence[tuple[Mapping[str, str | None], _Running]]]
"""Groups, as properties and running values, by their values of the pricing group key."""


def grouping_of(terms: ProductTerms) -> tuple[str, ...]:
    """The grouping in which a product's usage is read: all its group keys, sorted."""
    return tuple(sorted({*terms.pricing_group_key, *terms.presentation_group_key}))


def usage_lines(
    product: PricedProduct,
    period: Period,
    series: Mapping[SeriesKey, Series],
    aggregations: Mapping[str, Aggregation],
) -> list[Line]:
    """The lines of one product, by pricing values, presentation values and time.

    In every window without a group key there is a line even for no usage; with a pricing group key,
    only for combinations that have usage; with a presentation group key alone, an empty line only when
    there is no usage in the whole period. Usage whose values match no rate gives no line.
    """
    windows = terms_windows(product, period)
    priced = priced_windows(product, windows)
    parts = list(_parts(priced, deferred_stretches(windows, aggregations), period))
    groups = _portions(parts, series, aggregations)
    lines = [line for group, portions in groups.items() for line in _lines(product, group, portions)]
    lines.extend(_idle_lines(product, priced.get((), ()), groups))
    return sorted(lines, key=_order)


def _idle_lines(
    product: PricedProduct, windows: Sequence[PricedWindow], groups: Mapping[LineGroup, Sequence[_Portion]]
) -> list[Line]:
    """The lines of windows without a pricing group key in which nothing was used."""
    used = {portion.window.period for portion in groups.get(((), ()), ())}
    idle = [
        _Portion(window, ZERO, ZERO)
        for window in windows
        if window.terms.billable_metric_id is not None
        and window.period not in used
        and not (groups and window.terms.presentation_group_key)
    ]
    return _lines(product, ((), ()), idle)


def _parts(
    priced: Mapping[GroupValues, Sequence[PricedWindow]], deferred: Sequence[TermsWindow], period: Period
) -> Iterator[_Part]:
    """What is measured for each set of pricing values, and where it lands, in order of time.

    A window's usage lands in it. A deferred stretch lands in the window that reaches the end of the
    period, so it is not billed where no rate is in force then.
    """
    for values, windows in priced.items():
        names = {name for name, _ in values}
        for window in windows:
            if not any(stretch.period.contains(window.period.starting_at) for stretch in deferred):
                yield _Part(values, TermsWindow(window.period, window.terms), window)
        last = windows[-1]
        if last.period.ending_before == period.ending_before:
            for stretch in deferred:
                if names == set(stretch.terms.pricing_group_key):
                    yield _Part(values, stretch, last)


def _portions(
    parts: Sequence[_Part], series: Mapping[SeriesKey, Series], aggregations: Mapping[str, Aggregation]
) -> dict[LineGroup, list[_Portion]]:
    """What each line group used in each window that has usage, in order of time."""
    borders = sorted({hour_of(edge) for part in parts for edge in _edges(part.measured)})
    known: dict[tuple[SeriesKey, tuple[str, ...]], _ByPricing] = {}
    groups: dict[LineGroup, list[_Portion]] = {}
    for part in parts:
        terms = part.measured.terms
        metric_id = terms.billable_metric_id
        if metric_id is None:
            continue
        key, names = (metric_id, grouping_of(terms)), tuple(name for name, _ in part.values)
        if (key, names) not in known:
            known[key, names] = _run(aggregations[metric_id], key, series, borders, names)
        for shown, portion in _used(part, known[key, names].get(part.values, ())):
            _append(groups.setdefault((part.values, shown), []), portion)
    return groups


def _append(portions: list[_Portion], new: _Portion) -> None:
    """Add a portion, joined to the last one where both land in one window."""
    last = portions[-1] if portions else None
    if last is not None and last.window is new.window:
        metered, converted = add(last.metered, new.metered), add(last.converted, new.converted)
        portions[-1] = _Portion(new.window, metered, converted)
    else:
        portions.append(new)


def _run(
    aggregation: Aggregation,
    key: SeriesKey,
    series: Mapping[SeriesKey, Series],
    borders: Sequence[int],
    priced_by: tuple[str, ...],
) -> _ByPricing:
    """The running values of every group of a series, by the group's pricing values."""
    running: dict[PresentationValues, list[tuple[Mapping[str, str | None], _Running]]] = {}
    for group, spans in series.get(key, {}).items():
        properties = dict(zip(key[1], group, strict=True))
        values = running_values(aggregation, spans, borders)
        usage = _Running(dict(zip(borders, values, strict=True)), [item.hour for item in spans])
        running.setdefault(tuple((name, properties[name]) for name in priced_by), []).append(
            (properties, usage)
        )
    return running


def _used(
    part: _Part, running: Sequence[tuple[Mapping[str, str | None], _Running]]
) -> Iterator[tuple[PresentationValues, _Portion]]:
    """What each presentation group of one pricing group used in one part."""
    start, end = (hour_of(edge) for edge in _edges(part.measured))
    terms = part.measured.terms
    conversion = terms.quantity_conversion
    for properties, usage in running:
        if usage.has_usage(start, end):
            before, after = usage.values[start], usage.values[end]
            converted = subtract(convert(after, conversion), convert(before, conversion))
            shown = tuple((name, properties[name]) for name in sorted(terms.presentation_group_key))
            yield shown, _Portion(part.window, subtract(after, before), converted)


def _edges(window: TermsWindow) -> tuple[datetime, datetime]:
    return window.period.starting_at, window.period.ending_before


def _lines(product: PricedProduct, group: LineGroup, portions: Sequence[_Portion]) -> list[Line]:
    """One line group through the period.

    Rounding acts on the group's quantity of the period so far; each window shows by how much that
    grew in it (design decision 15), so the lines add up to the rounded whole. Each window rounds as
    its own terms say: a new way of rounding leaves what was billed before it alone.
    """
    lines: list[Line] = []
    before = ZERO
    for portion in portions:
        after, rounding = add(before, portion.converted), portion.window.terms.quantity_rounding
        quantity = subtract(round_quantity(after, rounding), round_quantity(before, rounding))
        before = after
        lines.extend(_charged(product, group, portion, quantity))
    return lines


def _charged(
    product: PricedProduct, group: LineGroup, portion: _Portion, quantity: Decimal
) -> Iterator[Line]:
    window, (pricing, presentation) = portion.window, group
    for part in charge(window.entry.price, quantity):
        yield Line(
            kind=LineKind.USAGE,
            name=window.terms.name,
            total=part.total,
            credit_type_id=window.entry.price.credit_type_id,
            product_id=product.product_id,
            product_type=product.type,
            quantity=part.quantity,
            unit_price=part.unit_price,
            starting_at=window.period.starting_at,
            ending_before=window.period.ending_before,
            pricing_group_values=pricing,
            presentation_group_values=presentation,
            list_price=window.entry.price,
            trail=LineTrail(
                metric_id=window.terms.billable_metric_id or "",
                rate_id=window.entry.id,
                metered=portion.metered,
                converted=portion.converted,
            ),
        )


def _order(line: Line) -> tuple[object, ...]:
    shown = [(value is not None, value or "") for _, value in line.presentation_group_values]
    return line.pricing_group_values, shown, line.starting_at
