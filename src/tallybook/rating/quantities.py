"""From metered hours to billed quantities: increments of the running value, converted and rounded.

With V(t) the metric's value over [period start, t), the window [a, b) is billed V(b) - V(a)
(metering.md 2.8). For count and sum that is the window's own usage; max and unique can only rise;
latest and what an SQL metric gives can fall, and a late event moves every V after it.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

from tallybook.rating.model import UsageSpan
from tallybook.values.metric import Aggregation
from tallybook.values.pricing import ConversionOperation, QuantityConversion, QuantityRounding
from tallybook.values.quantity import ZERO, divide, multiply, round_to, subtract
from tallybook.values.usage import Running


def running_values(
    aggregation: Aggregation, spans: Iterable[UsageSpan], borders: Sequence[int]
) -> list[Decimal]:
    """V at each border, from spans in ascending order; nothing yet counts as 0.

    `borders` are hours since 1970, ascending; usage before the first border is part of every V. No
    span reaches over a border. Spans of an SQL metric are increments already, which add up to V.
    """
    values: list[Decimal] = []
    running = Running()
    pending = iter(spans)
    item = next(pending, None)
    for border in borders:
        while item is not None and item.hour < border:
            running.add(item.tally)
            item = next(pending, None)
        values.append(running.value(aggregation) or ZERO)
    return values


def increments(aggregation: Aggregation, spans: Iterable[UsageSpan], borders: Sequence[int]) -> list[Decimal]:
    """V(b) - V(a) for each window [a, b) between neighbouring borders, in order.

    Takes what running_values takes; the increments add up to the last V less the first.
    """
    values = running_values(aggregation, spans, borders)
    return [subtract(after, before) for before, after in pairwise(values)]


def convert(value: Decimal, conversion: QuantityConversion | None) -> Decimal:
    """A metered value in priced units (pricing.md 2.7).

    >>> factor = QuantityConversion(conversion_factor=Decimal(1000), operation=ConversionOperation.DIVIDE)
    >>> convert(Decimal(1500), factor)
    Decimal('1.5')
    """
    if conversion is None:
        return value
    if conversion.operation is ConversionOperation.DIVIDE:
        return divide(value, conversion.conversion_factor)
    return multiply(value, conversion.conversion_factor)


def round_quantity(quantity: Decimal, rounding: QuantityRounding | None) -> Decimal:
    """A converted quantity rounded as the product says (pricing.md 2.8)."""
    if rounding is None:
        return quantity
    return round_to(quantity, rounding.decimal_places, rounding.rounding_method.value)
