"""HTTP of usage: parse, call one use case, render."""

from typing import Any

from tallybook.domains import custom_fields
from tallybook.domains.usage import service
from tallybook.domains.usage.schemas import (
    COMPOUND_LIMIT_DEFAULT,
    SIMPLE_LIMIT_DEFAULT,
    BatchPageQuery,
    CustomerMetricResponse,
    GroupRowResponse,
    ListCustomerMetricsQuery,
    UsageBatchRequest,
    UsageGroupsRequest,
    UsageRowResponse,
    UsageStatusResponse,
    batch_cursor_from_wire,
    batch_cursor_to_wire,
    customer_metric_to_wire,
    group_row_to_wire,
    groups_cursor_from_wire,
    groups_cursor_to_wire,
    usage_row_to_wire,
)
from tallybook.kit.db.tx import ReadTx
from tallybook.kit.http.operation import get, post
from tallybook.kit.http.paging import LIMIT_DEFAULT, PageQuery, page_of, start_after
from tallybook.kit.http.wire import Data, Page
from tallybook.values.instant import micros_of


@post("/v1/usage", "getUsageBatch-v1", is_slow=True)
def get_usage_batch(tx: ReadTx, body: UsageBatchRequest, query: BatchPageQuery) -> Page[UsageRowResponse]:
    """Tell the usage of many customers and metrics, pair by pair."""
    question = body.to_query()
    cursor = batch_cursor_from_wire(question, query.next_page)
    rows, following = service.read_batch(tx, question, cursor)
    return Page(
        data=[usage_row_to_wire(row) for row in rows],
        next_page=batch_cursor_to_wire(question, following),
    )


@post("/v1/usage/groups", "getPagedUsage-v1", is_slow=True)
def get_paged_usage(tx: ReadTx, body: UsageGroupsRequest, query: PageQuery) -> Page[GroupRowResponse]:
    """Tell the usage of one customer and metric, by window and group."""
    question = body.to_query()
    is_compound = len(question.group_key) > 1
    limit = query.limit or (COMPOUND_LIMIT_DEFAULT if is_compound else SIMPLE_LIMIT_DEFAULT)
    cursor = groups_cursor_from_wire(question, query.next_page)
    rows, following = service.read_groups(tx, question, cursor, limit)
    return Page(
        data=[group_row_to_wire(row, question.group_key) for row in rows],
        next_page=groups_cursor_to_wire(question, following),
    )


@get("/v1/customers/{customer_id}/billable-metrics", "listBillableMetrics-v1")
def list_customer_billable_metrics(
    tx: ReadTx, customer_id: str, query: ListCustomerMetricsQuery
) -> Page[CustomerMetricResponse]:
    """List the metrics of a customer, or those on its current plan, oldest first."""
    limit = query.limit or LIMIT_DEFAULT
    after = start_after("customer-metrics", query.next_page, (int, str))
    found = service.list_customer_metrics(tx, customer_id, query.to_filter(), after, limit + 1)
    fields = custom_fields.read(tx, "billable_metric", [metric.id for metric in found])
    return page_of(
        "customer-metrics",
        found,
        limit,
        key=lambda metric: (micros_of(metric.created_at), metric.id),
        render=lambda metric: customer_metric_to_wire(metric, fields.get(metric.id, {})),
    )


@get("/tallybook/v1/usage/status", "getUsageStatus")
def get_usage_status(tx: ReadTx) -> Data[UsageStatusResponse]:
    """Tell how far metering has come with the log of events."""
    counts: dict[str, Any] = {**tx.usage.status()}
    return Data(data=UsageStatusResponse(**counts))
