"""Usage of many customers and metrics (metering.md 3.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tallybook.domains import customers, metrics
from tallybook.domains.customers import Customer
from tallybook.domains.metrics import Metric
from tallybook.domains.usage.model import (
    Group,
    Windows,
    WindowSize,
    check_group_key,
    windows_of,
)
from tallybook.domains.usage.service.reading import CHUNK_WINDOWS, Budget, Source, used_count
from tallybook.kit.db.tx import ReadTx
from tallybook.values.errors import Invalid, NotFound
from tallybook.values.instant import micros_of
from tallybook.values.period import Period
from tallybook.values.usage import Running

VALUES_MAX = 200
PAGE_WEIGHT = 2_000
"""Rows and group values of one page, roughly: a page ends with the first window that passes it."""
PAGE_READS = 2_000
_CUSTOMERS_PER_READ = 200


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One metric to ask for. `values` None means every value of `group_by`, up to VALUES_MAX a window."""

    metric_id: str
    group_by: str | None = None
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """A question about many customers and metrics; None means all of them."""

    window_size: WindowSize
    period: Period
    customer_ids: tuple[str, ...] | None
    metrics: tuple[MetricQuery, ...] | None


@dataclass(frozen=True, slots=True)
class BatchCursor:
    """Where a page begins: at a window of a pair. Ranks are instants of creation, or list positions."""

    customer_rank: int
    customer_id: str
    metric_rank: int
    metric_id: str
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """The usage of one pair in one window; `groups` is None where nothing is grouped."""

    customer_id: str
    metric: Metric
    period: Period
    value: Decimal | None
    groups: dict[str, Decimal | None] | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A metric to ask for, resolved; not `is_named` when all are asked for."""

    rank: int
    metric: Metric
    query: MetricQuery
    is_named: bool = True


def read_batch(
    tx: ReadTx, query: BatchQuery, cursor: BatchCursor | None
) -> tuple[list[UsageRow], BatchCursor | None]:
    """One page of rows, and where the next begins; None after the last.

    Rows come pair by pair, by customer, then metric, in time. Raises NotFound for an unknown customer
    or metric, Invalid for a group key that the metric does not declare.
    """
    asked = _asked(tx, query)
    windows = windows_of(query.period, query.window_size)
    budget = Budget(PAGE_READS)
    rows: list[UsageRow] = []
    weight = 0
    for at, customer, wanted, first in _pairs(tx, query, asked, cursor):
        if weight >= PAGE_WEIGHT or budget.is_spent:
            return rows, at
        pair = _Pair(tx, customer, wanted, windows, budget)
        window, chunk = max(first, 0), pair.first_chunk
        while window < pair.until:
            if weight >= PAGE_WEIGHT or budget.is_spent:
                return rows, BatchCursor(
                    at.customer_rank, at.customer_id, at.metric_rank, at.metric_id, window
                )
            found, count = pair.read(window, min(chunk, PAGE_WEIGHT - weight, pair.until - window))
            following = window + count
            for number, row in found:
                rows.append(row)
                weight += 1 + len(row.groups or ())
                if weight >= PAGE_WEIGHT:
                    following = number + 1
                    break
            window, chunk = following, 2 * chunk
    return rows, None


@dataclass(frozen=True, slots=True)
class _Pair:
    """One customer and one metric."""

    tx: ReadTx
    customer: Customer
    asked: _Asked
    windows: Windows
    budget: Budget

    @property
    def until(self) -> int:
        """The number of windows to look at: all of them, or when grouped those that can hold events."""
        is_grouped = self.asked.query.group_by is not None
        return used_count(self.tx, self.windows) if is_grouped else self.windows.count

    @property
    def first_chunk(self) -> int:
        """How many windows to read at first: few when grouped, since each may fill much of a page."""
        return PAGE_WEIGHT if self.asked.query.group_by is None else CHUNK_WINDOWS

    def read(self, first: int, count: int) -> tuple[Iterator[tuple[int, UsageRow]], int]:
        """The rows of windows from number `first` on, each with its window's number; and of how many.

        At most `count` windows are looked at.
        """
        key = self.asked.query.group_by
        definition = self.asked.metric.definition
        source = Source(
            self.tx, definition, self.customer.usage_keys, self.budget, () if key is None else (key,)
        )
        try:
            folded, count = source.fold(self.windows, first, count)
        except Invalid:
            if self.asked.is_named:
                raise
            # Who asks for everything is to get all the rest; asked for by name, the metric says why.
            return ((number, self._unknown(number)) for number in range(first, first + count)), count
        numbers = range(first, first + count) if key is None else sorted(folded)
        return ((number, self._row(number, folded.get(number, {}))) for number in numbers), count

    def _unknown(self, number: int) -> UsageRow:
        period = self.windows.period_of(number)
        return UsageRow(
            customer_id=self.customer.id, metric=self.asked.metric, period=period, value=None, groups=None
        )

    def _row(self, number: int, groups: dict[Group, Running]) -> UsageRow:
        total = Running()
        for running in groups.values():
            total.add(running.tally())
        return UsageRow(
            customer_id=self.customer.id,
            metric=self.asked.metric,
            period=self.windows.period_of(number),
            value=total.value(self.asked.metric.definition.aggregation),
            groups=None if self.asked.query.group_by is None else self._values(groups),
        )

    def _values(self, groups: dict[Group, Running]) -> dict[str, Decimal | None]:
        """The value of each group asked for; None where it has no events."""
        aggregation = self.asked.metric.definition.aggregation
        names = self.asked.query.values
        if names is None:
            names = tuple(sorted(member for (member,) in groups if member is not None)[:VALUES_MAX])
        return {
            name: groups[(name,)].value(aggregation) if (name,) in groups else None
            for name in dict.fromkeys(names)
        }


def _asked(tx: ReadTx, query: BatchQuery) -> list[_Asked]:
    if query.metrics is None:
        found = metrics.all_metrics(tx, include_archived=True)
        return [
            _Asked(micros_of(metric.created_at), metric, MetricQuery(metric.id), is_named=False)
            for metric in found
        ]
    known = metrics.metrics_by_id(tx, [item.metric_id for item in query.metrics])
    asked = []
    for index, item in enumerate(query.metrics):
        metric = known.get(item.metric_id)
        if metric is None:
            message = f"billable_metrics[{index}].id: no billable metric has the id {item.metric_id}"
            raise NotFound(f"{message} in this environment")
        if item.group_by is not None:
            check_group_key(metric.definition, (item.group_by,), f"billable_metrics[{index}].group_by.key")
        asked.append(_Asked(index, metric, item))
    return asked


def _pairs(
    tx: ReadTx, query: BatchQuery, asked: list[_Asked], cursor: BatchCursor | None
) -> Iterator[tuple[BatchCursor, Customer, _Asked, int]]:
    """Every pair from the cursor on: its first position, and the window to begin with."""
    if query.customer_ids is None and not asked:
        return
    for rank, customer in _customers(tx, query, cursor):
        for item in asked:
            place = (item.rank, item.metric.id)
            first = 0
            if cursor is not None and customer.id == cursor.customer_id:
                if place < (cursor.metric_rank, cursor.metric_id):
                    continue
                if place == (cursor.metric_rank, cursor.metric_id):
                    first = cursor.window
            yield BatchCursor(rank, customer.id, *place, first), customer, item, first


def _customers(tx: ReadTx, query: BatchQuery, cursor: BatchCursor | None) -> Iterator[tuple[int, Customer]]:
    """The customers asked for, from the cursor's on, with their ranks."""
    if query.customer_ids is None:
        yield from _active_customers(tx, cursor)
        return
    owners = customers.owners_of(tx, query.customer_ids)
    for index, customer_id in enumerate(query.customer_ids):
        if owners.get(customer_id) != customer_id:
            message = f"customer_ids[{index}]: no customer has the id {customer_id} in this environment"
            raise NotFound(message)
    for index, customer_id in enumerate(query.customer_ids):
        if cursor is None or index >= cursor.customer_rank:
            yield index, customers.get_customer(tx, customer_id)


def _active_customers(tx: ReadTx, cursor: BatchCursor | None) -> Iterator[tuple[int, Customer]]:
    after = None
    if cursor is not None:
        after = (cursor.customer_rank, cursor.customer_id)
        try:
            begun = customers.get_customer(tx, cursor.customer_id)
        except NotFound:
            message = "next_page: not a cursor of this environment; ask for the first page again"
            raise Invalid(message) from None
        if begun.archived_at is None:
            yield cursor.customer_rank, begun
    while True:
        found = customers.list_customers(tx, customers.CustomerFilter(), after, _CUSTOMERS_PER_READ)
        for customer in found:
            after = (micros_of(customer.created_at), customer.id)
            yield after[0], customer
        if len(found) < _CUSTOMERS_PER_READ:
            return
