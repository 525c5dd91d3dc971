"""FLAT: every unit costs the same (pricing.md 4.5)."""

from decimal import Decimal

from tallybook.rating.prices.model import Charge
from tallybook.values.pricing import Price
from tallybook.values.quantity import multiply


def charge_flat(price: Price, quantity: Decimal) -> tuple[Charge, ...]:
    """The quantity at the price, exactly."""
    return (Charge(quantity, price.price, multiply(quantity, price.price)),)
