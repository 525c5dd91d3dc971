"""All SQL of billable metrics."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Index, Select, String, Table, insert, select, update

from tallybook.domains.metrics.model import Metric
from tallybook.kit.db.columns import Document, Instant, metadata
from tallybook.kit.db.lists import Place, page, parts_of
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.metric import MetricDefinition

metrics = Table(
    "billable_metrics",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String, nullable=False),
    Column("definition", Document(MetricDefinition), nullable=False),
    Column("filter_document", Document(dict[str, Any])),
    Column("created_at", Instant, nullable=False),
    Column("archived_at", Instant),
    Index("ix_billable_metrics_created_at_id", "created_at", "id"),
)


def insert_metric(tx: Tx, metric: Metric) -> None:
    """Store a new metric."""
    tx.sql.execute(
        insert(metrics).values(
            id=metric.id,
            name=metric.name,
            definition=metric.definition,
            filter_document=metric.filter_document,
            created_at=metric.created_at,
        )
    )


def update_metric(tx: Tx, metric_id: str, **values: object) -> None:
    """Change columns of a metric."""
    tx.sql.execute(update(metrics).where(metrics.c.id == metric_id).values(**values))


def select_metrics(tx: ReadTx, ids: Iterable[str]) -> list[Metric]:
    """The metrics with these ids."""
    found: list[Metric] = []
    for part in parts_of(ids):
        found += _load(tx, select(metrics).where(metrics.c.id.in_(part)))
    return found


def select_page(
    tx: ReadTx, *, include_archived: bool, after: Place | None, count: int | None
) -> list[Metric]:
    """At most `count` metrics (None: all), oldest first, after a place."""
    query = select(metrics)
    if not include_archived:
        query = query.where(metrics.c.archived_at.is_(None))
    return _load(tx, page(query, metrics.c.created_at, metrics.c.id, after, count))


def _load(tx: ReadTx, query: Select[tuple[object, ...]]) -> list[Metric]:
    return [Metric(**row._asdict()) for row in tx.sql.execute(query)]
