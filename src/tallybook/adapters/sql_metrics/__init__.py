"""Answers questions about SQL metrics by DuckDB, over the raw events of one customer and time."""

from tallybook.adapters.sql_metrics.reader import SqlMetricReader

__all__ = ["SqlMetricReader"]
