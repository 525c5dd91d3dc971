"""The metrics that a customer's usage is measured by (metering.md 2.5)."""

from dataclasses import dataclass

from tallybook.domains import contracts, customers, metrics, products, rate_cards
from tallybook.domains.metrics import Metric
from tallybook.kit.db.lists import Place
from tallybook.kit.db.tx import ReadTx
from tallybook.values.instant import micros_of
from tallybook.values.period import covers


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMetricFilter:
    """Which of the metrics to list."""

    on_current_plan: bool = False
    include_archived: bool = False


def list_customer_metrics(
    tx: ReadTx,
    customer_id: str,
    wanted: CustomerMetricFilter,
    after: Place | None,
    count: int,
) -> list[Metric]:
    """At most `count` metrics after a place, oldest first.

    Every metric measures every customer; `on_current_plan` keeps those of products that have a rate in
    force now on the rate card of an active contract. Raises NotFound for an unknown customer.
    """
    customers.get_customer(tx, customer_id)
    if not wanted.on_current_plan:
        return metrics.list_metrics(tx, include_archived=wanted.include_archived, after=after, count=count)
    found = metrics.metrics_by_id(tx, _metrics_on_plan(tx, customer_id)).values()
    shown = [metric for metric in found if wanted.include_archived or metric.archived_at is None]
    ordered = sorted(shown, key=_place)
    return [metric for metric in ordered if after is None or _place(metric) > after][:count]


def _metrics_on_plan(tx: ReadTx, customer_id: str) -> set[str]:
    """The ids of the metrics behind the active contracts' rate cards."""
    cards = {
        contract.rate_card_id
        for contract in contracts.contracts_of(tx, customer_id)
        if contract.rate_card_id is not None and contract.covers(tx.now)
    }
    product_ids = {
        entry.product_id
        for card in cards
        for entry in rate_cards.rate_entries(tx, card)
        if covers(entry.starting_at, entry.ending_before, tx.now)
    }
    terms = [product.terms_at(tx.now) for product in products.products_by_id(tx, product_ids).values()]
    return {item.billable_metric_id for item in terms if item.billable_metric_id is not None}


def _place(metric: Metric) -> Place:
    return micros_of(metric.created_at), metric.id
