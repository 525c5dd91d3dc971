"""From metered hours to billed quantities: increments of the running value, converted and rounded.

With V(t) the metric's value over [period start, t), the window [a, b) is billed V(b) - V(a)
(metering.md 2.8). For count and sum that is the window's own usage; max and unique can only rise;
latest can fall.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from tallybook.rating.model import UsageSpan
from tallybook.values.metric import Aggregation
from tallybook.values.pricing import ConversionOperation, QuantityConversion, QuantityRounding
from tallybook.values.quantity import ZERO, add, divide, multiply, round_to
from tallybook.values.usage import Tally, value_of

_Folder = Callable[[Tally, Tally], Tally]


def _count(total: Tally, more: Tally) -> Tally:
    return Tally(count=total.count + more.count)


def _sum(total: Tally, more: Tally) -> Tally:
    return Tally(sum=add(total.sum, more.sum))


# Count and sum are most of all usage; adding one number spares merging the rest of a tally.
_FOLDERS: dict[Aggregation, _Folder] = {Aggregation.COUNT: _count, Aggregation.SUM: _sum}


def running_values(
    aggregation: Aggregation, spans: Iterable[UsageSpan], borders: Sequence[int]
) -> list[Decimal]:
    """V at each border, from spans in ascending order; nothing yet counts as 0.

    `borders` are hours since 1970, ascending; usage before the first border is part of every V. No
    span reaches over a border.
    """
    fold = _FOLDERS.get(aggregation, Tally.merge)
    values: list[Decimal] = []
    tally = Tally()
    pending = iter(spans)
    item = next(pending, None)
    for border in borders:
        while item is not None and item.hour < border:
            tally = fold(tally, item.tally)
            item = next(pending, None)
        values.append(value_of(aggregation, tally) or ZERO)
    return values


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
