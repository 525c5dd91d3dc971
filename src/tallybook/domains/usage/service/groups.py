"""Usage of one customer and metric, by group (metering.md 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tallybook.domains import contracts, customers, metrics
from tallybook.domains.usage.model import (
    Group,
    Windows,
    WindowSize,
    check_group_key,
    rank_of,
    windows_of,
)
from tallybook.domains.usage.service.reading import CHUNK_WINDOWS, Budget, Folded, Source, used_count
from tallybook.kit.db.tx import ReadTx
from tallybook.rating.statements import statement_periods
from tallybook.values.errors import Invalid
from tallybook.values.instant import hour_of
from tallybook.values.metric import Aggregation
from tallybook.values.period import Period
from tallybook.values.usage import Running

PAGE_READS = 500
CHUNK_WINDOWS_MAX = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsQuery:
    """A question about one customer and metric.

    `period` None means the current billing period. `values` names the wanted values by property; all of
    them where a property is absent.
    """

    customer_id: str
    metric_id: str
    window_size: WindowSize
    period: Period | None
    group_key: tuple[str, ...] = ()
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    key_field: str = "group_key"
    """What the caller calls the key, for messages."""


@dataclass(frozen=True, slots=True)
class GroupsCursor:
    """Where a page begins: in the window of an hour, after a group or, without one, at its start."""

    hour: int
    after: Group | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The usage of one group in one window; the group is () where nothing is grouped."""

    period: Period
    group: Group
    value: Decimal | None


def read_groups(
    tx: ReadTx, query: GroupsQuery, cursor: GroupsCursor | None, limit: int
) -> tuple[list[GroupRow], GroupsCursor | None]:
    """At most `limit` rows by window, then group, and where the next page begins; None after the last.

    Raises NotFound for an unknown customer or metric; Invalid for a group key that is not declared, and
    for the current period of a customer without an active contract.
    """
    keys = customers.get_customer(tx, query.customer_id).usage_keys
    metric = metrics.get_metric(tx, query.metric_id)
    if query.group_key:
        check_group_key(metric.definition, query.group_key, query.key_field)
    period = query.period or current_period(tx, query.customer_id)
    windows = windows_of(period, query.window_size)
    wanted = [query.values.get(name) for name in query.group_key]

    def is_wanted(group: Group) -> bool:
        return all(values is None or member in values for member, values in zip(group, wanted, strict=True))

    budget = Budget(PAGE_READS)
    source = Source(tx, metric.definition, keys, budget, query.group_key, is_wanted)
    if not query.group_key:
        return _plain_page(source, windows, cursor, limit)
    return _grouped_page(source, windows, cursor, limit)


def current_period(tx: ReadTx, customer_id: str) -> Period:
    """The statement period at the present instant of the active contract that began first.

    Raises Invalid when the customer has no active contract, or one whose invoicing has not begun.
    """
    for contract in contracts.contracts_of(tx, customer_id):
        if contract.covers(tx.now):
            periods = statement_periods(
                contract.schedule, contract.starting_at, contract.ending_before, since=tx.now
            )
            period = next(periods, None)
            if period is not None and period.contains(tx.now):
                return period
    message = f"current_period: customer {customer_id} has no active contract now"
    raise Invalid(f"{message}; send starting_on and ending_before instead")


def _plain_page(
    source: Source, windows: Windows, cursor: GroupsCursor | None, limit: int
) -> tuple[list[GroupRow], GroupsCursor | None]:
    """A row for each window, with or without events."""
    first = 0 if cursor is None else windows.index_of(max(cursor.hour, windows.hour_from))
    count = min(limit, windows.count - first)
    if count <= 0:
        return [], None
    folded, count = source.fold(windows, first, count)
    numbers = range(first, first + count)
    empty: Folded = {number: {(): Running()} for number in numbers if number not in folded}
    rows = _rows(windows, {**folded, **empty}, source.definition.aggregation)
    following = first + count
    return rows, GroupsCursor(windows.start_of(following), None) if following < windows.count else None


def _grouped_page(
    source: Source, windows: Windows, cursor: GroupsCursor | None, limit: int
) -> tuple[list[GroupRow], GroupsCursor | None]:
    """A row for each group with events; windows are looked through until there are enough."""
    rows: list[GroupRow] = []
    first = 0 if cursor is None else windows.index_of(max(cursor.hour, windows.hour_from))
    skipped = None if cursor is None or windows.start_of(first) != cursor.hour else cursor.after
    chunk = CHUNK_WINDOWS
    until = used_count(source.tx, windows)
    while first < until:
        if source.budget.is_spent:
            return rows, GroupsCursor(windows.start_of(first), None)
        folded, count = source.fold(windows, first, min(chunk, until - first))
        if skipped is not None and first in folded:
            folded[first] = {
                group: running
                for group, running in folded[first].items()
                if rank_of(group) > rank_of(skipped)
            }
        rows += _rows(windows, folded, source.definition.aggregation)
        if len(rows) > limit:
            last = rows[limit - 1]
            return rows[:limit], GroupsCursor(hour_of(last.period.starting_at), last.group)
        first += count
        chunk, skipped = min(2 * chunk, CHUNK_WINDOWS_MAX), None
    return rows, None


def _rows(windows: Windows, folded: Folded, aggregation: Aggregation) -> list[GroupRow]:
    return [
        GroupRow(windows.period_of(number), group, groups[group].value(aggregation))
        for number, groups in sorted(folded.items())
        for group in sorted(groups, key=rank_of)
    ]
