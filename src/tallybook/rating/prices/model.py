"""A part of a charge, as every shape of price gives it."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """A quantity at one unit price; `total` is exact."""

    quantity: Decimal
    unit_price: Decimal
    total: Decimal
