"""What rating takes and gives: frozen records, no behaviour beyond what they say of themselves.

An account is a customer with all its contracts, because later terms (balances, hierarchies) are
shared among them. Every record can be stored as JSON and read back equal, so that what an invoice
was rated from can be kept and rated again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from tallybook.values.metric import Aggregation
from tallybook.values.money import USD_CENTS_ID
from tallybook.values.period import Period
from tallybook.values.pricing import GroupValues, Price, ProductTerms, ProductType, RateEntry
from tallybook.values.usage import Tally

PresentationValues = tuple[tuple[str, str | None], ...]
"""Property and value pairs in the order of their names; None where events lack the property."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedTerms:
    """A product's terms from an instant on; None means from ever."""

    starting_at: datetime | None
    terms: ProductTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedProduct:
    """A product as one contract sees it: its terms over time and the rates that apply."""

    product_id: str
    type: ProductType
    timeline: tuple[DatedTerms, ...]
    """Ascending; the first starts from ever."""
    entries: tuple[RateEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTerms:
    """One contract: what it prices and which statement periods are to be rated.

    `products` come in the order in which they stand on an invoice. `periods` are cut to the contract.
    """

    contract_id: str
    starting_at: datetime
    periods: tuple[Period, ...]
    products: tuple[PricedProduct, ...] = ()
    fiat_credit_type_id: str = USD_CENTS_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """Everything agreed with one customer that decides its invoices."""

    customer_id: str
    contracts: tuple[ContractTerms, ...]
    aggregations: Mapping[str, Aggregation]
    """By metric id."""
    grace: timedelta
    """How long a usage invoice stays a draft after its period has ended."""


@dataclass(frozen=True, slots=True)
class UsageNeed:
    """Usage that rating asks for: one metric in one grouping over whole UTC hours, half-open.

    What lies between two neighbouring `cuts` (hours inside the bounds, ascending) may come as one span:
    nothing that rating looks at changes there.
    """

    metric_id: str
    grouping: tuple[str, ...]
    hour_from: int
    hour_until: int
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageSpan:
    """What one group used from an hour on up to at most the next cut, over all keys of the customer."""

    hour: int
    group: tuple[str | None, ...]
    tally: Tally


@dataclass(frozen=True, slots=True)
class UsageSlice:
    """The answer to a need: spans with usage, ascending."""

    need: UsageNeed
    spans: tuple[UsageSpan, ...]


class LineKind(StrEnum):
    """What a line charges for (invoicing.md 2.2)."""

    USAGE = "usage"
    SUBSCRIPTION = "subscription"
    SCHEDULED = "scheduled"
    COMMIT_PURCHASE = "commit_purchase"
    APPLIED_COMMIT_OR_CREDIT = "applied_commit_or_credit"
    CPU_CONVERSION = "cpu_conversion"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTrail:
    """Where a usage line comes from; `explain` prints it.

    `metered` is the metric's increment over the line's window, `converted` the same in priced units
    before rounding.
    """

    metric_id: str
    rate_id: str
    metered: Decimal
    converted: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an invoice; `total` is in the unit of its credit type and never rounded."""

    kind: LineKind
    name: str
    total: Decimal
    credit_type_id: str
    product_id: str | None = None
    product_type: ProductType | None = None
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    starting_at: datetime | None = None
    ending_before: datetime | None = None
    pricing_group_values: GroupValues = ()
    presentation_group_values: PresentationValues = ()
    list_price: Price | None = None
    trail: LineTrail | None = None


class InvoiceKind(StrEnum):
    """What gives rise to an invoice (invoicing.md 1.1)."""

    USAGE = "USAGE"
    SCHEDULED = "SCHEDULED"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDraft:
    """What an invoice says. `issued_at` is planned while the invoice is open: period end plus grace."""

    kind: InvoiceKind
    contract_id: str
    period: Period
    issued_at: datetime
    credit_type_id: str
    lines: tuple[Line, ...]
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBooks:
    """Everything that follows from an account's terms and usage, in order of period end."""

    invoices: tuple[InvoiceDraft, ...]
