"""All SQL of billable metrics."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Index, Select, String, Table, insert, select, update

from tallybook.domains.metrics.model import Metric
from tallybook.kit.db.columns import Document, Instant, metadata
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.instant import instant_of_micros
from tallybook.values.metric import MetricDefinition

_IDS_PER_QUERY = 500

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
    wanted = list(dict.fromkeys(ids))
    found: list[Metric] = []
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        part = wanted[start : start + _IDS_PER_QUERY]
        found += _load(tx, select(metrics).where(metrics.c.id.in_(part)))
    return found


def select_page(
    tx: ReadTx, *, include_archived: bool, after: tuple[int, str] | None, count: int | None
) -> list[Metric]:
    """Metrics, oldest first, starting after a (micros, id) key."""
    query = select(metrics).order_by(metrics.c.created_at, metrics.c.id).limit(count)
    if not include_archived:
        query = query.where(metrics.c.archived_at.is_(None))
    if after is not None:
        at = instant_of_micros(after[0])
        same = (metrics.c.created_at == at) & (metrics.c.id > after[1])
        query = query.where((metrics.c.created_at > at) | same)
    return _load(tx, query)


def _load(tx: ReadTx, query: Select[tuple[object, ...]]) -> list[Metric]:
    return [Metric(**row._asdict()) for row in tx.sql.execute(query)]
