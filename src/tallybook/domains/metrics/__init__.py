"""Billable metrics: what is counted, and how."""

from tallybook.domains.metrics.model import Metric, group_keys_of
from tallybook.domains.metrics.service import (
    all_metrics,
    get_metric,
    list_metrics,
    metrics_by_id,
    require_active,
)

__all__ = [
    "Metric",
    "all_metrics",
    "get_metric",
    "group_keys_of",
    "list_metrics",
    "metrics_by_id",
    "require_active",
]
