"""Wire shapes of usage and their conversions."""

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tallybook.domains.metrics import Metric
from tallybook.domains.metrics.schemas import BillableMetricResponse, metric_to_wire
from tallybook.domains.usage.model import Group, WindowSize, check_bounds
from tallybook.domains.usage.service import (
    BatchCursor,
    BatchQuery,
    CustomerMetricFilter,
    GroupRow,
    GroupsCursor,
    GroupsQuery,
    MetricQuery,
    UsageRow,
)
from tallybook.kit.http.paging import PageQuery, encode_cursor, start_after
from tallybook.kit.http.wire import (
    UNSET,
    CustomFields,
    Instant,
    Request,
    Response,
    Text,
    UnsetType,
    Uuid,
    or_unset,
)
from tallybook.values.errors import Invalid
from tallybook.values.period import Period

FILTER_VALUES_MAX = 200
SIMPLE_LIMIT_DEFAULT = 50
COMPOUND_LIMIT_DEFAULT = 100

Values = Annotated[list[Text], Meta(min_length=1, max_length=FILTER_VALUES_MAX)]


class GroupByRequest(Request, frozen=True):
    """A simple group key, and the values of it to return."""

    key: Text
    values: Values | None = None


class MetricRequest(Request, frozen=True):
    """One metric to ask for."""

    id: Uuid
    group_by: GroupByRequest | None = None

    def to_query(self) -> MetricQuery:
        """The question that the service takes."""
        by = self.group_by
        if by is None:
            return MetricQuery(self.id)
        return MetricQuery(self.id, by.key, None if by.values is None else tuple(by.values))


class BatchPageQuery(Request, frozen=True):
    """Query parameters of a batch; its pages have no limit."""

    next_page: str | None = None


class UsageBatchRequest(Request, frozen=True):
    """A question about many customers and metrics; what is absent means all."""

    window_size: WindowSize
    starting_on: Instant
    ending_before: Instant
    customer_ids: list[Uuid] | None = None
    billable_metrics: list[MetricRequest] | None = None

    def to_query(self) -> BatchQuery:
        """The question that the service takes. Raises Invalid."""
        ids, asked = self.customer_ids, self.billable_metrics
        return BatchQuery(
            window_size=self.window_size,
            period=check_bounds(self.starting_on, self.ending_before, to_the_hour=False),
            customer_ids=None if ids is None else tuple(dict.fromkeys(ids)),
            metrics=None if asked is None else tuple(dict.fromkeys(item.to_query() for item in asked)),
        )


class UsageGroupsRequest(Request, frozen=True):
    """A question about one customer and metric."""

    customer_id: Uuid
    billable_metric_id: Uuid
    window_size: WindowSize
    starting_on: Instant | None = None
    ending_before: Instant | None = None
    current_period: bool | None = None
    group_key: Annotated[list[Text], Meta(min_length=1)] | None = None
    group_filters: dict[str, list[Text]] | None = None
    group_by: GroupByRequest | None = None

    def to_query(self) -> GroupsQuery:
        """The question that the service takes. Raises Invalid."""
        group_key, filters, key_field = self._grouping()
        return GroupsQuery(
            customer_id=self.customer_id,
            metric_id=self.billable_metric_id,
            window_size=self.window_size,
            period=self._period(),
            group_key=tuple(group_key),
            values={name: frozenset(values) for name, values in filters.items() if values},
            key_field=key_field,
        )

    def _period(self) -> Period | None:
        bounds = {"starting_on": self.starting_on, "ending_before": self.ending_before}
        if self.current_period:
            for name, bound in bounds.items():
                if bound is not None:
                    raise Invalid(f"{name}: cannot be combined with current_period; leave one of them out")
            return None
        if self.starting_on is None or self.ending_before is None:
            missing = next(name for name, bound in bounds.items() if bound is None)
            raise Invalid(f"{missing}: missing; send starting_on and ending_before, or current_period true")
        is_hourly = self.window_size is WindowSize.HOUR
        return check_bounds(self.starting_on, self.ending_before, to_the_hour=is_hourly)

    def _grouping(self) -> tuple[list[str], dict[str, list[str]], str]:
        """The key, the wanted values by property, and what the caller calls the key."""
        if self.group_by is not None:
            for name in ("group_key", "group_filters"):
                if getattr(self, name) is not None:
                    raise Invalid(f"{name}: cannot be combined with group_by; leave one of them out")
            by = self.group_by
            return [by.key], {} if by.values is None else {by.key: by.values}, "group_by.key"
        group_key = self.group_key or []
        filters = self.group_filters or {}
        for name in filters:
            if name not in group_key:
                raise Invalid(f"group_filters.{name}: not a member of group_key; add it there")
        if sum(len(values) for values in filters.values()) > FILTER_VALUES_MAX:
            raise Invalid(f"group_filters: more than {FILTER_VALUES_MAX} values in all; ask in parts")
        return group_key, filters, "group_key"


