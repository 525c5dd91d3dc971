"""One file per shape of price; `charge` picks the one a rate asks for."""

from collections.abc import Callable
from decimal import Decimal

from tallybook.rating.prices.flat import charge_flat
from tallybook.rating.prices.model import Charge
from tallybook.values.errors import NotBuilt
from tallybook.values.pricing import Price, RateType

__all__ = ["Charge", "charge"]

_SHAPES: dict[RateType, Callable[[Price, Decimal], tuple[Charge, ...]]] = {RateType.FLAT: charge_flat}


def charge(price: Price, quantity: Decimal) -> tuple[Charge, ...]:
    """What a quantity costs, in one or more parts that add up to the whole.

    Raises NotBuilt for a shape that this version cannot compute.
    """
    shape = _SHAPES.get(price.rate_type)
    if shape is None:
        raise NotBuilt(f"rate_type: {price.rate_type} rates are not available in this version; use FLAT")
    return shape(price, quantity)
