"""Use cases of usage."""

from tallybook.domains.usage.service.batch import BatchCursor, BatchQuery, MetricQuery, UsageRow, read_batch
from tallybook.domains.usage.service.customer_metrics import CustomerMetricFilter, list_customer_metrics
from tallybook.domains.usage.service.groups import (
    GroupRow,
    GroupsCursor,
    GroupsQuery,
    current_period,
    read_groups,
)

__all__ = [
    "BatchCursor",
    "BatchQuery",
    "CustomerMetricFilter",
    "GroupRow",
    "GroupsCursor",
    "GroupsQuery",
    "MetricQuery",
    "UsageRow",
    "current_period",
    "list_customer_metrics",
    "read_batch",
    "read_groups",
]
