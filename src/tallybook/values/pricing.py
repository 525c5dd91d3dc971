"""What prices are made of: versions of a product and the entries of a rate card.

Domains store and show these records, the rating core computes with them. Amounts are in the unit of
their credit type: cents for US dollars, whole units for everything else. Periods are half-open, UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tallybook.values.cased import CasedEnum
from tallybook.values.money import USD_CENTS_ID

GroupValues = tuple[tuple[str, str], ...]
"""Property and value pairs in the order of their property names; () for no pricing group."""


class ProductType(CasedEnum):
    """What kind of charge a product carries (pricing.md 2.1)."""

    USAGE = "USAGE"
    SUBSCRIPTION = "SUBSCRIPTION"
    COMPOSITE = "COMPOSITE"
    FIXED = "FIXED"
    PRO_SERVICE = "PRO_SERVICE"


class ConversionOperation(CasedEnum):
    """How a conversion factor acts on a metered value."""

    MULTIPLY = "MULTIPLY"
    DIVIDE = "DIVIDE"


class RoundingMethod(CasedEnum):
    """How a converted quantity is rounded."""

    ROUND_UP = "ROUND_UP"
    ROUND_DOWN = "ROUND_DOWN"
    ROUND_HALF_UP = "ROUND_HALF_UP"


class SqlBreakdownGranularity(CasedEnum):
    """When the quantity of an SQL metric arises (pricing.md 2.5); of no effect on other metrics.

    HOUR: as its running value moves. SERVICE_PERIOD: all of it at the last instant of the period.
    """

    HOUR = "HOUR"
    SERVICE_PERIOD = "SERVICE_PERIOD"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityConversion:
    """From the metered unit into the priced one (pricing.md 2.7). The factor is not zero."""

    conversion_factor: Decimal
    operation: ConversionOperation
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityRounding:
    """How the converted quantity is rounded (pricing.md 2.8)."""

    rounding_method: RoundingMethod
    decimal_places: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductTerms:
    """Everything of one version of a product that decides an invoice line.

    Group keys keep the order in which they were given; both are () when there are none. Without a
    granularity SQL metrics are broken down as by SERVICE_PERIOD.
    """

    name: str
    billable_metric_id: str | None = None
    quantity_conversion: QuantityConversion | None = None
    quantity_rounding: QuantityRounding | None = None
    pricing_group_key: tuple[str, ...] = ()
    presentation_group_key: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sql_breakdown_granularity: SqlBreakdownGranularity | None = None


class RateType(CasedEnum):
    """The shape of a price (pricing.md 4.5)."""

    FLAT = "FLAT"
    PERCENTAGE = "PERCENTAGE"
    SUBSCRIPTION = "SUBSCRIPTION"
    CUSTOM = "CUSTOM"
    TIERED = "TIERED"
    TIERED_PERCENTAGE = "TIERED_PERCENTAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price as a rate card states it. A FLAT price is per priced unit."""

    rate_type: RateType
    price: Decimal
    credit_type_id: str = USD_CENTS_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class RateEntry:
    """One entry of a rate card: what a product costs, for one set of group values, over time.

    Where entries of one key overlap, the one that starts last rules; of those with one start, the one
    added last (pricing.md 4.2). `added` counts the card's entries. An entry whose `ending_before` has
    passed gives way to the earlier entry that still runs.
    """

    id: str
    product_id: str
    group_values: GroupValues
    starting_at: datetime
    ending_before: datetime | None
    entitled: bool
    price: Price
    added: int
    billing_frequency: str | None = None


def group_values_of(values: dict[str, str] | None) -> GroupValues:
    """Group values in their canonical order.

    >>> group_values_of({"region": "eu", "model": "small"})
    (('model', 'small'), ('region', 'eu'))
    """
    return tuple(sorted((values or {}).items()))
