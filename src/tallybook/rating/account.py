"""The two pure steps of rating: which usage is needed, and what follows from it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import takewhile

from tallybook.rating.model import (
    AccountBooks,
    AccountTerms,
    ContractTerms,
    InvoiceDraft,
    InvoiceKind,
    PricedProduct,
    UsageNeed,
    UsageSlice,
    UsageSpan,
)
from tallybook.rating.segments import TermsWindow, deferred_stretches, priced_windows, terms_windows
from tallybook.rating.statements import StatementSchedule, statement_periods
from tallybook.rating.usage_lines import Series, SeriesKey, grouping_of, usage_lines
from tallybook.values.instant import hour_of, later_by
from tallybook.values.metric import Aggregation
from tallybook.values.period import Period
from tallybook.values.quantity import total


def open_periods(
    schedule: StatementSchedule,
    starting_at: datetime,
    ending_before: datetime | None,
    billed_until: datetime | None,
    as_of: datetime,
) -> Iterator[Period]:
    """The statement periods of a contract that have begun by `as_of` and are not finalized yet, in order."""
    periods = statement_periods(schedule, starting_at, ending_before, since=billed_until)
    return takewhile(lambda period: period.starting_at <= as_of, periods)


def plan(account: AccountTerms) -> tuple[UsageNeed, ...]:
    """The usage that `rate` needs: one need per metric and grouping, over all periods that use it.

    It is cut wherever a period begins or ends, or a product's terms or rate change. What an SQL metric
    gives for a stretch depends on where one begins to count, so of one there is a need per period.
    """
    borders: dict[tuple[SeriesKey, Period | None], set[int]] = {}
    for contract in account.contracts:
        for product in contract.products:
            for period in contract.periods:
                for part, edges in _measured(account, product, period):
                    metric_id = part.terms.billable_metric_id
                    if metric_id is not None:
                        series = metric_id, grouping_of(part.terms)
                        key = series, period if _counts_anew(account, metric_id) else None
                        borders.setdefault(key, set()).update(edges)
    needs = []
    for ((metric_id, grouping), _), hours in borders.items():
        first, *cuts, last = sorted(hours)
        needs.append(UsageNeed(metric_id, grouping, first, last, tuple(cuts)))
    return tuple(sorted(needs, key=lambda need: (need.metric_id, need.grouping, need.hour_from)))


def _counts_anew(account: AccountTerms, metric_id: str) -> bool:
    """Whether the metric's usage has to be asked for from the start of each period."""
    return account.aggregations.get(metric_id) is Aggregation.SQL


def _measured(
    account: AccountTerms, product: PricedProduct, period: Period
) -> Iterator[tuple[TermsWindow, set[int]]]:
    """The parts of a period in which something of a product is measured, and at which hours.

    These are the hours at which its terms or rates change, and the ends of the period; of what is
    measured once for the whole of a stretch, only the ends.
    """
    windows = terms_windows(product, period)
    deferred = deferred_stretches(windows, account.aggregations)
    for stretch in deferred:
        yield stretch, _hours([period, stretch.period])
    cut = [period, *(window.period for window in windows)]
    cut += [part.period for parts in priced_windows(product, windows).values() for part in parts]
    edges = _hours(cut)
    for window in windows:
        if not any(stretch.period.contains(window.period.starting_at) for stretch in deferred):
            yield window, edges


def _hours(periods: Iterable[Period]) -> set[int]:
    return {hour_of(edge) for item in periods for edge in (item.starting_at, item.ending_before)}


def rate(account: AccountTerms, usage: Iterable[UsageSlice]) -> AccountBooks:
    """The invoices of an account: one per contract and period, by period end, contract start and id.

    The result depends on the arguments alone; the order of slices and of contracts does not matter.
    """
    pieces = list(usage)
    contracts = sorted(account.contracts, key=lambda item: (item.starting_at, item.contract_id))
    invoices = [
        _usage_invoice(account, contract, period, pieces)
        for contract in contracts
        for period in contract.periods
    ]
    return AccountBooks(invoices=tuple(sorted(invoices, key=lambda item: item.period.ending_before)))


def _usage_invoice(
    account: AccountTerms,
    contract: ContractTerms,
    period: Period,
    usage: Sequence[UsageSlice],
) -> InvoiceDraft:
    bounds = hour_of(period.starting_at), hour_of(period.ending_before)
    series = {
        (need.metric_id, need.grouping): _within(piece.spans, *bounds)
        for piece in usage
        for need in [piece.need]
        if _serves(account, need, *bounds)
    }
    lines = tuple(
        line
        for product in contract.products
        for line in usage_lines(product, period, series, account.aggregations)
    )
    return InvoiceDraft(
        kind=InvoiceKind.USAGE,
        contract_id=contract.contract_id,
        period=period,
        issued_at=later_by(period.ending_before, account.grace),
        credit_type_id=contract.fiat_credit_type_id,
        lines=lines,
        total=total([line.total for line in lines]),
    )


def _serves(account: AccountTerms, need: UsageNeed, start: int, end: int) -> bool:
    """Whether the usage of a need can be billed in a period."""
    return not _counts_anew(account, need.metric_id) or (need.hour_from, need.hour_until) == (start, end)


def _within(spans: Iterable[UsageSpan], start: int, end: int) -> Series:
    """The spans of a period by group, ascending."""
    groups: dict[tuple[str | None, ...], list[UsageSpan]] = {}
    for item in sorted(spans, key=lambda item: item.hour):
        if start <= item.hour < end:
            groups.setdefault(item.group, []).append(item)
    return groups
