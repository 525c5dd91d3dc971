"""Short words for rating tests: products, rates and usage written on one line each."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tallybook.rating.account import plan, rate
from tallybook.rating.model import (
    AccountTerms,
    ContractTerms,
    DatedTerms,
    InvoiceDraft,
    PricedProduct,
    UsageSlice,
    UsageSpan,
)
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation
from tallybook.values.period import Period
from tallybook.values.pricing import (
    ConversionOperation,
    Price,
    ProductTerms,
    ProductType,
    QuantityConversion,
    QuantityRounding,
    RateEntry,
    RateType,
    RoundingMethod,
    group_values_of,
)
from tallybook.values.quantity import plain
from tallybook.values.usage import Reading, Tally

JANUARY = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
MILLION = QuantityConversion(conversion_factor=Decimal(1_000_000), operation=ConversionOperation.DIVIDE)


FIRST = JANUARY.starting_at


def day(number: int, hour: int = 0) -> datetime:
    """An hour of January 2026."""
    return datetime(2026, 1, number, hour, tzinfo=UTC)


def terms(metric: str = "m", **given: object) -> ProductTerms:
    return ProductTerms(**{"name": "Tokens", "billable_metric_id": metric, **given})


def rounding(method: str, places: int) -> QuantityRounding:
    return QuantityRounding(rounding_method=RoundingMethod(method), decimal_places=places)


def entry(
    price: object,
    start: datetime = FIRST,
    end: datetime | None = None,
    *,
    added: int = 0,
    entitled: bool = True,
    **values: str,
) -> RateEntry:
    return RateEntry(
        id=f"rate-{added}",
        product_id="p",
        group_values=group_values_of(values),
        starting_at=start,
        ending_before=end,
        entitled=entitled,
        price=Price(rate_type=RateType.FLAT, price=Decimal(str(price))),
        added=added,
    )


def product(
    entries: Sequence[RateEntry], *timeline: tuple[datetime | None, ProductTerms], product_id: str = "p"
) -> PricedProduct:
    dated = timeline or ((None, terms()),)
    return PricedProduct(
        product_id=product_id,
        type=ProductType.USAGE,
        timeline=tuple(DatedTerms(starting_at=start, terms=item) for start, item in dated),
        entries=tuple(entries),
    )


def account(*products: PricedProduct, period: Period = JANUARY, **metrics: Aggregation) -> AccountTerms:
    contract = ContractTerms(
        contract_id="c", starting_at=period.starting_at, periods=(period,), products=products
    )
    return AccountTerms(
        customer_id="customer",
        contracts=(contract,),
        aggregations=metrics or {"m": Aggregation.SUM},
        grace=timedelta(hours=24),
    )


def amount(at: datetime, value: object, *group: str | None) -> UsageSpan:
    """Usage of one hour whose sum, maximum, latest and one distinct text are all `value`."""
    number = Decimal(str(value))
    reading = Reading(hour_of(at) * 3_600_000_000, (hour_of(at), 0), number)
    return UsageSpan(hour_of(at), group, Tally(1, number, number, reading, frozenset([str(value)])))


def invoice(terms_: AccountTerms, **usage: Sequence[UsageSpan]) -> InvoiceDraft:
    """Rate an account whose metrics were used as given, by metric id."""
    pieces = [UsageSlice(need, tuple(usage.get(need.metric_id, ()))) for need in plan(terms_)]
    return rate(terms_, pieces).invoices[0]


def shown(draft: InvoiceDraft) -> list[tuple[str, str, str, str]]:
    """Lines as an accountant reads them: from day, quantity, unit price, total."""
    return [
        (
            f"{line.starting_at:%d.%H}-{line.ending_before:%d.%H}",
            plain(line.quantity),
            plain(line.unit_price),
            plain(line.total),
        )
        for line in draft.lines
    ]
