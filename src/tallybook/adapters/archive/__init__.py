"""Accepted raw events: Parquet by day, the log's newest rows beside it, both as one DuckDB view."""

from tallybook.adapters.archive.manifest import RawScope
from tallybook.adapters.archive.store import RawEventStore

__all__ = ["RawEventStore", "RawScope"]