class ListCustomerMetricsQuery(PageQuery, frozen=True):
    """Filters of the list of a customer's metrics."""

    on_current_plan: bool | None = None
    include_archived: bool | None = None

    def to_filter(self) -> CustomerMetricFilter:
        """The filter that the service takes."""
        return CustomerMetricFilter(
            on_current_plan=bool(self.on_current_plan), include_archived=bool(self.include_archived)
        )


class UsageRowResponse(Response, frozen=True):
    """The usage of one customer and metric in one window."""

    customer_id: str
    billable_metric_id: str
    billable_metric_name: str
    start_timestamp: datetime
    end_timestamp: datetime
    value: Decimal | None
    groups: dict[str, Decimal | None] | UnsetType = UNSET


class GroupRowResponse(Response, frozen=True):
    """The usage of one group in one window; `group_key` and `group_value` are for simple keys."""

    starting_on: datetime
    ending_before: datetime
    group_key: str | None
    group_value: str | None
    value: Decimal | None
    group: dict[str, str] | UnsetType = UNSET


class CustomerMetricResponse(BillableMetricResponse, frozen=True, kw_only=True):
    """A metric with the deprecated fields beside the present ones; an SQL metric has neither."""

    aggregate: str | UnsetType = UNSET
    group_by: list[str] | UnsetType = UNSET
    aggregate_keys: list[str] | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType = UNSET


class UsageStatusResponse(Response, frozen=True):
    """How far metering has come with the log of events.

    Which events are not counted takes a look at each of them: `unmatched` says where to ask for that.
    """

    log_position: int
    applied_position: int
    lag: int
    events_accepted: int
    events_duplicate: int
    archive_position: int
    unmatched: str = "/tallybook/v1/usage/unmatched"


def usage_row_to_wire(row: UsageRow) -> UsageRowResponse:
    """A row of the batch."""
    return UsageRowResponse(
        customer_id=row.customer_id,
        billable_metric_id=row.metric.id,
        billable_metric_name=row.metric.name,
        start_timestamp=row.period.starting_at,
        end_timestamp=row.period.ending_before,
        value=row.value,
        groups=or_unset(row.groups),
    )


def group_row_to_wire(row: GroupRow, group_key: tuple[str, ...]) -> GroupRowResponse:
    """A row of one group; members that the events lack are left out of `group`."""
    is_simple = len(group_key) == 1
    members = zip(group_key, row.group, strict=True)
    return GroupRowResponse(
        starting_on=row.period.starting_at,
        ending_before=row.period.ending_before,
        group_key=group_key[0] if is_simple else None,
        group_value=row.group[0] if is_simple else None,
        value=row.value,
        group={name: member for name, member in members if member is not None} if group_key else UNSET,
    )


def customer_metric_to_wire(metric: Metric, custom_fields: CustomFields) -> CustomerMetricResponse:
    """A metric with the deprecated fields; only simple group keys fit into `group_by`."""
    definition = metric.definition
    key = definition.aggregation_key
    shown = msgspec.structs.asdict(metric_to_wire(metric, custom_fields))
    if definition.sql is not None:
        return CustomerMetricResponse(**shown)
    return CustomerMetricResponse(
        **shown,
        aggregate=definition.aggregation.lower(),
        aggregate_keys=UNSET if key is None else [key],
        group_by=[names[0] for names in definition.group_keys if len(names) == 1],
        filter=or_unset(metric.filter_document),
    )


def batch_cursor_from_wire(query: BatchQuery, text: str | None) -> BatchCursor | None:
    """The cursor in `next_page`. Raises Invalid when it is not of this question."""
    key = start_after(_list_name(query), text, (int, str, int, str, int))
    return None if key is None else BatchCursor(*key)


def batch_cursor_to_wire(query: BatchQuery, cursor: BatchCursor | None) -> str | None:
    """The text of `next_page`."""
    if cursor is None:
        return None
    customer = (cursor.customer_rank, cursor.customer_id)
    return encode_cursor(_list_name(query), (*customer, cursor.metric_rank, cursor.metric_id, cursor.window))


def groups_cursor_from_wire(query: GroupsQuery, text: str | None) -> GroupsCursor | None:
    """The cursor in `next_page`. Raises Invalid when it is not of this question."""
    key = start_after(_list_name(query), text, (int, str))
    if key is None:
        return None
    try:
        return GroupsCursor(key[0], msgspec.json.decode(key[1], type=Group | None))
    except msgspec.DecodeError:
        raise Invalid("next_page: not a cursor of this list; ask for its first page again") from None


def groups_cursor_to_wire(query: GroupsQuery, cursor: GroupsCursor | None) -> str | None:
    """The text of `next_page`."""
    if cursor is None:
        return None
    return encode_cursor(_list_name(query), (cursor.hour, msgspec.json.encode(cursor.after).decode()))


def _list_name(query: BatchQuery | GroupsQuery) -> str:
    """A name that only the same question has, so that its cursors fit no other."""
    content = msgspec.json.encode(query, order="deterministic")
    return hashlib.blake2b(content, digest_size=8).hexdigest()
